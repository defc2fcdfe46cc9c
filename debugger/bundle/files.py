"""Puts a new file where there is none, whole or not at all. Replaces nothing."""

import errno
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from runtime.errors import InputError

_NO_LINKS: Final = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""What a file system says that has no links."""


def put(files: Mapping[Path, bytes]) -> None:
    """Write new files: each is whole when its name is there. Raises InputError where one of them is there already.

    What cannot all be written leaves none of these files behind.
    """
    for path in files:
        if os.path.lexists(path):
            raise InputError(f"{path}: is there already; choose another name")
    made: list[Path] = []
    try:
        for path, content in files.items():
            _put(path, content)
            made.append(path)
    except OSError as exc:
        for path in made:
            path.unlink(missing_ok=True)
        wanted = list(files)[len(made)]  # and not the name that it has on the way
        raise InputError(f"{wanted}: cannot be written: {exc.strerror}") from exc


def _put(path: Path, content: bytes) -> None:
    handle, passing = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(handle)
        try:
            os.link(passing, path)  # unlike a rename, it never takes the place of a file that came meanwhile
        except OSError as exc:
            if exc.errno not in _NO_LINKS:
                raise
            os.rename(passing, path)
    finally:
        Path(passing).unlink(missing_ok=True)
