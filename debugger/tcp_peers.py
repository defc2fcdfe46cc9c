"""Which process is at the other end of a TCP connection, if it is one of this machine. Refuses what the daemon started.

A tool that an agent runs may know the gateway's secret. So a connection from this machine counts only if the kernel
names the processes that hold it, and none of them descends from the daemon. Of a process that may not be looked into
(another user's, or one that gave up rights, as that of an SSH server) nothing is known, and it is refused. Linux only.

What this cannot tell: a tool that has somebody else's process connect for it (a proxy, a terminal multiplexer, a
service manager), and one that comes from another machine or another network namespace.
"""

import os
import sys
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final

from debugger.peers import Look, Peer, descends
from debugger.protocol.errors import Failure
from runtime.tools.proctable import PROC, look

ESTABLISHED: Final = b"01"
STATE: Final = 3
INODE: Final = 9
"""Columns of the kernel's tables of connections (proc(5)); the second and third are its two ends."""
MAPPED: Final = b"\0" * 10 + b"\xff\xff"
"""How an IPv4 address is written as one of IPv6."""

Address = tuple[str, int]
"""Address and port."""
End = tuple[IPv4Address | IPv6Address, int]


def neighbour(remote: Address, here: Address, daemon: int, proc: Path = PROC, look: Look = look) -> Peer | None:
    """Return the process that connected from `remote` to `here`, or None if that was on another machine.

    Raises Failure `denied` for a descendant of the daemon, and for a process of this machine of which nothing is known.
    Reads much of /proc: not in the loop.
    """
    far, near = _plain(remote[0]), _plain(here[0])
    inode = _inode((far, remote[1]), (near, here[1]), proc)
    if inode is None:
        if far.is_loopback or far == near:
            raise Failure("denied", "the kernel does not name the process that connects, though it is of this machine")
        return None
    holders = list(_holders(inode, proc))
    if not holders:
        raise Failure("denied", "the process that connects may not be looked into; agents may not debug")
    for pid in holders:
        if descends(pid, daemon, look):
            raise Failure("denied", f"process {pid} was started by the daemon: agents may not debug")
    try:
        owner = (proc / str(holders[0])).stat()
    except OSError as exc:
        raise Failure("denied", f"process {holders[0]} has ended") from exc
    return Peer(holders[0], owner.st_uid, owner.st_gid)


def _plain(text: str) -> IPv4Address | IPv6Address:
    """The address; one of IPv4 is not dressed as IPv6."""
    found = ip_address(text.partition("%")[0])
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def _inode(far: End, near: End, proc: Path) -> bytes | None:
    """The number of the socket whose own end is `far`, or None if this machine has none."""
    for table, wide in (("tcp", False), ("tcp6", True)):
        ends = _written(*far, wide=wide), _written(*near, wide=wide)
        if None in ends:
            continue
        try:
            rows = (proc / "net" / table).read_bytes().splitlines()
        except OSError:
            continue
        for row in rows:
            columns = row.split()
            if tuple(columns[1:STATE]) == ends and columns[STATE] == ESTABLISHED:
                return columns[INODE]
    return None


def _written(address: IPv4Address | IPv6Address, port: int, *, wide: bool) -> bytes | None:
    """An end of a connection as the kernel writes it: words in this machine's order, in hex. None if it cannot be."""
    packed = address.packed
    if wide and len(packed) == 4:
        packed = MAPPED + packed
    if wide is not (len(packed) == 16):
        return None
    words = (packed[at : at + 4] for at in range(0, len(packed), 4))
    return b"%s:%04X" % ("".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words).encode(), port)


def _holders(inode: bytes, proc: Path) -> Iterator[int]:
    """The processes that have a socket open, as far as they may be looked into."""
    wanted = f"socket:[{inode.decode()}]"
    for name in os.listdir(proc):
        if name.isdecimal() and _holds(proc / name / "fd", wanted):
            yield int(name)


def _holds(folder: Path, wanted: str) -> bool:
    try:
        names = os.listdir(folder)
    except OSError:
        return False  # it ended, or is none of our business
    for name in names:
        try:
            if os.readlink(folder / name) == wanted:
                return True
        except OSError:
            continue  # closed meanwhile
    return False
