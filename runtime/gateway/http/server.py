"""The h11 loop: heads in, refusals or an app's responses out, until the connection ends or becomes a WebSocket.

A head is looked at as bytes before h11 sees it, because h11 forgives what a proxy in front of us might read another
way: bare line feeds, folded lines, both kinds of framing at once (RFC 9112 sections 2.2, 5.2, 6.1). Whatever is
refused here ends the connection. Origins, tokens and routes are judged by the app and the handshake, not here.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import h11
import trio
from attrs import define, field, frozen

from runtime.errors import LocalError
from runtime.gateway.http import Limits, Unacceptable
from runtime.gateway.http.asgi import ASGIApp, Exchange, Peer, Request, reason, scope_of

READ: Final = 16_384
PIECE: Final = 65_536
CONTROLS: Final = bytes(code for code in (*range(0x20), 0x7F) if code != 0x09)
HOST: Final = re.compile(rb"[A-Za-z0-9._~%!$&'()*+,;=:\[\]-]*")
ABSOLUTE: Final = re.compile(rb"https?://([^/?#@]+)(/[^?#]*)?(\?[^#]*)?", re.IGNORECASE)
TOKEN: Final = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
ORIGIN: Final = re.compile(rb"/[^#]*")
VERSIONS: Final = frozenset({b"HTTP/1.0", b"HTTP/1.1"})

OnError = Callable[[str, Exception], None]
"""Told of an app or handler that failed: what it was doing, and the exception with its traceback."""


@frozen
class Upgrade:
    """A request to go on as a WebSocket, found to be in order (RFC 6455 section 4.2.1)."""

    request: Request
    key: bytes
    protocols: tuple[str, ...]


@frozen
class Service:
    """What requests are served with."""

    app: ASGIApp
    limits: Limits
    is_http: Callable[[str], bool]
    on_error: OnError
    date: Callable[[], bytes | None]


def head_end(held: bytearray, limits: Limits) -> int:
    """Where the first head in `held` ends, or 0 if it is not all there. Refuses what HTTP has no place for."""
    end = held.find(b"\r\n\r\n", 0, limits.head_bytes + 4)
    text = bytes(held[: limits.head_bytes + 1 if end < 0 else end])
    plain = text.removesuffix(b"\r").replace(b"\r\n", b"")
    if plain.translate(None, CONTROLS) != plain:
        raise Unacceptable(400, "The head of the request has control characters or bare line feeds.")
    if b"\r\n " in text or b"\r\n\t" in text:
        raise Unacceptable(400, "The head of the request has a folded line.")
    if end < 0 and len(held) > limits.head_bytes:
        if b"\r\n" not in text:
            raise Unacceptable(414, f"The target of the request is longer than {limits.target_bytes} bytes.")
        raise Unacceptable(431, f"The head of the request is longer than {limits.head_bytes} bytes.")
    return end + 4 if end >= 0 else 0


def parse(head: bytes, limits: Limits, conn: h11.Connection) -> Request:
    """The request of a whole head. Puts `conn` at the beginning of its body."""
    line = head.partition(b"\r\n")[0].split(b" ")
    if len(line) != 3 or not line[2].startswith(b"HTTP/"):
        raise Unacceptable(400, "The request does not begin with a method, a target and a version of HTTP.")
    if line[2] not in VERSIONS:
        raise Unacceptable(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
    if len(line[1]) > limits.target_bytes:
        raise Unacceptable(414, f"The target of the request is longer than {limits.target_bytes} bytes.")
    if head.count(b"\r\n") - 2 > limits.head_fields:
        raise Unacceptable(431, f"The request has more than {limits.head_fields} header lines.")
    try:
        conn.receive_data(head)
        event = conn.next_event()
    except h11.RemoteProtocolError as exc:
        raise Unacceptable(exc.error_status_hint, f"The head of the request cannot be read: {exc}.") from exc
    if not isinstance(event, h11.Request):
        raise Unacceptable(400, "The head of the request cannot be read.")
    return checked(event)


def checked(event: h11.Request) -> Request:
    """The request, with its target in origin form. Refuses what two readers could understand differently."""
    headers = [(bytes(name), bytes(value)) for name, value in event.headers]
    names = [name for name, _ in headers]
    if b"transfer-encoding" in names and (b"content-length" in names or event.http_version == b"1.0"):
        raise Unacceptable(400, "The length of the body is given in two ways.")
    if any(name == b"host" and not HOST.fullmatch(value) for name, value in headers):
        raise Unacceptable(400, "The header Host is no name of a host.")
    target = bytes(event.target)
    if absolute := ABSOLUTE.fullmatch(target):  # its host is the one that counts (RFC 9112 section 3.2.2)
        host, path, query = absolute.groups()
        headers = [(b"host", host), *(pair for pair in headers if pair[0] != b"host")]
        target = (path or b"/") + (query or b"")
    method = event.method.decode("ascii")
    if method == "CONNECT":
        raise Unacceptable(405, "This server is no proxy.")
    if not ORIGIN.fullmatch(target) and (method, target) != ("OPTIONS", b"*"):
        raise Unacceptable(400, "The target of the request is neither a path nor an address of this server.")
    request = Request(method, target, event.http_version.decode("ascii"), tuple(headers))
    if "\0" in request.path:
        raise Unacceptable(400, "The target of the request has a zero byte.")
    if request.tokens(b"expect") - {b"100-continue"}:
        raise Unacceptable(417, "Of expectations only 100-continue is known.")
    return request


def upgrade_of(request: Request) -> Upgrade | None:
    """The WebSocket that is asked for, or None if none is. Refuses a request for one that is wrong."""
    if b"websocket" not in request.tokens(b"upgrade"):
        return None
    if request.method != "GET":
        raise Unacceptable(405, "A WebSocket is opened with GET.")
    keys, versions = request.values(b"sec-websocket-key"), request.values(b"sec-websocket-version")
    if request.version != "1.1" or b"upgrade" not in request.tokens(b"connection"):
        raise Unacceptable(400, "A WebSocket is opened with HTTP/1.1 and the header 'Connection: Upgrade'.")
    if len(keys) != 1 or not is_key(keys[0]):
        raise Unacceptable(400, "The header Sec-WebSocket-Key is missing or wrong.")
    if not versions:
        raise Unacceptable(400, "The header Sec-WebSocket-Version is missing.")
    if versions != [b"13"]:
        raise Unacceptable(426, "Only version 13 of the WebSocket protocol is spoken here.")
    if request.values(b"transfer-encoding") or any(value != b"0" for value in request.values(b"content-length")):
        raise Unacceptable(400, "A request for a WebSocket has no body.")
    offered = b",".join(request.values(b"sec-websocket-protocol"))
    names = [name.strip() for name in offered.split(b",")] if offered else []
    if not all(TOKEN.fullmatch(name) for name in names):
        raise Unacceptable(400, "The header Sec-WebSocket-Protocol is wrong.")
    return Upgrade(request, keys[0], tuple(name.decode("ascii") for name in names))


def is_key(value: bytes) -> bool:
    """Whether this is base64 of 16 bytes (RFC 6455 section 4.1)."""
    try:
        return len(value) == 24 and len(base64.b64decode(value, validate=True)) == 16
    except binascii.Error:
        return False


HINTS: Final = {
    405: b"allow: GET\r\n",
    426: b"sec-websocket-version: 13\r\nupgrade: websocket\r\n",
    503: b"retry-after: 1\r\n",
}


def refusal(status: int, message: str, *, bare: bool = False) -> bytes:
    """A whole response that ends the connection. Says what is wrong, never why it could go wrong here."""
    kind = "api_error" if status in {500, 503} else "invalid_request_error"
    body = json.dumps({"error": {"message": message, "type": kind}}).encode()
    head = b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%sconnection: close\r\n\r\n"
    return head % (status, reason(status), len(body), HINTS.get(status, b"")) + (b"" if bare else body)


@define(eq=False)
class Reader:
    """Reads ahead of whoever uses the bytes, so that the end of the stream is noticed while an app is at work."""

    stream: trio.abc.Stream
    most: int
    on_end: Callable[[], None] | None = None
    held: bytearray = field(factory=bytearray)
    ended: bool = False
    _news: trio.Event = field(factory=trio.Event)
    _room: trio.Event = field(factory=trio.Event)

    async def run(self) -> None:
        """Read until the stream ends or this is cancelled; what was read by then is not lost."""
        while not self.ended:
            if len(self.held) >= self.most:
                self._room = trio.Event()
                await self._room.wait()
                continue
            try:
                data = await self.stream.receive_some(READ)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                data = b""
            self.held += data
            self.ended = not data
            if self.ended and self.on_end:
                self.on_end()
            self._news.set()
            self._news = trio.Event()

    async def more(self) -> bool:
        """Wait for bytes beyond those held; False at the end of the stream."""
        if not self.ended:
            await self._news.wait()
        return not self.ended

    def take(self, most: int | None = None) -> bytes:
        """Up to `most` bytes of what is held, or all of it. Makes room for more."""
        data = bytes(self.held[:most])
        del self.held[: len(data)]
        self._room.set()
        return data


@define(eq=False)
class Conversation:
    """The requests of one connection, one after the other."""

    service: Service
    stream: trio.abc.Stream
    peer: Peer
    reader: Reader

    async def run(self) -> Upgrade | None:
        """Serve until there is nothing more to serve. An upgrade is handed to the caller; all else is done here."""
        request = None
        try:
            while (head := await self._head()) is not None:
                conn = h11.Connection(h11.SERVER, max_incomplete_event_size=self.service.limits.head_bytes)
                request = parse(head, self.service.limits, conn)
                if not self.service.is_http(request.path) and (upgrade := upgrade_of(request)):
                    return upgrade
                service = self.service
                if not await self._serve(Exchange(request, conn, self.reader, self, service.limits, service.date)):
                    if isinstance(self.stream, trio.abc.HalfCloseableStream):  # else only the close says: that was all
                        await linger(self.stream, self.reader, service.limits.linger_seconds)
                    return None
                request = None
        except Unacceptable as exc:
            await self._refuse(exc, bare=request is not None and request.method == "HEAD")
        except trio.BrokenResourceError:
            return None  # the peer has left; nobody is there to be told
        return None

    async def _head(self) -> bytes | None:
        """The next head, or None when the peer has no further request."""
        limits, reader = self.service.limits, self.reader
        if reader.held:
            await trio.lowlevel.checkpoint()  # a peer that sends many requests at once does not hold up the others
        else:
            with trio.move_on_after(limits.idle_seconds):
                await reader.more()
        if not reader.held:
            return None
        until = trio.current_time() + limits.head_seconds
        while True:
            while reader.held.startswith(b"\r\n"):  # after a body, from old clients (RFC 9112 section 2.2)
                reader.take(2)
            if end := head_end(reader.held, limits):
                return reader.take(end)
            with trio.move_on_at(until) as wait:
                if not await reader.more():
                    return None
            if wait.cancelled_caught:
                raise Unacceptable(408, "The head of the request did not arrive in time.")

    async def _serve(self, exchange: Exchange) -> bool:
        """Answer one request. Whether the connection is good for another one."""
        if exchange.request.target == b"*":
            await self.write(b"HTTP/1.1 204 No Content\r\nallow: GET, HEAD, POST, OPTIONS\r\nconnection: close\r\n\r\n")
            return False
        self.reader.on_end = exchange.depart
        if self.reader.ended:
            exchange.depart()
        try:
            with exchange.scope:
                await self._call(exchange)
        finally:
            self.reader.on_end = None
        if exchange.done:
            return await exchange.rest()
        if exchange.started:
            raise trio.BrokenResourceError("cut off, so that nobody takes the part for the whole")
        raise exchange.refused or Unacceptable(500, "Internal Server Error")

    async def _call(self, exchange: Exchange) -> None:
        request = exchange.request
        where = f"{request.method} {request.path}"
        scope = scope_of(request, self.peer, exchange.limit_body)
        try:
            await self.service.app(scope, exchange.receive, exchange.send)
            if not exchange.done and not exchange.left:
                raise LocalError("the app returned before its response was complete")
        except Exception as exc:  # noqa: BLE001 - an app that fails must not take the other connections with it
            if not exchange.left and exchange.refused is None:
                self.service.on_error(where, exc)

    async def _refuse(self, exc: Unacceptable, *, bare: bool) -> None:
        with suppress(trio.BrokenResourceError):
            await self.write(refusal(exc.status, str(exc), bare=bare))
            await linger(self.stream, self.reader, self.service.limits.linger_seconds)

    async def write(self, data: bytes) -> None:
        """Send all of it, piece by piece, each under a deadline. Raises `trio.BrokenResourceError`."""
        for start in range(0, len(data), PIECE):
            with trio.move_on_after(self.service.limits.write_seconds) as wait:
                try:
                    await self.stream.send_all(data if len(data) <= PIECE else data[start : start + PIECE])
                except trio.ClosedResourceError as exc:
                    raise trio.BrokenResourceError("the connection was closed") from exc
            if wait.cancelled_caught:
                raise trio.BrokenResourceError("the peer did not take a response in time")


async def linger(stream: trio.abc.Stream, reader: Reader, seconds: float) -> None:
    """Say that we are done and throw away what still comes: a reset would take our last words from the peer again."""
    with trio.move_on_after(seconds), suppress(trio.ClosedResourceError):
        if isinstance(stream, trio.abc.HalfCloseableStream):
            await stream.send_eof()
        reader.take()
        while await reader.more():
            reader.take()


async def converse(service: Service, stream: trio.abc.Stream, peer: Peer) -> tuple[Upgrade, bytes] | None:
    """Serve the requests of one connection until it is to be closed (None) or goes on as a WebSocket.

    With the upgrade comes what was read beyond its head.
    """
    reader = Reader(stream, max(PIECE, 2 * service.limits.head_bytes))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader.run)
        upgrade = await Conversation(service, stream, peer, reader).run()
        nursery.cancel_scope.cancel()
    return (upgrade, reader.take()) if upgrade else None
