"""Does a paused session slow down the others? 1,000 sessions in turns, with and without one that is held.

Runs come in pairs, one of each kind, in alternating order, so that what else the machine does hits both. In the one
kind nobody is connected; in the other somebody is attached to one session and holds it in the middle of its turn for
the whole run. What is compared is how long the turns of the 999 others take: in processor time of the one thread that
runs them all and never idles here, so that other programs do not count. Prints one JSON object.
"""

import gc
import json
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path
from random import Random
from typing import Any

import trio

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from runtime.sessions.session import Session
from runtime.step import OPEN, Step, StepKind
from tests.fakes.studio import studio
from tests.fakes.world import calls

CROWD = 1_000
PAIRS = 10
WARM = 1
"""Turns of each session before the pause, and then before anything is measured."""
MEASURED = 3
RESAMPLED = 10_000


async def run(paused: bool) -> tuple[float, float]:
    """Return p50 and p99, in ms, of the turns of all sessions but one, which is held or not."""
    ends: defaultdict[str, list[int]] = defaultdict(list)

    def ended(session: Session, step: Step) -> None:
        if step.kind is StepKind.TURN_END:
            ends[session.id].append(time.thread_time_ns())

    async with studio([calls(("read", {"n": 1}))], repeat=True) as house:
        first, *others = [house.open(f"s{n}") for n in range(CROWD)]
        for session in (first, *others):
            house.world.say(session)
        await turned(others, WARM)
        if paused:
            ann = await house.driver(first)
            await ann.ask("pause", session=first.id)
        assert first.state.phase in OPEN
        before = first.state.turns
        gc.collect()
        gc.freeze()
        house.world.dispatcher.listeners.append(ended)
        await turned(others, 2 * WARM + MEASURED + 1)
        assert (first.state.turns == before) is paused
        gc.unfreeze()
    took = [
        (late - early) / 1e6
        for session in others
        for early, late in zip(ends[session.id][WARM - 1 :], ends[session.id][WARM : WARM + MEASURED], strict=False)
    ]
    took.sort()
    return took[len(took) // 2], took[len(took) * 99 // 100]


async def turned(sessions: list[Session], turns: int) -> None:
    """Wait until all of them have taken so many turns."""
    for session in sessions:
        while session.state.turns < turns:
            await session.changed.park()


def pairs() -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Return p50 and p99 of the runs without and with a pause, pair by pair."""
    found = []
    for number in range(PAIRS + 1):
        made = {kind: trio.run(run, kind) for kind in ((False, True), (True, False))[number % 2]}
        found.append((made[False], made[True]))
        print(f"  pair {number}: {made[False]} {made[True]}", file=sys.stderr, flush=True)
    return found[1:]  # the first pair finds caches cold


def upper(ratios: list[float]) -> float:
    """Return the upper end of the 95 % confidence interval of the median, by resampling."""
    chance = Random(1)
    medians = sorted(statistics.median(chance.choices(ratios, k=len(ratios))) for _ in range(RESAMPLED))
    return medians[int(RESAMPLED * 0.975)]


def main() -> None:
    """Measure and print."""
    found = pairs()
    middle = [paused[0] / free[0] for free, paused in found]
    high = [paused[1] / free[1] for free, paused in found]
    figures = [
        figure("p50 of the others' turns, paused / not, median of ten pairs", statistics.median(middle), "<= 1.05"),
        figure("p99 of the others' turns, paused / not, median of ten pairs", statistics.median(high)),
        figure("the same, upper end of the 95 % confidence interval", upper(high), "<= 1.25"),
        figure("p50 of a turn among 1,000 sessions", statistics.median(free[0] for free, _ in found), unit="ms"),
        figure("p99 of a turn among 1,000 sessions", statistics.median(free[1] for free, _ in found), unit="ms"),
    ]
    print(json.dumps({"name": "isolation", "figures": figures}))


def figure(what: str, value: float, target: str = "", unit: str = "ratio") -> dict[str, Any]:
    """Return one row of the table."""
    return {"what": what, "value": round(value, 3), "unit": unit, "target": target}


if __name__ == "__main__":
    main()
