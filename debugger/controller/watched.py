"""What the debugger keeps of one session beside the session: the number that an edit must name, undo, faults, the lock.

Holds no lock and waits for nothing. It is made when somebody first looks into the session, and goes with it.
"""

from collections import deque
from typing import Final, Literal

from attrs import define, field

from debugger.controller.cursor import Cursor
from debugger.expressions import Expression
from debugger.time import Walk
from runtime.sessions.session import Session
from runtime.step import Step, StepKind
from runtime.step.events import Edited

UNDO: Final = 200
"""Edits that can be taken back one after another."""
DISPLAYS: Final = 50
"""Displays of one connection in one session."""
Mode = Literal["off", "on", "step"]
_PASSIVE: Final = frozenset({StepKind.CONTROL_QUEUE, StepKind.CONTROL_MARK})
"""Steps that do not make an edit late: a message that comes in while somebody thinks is none of its business."""
_LEAVES: Final = frozenset({StepKind.CONTROL_RELEASE, StepKind.CONTROL_BRANCH, StepKind.SESSION_CLOSE})
"""Steps after which nobody looks at the past any more."""
_STANDING: Final = frozenset({StepKind.CONTROL_HOLD, StepKind.CONTROL_RELEASE})
"""Steps that change nothing that an edit can."""


@define(eq=False)
class Undo:
    """An edit, and the one that takes it back."""

    made: Edited
    back: Edited


@define(eq=False)
class Planned:
    """A fault that somebody wants to see: what, for which call (an id, a glob over tools, `model`), how often yet."""

    call: str
    what: str
    left: int
    by: str


@define(eq=False)
class Watched:
    """One session under the debugger. `mark` is the number of the last record that an edit must know of.

    `last` is the step that was taken last, `moved` when (Trio's clock). `once` undoes the edits that were meant for one
    request, each with the number of a record that it was made at. `displays` are by connection and number. `cursor` is
    where somebody looks, None at the head; `walk` is the path that somebody looked at last.
    """

    session: Session
    mark: int
    last: Step | None = None
    moved: float | None = None
    done: "deque[Undo]" = field(factory=lambda: deque(maxlen=UNDO))
    undone: "deque[Undo]" = field(factory=lambda: deque(maxlen=UNDO))
    faults: list[Planned] = field(factory=list)
    mode: Mode = "off"
    call: str = ""
    once: list[tuple[int, Edited]] = field(factory=list)
    displays: dict[str, dict[int, Expression]] = field(factory=dict)
    cursor: Cursor | None = None
    walk: Walk | None = None

    @property
    def at(self) -> int:
        """The number of the record that an edit must name: where one looks, else the last that counts."""
        return self.cursor.seq if self.cursor is not None else self.mark

    @classmethod
    def of(cls, session: Session, before: "Watched | None" = None) -> "Watched":
        """Begin to watch a session; what people asked for when it was last loaded goes on."""
        made = cls(session, session.state.seq)
        if before is not None:
            made.displays, made.faults = before.displays, before.faults
            made.mode, made.call = before.mode, before.call
        return made

    @property
    def wanted(self) -> bool:
        """Whether somebody asked for something that is still to come."""
        return bool(self.faults or self.once or any(self.displays.values()))

    @property
    def once_here(self) -> list[tuple[int, Edited]]:
        """Those of `once` that were made on the branch where the session stands, or on what led to it."""
        timeline, head = self.session.timeline, self.session.state.seq
        if timeline is None or timeline.last < head:  # nobody has looked back yet, so there is one branch
            return list(self.once)
        return [one for one in self.once if timeline.leads(one[0], head)]

    def saw(self, step: Step, *, ours: bool) -> None:
        """Take note of a step; `ours` is one that a debugger made. What others change leaves no edit to be taken back:
        it names places that may hold something else by now.
        """
        if step.kind in _LEAVES:
            self.cursor = self.walk = None
        if step.kind in _PASSIVE:
            return
        self.mark = step.after.seq
        if not step.kind.controls:
            self.last = step
        if not (step.kind in _STANDING or (ours and isinstance(step.event, Edited))):
            self.done.clear()
            self.undone.clear()

    def displayed(self, connection: str, expression: Expression) -> int | None:
        """Let each stop show one more expression to a connection; return its number, or None where there are enough."""
        mine = self.displays.setdefault(connection, {})
        if len(mine) >= DISPLAYS:
            return None
        number = max(mine, default=0) + 1
        mine[number] = expression
        return number
