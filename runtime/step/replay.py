"""From records back to states, with zero effects. Refuses a gap, a step no table allows, and a digest that differs."""

from collections.abc import Iterable, Iterator
from typing import Final

from runtime.errors import JournalCorrupt, ReplayMismatch, TwinstepError
from runtime.step.events import Branched
from runtime.step.machine import Step, advance
from runtime.step.records import Record, record_of
from runtime.step.state import State
from runtime.vocab import evolve

DERIVED: Final = ("session", "parent", "branch", "call", "labels", "effect", "state")
"""Members of a record that follow from its step. `actor`, `wall` and `mono` do not: they are only told."""


class Replaying:
    """A replay under way: takes record after record, from the state `start` on.

    A branch begins at the state of its origin, which must be among the steps taken here. With `verify`, all that
    follows from a step is compared with the journal, the digest of the state above all. `where` names the file.
    """

    def __init__(self, start: State, where: str, *, verify: bool = True) -> None:
        self.state = start
        self._where = where
        self._verify = verify
        self._states = {start.seq: start}

    def take(self, record: Record) -> Step:
        """Return the step of the next record. Raises JournalCorrupt, ReplayMismatch; then nothing was taken."""
        at = f"{self._where}: record {record.seq} of session {record.session}"
        if record.seq != self.state.seq + 1:
            raise JournalCorrupt(f"{at}: {_out_of_place(record.seq, self.state.seq)}")
        before = _before(record, self.state, self._states, at)
        try:
            step = advance(before, record.event)
        except TwinstepError as exc:
            raise JournalCorrupt(f"{at}: {exc}") from exc
        if step.kind.value != record.kind:
            raise ReplayMismatch(f"{at}: the step is {step.kind.value}, the journal says {record.kind}")
        if self._verify:
            _compare(record, record_of(step, record.actor, record.wall, record.mono), at)
        self._states[record.seq] = self.state = step.after
        return step


def replay(records: Iterable[Record], start: State, *, where: str, verify: bool = True) -> Iterator[Step]:
    """Yield the step of each record, as `Replaying` takes them."""
    replaying = Replaying(start, where, verify=verify)
    for record in records:
        yield replaying.take(record)


def _out_of_place(seq: int, last: int) -> str:
    """Say what is wrong with a record that does not follow record `last`."""
    if seq == last:
        return "it stands there twice"
    if seq < last:
        return f"it stands after record {last}: the records are in another order than they were written in"
    return f"a record is missing before it (expected {last + 1})"


def _compare(record: Record, made: Record, at: str) -> None:
    """Refuse a record that says otherwise of its step than the step itself."""
    for name in DERIVED:
        said, found = getattr(record, name), getattr(made, name)
        if said != found:
            what = "the state differs" if name == "state" else f"the record differs in `{name}`"
            raise ReplayMismatch(f"{at} ({record.kind}): {what}: replayed {found}, journaled {said}")


def _before(record: Record, state: State, states: dict[int, State], at: str) -> State:
    if not isinstance(record.event, Branched):
        return state
    origin = states.get(record.event.origin)
    if origin is None:
        raise JournalCorrupt(f"{at}: it branches off record {record.event.origin}, which is not here")
    return rebased(origin, state)


def rebased(earlier: State, latest: State) -> State:
    """Return `earlier` as the start of a branch taken now: sequence numbers, holds and the lane are the session's."""
    return evolve(earlier, seq=latest.seq, generation=latest.generation, hold=latest.hold, lane=latest.lane)
