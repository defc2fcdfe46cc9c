"""A SQLite journal that is damaged, full or locked: no wrong record comes back and no error of SQLite gets out."""

import os
import random
import sqlite3
from pathlib import Path

import pytest
import trio

from runtime.errors import JournalCorrupt, JournalError, JournalFull
from runtime.ports import StoredRecord
from runtime.stores import open_store, tables
from runtime.stores.backlog import Entry
from runtime.stores.sqlite import Sqlite
from tests.runtime.stores.places import body, record

COUNT = 40


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed journal of COUNT records, a blob and two snapshots, all in one file."""
    trio.run(fill, tmp_path / "journal.db")
    return tmp_path / "journal.db"


async def fill(path: Path) -> None:
    """Write it."""
    async with open_store(path) as store:
        for number in range(1, COUNT + 1):
            store.append(record(number, size=100), [("cafe", b"blob" * 50)])
        store.snapshot("a", 1, body(1, 50))
        store.snapshot("a", 2, body(2, 50))


def change(path: Path, statement: str, *values: object) -> None:
    """Change a journal behind the store's back."""
    db = sqlite3.connect(path)
    with db:
        db.execute(statement, values)
    db.close()


async def read(path: Path) -> tuple[list[StoredRecord], str]:
    """Read the records; return them and the error that ended reading."""
    found: list[StoredRecord] = []
    try:
        async with open_store(path, readonly=True) as store:
            for each in store.records("a"):
                found.append(each)  # noqa: PERF402 - extend would lose them
    except JournalError as exc:
        return found, f"{type(exc).__name__}: {exc}"
    return found, ""


@pytest.mark.parametrize("value", [body(21, 100), "text", 5, 0.5])
async def test_a_changed_record_is_named_and_those_before_it_are_good(path: Path, value: object) -> None:
    change(path, "UPDATE records SET body = ? WHERE seq = 20", value)
    found, error = await read(path)
    assert found == [record(number, size=100) for number in range(1, 20)]
    assert error == f"JournalCorrupt: {path}: session 'a' record 20 is damaged"


async def test_a_record_with_another_number_is_damaged(path: Path) -> None:
    change(path, "UPDATE records SET seq = 100 WHERE seq = 20")
    found, error = await read(path)
    assert len(found) == COUNT - 1
    assert "record 100 is damaged" in error


async def test_a_damaged_snapshot_is_passed_over_and_a_damaged_blob_is_not(path: Path) -> None:
    change(path, "UPDATE snapshots SET body = ? WHERE seq = 2", b"other")
    change(path, "UPDATE blobs SET data = ?", b"other")
    async with open_store(path, readonly=True) as store:
        assert store.latest_snapshot("a") == (1, body(1, 50))
        with pytest.raises(JournalCorrupt, match=f"{path}: blob cafe is damaged"):
            store.blob("cafe")
    change(path, "UPDATE snapshots SET crc = 0")
    async with open_store(path, readonly=True) as store:
        assert store.latest_snapshot("a") is None


async def test_a_flipped_byte_anywhere_gives_no_wrong_record_and_no_foreign_error(path: Path) -> None:
    whole = path.read_bytes()
    chance = random.Random(1)
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        found, _ = await read(path)
        assert all(each == record(each.seq, size=100) for each in found)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
async def test_a_truncated_database_is_corrupt(path: Path, share: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    found, error = await read(path)
    assert error.startswith(f"JournalCorrupt: {path}: the database is damaged")
    assert all(each == record(each.seq, size=100) for each in found)


def test_a_database_of_somebody_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    change(path, "CREATE TABLE recipes (name TEXT)")
    before = path.read_bytes()
    for readonly in (False, True):
        with pytest.raises(JournalError, match=f"{path}: is not a journal$"):
            open_store(path, readonly=readonly)
    assert path.read_bytes() == before


def entries(first: int, count: int, *, size: int = 1000) -> list[Entry]:
    """Records as the writer thread gets them."""
    return [("record", record(number, size=size), ()) for number in range(first, first + count)]


@pytest.fixture
def inserter(path: Path) -> tables.Inserter:
    db = tables.connect(str(path), "mode=rw")
    db.execute("PRAGMA busy_timeout=0")
    return tables.Inserter(str(path), db, os.open(os.devnull, os.O_RDONLY), lambda: 0)


@pytest.mark.parametrize("count", [30, 200, 1500])
def test_a_full_database_keeps_nothing_of_the_group_and_takes_it_later(
    path: Path, inserter: tables.Inserter, count: int
) -> None:
    db = sqlite3.connect(path)
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    inserter._db.execute(f"PRAGMA max_page_count={pages + 2}")
    for _ in range(3):
        with pytest.raises(JournalFull, match=f"{path}: cannot be written: database or disk is full"):
            inserter.write(entries(COUNT + 1, count))
        assert db.execute("SELECT count(*) FROM records").fetchone() == (COUNT,)
    inserter._db.execute("PRAGMA max_page_count=1000000")
    inserter.write(entries(COUNT + 1, count))
    assert db.execute("SELECT count(*) FROM records").fetchone() == (COUNT + count,)
    assert db.execute("SELECT count FROM sessions").fetchone() == (COUNT + count,)
    inserter.close()
    db.close()


def test_a_database_that_another_program_locked_is_tried_again(path: Path, inserter: tables.Inserter) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalFull, match="locked"):
        inserter.write(entries(COUNT + 1, 3))
    db.execute("ROLLBACK")
    inserter.write(entries(COUNT + 1, 3))
    assert db.execute("SELECT count(*) FROM records").fetchone() == (COUNT + 3,)
    inserter.close()
    db.close()


async def test_a_database_that_breaks_while_it_is_written_breaks_the_store(path: Path) -> None:
    store = Sqlite(str(path), patience=10)
    change(path, "DROP TABLE sessions")
    ticket = store.append(record(COUNT + 1))
    with trio.fail_after(10), pytest.raises(JournalError, match=f"{path}: no such table"):
        await store.committed(ticket)
    with pytest.raises(JournalError, match=f"{path}: no such table"):
        await store.aclose()
    found, error = await read(path)
    assert (len(found), error) == (COUNT, "")
