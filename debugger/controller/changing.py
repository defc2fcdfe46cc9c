"""Commands that change a session. Each change is typed, refused when it comes late, audited, and journaled by name.

A change that the machine refuses has changed nothing. What was changed is judged again as if it had come that way.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import trio
from attrs import define, evolve
from cattrs import BaseValidationError, transform_error

from debugger.controller.audited import audited
from debugger.controller.cursor import Cursor
from debugger.controller.engine import Debugger
from debugger.controller.faults import MODEL
from debugger.controller.finding import by, driven, find, hold_of
from debugger.controller.travel import branch, branched
from debugger.controller.watched import Planned, Undo, Watched
from debugger.inspect import Bounds, plain
from debugger.inspect import diff as difference
from debugger.protocol import params as p
from debugger.protocol.commands import includes
from debugger.protocol.errors import Failure
from debugger.schema import Secret, is_secret
from debugger.server import Caller, Handler
from runtime.errors import NoTransition, TwinstepError
from runtime.sessions.session import Session
from runtime.step import CallPhase, Event, On, Phase, State, StepKind, advance, ready
from runtime.step import events as ev
from runtime.step.calls import cancelled
from runtime.step.edits import MADE_UP
from runtime.step.records import CONVERTER
from runtime.step.state import Call
from runtime.step.undoing import inverse
from runtime.vocab import Decision, ToolResult, Verdict, encode, nested_within

ONCE: Final = frozenset({"model", "system", "tools", "settings"})
"""What can be changed for one request."""
INJECTED: Final = frozenset(
    {
        On.CHUNK,
        On.ENDED,
        On.BROKE,
        On.WAITED,
        On.FINISHED,
        On.INVALID,
        On.DENIED,
        On.SENT,
        On.COMPRESSED,
        On.HOOKED,
        On.CONTEXT,
    }
)
"""Outcomes that a mutator may make up."""
JUDGING: Final = frozenset({On.SCREENED, On.JUDGED, On.APPROVED, On.VETTED})
"""Outcomes that stand for a judge or a person: they need the right to override."""
OVERRIDE: Final = "debugger.override"
"""The rule of a verdict that a person gave in place of the judge."""
MOST_FAULTS: Final = 100


@define(eq=False)
class Changing:
    """Handlers. Each takes caller and params (`debugger.protocol.params`)."""

    debugger: Debugger

    def handlers(self) -> Mapping[str, Handler]:
        """Return them by the names of their commands."""
        return {
            "edit": self.edit,
            "undo": self.undo,
            "redo": self.redo,
            "say": self.say,
            "inject": self.inject,
            "fault": self.fault,
            "kill": self.kill,
            "stream": self.stream,
            "verdict": self.verdict,
        }

    async def edit(self, caller: Caller, params: p.Edit) -> Any:
        """Make changes to a held session, all or none."""
        session, watched = self._at(caller, params.session)
        cursor = self._cursor(session, params.at)
        changes = tuple(ev.Change(one.path, one.value, one.op) for one in params.changes)
        made = ev.Edited.of(changes, caller.user, params.reason)
        if params.once and not all(one.path.partition(".")[0] in ONCE for one in changes):
            raise Failure(
                "bad_params", f"for one request only {', '.join(sorted(ONCE))} can be changed", at="with.once"
            )
        state = await branched(self.debugger, caller, session, cursor)
        after = advance(state, made).after  # raises where the machine refuses
        self._check(session, state, after, changes)
        if params.dry:
            await trio.lowlevel.checkpoint()
            return {"at": watched.at, "dry": True} | difference(state, after)
        name = await self._branch(caller, session, cursor, params.reason or "edit", params.receipt)
        undo = Undo(made, inverse(session.state, made))
        ticket, answer = self._edit(caller, session, made, "edit", params.reason)
        if params.once:
            watched.once.append((session.state.seq, undo.back))
        else:
            watched.done.append(undo)
            watched.undone.clear()
        await self._committed(ticket)
        return answer | name

    def _check(self, session: Session, before: State, after: State, changes: tuple[ev.Change, ...]) -> None:
        """Refuse arguments that their tool does not take, in the words that the run would have for them.

        All changes are made by then: what is wrong after one may be right after the next. What takes an edit back is
        not checked: it may bring back what the model got wrong. Raises Failure.
        """
        for call in after.turn.calls if after.turn is not None else ():
            place = _rewritten(before, call, changes)
            found = self.debugger.dispatcher.performer.checked(session, after, call) if place is not None else None
            if isinstance(found, ToolResult) and found.error is not None and place is not None:
                raise Failure(
                    "edit_refused", f"{changes[place].path}: {found.error.message}", at=f"with.changes[{place}]"
                )

    def _check_allowed(self, session: Session, state: State, made: Event) -> None:
        """Refuse to allow a call that no tool would take: a tool runs with what passed its check. Raises Failure."""
        if not isinstance(made, ev.Judged) or made.verdict.decision is Decision.BLOCK:
            return
        call = state.turn.call(made.call) if state.turn is not None else None
        found = self.debugger.dispatcher.performer.checked(session, state, call) if call is not None else None
        if isinstance(found, ToolResult) and found.error is not None:
            raise Failure("refused", f"call {made.call} cannot run: {found.error.message}")

    async def undo(self, caller: Caller, params: p.Taking) -> Any:
        """Take the last edit back, if the session has taken no step since."""
        session, watched = self._at(caller, params.session)
        self._at_head(session)
        if not watched.done:
            raise Failure("refused", "there is no edit at this step that could be taken back")
        last = watched.done[-1]
        back = _because(last.back, params)
        ticket, answer = self._edit(caller, session, back, "undo", back.reason)
        watched.undone.append(watched.done.pop())
        await self._committed(ticket)
        return answer

    async def redo(self, caller: Caller, params: p.Taking) -> Any:
        """Make the edit again that was taken back last."""
        session, watched = self._at(caller, params.session)
        self._at_head(session)
        if not watched.undone:
            raise Failure("refused", "there is no edit at this step that was taken back")
        last = watched.undone[-1]
        made = _because(last.made, params)
        ticket, answer = self._edit(caller, session, made, "redo", made.reason)
        watched.done.append(watched.undone.pop())
        await self._committed(ticket)
        return answer

    def _at(self, caller: Caller, name: str) -> tuple[Session, Watched]:
        """Return a session that is held. Raises Failure."""
        session = driven(self.debugger, caller, name)
        hold_of(session)
        return session, self.debugger.look(session)

    def _cursor(self, session: Session, at: int | None) -> Cursor | None:
        """Return where one looks in a session, which must be where the caller thinks. Raises Failure."""
        watched = self.debugger.look(session)
        if at is not None and at != watched.at:
            raise Failure(
                "moved", f"session {session.id} is at {watched.at} now, not at {at}: look again", at="with.at"
            )
        return watched.cursor

    def _at_head(self, session: Session) -> None:
        if self.debugger.cursor(session) is not None:
            raise Failure("refused", "edits are taken back where they were made: `goto last` looks at the head")

    async def _branch(
        self, caller: Caller, session: Session, cursor: Cursor | None, reason: str, receipt: str
    ) -> dict[str, str]:
        """In the past, begin the branch that a change is made on; return its name for the answer."""
        if cursor is None:
            return {}
        return {"branch": await branch(self.debugger, caller, session, cursor.seq, "", reason, receipt)}

    def _edit(
        self, caller: Caller, session: Session, made: ev.Edited, action: str, reason: str
    ) -> tuple[int, dict[str, Any]]:
        """Make an edit; return the ticket of its record, and what is answered once that is on disk."""
        before = session.state
        changed = difference(before, advance(before, made).after)  # raises where the machine refuses
        plain_changes = [_plain(one) for one in made.changes]
        with audited(self.debugger, caller, session, action, reason, before=plain_changes, after=changed):
            self.debugger.control(session, made, by(caller))
        self._told(session, caller, [one.path for one in made.changes])
        return session.ticket, {"at": self.debugger.look(session).mark} | changed

    async def _committed(self, ticket: int) -> None:
        await self.debugger.audit.settled(ticket)

    def _told(self, session: Session, caller: Caller, paths: list[str]) -> None:
        at = self.debugger.look(session).mark
        self.debugger.tell("edited", {"session": session.id, "at": at, "by": caller.user, "paths": paths}, session.id)

    async def _done(
        self,
        caller: Caller,
        params: p.There,
        what: str,
        make: Callable[[State], tuple[Event, ...]] = lambda state: (),
        reason: str = "",
        then: Callable[[], None] | None = None,
    ) -> dict[str, Any]:
        """Let events happen that nobody's world brought: all that the machine would refuse, it refuses before any.

        `make` says which for the state that they are for. `then` is done with them, before this waits for the disk.
        """
        session = driven(self.debugger, caller, params.session)
        cursor = self._cursor(session, params.at)
        state = await branched(self.debugger, caller, session, cursor)
        note = ev.Edited("note", {"what": what}, caller.user, reason)
        events = make(state)
        _tried(state, (note, *events))
        name = await self._branch(caller, session, cursor, what, params.receipt)
        shown = [plain(one, Bounds(text=2_000)) for one in events]
        with audited(self.debugger, caller, session, what, reason, after=shown):
            self.debugger.control(session, note, by(caller))
            for event in events:
                self.debugger.control(session, event, by(caller))
        ticket = session.ticket
        self._told(session, caller, [])
        answer = {"at": self.debugger.look(session).mark} | name
        if then is not None:
            then()
        await self._committed(ticket)
        return answer

    async def say(self, caller: Caller, params: p.Say) -> Any:
        """Send a message as the session's user would."""
        debugger = self.debugger
        session = driven(debugger, caller, params.session)
        name = await self._branch(caller, session, self._cursor(session, params.at), "say", params.receipt)
        with audited(debugger, caller, session, "say", params.reason, after=params.text) as deed:
            deed.told = {}  # the session may take it, and go on, while this waits
            await debugger.names.say(session, params.text, caller.user)
        return {"queued": len(session.state.lane)} | name

    async def inject(self, caller: Caller, params: p.Inject) -> Any:
        """Let an event from outside happen, or time pass for the deadlines of the session (`clock`, `seconds`)."""
        session = driven(self.debugger, caller, params.session)
        if params.event == "clock":
            return await self._jump(caller, session, params)
        if params.event == "cancel":
            made: Event = ev.Cancelled(caller.user, params.reason)
        else:
            made = _event(caller, params)

        def make(state: State) -> tuple[Event, ...]:
            self._check_allowed(session, state, made)
            return (made,)

        return await self._done(caller, params, f"inject {params.event}", make, params.reason)

    async def _jump(self, caller: Caller, session: Session, params: p.Inject) -> Any:
        seconds = params.data.get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds <= 1e9:
            raise Failure("bad_params", "must be seconds above 0", at="with.data.seconds")

        def jump() -> None:
            session.deadlines.jump(seconds)

        return await self._done(caller, params, "inject clock", reason=params.reason, then=jump)

    async def fault(self, caller: Caller, params: p.Fault) -> Any:
        """Let a call, or the request to the model, fail."""
        session = driven(self.debugger, caller, params.session)
        watched = self.debugger.look(session)
        if len(watched.faults) >= MOST_FAULTS:
            raise Failure("busy", f"{MOST_FAULTS} faults are planned for this session already")
        if not params.call:
            raise Failure("bad_params", f"must be the id of a call, a tool, or {MODEL}", at="with.call")
        planned = Planned(params.call, params.what, params.times, caller.user)
        what = f"fault {params.call} {params.what} x{params.times}"
        answer = await self._done(
            caller, params, what, reason=params.reason, then=lambda: watched.faults.append(planned)
        )
        return answer | {"left": params.times}

    async def kill(self, caller: Caller, params: p.OneCall) -> Any:
        """End a running call; the model is told that it was stopped."""
        name = find(self.debugger, params.session).id

        def make(state: State) -> tuple[Event, ...]:
            call = state.turn.call(params.call) if state.turn is not None else None
            if call is None or call.phase is not CallPhase.RUNNING:
                raise Failure("refused", f"session {name} has no running call {params.call!r}", at="with.call")
            return (ev.Finished(call.id, cancelled(f"killed by {caller.user}")),)

        return await self._done(caller, params, "kill", make, params.reason) | {"call": params.call}

    async def stream(self, caller: Caller, params: p.Stream) -> Any:
        """End the answer under way here, end it with other words, or ask for it again."""
        session = driven(self.debugger, caller, params.session)
        ended = ev.StreamEnded(self.debugger.clock.wall(), self.debugger.chance.random())
        waiting = sum(isinstance(event, ev.Chunk) for event, _ in session.inbox)

        def make(state: State) -> tuple[Event, ...]:
            if state.phase is not Phase.STREAMING:
                text = f"session {session.id} has no answer under way: it is {state.phase.value}"
                raise Failure("refused", text)
            if params.what == "reissue":
                return (ev.Recovered(by(caller)),)
            if params.what == "replace" and not params.text:
                raise Failure("bad_params", "must be the words that the answer ends with", at="with.text")
            # It has to say that it is over, also where it is cut.
            return (ev.Chunk(_words(params.text if params.what == "replace" else "")), ended)

        return await self._done(caller, params, f"stream {params.what}", make, params.reason) | {"dropped": waiting}

    async def verdict(self, caller: Caller, params: p.Override) -> Any:
        """Decide about a call in place of the judge, or of the person who is asked."""
        session = driven(self.debugger, caller, params.session)
        decision = Decision.ALLOW if params.decision == "allow" else Decision.BLOCK

        def make(state: State) -> tuple[Event, ...]:
            call = state.turn.call(params.call) if state.turn is not None else None
            phase = call.phase if call is not None else None
            judge = ev.Go(StepKind.CALL_JUDGE.value, params.call)
            asked = (judge,) if phase is CallPhase.JUDGE and judge in ready(state) else ()
            if call is None or (phase not in (CallPhase.JUDGING, CallPhase.APPROVING) and not asked):
                raise Failure("refused", f"nobody is deciding about a call {params.call!r} now", at="with.call")
            if phase is not CallPhase.APPROVING:
                judged = ev.Judged(call.id, Verdict(decision, OVERRIDE, params.reason), call.revision)
                self._check_allowed(session, state, judged)
                return (*asked, judged)
            allowed = decision is Decision.ALLOW
            return (ev.Approved(call.id, by(caller)) if allowed else ev.Denied(call.id, by(caller), params.reason),)

        answer = await self._done(caller, params, f"verdict {params.decision}", make, params.reason)
        return answer | {"decision": params.decision}


def _rewritten(before: State, call: Call, changes: tuple[ev.Change, ...]) -> int | None:
    """Return the place of the last change of the arguments with which a call would run, or None."""
    old = before.turn.call(call.id) if before.turn is not None else None
    if old is None or old.revision == call.revision or call.phase is CallPhase.FINISHED:
        return None
    path = f"calls.{call.id}.args"
    return max((n for n, one in enumerate(changes) if f"{one.path}.".startswith(f"{path}.")), default=None)


def _because(made: ev.Edited, params: p.Taking) -> ev.Edited:
    """An edit that is taken back or made again, with the reason for that where one was given."""
    return evolve(made, reason=params.reason) if params.reason else made


def _event(caller: Caller, params: p.Inject) -> Event:
    names = {on.value: on for on in INJECTED | JUDGING}
    on = names.get(params.event)
    if on is None:
        known = ", ".join(sorted([*names, "cancel", "clock"]))
        raise Failure("bad_params", f"no such event; there are {known}", at="with.event")
    if on in JUDGING and not includes(caller.role, "override"):
        raise Failure("forbidden", f"{params.event} stands for a verdict, and needs the role override", at="with.event")
    try:
        if not nested_within(params.data):
            raise ValueError("it is nested too deep")
        encode(params.data)
        made: Event = CONVERTER.structure(dict(params.data), ev.EVENTS[on])
    except BaseValidationError as exc:
        raise Failure("bad_params", "; ".join(transform_error(exc, path="data"))[:400], at="with.data") from exc
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as exc:
        raise Failure("bad_params", f"{type(exc).__name__}: {exc}"[:400], at="with.data") from exc
    if any(label.startswith(MADE_UP) for label in getattr(getattr(made, "result", None), "labels", ())):
        # Such a result can be taken away, and then its call runs; the tool of this one may have run already.
        raise Failure("bad_params", f"a label cannot begin with {MADE_UP}", at="with.data.result.labels")
    return made


def _tried(state: State, events: tuple[Event, ...]) -> None:
    """Refuse what has no place in a session, or would break the machine. Raises Failure, and what the machine does."""
    for event in events:
        try:
            state = advance(state, event).after
        except NoTransition as exc:
            text = f"{event.on.value} has no place in a session that is {state.phase.value}"
            raise Failure("refused", text) from exc
        except TwinstepError:
            raise
        except Exception as exc:
            text = f"{event.on.value} cannot be like this: {type(exc).__name__}: {exc}"
            raise Failure("bad_params", text[:400], at="with.data") from exc


def _words(text: str) -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP"}]}


def _plain(change: ev.Change) -> dict[str, Any]:
    secret = any(map(is_secret, change.path.split(".")))
    value = Secret.of(change.value) if secret else change.value
    return {"path": change.path, "op": change.op, "value": plain(value, Bounds(text=2_000))}
