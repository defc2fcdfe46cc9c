"""What the stores that keep files do alike: who may write, who may read, and what is refused when opening."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from runtime.errors import JournalError, JournalNewer, LocalError
from runtime.stores import open_store
from tests.arch.tree import ROOT
from tests.runtime.stores.places import FILES, FilePlace, body, file_place, record

WRITER = """
import sys, trio
from runtime.ports import StoredRecord
from runtime.stores import open_store

async def main():
    async with open_store(sys.argv[1]) as store:
        await store.committed(store.append(StoredRecord("a", 1, b'{"number":1,"filling":""}')))
        print("ready", flush=True)
        for seq, line in enumerate(sys.stdin, 2):
            record = StoredRecord("a", seq, b'{"number":%d,"filling":""}' % seq)
            await store.committed(store.append(record, [("cafe", b"data")]))
            print("written", flush=True)

trio.run(main)
"""


@pytest.fixture(params=FILES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> FilePlace:
    return file_place(request.param, tmp_path)


class Other:
    """Another process that writes a journal: one record now, one for each `write`, until it is killed or left."""

    def __init__(self, place: FilePlace) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(place.path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def write(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "written\n"

    def __enter__(self) -> "Other":
        return self

    def __exit__(self, *exc_info: object) -> None:
        with self.process:
            self.process.kill()


def test_a_second_writer_is_refused_and_told_who_the_first_is(place: FilePlace) -> None:
    with Other(place) as other:
        with pytest.raises(JournalError, match=f"{place.path}: the journal is in use by process {other.process.pid}$"):
            place.open()


async def test_a_second_writer_in_the_same_process_is_refused(place: FilePlace) -> None:
    async with place.open() as store:
        with pytest.raises(JournalError, match=f"in use by process {os.getpid()}"):
            place.open()
        await store.committed(store.append(record(1)))
    async with place.open() as store:
        assert list(store.records("a")) == [record(1)]


async def test_the_lock_goes_with_the_process_that_had_it(place: FilePlace) -> None:
    with Other(place):
        pass
    async with place.open() as store:
        assert list(store.records("a")) == [record(1)]
        store.append(record(2))


async def test_a_journal_can_be_read_while_another_process_writes_it(place: FilePlace) -> None:
    with Other(place) as other:
        async with place.read() as store:
            assert list(store.records("a")) == [record(1)]
            for number in range(2, 20):
                other.write()
                assert list(store.records("a")) == [record(each) for each in range(1, number + 1)]
            assert store.blob("cafe") == b"data"
            assert store.torn is None
            assert [row.records for row in store.sessions()] == [19]


async def test_what_was_opened_for_reading_takes_nothing(place: FilePlace) -> None:
    async with place.open() as store:
        store.append(record(1))
    before = place.path.read_bytes()
    async with place.read() as store:
        with pytest.raises(LocalError, match="opened for reading"):
            store.append(record(2))
        with pytest.raises(LocalError, match="opened for reading"):
            store.snapshot("a", 1, body(1))
        assert list(store.records("a")) == [record(1)]
        assert store.latest_snapshot("a") is None
        with pytest.raises(JournalError, match="no blob"):
            store.blob("cafe")
    assert place.path.read_bytes() == before


async def test_reading_does_not_hinder_writing(place: FilePlace) -> None:
    async with place.open() as store:
        store.append(record(1))
    async with place.read() as reader, place.open() as writer:
        reading = iter(reader.records("a"))
        next(reading)
        await writer.committed(writer.append(record(2)))
        assert list(reader.records("a")) == [record(1), record(2)]


def test_reading_what_does_not_exist_is_an_error_and_creates_nothing(place: FilePlace) -> None:
    with pytest.raises(JournalError, match=str(place.path)):
        place.read()
    assert not place.path.exists()


async def test_files_and_new_folders_are_for_this_user_only(tmp_path: Path, place: FilePlace) -> None:
    inner = tmp_path / "one" / "two" / place.path.name
    async with open_store(inner) as store:
        await store.committed(store.append(record(1)))
        modes = {stat.S_IMODE(path.stat().st_mode) for path in inner.parent.iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "one" / "two").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "text", [b"Dear diary,\n", b"{}\n", b"[1]\n", b"\0" * 5000, b"{" * 10_000, b'{"twinstep":"other"}\n']
)
@pytest.mark.parametrize("readonly", [False, True])
def test_a_file_that_is_no_journal_is_refused_and_left_alone(place: FilePlace, text: bytes, readonly: bool) -> None:
    place.path.write_bytes(text)
    with pytest.raises(JournalError, match=f"{place.path}: is not a journal"):
        open_store(place.path, readonly=readonly)
    assert place.path.read_bytes() == text


async def test_an_empty_file_is_a_new_journal(place: FilePlace) -> None:
    place.path.touch()
    async with place.read() as store:
        assert list(store.records("a")) == []
        assert store.sessions() == []
    async with place.open() as store:
        store.append(record(1))
    async with place.open() as store:
        assert list(store.records("a")) == [record(1)]


@pytest.mark.parametrize("readonly", [False, True])
def test_what_is_no_regular_file_is_refused(place: FilePlace, readonly: bool) -> None:
    os.mkfifo(place.path)
    with pytest.raises(JournalError, match="not a regular file"):
        open_store(place.path, readonly=readonly)
    place.path.unlink()
    place.path.mkdir()
    with pytest.raises(JournalError, match=str(place.path)):
        open_store(place.path, readonly=readonly)


def test_a_folder_that_cannot_be_made_is_named(place: FilePlace) -> None:
    place.path.write_bytes(b"")
    with pytest.raises(JournalError, match=f"{place.path}/{place.path.name}.*cannot be opened"):
        open_store(place.path / place.path.name)


@pytest.mark.parametrize("readonly", [False, True])
async def test_a_journal_of_a_newer_version_is_refused_with_both_versions(place: FilePlace, readonly: bool) -> None:
    async with place.open() as store:
        store.append(record(1))
    make_newer(place.path)
    before = place.path.read_bytes()
    with pytest.raises(JournalNewer, match=f"{place.path}: was written as version 7 of the journal; .* up to [23]"):
        open_store(place.path, readonly=readonly)
    assert place.path.read_bytes() == before


def make_newer(path: Path) -> None:
    """Have the file say that version 7 wrote it."""
    if path.suffix == ".jsonl":
        path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":7', 1))
        return
    content = bytearray(path.read_bytes())
    content[60:64] = (7).to_bytes(4, "big")  # user_version, https://sqlite.org/fileformat.html section 1.3
    path.write_bytes(content)


def test_a_process_that_forgets_to_close_still_ends(place: FilePlace) -> None:
    closing = "async with open_store(sys.argv[1]) as store:"
    forgetful = [sys.executable, "-c", WRITER.replace(closing, "store = open_store(sys.argv[1])\n    if True:")]
    done = subprocess.run(
        [*forgetful, str(place.path)], cwd=ROOT, input="\n\n", text=True, capture_output=True, timeout=30, check=True
    )
    assert done.stdout == "ready\nwritten\nwritten\n"
    assert trio.run(numbers, place) == [1, 2, 3]


async def numbers(place: FilePlace) -> list[int]:
    """What is in the journal."""
    async with place.open() as store:
        return [each.seq for each in store.records("a")]
