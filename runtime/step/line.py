"""All records of one session with their states, in memory: what can be asked of its past, what goes back to it. Pure.

It only grows. Going back makes an event here and changes nothing; whoever applies it to the session journals it.
"""

from array import array
from collections.abc import Collection, Sequence
from sys import intern

from attrs import define, evolve, field

from runtime.errors import JournalError
from runtime.step import branches as tree
from runtime.step import receipts
from runtime.step.branches import Branch, Note, Past, Taken, parent_of
from runtime.step.events import Branched, Event, Forked
from runtime.step.machine import Step
from runtime.step.receipts import Known, Receipt
from runtime.step.records import Record
from runtime.step.state import State


@define(eq=False)
class Line:
    """The records of session `name`, from the first one on, those of all branches."""

    name: str
    _steps: list[Step] = field(factory=list)
    _parents: "array[int]" = field(factory=lambda: array("q"))
    _numbers: "array[int]" = field(factory=lambda: array("q"))
    _actors: list[str] = field(factory=list)
    _walls: list[int] = field(factory=list)
    _monos: list[int] = field(factory=list)
    _past: Past = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._past = Past(self._steps, self._parents, self._numbers)

    def take(self, step: Step, record: Record) -> None:
        """Take in the next step and what its record tells beside it."""
        parent = parent_of(step)
        self._steps.append(step)
        self._parents.append(parent)
        self._numbers.append((self._numbers[parent - 1] if parent else 0) + step.begins)
        self._actors.append(intern(record.actor))
        self._walls.append(record.wall)
        self._monos.append(record.mono)

    def _clear(self) -> None:
        for column in (self._steps, self._actors, self._walls, self._monos):
            column.clear()
        del self._parents[:], self._numbers[:]

    @property
    def last(self) -> int:
        """The number of the newest record."""
        return len(self._steps)

    def at(self, seq: int) -> State:
        """Return the state after a record. Raises JournalError where there is no such record."""
        return self._steps[self._place(seq)].after

    def taken(self, seq: int) -> Taken:
        """Return a record with its step. Raises JournalError where there is no such record."""
        return self._taken(self._place(seq))

    def _taken(self, place: int) -> Taken:
        told = (self._actors[place], self._walls[place], self._monos[place])
        return Taken(place + 1, self._numbers[place], self._steps[place], *told)

    def _place(self, seq: int) -> int:
        if not 1 <= seq <= len(self._steps):
            raise JournalError(f"session {self.name} has records 1 to {len(self._steps)}, and no {seq}")
        return seq - 1

    def path(self, seq: int | None = None) -> Sequence[Taken]:
        """Return what led to a record, root first; None means the newest record, the head of the live branch."""
        head = self.last if seq is None else seq
        return [self._taken(one - 1) for one in self._past.path(self._place(head) + 1)]

    def leads(self, seq: int, to: int) -> bool:
        """Whether a record is on the path of another one."""
        while to > seq:
            to = self._parents[self._place(to)]
        return to == seq

    def later(self, seq: int) -> Sequence[Taken]:
        """Return what came after a record on the live branch, or where it is on another one, on the branch it is of."""
        branch = self.at(seq).branch
        heads = [self.last, next(one.head for one in self.branches() if one.name == branch)]
        for head in heads:
            whole = self._past.path(head)
            if seq in whole:
                return [self._taken(one - 1) for one in whole[whole.index(seq) + 1 :]]
        return []

    def numbered(self, number: int, seq: int | None = None) -> Taken:
        """Return the record that is step `number` of the path of a record (None: the newest). Raises JournalError."""
        place = self._place(self.last if seq is None else seq)
        highest, counts = self._numbers[place], self._steps[place].begins
        while self._parents[place] and (self._numbers[place] > number or not counts):
            place = self._parents[place] - 1
            counts = self._steps[place].begins
        if self._numbers[place] != number or not counts:
            raise JournalError(f"session {self.name} has steps 1 to {highest} there, and no {number}")
        return self._taken(place)

    def branches(self) -> tuple[Branch, ...]:
        """Return all branches, oldest first."""
        return tree.branches(self._past)

    def notes(self) -> tuple[Note, ...]:
        """Return the names and notes that records were given, oldest first."""
        return tree.notes(self._past)

    def receipt(self, seq: int) -> Receipt:
        """Return what happened outside and is not undone by going back to the state after record `seq`."""
        return receipts.receipt(self._past, self._place(seq) + 1)

    def known(self, seq: int, arrived: Collection[Event] = ()) -> Known:
        """Return what is known of the effects that were under way at record `seq`; `arrived` is what the session has
        not taken in yet."""
        return receipts.known(self._past, self._place(seq) + 1, arrived)

    def branch(self, seq: int, event: Branched, arrived: Collection[Event] = ()) -> Branched:
        """Return the event with what is known at record `seq`, for whoever goes back to the state after it.

        Raises JournalError where there is no such record, and ReceiptNeeded where what happened since cannot be undone
        and the event does not carry the digest of the list of it.
        """
        receipts.confirmed(self.receipt(seq), event.receipt)
        return self.informed(seq, event, arrived)

    def informed(self, seq: int, event: Branched, arrived: Collection[Event] = ()) -> Branched:
        """Return the event as `branch` does, without asking whether it may be: for whoever wants to see what would be.

        Raises JournalError where there is no such record.
        """
        told = self.known(seq, arrived)
        return evolve(event, origin=seq, results=told.results, sent=told.sent, mode=self._mode(seq))

    def _mode(self, seq: int) -> str | None:
        """The permission mode of now, None where it is that of a record: what was allowed once may not be any more."""
        now = self.at(self.last).settings.mode
        return now if now != self.at(seq).settings.mode else None

    def fork(
        self,
        seq: int,
        by: str,
        reason: str = "",
        receipt: str = "",
        workspace: str = "",
        arrived: Collection[Event] = (),
    ) -> Forked:
        """Return the event with which another session begins as a copy of this one after record `seq`, in the folder
        `workspace` if that is named.

        Raises as `branch`: what happened since could happen again in the copy.
        """
        state = self.at(seq)
        receipts.confirmed(self.receipt(seq), receipt)
        told = self.known(seq, arrived)
        digest = state.digest.hex()
        mode = self._mode(seq)
        return Forked(state, self.name, seq, digest, by, reason, told.results, told.sent, receipt, workspace, mode)
