"""One thread that writes a journal in groups: takes all that is queued, makes it durable, reports once a group.

It refuses to decide anything about the data: a full disk keeps the group and tries again, any other failure ends the
thread and breaks the store. It never polls: it sleeps until a group is handed over, closing, or the next try.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Final, Protocol

import trio

from runtime.errors import JournalError, JournalFull, LocalError
from runtime.stores.backlog import Backlog, Bound, Entry

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

    It is handed a group: when somebody waits (`committed`, `room`), on `flush`, or when GROUP entries are queued.
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
        self.patience = patience
        self._handed: SimpleQueue[tuple[list[Entry], int] | None] = SimpleQueue()
        self._hurry = Event()
        self._abandoned = False
        self._token: trio.lowlevel.TrioToken | None = None
        self._ended = trio.Event()

    def _put(self, entry: Entry, size: int) -> int:
        """Queue an entry and return its ticket. Never waits."""
        if self._token is None:
            self._start()
        ticket = super()._put(entry, size)
        self.unflushed = True
        if len(self._queue) >= GROUP or self.full:
            self.flush()
        return ticket

    def flush(self) -> None:
        """Hand what was appended to the thread. Waits for nothing."""
        if self.unflushed:
            self.unflushed = False
            self._handed.put(self._unqueue())

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
            self.flush()
            self._handed.put(None)
            self._hurry.set()
        with trio.move_on_after(self.patience, shield=True):
            await self._ended.wait()
        self._abandoned = True
        self._hurry.set()
        if lost := self._issued - self._settled:
            reason = self.trouble or "the writer did not finish in time"
            self._break(JournalError(f"{self.name}: closed with {lost} records not written: {reason}"))
            self._raise_failure()

    def _release_readers(self) -> None:
        """Give back what reading opened. Called once, when the store closes."""

    # What follows runs in the writer thread; it talks to the rest through `_handed`, `_hurry` and `run_sync_soon` only.

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
        """Write all that was handed over. Returns False when nothing more will be."""
        handed = self._handed.get()
        if handed is None:
            return False
        group, size = handed
        last = False
        with suppress(Empty):
            while not last:
                handed = self._handed.get_nowait()
                if handed is None:
                    last = True
                else:
                    group += handed[0]
                    size += handed[1]
        delay, longest = self._retry
        while True:
            try:
                sink.write(group)
            except JournalFull as exc:
                self._tell(token, self._stall, str(exc))
                if self._rest(delay):
                    return False
                # Who closes waits only so long: the disk may have room again any time.
                delay = self._retry[0] if self._closed else min(2 * delay, longest)
            else:
                self._tell(token, self._settle_group, len(group), size)
                return not last

    def _rest(self, seconds: float) -> bool:
        """Sleep before the next try; closing wakes at once. Returns whether to give up."""
        self._hurry.wait(seconds)
        self._hurry.clear()
        return self._abandoned

    def _settle_group(self, count: int, size: int) -> None:
        self._settle(self._settled + count, size)

    def _tell(self, token: trio.lowlevel.TrioToken, report: Callable[..., object], *args: object) -> None:
        """Run `report` in the Trio thread. When that run is over nobody waits: write what is there, and end."""
        try:
            token.run_sync_soon(report, *args)
        except trio.RunFinishedError:
            if self._queue:
                self._handed.put(self._unqueue())
            self._handed.put(None)
