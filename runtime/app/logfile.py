"""The log as files: one a day, cut off at a size, the old ones deleted. A full disk costs lines; no caller fails."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from attrs import define, field

NAME: Final = "twinstep-{day}.log"
NAMES: Final = re.compile(r"twinstep-\d{4}-\d{2}-\d{2}\.log(\.1)?")
OLDER: Final = ".1"
"""What the name of a file ends with that became too large; there is one such for each."""
MOST: Final = 16 * 2**20
KEPT: Final = 7


@define(eq=False)
class LogFile:
    """Takes lines. `day` gives the day (UTC) of now; with `fixed` there is one file of that name for all days."""

    folder: Path
    day: Callable[[], str]
    fixed: str = ""
    most: int = MOST
    kept: int = KEPT
    _open: tuple[Path, int] | None = None
    _size: int = field(default=0)

    @property
    def path(self) -> Path:
        """The file of today."""
        return self.folder / (self.fixed or NAME.format(day=self.day()))

    def add(self, line: str) -> None:
        """Write a line, at once and whole."""
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        try:
            handle = self._handle(self.path)
            if self._size and self._size + len(data) > self.most:
                self.close()
                os.replace(self.path, f"{self.path}{OLDER}")
                handle = self._handle(self.path)
            self._size += os.write(handle, data)
        except OSError:
            self.close()

    def close(self) -> None:
        """Give the file back; the next line opens it again."""
        if self._open is not None:
            os.close(self._open[1])
            self._open = None

    def _handle(self, path: Path) -> int:
        if self._open is not None and self._open[0] == path:
            return self._open[1]
        self.close()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._open, self._size = (path, handle), os.fstat(handle).st_size
        self._tidy()
        return handle

    def _tidy(self) -> None:
        """Delete the oldest files beyond those that are kept."""
        found = sorted(name for name in os.listdir(self.folder) if NAMES.fullmatch(name))
        days = sorted({name[: -len(OLDER)] if name.endswith(OLDER) else name for name in found})
        for day in days[: -self.kept]:
            for name in (day, f"{day}{OLDER}"):
                (self.folder / name).unlink(missing_ok=True)
