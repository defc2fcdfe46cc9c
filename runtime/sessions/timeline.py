"""All records of one live session with their states, in memory, for whoever goes back in it. Writes nothing.

Loaded from the journal in slices, so that no other session waits; from then on it grows with the session.
"""

from collections.abc import Iterator
from typing import Final

import trio
from attrs import define, field

from runtime.errors import JournalError
from runtime.sessions.journal import Journal
from runtime.sessions.session import Session
from runtime.step import State, Step
from runtime.step.branches import Taken
from runtime.step.events import Branched
from runtime.step.line import Line
from runtime.step.records import Record
from runtime.step.replay import Replaying

__all__ = ["SLICE", "Taken", "Timeline"]

SLICE: Final = 32
"""Records that are read before others get a turn."""
WRITTEN_SECONDS: Final = 10.0
"""How long records on their way to the disk are waited for."""


@define(eq=False)
class Timeline(Line):
    """The records of one live session. `Dispatcher.timeline(session)` gives the one that there is."""

    session: Session = field(kw_only=True)
    journal: Journal = field(kw_only=True)
    _whole: bool = False
    _meanwhile: "list[tuple[Step, Record]] | None" = None
    _lock: trio.Lock = field(factory=trio.Lock)

    async def load(self) -> None:
        """Read the journal, in slices; what is loaded already stays. Raises JournalError, and then nothing is kept."""
        if self._whole:  # at once: whoever goes back does it before anybody else takes a step
            return
        async with self._lock:
            if not self._whole:
                await self._load()

    async def _load(self) -> None:
        meanwhile: list[tuple[Step, Record]] = []
        self._meanwhile = meanwhile
        try:
            await self._read(self.session.state.seq)
            if not meanwhile:
                self._share()
            for step, record in meanwhile:
                self.take(step, record)
            self._whole = True
        finally:
            self._meanwhile = None
            if not self._whole:
                self._clear()

    def _share(self) -> None:
        """Keep the very states that the session has, which are equal to those that were read, so that what they hold is
        not there twice."""
        session = self.session
        if not self.last or self.at(self.last).digest != session.state.digest:
            return
        own = {one.seq: one for one in (*session.states, session.state) if one.seq}
        for seq in own.keys() | {seq + 1 for seq in own if seq < self.last}:
            step = self._steps[seq - 1]
            before = own.get(step.before.seq, step.before) if not isinstance(step.event, Branched) else step.before
            after = own.get(seq, step.after)
            self._steps[seq - 1] = Step(before, step.event, after, step.effects, step.kind, step.call)

    async def _read(self, upto: int) -> None:
        with trio.move_on_after(WRITTEN_SECONDS) as scope:
            await self.journal.committed(self.session.ticket)
        if scope.cancelled_caught:
            raise JournalError(
                f"{self.journal.name}: session {self.session.id} was not written within {WRITTEN_SECONDS:g} s"
            )
        replaying = Replaying(State(self.session.id), self.journal.name)
        for record in self._records(upto):
            if record is not None:
                self.take(replaying.take(record), record)
            if record is None or record.seq % SLICE == 0:
                await trio.lowlevel.checkpoint()
        if self.last < upto:
            raise JournalError(f"{self.journal.name}: session {self.session.id} has no record {self.last + 1}")

    def _records(self, upto: int) -> Iterator[Record | None]:
        if not upto:
            return
        for record in self.journal.paced(self.session.id):
            yield record
            if record is not None and record.seq >= upto:
                return

    def add(self, step: Step, record: Record) -> None:
        """Take in a step that the session took."""
        if self._whole:
            self.take(step, record)
        elif self._meanwhile is not None:
            self._meanwhile.append((step, record))
