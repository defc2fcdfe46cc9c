"""A journal as a file of JSON lines that a person can read. It appends; it rewrites nothing that was acknowledged but
the version in the first line.

What this process keeps of a file is small: the last number of each session, where the blobs are and where sessions were
forgotten. Reading goes through the file from its beginning, and what was replaced or forgotten stays in it, which suits
files of one or a few sessions; for many there is SQLite.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import ClassVar, Final

from runtime.errors import JournalCorrupt, JournalError, LocalError
from runtime.ports import StoredRecord, StoredSession
from runtime.stores import lines, lock
from runtime.stores.appender import Appender, Disk
from runtime.stores.backlog import ENTRY_SIZE, LAST_SEQ, Bound, Codec, Wall, check_session, now, out_of_order, tail
from runtime.stores.writer import PATIENCE, RETRY, Writer

PACE_BYTES: Final = 256_000
"""Roughly how much of other sessions is passed over before others run: well below a millisecond."""
LINE_BYTES: Final = 400
"""What a line costs beside its bytes, in bytes."""


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
        self._forgotten: dict[str, int] = {}
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

    def put(self, kind: str, key: str, body: bytes | None) -> int:
        """Queue a document whose body is a JSON object in one line, or LocalError; see `Store.put`.

        What it replaces stays in the file.
        """
        if body is not None:
            _check_body(self.name, kind, key, body)
        self._want_version_2()
        return super().put(kind, key, body)

    def forget(self, session: str) -> int:
        """Queue a line that makes void what is above it of a session, and deletes nothing; see `Store.forget`."""
        self._want_version_2()
        ticket = super().forget(session)
        self._seqs.pop(session, None)
        return ticket

    def _want_version_2(self) -> None:
        self._check()
        if self._appender is not None:
            self._appender.want_version_2()

    def records(self, session: str, after: int = 0) -> Iterator[StoredRecord]:
        """Read a session's records with `seq` > `after`. Raises JournalCorrupt behind the last one that is good."""
        return (one for one in self.paced(session, after) if one is not None)

    def paced(self, session: str, after: int = 0) -> Iterator[StoredRecord | None]:
        """Read them as `records` does; None stands after each PACE_BYTES of other lines."""
        last = passed = 0
        mine = lines.matching(lines.RECORD, session)
        gone = lines.forgetting(session)
        begin = self._beginning(session)
        for offset, content in self._scan():
            if not content.startswith(mine) or offset < begin:
                if content == gone and offset > begin:  # forgotten while it is read
                    return
                passed += len(content) + LINE_BYTES
                if passed >= PACE_BYTES:
                    passed = 0
                    yield None
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
        gone = lines.forgetting(session)
        with suppress(JournalCorrupt):  # a snapshot is an aid: `records` is where damage is reported
            for _, content in self._scan():
                if content.startswith(mine):
                    _, seq, body = lines.split_record(content)
                    if (upto is None or seq <= upto) and (found is None or seq >= found[0]):
                        found = seq, body
                elif content == gone:
                    found = None
        return found

    def documents(self, kind: str, last: int | None = None) -> Iterator[tuple[str, bytes]]:
        """Read the documents of a kind; see `Store.documents`. Goes through the whole file. Raises JournalCorrupt."""
        found: dict[str, bytes] = {}
        mine = lines.matching(lines.DOCUMENT, kind)
        for _, content in self._scan():
            if content.startswith(mine):
                _, key, body = lines.split_document(content)
                if body is None:
                    found.pop(key, None)
                else:
                    found[key] = body
        return iter(tail(list(found.items()), last))

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
            elif content.startswith(lines.FORGET):
                session = lines.split_forget(content)
                found.pop(session, None)
                titles.pop(session, None)
        listed = [StoredSession(session, *numbers, titles.get(session, "")) for session, numbers in found.items()]
        return sorted(listed, key=lambda each: each.started)

    def _beginning(self, session: str) -> int:
        """Return where the last line stands that has a session forgotten, or 0."""
        if self._appender is not None:
            return self._forgotten.get(session, 0)
        begin = 0
        gone = lines.forgetting(session)
        if self._is_version_1():
            return begin
        with suppress(JournalCorrupt):  # `records` reports it, after what is good
            for offset, content in self._scan():
                if content == gone:
                    begin = offset
        return begin

    def _is_version_1(self) -> bool:
        """Whether nothing in the file can be void at present, which saves going through it twice."""
        self._check_open()
        with open(lock.open_to_read(self.name), "rb") as file:
            return file.read(len(lines.HEADER)) == lines.HEADER

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
        return Appender(path, fd, scan.end, scan.header, self._blobs, self._forgotten, wall, disk)

    def _learn(self, path: str, offset: int, content: bytes) -> None:
        """Remember the last number of each session, the places of the blobs and where sessions were forgotten."""
        if content.startswith(lines.RECORD):
            session, seq, _ = lines.split_record(content)
            last = self._seqs.get(session, 0)
            if seq <= last:
                raise _disorder(path, session, seq, last)
            self._seqs[session] = seq
        elif content.startswith(lines.BLOB):
            self._blobs[lines.split_blob(content)[0]] = offset
        elif content.startswith(lines.FORGET):
            session = lines.split_forget(content)
            self._seqs.pop(session, None)
            self._forgotten[session] = offset

    def _open_to_read(self, path: str) -> None:
        """Check that this is a journal, and whether its last line is whole."""
        with open(lock.open_to_read(path), "rb") as file:
            scan = lines.Scan(path, file)
            if scan.read_header() and file.seek(-1, os.SEEK_END) and file.read(1) != b"\n":
                scan.torn = f"{path}: the last line is incomplete"
            self.torn = scan.torn


def _disorder(name: str, session: str, seq: int, last: int) -> JournalCorrupt:
    return JournalCorrupt(f"{name}: session {session!r}: record {seq} comes after record {last}")


def _check_body(name: str, owner: str, which: int | str, body: bytes) -> None:
    """Refuse what would break the lines; whether it is JSON inside is the caller's word.

    `owner` and `which` are the session and the number of a record, or the kind and the key of a document.
    """
    if not body.startswith(b"{") or not body.endswith(b"}") or b"\n" in body:
        what = f"session {owner!r}: record {which}" if isinstance(which, int) else f"document {owner} {which!r}"
        raise LocalError(f"{name}: {what} is not a JSON object in one line")
