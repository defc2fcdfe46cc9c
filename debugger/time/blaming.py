"""Who wrote a value: the last record on a path that changed what lies at a place of the state. Pure."""

from collections.abc import Generator
from typing import Any, Final

from attrs import evolve

from debugger.border import Border
from debugger.expressions import ABSENT, Path, compile_path
from debugger.expressions.errors import BadExpression
from debugger.inspect import Bounds, plain
from debugger.inspect.difference import changes
from debugger.inspect.plain import Shown
from debugger.schema import Secret, is_secret
from debugger.time.listing import row
from debugger.time.walk import SLICE, Walk
from runtime.step.events import Edited

LASTING: Final = frozenset({"state", "tool", "tokens"})
"""What is there at every record. `tool` is the call that one stands at, followed through the path by its id."""
SHOWN: Final = 4_000
"""Characters of each side that are shown."""


def written(source: str) -> Path:
    """Return a path whose writer can be looked for. Raises BadExpression."""
    path = compile_path(source)
    for root in sorted(path.roots_used - LASTING):
        why = f"{root} is another thing at each step; what somebody writes begins with state, tool or tokens"
        raise BadExpression(why, source, max(0, source.find(root)))
    return path


def blaming(walk: Walk, place: int, path: Path, here: Border) -> Generator[None, None, Shown]:
    """Look back from a place for the record that wrote what is there now. `here` is the border at the place: it says
    which call `tool` means.

    Return `path`; `value` (absent: `absent`); and `writer`, None where nothing has changed it since the session began:
    the row of its record, with `old` and `new`, and `reason` where a person gave one.
    """
    now = _value(path, here, walk, place)
    made: dict[str, Any] = {"path": path.source, "writer": None, **_shown("value", now)}
    new = now
    for index in range(place, -1, -1):
        if (place - index) % SLICE == SLICE - 1:
            yield
        old = _value(path, here, walk, index - 1) if index else ABSENT
        if differs(old, new):
            event = walk.path[index].step.event
            reason = event.reason if isinstance(event, Edited) else ""
            found = row(walk.path[index]) | _shown("old", old) | _shown("new", new)
            return made | {"writer": found | ({"reason": reason} if reason else {})}
        new = old
    return made


def _value(path: Path, here: Border, walk: Walk, place: int) -> Any:
    value = path(evolve(here, state=walk.state(place)))
    return Secret.of(value) if is_secret(path.steps[-1]) and value is not ABSENT else value


def differs(old: Any, new: Any) -> bool:
    """Whether two values differ; what they share is not looked at. Secrets differ where their lengths do."""
    if old is ABSENT or new is ABSENT:
        return old is not new
    return next(changes((), old, new), None) is not None


def _shown(name: str, value: Any) -> Shown:
    return {} if value is ABSENT else {name: plain(value, Bounds(text=SHOWN))}
