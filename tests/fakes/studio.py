"""A world of sessions with its debugger, and clients of it over streams in memory.

async with studio([text("hello")]) as one:
    ann = await one.client("ann")
    session = one.open()
    await ann.ask("attach", session="s")
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio
from attrs import define, field
from trio.testing import memory_stream_pair

from debugger.client import Client, greet
from debugger.controller import Debugger, Plain, Studio, assemble
from debugger.peers import Peer
from debugger.protocol import VERSION, Failure, Hello, Role
from debugger.protocol.client import Event as Heard
from runtime.sessions.roster import Roster
from runtime.sessions.session import Session
from runtime.step import events as ev
from runtime.stores.memory import MemoryStore
from tests.fakes.world import CountingChance, FakeJudge, FakeTools, Piece, TrioClock, World, running


async def admit(hello: Hello, peer: Peer | None) -> Role:
    await trio.lowlevel.checkpoint()
    return hello.role


@define(eq=False)
class Person:
    """Somebody at a debugger: asks, and remembers what he was told."""

    client: Client
    stream: Any
    name: str
    heard: list[Heard] = field(factory=list)
    news: trio.Event = field(factory=trio.Event)

    async def ask(self, command: str, /, **params: Any) -> Any:
        """Ask; names that are no identifiers are given with `_` (`break_add`)."""
        return await self.client.request(command.replace("break_", "break."), params)

    async def refused(self, command: str, /, **params: Any) -> Failure:
        """Ask what is refused, and return why."""
        try:
            answer = await self.ask(command, **params)
        except Failure as exc:
            return exc
        raise AssertionError(f"{command} was answered: {answer}")

    async def listen(self) -> None:
        async for event in self.client:
            self.heard.append(event)
            self.news.set()
            self.news = trio.Event()

    async def told(self, name: str, count: int = 1) -> Any:
        """Wait for the n-th event of a kind, and return its data."""
        with trio.fail_after(3_600):
            while len(found := [one for one in self.heard if one.name == name]) < count:
                await self.news.wait()
        return found[count - 1].data

    def all(self, name: str) -> list[Any]:
        """What was told so far of a kind."""
        return [one.data for one in self.heard if one.name == name]

    def forget(self) -> None:
        """Forget what was told."""
        self.heard.clear()

    async def leave(self) -> None:
        """Lose the connection."""
        await self.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()


@define(eq=False)
class House:
    """Everything a test may want to look at."""

    world: World
    roster: Roster
    studio: Studio
    nursery: trio.Nursery
    complaints: list[str]

    @property
    def debugger(self) -> Debugger:
        return self.studio.debugger

    def open(self, name: str = "s", settings: ev.Settings | None = None) -> Session:
        """Begin a session that the roster knows."""
        return self.roster.open(name, settings or ev.Settings(model="test-model"))

    async def client(self, user: str = "ann", role: Role = "override") -> Person:
        """Let somebody come in."""
        near, far = memory_stream_pair()
        self.nursery.start_soon(self.studio.service.converse, far)
        client = await greet(near, Hello(VERSION, "test", user, role))
        self.nursery.start_soon(client.run)
        person = Person(client, near, user)
        self.nursery.start_soon(person.listen)
        return person

    async def driver(self, session: Session, user: str = "ann", role: Role = "override", **params: Any) -> Person:
        """Let somebody come in who drives a session."""
        person = await self.client(user, role)
        assert (await person.ask("attach", session=session.id, **params))["driving"]
        return person


@asynccontextmanager
async def studio(
    *answers: Sequence[Piece],
    tools: FakeTools | None = None,
    judge: FakeJudge | None = None,
    store: MemoryStore | None = None,
    repeat: bool = False,
    secrets: Callable[[], Iterable[str]] = tuple,
) -> AsyncIterator[House]:
    """A world that runs, with its debugger installed."""
    async with running(*answers, tools=tools, judge=judge, store=store, repeat=repeat) as world:
        roster, complaints = Roster(world.dispatcher), list[str]()
        clock, chance = TrioClock(), CountingChance()
        names = Plain(roster, chance, ev.Settings(model="test-model"))

        def complain(where: str, exc: Exception) -> None:
            complaints.append(f"{where}: {type(exc).__name__}: {exc}")

        about: dict[str, Any] = {"name": "test", "pid": 1}
        made = await assemble(roster, names, world.store, clock, chance, admit, complain, secrets=secrets, **about)
        made.install()
        async with trio.open_nursery() as nursery:
            await nursery.start(made.run)
            house = House(world, roster, made, nursery, complaints)
            yield house
            nursery.cancel_scope.cancel()
        assert not complaints, complaints
        assert not [one for one in world.dispatcher.complaints if "listener" in one or "breakpoint failed" in one]
