"""Puts a new text in the place of a settings file, whole or not at all. Blocks for the disk: call it in a thread.

Nobody but the owner can read what is written. The text before it is kept beside it as `.bak`. Refuses when the file is
no longer what the change was worked out on.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from runtime.config.openclaw.edit import STALE
from runtime.config.openclaw.issues import Rejected
from runtime.config.openclaw.source import Unreadable, read
from runtime.errors import InputError

KEPT: Final = ".bak"
KEY_BYTES: Final = 32


def write(path: Path, text: str, before: str | None) -> None:
    """Replace the file by `text`. `before` is the text that the change was made for; None: there was no file.

    A link stays a link. Raises Rejected where the file has changed meanwhile, InputError where the disk refuses.
    """
    target = Path(os.path.realpath(path))
    try:
        now = read(target)
    except Unreadable as exc:
        raise Rejected(STALE) from exc
    if now != before:
        raise Rejected(STALE)
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if before is not None:
            _put(target.with_name(target.name + KEPT), before.encode())
        _put(target, text.encode())
    except OSError as exc:
        raise InputError(f"{path}: cannot be written: {exc.strerror}") from exc


def revision_key(path: Path, make: Callable[[int], bytes]) -> bytes:
    """Return the key under which hashes of the settings are made: `make` gives its bytes, once.

    Raises InputError where the file cannot be read or written, or holds something else.
    """
    try:
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _put(path, make(KEY_BYTES))
        with path.open("rb") as file:
            key = file.read(KEY_BYTES + 1)
    except OSError as exc:
        raise InputError(f"{path}: cannot be used: {exc.strerror}") from exc
    if len(key) != KEY_BYTES:
        raise InputError(f"{path}: must hold {KEY_BYTES} bytes")
    return key


def _put(target: Path, content: bytes) -> None:
    """Write beside the target, wait for the disk, then take its place."""
    handle, passing = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(passing, target)
    except BaseException:
        Path(passing).unlink(missing_ok=True)
        raise
    _sync(target.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
