"""A path through the records of a session, and what a person sees who stands at one of them. Pure.

One stands *after* a record and *before* the next step on the path. Between two steps there may be control records (a
hold, an edit): the state before a step is the last one before it, so edits that were made there are in it.
"""

from collections.abc import Sequence
from typing import Final

from attrs import define, field, frozen

from debugger.border import Border
from runtime.errors import NoTransition
from runtime.step import Event, On, State, Step, StepKind, kind_of, ready
from runtime.step.branches import Taken
from runtime.step.outstanding import AWAITED, outstanding

SLICE: Final = 64
"""Records that are looked at before others may run."""
OPERATIONS: Final = 300
"""Operations of expressions that count as much as a record."""
SILENT: Final = frozenset(
    {
        StepKind.CONTROL_HOLD,
        StepKind.CONTROL_RELEASE,
        StepKind.CONTROL_QUEUE,
        StepKind.CONTROL_MARK,
        StepKind.CONTROL_RECOVER,
    }
)
"""Records after which a person sees what was there before them."""


@define
class Pace:
    """When a search lets others run: after so many records, or less where looking at them costs much."""

    left: float = SLICE

    def over(self, operations: int = 0) -> bool:
        """Count a record at which so many operations were spent; return whether others may run now."""
        self.left -= 1 + operations / OPERATIONS
        if self.left > 0:
            return False
        self.left = SLICE
        return True


@define
class _Clock:
    """For how long the prompt of a path has been open without the time that it was held, by the clock of the records,
    in ms."""

    began: int | None = None
    held: int = 0
    since: int | None = None

    def saw(self, taken: Taken) -> None:
        on, wall = taken.step.event.on, taken.wall
        if on is On.MESSAGE:
            self.began, self.held, self.since = wall, 0, None
        elif on is On.HOLD and self.since is None:
            self.since = wall
        elif on is On.RELEASE and self.since is not None:
            self.held, self.since = self.held + wall - self.since, None

    def seconds(self, wall: int) -> float:
        if self.began is None:
            return 0.0
        return max(0, (self.since if self.since is not None else wall) - self.began - self.held) / 1_000


@frozen(eq=False)
class Walk:
    """The records from the first to one of them, in order. Places on it are indexes into `path`."""

    session: str
    path: Sequence[Taken]
    key: str = ""
    agent: str = ""
    _clock: _Clock = field(factory=_Clock)
    _seconds: list[float] = field(factory=list)

    @property
    def last(self) -> int:
        """The place behind the last record."""
        return len(self.path) - 1

    def place(self, seq: int) -> int | None:
        """Return the place behind record `seq`, or None where it is not on this path."""
        low, high = 0, len(self.path)
        while low < high:
            middle = (low + high) // 2
            if self.path[middle].seq < seq:
                low = middle + 1
            else:
                high = middle
        return low if low < len(self.path) and self.path[low].seq == seq else None

    def numbered(self, number: int) -> int | None:
        """Return the place before the step that follows step `number`, or None where there are not so many steps."""
        found = next((n for n in range(self.last, -1, -1) if self.path[n].number <= number), None)
        return found if found is not None and self.path[found].number == number else None

    def state(self, place: int) -> State:
        """Return the state at a place."""
        return self.path[place].step.after

    def step_after(self, place: int) -> int | None:
        """Return the index of the next step of the machine, or None at the end."""
        return next((n for n in range(place + 1, len(self.path)) if self.path[n].step.kind.counts), None)

    def step_before(self, place: int) -> int | None:
        """Return the index of the last step of the machine, or None at the beginning."""
        return next((n for n in range(place, -1, -1) if self.path[n].step.kind.counts), None)

    def ends_before_step(self, place: int) -> bool:
        """Whether the very next record is a step of the machine: this is the last place before it."""
        return place < self.last and self.path[place + 1].step.kind.counts

    def settled(self, place: int) -> int:
        """Return a place without the records before it that nobody sees: two places between which nothing happened
        that a person would notice have the same."""
        while place > 0 and self.path[place].step.kind in SILENT:
            place -= 1
        return place

    def before(self, place: int) -> Border:
        """Return the border at a place: before the next step on the path; at its end, before what would come next."""
        index = self.step_after(place)
        state = self.state(place)
        if index is not None:
            step = self.path[index].step
            return self._border(place, state, step.kind, step.call, step.event, self.path[index].actor)
        kind, call, event = upcoming(state)
        return self._border(place, state, kind, call, event, "")

    def after(self, place: int) -> Border:
        """Return the border right after the record of a place."""
        taken = self.path[place]
        step = taken.step
        return self._border(place, step.after, step.kind, step.call, step.event, taken.actor, step)

    def _border(
        self,
        place: int,
        state: State,
        kind: StepKind,
        call: str,
        event: Event | None,
        actor: str,
        taken: Step | None = None,
    ) -> Border:
        return Border(
            self.session,
            state,
            kind,
            "before" if taken is None else "after",
            event,
            taken,
            call,
            self.path[place].number,
            self.key,
            self.agent,
            actor,
            self._time(place),
        )

    def _time(self, place: int) -> float:
        seconds, clock = self._seconds, self._clock
        while len(seconds) <= place:
            taken = self.path[len(seconds)]
            clock.saw(taken)
            seconds.append(clock.seconds(taken.wall))
        return seconds[place]


def upcoming(state: State) -> tuple[StepKind, str, Event | None]:
    """Return the step that would come next, as far as the state alone tells; no event where it waits for one."""
    for event in ready(state):
        try:
            return kind_of(state, event), event.call, event
        except NoTransition:
            continue
    waiting = outstanding(state)
    if not waiting:
        return StepKind.MESSAGE_RECEIVE, "", None
    name, call, _ = min(waiting)
    return AWAITED[name], call, None
