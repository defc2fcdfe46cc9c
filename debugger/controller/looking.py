"""Commands that show something of a session and change nothing. What they show holds no secret, and is bounded."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import trio
from attrs import asdict, define

from debugger.controller.engine import Debugger
from debugger.controller.finding import find
from debugger.controller.stopping import facts, shown
from debugger.controller.travel import sliced, timeline_of
from debugger.expressions import ABSENT, compile_expression, compile_path
from debugger.inspect import (
    Bounds,
    NoSuchPath,
    conversation,
    diff,
    finding,
    next_request,
    plain,
    request_body,
    tree,
    where,
    why,
)
from debugger.inspect.plain import BUDGET
from debugger.inspect.tasks import tasks
from debugger.protocol import params as p
from debugger.protocol.errors import Failure
from debugger.server import Caller, Handler
from runtime.sessions.session import Session
from runtime.step import State
from runtime.vocab import DEEPEST, encode

REQUEST: Final = "request"
"""The path whose bytes are the next request to the model."""
WHOLE: Final = 1 << 20
"""Characters of texts, and entries of one list, that one value may have whose bytes are shown whole."""


@define(eq=False)
class Looking:
    """Handlers. Each takes caller and params (`debugger.protocol.params`)."""

    debugger: Debugger

    def handlers(self) -> Mapping[str, Handler]:
        """Return them by the names of their commands."""
        return {
            "where": self.where,
            "why": self.why,
            "tree": self.tree,
            "print": self.show,
            "bytes": self.bytes,
            "history": self.history,
            "request": self.request,
            "tasks": self.tasks,
            "info": self.info,
            "diff": self.diff,
            "find": self.find,
            "audit": self.audit,
        }

    async def _session(self, name: str) -> Session:
        await trio.lowlevel.checkpoint()
        session = find(self.debugger, name)
        self.debugger.look(session)
        return session

    async def where(self, caller: Caller, params: p.Session) -> Any:
        """Session, agent, prompt, turn, phase and calls."""
        session = await self._session(params.session)
        return where(self.debugger.here(session), facts(self.debugger, session))

    async def why(self, caller: Caller, params: p.Session) -> Any:
        """Why it stopped and what it waits for."""
        session = await self._session(params.session)
        made = why(self._state(session), facts(self.debugger, session))
        cursor = self.debugger.cursor(session)
        if cursor is None:
            return made
        looks = f"You look at record {cursor.seq}, step {cursor.border.steps}, and nothing runs there."
        return made | {"sentence": f"{looks} {made['sentence']}"}

    def _state(self, session: Session) -> State:
        """The state that one looks at."""
        cursor = self.debugger.cursor(session)
        return session.state if cursor is None else cursor.border.state

    def _earlier(self, session: Session) -> Iterable[State]:
        """The states before it, as far as they are kept."""
        cursor = self.debugger.cursor(session)
        if cursor is None:
            return session.states
        return [one.state for one in cursor.walk.path[: cursor.place]]

    async def tree(self, caller: Caller, params: p.Tree) -> Any:
        """A part of the state."""
        session = await self._session(params.session)
        return tree(self.debugger.here(session), params.path or "state", params.start, params.count, params.depth)

    async def show(self, caller: Caller, params: p.Expr) -> Any:
        """The value of an expression."""
        session = await self._session(params.session)
        return shown(compile_expression(params.expr), self.debugger.here(session))

    async def bytes(self, caller: Caller, params: p.Bytes) -> Any:
        """A part of one value as it is on the wire. What is secret is veiled there too."""
        session = await self._session(params.session)
        if params.path == REQUEST:
            body = request_body(self._state(session), self._earlier(session), params.start, params.count)
            return {"text": body["text"], "start": body["start"], "total": body["bytes"]}
        value = compile_path(params.path)(self.debugger.here(session))
        if value is ABSENT:
            raise Failure(NoSuchPath.code, f"there is nothing at {params.path!r} now", at="with.path")
        whole = encode(plain(value, Bounds(WHOLE, DEEPEST, WHOLE, BUDGET // 4, WHOLE)))
        piece = whole[params.start : params.start + params.count]
        return {"text": piece.decode("utf-8", "ignore"), "start": params.start, "total": len(whole)}

    async def history(self, caller: Caller, params: p.Slice) -> Any:
        """A part of the conversation."""
        session = await self._session(params.session)
        return conversation(self._state(session), params.start, params.count)

    async def request(self, caller: Caller, params: p.NextRequest) -> Any:
        """The next request to the model, by parts."""
        session = await self._session(params.session)
        return next_request(self._state(session), self._earlier(session), diff=params.diff)

    async def tasks(self, caller: Caller, params: p.Session) -> Any:
        """What runs for the session: tasks, deadlines, queues, processes."""
        return await tasks(await self._session(params.session), self.debugger.dispatcher)

    async def diff(self, caller: Caller, params: p.Diff) -> Any:
        """What differs between two records."""
        session = await self._session(params.session)
        new = self._state(session) if params.b is None else await self._recorded(session, params.b)
        return diff(await self._recorded(session, params.a), new)

    async def _recorded(self, session: Session, seq: int) -> State:
        if not 1 <= seq <= session.state.seq:
            raise Failure("no_step", f"session {session.id} has records 1 to {session.state.seq}, and no {seq}")
        return (await timeline_of(self.debugger, session)).at(seq)

    async def find(self, caller: Caller, params: p.Find) -> Any:
        """Text in the session. Others run while a long one is searched."""
        session = await self._session(params.session)
        return await sliced(finding(self._state(session), params.text, params.limit))

    async def audit(self, caller: Caller, params: p.AuditLog) -> Any:
        """The last entries of the audit."""
        audit = self.debugger.audit
        report = await audit.verify() if params.verify else None
        made: dict[str, Any] = {"entries": [asdict(one) for one in await audit.entries(params.limit, params.session)]}
        if report is not None:
            made["verified"] = {"count": report.head.number, "hash": report.head.hash, "faults": list(report.faults)}
        return made

    async def info(self, caller: Caller, params: p.Info) -> Any:
        """One table about a session."""
        session = await self._session(params.session)
        if params.topic == "audit":
            return await self.audit(caller, p.AuditLog(session.id, verify=True))
        state = self._state(session)
        made: dict[str, Callable[[], Any]] = {
            "calls": lambda: _calls(state, session.focus),
            "tools": lambda: _tools(state),
            "agents": lambda: self._agents(session),
            "usage": lambda: _usage(state),
            "timers": lambda: _timers(session),
            "locks": lambda: _locks(session),
            "queue": lambda: _queue(self.debugger, session),
            "policy": lambda: _policy(state),
            "clients": lambda: self._clients(session),
        }
        return {"topic": params.topic, "rows": made[params.topic]()}

    def _agents(self, session: Session) -> Any:
        key, agent = self.debugger.names.of(session.id)
        return [{"agent": agent, "key": key, "session": session.id}]

    def _clients(self, session: Session) -> Any:
        lease = self.debugger.leases.of(session.id)
        return [
            {
                "connection": one.connection,
                "user": one.user,
                "drives": lease is not None and lease.connection == one.connection,
            }
            for one in self.debugger.leases.watchers(session.id)
        ]


def _calls(state: State, focus: str) -> Any:
    turn = state.turn
    return [
        {"id": one.id, "name": one.name, "phase": one.phase.value, "wave": one.wave, "edited": one.edited}
        | {"focus": focus == one.id, "args": plain(one.args, Bounds(text=400))}
        for one in (turn.calls if turn is not None else ())
    ]


def _tools(state: State) -> Any:
    context = state.context
    if context is None:
        return []
    offered = context.toolset
    whole = context.offered or offered
    return [
        {
            "name": name,
            "effect": whole.effects.get(name, ""),
            "serial": name in whole.serial,
            "offered": name in offered.names,
        }
        for name in whole.names
    ]


def _usage(state: State) -> Any:
    use = state.usage
    return [
        {"what": name, "tokens": getattr(use, name)}
        for name in ("prompt", "candidates", "cached", "thoughts", "tool", "total")
    ] + [{"what": "last prompt", "tokens": state.last_prompt_tokens}, {"what": "turns", "turns": state.turns}]


def _timers(session: Session) -> Any:
    frozen = session.deadlines.frozen
    return [
        {
            "name": one.name,
            "call": one.call,
            "seconds": _finite(one.seconds),
            "left": _finite(one.left),
            "frozen": frozen,
        }
        for one in session.deadlines.opened()
    ]


def _finite(seconds: float) -> float | None:
    return None if seconds == float("inf") else seconds


def _locks(session: Session) -> Any:
    """A session holds no lock; this shows who waits for it, which is all that could stand still with it."""
    return [{"waits_for": name, "tasks": count} for name, count in session.parked.items()]


def _queue(debugger: Debugger, session: Session) -> Any:
    ready, crowd = debugger.dispatcher.place(session)
    return [
        {"queue": "run queue", "place": ready},
        {"queue": "waiting to open a prompt", "place": crowd},
        {"queue": "inbox", "events": len(session.inbox), "characters": session.characters, "full": session.crowded},
        {"queue": "lane", "messages": len(session.state.lane)},
    ]


def _policy(state: State) -> Any:
    settings = state.settings
    return [
        {"setting": name, "value": plain(getattr(settings, name))}
        for name in ("mode", "interactive", "max_turns", "max_attempts", "hooks", "workspace")
    ]
