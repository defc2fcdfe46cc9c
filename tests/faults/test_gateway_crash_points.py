"""The gateway dies at every point of a busy conversation, and comes back from what the disk had by then.

A crash keeps a prefix of what was handed to the store. So one conversation is played, in all queue modes, and for every
prefix a gateway is started over it: what its clients had been told holds, and what they had not can be said again.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock

from runtime.gateway.entries import Entry
from runtime.ports import Deliver, ModelRequest
from runtime.stores.backlog import Entry as Written
from runtime.stores.memory import Kept, MemoryStore
from runtime.vocab import JsonObject, Tape
from tests.fakes.gateway import House, desk_of
from tests.fakes.world import CountingChance, calls, running, text

MARK = re.compile(r"\bm\d+\b")
FAMILIES = ("chat", "runs", "sessions_change", "sessions_create", "sessions_end")
KEY = "agent:main:s"
TERMINAL = ("ok", "error", "aborted")


class Recorder(MemoryStore):
    """Keeps the order in which things were handed over."""

    def __init__(self, kept: Kept | None = None) -> None:
        super().__init__(kept)
        self.log: list[Written] = []

    @property
    def written(self) -> int:
        """How much is on disk."""
        return self._settled

    def last_record(self) -> int:
        """How much must be on disk for the last record to be there."""
        return max(n for n, (kind, _, _) in enumerate(self.log, 1) if kind == "record")

    def record_of(self, words: str) -> int:
        """How much must be on disk for the first record with these words to be there."""
        return next(n for n, (kind, it, _) in enumerate(self.log, 1) if kind == "record" and words.encode() in it.body)

    def _put(self, entry: Written, size: int) -> int:
        self.log.append(entry)
        return super()._put(entry, size)


def disk(log: Sequence[Written]) -> Kept:
    """What a process finds that starts after a crash which left this much."""
    store = MemoryStore()
    for entry in log:
        store._keep(entry, 0)
    return store.kept


class Echo:
    """A model that names in its answer what nothing has answered yet. What is asked with `tool` is first looked up."""

    def __init__(self) -> None:
        self.seconds = 1.0

    async def stream(self, request: ModelRequest, tape: Tape, deliver: Deliver) -> Tape:
        marks: list[str] = []
        looked = False
        for content in reversed(request.contents):
            said = " ".join(str(part.get("text", "")) for part in content.parts)
            if content.role == "model":
                looked = looked or any("functionCall" in part for part in content.parts)
                if MARK.search(said):
                    break
                continue
            wants = "tool" in said and not looked
            marks = [*MARK.findall(said), *marks]
            if wants:
                await trio.sleep(self.seconds)
                await deliver(calls(("read", {})))
                return tape.taking(tape.next)
        await deliver(text("Answered: ", None))
        await trio.sleep(self.seconds)
        await deliver(text(" ".join(dict.fromkeys(marks))))
        return tape.taking(tape.next)

    async def generate(self, request: ModelRequest, tape: Tape) -> tuple[JsonObject, Tape]:
        raise AssertionError("no tool of these tests asks the model")

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


@define
class Told:
    """What a client said and was told: how much was on disk at least when it was acknowledged, or given up."""

    mark: str
    mode: str
    words: str
    acked: int = 0
    stopped: int | None = None


@define
class Play:
    """One conversation: what was said, how it was acknowledged, and all that was handed to the store."""

    house: House
    store: Recorder
    told: dict[str, Told] = field(factory=dict)

    async def say(self, mark: str, mode: str = "steer", words: str = "please") -> None:
        """Send a message and note its acknowledgement."""
        told = self.told[mark] = Told(mark, mode, words)
        await said(self.house, told)
        told.acked = self.store.record_of(f"{words} {mark}")

    async def stop(self, *marks: str) -> None:
        """Abort what the session does, and note for whom."""
        answer = await self.house.call("chat.abort", sessionKey=KEY)
        for mark in marks:
            assert mark in answer["runIds"]
            self.told[mark].stopped = self.store.last_record()


async def said(house: House, told: Told) -> Any:
    """Send a message; it has the mark for its id."""
    message = f"{told.words} {told.mark}"
    return await house.call("chat.send", sessionKey=KEY, message=message, idempotencyKey=told.mark, queueMode=told.mode)


@asynccontextmanager
async def gateway(kept: Kept | None = None, ids: int = 0) -> AsyncIterator[House]:
    """A gateway over a recording store, with a model that echoes."""
    store = Recorder(kept)
    async with running(store=store) as world:
        world.dispatcher.performer.model = Echo()
        desk = desk_of(world, store, FAMILIES, CountingChance(ids), None)
        desk.runs.recover()
        yield House(desk, world, store)


async def steered(play: Play) -> None:
    """Messages join an open run, one alone and two together."""
    await play.say("m1", words="tool")
    await trio.sleep(0.5)
    await play.say("m2")
    await trio.sleep(1)
    await play.say("m3")
    await play.say("m4")
    await trio.sleep(10)


async def queued(play: Play) -> None:
    """Messages wait for an open run, each by itself and collected."""
    await play.say("m1")
    await trio.sleep(0.5)
    await play.say("m2", "followup")
    await play.say("m3", "collect")
    await play.say("m4", "collect")
    await trio.sleep(1)
    await play.say("m5", "collect")
    await trio.sleep(10)


async def given_up(play: Play) -> None:
    """Runs are aborted, by newer messages and by somebody, also while messages are about to join."""
    await play.say("m1")
    await trio.sleep(0.5)
    await play.say("m2", "interrupt")
    await trio.sleep(0.5)
    await play.say("m3")
    await play.say("m4")
    await play.stop("m2")
    await trio.sleep(2.5)
    await play.say("m5", words="tool")
    await trio.sleep(0.2)
    await play.say("m6", "followup")
    await play.stop("m5")
    await trio.sleep(10)


async def steering_cancelled(play: Play) -> None:
    """Two messages are about to join a run that is given up: they become one message."""
    play.house.world.judge.seconds = 1.0
    await play.say("m1")
    await trio.sleep(1.5)
    await play.say("m2")
    await play.say("m3")
    await trio.sleep(1.0)
    await play.stop("m1")
    await trio.sleep(20)


PLAYS: Sequence[Callable[[Play], Awaitable[None]]] = (steered, queued, given_up, steering_cancelled)


async def played(plot: Callable[[Play], Awaitable[None]]) -> tuple[Sequence[Written], Sequence[Told]]:
    """Play a conversation to its end, without a crash; return what was written, and what its client was told."""
    async with gateway() as house:
        assert isinstance(house.store, Recorder)
        play = Play(house, house.store)
        await plot(play)
        await house.rest(KEY)
        log, told = tuple(play.store.log), tuple(play.told.values())
        await judged(house, told, len(log))
    return log, told


async def judged(house: House, told: Sequence[Told], kept: int) -> None:
    """Check what a gateway that came back with `kept` entries makes of the conversation."""
    runs = house.desk.runs
    for one in told:  # what was not acknowledged is sent again, under the same id
        if one.acked > kept:
            await said(house, one)
    ends = {}
    for one in told:
        run = await runs.wait(one.mark, 120)
        assert run is not None, f"{one.mark} has no end"
        ends[one.mark] = run.status
        assert run.status in ("ok", "aborted"), f"{one.mark} ended with {run.status}: {run.error}"
        if one.stopped is not None and one.stopped <= kept:
            assert run.status == "aborted", f"{one.mark} was given up, and is {run.status}"
        again = await said(house, one)
        assert again["status"] in TERMINAL, f"{one.mark}, sent again, is {again}"
    await said(house, Told("m99", "steer", "please"))
    last = await runs.wait("m99", 120)
    assert last is not None
    assert last.status == "ok", "the session does not answer any more"
    await house.rest(KEY)
    await spoken(house, ends)
    assert [one.id for one in runs.shelf.items.values() if not one.over] == []
    assert not runs.narrations
    assert not runs.waiting.events
    assert not runs._steering


async def spoken(house: House, ends: dict[str, str]) -> None:
    """Check that the conversation has each message once, and one answer to each that came to a good end."""
    history = await house.call("chat.history", sessionKey=KEY, limit=1000)
    lines = [(one["role"], shown(one["content"])) for one in history["messages"]]
    asked = [mark for role, line in lines if role == "user" for mark in MARK.findall(line)]
    answered = [mark for role, line in lines if role == "assistant" for mark in set(MARK.findall(line))]
    for mark, status in ends.items():
        assert asked.count(mark) <= 1, f"{mark} is there twice"
        assert answered.count(mark) <= 1, f"{mark} is answered twice"
        if status == "ok":
            assert asked.count(mark) == 1, f"{mark} is lost"
            assert answered.count(mark) == 1, f"{mark} is not answered"


def shown(content: Any) -> str:
    """The text of a message of a conversation."""
    return content if isinstance(content, str) else "\n".join(str(one.get("text", "")) for one in content)


@pytest.mark.parametrize("plot", PLAYS, ids=lambda plot: str(plot.__name__))
async def test_what_was_acknowledged_survives_a_crash_at_any_point(
    plot: Callable[[Play], Awaitable[None]], autojump_clock: MockClock
) -> None:
    log, told = await played(plot)
    for kept in range(len(log) + 1):
        async with gateway(disk(log[:kept]), 1_000) as house:
            try:
                await judged(house, told, kept)
            except AssertionError as exc:
                raise AssertionError(f"{exc} (after {kept} of {len(log)} entries)") from exc


# --- the list of sessions


Seen = dict[str, tuple[Any, ...]]
OTHER = "agent:main:t"
CHANGES: Sequence[tuple[str, dict[str, Any]]] = (
    ("sessions.create", {"key": KEY, "label": "one"}),
    ("chat.send", {"sessionKey": KEY, "message": "please m1", "idempotencyKey": "m1"}),
    ("sessions.patch", {"key": KEY, "label": "two"}),
    ("sessions.patch", {"key": KEY, "pinned": True, "category": "work"}),
    ("chat.inject", {"sessionKey": KEY, "message": "put in"}),
    ("sessions.create", {"key": OTHER, "label": "three"}),
    ("chat.send", {"sessionKey": OTHER, "message": "please m2", "idempotencyKey": "m2"}),
    ("sessions.compact", {"key": KEY, "maxLines": 1}),
    ("sessions.reset", {"key": KEY}),
    ("chat.send", {"sessionKey": KEY, "message": "please m3", "idempotencyKey": "m3"}),
    ("sessions.patch", {"key": KEY, "label": None, "pinned": False}),
    ("sessions.delete", {"key": OTHER}),
    ("sessions.delete", {"key": KEY}),
)


def seen(house: House) -> Seen:
    """What is there of each session that a client could notice."""
    directory = house.desk.directory
    return {
        one.key: (
            one.session,
            one.label,
            one.pinned,
            bool(one.archived),
            one.members.get("category"),
            said_in(house, one),
        )
        for one in directory
    }


def said_in(house: House, entry: Entry) -> tuple[str, ...]:
    return tuple(line.text for line in house.desk.directory.transcript(entry).lines)


async def test_a_change_of_the_list_that_was_acknowledged_survives_a_crash_at_any_point(
    autojump_clock: MockClock,
) -> None:
    versions: list[tuple[int, Seen]] = [(0, {})]
    async with gateway() as house:
        store = house.store
        assert isinstance(store, Recorder)
        for name, params in CHANGES:
            await house.call(name, **params)
            versions.append((store.written, seen(house)))
            if name == "chat.send":
                await house.rest(params["sessionKey"])
                await store.room()
                versions.append((store.written, seen(house)))
        log = store.log
    for kept in range(len(log) + 1):
        least = max(n for n, (written, _) in enumerate(versions) if written <= kept)
        possible = [version for _, version in versions[least:]]
        async with gateway(disk(log[:kept]), 1_000) as house:
            for key in list(seen(house)):
                await house.rest(key)
            found = seen(house)
            for key in (KEY, OTHER):
                fitting = [one.get(key) for one in possible]
                assert found.get(key) in fitting, f"{key} is {found.get(key)} after {kept} of {len(log)} entries"
            await house.written()
            left = {row.session for row in house.store.sessions()}
            deleted = least == len(versions) - 1
            assert not deleted or not left, f"{left} is left after {kept} of {len(log)} entries"
