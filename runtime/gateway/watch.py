"""Tells when a file of a folder was written, by inotify: Linux only, elsewhere nothing is ever told. Reads no file."""

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import trio
from attrs import define

CLOSED: Final = 0x8
"""IN_CLOSE_WRITE: a file that was open for writing is closed."""
MOVED: Final = 0x80
"""IN_MOVED_TO: a file was put in the place of another."""
DELETED: Final = 0x200
IGNORED: Final = 0x8000
"""IN_IGNORED: the folder is gone, nothing more will come."""
HEAD: Final = struct.Struct("iIII")
BUFFER: Final = 65_536


@define
class Watch:
    """One folder that is watched."""

    handle: int

    async def written(self) -> set[str]:
        """Wait until something is written; return the names. The empty name stands for names that were lost.

        When the folder is gone, this waits for ever.
        """
        while True:
            await trio.lowlevel.wait_readable(self.handle)
            names: set[str] = set()
            gone = False
            data = os.read(self.handle, BUFFER)
            while data:
                _, mask, _, length = HEAD.unpack_from(data)
                end = HEAD.size + length
                gone = gone or bool(mask & IGNORED)
                names.add(os.fsdecode(data[HEAD.size : end].rstrip(b"\0")))
                data = data[end:]
            if gone:
                await trio.sleep_forever()
            return names


@contextmanager
def watching(folder: Path) -> Iterator[Watch | None]:
    """Watch a folder; None where that is not possible."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        handle: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, AttributeError):
        handle = -1
    if handle < 0:
        yield None
        return
    try:
        added = libc.inotify_add_watch(handle, os.fsencode(folder), CLOSED | MOVED | DELETED)
        yield Watch(handle) if added >= 0 else None
    finally:
        os.close(handle)
