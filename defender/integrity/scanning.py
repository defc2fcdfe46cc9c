"""Looking at files without being led astray: one descriptor from look to content, and no link followed.

What is looked at is opened without following a link, looked at through the descriptor before and after its content was
read, and read again if anything moved meanwhile. Byte code, logs and what tools leave behind is passed over.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any, Final, NamedTuple

from defender.integrity.entries import ABSENT, Entry, Group, Root, group_of

MOST: Final = 200_000
"""Paths of one root; what is beyond them is not watched, and the root says so."""
DEEPEST: Final = 64
TRIES: Final = 3
BLOCK: Final = 1 << 20
PASSED: Final = frozenset({"__pycache__", ".git", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".DS_Store"})
"""Names that are not looked at: they change by themselves."""
ENDINGS: Final = (".pyc", ".pyo", ".log", ".swp", ".lock", ".tmp", "~")
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def _xattrs(handle: int) -> list[tuple[str, bytes]]:
    """Return the extended attributes of an open file; none where the system or the file system keeps none."""
    if not hasattr(os, "listxattr"):
        return []
    try:
        return [(name, os.getxattr(handle, name)) for name in sorted(os.listxattr(handle))]
    except OSError as exc:
        if exc.errno in (errno.ENOTSUP, errno.ENOSYS, errno.ENODATA):
            return []
        raise


class System(NamedTuple):
    """The calls by which files are looked at, as data, so that a test can have them change under our hands."""

    lstat: Callable[..., os.stat_result] = os.lstat
    fstat: Callable[[int], os.stat_result] = os.fstat
    open: Callable[..., int] = os.open
    read: Callable[[int, int], bytes] = os.read
    close: Callable[[int], None] = os.close
    names: Callable[[Any], list[str]] = os.listdir
    readlink: Callable[..., str] = os.readlink
    xattrs: Callable[[int], list[tuple[str, bytes]]] = _xattrs


SYSTEM: Final = System()


def sign(status: os.stat_result) -> tuple[int, ...]:
    """Return what a cheap look compares. The change time cannot be set by who owns a file, so it gives most away."""
    return (
        status.st_mode, status.st_uid, status.st_gid, status.st_ino, status.st_size, status.st_mtime_ns,
        status.st_ctime_ns,
    )  # fmt: skip


def is_passed(name: str) -> bool:
    """Whether a name is not looked at."""
    return name in PASSED or name.endswith(ENDINGS)


def look(path: str, system: System = SYSTEM, *, place: int | None = None, name: str | None = None) -> Entry:
    """Return what is at a path, with its content. `place` and `name` reach it from an open folder."""
    name = path if name is None else name
    try:
        status = system.lstat(name, dir_fd=place)
        if stat.S_ISLNK(status.st_mode):
            return _entry("link", status, target=system.readlink(name, dir_fd=place))
        if stat.S_ISREG(status.st_mode):
            return _file(name, place, status, system)
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    except OSError:
        return Entry("other", sha256="unreadable")
    return _entry("folder" if stat.S_ISDIR(status.st_mode) else "other", status)


def _file(name: str, place: int | None, status: os.stat_result, system: System) -> Entry:
    for _ in range(TRIES):
        try:
            handle = system.open(name, _FILE, dir_fd=place)
        except PermissionError:
            return _entry("file", status, content="unreadable")
        try:
            before = system.fstat(handle)
            if not stat.S_ISREG(before.st_mode):
                break
            content = sha256()
            while block := system.read(handle, BLOCK):
                content.update(block)
            xattrs = system.xattrs(handle)
            after = system.fstat(handle)
        finally:
            system.close(handle)
        if sign(before) == sign(after):
            said = b"".join(b"%b=%b;" % (key.encode(), value.hex().encode()) for key, value in xattrs)
            return _entry("file", after, content=content.hexdigest(), xattrs=sha256(said).hexdigest() if said else "")
    return _entry("file", status, content="unsteady")


def _entry(kind: str, status: os.stat_result, *, target: str = "", content: str = "", xattrs: str = "") -> Entry:
    return Entry(
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        links=status.st_nlink if kind == "file" else 1,
        size=status.st_size if kind == "file" else 0,
        target=target,
        sha256=content,
        xattrs=xattrs,
        sign=sign(status),
    )


def scan(root: Root, system: System = SYSTEM) -> Iterator[tuple[str, Group, Entry]]:
    """Yield every path of a root with what is there, the root itself first; at most MOST."""
    first = look(root.path, system)
    yield root.path, group_of(root.path, root.group), first
    if first.kind != "folder":
        return
    count = 0
    folders = [(root.path, 0)]
    while folders:
        folder, depth = folders.pop()
        for path, entry in _inside(folder, system):
            count += 1
            if count > MOST:
                return
            yield path, group_of(path, root.group), entry
            if entry.kind == "folder" and depth < DEEPEST:
                folders.append((path, depth + 1))


def _inside(folder: str, system: System) -> Iterator[tuple[str, Entry]]:
    try:
        place = system.open(folder, _FOLDER)
    except OSError:
        return
    try:
        for name in sorted(system.names(place)):
            if not is_passed(name):
                yield f"{folder}/{name}", look(name, system, place=place, name=name)
    finally:
        system.close(place)


def names_in(folder: str, system: System = SYSTEM) -> list[str]:
    """Return the names in a folder that are looked at; none where it cannot be read."""
    try:
        place = system.open(folder, _FOLDER)
    except OSError:
        return []
    try:
        return sorted(name for name in system.names(place) if not is_passed(name))
    finally:
        system.close(place)
