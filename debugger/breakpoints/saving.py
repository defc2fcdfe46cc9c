"""Saved lists of breakpoints: from JSON values to specs, and ids that are taken. Pure."""

from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from attrs import evolve, frozen

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


OWN: Final = ("enabled", "once", "commands")
"""What may differ between a saved breakpoint and the one that is there: what people change of one that they have."""
_BARE: Final = Spec()


@frozen
class There:
    """A breakpoint that was saved and is there already, and which of the OWN members were saved otherwise."""

    id: int
    differs: tuple[str, ...] = ()


def missing(rows: Any, known: Mapping[int, Spec]) -> tuple[list[dict[str, Any]], tuple[There, ...]]:
    """Return those of a saved list that are not there yet, with ids that are free, and what is there of the others.

    Each that is there stands for one that was saved. One that waits for another is there only if that is there too.
    Raises BadSpec with the path of what is wrong.
    """
    saved = specs_of(rows)
    there = _there(saved, known)
    left = [dict(row) for row in rows if row["id"] not in there]
    ids, _ = renumbered((row["id"] for row in left), known, max(known, default=0) + 1)
    ids |= {number: one.id for number, one in there.items()}
    made = [{**row, "id": ids[row["id"]]} for row in left]
    return [{**row, "after": ids.get(row["after"], row["after"])} if "after" in row else row for row in made], tuple(
        there.values()
    )


def _there(saved: Mapping[int, Spec], known: Mapping[int, Spec]) -> dict[int, There]:
    found: dict[int, There] = {}
    free, left = dict(known), list(saved)
    while True:
        later = []
        for number in left:
            spec = saved[number]
            if spec.after in saved and spec.after not in found:
                later.append(number)  # what it waits for may still be found
                continue
            wanted = evolve(spec, after=found[spec.after].id) if spec.after in found else spec
            same = next((one for one, other in free.items() if _own(other) == _own(wanted)), None)
            if same is not None:
                found[number] = There(same, tuple(_differing(wanted, free.pop(same))))
        if len(later) == len(left):
            return found
        left = later


def _own(spec: Spec) -> Spec:
    return evolve(spec, **{name: getattr(_BARE, name) for name in OWN})


def _differing(wanted: Spec, there: Spec) -> Iterator[str]:
    return (name for name in OWN if getattr(wanted, name) not in (getattr(there, name), getattr(_BARE, name)))


@contextmanager
def below(at: str) -> Iterator[None]:
    """Let a BadSpec name the place in the list as well."""
    try:
        yield
    except BadSpec as exc:
        raise BadSpec(f"{at}.{exc.at}", str(exc).removeprefix(f"{exc.at}: "), exc.position) from None
