"""The token of a server that listens on a port: in a file that only its user can read, never in an address."""

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from runtime.errors import InputError

NAME: Final = "token"
BYTES: Final = 32
LONGEST: Final = 4_096


def token_of(path: Path) -> str:
    """Return the token in a file, which is made if it is not there. Raises InputError where others could read it."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return _read(path)
    except OSError as exc:
        raise InputError(f"{path}: the token file cannot be made ({exc.strerror}).") from exc
    token = secrets.token_urlsafe(BYTES)
    with os.fdopen(made, "w", encoding="ascii") as file:
        file.write(f"{token}\n")
    return token


def _read(path: Path) -> str:
    try:
        found = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as exc:
        raise InputError(f"{path}: the token file cannot be read ({exc.strerror}).") from exc
    with os.fdopen(found, "rb") as file:
        about = os.fstat(file.fileno())
        if about.st_uid != os.getuid() or stat.S_IMODE(about.st_mode) & 0o077:
            raise InputError(f"{path}: the token file must be this user's, with mode 0600.")
        text = file.read(LONGEST).decode("ascii", "replace").strip()
    if len(text) < BYTES:
        raise InputError(f"{path}: the token must have {BYTES} characters or more; remove the file to have one made.")
    return text
