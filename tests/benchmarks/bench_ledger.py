"""The defender's ledger: how long a million records take to verify, what an append costs, and 1,000 kills meanwhile.

Prints one JSON object. A record is one of a decision as the defender writes them (about 390 bytes). Verifying is whole:
numbers, chain, MACs, heads, counter; in one process, from a file that was just written.

    python tests/benchmarks/bench_ledger.py [--records 1000000] [--kills 1000]
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import trio

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from defender.quarantine import Ledger, Record
from defender.quarantine.places import Places
from defender.quarantine.verifying import verify
from tests.defender.quarantine.ledgers import StillClock, at
from tests.faults.ledger_kills import rounds

QUEUED = 5_000
APPENDS = 300


def decision(number: int) -> Record:
    """A record as the engine writes them."""
    return Record(
        "decision",
        {
            "session": "00000000-0000-4000-8000-000000000001",
            "decision": "allow",
            "rule": "command.known",
            "score": 0.01,
            "tool": "run_shell_command",
            "evidence": "git status --short",
            "us": 85,
            "n": number,
        },
    )


async def filled(places: Places, records: int) -> tuple[float, list[float]]:
    """Fill a ledger; return records/s, and seconds of single appends."""
    async with Ledger(places, StillClock()) as ledger:
        began, ticket = time.perf_counter(), 0
        for number in range(records):
            if number % QUEUED == 0:
                await ledger.committed(ticket)
            ticket = ledger.add(decision(number))
        await ledger.committed(ticket)
        rate = records / (time.perf_counter() - began)
        waits = []
        for number in range(APPENDS):
            start = time.perf_counter()
            await ledger.append(decision(number))
            waits.append(time.perf_counter() - start)
    return rate, waits


def main() -> None:
    """Measure and print."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--records", type=int, default=1_000_000)
    made.add_argument("--kills", type=int, default=1_000)
    given = made.parse_args()
    with TemporaryDirectory() as folder:
        places = at(Path(folder))
        rate, waits = trio.run(filled, places, given.records)
        size = sum(path.stat().st_size for path in Path(places.folder).glob("*.jsonl"))
        began = time.perf_counter()
        report = verify(places)
        took = time.perf_counter() - began
        assert report.faults == (), report.faults
        assert report.keyed
        assert report.head.number > given.records
        Path(places.start).unlink()
        began = time.perf_counter()
        assert verify(places).faults == ()
        plain = time.perf_counter() - began
    with TemporaryDirectory() as folder:
        told = rounds(Path(folder), given.kills, 0)
    count = f"{given.records:,} records"
    figures = [
        figure(f"verify {count} with their MACs", round(took, 2), "s", "<= 5"),
        figure("of it one record", round(took / report.head.number * 1e6, 2), "µs"),
        figure(f"verify {count} without the key", round(plain, 2), "s"),
        figure("a record in the file", round(size / report.head.number), "bytes"),
        figure("append, in groups", round(rate), "records/s", ">= 2000"),
        figure("append one and wait for the disk, median", round(statistics.median(waits) * 1e3, 2), "ms"),
        figure("the same, 99th percentile", round(sorted(waits)[int(APPENDS * 0.99)] * 1e3, 2), "ms"),
        figure("writers killed (SIGKILL) while they wrote", told["kills"], "times"),
        figure("of them with half a line left behind", told["torn"], "times"),
        figure("records that were acknowledged meanwhile", told["acknowledged"], ""),
        figure("of them lost, or changed", told["lost"], "", "<= 0"),
    ]
    print(json.dumps({"name": "ledger", "figures": figures}, ensure_ascii=False))


def figure(what: str, value: float, unit: str, target: str = "") -> dict[str, object]:
    """One row of the table that `make bench` prints."""
    return {"what": what, "value": value, "unit": unit, **({"target": target} if target else {})}


if __name__ == "__main__":
    main()
