"""A journal as a file of JSON lines that a person can read. It appends; it rewrites nothing that was acknowledged.

What this process keeps of a file is small: the last number of each session and where the blobs are. Reading goes
through the file from its beginning, which suits files of one or a few sessions; for many there is SQLite.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import ClassVar

from runtime.errors import JournalCorrupt, JournalError, LocalError
from runtime.ports import StoredRecord, StoredSession
from runtime.stores import lines, lock
from runtime.stores.appender import Appender, Disk
from runtime.stores.backlog import ENTRY_SIZE, LAST_SEQ, Bound, Codec, Wall, check_session, now, out_of_order
from runtime.stores.writer import PATIENCE, RETRY, Writer


class JsonLines(Writer):
    """A store in a JSON-lines file. Bodies are JSON objects in one line (`codec`).

    Reading gives what is on disk, not what is still queued. `torn` says what an interrupted write left at the end, in
    one sentence: opening for writing cut it off, reading passes over it.
    """

    codec: ClassVar[Codec] = "json"

    def __init__(
        self,
        path: str,
        *,
        bound: Bound | None = None,
        readonly: bool = False,
        wall: Wall = now,
        retry: tuple[float, float] = RETRY,
        patience: float = PATIENCE,
        disk: Disk | None = None,
    ) -> None:
        """Open or create the file. Starts no thread and syncs nothing.

        Raises JournalError if it is in use, cannot be opened or is no journal, JournalCorrupt, JournalNewer.
        """
        self._seqs: dict[str, int] = {}
        self._blobs: dict[str, int] = {}
        appender = None if readonly else self._open_to_write(path, wall, disk or Disk())
        if readonly:
            self._open_to_read(path)
        super().__init__(path, bound or Bound(), appender, retry=retry, patience=patience)
        self._appender = appender

    def append(self, record: StoredRecord, blobs: Sequence[tuple[str, bytes]] = ()) -> int:
        """Queue a record after the blobs it names; see `Store.append`. A blob is written once a file.

        Raises LocalError for a body that is no JSON object in one line, or a `seq` that does not grow.
        """
        session, body = record.session, record.body
        last = self._seqs.get(session)
        if last is None:
            check_session(self.name, session)
            last = 0
        if not last < record.seq <= LAST_SEQ:
            raise out_of_order(self.name, session, record.seq, last)
        _check_body(self.name, session, record.seq, body)
        size = ENTRY_SIZE + len(body)
        for name, data in blobs:
            size += len(name) + len(data)
        ticket = self._put(("record", record, blobs), size)
        self._seqs[session] = record.seq
        return ticket

    def snapshot(self, session: str, seq: int, body: bytes) -> None:
        """Queue a snapshot; the body is a JSON object in one line, or LocalError. See `Writer.snapshot`."""
        _check_body(self.name, session, seq, body)
        super().snapshot(session, seq, body)

    def describe(self, session: str, title: str) -> None:
        """Queue a title for a session that has records; the last one counts. Raises LocalError, JournalFull."""
        if session not in self._seqs:
            raise LocalError(f"{self.name}: session {session!r} has no records to describe")
        body = title.encode(errors="replace")
        self._put(("title", StoredRecord(session, 0, body), ()), ENTRY_SIZE + len(body))

    def records(self, session: str, after: int = 0) -> Iterator[StoredRecord]:
        """Read a session's records with `seq` > `after`. Raises JournalCorrupt behind the last one that is good."""
        last = 0
        mine = lines.matching(lines.RECORD, session)
        for _, content in self._scan():
            if not content.startswith(mine):
                continue
            _, seq, body = lines.split_record(content)
            if seq <= last:
                raise _disorder(self.name, session, seq, last)
            last = seq
            if seq > after:
                yield StoredRecord(session, seq, body)

    def latest_snapshot(self, session: str, upto: int | None = None) -> tuple[int, bytes] | None:
        """Return the newest snapshot with `seq` ≤ `upto`, as far as the file is good, or None."""
        found: tuple[int, bytes] | None = None
        mine = lines.matching(lines.SNAPSHOT, session)
        with suppress(JournalCorrupt):  # a snapshot is an aid: `records` is where damage is reported
            for _, content in self._scan():
                if content.startswith(mine):
                    _, seq, body = lines.split_record(content)
                    if (upto is None or seq <= upto) and (found is None or seq >= found[0]):
                        found = seq, body
        return found

    def blob(self, name: str) -> bytes:
        """Return a blob. Raises JournalError if there is none of that name on disk, JournalCorrupt if it is damaged."""
        self._check_open()
        if name not in self._blobs and self._appender is None:
            for offset, content in self._scan():
                if content.startswith(lines.BLOB):
                    self._blobs[lines.split_blob(content)[0]] = offset
        place = self._blobs.get(name)
        if place is None:
            raise JournalError(f"{self.name}: there is no blob {name}")
        return self._read_blob(name, place)

    def _read_blob(self, name: str, place: int) -> bytes:
        try:
            with open(self.name, "rb") as file:
                file.seek(place)
                content = lines.unseal(file.readline())
        except OSError as exc:
            raise JournalError(f"{self.name}: cannot be read: {exc.strerror}") from exc
        if content is None or not content.startswith(lines.matching(lines.BLOB, name)):
            raise JournalCorrupt(f"{self.name}: blob {name} is damaged")
        return lines.split_blob(content)[1]

    def sessions(self) -> list[StoredSession]:
        """List the sessions, oldest first. Raises JournalCorrupt."""
        at = 0
        found: dict[str, tuple[int, int, int]] = {}
        titles: dict[str, str] = {}
        for _, content in self._scan():
            if content.startswith(lines.RECORD):
                session, _, _ = lines.split_record(content)
                started, _, count = found.get(session, (at, at, 0))
                found[session] = started, at, count + 1
            elif content.startswith(lines.TIME):
                at = lines.split_time(content)
            elif content.startswith(lines.TITLE):
                session, titles[session] = lines.split_title(content)
        listed = [StoredSession(session, *numbers, titles.get(session, "")) for session, numbers in found.items()]
        return sorted(listed, key=lambda each: each.started)

    def _scan(self) -> Iterator[tuple[int, bytes]]:
        """Go through what is on disk: (offset, content) of each line."""
        self._check_open()
        limit = None if self._appender is None else self._appender.length
        try:
            with open(self.name, "rb") as file:
                scan = lines.Scan(self.name, file, limit=limit, live=limit is None)
                yield from scan
        except OSError as exc:
            raise JournalError(f"{self.name}: cannot be read: {exc.strerror}") from exc
        if self._appender is None:
            self.torn = scan.torn

    def _open_to_write(self, path: str, wall: Wall, disk: Disk) -> Appender:
        """Take the file, learn what is in it and cut off what a crash left behind its last good line."""
        fd = lock.create(path)
        lock.claim(path, fd)
        try:
            with open(fd, "rb", closefd=False) as file:
                scan = lines.Scan(path, file)
                for offset, content in scan:
                    self._learn(path, offset, content)
            if scan.torn:
                os.ftruncate(fd, scan.end)
        except OSError as exc:
            os.close(fd)
            raise JournalError(f"{path}: cannot be opened: {exc.strerror}") from exc
        except JournalError:
            os.close(fd)
            raise
        self.torn = scan.torn
        return Appender(path, fd, scan.end, self._blobs, wall, disk)

    def _learn(self, path: str, offset: int, content: bytes) -> None:
        """Remember the last number of each session and the places of the blobs."""
        if content.startswith(lines.RECORD):
            session, seq, _ = lines.split_record(content)
            last = self._seqs.get(session, 0)
            if seq <= last:
                raise _disorder(path, session, seq, last)
            self._seqs[session] = seq
        elif content.startswith(lines.BLOB):
            self._blobs[lines.split_blob(content)[0]] = offset

    def _open_to_read(self, path: str) -> None:
        """Check that this is a journal, and whether its last line is whole."""
        with open(lock.open_to_read(path), "rb") as file:
            scan = lines.Scan(path, file)
            if scan.read_header() and file.seek(-1, os.SEEK_END) and file.read(1) != b"\n":
                scan.torn = f"{path}: the last line is incomplete"
            self.torn = scan.torn


def _disorder(name: str, session: str, seq: int, last: int) -> JournalCorrupt:
    return JournalCorrupt(f"{name}: session {session!r}: record {seq} comes after record {last}")


def _check_body(name: str, session: str, seq: int, body: bytes) -> None:
    """Refuse what would break the lines; whether it is JSON inside is the caller's word."""
    if not body.startswith(b"{") or not body.endswith(b"}") or b"\n" in body:
        raise LocalError(f"{name}: session {session!r}: record {seq} is not a JSON object in one line")
