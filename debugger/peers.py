"""Who is at the other end of a Unix socket, and who may not come in: other users, and whatever the daemon started.

A tool that an agent runs belongs to the same user as the daemon, so the permissions of a file cannot keep it out. Its
line of ancestors can: it leads to the daemon. So that a process which cut that line (a second fork, a new session)
still leads there, the daemon is a child subreaper: the kernel gives it the orphans below it. Linux only.

What the line cannot tell: a process that was started by a daemon which has ended since belongs to init, and one that a
tool had another service start (cron, a container engine) never belonged to the daemon.
"""

import ctypes
import errno
import os
import select
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol, overload

from attrs import frozen

from debugger.protocol.errors import Failure
from runtime.errors import InputError
from runtime.tools.proctable import Process, look

_CRED: Final = struct.Struct("3i")
SO_PEERPIDFD: Final = 77
"""A handle of the process that connected (Linux 6.5). Without it, a pid that was given again cannot be told."""
PR_SET_CHILD_SUBREAPER: Final = 36
LONGEST: Final = 4_096
"""A line of ancestors with more processes is not followed."""
TRIES: Final = 8


@frozen
class Peer:
    """The process that connected, as the kernel names it."""

    pid: int
    uid: int
    gid: int


class Socket(Protocol):
    """What is asked of a connected socket, Trio's or Python's."""

    @overload
    def getsockopt(self, level: int, optname: int, /) -> int: ...
    @overload
    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes: ...


Look = Callable[[int], Process | None]
"""Returns what /proc says of a process (`runtime.tools.proctable.look`)."""


def supported() -> bool:
    """Whether this system can say who connects, and whose child a process is."""
    return hasattr(socket, "SO_PEERCRED") and look(os.getpid()) is not None


def become_subreaper() -> None:
    """Let orphans below this process become its children. They stay zombies until somebody reaps them (`orphans`).

    Raises InputError where the kernel does not know of it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "prctl") or libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        why = os.strerror(ctypes.get_errno()) if ctypes.get_errno() else "no Linux"
        raise InputError(f"The debugger cannot keep out what its agents start: no child subreaper ({why}).")


def admitted(sock: Socket, uid: int, daemon: int) -> Peer:
    """Return who connected. Raises Failure `denied` for another user, for a descendant of the daemon, and in doubt."""
    try:
        peer = Peer(*_CRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CRED.size)))
    except OSError as exc:
        raise Failure("denied", f"the kernel does not say who connects ({exc.strerror})") from exc
    if peer.uid != uid:
        raise Failure("denied", f"process {peer.pid} belongs to user {peer.uid}, and this daemon to {uid}")
    handle = _handle(sock)
    try:
        if descends(peer.pid, daemon):
            raise Failure("denied", f"process {peer.pid} was started by the daemon: agents may not debug")
        if handle is not None and _ended(handle):
            raise Failure("denied", f"process {peer.pid} has ended")
    finally:
        if handle is not None:
            os.close(handle)
    return peer


def descends(pid: int, ancestor: int, look: Look = look) -> bool:
    """Whether a process is another or descends from it. Raises Failure `denied` if that cannot be said.

    Processes come and go while the line is followed, and a pid may be given again. So a line counts only if nobody in
    it is younger than its child, and if it is the same when it is followed a second time.
    """
    before: tuple[Process, ...] | None = None
    for _ in range(TRIES):
        line = _line(pid, ancestor, look)
        if line is not None and line == before:
            return line[-1].pid == ancestor
        before = line
    raise Failure("denied", f"the ancestors of process {pid} cannot be told")


def _line(pid: int, ancestor: int, look: Look) -> tuple[Process, ...] | None:
    """Follow the parents up to the ancestor, or to one without a parent. None for a line with a hole."""
    found: list[Process] = []
    at = pid
    while len(found) < LONGEST:
        here = look(at)
        if here is None or (found and here.began > found[-1].began):
            return None
        found.append(here._replace(name="", state=""))
        if at == ancestor or here.parent == 0:
            return tuple(found)
        at = here.parent
    return None


def _handle(sock: Socket) -> int | None:
    try:
        return sock.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD)
    except OSError as exc:
        if exc.errno in (errno.ENOPROTOOPT, errno.EOPNOTSUPP):
            return None  # an older kernel
        raise Failure("denied", "the process that connected has ended") from exc


def _ended(handle: int) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    with suppress(InterruptedError):
        return bool(poll.poll(0))
    return True
