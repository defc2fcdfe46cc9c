"""Runs ready sessions, one step a pass of the Trio loop. Performs nothing itself and never waits for one session.

A session is a value in a table, not a task: a control command never stands behind a crowd. Tasks exist only for the
I/O of an open prompt, in a nursery of its own under the one of the daemon.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

import trio
from attrs import define, field

from runtime.errors import JournalError, JournalFull, LocalError, NoTransition, TwinstepError
from runtime.sessions.gate import Gate
from runtime.sessions.journal import Journal
from runtime.sessions.performer import Performer
from runtime.sessions.session import LANE_MESSAGES, Session
from runtime.sessions.tasks import PromptTasks, Task
from runtime.step import REST, Event, State, Step, StepKind, advance, kind_of, ready
from runtime.step import events as ev
from runtime.step.effects import Effect
from runtime.step.outstanding import key_of, outstanding
from runtime.step.replay import rebased
from runtime.vocab import Message

SNAPSHOT_EVERY: Final = 500
"""Records between two snapshots of a session."""

Listener = Callable[[Session, Step], None]
"""Called after each step, in order. It must not wait, and one that fails is dropped."""

ACTORS: Final = {
    ev.On.MESSAGE: "user",
    ev.On.CHUNK: "model",
    ev.On.ENDED: "model",
    ev.On.BROKE: "model",
    ev.On.SCREENED: "judge",
    ev.On.JUDGED: "judge",
    ev.On.VETTED: "judge",
    ev.On.HOOKED: "hook",
    ev.On.FINISHED: "tool",
    ev.On.SENT: "outbox",
}
AWAITED: Final = {
    "Screen": StepKind.MESSAGE_SCREEN,
    "BuildContext": StepKind.CONTEXT_BUILD,
    "Compress": StepKind.CONTEXT_COMPRESS,
    "RunHook": StepKind.HOOK_RUN,
    "Ask": StepKind.MODEL_CHUNK,
    "Wait": StepKind.RETRY_WAIT,
    "JudgeCall": StepKind.CALL_JUDGE,
    "AskPerson": StepKind.CALL_APPROVE,
    "RunTool": StepKind.CALL_RESULT,
    "JudgeReply": StepKind.REPLY_JUDGE,
    "Send": StepKind.REPLY_SEND,
}
"""The step that the outcome of an effect will be: what a session that waits is held before."""


@define(eq=False)
class Dispatcher:
    """The scheduler of all sessions of a process. Start `run` in a nursery; it ends only when cancelled."""

    journal: Journal
    performer: Performer
    listeners: list[Listener] = field(factory=list)
    complaints: "deque[str]" = field(factory=lambda: deque(maxlen=100))
    gate: Gate = field(init=False)
    _ready: "deque[Session]" = field(factory=deque)
    _wake: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)
    _nursery: trio.Nursery | None = None
    _unstarted: list[PromptTasks] = field(factory=list)
    _crowded: bool = False

    def __attrs_post_init__(self) -> None:
        self.gate = Gate(self._announce)

    async def run(self, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Dispatch until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for tasks in self._unstarted:
                nursery.start_soon(tasks.run)
            self._unstarted.clear()
            task_status.started()
            while True:
                while not self._ready:
                    await self._wake.park()
                if self._crowded or self.journal.store.full:
                    await self.journal.store.room()
                    self._crowded = False
                session = self._ready.popleft()
                session.queued = False
                self._dispatch(session)
                await trio.lowlevel.checkpoint()

    def statistics(self) -> dict[str, int]:
        """Return how many sessions wait for a step, and how much went wrong."""
        return {"ready": len(self._ready), "complaints": len(self.complaints)}

    # --- what others call; each takes effect before it returns

    def wake(self, session: Session) -> None:
        """Put the session on the run queue, if it is not there."""
        if not session.queued:
            session.queued = True
            self._ready.append(session)
            self._wake.unpark(count=1)

    def say(self, session: Session, message: Message) -> bool:
        """Add a message to the session's lane. Returns False, and keeps nothing, when the lane is full."""
        if len(session.lane) >= LANE_MESSAGES:
            return False
        session.lane.append(message)
        self.wake(session)
        return True

    def post(self, session: Session, event: Event, task: Task | None = None) -> None:
        """Give the session an outcome. It is applied when the session's turn comes and its gate is open."""
        session.put(event, task)
        self.wake(session)

    def control(self, session: Session, event: Event, actor: str) -> Step:
        """Apply an event now, whether or not the session is held. Raises NoTransition, EditRefused, JournalError."""
        step = self._apply(session, event, actor)
        self._prune(session)
        self.wake(session)
        return step

    def hold(self, session: Session, by: str, cause: str = "pause") -> None:
        """Pause: the session takes no further step, its deadlines and processes stand still."""
        self.gate.close(session)
        if session.state.hold is None:
            kind, call = self._next(session)
            self._announce(session, kind, call, cause, by)

    def release(self, session: Session, by: str) -> None:
        """Let a held session go on."""
        self._unhold(session, by)
        self.gate.open(session)
        self.wake(session)

    def step(self, session: Session, by: str, count: int = 1) -> None:
        """Let a held session take `count` steps and hold it again. Its clocks run meanwhile."""
        self._unhold(session, by)
        self.gate.grant(session, count)
        self.wake(session)

    def back(self, session: Session, seq: int, branch: str, by: str, reason: str = "") -> Step:
        """Go back to the state after record `seq`, on a new branch; nothing is forgotten.

        Raises JournalError where that state is neither kept nor in the journal.
        """
        earlier = self._recall(session, seq)
        step = self._apply(session, ev.Branched(branch, seq, by, reason), by, rebased(earlier, session.state))
        self._prune(session)
        if session.state.hold is not None:  # it stands before another step now
            kind, call = self._next(session)
            self._announce(session, kind, call, "back", by)
        self.wake(session)
        return step

    def recover(self, session: Session) -> None:
        """Make ready again what was under way when the process died. Nothing moves before the session is woken."""
        self._apply(session, ev.Recovered(), "system")

    # --- the loop's insides

    def _dispatch(self, session: Session) -> None:
        event, outcome = self._choose(session)
        if event is None or session.broken is not None:
            return
        try:
            if session.armed and not self._admitted(session, event):
                return
            self._apply(session, event, ACTORS.get(event.on, "system"))
        except JournalFull:
            self._crowded = True
            self.wake(session)
            return
        except NoTransition as exc:
            # A late outcome of something that was given up: the table says no, the session is as it was.
            session.trouble = str(exc)
            self._consumed(session, event, outcome)
            session.dropped += 1
        except TwinstepError as exc:
            self._consumed(session, event, outcome)
            self._fail(session, exc)
        except Exception as exc:  # noqa: BLE001 - a bug of ours stops this session, not the daemon
            session.broken = LocalError(f"{event.on.name} in step {session.state.seq}: {type(exc).__name__}: {exc}")
            self.complaints.append(f"{session.id}: {session.broken}")
            session.changed.unpark_all()
            return
        else:
            session.steps += 1
            self._consumed(session, event, outcome)
        if session.inbox or session.lane or ready(session.state):
            self.wake(session)

    def _admitted(self, session: Session, event: Event) -> bool:
        kind = kind_of(session.state, event)
        return kind.controls or self.gate.admit(session, kind, getattr(event, "call", ""))

    def _choose(self, session: Session) -> tuple[Event | None, bool]:
        event = session.first()
        if event is not None:
            return event, True
        wanted = ready(session.state)
        if wanted:
            return wanted[0], False
        if session.lane and session.state.phase in REST:
            return ev.Received(session.lane[0]), False
        return None, False

    def _consumed(self, session: Session, event: Event, outcome: bool) -> None:
        if outcome:
            session.take()
        elif isinstance(event, ev.Received):
            session.lane.popleft()

    def _apply(self, session: Session, event: Event, actor: str, before: State | None = None) -> Step:
        step = advance(session.state if before is None else before, event)
        session.ticket = self.journal.append(step, actor)
        session.states.append(session.state)
        session.state = step.after
        if step.after.seq % SNAPSHOT_EVERY == 0:
            self.journal.snapshot(step.after)
        for effect in step.effects:
            self._start(session, effect)
        if step.after.phase in REST and session.tasks is not None:
            session.tasks.stop()
            session.tasks = None
        self._tell(session, step)
        session.changed.unpark_all()
        return step

    def _fail(self, session: Session, exc: TwinstepError) -> None:
        """An event that breaks the machine fails its prompt and nobody else's; a broken journal stops the session."""
        self.complaints.append(f"{session.id}: {exc}")
        try:
            if isinstance(exc, JournalError):
                raise exc
            self._apply(session, ev.Fault("advance", str(exc), exc.code), "system")
        except TwinstepError as worse:
            session.broken = worse
            session.changed.unpark_all()

    def _tell(self, session: Session, step: Step) -> None:
        for listener in tuple(self.listeners):
            try:
                listener(session, step)
            except Exception as exc:  # noqa: BLE001 - a failing listener is dropped; the session lives (OTP sys)
                self.listeners.remove(listener)
                self.complaints.append(f"a listener failed and was dropped: {type(exc).__name__}: {exc}")

    def _announce(self, session: Session, kind: StepKind, call: str, cause: str, by: str) -> None:
        session.deadlines.freeze()
        session.processes.freeze()
        self._apply(session, ev.Held(kind.value, cause, by, call), by)

    def _unhold(self, session: Session, by: str) -> None:
        hold = session.state.hold
        if hold is not None:
            self._apply(session, ev.Released(by, hold.generation), by)
        session.processes.thaw()
        session.deadlines.thaw()

    def _next(self, session: Session) -> tuple[StepKind, str]:
        event, _ = self._choose(session)
        if event is not None:
            try:
                return kind_of(session.state, event), getattr(event, "call", "")
            except NoTransition:
                pass  # a late outcome, which will be dropped when its turn comes
        waiting = outstanding(session.state)
        name, call, _ = min(waiting) if waiting else ("", "", 0)
        return AWAITED.get(name, StepKind.MESSAGE_RECEIVE), call

    def _recall(self, session: Session, seq: int) -> State:
        for state in session.states:
            if state.seq == seq:
                return state
        _, states = self.journal.load(session.id, snapshots=False)
        for state in states:
            if state.seq == seq:
                return state
        raise JournalError(f"{self.journal.name}: session {session.id} has no record {seq} on disk")

    # --- effects

    def _start(self, session: Session, effect: Effect) -> None:
        if session.tasks is None:
            session.tasks = PromptTasks()
            if self._nursery is None:
                self._unstarted.append(session.tasks)
            else:
                self._nursery.start_soon(session.tasks.run, name=f"prompt of {session.id}")
        session.tasks.start(key_of(effect), partial(self._perform, session, effect, session.ticket))

    def _prune(self, session: Session) -> None:
        if session.tasks is not None:
            session.tasks.prune(outstanding(session.state))

    async def _perform(self, session: Session, effect: Effect, ticket: int, task: Task) -> None:
        async def deliver(event: Event) -> None:
            await session.room()
            self.post(session, event, task)

        try:
            if effect.outside:
                await self.journal.committed(ticket)
            outcome = await self.performer.perform(session, effect, deliver)
        except TwinstepError as exc:
            outcome = ev.Fault(type(effect).__name__, str(exc), exc.code)
        except Exception as exc:  # noqa: BLE001 - whatever a port does, the prompt fails and not the daemon
            outcome = ev.Fault(type(effect).__name__, f"{type(exc).__name__}: {exc}")
            self.complaints.append(f"{session.id}: {type(effect).__name__}: {type(exc).__name__}: {exc}")
        self.post(session, outcome, task)
