"""A flood of look-ups whose answers never come: do they hold up what is decided here?

python tests/benchmarks/bench_intel.py          10,000 look-ups, one JSON object
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import trio
from attrs import frozen

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from defender.intel import Options, VirusTotal
from runtime.app.clock import SystemClock
from tests.fakes.gemini_stub import in_memory
from tests.fakes.virustotal import KEY, Service, silent

QUESTIONS = 10_000
TURNS = 200
WORKERS = 64
"""How many judge at a time; a judge bounds that, as it bounds its queue."""


@frozen
class Flood:
    """What a flood did. `longest` is the most seconds that a local decision had to wait for its turn."""

    answered: int
    asked: int
    most_open: int
    local: int
    turns: int
    longest: float
    seconds: float


def nothing() -> None:
    """A local decision that costs nothing, so that only the wait for its turn is seen."""


async def flood(intel: VirusTotal, questions: int = QUESTIONS, local: Callable[[], object] = nothing) -> Flood:
    """Ask for so many URLs, WORKERS at a time, and decide `local` again and again meanwhile, as whoever judges does."""
    answered = most = done = 0
    longest, began = 0.0, time.perf_counter()

    numbers = iter(range(questions))

    async def work() -> None:
        nonlocal answered, most
        for number in numbers:
            await intel.url(f"http://n{number}.example.com/")
            answered += 1
            most = max(most, intel.open)

    async with trio.open_nursery() as nursery:
        for _ in range(WORKERS):
            nursery.start_soon(work)
        for _ in range(TURNS):
            before = time.perf_counter()
            await trio.lowlevel.checkpoint()
            local()
            longest = max(longest, time.perf_counter() - before)
            most, done = max(most, intel.open), done + 1
    asked = intel.figures().get("asked", 0)
    return Flood(answered, asked, most, done, TURNS, longest, time.perf_counter() - began)


async def main() -> None:
    """Measure, and print the figures."""
    service = Service()
    async with in_memory(service.scenario) as (_, network):
        made = Options(key=KEY, per_minute=100_000, per_day=1_000_000, base="http://127.0.0.1:1/api/v3")
        intel = VirusTotal(made, SystemClock(), network)
        await intel.file("0" * 64)  # loads the libraries, which happens in a thread otherwise
        service.next(silent(), times=QUESTIONS)
        found = await flood(intel)
    figures = [
        {
            "what": "look-ups that were answered",
            "value": found.answered,
            "unit": f"of {QUESTIONS}",
            "target": f">= {QUESTIONS}",
        },
        {"what": "look-ups that were open at a time", "value": found.most_open, "unit": "look-ups", "target": "<= 8"},
        {
            "what": "the longest that a local decision waited",
            "value": round(found.longest * 1000, 1),
            "unit": "ms",
            "target": "<= 20",
        },
        {"what": "until all were answered (the deadline is 1.5 s)", "value": round(found.seconds, 2), "unit": "s"},
    ]
    print(json.dumps({"name": "intel", "figures": figures}))


if __name__ == "__main__":
    trio.run(main)
