"""HTTP under the client: httpx's requests and answers over httpcore's pool. Foreign exceptions become ours here.

There is no `httpx.AsyncClient` between: it would read cookies from each answer, which no request of ours sends.

Knows nothing of models or events, and has no deadlines but that of a connection: whoever calls sets them. It imports
httpx, which takes time, so nobody imports it before the first request.
"""

import math
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from functools import lru_cache
from socket import gaierror
from typing import Any, Final
from urllib.parse import SplitResult

import httpcore
import httpx
import trio
from attrs import define

from runtime.errors import ModelError
from runtime.model.endpoint import Endpoint, proxy_parts
from runtime.model.transport import Dialer, Pool, Sent, Transport

KEPT_IDLE: Final = 32
"""Connections kept open for the next request."""
IDLE_SECONDS: Final = 55.0
"""Just under the minute after which many servers and balancers close an idle connection."""

_FOREIGN: Final = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
    httpx.InvalidURL,
    OSError,
    ValueError,
)
"""What asking may raise. The last two come from names that no encoder takes: httpcore lets them through."""


@define(eq=False)
class Answer:
    """A status, headers, and a body that is still to be read. Must be given back to its network."""

    peer: str
    response: httpx.Response
    _pieces: AsyncIterator[bytes] | None = None

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.response.status_code

    def header(self, name: str) -> str:
        """A header's value, empty if it is not there."""
        return str(self.response.headers.get(name, ""))

    async def read(self) -> bytes:
        """Return the next bytes as they were sent, empty at the end. Raises ModelError."""
        if self._pieces is None:
            self._pieces = self.response.aiter_raw()
        try:
            return await anext(self._pieces, b"")
        except httpcore.NetworkError as exc:
            raise ModelError(f"{self.peer} reset the connection in the middle of the answer", kind="network") from exc
        except httpcore.ProtocolError as exc:
            if "closed connection" in str(exc):
                raise ModelError("terminated", kind="terminated") from exc
            raise _nonsense(exc, self.peer) from exc

    async def aclose(self) -> None:
        """Stop reading. The connection is closed, unless all was read."""
        sent = self.response.request.stream
        if isinstance(sent, Sent):
            sent.forget()
        await self.response.aclose()
        if self._pieces is None:
            return
        # httpx and httpcore read through generators inside generators. Closing the outermost leaves the others to the
        # garbage collector, and Trio warns of each; so they go on until the innermost finds the connection closed.
        try:
            while await anext(self._pieces, b""):
                pass
        except (httpcore.NetworkError, httpcore.ProtocolError):
            pass


class Network:
    """Asks one endpoint, over as many connections as there are requests at a time.

    Open ones have no upper bound on purpose: a session that is held in the middle of a stream keeps its connection,
    and must not thereby take one from another. `headers` go with every request. `backend` stands in for the network in
    tests. Raises ModelError for certificates that cannot be read.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        headers: Iterable[tuple[bytes, bytes]],
        backend: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        split = endpoint.split
        proxy = proxy_parts(endpoint.proxy) if endpoint.proxy else None
        secure = "https" in (split.scheme, proxy and proxy[0].scheme)
        context = trusting(endpoint.authorities) if secure else None
        self.peer = split.netloc
        self._proxy = f"the proxy {proxy[0].netloc}" if proxy else ""
        self._kept = KEPT_IDLE
        self._pool = Pool(
            ssl_context=context,
            proxy=_proxy(*proxy, context) if proxy else None,
            max_connections=None,
            max_keepalive_connections=None,  # it would count the busy ones as well (encode/httpcore pull request 1000)
            keepalive_expiry=IDLE_SECONDS,
            network_backend=Dialer(backend or httpcore.TrioBackend()),
        )
        self._transport = Transport(self._pool)
        self._headers = httpx.Headers([*headers])
        self._origin = f"{split.scheme}://{split.netloc}"

    async def ask(self, target: str, content: bytes, connect: float) -> Answer:
        """Post `content`; return the head of the answer. `connect` seconds may go by until a connection stands.

        Raises ModelError.
        """
        with trio.move_on_after(connect) as opening:
            way = Way(opening)
            try:
                request = self._request(target, content, way)
                return Answer(self.peer, await self._transport.handle_async_request(request))
            except _FOREIGN as exc:
                raise self._failure(exc, way) from exc
        raise ModelError(f"cannot connect to {self.peer}: no connection in time", kind="timeout")

    async def give_back(self, answer: Answer) -> None:
        """Keep the connection of an answer that was read to its end; close any other, and one of too many."""
        await answer.aclose()
        await self._pool.keep(self._kept)

    async def aclose(self) -> None:
        """Close the idle connections; one that still carries a request is closed after it."""
        self._kept = 0
        await self._pool.keep(0)

    def statistics(self) -> tuple[int, int]:
        """Return how many connections carry a request, and how many wait for one."""
        return self._pool.statistics()

    def _request(self, target: str, content: bytes, way: "Way") -> httpx.Request:
        # Made by hand: `build_request` would merge and parse again what is the same in every request.
        request = httpx.Request(
            "POST",
            _url(self._origin + target),
            headers=self._headers,
            stream=Sent(content),
            extensions={"timeout": {}, "trace": way.trace},
        )
        request.headers["content-length"] = str(len(content))
        return request

    def _failure(self, exc: Exception, way: "Way") -> ModelError:
        peer = self._proxy if self._proxy and way.to_proxy else self.peer
        match exc:
            case httpcore.ProxyError():
                return ModelError(f"{self._proxy} refuses to connect to {self.peer} ({exc})", kind="network")
            case httpcore.ReadError() | httpcore.WriteError():
                return ModelError(f"{peer} reset the connection before it answered", kind="network")
            case httpcore.RemoteProtocolError() if isinstance(exc.args[0], str):
                return ModelError(f"{peer} closed the connection before it answered", kind="network")
            case httpcore.LocalProtocolError():  # its text repeats the header, which may be the key
                text = f"the request to {peer} has a header that HTTP does not allow"
                return ModelError(text, kind="protocol", terminal=True)
            case httpcore.ProtocolError():
                return _nonsense(exc, peer)
        return unreachable(exc, peer)


class Way:
    """How far a request has come, told by httpcore (its extension `trace`). Ends the deadline of the connection."""

    def __init__(self, opening: trio.CancelScope) -> None:
        self.to_proxy = True
        self._opening = opening

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Take note of a stage."""
        if event == "proxy.start_tls.started":
            self.to_proxy = False
        elif event == "http11.send_request_headers.started" and info["request"].method != b"CONNECT":
            self.to_proxy = False
            self._opening.deadline = math.inf
            info["request"].extensions.pop("trace", None)  # the other stages are of no interest


_url: Final = lru_cache(maxsize=32)(httpx.URL)
"""Parses a URL: two for each model that is asked."""


def _nonsense(exc: Exception, peer: str) -> ModelError:
    return ModelError(f"{peer} does not speak HTTP as it should ({exc})", kind="protocol")


def _proxy(proxy: SplitResult, login: tuple[str, str] | None, context: ssl.SSLContext | None) -> httpcore.Proxy:
    auth = (login[0].encode(), login[1].encode()) if login else None
    return httpcore.Proxy(proxy.geturl(), auth=auth, ssl_context=context if proxy.scheme == "https" else None)


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
            case gaierror() | UnicodeError():
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
    return context
