"""A journal in SQLite, for daemons with many sessions. Keeps no object for a session that is not being written.

Reading uses a connection of its own and no transaction outlives a call, so that a reader that stops in the middle
holds up nothing.
"""

import os
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, ClassVar, Final
from zlib import crc32

from runtime.errors import JournalCorrupt, JournalError, JournalFull, LocalError
from runtime.ports import StoredRecord, StoredSession
from runtime.stores import lock, tables
from runtime.stores.backlog import ENTRY_SIZE, FULL, LAST_SEQ, Bound, Codec, Wall, check_session, now, out_of_order
from runtime.stores.writer import PATIENCE, RETRY, Writer

PAGE: Final = 64
"""Records that are read at a time."""


class Sqlite(Writer):
    """A store in a SQLite database. Bodies are msgpack (`codec`).

    Reading gives what is on disk, not what is still queued. `torn` is always None: SQLite drops an interrupted
    transaction by itself. Beside the database lies a file `<name>-lock` that stays.
    """

    codec: ClassVar[Codec] = "msgpack"

    def __init__(
        self,
        path: str,
        *,
        bound: Bound | None = None,
        readonly: bool = False,
        wall: Wall = now,
        retry: tuple[float, float] = RETRY,
        patience: float = PATIENCE,
    ) -> None:
        """Open or create the database. Starts no thread.

        Raises JournalError if it is in use, cannot be opened or is no journal, JournalCorrupt, JournalNewer.
        """
        inserter = None if readonly else _open_to_write(path, wall)
        bound = bound or Bound()
        super().__init__(path, bound, inserter, retry=retry, patience=patience)
        self._reader: sqlite3.Connection | None = None
        if readonly:
            self._read("SELECT 1")
        # Last numbers of the sessions appended to lately. One that falls out of both was last appended to before
        # `bound.records` others were, so it is on disk and can be asked for there.
        self._young: dict[str, int] = {}
        self._old: dict[str, int] = {}

    def append(self, record: StoredRecord, blobs: Sequence[tuple[str, bytes]] = ()) -> int:
        """Queue a record and the blobs it names; see `Store.append`. Raises LocalError if `seq` does not grow."""
        session = record.session
        last = self._young.get(session)
        if last is None:
            last = self._last(session)
        if not last < record.seq <= LAST_SEQ:
            raise out_of_order(self.name, session, record.seq, last)
        size = ENTRY_SIZE + len(record.body)
        for name, data in blobs:
            size += len(name) + len(data)
        ticket = self._put(("record", record, blobs), size)
        self._young[session] = record.seq
        if len(self._young) > self._bound.records:
            self._young, self._old = {}, self._young
        return ticket

    def forget(self, session: str) -> int:
        """Queue that all of a session is deleted; see `Store.forget`.

        SQLite overwrites what it deletes, at the latest when the journal is closed; the file keeps its size until
        `shrink`. Blobs of sessions from before version 3 stay: nobody noted who names them.
        """
        ticket = super().forget(session)
        self._young[session] = 0
        if len(self._young) > self._bound.records:
            self._young, self._old = {}, self._young
        return ticket

    def shrink(self) -> int:
        """Queue that SHRINK_PAGES free pages are given back; see `Store.shrink`. A file of before version 3 keeps them.

        Such a file shrinks with SQLite's own VACUUM, while nobody has it open.
        """
        return self._put(("shrink", StoredRecord("", 0, b""), ()), ENTRY_SIZE)

    def size(self) -> int:
        """Return the bytes of the database and its log; see `Store.size`."""
        found = 0
        for path in (self.name, f"{self.name}-wal"):
            with suppress(OSError):
                found += os.path.getsize(path)
        return found

    def describe(self, session: str, title: str) -> None:
        """Queue a title for a session that has records; the last one counts. Raises LocalError, JournalFull."""
        if not self._last(session):
            raise LocalError(f"{self.name}: session {session!r} has no records to describe")
        body = title.encode(errors="replace")
        self._put(("title", StoredRecord(session, 0, body), ()), ENTRY_SIZE + len(body))

    def records(self, session: str, after: int = 0) -> Iterator[StoredRecord]:
        """Read a session's records with `seq` > `after`. Raises JournalCorrupt behind the last one that is good."""
        query = "SELECT seq, body, crc FROM records WHERE session = ? AND seq > ? ORDER BY seq LIMIT ?"
        page = self._read(query, (session, after, PAGE))
        while True:
            for seq, body, crc in page:
                if not tables.is_whole(session, seq, body, crc):
                    raise JournalCorrupt(f"{self.name}: session {session!r} record {seq} is damaged")
                yield StoredRecord(session, seq, body)
            if len(page) < PAGE:
                return
            # The last one again: if it is not there, the session was forgotten meanwhile, and what follows is another.
            again = self._read(query, (session, page[-1][0] - 1, PAGE + 1))
            if again[:1] != page[-1:]:
                return
            page = again[1:]

    def paced(self, session: str, after: int = 0) -> Iterator[StoredRecord | None]:
        """Read them as `records` does: an index leads to them."""
        return self.records(session, after)

    def latest_snapshot(self, session: str, upto: int | None = None) -> tuple[int, bytes] | None:
        """Return the newest snapshot with `seq` ≤ `upto` that is not damaged, or None."""
        limit = LAST_SEQ if upto is None else upto
        while found := self._read(
            "SELECT seq, body, crc FROM snapshots WHERE session = ? AND seq <= ? ORDER BY seq DESC LIMIT 1",
            (session, limit),
        ):
            seq, body, crc = found[0]
            if tables.is_whole(session, seq, body, crc):
                return seq, body
            limit = seq - 1
        return None

    def documents(self, kind: str, last: int | None = None) -> Iterator[tuple[str, bytes]]:
        """Read the documents of a kind; see `Store.documents`. Raises JournalCorrupt behind the last good one."""
        if not self._read(tables.HAS_DOCUMENTS):
            return
        place = self._read(tables.TAIL, (kind, last))[0][0] if last is not None else 0
        while place is not None:
            page = self._read(tables.PAGE, (kind, place, PAGE))
            for _, key, body, crc in page:
                if not tables.is_whole_document(kind, key, body, crc):
                    raise JournalCorrupt(f"{self.name}: document {kind} {key!r} is damaged")
                yield key, body
            place = page[-1][0] + 1 if len(page) == PAGE else None

    def blob(self, name: str) -> bytes:
        """Return a blob. Raises JournalError if there is none of that name on disk, JournalCorrupt if it is damaged."""
        found = self._read("SELECT data, crc FROM blobs WHERE name = ?", (name,))
        if not found:
            raise JournalError(f"{self.name}: there is no blob {name}")
        data, crc = found[0]
        if not isinstance(data, bytes) or crc32(data) != crc:
            raise JournalCorrupt(f"{self.name}: blob {name} is damaged")
        return data

    def sessions(self) -> list[StoredSession]:
        """List the sessions, oldest first. Raises JournalCorrupt."""
        rows = self._read("SELECT session, started, updated, count, title FROM sessions ORDER BY started, rowid")
        return [StoredSession(*row) for row in rows]

    def _last(self, session: str) -> int:
        """Return the last number of a session, on disk or queued; 0 if it has none."""
        last = self._young.get(session)
        if last is None:
            last = self._old.get(session)
        if last is None:
            check_session(self.name, session)
            ((last,),) = self._read("SELECT max(seq) FROM records WHERE session = ?", (session,))
        return last or 0

    def _read(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query, or our error for SQLite's."""
        self._check_open()
        try:
            if self._reader is None:
                self._reader = _open_to_read(self.name)
            return self._reader.execute(query, values).fetchall()
        except UnicodeDecodeError as exc:  # what SQLite says of damage can repeat the damage
            raise JournalCorrupt(f"{self.name}: the database is damaged") from exc
        except sqlite3.Error as exc:
            failure = tables.translate(self.name, exc)
            if isinstance(failure, JournalFull):
                failure = JournalError(f"{self.name}: cannot be read: {exc}")
            elif getattr(exc, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_SHMSIZE:
                failure = JournalError(f"{self.name}: cannot be read: no room for the file {self.name}-shm ({exc})")
            raise failure from exc

    def _release_readers(self) -> None:
        if self._reader is not None:
            self._reader.close()


def _open_to_write(path: str, wall: Wall) -> tables.Inserter:
    claimed = lock.create(f"{path}-lock")
    lock.claim(path, claimed)
    try:
        _create(path)
        db = tables.connect(path, "mode=rw")
        try:
            tables.prepare(path, db)
        except (sqlite3.Error, UnicodeDecodeError, JournalError):
            db.close()
            raise
    except UnicodeDecodeError as exc:
        os.close(claimed)
        raise JournalCorrupt(f"{path}: the database is damaged") from exc
    except sqlite3.Error as exc:
        failure = _cannot_grow(path, exc, claimed) or tables.translate(path, exc)
        os.close(claimed)
        raise failure from exc
    except JournalError:
        os.close(claimed)
        raise
    return tables.Inserter(path, db, claimed, wall)


def _cannot_grow(path: str, exc: sqlite3.Error, claimed: int) -> JournalFull | None:
    """Return our error if there is no room for the files that SQLite makes beside a database, of which it says no more
    than "disk I/O error". The lock file is used to ask the system why."""
    if getattr(exc, "sqlite_errorcode", 0) not in tables.GROWING or not hasattr(os, "posix_fallocate"):
        return None
    try:
        os.posix_fallocate(claimed, 0, tables.PROBE)
    except OSError as why:
        return JournalFull(f"{path}: cannot be opened: {why.strerror} ({exc})") if why.errno in FULL else None
    finally:
        os.ftruncate(claimed, 0)
    return None


def _create(path: str) -> None:
    """Create the file for this user only. One that is there is left to SQLite: closing it would drop SQLite's locks."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        _check_regular(path)
    except OSError as exc:
        raise JournalError(f"{path}: cannot be created: {exc.strerror}") from exc


def _check_regular(path: str) -> None:
    try:
        regular = stat.S_ISREG(os.stat(path).st_mode)
    except OSError as exc:
        raise JournalError(f"{path}: cannot be opened: {exc.strerror}") from exc
    if not regular:
        raise JournalError(f"{path}: is not a regular file, so it cannot be a journal")


def _open_to_read(path: str) -> sqlite3.Connection:
    """Open a journal, also one that another process writes. An empty one reads like one without records."""
    _check_regular(path)
    try:
        db = _examined(path, tables.connect(path, "mode=ro"))
    except sqlite3.OperationalError:
        # A closed journal in a folder without write permission: SQLite cannot make the files it shares with a writer,
        # and there is none.
        if os.path.exists(f"{path}-wal"):
            raise
        db = _examined(path, tables.connect(path, "immutable=1"))
    if db is None:
        db = sqlite3.connect(":memory:")
        db.executescript(tables.SCHEMA)
    return db


def _examined(path: str, db: sqlite3.Connection) -> sqlite3.Connection | None:
    """Return the database if it is a journal, None if it is empty. Raises like `tables.examine`."""
    try:
        known = tables.examine(path, db)
    except (sqlite3.Error, UnicodeDecodeError, JournalError):
        db.close()
        raise
    if not known:
        db.close()
        return None
    return db
