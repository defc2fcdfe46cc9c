"""A typed line as what it asks for: a request to the daemon, or something to be done here. Pure.

`read` is the whole of it: a place and a line go in; acts come out, or BadLine with one sentence that says why not. The
daemon reads the lines of a breakpoint's `commands` with it as well (`requests`).
"""

import re
from collections.abc import Mapping
from typing import Final

from attrs import evolve

from debugger.protocol.commands import COMMANDS, includes
from debugger.repl.bundling import BUNDLE
from debugger.repl.changing import CHANGE
from debugger.repl.forms import Act, Asked, BadLine, Form, Local, Words, local
from debugger.repl.looking import LOOK
from debugger.repl.place import Block, Place, Standing
from debugger.repl.pointing import BREAK
from debugger.repl.running import OUT, RUN, SESSIONS
from debugger.repl.texts import line as in_a_line
from debugger.repl.traveling import TIME

LONGEST: Final = 1_000_000
"""Characters of a line. What is said to a session may be long."""
ALIASES: Final = 20
"""Aliases that one line may go through."""
MOST_ALIASES: Final = 1_000
MOST_LINES: Final = 50
"""Lines of commands that one breakpoint has."""


def _alias(words: Words, place: Place) -> tuple[Act, ...]:
    if not words.rest:
        return local(words, "aliases", {})
    name, equals, line = words.all().partition("=")
    name, line = name.strip(), line.strip()
    if not equals or not line:
        words.wrong("needs NAME = LINE")
    if not re.fullmatch("[A-Za-z][A-Za-z0-9_-]*", name):
        words.wrong(f"{name!r} is no name: letters, digits, - and _")
    if name in _NAMES:
        words.wrong(f"{name} is a command")
    if len(place.aliases) >= MOST_ALIASES:
        words.wrong("there are enough aliases: unalias some")
    return local(words, "alias", {"name": name, "line": line})


def _unalias(words: Words, place: Place) -> tuple[Act, ...]:
    name = words.needed("the name of an alias")
    if name not in place.aliases:
        words.wrong(f"there is no alias {name}")
    return local(words, "unalias", {"name": name})


def _reconnect(words: Words, place: Place) -> tuple[Act, ...]:
    return local(words, "reconnect", {})


def _source(words: Words, place: Place) -> tuple[Act, ...]:
    name = words.all("the name of a file")
    return local(words, "source", {"file": name})


# fmt: off
_OUT: Final = (
    Form(("reconnect",), "reconnect", "connect anew after the connection was lost, and attach again",
         "reconnect", "out", _reconnect),
    Form(("source",), "source FILE", "run the lines of a file", "source breakpoints.adb", "out", _source),
    Form(("alias",), "alias [NAME = LINE]", "a name for the beginning of a line, or the list",
         "alias ta = p tool.args", "out", _alias),
    Form(("unalias",), "unalias NAME", "drop an alias", "unalias ta", "out", _unalias),
)
# fmt: on
FORMS: Final[tuple[Form, ...]] = (*SESSIONS, *RUN, *TIME, *BREAK, *LOOK, *CHANGE, *BUNDLE, *_OUT, *OUT)
"""Every command, in the order in which they are explained."""
_NAMES: Final[Mapping[str, Form]] = {name: form for form in FORMS for name in form.names}


def read(line: str, place: Place) -> tuple[Act, ...]:
    """Return what a line asks for: nothing for an empty line or a comment. Raises BadLine.

    While lines for a breakpoint are typed, a line is kept until `end`; it must be one that could be done at a stop.
    """
    if len(line) > LONGEST:
        raise BadLine(f"a line may have {LONGEST:,} characters, not {len(line):,}")
    text = line.strip()
    if place.block is not None:
        return _collected(text, place, place.block)
    if not text or text.startswith("#"):
        return ()
    name, rest = _parted(expanded(text, place.aliases))
    form = form_of(name)
    return form.make(Words.of(form, rest), place)


def requests(line: str, place: Place) -> tuple[Asked, ...]:
    """Return the requests of a line that nobody types: of a breakpoint's `commands`. Raises BadLine.

    What only a terminal can do is refused.
    """
    acts = read(line, place)
    for act in acts:
        if isinstance(act, Local):
            raise BadLine(f"{act.verb}: this cannot be among the commands of a breakpoint")
    return tuple(act for act in acts if isinstance(act, Asked))


def form_of(name: str) -> Form:
    """Return the command of a name, or of the beginning of one that fits no other. Raises BadLine."""
    if name in _NAMES:
        return _NAMES[name]
    found = [form for form in FORMS if name and form.names[0].startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise BadLine(f"{name} could be {', '.join(form.names[0] for form in found)}")
    if name == "replay":
        raise BadLine("replay: goes on outside of the debugger: `export FILE.twinstep`, then `twinstep replay --help`")
    raise BadLine(f"unknown command {name[:60]}; {_suggestion(name[:60])}`help` lists them")


def _suggestion(name: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, [form.names[0] for form in FORMS], 3, 0.6)
    return f"did you mean {' or '.join(close)}? " if close else ""


def repeated(line: str, place: Place) -> bool:
    """Whether an empty line after this one does it again."""
    try:
        name, _ = _parted(expanded(line.strip(), place.aliases))
        return form_of(name).repeats
    except BadLine:
        return False


def expanded(text: str, aliases: Mapping[str, str]) -> str:
    """Return a line with the alias that it begins with replaced by its line. Raises BadLine where that never ends."""
    for _ in range(ALIASES):
        name, rest = _parted(text)
        if name not in aliases:
            return text
        text = f"{aliases[name]} {rest}".strip()
    raise BadLine(f"the alias {_parted(text)[0]} leads back to itself")


_FIRST: Final = re.compile(r"\s*(\?|[^\s?/.=]+)\s*(.*)", re.DOTALL)


def _parted(text: str) -> tuple[str, str]:
    found = _FIRST.fullmatch(text)
    return (found[1], found[2]) if found is not None else (text.split(maxsplit=1)[0] if text.split() else "", "")


def _collected(text: str, place: Place, block: Block) -> tuple[Act, ...]:
    if text == "end":
        done = Asked("break.change", {"id": block.id, "commands": list(block.lines)}, "commands")
        return (Local("collected", {}), done)
    if not text or text.startswith("#"):
        return ()
    if len(block.lines) >= MOST_LINES:
        raise BadLine(f"a breakpoint has {MOST_LINES} lines of commands or fewer: end")
    try:
        for one in requests(text, _stopped(place)):
            _may(place.role, one.command)
    except BadLine as exc:
        where = f"commands {block.id}, line {len(block.lines) + 1} ({in_a_line(text, 60)})"
        raise BadLine(f"{where}: {exc}") from exc
    return (Local("collect", {"line": expanded(text, place.aliases)}),)


def _may(role: str, command: str) -> None:
    """Refuse what the commands of somebody with this role would be refused at each stop."""
    needed = COMMANDS[command].role
    if not includes(role, needed):
        raise BadLine(f"{command} needs the role {needed}, and yours is {role}")


def _stopped(place: Place) -> Place:
    """A place where a session stands at a call: what is refused there is refused at every stop."""
    name = place.session or "session"
    standing = Standing(name, held=True, generation=1, step={"call": "call"}, hits=(1,), history=0)
    return evolve(place, block=None, edits=None, session=name, sessions={name: standing})
