"""Any order of appending, committing, closing, crashing and reading: acknowledged records always come back."""

import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import trio
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from runtime.errors import JournalFull, LocalError
from runtime.ports import StoredRecord
from runtime.stores import Bound, Journal
from runtime.stores.backlog import Backlog
from tests.runtime.stores.places import FILES, FilePlace, MemoryPlace, body, place_of, record

SESSIONS = st.sampled_from(["a", "b", 'c "quoted"'])
SMALL = Bound(records=12, size=6000)


class Loop:
    """A Trio run in a thread of its own, so that rules, which are plain functions, can call into it."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=trio.run, args=(self._main,))
        self._thread.start()
        assert self._ready.wait(10)

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._end = trio.Event()
        self._ready.set()
        await self._end.wait()

    def run(self, function: Callable[..., Any], *args: object) -> Any:
        """Call an async function there and return what it gives."""

        async def call() -> Any:
            with trio.fail_after(20):
                return await function(*args)

        return trio.from_thread.run(call, trio_token=self._token)

    def call(self, function: Callable[..., Any], *args: object) -> Any:
        """Call a plain function there and return what it gives."""
        return trio.from_thread.run_sync(function, *args, trio_token=self._token)

    def close(self) -> None:
        """End the run."""
        trio.from_thread.run_sync(self._end.set, trio_token=self._token)
        self._thread.join(10)


class Journals(RuleBasedStateMachine):
    """The model: a list of records, blobs and snapshots, and how many of the records were acknowledged."""

    kind = "memory"

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.loop = Loop()
        self.place = place_of(self.kind, Path(self.folder.name))
        self.appended: list[tuple[int, StoredRecord]] = []
        self.blobs: dict[str, bytes] = {}
        self.snapshots: dict[tuple[str, int], bytes] = {}
        self.titles: dict[str, str] = {}
        self.acknowledged = 0
        self.held = False
        self.store: Journal

    @initialize()
    def open(self) -> None:
        self.store = self.place.open(SMALL)

    @rule(session=SESSIONS, size=st.integers(0, 3000), blob=st.sampled_from([b"", b"text", b"\xff\x00"]))
    def append(self, session: str, size: int, blob: bytes) -> None:
        each = record(self.last(session) + 1, session, size)
        blobs = [(blob.hex(), blob)] if blob else []
        ticket = self.loop.run(self.try_append, each, blobs)
        if ticket is not None:
            self.appended.append((ticket, each))
            self.blobs.update(blobs)

    async def try_append(self, each: StoredRecord, blobs: list[tuple[str, bytes]]) -> int | None:
        """Append, waiting for room unless nothing is written now, so that the outcome is the same each time."""
        while True:
            try:
                return self.store.append(each, blobs)
            except JournalFull:
                assert self.store.full
                assert self.store.trouble
                if self.held:
                    return None
                await self.store.room()

    @rule(session=SESSIONS, back=st.integers(0, 3))
    def append_out_of_order(self, session: str, back: int) -> None:
        old = StoredRecord(session, max(0, self.last(session) - back), body(0))
        with pytest.raises(LocalError):
            self.loop.call(self.store.append, old)

    @precondition(lambda self: self.appended and not self.held)
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.appended) - 1))
        self.loop.run(self.store.committed, self.appended[index][0])
        self.acknowledged = max(self.acknowledged, index + 1)

    @precondition(lambda self: not self.held)
    @rule()
    def wait_for_room(self) -> None:
        self.loop.run(self.store.room)

    @precondition(lambda self: not self.held)
    @rule(session=SESSIONS)
    def snapshot(self, session: str) -> None:
        seq = self.last(session)

        async def snapshot() -> None:
            await self.store.room()
            self.store.snapshot(session, seq, body(seq))
            self.store.snapshot(session, seq, body(seq, 5))

        if seq:
            self.loop.run(snapshot)
            self.snapshots[session, seq] = body(seq, 5)

    @precondition(lambda self: not self.held)
    @rule(session=SESSIONS, title=st.text(max_size=5))
    def describe(self, session: str, title: str) -> None:
        async def describe() -> None:
            await self.store.room()
            self.store.describe(session, title)

        if self.last(session):
            self.loop.run(describe)
            self.titles[session] = title.encode(errors="replace").decode()

    @precondition(lambda self: not self.held)
    @rule()
    def hold(self) -> None:
        assert isinstance(self.store, Backlog)
        self.loop.run(self.store.committed, self.store._issued)  # so that it does not depend on the thread what is held
        self.acknowledged = len(self.appended)
        self.place.hold()
        self.held = True

    @precondition(lambda self: self.held)
    @rule()
    def release(self) -> None:
        self.place.release()
        self.held = False

    @precondition(lambda self: not self.held)
    @rule()
    def close_and_open(self) -> None:
        self.loop.run(self.store.aclose)
        self.acknowledged = len(self.appended)
        self.open()
        self.appended = [(0, each) for _, each in self.appended]
        for session in {each.session for _, each in self.appended}:
            expected = [each for _, each in self.appended if each.session == session]
            assert self.read(session) == expected
            self.check_snapshot(session)
        self.check_listing()
        assert all(self.store.blob(name) == data for name, data in self.blobs.items())

    @invariant()
    def acknowledged_records_come_back_and_nothing_that_was_not_appended(self) -> None:
        for session in ("a", "b", 'c "quoted"'):
            mine = [(index, each) for index, (_, each) in enumerate(self.appended) if each.session == session]
            read = self.read(session)
            assert read == [each for _, each in mine][: len(read)]
            assert len(read) >= sum(index < self.acknowledged for index, _ in mine)

    def read(self, session: str) -> list[StoredRecord]:
        found: list[StoredRecord] = self.loop.call(lambda: list(self.store.records(session)))
        return found

    def last(self, session: str) -> int:
        return max((each.seq for _, each in self.appended if each.session == session), default=0)

    def check_snapshot(self, session: str) -> None:
        newest = max((seq for owner, seq in self.snapshots if owner == session), default=0)
        found = self.store.latest_snapshot(session)
        assert found == ((newest, self.snapshots[session, newest]) if newest else None)

    def check_listing(self) -> None:
        counts = {row.session: (row.records, row.title) for row in self.store.sessions()}
        records = [each.session for _, each in self.appended]
        assert counts == {each: (records.count(each), self.titles.get(each, "")) for each in records}

    def teardown(self) -> None:
        if self.held:
            self.place.release()
        self.loop.run(self.store.aclose)
        self.loop.close()
        self.folder.cleanup()

    @rule()
    def look_from_outside(self) -> None:
        """What a process finds that starts after a crash now: all that was acknowledged."""
        for session in ("a", "b", 'c "quoted"'):
            acknowledged = [each for _, each in self.appended[: self.acknowledged] if each.session == session]
            assert self.read_outside(session)[: len(acknowledged)] == acknowledged

    def read_outside(self, session: str) -> list[StoredRecord]:
        if isinstance(self.place, MemoryPlace):
            return list(self.place.kept.records.get(session, []))
        assert isinstance(self.place, FilePlace)

        async def read(store: Journal) -> list[StoredRecord]:
            async with store:
                return list(store.records(session))

        found: list[StoredRecord] = self.loop.run(read, self.place.read())
        return found


class JsonLinesJournals(Journals):
    """The same, in a file of JSON lines."""

    kind = FILES[0]


class SqliteJournals(Journals):
    """The same, in a database."""

    kind = FILES[1]


TestMemory = Journals.TestCase
TestMemory.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestJsonLines = JsonLinesJournals.TestCase
TestJsonLines.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestSqlite = SqliteJournals.TestCase
TestSqlite.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
