"""The ledger as sessions see it: a bounded queue before one thread that writes in groups. Decides nothing.

A record is acknowledged when it is on disk, chained, sealed and counted. When the disk takes nothing, records wait in
the queue and `trouble` says why; what finds no room in the queue is refused, counted, and the count is itself recorded
as soon as there is room. Whoever judges goes on meanwhile: `state` says review.
"""

from typing import Final

import trio

from defender.findings import Assessment, Signal
from defender.quarantine.appender import Appender
from defender.quarantine.places import Places
from defender.quarantine.records import LOST, Record
from runtime.errors import JournalError, JournalFull
from runtime.ports import Clock, StoredRecord
from runtime.stores.appender import Disk
from runtime.stores.backlog import ENTRY_SIZE, Bound
from runtime.stores.writer import RETRY, Writer
from runtime.vocab import Decision

BOUND: Final = Bound(records=10_000, size=16 << 20)
WAIT: Final = 5.0
"""Seconds that `append` waits for the disk."""
_FINE: Final = Assessment(0.0, Decision.ALLOW)


class Ledger(Writer):
    """The ledger of one place. Opens nothing before the first record; the thread starts with it."""

    def __init__(
        self,
        places: Places,
        clock: Clock,
        *,
        bound: Bound = BOUND,
        wait: float = WAIT,
        retry: tuple[float, float] = RETRY,
        disk: Disk | None = None,
        appender: Appender | None = None,
    ) -> None:
        self._appender = appender or Appender(places, clock.wall, disk=disk)
        super().__init__(places.folder, bound, self._appender, retry=retry)
        self.places = places
        self._clock = clock
        self._wait = wait
        self._lost = 0

    async def append(self, record: Record) -> int:
        """Write a record; return its number when it is on disk.

        Raises JournalFull if it is not there after `wait` seconds (it stays queued and is written when it can be) or
        found no room in the queue (then it is lost, and counted), JournalError if nothing can be written any more, and
        LocalError for what is no record. Cancelling the wait takes nothing back.
        """
        ticket = self.add(record)
        with trio.move_on_after(self._wait):
            await self.committed(ticket)
            return self._appender.numbers.pop(ticket)
        raise JournalFull(self.trouble or f"{self.name}: the disk did not answer in {self._wait:g} s")

    def add(self, record: Record) -> int:
        """Queue a record; return the ticket to wait for (`committed`). Waits for nothing. Raises as `append` does."""
        kind, body = record.checked()
        try:
            if self._lost:
                self._queue_up(*Record(LOST, {"records": self._lost}).checked())
                self._lost = 0
            return self._queue_up(kind, body)
        except JournalError:
            self._lost += 1
            raise

    def _queue_up(self, kind: str, body: bytes) -> int:
        return self._put(("record", StoredRecord(kind, self._clock.wall(), body), ()), ENTRY_SIZE + len(body))

    @property
    def lost(self) -> int:
        """Records that found no room, and of which the ledger does not say so yet."""
        return self._lost

    def state(self) -> Assessment:
        """Whether what is decided now can be recorded: allow, or review with the reason. Looks at no disk."""
        if self.trouble is None and not self._lost:
            return _FINE
        why = self.trouble or f"{self.name}: {self._lost} records found no room"
        return Assessment(0.5, Decision.REVIEW, (Signal("ledger.unwritten", 0.5, why, floor=Decision.REVIEW),))

    async def aclose(self) -> None:
        """Write what was appended, and a head. Raises JournalError if anything appended is not on disk, or was lost."""
        if self._lost and not self._closed and self._failure is None and self._fits(ENTRY_SIZE):
            self._queue_up(*Record(LOST, {"records": self._lost}).checked())
            self._lost = 0
        await super().aclose()
        if self._lost:
            lost, self._lost = self._lost, 0
            raise JournalError(f"{self.name}: closed, and {lost} records found no room")
