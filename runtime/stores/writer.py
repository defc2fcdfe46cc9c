"""One thread that writes a journal in groups: takes all that is queued, makes it durable, reports once a group.

It refuses to decide anything about the data: a full disk keeps the group and tries again, any other failure ends the
thread and breaks the store. It never polls: it sleeps on a condition that `append`, closing or the next try ends.
"""

from collections.abc import Callable, Sequence
from threading import Condition, Lock, Thread
from typing import Final, Literal, Protocol, Self

import trio

from runtime.errors import JournalError, JournalFull, LocalError
from runtime.ports import StoredRecord
from runtime.stores.backlog import ENTRY_SIZE, Backlog, Bound

Kind = Literal["record", "snapshot", "title"]
Blobs = Sequence[tuple[str, bytes]]
Entry = tuple[Kind, StoredRecord, Blobs]
"""What is queued: a record with its blobs, a snapshot (body: the state), or a title (body: UTF-8; seq 0)."""

RETRY: Final = (0.1, 5.0)
"""Seconds before the first and between later tries on a full disk; doubled from one to the other."""

PATIENCE: Final = 5.0
"""Seconds that `aclose` waits for what is not yet written."""


class Sink(Protocol):
    """What the writer thread drives, and nobody else while it runs."""

    def write(self, entries: Sequence[Entry]) -> None:
        """Make all of it durable, in order, or raise and have nothing of it counted.

        Raises JournalFull when the same call can succeed later, any other JournalError when it cannot.
        """

    def close(self) -> None:
        """Give back files."""


GROUP: Final = 64
"""Entries that wake the thread without anybody asking."""


class Writer(Backlog):
    """A backlog that a thread of its own works off. The thread starts with the first thing handed over.

    It is woken for a group: when somebody waits (`committed`, `room`), on `flush`, or when GROUP entries are queued.
    Waking it for each entry cost more than writing it.

    `sink` is None for a journal that is only read. Times are in seconds.
    """

    def __init__(
        self,
        name: str,
        bound: Bound,
        sink: Sink | None,
        *,
        retry: tuple[float, float] = RETRY,
        patience: float = PATIENCE,
    ) -> None:
        super().__init__(name, bound)
        self._sink = sink
        self._retry = retry
        self._patience = patience
        self._bell = Condition(Lock())
        self._queue: list[Entry] = []
        self._queued = 0
        self._closing = False
        self._abandoned = False
        self._token: trio.lowlevel.TrioToken | None = None
        self._ended = trio.Event()

    def snapshot(self, session: str, seq: int, body: bytes) -> None:
        """Queue a snapshot. At the bound it is left out: it is an aid for reading, never the truth."""
        size = ENTRY_SIZE + len(body)
        if self._failure is None and self._fits(size):
            self._put(("snapshot", StoredRecord(session, seq, body), ()), size)

    def _put(self, entry: Entry, size: int) -> int:
        """Queue an entry and return its ticket. Never waits."""
        if self._token is None:
            self._start()
        ticket = self._take(size)
        with self._bell:
            self._queue.append(entry)
            self._queued += size
            self.unflushed = len(self._queue) < GROUP and not self.full
            if not self.unflushed:
                self._bell.notify()
        return ticket

    def flush(self) -> None:
        """Wake the thread for what was appended. Waits for nothing."""
        if self.unflushed:
            self.unflushed = False
            with self._bell:
                self._bell.notify()

    async def committed(self, ticket: int) -> None:
        """Wait until everything up to `ticket` is on disk; see `Store.committed`."""
        if ticket > self._settled:
            self.flush()
        await super().committed(ticket)

    async def room(self) -> None:
        """Wait until `append` would be taken; see `Store.room`."""
        self.flush()
        await super().room()

    def _start(self) -> None:
        if self._sink is None:
            raise LocalError(f"{self.name}: the journal was opened for reading")
        self._check()
        token = trio.lowlevel.current_trio_token()
        try:
            Thread(target=self._work, args=(self._sink, token), name="journal", daemon=True).start()
        except RuntimeError as exc:
            raise JournalError(f"{self.name}: cannot be written: {exc}") from exc
        self._token = token

    async def aclose(self) -> None:
        """Write what was appended, for at most `patience` seconds, then give back the file and the thread.

        Cancellation does not cut this short. Raises JournalError if anything appended is not on disk.
        """
        if not self._closed:
            self._closed = True
            self._release_readers()
            if self._token is None:
                self._ended.set()
                if self._sink is not None:
                    self._sink.close()
            with self._bell:
                self._closing = True
                self._bell.notify()
        with trio.move_on_after(self._patience, shield=True):
            await self._ended.wait()
        with self._bell:
            self._abandoned = True
            self._bell.notify()
        if lost := self._issued - self._settled:
            reason = self.trouble or "the writer did not finish in time"
            self._break(JournalError(f"{self.name}: closed with {lost} records not written: {reason}"))
            self._raise_failure()

    async def __aenter__(self) -> Self:
        await trio.lowlevel.checkpoint()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def _release_readers(self) -> None:
        """Give back what reading opened. Called once, when the store closes."""

    # What follows runs in the writer thread; it talks to the rest through `_bell` and `run_sync_soon` only.

    def _work(self, sink: Sink, token: trio.lowlevel.TrioToken) -> None:
        try:
            while self._write_group(sink, token):
                pass
        except JournalError as exc:
            self._tell(token, self._break, exc)
        except Exception as exc:  # noqa: BLE001 - a thread that died in silence would leave everyone waiting
            failure = JournalError(f"{self.name}: the writer failed: {type(exc).__name__}: {exc}")
            failure.__cause__ = exc
            self._tell(token, self._break, failure)
        finally:
            try:
                sink.close()
            except JournalError as exc:
                self._tell(token, self._break, exc)
            self._tell(token, self._ended.set)

    def _write_group(self, sink: Sink, token: trio.lowlevel.TrioToken) -> bool:
        """Write what is queued. Returns False when there is nothing more to do."""
        with self._bell:
            while not self._queue and not self._closing:
                self._bell.wait()
            group, self._queue = self._queue, []
            size, self._queued = self._queued, 0
        if not group:
            return False
        delay, longest = self._retry
        while True:
            try:
                sink.write(group)
            except JournalFull as exc:
                self._tell(token, self._stall, str(exc))
                if self._rest(delay):
                    return False
                delay = min(2 * delay, longest)
            else:
                self._tell(token, self._settle_group, len(group), size)
                return True

    def _rest(self, seconds: float) -> bool:
        """Sleep before the next try; closing wakes at once. Returns whether to give up."""
        with self._bell:
            closing = self._closing
            self._bell.wait_for(lambda: self._abandoned or self._closing is not closing, seconds)
            return self._abandoned

    def _settle_group(self, count: int, size: int) -> None:
        self._settle(self._settled + count, size)

    def _tell(self, token: trio.lowlevel.TrioToken, report: Callable[..., object], *args: object) -> None:
        """Run `report` in the Trio thread. When that run is over nobody waits: write what is there, and end."""
        try:
            token.run_sync_soon(report, *args)
        except trio.RunFinishedError:
            self._closing = True
