"""The process's streams: a stdout that may fail, and the output format that a run shows itself in."""

import io
import os
import select
import sys
from collections.abc import Callable
from typing import Any, Final, TextIO

from runtime.app.output import JsonOutput, Output, StreamOutput, TextOutput
from runtime.app.stats import Statistics
from runtime.ports import Clock

READY_SECONDS: Final = 1.0
"""How long to wait for a reader that takes nothing, before looking again."""


class Pipe(io.TextIOBase):
    """Standard output as UTF-8, whatever the locale says. It never raises in the middle of a step.

    `gone` says that whoever read it has left; `fault` why it cannot be written (a full disk, a closed descriptor).
    What comes after either is thrown away. `busy` is set while something is being written.
    """

    def __init__(self, inner: TextIO | None) -> None:
        self.gone = False
        self.busy = False
        self.fault = "" if inner is not None else "it is closed"
        self._inner = inner
        self._file: Any = getattr(inner, "buffer", None)

    @property
    def silent(self) -> bool:
        """Whether nothing that is written arrives any more."""
        return self.gone or bool(self.fault)

    def write(self, text: str) -> int:
        """Write, if somebody reads."""
        if self._file is not None:
            self._try(lambda: self._whole(text.encode("utf-8", "replace")))
        elif self._inner is not None:
            self._try(lambda: self._inner.write(text))  # type: ignore[union-attr]
        return len(text)

    def flush(self) -> None:
        """Flush, if somebody reads."""
        if self._file is not None:
            self._try(self._flushed)
        elif self._inner is not None:
            self._try(self._inner.flush)

    def isatty(self) -> bool:
        """Whether a person looks at it."""
        return self._inner is not None and self._inner.isatty()

    def finish(self, code: int) -> int:
        """Flush, and return the exit code of the program: 0 if the reader has left, 1 if output was lost."""
        self.flush()
        if self.gone:
            return 0
        if self.fault:
            print(f"twinstep: standard output cannot be written: {self.fault}.", file=sys.stderr)
            return code or 1
        return code

    def _whole(self, data: bytes) -> None:
        # A descriptor that somebody made non-blocking (Node does) takes a part, and more once it is ready.
        view = memoryview(data)
        while view:
            try:
                view = view[self._file.write(view) :]
            except BlockingIOError as exc:
                view = view[exc.characters_written :]
                self._ready()

    def _flushed(self) -> None:
        while True:
            try:
                self._file.flush()
            except BlockingIOError:
                self._ready()
            else:
                return

    def _ready(self) -> None:
        select.select([], [self._file], [], READY_SECONDS)

    def _try(self, work: Callable[[], Any]) -> None:
        if self.silent:
            return
        self.busy = True
        try:
            work()
        except BrokenPipeError:
            self.gone = True
            self._discard()
        except OSError as exc:
            self.fault = exc.strerror or str(exc)
            self._discard()
        finally:
            self.busy = False

    def _discard(self) -> None:
        # What is still in a buffer must not raise at exit.
        if self._inner is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._inner.fileno())


def output_for(name: str, given: Any, out: Any, err: TextIO, clock: Clock, statistics: Statistics) -> Output:
    """Return the output of that name; warn where the user asked for model text as it is."""
    raw = given.raw_output or given.accept_raw_output_risk
    if given.raw_output and not given.accept_raw_output_risk and name == "text":
        print(
            "[WARNING] --raw-output: model output is not cleaned and may hold harmful terminal sequences. "
            "--accept-raw-output-risk hides this warning.",
            file=err,
        )
    if name == "stream-json":
        return StreamOutput(out, clock, statistics, raw)
    if name == "json":
        return JsonOutput(out, err, statistics, raw)
    return TextOutput(out, err, raw)
