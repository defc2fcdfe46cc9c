"""The ledger under whatever may happen in any order: two writers, full disks, deaths in the middle of a write.

After each step the ledger verifies, and every record that was acknowledged is there once, in order.
"""

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from defender.quarantine.appender import Appender
from defender.quarantine.places import COUNTER
from defender.quarantine.store import entries as read_entries
from defender.quarantine.verifying import verify
from runtime.errors import JournalError, JournalFull
from tests.defender.quarantine.ledgers import appender, at, entries
from tests.runtime.stores.disks import SmallDisk


class Died(Exception):
    """The process is gone at this point."""


class DyingDisk(SmallDisk):
    """Writes so many bytes of a group, and then there is nobody any more."""

    def _write(self, fd: int, data: bytes) -> int:
        os.write(fd, data[: min(self.free, len(data) - 1)])
        raise Died

    def _truncate(self, fd: int, length: int) -> None:
        raise Died


class Ledgers(RuleBasedStateMachine):
    """Two writers over one ledger."""

    @initialize()
    def begin(self) -> None:
        self.base = Path(tempfile.mkdtemp())
        self.disks = [SmallDisk(10**9), SmallDisk(10**9)]
        self.writers = [self.opened(0), self.opened(1)]
        self.acknowledged: list[int] = []
        self.number = 0

    def opened(self, which: int) -> Appender:
        return appender(self.base, disk=self.disks[which].disk, segment_size=4_000, head_every=7)

    def numbers(self, count: int) -> list[int]:
        self.number += count
        return [*range(self.number - count, self.number)]

    @rule(which=st.integers(0, 1), count=st.integers(1, 12))
    def write(self, which: int, count: int) -> None:
        numbers = self.numbers(count)
        try:
            self.writers[which].write(entries(*numbers))
        except JournalFull:
            return
        self.acknowledged += numbers

    @rule(which=st.integers(0, 1), free=st.integers(0, 1_500))
    def fill_the_disk(self, which: int, free: int) -> None:
        self.disks[which].free = free

    @rule(which=st.integers(0, 1))
    def make_room(self, which: int) -> None:
        self.disks[which].free = 10**9

    @rule(which=st.integers(0, 1))
    def end_in_order(self, which: int) -> None:
        self.writers[which].close()
        self.writers[which] = self.opened(which)

    @rule(which=st.integers(0, 1), size=st.integers(0, 2_500), count=st.integers(1, 9))
    def die_while_writing(self, which: int, size: int, count: int) -> None:
        dying = appender(self.base, disk=DyingDisk(size).disk, segment_size=4_000, head_every=7)
        with suppress(Died):
            dying.write(entries(*self.numbers(count)))
        self.writers[which] = self.opened(which)

    @rule()
    def lose_power_and_the_last_move_of_the_counter(self) -> None:
        path = Path(at(self.base).anchor) / COUNTER
        if not path.exists():
            return
        kept = path.read_bytes()
        self.disks[0].free = 10**9
        numbers = self.numbers(2)
        self.writers[0].write(entries(*numbers))
        path.write_bytes(kept)
        self.acknowledged += numbers
        self.writers = [self.opened(0), self.opened(1)]

    @invariant()
    def it_is_whole_and_has_all_that_was_acknowledged(self) -> None:
        try:
            report = verify(at(self.base))
        except JournalError:
            assert not self.acknowledged
            return
        assert report.faults == ()
        found = [entry.body["n"] for entry in read_entries(at(self.base), "decision")]
        wanted = set(self.acknowledged)
        assert [number for number in found if number in wanted] == self.acknowledged

    def teardown(self) -> None:
        shutil.rmtree(self.base, ignore_errors=True)


TestLedgers = Ledgers.TestCase
TestLedgers.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
