"""The values of a border as a tree that is opened node by node. Looks at what is asked for and no further. Pure."""

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Final

from debugger.border import ABOUT, Border
from debugger.inspect.editing import edit_name
from debugger.inspect.paths import Found, Step, below, find_path, nameable
from debugger.inspect.plain import TEXT, Bounds, Shown, cut, entries, hidden, kind_of, number, plain, wellformed
from debugger.schema import fields_of
from runtime.vocab import encode

COUNT: Final = 100
"""Children of one node that are shown where nobody says how many."""
MOST: Final = 1_000
"""Children of one node that are shown at most, and nodes of a whole answer."""
MOST_TEXT: Final = 100_000
"""Characters of one text that are shown at most."""
DEEPEST: Final = 6
"""Levels that are opened at once at most."""
PREVIEW: Final = 160
"""Characters of the preview of a node, and of a text that is somebody's child."""


def tree(border: Border, path: str, start: int = 0, count: int = 0, depth: int = 1) -> Shown:
    """Return the node at `path`; the empty path is the root of all.

    A node has `path` (None where it would be too long to be named), `name`, `type` and `editable` (the name that an
    edit uses, or None). One with entries has `size` and `preview`, and opened `start` and `nodes`: `count` (0: COUNT)
    from `start` on; negative counts from the end. A text has `size` and `value`, from `start` on (0: TEXT
    characters). `depth` is how many levels are opened. Raises NoSuchPath and
    BadExpression.
    """
    found = find_path(border, path)
    room = _Room(MOST)
    made = _node(border, found, "" if not found.steps else str(found.steps[-1]))
    if isinstance(found.value, str) and not found.secret:
        return made | _window(found.value, start, count)
    return _opened(border, found, made, (start, count or COUNT), min(depth, DEEPEST), room)


class _Room:
    """How many nodes the answer still takes."""

    def __init__(self, left: int) -> None:
        self.left = left


def _window(text: str, start: int, count: int) -> Shown:
    begin = _from(start, len(text))
    return {"start": begin, "value": wellformed(text[begin : begin + min(count or TEXT, MOST_TEXT)])}


def _from(start: int, size: int) -> int:
    return max(0, start + size) if start < 0 else min(start, size)


def _opened(border: Border, found: Found, made: Shown, window: tuple[int, int], depth: int, room: _Room) -> Shown:
    inside = None if found.secret else entries(_valued(found.value))
    if inside is None or depth < 1:
        return made
    start = _from(window[0], len(inside))
    nodes: list[Shown] = []
    for step in _steps(inside, start, min(window[1], MOST)):
        if room.left <= 0:
            break
        room.left -= 1
        one = below(found, step)
        node = _node(border, one, str(step)) | _about(found, step)
        nodes.append(_opened(border, one, node, (0, window[1]), depth - 1, room))
    return made | {"start": start, "nodes": nodes}


def _steps(inside: Any, start: int, count: int) -> Iterator[Step]:
    if isinstance(inside, Mapping):
        yield from list(inside)[start : start + count]
    else:
        yield from range(start, min(start + count, len(inside)))


def _valued(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _node(border: Border, found: Found, name: str) -> Shown:
    value = _valued(found.value)
    made: dict[str, Any] = {
        "path": nameable(found.steps),
        "name": cut(name, PREVIEW),
        "type": "secret" if found.secret else kind_of(found.value),
        "editable": _carried(edit_name(found.steps, border.state, border.call)),
    }
    if found.secret:
        return made | {"value": hidden(value)}
    if isinstance(value, str):
        return made | {"size": len(value), "value": wellformed(value[:PREVIEW])}
    inside = entries(value)
    if inside is not None:
        return made | {"size": len(inside), "preview": preview(value)}
    if isinstance(value, bytes):
        return made | {"size": len(value)}
    return made | {"value": value if value is None or isinstance(value, bool) else number(value)}


def _carried(name: str | None) -> str | None:
    """A name that no wire carries as it is would name something else."""
    return name if name is None or wellformed(name) == name else None


def _about(owner: Found, step: Step) -> Shown:
    """What the schema says of a root or a field, where it says something."""
    if not owner.steps:
        return {"about": ABOUT[str(step)]}
    field = fields_of(owner.value.__class__).get(str(step))
    return {"about": field.about} if field is not None and field.about else {}


def preview(value: Any) -> str:
    """Return the beginning of a value as one line of compact JSON."""
    shown = encode(plain(value, Bounds(text=60, depth=3, items=6, budget=400))).decode()
    return shown if len(shown) <= PREVIEW else f"{shown[: PREVIEW - 1]}…"
