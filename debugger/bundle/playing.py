"""Records taken again one by one, each compared with what the machine makes of it. Pure."""

from collections.abc import Iterable, Iterator
from typing import Final

from runtime.step import State
from runtime.step.branches import Taken
from runtime.step.line import Line
from runtime.step.records import Record
from runtime.step.replay import Replaying

SLICE: Final = 16
"""Records between two looks at everything else, for whoever shares a process with others."""


def played(records: Iterable[Record], session: str, where: str) -> Iterator[Taken]:
    """Yield the records of a session, from its first, with their steps. Raises JournalCorrupt, ReplayMismatch.

    `where` names where they come from.
    """
    replaying, line = Replaying(State(session), where), Line(session)
    for record in records:
        line.take(replaying.take(record), record)
        yield line.taken(line.last)
