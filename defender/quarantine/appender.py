"""The writer thread's half of the ledger: numbers, chains and seals records, appends them, syncs, moves the counter.

Several processes may write one ledger: each takes the lock for one group, and reads the counter again. What another one
left half written when it died is cut off and recorded. What does not follow from the counter is never built upon.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Event
from time import monotonic
from typing import BinaryIO, Final

from attrs import evolve

from defender import private
from defender.quarantine import records
from defender.quarantine.counter import SIZE, Counter, packed, unpacked
from defender.quarantine.places import COUNTER, HEADS, LOCK, Places, packed_start, segment_name, start_key
from defender.quarantine.records import VERSION, Record
from runtime.errors import JournalCorrupt, JournalError, JournalFull
from runtime.stores import chain, lock
from runtime.stores.appender import PIECE, Disk
from runtime.stores.backlog import Entry, Wall

SEGMENT_SIZE: Final = 64 << 20
"""Bytes from which on records go to a further file."""
HEAD_EVERY: Final = 1_000
"""Records after which a head is written."""
PATIENCE: Final = 5.0
"""Seconds that a group waits for the lock, before it is tried again as on a full disk."""
HEAD_LONGEST: Final = 512
"""Bytes of a line with a head, at most."""
NUMBERS: Final = 50_000
"""Numbers of written records that are remembered for who asks, at most. More cannot wait (`Bound.records`)."""


class Appender:
    """Groups of records in, durable lines out (`runtime.stores.writer.Sink`). `numbers` maps a ticket to its record."""

    def __init__(
        self,
        places: Places,
        wall: Wall,
        *,
        disk: Disk | None = None,
        fresh: Callable[[int], bytes] = os.urandom,
        retry: float = 0.005,
        segment_size: int = SEGMENT_SIZE,
        head_every: int = HEAD_EVERY,
    ) -> None:
        self.places = places
        self.numbers: dict[int, int] = {}
        self._wall = wall
        self._fresh = fresh
        self._retry = retry
        self._disk = disk or Disk()
        self._segment_size = segment_size
        self._head_every = head_every
        self._ticket = self._forgotten = 0
        self._headed = -1
        self._known: Counter | None = None
        self._pause = Event()

    def write(self, entries: Sequence[Entry]) -> None:
        """Append all of it and sync once. Raises JournalFull if it can be tried again, else JournalError."""
        with self._locked() as place, private.folder(self.places.anchor, make=True) as anchor:
            counter, torn = self._end(place, anchor)
            try:
                counter, first = self._appended(place, anchor, counter, torn, entries)
            except OSError as exc:
                self._known = None
                raise private.failure(self.places.folder, exc) from exc
            self._known = counter
            for offset in range(len(entries)):
                self.numbers[self._ticket + 1 + offset] = first + offset
            self._ticket += len(entries)
            while self._forgotten < self._ticket - NUMBERS:
                self._forgotten += 1
                self.numbers.pop(self._forgotten, None)

    def close(self) -> None:
        """Write the last head, if this process wrote anything since the one before."""
        known = self._known
        if known is None or known.head.number == self._headed:
            return
        with suppress(OSError), self._locked(), private.folder(self.places.anchor) as anchor:
            counter = self._read_counter(anchor)
            if counter is not None and counter.head.number >= known.head.number:
                self._head(anchor, counter)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Hold the lock for one group. Raises JournalFull (to be tried again) after PATIENCE."""
        path = self.places.folder
        until = monotonic() + PATIENCE
        with private.folder(path, make=True) as place:
            while True:
                handle = private.opened(place, LOCK, os.O_RDWR | os.O_CREAT, path)
                try:
                    lock.claim(f"{path}/{LOCK}", handle)  # closes the handle where it raises
                    break
                except JournalError as exc:
                    if monotonic() >= until:
                        raise JournalFull(str(exc)) from exc
                self._pause.wait(self._retry)
            try:
                yield place
            finally:
                os.close(handle)

    def _end(self, place: int, anchor: int) -> tuple[Counter, Record | None]:
        """Return where the ledger ends, and what was cut off there, if anything."""
        counter = self._read_counter(anchor)
        segments = [name for name in os.listdir(place) if name.endswith(".jsonl")]
        if counter is None:
            if segments:
                raise JournalCorrupt(
                    f"{self.places.folder}: has records, but their counter {self.places.anchor}/{COUNTER} is gone; "
                    "move the folder away to begin a new ledger"
                )
            return self._begun(anchor), None
        return self._recovered(place, counter)

    def _read_counter(self, anchor: int) -> Counter | None:
        try:
            handle = private.opened(anchor, COUNTER, os.O_RDONLY, self.places.anchor)
        except FileNotFoundError:
            return None
        try:
            found = unpacked(os.pread(handle, SIZE + 1, 0))
        finally:
            os.close(handle)
        if found is None:
            raise JournalCorrupt(f"{self.places.anchor}/{COUNTER}: is damaged; `twinstep quarantine verify` tells more")
        return found

    def _begun(self, anchor: int) -> Counter:
        """Make the keys and the counter of a new ledger. A start key that is there already is never overwritten."""
        if HEADS in os.listdir(anchor):
            raise JournalCorrupt(
                f"{self.places.anchor}: has heads of a ledger whose counter and records are gone; "
                "move the folder away to begin a new one"
            )
        ledger, key = self._fresh(16).hex(), self._fresh(records.KEY_SIZE)
        folder, _, name = self.places.start.rpartition("/")
        try:
            if not private.create(folder, name, packed_start(ledger, key)):  # a start that was killed right here
                ledger, key = start_key(self.places.start)
            counter = Counter(ledger, chain.Head(), key)
            private.replace(self.places.anchor, COUNTER, packed(counter))
        except OSError as exc:
            raise private.failure(self.places.start, exc) from exc
        return counter

    def _recovered(self, place: int, counter: Counter) -> tuple[Counter, Record | None]:
        """Go on from the counter over what a process wrote and could not count any more. Cuts off half a line."""
        torn = None
        if counter.segment and counter != self._known:
            self._check_last(place, counter)
        while torn is None:
            if counter.segment:
                counter, torn = self._caught_up(place, counter)
            following = counter.head.number + 1
            if torn is not None or counter.segment == following or not _is_there(place, segment_name(following)):
                break
            counter = evolve(counter, segment=following, size=0)
        return counter, torn

    def _check_last(self, place: int, counter: Counter) -> None:
        """See that the last record that counts is there as it was."""
        with self._reading(place, counter) as file:
            start = max(0, counter.size - records.LONGEST - 1)
            file.seek(start)
            text = file.read(counter.size - start)
        last = text[:-1].rpartition(b"\n")[2]
        if len(text) != counter.size - start or text[-1:] != b"\n" or chain.hashed(last) != counter.head.hash:
            raise self._corrupt(counter, "is not there as it was")

    def _caught_up(self, place: int, counter: Counter) -> tuple[Counter, Record | None]:
        with self._reading(place, counter) as file:
            if os.fstat(file.fileno()).st_size < counter.size:
                raise self._corrupt(counter, "is missing")
            file.seek(counter.size)
            while text := file.readline(records.LONGEST + 1):
                if not text.endswith(b"\n"):
                    return counter, self._cut(file, counter, text)
                counter = self._counted(counter, text[:-1])
        return counter, None

    def _counted(self, counter: Counter, text: bytes) -> Counter:
        """Count a whole line that stands behind the counter; it must be sealed and follow."""
        head = counter.head
        tail = b',"prev":"%b"' % head.hash.encode()
        follows = records.number_of(text) == head.number + 1 and text[: -records.SEAL_SIZE].endswith(tail)
        if not follows or not records.sealed(text, counter.key):
            raise self._corrupt(evolve(counter, head=chain.Head(head.number + 1)), "was not written by us")
        return evolve(
            counter,
            head=chain.Head(head.number + 1, chain.hashed(text)),
            key=records.next_key(counter.key),
            size=counter.size + len(text) + 1,
        )

    def _cut(self, file: BinaryIO, counter: Counter, text: bytes) -> Record:
        """Cut off half a line; return the record about it. After a power cut it may be zeros, and many."""
        size = os.fstat(file.fileno()).st_size - counter.size
        if size > len(text) and text.strip(b"\0"):
            raise self._corrupt(evolve(counter, head=chain.Head(counter.head.number + 1)), "cannot be read")
        self._disk.truncate(file.fileno(), counter.size)
        return Record(records.TORN, {"bytes": size, "segment": counter.segment, "sha256": chain.hashed(text)})

    @contextmanager
    def _reading(self, place: int, counter: Counter) -> Iterator[BinaryIO]:
        try:
            handle = private.opened(place, segment_name(counter.segment), os.O_RDWR, self.places.folder)
        except FileNotFoundError as exc:
            raise self._corrupt(counter, "is missing") from exc
        with os.fdopen(handle, "r+b") as file:
            yield file

    def _corrupt(self, counter: Counter, how: str) -> JournalCorrupt:
        return JournalCorrupt(
            f"{self.places.folder}/{segment_name(counter.segment)}: record {counter.head.number} {how}; "
            "see `twinstep quarantine verify`; move the folder and its anchor away to begin a new ledger"
        )

    def _appended(
        self, place: int, anchor: int, counter: Counter, torn: Record | None, entries: Sequence[Entry]
    ) -> tuple[Counter, int]:
        """Append the group; return the new end, and the number of the group's first record. Raises OSError."""
        before = counter
        if counter.segment == 0 or counter.size >= self._segment_size:
            counter = evolve(counter, segment=counter.head.number + 1, size=0)
        own = [] if counter.size else [Record(_first_kind(counter), {"ledger": counter.ledger, "version": VERSION})]
        own += [] if torn is None else [torn]
        at = self._wall()
        rows = [(record.kind, at, record.checked()[1]) for record in own]
        rows += [(record.session, record.seq, record.body) for _, record, _ in entries]
        after, text = _sealed(counter, rows)
        name = segment_name(counter.segment)
        handle = private.opened(place, name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, self.places.folder)
        try:
            self._put(handle, text)
            self._disk.sync(handle)
            if not counter.size:
                private.sync(place)
            self._move(anchor, after)
        except OSError:
            with suppress(OSError):
                self._disk.truncate(handle, counter.size)
            raise
        finally:
            os.close(handle)
        if after.head.number // self._head_every != before.head.number // self._head_every:
            with suppress(OSError):  # the counter is there; the next head says all that this one would have said
                self._head(anchor, after)
        return after, counter.head.number + 1 + len(own)

    def _put(self, handle: int, text: bytes) -> None:
        rest = memoryview(text)
        while rest:
            rest = rest[self._disk.write(handle, bytes(rest[:PIECE])) :]

    def _move(self, anchor: int, counter: Counter) -> None:
        """Move the counter. Not synced: a kill cannot undo it, and after a power cut the MACs help to catch up."""
        handle = private.opened(anchor, COUNTER, os.O_WRONLY, self.places.anchor)
        try:
            os.pwrite(handle, packed(counter), 0)
        finally:
            os.close(handle)

    def _head(self, anchor: int, counter: Counter) -> None:
        """Append a head, and make it and the counter durable. Half a head of a killed process is cut off first."""
        path = self.places.anchor
        text = records.head_line(counter.ledger, self._wall(), counter.head, counter.key) + b"\n"
        handle = private.opened(anchor, HEADS, os.O_RDWR | os.O_CREAT | os.O_APPEND, path)
        try:
            size = os.fstat(handle).st_size
            end = os.pread(handle, HEAD_LONGEST, max(0, size - HEAD_LONGEST))
            if not end.endswith(b"\n"):
                os.ftruncate(handle, size - len(end.rpartition(b"\n")[2]))
            os.write(handle, text)
            os.fsync(handle)
        finally:
            os.close(handle)
        self._headed = counter.head.number
        handle = private.opened(anchor, COUNTER, os.O_RDONLY, path)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        private.sync(anchor)


def _first_kind(counter: Counter) -> str:
    return records.SEGMENT if counter.head.number else records.BEGIN


def _sealed(counter: Counter, rows: Sequence[tuple[str, int, bytes]]) -> tuple[Counter, bytes]:
    """Return the end after these records (kind, time, body), and their lines."""
    number, previous, key = counter.head.number, counter.head.hash, counter.key
    texts = []
    for kind, at, body in rows:
        number += 1
        text = records.line(number, at, kind, body, previous, key)
        previous, key = chain.hashed(text), records.next_key(key)
        texts.append(text)
    texts.append(b"")
    whole = b"\n".join(texts)
    return evolve(counter, head=chain.Head(number, previous), key=key, size=counter.size + len(whole)), whole


def _is_there(place: int, name: str) -> bool:
    try:
        os.lstat(name, dir_fd=place)
    except FileNotFoundError:
        return False
    return True
