"""Which tools a request asks for, by rules from its literal words: from no model and nothing that was read. Pure."""

import re
from functools import lru_cache
from typing import Final

from defender.taint.lexicon import STOP_WORDS, THINGS_OF, WORDS_OF
from defender.taint.saying import Said

_PIECES: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@lru_cache(maxsize=512)
def words_of(tool: str) -> tuple[str, ...]:
    """Return the words of a tool's name, in lower case: of `send_email`, `MailSend` and `mcp__mail__send`."""
    return tuple(piece.lower() for piece in _PIECES.findall(tool))


def asks_for(request: Said, tool: str, *, bound: bool) -> bool:
    """Whether the request asks for what the tool does.

    One of its words must be a word for the action in the tool's name; and where the name says what it acts on, one for
    that as well, unless the call is `bound` to the request by a sink that stands there.
    """
    words = words_of(tool)
    actions = [WORDS_OF[word] for word in words if word in WORDS_OF]
    said = request.verbs
    if not actions:
        return any(word in said for word in words if len(word) > 2 and word not in STOP_WORDS)
    if not any(request.actions & action for action in actions):
        return False
    things = [THINGS_OF[word] for word in words if word in THINGS_OF]
    return bound or not things or any(said & thing for thing in things)
