"""The commands that `exec` has started: owns each of them from its start to its end, and tells nobody what to do.

A command belongs to a session. It is read and watched by a task of its own, in the foreground as in the background, so
a call can let go of it at any time. How many run, how many ended ones are kept and how much of their output, is
bounded. When the registry is closed, or a session is forgotten, whole process groups are ended, and so is what an ended
command left running in its group.
"""

import math
import os
import signal
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Literal, Self, TypeVar

import trio
from attrs import define, field, frozen

from runtime.errors import TwinstepError
from runtime.ports import Chance, Clock
from runtime.tools import processes
from runtime.tools.claw import names
from runtime.tools.claw.output import Output
from runtime.tools.claw.terminal import Started, more, started
from runtime.tools.shell import ended_drained

MOST_OF_SESSION: Final = 32
"""Commands of one session that run at a time."""
MOST: Final = 256
"""Commands of all sessions that run at a time."""
MOST_ENDED: Final = 50
"""Ended commands that are remembered."""
REMEMBERED: Final = 1_800_000
"""Milliseconds for which an ended command is remembered."""
PROGRESS: Final = 0.25
"""Seconds between two reports of progress."""
WRITING: Final = 10.0
"""Seconds that a command may take to read what is written to it."""

Reason = Literal["exit", "signal", "overall-timeout", "manual-cancel"]


class TooMany(TwinstepError):
    """No further command may be started now."""

    code = "too_many"


class NotTaken(TwinstepError):
    """A command does not take what is written to it."""

    code = "not_taken"


@frozen
class End:
    """How a command ended: with a code or by a signal, why, and when (milliseconds since 1970)."""

    code: int | None
    signal: str | None
    reason: Reason
    wall: int
    milliseconds: int

    @property
    def completed(self) -> bool:
        """Whether it ran to its end. What the shell could not find or start did not."""
        return self.reason == "exit" and self.code not in (126, 127)


@define(eq=False)
class Job:
    """One command. `background` says that the call that started it has let go of it."""

    id: str
    session: str
    command: str
    folder: str
    begun: int
    mono: int
    running: Started
    output: Output = field(factory=Output)
    end: End | None = None
    background: bool = False
    polls: int = 0
    """Looks in a row that found nothing new."""
    heard: int = 0
    """When something was printed last, in milliseconds since 1970."""
    input_closed: bool = False
    live: Callable[[str], None] | None = None
    reason: Reason | None = None
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    over: trio.Event = field(factory=trio.Event)
    news: trio.Event = field(factory=trio.Event)
    left: dict[int, int] = field(factory=dict)
    """Processes that it left in its group when it ended."""

    @property
    def pid(self) -> int:
        """Its process, which leads its group."""
        return self.running.process.pid

    @property
    def writable(self) -> bool:
        """Whether it takes input."""
        return self.running.input is not None and self.end is None and not self.input_closed

    def stop(self, reason: Reason) -> None:
        """Have it ended, if it has not been told so already."""
        if self.end is None and self.reason is None:
            self.reason = reason
            self.scope.cancel()

    def limit(self, seconds: float) -> None:
        """Have it ended when this time is over."""
        self.scope.deadline = min(self.scope.deadline, trio.current_time() + seconds)

    async def write(self, data: bytes) -> None:
        """Write to its terminal. Raises NotTaken."""
        stream = self.running.input
        if stream is None or not self.writable:
            raise NotTaken("stdin is not writable")
        with trio.move_on_after(WRITING) as scope:
            try:
                await stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                raise NotTaken("stdin is closed") from exc
            except trio.BusyResourceError as exc:
                raise NotTaken("something else is being written") from exc
        if scope.cancelled_caught:
            raise NotTaken(f"nothing was read for {WRITING:.0f} s")

    async def changed(self, seconds: float) -> None:
        """Wait until something was printed or it has ended, at most so long."""
        with trio.move_on_after(seconds):
            await self.news.wait()

    def tell(self) -> None:
        """Wake whoever waits for something new."""
        self.news.set()
        self.news = trio.Event()


END_SECONDS: Final = 15.0
"""How long the end of the gateway waits for commands that are being killed."""


@define(eq=False)
class Background:
    """The registry; `async with` it. `ended` is told of commands that ended after their call had let go of them."""

    clock: Clock
    chance: Chance
    ended: Callable[[Job], None] = field(default=lambda job: None)
    _jobs: dict[str, Job] = field(factory=dict)
    _nursery: trio.Nursery | None = None
    _stack: AsyncExitStack = field(factory=AsyncExitStack)

    async def __aenter__(self) -> Self:
        self._nursery = await self._stack.enter_async_context(trio.open_nursery())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> bool:
        nursery, self._nursery = self._nursery, None
        with trio.move_on_after(END_SECONDS, shield=True):
            await self._finish(self._jobs.values())
        if nursery is not None:
            nursery.cancel_scope.cancel()
        return bool(await self._stack.__aexit__(kind, exc, trace))  # noqa: ASYNC102 - waits for what is cancelled

    async def start(
        self, session: str, command: str, folder: str, environ: Mapping[str, str], *, pty: bool = False
    ) -> Job:
        """Start a command. Raises TooMany and NotStarted."""
        if self._nursery is None:
            raise TooMany("The gateway is about to end; no command is started any more.")
        self._tidy()
        running = [job for job in self._jobs.values() if job.end is None]
        if len(running) >= MOST or sum(job.session == session for job in running) >= MOST_OF_SESSION:
            raise TooMany(f"{len(running)} commands run already. End one with process before you start another.")
        now = self.clock.wall()
        mono = self.clock.mono()
        begun = await started(command, folder, environ, pty=pty)
        job = Job(names.fresh(self.chance.random, self._jobs), session, command, folder, now, mono, begun, heard=now)
        self._jobs[job.id] = job
        self._nursery.start_soon(self._watched, job)
        return job

    def of(self, session: str) -> list[Job]:
        """Return the commands of a session that it was told of, the latest first."""
        self._tidy()
        mine = [job for job in self._jobs.values() if job.session == session and job.background]
        return sorted(mine, key=lambda job: -job.begun)

    def get(self, session: str, name: str) -> Job | None:
        """Return a command of a session by its name."""
        self._tidy()
        job = self._jobs.get(name)
        return job if job is not None and job.session == session and job.background else None

    def drop(self, job: Job) -> None:
        """Forget a command; one that still runs is ended."""
        job.stop("manual-cancel")
        job.background = False
        if job.end is not None and not job.left:
            self._jobs.pop(job.id, None)

    async def forget(self, session: str) -> None:
        """End all commands of a session, and what they have left running, and forget them."""
        await self._finish([job for job in self._jobs.values() if job.session == session])

    async def _finish(self, jobs: Iterable[Job]) -> None:
        """End these commands and forget them. Takes a few seconds at most, whoever cancels it."""
        ending = list(jobs)
        with trio.move_on_after(2 * processes.TIME, shield=True):
            for job in ending:
                job.stop("manual-cancel")
            for job in ending:
                await job.over.wait()
            await _swept({process: begun for job in ending for process, begun in job.left.items()})
        for job in ending:
            self._jobs.pop(job.id, None)

    async def _watched(self, job: Job) -> None:
        """Read what a command prints until nobody can print any more and it has ended, or it is stopped."""
        process, stream, _ = job.running

        async def read() -> bytes:
            data = await more(stream)
            job.output.feed(data)
            job.heard = self.clock.wall() if data else job.heard
            job.tell()
            return data

        try:
            with job.scope:
                reported = -math.inf
                while await read():
                    if job.live is not None and trio.current_time() - reported >= PROGRESS:
                        reported = trio.current_time()
                        job.live = _told(job.live, job.output.tail)
                await process.wait()
        finally:
            if process.returncode is None or job.scope.cancel_called:
                with trio.move_on_after(processes.TIME, shield=True):
                    await ended_drained(process, read)
            stream.close()
            self._close(job)

    def _close(self, job: Job) -> None:
        """Note how a command ended."""
        process = job.running.process
        job.output.feed(b"", last=True)
        code = process.returncode
        reason = job.reason or ("overall-timeout" if job.scope.cancelled_caught else "exit")
        if reason == "exit" and (code is None or code < 0):
            reason = "signal"
        name = "SIGKILL" if code is None else signal.Signals(-code).name if code < 0 else None
        took = (self.clock.mono() - job.mono) // 1_000_000
        job.end = End(code if name is None else None, name, reason, self.clock.wall(), took)
        job.left = processes.survivors(process.pid)
        job.live = None
        job.over.set()
        job.tell()
        if job.background:
            _told(self.ended, job)
        elif not job.left:
            self._jobs.pop(job.id, None)

    def _tidy(self) -> None:
        """Forget what ended long ago, and the oldest of what is too much. What left processes behind is not told of
        any more, but kept for as long as they run."""
        now = self.clock.wall()
        past = sorted((job for job in self._jobs.values() if job.end is not None), key=lambda job: job.begun)
        told = [job for job in past if job.background]
        for place, job in enumerate(told):
            assert job.end is not None
            if place < len(told) - MOST_ENDED or now - job.end.wall > REMEMBERED:
                job.background = False
        for job in past:
            if not job.background:
                job.left = {process: begun for process, begun in job.left.items() if processes.same(process, begun)}
                if not job.left:
                    self._jobs.pop(job.id, None)


T = TypeVar("T")


def _told(listener: Callable[[T], None], news: T) -> Callable[[T], None] | None:
    """Tell a listener; None if it failed, for then it is not told again. The command goes on."""
    try:
        listener(news)
    except Exception:  # noqa: BLE001 - whoever watches must not be able to end what is watched
        return None
    return listener


async def _swept(left: Mapping[int, int]) -> None:
    """End processes that are still the ones that were left behind."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        found = [process for process, begun in left.items() if processes.same(process, begun)]
        for process in found:
            try:
                os.kill(process, number)
            except (ProcessLookupError, PermissionError):
                continue
        if not found:
            return
        if number is signal.SIGTERM:
            await trio.sleep(processes.GRACE)
