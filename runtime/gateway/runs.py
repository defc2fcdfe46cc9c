"""Runs: from an accepted message to its one ending. Accepts, queues, aborts, tells; decides nothing about the model.

Rules: a message is acknowledged only when it is on disk; its id is accepted once, also across restarts; what was
accepted comes to one terminal event. One run a session; the dispatcher bounds how many there are in all. What to do
with a message for a busy session is its queue mode (CONTRACT section 6).
"""

from collections import Counter, OrderedDict
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from math import inf
from typing import Any, Final

import trio
from attrs import define, evolve, field

from runtime.errors import InputError, JournalError, TwinstepError
from runtime.gateway import whose
from runtime.gateway.asks import Ack, Ask, digest
from runtime.gateway.entries import Entry, Run
from runtime.gateway.fates import Place, ended, fate, named, place
from runtime.gateway.frames import invalid, unavailable
from runtime.gateway.hub import Hub
from runtime.gateway.keeping import kept
from runtime.gateway.ledger import Ledger, Shelf
from runtime.gateway.narration import LEFT, Narration, Subject, Told, said_before
from runtime.gateway.queueing import WAITING, Queueing, collected, labels_of, summed_up
from runtime.gateway.waiting import FOREVER, Answers, Waiting
from runtime.ports import Chance, Clock
from runtime.sessions.dispatcher import Dispatcher
from runtime.sessions.roster import Roster
from runtime.sessions.session import LANE_MESSAGES, Session
from runtime.step import OPEN, REST, Step
from runtime.step import events as ev
from runtime.vocab import Message

KEPT: Final = 1_000
"""Runs that are over and still answer for their ids (CONTRACT section 6: about 1000)."""
KEPT_MS: Final = 24 * 3_600_000
ANSWER: Final = 2_000
"""Characters of an answer that the note of a run keeps."""
SUMMARY: Final = "summary"
"""Mode of a message of ours that tells of others that were dropped."""
TIMEOUT: Final = "timeout"
"""Why a run is given up that took longer than its sender gave it."""
OVERFLOW: Final = "queue-overflow"
"""Why a message is given up that did not fit into the queue."""


Changed = Callable[[str, Run, Session | None], None]
"""Called when a run starts and when it ends: what happened (`start`, `end`), the run, its session."""


@define(eq=False)
class Runs:
    """All runs of the gateway. `model_of` names provider and model of a session; `changed` hears of starts and ends.

    `row_of` returns the row of a session, which events about a tool's progress carry. `admit` raises GatewayError where
    a session takes no message now. `fit` lets a session at rest run with the model and level that its next message
    wants: the given ones (`own`), or those of the first in its lane.
    """

    dispatcher: Dispatcher
    roster: Roster
    hub: Hub
    shelf: Shelf
    clock: Clock
    chance: Chance
    model_of: Callable[[Session], tuple[str, str]]
    changed: Changed
    row_of: Callable[[str], dict[str, Any]] = field(default=lambda key: {})
    admit: Callable[[Session], None] = field(default=lambda session: None)
    fit: Callable[..., None] = field(default=lambda session, own=None: None)
    narrations: dict[str, Narration] = field(factory=dict)
    waiting: Waiting = field(factory=Waiting)
    answers: Answers = field(factory=Answers)
    _over: "OrderedDict[str, None]" = field(factory=OrderedDict)
    _steering: dict[str, tuple[str, ...]] = field(factory=dict)
    overflows: Counter[str] = field(factory=Counter)
    """Messages that did not fit into the queue of their session, by what became of them (`queueing.DROPS`)."""
    counts: dict[str, int] = field(factory=lambda: {"accepted": 0, "ok": 0, "error": 0, "aborted": 0, "refused": 0})

    _ledger: Ledger = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._ledger = Ledger(self.shelf)
        self.dispatcher.listeners.append(self.on_step)
        for run in sorted(self.shelf.items.values(), key=lambda one: one.ended or one.created):
            if run.over:
                self._over[run.id] = None

    # --- what clients do

    async def send(self, ask: Ask) -> Ack:
        """Accept a message: it is on disk when this returns.

        Raises GatewayError where the id stands for another message, the session's lane is full, or nothing can be kept.
        """
        known = self.known(ask)
        if known is not None:  # whoever asks twice may have been cut off before it was on disk
            await self.settled(self.shelf.items[ask.run].session)
            return known
        session = self.roster.get(ask.entry.session)
        self.admit(session)
        busy = session.state.phase in OPEN or session.addressed
        try:
            if not busy:
                self.fit(session, (ask.model, ask.thinking))
            ticket = self._enqueue(session, self._run(ask, session.id), ask, busy=busy)
        except (InputError, JournalError) as exc:
            self.counts["refused"] += 1
            why = str(exc) if isinstance(exc, InputError) else f"the message cannot be kept: {exc}"
            raise unavailable(why, retry_after_ms=1_000) from exc
        self.counts["accepted"] += 1
        interrupted = False
        if busy and ask.queue.mode == "interrupt":
            with suppress(JournalError):  # then it waits for its turn
                interrupted = bool(self.abort_session(session, "aborted", "a newer message"))
        if ask.seconds:
            late = partial(self.abort, ask.entry, ask.run, TIMEOUT)
            self.dispatcher.limit(session, ask.seconds, partial(self.wait, ask.run, FOREVER), late)
        await self._committed(ticket)
        return Ack(ask.run, "started", interrupted)

    def known(self, ask: Ask) -> Ack | None:
        """Return what the sender of a message is told that was accepted before; None for a new one.

        Raises GatewayError where its id cannot be one, or stands for another message.
        """
        ask.check()
        known = self.shelf.items.get(ask.run)
        if known is None:
            return None
        if known.text != digest(ask.text) or known.key != ask.entry.key:
            raise invalid(
                "this id was already used for another message; send it again under a new one",
                {"reason": "chat-request-conflict"},
            )
        answering = self.shelf.items.get(self.follow(known.id), known)
        return Ack(known.id, answering.status if answering.over else "in_flight")

    async def done(self, ask: Ask) -> None:
        """Note that a message was dealt with at once, without a run: its id is not accepted again."""
        now = self.clock.wall()
        try:
            ticket = self._ledger.put(evolve(self._run(ask, ask.entry.session), status="ok", stop="stop", ended=now))
        except JournalError as exc:
            raise unavailable(f"the message cannot be kept: {exc}") from exc
        self._bury(ask.run)
        await self._committed(ticket)

    def _run(self, ask: Ask, session: str) -> Run:
        now, item = self.clock.wall(), self.chance.uuid()
        return Run(
            ask.run,
            ask.entry.key,
            session,
            digest(ask.text),
            "queued",
            now,
            ask.kind,
            mode=ask.queue.mode,
            sender=ask.sender,
            item=item,
            model=ask.model,
            thinking=ask.thinking,
            first=ask.entry.first,
        )

    def own(self, name: str) -> tuple[str | None, str | None]:
        """Return the model and the thinking level that a message wants for its run alone."""
        run = self.shelf.items.get(name)
        return (run.model, run.thinking) if run is not None else (None, None)

    async def settled(self, session: str) -> None:
        """Wait until all is on disk that has happened in a session. Raises GatewayError where it never will be."""
        live = self.roster.live.get(session)
        if live is not None:  # what is parked is on disk
            await self._committed(live.ticket)

    async def _committed(self, ticket: int) -> None:
        try:
            await kept(self.dispatcher.journal, ticket)
        except JournalError as exc:
            raise unavailable(f"the message cannot be kept: {exc}") from exc

    def _enqueue(self, session: Session, run: Run, ask: Ask, *, busy: bool) -> int:
        """Put the message into the lane. What names it is kept before it, so that a crash between the two forgets both.

        Returns the ticket of the last of these records.
        """
        queue = ask.queue
        most = max(LANE_MESSAGES, queue.cap)
        if len(session.state.lane) >= most:  # before anything is written: a flood must not fill the journal
            raise InputError(f"{most} messages wait for session {session.id} already")
        waits = busy and queue.mode in WAITING
        counts = waits and ask.kind == "chat"
        if counts and queue.drop == "new" and len(self._queued(session)) >= queue.cap:
            self.overflows["new"] += 1
            raise InputError(f"{queue.cap} messages wait in the queue of the session, and it takes no more")
        kept = [run]
        said = Message(run.id, ask.text, ask.parts, ask.sender, ask.labels, ask.terms)
        if waits:
            # The id of the sender ends at once; the answer comes under an id of our own, which is kept before it.
            later = evolve(run, id=self.chance.uuid(), source="reply-dispatch")
            kept = [later, evolve(run, status="ok", ended=run.created, next=later.id)]
            said = evolve(said, id=later.id)
        try:
            for one in kept:
                self._ledger.put(one)
            self.dispatcher.enqueue(session, said, steer=busy and queue.mode == "steer", most=most)
        except Exception:
            for one in kept:
                if self.shelf.items.get(one.id) is one:
                    self._ledger.drop(one.id)
            raise
        if len(kept) > 1:
            self._bury(run.id)
            self.waiting.wake(run.id)
            self._bare_final(run)
        if counts:
            self._make_room(session, queue)
            self.dispatcher.settle(session, queue.quiet, self._collect)
        return session.ticket

    def _queued(self, session: Session) -> list[Message]:
        """Return the messages of clients that wait for their turn, oldest first."""
        lane = [one.message for one in session.state.lane if self._mode(one.message.id) in WAITING]
        return [one for one in lane if self.shelf.items[one.id].kind == "chat"]

    def _make_room(self, session: Session, queue: Queueing) -> None:
        """Drop the oldest messages beyond the cap. Where that cannot be kept, they stay, and the lane has its bound."""
        queued = self._queued(session)
        dropped = queued[: max(0, len(queued) - queue.cap)]
        if not dropped:
            return
        with suppress(InputError, JournalError):
            if queue.drop == "summarize":
                self._sum_up(session, dropped, queue.cap)
            else:
                self._withdraw(session, tuple(one.id for one in dropped), OVERFLOW)
            self.overflows[queue.drop] += len(dropped)

    def _sum_up(self, session: Session, dropped: list[Message], most: int) -> None:
        """Let one message tell of those that are dropped. It keeps its id as more of them join it."""
        earlier = [one.message for one in session.state.lane if self._mode(one.message.id) == SUMMARY]
        text = summed_up(earlier[0].text if earlier else None, dropped, most)
        labels = labels_of([*earlier, *dropped])
        name = earlier[0].id if earlier else ""
        message = evolve(dropped[0], id=name, text=text, parts=({"text": text},), labels=labels)
        self._instead(dropped, message, session, SUMMARY)

    def _instead(self, several: list[Message], message: Message, session: Session, mode: str) -> None:
        """Put one message in the place of several: under a new id, or in the place of the one that has its id as well.

        Raises like `Dispatcher.enqueue`, and then they stay several.
        """
        runs = [self.shelf.items[one.id] for one in several]
        name, ids = message.id or self.chance.uuid(), tuple(one.id for one in several)
        known = name in self.shelf.items
        try:
            if not known:
                self._ledger.put(evolve(runs[0], id=name, mode=mode, thinking=runs[-1].thinking))
            self.dispatcher.enqueue(session, evolve(message, id=name), replaces=(name, *ids), most=inf)
        except (InputError, JournalError):
            if not known:
                self._ledger.drop(name)
            raise
        for run in runs:
            self._replaced(run, name)

    def abort(self, entry: Entry, run: str | None, reason: str = "rpc") -> list[str]:
        """Give up the open run of a session, or the one named; return the ids of those that were given up."""
        session = self.roster.live.get(entry.session)
        if session is None:
            return []
        run = self.follow(run) if run is not None else None
        if run is None or run == self.current(session):
            return self.abort_session(session, reason, "the run was aborted")
        if any(one.message.id == run for one in session.state.lane):
            self._withdraw(session, (run,), reason)
            return [run]
        return []

    def abort_session(self, session: Session, reason: str, why: str, *, waiting: bool = False) -> list[str]:
        """Give up what a session does now; with `waiting`, also what waits for it."""
        ended: list[str] = []
        current = self.current(session)
        if waiting and session.state.lane:
            ids = tuple(one.message.id for one in session.state.lane)
            self._withdraw(session, ids, reason)
            ended.extend(ids)
        if session.state.phase in OPEN:
            if current and current in self.narrations:
                self.narrations[current].reason = reason
            self.dispatcher.control(session, ev.Cancelled("operator", why), "operator")
            if current:
                ended.insert(0, current)
        return ended

    def _withdraw(self, session: Session, ids: tuple[str, ...], reason: str) -> None:
        self.dispatcher.control(session, ev.Unqueued(ids, "operator", reason), "operator")
        for name in ids:
            self._unheard(name, reason)

    def _unheard(self, name: str, reason: str) -> None:
        """End a run whose message nobody will read."""
        run = self.shelf.items.get(name)
        if run is not None and not run.over:
            told = {"runId": name, "sessionKey": run.key, "seq": 1, "state": "aborted", "stopReason": reason}
            self.hub.tell("chat", told)
            self._end(run, "aborted", stop=reason)

    async def wait(self, name: str, seconds: float) -> Run | None:
        """Wait until a run is over, at most so long. Returns None for one that is not, or is not known.

        It is the one that answers in place of the named one, if there is such.
        """
        with trio.move_on_after(min(seconds, FOREVER)):
            while (run := self.shelf.items.get(self.follow(name))) is None or not run.over:
                await self.waiting.news(self.follow(name))
        run = self.shelf.items.get(self.follow(name))
        return run if run is not None and run.over else None

    def follow(self, name: str) -> str:
        """Return the run that answers for this one: itself, but for messages that waited for a busy session."""
        run = self.shelf.items.get(name)
        while run is not None and run.next:
            name = run.next
            run = self.shelf.items.get(name)
        return name

    def answer(self, run: Run) -> str:
        """Return the answer of a run: whole as long as it is at hand, else its beginning."""
        return self.answers.get(run.id, run.answer)

    def current(self, session: Session) -> str:
        """Return the id of the run that a session works on, or nothing."""
        return whose.current(session.state, self.shelf.items)

    def active(self, session: str) -> list[str]:
        """Return the ids of the runs of a session that are not over."""
        live = self.roster.live.get(session)
        if live is None:
            return []
        current = self.current(live)
        return [*([current] if current else []), *(one.message.id for one in live.state.lane)]

    # --- what happens

    def on_step(self, session: Session, step: Step) -> None:
        """Tell clients what a step is to them. Called by the dispatcher, in order.

        What fails here fails alone: the dispatcher drops a listener that raises, and then nobody would hear anything.
        """
        for part in (self._narrate, self._watch_steering, self._watch_end, self._watch_past):
            try:
                part(session, step)
            except Exception as exc:  # noqa: BLE001 - see above
                self._complain(session.id, exc)

    def _narrate(self, session: Session, step: Step) -> None:
        now = self.clock.wall()
        if isinstance(step.event, ev.Received) and step.after.prompt is not None:
            self._begin(session, step.after.prompt.message, now)
        narration = self._narration(step)
        if narration is not None:
            self._tell(narration.step(step, now))

    def _narration(self, step: Step) -> Narration | None:
        return self.narrations.get(whose.run_of(step.after, self.shelf.items))

    def _watch_end(self, session: Session, step: Step) -> None:
        if isinstance(step.event, ev.Closed):
            left = [one.message.id for one in step.before.lane]
            left += [step.before.steering.id] if step.before.steering is not None else []
            for run in [one for one in self.shelf.items.values() if not one.over and one.session == session.id]:
                if any(named(name, run.id) for name in left):
                    self._unheard(run.id, "aborted")
        if step.before.phase not in OPEN or step.after.phase in OPEN:
            return
        narration = self._narration(step)
        if narration is not None:
            self._finish(session, step, narration)
        if step.after.phase in REST and session.state.lane and not session.settling:
            self._collect(session)

    def _watch_past(self, session: Session, step: Step) -> None:
        """A session that has gone back works no more on what it had begun: whoever waits for that is told."""
        for name in whose.left(step.after, self.shelf.items) if isinstance(step.event, ev.Branched) else ():
            if (narration := self.narrations.pop(name, None)) is not None:
                self._tell(narration.left(self.clock.wall()))
            self._end(self.shelf.items[name], "aborted", session=session, stop=LEFT)

    def live(self, session: Session, call: str, text: str) -> None:
        """Tell clients what a running tool prints."""
        narration = self.narrations.get(self.current(session))
        if narration is not None:
            self._tell(narration.live(call, text, self.clock.wall()))

    def note(self, session: Session, data: dict[str, Any]) -> None:
        """Tell clients something of the open run's life: an approval that it waits for."""
        narration = self.narrations.get(self.current(session))
        if narration is not None:
            self._tell(narration.note(data, self.clock.wall()))

    def _begin(self, session: Session, said: Message, now: int) -> None:
        run = self.shelf.items.get(said.id)
        if run is None:  # a message that did not come through here: a debugger's, or one of an older journal
            return
        run = evolve(run, status="running", started=now)
        self._ledger.keep(run)
        self.narrations[run.id] = Narration(self._subject(session, run))
        self.changed("start", run, session)

    def _subject(self, session: Session, run: Run) -> Subject:
        provider, model = self.model_of(session)
        agent = run.key.split(":")[1] if run.key.count(":") else "main"
        return Subject(run.id, run.key, run.session_id, agent, run.kind, provider, model, run.item, run.source)

    def _tell(self, told: list[Told]) -> None:
        for one in told:
            try:
                self._tell_one(one)
            except Exception as exc:  # noqa: BLE001 - one event that cannot be told does not take the others with it
                self._complain(one.payload["sessionKey"], exc)

    def _tell_one(self, one: Told) -> None:
        if not one.cap:
            self.hub.tell(one.event, one.payload)
            return
        row = {} if one.payload["data"]["phase"] == "start" else self.row_of(one.payload["sessionKey"])
        self.hub.tell_cap(one.cap, one.event, {**row, **one.payload})

    def _complain(self, whose: str, exc: Exception) -> None:
        self.dispatcher.complaints.append(f"{whose}: events of a run: {type(exc).__name__}: {exc}")

    def _watch_steering(self, session: Session, step: Step) -> None:
        before, after = step.before.steering, step.after.steering
        if before is None and after is not None and isinstance(step.event, ev.Go):
            self._steering[session.id] = tuple(one.message.id for one in step.before.lane if one.steer)
        if before is None or after is not None:
            return
        ids = self._steering.pop(session.id, ())
        runs = [self.shelf.items[name] for name in ids if name in self.shelf.items]
        if isinstance(step.event, ev.Screened):
            joined = len(step.after.history) > len(step.before.history)
            for run in runs:
                self._joined(run) if joined else self._rejected(run, step.event.verdict.reason)
        elif len(runs) > 1:  # they wait for the next prompt, as one message
            for run in runs:
                self._merge(before.id, run)

    def _joined(self, run: Run) -> None:
        self._bare_final(run)
        self._end(run, "ok", stop="stop")

    def _rejected(self, run: Run, why: str) -> None:
        why = why or "the message was refused"
        told = {"runId": run.id, "sessionKey": run.key, "seq": 1, "state": "error", "errorMessage": why}
        self.hub.tell("chat", told)
        self._end(run, "error", stop="error", error=why)

    def _merge(self, message: str, run: Run) -> None:
        """Let a run be answered by that of a message that holds several."""
        if message not in self.shelf.items:
            self._ledger.keep(evolve(run, id=message, source="reply-dispatch", mode="followup"))
        self._replaced(run, message)
        self._bare_final(run)

    def _replaced(self, run: Run, by: str) -> None:
        self._ledger.keep(evolve(run, status="ok", ended=self.clock.wall(), next=by))
        self._bury(run.id)
        self.waiting.wake(run.id)

    def _bare_final(self, run: Run) -> None:
        self.hub.tell("chat", {"runId": run.id, "sessionKey": run.key, "seq": 1, "state": "final"})

    def _finish(self, session: Session, step: Step, narration: Narration) -> None:
        run = self.shelf.items.get(narration.subject.run)
        self.narrations.pop(narration.subject.run, None)
        if run is None:
            return
        if not narration.over:
            self._tell([narration.broken()])
        used = (narration.input, narration.output, narration.total)
        told = ended(run, step.after.outcome, step.after.answer.strip(), used)
        if len(told.answer) > ANSWER:
            self.answers.keep(run.id, told.answer)
        stop = narration.reason if told.status == "aborted" else narration.stop if told.status == "ok" else told.stop
        answer = told.answer[:ANSWER]
        self._end(run, told.status, session=session, stop=stop, error=told.error, answer=answer, tokens=used)

    def _end(self, run: Run, status: str, *, session: Session | None = None, **more: Any) -> None:
        run = evolve(run, status=status, ended=self.clock.wall(), **more)
        self._ledger.keep(run)
        self.counts[status] = self.counts.get(status, 0) + 1
        self._bury(run.id)
        self.waiting.wake(run.id)
        self.changed("end", run, session)

    def _bury(self, name: str) -> None:
        self._over[name] = None
        while len(self._over) > KEPT:
            oldest = next(iter(self._over))
            run = self.shelf.items.get(oldest)
            if run is not None and len(self._over) <= 10 * KEPT and self.clock.wall() - run.ended < KEPT_MS:
                return
            del self._over[oldest]
            if run is not None:
                self._ledger.drop(oldest)

    def _collect(self, session: Session) -> None:
        """Make one message of those that waited to be collected."""
        mine = [one.message for one in session.state.lane if self._mode(one.message.id) == "collect"]
        if mine:
            senders = [self.shelf.items[one.id].sender for one in mine]
            with suppress(InputError, JournalError):
                self._instead(mine, collected(mine, senders), session, "followup")

    def _mode(self, name: str) -> str:
        run = self.shelf.items.get(name)
        return run.mode if run is not None and run.source else ""

    # --- after a restart

    def recover(self) -> list[str]:
        """Go on with what was accepted and is not over. Returns the sessions that were brought back.

        A run whose message is nowhere in its session was never acknowledged: it is forgotten.
        """
        revived: dict[str, Session | None] = {}
        for run in [one for one in self.shelf.items.values() if not one.over]:
            if run.session not in revived:
                revived[run.session] = self._revive(run.session)
            self._resume(run, revived[run.session])
        for session in revived.values():
            if session is not None:
                self._fit_again(session)
                self.dispatcher.wake(session)
        return [name for name, session in revived.items() if session is not None]

    def _fit_again(self, session: Session) -> None:
        try:
            self.fit(session)
        except TwinstepError as exc:
            self._complain(session.id, exc)

    def _revive(self, name: str) -> Session | None:
        try:
            return self.roster.get(name)
        except JournalError:
            return None

    def _resume(self, run: Run, session: Session | None) -> None:
        if session is None:
            self._end(run, "error", error="its session is gone")
            return
        match place(run.id, session.state):
            case Place.WAITING, message:
                if message != run.id:
                    self._merge(message, run)
                return
            case Place.STEERING, _:
                self._steering[session.id] = (*self._steering.get(session.id, ()), run.id)
                return
            case Place.OPEN, _:
                self._go_on(run, session)
                return
        told = fate(run, self._steps(session))
        if told is None and run.status == "queued":
            self._never_came(run)
        elif told is not None and told.next:
            self._replaced(run, told.next)
        elif told is not None and told.over:
            answer = told.answer[:ANSWER]
            self._end(run, told.status, stop=told.stop, error=told.error, answer=answer, tokens=told.tokens)
        else:
            self._end(run, "error", error="the gateway stopped and its end is not known")

    def _go_on(self, run: Run, session: Session) -> None:
        if run.status != "running":
            run = evolve(run, status="running", started=self.clock.wall())
            self._ledger.keep(run)
        subject, before = self._subject(session, run), said_before(session.state)
        self.narrations[run.id] = Narration(subject, started=run.started, before=before)

    def _steps(self, session: Session) -> list[Step]:
        with suppress(JournalError):
            return self.dispatcher.journal.steps(session.id)
        return []

    def _never_came(self, run: Run) -> None:
        self._ledger.drop(run.id)
        for alias in [one.id for one in self.shelf.items.values() if one.next == run.id]:
            self._ledger.drop(alias)
            self._over.pop(alias, None)
