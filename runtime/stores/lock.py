"""The file of a journal: its folder, its permissions and the lock that keeps a second writer out. Reads no content."""

import errno
import os
import stat

from runtime.errors import JournalError


def create(path: str) -> int:
    """Open a file for writing and reading and return its descriptor; folders that are missing get 0700, the file 0600.

    Raises JournalError if that cannot be done or if `path` is something else than a regular file.
    """
    try:
        make_folder(os.path.dirname(os.path.abspath(path)))
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    except OSError as exc:
        raise JournalError(f"{path}: cannot be opened: {exc.strerror}") from exc
    return _regular(path, fd)


def open_to_read(path: str) -> int:
    """Open a file for reading and return its descriptor. Takes no lock. Raises JournalError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as exc:
        raise JournalError(f"{path}: there is no such journal") from exc
    except OSError as exc:
        raise JournalError(f"{path}: cannot be opened: {exc.strerror}") from exc
    return _regular(path, fd)


def claim(path: str, fd: int) -> None:
    """Take the writer's lock (flock, advisory) for as long as `fd` is open, or close `fd` and raise JournalError.

    A lock of its own rather than one of SQLite's: readers must get in, and a POSIX lock of this process would go with
    the first descriptor of the file that anyone closes (flock(2), fcntl(2)).
    """
    import fcntl

    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        inode = os.fstat(fd).st_ino
        os.close(fd)
        raise JournalError(f"{path}: the journal is in use by {_holder(inode)}") from exc
    except OSError as exc:
        os.close(fd)
        raise JournalError(f"{path}: cannot be locked: {exc.strerror}") from exc


def sync_folder(path: str) -> None:
    """Make the name of a new file durable (fsync(2): the folder needs its own). Raises OSError.

    A file system that cannot sync a folder says EINVAL; its names are as durable as they get.
    """
    fd = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync_handle(fd)
    finally:
        os.close(fd)


def sync_handle(folder: int) -> None:
    """Make the names in an open folder durable, as `sync_folder` does. Raises OSError."""
    try:
        os.fsync(folder)
    except OSError as exc:
        if exc.errno != errno.EINVAL:
            raise


def make_folder(folder: str) -> None:
    """Create a folder and those above it for this user only; `os.makedirs` would leave the ones above open."""
    if not os.path.isdir(folder):
        make_folder(os.path.dirname(folder))
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            if not os.path.isdir(folder):
                raise


def _regular(path: str, fd: int) -> int:
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise JournalError(f"{path}: is not a regular file, so it cannot be a journal")


def _holder(inode: int) -> str:
    """Say which process has the lock, where the kernel tells (proc_locks(5))."""
    try:
        with open("/proc/locks", encoding="ascii") as locks:
            rows = [line.split() for line in locks]
    except (OSError, UnicodeDecodeError):
        rows = []
    for row in rows:
        if len(row) > 5 and row[1] == "FLOCK" and row[5].rpartition(":")[2] == str(inode):
            return f"process {row[4]}"
    return "another process"
