"""Commands that let a session stand or go: pause, continue, step, finish, until, cancel, lock."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final

import trio
from attrs import define, field

from debugger.breakpoints.budget import Allowance
from debugger.controller.attending import attached
from debugger.controller.audited import audited
from debugger.controller.engine import Debugger
from debugger.controller.finding import by, driven, hold_of
from debugger.controller.grains import finish, until_of, until_true
from debugger.controller.stopping import standing
from debugger.controller.traveling import Traveling
from debugger.controller.watched import Watched
from debugger.expressions import compile_expression
from debugger.protocol import params as p
from debugger.protocol.errors import Failure
from debugger.server import Caller, Handler
from runtime.errors import TwinstepError
from runtime.sessions.gate import STEP, Until
from runtime.sessions.session import Session
from runtime.step import OPEN, CallPhase
from runtime.step import events as ev

CAUSE: Final = 200
"""Characters of an expression that the cause of a stop shows."""
ALL = "*"
"""The session that means every one: those with an open prompt to pause, those that the caller drives to go on."""


@define(eq=False)
class Running:
    """Handlers. Each takes caller and params (`debugger.protocol.params`)."""

    debugger: Debugger
    record: Traveling
    """What goes forward from the past: it goes over the record."""
    allowance: Allowance = field(factory=Allowance)

    def handlers(self) -> Mapping[str, Handler]:
        """Return them by the names of their commands."""
        return {
            "pause": self.pause,
            "continue": self.go_on,
            "step": self.step,
            "finish": self.finish,
            "until": self.until,
            "cancel": self.cancel,
            "lock": self.lock,
        }

    async def pause(self, caller: Caller, params: p.Pause) -> Any:
        """Hold a session at its next border, or every one that has an open prompt and that nobody else drives.

        It waits for nothing: not even a pass of the loop may lie between the command and the hold.
        """
        if params.session == ALL:
            return self._each(self._open(caller), lambda session: self._pause(caller, session, params.reason))
        return self._pause(caller, attached(self.debugger, caller, params.session), params.reason)

    def _pause(self, caller: Caller, session: Session, reason: str) -> dict[str, Any]:
        self.debugger.dispatcher.hold(session, by(caller), *([reason] if reason else []))
        return self._standing(session)

    def _open(self, caller: Caller) -> Iterator[Session]:
        for session in tuple(self.debugger.roster.live.values()):
            if session.state.phase in OPEN and session.broken is None:
                try:
                    yield attached(self.debugger, caller, session.id)
                except TwinstepError:
                    continue  # somebody else drives it

    async def go_on(self, caller: Caller, params: p.Held) -> Any:
        """Let a session go on, or all that this connection drives."""
        await trio.lowlevel.checkpoint()
        if params.session == ALL:
            mine = [one for one in self.debugger.roster.live.values() if self._drives(caller, one) and one.state.hold]
            return self._each(mine, lambda session: self._release_at_head(caller, session))
        session = driven(self.debugger, caller, params.session)
        hold = hold_of(session, params.generation)
        cursor = self.debugger.cursor(session)
        if cursor is not None:
            return await self.record.go_on(caller, session, cursor)
        self._release(caller, session)
        return {"generation": hold.generation}

    def _release_at_head(self, caller: Caller, session: Session) -> None:
        """Whoever looks at the past of one session means its record by going on, and not its head."""
        if self.debugger.cursor(session) is not None:
            text = f"the past of session {session.id} is looked at: continue it alone, or `goto last`"
            raise Failure("refused", text)
        self._release(caller, session)

    def _release(self, caller: Caller, session: Session) -> None:
        self._free(session)
        self.debugger.dispatcher.release(session, by(caller))

    def _each(self, sessions: Iterable[Session], act: Callable[[Session], Any]) -> dict[str, Any]:
        """Do the same with several sessions: one that cannot keeps nobody else from it."""
        done: list[str] = []
        failed: dict[str, str] = {}
        for session in sessions:
            try:
                act(session)
                done.append(session.id)
            except TwinstepError as exc:
                failed[session.id] = str(exc)
        return {"sessions": done} | ({"failed": failed} if failed else {})

    def _drives(self, caller: Caller, session: Session) -> bool:
        lease = self.debugger.leases.of(session.id)
        return lease is not None and lease.connection == caller.connection

    def _free(self, session: Session) -> None:
        """Only a lock that is on stays when the session goes on."""
        if self.debugger.look(session).mode != "on":
            self.debugger.dispatcher.focus(session, "")

    async def step(self, caller: Caller, params: p.Steps) -> Any:
        """Let a session go one step or more."""
        await trio.lowlevel.checkpoint()
        session = driven(self.debugger, caller, params.session)
        watched = self.debugger.look(session)
        hold_of(session, params.generation)
        if watched.cursor is not None:
            return await self.record.step(caller, session, watched.cursor, params)
        call = params.call or watched.call
        if params.call:
            _call(session, params.call)
        self._lock(watched, call)
        return self._run(caller, session, params.generation, until_of(watched, params.grain, params.count, params.call))

    def _lock(self, watched: Watched, call: str) -> None:
        """With the lock on, or for a step, only one call goes on."""
        session = watched.session
        hold = session.state.hold
        chosen = call or (hold.call if hold is not None else "")
        if watched.mode == "off" or not chosen or not _goes_on(session, chosen):
            return
        self.debugger.dispatcher.focus(session, chosen)

    async def finish(self, caller: Caller, params: p.Held) -> Any:
        """Let a session go on to the end of its call or turn."""
        await trio.lowlevel.checkpoint()
        session = driven(self.debugger, caller, params.session)
        watched = self.debugger.look(session)
        hold_of(session, params.generation)
        if watched.cursor is not None:
            return await self.record.finish(caller, session, watched.cursor)
        self._lock(watched, "")
        return self._run(caller, session, params.generation, finish(watched))

    async def until(self, caller: Caller, params: p.Until) -> Any:
        """Let a session go on until an expression is true."""
        await trio.lowlevel.checkpoint()
        session = driven(self.debugger, caller, params.session)
        expression = compile_expression(params.expr)
        hold_of(session, params.generation)
        cursor = self.debugger.cursor(session)
        if cursor is not None:
            return await self.record.until(caller, session, cursor, expression)
        self._free(session)
        told = partial(self._too_costly, session, f"until {_short(params.expr)}")
        until = until_true(expression, self.debugger.border, self.allowance.pay, told)
        return self._run(caller, session, params.generation, until, f"until {_short(params.expr)}")

    def _too_costly(self, session: Session, what: str) -> None:
        why = f"{what} is not true, and stops: it takes too much of everybody's time; look at fewer items"
        self.debugger.tell("breakpoint", {"id": None, "what": "failed", "why": why}, session.id)

    def _run(
        self, caller: Caller, session: Session, generation: int, until: Until, cause: str = STEP
    ) -> dict[str, Any]:
        hold = hold_of(session, generation)
        self.debugger.look(session).last = None
        self.debugger.dispatcher.run_until(session, by(caller), until, hold.generation, cause)
        return {"generation": hold.generation}

    async def cancel(self, caller: Caller, params: p.Cancel) -> Any:
        """End the open prompt of a session. A session that is held stays so."""
        debugger = self.debugger
        session = driven(debugger, caller, params.session)
        debugger.leave_past(session)  # a prompt is open at the head, if anywhere
        if session.state.phase not in OPEN:
            raise Failure("refused", f"session {session.id} has no open prompt: it is {session.state.phase.value}")
        with audited(debugger, caller, session, "cancel", params.reason):
            debugger.control(session, ev.Cancelled(caller.user, params.reason), by(caller))
        await debugger.audit.settled(session.ticket)
        return self._standing(session)

    async def lock(self, caller: Caller, params: p.Lock) -> Any:
        """Say which of several calls go on while one of them is stepped."""
        await trio.lowlevel.checkpoint()
        session = driven(self.debugger, caller, params.session)
        watched = self.debugger.look(session)
        if params.call:
            _call(session, params.call)
        watched.mode, watched.call = params.mode, params.call
        if params.mode == "on":
            self._lock(watched, params.call)
        else:
            self.debugger.dispatcher.focus(session, "")
        return {"mode": watched.mode, "call": session.focus or watched.call}

    def _standing(self, session: Session) -> dict[str, Any]:
        return standing(self.debugger.look(session), self.debugger.here(session))


def _short(expression: str) -> str:
    """An expression in one line of a cause."""
    text = " ".join(expression.split())
    return text if len(text) <= CAUSE else f"{text[:CAUSE]}…"


def _call(session: Session, name: str) -> None:
    if not _goes_on(session, name):
        raise Failure("bad_params", f"session {session.id} has no call {name!r} that could go on", at="with.call")


def _goes_on(session: Session, name: str) -> bool:
    turn = session.state.turn
    found = turn.call(name) if turn is not None else None
    return found is not None and found.phase is not CallPhase.FINISHED
