"""The writer thread, with sinks that do what disks do: take their time, fill up, break, hang."""

import threading
from collections.abc import Callable, Sequence

import pytest
import trio
import trio.testing
from attrs import define, field

from runtime.errors import JournalError, JournalFull, LocalError
from runtime.stores.backlog import Bound, Entry
from runtime.stores.writer import GROUP, Writer
from tests.runtime.stores.places import record


@define
class FakeSink:
    """Keeps the groups it was given. Waits for `gate`, then raises what is next in `errors`."""

    groups: list[list[int]] = field(factory=list)
    tried: list[list[int]] = field(factory=list)
    errors: list[Exception] = field(factory=list)
    closed: int = 0
    close_error: JournalError | None = None
    gate: threading.Event = field(factory=threading.Event)

    def write(self, entries: Sequence[Entry]) -> None:
        numbers = [each.seq for _, each, _ in entries]
        self.tried.append(numbers)
        assert self.gate.wait(10)
        if self.errors:
            raise self.errors.pop(0)
        self.groups.append(numbers)

    def close(self) -> None:
        self.closed += 1
        if self.close_error:
            raise self.close_error


@define
class Handed:
    """A writer, its sink, and how to hand over a record."""

    sink: FakeSink
    writer: Writer

    def put(self, number: int) -> int:
        ticket = self.writer._put(("record", record(number), ()), 300)
        self.writer.flush()
        return ticket


@pytest.fixture
def handed() -> Handed:
    sink = FakeSink()
    return Handed(sink, Writer("file", Bound(), sink, retry=(0.001, 0.002), patience=10))


async def test_everything_that_comes_while_one_group_is_written_is_the_next_group(handed: Handed) -> None:
    handed.put(1)
    while not handed.sink.tried:  # noqa: ASYNC110 - the sink is in a thread without a loop
        await trio.sleep(0.001)
    tickets = [handed.put(number) for number in range(2, 500)]
    handed.sink.gate.set()
    await handed.writer.committed(tickets[-1])
    assert handed.sink.groups == [[1], list(range(2, 500))]
    await handed.writer.aclose()


async def test_a_group_that_does_not_fit_is_tried_again_as_it_was(handed: Handed) -> None:
    handed.sink.errors = [JournalFull("file: full")] * 5
    handed.sink.gate.set()
    await handed.writer.committed(handed.put(1))
    assert handed.sink.tried == [[1]] * 6
    assert handed.writer.trouble is None
    await handed.writer.aclose()
    assert handed.sink.closed == 1


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (JournalError("file: broken"), "^file: broken$"),
        (ValueError("what?"), r"^file: the writer failed: ValueError: what\?$"),
    ],
)
async def test_a_failure_reaches_all_who_wait_and_all_who_come(handed: Handed, error: Exception, text: str) -> None:
    handed.sink.errors = [error]
    tickets = [handed.put(number) for number in (1, 2, 3)]
    handed.sink.gate.set()
    for wait in [*tickets, tickets[0]]:
        with trio.fail_after(10), pytest.raises(JournalError, match=text):
            await handed.writer.committed(wait)
    with pytest.raises(JournalError, match=text):
        handed.put(4)
    with pytest.raises(JournalError, match=text):
        await handed.writer.aclose()
    assert handed.sink.closed == 1


async def test_a_disk_that_hangs_does_not_hold_up_closing_for_ever() -> None:
    sink = FakeSink()
    handed = Handed(sink, Writer("file", Bound(), sink, patience=0.02))
    ticket = handed.put(1)
    with trio.fail_after(10), pytest.raises(JournalError, match="file: closed with 1 records not written: the writer"):
        await handed.writer.aclose()
    with pytest.raises(JournalError, match="not written"):
        await handed.writer.committed(ticket)
    sink.gate.set()


async def test_closing_twice_at_once_closes_once(handed: Handed) -> None:
    handed.put(1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(handed.writer.aclose)
        nursery.start_soon(handed.writer.aclose)
        handed.sink.gate.set()
    assert handed.sink.closed == 1
    assert handed.sink.groups == [[1]]


async def test_those_who_wait_for_room_hear_of_a_failure() -> None:
    sink = FakeSink(errors=[JournalError("file: broken")])
    handed = Handed(sink, Writer("file", Bound(records=1), sink, patience=10))
    handed.put(1)

    async def wait() -> None:
        with pytest.raises(JournalError, match="broken"):
            await handed.writer.room()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        sink.gate.set()
    with pytest.raises(JournalError, match="broken"):
        await handed.writer.aclose()


async def test_a_file_that_cannot_be_closed_is_reported_if_it_matters(handed: Handed) -> None:
    handed.sink.close_error = JournalError("file: cannot be closed")
    handed.sink.gate.set()
    await handed.writer.committed(handed.put(1))
    await handed.writer.aclose()
    assert handed.writer.trouble == "file: cannot be closed"


def test_what_was_handed_over_is_written_even_if_the_run_ends_first_and_then_the_thread_ends() -> None:
    sink = FakeSink()
    handed = Handed(sink, Writer("file", Bound(), sink))

    async def forget() -> None:
        await trio.lowlevel.checkpoint()
        handed.put(1)

    trio.run(forget)
    sink.gate.set()
    wait_until(lambda: sink.groups == [[1]] and sink.closed == 1)


def wait_until(true: Callable[[], bool]) -> None:
    """Wait for a thread, without a run."""
    tick = threading.Event()
    for _ in range(1000):
        if true():
            return
        tick.wait(0.005)
    raise AssertionError("it never came true")


async def test_a_writer_without_a_file_takes_nothing() -> None:
    writer = Writer("file", Bound(), None)
    with pytest.raises(LocalError, match="file: the journal was opened for reading"):
        writer.snapshot("a", 1, b"{}")
    await writer.aclose()
    with pytest.raises(LocalError):
        writer.snapshot("a", 1, b"{}")


async def test_nobody_wakes_the_thread_for_one_entry_until_somebody_asks(handed: Handed) -> None:
    handed.sink.gate.set()
    ticket = handed.writer._put(("record", record(1), ()), 300)
    await trio.sleep(0.02)
    assert not handed.sink.tried
    await handed.writer.committed(ticket)
    assert handed.sink.groups == [[1]]


async def test_a_full_group_wakes_the_thread_by_itself(handed: Handed) -> None:
    handed.sink.gate.set()
    for number in range(1, GROUP + 1):
        handed.writer._put(("record", record(number), ()), 300)
    with trio.fail_after(10):
        while not handed.sink.tried:  # noqa: ASYNC110 - the sink is in a thread without a loop
            await trio.sleep(0.001)
