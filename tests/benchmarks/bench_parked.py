"""What a parked session costs. Prints one JSON object.

One session really runs 20 turns. The others get its state under their own names in the journal (the records that led
there are left out, to spare the disk; bringing a session back does not read them). Each of them is then brought back
from the journal and parked again, as if its next message had come, and in the end some really get one and answer it.
"""

import argparse
import gc
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import trio
from attrs import evolve

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from runtime.ports import StoredRecord
from runtime.sessions.journal import Journal
from runtime.sessions.roster import Roster
from runtime.sessions.session import Session
from runtime.step import REST, Settings, State
from runtime.step.records import pack
from runtime.stores import open_store
from runtime.vocab import Message
from tests.fakes.world import TrioClock, World, calls, running, text

TURNS = 20
WARM = 2_000
"""Sessions before the memory is measured for the first time, so that arenas and caches are there."""


def resident() -> int:
    """Return the resident set of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


async def answered(world: World, session: Session, said: str) -> State:
    """Send a message and wait for the answer."""
    world.dispatcher.say(session, Message(said, said, ({"text": said},)))
    await session.changed.park()
    while session.state.phase not in REST or session.addressed:
        await session.changed.park()
    return session.state


async def measure(path: Path, count: int) -> list[dict[str, Any]]:
    """Park `count` sessions and return the figures."""
    turn = [calls(("read", {"n": 1}))]
    answers = [*[turn] * (TURNS - 1), [text("done")]]
    async with open_store(path) as store, running(*answers, repeat=True) as world:
        journal = world.dispatcher.journal = Journal(store, TrioClock(), store.codec)
        roster = Roster(world.dispatcher)
        first = roster.open("first", Settings("m"))
        model = await answered(world, first, "go")
        assert model.turns == TURNS
        await roster.park(first)
        record = journal.records("first", model.seq - 1)[0]
        before, began, warm = 0, 0.0, min(WARM, count // 10)
        for number in range(count + warm):
            if number == warm:
                gc.collect()
                before, began = resident(), time.perf_counter()
            name = f"00000000-0000-4000-8000-{number:012x}"
            while store.full:
                await store.room()
            state = evolve(model, session=name)
            body, _ = pack(evolve(record, session=name, state=state.digest.hex()), store.codec)
            ticket = store.append(StoredRecord(name, model.seq, body))
            journal.snapshot(state)
            await journal.committed(ticket)
            await roster.park(roster.get(name))
        gc.collect()
        grown, took = resident() - before, time.perf_counter() - began
        names = random.Random(1).sample(sorted(roster.parked - {"first"}), 50)
        started = time.perf_counter()
        for name in names:
            state = await answered(world, roster.get(name), "again")
            assert state.turns == 2 * TURNS
            await roster.park(roster.get(name))
        back = (time.perf_counter() - started) / len(names)
    return [
        figure(f"memory of a parked session, {count:,} of {TURNS} turns each", grown / count, "B", "<= 1000"),
        figure("from the journal and parked again", took / count * 1000, "ms"),
        figure(f"back on its next message, {TURNS} more turns, parked again", back * 1000, "ms"),
    ]


def figure(what: str, value: float, unit: str, target: str = "") -> dict[str, Any]:
    """Return one row of the table."""
    return {"what": what, "value": round(value, 2), "unit": unit, "target": target}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What a parked session costs.")
    parser.add_argument("--sessions", type=int, default=100_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = trio.run(measure, Path(folder) / "parked.db", given.sessions)
    print(json.dumps({"name": "parked", "figures": figures}))


if __name__ == "__main__":
    main()
