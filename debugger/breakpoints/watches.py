"""Watchpoints: a value of the state that changed, or an expression that became true, and who made it so. Pure.

A watchpoint looks after every step. What it finds first in a session is no change: it begins with the value before the
step, where that is known.
"""

from typing import Any, Final

from attrs import evolve, frozen

from debugger.border import Border
from debugger.breakpoints.memory import NOTHING, Memory
from debugger.breakpoints.places import Places, kinds_of
from debugger.breakpoints.spec import BadSpec, Spec
from debugger.expressions import BadExpression, Expression, Run, compile_expression, compile_path
from debugger.expressions.shown import cut
from runtime.step import StepKind

WATCHED: Final = frozenset({"state", "tokens", "agent", "session"})
"""What belongs to a session at any border. `tool`, `event` and the like are another thing at each."""
SHOWN: Final = 80
"""Characters of a value that are shown."""
_SILENT: Final = frozenset({StepKind.CONTROL_HOLD, StepKind.CONTROL_RELEASE})
"""Stopping and going on are no changes that somebody waits for: a stop for them could never be left."""


@frozen
class Change:
    """What was found: old and new value, and one line about it."""

    old: Any
    new: Any
    actor: str
    source: str

    @property
    def line(self) -> str:
        """The change as a person reads it."""
        by = f" by {self.actor}" if self.actor else ""
        return f"{self.source} {cut(self.old, SHOWN)} -> {cut(self.new, SHOWN)}{by}"


@frozen
class Watch:
    """`value` is read at a border; a change is told for steps of these `kinds`."""

    source: str
    value: Expression
    becomes_true: bool
    kinds: frozenset[StepKind]

    @property
    def places(self) -> Places:
        """After every step: also where a change is not told, it is noted."""
        return Places(after=frozenset(StepKind))

    def sense(self, border: Border, memory: Memory, number: int, run: Run) -> Change | None:
        """Return the change since the last border, and remember the value. `run` pays for reading it."""
        old = memory.values.get(number, NOTHING)
        new = self.value.within(run)
        memory.values[number] = new
        if old is NOTHING:
            if border.taken is None:
                return None
            run.border = evolve(border, state=border.taken.before)
            old = self.value.within(run)
            run.border = border
        if not self._changed(old, new) or border.kind not in self.kinds:
            return None
        return Change(old, new, border.actor, self.source)

    def _changed(self, old: Any, new: Any) -> bool:
        if self.becomes_true:
            return bool(new) and not old
        if old is new:
            return False
        return type(old) is not type(new) or bool(old != new)


def watch(spec: Spec) -> Watch:
    """Return the watchpoint of a spec. Raises BadSpec with the position."""
    if spec.edge == "before":
        raise BadSpec("edge", "a watchpoint stops after the step that made the change")
    kinds = kinds_of(spec.kinds) if spec.kinds else frozenset(StepKind) - _SILENT
    try:
        value = compile_path(spec.watch) if spec.mode == "change" else compile_expression(spec.watch)
    except BadExpression as exc:
        raise BadSpec("watch", str(exc), exc.position) from None
    for root in sorted(value.roots_used - WATCHED):
        why = f"{root} is another thing at each step; what can be watched begins with {', '.join(sorted(WATCHED))}"
        raise BadSpec("watch", why, max(0, spec.watch.find(root)))
    return Watch(spec.watch, value, spec.mode == "true", kinds)
