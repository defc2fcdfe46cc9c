"""Which processes of this machine a session's process groups hold, and which they have lost.

`table` reads /proc; all else is pure.
"""

from collections.abc import Collection, Mapping
from typing import Final

from debugger.inspect.plain import Shown, cut
from runtime.tools.proctable import Process, processes

STOPPED: Final = frozenset("TtZX")
"""States in which a process does nothing: stopped, traced, or dead and not yet taken away."""
MOST: Final = 200
"""Processes that are told of one session."""


def table() -> dict[int, Process]:
    """Return all processes by id. Empty where there is no /proc."""
    return {one.pid: one for one in processes()}


def _row(one: Process) -> Shown:
    return {"pid": one.pid, "name": one.name, "state": one.state, "parent": one.parent, "group": one.group}


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
                "processes": [_row(one) for one in some[:MOST]],
                "more": max(0, len(some) - MOST),
            }
            for group, some in held.items()
        ],
        "escaped": [_row(one) for one in _escaped(held, held, known)[:MOST]],
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
    seen = {one.pid for one in queue}
    found = []
    while queue:
        for child in below.get(queue.pop().pid, ()):
            if child.pid in seen:
                continue
            seen.add(child.pid)
            queue.append(child)
            if child.state not in "ZX" and child.group not in held:
                found.append(child)
    return sorted(found, key=lambda one: one.pid)


def _sentence(held: _Groups, still: _Groups, moving: list[Process]) -> str:
    running = sum(len(some) for group, some in held.items() if group not in still)
    frozen = sum(map(len, still.values()))
    found = [f"{running} {'process runs' if running == 1 else 'processes run'}"] if running else []
    if moving:
        named = ", ".join(f"{one.name} ({one.pid})" for one in moving[:10])
        found.append(f"not fully frozen: {named} {'runs' if len(moving) == 1 else 'run'} on")
    elif still:
        found.append(f"wholly frozen: {frozen} {'process stands' if frozen == 1 else 'processes stand'} still")
    return "; ".join(found) or "no processes"
