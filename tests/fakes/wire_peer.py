"""The port of the gateway over memory streams, and a peer that speaks to it in raw bytes."""

import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import h11
import trio
import trio.testing
from attrs import define, field, frozen

from runtime.gateway.http import Limits
from runtime.gateway.http.asgi import ASGIApp, Message, Peer, Receive, Send
from runtime.gateway.http.server import Service
from runtime.gateway.listener import Port, no_path
from runtime.gateway.sockets import OnSocket, Socket

UPGRADE = (
    b"GET /ws?x=1 HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def hello(scope: Message, receive: Receive, send: Send) -> None:
    """Answer with the path."""
    del receive
    await answer(send, scope["path"].encode())


async def answer(send: Send, body: bytes, status: int = 200) -> None:
    """Send a whole response."""
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def body_of(receive: Receive) -> bytes:
    """The whole body of a request."""
    parts = []
    while True:
        message = await receive()
        assert message["type"] == "http.request"
        parts.append(message["body"])
        if not message["more_body"]:
            return b"".join(parts)


async def echo(socket: Socket) -> None:
    """Send back every message as text."""
    while True:
        message = await socket.receive()
        await socket.send(message.encode() if isinstance(message, str) else message)


@frozen
class Response:
    """A response as h11 read it."""

    status: int
    headers: dict[str, str]
    body: bytes


@define
class Client:
    """The other end of the connection."""

    stream: trio.abc.HalfCloseableStream
    errors: list[tuple[str, Exception]] = field(factory=list)
    got: bytearray = field(factory=bytearray)

    async def send(self, data: bytes) -> None:
        """Send bytes as they are. What a server that has closed does not take is lost."""
        try:
            await self.stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    async def more(self) -> bool:
        """Wait for bytes; False at the end."""
        try:
            data = await self.stream.receive_some(65_536)
        except trio.BrokenResourceError:
            return False
        self.got += data
        return bool(data)

    async def exactly(self, size: int) -> bytes:
        """The next `size` bytes."""
        while len(self.got) < size:
            assert await self.more(), f"the server closed after {bytes(self.got)!r}"
        data = bytes(self.got[:size])
        del self.got[:size]
        return data

    async def end(self) -> bytes:
        """All that comes until the server closes."""
        while await self.more():
            pass
        data = bytes(self.got)
        self.got.clear()
        return data

    async def responses(self, *methods: str) -> list[Response]:
        """One response for each request that was sent."""
        conn = h11.Connection(h11.CLIENT)
        found = []
        for number, method in enumerate(methods):
            if number:
                rest, _ = conn.trailing_data
                conn = h11.Connection(h11.CLIENT)
                self.got[:0] = rest
            conn.send(h11.Request(method=method, target="/", headers=[("host", "here")]))
            conn.send(h11.EndOfMessage())
            found.append(await self._response(conn))
        rest, _ = conn.trailing_data
        self.got[:0] = rest
        return found

    async def response(self, method: str = "GET") -> Response:
        """The response to one request."""
        return (await self.responses(method))[0]

    async def _response(self, conn: h11.Connection) -> Response:
        status, headers, body = 0, {}, b""
        while True:
            event = conn.next_event()
            if event is h11.NEED_DATA:
                if not self.got:
                    await self.more()
                conn.receive_data(bytes(self.got))
                self.got.clear()
            elif isinstance(event, h11.Response):
                status = event.status_code
                headers = {name.decode(): value.decode() for name, value in event.headers}
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return Response(status, headers, body)

    async def open(self, request: bytes = UPGRADE) -> bytes:
        """Ask for a WebSocket; the head of the answer."""
        await self.send(request)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await self.exactly(1)
        return head

    async def frame(self) -> tuple[int, bytes]:
        """The next frame: its opcode and payload."""
        first, size = await self.exactly(2)
        assert first & 0xF0 == 0x80, "whole frames without reserved bits"
        if size > 125:
            size = int.from_bytes(await self.exactly({126: 2, 127: 8}[size]), "big")
        return first & 0x0F, await self.exactly(size)

    async def closed(self) -> tuple[int, str]:
        """Expect a close frame next: its code (0 for none) and reason."""
        opcode, payload = await self.frame()
        assert opcode == 8, (opcode, payload)
        return int.from_bytes(payload[:2], "big"), payload[2:].decode()


def frame(
    opcode: int, payload: bytes = b"", *, final: bool = True, reserved: int = 0, key: bytes | None = b"KEY!"
) -> bytes:
    """A frame as a client sends it (RFC 6455 section 5.2)."""
    size, masked = len(payload), 0x80 if key else 0
    head = bytes([final << 7 | reserved << 4 | opcode])
    if size < 126:
        head += bytes([masked | size])
    elif size < 65_536:
        head += bytes([masked | 126]) + struct.pack("!H", size)
    else:
        head += bytes([masked | 127]) + struct.pack("!Q", size)
    if key is None:
        return head + payload
    return head + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


def port(
    app: ASGIApp = hello,
    on_socket: OnSocket = echo,
    limits: Limits | None = None,
    is_http: Callable[[str], bool] = no_path,
    errors: list[tuple[str, Exception]] | None = None,
) -> Port:
    """A port as the gateway would make it."""

    def on_error(where: str, exc: Exception) -> None:
        if errors is None:
            raise exc
        errors.append((where, exc))

    return Port(Service(app, limits or Limits(), is_http, on_error, lambda: None), on_socket)


@asynccontextmanager
async def talking(
    app: ASGIApp = hello,
    on_socket: OnSocket = echo,
    limits: Limits | None = None,
    is_http: Callable[[str], bool] = no_path,
    peer: Peer | None = None,
    pair: Callable[[], Any] = trio.testing.memory_stream_pair,
) -> AsyncIterator[Client]:
    """One connection to the port. Errors that are reported there are in `errors` of the client."""
    ours, theirs = pair()
    client = Client(ours)
    gate = port(app, on_socket, limits, is_http, client.errors)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gate.talk, theirs, peer or Peer("127.0.0.1", 5, loopback=True))
        try:
            yield client
        finally:
            nursery.cancel_scope.cancel()
