"""A journal in memory, for tests. Touches no disk and starts no thread, so it runs under a clock that jumps.

What was appended is committed when somebody waits for it (`committed`, `room`, `aclose`) unless the store is held.
"""

from collections.abc import Iterator, Sequence

import trio
from attrs import Factory, define

from runtime.errors import JournalError, LocalError
from runtime.ports import StoredRecord, StoredSession
from runtime.stores.backlog import (
    ENTRY_SIZE,
    LAST_SEQ,
    Backlog,
    Bound,
    Codec,
    Entry,
    Wall,
    check_session,
    now,
    out_of_order,
    tail,
)


@define
class Kept:
    """What a memory journal has committed: what a process that starts after a crash would find."""

    records: dict[str, list[StoredRecord]] = Factory(dict)
    snapshots: dict[str, dict[int, bytes]] = Factory(dict)
    blobs: dict[str, bytes] = Factory(dict)
    times: dict[str, tuple[int, int]] = Factory(dict)
    titles: dict[str, str] = Factory(dict)
    documents: dict[str, dict[str, bytes]] = Factory(dict)
    uses: dict[str, set[str]] = Factory(dict)


class MemoryStore(Backlog):
    """A store that forgets, but for `kept`: a second store made with it goes on where the first was committed."""

    def __init__(
        self,
        kept: Kept | None = None,
        *,
        bound: Bound | None = None,
        codec: Codec = "msgpack",
        wall: Wall = now,
        name: str = "memory",
    ) -> None:
        super().__init__(name, bound or Bound())
        self.kept = kept or Kept()
        self.codec: Codec = codec
        self._wall = wall
        self._seqs = {session: records[-1].seq for session, records in self.kept.records.items()}

    def append(self, record: StoredRecord, blobs: Sequence[tuple[str, bytes]] = ()) -> int:
        """Queue a record; see `Store.append`. Raises LocalError if `seq` does not grow."""
        last = self._seqs.get(record.session, 0)
        if not last:
            check_session(self.name, record.session)
        if not last < record.seq <= LAST_SEQ:
            raise out_of_order(self.name, record.session, record.seq, last)
        size = ENTRY_SIZE + len(record.body) + sum(len(name) + len(data) for name, data in blobs)
        ticket = self._put(("record", record, tuple(blobs)), size)
        self._seqs[record.session] = record.seq
        return ticket

    def size(self) -> int:
        """Return the bytes of what is committed, without what carries them."""
        bodies = (each.body for records in self.kept.records.values() for each in records)
        return sum(map(len, (*bodies, *self.kept.blobs.values())))

    def describe(self, session: str, title: str) -> None:
        """Queue a title for a session that has records. Raises LocalError, JournalFull."""
        if session not in self._seqs:
            raise LocalError(f"{self.name}: session {session!r} has no records to describe")
        body = title.encode(errors="replace")
        self._put(("title", StoredRecord(session, 0, body), ()), ENTRY_SIZE + len(body))

    def forget(self, session: str) -> int:
        """Queue that all of a session is deleted; see `Store.forget`. Raises LocalError, JournalFull."""
        ticket = super().forget(session)
        self._seqs.pop(session, None)
        return ticket

    def flush(self) -> None:
        """There is nobody to wake."""

    async def committed(self, ticket: int) -> None:
        """Commit what is queued and return, or wait while the store is held."""
        self._commit()
        await super().committed(ticket)

    async def room(self) -> None:
        """Commit what is queued and return, or wait while the store is held."""
        self._commit()
        await super().room()

    def hold(self, reason: str = "the disk is held") -> None:
        """Commit nothing more, as if the disk were full, until `release`."""
        self._stall(f"{self.name}: {reason}")

    def release(self) -> None:
        """Commit what was held up, and go on."""
        self._settle(self._settled, 0)
        self._commit()

    def fail(self, reason: str = "the disk failed") -> None:
        """Break the store, as an I/O error would; what is queued is lost."""
        self._break(JournalError(f"{self.name}: {reason}"))

    def records(self, session: str, after: int = 0) -> Iterator[StoredRecord]:
        """Read the committed records of a session with `seq` > `after`."""
        self._check_open()
        return iter([record for record in self.kept.records.get(session, ()) if record.seq > after])

    def paced(self, session: str, after: int = 0) -> Iterator[StoredRecord | None]:
        """Read them as `records` does: nothing is passed over."""
        return self.records(session, after)

    def latest_snapshot(self, session: str, upto: int | None = None) -> tuple[int, bytes] | None:
        """Return the newest committed snapshot with `seq` ≤ `upto`, or None."""
        self._check_open()
        limit = LAST_SEQ if upto is None else upto
        return max(
            ((seq, body) for seq, body in self.kept.snapshots.get(session, {}).items() if seq <= limit), default=None
        )

    def blob(self, name: str) -> bytes:
        """Return a committed blob. Raises JournalError."""
        self._check_open()
        if name not in self.kept.blobs:
            raise JournalError(f"{self.name}: there is no blob {name}")
        return self.kept.blobs[name]

    def sessions(self) -> list[StoredSession]:
        """List the sessions that have committed records, oldest first."""
        self._check_open()
        kept = self.kept
        rows = [
            StoredSession(session, *kept.times[session], len(records), kept.titles.get(session, ""))
            for session, records in kept.records.items()
        ]
        return sorted(rows, key=lambda row: row.started)

    def documents(self, kind: str, last: int | None = None) -> Iterator[tuple[str, bytes]]:
        """Read the committed documents of a kind; see `Store.documents`."""
        self._check_open()
        return iter(tail(list(self.kept.documents.get(kind, {}).items()), last))

    async def aclose(self) -> None:
        """Commit what is queued. Raises JournalError if the store is held or broken and something is lost."""
        self._commit()
        self._closed = True
        await trio.lowlevel.cancel_shielded_checkpoint()
        if lost := self._issued - self._settled:
            self._break(JournalError(f"{self.name}: closed with {lost} records not written: {self.trouble}"))
            self._raise_failure()

    def _commit(self) -> None:
        if self._stalled or self._failure is not None or not self._queue:
            return
        at = self._wall()
        entries, size = self._unqueue()
        for entry in entries:
            self._keep(entry, at)
        self._settle(self._issued, size)

    def _keep(self, entry: Entry, at: int) -> None:
        kind, record, blobs = entry
        kept, session = self.kept, record.session
        if kind == "record":
            for name, data in blobs:
                kept.blobs.setdefault(name, data)
                kept.uses.setdefault(session, set()).add(name)
            kept.records.setdefault(session, []).append(record)
            kept.times[session] = kept.times.get(session, (at, at))[0], at
        elif kind == "snapshot":
            kept.snapshots.setdefault(session, {})[record.seq] = record.body
        elif kind == "title":
            kept.titles[session] = record.body.decode()
        elif kind == "document":
            word, _, key = session.partition(" ")
            if record.seq:
                kept.documents.setdefault(word, {})[key] = record.body
            else:
                kept.documents.get(word, {}).pop(key, None)
        else:
            for table in (kept.records, kept.snapshots, kept.times, kept.titles):
                table.pop(session, None)
            for name in kept.uses.pop(session, set()):
                if not any(name in used for used in kept.uses.values()):
                    del kept.blobs[name]
