"""A debugger's service with a small table of handlers, and a client beside it, over streams in memory.

    async with house(handlers) as one:
        client = await one.client()
        await client.request("status", {"session": "s"})

`one.stream()` is the bare end of a connection, for peers that do not speak the protocol.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import trio
from attrs import define, field
from trio.testing import memory_stream_pair

from debugger.client import Client, greet
from debugger.peers import Peer
from debugger.protocol import VERSION, Failure, Hello, Role, ServerConnection
from debugger.protocol.client import ClientConnection, NeedData
from debugger.protocol.client import Event as Heard
from debugger.server import Caller, Handler, Service

HELLO = Hello(VERSION, "test", "ann", "override")


async def grant(hello: Hello, peer: Peer | None) -> Role:
    """Let everybody in but mallory, with the role that was asked for."""
    await trio.lowlevel.checkpoint()
    if hello.user == "mallory":
        raise Failure("denied", "mallory may not come in", at="hello.user")
    return hello.role


@define(eq=False)
class Deeds:
    """Handlers that record what they were asked, and do what `acts` says."""

    done: list[tuple[str, Any]] = field(factory=list)
    acts: dict[str, Handler] = field(factory=dict)

    def handlers(self, *names: str) -> Mapping[str, Handler]:
        """Return handlers of these commands."""
        return {name: self._handler(name) for name in names}

    def _handler(self, name: str) -> Handler:
        async def handle(caller: Caller, params: Any) -> Any:
            self.done.append((name, params))
            if name in self.acts:
                return await self.acts[name](caller, params)
            await trio.lowlevel.checkpoint()
            return {"did": name, "user": caller.user}

        return handle


@define(eq=False)
class House:
    """A service that runs, and everything that a test may want to look at."""

    service: Service
    nursery: trio.Nursery
    deeds: Deeds
    callers: dict[str, Caller]
    left: list[str]
    complaints: list[str]

    def stream(self) -> trio.StapledStream[Any, Any]:
        """Open a connection, and return the client's end."""
        near, far = memory_stream_pair()
        self.nursery.start_soon(self.service.converse, far)
        return near

    async def client(self, hello: Hello = HELLO) -> Client:
        """Open a connection that was let in and runs."""
        client = await greet(self.stream(), hello)
        self.nursery.start_soon(client.run)
        return client


COMMANDS = ("status", "where", "print", "pause", "continue", "step", "edit", "verdict", "attach")


@asynccontextmanager
async def house(*names: str) -> AsyncIterator[House]:
    """A service with handlers for these commands (default: some of each role)."""
    deeds = Deeds()
    callers: dict[str, Caller] = {}
    left: list[str] = []
    complaints: list[str] = []
    service = Service(
        deeds.handlers(*(names or COMMANDS)),
        grant,
        name="twinstep test",
        pid=1,
        joined=lambda caller: callers.update({caller.connection: caller}),
        left=lambda caller: left.append(caller.connection),
        complain=lambda where, exc: complaints.append(f"{where}: {exc}"),
    )
    async with trio.open_nursery() as nursery:
        yield House(service, nursery, deeds, callers, left, complaints)
        nursery.cancel_scope.cancel()


def drained(take: Callable[[], Any], *ends: type) -> list[Any]:
    """Return what a machine has to say until it needs more data."""
    found: list[Any] = []
    while True:
        event = take()
        if type(event).__name__ == "NeedData":
            return found
        found.append(event)
        if isinstance(event, ends):
            return found


def introduced(role: Role = "override") -> tuple[ServerConnection, ClientConnection]:
    """Return both sides of a connection that is open."""
    server, client = ServerConnection(), ClientConnection()
    server.receive_data(client.hello(Hello(VERSION, "test", "ann", role)))
    assert isinstance(server.next_event(), Hello)
    client.receive_data(server.welcome(role, "c1", "twinstep test", 1))
    assert not isinstance(client.next_event(), NeedData)
    return server, client


async def heard(client: Client, count: int) -> list[Heard]:
    """Wait for so many events."""
    found: list[Heard] = []
    with trio.fail_after(60):
        async for event in client:
            found.append(event)
            if len(found) == count:
                break
    return found
