"""Server-sent events without a socket (WHATWG HTML, section 9.2): bytes in, data of events out. Reads nothing itself.

Only `data` is kept: the API uses no event names, ids or retry times. Lines that are no field of the standard are
remembered a little, so that an answer which is no event stream at all can be named in the error.
"""

import json
from math import isfinite
from typing import Any, Final, NoReturn

from runtime.errors import ModelError
from runtime.vocab import nested_within

MAX_EVENT: Final = 32 * 1024 * 1024
"""Bytes of one event. An image comes whole in one, as base64."""
MAX_STRAY: Final = 4096
SHOWN: Final = 80

_BOM: Final = b"\xef\xbb\xbf"
_SILENT: Final = frozenset({b"event", b"id", b"retry"})


class SseParser:
    """Splits a stream into events. Lines end in LF, CRLF or CR; the border between two feeds may be anywhere.

    `events` counts them. `stray` is the beginning of what was neither field nor comment.
    """

    __slots__ = ("_data", "_first", "_held", "_limit", "_line", "_skip_lf", "events", "stray")

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self.events = 0
        self.stray = b""
        self._limit = limit
        self._line: list[bytes] = []
        self._data: list[bytes] = []
        self._held = 0
        self._first = True
        self._skip_lf = False

    def feed(self, received: bytes) -> list[bytes]:
        """Take bytes; return the data of each event that they complete. Raises ModelError over the limit."""
        if self._skip_lf and received:
            received = received.removeprefix(b"\n")
            self._skip_lf = False
        if not received:
            return []
        # A CR ends the line at once: whether an LF follows is not worth a wait.
        self._skip_lf = received.endswith(b"\r")
        lines = received.splitlines()
        rest = b"" if received.endswith((b"\n", b"\r")) else lines.pop()
        events: list[bytes] = []
        for line in lines:
            whole = self._completed(line) if self._line or self._first else line
            if whole:
                self._take(whole)
            elif self._data:
                events.append(self._dispatch())
        if rest:
            self._line.append(rest)
            self._hold(len(rest))
        self.events += len(events)
        return events

    def close(self) -> bytes:
        """Return the data of an event that the end of the stream cut off: empty if there is none.

        The standard drops such an event. A caller may use it if it is whole: a server that forgets the last empty
        line is no reason to lose an answer.
        """
        if self._line:
            self._take(self._completed(b""))
        return self._dispatch()

    def _completed(self, end: bytes) -> bytes:
        line = b"".join((*self._line, end))
        self._held -= len(line) - len(end)
        self._line.clear()
        if self._first:
            self._first = False
            line = line.removeprefix(_BOM)
        return line

    def _take(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._hold(len(value) + 1)
        elif name and name not in _SILENT and len(self.stray) < MAX_STRAY:
            self.stray = (self.stray + line + b"\n")[:MAX_STRAY]

    def _hold(self, more: int) -> None:
        self._held += more
        if self._held > self._limit:
            raise ModelError(f"an event of the stream is larger than {self._limit} bytes", kind="protocol")

    def _dispatch(self) -> bytes:
        event = b"\n".join(self._data)
        self._data.clear()
        self._held = 0
        return event


def decode(data: bytes, what: str = "an event of the stream") -> dict[str, Any]:
    """Return the JSON object that `data` is. Raises ModelError (kind `protocol`) that says what came instead."""
    try:
        value = _DECODER.decode(data.decode("utf-8", "replace"))
    except RecursionError as exc:
        raise ModelError(f"{what} is nested too deep", kind="protocol") from exc
    except ValueError as exc:
        raise ModelError(f"{what} is no JSON ({exc}): {shown(data)}", kind="protocol") from exc
    if not isinstance(value, dict):
        raise ModelError(f"{what} is no JSON object: {shown(data)}", kind="protocol")
    if not nested_within(value):
        raise ModelError(f"{what} is nested too deep", kind="protocol")
    return value


def shown(data: bytes) -> str:
    """Return the beginning of `data` as text for an error: one line, control characters escaped."""
    text = data[: 4 * SHOWN].decode("utf-8", "replace")
    return ascii(text[:SHOWN]) + ("…" if len(text) > SHOWN else "")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise ValueError(f"{digits[:20]} is too large")
    return number


# Python reads and writes NaN and infinities; sent back to the API they would break every later request.
_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
