"""The defender's ledger under kill -9: again and again a process dies while it writes, and another one goes on.

    python -m tests.faults.ledger_kills --kills 1000 --seed 0

In most rounds the process kills itself (SIGKILL) at a point that chance chose: after so many bytes of a group, before
or after the sync, after the counter has moved. In the others it is killed from outside at some moment, with the
queue and the thread of the real ledger. After each the ledger must verify, or have half a line that the next write cuts
off and records; each record that was acknowledged must be there, with its content. A breach is an AssertionError.
"""

import argparse
import json
import os
import select
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final, NoReturn

import trio

from defender.quarantine import Ledger, Record
from defender.quarantine.appender import Appender
from defender.quarantine.places import Places
from defender.quarantine.store import entries as read_entries
from defender.quarantine.verifying import verify
from runtime.ports import StoredRecord
from runtime.stores.appender import Disk
from runtime.stores.backlog import Entry
from tests.defender.quarantine.ledgers import StillClock, at

POINTS: Final = ("bytes", "bytes", "bytes", "before the sync", "after the sync", "after the counter", "outside")
SEGMENT: Final = 100_000
"""Bytes of a file, so that many rounds cross from one to the next."""


def die() -> NoReturn:
    """End at once, as after kill -9."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise SystemExit(1)


class Deadly:
    """A disk that kills at one of the points, in the `group`-th group."""

    def __init__(self, point: str, group: int, size: int) -> None:
        self.point = point
        self.left = group
        self.size = size
        self.disk = Disk(self._write, self._sync, os.ftruncate)

    def _write(self, fd: int, data: bytes) -> int:
        self.left -= 1
        if self.left == 0 and self.point == "bytes":
            os.write(fd, data[: min(self.size, len(data) - 1)])
            die()
        return os.write(fd, data)

    def _sync(self, fd: int) -> None:
        if self.left == 0 and self.point == "before the sync":
            die()
        Disk().sync(fd)
        if self.left == 0 and self.point == "after the sync":
            die()


def group_of(first: int, count: int) -> list[Entry]:
    """Records that hold these numbers, as the queue hands them over."""
    made: list[Entry] = []
    for number in range(first, first + count):
        kind, body = Record("decision", {"n": number, "text": "x" * (number % 300)}).checked()
        made.append(("record", StoredRecord(kind, 0, body), ()))
    return made


def write_until_killed(places: Places, random: Random, point: str, first: int, told: int) -> None:
    """Append groups, and say through `told` which record has which number. Does not return."""
    if point == "outside":
        trio.run(_with_the_queue, places, random, first, told)
    deadly = Deadly(point, random.randint(1, 4), random.randint(0, 3_000))
    made = Appender(places, lambda: 0, disk=deadly.disk, segment_size=SEGMENT, head_every=50)
    tickets = 0
    for _ in range(10):
        count = random.randint(1, 20)
        made.write(group_of(first, count))
        os.write(told, b"".join(b"%d %d\n" % (made.numbers[tickets + 1 + one], first + one) for one in range(count)))
        if deadly.left == 0:
            die()
        tickets += count
        first += count
    die()


async def _with_the_queue(places: Places, random: Random, first: int, told: int) -> None:
    made = Appender(places, lambda: 0, segment_size=SEGMENT, head_every=50)
    ledger = Ledger(places, StillClock(), appender=made)

    async def one(numbers: range) -> None:
        for number in numbers:
            seq = await ledger.append(Record("decision", {"n": number, "text": "x" * (number % 300)}))
            os.write(told, b"%d %d\n" % (seq, number))

    async with trio.open_nursery() as nursery:
        for task in range(4):
            nursery.start_soon(one, range(first + 10_000 * task, first + 10_000 * (task + 1)))


def killed(places: Places, random: Random, point: str, first: int) -> dict[int, int]:
    """Have a process write until it is killed; return what it acknowledged, number by number."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            write_until_killed(places, random, point, first, writing)
        finally:
            os._exit(9)
    os.close(writing)
    if point == "outside":
        select.select([reading], [], [], 5)  # it has begun
        time.sleep(random.random() * 0.02)
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reading, "rb") as file:
        told = file.read()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"the process ended with {status}"
    whole = told[: told.rfind(b"\n") + 1]
    return {int(seq): int(number) for seq, number in (line.split() for line in whole.splitlines())}


def rounds(base: Path, kills: int, seed: int, say: Callable[[str], None] = lambda text: None) -> dict[str, int]:
    """Kill so many times; return what was counted. Raises AssertionError."""
    random, places, first = Random(seed), at(base), 0
    counts: Counter[str] = Counter()
    expected: dict[int, int] = {}
    for number in range(1, kills + 1):
        point = random.choice(POINTS)
        acknowledged = killed(places, random, point, first)
        first += 100_000
        before = verify(places) if any(Path(places.folder).glob("*.jsonl")) else None
        assert before is None or before.faults == (), f"seed {seed}, kill {number} ({point}): {before.faults}"
        counts["torn"] += before is not None and any("interrupted" in note for note in before.notes)
        made = Appender(places, lambda: 0, segment_size=SEGMENT, head_every=50)
        made.write(group_of(first, 1))
        first += 1
        expected |= acknowledged
        counts[point] += 1
        counts["acknowledged"] += len(acknowledged)
        report = verify(places)
        assert report.faults == (), f"seed {seed}, kill {number} ({point}): {report.faults}"
        assert report.head.number >= max(acknowledged, default=0)
        if number % 100 == 0 or number == kills:
            counts["lost"] = len(lost(places, expected))
            assert not counts["lost"], f"seed {seed}, kill {number}: {lost(places, expected)[:5]} were acknowledged"
            say(f"{number} kills, {report.head.number} records, {counts['acknowledged']} acknowledged")
    found = sum(1 for _ in read_entries(places, "ledger.torn"))
    assert found == counts["torn"], f"{counts['torn']} torn ends, {found} events"
    return {"kills": kills, "records": report.head.number, **counts}


def lost(places: Places, expected: dict[int, int]) -> list[int]:
    """Return the numbers of acknowledged records that are not there, or have another content."""
    found = {entry.seq: entry.body["n"] for entry in read_entries(places, "decision")}
    return [seq for seq, number in expected.items() if found.get(seq) != number]


def main() -> None:
    """Run, and print one JSON object."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--kills", type=int, default=1_000)
    made.add_argument("--seed", type=int, default=0)
    given = made.parse_args()
    began = time.monotonic()
    with TemporaryDirectory() as folder:
        told = rounds(Path(folder), given.kills, given.seed, lambda text: print(text, flush=True))
    print(json.dumps({**told, "seconds": round(time.monotonic() - began, 1)}))


if __name__ == "__main__":
    main()
