"""The Unix socket of a daemon: a folder that only its user may enter (0700), a socket that only he may use (0600).

One daemon has a path at a time: it keeps a lock on the file beside the socket for as long as it lives, which no crash
leaves behind. A socket file that nobody answers at is taken over; anything else that is in the way is left alone.
"""

import errno
import fcntl
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

import trio
from attrs import define

from debugger.peers import Peer, admitted, become_subreaper, supported
from runtime.errors import InputError

LONGEST: Final = 107
"""Bytes of the path of a Unix socket, of which the kernel takes 108 with the end."""
BACKLOG: Final = 64


@define(eq=False)
class Listener:
    """The open socket of a daemon, and the lock that goes with it."""

    path: Path
    socket: trio.SocketListener
    _lock: int
    _identity: tuple[int, int]

    def check(self, stream: trio.SocketStream) -> Peer:
        """Say who is at the other end. Raises Failure `denied` for everybody who may not come in."""
        return admitted(stream.socket, os.getuid(), os.getpid())

    async def aclose(self) -> None:
        """Close the socket, and remove its file if it is still ours."""
        await self.socket.aclose()
        with suppress(OSError):
            if _identity(self.path) == self._identity:
                self.path.unlink()
        os.close(self._lock)


def listen(path: Path) -> Listener:
    """Open the socket of this process, and become the subreaper that its check of peers relies on.

    Raises InputError if the system cannot say who connects, if the folder is open to others, if another daemon has the
    path, or if something that is no socket is there.
    """
    if not supported():
        raise InputError("The debugger's socket needs Linux: this system does not say who connects.")
    if len(os.fsencode(path)) > LONGEST:
        raise InputError(f"{path}: the path of a socket may have {LONGEST} bytes; choose a shorter folder.")
    _private(path.parent)
    lock = _locked(path)
    try:
        _make_room(path)
        become_subreaper()
        made = _bound(path)
    except BaseException:
        os.close(lock)
        raise
    return Listener(path, trio.SocketListener(trio.socket.from_stdlib_socket(made)), lock, _identity(path))


def _private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as exc:
        raise InputError(f"{folder}: no folder for the debugger's socket can be made here ({exc.strerror}).") from exc
    if found.st_uid != os.getuid():
        raise InputError(f"{folder}: this folder belongs to another user; the debugger's socket must not be there.")
    if stat.S_IMODE(found.st_mode) & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        raise InputError(f"{folder}: others may enter this folder (mode {mode:04o}); it must have mode 0700.")


def _locked(path: Path) -> int:
    name = path.with_name(f"{path.name}.lock")
    try:
        lock = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as exc:
        raise InputError(f"{name}: the lock of the debugger's socket cannot be opened ({exc.strerror}).") from exc
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(lock)
        if exc.errno in (errno.EAGAIN, errno.EACCES):
            raise InputError(f"{path}: another daemon has this socket.") from exc
        raise InputError(f"{name}: the lock cannot be taken ({exc.strerror}).") from exc
    return lock


def _make_room(path: Path) -> None:
    """Remove a socket file that a daemon left behind when it died."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise InputError(f"{path}: this is no socket; remove it or choose another path.")
    if _answers(path):
        raise InputError(f"{path}: another program answers at this socket.")
    path.unlink(missing_ok=True)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True  # a full queue, or one that we may not look at: somebody is there
    return True


def _bound(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.bind(os.fspath(path))
        path.chmod(0o600)  # nobody can connect before `listen`
        made.listen(BACKLOG)
    except OSError as exc:
        made.close()
        raise InputError(f"{path}: the debugger's socket cannot be opened ({exc.strerror}).") from exc
    return made


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino
