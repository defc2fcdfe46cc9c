"""The server: connections of editors on a port, or one on standard input and output.

A port is open to everybody on this machine, and an agent's tool runs as the same user: so whoever connects sends the
token (`tokens`), and a process that descends from the daemon is refused though it could read that (`tcp_peers`).
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import trio
from attrs import evolve, frozen

from debugger.bundle.names import SUFFIX
from debugger.client import Client, connect
from debugger.dap.joining import Door
from debugger.dap.session import Session
from debugger.dap.sources import written
from debugger.peers import Peer
from debugger.protocol import VERSION, Failure, Hello, Role
from debugger.tcp_peers import neighbour
from runtime import __version__
from runtime.errors import InputError

if TYPE_CHECKING:
    from debugger.bundle.offline import Viewing

CONNECTIONS: Final = 16
NAME: Final = f"twinstep {__version__} dap"
Complain = Callable[[str, Exception], None]


@frozen(kw_only=True)
class Options:
    """What a server was asked for. `folder` is where the listing is written; `session` is what an editor is attached
    to that names none."""

    socket: Path
    user: str
    folder: Path
    role: Role = "mutator"
    session: str = ""
    token: str = ""
    complain: Complain


def door(options: Options) -> Door:
    """Return the way to the daemon for one whose process nobody has to look at."""

    async def dial(role: Role) -> Client:
        return await connect(options.socket, Hello(VERSION, NAME, options.user, role))

    async def view(name: str, role: Role, nursery: trio.Nursery) -> Client:
        viewing = await _viewing(Path(name).expanduser())
        await nursery.start(viewing.run)
        return await viewing.dial(Hello(VERSION, NAME, options.user, role))

    return Door(dial, view, _trusted, options.role, options.session, options.user, options.token)


async def _viewing(path: Path) -> "Viewing":
    """Open a bundle, to be served here. Raises InputError, BadBundle and what a replay raises."""
    from debugger.bundle.offline import Viewing
    from debugger.bundle.opening import is_bundle, opened

    if not is_bundle(path):
        raise InputError(f"{path}: the name of a bundle ends in {SUFFIX}")
    return await Viewing.of(await trio.to_thread.run_sync(opened, path))


async def _trusted(daemon: int) -> None:
    await trio.lowlevel.checkpoint()


async def listen(options: Options, host: str, port: int) -> list[trio.SocketListener]:
    """Open the port. Raises InputError."""
    try:
        return await trio.open_tcp_listeners(port, host=host)
    except OSError as exc:
        raise InputError(f"{host}:{port}: this address cannot be listened on ({exc.strerror}).") from exc


async def serve(options: Options, listeners: list[trio.SocketListener], stop: trio.Event) -> None:
    """Serve editors until `stop` is set or this is cancelled. Each connection then still takes its breakpoints back."""
    listing = written(options.folder)
    there: list[Session] = []

    async with _leaving(stop) as (background, ending):

        async def converse(stream: trio.SocketStream) -> None:
            if not _room(there):
                return
            made = evolve(door(options), vouch=partial(_vouched, stream))
            session = Session(stream, made, listing, background, options.complain)
            there.append(session)
            try:
                await session.run()
            finally:
                there.remove(session)

        await _until(ending, partial(trio.serve_listeners, converse, listeners))


def _room(there: list[Session]) -> bool:
    """Whether one more may come: where there are too many, the oldest that has attached to nothing has to go."""
    if len(there) < CONNECTIONS:
        return True
    idle = next((one for one in there if one.debuggee.client is None and not one.leaving), None)
    if idle is not None:
        idle.leave()
    return idle is not None


async def converse(options: Options, stream: trio.abc.Stream, stop: trio.Event) -> None:
    """Serve one editor to its end, or until `stop` is set."""
    listing: Mapping[str, Any] = written(options.folder)
    async with _leaving(stop) as (background, ending):
        await _until(ending, Session(stream, door(options), listing, background, options.complain).run)


@asynccontextmanager
async def _leaving(stop: trio.Event) -> AsyncIterator[tuple[trio.Nursery, trio.Event]]:
    """Give a nursery for what still has to be done after the end, and the event of the end: `stop`, or a cancellation,
    which must not reach into that nursery."""
    ending = trio.Event()

    async def wait() -> None:
        try:
            await stop.wait()
        finally:
            ending.set()

    async with trio.open_nursery() as watching:
        watching.start_soon(wait)
        async with trio.open_nursery() as background:
            background.cancel_scope.shield = True
            yield background, ending
        watching.cancel_scope.cancel()


async def _until(ending: trio.Event, work: Callable[[], Awaitable[object]]) -> None:
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            await ending.wait()
            nursery.cancel_scope.cancel()

        nursery.start_soon(wait)
        await work()
        nursery.cancel_scope.cancel()


async def _vouched(stream: trio.SocketStream, daemon: int) -> None:
    """Refuse what the daemon has started, and other users of this machine. Raises Failure `denied`."""
    try:
        here, there = stream.socket.getsockname(), stream.socket.getpeername()
    except OSError as exc:
        raise Failure("denied", "the process that connected has ended") from exc
    found: Peer | None = await trio.to_thread.run_sync(neighbour, there[:2], here[:2], daemon)
    if found is not None and found.uid != os.getuid():
        raise Failure("denied", f"process {found.pid} belongs to user {found.uid}: an editor runs as the daemon's user")
