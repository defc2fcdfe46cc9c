"""A WebSocket in memory, as a connection of the gateway sees it: what the peer sends is put in, what it gets is kept.

    socket = FakeSocket()
    socket.say({"type": "req", ...})     # the peer sends a frame
    socket.reads = False                 # the peer stops reading: sends wait from now on
    socket.hang_up()                     # the peer is gone

Every await of the connection passes `at`, which a test may replace to count or to cancel.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import trio
from attrs import define, field

from runtime.gateway.sockets import Ends, Gone

ROOM = 10_000


async def _pass(where: str) -> None:
    await trio.lowlevel.checkpoint()


@define(eq=False)
class FakeSocket:
    """One end of a WebSocket, with a peer that does what it is told."""

    peer: str = "127.0.0.1"
    loopback: bool = True
    secure: bool = False
    headers: Mapping[str, str] = field(factory=lambda: {"host": "127.0.0.1:18789"})
    path: str = "/"
    ends: Ends | None = None
    sent: list[bytes] = field(factory=list)
    sends: int = 0
    closed: tuple[int, str] | None = None
    limits: list[int] = field(factory=list)
    at: Callable[[str], Awaitable[None]] = _pass
    gone: bool = False
    _in: Any = field(init=False)
    _out: Any = field(init=False)
    _reads: trio.Event | None = None
    _news: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)

    def __attrs_post_init__(self) -> None:
        self._in, self._out = trio.open_memory_channel[str | bytes](ROOM)

    # --- what the peer does

    def say(self, frame: Any) -> None:
        """Send a frame: bytes and text as they are, all else as JSON."""
        self._in.send_nowait(frame if isinstance(frame, (str, bytes)) else json.dumps(frame))

    def ask(self, name: str, method: str, params: Any = None) -> None:
        """Send a request."""
        self.say({"type": "req", "id": name, "method": method, **({} if params is None else {"params": params})})

    def hang_up(self) -> None:
        """Go without a word."""
        self.gone = True
        self._in.close()

    @property
    def reads(self) -> bool:
        """Whether the peer reads."""
        return self._reads is None

    @reads.setter
    def reads(self, now: bool) -> None:
        if self._reads is not None:
            self._reads.set()
        self._reads = None if now else trio.Event()

    @property
    def frames(self) -> list[dict[str, Any]]:
        """What the peer got."""
        return [json.loads(data) for data in self.sent]

    def events(self, name: str) -> list[dict[str, Any]]:
        """The frames of these events."""
        return [one for one in self.frames if one.get("event") == name]

    def answers(self, name: str) -> list[dict[str, Any]]:
        """The responses to a request."""
        return [one for one in self.frames if one.get("type") == "res" and one["id"] == name]

    async def until(self, done: Callable[["FakeSocket"], Any]) -> Any:
        """Wait until what the peer got is as wanted; return that."""
        with trio.fail_after(60):
            while not (found := done(self)):
                await self._news.park()
        return found

    async def answer(self, name: str) -> dict[str, Any]:
        """Wait for the first response to a request."""
        found: list[dict[str, Any]] = await self.until(lambda one: one.answers(name))
        return found[0]

    # --- what the connection does

    async def receive(self) -> str | bytes:
        """See `Socket`."""
        await self.at("receive")
        try:
            data: str | bytes = await self._out.receive()
        except trio.EndOfChannel:
            raise Gone(1006, "") from None
        return data

    async def send(self, *messages: bytes) -> None:
        """See `Socket`."""
        await self.at("send")
        if self._reads is not None:
            await self._reads.wait()
        if self.gone or self.closed is not None:
            raise Gone(1006, "")
        self.sent += messages
        self.sends += 1
        self._news.unpark_all()

    async def close(self, code: int, reason: str) -> None:
        """See `Socket`."""
        await self.at("close")
        if self.closed is None:
            self.closed = (code, reason)
            self._in.close()
        self._news.unpark_all()

    def limit(self, most: int) -> None:
        """See `Socket`."""
        self.limits.append(most)
