"""All records of one session with their states, in memory: what can be asked of its past, what goes back to it. Pure.

It only grows. Going back makes an event here and changes nothing; whoever applies it to the session journals it.
"""

from collections.abc import Sequence

from attrs import define, evolve, field

from runtime.errors import JournalError
from runtime.step import branches as tree
from runtime.step import receipts
from runtime.step.branches import Branch, Note, Taken
from runtime.step.events import Branched, Forked
from runtime.step.machine import Step
from runtime.step.receipts import Known, Receipt
from runtime.step.records import Record
from runtime.step.state import State


@define(eq=False)
class Line:
    """The records of session `name`, from the first one on, those of all branches."""

    name: str
    _all: list[Taken] = field(factory=list)

    def take(self, step: Step, record: Record) -> None:
        """Take in the next record and the step that it is of."""
        before = self._all[record.parent - 1].number if record.parent else 0
        self._all.append(Taken(record.seq, before + step.begins, record, step))

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
            raise JournalError(f"session {self.name} has records 1 to {len(self._all)}, and no {seq}")
        return self._all[seq - 1]

    def path(self, seq: int | None = None) -> Sequence[Taken]:
        """Return what led to a record, root first; None means the newest record, the head of the live branch."""
        head = self.taken(self.last if seq is None else seq)
        return [self._all[one - 1] for one in tree.path(self._all, head.seq)]

    def later(self, seq: int) -> Sequence[Taken]:
        """Return what came after a record on the live branch, or where it is on another one, on the branch it is of."""
        branch = self.taken(seq).record.branch
        heads = [self.last, next(one.head for one in self.branches() if one.name == branch)]
        for head in heads:
            whole = tree.path(self._all, head)
            if seq in whole:
                return [self._all[one - 1] for one in whole[whole.index(seq) + 1 :]]
        return []

    def numbered(self, number: int, seq: int | None = None) -> Taken:
        """Return the record that is step `number` of the path of a record (None: the newest). Raises JournalError."""
        one = self.taken(self.last if seq is None else seq)
        highest = one.number
        while one.record.parent and (one.number > number or not one.step.begins):
            one = self._all[one.record.parent - 1]
        if one.number != number or not one.step.begins:
            raise JournalError(f"session {self.name} has steps 1 to {highest} there, and no {number}")
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

    def branch(self, seq: int, event: Branched) -> Branched:
        """Return the event with what is known at record `seq`, for whoever goes back to the state after it.

        Raises JournalError where there is no such record, and ReceiptNeeded where what happened since cannot be undone
        and the event does not carry the digest of the list of it.
        """
        receipts.confirmed(self.receipt(seq), event.receipt)
        told = self.known(seq)
        return evolve(event, origin=seq, results=told.results, sent=told.sent)

    def fork(self, seq: int, by: str, reason: str = "", receipt: str = "") -> Forked:
        """Return the event with which another session begins as a copy of this one after record `seq`.

        Raises as `branch`: what happened since could happen again in the copy.
        """
        state = self.at(seq)
        receipts.confirmed(self.receipt(seq), receipt)
        told = self.known(seq)
        digest = state.digest.hex()
        return Forked(state, self.name, seq, digest, by, reason, told.results, told.sent, receipt)
