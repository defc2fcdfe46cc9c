"""What only the SQLite store does: order kept by asking the disk, and one statement a small group."""

import os
import sqlite3
from pathlib import Path
from zlib import crc32

import pytest

from runtime.errors import LocalError
from runtime.ports import StoredRecord
from runtime.stores import Bound, tables
from runtime.stores.sqlite import Sqlite
from tests.runtime.stores.places import record


async def test_sessions_that_rest_cost_no_memory_and_are_not_forgotten(tmp_path: Path) -> None:
    bound = Bound(records=20)
    async with Sqlite(str(tmp_path / "journal.db"), bound=bound) as store:
        for seq in (1, 2):
            for number in range(150):
                await store.room()
                store.append(record(seq, f"s{number}"))
                assert len(store._young) + len(store._old) <= 2 * bound.records + 2
        await store.room()
        for number in range(150):
            with pytest.raises(LocalError, match="record 2 cannot follow record 2"):
                store.append(record(2, f"s{number}"))
    async with Sqlite(str(tmp_path / "journal.db")) as store:
        assert [row.records for row in store.sessions()] == [2] * 150


def test_the_journal_is_a_write_ahead_log_that_syncs_every_commit(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    tables.prepare("journal.db", db)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert db.execute("PRAGMA application_id").fetchone() == (tables.APPLICATION,)
    db.close()


async def test_blobs_of_an_older_version_are_never_taken_for_unused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with Sqlite(str(path)) as store:
        store.append(record(1, "old"))
    db = sqlite3.connect(path)
    db.execute("INSERT INTO blobs VALUES ('cafe', x'6461', ?)", (crc32(b"da"),))
    db.commit()
    db.close()
    async with Sqlite(str(path)) as store:
        store.append(record(1), [("cafe", b"da")])
        await store.committed(store.forget("a"))
        assert store.blob("cafe") == b"da"
    assert version(path) == 3


async def test_a_database_shrinks_when_it_is_asked_to(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with Sqlite(str(path)) as store:
        for number in range(1, 40):
            store.append(StoredRecord("a", number, bytes(100_000)))
        await store.committed(store.append(record(1, "b")))
    full = path.stat().st_size
    async with Sqlite(str(path)) as store:
        store.forget("a")
        await store.committed(store.shrink())
        assert store.size() > 0
    assert path.stat().st_size < full / 10
    async with Sqlite(str(path), readonly=True) as store:
        assert list(store.records("b")) == [record(1, "b")]


@pytest.mark.parametrize("count", [1, 63, 64, 65, 128, 511, 512, 513, 1100])
async def test_groups_of_any_size_are_written_whole(tmp_path: Path, count: int) -> None:
    path = tmp_path / "journal.db"
    async with Sqlite(str(path)) as store:
        for number in range(1, count + 1):
            store.append(record(number, f"s{number % 7}"))
    async with Sqlite(str(path), readonly=True) as store:
        assert sum(row.records for row in store.sessions()) == count
        assert sum(len(list(store.records(f"s{number}"))) for number in range(7)) == count


async def test_after_closing_nothing_is_left_but_the_file_and_its_lock(tmp_path: Path) -> None:
    async with Sqlite(str(tmp_path / "journal.db")) as store:
        await store.committed(store.append(record(1)))
        assert list(store.records("a")) == [record(1)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal.db", "journal.db-lock"]


def version(path: Path) -> int:
    """The version that a database says it has."""
    db = sqlite3.connect(path)
    (found,) = db.execute("PRAGMA user_version").fetchone()
    db.close()
    return int(found)


async def test_a_database_is_of_version_1_until_it_has_a_document(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with Sqlite(str(path)) as store:
        store.append(record(1))
        store.forget("b")
        assert list(store.documents("run")) == []
    assert version(path) == 1
    async with Sqlite(str(path), readonly=True) as reader:
        assert list(reader.documents("run")) == []
        async with Sqlite(str(path)) as store:
            await store.committed(store.put("run", "a", b"\x80"))
            assert list(store.documents("run")) == [("a", b"\x80")]
        assert list(reader.documents("run")) == [("a", b"\x80")]
        assert list(reader.records("a")) == [record(1)]
    assert version(path) == 2
    async with Sqlite(str(path)) as store:
        store.append(record(2))
        store.put("run", "b", b"")
    async with Sqlite(str(path), readonly=True) as reader:
        assert list(reader.documents("run")) == [("a", b"\x80"), ("b", b"")]
        assert list(reader.records("a")) == [record(1), record(2)]


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200])
async def test_documents_of_any_number_are_written_whole(tmp_path: Path, count: int) -> None:
    async with Sqlite(str(tmp_path / "journal.db")) as store:
        for turn in (0, 1):
            for number in range(count):
                ticket = store.put("run", f"r{number}", b"%d" % (turn + number))
            await store.committed(ticket)
        assert list(store.documents("run")) == [(f"r{number}", b"%d" % (1 + number)) for number in range(count)]


async def test_what_is_forgotten_is_not_left_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with Sqlite(str(path)) as store:
        for number in range(1, 50):
            store.append(StoredRecord("secret", number, b"confidential" * 900))
            store.append(record(number))
        store.snapshot("secret", 3, b"confidential" * 900)
        await store.committed(store.put("run", "secret", b"confidential"))
        store.describe("secret", "confidential")
        store.put("run", "secret", None)
        store.forget("secret")
    assert b"confidential" not in path.read_bytes()
    assert b"secret" not in path.read_bytes()
    async with Sqlite(str(path)) as store:
        assert len(list(store.records("a"))) == 49


async def test_of_many_snapshots_the_newest_stays_and_one_in_each_doubling(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with Sqlite(str(path)) as store:
        for number in range(10, 3_000, 10):
            store.append(record(number))
            store.snapshot("a", number, b"%d" % number)
            store.snapshot("b", 20, b"another")
            await store.committed(store.append(record(number, "b")))
        assert store.latest_snapshot("a") == (2_990, b"2990")
        assert store.latest_snapshot("a", 2_989) == (2_040, b"2040")
        assert store.latest_snapshot("b") == (20, b"another")
    with sqlite3.connect(path) as db:
        kept = [seq for (seq,) in db.execute("SELECT seq FROM snapshots WHERE session = 'a' ORDER BY seq")]
    db.close()
    assert kept == [10, 510, 1_020, 2_040, 2_990]


async def test_many_sessions_can_be_forgotten_and_are_not_mistaken_for_what_they_were(tmp_path: Path) -> None:
    bound = Bound(records=20)
    async with Sqlite(str(tmp_path / "journal.db"), bound=bound) as store:
        for number in range(100):
            await store.room()
            store.append(record(9, f"s{number}"))
        for number in range(100):
            await store.room()
            store.forget(f"s{number}")
            assert len(store._young) + len(store._old) <= 2 * bound.records + 2
        for number in range(100):
            await store.room()
            ticket = store.append(record(1, f"s{number}"))
        await store.committed(ticket)
        assert [row.records for row in store.sessions()] == [1] * 100


@pytest.mark.parametrize("name", ["with space.db", "what?.db", "a#b%20c.db", "grüße.sqlite"])
async def test_any_name_of_a_file_will_do(tmp_path: Path, name: str) -> None:
    async with Sqlite(str(tmp_path / name)) as store:
        await store.committed(store.append(record(1)))
        assert list(store.records("a")) == [record(1)]
    assert (tmp_path / name).is_file()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write in any folder")
async def test_a_closed_journal_can_be_read_in_a_folder_without_write_permission(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    async with Sqlite(str(folder / "journal.db")) as store:
        store.append(record(1))
    folder.chmod(0o500)
    async with Sqlite(str(folder / "journal.db"), readonly=True) as store:
        assert list(store.records("a")) == [record(1)]
    folder.chmod(0o700)
