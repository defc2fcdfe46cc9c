"""The Gemini API over HTTP: implements `runtime.ports.Model`. Retries nothing and shows no key.

All sessions of a process share one client and its idle connections. Open ones have no upper bound on purpose: a session
that is held in the middle of a stream keeps its connection, and must not thereby take one from another.
"""

import os
import sys
from typing import TYPE_CHECKING, Any, Final

import h11
import trio

from runtime import __version__
from runtime.errors import ModelError
from runtime.model import faults, sse, wire
from runtime.model.body import Body, Limits, Patience
from runtime.model.endpoint import Endpoint
from runtime.model.network import Connect, Connection, open_connection, trusting
from runtime.ports import Deliver, ModelRequest
from runtime.vocab import JsonObject, Tape

if TYPE_CHECKING:
    import ssl

KEPT_IDLE: Final = 32
"""Connections kept open for the next request."""
IDLE_SECONDS: Final = 55.0
"""Just under the minute after which many servers and balancers close an idle connection."""
CLEANUP: Final = 5.0
"""Seconds for giving a connection back when everything else was cancelled; closing one waits for nobody."""
_FRAMING: Final = frozenset({"host", "content-length", "transfer-encoding", "connection"})
"""Headers that say where a message goes and ends; not a person's to set."""


class GeminiClient:
    """Asks the Gemini API. Nothing is opened, and no certificate read, before the first request.

    `connect` stands in for the network in tests.
    """

    def __init__(self, endpoint: Endpoint, limits: Limits | None = None, connect: Connect | None = None) -> None:
        self.endpoint = endpoint
        self.limits = limits or Limits()
        self._connect: Connect = connect or trio.open_tcp_stream
        self._context: ssl.SSLContext | None = None
        self._idle: list[Connection] = []
        self._keep = KEPT_IDLE
        self._busy = 0
        self._peer = endpoint.split.netloc
        self._headers = [(name.encode(), value.encode("latin-1")) for name, value in self._named_headers().items()]

    async def stream(self, request: ModelRequest, tape: Tape, deliver: Deliver) -> Tape:
        """Ask with `streamGenerateContent` and hand each chunk to `deliver` in order. Returns `tape` as it was.

        While `deliver` waits, no deadline runs. Raises ModelError.
        """
        body = await self._ask(request, wire.STREAM)
        try:
            await self._deliver_all(body, deliver)
        finally:
            with trio.move_on_after(CLEANUP, shield=True):
                await self._give_back(body.connection)
        return tape

    async def generate(self, request: ModelRequest, tape: Tape) -> tuple[JsonObject, Tape]:
        """Ask with `generateContent`; return the answer, and `tape` as it was. Raises ModelError."""
        body = await self._ask(request, wire.GENERATE)
        try:
            answer = sse.decode(await body.whole(), "the answer")
        finally:
            with trio.move_on_after(CLEANUP, shield=True):
                await self._give_back(body.connection)
        if error := faults.told_in_stream(answer):
            raise error
        return answer, tape

    async def aclose(self) -> None:
        """Close the idle connections; one that still carries a request is closed after it."""
        self._keep = 0
        await trio.lowlevel.checkpoint()
        while self._idle:
            await self._idle.pop().aclose()

    def statistics(self) -> tuple[int, int]:
        """Return how many connections carry a request, and how many wait for one."""
        return self._busy, len(self._idle)

    async def _ask(self, request: ModelRequest, verb: str) -> Body:
        """Send the request; return the body of a good answer. Raises ModelError for any other."""
        limits = self.limits
        content = wire.encode(request)
        sent = h11.Request(
            method=b"POST",
            target=self.endpoint.target(request.model, verb).encode(),
            headers=[*self._headers, (b"content-length", b"%d" % len(content))],
        )
        patience = Patience(self._peer, left=limits.first, total=limits.total)
        connection = await self._connection()
        body = None
        try:
            head = await patience.wait(connection.ask(sent, content))
            answer = Body(head, connection, patience, limits.answer)
            if not 200 <= head.status_code < 300:
                patience.left = limits.refused
                page = await answer.some(limits.refusal)
                raise faults.refusal(head.status_code, head.reason.decode("latin-1"), page)
            body = answer
        finally:
            if body is None:
                with trio.move_on_after(CLEANUP, shield=True):
                    await self._give_back(connection)
        return body

    async def _deliver_all(self, body: Body, deliver: Deliver) -> None:
        if body.header(b"content-type").startswith("application/json"):
            raise _no_stream(await body.some(self.limits.refusal))
        parser = sse.SseParser(self.limits.event)
        while received := await body.read():
            for event in parser.feed(received):
                if event.strip():
                    await self._deliver_one(body, sse.decode(event), deliver)
        rest = parser.close()
        if rest.strip():
            await self._deliver_one(body, _complete(rest), deliver)
        elif not parser.events and parser.stray:
            raise _no_stream(parser.stray)

    async def _deliver_one(self, body: Body, chunk: JsonObject, deliver: Deliver) -> None:
        body.patience.left = self.limits.idle
        if error := faults.told_in_stream(chunk):
            raise error
        await deliver(chunk)

    async def _connection(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not self._is_stale(connection):
                self._busy += 1
                return connection
            await connection.aclose()
        if self._context is None and self.endpoint.split.scheme == "https":
            self._context = trusting(self.endpoint.authorities)
        with trio.move_on_after(self.limits.connect):
            connection = await open_connection(self.endpoint, self._context, self._connect)
            self._busy += 1
            return connection
        raise ModelError(f"cannot connect to {self._peer}: no connection in time", kind="timeout")

    async def _give_back(self, connection: Connection) -> None:
        """Keep a connection that can carry another request; close one that cannot, and the oldest of too many."""
        self._busy -= 1
        if not connection.finish():
            await connection.aclose()
            return
        connection.idle_since = trio.current_time()
        self._idle.append(connection)
        while self._idle and (len(self._idle) > self._keep or self._is_stale(self._idle[0])):
            await self._idle.pop(0).aclose()

    def _is_stale(self, connection: Connection) -> bool:
        return trio.current_time() - connection.idle_since > IDLE_SECONDS or connection.is_left()

    def _named_headers(self) -> dict[str, str]:
        agent = f"twinstep/{__version__} ({sys.platform}; {os.uname().machine}; {self.endpoint.surface})"
        named = wire.headers(
            self.endpoint.key.reveal(), bearer=self.endpoint.bearer, agent=agent, extra=self.endpoint.headers
        )
        return {"host": self._peer} | {name: value for name, value in named.items() if name not in _FRAMING}


def _complete(rest: bytes) -> dict[str, Any]:
    try:
        return sse.decode(rest)
    except ModelError as exc:
        # The peer's word for it is "incomplete JSON", and it tries again as after a reset.
        raise ModelError("the stream ended in the middle of an event", kind="network") from exc


def _no_stream(body: bytes) -> ModelError:
    """Return the error for an answer that is no event stream: a refusal in disguise, or something else altogether."""
    try:
        told = faults.told_in_stream(sse.decode(body))
    except ModelError:
        told = None
    return told or ModelError(f"the answer is no event stream: {sse.shown(body)}", kind="protocol")
