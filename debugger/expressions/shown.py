"""Values as compact JSON: fields of frozen values by their names, secrets as their lengths. Pure.

What JSON has no word for is null: numbers that are not finite or have thousands of digits, and what is absent. A value
that is nested deeper than any from outside ends in `…`.
"""

import json
import math
from collections.abc import Iterable
from typing import Any, Final

from attrs import define

from debugger.expressions.bounds import DEEPEST_VALUE, MOST_SHOWN, Purse
from debugger.expressions.values import ABSENT, SCALARS, is_list, is_object, plain, read_stored
from debugger.schema import Secret, fields_of, is_secret

CUT: Final = "…"
_TEXT: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_LARGEST: Final = 10**4000


def whole(value: Any, purse: Purse) -> str:
    """Return a value as JSON. Each part of it is paid for."""
    return _TEXT(_tree(value, purse, 0))


def cut(value: Any, most: int = MOST_SHOWN) -> str:
    """Return a value as JSON, of at most so many characters; what was cut off ends in `…`. Absent is `absent`.

    Looks at no more of the value than it shows.
    """
    return _cut(value, _Room(most + 2 * DEEPEST_VALUE), most)


def shown(value: Any, purse: Purse, most: int) -> str:
    """Return the same, and pay for the parts that were looked at and for the text."""
    room = _Room(most + 2 * DEEPEST_VALUE)
    text = _cut(value, room, most)
    purse.pay(room.parts)
    purse.pay_for(text)
    return text


def _cut(value: Any, room: "_Room", most: int) -> str:
    if value is ABSENT:
        return "absent"
    text = _TEXT(_tree(value, room, 0))
    return text if len(text) <= most else text[: most - 1] + CUT


@define
class _Room(Purse):
    """Room for characters, in the place of a purse. What does not fit is left out instead of raising.

    An operation is counted as a character of what it makes, or (of the last part of each level) as one too many.
    `parts` counts the operations alone.
    """

    parts: int = 0

    def pay(self, operations: int) -> None:
        self.left -= operations
        self.parts += operations

    def pay_for(self, text: str) -> None:
        self.left -= len(text)


def _tree(value: Any, purse: Purse, depth: int) -> Any:
    """Return a value as what the encoder takes, as far as the purse reaches."""
    value = plain(value)
    if value.__class__ in SCALARS:
        return _scalar(value, purse)
    if value is ABSENT:
        return None
    if depth > DEEPEST_VALUE:
        return CUT
    if is_list(value):
        return _items(value, purse, depth)
    return _members(_named(value), purse, depth)


def _scalar(value: Any, purse: Purse) -> Any:
    purse.pay(1)
    kind = value.__class__
    if kind is str:
        if isinstance(purse, _Room):
            value = value[: max(purse.left, 0) + 1]  # a long text is not copied for its beginning
        purse.pay_for(value)
    elif (kind is int and not -_LARGEST < value < _LARGEST) or (kind is float and not math.isfinite(value)):
        return None
    return value


def _items(value: Any, purse: Purse, depth: int) -> list[Any]:
    purse.pay(2)
    found: list[Any] = []
    for one in value:
        if purse.left < 0:
            break
        found.append(_scalar(one, purse) if one.__class__ in SCALARS else _tree(one, purse, depth + 1))
    return found


def _members(members: Iterable[tuple[str, Any]], purse: Purse, depth: int) -> dict[str, Any]:
    purse.pay(3)
    found: dict[str, Any] = {}
    for name, one in members:
        if purse.left < 0:
            break
        purse.pay(1)
        purse.pay_for(name)
        found[name] = _scalar(one, purse) if one.__class__ in SCALARS else _tree(one, purse, depth + 1)
    return found


def _named(value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, Secret):
        return (("secret", value.length),)
    if is_object(value):
        return ((str(name), Secret.of(one) if is_secret(name) else one) for name, one in value.items())
    # What is put together of other fields is there already.
    stored = (field for field in fields_of(value.__class__).values() if field.pieces is None)
    return ((field.name, read_stored(field, value)) for field in stored)
