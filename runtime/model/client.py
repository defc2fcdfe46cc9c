"""The Gemini API over HTTP: implements `runtime.ports.Model`. Retries nothing and shows no key.

All sessions of a process share one client and its idle connections. httpx and what it brings are imported with the
first request: a run that plays a recording does without.
"""

import os
import sys
from typing import TYPE_CHECKING, Any, Final

import trio

from runtime import __version__
from runtime.errors import ModelError
from runtime.model import faults, sse, wire
from runtime.model.body import Body, Limits, Patience
from runtime.model.endpoint import Endpoint
from runtime.ports import Deliver, ModelRequest
from runtime.vocab import JsonObject, Tape

if TYPE_CHECKING:
    import httpcore

    from runtime.model.network import Network

CLEANUP: Final = 5.0
"""Seconds for giving an answer back when everything else was cancelled; closing a connection waits for nobody."""
_FRAMING: Final = frozenset({"host", "content-length", "transfer-encoding", "connection"})
"""Headers that say where a message goes and ends; not a person's to set."""


class GeminiClient:
    """Asks the Gemini API. Nothing is imported or opened, and no certificate read, before the first request.

    `backend` stands in for the network in tests.
    """

    def __init__(
        self, endpoint: Endpoint, limits: Limits | None = None, backend: "httpcore.AsyncNetworkBackend | None" = None
    ) -> None:
        self.endpoint = endpoint
        self.limits = limits or Limits()
        self._backend = backend
        self._opened: Network | None = None
        self._peer = endpoint.split.netloc

    async def stream(self, request: ModelRequest, tape: Tape, deliver: Deliver) -> Tape:
        """Ask with `streamGenerateContent` and hand each chunk to `deliver` in order. Returns `tape` as it was.

        While `deliver` waits, no deadline runs. Raises ModelError.
        """
        try:
            body = await self._ask(request, wire.STREAM)
            try:
                await self._deliver_all(body, deliver)
            finally:
                with trio.move_on_after(CLEANUP, shield=True):
                    await self._network().give_back(body.answer)
        except ModelError as exc:
            raise self._veiled(exc) from None
        return tape

    async def generate(self, request: ModelRequest, tape: Tape) -> tuple[JsonObject, Tape]:
        """Ask with `generateContent`; return the answer, and `tape` as it was. Raises ModelError."""
        try:
            body = await self._ask(request, wire.GENERATE)
            try:
                answer = sse.decode(await body.whole(), "the answer")
            finally:
                with trio.move_on_after(CLEANUP, shield=True):
                    await self._network().give_back(body.answer)
            if error := faults.told_in_stream(answer):
                raise error
        except ModelError as exc:
            raise self._veiled(exc) from None
        return answer, tape

    def _veiled(self, exc: ModelError) -> ModelError:
        """Return the error without the key: a server may repeat it, and errors are shown and journaled."""
        key = self.endpoint.key.reveal()
        if not key or (key not in str(exc) and key not in exc.body):
            return exc
        return ModelError(
            str(exc).replace(key, "***"),
            kind=exc.kind,
            status=exc.status,
            hint=exc.hint,
            terminal=exc.terminal,
            body=exc.body.replace(key, "***"),
        )

    async def aclose(self) -> None:
        """Close the idle connections; one that still carries a request is closed after it."""
        await trio.lowlevel.checkpoint()
        if self._opened:
            await self._opened.aclose()

    def statistics(self) -> tuple[int, int]:
        """Return how many connections carry a request, and how many wait for one."""
        return self._opened.statistics() if self._opened else (0, 0)

    async def _ask(self, request: ModelRequest, verb: str) -> Body:
        """Send the request; return the body of a good answer. Raises ModelError for any other."""
        limits = self.limits
        content = wire.encode(request)
        target = self.endpoint.target(request.model, verb)
        patience = Patience(self._peer, left=limits.first, total=limits.total)
        answer = await patience.wait(self._network().ask(target, content, limits.connect))
        body = None
        try:
            read = Body(answer, patience, limits.answer)
            if not 200 <= answer.status < 300:
                patience.left = limits.refused
                page = await read.some(limits.refusal)
                raise faults.refusal(answer.status, answer.response.reason_phrase, page)
            body = read
        finally:
            if body is None:
                with trio.move_on_after(CLEANUP, shield=True):
                    await self._network().give_back(answer)
        return body

    async def _deliver_all(self, body: Body, deliver: Deliver) -> None:
        if body.answer.header("content-type").startswith("application/json"):
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

    def _network(self) -> "Network":
        if self._opened is None:
            # With httpx comes a program for the command line, if click and rich happen to be installed: 60 ms for
            # nothing. Without them httpx does without it, and this lets it believe so.
            sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
            from runtime.model.network import Network

            self._opened = Network(self.endpoint, self._headers(), self._backend)
        return self._opened

    def _headers(self) -> list[tuple[bytes, bytes]]:
        agent = f"twinstep/{__version__} ({sys.platform}; {os.uname().machine}; {self.endpoint.surface})"
        named = wire.headers(
            self.endpoint.key.reveal(), bearer=self.endpoint.bearer, agent=agent, extra=self.endpoint.headers
        )
        allowed = {"host": self._peer} | {name: value for name, value in named.items() if name not in _FRAMING}
        return [(name.encode(), value.encode("latin-1")) for name, value in allowed.items()]


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
