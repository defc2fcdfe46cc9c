"""The log of the daemon: lines for people on a terminal, JSON lines otherwise. Writes no secret: it gets none."""

import json
import os
import time
from collections.abc import Callable
from select import select
from traceback import format_exception
from typing import Any, Final, TextIO

from attrs import define, field

from runtime.app.clock import iso
from runtime.app.logfile import LogFile

COLOURS = {"error": "31", "warn": "33", "info": "36"}
PIECE: Final = 4_096
"""Bytes that a pipe takes at once or not at all (pipe(7), PIPE_BUF); where it is writable, it has room for as many."""
LEVELS = ("trace", "debug", "info", "warn", "error", "fatal", "silent")


@define(eq=False)
class Log:
    """Writes events. `form` is `text`, `json`, or None: text on a terminal.

    `file` keeps the lines for `logs.tail`, and `failed` hears of errors. Of what is below `least` nothing is written,
    of what is below `shown` nothing to `out` (`logging.level` and `.consoleLevel` of the settings).
    """

    out: TextIO
    form: str | None = None
    file: LogFile | None = None
    failed: Callable[[str], None] = field(default=lambda text: None)
    least: str = "info"
    shown: str = "info"
    lost: int = 0
    _torn: bool = False

    def __call__(self, level: str, text: str, exc: BaseException | None = None, **fields: Any) -> None:
        """Write one event."""
        level = "warn" if level == "warning" else level
        at = time.time_ns() // 1_000_000
        entry = {"time": iso(at), "level": level, "message": text, **fields}
        if exc is not None:
            entry["trace"] = "".join(format_exception(exc))[-8_000:]
        line = json.dumps(entry, ensure_ascii=False, default=str)
        if level == "error":
            self.failed(text)
        weight = LEVELS.index(level) if level in LEVELS else LEVELS.index("info")
        if self.file is not None and weight >= LEVELS.index(self.least):
            self.file.add(line)
        if weight < LEVELS.index(self.shown):
            return
        try:
            terminal = self.out.isatty()
            if self.form == "json" or (self.form is None and not terminal):
                self._print(line)
                return
            colour = COLOURS.get(level, "0")
            shown = f"\x1b[{colour}m{level}\x1b[0m" if terminal else level
            self._print(f"{entry['time']} {shown} {text}")
        except (OSError, ValueError):
            pass  # nobody reads the log: the gateway goes on

    def _print(self, line: str) -> None:
        """Print a line. One that nobody takes is lost: the gateway does not wait for whoever reads its log."""
        try:
            handle = self.out.fileno()
        except (OSError, ValueError):  # no file behind it
            print(line, file=self.out, flush=True)
            return
        if self.lost:
            line = f"({self.lost} lines are missing here: nobody read them)\n{line}"
        data = ("\n" * self._torn + line).encode("utf-8", "backslashreplace") + b"\n"
        for start in range(0, len(data), PIECE):
            if not select([], [handle], [], 0)[1]:
                self.lost += 1
                self._torn = start > 0
                return
            os.write(handle, data[start : start + PIECE])
        self.lost, self._torn = 0, False
