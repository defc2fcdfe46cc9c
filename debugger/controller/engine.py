"""The debugger of one daemon: stands at the gate, hears every step, tells of every stop. Performs no command itself.

Everything it does to a session goes through the dispatcher, so it is journaled like anything else. It never waits for a
client, and no session waits for it: breakpoints are predicates, and what clients are told goes into bounded queues.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import Any, Final

import trio
from attrs import define, field

from debugger.audit import Audit
from debugger.border import Border, Edge
from debugger.breakpoints import BadSpec, Book, Hit
from debugger.controller.cursor import Cursor
from debugger.controller.faults import Faults
from debugger.controller.keeping import Keeping
from debugger.controller.names import Names
from debugger.controller.printing import Printing
from debugger.controller.stopping import shown, stopped
from debugger.controller.watched import Watched
from debugger.leases import Due, Leases
from debugger.protocol.errors import LONGEST
from debugger.server import Caller, Service
from runtime.errors import JournalError, JournalFull, TwinstepError
from runtime.ports import Chance, Clock
from runtime.sessions.actors import actor_of
from runtime.sessions.dispatcher import Dispatcher
from runtime.sessions.roster import Roster
from runtime.sessions.session import Session
from runtime.step import OPEN, REST, Event, On, Phase, Step, StepKind
from runtime.step import events as ev
from runtime.step.response import text_of
from runtime.step.state import Hold

UNATTENDED_SECONDS: Final = 300.0
"""How long a session stays stopped by a breakpoint while nobody drives it."""
MOST_MINE: Final = 32
AGAIN_SECONDS: Final = 1.0
"""How long until the journal is asked again that had no room for letting a session go on."""
BREAKPOINT: Final = "breakpoint"


@define(eq=False)
class _Open:
    """How long a prompt has been open, or was until it was over, without the time that it was held."""

    began: float
    held: float = 0.0
    since: float | None = None
    lasted: float | None = None

    def seconds(self, now: float) -> float:
        """Seconds up to now."""
        if self.lasted is not None:
            return self.lasted
        return (self.since if self.since is not None else now) - self.began - self.held

    def over(self, now: float) -> None:
        """It is open no more."""
        self.lasted = self.seconds(now)


@define(eq=False)
class Debugger:
    """Install it with `install`; `run` takes care of leases that run out. `complain` is told of faults of ours."""

    roster: Roster
    names: Names
    audit: Audit
    clock: Clock
    chance: Chance
    keeping: Keeping
    complain: Callable[[str, Exception], None] = field(default=lambda where, exc: None)
    unattended_seconds: float = UNATTENDED_SECONDS
    book: Book = field(factory=Book)
    leases: Leases = field(factory=Leases)
    service: Service | None = None
    watched: dict[str, Watched] = field(factory=dict)
    stops: int = 0
    _hits: dict[str, Hit] = field(factory=dict)
    _opened: dict[str, _Open] = field(factory=dict)
    _held: dict[str, float] = field(factory=dict)
    _later: dict[str, tuple[float, Due]] = field(factory=dict)
    _wake: trio.Event = field(factory=trio.Event)
    _printing: Printing = field(factory=Printing)
    _mine: "deque[tuple[Event, str]]" = field(factory=lambda: deque(maxlen=MOST_MINE))
    obey: Callable[[Session, Hit], None] = field(default=lambda session, hit: None)
    """Called with a stop whose breakpoints have commands."""
    spent: Callable[[], None] = field(default=lambda: None)
    """Called when breakpoints were used up."""

    @property
    def dispatcher(self) -> Dispatcher:
        """The scheduler of the sessions."""
        return self.roster.dispatcher

    # --- its place in the runtime

    def install(self) -> None:
        """Stand at the gate, and listen."""
        dispatcher, performer = self.dispatcher, self.dispatcher.performer
        dispatcher.listeners.append(self._stepped)
        self.roster.heard.append(self._heard)
        performer.instead = Faults(self.watched.get, self.clock, self.chance).perform
        show = performer.live

        def live(session: Session, call: str, text: str) -> None:
            show(session, call, text)
            self._printed(session, call, text)

        performer.live = live
        self.rearm()

    def rearm(self) -> None:
        """Stand at the gate while there are breakpoints, and only then."""
        gate = self.dispatcher.gate
        if len(self.book) and self._before not in gate.breakpoints:
            gate.watch(self._before)
            gate.passing.append(self._passing)
        elif not len(self.book) and self._before in gate.breakpoints:
            gate.unwatch(self._before)
            gate.passing.remove(self._passing)

    async def run(self, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Do what is due with sessions whose drivers are gone, until cancelled. These clocks freeze with no session."""
        task_status.started()
        while True:
            self._wake = trio.Event()
            nearest = self.next_due()
            with trio.move_on_at(inf if nearest is None else nearest):
                await self._wake.wait()
            now = trio.current_time()
            self.act(self.leases.due(now))
            late = [name for name, (until, _) in self._later.items() if until <= now]
            self.act([self._later.pop(name)[1] for name in late])

    def next_due(self) -> float | None:
        """Return when something has to be done with a session that nobody drives, in Trio's time, or None."""
        times = [until for until, _ in self._later.values()]
        lease = self.leases.next_due()
        return min(times if lease is None else [*times, lease], default=None)

    def act(self, due: Iterable[Due]) -> None:
        """Let sessions go on, or cancel their prompts, because nobody drives them any more."""
        for one in due:
            session = self.roster.live.get(one.session)
            if session is None or session.broken is not None:
                continue
            try:
                if one.waited and self.keeping.of(session.state) is not None:
                    self.wait_out(session)
                else:
                    self._abandon(session, one)
            except JournalFull:
                self._after_a_while(session, AGAIN_SECONDS, one)
            except Exception as exc:  # noqa: BLE001 - what one session does must not keep the others held
                self.complain(f"session {session.id} should {one.act}", exc)

    def _abandon(self, session: Session, due: Due) -> None:
        by = f"debugger:{due.user}"
        with self.audit.about(f"dead-man.{due.act}", user=due.user, session=session.id, reason=due.why):
            if due.act == "cancel" and session.state.phase in OPEN:
                self.control(session, ev.Cancelled(due.user, due.why), by)
            watched = self.watched.get(session.id)
            if watched is not None:
                watched.mode, watched.call = "off", ""
            self.dispatcher.focus(session, "")
            self.dispatcher.release(session, by)

    def _after_a_while(self, session: Session, seconds: float, due: Due) -> None:
        self._later[session.id] = (trio.current_time() + seconds, due)
        self._wake.set()

    def wait_out(self, session: Session) -> None:
        """Let a session stand that nobody drives: for as long as somebody asked for, else for a time."""
        kept = self.keeping.of(session.state)
        if kept is None:
            self._unattended(session)
        elif (seconds := self.keeping.left(kept)) is None:
            self._later.pop(session.id, None)
        else:
            due = Due(session.id, "resume", kept.user, f"the time is over for which {kept.user} had it held")
            self._after_a_while(session, seconds, due)

    def left_alone(self, session: Session) -> None:
        """Whoever drove a session for a moment does so no more: it does not stand longer than if he had not come."""
        if session.state.hold is not None and session.id not in self._later:
            self.wait_out(session)

    def _unattended(self, session: Session) -> None:
        """Let a session that nobody drives stand only for a time."""
        if self.leases.of(session.id) is None:
            due = Due(session.id, "resume", BREAKPOINT, "nobody drives it")
            self._after_a_while(session, self.unattended_seconds, due)

    # --- connections

    def joined(self, caller: Caller) -> None:
        """A connection was let in."""
        self._note("connect", caller)

    def left(self, caller: Caller) -> None:
        """A connection is gone: what it held goes on when its time is over."""
        for watched in tuple(self.watched.values()):
            watched.displays.pop(caller.connection, None)
            lease = self.leases.of(watched.session.id)
            if lease is not None and lease.connection == caller.connection:
                self.leave_past(watched.session)
        self.act(self.leases.lost(caller.connection, trio.current_time()))
        self._note("disconnect", caller)
        self.sweep()
        self._wake.set()

    def leave_past(self, session: Session) -> None:
        """Look at the head of a session again, because somebody else drives it now, or nobody; who watches is told."""
        watched = self.watched.get(session.id)
        if watched is not None and watched.cursor is not None:
            watched.cursor = None
            self.announce(session, None, [one.connection for one in self.leases.watchers(session.id)])

    def _note(self, action: str, caller: Caller) -> None:
        try:
            about = {"client": caller.client, "role": caller.role}
            peer = str(caller.peer or "")
            self.audit.add(action, user=caller.user, connection=caller.connection, peer=peer, after=about)
        except TwinstepError as exc:
            self.complain(f"the audit of {action}", exc)

    def attended(self, session: Session) -> None:
        """Somebody drives the session now."""
        self._later.pop(session.id, None)
        self._wake.set()

    # --- what handlers ask

    def control(self, session: Session, event: Event, by: str) -> None:
        """Apply an event now in the name of a person. Raises what `Dispatcher.control` does."""
        self._mine.append((event, by))
        self.dispatcher.control(session, event, by)

    def _actor(self, session: Session, event: Event) -> str:
        for mine, by in reversed(self._mine):
            if mine is event:
                return by
        return actor_of(session.state, event)

    def look(self, session: Session) -> Watched:
        """Return what is kept of a session; from now on more of its states are kept too."""
        found = self.watched.get(session.id)
        if found is None or found.session is not session:
            found = self.watched[session.id] = Watched.of(session, found)
            session.watch(True)
        return found

    def sweep(self) -> None:
        """Let go of what is kept of sessions into which nobody looks any more."""
        for name in tuple(self.watched):
            self._let_go(name)

    def _let_go(self, name: str) -> None:
        watched = self.watched.get(name)
        if watched is None or self.leases.of(name) is not None or self.leases.watchers(name):
            return
        session = watched.session
        lives = self.roster.live.get(name) is session and session.state.phase is not Phase.CLOSED
        if lives and (session.state.hold is not None or watched.wanted):
            return
        del self.watched[name]
        session.watch(False)
        session.timeline = None  # all its states: whoever looks back again reads them again

    def held_for(self, session: Session) -> float | None:
        """Return for how many seconds a session is held, or None."""
        since = self._held.get(session.id)
        return None if since is None or session.state.hold is None else trio.current_time() - since

    def border(
        self,
        session: Session,
        kind: StepKind,
        call: str,
        event: Event | None,
        edge: Edge = "before",
        taken: Step | None = None,
    ) -> Border:
        """Return a border of a session as a value."""
        key, agent = self.names.of(session.id)
        opened = self._opened.get(session.id)
        return Border(
            session.id,
            session.state,
            kind,
            edge,
            event,
            taken,
            call,
            session.state.number,
            key,
            agent,
            self._actor(session, event) if event is not None else "",
            opened.seconds(trio.current_time()) if opened is not None else 0.0,
        )

    def cursor(self, session: Session) -> Cursor | None:
        """Return where somebody looks in the past of a session, None at its head."""
        found = self.watched.get(session.id)
        return found.cursor if found is not None and found.session is session else None

    def here(self, session: Session) -> Border:
        """Return the border that one looks at in a session: in the past, or the one that it stands before or would
        next."""
        cursor = self.cursor(session)
        if cursor is not None:
            return cursor.border
        kind, call, event = self.dispatcher.next(session)
        return self.border(session, kind, call, event)

    def tell(self, event: str, data: Mapping[str, Any], session: str = "") -> None:
        """Tell who is attached to a session, or with none everybody."""
        if self.service is None or not self.service.links:
            return
        to = [one.connection for one in self.leases.watchers(session)] if session else list(self.service.links)
        self.service.tell(to, event, data)

    # --- at the gate

    def _before(self, session: Session, kind: StepKind, call: str, event: Event) -> str | None:
        try:
            return self._asked(session, kind, call, event)
        except Exception as exc:  # noqa: BLE001 - the gate drops who fails, and then nobody would be stopped any more
            self.complain(f"breakpoints of session {session.id}", exc)
            return None

    def _passing(self, session: Session, kind: StepKind, call: str, event: Event) -> None:
        """The session passes a border at which something else had stopped it before breakpoints were asked."""
        try:
            key, agent = self.names.of(session.id)
            if self.book.wants(session.id, kind, "before", key, agent):
                hit = self.book.passed(self.border(session, kind, call, event), self.clock.wall())
                if hit is not None:
                    self._say(session, hit)
        except Exception as exc:  # noqa: BLE001 - the session goes on whatever happens here
            self.complain(f"breakpoints of session {session.id}", exc)

    def _asked(self, session: Session, kind: StepKind, call: str, event: Event) -> str | None:
        key, agent = self.names.of(session.id)
        if not self.book.wants(session.id, kind, "before", key, agent):
            return None
        hit = self.book.before(self.border(session, kind, call, event), self.clock.wall())
        if hit is None:
            return None
        self._say(session, hit)
        if not hit.ids:
            return None
        self._hits[session.id] = hit
        return hit.cause

    def _say(self, session: Session, hit: Hit) -> None:
        for number, line in hit.logs:
            self.tell("log", {"session": session.id, "id": number, "line": line})
        for complaint in hit.complaints:
            self.tell("breakpoint", {"id": None, "what": "failed", "why": complaint})
        if not hit.ids and self._used_up(number for number, _ in hit.logs):
            self.spent()

    def _used_up(self, numbers: Iterable[int]) -> bool:
        try:
            return not all(self.book.get(number).spec.enabled for number in numbers)
        except BadSpec:
            return True  # it is gone

    # --- after each step

    def _stepped(self, session: Session, step: Step) -> None:
        try:
            self._follow(session, step)
        except Exception as exc:  # noqa: BLE001 - the dispatcher drops who fails, and then nobody would hear any more
            self.complain(f"step {step.after.seq} of session {session.id}", exc)

    def _follow(self, session: Session, step: Step) -> None:
        on = step.event.on
        watched = self.watched.get(session.id)
        if watched is not None:
            watched.saw(step, ours=any(one is step.event for one, _ in self._mine))
            if not step.kind.controls:
                watched.moved = trio.current_time()
        if on is On.HOLD:
            self._stood(session)
        elif on is On.RELEASE:
            self._went(session, getattr(step.event, "by", ""))
        elif on is On.MESSAGE:
            self._opened[session.id] = _Open(trio.current_time())
        elif step.before.phase in OPEN and step.after.phase in REST and session.id in self._opened:
            self._opened[session.id].over(trio.current_time())
        if step.kind is StepKind.CALL_RESULT:
            self._printing.over(session.id, step.call)
        key, agent = self.names.of(session.id)
        if self.book.wants(session.id, step.kind, "after", key, agent):
            self._after(session, step)
        if watched is not None:
            self._taken(watched, step)
        if step.after.phase is Phase.CLOSED:
            self.leases.forget(session.id)
            self.keeping.forget(session.id)
            self.forget(session)
            self.tell("closed", {"session": session.id})

    def _after(self, session: Session, step: Step) -> None:
        border = self.border(session, step.kind, step.call, step.event, "after", step)
        hit = self.book.after(border, self.clock.wall())
        if hit is None:
            return
        self._say(session, hit)
        if not hit.ids or session.broken is not None or session.state.phase is Phase.CLOSED:
            return
        if session.state.hold is not None:  # it stands already, and was changed there
            self.tell("breakpoint", {"id": hit.ids[0], "what": "hit", "why": hit.cause}, session.id)
            return
        self._hits[session.id] = hit
        try:
            self.dispatcher.hold(session, BREAKPOINT, hit.cause)
        except JournalError as exc:
            self._hits.pop(session.id, None)
            self.complain(f"session {session.id} was not stopped: {hit.cause}", exc)

    def _taken(self, watched: Watched, step: Step) -> None:
        session = watched.session
        if isinstance(step.event, ev.Chunk):
            self._output(session, "text", "", text_of(step.event.data))
        if step.kind is StepKind.MODEL_RESPONSE and self.leases.watchers(session.id):
            ended = {"session": session.id, "kind": "text", "call": "", "text": "", "end": True}
            self.tell("output", ended, session.id)
        outcome = step.after.outcome
        if step.before.phase in OPEN and step.after.phase in REST and outcome is not None:
            told = {"session": session.id, "status": outcome.status, "message": outcome.message[:LONGEST]}
            self.tell("rested", told | {"tokens": step.after.usage.total, "lane": len(step.after.lane)}, session.id)
        if step.kind is not StepKind.MODEL_RESPONSE:
            return
        for one in reversed(watched.once_here):  # the last edit first
            watched.once.remove(one)
            back = one[1]
            try:
                with self.audit.about("undo", user=back.by, session=session.id, reason=back.reason):
                    self.control(session, back, f"debugger:{back.by}")
            except JournalFull as exc:
                watched.once.append(one)
                self.complain(f"session {session.id}: what was meant for one request stays for another one", exc)
                return
            except TwinstepError as exc:
                self.complain(f"session {session.id}: what was meant for one request stays", exc)

    def _output(self, session: Session, kind: str, call: str, text: str) -> None:
        if text and self.leases.watchers(session.id):
            self.tell("output", {"session": session.id, "kind": kind, "call": call, "text": text}, session.id)

    def _printed(self, session: Session, call: str, text: str) -> None:
        if self.leases.watchers(session.id):
            self._output(session, "tool", call, self._printing.fresh(session.id, call, text))

    def _stood(self, session: Session) -> None:
        now = trio.current_time()
        self.stops += 1
        self._held[session.id] = now
        opened = self._opened.get(session.id)
        if opened is not None and opened.since is None:
            opened.since = now
        hit, hold = self._hits.pop(session.id, None), session.state.hold
        if hold is None or hold.by != BREAKPOINT:
            hit = None
        if hold is not None:
            self._unattended(session)  # also where whoever granted the steps has left meanwhile
            self._record(session, hold)
        self.announce(session, hit)
        if hit is not None:
            if hit.commands:
                self.obey(session, hit)
            if self._used_up((*hit.ids, *(number for number, _ in hit.logs))):
                self.spent()

    def _record(self, session: Session, hold: Hold) -> None:
        where = {"step": hold.step, "call": hold.call, "generation": hold.generation}
        try:
            self.audit.add("stop", user=hold.by, session=session.id, reason=hold.cause, after=where)
        except TwinstepError as exc:
            self.complain(f"the audit of a stop of session {session.id}", exc)

    def announce(self, session: Session, hit: Hit | None, to: Iterable[str] | None = None) -> None:
        """Tell some connections, or all, where one looks in a session that is held."""
        if self.service is None or not self.service.links:
            return
        watched = self.look(session)
        try:
            data = stopped(self, watched, hit)
        except Exception as exc:  # noqa: BLE001 - what cannot be shown must not keep the stop from being told
            self.complain(f"the stop of session {session.id} could not be shown", exc)
            data = {"session": session.id, "at": watched.at, "generation": session.state.generation}
        names = frozenset(self.service.links if to is None else to)
        self.service.tell(names - watched.displays.keys(), "stopped", data)
        for connection in names & watched.displays.keys():
            more = {**data.get("context", {}), "displays": self.displays(watched, connection)}
            self.service.tell([connection], "stopped", {**data, "context": more})

    def displays(self, watched: Watched, connection: str) -> list[dict[str, Any]]:
        """Return what a connection wants to see at each stop."""
        border = self.here(watched.session)
        mine = watched.displays.get(connection, {})
        return [{"id": number, "expr": one.source, **shown(one, border)} for number, one in mine.items()]

    def _went(self, session: Session, by: str) -> None:
        now = trio.current_time()
        self._held.pop(session.id, None)
        self._later.pop(session.id, None)
        self.keeping.forget(session.id)
        opened = self._opened.get(session.id)
        if opened is not None and opened.since is not None:
            opened.held += now - opened.since
            opened.since = None
        self.tell("continued", {"session": session.id, "by": by}, session.id)
        self._let_go(session.id)

    # --- sessions that come and go

    def _heard(self, what: str, session: Session) -> None:
        try:
            self._follow_life(what, session)
        except Exception as exc:  # noqa: BLE001 - who begins or unloads a session has nothing to do with us
            self.complain(f"session {session.id} was {what}", exc)

    def _follow_life(self, what: str, session: Session) -> None:
        if what == "parked":
            self.forget(session)
        elif what == "opened":
            self._born(session)
        else:
            if session.id in self.watched:
                self.look(session)  # it is another object than the one that was unloaded
            if self.keeping.of(session.state) is None:
                self.keeping.forget(session.id)  # of a hold that was over when there was no room to say so
            if session.state.hold is not None:
                self._returned(session)
        self.tell("closed" if what == "parked" else "opened", {"session": session.id})

    def _born(self, session: Session) -> None:
        """Stop a new session that a breakpoint wants before its first step."""
        event = ev.Opened(session.state.settings)
        key, agent = self.names.of(session.id)
        if not self.book.wants(session.id, StepKind.SESSION_OPEN, "after", key, agent):
            return
        hit = self.book.after(self.border(session, StepKind.SESSION_OPEN, "", event, "after"), self.clock.wall())
        if hit is None:
            return
        self._say(session, hit)
        if hit.ids:
            self._hits[session.id] = hit
            self.dispatcher.hold(session, BREAKPOINT, hit.cause)

    def _returned(self, session: Session) -> None:
        """A session that was held when its process ended is held again: for as long as somebody may come back to it, or
        as somebody asked for."""
        self._held[session.id] = trio.current_time()
        if self.leases.of(session.id) is None:
            self.wait_out(session)

    def forget(self, session: Session) -> None:
        """Drop what is kept of a session that was unloaded or closed. What people asked for stays while they are
        attached, in case that it comes back."""
        for kept in (self._hits, self._opened, self._held, self._later):
            kept.pop(session.id, None)
        self._printing.forget(session.id)
        self.book.forget(session.id)
        self._let_go(session.id)
        session.watch(False)
