"""A gateway for tests: a real desk with its directory, runs and hub over a store in memory, and a scripted model.

    async with serving([text("Hello.")]) as house:
        link = house.link()
        await house.call("chat.send", link, sessionKey="main", message="hi", idempotencyKey="r1")
        await house.rest("agent:main:main")
        assert link.events("chat")[-1]["state"] == "final"

Methods are called as a connection calls them: scope, params, handler. Errors come as GatewayError. A second house over
the same `kept` is the same gateway after a restart.
"""

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import trio
from attrs import define, field

from runtime.gateway import scopes
from runtime.gateway.auth import AuthPolicy, Limiter
from runtime.gateway.desk import Desk
from runtime.gateway.devicebook import DeviceBook, Known
from runtime.gateway.directory import Directory
from runtime.gateway.entries import Entry, Note, Past, Run, Spent
from runtime.gateway.hub import Hub
from runtime.gateway.methods.sessions_list import Followers
from runtime.gateway.models import Model, Models
from runtime.gateway.registry import ANSWERED, FAMILIES, Call, Method, Registry
from runtime.gateway.runs import Runs
from runtime.sessions.roster import Roster
from runtime.sessions.session import Session
from runtime.step import REST, Settings
from runtime.stores.memory import Kept, MemoryStore
from runtime.stores.shelf import Shelf
from tests.fakes.world import CountingChance, FakeJudge, FakeTools, Piece, TrioClock, World, running

ALL: tuple[str, ...] = tuple(sorted(scopes.SCOPES))
MODEL = "test-model"


@define(eq=False)
class FakeLink:
    """A connection that keeps what it was told. `device` is the one that it proved to be, if any."""

    id: str = "link"
    role: str = "operator"
    scopes: frozenset[str] = frozenset(ALL)
    caps: frozenset[str] = frozenset()
    watches: set[str] = field(factory=set)
    lists: bool = False
    client_id: str = "gateway-client"
    device: str | None = None
    frames: list[dict[str, Any]] = field(factory=list)
    flushes: int = 0
    closed: tuple[int, str] | None = None

    @property
    def accepted(self) -> SimpleNamespace:
        """What the handshake decided, as far as methods look at it."""
        return SimpleNamespace(device=self.device, user="", role=self.role, scopes=tuple(self.scopes))

    def tell(self, event: bytes) -> None:
        """Keep an event."""
        self.frames.append(json.loads(event))

    def flush(self) -> None:
        """Count it; what it was told is there anyway."""
        self.flushes += 1

    def answer(self, frame: bytes) -> None:
        """Keep a response that came ahead."""
        self.frames.append(json.loads(frame))

    def close(self, code: int, reason: str) -> None:
        """Note why it was ended."""
        self.closed = (code, reason)

    def events(self, name: str, **members: Any) -> list[dict[str, Any]]:
        """Return the payloads of the events of this name that have these members."""
        told = [frame.get("payload") for frame in self.frames if frame.get("event") == name]
        return [one for one in told if isinstance(one, dict) and members.items() <= one.items()]


@define(eq=False)
class House:
    """A running gateway, and the world behind its model."""

    desk: Desk
    world: World
    store: MemoryStore
    links: int = 0

    def link(self, *caps: str, scopes: Iterable[str] = ALL, device: str | None = None) -> FakeLink:
        """Connect somebody."""
        self.links += 1
        made = FakeLink(f"link-{self.links}", scopes=granted(scopes), caps=frozenset(caps), device=device)
        self.desk.hub.add(made)
        return made

    async def call(self, name: str, link: FakeLink | None = None, /, **params: Any) -> Any:
        """Call a method as this connection, or as somebody with all scopes who hears no events. Raises GatewayError."""
        return (await self.answers(name, link, **params))[-1]

    async def answers(self, name: str, link: FakeLink | None = None, /, **params: Any) -> list[Any]:
        """Call a method that may answer twice; return all answers."""
        caller = link if link is not None else FakeLink()
        refused = scopes.refusal(caller.role, caller.scopes, name, params)
        if refused is not None:
            raise refused
        method: Method = self.desk.registry.get(name)
        ahead: list[Any] = []
        connection: Any = caller
        call = Call(self.desk, connection, name, method.decode(name, params), ahead.append, caller.scopes)
        last = await method.handler(call)
        return ahead if last is ANSWERED else [*ahead, last]

    def entry(self, key: str) -> Entry:
        """Return the entry of a full key, which must be there."""
        entry = self.desk.directory.get(key)
        assert entry is not None, f"no session {key}"
        return entry

    async def rest(self, key: str) -> Session:
        """Wait until the session of a key has nothing to do any more."""
        session = self.desk.directory.roster.get(self.entry(key).session)
        await self.world.until(session, lambda one: one.state.phase in REST and not one.addressed)
        return session

    async def written(self) -> None:
        """Wait until everything so far is in the store."""
        await self.store.room()

    async def turn(self, key: str, said: str, run: str) -> None:
        """Say something in a session and wait for the end of the run."""
        await self.call("chat.send", sessionKey=key, message=said, idempotencyKey=run)
        with trio.fail_after(60):
            await self.desk.runs.wait(run, 60)


def granted(given: Iterable[str]) -> frozenset[str]:
    """Return these scopes with all that they imply."""
    return scopes.effective(given)


@asynccontextmanager
async def serving(
    *answers: Sequence[Piece],
    families: Iterable[str] = FAMILIES,
    kept: Kept | None = None,
    tools: FakeTools | None = None,
    judge: FakeJudge | None = None,
    chance: CountingChance | None = None,
    config: Any = None,
    extras: dict[str, Any] | None = None,
    repeat: bool = True,
) -> AsyncIterator[House]:
    """A gateway over a store in memory; the answers of the model come again from the first (`repeat`).

    After a restart `chance` must not give the same ids again: `chance=CountingChance(1000)`.
    """
    store = MemoryStore(kept)
    async with running(*answers, tools=tools, judge=judge, store=store, repeat=repeat) as world:
        desk = desk_of(world, store, families, chance or CountingChance(), config)
        desk.extras.update(extras or {})
        desk.runs.recover()
        async with trio.open_nursery() as nursery:
            await nursery.start(desk.hub.run)
            yield House(desk, world, store)
            nursery.cancel_scope.cancel()


def desk_of(world: World, store: MemoryStore, families: Iterable[str], chance: CountingChance, config: Any) -> Desk:
    """Put a gateway together, as `runtime.app.gateway` does."""
    clock, hub = TrioClock(), Hub()
    models = Models({MODEL: Model(MODEL, "Test")}, f"google/{MODEL}", {"main": {}}, workspace=lambda agent: "/nowhere")
    roster = Roster(world.dispatcher)

    def settings_of(entry: Entry) -> Settings:
        root = str(entry.members.get("sessionRoot") or models.workspace(entry.agent))
        return Settings(
            models.of(entry)[1],
            mode=entry.mode or models.mode,
            workspace=root,
            interactive=True,
            thinking=entry.thinking or "",
        )

    def changed(what: str, run: Run, session: Session | None) -> None:
        desk.on_run(what, run, session)

    def model_of(session: Session) -> tuple[str, str]:
        return "google", session.state.settings.model

    directory = Directory(
        roster,
        Shelf(store, "entry", Entry),
        clock,
        chance,
        settings_of,
        notes=Shelf(store, "note", Note),
        past=Shelf(store, "past", Past),
        spent=Shelf(store, "spent", Spent),
    )
    kept = Shelf(store, "run", Run)
    runs = Runs(world.dispatcher, roster, hub, kept, clock, chance, model_of, changed, fit=directory.fit)
    world.dispatcher.performer.live, directory.own = runs.live, runs.own
    devices = DeviceBook(Shelf(store, "device", Known), clock, chance)
    policy = AuthPolicy(mode="token", token="T")
    desk = Desk(
        clock, chance, world.dispatcher, directory, runs, hub, devices, Registry.of(families), policy, Limiter(),
        config, "test", "boot", clock.wall(), "/nowhere/state", "/nowhere/openclaw.json", 18789, bytes,
        lambda *said, **more: None, extras={"models": models},
    )  # fmt: skip
    followers = desk.extras["followers"] = Followers(desk)
    directory.added = followers.said
    runs.row_of = desk.row_of
    return desk
