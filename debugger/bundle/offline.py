"""A debugger over a bundle, in this process: the session stands at its stop, and can be looked at from end to end.

Nothing is there that could run: no model, no tools, no network, and the journal takes no record, so that no step is
ever taken. Whatever would need one is refused with one sentence. Looking and going over what is recorded work as they
do at a daemon, since it is the same debugger.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

import trio
from attrs import define, evolve, frozen

from debugger.bundle.errors import Offline
from debugger.bundle.opening import Bundle
from debugger.bundle.playing import played
from debugger.client import Client, greet
from debugger.controller import Plain, Studio, assemble
from debugger.peers import Peer
from debugger.protocol import COMMANDS, Hello, Role
from debugger.protocol.params import Detach
from debugger.server import Caller, Handler
from runtime import __version__
from runtime.ports import StoredRecord
from runtime.sessions.dispatcher import Dispatcher
from runtime.sessions.journal import Journal
from runtime.sessions.performer import Performer
from runtime.sessions.roster import Roster
from runtime.sessions.session import Session
from runtime.step import OPEN, REST
from runtime.step.branches import Taken
from runtime.step.events import Settings
from runtime.stores.memory import MemoryStore

CAUSE: Final = "the end of the bundle"
BY: Final = "bundle"
WHY: Final = "a bundle is only looked at: nothing of it can run, be changed or go out"
MOVING: Final = frozenset(
    """attach detach display lease step continue finish until back goto reverse-continue reverse-until log branches
    receipt blame bisect compare""".split()
)
"""Commands that are served beside those that only look and those about breakpoints. They go over what is recorded; at
the end of it the journal takes no further step."""


class Sealed(MemoryStore):
    """A journal in memory that takes no record any more once it is `sealed`."""

    sealed = False

    def append(self, record: StoredRecord, blobs: Sequence[tuple[str, bytes]] = ()) -> int:
        """Take a record before it is sealed. Raises Offline."""
        if self.sealed:
            raise Offline(WHY)
        return super().append(record, blobs)

    def forget(self, session: str) -> int:
        """Forget nothing. Raises Offline."""
        raise Offline(f"{session}: {WHY}")


@frozen(eq=False)
class Still:
    """Clock and chance of a bundle: the time is that of its last record, and nothing is left to chance."""

    at: int = 0

    def wall(self) -> int:
        """The time of the last record, in milliseconds since 1970."""
        return self.at

    def mono(self) -> int:
        """No time goes by."""
        return 0

    def random(self) -> float:
        """Nothing asks for it."""
        return 0.5

    def uuid(self) -> str:
        """Nothing asks for it."""
        return "00000000-0000-4000-8000-000000000000"


class Nothing:
    """What stands in the place of judge, model, tools, context and outbox. Whatever is asked of it is refused."""

    def __getattr__(self, name: str) -> NoReturn:
        raise Offline(WHY)


@define(eq=False)
class Viewing:
    """A bundle that is held open for debuggers. `run` serves it; `dial` connects to it."""

    bundle: Bundle
    session: Session
    studio: Studio
    nursery: trio.Nursery | None = None

    @classmethod
    async def of(cls, bundle: Bundle) -> "Viewing":
        """Replay the bundle, and let its session stand. Raises JournalCorrupt, ReplayMismatch with the record."""
        taken = list(played((bundle.record(one) for one in bundle.stored), bundle.session, bundle.name))
        still = Still(taken[-1].wall)
        store = Sealed(bundle.kept, codec="json", name=bundle.name)
        nothing: Any = Nothing()
        performer = Performer(nothing, nothing, nothing, nothing, _refuse, still, still, nothing, _refuse)
        dispatcher = Dispatcher(Journal(store, still, "json", bundle.name), performer)
        roster = Roster(dispatcher)
        session = _standing(dispatcher, taken)
        roster.live[session.id] = session
        await store.committed(session.ticket)
        store.sealed = True
        names = _Names(roster, still, Settings(model=""), bundle)
        name = f"twinstep {__version__} at {Path(bundle.name).name}"
        studio = await assemble(roster, names, store, still, still, _admit, _complain, name=name, pid=0)
        studio.service.handlers = {name: _guarded(name, handler) for name, handler in studio.service.handlers.items()}
        return cls(bundle, session, studio)

    async def run(self, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        self.studio.install()
        async with trio.open_nursery() as nursery:
            self.nursery = nursery
            task_status.started()
            await trio.sleep_forever()

    async def dial(self, hello: Hello) -> Client:
        """Connect to it, as to a daemon. `run` must be under way."""
        assert self.nursery is not None
        near, far = trio.socket.socketpair()
        self.nursery.start_soon(self.studio.service.converse, trio.SocketStream(far))
        return await greet(trio.SocketStream(near), hello)


@define(eq=False)
class _Names(Plain):
    """The session of a bundle, by the key that it had."""

    bundle: Bundle

    def of(self, session: str) -> tuple[str, str]:
        stop = self.bundle.stop or {}
        return str(stop.get("key", "")), str(stop.get("agent", ""))


def _standing(dispatcher: Dispatcher, taken: Sequence[Taken]) -> Session:
    """Return the session as it stands after its last record; where nobody held it, it is held now."""
    state = taken[-1].state
    session = Session(state, steps=taken[-1].number)
    session.watch(True)
    session.states.extend(one.state for one in taken[:-1])
    if state.hold is not None:
        dispatcher.gate.close(session)
        session.deadlines.freeze()
        session.processes.freeze()
    elif state.phase in OPEN | REST:
        dispatcher.hold(session, BY, CAUSE)
    return session


def _guarded(name: str, handler: Handler) -> Handler:
    """Return the handler of a command, or one that refuses it. What is not known to be safe is refused."""
    if name == "detach":

        async def detach(caller: Caller, params: Detach) -> Any:
            return await handler(caller, evolve(params, then="hold"))

        return detach
    if COMMANDS[name].looks or name in MOVING or name.startswith("break."):
        return handler

    async def refuse(caller: Caller, params: Any) -> Any:
        await trio.lowlevel.checkpoint()
        raise Offline(f"{name}: {WHY}")

    return refuse


async def _admit(hello: Hello, peer: Peer | None) -> Role:
    await trio.lowlevel.checkpoint()
    return hello.role


def _complain(where: str, exc: Exception) -> None:
    """Nobody keeps a log here: what goes wrong in a command is its answer."""


def _refuse(*asked: Any) -> NoReturn:
    raise Offline(WHY)
