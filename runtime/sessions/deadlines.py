"""Deadlines of one session, which freeze with it: a paused session times nothing out, and goes on with what was left.

Leases, authentication and shutdown do not belong here: those must not freeze (DESIGN f.4).
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import trio
from attrs import define, field


@define(eq=False)
class _Timer:
    scope: trio.CancelScope
    left: float


@define(eq=False)
class Deadlines:
    """Open deadlines of a session. `freeze` keeps the remainder of each, `thaw` arms them again with it."""

    frozen: bool = False
    _timers: set[_Timer] = field(factory=set)

    def within(self, seconds: float) -> "AbstractContextManager[trio.CancelScope, bool]":
        """Open a cancel scope that ends after `seconds` of unfrozen time. Opened while frozen, it starts frozen."""
        opened: AbstractContextManager[trio.CancelScope, bool] = self._within(seconds)  # type: ignore[assignment]
        return opened

    @contextmanager
    def _within(self, seconds: float) -> Iterator[trio.CancelScope]:
        with trio.CancelScope() as scope:
            timer = _Timer(scope, seconds)
            if not self.frozen:
                scope.deadline = trio.current_time() + seconds
            self._timers.add(timer)
            try:
                yield scope
            finally:
                self._timers.discard(timer)

    async def sleep(self, seconds: float) -> None:
        """Sleep for `seconds` of unfrozen time."""
        with self.within(seconds):
            await trio.sleep_forever()

    def freeze(self) -> None:
        """Stop all clocks of the session. Freezing twice changes nothing."""
        if self.frozen:
            return
        self.frozen = True
        now = trio.current_time()
        for timer in self._timers:
            timer.left = max(0.0, timer.scope.deadline - now)
            timer.scope.deadline = float("inf")

    def thaw(self) -> None:
        """Let the clocks run on with what was left."""
        if not self.frozen:
            return
        self.frozen = False
        now = trio.current_time()
        for timer in self._timers:
            timer.scope.deadline = now + timer.left

    def remaining(self) -> list[float]:
        """Return how many seconds each open deadline has left."""
        now = trio.current_time()
        return sorted(timer.left if self.frozen else max(0.0, timer.scope.deadline - now) for timer in self._timers)
