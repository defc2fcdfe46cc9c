"""Looking into a session: trees, the conversation, the next request, differences, search, where and why.

All results are plain JSON within bounds, and hold no secret: what `debugger.schema` calls secret is shown as how long
it is. Changes nothing, waits for nothing and reads no clock; `debugger.inspect.tasks`, which looks at what runs, is
imported by its own name.
"""

from debugger.inspect.conversation import conversation
from debugger.inspect.difference import diff
from debugger.inspect.facts import Facts, Waiting
from debugger.inspect.paths import NoSuchPath
from debugger.inspect.plain import Bounds, plain
from debugger.inspect.request import NoRequest, next_request, request_body
from debugger.inspect.search import BadSearch, find, finding
from debugger.inspect.tree import tree
from debugger.inspect.where import where
from debugger.inspect.why import why

__all__ = [
    "BadSearch",
    "Bounds",
    "Facts",
    "NoRequest",
    "NoSuchPath",
    "Waiting",
    "conversation",
    "diff",
    "find",
    "finding",
    "next_request",
    "plain",
    "request_body",
    "tree",
    "where",
    "why",
]
