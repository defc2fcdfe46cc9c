"""Which messages of a conversation a client gets, and how much of them (CONTRACT section 6, chat.history). Pure.

A cursor names the last message that a client has; where that is not in the conversation any more, the client begins
anew. What is asked for is cut to what one answer can carry, oldest messages first.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from runtime.gateway.transcript import Line

LIMIT: Final = 200
BYTES: Final = 6 * 2**20
"""Messages and bytes (about) of one answer."""
CUT: Final = "\n...(truncated)..."
FRAME: Final = 400
"""Bytes that a message costs besides its texts."""


@frozen
class Window:
    """Some messages of a conversation: the lines `start` to `end`. `more` says whether there are older ones."""

    start: int
    end: int

    @property
    def more(self) -> bool:
        """Whether there are older messages."""
        return self.start > 0


def newest(lines: Sequence[Line], limit: int | None, offset: int = 0) -> Window:
    """Return the last messages before the `offset` newest ones."""
    end = max(0, len(lines) - offset)
    return _carried(lines, Window(max(0, end - (limit or LIMIT)), end))


def around(lines: Sequence[Line], name: str, limit: int | None) -> Window | None:
    """Return the messages around one of them; None where it is not there."""
    place = next((n for n, line in enumerate(lines) if line.id == name), None)
    if place is None:
        return None
    most = limit or LIMIT
    start = max(0, min(place - (most - 1) // 2, len(lines) - most))
    return Window(start, min(len(lines), start + most))


def cursor(session: str, lines: Sequence[Line]) -> str:
    """Return where a client is that has all of these messages."""
    return f"{session}:{len(lines)}:{lines[-1].id if lines else ''}"


def since(given: str, session: str, lines: Sequence[Line]) -> Sequence[Line] | None:
    """Return the messages after a cursor; None where it is of another conversation, or of one that was changed."""
    whose, _, rest = given.rpartition(":")[0].rpartition(":")
    last = given.rpartition(":")[2]
    if whose != session or not rest.isdecimal() or len(rest) > 9 or int(rest) > len(lines):
        return None
    count = int(rest)
    if last != (lines[count - 1].id if count else ""):
        return None
    return lines[count:]


def fitted(body: Mapping[str, Any], most: int | None) -> Mapping[str, Any]:
    """Return a message with its texts cut to so many characters."""
    if most is None:
        return body
    content = body["content"]
    cut: Any
    if isinstance(content, str):
        cut = _cut(content, most)
    else:
        cut = [{**one, "text": _cut(one["text"], most)} if isinstance(one.get("text"), str) else one for one in content]
    if cut == content:
        return body
    envelope = {**body.get("__openclaw", {}), "truncated": True, "reason": "display-cap"}
    return {**body, "content": cut, "__openclaw": envelope}


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + CUT


def _carried(lines: Sequence[Line], wanted: Window) -> Window:
    """Leave out the oldest messages of a window that is too much for one answer; the newest one is always there."""
    size, start = 0, wanted.end
    while start > wanted.start:
        size += FRAME + _weight(lines[start - 1].body)
        if size > BYTES and start < wanted.end:
            break
        start -= 1
    return Window(start, wanted.end)


def _weight(body: Mapping[str, Any]) -> int:
    total, stack = 0, list[object](body.values())
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            total += len(value)
        elif isinstance(value, Mapping):
            stack.extend(value.values())
        elif isinstance(value, (list, tuple)):
            stack.extend(value)
    return total
