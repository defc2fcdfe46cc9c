"""A copy of the folder that a session works in, next to it, for a fork of that session.

It is bounded, and made in a thread: no other session waits for it. What cannot be copied as it is (a socket, a pipe, a
device) is left out; a link stays a link. Either the whole copy is there in the end, or nothing of it.
"""

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import trio
from attrs import frozen

from runtime.errors import InputError

MOST_FILES: Final = 20_000
MOST_BYTES: Final = 1 << 28
"""Files and bytes of a folder that is copied; of a larger one, the fork shares it or is not made."""
STEP: Final = 100
"""Files between two reports."""
Told = Callable[[int, int], None]
"""Takes how many files are copied, and how many there are."""


@frozen
class _Found:
    """One thing in the folder: its path in it, and its mode."""

    path: Path
    mode: int


async def copied(folder: Path, name: str, told: Told = lambda done, total: None) -> Path:
    """Copy a folder to `FOLDER.name` beside it, and return that. Raises InputError where it is too large or cannot be
    read or written, or where there is such a folder already; then nothing of the copy stays."""
    target = folder.with_name(f"{folder.name}.{name}")
    return await trio.to_thread.run_sync(_copied, folder, target, told)


def removed(folder: Path) -> None:
    """Remove a copy that nobody works in."""
    shutil.rmtree(folder, ignore_errors=True)


def _copied(folder: Path, target: Path, told: Told) -> Path:
    partial = target.with_name(f"{target.name}.partial")
    try:
        if not folder.is_dir():
            raise InputError(f"workspace: {folder} is no folder")
        if target.exists():
            raise InputError(f"workspace: there is a folder {target} already")
        found = _measured(folder)
        partial.mkdir()
        try:
            for count, one in enumerate(found, 1):
                trio.from_thread.check_cancelled()
                _copy(folder, partial, one)
                if count % STEP == 0 or count == len(found):
                    trio.from_thread.run_sync(told, count, len(found))
            partial.rename(target)
        finally:
            removed(partial)
    except OSError as exc:
        raise InputError(f"workspace: {folder} cannot be copied to {target} ({exc.strerror})") from exc
    return target


def _measured(folder: Path) -> list[_Found]:
    """What there is to copy, folders before what is in them. Raises InputError where it is too much."""
    found: list[_Found] = []
    size = 0
    for path, info in _walk(folder):
        trio.from_thread.check_cancelled()
        if not (stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode) or stat.S_ISLNK(info.st_mode)):
            continue
        found.append(_Found(path.relative_to(folder), info.st_mode))
        size += info.st_size if stat.S_ISREG(info.st_mode) else 0
        if len(found) > MOST_FILES or size > MOST_BYTES:
            limits = f"{MOST_FILES:,} files or {MOST_BYTES >> 20} MB"
            raise InputError(f"workspace: {folder} has more than {limits}, and is not copied")
    return found


def _walk(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    with os.scandir(folder) as entries:
        inside = sorted(entries, key=lambda one: one.name)
    for one in inside:
        yield Path(one.path), one.stat(follow_symlinks=False)
        if one.is_dir(follow_symlinks=False):
            yield from _walk(Path(one.path))


def _copy(folder: Path, target: Path, one: _Found) -> None:
    source, made = folder / one.path, target / one.path
    if stat.S_ISLNK(one.mode):
        made.symlink_to(source.readlink())
    elif stat.S_ISDIR(one.mode):
        made.mkdir()
    else:
        shutil.copy2(source, made, follow_symlinks=False)
