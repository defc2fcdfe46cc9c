"""Params from a frame as frozen classes: strict types, bounds, unknown members refused, errors with their path. Pure.

A class says its bounds in its hints: `Annotated[str, Length(1, 200)]`, `Annotated[int, Within(0, 9)]`,
`Annotated[tuple[str, ...], Items(1, 9)]`. Nothing is converted: `"3"` is no number, and 1 is no boolean.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

from attrs import NOTHING, Attribute, fields, frozen
from cattrs import ClassValidationError, Converter, ForbiddenExtraKeysError

from debugger.protocol.errors import Failure

T = TypeVar("T")


@frozen
class Length:
    """A text has so many characters. With `shown`, all of them can be shown in a terminal."""

    least: int
    most: int
    shown: bool = False


@frozen
class Within:
    """A number is from `least` to `most`."""

    least: float
    most: float


@frozen
class Items:
    """A list has so many items."""

    least: int
    most: int


Mark = Length | Within | Items


class _Item(ValueError):
    """What is wrong with one item of a list."""

    def __init__(self, index: int, inner: Exception) -> None:
        super().__init__(str(inner))
        self.index = index
        self.inner = inner


def structure(kind: type[T], value: object, at: str) -> T:
    """Return the value of a class that a map of a frame is. Raises Failure `bad_params` for the first thing wrong."""
    if not isinstance(value, dict):
        raise Failure("bad_params", f"{at} must be a map, not {_name_of(value)}", at=at)
    try:
        return _CONVERTER.structure(value, kind)
    except Exception as exc:  # cattrs gathers whatever is raised below it, of any class
        path, why = _first(exc, at)
        raise Failure("bad_params", f"{path} {why}", at=path) from exc


def plain(value: object) -> dict[str, Any]:
    """Return the members of a value as they stand in a frame, without those that say what absence says."""
    found: dict[str, Any] = _CONVERTER.unstructure(value)
    return found


def hint_of(kind: type[Any], one: "Attribute[Any]") -> Any:
    """Return the hint of a field with its marks."""
    return get_type_hints(kind, include_extras=True)[one.name]


def required(one: "Attribute[Any]") -> bool:
    """Whether a field must be there."""
    return one.default is NOTHING


def _first(exc: BaseException, path: str) -> tuple[str, str]:
    """Walk down to the first thing that is wrong: its path, and the rest of the sentence."""
    if isinstance(exc, ClassValidationError):
        noted, others = exc.group_exceptions()
        if noted:
            inner, note = noted[0]
            return _first(inner, f"{path}.{note.name}")
        return _first(others[0], path)
    if isinstance(exc, _Item):
        return _first(exc.inner, f"{path}[{exc.index}]")
    if isinstance(exc, ForbiddenExtraKeysError):
        known = ", ".join(one.name for one in fields(exc.cl)) or "none"
        extra = min(exc.extra_fields)[:100]
        return f"{path}.{extra}", f"is not known; known are: {known}"
    if isinstance(exc, KeyError):
        return path, "is missing"
    return path, str(exc) or type(exc).__name__


def _name_of(value: object) -> str:
    names = {dict: "a map", list: "a list", str: "text", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _exact(kind: type, said: str) -> Callable[[Any, Any], Any]:
    def check(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise ValueError(f"must be {said}, not {_name_of(value)}")
        return value

    return check


def _number(value: Any, _: Any) -> float:
    if type(value) not in (int, float):
        raise ValueError(f"must be a number, not {_name_of(value)}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError("is too large a number") from None


def _object(value: Any, _: Any) -> Any:
    if type(value) is not dict:
        raise ValueError(f"must be a map, not {_name_of(value)}")
    return value


def _literal(kind: Any) -> Callable[[Any, Any], Any]:
    options = get_args(kind)

    def check(value: Any, _: Any) -> Any:
        if not isinstance(value, str) or value not in options:
            raise ValueError(f"must be one of: {', '.join(option or 'nothing' for option in options)}")
        return value

    return check


def _many(kind: Any) -> Callable[[Any, Any], Any]:
    inner = get_args(kind)[0]

    def check(value: Any, _: Any) -> Any:
        if type(value) is not list:
            raise ValueError(f"must be a list, not {_name_of(value)}")
        made = []
        for index, item in enumerate(value):
            try:
                made.append(_CONVERTER.structure(item, inner))
            except Exception as exc:
                raise _Item(index, exc) from exc
        return tuple(made)

    return check


def _marked(kind: Any) -> Callable[[Any, Any], Any]:
    inner, *marks = get_args(kind)

    def check(value: Any, _: Any) -> Any:
        if isinstance(value, list):  # its length before its items, which may be many
            _hold(value, marks)
            return _CONVERTER.structure(value, inner)
        made = _CONVERTER.structure(value, inner)
        _hold(made, marks)
        return made

    return check


def _hold(value: Any, marks: list[Any]) -> None:
    for mark in marks:
        match mark:
            case Length(least, most, shown) if isinstance(value, str):
                if not least <= len(value) <= most:
                    raise ValueError(f"must have from {least} to {most} characters, not {len(value)}")
                if shown and not value.isprintable():
                    raise ValueError("must not have control characters")
            case Within(least, most) if not least <= value <= most:
                raise ValueError(f"must be from {least:.17g} to {most:.17g}")
            case Items(least, most) if not least <= len(value) <= most:
                raise ValueError(f"must have from {least} to {most} items, not {len(value)}")


def _converter() -> Converter:
    made = Converter(forbid_extra_keys=True, detailed_validation=True, omit_if_default=True)
    made.register_structure_hook(bool, _exact(bool, "true or false"))
    made.register_structure_hook(int, _exact(int, "a whole number"))
    made.register_structure_hook(str, _exact(str, "text"))
    made.register_structure_hook(float, _number)
    made.register_structure_hook_func(_is(Mapping), _object)
    made.register_structure_hook_factory(_is(Literal), _literal)
    made.register_structure_hook_factory(_is(tuple), _many)
    made.register_structure_hook_factory(_is(Annotated), _marked)
    made.register_unstructure_hook_func(_is(Mapping), lambda value: value)
    return made


def _is(origin: Any) -> Callable[[Any], bool]:
    return lambda kind: bool(get_origin(kind) == origin)


_CONVERTER: Final = _converter()
