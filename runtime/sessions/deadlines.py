"""Deadlines of one session, which freeze with it: a paused session times nothing out, and goes on with what was left.

Leases, authentication and shutdown do not belong here: those must not freeze (DESIGN f.4).
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import trio
from attrs import define, field, frozen


@define(eq=False)
class _Timer:
    scope: trio.CancelScope
    left: float
    name: str
    call: str
    seconds: float
    task: trio.lowlevel.Task
    running: bool = False

    def run(self, running: bool, now: float) -> None:
        """Let its clock run with what is left, or stop it and keep that."""
        if running is self.running:
            return
        self.running = running
        if running:
            self.scope.deadline = now + self.left
        else:
            self.left = max(0.0, self.scope.deadline - now)
            self.scope.deadline = float("inf")

    def remaining(self, now: float) -> float:
        """How many seconds it has left."""
        return max(0.0, self.scope.deadline - now) if self.running else self.left


@frozen
class Deadline:
    """An open deadline: what for, how long it was set for and what is left of it, in seconds, whether its clock runs,
    and the Trio task that opened it."""

    name: str
    call: str
    seconds: float
    left: float
    running: bool
    task: trio.lowlevel.Task


@define(eq=False)
class Deadlines:
    """Open deadlines of a session. `freeze` keeps the remainder of each, `thaw` arms them again with it.

    With `only`, the deadlines of all calls but that one stand still even in a session that goes on.
    """

    frozen: bool = False
    only: str = ""
    _timers: dict[_Timer, None] = field(factory=dict)

    def within(
        self, seconds: float, name: str = "", call: str = ""
    ) -> "AbstractContextManager[trio.CancelScope, bool]":
        """Open a cancel scope that ends after `seconds` of unfrozen time. Opened while frozen, it starts frozen.

        `name` and `call` say what for, to whoever looks into the session.
        """
        opened: AbstractContextManager[trio.CancelScope, bool] = self._within(seconds, name, call)  # type: ignore[assignment]
        return opened

    @contextmanager
    def _within(self, seconds: float, name: str, call: str) -> Iterator[trio.CancelScope]:
        with trio.CancelScope() as scope:
            timer = _Timer(scope, seconds, name, call, seconds, trio.lowlevel.current_task())
            timer.run(self._runs(timer), trio.current_time())
            self._timers[timer] = None
            try:
                yield scope
            finally:
                self._timers.pop(timer, None)

    async def sleep(self, seconds: float, name: str = "") -> None:
        """Sleep for `seconds` of unfrozen time."""
        with self.within(seconds, name):
            await trio.sleep_forever()

    def freeze(self) -> None:
        """Stop all clocks of the session. Freezing twice changes nothing."""
        self.frozen = True
        self._settle()

    def thaw(self, only: str = "") -> None:
        """Let the clocks run on with what was left: all of them, or those of one call and of no call."""
        self.frozen, self.only = False, only
        self._settle()

    def jump(self, seconds: float) -> None:
        """Let so much time be gone for each open deadline, as if it had passed."""
        now = trio.current_time()
        for timer in self._timers:
            timer.left = max(0.0, timer.remaining(now) - seconds)
            if timer.running:
                timer.scope.deadline = now + timer.left

    def remaining(self) -> list[float]:
        """Return how many seconds each open deadline has left, the nearest first."""
        return sorted(one.left for one in self.opened())

    def opened(self) -> list[Deadline]:
        """Return the open deadlines with all that is known of them, the oldest first."""
        now = trio.current_time()
        return [
            Deadline(one.name, one.call, one.seconds, one.remaining(now), one.running, one.task) for one in self._timers
        ]

    def _runs(self, timer: _Timer) -> bool:
        return not self.frozen and (not self.only or timer.call in ("", self.only))

    def _settle(self) -> None:
        now = trio.current_time()
        for timer in self._timers:
            timer.run(self._runs(timer), now)
