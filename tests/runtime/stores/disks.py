"""A disk that fills up, for the JSON-lines store: a small layer over the calls that make bytes durable."""

import errno
import os
from threading import Lock

from runtime.stores.appender import Disk


class SmallDisk:
    """Takes `free` bytes, then says that it is full, after it wrote what still fitted (write(2) may do less).

    `fail_syncs` and `fail_cuts` make so many of those calls fail first, with `error`.
    """

    def __init__(self, free: int, error: int = errno.ENOSPC) -> None:
        self.free = free
        self.error = error
        self.fail_syncs = 0
        self.fail_cuts = 0
        self.tries = 0
        self._lock = Lock()
        self.disk = Disk(self._write, self._sync, self._truncate)

    def _write(self, fd: int, data: bytes) -> int:
        with self._lock:
            self.tries += 1
            taken = min(len(data), self.free)
            if not taken:
                raise OSError(self.error, os.strerror(self.error))
            self.free -= taken
            return os.write(fd, data[:taken])

    def _sync(self, fd: int) -> None:
        if self.fail_syncs:
            self.fail_syncs -= 1
            raise OSError(self.error, os.strerror(self.error))

    def _truncate(self, fd: int, length: int) -> None:
        if self.fail_cuts:
            self.fail_cuts -= 1
            raise OSError(self.error, os.strerror(self.error))
        with self._lock:
            self.free += os.fstat(fd).st_size - length
            os.ftruncate(fd, length)

    def grow(self, size: int) -> None:
        """Make room for `size` bytes more."""
        with self._lock:
            self.free += size
