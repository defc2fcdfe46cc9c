"""Arguments of a request as frozen classes: strict types, bounds, errors with their path. Pure.

What a class does not name is passed over: editors send members that this version does not know, and null for what they
leave out. Nothing is converted: `"3"` is no number, and 1 is no boolean.
"""

from collections.abc import Mapping
from types import NoneType
from typing import Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

from attrs import NOTHING, fields, has

from debugger.dap.errors import Refused

T = TypeVar("T")

ITEMS: Final = 1_000
"""Entries of a list."""
TEXT: Final = 1_000_000
"""Characters of a text."""
LARGEST: Final = 2**53
_NAMES: Final[dict[str, str]] = {"adapter_id": "adapterID", "client_id": "clientID"}
_WORDS: Final[dict[type, str]] = {str: "text", int: "a whole number", bool: "true or false", float: "a number"}


def structure(kind: type[T], value: Mapping[str, Any], at: str = "") -> T:
    """Return the value of a class. Raises Refused for the first thing that is wrong, with its path."""
    hints = get_type_hints(kind)
    made: dict[str, Any] = {}
    for one in fields(kind):  # type: ignore[arg-type]  # every class here is one of attrs
        name = wire_name(one.name)
        found = value.get(name)
        if found is not None:
            made[one.name] = _converted(hints[one.name], found, f"{at}{name}")
        elif one.default is NOTHING:
            raise Refused(f"{at}{name} is missing")
    return kind(**made)


def wire_name(name: str) -> str:
    """Return how a field is called on the wire: `thread_id` is `threadId`."""
    if name in _NAMES:
        return _NAMES[name]
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _converted(hint: Any, value: Any, at: str) -> Any:
    origin = get_origin(hint)
    if hint is Any:
        return value
    if origin is Literal:
        if value not in get_args(hint) or not isinstance(value, str):
            raise Refused(f"{at} must be one of {', '.join(get_args(hint))}")
        return value
    if origin is tuple:
        return _many(get_args(hint)[0], value, at)
    if origin is not None:  # a union with None
        return _converted(next(one for one in get_args(hint) if one is not NoneType), value, at)
    if has(hint):
        if not isinstance(value, dict):
            raise Refused(f"{at} must be an object")
        return structure(hint, value, f"{at}.")
    return _plain(hint, value, at)


def _many(hint: Any, value: Any, at: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise Refused(f"{at} must be a list")
    if len(value) > ITEMS:
        raise Refused(f"{at} has {len(value)} entries, {ITEMS} are allowed")
    return tuple(_converted(hint, one, f"{at}[{place}]") for place, one in enumerate(value))


def _plain(kind: Any, value: Any, at: str) -> Any:
    if kind is float and type(value) in (int, float) and abs(value) < LARGEST:
        return float(value)
    if type(value) is not kind:
        raise Refused(f"{at} must be {_WORDS[kind]}")
    if kind is int and not -LARGEST < value < LARGEST:
        raise Refused(f"{at} is out of bounds")
    if kind is str and len(value) > TEXT:
        raise Refused(f"{at} has {len(value)} characters, {TEXT} are allowed")
    return value
