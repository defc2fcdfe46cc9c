"""How fast the SQLite journal takes the records of many sessions, against bare SQLite on the same disk.

Prints one JSON object. The ratio is journal records/s over bare SQLite records/s, both measured in this run, in turns;
the bare one inserts the same bytes in transactions of 64 with `executemany` (WAL, synchronous=FULL). A commit is the
time from `append` to the return of `committed` in one session. Every session waits for each of its records.

    python tests/benchmarks/bench_journal.py [--sessions 64] [--seconds 3] [--rounds 3] [--size 1000] [--store sqlite]
"""

import argparse
import json
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path
from zlib import crc32

import trio

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from runtime.ports import StoredRecord
from runtime.stores import open_store

GROUP = 64


def bare(folder: str, size: int, seconds: float) -> float:
    """Records/s of SQLite alone, in transactions of 64."""
    db = sqlite3.connect(os.path.join(folder, "bare.db"), isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE records (session TEXT, seq INTEGER, body BLOB, crc INTEGER, PRIMARY KEY (session, seq))")
    bodies = make_bodies(size)
    seq = 0
    began = time.perf_counter()
    while (took := time.perf_counter() - began) < seconds:
        seq += 1
        rows = [(name_of(i), seq, bodies[i], crc32(bodies[i])) for i in range(GROUP)]
        db.execute("BEGIN")
        db.executemany("INSERT INTO records VALUES (?, ?, ?, ?)", rows)
        db.execute("COMMIT")
    db.close()
    return seq * GROUP / took


async def journal(path: str, sessions: int, size: int, seconds: float) -> tuple[float, list[float]]:
    """Records/s of the store with as many sessions, and how long each commit took in seconds."""
    bodies = make_bodies(size)
    waits: list[float] = []
    began = time.perf_counter()

    async def session(number: int) -> None:
        name, body = name_of(number), bodies[number % GROUP]
        seq = 0
        while (start := time.perf_counter()) - began < seconds:
            seq += 1
            await store.committed(store.append(StoredRecord(name, seq, body)))
            waits.append(time.perf_counter() - start)

    async with open_store(path) as store, trio.open_nursery() as nursery:
        for number in range(sessions):
            nursery.start_soon(session, number)
    return len(waits) / (time.perf_counter() - began), waits


async def append_cost(path: str, size: int) -> float:
    """Microseconds of one `append`, the median of blocks of 500, while the writer works beside it."""
    bodies = make_bodies(size)
    blocks = []
    async with open_store(path) as store:
        ticket = 0
        for seq in range(1, 41):
            records = [StoredRecord(name_of(i % GROUP), seq * 500 + i, bodies[i % GROUP]) for i in range(500)]
            start = time.perf_counter()
            for record in records:
                ticket = store.append(record)
            blocks.append((time.perf_counter() - start) / len(records))
            await store.committed(ticket)
    return statistics.median(blocks) * 1e6


def make_bodies(size: int) -> list[bytes]:
    """Bodies of JSON, which both codecs' stores take, none like another."""
    return [
        json.dumps({"of": number, "text": os.urandom(size // 2).hex()}).encode()[: size - 1] + b"}"
        for number in range(GROUP)
    ]


def name_of(number: int) -> str:
    """A session id of the length that real ones have."""
    return f"00000000-0000-4000-8000-{number:012x}"


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of the values lie, in milliseconds."""
    return round(sorted(values)[int(len(values) * share)] * 1e3, 3)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--sessions", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=1000)
    parser.add_argument("--store", choices=["sqlite", "jsonl"], default="sqlite")
    args = parser.parse_args()
    ours, theirs, waits = [], [], []
    for _ in range(args.rounds):
        with tempfile.TemporaryDirectory() as folder:
            theirs.append(bare(folder, args.size, args.seconds))
        with tempfile.TemporaryDirectory() as folder:
            rate, took = trio.run(journal, f"{folder}/journal.{args.store}", args.sessions, args.size, args.seconds)
            ours.append(rate)
            waits += took
    with tempfile.TemporaryDirectory() as folder:
        cost = trio.run(append_cost, f"{folder}/journal.{args.store}", args.size)
    rate, base = statistics.median(ours), statistics.median(theirs)
    figures = [
        figure("journal", round(rate), "records/s"),
        figure("bare SQLite, in the same run", round(base), "records/s"),
        figure("journal / bare SQLite", round(rate / base, 3), "ratio", ">= 0.3"),
        figure("commit, median", percentile(waits, 0.5), "ms"),
        figure("commit, 99th percentile", percentile(waits, 0.99), "ms", "<= 20"),
        figure("commit, worst", round(max(waits) * 1e3, 3), "ms"),
        figure("append, median", round(cost, 2), "µs", "<= 5"),
    ]
    result = {
        "name": "journal",
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "store": args.store,
        "sessions": args.sessions,
        "record_bytes": args.size,
        "rounds": args.rounds,
        "figures": figures,
    }
    print(json.dumps(result, ensure_ascii=False))


def figure(what: str, value: float, unit: str, target: str = "") -> dict[str, object]:
    """One row of the table that `make bench` prints."""
    return {"what": what, "value": value, "unit": unit, **({"target": target} if target else {})}


if __name__ == "__main__":
    main()
