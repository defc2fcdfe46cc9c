"""The tables of a SQLite journal and the writer thread's half: one transaction a group. Updates no record.

A database has the lowest version that has all its tables: that of the documents is made with the first document, that
of the uses with the first blob, so that what holds none can be read by an older program.

Rule 1: a group costs as few statements as it can. Each step of a statement gives up the interpreter lock and may wait
for a busy run loop to give it back (5 ms): `executemany` of 64 rows took 200 ms beside a busy loop, one statement 10.
Rule 2: the table of sessions is kept by a trigger, so that a small group is one statement and its own transaction.
Rule 3: records lie in the order in which they came, with an index (`rowid`): with 1 kB bodies three times as fast as
ordered by session (`WITHOUT ROWID`).
"""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Final, Literal
from urllib.parse import quote
from zlib import crc32

from runtime.errors import JournalCorrupt, JournalError, JournalFull, JournalNewer
from runtime.ports import StoredRecord
from runtime.stores.backlog import FULL, Entry, Wall

APPLICATION: Final = 0x54575354
FIRST: Final = 1
VERSION: Final = 3
WITH_DOCUMENTS: Final = 2
SMALL: Final = 64
"""Up to as many rows, a statement has exactly the rows it needs."""
LARGE: Final = 512
COLUMNS: Final = 5
STATEMENTS: Final = 3 * SMALL
"""Prepared statements that a connection keeps: one for each number of records and of documents, and the rest."""
GROWING: Final = (sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)
"""What SQLite says when a file cannot grow for another reason than ENOSPC, among others."""
DENSE: Final = 512
"""Of the snapshots of a session, the newest stays, and one in each doubling of its length from here on; the others make
room. A daemon writes one whenever it unloads a session, so they would soon be most of the database."""
FEW: Final = 16
"""Snapshots of the first records stay in any case: they are few."""
PROBE: Final = 2**20
BUSY: Final = 2.0
"""Seconds to wait for a lock that another program has on the file."""

SCHEMA: Final = """
CREATE TABLE records (
    session TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, body BLOB NOT NULL, crc INTEGER NOT NULL,
    PRIMARY KEY (session, seq)
);
CREATE TABLE snapshots (
    session TEXT NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (session, seq)
);
CREATE TABLE blobs (name TEXT PRIMARY KEY NOT NULL, data BLOB NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE sessions (
    session TEXT PRIMARY KEY NOT NULL, started INTEGER NOT NULL, updated INTEGER NOT NULL, count INTEGER NOT NULL,
    title TEXT NOT NULL DEFAULT ''
);
CREATE TRIGGER listed AFTER INSERT ON records BEGIN
    INSERT INTO sessions (session, started, updated, count) VALUES (new.session, new.at, new.at, 1)
    ON CONFLICT (session) DO UPDATE SET updated = excluded.updated, count = count + 1;
END;
"""

DOCUMENTS: Final = """
CREATE TABLE documents (
    place INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, crc INTEGER NOT NULL,
    UNIQUE (kind, key)
)
"""
"""What version 2 has besides. `place` is where a document stands among those of its kind."""
USES: Final = """
CREATE TABLE uses (session TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (session, name)) WITHOUT ROWID;
CREATE INDEX used ON uses (name);
INSERT INTO uses (session, name) SELECT '', name FROM blobs;
"""
"""What version 3 has besides: which session names which blob. Nobody knows that of blobs that were there before: they
are noted as those of a session without a name, which is never forgotten."""
HAS_USES: Final = "SELECT 1 FROM sqlite_schema WHERE name = 'uses'"
SHRINK_PAGES: Final = 1_000
"""Pages (4 kB) that are given back at a time: some milliseconds of the writer."""
HAS_DOCUMENTS: Final = "SELECT 1 FROM sqlite_schema WHERE name = 'documents'"
PAGE: Final = "SELECT place, key, body, crc FROM documents WHERE +kind = ? AND place >= ? ORDER BY place LIMIT ?"
"""Some documents of a kind from a place on. The sign keeps SQLite from looking all of a kind up in the index first."""
TAIL: Final = "SELECT min(place) FROM (SELECT place FROM documents WHERE kind = ? ORDER BY place DESC LIMIT ?)"
"""Where the last documents of a kind begin; read from the index alone, without a body."""


def connect(path: str, access: Literal["mode=rw", "mode=ro", "immutable=1"]) -> sqlite3.Connection:
    """Open an existing database file; `access` is SQLite's (https://sqlite.org/uri.html). Raises sqlite3.Error."""
    place = f"file:{quote(os.path.abspath(path))}?{access}"
    return sqlite3.connect(
        place, uri=True, isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS, timeout=BUSY
    )


def examine(name: str, db: sqlite3.Connection) -> bool:
    """Check whose database this is. Returns False if it is empty.

    Raises JournalError if it is none of ours, JournalNewer if a newer version wrote it, sqlite3.Error.
    """
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application == 0 and tables == 0:
        return False
    if application != APPLICATION:
        raise JournalError(f"{name}: is not a journal")
    if version > VERSION:
        raise JournalNewer(
            f"{name}: was written as version {version} of the journal; this program reads up to {VERSION}"
        )
    return True


def prepare(name: str, db: sqlite3.Connection) -> None:
    """Make the database ready to be written; create the tables of an empty one. Raises like `examine`."""
    known = examine(name, db)
    if not known:  # before anything is written
        db.execute("PRAGMA auto_vacuum=INCREMENTAL")
    (mode,) = db.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise JournalError(f"{name}: SQLite cannot keep a write-ahead log here (it offers {mode!r})")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA secure_delete=ON")  # what is forgotten is overwritten, whatever SQLite was built with
    if not known:
        db.executescript(
            f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA application_id={APPLICATION}; PRAGMA user_version={FIRST}; COMMIT"
        )


def record_crc(session: str, seq: int, body: bytes) -> int:
    """Return the checksum kept beside a record or a snapshot."""
    return crc32(body, crc32(b"%b\0%d\0" % (session.encode(), seq)))


def document_crc(kind: str, key: str, body: bytes) -> int:
    """Return the checksum kept beside a document."""
    return crc32(body, crc32(b"%b\0%b\0" % (kind.encode(), key.encode())))


def is_whole(session: str, seq: object, body: object, crc: object) -> bool:
    """Whether a row is as it was written. Damage can change the type of a value as well."""
    return isinstance(seq, int) and isinstance(body, bytes) and record_crc(session, seq, body) == crc


def is_whole_document(kind: str, key: object, body: object, crc: object) -> bool:
    """Whether a row is as it was written."""
    return isinstance(key, str) and isinstance(body, bytes) and document_crc(kind, key, body) == crc


def translate(name: str, exc: sqlite3.Error) -> JournalError:
    """Return our error for one of SQLite's: JournalFull for what can pass, JournalCorrupt for damage."""
    code = getattr(exc, "sqlite_errorcode", 0)
    match code & 0xFF:
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return JournalFull(f"{name}: cannot be written: {exc}")
        case sqlite3.SQLITE_CORRUPT:
            return JournalCorrupt(f"{name}: the database is damaged: {exc}")
        case sqlite3.SQLITE_NOTADB:
            return JournalError(f"{name}: is not a journal: {exc}")
    return JournalError(f"{name}: {exc}")


class Inserter:
    """Groups of entries in, transactions out."""

    def __init__(self, name: str, db: sqlite3.Connection, lock: int, wall: Wall) -> None:
        self._name = name
        self._db = db
        self._lock = lock
        self._wall = wall
        self._uses = False

    def write(self, entries: Sequence[Entry]) -> None:
        """Commit all of it at once. Raises JournalFull if that can succeed later, else JournalError."""
        at = self._wall()
        rows: list[object] = []
        rest: list[Entry] = []
        ends: list[tuple[int, int]] = []
        for entry in entries:
            kind, record, blobs = entry
            if kind == "record":
                body = record.body
                rows += (record.session, record.seq, at, body, record_crc(record.session, record.seq, body))
            if blobs or kind != "record":
                rest.append(entry)
                if kind == "forget":  # what follows of that session comes after it, what came before does not
                    ends.append((len(rows), len(rest)))
        try:
            if rest or len(rows) > SMALL * COLUMNS:
                self._write_all(rows, rest, [*ends, (len(rows), len(rest))])
                if any(kind == "shrink" for kind, _, _ in rest):
                    self._db.executescript(f"PRAGMA incremental_vacuum({SHRINK_PAGES})")  # `execute` frees but one page
            else:
                self._db.execute(_insertion(len(rows) // COLUMNS), rows)
        except sqlite3.Error as exc:
            self._uses = False  # if it was made just now, it is gone again
            with suppress(sqlite3.Error):
                self._db.rollback()
            raise self._failure(exc) from exc

    def close(self) -> None:
        """Close the database, then give back the lock."""
        try:
            self._db.close()
        except sqlite3.Error as exc:
            raise translate(self._name, exc) from exc
        finally:
            os.close(self._lock)

    def _write_all(self, rows: list[object], rest: list[Entry], ends: Sequence[tuple[int, int]]) -> None:
        """Commit it part by part: `ends` says where each part ends in `rows` and in `rest`."""
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        start = first = 0
        for end, last in ends:
            while left := (end - start) // COLUMNS:
                size = LARGE if left >= LARGE else min(left, SMALL)
                db.execute(_insertion(size), rows[start : start + size * COLUMNS])
                start += size * COLUMNS
            self._write_blobs(rest[first:last])
            for kind, record, _ in rest[first:last]:
                session, seq, body = record.session, record.seq, record.body
                if kind == "snapshot":
                    db.execute(_THIN, (session, thinned_from(seq), seq))  # first, so that its pages are used again
                    row = (session, seq, body, record_crc(session, seq, body))
                    db.execute("INSERT OR REPLACE INTO snapshots (session, seq, body, crc) VALUES (?, ?, ?, ?)", row)
                elif kind == "title":
                    db.execute("UPDATE sessions SET title = ? WHERE session = ?", (body.decode(), session))
                elif kind == "forget":
                    for table in ("records", "snapshots", "sessions"):
                        db.execute(f"DELETE FROM {table} WHERE session = ?", (session,))  # noqa: S608 - three names
                    if self._has_uses():
                        db.execute(_UNUSED, (session, session))
                        db.execute("DELETE FROM uses WHERE session = ?", (session,))
            first = last
        self._write_documents([record for kind, record, _ in rest if kind == "document"])
        db.execute("COMMIT")

    def _write_blobs(self, entries: Sequence[Entry]) -> None:
        """Write the blobs of records, and whose they are."""
        named = [(record.session, name, data) for _, record, attached in entries for name, data in attached]
        if not named:
            return
        db = self._db
        if not self._has_uses():
            for statement in USES.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version={VERSION}")
        blobs = [(name, data, crc32(data)) for _, name, data in named]
        db.executemany("INSERT OR IGNORE INTO blobs (name, data, crc) VALUES (?, ?, ?)", blobs)
        uses = [(session, name) for session, name, _ in named]
        db.executemany("INSERT OR IGNORE INTO uses (session, name) VALUES (?, ?)", uses)

    def _has_uses(self) -> bool:
        self._uses = self._uses or self._db.execute(HAS_USES).fetchone() is not None
        return self._uses

    def _write_documents(self, documents: Sequence[StoredRecord]) -> None:
        """Write what is the last of each: first all deletions, so that what was put again comes last."""
        if not documents:
            return
        db = self._db
        if db.execute(HAS_DOCUMENTS).fetchone() is None:
            db.execute(DOCUMENTS)
            db.execute(f"PRAGMA user_version={max(WITH_DOCUMENTS, *db.execute('PRAGMA user_version').fetchone())}")
        deleted: dict[str, None] = {}
        kept: dict[str, bytes] = {}
        for document in documents:
            if document.seq:
                kept[document.session] = document.body
            else:
                kept.pop(document.session, None)
                deleted[document.session] = None
        db.executemany("DELETE FROM documents WHERE kind = ? AND key = ?", [_names(each) for each in deleted])
        rows: list[object] = []
        for each, body in kept.items():
            kind, key = _names(each)
            rows += (kind, key, body, document_crc(kind, key, body))
        for start in range(0, len(rows), SMALL * 4):
            some = rows[start : start + SMALL * 4]
            db.execute(_upsert(len(some) // 4), some)

    def _failure(self, exc: sqlite3.Error) -> JournalError:
        if getattr(exc, "sqlite_errorcode", 0) in GROWING and self._cannot_grow():
            return JournalFull(f"{self._name}: cannot be written: {exc} (no room for the file to grow)")
        return translate(self._name, exc)

    def _cannot_grow(self) -> bool:
        """Ask the file system with the lock file: SQLite says the same of a full quota, a limit and a broken disk."""
        if not hasattr(os, "posix_fallocate"):
            return False
        try:
            size = max(os.path.getsize(path) for path in (self._name, f"{self._name}-wal"))
            os.posix_fallocate(self._lock, size, PROBE)
        except OSError as exc:
            return exc.errno in FULL
        finally:
            os.ftruncate(self._lock, 0)
        return False


_UNUSED: Final = (
    "DELETE FROM blobs WHERE name IN (SELECT name FROM uses WHERE session = ?) "
    "AND NOT EXISTS (SELECT 1 FROM uses WHERE uses.name = blobs.name AND session <> ?)"
)
_THIN: Final = "DELETE FROM snapshots WHERE session = ? AND seq >= ? AND seq < ?"


def thinned_from(seq: int) -> int:
    """Return from which number on older snapshots make room for one with this number."""
    return FEW if seq < DENSE else 1 << (seq.bit_length() - 1)


@lru_cache(STATEMENTS)
def _insertion(count: int) -> str:
    places = ",".join(["(?,?,?,?,?)"] * count)
    return f"INSERT INTO records (session, seq, at, body, crc) VALUES {places}"  # noqa: S608 - question marks only


@lru_cache(SMALL)
def _upsert(count: int) -> str:
    places = ",".join(["(?,?,?,?)"] * count)
    return (
        f"INSERT INTO documents (kind, key, body, crc) VALUES {places} "  # noqa: S608 - question marks only
        "ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body, crc = excluded.crc"
    )


def _names(session: str) -> tuple[str, str]:
    """Take the kind and the key of a queued document apart."""
    kind, _, key = session.partition(" ")
    return kind, key
