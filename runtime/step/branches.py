"""The tree of a session's branches, read from its records: nothing else keeps it. Pure.

The path of a record is what led to it: the records from the first one on, each the `parent` of the next. The path of a
branch is that of its last record.
"""

from collections.abc import Collection, Sequence
from typing import Final

from attrs import frozen

from runtime.errors import InputError
from runtime.step.events import Branched, Marked
from runtime.step.kinds import StepKind
from runtime.step.machine import Step
from runtime.step.records import Record, record_of
from runtime.step.state import State

LONGEST_NAME: Final = 64
"""Characters of a branch's or a record's name."""
LONGEST_NOTE: Final = 1_000
"""Characters of a note."""


@frozen
class Taken:
    """One record with the step that it is of. `number` counts the steps of the machine that began on its
    path up to it.

    `actor`, `wall` and `mono` are as in a `Record`, and all else of the record follows from the step.
    """

    seq: int
    number: int
    step: Step
    actor: str
    wall: int
    mono: int

    @property
    def state(self) -> State:
        """The state after it."""
        return self.step.after

    @property
    def kind(self) -> StepKind:
        """The kind of its step."""
        return self.step.kind

    @property
    def branch(self) -> str:
        """The name of the branch that it is on."""
        return self.step.after.branch

    @property
    def parent(self) -> int:
        """The record before it on its path, 0 before the first one."""
        return parent_of(self.step)

    @property
    def record(self) -> Record:
        """The whole record, made anew: it takes as long as the digest of its state."""
        return record_of(self.step, self.actor, self.wall, self.mono)


@frozen
class Past:
    """The steps of all records of a session from record 1 on, and for each the number of the record before it on its
    path, and how many steps of the machine there are on that. All are shared with whoever lets them grow."""

    steps: Sequence[Step]
    parents: Sequence[int]
    numbers: Sequence[int]

    def path(self, seq: int) -> list[int]:
        """Return the numbers of the records that led to record `seq`, first to last."""
        found: list[int] = []
        parents = self.parents
        while seq:
            found.append(seq)
            seq = parents[seq - 1]
        found.reverse()
        return found

    def state(self, seq: int) -> State:
        """Return the state after record `seq`."""
        return self.steps[seq - 1].after


@frozen
class Note:
    """A name or a note that somebody gave to record `seq`; `at` is the record that says so."""

    seq: int
    name: str
    text: str
    by: str
    at: int


@frozen
class Branch:
    """One branch: `origin` is the record of branch `parent` that it came off, 0 of none; `head` is its last record.

    `steps` are the steps of the machine that are its own, `number` those on its whole path. `tokens` were used on it
    since its origin. `outcome` is how the last prompt on it ended, "" while one is open or none was. `live` says that
    the session stands on it.
    """

    name: str
    parent: str
    origin: int
    head: int
    steps: int
    number: int
    live: bool
    notes: tuple[Note, ...]
    tokens: int
    outcome: str


def branches(past: Past) -> tuple[Branch, ...]:
    """Return all branches, oldest first."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    steps: dict[str, int] = {}
    for seq, step in enumerate(past.steps, 1):
        name = step.after.branch
        first.setdefault(name, seq)
        last[name] = seq
        steps[name] = steps.get(name, 0) + step.begins
    noted = notes(past)
    return tuple(_branch(name, seq, last[name], steps[name], past, noted) for name, seq in first.items())


def _branch(name: str, first: int, head: int, steps: int, past: Past, noted: Sequence[Note]) -> Branch:
    origin, state = past.parents[first - 1], past.state(head)
    before = past.state(origin) if origin else None
    return Branch(
        name=name,
        parent=before.branch if before is not None else "",
        origin=origin,
        head=head,
        steps=steps,
        number=past.numbers[head - 1],
        live=head == len(past.steps),
        notes=tuple(one for one in noted if past.state(one.seq).branch == name),
        tokens=state.usage.total - (before.usage.total if before is not None else 0),
        outcome=state.outcome.status if state.outcome is not None else "",
    )


def notes(past: Past) -> tuple[Note, ...]:
    """Return the names and notes that were given to records, oldest first."""
    return tuple(
        Note(mark.seq, mark.name, mark.note, mark.by, at)
        for at, step in enumerate(past.steps, 1)
        if isinstance(mark := step.event, Marked)
    )


def parent_of(step: Step) -> int:
    """Return the number of the record that a step follows on its path."""
    return step.event.origin if isinstance(step.event, Branched) else step.before.seq


def checked_name(name: str, taken: Collection[str] = ()) -> str:
    """Return a name for a branch. Raises InputError where it cannot be one, or is `taken`."""
    if not name or len(name) > LONGEST_NAME or not name.isprintable() or name != name.strip():
        raise InputError(f"branch: a name is 1 to {LONGEST_NAME} characters that can be printed, not {name[:80]!r}")
    if name in taken:
        raise InputError(f"branch: there is a branch {name} already; `switch` goes on at its end")
    return name
