"""What a journal took but has not yet on disk: the bound, the tickets and who waits. Writes nothing itself.

Rule 1: everything here runs in the Trio thread, so nothing here is locked.
Rule 2: tickets grow by one with each thing handed over and settle in the same order.
Rule 3: a store that failed or was closed takes nothing more and says so to everyone who waits.
"""

import errno
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from time import time_ns
from typing import Final, Literal, NoReturn, Self

import trio
from attrs import frozen

from runtime.errors import JournalError, JournalFull, LocalError
from runtime.ports import StoredRecord

Kind = Literal["record", "snapshot", "title", "document", "forget", "shrink"]
Blobs = Sequence[tuple[str, bytes]]
Entry = tuple[Kind, StoredRecord, Blobs]
"""What is queued: a record with its blobs, a snapshot (body: the state), a title (body: UTF-8; seq 0), a document
(session: kind and key with a space between; seq 1, or 0 to delete it), a session to forget (seq 0, no body) or the wish
to shrink (no session)."""

Codec = Literal["json", "msgpack"]
Wall = Callable[[], int]
Heard = Callable[[str | None], None]

ENTRY_SIZE: Final = 256
"""Bytes that a waiting record costs besides its body: the objects that carry it."""

FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""System errors that mean: no room now. The last is a limit on the size of files (setrlimit(2))."""

LAST_SEQ: Final = 2**63 - 1

_WORD: Final = r"[a-z][a-z0-9-]{0,31}"
"""Compiled at first use, like all that a run of one turn has no need of."""


@frozen
class Bound:
    """How much may wait to be written: a number of records and of bytes. `high` and `low` are the marks of `full`."""

    records: int = 10_000
    size: int = 64 * 2**20
    high: float = 0.75
    low: float = 0.5


class Backlog(ABC):
    """The side of a store that sessions see. A subclass hands things to its disk and reports with `_settle` and kin.

    `name` is the file, for messages. `full` says that sessions must wait, and `trouble` why, in one sentence. `torn`
    says what an interrupted write had left at the end, in one sentence. `heard` is told when the disk takes nothing any
    more, and None when it does again.
    """

    torn: str | None = None

    def __init__(self, name: str, bound: Bound) -> None:
        self.name = name
        self.full = False
        self.trouble: str | None = None
        self.heard: Heard = lambda trouble: None
        self._bound = bound
        self._high = (max(1, int(bound.records * bound.high)), int(bound.size * bound.high))
        self._low = (int(bound.records * bound.low), int(bound.size * bound.low))
        self._low_size = self._low[1]
        self.unflushed = False
        self._queue: list[Entry] = []
        self._queued = 0
        self._issued = 0
        self._settled = 0
        self._held = 0
        self._closed = False
        self._stalled = False
        self._failure: JournalError | None = None
        self._waiting: dict[int, trio.Event] = {}
        self._lot = trio.lowlevel.ParkingLot()

    async def __aenter__(self) -> Self:
        await trio.lowlevel.checkpoint()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    @abstractmethod
    async def aclose(self) -> None:
        """Write what was appended and give back the file. Raises JournalError if anything appended is not on disk."""

    def snapshot(self, session: str, seq: int, body: bytes) -> None:
        """Queue a snapshot. At the bound it is left out: it is an aid for reading, never the truth."""
        size = ENTRY_SIZE + len(body)
        if self._failure is None and self._fits(size):
            self._put(("snapshot", StoredRecord(session, seq, body), ()), size)

    def put(self, kind: str, key: str, body: bytes | None) -> int:
        """Queue a document, or None to delete it; see `Store.put`. Raises LocalError for a bad name, JournalFull."""
        check_document(self.name, kind, key)
        kept = body is not None
        queued = StoredRecord(f"{kind} {key}", int(kept), body or b"")
        return self._put(("document", queued, ()), ENTRY_SIZE + len(queued.session) + len(queued.body))

    def forget(self, session: str) -> int:
        """Queue that all of a session is deleted; see `Store.forget`. Raises LocalError, JournalFull."""
        check_session(self.name, session)
        return self._put(("forget", StoredRecord(session, 0, b""), ()), ENTRY_SIZE)

    def shrink(self) -> int:
        """Do nothing: what is deleted leaves no room in this store; see `Store.shrink`."""
        return self._issued

    def size(self) -> int:
        """Return the bytes of the file; see `Store.size`."""
        try:
            return os.path.getsize(self.name)
        except OSError:
            return 0

    async def committed(self, ticket: int) -> None:
        """Wait until everything up to `ticket` is on disk. Cancelling the wait takes nothing back.

        Raises JournalError if it never will be, LocalError for a ticket that nobody was given.
        """
        if ticket > self._issued:
            raise LocalError(f"{self.name}: ticket {ticket} was never given out (the last is {self._issued})")
        if ticket <= self._settled:
            await trio.lowlevel.checkpoint()
            return
        if self._failure is None:
            await self._waiting.setdefault(ticket, trio.Event()).wait()
        else:
            await trio.lowlevel.checkpoint()
        if ticket > self._settled:
            self._raise_failure()

    async def room(self) -> None:
        """Wait until `append` would be taken. Raises JournalError if it never will be."""
        await trio.lowlevel.checkpoint()
        while self.full and self._failure is None:
            await self._lot.park()
        self._check()

    def _check(self) -> None:
        """Refuse a store that is broken or closed."""
        if self._failure is not None:
            self._raise_failure()
        self._check_open()

    def _check_open(self) -> None:
        """Refuse a closed store. A broken one can still be read."""
        if self._closed:
            raise LocalError(f"{self.name}: the journal is closed")

    def _raise_failure(self) -> NoReturn:
        failure = self._failure or JournalError(f"{self.name}: the journal was closed before this was written")
        raise type(failure)(str(failure)) from failure

    def _put(self, entry: Entry, size: int) -> int:
        """Queue an entry of `size` bytes and return its ticket. Raises JournalFull."""
        ticket = self._take(size)
        self._queue.append(entry)
        self._queued += size
        return ticket

    def _unqueue(self) -> tuple[list[Entry], int]:
        """Empty the queue; return what was in it, and its size."""
        handed = self._queue, self._queued
        self._queue, self._queued = [], 0
        return handed

    def _take(self, size: int) -> int:
        """Account for something of `size` bytes and return its ticket. Raises JournalFull and accounts for nothing."""
        if self._failure is not None or self._closed:
            self._check()
        held = self._held + size
        count = self._issued - self._settled
        if count >= self._bound.records or held > self._bound.size:
            self._refuse(size)
        self._held = held
        self._issued += 1
        if not self.full and (count + 1 >= self._high[0] or held >= self._high[1]):
            self._press()
        return self._issued

    def _fits(self, size: int) -> bool:
        """Whether something of `size` bytes would be taken now."""
        return self._issued - self._settled < self._bound.records and self._held + size <= self._bound.size

    def _refuse(self, size: int) -> NoReturn:
        """Raise, and make `room` wait for as much space as this one needs."""
        if size > self._bound.size:
            raise JournalError(
                f"{self.name}: a record of {size} bytes is larger than the journal's bound of {self._bound.size} bytes"
            )
        self._low_size = min(self._low_size, self._bound.size - size)
        self._press()
        raise JournalFull(self.trouble or self._behind())

    def _behind(self) -> str:
        return f"{self.name}: {self._issued - self._settled} records ({self._held} bytes) wait to be written"

    def _press(self) -> None:
        self.full = True
        if not self._stalled:
            self.trouble = self._behind()

    def _settle(self, ticket: int, size: int) -> None:
        """Everything up to `ticket`, `size` bytes more than before, is on disk."""
        self._settled = ticket
        self._held -= size
        if self._stalled:
            self._stalled = False
            self.heard(None)
        if self._waiting:
            for done in [waited for waited in self._waiting if waited <= ticket]:
                self._waiting.pop(done).set()
        if not self.full:
            return
        if self._issued - ticket <= self._low[0] and self._held <= self._low_size:
            self.full = False
            self.trouble = None
            self._low_size = self._low[1]
            self._lot.unpark_all()
        else:
            self.trouble = self._behind()

    def _stall(self, reason: str) -> None:
        """The disk takes nothing at present; it is tried again and nothing is dropped."""
        self.full = True
        self.trouble = reason
        if not self._stalled:
            self._stalled = True
            self.heard(reason)

    def _break(self, failure: JournalError) -> None:
        """What is not on disk never will be: wake everyone who waits for it. The first reason stays."""
        if self._failure is None:
            self._failure = failure
            self.full = True
            self.trouble = str(failure)
        waiting, self._waiting = self._waiting, {}
        for event in waiting.values():
            event.set()
        self._lot.unpark_all()


def check_session(name: str, session: str) -> None:
    """Refuse a session id that not every store can keep. `name` is the journal, for the message."""
    try:
        session.encode()
    except UnicodeEncodeError as exc:
        raise LocalError(f"{name}: session {session!r} is not valid Unicode") from exc
    if not session or "\0" in session:
        raise LocalError(f"{name}: {session!r} cannot be the id of a session")


def check_document(name: str, kind: str, key: str) -> None:
    """Refuse names that not every store can keep. `name` is the journal, for the message."""
    if not re.fullmatch(_WORD, kind):
        raise LocalError(f"{name}: {kind!r} cannot be the kind of a document")
    try:
        whole = 0 not in key.encode()
    except UnicodeEncodeError:
        whole = False
    if not key or not whole:
        raise LocalError(f"{name}: {key!r} cannot be the key of a document")


def tail(rows: list[tuple[str, bytes]], last: int | None) -> list[tuple[str, bytes]]:
    """Return the last so many, or all."""
    return rows if last is None else rows[max(0, len(rows) - last) :]


def out_of_order(name: str, session: str, seq: int, last: int) -> LocalError:
    """Return the error for a record that does not come after the last one of its session."""
    return LocalError(f"{name}: session {session!r}: record {seq} cannot follow record {last}")


def now() -> int:
    """The default wall clock of a store: milliseconds since 1970."""
    return time_ns() // 1_000_000
