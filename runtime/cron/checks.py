"""Checks of JSON values, put together from small ones: each returns what is kept, or refuses with the path. Pure.

Texts are trimmed, and whole numbers may come as text: clients of the real gateway count on it (CONTRACT section 8).
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from runtime.cron.refusal import CronRefused
from runtime.cron.schedule import duration

Check = Callable[[Any, str], Any]
"""Takes a JSON value and its path; returns what is kept of it, or raises CronRefused."""
Kinds = Mapping[str, tuple[Mapping[str, Check], tuple[str, ...]]]
"""By kind: the members, and those that have to be there."""

LARGEST_MS: Final = 8_640_000_000_000_000
"""The last moment that clients have a date for (ECMA-262, time values)."""
MOST_TEXT: Final = 262_144
_NUMBER: Final = re.compile(r"-?\d{1,18}", re.ASCII)


def refuse(path: str, why: str) -> CronRefused:
    """Return a refusal that says where, as the real gateway does."""
    return CronRefused(f"at {path}: {why}" if path else why)


def flag(value: Any, path: str) -> bool:
    """Take a boolean."""
    if not isinstance(value, bool):
        raise refuse(path, "must be boolean")
    return value


def loose_flag(value: Any, path: str) -> bool:
    """Take a boolean, also as text."""
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if not isinstance(value, bool):
        raise CronRefused(f"{path.rpartition('/')[2]} must be a boolean")
    return value


def text(least: int = 1, most: int = MOST_TEXT) -> Check:
    """Make the check of a text by its length after trimming."""

    def check(value: Any, path: str) -> str:
        if not isinstance(value, str):
            raise refuse(path, "must be string")
        trimmed = value.strip()
        if len(trimmed) < least:
            raise refuse(path, f"must not have fewer than {least} characters")
        if len(trimmed) > most:
            raise refuse(path, f"must not have more than {most} characters")
        return trimmed

    return check


def one_of(*known: str, aliases: Mapping[str, str] | None = None) -> Check:
    """Make the check of a closed set of words, in any case."""

    def check(value: Any, path: str) -> str:
        low = value.strip().lower() if isinstance(value, str) else ""
        low = (aliases or {}).get(low, low)
        for word in known:
            if word.lower() == low:
                return word
        raise refuse(path, f"must be one of {', '.join(known)}")

    return check


def whole(least: int, most: int = LARGEST_MS, *, strict: bool = False) -> Check:
    """Make the check of a whole number. Unless `strict`, text is read as a number and fractions are cut off."""

    def check(value: Any, path: str) -> int:
        number = value
        if isinstance(value, str) and not strict and _NUMBER.fullmatch(value.strip()):
            number = int(value)
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise refuse(path, "must be integer")
        if not number >= least:  # neither is what is no number at all
            raise refuse(path, f"must be >= {least}")
        if number > most:
            raise refuse(path, f"must be <= {most}")
        if strict and number != int(number):
            raise refuse(path, "must be integer")
        return int(number)

    return check


def no_less_than_none(value: Any, path: str) -> int:
    """Take a whole number; below zero it means zero."""
    return max(0, int(whole(-LARGEST_MS)(value, path)))


def seconds(value: Any, path: str) -> int | float:
    """Take a number of seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LARGEST_MS:
        raise refuse(path, "must be a number of seconds that is not negative")
    return value


def span(value: Any, path: str) -> str:
    """Take a duration such as `5m`, as text."""
    said = str(text()(value, path))
    if not duration(said):
        raise refuse(path, "must be a positive duration such as 30s, 5m or 1h30m")
    return said


def listed(item: Check, least: int = 0, most: int = 1000) -> Check:
    """Make the check of a list."""

    def check(value: Any, path: str) -> list[Any]:
        if not isinstance(value, list):
            raise refuse(path, "must be array")
        if not least <= len(value) <= most:
            raise refuse(path, f"must have between {least} and {most} items")
        return [item(each, f"{path}/{index}") for index, each in enumerate(value)]

    return check


def or_null(inner: Check) -> Check:
    """Make a check that lets null pass."""
    return lambda value, path: None if value is None else inner(value, path)


def or_false(inner: Check) -> Check:
    """Make a check that lets false pass."""
    return lambda value, path: False if value is False else inner(value, path)


def nullable(members: Mapping[str, Check]) -> Mapping[str, Check]:
    """Return the members with null allowed for each."""
    return {name: or_null(inner) for name, inner in members.items()}


def closed(members: Mapping[str, Check], required: tuple[str, ...] = ()) -> Check:
    """Make the check of an object that has no members but these."""

    def check(value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise refuse(path, "must be object")
        for name in value:
            if name not in members:
                raise refuse(path or "root", f"unexpected property '{name}'")
        for name in required:
            if name not in value:
                raise refuse(path, f"must have required property '{name}'")
        return {name: members[name](inner, f"{path}/{name}") for name, inner in value.items()}

    return check


def tagged(kinds: Kinds, unsupported: tuple[str, ...] = ()) -> Check:
    """Make the check of one of several objects, told apart by `kind`. What belongs to the others is dropped.

    `unsupported` are kinds that the real gateway has and this one does not.
    """
    known = {name for members, _ in kinds.values() for name in members}
    which = one_of(*kinds)

    def check(value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise refuse(path, "must be object")
        if "kind" not in value:
            raise refuse(path, "must have required property 'kind'")
        if value["kind"] in unsupported:
            raise refuse(f"{path}/kind", f"{value['kind']!r} is not supported here; use {' or '.join(kinds)}")
        kind = which(value["kind"], f"{path}/kind")
        members, required = kinds[kind]
        kept = {name: inner for name, inner in value.items() if name in members or name not in {"kind", *known}}
        return {"kind": kind, **closed(members, required)(kept, path)}

    return check


def absent(what: str) -> Check:
    """Make the check of a member that may only be null, because what it stands for is not supported."""

    def check(value: Any, path: str) -> None:
        if value is not None:
            raise refuse(path, f"{what} are not supported here")

    return check
