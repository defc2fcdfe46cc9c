"""The processes of this machine as the kernel lists them in /proc. Starts none, signals none, reads no command line.

A command line may hold what is secret. Where there is no /proc there are no processes; one that ends meanwhile is left
out.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

PROC: Final = Path("/proc")
_BEGAN: Final = 19
"""The place of the time of the start, counted behind the name (proc_pid_stat(5), field 22)."""


class Process(NamedTuple):
    """What /proc says of a process. `state` is the kernel's letter: R, S, D, T, t, Z and so on.

    `began` is in ticks since the machine started: a pid may be given to somebody else later, and together with that
    time it means one process only.
    """

    pid: int
    name: str
    state: str
    parent: int
    group: int
    session: int
    began: int


def parsed(stat: bytes) -> Process | None:
    """Return what a line of /proc/PID/stat says, or None where it says nothing. A name may hold brackets and blanks."""
    head, found, tail = stat.rpartition(b")")
    number, _, name = head.partition(b" (")
    rest = tail.split()
    if not found or len(rest) <= _BEGAN or not number.isdigit():
        return None
    parent, group, session = map(int, rest[1:4])
    return Process(
        int(number), name.decode("utf-8", "replace"), rest[0].decode(), parent, group, session, int(rest[_BEGAN])
    )


def look(pid: int, proc: Path = PROC) -> Process | None:
    """Return what /proc says of a process, or None if it is not there."""
    try:
        with open(f"{proc}/{pid}/stat", "rb") as file:
            return parsed(file.read())
    except OSError:
        return None


def processes(proc: Path = PROC) -> Iterator[Process]:
    """Yield every process that there is."""
    try:
        names = os.listdir(proc)
    except OSError:
        return
    for name in names:
        if name.isdecimal() and (found := look(int(name), proc)) is not None:
            yield found
