"""The watch over the host: what it costs at a start, when it is asked, and how long a look at everything takes.

Prints one JSON object. The host is this one: this Python with its packages, and this checkout. Nothing is changed but a
folder for the baseline.

    python tests/benchmarks/bench_integrity.py
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from defender.integrity import checking, roots
from defender.integrity.baseline import Places, load, save
from defender.integrity.watch import Watch
from runtime.app.clock import SystemClock

ROUNDS = 20
ASKED = 5_000


def timed(work: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    clock = SystemClock()
    with TemporaryDirectory() as folder:
        places = Places(f"{folder}/state", f"{folder}/anchor")
        began = time.perf_counter()
        made = checking.made(roots.default({"HOME": folder}, roots.this_python()), {}, clock.wall())
        save(places, made)
        baseline = time.perf_counter() - began
        starts = []
        for _ in range(ROUNDS):
            watch = Watch(places, clock, {}, share=1, modules={})
            starts.append(timed(lambda: watch.begin(thread=False)))  # noqa: B023 - called at once
        asked = [timed(watch.state) for _ in range(ASKED)]
        looks = []
        for _ in range(ROUNDS):
            watch._at = 0
            looks.append(timed(watch.state))
        before = load(places)
        around = timed(lambda: watch.look_at_all(before))
        first = len(load(places, rest=False).entries)
        faults = len(watch.drift().changes)
    figures = [
        figure("paths of the baseline", len(made.entries), ""),
        figure("of them looked at at a start", first, ""),
        figure("make the baseline", round(baseline, 2), "s"),
        figure("start: look at what decides, median", round(statistics.median(starts) * 1e3, 1), "ms", "<= 10"),
        figure("asked before an effect, median", round(statistics.median(asked) * 1e6, 1), "µs", "<= 100"),
        figure("asked, with a look at settings and prompts", round(statistics.median(looks) * 1e3, 2), "ms", "<= 2"),
        figure("read everything again, without pauses", round(around, 2), "s"),
        figure("drift on a host that nobody touched", faults, "", "<= 0"),
    ]
    print(json.dumps({"name": "integrity", "figures": figures}, ensure_ascii=False))


def figure(what: str, value: float, unit: str, target: str = "") -> dict[str, object]:
    """One row of the table that `make bench` prints."""
    return {"what": what, "value": value, "unit": unit, **({"target": target} if target else {})}


if __name__ == "__main__":
    main()
