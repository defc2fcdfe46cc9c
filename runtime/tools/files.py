"""Opens, reads, writes and deletes files below an allowed folder, and follows no link on the way.

`workspace` says which real path is meant; here every folder of that path is opened by the one before it and without
following links, so whoever swaps a folder for a link in between gets an error and not a file outside.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from runtime.ports import Roots
from runtime.tools import workspace
from runtime.tools.faults import Strayed, fault

FOLDER: Final = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
OVER: Final = os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
BLOCK: Final = 1 << 20


def read(path: str, context: Roots, limit: int) -> bytes:
    """Return the bytes of a regular file, at most `limit` + 1 of them.

    Raises:
        Fault: the system refuses, or the file is a folder (`EISDIR`) or neither file nor folder (`EINVAL`).
        Strayed: the path is not, or no longer, where it may be.
    """
    with _beneath(path, context) as (folder, name):
        try:
            handle = os.open(name, READ, dir_fd=folder)
        except OSError as exc:
            raise _told(exc, path, context) from exc
        try:
            mode = os.fstat(handle).st_mode
            if stat.S_ISDIR(mode):
                raise IsADirectoryError(errno.EISDIR, "is a directory")
            if not stat.S_ISREG(mode):
                raise OSError(errno.EINVAL, "not a regular file")
            return _drained(handle, limit)
        except OSError as exc:
            raise fault(exc, "read") from exc
        finally:
            os.close(handle)


def write(path: str, content: bytes, context: Roots) -> None:
    """Put `content` at `path`: as a new file under a passing name that then takes the place of the old one.

    Missing folders are made. The old file's mode stays, and its owner where the system allows. A file with several
    hard links, or in a folder where no file can be made, is overwritten in place instead; only then can a failure
    leave half a file.

    Raises:
        Fault: the system refuses.
        Strayed: the path is not, or no longer, where it may be.
    """
    with _beneath(path, context, create=True) as (folder, name):
        try:
            old = _status(name, folder)
            if old is not None and (old.st_nlink > 1 or not stat.S_ISREG(old.st_mode)):
                _overwrite(name, content, folder, old.st_mode)
            else:
                _replace(name, content, folder, old)
        except OSError as exc:
            raise _told(exc, path, context) from exc


def remove(path: str, context: Roots) -> None:
    """Delete a file.

    Raises:
        Fault: the system refuses; the file is not there, or is a folder.
        Strayed: the path is not, or no longer, where it may be.
    """
    with _beneath(path, context) as (folder, name):
        try:
            os.unlink(name, dir_fd=folder)
        except OSError as exc:
            raise fault(exc, "unlink", path) from exc


@contextmanager
def _beneath(path: str, context: Roots, *, create: bool = False) -> Iterator[tuple[int, str]]:
    """Open the folder in which `path` lies, one name after the other, beginning at the allowed folder."""
    root = workspace.root(path, context)
    if root is None:
        raise Strayed(workspace.refusal(path, context) or f"Path changed while it was used: {path}")
    *folders, name = os.path.relpath(path, root).split("/")
    try:
        if create:
            os.makedirs(root, exist_ok=True)
        handle = os.open(root, FOLDER & ~os.O_NOFOLLOW)
    except OSError as exc:
        raise fault(exc, "open", path) from exc
    try:
        for folder in folders:
            inner = _entered(folder, handle, path, context, create=create)
            os.close(handle)
            handle = inner
        yield handle, name
    finally:
        os.close(handle)


def _entered(name: str, folder: int, path: str, context: Roots, *, create: bool) -> int:
    try:
        try:
            return os.open(name, FOLDER, dir_fd=folder)
        except FileNotFoundError:
            if not create:
                raise
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=folder)
            return os.open(name, FOLDER, dir_fd=folder)
    except OSError as exc:
        raise _told(exc, path, context) from exc


def _told(exc: OSError, path: str, context: Roots) -> Exception:
    """Say what an error means: that a link was put in the way, or what the system says."""
    if os.path.realpath(path) != path:
        return Strayed(workspace.refusal(path, context) or f"Path changed while it was used: {path}")
    return fault(exc, "open", path)


def _drained(handle: int, limit: int) -> bytes:
    pieces: list[bytes] = []
    room = limit + 1
    while room > 0 and (piece := os.read(handle, min(room, BLOCK))):
        pieces.append(piece)
        room -= len(piece)
    return b"".join(pieces)


def _status(name: str, folder: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _replace(name: str, content: bytes, folder: int, old: os.stat_result | None) -> None:
    try:
        passing, handle = _fresh(folder)
    except PermissionError:
        if old is None:
            raise
        _overwrite(name, content, folder, old.st_mode)
        return
    try:
        try:
            _fill(handle, content)
            if old is not None:
                _dress(handle, old)
        finally:
            os.close(handle)
        os.rename(passing, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        os.unlink(passing, dir_fd=folder)
        raise


def _fresh(folder: int) -> tuple[str, int]:
    """Make a file under a name that nobody has. Leftovers of a crash are passed by."""
    number = 0
    while True:
        name = f".twinstep-{os.getpid()}-{number}"
        try:
            return name, os.open(name, CREATE, 0o666, dir_fd=folder)
        except FileExistsError:
            number += 1


def _dress(handle: int, old: os.stat_result) -> None:
    """Give a new file the owner and the mode of the old one; another owner is a wish, not a condition."""
    now = os.fstat(handle)
    if (now.st_uid, now.st_gid) != (old.st_uid, old.st_gid):
        with suppress(PermissionError):
            os.fchown(handle, old.st_uid, old.st_gid)
    os.fchmod(handle, stat.S_IMODE(old.st_mode))


def _overwrite(name: str, content: bytes, folder: int, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "is a directory")
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file")
    handle = os.open(name, OVER, dir_fd=folder)
    try:
        _fill(handle, content)
    finally:
        os.close(handle)


def _fill(handle: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(handle, view) :]
