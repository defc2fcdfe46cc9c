"""Stores in memory that are slow or bad."""

from collections.abc import Mapping, Sequence

from runtime.errors import JournalFull
from runtime.ports import StoredRecord
from runtime.stores.backlog import Entry
from runtime.stores.memory import Kept, MemoryStore


class SlowStore(MemoryStore):
    """Takes everything at once and has it on disk only after `write`, or when it is closed."""

    slow = True

    def write(self) -> None:
        """Commit what is queued."""
        super()._commit()

    def queued(self) -> list[tuple[str, int]]:
        """Session and number of each record that is appended and not committed."""
        return [(entry.session, entry.seq) for kind, entry, _ in self._queue if kind == "record"]

    async def aclose(self) -> None:
        """Commit what is queued, and close."""
        self.slow = False
        await super().aclose()

    def _commit(self) -> None:
        if not self.slow:
            super()._commit()


class FaultyStore(MemoryStore):
    """Refuses what it is told to refuse: `faults` maps the number of an append (from 1) to what is raised there."""

    def __init__(self, faults: Mapping[int, Exception], kept: Kept | None = None) -> None:
        super().__init__(kept)
        self.faults = dict(faults)
        self.appends = 0

    def append(self, record: StoredRecord, blobs: Sequence[tuple[str, bytes]] = ()) -> int:
        """Take the record, or refuse it."""
        self.appends += 1
        if self.appends in self.faults:
            raise self.faults[self.appends]
        return super().append(record, blobs)


class FullStore(MemoryStore):
    """Takes nothing while it `refuses`, as if the disk were full; with `left`, that many entries before.

    `taken` are the sorts of entries that were taken, in order.
    """

    refuses = False
    left = 0

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[str] = []

    def _put(self, entry: Entry, size: int) -> int:
        if self.refuses:
            if self.left == 0:
                raise JournalFull(f"{self.name}: the disk is full")
            self.left -= 1
        ticket = super()._put(entry, size)
        self.taken.append(entry[0])
        return ticket
