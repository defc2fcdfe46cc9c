"""The tasks of one open prompt, in a nursery of their own. Knows nothing of what they do."""

from collections.abc import Awaitable, Callable

import trio
from attrs import define, field

from runtime.step.outstanding import Key


@define(eq=False)
class Task:
    """An effect under way. Once `stale`, what it still brings is dropped: the state it spoke to is gone.

    `started` is when it was wanted, in seconds of Trio's clock.
    """

    key: Key
    started: float = 0.0
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    stale: bool = False

    def stop(self) -> None:
        """Cancel it, and let nothing of it count."""
        self.stale = True
        self.scope.cancel()


Work = Callable[[Task], Awaitable[None]]


def name_of(key: Key) -> str:
    """Return the name that the Trio task of an effect has."""
    return "/".join(map(str, key))


@define(eq=False)
class PromptTasks:
    """Runs effects of a prompt until the prompt is over. `run` is started once, by the daemon's nursery."""

    tasks: dict[Key, Task] = field(factory=dict)
    _waiting: list[tuple[Task, Work]] = field(factory=list)
    _nursery: trio.Nursery | None = None
    _over: trio.Event = field(factory=trio.Event)

    async def run(self) -> None:
        """Keep the nursery open until `stop`."""
        if self._over.is_set():
            return
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for task, work in self._waiting:
                nursery.start_soon(self._work, task, work, name=name_of(task.key))
            self._waiting.clear()
            await self._over.wait()
            nursery.cancel_scope.cancel()

    @property
    def running(self) -> "frozenset[trio.lowlevel.Task]":
        """The Trio tasks of the effects that run; what they have started themselves hangs below them."""
        return self._nursery.child_tasks if self._nursery is not None else frozenset()

    def start(self, key: Key, work: Work) -> None:
        """Start an effect; one of the same key that still runs is stopped."""
        older = self.tasks.get(key)
        if older is not None:
            older.stop()
        task = self.tasks[key] = Task(key, trio.current_time())
        if self._nursery is None:
            self._waiting.append((task, work))
        else:
            self._nursery.start_soon(self._work, task, work, name=name_of(key))

    def prune(self, live: frozenset[Key]) -> None:
        """Stop what the state no longer waits for."""
        for key in [key for key in self.tasks if key not in live]:
            self.tasks.pop(key).stop()

    def stop(self) -> None:
        """Stop everything; the nursery closes."""
        self.prune(frozenset())
        self._over.set()

    async def _work(self, task: Task, work: Work) -> None:
        with task.scope:
            await work(task)
        if self.tasks.get(task.key) is task:
            del self.tasks[task.key]
