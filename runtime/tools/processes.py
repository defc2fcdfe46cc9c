"""Child processes: what a process group is made of, and how it is ended. Starts none, reads no output.

Ending is polite first: SIGTERM to the group and to what descends from it in other groups, SIGCONT so that a stopped
process can take it, a short grace, then SIGKILL. A caller that may be cancelled shields it, for at most `TIME`.
"""

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import trio

from runtime.tools.proctable import look, processes

GRACE: Final = 0.5
"""Seconds between SIGTERM and SIGKILL."""
LAST: Final = 5.0
"""Seconds to wait for a killed process to be gone; the kernel needs milliseconds unless it waits for a disk."""
TIME: Final = GRACE + LAST + 1
"""Seconds that ending takes at most."""


async def end(process: trio.Process, quiet: trio.Event | None = None) -> None:
    """End a process that leads its own group and session, and everything that belongs to it.

    `quiet` tells that nobody holds its output any more; with it, the grace covers those that outlive the leader.
    """
    others = strangers(process.pid)
    tell(process.pid, others, signal.SIGTERM)
    tell(process.pid, others, signal.SIGCONT)
    with trio.move_on_after(GRACE):
        await process.wait()
        if quiet is not None:
            await quiet.wait()
    tell(process.pid, {*others, *strangers(process.pid)}, signal.SIGKILL)
    with trio.move_on_after(LAST):
        await process.wait()


async def kill(process: trio.Process) -> None:
    """Kill a helper of our own, which has nothing to tidy up."""
    tell(process.pid, (), signal.SIGKILL)
    with trio.move_on_after(LAST):
        await process.wait()


def tell(group: int, others: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to a group and to single processes; whoever is gone is gone."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
    for process in others:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process, number)


def strangers(leader: int) -> set[int]:
    """Return the processes that belong to a leader but are in another group: of its session, or descended from it.

    Reads /proc; where there is none, the group has to do.
    """
    parents: dict[int, int] = {}
    ours: set[int] = set()
    found: set[int] = set()
    for one in processes():
        parents[one.pid] = one.parent
        if leader in (one.group, one.session):
            ours.add(one.pid)
        if one.session == leader and one.group != leader:
            found.add(one.pid)
    for process in parents:
        line: list[int] = []
        at = process
        while at in parents and at not in ours and at != leader and len(line) < len(parents):
            line.append(at)
            at = parents[at]
        if at in ours or at == leader:
            ours.update(line)
            found.update(line)
    return found - {leader}


def survivors(leader: int) -> dict[int, int]:
    """Return the processes that are left of a leader's group and session, with the time at which each was started.

    A pid may be given to somebody else later; together with that time it means one process only.
    """
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return {}
    except PermissionError:
        pass  # somebody is there
    return {one.pid: one.began for one in processes() if leader in (one.group, one.session)}


def same(process: int, begun: int) -> bool:
    """Whether the process of that pid is still the one that was started then, ended but not reaped included."""
    found = look(process)
    return found is not None and found.began == begun
