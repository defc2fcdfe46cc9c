"""Files and folders that only this user may read: 0600 in 0700, no links, one name. Refuses what is anything else.

A link that somebody laid in the way would make us write where he wants, and a second name (hard link) would let him
read on. So a name is opened without following a link, and what was opened is looked at before it is used.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from runtime.errors import JournalError, JournalFull
from runtime.stores import lock
from runtime.stores.backlog import FULL

PART = ".part"
"""What the name of a file ends with that is not yet whole."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@contextmanager
def folder(path: str, *, make: bool = False) -> Iterator[int]:
    """Open a private folder for the time of the context; with `make`, create what is missing of it, as 0700.

    Raises JournalError for a link, for another user's, and for one that others may write or read.
    """
    try:
        if make:
            lock.make_folder(path)
        handle = os.open(path, _FOLDER)
    except FileNotFoundError:
        raise
    except OSError as exc:
        raise failure(path, exc, "is no folder that can be used") from exc
    try:
        status = os.fstat(handle)
        if status.st_uid != os.geteuid():
            raise JournalError(f"{path}: belongs to another user")
        if status.st_mode & 0o077:
            raise JournalError(f"{path}: is open to others (mode {stat.S_IMODE(status.st_mode):04o}); chmod 700 {path}")
        yield handle
    finally:
        os.close(handle)


def opened(place: int, name: str, flags: int, path: str) -> int:
    """Open a private file in an open folder and return its descriptor; new ones get 0600. `path` is for messages.

    Raises FileNotFoundError and FileExistsError as they come, and JournalError for a link, what is no regular file, has
    a second name, or belongs or is open to others.
    """
    shown = f"{path}/{name}"
    try:
        handle = os.open(name, flags | _FILE, 0o600, dir_fd=place)
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError as exc:
        raise failure(shown, exc, "cannot be opened") from exc
    fault = _fault(os.fstat(handle))
    if fault:
        os.close(handle)
        raise JournalError(f"{shown}: {fault}")
    return handle


def failure(path: str, exc: OSError, what: str = "cannot be written") -> JournalError:
    """Return the error for a call that failed: JournalFull where there may be room later."""
    return (JournalFull if exc.errno in FULL else JournalError)(f"{path}: {what}: {exc.strerror}")


def _fault(status: os.stat_result) -> str | None:
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    if status.st_nlink > 1:
        return f"has {status.st_nlink} names (hard links); only one may be"
    if status.st_uid != os.geteuid():
        return "belongs to another user"
    if status.st_mode & 0o077:
        return f"is open to others (mode {stat.S_IMODE(status.st_mode):04o}); chmod 600 it"
    return None


def read(path: str, name: str, most: int) -> bytes | None:
    """Return the bytes of a private file, or None where it is not there. Raises JournalError, also above `most`."""
    try:
        with folder(path) as place:
            handle = opened(place, name, os.O_RDONLY, path)
    except FileNotFoundError:
        return None
    with os.fdopen(handle, "rb") as file:
        text = file.read(most + 1)
    if len(text) > most:
        raise JournalError(f"{path}/{name}: has more than {most} bytes")
    return text


def create(path: str, name: str, text: bytes) -> bool:
    """Write a private file that was not there, durably. Returns False if it was there, and changes nothing then.

    The name appears when all of it is on disk. Two that do this at once must mean the same. Raises JournalError and
    OSError (no room).
    """
    with folder(path, make=True) as place:
        if _is_there(place, name):
            return False
        _put(place, path, name, text)
        return True


def replace(path: str, name: str, text: bytes) -> None:
    """Write a private file in place of the one before, whole or not at all. Raises JournalError and OSError."""
    with folder(path, make=True) as place:
        _put(place, path, name, text)


def _is_there(place: int, name: str) -> bool:
    try:
        os.lstat(name, dir_fd=place)
    except FileNotFoundError:
        return False
    return True


def _put(place: int, path: str, name: str, text: bytes) -> None:
    part = f".{name}.{os.getpid()}{PART}"
    with suppress(FileNotFoundError):
        os.unlink(part, dir_fd=place)
    handle = opened(place, part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, path)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.rename(part, name, src_dir_fd=place, dst_dir_fd=place)
    except OSError:
        with suppress(OSError):
            os.unlink(part, dir_fd=place)
        raise
    sync(place)


def sync(place: int) -> None:
    """Make the names of an open folder durable."""
    lock.sync_handle(place)
