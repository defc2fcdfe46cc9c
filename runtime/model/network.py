"""One HTTP/1.1 connection at a time (RFC 9112, by h11): opening it, TLS, a proxy; foreign exceptions become ours.

Knows nothing of models or events. Has no deadlines of its own: whoever calls sets them (`body`, `client`).
"""

import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import h11
import trio
from attrs import define, field

from runtime.errors import ModelError
from runtime.model.endpoint import Endpoint, proxy_parts

Connect = Callable[[str, int], Awaitable[trio.abc.Stream]]
"""Opens a byte stream to host and port."""

MAX_HEAD: Final = 100 * 1024
"""Bytes of status line and headers."""
READ_SIZE: Final = 65536
SENT_TOGETHER: Final = 65536
"""A body up to this size goes out with its headers, in one write."""


@define(eq=False)
class Connection:
    """A connection that carries one request after the other. `idle_since` is on Trio's clock."""

    peer: str
    stream: trio.abc.Stream
    idle_since: float = 0.0
    _http: h11.Connection = field(init=False, factory=lambda: h11.Connection(h11.CLIENT, MAX_HEAD))

    async def ask(self, request: h11.Request, body: bytes) -> h11.Response:
        """Send a request; return the head of its answer. Raises ModelError."""
        head = self._sent(request)
        rest = self._sent(h11.Data(data=body)) + self._sent(h11.EndOfMessage())
        try:
            if len(rest) <= SENT_TOGETHER:
                await self.stream.send_all(head + rest)
            else:
                await self.stream.send_all(head)
                await self.stream.send_all(rest)
        except trio.BrokenResourceError:
            pass  # a server may refuse a request before it has read all of it: its answer tells more than the error
        while True:
            event = await self._next(answered=False)
            if isinstance(event, h11.Response):
                return event

    async def read(self) -> bytes:
        """Return the next bytes of the answer, empty at its end. Raises ModelError."""
        event = await self._next(answered=True)
        return bytes(event.data) if isinstance(event, h11.Data) else b""

    def finish(self) -> bool:
        """Get ready for another request. Returns False if there cannot be one: the answer has not been read to its end,
        or something came behind it.
        """
        http = self._http
        if http.our_state is not h11.DONE or http.their_state is not h11.DONE or http.trailing_data[0]:
            return False
        http.start_next_cycle()
        return True

    def is_left(self) -> bool:
        """Whether an idle connection was closed by the other side: then it has something to read, the end."""
        stream = self.stream.transport_stream if isinstance(self.stream, trio.SSLStream) else self.stream
        return isinstance(stream, trio.SocketStream) and stream.socket.is_readable()

    async def aclose(self) -> None:
        """Close at once, without a farewell."""
        await trio.aclose_forcefully(self.stream)

    def _sent(self, event: h11.Event) -> bytes:
        return self._http.send(event) or b""

    async def _next(self, *, answered: bool) -> h11.Event:
        while True:
            try:
                event = self._http.next_event()
                if event is h11.NEED_DATA:
                    received = await self.stream.receive_some(READ_SIZE)
                    if not received and self._http.their_state is h11.SEND_RESPONSE:
                        raise ModelError(f"{self.peer} closed the connection before it answered", kind="network")
                    self._http.receive_data(bytes(received))
                elif isinstance(event, h11.Event):
                    return event
                else:
                    raise ModelError(f"{self.peer} switched to another protocol", kind="protocol")
            except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                when = "in the middle of the answer" if answered else "before it answered"
                raise ModelError(f"{self.peer} reset the connection {when}", kind="network") from exc
            except h11.RemoteProtocolError as exc:
                if answered and "closed connection" in str(exc):
                    raise ModelError("terminated", kind="terminated") from exc
                raise ModelError(f"{self.peer} does not speak HTTP as it should ({exc})", kind="protocol") from exc


async def open_connection(endpoint: Endpoint, context: ssl.SSLContext | None, connect: Connect) -> Connection:
    """Open a connection to an endpoint, through its proxy if it has one. `context` is for https. Raises ModelError."""
    split = endpoint.split
    host, port = split.hostname or "", split.port or (443 if split.scheme == "https" else 80)
    if endpoint.proxy is None:
        stream = await _stream(connect, host, port, split.netloc)
    else:
        stream = await _tunnel(endpoint, context, connect, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    if split.scheme == "https":
        stream = await _secured(stream, context, host, split.netloc)
    return Connection(split.netloc, stream)


async def _stream(connect: Connect, host: str, port: int, peer: str) -> trio.abc.Stream:
    try:
        return await connect(host, port)
    except (OSError, UnicodeError) as exc:
        raise unreachable(exc, peer) from exc


async def _secured(
    stream: trio.abc.Stream, context: ssl.SSLContext | None, host: str, peer: str
) -> trio.SSLStream[trio.abc.Stream]:
    assert context is not None
    secured = trio.SSLStream(stream, context, server_hostname=host, https_compatible=True)
    try:
        await secured.do_handshake()
    except (trio.BrokenResourceError, OSError, ValueError) as exc:
        await trio.aclose_forcefully(stream)
        raise unreachable(exc, peer) from exc
    except trio.Cancelled:
        await trio.aclose_forcefully(stream)
        raise
    return secured


async def _tunnel(endpoint: Endpoint, context: ssl.SSLContext | None, connect: Connect, target: str) -> trio.abc.Stream:
    """Let the proxy connect to the target (RFC 9110, section 9.3.6); it sees no request and no key."""
    import base64

    assert endpoint.proxy is not None
    proxy, login = proxy_parts(endpoint.proxy)
    peer = f"the proxy {proxy.netloc}"
    secure = proxy.scheme == "https"
    stream = await _stream(connect, proxy.hostname or "", proxy.port or (443 if secure else 80), peer)
    if secure:
        stream = await _secured(stream, context, proxy.hostname or "", peer)
    headers = [("host", target)]
    if login:
        headers.append(("proxy-authorization", "Basic " + base64.b64encode(":".join(login).encode()).decode()))
    connection = Connection(peer, stream)
    try:
        answer = await connection.ask(h11.Request(method="CONNECT", target=target, headers=headers), b"")
    except (ModelError, trio.Cancelled):
        await connection.aclose()
        raise
    if not 200 <= answer.status_code < 300:
        await connection.aclose()
        raise ModelError(f"{peer} refuses to connect to {target} ({answer.status_code})", kind="network")
    return stream


def unreachable(exc: BaseException, peer: str) -> ModelError:
    """Return the error for a connection that did not come about. A certificate does not heal by waiting: terminal."""
    causes = list(_causes(exc))
    for cause in causes:
        match cause:
            case ssl.SSLCertVerificationError():
                text = f"its certificate is not trusted ({cause.verify_message})"
                return ModelError(f"cannot connect to {peer}: {text}", kind="network", terminal=True)
            case ssl.SSLError():
                return ModelError(f"cannot connect to {peer}: TLS failed ({cause.args[-1]})", kind="network")
            case socket.gaierror() | UnicodeError():
                return ModelError(f"cannot connect to {peer}: its name cannot be resolved", kind="network")
            case ConnectionRefusedError():
                return ModelError(f"cannot connect to {peer}: connection refused", kind="network")
    said = next((each.strerror for each in reversed(causes) if isinstance(each, OSError) and each.strerror), causes[0])
    return ModelError(f"cannot connect to {peer}: {said}", kind="network")


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    """The exception, what caused it, and what is grouped in these."""
    while exc is not None:
        yield exc
        if isinstance(exc, BaseExceptionGroup):
            for inner in exc.exceptions:
                yield from _causes(inner)
        exc = exc.__cause__ or exc.__context__


def trusting(authorities: tuple[str, ...]) -> ssl.SSLContext:
    """Return a context that verifies peers by the usual certificates and by those in the files. Costs up to 100 ms."""
    context = ssl.create_default_context()
    paths = list(authorities)
    if not context.cert_store_stats()["x509_ca"]:
        import certifi  # comes with httpx; for machines that have no certificates of their own

        paths.append(certifi.where())
    for path in paths:
        try:
            context.load_verify_locations(path)
        except OSError as exc:
            raise ModelError(f"{path}: no certificates can be read from it", kind="network", terminal=True) from exc
    context.set_alpn_protocols(["http/1.1"])
    return context
