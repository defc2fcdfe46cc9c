"""A session as the shell keeps it: its state, what waits to be applied, and what runs for it. Takes no step itself."""

from collections import deque
from math import inf
from typing import TYPE_CHECKING, Final

import trio
from attrs import define, field

from runtime.errors import TwinstepError
from runtime.sessions.deadlines import Deadlines
from runtime.sessions.processes import ProcessGroups
from runtime.sessions.tasks import PromptTasks, Task
from runtime.step import OPEN, REST, Event, State
from runtime.step.events import Chunk, Received
from runtime.step.outstanding import Key
from runtime.vocab import Message

if TYPE_CHECKING:
    from runtime.sessions.timeline import Timeline

INBOX_EVENTS: Final = 256
INBOX_CHARACTERS: Final = 4_000_000
"""How much of a stream is read ahead of a session that is held; above, reading stops (DESIGN f.5)."""
UNSHOWN_CHARACTERS: Final = 65_536
"""How much of what tools print is kept while a session is held. Their processes stand still, so little comes."""
FIRST_SNAPSHOT: Final = 500
"""Records before the first snapshot of a session. The next one comes after as many again as there are by then: so
snapshots cost a constant share of a session, however long it gets."""
LANE_MESSAGES: Final = 100
"""How many messages wait for a busy session; above, whoever brings one must wait."""
KEPT_IDLE: Final = 64
KEPT_WATCHED: Final = 2_000
"""How many states are kept by reference: for a session nobody looks into, and for one under a debugger."""


@define(eq=False)
class Session:
    """One live session.

    `armed` says that the gate has something to say about its steps. With a `focus`, only the steps of that call are
    taken, and those of no call; it ends with the call. `steps` counts the steps that were taken (not the control
    records), and so names a border. `ticket` is the journal's ticket of the last record. `said` is a message that
    the next step takes; those that have to wait are in the lane of the state. `settling` says that more may be on
    its way, so that they wait until `settled_at` (Trio's clock) at least. `trouble` says why the last outcome
    was dropped. `unshown` is what tools printed while it was held, by call. `broken` says why the session stands
    still for good: the journal takes nothing more, or it was unloaded. Who waits in `changed` is woken with every
    step, who waits in `rested` when it comes to rest or breaks. `timeline` is there once somebody looked back.
    """

    state: State
    armed: bool = False
    focus: str = ""
    queued: bool = False
    steps: int = 0
    ticket: int = 0
    snapshot_at: int = FIRST_SNAPSHOT
    dropped: int = 0
    trouble: str = ""
    inbox: "deque[tuple[Event, Task | None]]" = field(factory=deque)
    characters: int = 0
    states: "deque[State]" = field(factory=lambda: deque(maxlen=KEPT_IDLE))
    said: Message | None = None
    unshown: "deque[tuple[str, str]]" = field(factory=deque)
    settling: bool = False
    settled_at: float = -inf
    deadlines: Deadlines = field(factory=Deadlines)
    processes: ProcessGroups = field(factory=ProcessGroups)
    tasks: PromptTasks | None = None
    broken: TwinstepError | None = None
    changed: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)
    rested: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)
    timeline: "Timeline | None" = None
    _room: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)

    @property
    def id(self) -> str:
        """The id of the session."""
        return self.state.session

    @property
    def addressed(self) -> bool:
        """Whether a message waits for the session to come to rest."""
        return self.said is not None or bool(self.state.lane)

    @property
    def due(self) -> bool:
        """Whether a message may be taken now."""
        return self.addressed and self.state.phase in REST and not self.settling

    @property
    def working(self) -> bool:
        """Whether a prompt is open and goes on: a held session takes nobody's place."""
        return self.state.phase in OPEN and self.state.hold is None and self.broken is None

    @property
    def crowded(self) -> bool:
        """Whether a stream must stop reading ahead."""
        return len(self.inbox) >= INBOX_EVENTS or self.characters >= INBOX_CHARACTERS

    @property
    def parked(self) -> dict[str, int]:
        """How many Trio tasks wait for the next step, for rest, and for room in the inbox."""
        lots = {"changed": self.changed, "rested": self.rested, "room": self._room}
        return {name: len(lot) for name, lot in lots.items()}

    async def room(self) -> None:
        """Wait until the inbox takes more of a stream."""
        while self.crowded:
            await self._room.park()

    def put(self, event: Event, task: Task | None) -> None:
        """Add an outcome to the inbox. Outcomes of stale tasks are dropped."""
        if task is not None and task.stale:
            self.dropped += 1
            return
        self.inbox.append((event, task))
        if isinstance(event, Chunk):
            self.characters += _weight(event)

    @property
    def arrived(self) -> tuple[Event, ...]:
        """The outcomes that wait to be applied, oldest first."""
        return tuple(event for event, task in self.inbox if task is None or not task.stale)

    def first(self) -> Event | None:
        """Return the next outcome without taking it; drops those of stale tasks."""
        while self.inbox:
            event, task = self.inbox[0]
            if task is None or not task.stale:
                return event if self.focused(event) else self._later()
            self.dropped += 1
            self._take()
        return None

    def _later(self) -> Event | None:
        """The first outcome that the focus does not keep waiting."""
        return next(
            (event for event, task in self.inbox if self.focused(event) and not (task is not None and task.stale)), None
        )

    def focused(self, event: Event) -> bool:
        """Whether the focus lets this event be applied."""
        return not self.focus or getattr(event, "call", "") in ("", self.focus)

    def consumed(self, event: Event) -> None:
        """Remove what was applied, or cannot be, from where it waited: the inbox, or the place of the next message."""
        if self.inbox and self.inbox[0][0] is event:
            self._take()
        elif isinstance(event, Received) and event.message is self.said:
            self.said = None
        elif self.focus:
            place = next((n for n, (one, _) in enumerate(self.inbox) if one is event), None)
            if place is not None:
                self.inbox.rotate(-place)
                self._take()
                self.inbox.rotate(place)

    def shed(self, live: frozenset[Key]) -> None:
        """Drop the outcomes that nobody waits for any more: those of tasks whose key is not in `live`."""
        waiting, self.inbox = self.inbox, deque()
        for event, task in waiting:
            if task is None or (task.key in live and not task.stale):
                self.inbox.append((event, task))
                continue
            task.stale = True
            self.dropped += 1
            if isinstance(event, Chunk):
                self.characters -= _weight(event)
        if not self.crowded:
            self._room.unpark_all()

    def _take(self) -> None:
        event, _ = self.inbox.popleft()
        if isinstance(event, Chunk):
            self.characters -= _weight(event)
        if not self.crowded:
            self._room.unpark_all()

    def keep(self, call: str, text: str) -> None:
        """Keep what a tool printed until the session goes on, if there is room for it."""
        if sum(len(one) for _, one in self.unshown) + len(text) <= UNSHOWN_CHARACTERS:
            self.unshown.append((call, text))

    def watch(self, watched: bool) -> None:
        """Keep more states while somebody looks into the session."""
        self.states = deque(self.states, maxlen=KEPT_WATCHED if watched else KEPT_IDLE)


def _weight(event: Chunk) -> int:
    # The length of the text is what grows; the frame around it is counted as a constant.
    total = 200
    stack: list[object] = [event.data]
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            total += len(value)
        elif isinstance(value, dict):
            stack.extend(value.values())
        elif isinstance(value, (list, tuple)):
            stack.extend(value)
    return total
