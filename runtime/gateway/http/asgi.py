"""One HTTP request as an ASGI app sees it: its scope and the two ends `receive` and `send`, over h11.

Refuses a body above the limit, a body that stalls, framing that two readers could understand differently, and an app
that breaks HTTP. Knows no sockets: bytes come from an `Inlet` and go to an `Outlet`.

Beyond the standard an app finds `scope["extensions"]["twinstep"]`: `loopback`, whether the peer is this machine, and
`limit_body(most)`, to be called before the first `receive()` where a path wants another limit than the default. Above
it the server itself answers 413 and cancels the call.
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from typing import Any, Final, Protocol
from urllib.parse import unquote_to_bytes

import h11
import trio
from attrs import define, field, frozen

from runtime.errors import LocalError
from runtime.gateway.http import Limits, Unacceptable

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Message, Receive, Send], Awaitable[None]]

BODILESS: Final = frozenset({204, 304})
SPARE: Final = 65_536
"""So many bytes of a body that an app did not want are read and thrown away, to keep the connection."""


class Inlet(Protocol):
    """Bytes of the connection that were read ahead."""

    held: bytearray
    ended: bool

    async def more(self) -> bool:
        """Wait for bytes beyond those held; False at the end of the stream."""

    def take(self) -> bytes:
        """All that is held. Makes room for more."""


class Outlet(Protocol):
    """Where a response goes."""

    async def write(self, data: bytes) -> None:
        """Send all of it, or raise `trio.BrokenResourceError` if the peer is gone or does not take it in time."""


@frozen
class Peer:
    """Who is at the other end, and what it reached."""

    address: str
    port: int = 0
    loopback: bool = False
    secure: bool = False
    here: tuple[str, int] | None = None


@frozen
class Request:
    """A request whose head was found to be in order. `target` is in origin form; names of headers are lower case."""

    method: str
    target: bytes
    version: str
    headers: tuple[tuple[bytes, bytes], ...]

    @property
    def path(self) -> str:
        """The path, percent-decoded."""
        return unquote_to_bytes(self.target.partition(b"?")[0]).decode("utf-8", "replace")

    def values(self, name: bytes) -> list[bytes]:
        """Every value of a header."""
        return [value for key, value in self.headers if key == name]

    def tokens(self, name: bytes) -> set[bytes]:
        """The comma-separated words of a header, lower case."""
        return {word.strip().lower() for value in self.values(name) for word in value.split(b",")} - {b""}


def scope_of(request: Request, peer: Peer, limit_body: Callable[[int], None]) -> Message:
    """The ASGI connection scope (ASGI HTTP 2.4)."""
    path, _, query = request.target.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": request.version,
        "method": request.method,
        "scheme": "https" if peer.secure else "http",
        "path": request.path,
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": list(request.headers),
        "client": (peer.address, peer.port),
        "server": peer.here,
        "state": {},
        "extensions": {"twinstep": {"limit_body": limit_body, "loopback": peer.loopback}},
    }


def reason(status: int) -> bytes:
    """The phrase of a status, or nothing for one that is not registered."""
    try:
        return HTTPStatus(status).phrase.encode("ascii")
    except ValueError:
        return b""


@define(eq=False)
class Exchange:
    """One request and its response. Cancels the app's call, by `scope`, when there is nobody left to answer.

    `refused` is set when the server has to answer in place of the app; `started` when some of the response was sent,
    `done` when all of it was; `read` when the body was; `left` when the client has gone.
    """

    request: Request
    conn: h11.Connection
    inlet: Inlet
    outlet: Outlet
    limits: Limits
    date: Callable[[], bytes | None]
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    refused: Unacceptable | None = None
    started: bool = False
    done: bool = False
    read: bool = False
    left: bool = False
    most: int = 0
    _size: int = 0
    _tail: bytes = b""
    _deadline: float = 0.0
    _head: h11.Response | None = None
    _mute: bool = False
    _told: bool = False
    _over: trio.Event = field(factory=trio.Event)

    def __attrs_post_init__(self) -> None:
        self.most = self.limits.body_bytes
        self._deadline = trio.current_time() + self.limits.request_seconds
        self._advance()

    def limit_body(self, most: int) -> None:
        """From now on refuse a body above `most` bytes."""
        self.most = most

    def depart(self) -> None:
        """The client has left: tell whoever waits in `receive`, and give the app a moment to end."""
        if not self.left and not self.done:
            self.left = True
            self._over.set()
            self.scope.deadline = min(self.scope.deadline, trio.current_time() + self.limits.farewell_seconds)

    async def receive(self) -> Message:
        """The next piece of the body; after it, wait until the client leaves or has its response (ASGI HTTP)."""
        if self._told or self.done:
            await self._over.wait()
            return {"type": "http.disconnect"}
        try:
            return await self._body()
        except Unacceptable as exc:
            self.refused = exc
        self.scope.cancel()
        await trio.sleep_forever()
        raise LocalError("a call went on after it was cancelled")

    async def _body(self) -> Message:
        if self._declared > self.most:
            raise too_large(self.most)
        parts: list[bytes] = []
        event: object = h11.EndOfMessage() if self.read else await self._pull(self.limits.body_seconds)
        while isinstance(event, h11.Data):
            parts.append(bytes(event.data))
            self._size += len(event.data)
            if self._size > self.most:
                raise too_large(self.most)
            event = self._advance()
        if event is None:
            self._told = True
            self.depart()
            return {"type": "http.disconnect"}
        self._told = self.read
        return {"type": "http.request", "body": b"".join(parts), "more_body": not self.read}

    async def rest(self) -> bool:
        """Throw away what the app did not read. False where the connection ends instead."""
        size = self._declared
        try:
            while not self.read and size <= SPARE and self.conn.our_state is h11.DONE:
                event = await self._pull(self.limits.linger_seconds)
                if event is None:
                    return False
                size += len(event.data) if isinstance(event, h11.Data) and not self._declared else 0
        except Unacceptable:
            return False
        return self.read and self.conn.our_state is h11.DONE

    async def _pull(self, silence: float) -> h11.Event | None:
        """The next event of the body, or None when the peer ended in the middle of it."""
        while (event := self._advance()) is h11.NEED_DATA:
            if not self.inlet.held:
                await self._invite()
                until = min(trio.current_time() + silence, self._deadline)
                with trio.move_on_at(until) as wait:
                    if not await self.inlet.more():
                        return None
                if wait.cancelled_caught:
                    raise Unacceptable(408, "The body did not arrive in time.")
            data = self.inlet.take()
            self._tail = self._tail[-4:] + data
            self.conn.receive_data(data)
        return event if isinstance(event, h11.Data | h11.EndOfMessage) else None

    async def _invite(self) -> None:
        """Ask for the body where the client waits to be asked (RFC 9110 section 10.1.1)."""
        if self.conn.they_are_waiting_for_100_continue and not self.started:
            interim = h11.InformationalResponse(status_code=100, headers=[], reason=reason(100))
            await self._write(self.conn.send(interim) or b"")

    def _advance(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        try:
            event = self.conn.next_event()
        except h11.RemoteProtocolError as exc:
            raise Unacceptable(exc.error_status_hint, f"The body cannot be read: {exc}.") from exc
        if isinstance(event, h11.EndOfMessage):
            self.read = True
            rest, _ = self.conn.trailing_data
            if event.headers or (self._chunked and not self._tail[: len(self._tail) - len(rest)].endswith(b"\r\n\r\n")):
                # h11 takes bare line feeds here, which another reader in front of us would not.
                raise Unacceptable(400, "The body ends with trailers or with bare line feeds, which are not accepted.")
            self.inlet.held[:0] = rest
        return event

    @property
    def _chunked(self) -> bool:
        return bool(self.request.values(b"transfer-encoding"))

    @property
    def _declared(self) -> int:
        """What the head says of the size; h11 has seen to it that it is one number."""
        return int(next(iter(self.request.values(b"content-length")), 0))

    async def send(self, message: Message) -> None:
        """Take `http.response.start` or `http.response.body` (ASGI HTTP). Waits until the peer has room.

        Raises `BrokenPipeError` when the client has left, as ASGI asks, and `LocalError` when the app breaks HTTP.
        """
        try:
            match message["type"]:
                case "http.response.start" if self._head is None and not self.started:
                    await self._start(message["status"], message.get("headers", ()))
                case "http.response.body" if self._head is not None or (self.started and not self.done):
                    await self._piece(bytes(message.get("body", b"")), last=not message.get("more_body", False))
                case kind:
                    raise LocalError(f"an app sent {kind!r} where HTTP has no place for it")
        except h11.LocalProtocolError as exc:
            where = f"{self.request.method} {self.request.path}"
            raise LocalError(f"an app broke HTTP in its answer to {where}: {exc}") from exc

    async def _start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        fields = [(bytes(name), bytes(value)) for name, value in headers]
        names = {name.lower() for name, _ in fields}
        if b"date" not in names and (date := self.date()):
            fields.append((b"date", date))
        if self.conn.they_are_waiting_for_100_continue:
            fields.append((b"connection", b"close"))  # nobody can tell whether the body will still come
        self._head = h11.Response(status_code=status, headers=fields, reason=reason(status))
        self._mute = self.request.method == "HEAD" or status in BODILESS
        if b"content-length" not in names and not self._mute:
            await self._piece(b"", last=False)  # a stream: the client may want to know that it has begun

    async def _piece(self, data: bytes, *, last: bool) -> None:
        out = b""
        if self._head:
            out, self._head = self.conn.send(self._head) or b"", None
            self.started = True
        if data and not self._mute:
            out += self.conn.send(h11.Data(data=data)) or b""
        if last:
            out += self.conn.send(h11.EndOfMessage()) or b""
        if out:
            await self._write(out)
        if last:
            self.done = True
            self._over.set()

    async def _write(self, data: bytes) -> None:
        try:
            await self.outlet.write(data)
        except trio.BrokenResourceError as exc:
            self.depart()
            raise BrokenPipeError(f"the client of {self.request.path} has left: {exc}") from exc


def too_large(most: int) -> Unacceptable:
    """The refusal of a body (RFC 9110 section 15.5.14)."""
    return Unacceptable(413, f"The body is larger than {most} bytes.")
