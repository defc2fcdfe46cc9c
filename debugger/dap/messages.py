"""Messages of the Debug Adapter Protocol: a header with a length, then one JSON object. Bytes in, requests out. Pure.

    reader.feed(data)
    while (body := reader.take()) is not None: request = decode(body)

A header that cannot be read, or a body that is too long, ends the connection: nobody knows where the next message
begins (`BadHeader`). A body that is no request is answered, and the next one is read (`BadMessage`).
"""

import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from attrs import frozen

from debugger.dap.errors import Refused
from runtime.vocab import nested_within

HEAD: Final = 4_096
"""Bytes of a header."""
BODY: Final = 4 << 20
"""Bytes of a message of an editor."""
DEEPEST: Final = 64
END: Final = b"\r\n\r\n"
LAST: Final = 2**53
_ENCODE: Final = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode


class BadHeader(Refused):
    """The stream cannot be read any further."""


class BadMessage(Refused):
    """A message that is no request. `seq` and `command` are what it says of itself, as far as that can be read."""

    def __init__(self, why: str, seq: int = 0, command: str = "") -> None:
        super().__init__(why)
        self.seq = seq
        self.command = command


@frozen
class Request:
    """A request of an editor."""

    seq: int
    command: str
    arguments: Mapping[str, Any]


class Reader:
    """Cuts a stream of bytes into bodies. After an error it is of no more use."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._length: int | None = None

    @property
    def empty(self) -> bool:
        """Whether no part of a message waits for its rest."""
        return not self._buffer and self._length is None

    def feed(self, data: bytes) -> None:
        """Take what came. Take all bodies before the next call: that bounds what is kept."""
        self._buffer += data

    def take(self) -> bytes | None:
        """Return the next whole body, or None if more bytes are needed. Raises BadHeader."""
        if self._length is None:
            end = self._buffer.find(END, 0, HEAD + len(END))
            if end < 0:
                if len(self._buffer) > HEAD:
                    raise BadHeader(f"a header has at most {HEAD} bytes")
                return None
            self._length = _length(bytes(self._buffer[:end]))
            del self._buffer[: end + len(END)]
        if len(self._buffer) < self._length:
            return None
        body = bytes(self._buffer[: self._length])
        del self._buffer[: self._length]
        self._length = None
        return body


def _length(head: bytes) -> int:
    found: int | None = None
    for line in head.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if not colon:
            raise BadHeader(f"a line of a header is no field: {line[:60]!r}")
        if name.strip().lower() != b"content-length":
            continue
        text = value.strip()
        if found is not None or not text.isdigit() or len(text) > 12:
            raise BadHeader(f"Content-Length must be there once, as a number, not {text[:60]!r}")
        found = int(text)
    if found is None:
        raise BadHeader("a header has no Content-Length")
    if found > BODY:
        raise BadHeader(f"a message has at most {BODY} bytes, not {found}")
    return found


def decode(body: bytes) -> Request:
    """Return the request that a body is. Raises BadMessage."""
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError) as exc:
        raise BadMessage(f"a message is no JSON: {str(exc)[:200]}") from exc
    if not isinstance(value, dict):
        raise BadMessage("a message must be an object")
    seq, command = value.get("seq"), value.get("command")
    known = seq if type(seq) is int and 0 <= seq < LAST else 0
    named = command if isinstance(command, str) else ""
    if value.get("type") != "request":
        raise BadMessage("type must be request: nothing else is asked for here", known, named[:100])
    if type(seq) is not int or not 0 <= seq < LAST:
        raise BadMessage("seq must be a whole number from 0", known, named[:100])
    if not 0 < len(named) <= 100:
        raise BadMessage("command must be the name of a request", known, named[:100])
    arguments = value.get("arguments")
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict) or not nested_within(arguments, DEEPEST):
        raise BadMessage(f"arguments must be an object of at most {DEEPEST} levels", known, named)
    return Request(seq, named, arguments)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def packed(message: Mapping[str, Any]) -> bytes:
    """Return a message without its number as bytes, for `numbered`."""
    return _ENCODE(message).encode()


def numbered(seq: int, body: bytes) -> bytes:
    """Return a packed message with its number and header: what is sent as a whole, at once."""
    whole = b'{"seq":%d,%b' % (seq, body[1:])
    return b"Content-Length: %d\r\n\r\n%b" % (len(whole), whole)
