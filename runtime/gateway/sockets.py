"""One WebSocket as its handler sees it, over trio-websocket, and the streams below it.

The library reads, answers pings and closes; frames that carry our messages are written past it, because it would
decode and encode again what is JSON bytes already. What it leaves open is settled here: a peer that breaks the
protocol is told by a close code, a limit counts bytes, a send that was cut short ends the connection. Refuses
compression, and judges neither origins nor tokens: the handshake does.
"""

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Final, Protocol

import trio
from attrs import define, field
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from runtime.errors import RemoteError
from runtime.gateway.http import Limits
from runtime.gateway.http.asgi import Peer, Request
from runtime.gateway.http.server import OnError, Upgrade

READ: Final = 16_384
CREDIT: Final = 32
"""So many reads or writes may go without a checkpoint; then the others get their turn."""
FRAMES: Final = 32
"""So many frames the library gets at once: it takes all that it has before anybody else gets a turn, and a frame of six
bytes costs as much as a large one."""
NO_LIMIT: Final = 2**62
"""For the library: `Scale` sees to it that nothing too large gets there."""

# RFC 6455 section 5.2.
FINAL: Final = 0x80
MASKED: Final = 0x80
DATA: Final = frozenset({0, 1, 2})
CLOSE: Final = 0x88
PING: Final = b"\x89\x00"
WIDE: Final = {126: 2, 127: 8}
FAULTS: Final = frozenset({1002, 1003, 1007, 1009})
"""Codes by which we end a connection that the peer broke (RFC 6455 section 7.4.1)."""


class Gone(RemoteError):
    """The WebSocket is closed: `close_code` and `reason` of RFC 6455 section 7.1.5; 1006 where nobody said goodbye."""

    code = "gone"

    def __init__(self, close_code: int, reason: str) -> None:
        super().__init__(f"the connection was closed with {close_code} {reason!r}")
        self.close_code = close_code
        self.reason = reason


Ends = tuple[tuple[str, int], tuple[str, int]]


class Socket(Protocol):
    """One WebSocket, as a handler gets it. One task receives, and has to keep doing so: pings are answered meanwhile.

    `headers` have lower-case names; a name that came more than once has its values joined by a comma. `ends` are
    address and port of the other end and of this one, where they are known.
    """

    peer: str
    loopback: bool
    secure: bool
    headers: Mapping[str, str]
    path: str
    ends: Ends | None

    async def receive(self) -> str | bytes:
        """The next message: text or binary as it came. Raises `Gone`."""

    async def send(self, *messages: bytes) -> None:
        """Send text messages, given in UTF-8, in one write: at least one, and what may lie in memory twice.

        Waits while the peer does not read; cancelling that ends the connection. Raises `Gone`.
        """

    async def close(self, code: int, reason: str) -> None:
        """Close, and wait for the peer's half, but not for long. A second call does nothing."""

    def limit(self, most: int) -> None:
        """From now on close with 1009 when a message is larger than `most` bytes."""


class EagerStream(trio.abc.HalfCloseableStream):
    """A socket that is tried before it is waited for: most reads and writes need no way through the scheduler."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._socket = stream.socket
        self._credit = CREDIT

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """As `trio.SocketStream.receive_some`, but not every call is a checkpoint."""
        await self._breathe()
        while True:
            try:
                return os.read(self._socket.fileno(), max_bytes or READ)
            except BlockingIOError:
                self._credit = CREDIT
                await trio.lowlevel.wait_readable(self._socket)
            except OSError as exc:
                raise self._broken(exc) from exc

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """As `trio.SocketStream.send_all`, but not every call is a checkpoint."""
        await self._breathe()
        rest = data
        while rest:
            try:
                sent = os.write(self._socket.fileno(), rest)
            except BlockingIOError:
                self._credit = CREDIT
                await trio.lowlevel.wait_writable(self._socket)
            except OSError as exc:
                raise self._broken(exc) from exc
            else:
                rest = memoryview(rest)[sent:] if sent < len(rest) else b""

    async def _breathe(self) -> None:
        self._credit -= 1
        if self._credit <= 0:
            self._credit = CREDIT
            await trio.lowlevel.checkpoint()

    def _broken(self, exc: OSError) -> trio.BrokenResourceError | trio.ClosedResourceError:
        if self._socket.fileno() < 0:
            return trio.ClosedResourceError("this socket was closed here")
        return trio.BrokenResourceError(f"the connection broke: {exc}")

    async def wait_send_all_might_not_block(self) -> None:
        """See `trio.abc.SendStream`."""
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """See `trio.abc.HalfCloseableStream`."""
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """Close at once."""
        await self._stream.aclose()


@define(eq=False)
class Scale:
    """Weighs messages by the heads of their frames, so that one which is too large is refused before it is there.

    The library would count characters of a text, and only what has come. Frames that are wrong pass on to it unjudged.
    `over` says that a message is too large; what comes then is not looked at any more.
    """

    most: int
    over: bool = field(default=False, init=False)
    _message: int = field(default=0, init=False)
    _skip: int = field(default=0, init=False)
    _part: bytes = field(default=b"", init=False)

    def fitting(self, data: bytes | bytearray) -> int:
        """How many bytes of `data` the library may have now: up to the frame that makes its message too large, and
        FRAMES frames at most. The rest is to be weighed again, if no message is too large.
        """
        if self._skip >= len(data):
            self._skip -= len(data)
            return len(data)
        view = self._part + data if self._part else data
        start, at, frames = -len(self._part), self._skip, 0
        while at + 2 <= len(view):
            if frames == FRAMES:
                self._part, self._skip = b"", 0
                return start + at
            frames += 1
            short = view[at + 1] & 0x7F
            key = at + 2 + WIDE.get(short, 0)
            if key > len(view):
                break
            size = int.from_bytes(view[at + 2 : key], "big") if short in WIDE else short
            if view[at] & 0x0F in DATA:
                self._message += size
                if self._message > self.most:
                    self.over = True
                    return max(0, start + at)
                if view[at] & FINAL:
                    self._message = 0
            at = key + (4 if view[at + 1] & MASKED else 0) + size
        self._part = bytes(view[at:])
        self._skip = max(0, at - len(view))
        return len(data)


class Switched(trio.abc.Stream):
    """What the library reads and writes: first the request again, then what the peer sends.

    Writes are whole frames, one after the other. One that was cut short leaves the peer in the middle of a frame, so
    nothing is written after it; nor after a close frame (RFC 6455 section 5.5.1).
    """

    def __init__(self, stream: trio.abc.Stream, upgrade: Upgrade, early: bytes, most: int) -> None:
        lines = [
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade",
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + upgrade.key,
            *(b"Sec-WebSocket-Protocol: " + name.encode("ascii") for name in upgrade.protocols[:1]),
        ]
        self.stream = stream
        self.scale = Scale(most)
        self.connection: WebSocketConnection | None = None
        self.heard = 0.0  # when the peer last sent anything
        self.reading = False
        self._request = b"\r\n".join(lines) + b"\r\n\r\n"
        self._early = early
        self._opened = trio.Event()
        self._turn = trio.StrictFIFOLock()
        self._closed = trio.Event()
        self._torn = self._last = self._closing = False

    @property
    def oversized(self) -> bool:
        """Whether the peer sent a message that is too large."""
        return self.scale.over

    @property
    def code(self) -> int:
        """The code with which the connection was closed, or 0."""
        if self.oversized:
            return 1009
        closed = self.connection.closed if self.connection else None
        return int(closed.code) if closed else 0

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """The request, and once it is answered what comes after it: the library would lose bytes that come before.

        Many frames that came at once are given some at a time, and others have their turn in between.
        """
        data: bytes | bytearray
        if self._request:
            data, self._request = self._request, b""
            return data
        if not self._opened.is_set():
            await self._opened.wait()
        if self.oversized:
            await self._tell(1009)
            return b""
        if self._early:
            await trio.lowlevel.checkpoint()
            data, self._early = self._early, b""
        else:
            self.reading = True
            try:
                data = await self.stream.receive_some(max_bytes)
            finally:
                self.reading = False
            self.heard = trio.current_time()
        fitting = self.scale.fitting(data)
        if fitting == len(data):
            return data
        if self.scale.over:
            return data[:fitting] or await self.receive_some()
        self._early = bytes(data[fitting:])
        return data[:fitting]

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send whole frames (or the answer to the request) when those before them are sent."""
        try:
            self._turn.acquire_nowait()
        except trio.WouldBlock:
            await self._turn.acquire()
        try:
            if self._torn or self._last:
                raise trio.BrokenResourceError("nothing can be sent on this connection any more")
            self._torn = True
            await self.stream.send_all(data)
            self._torn = False
            self._last = data[0] == CLOSE
        finally:
            self._turn.release()
        self._opened.set()

    async def wait_send_all_might_not_block(self) -> None:
        """See `trio.abc.SendStream`."""
        await self.stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close, or wait for whoever does. A peer that broke the protocol is told first: the library only hangs up."""
        if self._closing:
            await self._closed.wait()
            return
        self._closing = True
        try:
            if self.code in FAULTS:
                await self._tell(self.code)
                await self._drain()
        finally:
            try:
                with trio.move_on_after(1):
                    await self.stream.aclose()
            finally:
                self._closed.set()

    async def _tell(self, code: int) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError), trio.move_on_after(1):
            if not self._last:
                await self.send_all(bytes((CLOSE, 2)) + code.to_bytes(2, "big"))

    async def _drain(self) -> None:
        """Throw away what was sent before the peer knew, or a reset would take the close frame from it again."""
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError), trio.move_on_after(1):
            if isinstance(self.stream, trio.abc.HalfCloseableStream):
                await self.stream.send_eof()
            while await self.stream.receive_some(READ):
                pass


def text_frames(messages: Iterable[bytes]) -> bytes:
    """Each of these as a whole, unmasked text frame (RFC 6455 section 5.2), one after the other."""
    parts: list[bytes] = []
    for message in messages:
        parts += head_of(len(message)), message
    return b"".join(parts)


@lru_cache(maxsize=1024)
def head_of(size: int) -> bytes:
    """The head of a text frame with so many bytes."""
    if size < 126:
        return bytes((0x81, size))
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big")
    return b"\x81\x7f" + size.to_bytes(8, "big")


def joined(request: Request) -> dict[str, str]:
    """The headers of a request as a mapping (RFC 9110 section 5.3)."""
    headers: dict[str, str] = {}
    for name, value in request.headers:
        key, text = name.decode("ascii"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


@define(eq=False)
class UpgradedSocket:
    """`Socket` over a connection of the library."""

    peer: str
    loopback: bool
    secure: bool
    headers: Mapping[str, str]
    path: str
    ends: Ends | None
    _connection: WebSocketConnection
    _stream: Switched
    _limits: Limits
    _said: Gone | None = field(default=None, init=False)

    async def receive(self) -> str | bytes:
        """See `Socket`."""
        try:
            return await self._connection.get_message()
        except ConnectionClosed:
            raise self._gone() from None

    async def send(self, *messages: bytes) -> None:
        """See `Socket`."""
        if self._said or self._connection.closed:
            raise self._gone()
        try:
            await self._stream.send_all(text_frames(messages))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise self._gone() from None

    async def close(self, code: int, reason: str) -> None:
        """See `Socket`."""
        if not self._said and not self._stream.code:
            self._said = Gone(code, reason)
        with trio.move_on_after(self._limits.close_seconds):
            await self._connection.aclose(code, reason)

    def limit(self, most: int) -> None:
        """See `Socket`."""
        self._stream.scale.most = most

    @property
    def closing(self) -> bool:
        """Whether this end has begun to close."""
        return self._said is not None

    async def beat(self) -> None:
        """Ping now and then, and end a connection whose peer then stays silent (CONTRACT section 1).

        A peer is judged only while the library reads: an answer may wait behind a message that the handler does not
        take, and then the fault is ours.
        """
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while True:
                await trio.sleep(self._limits.ping_seconds)
                await self._stream.send_all(PING)
                asked = trio.current_time()
                await trio.sleep(self._limits.pong_seconds)
                if self._stream.reading and self._stream.heard < asked:
                    self._said = self._said or Gone(1006, "no answer to a ping")
                    await trio.aclose_forcefully(self._stream.stream)

    def _gone(self) -> Gone:
        if self._said:
            return Gone(self._said.close_code, self._said.reason)
        if self._stream.oversized:
            return Gone(1009, "")
        closed = self._connection.closed
        return Gone(int(closed.code), closed.reason or "") if closed else Gone(1006, "")


OnSocket = Callable[[Socket], Awaitable[None]]


@define(eq=False)
class Attendance:
    """One connection from its upgrade to its end: the library's reader, and the handler beside it."""

    upgrade: Upgrade
    stream: Switched
    peer: Peer
    limits: Limits
    on_socket: OnSocket
    on_error: OnError

    async def run(self) -> None:
        """Open the WebSocket and have it handled. A handler that returns closes with 1000, one that fails with 1011."""
        try:
            async with trio.open_nursery() as nursery:
                socket = await nursery.start(self._read)
                if socket is not None:
                    await socket.close(*await self._handle(socket))
                await self.stream.aclose()
                nursery.cancel_scope.cancel()
        finally:
            self.stream.connection = None  # they hold each other

    async def _handle(self, socket: UpgradedSocket) -> tuple[int, str]:
        end = 1000, ""
        try:
            await self.on_socket(socket)
        except* Gone:
            pass
        except* Exception as group:  # noqa: BLE001 - a handler that fails must not take the other connections with it
            self.on_error(f"WebSocket {socket.path}", group.exceptions[0] if len(group.exceptions) == 1 else group)
            end = 1011, "internal error"
        return end

    async def _read(self, *, task_status: trio.TaskStatus[UpgradedSocket | None]) -> None:
        """Run the library apart from the handler, which is told by `Gone` and not cancelled by its faults."""
        socket: UpgradedSocket | None = None
        try:
            async with trio.open_nursery() as nursery:
                with trio.fail_after(self.limits.handshake_seconds):
                    socket = self._wrap(await self._accept(nursery))
                task_status.started(socket)
                await socket.beat()
        except* (ConnectionClosed, trio.TooSlowError):
            pass  # the peer left before it had its answer, or does not take it
        except* Exception as group:  # noqa: BLE001 - the library objects to pings that come while it closes
            if socket is None or not socket.closing:
                self.on_error(f"WebSocket {self.upgrade.request.path}", group)
        await self.stream.aclose()
        if socket is None:
            task_status.started(None)

    async def _accept(self, nursery: trio.Nursery) -> WebSocketConnection:
        request = await wrap_server_stream(nursery, self.stream, max_message_size=NO_LIMIT, receive_buffer_size=READ)
        # The first protocol offered is taken, as the peer's server does (observed); only one is spoken anyway.
        return await request.accept(subprotocol=next(iter(self.upgrade.protocols), None))

    def _wrap(self, connection: WebSocketConnection) -> UpgradedSocket:
        self.stream.connection = connection
        peer, request = self.peer, self.upgrade.request
        return UpgradedSocket(
            peer=peer.address,
            loopback=peer.loopback,
            secure=peer.secure,
            headers=joined(request),
            path=request.path,
            ends=((peer.address, peer.port), peer.here) if peer.here is not None else None,
            connection=connection,
            stream=self.stream,
            limits=self.limits,
        )
