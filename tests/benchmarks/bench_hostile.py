"""For how long a hostile client keeps the loop that serves everybody. Prints one JSON object.

10,000 frames and expressions, the same on every run, go over a connection to a live debugger whose session holds large
and broken values. Measured is the longest that any task ran without giving way, in processor time.
"""

import gc
import json
import sys
from pathlib import Path
from typing import Any

import trio

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.debugger.controller.siege import Siege, attacks, besieged

ATTACKS = 10_000
SEED = 20_261_120
SLOW = 0.003
"""Seconds from which an attack is tried again, because it may have been the machine."""


async def measure() -> tuple[list[float], Siege]:
    """Return the times of all attacks, in ms, sorted, and what came of them."""
    async with besieged() as siege:
        gc.collect()
        gc.freeze()
        took = sorted([(await best(siege, attack) * 1e3, attack) for attack in attacks(SEED, ATTACKS)])
    print(f"  the slowest: {took[-1][1][:300]!r}", file=sys.stderr, flush=True)
    return [one for one, _ in took], siege


async def best(siege: Siege, attack: bytes) -> float:
    """Return the seconds of an attack: the least of some where the first was slow."""
    took = await siege.send(attack)
    for _ in range(4 if took > SLOW else 0):
        await siege.leave()
        took = min(took, await siege.send(attack))
    return took


def main() -> None:
    """Measure and print."""
    took, siege = trio.run(measure)
    refused = siege.codes.total() - siege.codes["ok"]
    figures = [
        figure(f"{ATTACKS:,} hostile frames and expressions, the slowest", took[-1], "ms", "<= 10"),
        figure("the same, 99th percentile", took[len(took) * 99 // 100], "ms"),
        figure("the same, median", took[len(took) // 2], "ms"),
        figure("answered with a fault of the daemon", siege.codes["internal"], "", "<= 0"),
        figure("answered with a result", siege.codes["ok"], ""),
        figure("refused", refused, ""),
    ]
    print(json.dumps({"name": "hostile", "figures": figures}))


def figure(what: str, value: float, unit: str, target: str = "") -> dict[str, Any]:
    """Return one row of the table."""
    return {"what": what, "value": round(value, 3), "unit": unit, "target": target}


if __name__ == "__main__":
    main()
