"""Cancels something at each of its steps: when its task is about to go on, and when it has begun to wait."""

from collections.abc import Awaitable, Callable
from typing import Final

import trio

MOST: Final = 200
"""More steps than one request has, by far."""


class _Cancelling(trio.abc.Instrument):
    def __init__(self, scope: trio.CancelScope, step: int, waiting: bool) -> None:
        self.left = step
        self._scope = scope
        self._waiting = waiting
        self._task = trio.lowlevel.current_task()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._count(task, not self._waiting)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self._count(task, self._waiting)

    def _count(self, task: trio.lowlevel.Task, here: bool) -> None:
        if here and task is self._task and self.left:
            self.left -= 1
            if not self.left:
                self._scope.cancel()


async def cancelled_at(step: int, act: Callable[[], Awaitable[object]], *, waiting: bool) -> bool:
    """Cancel `act` at a step, counted from 1. Returns False when it has not so many.

    With `waiting` the cancellation meets a task that waits; without, one whose wait has just ended: it does not hear
    of it before its next checkpoint, the place where cleaning up is forgotten most easily.
    """
    with trio.CancelScope() as scope:
        instrument = _Cancelling(scope, step, waiting)
        trio.lowlevel.add_instrument(instrument)
        try:
            await act()
        finally:
            trio.lowlevel.remove_instrument(instrument)
    return not instrument.left
