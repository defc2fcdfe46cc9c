"""The writer thread's half of a JSON-lines journal: appends groups of lines and syncs. Rewrites no line but the first,
and of that the version.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from runtime.errors import JournalError, JournalFull
from runtime.ports import StoredRecord
from runtime.stores import lines, lock
from runtime.stores.backlog import FULL, Entry, Kind, Wall

PIECE: Final = 2**20
"""Bytes that are gathered before they are written, so that a large group is not held twice."""
CLOCK_STEP: Final = 1000
"""Milliseconds that may pass before the file is told the time again."""


_sync: Final = getattr(os, "fdatasync", os.fsync)


class Disk(NamedTuple):
    """The calls that make bytes durable, as data, so that a test can have a full disk."""

    write: Callable[[int, bytes], int] = os.write
    sync: Callable[[int], None] = _sync
    truncate: Callable[[int, int], None] = os.ftruncate


class Appender:
    """Groups of entries in, durable lines out.

    `length` is how much of the file is acknowledged; whatever a failed write left behind it is cut off before the next.
    `blobs` and `forgotten` are the places of the blobs, and of the last line that has a session forgotten, so far.
    """

    def __init__(
        self,
        name: str,
        fd: int,
        length: int,
        header: bytes,
        blobs: dict[str, int],
        forgotten: dict[str, int],
        wall: Wall,
        disk: Disk,
    ) -> None:
        self.length = length
        self.blobs = blobs
        self.forgotten = forgotten
        self._header = self._wanted = header or lines.HEADER
        self._name = name
        self._fd = fd
        self._wall = wall
        self._disk = disk
        self._told = -CLOCK_STEP
        self._dirty = False

    def want_version_2(self) -> None:
        """Have the first line say version 2 before the next group. To be called before what needs it is handed over.

        Raises JournalError for a first line that this program did not write.
        """
        if self._wanted not in (lines.HEADER, lines.HEADER_2):
            raise JournalError(f"{self._name}: its first line is not as it was written, so it takes no documents")
        self._wanted = lines.HEADER_2

    def write(self, entries: Sequence[Entry]) -> None:
        """Append all of it and sync once. Raises JournalFull if the disk is full, else JournalError."""
        end = self.length
        blobs: dict[str, int] = {}
        forgotten: dict[str, int] = {}
        wanted = self._wanted
        at = self._wall()
        tells = not 0 <= at - self._told < CLOCK_STEP
        pieces = [] if self.length else [wanted]
        if tells:
            pieces.append(lines.time_line(at))
        size = sum(map(len, pieces))
        try:
            if self._dirty:
                self._cut()
            self._dirty = True
            if self._header != wanted and self.length:
                self._change_header(wanted)
            for kind, record, attached in entries:
                for name, data in attached:
                    if name not in self.blobs and name not in blobs:
                        blobs[name] = end + size
                        pieces.append(lines.blob_line(name, data))
                        size += len(pieces[-1])
                if kind == "record":
                    pieces.append(lines.record_line(record.session, record.seq, record.body))
                else:
                    pieces.append(_line(kind, record))
                    if kind == "forget":
                        forgotten[record.session] = end + size
                size += len(pieces[-1])
                if size >= PIECE:
                    end += self._write(pieces)
                    size = 0
            end += self._write(pieces)
            self._disk.sync(self._fd)
            if self.length == 0:
                lock.sync_folder(self._name)
        except OSError as exc:
            raise self._failure(exc) from exc
        self._dirty = False
        self._header = wanted
        self.length = end
        self.blobs.update(blobs)
        self.forgotten.update(forgotten)
        if tells:
            self._told = at

    def close(self) -> None:
        """Close the file, which gives back the lock."""
        try:
            os.close(self._fd)
        except OSError as exc:
            raise JournalError(f"{self._name}: cannot be closed: {exc.strerror}") from exc

    def _write(self, pieces: list[bytes]) -> int:
        """Write and empty `pieces`; returns how many bytes that was."""
        rest = b"".join(pieces)
        size = len(rest)
        pieces.clear()
        while rest:
            rest = rest[self._disk.write(self._fd, rest) :]
        return size

    def _cut(self) -> None:
        """Take back our own unacknowledged bytes, and nothing else."""
        if os.fstat(self._fd).st_size > self.length:
            self._disk.truncate(self._fd, self.length)

    def _change_header(self, header: bytes) -> None:
        """Make another version durable before the first line that needs it. One byte differs, so it cannot tear."""
        import fcntl

        flags = fcntl.fcntl(self._fd, fcntl.F_GETFL)
        fcntl.fcntl(self._fd, fcntl.F_SETFL, flags & ~os.O_APPEND)  # or pwrite would append (pwrite(2), bugs)
        try:
            os.pwrite(self._fd, header, 0)
        finally:
            fcntl.fcntl(self._fd, fcntl.F_SETFL, flags)
        self._disk.sync(self._fd)

    def _failure(self, exc: OSError) -> JournalError:
        text = f"{self._name}: cannot be written: {exc.strerror}"
        if exc.errno not in FULL:
            return JournalError(text)
        with suppress(OSError):  # tried again before the next write
            self._cut()
        return JournalFull(text)


def _line(kind: Kind, record: StoredRecord) -> bytes:
    if kind == "snapshot":
        return lines.snapshot_line(record.session, record.seq, record.body)
    if kind == "document":
        word, _, key = record.session.partition(" ")
        return lines.document_line(word, key, record.body if record.seq else None)
    if kind == "forget":
        return lines.forget_line(record.session)
    return lines.title_line(record.session, record.body.decode())
