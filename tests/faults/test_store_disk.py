"""A disk that is full or broken: nothing is dropped, nothing acknowledged is touched, and all who wait are told."""

import errno
import os
import sys
from functools import partial
from pathlib import Path

import pytest
import trio

from runtime.errors import JournalError, JournalFull
from runtime.stores import Bound
from runtime.stores.jsonlines import JsonLines
from runtime.stores.lines import HEADER_2
from tests.arch.tree import ROOT
from tests.runtime.stores.disks import SmallDisk
from tests.runtime.stores.places import FILES, body, file_place, record

SOON = (0.001, 0.01)
"""Seconds between tries."""


def journal(path: Path, disk: SmallDisk, bound: Bound | None = None) -> JsonLines:
    return JsonLines(str(path), disk=disk.disk, retry=SOON, patience=10, bound=bound)


async def until_full(store: JsonLines) -> None:
    """Wait until the writer has reported that the disk takes nothing."""
    store.flush()
    with trio.fail_after(10):
        while store.trouble is None or "cannot be written" not in store.trouble:  # noqa: ASYNC110 - there is no event
            await trio.sleep(0.001)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
async def test_a_full_disk_delays_records_and_loses_none(tmp_path: Path, error: int) -> None:
    path = tmp_path / "journal.jsonl"
    disk = SmallDisk(400, error)
    async with journal(path, disk) as store:
        await store.committed(store.append(record(1)))
        acknowledged = path.read_bytes()
        for number in range(2, 20):
            ticket = store.append(record(number))
        heard: list[str | None] = []
        store.heard = heard.append
        await until_full(store)
        troubles = [store.trouble]
        assert path.read_bytes()[: len(acknowledged)] == acknowledged
        disk.grow(100_000)
        with trio.fail_after(10):
            await store.committed(ticket)
            await store.room()
        troubles.append(store.trouble)
        assert heard == troubles
        assert troubles == [f"{path}: cannot be written: {os.strerror(error)}", None]
    async with JsonLines(str(path)) as store:
        assert store.torn is None
        assert [each.seq for each in store.records("a")] == list(range(1, 20))


@pytest.mark.parametrize("free", range(0, 420, 7))
async def test_what_a_failed_write_left_behind_is_cut_off_wherever_the_disk_ended(tmp_path: Path, free: int) -> None:
    path = tmp_path / "journal.jsonl"
    disk = SmallDisk(free)
    async with journal(path, disk) as store:
        for number in range(1, 8):
            ticket = store.append(record(number), [("cafe", b"data")])
        await until_full(store)
        disk.grow(1000)
        await store.committed(ticket)
        assert list(store.records("a")) == [record(number) for number in range(1, 8)]
        assert store.blob("cafe") == b"data"
    assert path.read_bytes().count(b'"blob"') == 1


@pytest.mark.parametrize("free", range(0, 420, 7))
async def test_a_full_disk_delays_documents_and_forgetting_wherever_it_ended(tmp_path: Path, free: int) -> None:
    path = tmp_path / "journal.jsonl"
    async with JsonLines(str(path)) as store:
        await store.committed(store.append(record(1)))
    disk = SmallDisk(free)
    async with journal(path, disk) as store:
        for number in range(1, 4):
            store.append(record(number + 1))
            store.put("run", f"r{number % 2}", body(number))
        store.put("run", "r0", None)
        store.forget("a")
        ticket = store.append(record(1, size=5))
        await until_full(store)
        assert list(store.records("a")) == [record(1)]
        assert list(store.documents("run")) == []
        disk.grow(1000)
        await store.committed(ticket)
        assert list(store.records("a")) == [record(1, size=5)]
        assert list(store.documents("run")) == [("r1", body(3))]
    async with JsonLines(str(path)) as store:
        assert list(store.records("a")) == [record(1, size=5)]
        assert list(store.documents("run")) == [("r1", body(3))]
        assert [row.records for row in store.sessions()] == [1]


async def test_a_version_that_could_not_be_synced_is_synced_before_the_first_document(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    disk = SmallDisk(10_000)
    async with journal(path, disk) as store:
        await store.committed(store.append(record(1)))
        tries = disk.tries
        disk.fail_syncs = 3
        await store.committed(store.put("run", "r1", body(1)))
        assert disk.tries == tries + 1
    assert path.read_bytes().startswith(HEADER_2)
    async with JsonLines(str(path)) as store:
        assert list(store.documents("run")) == [("r1", body(1))]


async def test_while_the_disk_is_full_a_reader_sees_what_was_acknowledged_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    disk = SmallDisk(300)
    async with journal(path, disk) as store:
        await store.committed(store.append(record(1)))
        for number in range(2, 9):
            store.append(record(number))
        await until_full(store)
        async with JsonLines(str(path), readonly=True) as reader:
            assert list(reader.records("a")) == [record(1)]
        assert list(store.records("a")) == [record(1)]
        disk.grow(10_000)


async def test_those_who_wait_for_a_full_disk_can_be_cancelled_and_the_record_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    disk = SmallDisk(0)
    async with journal(path, disk) as store:
        ticket = store.append(record(1))
        await until_full(store)
        for wait in (partial(store.committed, ticket), store.room):
            with trio.move_on_after(0.01) as scope:
                await wait()
            assert scope.cancelled_caught
        disk.grow(1000)
        await store.committed(ticket)
        assert list(store.records("a")) == [record(1)]


async def test_the_bound_holds_while_the_disk_is_full(tmp_path: Path) -> None:
    disk = SmallDisk(0)
    async with journal(tmp_path / "journal.jsonl", disk, Bound(records=5)) as store:
        for number in range(1, 6):
            store.append(record(number))
        with pytest.raises(JournalFull):
            store.append(record(6))
        await until_full(store)
        with pytest.raises(JournalFull, match="cannot be written: No space left on device"):
            store.append(record(6))
        disk.grow(1000)
        with trio.fail_after(10):
            await store.room()
        store.append(record(6))
    async with JsonLines(str(tmp_path / "journal.jsonl")) as store:
        assert len(list(store.records("a"))) == 6


async def test_a_sync_that_finds_the_disk_full_writes_everything_anew(tmp_path: Path) -> None:
    """A failed fsync may have thrown the pages away, so that a second one alone would say yes to nothing."""
    path = tmp_path / "journal.jsonl"
    disk = SmallDisk(10_000)
    disk.fail_syncs = 2
    disk.fail_cuts = 1
    async with journal(path, disk) as store:
        await store.committed(store.append(record(1)))
        assert disk.tries == 3
    async with JsonLines(str(path)) as store:
        assert list(store.records("a")) == [record(1)]


@pytest.mark.parametrize("call", ["write", "sync"])
async def test_any_other_failure_breaks_the_store_and_tells_everyone(tmp_path: Path, call: str) -> None:
    path = tmp_path / "journal.jsonl"
    disk = SmallDisk(10_000, errno.EIO)
    raised: list[str] = []

    async def wait() -> None:
        with pytest.raises(JournalError) as caught:
            await store.committed(ticket)
        raised.append(str(caught.value))

    store = journal(path, disk)
    await store.committed(store.append(record(1)))
    if call == "write":
        disk.free = 0
    else:
        disk.fail_syncs = 1
    ticket = store.append(record(2))
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(wait)
    assert raised == [f"{path}: cannot be written: Input/output error"] * 3
    for refused in (
        lambda: store.append(record(3)),
        lambda: store.describe("a", "b"),
        lambda: store.put("c", "d", b"{}"),
    ):
        with pytest.raises(JournalError, match="Input/output error"):
            refused()
    store.snapshot("a", 1, b"{}")
    with pytest.raises(JournalError, match="Input/output error"):
        await store.room()
    assert store.trouble == raised[0]
    await store.committed(1)
    assert list(store.records("a")) == [record(1)]
    with pytest.raises(JournalError, match="Input/output error"):
        await store.aclose()


async def test_closing_on_a_full_disk_gives_up_in_time_and_says_what_was_lost(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    store = JsonLines(str(path), disk=SmallDisk(0).disk, retry=SOON, patience=0.05)
    ticket = store.append(record(1))
    with trio.fail_after(10), pytest.raises(JournalError, match=r"closed with 1 records not written: .*No space left"):
        await store.aclose()
    with pytest.raises(JournalError, match="not written"):
        await store.committed(ticket)
    async with JsonLines(str(path), readonly=True) as reader:
        assert list(reader.records("a")) == []


async def test_closing_under_cancellation_waits_for_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    disk = SmallDisk(0)
    store = journal(path, disk)
    store.append(record(1))
    await until_full(store)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.aclose)
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await trio.sleep(0.02)
        disk.grow(1000)
    async with JsonLines(str(path)) as reopened:
        assert list(reopened.records("a")) == [record(1)]


LIMITED = """
import resource, signal, sys, trio
from runtime.ports import StoredRecord
from runtime.stores import open_store

async def main():
    store = open_store(sys.argv[1])
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    async with store:
        acknowledged = 0
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), hard))
        for seq in range(1, 400):
            ticket = store.append(StoredRecord("a", seq, b'{"number":%d,"filling":"%s"}' % (seq, b"x" * 1000)))
            with trio.move_on_after(0.5) as scope:
                await store.committed(ticket)
            if scope.cancelled_caught:
                break
            acknowledged = seq
        print(acknowledged, store.full, store.trouble, sep="|", flush=True)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        with trio.fail_after(20):
            await store.committed(ticket)
            await store.room()
        print(seq, store.full, store.trouble, sep="|", flush=True)

trio.run(main)
"""


@pytest.mark.parametrize("kind", FILES)
async def test_a_limit_on_the_size_of_files_delays_records_and_loses_none(tmp_path: Path, kind: str) -> None:
    place = file_place(kind, tmp_path)
    command = [sys.executable, "-c", LIMITED, str(place.path), "150000"]
    done = await trio.run_process(command, cwd=ROOT, capture_stdout=True, capture_stderr=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    limited, freed = [line.split("|") for line in done.stdout.decode().splitlines()]
    assert 0 < int(limited[0]) < int(freed[0])
    assert limited[1] == "True"
    assert f"{place.path}: cannot be written" in limited[2]
    assert freed[1:] == ["False", "None"]
    async with place.open() as store:
        assert list(store.records("a")) == [record(number, size=1000) for number in range(1, int(freed[0]) + 1)]
