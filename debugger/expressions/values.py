"""What values are in expressions: text, numbers, True, False, None, lists, objects, frozen values, and ABSENT. Pure.

Lists are Python's lists and tuples and persistent vectors; objects are mappings. A frozen value has the fields that
`debugger.schema` names and nothing else. An Enum reads as its value. Bytes, and all that is not named here, is absent.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import cache
from typing import Any, Final, TypeGuard, final

from attrs import has

from debugger.expressions.bounds import DEEPEST_VALUE, Purse
from debugger.expressions.errors import ExpressionFailed
from debugger.schema import Field, Secret, fields_of, is_secret


@final
class Absent:
    """The value of what is not there. False; equal to nothing, itself included; no member, no length."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = Absent()
_UNEQUAL: Final = frozenset({Absent, Secret})
SCALARS: Final = frozenset({str, int, float, bool, type(None)})
FAULTS: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What reading a field may raise when a session holds what nobody expected. The field is then absent."""


def plain(value: Any) -> Any:
    """Return a value as expressions know it."""
    way = _way(value.__class__)
    return value if way is None else way(value)


def is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    """Whether a value is a list: it has items and is no text and no bytes."""
    return _is_list(value.__class__)


def is_object(value: Any) -> TypeGuard[Mapping[Any, Any]]:
    """Whether a value is an object: it has keys."""
    return _is_object(value.__class__)


@cache
def _way(kind: type) -> Callable[[Any], Any] | None:
    """How a value of this class becomes plain; None where it is."""
    if kind in SCALARS or kind is Absent or _is_list(kind) or _is_object(kind) or has(kind):
        return None
    if issubclass(kind, Enum):
        return lambda value: plain(value.value)
    # Subclasses of the scalars become scalars, so that nothing of their own can run.
    return next((scalar for scalar in (str, int, float) if issubclass(kind, scalar)), lambda value: ABSENT)


@cache
def _is_object(kind: type) -> bool:
    return issubclass(kind, Mapping)


@cache
def _is_list(kind: type) -> bool:
    return issubclass(kind, Sequence) and not issubclass(kind, (str, bytes, bytearray, memoryview, range))


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is a number. True and False are none."""
    return value.__class__ is int or value.__class__ is float


def read_field(field: Field, value: Any, purse: Purse) -> Any:
    """Return a field of a frozen value. What is put together of pieces is paid for, before and after."""
    if field.pieces is None:
        return read_stored(field, value)
    try:
        purse.pay(2 * field.pieces(value))
    except FAULTS:
        return ABSENT
    found = read_stored(field, value)
    if found.__class__ is str:
        purse.pay_for(found)
    return found


def read_stored(field: Field, value: Any) -> Any:
    """Return a field of a frozen value, whatever it costs."""
    try:
        found = field.get(value)
    except FAULTS:
        return ABSENT
    return Secret.of(found) if field.secret else plain(found)


def key(value: Any, name: str) -> Any:
    """Return what an object has under a key. Of anything else this is absent."""
    if not is_object(value) or name not in value:
        return ABSENT
    return Secret.of(value[name]) if is_secret(name) else plain(value[name])


def item(value: Any, index: int) -> Any:
    """Return an item of a list; a negative index counts from the end. Of anything else this is absent."""
    if not is_list(value) or not -len(value) <= index < len(value):
        return ABSENT
    return plain(value[index])


def same(left: Any, right: Any, purse: Purse, depth: int = 0) -> bool:
    """Whether two values are equal: of one kind, with equal parts. Numbers are one kind; True is no number.

    What is absent or secret equals nothing, so that no comparison finds out a secret.
    """
    purse.pay(3)
    left, right = plain(left), plain(right)
    kind = left.__class__
    if kind in _UNEQUAL or right.__class__ in _UNEQUAL:
        return False
    if kind in SCALARS:
        if kind is str and right.__class__ is str:
            purse.pay_for(left)
        return (kind is right.__class__ or (is_number(left) and is_number(right))) and bool(left == right)
    if left is right:
        return True
    if depth > DEEPEST_VALUE:
        raise ExpressionFailed(f"a value that is compared is nested deeper than {DEEPEST_VALUE}")
    if is_list(left) and is_list(right):
        return len(left) == len(right) and all(same(a, b, purse, depth + 1) for a, b in zip(left, right, strict=True))
    if is_object(left) and is_object(right):
        return left.keys() == right.keys() and all(same(left[name], right[name], purse, depth + 1) for name in left)
    if kind is not right.__class__:
        return False
    stored = (field for field in fields_of(kind).values() if field.pieces is None)
    return all(same(read_stored(one, left), read_stored(one, right), purse, depth + 1) for one in stored)


def within(part: Any, whole: Any, purse: Purse) -> bool:
    """Whether a text has the piece, a list the item, or an object the key."""
    if part is ABSENT:
        return False
    if whole.__class__ is str:
        purse.pay_for(whole)
        return part.__class__ is str and part in whole
    if is_object(whole):
        return part.__class__ is str and part in whole
    return is_list(whole) and any(same(part, one, purse) for one in whole)


def ordered(left: Any, right: Any, purse: Purse) -> bool:
    """Whether two values have an order: two numbers, or two texts."""
    if left.__class__ is str and right.__class__ is str:
        purse.pay_for(left)
        return True
    return is_number(left) and is_number(right)
