"""The journal of the live sessions: packs each step and hands it to the store, in order, before it is applied."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from attrs import define

from runtime.errors import JournalError
from runtime.ports import Clock, Store, StoredRecord
from runtime.step import State, Step
from runtime.step.records import Codec, Record, freeze, pack, record_of, thaw, unpack
from runtime.step.replay import replay

TITLE: Final = 80
"""Characters of a session's title."""


@define(eq=False)
class Journal:
    """Appends steps, waits for commits, and reads sessions back. `codec` is the encoding that the store keeps."""

    store: Store
    clock: Clock
    codec: Codec
    name: str = "journal"

    def record(self, step: Step, actor: str) -> Record:
        """Return the record of a step that is taken now."""
        return record_of(step, actor, self.clock.wall(), self.clock.mono())

    def append(self, record: Record) -> int:
        """Hand a record to the store and return its ticket. Raises JournalFull, and then kept nothing."""
        body, blobs = pack(record, self.codec)
        return self.store.append(StoredRecord(record.session, record.seq, body), blobs)

    def title(self, session: str, text: str) -> None:
        """Give a session the title that listings show: the beginning of its first message, on one line."""
        line = " ".join(text.split())
        self.store.describe(session, line if len(line) <= TITLE else f"{line[: TITLE - 1]}…")

    async def committed(self, ticket: int) -> None:
        """Wait until the record with that ticket is on disk."""
        await self.store.committed(ticket)

    def read(self, session: str, after: int = 0) -> Iterator[Record]:
        """Read the records of a session with a sequence number above `after`, one by one."""
        for stored in self.store.records(session, after):
            yield unpack(stored.body, self.codec, self.store.blob, self.name, stored.seq)

    def paced(self, session: str) -> Iterator[Record | None]:
        """Read all records of a session, one by one; None stands where others may run."""
        for stored in self.store.paced(session):
            yield unpack(stored.body, self.codec, self.store.blob, self.name, stored.seq) if stored else None

    def records(self, session: str, after: int = 0, most: int | None = None) -> list[Record]:
        """Read the records of a session with a sequence number above `after`, `most` of them."""
        return list(islice(self.read(session, after), most))

    def steps(self, session: str) -> list[Step]:
        """Return the steps of all records of a session; the states are not compared. Raises JournalError."""
        return list(replay(self.read(session), State(session), where=self.name, verify=False))

    def snapshot(self, state: State) -> None:
        """Keep a copy of `state`, so that reading it back need not start at the first record."""
        self.store.snapshot(state.session, state.seq, freeze(state, self.codec))

    def load(self, session: str, *, verify: bool = True, snapshots: bool = True) -> tuple[State, tuple[State, ...]]:
        """Return the last state of a session, and all that were replayed to reach it.

        Starts from the newest snapshot that its record confirms (with `snapshots`), unless a branch begins before it.
        Raises JournalError where there is no such session, and the errors of `replay`.
        """
        start = self._snapshot(session) if snapshots else State(session)
        records = self.records(session, start.seq)
        if start.seq and any(getattr(one.event, "origin", start.seq) < start.seq for one in records):
            start = State(session)
            records = self.records(session)
        if not start.seq and not records:
            raise JournalError(f"{self.name}: no session {session}")
        states = tuple(step.after for step in replay(records, start, where=self.name, verify=verify))
        return (states[-1] if states else start), states

    def _snapshot(self, session: str) -> State:
        found = self.store.latest_snapshot(session)
        if found is None:
            return State(session)
        seq, body = found
        state = thaw(body, self.codec)
        if state is None or state.seq != seq or state.session != session:
            return State(session)
        record = next(iter(self.store.records(session, seq - 1)), None)
        if record is None or record.seq != seq:
            return State(session)
        told = unpack(record.body, self.codec, self.store.blob, self.name).state
        return state if told == state.digest.hex() else State(session)
