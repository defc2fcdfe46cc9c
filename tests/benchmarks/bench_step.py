"""Cost of a step, of the gate, and of pausing one session in a crowd. Prints one JSON object."""

import gc
import json
import statistics
import sys
import tempfile
import time
import timeit
from pathlib import Path
from typing import Any

import trio

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from runtime.sessions.dispatcher import Dispatcher
from runtime.sessions.journal import Journal
from runtime.sessions.session import Session
from runtime.step import Phase
from runtime.stores import open_store
from tests.fakes.world import TrioClock, calls, running

STEPS = 20_000
CROWD = 1_000
PAUSES = 200


def gate() -> float:
    """Return the cost of an open gate: the test that every step makes, in µs (median of 5 runs of a million)."""
    from runtime.step import State

    session = Session(State("s"))
    empty = min(timeit.repeat("pass", number=1_000_000, repeat=5))
    passes = timeit.repeat("session.armed and admit()", globals={"session": session, "admit": None}, number=1_000_000)
    return max(0.0, statistics.median(passes) - empty)


async def steps(path: Path) -> tuple[float, float]:
    """Return p50 and p99, in µs, of whole appended steps: choose, advance, pack, append, apply, start effects."""
    times: list[int] = []
    original = Dispatcher._dispatch

    def timed(self: Dispatcher, session: Session) -> None:
        began = time.perf_counter_ns()
        original(self, session)
        times.append(time.perf_counter_ns() - began)

    async with open_store(path) as store, running([calls(("read", {"n": 1}))], repeat=True) as world:
        world.dispatcher.journal = Journal(store, TrioClock(), store.codec)
        session = world.open()
        world.say(session)
        while session.state.turns < 20:
            await session.changed.park()
        gc.collect()
        gc.freeze()
        Dispatcher._dispatch = timed  # type: ignore[method-assign]
        while len(times) < STEPS:
            await session.changed.park()
        Dispatcher._dispatch = original  # type: ignore[method-assign]
    times.sort()
    return times[len(times) // 2] / 1000, times[len(times) * 99 // 100] / 1000


async def pauses() -> tuple[float, float]:
    """Return p50 and p99, in ms, from a request to pause one session until it is held, while 1,000 others run."""
    took: list[float] = []
    async with running([calls(("read", {"n": 1}))], repeat=True) as world:
        crowd = [world.open(f"s{n}") for n in range(CROWD)]
        for session in crowd:
            world.say(session)
        while min(session.state.turns for session in crowd) < 2:
            await crowd[-1].changed.park()
        gc.collect()
        gc.freeze()
        ask, asked = trio.open_memory_channel[int](0)

        async def controller() -> None:
            # A control command arrives through a task of its own, as from a socket.
            async for began in asked:
                one = crowd[len(took) % CROWD]
                world.dispatcher.hold(one, "bench")
                took.append((time.perf_counter_ns() - began) / 1e6)
                seen = one.state.seq
                await trio.sleep(0.002)
                assert one.state.seq == seen, "a held session moved"
                world.dispatcher.release(one, "bench")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(controller)
            while len(took) < PAUSES:
                await ask.send(time.perf_counter_ns())
                await trio.sleep(0.003)
            nursery.cancel_scope.cancel()
        assert all(session.state.phase is not Phase.FAILED for session in crowd)
    took.sort()
    return took[len(took) // 2], took[len(took) * 99 // 100]


def main() -> None:
    """Measure and print."""
    figures: list[dict[str, Any]] = []

    def add(what: str, value: float, unit: str, target: str = "") -> None:
        figures.append({"what": what, "value": round(value, 3), "unit": unit, "target": target})

    add("open gate, a pass", gate(), "µs", "<= 1")
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("jsonl", "db"):
            middle, high = trio.run(steps, Path(folder) / f"bench.{suffix}")
            add(f"whole appended step, .{suffix}, p50", middle, "µs", "<= 60")
            add(f"whole appended step, .{suffix}, p99", high, "µs", "<= 1000")
    middle, high = trio.run(pauses)
    add(f"pause to held with {CROWD:,} runnable sessions, p50", middle, "ms")
    add(f"pause to held with {CROWD:,} runnable sessions, p99", high, "ms", "<= 2")
    print(json.dumps({"name": "step", "figures": figures}))


if __name__ == "__main__":
    main()
