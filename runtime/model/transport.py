"""The transport under `network`: httpcore's public parts, and what they lack.

httpx's own transport cannot be given a network, does not tell how many connections it has, and leaks those whose
request ended while they were being opened. Speaks no HTTP itself; raises what httpcore raises.
"""

import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from contextvars import ContextVar
from typing import Any, Final

import httpcore
import httpx
import trio

from runtime.errors import ModelError

CLEANUP: Final = 5.0
"""Seconds for closing what a request has opened when everything else was cancelled; closing waits for nobody."""
PIECE: Final = 1024 * 1024
"""Bytes of a request that are copied at a time."""


class Transport(httpx.AsyncBaseTransport):
    """Carries what httpx asks to httpcore, and back."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the head of the answer. Raises what httpcore raises, and ModelError."""
        assert isinstance(request.stream, httpx.AsyncByteStream)
        url = request.url
        answer = await self._pool.handle_async_request(
            httpcore.Request(
                request.method,
                httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        stream = answer.extensions.get("network_stream")
        if isinstance(stream, Wire) and not stream.heard:
            await answer.aclose()
            raise ModelError(f"{url.netloc.decode()} had answered before it was asked", kind="network")
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=Received(answer),
            request=request,
            extensions=answer.extensions,
        )


_OPENED: Final[ContextVar[list[httpcore.AsyncConnectionInterface]]] = ContextVar("opened")


class Pool(httpcore.AsyncConnectionPool):
    """httpcore's pool, which also lets go of the connections that a request opened and could not use.

    Without that, a request cancelled between connecting and sending, or one whose TLS through a proxy fails, leaves
    an open connection behind that is never used nor closed (encode/httpcore issues 1093 and 1023).
    """

    def create_connection(self, origin: httpcore.Origin) -> httpcore.AsyncConnectionInterface:
        """Called, in the task of its request, where no idle connection is there."""
        connection = super().create_connection(origin)
        _OPENED.get().append(connection)
        return connection

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request over an idle connection or a new one."""
        opened: list[httpcore.AsyncConnectionInterface] = []
        before = _OPENED.set(opened)
        answer = None
        try:
            answer = await super().handle_async_request(request)
        finally:
            _OPENED.reset(before)
            if answer is None:
                with trio.move_on_after(CLEANUP, shield=True):
                    for connection in opened:
                        await connection.aclose()
        return answer

    async def keep(self, most: int) -> None:
        """Close idle connections but for so many, those that would be used next."""
        idle = [each for each in self.connections if each.is_idle()]
        for connection in idle[most:]:
            await connection.aclose()

    def statistics(self) -> tuple[int, int]:
        """Return how many connections are busy, and how many idle."""
        living = [each.is_idle() for each in self.connections if not each.is_closed()]
        return living.count(False), living.count(True)


class Dialer(httpcore.AsyncNetworkBackend):
    """Opens the streams of a network, as wires."""

    def __init__(self, network: httpcore.AsyncNetworkBackend) -> None:
        self._network = network

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> "Wire":
        """Open a stream to a host. Raises what httpcore's own networks raise."""
        return Wire(await self._network.connect_tcp(host, port, timeout, local_address, socket_options))


class Wire(httpcore.AsyncNetworkStream):
    """A stream that knows whether it said anything since it was last written to, and closes if TLS is cancelled.

    What a server sends behind an answer stays in httpcore's buffer, where it would pass for the answer to the next
    request; `heard` tells them apart.
    """

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self.heard = False
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """Return what there is, empty at the end."""
        received = await self._stream.read(max_bytes, timeout)
        self.heard = True
        return received

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Send all of it."""
        self.heard = False
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close at once, without a farewell."""
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> "Wire":
        """Go on over TLS."""
        try:
            return Wire(await self._stream.start_tls(ssl_context, server_hostname, timeout))
        except trio.Cancelled:  # after an error httpcore closes it
            with trio.move_on_after(CLEANUP, shield=True):
                await self.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        """What httpcore wants to know: whether there is something to read, which TLS."""
        return self._stream.get_extra_info(info)


class Sent(httpx.AsyncByteStream):
    """The body of a request. No generator: httpcore leaves it where it is when a server closes early, and Trio would
    warn of that (encode/httpx issue 3686).
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._place = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._place = 0
        return self

    async def __anext__(self) -> bytes:
        piece = self._content[self._place : self._place + PIECE]
        if not piece:
            raise StopAsyncIteration
        self._place += len(piece)
        return piece

    def forget(self) -> None:
        """Let go of the content. Request and response refer to each other, so both stay until the collector comes by;
        the content of a long session's requests must not stay with them."""
        self._content = b""


class Received(httpx.AsyncByteStream):
    """The body of an answer, as httpcore reads it."""

    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __aiter__(self) -> AsyncIterator[bytes]:
        assert isinstance(self._answer.stream, AsyncIterable)
        return aiter(self._answer.stream)

    async def aclose(self) -> None:
        """Give the connection back to the pool, or close it where something is left to read."""
        await self._answer.aclose()
