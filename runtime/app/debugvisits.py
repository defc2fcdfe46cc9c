"""The methods `debug.*` of the gateway: a connection that calls one is a connection of the debugger's service as well.

A pair of sockets is between the two, and the debugger's protocol goes through it as through the Unix socket: roles,
deadlines, bounds, `lag` and what happens when a connection is lost are the same. What comes out is passed on in its
order: answers as responses, events as `debug` {n, event, data}. It is read no faster than the client of the gateway
reads, so that debugging never makes that client one that does not read.

Refuses calls from inside, and connections that may be tools of agents (`debugger.tcp_peers`).
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import trio
from attrs import define, field

from debugger.peers import Peer
from debugger.protocol import COMMANDS, ROLES, VERSION, ClientConnection, Failure, Hello, Role, body_of
from debugger.protocol.client import Answer, Ended, Event, NeedData
from debugger.server import Service
from runtime.gateway import frames
from runtime.gateway.frames import GatewayError, missing_scope
from runtime.gateway.registry import ANSWERED, Call, Method, Raw
from runtime.gateway.scopes import DEBUG_METHODS, DEBUG_SCOPES

if TYPE_CHECKING:
    from runtime.gateway.link import Connection

EVENT: Final = "debug"
WAITING: Final = 1_000_000
"""Bytes that may wait to be sent to a client before it is given more of the debugger's."""
CHUNK: Final = 65_536
TEXT: Final = 200
"""Characters of a name."""
SCOPE_OF: Final[Mapping[str, str]] = dict(zip(ROLES, DEBUG_SCOPES, strict=True))
"""The scope that stands for each role."""
CODES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("denied", "forbidden"), frames.FORBIDDEN),
    **dict.fromkeys(("unavailable", "late", "busy", "closed", "broken", "internal"), frames.UNAVAILABLE),
}
"""The gateway's codes for errors; the others are INVALID_REQUEST."""

Check = Callable[["Connection"], Awaitable[Peer | None]]
"""Returns the process at the other end, None for another machine's. Raises Failure for one that may not come in."""


@define(eq=False)
class _Asked:
    """A request under way."""

    first: Callable[[Any], None]
    done: trio.Event = field(factory=trio.Event)
    error: Failure | None = None


@define(eq=False)
class Visit:
    """One connection of the gateway at the debugger. `ended` says why it is over."""

    link: "Connection"
    role: Role
    ready: trio.Event = field(factory=trio.Event)
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    ended: Failure | None = None
    told: int = 0
    _machine: ClientConnection = field(factory=ClientConnection)
    _stream: trio.SocketStream | None = None
    _turn: trio.StrictFIFOLock = field(factory=trio.StrictFIFOLock)
    _asked: dict[int, _Asked] = field(factory=dict)

    async def run(self, service: Service, check: Check) -> None:
        """Come in, and stay until the debugger ends it or `scope` is cancelled."""
        try:
            with self.scope:
                try:
                    peer = await check(self.link)
                except Failure as exc:
                    self.ended = exc
                    return
                near, far = trio.socket.socketpair()
                self._stream = trio.SocketStream(near)
                async with self._stream, trio.open_nursery() as nursery:
                    nursery.start_soon(service.converse, trio.SocketStream(far), peer)
                    await self._stream.send_all(self._machine.hello(hello(self.link, self.role)))
                    await self._relay(self._stream)
                    nursery.cancel_scope.cancel()
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the debugger hung up
        except* Exception as group:  # noqa: BLE001 - a fault of ours in one visit must not end the gateway
            service.complain(f"the visit of connection {self.link.id}", group)
        finally:
            self._end()

    def _end(self) -> None:
        self.ended = self.ended or closed()
        self.ready.set()
        for asked in self._asked.values():
            asked.error = self.ended
            asked.done.set()

    async def _relay(self, stream: trio.SocketStream) -> None:
        while True:
            match self._machine.next_event():
                case NeedData():
                    await self.link.eased(WAITING)
                    self._machine.receive_data(bytes(await stream.receive_some(CHUNK)))
                case Answer() as answer:
                    self._answer(answer)
                case Event(_, name, data):
                    self._tell(name, data)
                case Ended(error):
                    self.ended = error
                    return
                case _:
                    self.ready.set()

    def _tell(self, name: str, data: Mapping[str, Any]) -> None:
        self.told += 1
        self.link.tell(frames.event(EVENT, {"n": self.told, "event": name, "data": data}))
        self.link.flush()

    def _answer(self, answer: Answer) -> None:
        asked = self._asked.pop(answer.id)
        asked.error = answer.error
        if answer.error is None:
            asked.first(answer.ok)
        asked.done.set()

    async def ask(self, command: str, params: Mapping[str, Any], first: Callable[[Any], None]) -> None:
        """Have a command done, and its result given to `first`. Raises Failure."""
        await self.ready.wait()
        if self.ended is not None or self._stream is None:
            raise self.ended or closed()
        async with self._turn:
            number, frame = self._machine.request(command, params)
            asked = self._asked[number] = _Asked(first)
            try:
                await self._stream.send_all(frame)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                raise closed() from exc
        await asked.done.wait()
        if asked.error is not None:
            raise asked.error


@define(eq=False)
class Visits:
    """All visits; a part of the gateway's desk. `counts` says how the debugger is, for metrics.

    `nursery` is where visits live; without it there are none.
    """

    service: Service
    check: Check
    counts: Callable[[], Mapping[str, int]]
    nursery: trio.Nursery | None = None
    visits: dict[str, Visit] = field(factory=dict)

    def methods(self) -> list[Method]:
        """Return a method for each command."""
        return [Method(f"{DEBUG_METHODS}{name}", self.serve, Raw) for name in COMMANDS]

    def shown(self) -> Mapping[str, int]:
        """Return connections, sessions that are held, stops so far, and sessions that were changed."""
        return self.counts()

    def gone(self, link: "Connection") -> None:
        """A connection of the gateway has ended: what it drove is left as it wanted."""
        visit = self.visits.pop(link.id, None)
        if visit is not None:
            visit.scope.cancel()

    async def vouch(self, link: "Connection | None") -> None:
        """Refuse who may not debug, whatever it can prove. Raises GatewayError."""
        if link is None:
            raise GatewayError(frames.FORBIDDEN, "only a connection of its own may debug")
        try:
            await self.check(link)
        except Failure as exc:
            raise refused(exc) from exc

    async def serve(self, call: Call) -> Any:
        """Do a command of the debugger (docs/reference/debugger-protocol.md)."""
        command = call.method.removeprefix(DEBUG_METHODS)
        needed = SCOPE_OF[COMMANDS[command].role]
        if call.caller is None:
            raise GatewayError(frames.FORBIDDEN, "only a connection of its own may debug")
        if needed not in call.scopes:
            raise missing_scope(needed)
        if not isinstance(call.params, dict):
            raise frames.invalid_params(call.method, "must be object")
        try:
            await self._visit(call.caller).ask(command, call.params, call.first)
        except Failure as exc:
            raise refused(exc) from exc
        return ANSWERED

    def _visit(self, link: "Connection") -> Visit:
        """Return the visit of a connection. One that was denied stays so; one that ended otherwise begins again."""
        visit = self.visits.get(link.id)
        if visit is None or (visit.ended is not None and visit.ended.code != "denied"):
            if self.nursery is None:
                raise Failure("unavailable", "the debugger does not run")
            visit = self.visits[link.id] = Visit(link, role_of(link.scopes))
            self.nursery.start_soon(visit.run, self.service, self.check)
        return visit


def closed() -> Failure:
    """What a call is refused with whose visit is over."""
    return Failure("closed", "the connection to the debugger has ended; the next call begins another one")


def role_of(scopes: frozenset[str]) -> Role:
    """The role that scopes give; they include those before."""
    return max((role for role in ROLES if SCOPE_OF[role] in scopes), key=ROLES.index, default="observer")


def hello(link: "Connection", role: Role) -> Hello:
    """What a connection of the gateway says of itself to the debugger. Leases go by `user`."""
    accepted = link.accepted
    device = accepted.device if accepted is not None else None
    user = (accepted.user if accepted is not None else "") or link.client_id
    version = accepted.client.version if accepted is not None else ""
    client = f"{link.client_id} {version[:40]} from {link.socket.peer} by connection {link.id}"
    return Hello(VERSION, _shown(client), _shown(f"{user}:{device[:8]}" if device else user), role)


def _shown(text: str) -> str:
    return "".join(one for one in text if one.isprintable())[:TEXT] or "?"


def refused(exc: Failure) -> GatewayError:
    """An error of the debugger as one of the gateway; `details` has its code, and the path of what is wrong."""
    details = {name: value for name, value in body_of(exc).items() if name != "message"}
    at = details.get("at", "")
    if at == "with" or at.startswith("with."):
        details["at"] = "params" + at.removeprefix("with")
    return GatewayError(CODES.get(exc.code, frames.INVALID_REQUEST), str(exc), details=details)
