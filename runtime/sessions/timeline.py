"""All records of one live session with their states, in memory, for whoever goes back in it. Writes nothing.

Loaded from the journal in slices, so that no other session waits; from then on it grows with the session.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import trio
from attrs import define, field

from runtime.errors import JournalError
from runtime.sessions.journal import Journal
from runtime.sessions.session import Session
from runtime.step import State, Step, receipts
from runtime.step import branches as tree
from runtime.step.branches import Branch, Note, Taken
from runtime.step.receipts import Known, Receipt
from runtime.step.records import Record
from runtime.step.replay import Replaying

__all__ = ["SLICE", "Taken", "Timeline"]

SLICE: Final = 32
"""Records that are read before others get a turn."""
WRITTEN_SECONDS: Final = 10.0
"""How long records on their way to the disk are waited for."""


@define(eq=False)
class Timeline:
    """The records of one session, those of all branches. `Dispatcher.timeline(session)` gives the one that there is."""

    session: Session
    journal: Journal
    _all: list[Taken] = field(factory=list)
    _whole: bool = False
    _meanwhile: "list[tuple[Step, Record]] | None" = None
    _lock: trio.Lock = field(factory=trio.Lock)

    async def load(self) -> None:
        """Read the journal, in slices; what is loaded already stays. Raises JournalError, and then nothing is kept."""
        async with self._lock:
            if self._whole:
                return
            self._meanwhile = []
            try:
                await self._read(self.session.state.seq)
                for step, record in self._meanwhile:
                    self._take(step, record)
                self._whole = True
            finally:
                self._meanwhile = None
                if not self._whole:
                    self._all.clear()

    async def _read(self, upto: int) -> None:
        with trio.move_on_after(WRITTEN_SECONDS) as scope:
            await self.journal.committed(self.session.ticket)
        if scope.cancelled_caught:
            raise JournalError(
                f"{self.journal.name}: session {self.session.id} was not written within {WRITTEN_SECONDS:g} s"
            )
        replaying = Replaying(State(self.session.id), self.journal.name)
        for record in self._records(upto):
            self._take(replaying.take(record), record)
            if record.seq % SLICE == 0:
                await trio.lowlevel.checkpoint()
        if len(self._all) < upto:
            raise JournalError(f"{self.journal.name}: session {self.session.id} has no record {len(self._all) + 1}")

    def _records(self, upto: int) -> Iterator[Record]:
        if not upto:
            return
        for record in self.journal.read(self.session.id):
            yield record
            if record.seq >= upto:
                return

    def add(self, step: Step, record: Record) -> None:
        """Take in a step that the session took."""
        if self._whole:
            self._take(step, record)
        elif self._meanwhile is not None:
            self._meanwhile.append((step, record))

    def _take(self, step: Step, record: Record) -> None:
        before = self._all[record.parent - 1].number if record.parent else 0
        self._all.append(Taken(record.seq, before + step.kind.counts, record, step))

    @property
    def last(self) -> int:
        """The number of the newest record."""
        return len(self._all)

    def at(self, seq: int) -> State:
        """Return the state after a record. Raises JournalError where there is no such record."""
        return self.taken(seq).step.after

    def taken(self, seq: int) -> Taken:
        """Return a record with its step. Raises JournalError where there is no such record."""
        if not 1 <= seq <= len(self._all):
            raise JournalError(f"session {self.session.id} has records 1 to {len(self._all)}, and no {seq}")
        return self._all[seq - 1]

    def path(self, seq: int | None = None) -> Sequence[Taken]:
        """Return what led to a record, root first; None means the newest record, the head of the live branch."""
        head = self.taken(self.last if seq is None else seq)
        return [self._all[one - 1] for one in tree.path(self._all, head.seq)]

    def numbered(self, number: int, seq: int | None = None) -> Taken:
        """Return the record that is step `number` of the path of a record (None: the newest). Raises JournalError."""
        one = self.taken(self.last if seq is None else seq)
        highest = one.number
        while one.record.parent and (one.number > number or not one.step.kind.counts):
            one = self._all[one.record.parent - 1]
        if one.number != number or not one.step.kind.counts:
            raise JournalError(f"session {self.session.id} has steps 1 to {highest} there, and no {number}")
        return one

    def branches(self) -> tuple[Branch, ...]:
        """Return all branches, oldest first."""
        return tree.branches(self._all)

    def notes(self) -> tuple[Note, ...]:
        """Return the names and notes that records were given, oldest first."""
        return tree.notes(self._all)

    def receipt(self, seq: int) -> Receipt:
        """Return what happened outside and is not undone by going back to the state after record `seq`."""
        return receipts.receipt(self._all, self.taken(seq).seq)

    def known(self, seq: int) -> Known:
        """Return what is known of the effects that were under way at record `seq`."""
        return receipts.known(self._all, self.taken(seq).seq)
