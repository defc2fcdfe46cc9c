"""Params of methods as frozen classes: declared once with types and bounds, checked and decoded at the edge.

    @frozen(kw_only=True)
    class HistoryParams:
        session_key: Text                                                # sessionKey, required
        limit: Annotated[int, Least(1), Most(1000)] | None = None        # may be absent, may not be null
        label: Nullable[Text] = None                                     # may be absent or null: the same here
        icon: Text | Absent | None = ABSENT                              # absent and null are two things
        order: Literal["asc", "desc"] = "asc"

    history_params = decoder(HistoryParams)
    wanted = history_params("chat.history", request.params)

Rules: a field is named in camelCase on the wire; properties that no field names are refused; a default is what absence
means, and `| None = None` says no more than that. Errors have the order and the words of CONTRACT section 2 and come
all at once, at most eight. Absent or null params are an empty object. Knows no method.
"""

import re
from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial, reduce
from operator import or_
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    Protocol,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from attrs import NOTHING, fields, frozen, has

from runtime.errors import LocalError
from runtime.gateway.frames import invalid_params

MOST_PROBLEMS: Final = 8
LARGEST: Final = 2**53 - 1
"""Whole numbers above this are no longer exact in JSON, and nothing here counts that far."""


class Absent(Enum):
    """The type of ABSENT: nothing was said, not even null."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


@frozen
class Least:
    """A number is at least this."""

    bound: int | float


@frozen
class Most:
    """A number is at most this."""

    bound: int | float


@frozen
class Length:
    """A string has at least and at most so many characters."""

    least: int = 0
    most: int | None = None


@frozen
class Items:
    """A list has at least and at most so many items."""

    least: int = 0
    most: int | None = None


@frozen
class Pattern:
    """A string holds a match of this expression."""

    expression: str


@frozen
class Wire:
    """The name of a field on the wire, where it is not the camelCase of its own."""

    name: str


class Style(Enum):
    """Marks: NULL lets a field with a default be null as well; LISTED words the error of a Literal as one list."""

    NULL = "null"
    LISTED = "listed"


NULL: Final = Style.NULL
LISTED: Final = Style.LISTED

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Nullable = Annotated[T | None, NULL]
Text = Annotated[str, Length(1)]
"""A string that is not empty: what the contract means by str."""

Problems = list[tuple[str, str]]
"""Where, as a JSON pointer, and what is wrong there."""
Check = Callable[[Any, Problems], Any]
"""Takes a JSON value and returns the typed one, or notes problems; what it returns then means nothing."""


class Decoder(Protocol[T_co]):
    """Turns the params of a request into a value of the declared class."""

    def __call__(self, method: str, params: object) -> T_co:
        """Raises GatewayError INVALID_REQUEST that names each problem with its path."""


def decoder(kind: type[T], *, null_is_empty: bool = True) -> Decoder[T]:
    """Make the decoder of a class."""
    return _decoder(_check(kind), null_is_empty)


def told(problems: Problems) -> str:
    """The problems as one line (CONTRACT section 2)."""
    lines: dict[str, None] = {}
    for path, why in problems[:MOST_PROBLEMS]:
        if why.startswith("unexpected property"):
            lines[f"at {path or 'root'}: {why}"] = None
        else:
            lines[f"at {path}: {why}" if path else why] = None
    return "; ".join(lines)


def wire_name(name: str) -> str:
    """`session_key` as `sessionKey`. An underscore at the end is Python's way around its own words, and goes."""
    first, *others = name.rstrip("_").split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in others)


def _decoder(check: Check, null_is_empty: bool) -> Decoder[Any]:
    empty: dict[str, Any] | None = {} if null_is_empty else None

    def decode(method: str, params: object) -> Any:
        problems: Problems = []
        value = check(empty if params is None else params, problems)
        if problems:
            raise invalid_params(method, told(problems))
        return value

    return decode


def _check(hint: Any, marks: tuple[Any, ...] = ()) -> Check:
    hint, more = _unwrapped(hint)
    origin, marks = get_origin(hint), (*marks, *more)
    if origin in (Union, UnionType):
        return _either([_check(option, marks) for option in get_args(hint)])
    if origin is Literal:
        return _constant(get_args(hint), LISTED in marks)
    if origin in (list, tuple):
        return _many(_check(get_args(hint)[0]), origin, _only(Items, marks) or Items())
    if origin is not None and issubclass(origin, Mapping):
        return _free(get_args(hint)[1])
    if hint in _SIMPLE:
        return _bounded(*_SIMPLE[hint], marks)
    if isinstance(hint, type) and has(hint):
        return _record(hint)
    if hint in (Any, object):
        return lambda value, problems: value
    raise LocalError(f"params cannot have the type {hint}")


def _record(kind: type[Any]) -> Check:
    hints = get_type_hints(kind, include_extras=True)
    plan: list[tuple[str, str, Check]] = []
    required: list[str] = []
    for attribute in fields(kind):
        hint, marks = _unwrapped(hints[attribute.name])
        renamed = _only(Wire, marks)
        wire = renamed.name if renamed else wire_name(attribute.name)
        if attribute.default is NOTHING:
            required.append(wire)
        elif NULL not in marks:
            hint = _without(hint, Absent if attribute.default is ABSENT else NoneType)
        plan.append((wire, attribute.alias or attribute.name, _check(hint, marks)))
    known = frozenset(wire for wire, _, _ in plan)

    def check(value: Any, problems: Problems) -> Any:
        if not isinstance(value, dict):
            problems.append(("", "must be object"))
            return None
        before = len(problems)
        for wire in required:
            if wire not in value:
                problems.append(("", f"must have required property '{wire}'"))
                break
        if not value.keys() <= known:
            stray = next(name for name in value if name not in known)
            problems.append(("", f"unexpected property '{stray}'"))
        given = {}
        for wire, name, inner in plan:
            if wire in value:
                start = len(problems)
                given[name] = inner(value[wire], problems)
                if len(problems) > start:
                    _move(problems, start, wire)
        return None if len(problems) > before else kind(**given)

    return check


def _many(inner: Check, kind: type[Any], items: Items) -> Check:
    def check(value: Any, problems: Problems) -> Any:
        if not isinstance(value, list):
            problems.append(("", "must be array"))
            return None
        _measure(len(value), items.least, items.most, "items", problems)
        taken = []
        for index, item in enumerate(value):
            start = len(problems)
            taken.append(inner(item, problems))
            if len(problems) > start:
                _move(problems, start, str(index))
                if len(problems) >= MOST_PROBLEMS:
                    break
        return kind(taken)

    return check


def _free(hint: Any) -> Check:
    """An object with names of its own."""
    inner = None if hint in (Any, object) else _check(hint)

    def check(value: Any, problems: Problems) -> Any:
        if not isinstance(value, dict):
            problems.append(("", "must be object"))
            return None
        if inner is None:
            return value
        taken = {}
        for name, item in value.items():
            start = len(problems)
            taken[name] = inner(item, problems)
            if len(problems) > start:
                _move(problems, start, name)
                if len(problems) >= MOST_PROBLEMS:
                    break
        return taken

    return check


def _either(options: list[Check]) -> Check:
    if len(options) == 1:
        return options[0]

    def check(value: Any, problems: Problems) -> Any:
        against: Problems = []
        for option in options:
            before = len(against)
            taken = option(value, against)
            if len(against) == before:
                return taken
        problems.extend(against)
        problems.append(("", "must match a schema in anyOf"))
        return None

    return check


def _constant(allowed: tuple[Any, ...], listed: bool) -> Check:
    # True == 1 in Python and not in JSON, so the type is part of the value.
    known = frozenset((type(each), each) for each in allowed)

    def check(value: Any, problems: Problems) -> Any:
        if isinstance(value, str | int | float) and (type(value), value) in known:
            return value
        if listed:
            problems.append(("", "must be equal to one of the allowed values"))
            return None
        for each in allowed:
            if type(value) is not type(each):
                problems.append(("", _NAMES[type(each)]))
            problems.append(("", "must be equal to constant"))
        if len(allowed) > 1:
            problems.append(("", "must match a schema in anyOf"))
        return None

    return check


def _bounded(kind: Check, bounds: tuple[type[Any], ...], marks: tuple[Any, ...]) -> Check:
    limits = [_LIMITS[type(mark)](mark) for mark in marks if isinstance(mark, bounds)]
    if not limits:
        return kind

    def check(value: Any, problems: Problems) -> Any:
        before = len(problems)
        taken = kind(value, problems)
        if len(problems) == before:
            for limit in limits:
                limit(taken, problems)
        return taken

    return check


def _null(value: Any, problems: Problems) -> None:
    if value is not None:
        problems.append(("", _NAMES[NoneType]))


def _boolean(value: Any, problems: Problems) -> Any:
    if not isinstance(value, bool):
        problems.append(("", _NAMES[bool]))
    return value


def _string(value: Any, problems: Problems) -> Any:
    if not isinstance(value, str):
        problems.append(("", _NAMES[str]))
    return value


def _number(value: Any, problems: Problems) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        problems.append(("", _NAMES[float]))
    return value


def _whole(value: Any, problems: Problems) -> Any:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        problems.append(("", _NAMES[int]))
    elif not -LARGEST <= value <= LARGEST:
        problems.append(("", f"must be {'<=' if value > 0 else '>='} {LARGEST if value > 0 else -LARGEST}"))
    return value


def _least(mark: Least, value: Any, problems: Problems) -> None:
    if value < mark.bound:
        problems.append(("", f"must be >= {mark.bound}"))


def _most(mark: Most, value: Any, problems: Problems) -> None:
    if value > mark.bound:
        problems.append(("", f"must be <= {mark.bound}"))


def _length(mark: Length, value: Any, problems: Problems) -> None:
    _measure(len(value), mark.least, mark.most, "characters", problems)


def _pattern(mark: Pattern) -> Callable[[Any, Problems], None]:
    found = re.compile(mark.expression).search

    def limit(value: Any, problems: Problems) -> None:
        if not found(value):
            problems.append(("", f'must match pattern "{mark.expression}"'))

    return limit


def _measure(size: int, least: int, most: int | None, what: str, problems: Problems) -> None:
    if size < least:
        problems.append(("", f"must not have fewer than {least} {what}"))
    elif most is not None and size > most:
        problems.append(("", f"must not have more than {most} {what}"))


def _move(problems: Problems, start: int, name: str) -> None:
    """Put the problems of a part where the part stands. Paths cost nothing while all is well."""
    problems[start:] = [(f"/{name}{path}", why) for path, why in problems[start:]]


def _unwrapped(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A hint and its marks."""
    if get_origin(hint) is not Annotated:
        return hint, ()
    inner, *marks = get_args(hint)
    return inner, tuple(marks)


def _without(hint: Any, option: type[Any]) -> Any:
    """A hint without one of its options, where it has options."""
    if get_origin(hint) not in (Union, UnionType):
        return hint
    return reduce(or_, (each for each in get_args(hint) if each is not option))


def _only(kind: type[T], marks: tuple[Any, ...]) -> T | None:
    return next((mark for mark in marks if isinstance(mark, kind)), None)


_NAMES: Final[Mapping[type[Any], str]] = {
    str: "must be string",
    int: "must be integer",
    float: "must be number",
    bool: "must be boolean",
    NoneType: "must be null",
}
_SIMPLE: Final[Mapping[Any, tuple[Check, tuple[type[Any], ...]]]] = {
    str: (_string, (Length, Pattern)),
    int: (_whole, (Least, Most)),
    float: (_number, (Least, Most)),
    bool: (_boolean, ()),
    NoneType: (_null, ()),
    None: (_null, ()),
}
_LIMITS: Final[Mapping[type[Any], Callable[[Any], Callable[[Any, Problems], None]]]] = {
    Least: lambda mark: partial(_least, mark),
    Most: lambda mark: partial(_most, mark),
    Length: lambda mark: partial(_length, mark),
    Pattern: _pattern,
}
