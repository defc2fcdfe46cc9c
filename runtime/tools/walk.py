"""Goes through folders without following links. Long work is done in slices, so that a cancelled call stops soon.

The order is the one in which the system gives a folder's names, and what is inside a folder comes in its place, as
`find` and `grep -r` do it. Imports nothing heavy: the helper process of `grep_search` uses it as well.
"""

import os
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Final, NamedTuple, TypeVar

T = TypeVar("T")

PASSED_BY: Final = frozenset({"node_modules", ".git", "bower_components", ".svn", ".hg"})
"""Folders that no search enters."""

CLOSED: Final = frozenset({".git", ".env", "node_modules"})
"""Names below the workspace that no tool opens."""

SLICE: Final = 0.05
"""Seconds of work in a thread before the caller is asked whether to go on."""


class Found(NamedTuple):
    """A file below the start: its names from there, its path, and what the folder said about it."""

    names: tuple[str, ...]
    entry: os.DirEntry[str]


def closed_name(name: str) -> bool:
    """Whether a name is closed; case, trailing dots and spaces, and what follows a colon do not help."""
    plain = name.split(":", 1)[0].rstrip(" .").lower()
    return plain in CLOSED or (plain.startswith("gha-creds-") and plain.endswith(".json"))


def anywhere(path: str) -> bool:
    """Enter every folder."""
    return True


def files(start: str, deepest: int | None = None, enters: Callable[[str], bool] = anywhere) -> Iterator[Found | None]:
    """Yield the regular files below `start` (links not followed), at most `deepest` names down.

    Between them comes None for every folder that was read. What cannot be read is passed over.
    """
    stack: list[tuple[tuple[str, ...], Iterator[os.DirEntry[str]]]] = [((), iter(entries(start)))]
    while stack:
        names, rest = stack[-1]
        entry = next(rest, None)
        if entry is None:
            stack.pop()
            continue
        try:
            if entry.is_file(follow_symlinks=False):
                yield Found((*names, entry.name), entry)
            elif (
                (deepest is None or len(names) + 1 < deepest)
                and entry.is_dir(follow_symlinks=False)
                and entry.name not in PASSED_BY
                and enters(entry.path)
            ):
                stack.append(((*names, entry.name), iter(entries(entry.path))))
                yield None
        except OSError:
            continue


def entries(folder: str) -> list[os.DirEntry[str]]:
    """Return what is in a folder, in the system's order; nothing if it cannot be read."""
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []


async def in_slices(work: Iterator[T | None], keep: Callable[[T], None]) -> None:
    """Exhaust `work` in a thread, a slice at a time, and hand what it yields (but None) to `keep`.

    Cancelling takes effect between slices; no thread goes on afterwards. The caller sets the deadline.
    """
    import trio

    while await trio.to_thread.run_sync(_slice, work, keep):
        pass


def _slice(work: Iterator[T | None], keep: Callable[[T], None]) -> bool:
    end = perf_counter() + SLICE
    for item in work:
        if item is not None:
            keep(item)
        if perf_counter() > end:
            return True
    return False
