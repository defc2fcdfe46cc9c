"""Which borders a breakpoint looks at: step kinds before and after, and the filters of tool and turn. Pure."""

import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import translate
from typing import Final

from attrs import frozen

from debugger.border import Border, Edge
from debugger.breakpoints.spec import BadSpec
from runtime.step import TABLE, On, State, StepKind
from runtime.step.kinds import CONTROLS
from runtime.step.state import Turn
from runtime.step.table import CALL_TABLE

UNGATED: Final = CONTROLS | {StepKind.SESSION_OPEN}
"""Steps that are taken past the gate: a session cannot be stopped before them, only after."""
HIDDEN: Final = frozenset(kind for kind in StepKind if kind.value.startswith("control."))
"""Steps that only a glob that begins with `control` means."""
STEPS: Final = frozenset(StepKind) - HIDDEN
_ROWS: Final = [row for table in (TABLE, CALL_TABLE) for row in table.values()]
PAIRED: Final = frozenset(row[On.GO].kind for row in _ROWS if On.GO in row) & frozenset(
    rule.kind for row in _ROWS for on, rule in row.items() if on is not On.GO
)
"""Steps that are taken twice: they begin, and their outcome is taken in. `before` is before the first, `after` is
after the second."""

Matches = Callable[[str], object]


@frozen
class Places:
    """The borders to look at."""

    before: frozenset[StepKind] = frozenset()
    after: frozenset[StepKind] = frozenset()


def glob(pattern: str) -> Matches:
    """Return what tells whether a text fits a glob (`*`, `?`, `[a-z]`)."""
    return re.compile(translate(pattern)).match


def kinds_of(globs: Sequence[str]) -> frozenset[StepKind]:
    """Return the kinds that the globs mean. Raises BadSpec where one means none."""
    found: set[StepKind] = set()
    for n, one in enumerate(globs):
        fits = glob(one)
        meant = {kind for kind in StepKind if fits(kind.value)}
        meant = meant if one.startswith("control") else meant - HIDDEN
        if not meant:
            raise BadSpec(f"kinds[{n}]", f"no step has a name like {one!r}; there are {_names(StepKind)}")
        found |= meant
    return frozenset(found)


def events_of(pattern: str) -> frozenset[On]:
    """Return the events that a glob means. Raises BadSpec where it means none."""
    fits = glob(pattern)
    found = frozenset(on for on in On if fits(on.value))
    if not found:
        raise BadSpec("event", f"no event has a name like {pattern!r}; there are {', '.join(on.value for on in On)}")
    return found


def places(kinds: Iterable[StepKind], edge: Edge | None) -> Places:
    """Return where to look at steps of these kinds. Raises BadSpec where no stop is possible there."""
    kinds = frozenset(kinds)
    if edge == "after":
        return Places(after=kinds)
    gated = kinds - UNGATED
    if edge is None:
        return Places(gated, kinds & UNGATED)
    if not gated:
        raise BadSpec("edge", f"{_names(kinds)} cannot be stopped before, only after")
    return Places(gated)


def _names(kinds: Iterable[StepKind]) -> str:
    return ", ".join(sorted(kind.value for kind in kinds))


def is_whole(border: Border) -> bool:
    """Whether the border is the beginning (before) or the end (after) of a step, and not the middle of a paired one."""
    if border.kind not in PAIRED:
        return True
    if border.edge == "before":
        return border.event is None or border.event.on is On.GO
    taken = border.taken
    return taken is None or taken.event.on is not On.GO or not taken.effects


def event_of(border: Border) -> object:
    """Return what is about to happen, or has happened."""
    return border.taken.event if border.edge == "after" and border.taken is not None else border.event


def state_before(border: Border) -> State:
    """Return the state that the event is or was applied to."""
    return border.taken.before if border.edge == "after" and border.taken is not None else border.state


def tool_of(border: Border) -> str:
    """Return the name of the tool whose call the step is about, or an empty text."""
    turn = border.state.turn or state_before(border).turn
    call = turn.call(border.call) if turn is not None and border.call else None
    return call.name if call is not None else ""


def turn_of(border: Border) -> int:
    """Return the number, in its prompt, of the turn that the step belongs to; 0 where it belongs to none."""
    state = border.state
    if border.kind is StepKind.TURN_START and border.edge == "before":
        return state.prompt.turns + 1 if state.prompt is not None else 1
    turn: Turn | None = state.turn or state_before(border).turn
    return turn.number if turn is not None else 0
