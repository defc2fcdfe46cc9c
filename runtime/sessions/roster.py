"""All sessions of a process: the live ones, and the parked ones, which are in the journal and cost a name here.

Takes no step. A parked session comes back when somebody asks for it; one that was under way when its process died
comes back with what it waited for made ready again.
"""

from collections.abc import Callable

from attrs import define, field

from runtime.errors import InputError, JournalError, LocalError, TwinstepError
from runtime.sessions.dispatcher import Dispatcher
from runtime.sessions.session import FIRST_SNAPSHOT, Session
from runtime.step import OPEN, REST, Phase, State
from runtime.step import events as ev


@define(eq=False)
class Roster:
    """Finds, opens, parks and brings back sessions. `heard` are told of each that is opened or brought back, before it
    takes a step."""

    dispatcher: Dispatcher
    live: dict[str, Session] = field(factory=dict)
    parked: set[str] = field(factory=set)
    heard: list[Callable[[str, Session], None]] = field(factory=list)

    def open(self, name: str, settings: ev.Settings) -> Session:
        """Begin a session. Raises InputError where there is one of that name."""
        if name in self.live or name in self.parked:
            raise InputError(f"There is a session {name} already.")
        session = Session(State(name))
        self.dispatcher.control(session, ev.Opened(settings), "system")
        self.live[name] = session
        self._tell("opened", session)
        return session

    async def fork(
        self, session: Session, seq: int, name: str, by: str, reason: str = "", receipt: str = "", workspace: str = ""
    ) -> Session:
        """Begin a session `name` as a copy of `session` after its record `seq`; that one goes on as it was.

        Both share all that is big, and the folder where they work unless `workspace` names another one
        (`runtime.sessions.copying`). The copy is held where `session` is. Raises InputError where there is one of that
        name, and as `Dispatcher.back`: what happened since that record could happen again in the copy.
        """
        timeline = await self.dispatcher.timeline(session)
        if name in self.live or name in self.parked:
            raise InputError(f"There is a session {name} already.")
        child = Session(State(name))
        self.dispatcher.control(child, timeline.fork(seq, by, reason, receipt, workspace, session.arrived), by)
        self.live[name] = child
        try:
            if session.state.hold is not None:
                self.dispatcher.hold(child, by, "fork")
        except JournalError as exc:  # it must not go on by itself
            self._unload(child, exc)
            raise
        self._tell("forked", child)
        return child

    def _tell(self, what: str, session: Session) -> None:
        for heard in tuple(self.heard):
            heard(what, session)

    def get(self, name: str) -> Session:
        """Return a session, brought back from the journal where it is not live. Raises JournalError.

        An open prompt is made ready to go on, but nothing moves before somebody wakes, releases or cancels it. A
        session that was held comes back held.
        """
        session = self.live.get(name)
        if session is None:
            session = self._load(name)
        return session

    def _load(self, name: str) -> Session:
        state, kept = self.dispatcher.journal.load(name)
        session = Session(state, snapshot_at=max(FIRST_SNAPSHOT, 2 * state.seq))
        session.states.extend(kept[-64:-1])
        if state.phase in OPEN:
            self.dispatcher.recover(session)
        if state.hold is not None:
            self.dispatcher.gate.close(session)
            session.deadlines.freeze()
            session.processes.freeze()
        self.live[name] = session
        self.parked.discard(name)
        self._tell("loaded", session)
        return session

    async def park(self, session: Session) -> None:
        """Unload a session at rest. All of it is on disk before it is forgotten. Raises LocalError if it is busy.

        A session that becomes busy meanwhile stays loaded. Whoever keeps the session that was unloaded can do nothing
        with it any more: it is broken.
        """
        if self.live.get(session.id) is not session:
            raise LocalError(f"session {session.id} is not loaded here")
        if _busy(session):
            raise LocalError(f"session {session.id} is busy ({session.state.phase.value}) and stays loaded")
        journal = self.dispatcher.journal
        journal.snapshot(session.state)
        journal.store.flush()
        ticket = 0
        while ticket != session.ticket and not _busy(session):  # somebody may change it while this waits
            ticket = session.ticket
            await journal.committed(ticket)
        if not _busy(session) and self.live.get(session.id) is session:
            self._unload(session, LocalError(f"session {session.id} was unloaded; get it from the roster"))
            self._tell("parked", session)

    def _unload(self, session: Session, why: TwinstepError) -> None:
        session.broken = why
        session.timeline = None
        self.dispatcher.gate.forget(session)
        session.changed.unpark_all()
        session.rested.unpark_all()
        del self.live[session.id]
        self.parked.add(session.id)


def _busy(session: Session) -> bool:
    if session.state.phase is Phase.CLOSED:
        return False
    held = session.state.hold is not None  # whoever holds it looks at it
    return held or session.armed or session.state.phase not in REST or bool(session.inbox) or session.addressed
