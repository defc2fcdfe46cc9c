"""A process that is killed while it writes: all that it was told is on disk is there afterwards, in order."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from tests.arch.tree import ROOT
from tests.runtime.stores.places import FILES, FilePlace, file_place, record

WRITER = """
import sys, trio
from runtime.ports import StoredRecord
from runtime.stores import open_store

async def session(store, name):
    for seq in range(1, 100_000):
        record = StoredRecord(name, seq, b'{"number":%d,"filling":"%s"}' % (seq, b"x" * (seq * 37 % 900)))
        store.append(record, [(f"{seq % 5}", b"blob" * 200)])
        store.forget(f"{name}-{seq - 2}")
        store.append(StoredRecord(f"{name}-{seq}", 1, b"{}"))
        await store.committed(store.put("run", name, b'{"seq":%d}' % seq))
        print(name, seq, flush=True)

async def main():
    async with open_store(sys.argv[1]) as store, trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(session, store, f"s{number}")

trio.run(main)
"""


def write_and_kill(place: FilePlace, lines: int) -> dict[str, int]:
    """Have a process write until it acknowledged so many records, kill it, return the last number of each session."""
    acknowledged: dict[str, int] = {}
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(place.path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        for count, line in enumerate(process.stdout, 1):
            if line.endswith("\n"):  # the last one may be torn as well
                name, _, seq = line.partition(" ")
                acknowledged[name] = int(seq)
            if count == lines:
                process.kill()
    return acknowledged


@pytest.mark.parametrize("lines", [1, 90, 777, 2500])
@pytest.mark.parametrize("kind", FILES)
def test_no_acknowledged_record_is_lost_when_the_process_is_killed(tmp_path: Path, kind: str, lines: int) -> None:
    place = file_place(kind, tmp_path)
    acknowledged = write_and_kill(place, lines)
    assert sum(acknowledged.values()) >= lines

    async def check() -> None:
        async with place.read() as reader:
            before = {name: list(reader.records(name)) for name in acknowledged}
        async with place.open() as store:
            for name, last in acknowledged.items():
                found = list(store.records(name))
                assert found == before[name]
                assert len(found) >= last
                assert found == [record(each.seq, name, each.seq * 37 % 900) for each in found]
                assert [each.seq for each in found] == list(range(1, len(found) + 1))
                (put,) = [json.loads(body)["seq"] for key, body in store.documents("run") if key == name]
                assert last <= put <= len(found)
                begun = {
                    int(row.session.rpartition("-")[2]) for row in store.sessions() if row.session[:3] == f"{name}-"
                }
                assert begun <= {put - 1, put, put + 1}
                store.append(record(len(found) + 1, name))
            assert store.blob("1") == b"blob" * 200

    trio.run(check)
