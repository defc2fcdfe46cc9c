"""How paths are shortened for people. Pure."""

from typing import Final

WIDTH: Final = 35


def shortened(path: str, width: int = WIDTH) -> str:
    """Return a relative path of at most `width` characters: its first folder, dots, and as much of its end as fits."""
    if len(path) <= width:
        return path
    names = [name for name in path.split("/") if name]
    if len(names) < 2:
        return _middle_out(path, width)
    first, *between, last = names
    tail = last
    for name in reversed(between):
        if len(f"{first}/.../{name}/{tail}") > width:
            break
        tail = f"{name}/{tail}"
    room = width - len(f"/.../{tail}")
    if room >= 1:
        return f"{_start(first, room)}/.../{tail}"
    for shorter in (f".../{last}", last):
        if len(shorter) <= width:
            return shorter
    return _middle_out(path, width)


def _start(name: str, room: int) -> str:
    if len(name) <= room:
        return name
    return name[:room] if room <= 3 else f"{name[: room - 3]}..."


def _middle_out(path: str, width: int) -> str:
    keep = (width - 3) // 2
    return f"{path[:keep]}...{path[len(path) - keep :]}"
