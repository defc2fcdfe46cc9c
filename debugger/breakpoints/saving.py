"""Saved lists of breakpoints: from JSON values to specs, and ids that are taken. Pure."""

from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from debugger.breakpoints.spec import BadSpec, Spec, structure


def specs_of(rows: Any) -> dict[int, Spec]:
    """Return the specs of a saved list by their ids. Raises BadSpec with the path of what is wrong."""
    if not isinstance(rows, (list, tuple)):
        raise BadSpec("specs", f"must be a list, not {type(rows).__name__}")
    found: dict[int, Spec] = {}
    for n, row in enumerate(rows):
        members = dict(row) if isinstance(row, Mapping) else row
        number = members.pop("id", None) if isinstance(members, dict) else None
        if isinstance(members, dict) and (type(number) is not int or not 1 <= number < 2**31 or number in found):
            raise BadSpec(f"[{n}].id", "must be a number from 1 that no other has")
        found[number or 0] = structure(members, f"[{n}]")
    return found


def renumbered(saved: Iterable[int], taken: Container[int], following: int) -> tuple[dict[int, int], int]:
    """Return an id for each saved one, its own where that is free, and the id that follows all of them."""
    wanted = list(saved)
    high = max([following - 1, *wanted])
    ids: dict[int, int] = {}
    for number in wanted:
        high += number in taken
        ids[number] = high if number in taken else number
    return ids, high + 1


@contextmanager
def below(at: str) -> Iterator[None]:
    """Let a BadSpec name the place in the list as well."""
    try:
        yield
    except BadSpec as exc:
        raise BadSpec(f"{at}.{exc.at}", str(exc).removeprefix(f"{exc.at}: "), exc.position) from None
