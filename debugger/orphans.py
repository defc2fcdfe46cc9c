"""Reaps the orphans that a child subreaper is given, and nothing that the program started itself.

Whoever starts a process waits for it, and its exit status belongs to him. So an ended child is reaped here only

- if it is in a session that is neither ours nor its own: a process that we start is in our session or leads its own,
  and nobody can join another; or
- if it has been a zombie for `PATIENCE` seconds and no pidfd of ours names it. Trio holds one for each process that it
  started until somebody has waited for it.

Whoever starts processes past Trio, and waits for them later than that, would lose their exit status.
"""

import math
import os
import signal
from collections.abc import Iterator
from typing import Final

import trio
from attrs import define, field

from runtime.tools.proctable import Process, look, processes

PATIENCE: Final = 10.0
AGAIN: Final = 1.0
"""Seconds after which it is looked again, as long as there is an ended child that is not reaped."""


@define(eq=False)
class Orphans:
    """The ended children of this process that nobody else will reap. `reaped` counts those that were."""

    reaped: int = 0
    _suspects: dict[tuple[int, int], float] = field(factory=dict)

    async def run(self, *, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Reap until cancelled. Looks when a child ended; only in the main thread, which gets the signal."""
        with trio.open_signal_receiver(signal.SIGCHLD) as signals:
            task_status.started()
            while True:
                left = await self.sweep(trio.current_time())
                with trio.move_on_after(AGAIN if left else math.inf):
                    await anext(signals)

    async def sweep(self, now: float) -> bool:
        """Reap what may be reaped now. Returns whether an ended child is left."""
        while (pid := _first_ended()) is not None:
            child = look(pid)
            if child is None or not self._is_strange(child) or not self._reap(pid):
                break
        else:
            self._suspects.clear()
            return False
        # Whoever started the first one has not waited for it yet, or nobody will: look at all, which takes longer.
        if self._suspects or child is None:
            await self._look_at_all(now)
        else:
            self._suspects[child.pid, child.began] = now
        return True

    async def _look_at_all(self, now: float) -> None:
        ended = await trio.to_thread.run_sync(lambda: list(_ended_children()))
        for child in [one for one in ended if self._is_strange(one)]:
            self._reap(child.pid)
        rest = {(one.pid, one.began): one for one in ended if not self._is_strange(one)}
        self._suspects = {key: self._suspects.get(key, now) for key in rest}
        late = [key for key, since in self._suspects.items() if now - since >= PATIENCE]
        if late:
            ours = await trio.to_thread.run_sync(_held)
            for key in late:
                if key[0] not in ours:
                    self._reap(key[0])
                    del self._suspects[key]

    def _is_strange(self, child: Process) -> bool:
        """Whether the child is in a session in which nothing is that we started."""
        return child.session not in (os.getsid(0), child.pid)

    def _reap(self, pid: int) -> bool:
        try:
            done = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG) is not None
        except ChildProcessError:
            return False  # somebody was faster
        self.reaped += done
        return done


def _first_ended() -> int | None:
    """Return a child that has ended, without reaping it."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return found.si_pid if found is not None else None


def _ended_children() -> Iterator[Process]:
    me = os.getpid()
    return (one for one in processes() if one.parent == me and one.state == "Z")


def _held() -> frozenset[int]:
    """Return the pids for which this process has a pidfd."""
    found: set[int] = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            if "pidfd" in os.readlink(f"/proc/self/fd/{name}"):
                found.add(_pid_of(name))  # -1 where a file merely has that name
        except OSError:
            continue  # closed meanwhile
    return frozenset(found)


def _pid_of(name: str) -> int:
    with open(f"/proc/self/fdinfo/{name}", encoding="ascii") as file:
        for line in file:
            if line.startswith("Pid:"):
                return int(line.split()[1])
    return -1
