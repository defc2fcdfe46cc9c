"""Somebody hostile at the socket of a live debugger: frames of all kinds, and expressions wherever one can be given.

    async with besieged() as siege:
        slowest = await siege.send(frame)

`send` returns for how long one task kept the loop of the daemon, which serves everybody, in seconds of processor time;
`codes` counts what was answered.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from random import Random
from time import thread_time
from typing import Any, Final

import trio
from attrs import define, field
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

from debugger.protocol import VERSION, Hello, frames
from debugger.protocol.client import ClientConnection
from debugger.protocol.commands import COMMANDS
from debugger.protocol.frames import FROM_CLIENT, TO_CLIENT, Reader
from runtime.sessions.session import Session
from runtime.step import REST
from tests.debugger.expressions.generator import Maker
from tests.debugger.protocol.test_hostile import Hostile
from tests.fakes.studio import House, studio
from tests.fakes.world import chunk, text

HELLO: Final = Hello(VERSION, "test", "mallory", "override")
SESSION: Final[str] = COMMANDS["status"].example["session"]
"""The session of which the examples of the commands speak, and so most hostile frames."""
LARGE: Final = {
    "command": "rm -rf " + "x/" * 2_000,
    "list": [{"name": str(n), "deep": [[[n]]]} for n in range(500)],
    "long": "ab" * 50_000,
    "wide": {f"member {n}": n for n in range(1_000)},
    "half": "\ud83d",
}
CALL: Final = chunk([{"functionCall": {"id": "c1", "name": "read", "args": LARGE}}])
PLACES: Final = (
    *(("expr", "print"), ("expr", "until"), ("add", "display"), ("text", "complete"), ("text", "find")),
    *(("path", "tree"), ("path", "bytes"), ("when", "break.add"), ("log", "break.add"), ("watch", "break.add")),
)
"""Members of commands that take an expression, a path or a text."""
REVIVED: Final = 200
"""Frames after which the session is made to go on, if one of them has ended or held it."""


@define(eq=False)
class Loop(trio.abc.Instrument):
    """Measures how long each task keeps the loop."""

    worst: float = 0.0
    _began: float = 0.0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._began = thread_time()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.worst = max(self.worst, thread_time() - self._began)


@define(eq=False)
class Siege:
    """One hostile client, who comes back whenever he is thrown out."""

    house: House
    session: Session
    loop: Loop = field(factory=Loop)
    codes: Counter[str] = field(factory=Counter)
    sent: int = 0
    _stream: trio.abc.Stream | None = None
    _reader: Reader = field(factory=lambda: Reader(TO_CLIENT))

    async def send(self, data: bytes) -> float:
        """Send a frame; return the longest that a task kept the loop until it was answered, in seconds."""
        self.sent += 1
        if self.sent % REVIVED == 0:
            self._revive()
        stream = self._stream or await self._connect()
        self.loop.worst = 0.0
        before = self.codes.total()
        try:
            await stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            await self.leave()
            return 0.0
        await wait_all_tasks_blocked()
        took = self.loop.worst
        if self.codes.total() == before or self.codes["the end"]:  # an unfinished frame, or thrown out
            await self.leave()
        return took

    async def leave(self) -> None:
        """Go, for now."""
        if self._stream is not None:
            await self._stream.aclose()
            await wait_all_tasks_blocked()
        self._stream = None
        self.codes.pop("the end", None)

    async def _connect(self) -> trio.abc.Stream:
        near, far = memory_stream_pair()
        self._stream, self._reader = near, Reader(TO_CLIENT)
        self.house.nursery.start_soon(self.house.studio.service.converse, far)
        self.house.nursery.start_soon(self._read, near)
        await near.send_all(ClientConnection().hello(HELLO))
        await wait_all_tasks_blocked()
        return near

    async def _read(self, stream: trio.abc.Stream) -> None:
        reader = self._reader
        try:
            while data := await stream.receive_some():
                reader.feed(bytes(data))
                while (frame := reader.take()) is not None:
                    self._heard(frame)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
        self.codes["the end"] += stream is self._stream

    def _heard(self, frame: Any) -> None:
        if "error" in frame:
            self.codes[frame["error"]["code"]] += 1
        elif "ok" in frame:
            self.codes["ok"] += 1

    def _revive(self) -> None:
        """Let the session have something to be asked about."""
        session, dispatcher = self.session, self.house.world.dispatcher
        if session.state.hold is not None:
            dispatcher.release(session, "test")
        if session.state.phase in REST and not session.addressed:
            self.house.world.say(session)


@asynccontextmanager
async def besieged() -> AsyncIterator[Siege]:
    """A live debugger with a session whose call has large and broken arguments."""
    async with studio([CALL], [text("done")], repeat=True) as house:
        house.world.tools.tools["read"].seconds = 1e6
        session = house.open(SESSION)
        house.world.say(session)
        await house.world.until(session, lambda one: bool(one.state.turn and one.state.turn.calls))
        siege = Siege(house, session)
        trio.lowlevel.add_instrument(siege.loop)
        try:
            yield siege
        finally:
            trio.lowlevel.remove_instrument(siege.loop)


def attacks(seed: int, count: int) -> Iterator[bytes]:
    """Frames and expressions in turns, from a seed."""
    source, chance = Hostile(seed), Random(seed)
    for number, expression in enumerate(Maker(seed).stream(count // 2)):
        yield source.frame()[1]
        yield _asking(expression, chance, 10**9 + number)


def _asking(expression: str, chance: Random, number: int) -> bytes:
    """A request that has an expression where there is room for one."""
    member, command = chance.choice(PLACES)
    params: dict[str, Any] = {"session": SESSION, member: expression[:1_000]}
    if command == "until":
        params["generation"] = 1
    if command == "break.add":
        params["kinds"] = ["*"] if member != "watch" else []
        params["temporary"] = True
    return frames.encode({"id": number, "do": command, "with": params}, FROM_CLIENT)
