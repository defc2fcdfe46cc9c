"""The page of docs/reference about the Debug Adapter Protocol, from its tables. Writes no file."""

from collections.abc import Mapping
from typing import Any, Final

from attrs import fields

from debugger.dap import requests as r
from debugger.dap.capabilities import FILTERS, FLAGS
from debugger.dap.decoding import wire_name
from debugger.dap.listing import NAME, TEXT
from debugger.dap.messages import BODY
from debugger.dap.requests import CUSTOM, REQUESTS
from debugger.dap.session import JOIN_SECONDS, UNDER_WAY
from docs.markdown import MADE, code, table

TITLE: Final = f"""# Debug Adapter Protocol

{MADE}
What `twinstep dap` speaks with editors: version 1.71 of the protocol, of which an editor needs to know nothing but
threads, lines and breakpoints. It is a client of the [debugger's protocol](debugger-protocol.md): the same rights, the
same edits, the same audit. How to set it up: [VS Code](../how-to/vscode.md), [Neovim](../how-to/neovim.md),
[Vim](../how-to/vim.md).

| In the editor | is |
| --- | --- |
| thread | a session; its state stands in its name |
| frame | step, call, turn, session, innermost first |
| source | the listing below, a file whose lines are the kinds of steps; and the conversation of each session |
| variable | a node of the state, read when it is opened; secrets are shown as their lengths |
| exception | a verdict, or something that failed |
| stepping back | looking at the record; nothing is undone, and what is changed there begins a branch |

One connection is one session, unless `all` is asked for. A stop of one session stops no other. Numbers of frames and
variables are good for one stop: one of an earlier stop is refused, and never means another session.
"""
LISTING: Final = f"""
## The listing

`twinstep dap --listing` writes it and prints where it is (`{NAME}`). A breakpoint on a line stops before that step; on
a line that names none, before the next one.

"""
REQUESTS_TEXT: Final = f"""
## Requests

Those marked with \\* only look, and run beside others; all others run one after another. A request is answered before
anything that it brings about is told. At most {UNDER_WAY} are under way at a time. A message has at most
{BODY // 2**20} MiB. One that is no request is told of in the output, and the next one is read.

"""
ATTACHING: Final = f"""
## Attaching

Both are answered after `configurationDone`; `initialized` comes when the daemon has let the editor in, or the bundle is
open. Where one of them is refused the connection ends behind the answer. Without a
`token` nobody gets in over a port, and a process that the daemon has started does not with one. A connection that has
attached to nothing is ended after {JOIN_SECONDS:g} seconds.

"""
ARGUMENTS: Final[Mapping[str, str]] = {
    "token": "what stands in the token file; not needed over pipes",
    "session": "of `attach`: id, key, or the beginning of one, or `all`; of `launch`: the key of the new session",
    "bundle": "a [bundle](bundle.md), `*.twinstep`, to look into: no daemon is asked, nothing of it runs or changes",
    "role": "`observer`, `driver`, `mutator` or `override`; at most that of the server",
    "onDisconnect": "`hold`, `resume` or `cancel`: what becomes of a session that stands at the end of the debugging. "
    "Without it, it goes on, and where the connection was lost it is held first",
    "holdSeconds": "for how long it is held where the connection was lost",
    "suspend": "hold sessions until breakpoints are set, so that the very first step can be stopped",
    "stopOnEntry": "hold sessions, and leave them so",
    "agent": "the agent of the new session",
    "message": "what is said to it once breakpoints are set",
}
NAMES: Final = (
    ("tool:GLOB", "before a tool of this name runs"),
    ("agent:GLOB", "before a turn of this agent begins"),
    ("event:GLOB", "at an event of this name (`cancel`, `message`)"),
    ("new-session", "after a session has begun"),
    ("GLOB", "before steps of this name (`call.*`)"),
)
BREAKPOINTS: Final = """
## Breakpoints

Conditions are [expressions](debugger-expressions.md), log messages are templates with expressions in braces. A hit
condition is `3` (the third hit and no other), `>= 3`, `> 3` or `% 3`. Each set replaces the one before; what is in both
goes on counting. They are for the sessions of the connection, and go with it. Whether one can be had is said at once,
and if not, why.

Names of function breakpoints:

"""
DATA: Final = """
What can be watched is a path that begins with `state`, `tokens`, `agent` or `session`; the call in hand is watched by
its place in the turn. Only writing is watched: reads are not journaled. A data id that begins with `true:` is an
expression, and stops when it becomes true.

Exception filters:

"""
CONSOLE: Final = f"""
## The console

A line is an expression, if it can be read as one, and else a command of `twinstep attach`
([all of them](debugger-commands.md)); with a colon in front it is always a command: `step` shows where the session
stands, `:step` takes a step. What ends the connection, needs a terminal or writes a file is refused.

A request whose name begins with `{CUSTOM}` is a command of the [debugger's protocol](debugger-protocol.md) with its
params, and `threadId` in place of a session: `{CUSTOM}blame`, `{CUSTOM}fork`.

## Going back

`stepBack`, `reverseContinue` and `goto` move only where all look who debug this session. Going forward goes over the
record: nothing runs, and breakpoints stop there as well. `continue` goes over the record and, if nothing stops it,
lets the session go on. `restartFrame` begins the turn or call anew on a branch; where something has happened
since that cannot be undone, it only goes there to look, and the output says what to type to confirm it.
"""


def page() -> str:
    """The whole page."""
    return (
        TITLE
        + LISTING
        + f"```text\n{TEXT}```\n"
        + REQUESTS_TEXT
        + table(("Request", "Arguments", "What it means"), (_row(name) for name in REQUESTS))
        + ATTACHING
        + table(("Argument", "Of", "Meaning"), _attaching())
        + BREAKPOINTS
        + table(("Name", "Stops"), ((code(name), text) for name, text in NAMES))
        + DATA
        + table(("Filter", "Stops when", "Marked as default"), _filters())
        + CONSOLE
        + "\n## Capabilities\n\n"
        + code(*sorted(FLAGS))
        + ".\n"
    )


def _row(name: str) -> tuple[str, str, str]:
    row = REQUESTS[name]
    mark = r" \*" if row.looks else ""
    return f"{code(name)}{mark}", _arguments(row.kind) or "none", row.about


def _arguments(kind: type[Any]) -> str:
    return code(*(wire_name(one.name) for one in fields(kind)))


def _attaching() -> list[tuple[str, str, str]]:
    kinds = {"attach": r.Attach, "launch": r.Launch}
    has = {name: {wire_name(one.name) for one in fields(kind)} for name, kind in kinds.items()}
    return [(code(name), code(*(one for one in kinds if name in has[one])), text) for name, text in ARGUMENTS.items()]


def _filters() -> list[tuple[str, str, str]]:
    return [
        (code(name), one.about + ("; the condition says which" if one.asks else ""), "yes" if one.default else "")
        for name, one in FILTERS.items()
    ]
