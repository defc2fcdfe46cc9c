"""The processes of a machine as /proc has them, and which of them a session's process groups hold or have lost.

`table` reads /proc; all else is pure. No command line is read: it may hold what is secret.
"""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from attrs import frozen

from debugger.inspect.plain import Shown, cut

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


def groups_of(owners: Mapping[int, str], known: Mapping[int, Process], stopped: Collection[int] = ()) -> Shown:
    """Return `groups` with `call`, `stopped` and `processes`; `escaped`, the descendants that left their group and run
    on in a pause; `frozen` (whether any group should stand still); and `wholly` (whether all that should stand still
    does; None where nothing should).

    `owners` has the call of each group, `stopped` the groups that are held still. A descendant is found by parent ids:
    one whose parent has ended belongs to somebody else by now, and is not seen.
    """
    held = {group: [one for one in known.values() if one.group == group] for group in sorted(owners)}
    still = {group: some for group, some in held.items() if group in stopped}
    moving = [one for some in still.values() for one in some if one.state not in STOPPED] + _escaped(still, held, known)
    return {
        "groups": [
            {
                "group": group,
                "call": cut(owners[group], 200),
                "stopped": group in still,
                "processes": [one.row for one in some[:MOST]],
                "more": max(0, len(some) - MOST),
            }
            for group, some in held.items()
        ],
        "escaped": [one.row for one in _escaped(held, held, known)[:MOST]],
        "frozen": bool(still),
        "wholly": not moving if still else None,
        "sentence": _sentence(held, still, moving),
    }


_Groups = Mapping[int, list[Process]]


def _escaped(some: _Groups, held: _Groups, known: Mapping[int, Process]) -> list[Process]:
    """The descendants of some of the groups that are held, in none of these."""
    below: dict[int, list[Process]] = {}
    for one in known.values():
        below.setdefault(one.parent, []).append(one)
    queue = [one for members in some.values() for one in members]
    seen = {one.id for one in queue}
    found = []
    while queue:
        for child in below.get(queue.pop().id, ()):
            if child.id in seen:
                continue
            seen.add(child.id)
            queue.append(child)
            if child.state not in "ZX" and child.group not in held:
                found.append(child)
    return sorted(found, key=lambda one: one.id)


def _sentence(held: _Groups, still: _Groups, moving: list[Process]) -> str:
    running = sum(len(some) for group, some in held.items() if group not in still)
    frozen = sum(map(len, still.values()))
    found = [f"{running} {'process runs' if running == 1 else 'processes run'}"] if running else []
    if moving:
        named = ", ".join(f"{one.name} ({one.id})" for one in moving[:10])
        found.append(f"not fully frozen: {named} {'runs' if len(moving) == 1 else 'run'} on")
    elif still:
        found.append(f"wholly frozen: {frozen} {'process stands' if frozen == 1 else 'processes stand'} still")
    return "; ".join(found) or "no processes"
