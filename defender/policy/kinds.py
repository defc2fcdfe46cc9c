"""What a value of a policy may be: types as data, each with the words that a person reads. Pure."""

from collections.abc import Callable
from typing import Any, Final

from attrs import frozen

from runtime.vocab import Decision


class Wrong(Exception):
    """A value is not what its key wants; the text says what it must be."""


@frozen
class Kind:
    """A type: what it is called on the reference page, and the check that returns the value or raises Wrong."""

    told: str
    check: Callable[[Any], Any]


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise Wrong("a number from 0 to 1")
    return float(value)


def _decision(value: Any) -> Decision:
    try:
        return Decision(value)
    except ValueError:
        raise Wrong("allow, review or block") from None


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 200 or not value.isprintable():
        raise Wrong("a line of at most 200 characters")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > 200:
        raise Wrong("a list of at most 200 lines")
    try:
        return tuple(_text(one) for one in value)
    except Wrong:
        raise Wrong("a list of lines of at most 200 characters") from None


def count(least: int, most: int) -> Kind:
    """Return the type of whole numbers with bounds."""
    told = f"a whole number from {least:,} to {most:,}" if least < most else f"the number {least}"

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise Wrong(told)
        return value

    return Kind(told, check)


def word(*words: str) -> Kind:
    """Return the type of one of a few words."""
    told = f"one of {', '.join(words)}"

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in words:
            raise Wrong(told)
        return value

    return Kind(told, check)


SHARE: Final = Kind("a number from 0 to 1", _share)
DECISION: Final = Kind("allow, review or block", _decision)
TEXT: Final = Kind("a line of text", _text)
TEXTS: Final = Kind("a list of lines", _texts)
