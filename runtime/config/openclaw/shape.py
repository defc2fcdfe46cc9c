"""Checks a settings tree against the table of keys: unknown keys, wrong types, bounds. Changes nothing, shows no value.

As there, a key that is unknown is a fault of the object that holds it.
"""

import json
import math
import re
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any, Final

from runtime.config.openclaw.issues import Issue, below
from runtime.config.openclaw.table import (
    Either,
    Fixed,
    Key,
    Keyed,
    Many,
    Number,
    Plain,
    Shape,
    Text,
    Type,
    concrete,
    root,
)
from runtime.config.shape import called
from runtime.vocab import JsonObject

MOST: Final = 100
"""Faults that are told of one file."""
_URI: Final = r"[A-Za-z][A-Za-z0-9+.-]*:\S+"
_INSTANT: Final = r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?Z"


def faults(tree: Any) -> tuple[Issue, ...]:
    """Return what is wrong with the whole tree, at most 100 faults."""
    return tuple(islice(check(tree, root(), ""), MOST))


def check(value: Any, kind: Type, path: str) -> Iterator[Issue]:
    """Find what is wrong with one value, depth first, each fault with its path."""
    match concrete(kind):
        case Shape() as shape:
            yield from _object(value, shape, path)
        case Keyed() as keyed:
            yield from _keyed(value, keyed, path)
        case Many() as many:
            yield from _list(value, many, path)
        case Either() as either:
            yield from _either(value, either, path)
        case Text() as text:
            yield from _text(value, text, path)
        case Number() as number:
            yield from _number(value, number, path)
        case Fixed(values):
            if not any(_same(value, wanted) for wanted in values):
                yield _no_choice(path, values)
        case Plain.BOOL if not isinstance(value, bool):
            yield Issue(path, f"must be true or false, not {called(value)}", ("true", "false"))
        case Plain.NULL if value is not None:
            yield Issue(path, f"must be null, not {called(value)}")


def fits(value: Any, kind: Type) -> bool:
    """Whether a value has the type."""
    return next(check(value, kind, ""), None) is None


def _object(value: Any, shape: Shape, path: str) -> Iterator[Issue]:
    if not isinstance(value, dict):
        yield Issue(path, f"must be an object, not {called(value)}")
        return
    for name, key in shape.keys.items():
        if name in value:
            yield from check(value[name], key.type, below(path, name))
        elif key.needed:
            yield Issue(below(path, name), "is required")
    strange = [name for name in value if name not in shape.keys]
    if shape.other:
        for name in strange:
            yield from check(value[name], shape.other.type, below(path, name))
    elif strange and not shape.open:
        yield unknown(path, strange)


def unknown(path: str, names: list[str]) -> Issue:
    """Say that the object at this path has keys that it may not have."""
    return Issue(path, f"unknown key{'s' if len(names) > 1 else ''} {', '.join(json.dumps(name) for name in names)}")


def _keyed(value: Any, keyed: Keyed, path: str) -> Iterator[Issue]:
    if not isinstance(value, dict):
        yield Issue(path, f"must be an object, not {called(value)}")
        return
    for name, item in value.items():
        if keyed.key and not fits(name, keyed.key):
            yield Issue(below(path, name), "this name of a key is not allowed")
        yield from check(item, keyed.item, below(path, name))


def _list(value: Any, many: Many, path: str) -> Iterator[Issue]:
    if not isinstance(value, list):
        yield Issue(path, f"must be a list, not {called(value)}")
        return
    if len(value) < many.least:
        yield Issue(path, f"must have at least {many.least} items")
    if many.most is not None and len(value) > many.most:
        yield Issue(path, f"must have at most {many.most} items")
    for number, item in enumerate(value):
        yield from check(item, many.item, below(path, number))


def _either(value: Any, either: Either, path: str) -> Iterator[Issue]:
    options = [concrete(option) for option in either.options]
    if any(fits(value, option) for option in options):
        return
    meant = [option for option in options if _meant(value, option)]
    if len(meant) == 1:
        yield from check(value, meant[0], path)
    elif all(isinstance(option, Fixed | Plain) and option is not Plain.FREE for option in options):
        yield _no_choice(path, _choices(either))
    else:
        yield Issue(path, f"{called(value)} that fits none of the forms that are allowed here", _words(either))


def _meant(value: Any, option: Type) -> bool:
    """Whether a value that does not fit was meant to be this alternative: the same kind, and the same tags."""
    match option:
        case Shape(keys=keys):
            return isinstance(value, dict) and all(_tagged(value, name, key) for name, key in keys.items())
        case Keyed():
            return isinstance(value, dict)
        case Many():
            return isinstance(value, list)
        case Text():
            return isinstance(value, str)
        case Number():
            return isinstance(value, int | float) and not isinstance(value, bool)
        case Fixed(values):
            return any(type(wanted) is type(value) for wanted in values)
    return False


def _tagged(value: JsonObject, name: str, key: Key) -> bool:
    """Whether a key that can only have one value does not speak against this form."""
    if not isinstance(key.type, Fixed) or len(key.type.values) > 1:
        return True
    return fits(value[name], key.type) if name in value else not key.needed


def _choices(either: Either) -> tuple[Any, ...]:
    found: list[Any] = []
    for option in map(concrete, either.options):
        match option:
            case Fixed(values):
                found += values
            case Plain.BOOL:
                found += [True, False]
            case Plain.NULL:
                found.append(None)
    return tuple(found)


def _words(either: Either) -> tuple[str, ...]:
    return tuple(_word(value) for option in either.options if isinstance(option, Fixed) for value in option.values)


def _no_choice(path: str, values: tuple[Any, ...]) -> Issue:
    listed = ", ".join(json.dumps(value) for value in values)
    return Issue(
        path, f"must be one of {listed}" if len(values) > 1 else f"must be {listed}", tuple(map(_word, values))
    )


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _same(value: Any, wanted: Any) -> bool:
    """Equality as JSON has it: true is not 1."""
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


def _text(value: Any, text: Text, path: str) -> Iterator[Issue]:
    if not isinstance(value, str):
        yield Issue(path, f"must be a string, not {called(value)}")
        return
    length = len(value.encode("utf-16-le", "surrogatepass")) // 2
    if length < text.least:
        yield Issue(path, f"must have at least {text.least} character{'s' if text.least > 1 else ''}")
    if text.most is not None and length > text.most:
        yield Issue(path, f"must have at most {text.most} characters")
    if text.form == "uri" and not re.fullmatch(_URI, value):
        yield Issue(path, "must be a URL")
    if text.form == "date-time" and not re.fullmatch(_INSTANT, value):
        yield Issue(path, "must be a time such as 2026-01-31T12:00:00Z")
    if not all(_pattern(pattern).search(value) for pattern in text.patterns):
        yield Issue(path, f"must match {' and '.join(text.patterns)}")


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    """Compile a pattern of the table; its `$` is the very end, as in JavaScript."""
    return re.compile(f"{pattern[:-1]}\\Z" if pattern.endswith("$") else pattern, re.ASCII)


def _number(value: Any, number: Number, path: str) -> Iterator[Issue]:
    if not isinstance(value, int | float) or isinstance(value, bool):
        yield Issue(path, f"must be a number, not {called(value)}")
        return
    if not math.isfinite(value) or (number.whole and value != int(value)):
        yield Issue(path, "must be a whole number" if number.whole else "must be a finite number")
        return
    if number.least is not None and value < number.least:
        yield Issue(path, f"must be at least {number.least}")
    if number.above is not None and value <= number.above:
        yield Issue(path, f"must be more than {number.above}")
    if number.most is not None and value > number.most:
        yield Issue(path, f"must be at most {number.most}")
