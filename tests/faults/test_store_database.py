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
        for number in range(1, COUNT + 1):
            store.put("run", f"r{number}", body(number, 100))


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


async def read_documents(path: Path) -> set[tuple[str, bytes]]:
    """Read the documents, or nothing if they are damaged."""
    try:
        async with open_store(path, readonly=True) as store:
            return set(store.documents("run"))
    except JournalError:
        return set()


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


@pytest.mark.parametrize(
    ("column", "value"),
    [("body", b"other"), ("body", "text"), ("crc", 0), ("key", "r41"), ("key", b"r20"), ("kind", "run2")],
)
async def test_a_changed_document_is_named_and_the_other_kinds_are_good(path: Path, column: str, value: object) -> None:
    async with open_store(path) as store:
        store.put("cron", "a", body(1))
    change(path, f"UPDATE documents SET {column} = ? WHERE key = 'r20'", value)
    async with open_store(path, readonly=True) as store:
        with pytest.raises(JournalCorrupt, match=f"{path}: document run2? .*r(20|41)' is damaged"):
            list(store.documents("run2" if column == "kind" else "run"))
        assert list(store.documents("cron")) == [("a", body(1))]
        assert len(list(store.records("a"))) == COUNT


async def test_a_flipped_byte_anywhere_gives_no_wrong_record_and_no_foreign_error(path: Path) -> None:
    whole = path.read_bytes()
    chance = random.Random(1)
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        found, _ = await read(path)
        assert all(each == record(each.seq, size=100) for each in found)
        assert await read_documents(path) <= {(f"r{number}", body(number, 100)) for number in range(1, COUNT + 1)}


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


def test_a_full_database_forgets_nothing_and_puts_nothing_until_it_can_do_all(
    path: Path, inserter: tables.Inserter
) -> None:
    def state() -> list[list[tuple[object, ...]]]:
        return [
            db.execute(f"SELECT * FROM {table}").fetchall()
            for table in ("records", "snapshots", "sessions", "documents", "blobs")
        ]

    db = sqlite3.connect(path)
    before = state()
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    inserter._db.execute(f"PRAGMA max_page_count={pages + 2}")
    group: list[Entry] = [
        ("document", StoredRecord("run r1", 0, b""), ()),
        ("forget", StoredRecord("a", 0, b""), ()),
        *entries(1, 5),
        ("document", StoredRecord("run r1", 1, body(1)), ()),
        ("document", StoredRecord("run r2", 1, b"x" * 200_000), ()),
    ]
    for _ in range(3):
        with pytest.raises(JournalFull):
            inserter.write(group)
        assert state() == before
    inserter._db.execute("PRAGMA max_page_count=1000000")
    inserter.write(group)
    assert db.execute("SELECT count(*) FROM records").fetchone() == (5,)
    assert db.execute("SELECT count(*) FROM snapshots").fetchone() == (0,)
    keys = [key for (key,) in db.execute("SELECT key FROM documents ORDER BY place")]
    assert keys == [*(f"r{number}" for number in range(2, COUNT + 1)), "r1"]
    inserter.close()
    db.close()


def test_a_full_database_is_of_the_old_version_until_it_takes_its_first_document(tmp_path: Path) -> None:
    name = str(tmp_path / "old.db")
    db = sqlite3.connect(name, isolation_level=None)
    tables.prepare(name, db)
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count={pages + 1}")
    inserter = tables.Inserter(name, db, os.open(os.devnull, os.O_RDONLY), lambda: 0)
    group: list[Entry] = [("document", StoredRecord("run r1", 1, b"x" * 20_000), ())]
    with pytest.raises(JournalFull):
        inserter.write(group)
    assert db.execute("PRAGMA user_version").fetchone() == (1,)
    assert db.execute(tables.HAS_DOCUMENTS).fetchone() is None
    db.execute("PRAGMA max_page_count=1000")
    inserter.write(group)
    assert db.execute("PRAGMA user_version").fetchone() == (2,)
    inserter.close()


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
