"""The process's streams: a stdout whose reader may leave, and the output format that a run shows itself in."""

import io
import os
from collections.abc import Callable
from typing import Any, TextIO

from runtime.app.output import JsonOutput, Output, StreamOutput, TextOutput
from runtime.app.stats import Statistics
from runtime.ports import Clock


class Pipe(io.TextIOBase):
    """stdout that notes when its reader is gone (`gone`), instead of raising in the middle of a step."""

    def __init__(self, inner: TextIO) -> None:
        self.inner = inner
        self.gone = False

    def write(self, text: str) -> int:
        """Write, unless nobody reads. What the terminal's encoding lacks is replaced."""
        return self._try(lambda: self.inner.write(text)) or 0

    def flush(self) -> None:
        """Flush, unless nobody reads."""
        self._try(self.inner.flush)

    def _try(self, work: Callable[[], Any]) -> Any:
        if self.gone:
            return None
        try:
            return work()
        except BrokenPipeError:
            self.gone = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.inner.fileno())
            return None


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
