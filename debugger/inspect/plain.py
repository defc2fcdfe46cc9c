"""Any value of a session as plain JSON that may be shown: bounded, and without what is secret. Pure.

What JSON or msgpack could not carry stands there as an object with one telling member: `secret` and `bytes` (how
long it is), `cut` with `length` (the beginning of a long text), `number` (an integer beyond 64 bits, or no finite
number), `deeper` (what kind of value lies below the depth that was asked for), `more` (how many entries are left out).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from math import isfinite
from typing import Any, Final

from attrs import define, has
from pyrsistent import PVector

from debugger.schema import Secret, fields_of, is_secret

TEXT: Final = 4_000
"""Characters of one text that are shown."""
DEPTH: Final = 10
"""Levels of one value that are shown; a frame of the protocol takes 32."""
ITEMS: Final = 100
"""Entries of one list or object that are shown."""
BUDGET: Final = 200_000
"""Characters of one whole value that are shown."""
LARGEST: Final = 2**63
Shown = dict[str, Any]
"""An object that may be shown."""
_HALVES: Final = re.compile("[\ud800-\udfff]")
ListLike = (list, tuple, PVector)


@define
class Bounds:
    """How much of a value is shown: characters of each text, levels, entries of each list, characters of it all.

    With `letters`, that many characters of texts are shown beside the budget, which is for the rest then.
    """

    text: int = TEXT
    depth: int = DEPTH
    items: int = ITEMS
    budget: int = BUDGET
    letters: int | None = None

    def cut(self, text: str) -> Any:
        """Return what is shown of a text, and take it from what may be shown."""
        left = self.budget if self.letters is None else self.letters
        shown, taken = cut(text, max(0, min(self.text, left))), min(len(text), self.text)
        if self.letters is None:
            self.budget -= taken
        else:
            self.letters -= taken
        return shown


def plain(value: Any, bounds: Bounds | None = None) -> Any:
    """Return `value` as plain JSON within `bounds` (whose budget is used up)."""
    return _plain(value, bounds or Bounds(), 0)


def hidden(value: Any) -> Shown | None:
    """Return what is shown of a secret: its length (`debugger.schema.Secret`). None hides nothing and stays None."""
    try:
        secret = value if isinstance(value, Secret) else Secret.of(value)
    except ValueError:  # a whole number of more digits than Python writes
        secret = Secret(0)
    return None if secret is None else {"secret": secret.length}


def cut(text: str, most: int) -> Any:
    """Return a text, or where it is longer than `most` characters its beginning and its full length."""
    return wellformed(text) if len(text) <= most else {"cut": wellformed(text[:most]), "length": len(text)}


def wellformed(text: str) -> str:
    """Return `text` with lone surrogates as U+FFFD: no wire carries them."""
    return text if text.isascii() else _HALVES.sub("\ufffd", text)


def number(value: float) -> Any:
    """Return a number that every front end reads as it is, or an object that tells it."""
    if isinstance(value, int):
        if -LARGEST <= value < LARGEST:
            return value
        return {"number": str(value) if value.bit_length() < 1_000 else f"{value.bit_length()} bits"}
    return value if isfinite(value) else {"number": str(value)}


def kind_of(value: Any) -> str:
    """Return the word for the type of a value: null, bool, int, float, text, bytes, list, map, or a class's name."""
    for types, word in _WORDS:
        if isinstance(value, types):
            return word
    return str(value.__class__.__name__)


_WORDS: Final[tuple[tuple[Any, str], ...]] = (
    (type(None), "null"),
    (bool, "bool"),
    (int, "int"),
    (float, "float"),
    (str, "text"),
    (bytes, "bytes"),
    (ListLike, "list"),
    (Mapping, "map"),
)


def entries(value: Any) -> "Sequence[Any] | Mapping[str, Any] | None":
    """Return what lies directly below a value: a list, or a mapping by name; None where nothing can.

    The fields of a frozen value are read one by one, when they are looked up.
    """
    if isinstance(value, (*ListLike, Mapping)):
        return value
    return FieldsOf(value) if has(value.__class__) else None


class FieldsOf(Mapping[str, Any]):
    """The fields of a frozen value by name, secret ones included: whoever shows them asks `is_hidden`."""

    def __init__(self, value: Any) -> None:
        self._value = value
        self._fields = fields_of(value.__class__)

    def __getitem__(self, name: str) -> Any:
        return self._fields[name].get(self._value)

    def __contains__(self, name: object) -> bool:
        return name in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


def is_hidden(owner: Any, name: object) -> bool:
    """Whether what has this name in `owner` (a mapping or a frozen value) is secret."""
    if isinstance(owner, Mapping):
        return is_secret(name)
    field = fields_of(owner.__class__).get(name) if isinstance(name, str) else None
    return field is not None and field.secret


def _plain(value: Any, bounds: Bounds, level: int) -> Any:
    bounds.budget -= 8
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str):
        return bounds.cut(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return number(value)
    if isinstance(value, bytes):
        return {"bytes": len(value)}
    if isinstance(value, Secret):
        return hidden(value)
    inside = entries(value)
    if inside is None or level >= bounds.depth or bounds.budget <= 0:
        return {"deeper": kind_of(value)}
    if isinstance(inside, Mapping):
        return _object(value, inside, bounds, level)
    return _list(inside, bounds, level)


def _object(owner: Any, inside: Mapping[str, Any], bounds: Bounds, level: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for count, name in enumerate(inside):
        if count >= bounds.items or bounds.budget <= 0:
            made["more"] = len(inside) - count
            break
        key = wellformed(str(name))[: bounds.text]
        bounds.budget -= len(key)
        made[key] = hidden(inside[name]) if is_hidden(owner, name) else _plain(inside[name], bounds, level + 1)
    return made


def _list(inside: Sequence[Any], bounds: Bounds, level: int) -> list[Any]:
    made = []
    for count, value in enumerate(inside):
        if count >= bounds.items or bounds.budget <= 0:
            made.append({"more": len(inside) - count})
            break
        made.append(_plain(value, bounds, level + 1))
    return made
