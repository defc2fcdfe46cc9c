"""Many turns in many sessions: does the gateway keep its memory and its pace?

    python -m tests.acceptance.gateway.soak --turns 100000 --sessions 1000

The model answers at once. A number of workers, on one connection, each have sessions of their own and take a turn in
one of them, chosen by chance: so most turns are in a session that was unloaded. Prints one line of JSON: memory after a
fifth of the turns and at the end, latencies of the second and the last tenth, turns a second. Exits with 1 if a turn
failed or a target is missed.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, Final

import trio
from attrs import define, field

from tests.acceptance.gateway.client import Client, connected
from tests.acceptance.gateway.model import StubModel
from tests.acceptance.gateway.process import Process, ended, free_port, machine

SAMPLES: Final = 100
TURN_SECONDS: Final = 60.0
GROWTH: Final = 1.1
SLOWER: Final = 1.25
PIECES: Final = 2


@define(eq=False)
class Soak:
    """The turns so far: seconds of each in order, and who waits for the end of which run."""

    turns: int
    begun: int = 0
    seconds: list[float] = field(factory=list)
    waiting: dict[str, tuple[trio.Event, list[str]]] = field(factory=dict)
    failures: list[str] = field(factory=list)
    rss: list[int] = field(factory=list)
    cpu: list[float] = field(factory=list)
    times: list[float] = field(factory=list)

    def heard(self, payload: dict[str, Any]) -> None:
        """Take in a `chat` event."""
        if payload.get("state") in ("final", "error", "aborted"):
            found = self.waiting.get(str(payload.get("runId")))
            if found is not None:
                found[1].append(payload["state"])
                found[0].set()

    async def turn(self, link: Client, session: str, number: int) -> None:
        """Say something and wait for the end."""
        run = f"soak-{number}"
        done, state = self.waiting[run] = (trio.Event(), [])
        began = trio.current_time()
        try:
            with trio.fail_after(TURN_SECONDS):
                params = {"sessionKey": session, "message": f"turn m0-{number}", "idempotencyKey": run}
                await link.call("chat.send", params)
                await done.wait()
        except trio.TooSlowError:
            state.append("no end")
        finally:
            del self.waiting[run]
        self.seconds.append(trio.current_time() - began)
        if state[0] != "final":
            self.failures.append(f"{run} in {session}: {state[0]}")


async def worker(soak: Soak, process: Process, link: Client, sessions: Sequence[str], chance: Random) -> None:
    """Take turns until there have been enough."""
    every = max(1, soak.turns // SAMPLES)
    while soak.begun < soak.turns:
        soak.begun += 1
        number = soak.begun
        await soak.turn(link, chance.choice(sessions), number)
        if len(soak.seconds) % every == 0:
            sample(soak, process)


def sample(soak: Soak, process: Process) -> None:
    """Note memory and processor time."""
    soak.rss.append(process.rss())
    soak.cpu.append(process.cpu())
    soak.times.append(time.perf_counter())
    if len(soak.rss) % 5 == 0:
        recent = sorted(soak.seconds[-max(100, soak.turns // 20) :])
        text = f"{len(soak.seconds)} turns, {soak.rss[-1] / 2**20:.1f} MiB, p99 {at(recent, 0.99) * 1000:.1f} ms"
        print(f"{text}, {len(soak.failures)} failures", file=sys.stderr, flush=True)


def at(ordered: Sequence[float], share: float) -> float:
    """A quantile of what is sorted."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def by_tenth(cpu: list[float], before: float) -> list[float]:
    """Processor seconds in each tenth of the samples."""
    at_ends = [before, *(cpu[max(0, len(cpu) * n // 10 - 1)] for n in range(1, 11))]
    return [late - early for early, late in pairwise(at_ends)]


def figures(soak: Soak, began: float, cpu: float) -> dict[str, Any]:
    """What came of it."""
    tenth = max(1, len(soak.seconds) // 10)
    early, late = sorted(soak.seconds[tenth : 2 * tenth]), sorted(soak.seconds[-tenth:])
    took = time.perf_counter() - began
    fifth, last = soak.rss[max(0, len(soak.rss) // 5 - 1)], soak.rss[-1]
    growth, slower = last / fifth, at(late, 0.99) / at(early, 0.99)
    return {
        "turns": len(soak.seconds), "seconds": round(took, 1), "turns/s": round(len(soak.seconds) / took, 1),
        "cpu ms/turn": round(1000 * (soak.cpu[-1] - cpu) / len(soak.seconds), 2),
        "cpu ms/turn by tenth": [round(1000 * more / tenth, 2) for more in by_tenth(soak.cpu, cpu)],
        "rss at 20 % MiB": round(fifth / 2**20, 1), "rss at the end MiB": round(last / 2**20, 1),
        "rss growth": round(growth, 3), "rss met": growth <= GROWTH,
        "p50 second tenth ms": round(at(early, 0.5) * 1000, 1), "p50 last tenth ms": round(at(late, 0.5) * 1000, 1),
        "p99 second tenth ms": round(at(early, 0.99) * 1000, 1), "p99 last tenth ms": round(at(late, 0.99) * 1000, 1),
        "p99 growth": round(slower, 3), "p99 met": slower <= SLOWER,
        "rss MiB": [round(one / 2**20, 1) for one in soak.rss[4::5]],
        "failures": soak.failures[:10], "failed": len(soak.failures),
    }  # fmt: skip


async def soaked(given: argparse.Namespace, home: Path) -> dict[str, Any]:
    """Run it; return its figures."""
    model = StubModel(Random(given.seed), (0.0, 0.0), PIECES)
    soak = Soak(given.turns)
    async with trio.open_nursery() as nursery:
        port = await nursery.start(model.serve, 0)
        state = "gateway.db" if given.state == "db" else "gateway.jsonl"
        more = {"maxConcurrent": given.flight}
        process = Process(home, free_port(), f"http://127.0.0.1:{port}", state, more)
        try:
            await process.start()
            async with connected(process.port, soak.heard) as link:
                began, cpu = time.perf_counter(), process.cpu()
                async with trio.open_nursery() as workers:
                    for n in range(given.flight):
                        mine = [f"agent:main:soak-{k}" for k in range(n, given.sessions, given.flight)]
                        workers.start_soon(worker, soak, process, link, mine, Random(given.seed * 1000 + n))
                made = figures(soak, began, cpu)
            await process.stop()
            await process.start()
            made |= {
                "start afterwards s": round(process.seconds, 2),
                "rss after it MiB": round(process.rss() / 2**20, 1),
            }
        finally:
            process.kill()
        nursery.cancel_scope.cancel()
    about = {"machine": machine(), "state": given.state, "sessions": given.sessions, "in flight": given.flight}
    return {**about, "seed": given.seed, **made, "journal MB": round(process.journal.stat().st_size / 1e6, 1)}


def main() -> int:
    """Run it and print what came of it."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--turns", type=int, default=100_000)
    made.add_argument("--sessions", type=int, default=1_000)
    made.add_argument("--flight", type=int, default=32, help="turns under way at a time")
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--state", choices=["db", "jsonl"], default="db")
    made.add_argument("--keep", metavar="DIR", help="a home that stays")
    given = made.parse_args()
    signal.signal(signal.SIGTERM, ended)
    with tempfile.TemporaryDirectory(prefix="soak-") as temporary:
        home = Path(given.keep or temporary).absolute()
        home.mkdir(parents=True, exist_ok=True)
        result = trio.run(soaked, given, home)
    print(json.dumps(result, ensure_ascii=False))
    return int(bool(result["failed"]) or not result["rss met"] or not result["p99 met"])


if __name__ == "__main__":
    sys.exit(main())
