"""Cost of looking back, going back and copying in a session of 1,000 records. Prints one JSON object.

Cold is a timeline that is read from the journal; warm is one that is there. Memory is what a warm timeline adds to
a session, without the content of its records, which it shares with the session.
"""

import gc
import json
import sys
import tempfile
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import trio

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from runtime.sessions.journal import Journal
from runtime.sessions.roster import Roster
from runtime.sessions.session import Session
from runtime.step import State
from runtime.step import events as ev
from runtime.step.line import Line
from runtime.step.replay import Replaying
from runtime.stores import open_store
from runtime.vocab import Content
from tests.fakes.world import TrioClock, World, calls, running

RECORDS = 1_000
COLD = 20
WARM = 2_000
BACKS = 200
FORKS = 200


@asynccontextmanager
async def held(path: Path) -> AsyncIterator[tuple[World, Roster, Session]]:
    """A session of so many records that is held, with its journal on disk."""
    async with (
        open_store(path) as store,
        running([calls(("read", {"n": 1}), ("write", {"n": 2}))], repeat=True) as world,
    ):
        journal = Journal(store, TrioClock(), store.codec, store.name)
        world.dispatcher.journal = journal
        roster = Roster(world.dispatcher)
        session = roster.open("s", ev.Settings("test-model"))
        world.say(session)
        while session.state.seq < RECORDS:
            await session.changed.park()
        world.dispatcher.hold(session, "bench")
        await journal.committed(session.ticket)
        yield world, roster, session


async def cold(path: Path) -> list[float]:
    """Milliseconds until a state in the middle is there, of a session whose past nobody has asked for."""
    took = []
    async with held(path) as (world, _, session):
        gc.collect()
        gc.freeze()  # as a daemon does once it has begun
        for _ in range(COLD):
            session.timeline = None
            gc.collect()
            began = time.perf_counter()
            (await world.dispatcher.timeline(session)).at(RECORDS // 2)
            took.append((time.perf_counter() - began) * 1e3)
    return took


async def warm(path: Path) -> dict[str, list[float]]:
    """Milliseconds of a look at a step, of going back to it, and of copying the session there."""
    random, took = Random(0), dict[str, list[float]](look=[], receipt=[], back=[], fork=[])
    async with held(path) as (world, roster, session):
        line = await world.dispatcher.timeline(session)
        gc.collect()
        gc.freeze()
        for _ in range(WARM):
            number = random.randint(1, session.state.number)
            took["look"].append(timed(lambda number=number: line.numbered(number).state))  # type: ignore[misc]
            took["receipt"].append(timed(lambda number=number: line.receipt(number)))  # type: ignore[misc]
        for n in range(FORKS):
            receipt = line.receipt(seq := random.randint(10, line.last)).digest
            began = time.perf_counter()
            copy = await roster.fork(session, seq, f"copy{n}", "bench", "", receipt)
            took["fork"].append((time.perf_counter() - began) * 1e3)
            del roster.live[copy.id]
            await world.dispatcher.journal.committed(copy.ticket)
        for n in range(BACKS):
            receipt = line.receipt(seq := random.randint(10, RECORDS)).digest
            began = time.perf_counter()
            await world.dispatcher.back(session, seq, f"b{n}", "bench", "", receipt)
            took["back"].append((time.perf_counter() - began) * 1e3)
            await world.dispatcher.journal.committed(session.ticket)
    return took


def timed(work: Callable[[], object]) -> float:
    """Milliseconds of some work."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e3


async def memory(path: Path) -> tuple[float, float]:
    """Bytes that a step of a timeline takes: of all that is kept beside the events, and of the content among that.

    Content is what the history consists of: a message, an answer, a result that joined it.
    """
    async with held(path) as (world, _, session):
        line = await world.dispatcher.timeline(session)
        told = [line.taken(n).record for n in range(1, line.last + 1)]
        replaying, again = Replaying(State("s"), "bench", verify=True), Line("s")
        gc.collect()
        tracemalloc.start()
        for record in told:
            again.take(replaying.take(record), record)
        last = again.at(again.last)
        del replaying
        gc.collect()
        whole = tracemalloc.get_traced_memory()[0]
        content = sum(size_of(one) for one in last.history)
        tracemalloc.stop()
        return (whole - content) / again.last, content / again.last


def size_of(content: Content) -> int:
    """Bytes of a content: its parts with their objects, not the texts that are the events'."""
    total, stack = sys.getsizeof(content), [content.parts, content.labels, content.digest]
    while stack:
        value = stack.pop()
        total += sys.getsizeof(value) if not isinstance(value, str) else 0
        if isinstance(value, dict):
            stack.extend(value.values())
        elif isinstance(value, tuple):
            stack.extend(value)
    return total


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of the values lie."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main() -> None:
    """Measure and print."""
    figures: list[dict[str, Any]] = []

    def add(what: str, value: float, unit: str, target: str = "") -> None:
        figures.append({"what": what, "value": round(value, 3), "unit": unit, "target": target})

    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("jsonl", "db"):
            took = trio.run(cold, Path(folder) / f"cold.{suffix}")
            add(f"step back, cold, .{suffix}, p50", percentile(took, 0.5), "ms")
            add(f"step back, cold, .{suffix}, worst of {COLD}", max(took), "ms", "<= 100")
        ways = trio.run(warm, Path(folder) / "warm.db")
        add("step back, warm, p99", percentile(ways["look"], 0.99), "ms", "<= 5")
        add("receipt, p99", percentile(ways["receipt"], 0.99), "ms", "<= 5")
        add("new branch at an earlier step, p99", percentile(ways["back"], 0.99), "ms", "<= 5")
        add("copy to a new session, p50", percentile(ways["fork"], 0.5), "ms")
        add("copy to a new session, p99", percentile(ways["fork"], 0.99), "ms", "<= 5")
        beyond, content = trio.run(memory, Path(folder) / "memory.db")
        add("memory of a step beyond its content", beyond, "bytes", "<= 1000")
        add("content of a step of this session", content, "bytes")
    print(json.dumps({"name": "travel", "figures": figures}))


if __name__ == "__main__":
    main()
