"""The debugger of a gateway: which sessions it sees, where its socket is, who may come in. Composition only."""

import os
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import trio
from attrs import define

from debugger.controller import Row, Studio, assemble
from debugger.listener import LONGEST, Listener, listen
from debugger.orphans import Orphans
from debugger.peers import Peer
from debugger.protocol import Hello, Role
from debugger.server import serve
from runtime import __version__
from runtime.errors import InputError
from runtime.gateway.asks import Ask
from runtime.gateway.desk import Desk
from runtime.gateway.queueing import NEXT
from runtime.sessions.session import Session

SOCKET: Final = "TWINSTEP_SOCKET"
"""Names the socket of a daemon, for daemon and clients."""


def socket_path(environ: Mapping[str, str], state: Path, given: str | None = None) -> Path:
    """Return where the socket of a daemon is that keeps its sessions in `state`.

    The flag, then TWINSTEP_SOCKET, then `debugger/NAME.sock` beside the state; where that is too long for a socket,
    a folder of the user's that lasts as long as he is logged in (XDG_RUNTIME_DIR), or one below /tmp.
    """
    named = given or environ.get(SOCKET)
    if named:
        return Path(named).absolute()
    beside = state.absolute().parent / "debugger" / f"{state.stem}.sock"
    if len(os.fsencode(beside)) <= LONGEST:
        return beside
    name = f"{sha256(os.fsencode(state.absolute())).hexdigest()[:16]}.sock"
    runtime = environ.get("XDG_RUNTIME_DIR")
    return (Path(runtime) / "twinstep" if runtime else Path(f"/tmp/twinstep-{os.getuid()}")) / name  # noqa: S108 - 0700


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


@define(eq=False)
class Debugging:
    """The debugger of a running gateway. `path` is its socket, None where it has none."""

    studio: Studio
    path: Path | None
    listener: Listener | None

    @classmethod
    async def of(cls, desk: Desk, store: Any, path: Path | None) -> "Debugging":
        """Put it together, and open its socket. A daemon that cannot have one says so, and serves without."""

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
            name=f"twinstep {__version__}",
            pid=os.getpid(),
        )
        try:
            listener = listen(path) if path is not None else None
        except InputError as exc:
            desk.log("warn", f"no debugger: {exc}")
            listener = None
        return cls(made, path if listener is not None else None, listener)

    async def run(self, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        self.studio.install()
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(self.studio.debugger.run)
                if self.listener is not None:
                    nursery.start_soon(Orphans().run)
                    nursery.start_soon(serve, self.studio.service, self.listener.socket, self.listener.check)
                task_status.started()
        finally:
            if self.listener is not None:
                with trio.CancelScope(shield=True):
                    await self.listener.aclose()
