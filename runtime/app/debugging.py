"""The debugger of a gateway: which sessions it sees, who may come in. Composition only."""

import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio
from attrs import define

from debugger.controller import Row, Studio, assemble
from debugger.listener import Listener, listen
from debugger.orphans import Orphans
from debugger.peers import Peer, become_subreaper
from debugger.protocol import Failure, Hello, Role
from debugger.server import serve
from debugger.tcp_peers import neighbour
from runtime import __version__
from runtime.app.debugvisits import EVENT, Visits
from runtime.errors import InputError
from runtime.gateway.asks import Ask
from runtime.gateway.desk import Desk
from runtime.gateway.keys import agent_of
from runtime.gateway.link import Connection
from runtime.gateway.queueing import NEXT
from runtime.sessions.session import Session

CLOSE_SECONDS: Final = 1.0


@define(eq=False)
class GatewayNames:
    """The sessions of a gateway, as its clients know them (`debugger.controller.names.Names`)."""

    desk: Desk

    def of(self, session: str) -> tuple[str, str]:
        """Return key and agent."""
        entry = self.desk.directory.of(session)
        return (entry.key, entry.agent) if entry is not None else ("", "")

    def rows(self) -> Iterable[Row]:
        """All sessions that have a key."""
        return [Row(entry.session, entry.key, entry.agent, entry.updated) for entry in self.desk.directory]

    def known(self, name: str) -> str | None:
        """Return the session of an id or full key."""
        directory = self.desk.directory
        entry = directory.of(name) or directory.named(name) or directory.get(name)
        return entry.session if entry is not None else None

    def get(self, session: str) -> Session:
        """Return a session."""
        return self.desk.directory.roster.get(session)

    def new(self, key: str, agent: str) -> Session:
        """Begin a session under a key of its own, or the one that is given."""
        directory = self.desk.directory
        name = agent or directory.default_agent
        full = directory.key(key or f"debug-{self.desk.chance.uuid()[:8]}", name)
        if directory.get(full) is not None:
            raise InputError(f"there is a session {full} already")
        entry = directory.create(full, via="debugger")
        self.desk.changed(entry, "create")
        return directory.roster.get(entry.session)

    async def fork(
        self, session: Session, seq: int, name: str, by: str, reason: str, receipt: str, workspace: str
    ) -> Session:
        """Begin a session under a key of its own as another one was."""
        directory = self.desk.directory
        entry = directory.of(session.id)
        if entry is None:
            raise InputError(f"session {session.id} has no key any more")
        key = directory.key(name or f"fork-{self.desk.chance.uuid()[:8]}", entry.agent)
        if (agent_of(key) or directory.default_agent) != entry.agent:
            raise InputError(f"{key} is a key of another agent, and a copy stays with {entry.agent}")
        if directory.get(key) is not None:
            raise InputError(f"there is a session {key} already")
        made = await directory.fork(entry, key, seq, by, reason, receipt, workspace)
        self.desk.changed(made, "create")
        return directory.roster.get(made.session)

    async def say(self, session: Session, text: str, by: str) -> None:
        """Send a message as a client would; it is a run like any other."""
        entry = self.desk.directory.of(session.id)
        if entry is None:
            raise InputError(f"session {session.id} has no key any more")
        run = self.desk.chance.uuid()
        await self.desk.runs.send(Ask(entry, run, text, ({"text": text},), "chat", NEXT, f"debugger:{by}"))


async def admit(hello: Hello, peer: Peer | None) -> Role:
    """Whoever may use the socket is the daemon's user, and gets the role that he asks for."""
    await trio.lowlevel.checkpoint()
    return hello.role


def offer(desk: Desk, visits: Visits) -> bool:
    """Add the methods `debug.*` to those of the gateway, and return whether there are any: where the system cannot keep
    agents out, there are none.
    """
    try:
        become_subreaper()
    except InputError as exc:
        desk.log("warn", f"no debugger over WebSocket: {exc}")
        return False
    for method in visits.methods():
        desk.registry.add(method)
    desk.events.append(EVENT)
    return True


async def vouched(link: Connection) -> Peer | None:
    """Return the process of this machine at the other end of a connection. Raises Failure for what agents started."""
    if link.socket.ends is None:
        raise Failure("denied", "it cannot be told where this connection comes from")
    return await trio.to_thread.run_sync(neighbour, *link.socket.ends, os.getpid())


def counts(made: Studio) -> Mapping[str, int]:
    """Return how the debugger is, in numbers."""
    states = [session.state for session in made.debugger.roster.live.values()]
    return {
        "connections": len(made.service.links),
        "held": sum(state.hold is not None for state in states),
        "forever": sum(made.debugger.keeping.forever(state) for state in states),
        "stops": made.debugger.stops,
        "touched": sum(state.touched for state in states),
    }


@define(eq=False)
class Debugging:
    """The debugger of a running gateway. `path` is its socket, None where it has none."""

    studio: Studio
    path: Path | None
    listener: Listener | None
    visits: Visits
    offered: bool

    @classmethod
    async def of(
        cls,
        desk: Desk,
        store: Any,
        path: Path | None,
        *,
        over_websocket: bool = False,
        unattended: float,
        secrets: Callable[[], Iterable[str]] = tuple,
    ) -> "Debugging":
        """Put it together, and open its socket. A daemon that cannot have one says so, and serves without.

        With `over_websocket` the methods `debug.*` join those of the desk. A session that nobody drives stays stopped
        for `unattended` seconds. `secrets` returns what must not leave it in a bundle.
        """

        def complain(where: str, exc: Exception) -> None:
            desk.complain(f"debugger: {where}: {exc}", exc)

        made = await assemble(
            desk.directory.roster,
            GatewayNames(desk),
            store,
            desk.clock,
            desk.chance,
            admit,
            complain,
            secrets=secrets,
            name=f"twinstep {__version__}",
            pid=os.getpid(),
        )
        made.debugger.unattended_seconds = unattended
        visits = desk.extras["debugging"] = Visits(made.service, vouched, partial(counts, made))
        offered = over_websocket and offer(desk, visits)
        try:
            listener = listen(path) if path is not None else None
        except InputError as exc:
            desk.log("warn", f"no debugger: {exc}")
            listener = None
        return cls(made, path if listener is not None else None, listener, visits, offered)

    async def run(self, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        self.studio.install()
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(self.studio.run)
                self.visits.nursery = nursery
                if self.listener is not None or self.offered:
                    nursery.start_soon(Orphans().run)
                if self.listener is not None:
                    nursery.start_soon(serve, self.studio.service, self.listener.socket, self.listener.check)
                task_status.started()
        finally:
            if self.listener is not None:
                with trio.move_on_after(CLOSE_SECONDS, shield=True):
                    await self.listener.aclose()
