"""Runs ready sessions, a few steps a pass of the Trio loop. Performs nothing itself, never waits for one session.

A session is a value in a table, not a task: a control command never stands behind a crowd. Tasks exist only for the
I/O of an open prompt, in a nursery of its own under the one of the daemon.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from math import inf
from typing import Final

import trio
from attrs import define, field

from runtime.errors import InputError, JournalError, JournalFull, LocalError, NoTransition, TwinstepError
from runtime.sessions.actors import actor_of
from runtime.sessions.gate import STEP, Gate, Until, after
from runtime.sessions.journal import Journal
from runtime.sessions.performer import Deliver, Performer
from runtime.sessions.session import LANE_MESSAGES, Session
from runtime.sessions.tasks import Task
from runtime.sessions.timeline import Timeline
from runtime.sessions.underway import Underway
from runtime.step import OPEN, REST, CallPhase, Event, Phase, State, Step, StepKind, advance, kind_of, ready
from runtime.step import events as ev
from runtime.step.branches import LONGEST_NOTE, checked_name
from runtime.step.effects import Effect
from runtime.step.outstanding import AWAITED, outstanding
from runtime.step.replay import rebased
from runtime.vocab import Message

FLUSH_SECONDS: Final = 0.05
"""How long a record may wait for company on its way to the disk when no effect waits for it."""
SHOWN: Final = 20
"""Branches that an error names."""
STEPS_A_PASS: Final = 2
"""Steps between two looks at everything else. Four would make a step cheaper by some hundredths, and a control command,
which waits for two passes of the run loop, late by almost twice as much (docs/explanation/debugger.md)."""

Listener = Callable[[Session, Step], None]
"""Called after each step, in order; it may control the session. It must not wait, and one that fails is dropped."""


@define(eq=False)
class Dispatcher:
    """The scheduler of all sessions of a process. Start `run` in a nursery; it ends only when cancelled.

    At most `most_open` prompts are open at a time (0: any number); other sessions wait with theirs, first come first
    served.
    """

    journal: Journal
    performer: Performer
    most_open: int = 0
    listeners: list[Listener] = field(factory=list)
    complaints: "deque[str]" = field(factory=lambda: deque(maxlen=100))
    gate: Gate = field(init=False)
    underway: Underway = field(init=False)
    _ready: "deque[Session]" = field(factory=deque)
    _wake: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)
    _nursery: trio.Nursery | None = None
    _prompts: set[str] = field(factory=set)
    _quiet: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)
    _queue: "deque[Session]" = field(factory=deque)
    _crowded: bool = False
    _flush_at: float = inf
    _untold: "deque[tuple[Session, Step]]" = field(factory=deque)

    def __attrs_post_init__(self) -> None:
        self.gate = Gate(self._announce, self.complaints.append)
        self.underway = Underway(self._committed, self._perform, self.post, self.complaints.append)

    async def run(self, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Dispatch until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self.underway.open(nursery)
            task_status.started()
            try:
                await self._loop()
            finally:
                self.underway.thaw()

    async def quiet(self) -> None:
        """Wait until no prompt is open but those that are held."""
        while self._prompts:
            await self._quiet.park()

    def statistics(self) -> dict[str, int]:
        """Return how many sessions wait for a step, and how much went wrong."""
        return {
            "ready": len(self._ready),
            "open": len(self._prompts),
            "queued": len(self._queue),
            "complaints": len(self.complaints),
        }

    def place(self, session: Session) -> tuple[int | None, int | None]:
        """Return the session's place among those that wait for a step, and among those that wait to open a prompt.

        Counted from 0; None where it does not wait.
        """
        ready = self._ready.index(session) if session.queued else None
        return ready, self._queue.index(session) if session in self._queue else None

    # --- what others call; each takes effect before it returns

    def wake(self, session: Session) -> None:
        """Put the session on the run queue, if it is not there."""
        if not session.queued:
            session.queued = True
            self._ready.append(session)
            self._wake.unpark(count=1)

    def say(self, session: Session, message: Message) -> bool:
        """Give the session a message: its next step takes it where nothing is in the way, else it waits in the lane.

        Returns False, and keeps nothing, when the lane or the journal is full or the session will never take a message
        again.
        """
        if session.broken is None and session.state.phase in REST and not session.addressed:
            session.said = message
            self.wake(session)
            return True
        with suppress(JournalFull, InputError):
            self.enqueue(session, message)
            return True
        return False

    def enqueue(
        self,
        session: Session,
        message: Message,
        *,
        steer: bool = False,
        replaces: tuple[str, ...] = (),
        most: float = LANE_MESSAGES,
    ) -> int:
        """Put a message into the lane, and return the ticket of that record: once it is on disk the message is safe.

        It takes the place of those that it `replaces`; the lane takes `most` messages. With `steer` the message joins
        the open prompt before its next turn, if there is one. Raises InputError where the lane is full or the session
        takes no message any more, JournalFull and JournalError; then nothing is kept.
        """
        if session.broken is not None or session.state.phase is Phase.CLOSED:
            raise InputError(f"session {session.id} takes no messages any more")
        if len(session.state.lane) - len(replaces) >= most:
            raise InputError(f"{most} messages wait for session {session.id} already")
        event = ev.Queued(message, steer, replaces)
        self._apply(session, event, actor_of(session.state, event))
        self.wake(session)
        return session.ticket

    def settle(self, session: Session, seconds: float, then: Callable[[Session], None]) -> None:
        """Let a session begin no prompt before so many seconds have gone by, counted from the last such call.

        If it is at rest then, `then` is called before it goes on. Without a running dispatcher nothing waits.
        """
        session.settled_at = trio.current_time() + seconds if seconds > 0 else -inf
        if seconds > 0 and not session.settling and self._nursery is not None:
            session.settling = True
            self._nursery.start_soon(self._settle, session, then)

    async def _settle(self, session: Session, then: Callable[[Session], None]) -> None:
        while trio.current_time() < session.settled_at:  # noqa: ASYNC110 - what moved on meanwhile is no event
            await trio.sleep_until(session.settled_at)
        session.settling = False
        if session.state.phase in REST and session.broken is None:
            then(session)
        self.wake(session)

    def limit(
        self, session: Session, seconds: float, over: Callable[[], Awaitable[object]], late: Callable[[], object]
    ) -> None:
        """Do `late` if `over` has not returned after so many seconds in which the session was not held.

        Nothing is done where this dispatcher does not run until then.
        """
        if self._nursery is not None:
            self._nursery.start_soon(self._limit, session, seconds, over, late)

    async def _limit(
        self, session: Session, seconds: float, over: Callable[[], Awaitable[object]], late: Callable[[], object]
    ) -> None:
        try:
            with session.deadlines.within(seconds, "run") as scope:
                await over()
            if scope.cancelled_caught:
                late()
        except Exception as exc:  # noqa: BLE001 - nobody waits for it; the dispatcher goes on
            self.complaints.append(f"what was to be done after {seconds:g} s failed: {type(exc).__name__}: {exc}")

    def post(self, session: Session, event: Event, task: Task | None = None) -> None:
        """Give the session an outcome. It is applied when the session's turn comes and its gate is open."""
        session.put(event, task)
        self.wake(session)

    def control(self, session: Session, event: Event, actor: str) -> Step:
        """Apply an event now, whether or not the session is held. Raises NoTransition, EditRefused, JournalError."""
        step = self._apply(session, event, actor)
        self.underway.prune(session)
        self.wake(session)
        return step

    def hold(self, session: Session, by: str, cause: str = "pause") -> None:
        """Pause: the session takes no further step, its deadlines and processes stand still.

        Raises JournalError and NoTransition, and then nothing was paused. Pausing twice changes nothing.
        """
        if session.state.hold is None:
            kind, call, _ = self.next(session)
            self._announce(session, kind, call, cause, by)
            self.journal.store.flush()  # no step will

    def release(self, session: Session, by: str, generation: int | None = None) -> None:
        """Let a held session go on. Raises NoTransition where `generation` is not that of the hold in force."""
        if not self._unhold(session, by, generation):
            self.gate.open(session, passing=False)  # it was taking steps that were granted
        self.wake(session)

    def step(self, session: Session, by: str, count: int = 1, generation: int | None = None) -> None:
        """Let a session take `count` steps and hold it again before the next; else as `run_until`."""
        if count < 1:
            raise LocalError(f"a session takes one step or more, not {count}")
        self.run_until(session, by, after(count), generation)

    def run_until(
        self, session: Session, by: str, until: Until, generation: int | None = None, cause: str = STEP
    ) -> None:
        """Let a session go on until `until` says stop, a breakpoint does or the prompt is over. Its clocks run then.

        The stop has this cause. Raises NoTransition where `generation` is not that of the hold in force.
        """
        self._unhold(session, by, generation)
        if session.state.hold is None:
            self.gate.grant(session, until, by, cause)
        self.wake(session)

    def focus(self, session: Session, call: str) -> None:
        """Let only one call of a session go on, with its processes and deadlines; "" lets all.

        It ends with the call. Raises InputError where the open turn has no such call that could go on.
        """
        if call:
            turn = session.state.turn
            found = turn.call(call) if turn is not None else None
            if found is None or found.phase is CallPhase.FINISHED:
                raise InputError(f"session {session.id} has no call {call!r} that could go on")
        session.focus = call
        if session.state.hold is None:
            session.processes.thaw(call)
            session.deadlines.thaw(call)
        self.wake(session)

    async def timeline(self, session: Session) -> Timeline:
        """Return all records of a session with their states, read from the journal where they are not kept yet.

        Raises JournalError, and LocalError where the session is unloaded meanwhile. It grows with the session and is
        there until the session is unloaded, or nobody looks back any more.
        """
        while True:
            timeline = session.timeline
            if timeline is None:
                timeline = session.timeline = Timeline(session.id, session=session, journal=self.journal)
            await timeline.load()
            if session.timeline is timeline:
                return timeline
            if session.broken is not None:  # else it was let go of while it was read, and has not grown since
                raise session.broken

    async def back(self, session: Session, seq: int, branch: str, by: str, reason: str = "", receipt: str = "") -> Step:
        """Go back to the state after record `seq`, on a new branch; nothing is forgotten.

        What was running there and has a result in the journal keeps it. Raises InputError where `branch` is no name
        for a new branch, JournalError where there is no such record or the journal cannot be read, and ReceiptNeeded
        where what happened since cannot be undone and `receipt` is not the digest of the list of it.
        """
        timeline = await self.timeline(session)
        checked_name(branch, {one.name for one in timeline.branches()})
        return self._branch(session, timeline, seq, ev.Branched(branch, seq, by, reason, receipt=receipt))

    async def switch(self, session: Session, branch: str, by: str, receipt: str = "", reason: str = "switch") -> Step:
        """Go on at the end of another branch. Raises InputError where there is none, or the session stands on it;
        else as `back`."""
        timeline = await self.timeline(session)
        found = next((one for one in timeline.branches() if one.name == branch), None)
        if found is None or found.live:
            names = ", ".join(one.name for one in timeline.branches()[:SHOWN])
            what = f"there is no such branch; it has {names}" if found is None else "the session stands on it already"
            raise InputError(f"branch {branch!r:.80} of session {session.id}: {what}")
        event = ev.Branched(branch, found.head, by, reason, receipt=receipt)
        return self._branch(session, timeline, found.head, event)

    def mark(self, session: Session, name: str, by: str, note: str = "", seq: int | None = None) -> Step:
        """Give a record (None: the newest) a name, a note or both. Raises InputError, NoTransition, JournalError."""
        if not note or name:
            checked_name(name)
        if len(note) > LONGEST_NOTE:
            raise InputError(f"note: is {len(note)} characters long; {LONGEST_NOTE} are kept")
        return self.control(session, ev.Marked(session.state.seq if seq is None else seq, name, by, note), by)

    def _branch(self, session: Session, timeline: Timeline, seq: int, event: ev.Branched) -> Step:
        if session.state.phase is Phase.CLOSED:  # its past is not closed, but nothing begins there any more
            raise NoTransition(f"BRANCH in CLOSED (session {session.id})")
        event = timeline.branch(seq, event, session.arrived)
        step = self._apply(session, event, event.by, rebased(timeline.at(seq), session.state))
        self.underway.prune(session)
        if session.state.hold is not None:  # it stands before another step now
            kind, call, _ = self.next(session)
            self._announce(session, kind, call, "back", event.by)
        self.wake(session)
        return step

    def recover(self, session: Session) -> None:
        """Make ready again what was under way when the process died. Nothing moves before the session is woken."""
        self._apply(session, ev.Recovered(), "system")

    # --- what effects under way need, looked up when they need it

    async def _committed(self, ticket: int) -> None:
        await self.journal.committed(ticket)

    async def _perform(self, session: Session, effect: Effect, deliver: Deliver) -> Event:
        return await self.performer.perform(session, effect, deliver)

    # --- the loop's insides

    async def _loop(self) -> None:
        while True:
            while not self._ready:
                await self._idle()
            if self._crowded or self.journal.store.full:
                await self._room()
            # Woken before the end and running after it: the nurseries of prompts may be closed by now.
            await trio.lowlevel.checkpoint_if_cancelled()
            self._pass()
            if self._ready:  # else it waits for work, which lets everybody else run as well
                await trio.lowlevel.checkpoint()

    async def _room(self) -> None:
        with suppress(TwinstepError):  # of a store that is broken each session hears when it takes its next step
            await self.journal.store.room()
        self._crowded = False

    async def _idle(self) -> None:
        """Wait for work. Records that nobody waits for go to the disk FLUSH_SECONDS later; to wake the writer for each
        would cost more than the step.
        """
        if not self.journal.store.unflushed:
            self._flush_at = inf
            await self._wake.park()
            return
        self._flush_at = min(self._flush_at, trio.current_time() + FLUSH_SECONDS)
        with trio.move_on_at(self._flush_at):
            await self._wake.park()
            return
        self._flush_at = inf
        self.journal.store.flush()

    def _pass(self) -> None:
        for _ in range(STEPS_A_PASS):
            session = self._ready.popleft()
            session.queued = False
            self._dispatch(session)
            if self._crowded or not self._ready:
                return

    def _dispatch(self, session: Session) -> None:
        event = self._choose(session)
        if session.broken is not None:
            return
        if event is None:
            if session.armed and session.state.phase in REST:
                self._stand_at_rest(session)
            return
        try:
            if (session.armed or self.gate.breakpoints) and not self._admitted(session, event):
                return
            self._apply(session, event, actor_of(session.state, event))
        except JournalFull:
            self._crowded = True
            self.wake(session)
            return
        except NoTransition as exc:
            # A late outcome of something that was given up: the table says no, the session is as it was.
            session.trouble = str(exc)
            session.dropped += 1
            session.consumed(event)
        except TwinstepError as exc:
            self._fail(session, event, exc)
        except Exception as exc:  # noqa: BLE001 - what breaks the machine fails this prompt, not the daemon
            text = f"{event.on.name} in step {session.state.seq}: {type(exc).__name__}: {exc}"
            self._fail(session, event, LocalError(text))
        if session.inbox or session.addressed or session.armed or ready(session.state):
            self.wake(session)

    def _admitted(self, session: Session, event: Event) -> bool:
        return self.gate.admit(session, kind_of(session.state, event), getattr(event, "call", ""), event)

    def _choose(self, session: Session) -> Event | None:
        # What the machine can do by itself comes first, so that outcomes which arrive while a session is held do not
        # change the step that it stands before.
        wanted = next(filter(session.focused, ready(session.state)), None)
        if wanted is not None:
            return wanted
        event = session.first()
        if event is None and session.due and self._slot(session):
            return ev.Received(session.said or Message(session.state.lane[0].message.id, "", ()))
        return event

    def _slot(self, session: Session) -> bool:
        """Whether the session may begin a prompt now; if not, it is woken when it may."""
        if not self.most_open or len(self._prompts) < self.most_open or session.id in self._prompts:
            return True
        if session not in self._queue:
            self._queue.append(session)
        return False

    def _count(self, session: Session) -> None:
        """Keep count of the prompts that are open and not held, and wake who waits for one to end."""
        if session.working:
            self._prompts.add(session.id)
            return
        self._prompts.discard(session.id)
        if not self._prompts:
            self._quiet.unpark_all()
        while self._queue and len(self._prompts) < self.most_open:
            waiting = self._queue.popleft()
            self.wake(waiting)
            if waiting.addressed and waiting.broken is None:
                return

    def _apply(self, session: Session, event: Event, actor: str, before: State | None = None) -> Step:
        if session.broken is not None:
            raise session.broken
        step = advance(session.state if before is None else before, event)
        record = self.journal.record(step, actor)
        session.ticket = self.journal.append(record)
        session.consumed(event)
        session.states.append(session.state)
        session.state = step.after
        if session.timeline is not None:
            session.timeline.add(step, record)
        if session.focus:
            self._refocus(session)
        if not step.kind.controls or event.on is ev.On.FAULT:
            session.steps += 1
            if session.armed:
                self.gate.took(session)
        elif step.after.hold is not step.before.hold:
            self._stand_or_go(session)
        for effect in step.effects:
            self.underway.start(session, effect)
        if step.after.phase not in OPEN:
            self._end(session)
        if session.working is not (session.id in self._prompts):
            self._count(session)
        self._tell(session, step)
        session.changed.unpark_all()
        if session.state.seq >= session.snapshot_at:
            self._snapshot(session)
        return step

    def _snapshot(self, session: Session) -> None:
        session.snapshot_at = 2 * session.state.seq
        try:
            self.journal.snapshot(session.state)
        except Exception as exc:  # noqa: BLE001 - an aid for reading: the records have the truth
            self.complaints.append(f"{session.id}: no snapshot: {type(exc).__name__}: {exc}")

    def _fail(self, session: Session, event: Event, exc: TwinstepError) -> None:
        """An event that breaks the machine fails its prompt and nobody else's; a broken journal stops the session."""
        self.complaints.append(f"{session.id}: {exc}")
        session.trouble = str(exc)
        session.consumed(event)
        if session.state.phase not in OPEN:
            if isinstance(exc, JournalError):
                self._break(session, exc)
            session.changed.unpark_all()
            session.rested.unpark_all()
            return
        fault = ev.Fault("advance", str(exc), exc.code)
        try:
            self._apply(session, fault, "system")
        except JournalFull:
            self._crowded = True
            session.inbox.appendleft((fault, None))
        except TwinstepError as worse:
            self._break(session, worse)
        except Exception as worse:  # noqa: BLE001 - as in `_dispatch`
            self._break(session, LocalError(f"{fault.message}; and then {type(worse).__name__}: {worse}"))

    def _break(self, session: Session, exc: TwinstepError) -> None:
        """Let the session stand still for good, and everybody know who waits for it."""
        session.broken = exc
        self._count(session)
        self._end(session)
        session.changed.unpark_all()

    def _tell(self, session: Session, step: Step) -> None:
        if not self.listeners:
            return
        # A listener that controls a session makes the next step while this one is told: that is told after it.
        self._untold.append((session, step))
        if len(self._untold) > 1:
            return
        while self._untold:
            for listener in tuple(self.listeners):
                self._tell_one(listener, *self._untold[0])
            self._untold.popleft()

    def _tell_one(self, listener: Listener, session: Session, step: Step) -> None:
        try:
            listener(session, step)
        except Exception as exc:  # noqa: BLE001 - a failing listener is dropped; the session lives (OTP sys)
            if listener in self.listeners:
                self.listeners.remove(listener)
            self.complaints.append(f"a listener failed and was dropped: {type(exc).__name__}: {exc}")

    def _end(self, session: Session) -> None:
        session.rested.unpark_all()
        self.underway.stop(session)

    # --- holding

    def _announce(self, session: Session, kind: StepKind, call: str, cause: str, by: str) -> None:
        self._apply(session, ev.Held(kind.value, cause, by, call), by)

    def _unhold(self, session: Session, by: str, generation: int | None) -> bool:
        hold = session.state.hold
        if generation is None:
            if hold is None:
                return False
            generation = hold.generation
        self._apply(session, ev.Released(by, generation), by)
        return True

    def _stand_or_go(self, session: Session) -> None:
        """Let gate, clocks and processes follow the state, whoever held or released it."""
        if session.state.hold is not None:
            self.gate.close(session)
            session.deadlines.freeze()
            session.processes.freeze()
            return
        self.gate.open(session, passing=self._choose(session) is not None)
        session.processes.thaw(session.focus)
        session.deadlines.thaw(session.focus)
        self.performer.told(session)

    def _refocus(self, session: Session) -> None:
        """Let the focus go with its call."""
        turn = session.state.turn
        call = turn.call(session.focus) if turn is not None else None
        if call is None or call.phase is CallPhase.FINISHED:
            self.focus(session, "")

    def _stand_at_rest(self, session: Session) -> None:
        """Say that it is held when the last granted step ended the prompt: no next step would."""
        if session.state.hold is not None or not self.gate.holds(session):
            if not session.addressed:
                self.gate.lapse(session)
            return
        try:
            self.gate.stand(session)
        except JournalFull:
            self._crowded = True
            self.wake(session)
        except TwinstepError as exc:
            self.complaints.append(f"{session.id}: {exc}")
            self._break(session, exc)

    def next(self, session: Session) -> tuple[StepKind, str, Event | None]:
        """Return the kind, call and event of the step that a session stands before; no event while it waits for one."""
        event = self._choose(session)
        if event is not None:
            try:
                return kind_of(session.state, event), getattr(event, "call", ""), event
            except NoTransition:
                pass  # a late outcome, which will be dropped when its turn comes
        waiting = outstanding(session.state)
        name, call, _ = min(waiting) if waiting else ("", "", 0)
        return AWAITED.get(name, StepKind.MESSAGE_RECEIVE), call, None
