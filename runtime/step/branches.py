"""The tree of a session's branches, read from its records: nothing else keeps it. Pure.

The path of a record is what led to it: the records from the first one on, each the `parent` of the next. The path of a
branch is that of its last record.
"""

from collections.abc import Collection, Sequence
from typing import Final

from attrs import frozen

from runtime.errors import InputError
from runtime.step.events import Marked
from runtime.step.machine import Step
from runtime.step.records import Record
from runtime.step.state import State

LONGEST_NAME: Final = 64
"""Characters of a branch's or a record's name."""
LONGEST_NOTE: Final = 1_000
"""Characters of a note."""


@frozen
class Taken:
    """One record with the step that it is of. `number` counts the steps of the machine that began on its
    path up to it."""

    seq: int
    number: int
    record: Record
    step: Step

    @property
    def state(self) -> State:
        """The state after it."""
        return self.step.after


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


def path(taken: Sequence[Taken], seq: int) -> tuple[int, ...]:
    """Return the numbers of the records that led to record `seq`, first to last. `taken` are all from record 1 on."""
    found: list[int] = []
    while seq:
        found.append(seq)
        seq = taken[seq - 1].record.parent
    return tuple(reversed(found))


def branches(taken: Sequence[Taken]) -> tuple[Branch, ...]:
    """Return all branches, oldest first. `taken` are all records, from record 1 on."""
    first: dict[str, Taken] = {}
    last: dict[str, Taken] = {}
    steps: dict[str, int] = {}
    for one in taken:
        name = one.record.branch
        first.setdefault(name, one)
        last[name] = one
        steps[name] = steps.get(name, 0) + one.step.begins
    noted = notes(taken)
    return tuple(_branch(name, begun, last[name], steps[name], taken, noted) for name, begun in first.items())


def _branch(name: str, first: Taken, last: Taken, steps: int, taken: Sequence[Taken], noted: Sequence[Note]) -> Branch:
    origin = first.record.parent
    before = taken[origin - 1] if origin else None
    outcome = last.state.outcome
    return Branch(
        name=name,
        parent=before.record.branch if before is not None else "",
        origin=origin,
        head=last.seq,
        steps=steps,
        number=last.number,
        live=last.seq == taken[-1].seq,
        notes=tuple(one for one in noted if taken[one.seq - 1].record.branch == name),
        tokens=last.state.usage.total - (before.state.usage.total if before is not None else 0),
        outcome=outcome.status if outcome is not None else "",
    )


def notes(taken: Sequence[Taken]) -> tuple[Note, ...]:
    """Return the names and notes that were given to records, oldest first."""
    return tuple(
        Note(mark.seq, mark.name, mark.note, mark.by, one.seq)
        for one in taken
        if isinstance(mark := one.step.event, Marked)
    )


def checked_name(name: str, taken: Collection[str] = ()) -> str:
    """Return a name for a branch. Raises InputError where it cannot be one, or is `taken`."""
    if not name or len(name) > LONGEST_NAME or not name.isprintable() or name != name.strip():
        raise InputError(f"branch: a name is 1 to {LONGEST_NAME} characters that can be printed, not {name[:80]!r}")
    if name in taken:
        raise InputError(f"branch: there is a branch {name} already; `switch` goes on at its end")
    return name
