"""Records taken again one by one, each compared with what the machine makes of it. Pure."""

from collections.abc import Iterable, Iterator
from typing import Final

from runtime.step import State
from runtime.step.branches import Taken
from runtime.step.records import Record
from runtime.step.replay import Replaying

SLICE: Final = 16
"""Records between two looks at everything else, for whoever shares a process with others."""


def played(records: Iterable[Record], session: str, where: str) -> Iterator[Taken]:
    """Yield the records of a session, from its first, with their steps. Raises JournalCorrupt, ReplayMismatch.

    `where` names where they come from.
    """
    replaying = Replaying(State(session), where)
    numbers = {0: 0}
    for record in records:
        step = replaying.take(record)
        numbers[record.seq] = numbers[record.parent] + step.kind.counts
        yield Taken(record.seq, numbers[record.seq], record, step)
