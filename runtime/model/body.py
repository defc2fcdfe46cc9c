"""The body of an answer under deadlines and bounds. Knows nothing of events or JSON.

Refuses to wait without a limit, and counts only time in which somebody waits for the peer.
"""

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Final, TypeVar

import trio
from attrs import define, field, frozen

from runtime.errors import ModelError

if TYPE_CHECKING:
    from runtime.model.network import Answer  # imports httpx

T = TypeVar("T")

CODINGS: Final = frozenset({"gzip", "x-gzip", "deflate"})


@frozen
class Limits:
    """Bounds of one request, in seconds and bytes.

    `connect`: until the connection stands, proxy and TLS included. `first`: until the first event (a model may think
    for minutes). `idle`: until the next complete event, however the bytes drip. `total`: all waiting together; time
    that the taker of a chunk takes does not count. `answer`: bytes of a whole answer. `event`: bytes of one event.
    `refusal`: bytes kept of an error page, and `refused` seconds to read it.
    """

    connect: float = 30.0
    first: float = 300.0
    idle: float = 120.0
    total: float = 1800.0
    answer: int = 64 * 1024 * 1024
    event: int = 32 * 1024 * 1024
    refusal: int = 64 * 1024
    refused: float = 30.0


@define
class Patience:
    """How long the peer may still be waited for: `left` until the next event, `total` for everything, in seconds."""

    peer: str
    left: float
    total: float

    async def wait(self, act: Awaitable[T]) -> T:
        """Wait for `act`, and for nothing else. Raises ModelError (kind `timeout`) when the time is used up."""
        begun = trio.current_time()
        try:
            with trio.move_on_after(max(0.0, min(self.left, self.total))):
                return await act
        finally:
            spent = trio.current_time() - begun
            self.left -= spent
            self.total -= spent
        over = "the answer takes longer than allowed" if self.total <= 0 else "nothing complete came in time"
        raise ModelError(f"{self.peer}: {over}", kind="timeout")


@define
class Body:
    """What follows the head of an answer, piece by piece. `limit` bounds the bytes, after decompression."""

    answer: "Answer"
    patience: Patience
    limit: int
    _inflater: "Inflater | None" = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        coding = self.answer.header("content-encoding").strip().lower()
        if coding not in ("", "identity"):
            self._inflater = Inflater(coding)

    async def read(self) -> bytes:
        """Return the next bytes, empty at the end. Raises ModelError for all that can go wrong."""
        while piece := await self.patience.wait(self.answer.read()):
            content = self._inflater.feed(piece, self.limit) if self._inflater else piece
            self.limit -= len(content)
            if self.limit < 0:
                raise ModelError(f"{self.answer.peer}: the answer is larger than allowed", kind="protocol")
            if content:
                return content
        return b""

    async def whole(self) -> bytes:
        """Return all that is left."""
        pieces = []
        while piece := await self.read():
            pieces.append(piece)
        return b"".join(pieces)

    async def some(self, most: int) -> bytes:
        """Return up to `most` bytes of an error page; what came before it broke is better than nothing."""
        kept = b""
        try:
            while len(kept) < most and (piece := await self.read()):
                kept += piece
        except ModelError:
            pass
        return kept[:most]


class Inflater:
    """Undoes gzip and deflate, piece by piece, never past a bound. Refuses other codings.

    httpx would inflate a piece as a whole, however large it becomes.
    """

    def __init__(self, coding: str) -> None:
        import zlib

        if coding not in CODINGS:
            raise ModelError(f"the answer comes in a coding that was not asked for: {coding[:40]!r}", kind="protocol")
        self._zlib = zlib.decompressobj(zlib.MAX_WBITS | 32)
        self._error = zlib.error

    def feed(self, piece: bytes, most: int) -> bytes:
        """Return what `piece` stands for, at most one byte more than `most`. Raises ModelError for bad data."""
        try:
            return self._zlib.decompress(piece, max(0, most) + 1)
        except self._error as exc:
            raise ModelError(f"the answer is not what its coding says ({exc})", kind="protocol") from exc
