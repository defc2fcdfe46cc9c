"""One request to VirusTotal and its answer, with httpx over httpcore. Follows no redirect, keeps nothing open.

It imports httpx, which takes time, so nobody imports it before the first request. Each request has a connection of its
own: the quota leaves seconds between two, and a deadline that strikes leaves nothing behind.
"""

import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from contextlib import suppress
from typing import Any, Final

import httpcore
import httpx
import trio

from defender.intel.answers import LARGEST, Reply, Unreachable
from runtime import __version__

CLEANUP: Final = 0.1
"""Seconds for closing a connection when all else was cancelled; it says no farewell and waits for nobody."""
_FOREIGN: Final = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    OSError,
    ValueError,
)
"""What asking may raise. Their texts may repeat a header, and one of these is the key: only their names are told."""


class Exchange:
    """Asks one server. `backend` stands in for the network in tests. Reads certificates, which takes up to 100 ms."""

    def __init__(self, base: str, key: str, backend: httpcore.AsyncNetworkBackend | None = None) -> None:
        self._base = base
        self._headers = {"x-apikey": key, "accept": "application/json", "accept-encoding": "identity"}
        self._headers["user-agent"] = f"twinstep/{__version__}"
        self._backend = backend or httpcore.TrioBackend()
        self._context = ssl.create_default_context() if base.startswith("https:") else None

    async def get(self, path: str) -> Reply:
        """Ask; return the answer. The caller sets the deadline. Raises Unreachable."""
        dialer = Dialer(self._backend)
        try:
            return await self._exchanged(path, dialer)
        except _FOREIGN as exc:
            raise Unreachable(f"cannot be asked ({type(exc).__name__})") from None
        finally:
            with trio.move_on_after(CLEANUP, shield=True):
                await dialer.hang_up()

    async def _exchanged(self, path: str, dialer: "Dialer") -> Reply:
        transport = Transport(self._context, dialer)
        client = httpx.AsyncClient(transport=transport, trust_env=False, follow_redirects=False)
        request = client.build_request("GET", f"{self._base}{path}", headers=self._headers)
        response = await client.send(request, stream=True)
        body, whole = await _bounded(response, dialer)
        header = response.headers.get
        return Reply(
            response.status_code,
            header("content-type", ""),
            body,
            whole,
            encoded=header("content-encoding", "identity").strip().lower() != "identity",
            retry_after=header("retry-after", ""),
        )


async def _bounded(response: httpx.Response, dialer: "Dialer") -> tuple[bytes, bool]:
    """Return a body up to LARGEST bytes, and whether that is all of it."""
    found, pieces = bytearray(), aiter(response.aiter_raw())
    while piece := await anext(pieces, b""):
        found += piece
        if len(found) > LARGEST:
            # Generators inside generators: they end in order once the innermost finds the connection closed.
            await dialer.hang_up()
            with suppress(httpcore.NetworkError, httpcore.ProtocolError, httpx.HTTPError):
                while await anext(pieces, b""):
                    pass
            return b"", False
    return bytes(found), True


class Nothing:
    """No body. A generator would be left where it is when a request is cancelled, and Trio would warn of that."""

    def __aiter__(self) -> "Nothing":
        return self

    async def __anext__(self) -> bytes:
        raise StopAsyncIteration


class Body(httpx.AsyncByteStream):
    """The body of an answer."""

    def __init__(self, stream: AsyncIterable[bytes]) -> None:
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)


class Transport(httpx.AsyncBaseTransport):
    """Carries one request. httpx's own cannot be given a network, and leaves half-opened connections behind."""

    def __init__(self, context: ssl.SSLContext | None, dialer: "Dialer") -> None:
        self._context = context
        self._dialer = dialer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Ask, over a new connection. Raises what httpcore raises."""
        url = request.url
        where = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        connection = httpcore.AsyncHTTPConnection(where.origin, self._context, network_backend=self._dialer)
        answer = await connection.handle_async_request(
            httpcore.Request(request.method, where, headers=request.headers.raw, content=Nothing())
        )
        assert isinstance(answer.stream, AsyncIterable)
        return httpx.Response(answer.status, headers=answer.headers, stream=Body(answer.stream))


class Dialer(httpcore.AsyncNetworkBackend):
    """Opens streams and remembers them, so that they can be closed whatever became of the request."""

    def __init__(self, network: httpcore.AsyncNetworkBackend) -> None:
        self._network = network
        self._opened: list[httpcore.AsyncNetworkStream] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Open a stream."""
        stream = await self._network.connect_tcp(host, port, timeout, local_address, socket_options)
        self._opened.append(stream)
        return stream

    async def hang_up(self) -> None:
        """Close all of them. A stream of TLS goes with the one below it."""
        for stream in self._opened:
            await stream.aclose()
