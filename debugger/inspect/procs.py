"""The processes of a machine as /proc has them, and which of them a session's process groups hold or have lost.

`table` reads /proc; all else is pure. No command line is read: it may hold what is secret.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from attrs import frozen

from debugger.inspect.plain import Shown

STOPPED: Final = frozenset("TtZX")
"""States in which a process does nothing: stopped, traced, or dead and not yet taken away."""
MOST: Final = 200
"""Processes that are told of one session."""
PROC: Final = Path("/proc")


@frozen
class Process:
    """One process. `state` is the kernel's letter: R, S, D, T, t, Z and so on."""

    id: int
    name: str
    state: str
    parent: int
    group: int

    @property
    def row(self) -> Shown:
        """The process as it is shown."""
        return {"pid": self.id, "name": self.name, "state": self.state, "parent": self.parent, "group": self.group}


def table(proc: Path = PROC) -> dict[int, Process]:
    """Return all processes by id. One that ends meanwhile is left out. Empty where there is no /proc."""
    found = {}
    try:
        names = os.listdir(proc)
    except OSError:
        return {}
    for name in names:
        if name.isdecimal():
            process = _read(f"{proc}/{name}/stat")
            if process is not None:
                found[process.id] = process
    return found


def _read(path: str) -> Process | None:
    try:
        with open(path, "rb") as file:
            return parsed(file.read())
    except OSError:
        return None


def parsed(stat: bytes) -> Process | None:
    """Return what a line of /proc/PID/stat says, or None where it says nothing. A name may hold brackets and blanks."""
    head, found, tail = stat.rpartition(b")")
    number, _, name = head.partition(b" (")
    rest = tail.split()
    if not found or len(rest) < 3 or not number.isdigit():
        return None
    return Process(int(number), name.decode("utf-8", "replace"), rest[0].decode(), int(rest[1]), int(rest[2]))


def groups_of(groups: Iterable[int], known: Mapping[int, Process], *, frozen: bool) -> Shown:
    """Return `groups` with their `processes`, `escaped` (descendants that left their group, and run on in a pause),
    `frozen` (whether they should stand still) and `wholly` (whether all of them do; None where nothing is frozen).

    A descendant is found by parent ids: one whose parent has ended belongs to somebody else by now, and is not seen.
    """
    wanted = sorted(groups)
    held = {group: [one for one in known.values() if one.group == group] for group in wanted}
    escaped = _escaped(held, known)
    still = all(one.state in STOPPED for some in held.values() for one in some) and not escaped
    return {
        "groups": [
            {"group": group, "processes": [one.row for one in some[:MOST]], "more": max(0, len(some) - MOST)}
            for group, some in held.items()
        ],
        "escaped": [one.row for one in escaped[:MOST]],
        "frozen": frozen,
        "wholly": still if frozen else None,
        "sentence": _sentence(held, escaped, frozen),
    }


def _escaped(held: Mapping[int, list[Process]], known: Mapping[int, Process]) -> list[Process]:
    below: dict[int, list[Process]] = {}
    for one in known.values():
        below.setdefault(one.parent, []).append(one)
    queue = [one for some in held.values() for one in some]
    seen = {one.id for one in queue}
    found = []
    while queue:
        for child in below.get(queue.pop().id, ()):
            if child.id in seen:
                continue
            seen.add(child.id)
            queue.append(child)
            if child.state not in "ZX":
                found.append(child)
    return sorted(found, key=lambda one: one.id)


def _sentence(held: Mapping[int, list[Process]], escaped: list[Process], frozen: bool) -> str:
    count = sum(map(len, held.values()))
    if not held:
        return "no processes"
    if not frozen:
        return f"{count} {'process runs' if count == 1 else 'processes run'}"
    moving = [one for some in held.values() for one in some if one.state not in STOPPED]
    named = ", ".join(f"{one.name} ({one.id})" for one in [*moving, *escaped][:10])
    if not named:
        return f"wholly frozen: {count} {'process stands' if count == 1 else 'processes stand'} still"
    return f"not fully frozen: {named} {'runs' if len(moving) + len(escaped) == 1 else 'run'} on"
