"""Reading small files with care. Opens no pipe and no device, reads no more than was said, writes nothing."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

LARGEST: Final = 4 << 20
"""Bytes of a settings, trust or .env file. What is larger is refused."""


def read_text(path: Path | str, limit: int = LARGEST) -> str | None:
    """Return the text of a regular file, or None where there is none. What is no UTF-8 becomes U+FFFD.

    Raises OSError, also for what is no regular file (a pipe would make us wait) or has more bytes than `limit`.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as exc:
        raise OSError(0, "no name of a file") from exc
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(0, "not a regular file")
        content = _drained(handle, limit)
    finally:
        os.close(handle)
    if len(content) > limit:
        raise OSError(0, f"more than {limit} bytes")
    return content.decode("utf-8", "replace").removeprefix("\ufeff")


def _drained(handle: int, limit: int) -> bytes:
    pieces: list[bytes] = []
    room = limit + 1
    while room > 0 and (piece := os.read(handle, min(room, 1 << 20))):
        pieces.append(piece)
        room -= len(piece)
    return b"".join(pieces)


def tilde(path: Path | str, home: Path | str) -> str:
    """Return a path as a person writes it: `~` for the home folder."""
    text, base = str(path), str(home).rstrip("/")
    return f"~{text[len(base) :]}" if base and text.startswith(f"{base}/") else text


def inside(path: str, folder: str) -> bool:
    """Whether an absolute path is the folder or below it. Looks at no links."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def system_fault(path: str, look: Callable[[str], os.stat_result] = os.lstat) -> str | None:
    """Say why a system file must not be used: it, or a folder above it, is not root's alone. None if it may be."""
    for place in _chain(os.path.abspath(path), os.path.realpath(path)):
        try:
            status = look(place)
        except OSError as exc:
            return f"{place}: {exc.strerror}"
        if status.st_uid != 0:
            return f"{place} does not belong to root"
        if not stat.S_ISLNK(status.st_mode) and status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return f"{place} can be written by others than root"
    return None


def _chain(*paths: str) -> Iterator[str]:
    """Every path with all folders above it, once each."""
    seen: set[str] = set()
    for path in paths:
        while path not in seen:
            seen.add(path)
            yield path
            path = os.path.dirname(path)
