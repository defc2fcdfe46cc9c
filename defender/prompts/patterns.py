"""Turns of phrase that speak for an injection, as data: `patterns.toml` holds them, each with its reason and examples.

Expressions are RE2's (linear time). They read normalised text and decoded views, case-insensitively. A hit is evidence
for a person and a feature for the model's last step, which weighs it; by itself it demands nothing.
"""

import re
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Final

from attrs import frozen

PLACE: Final = Path(__file__).with_name("patterns.toml")
BEYOND: Final = b"~"
"""The anchor of patterns that any text beyond ASCII is searched for."""
_MEMORY: Final = 64 << 20
"""Bytes that the automaton of one expression may take; with less, long texts are slow."""


@frozen
class Pattern:
    """One row: its rule is `prompt.<id>`; `example` is hit by the expression and `counter` is not.

    `anchors` are words of which every hit holds one (folded as `ngrams.words` folds), `also` others of which it holds
    one as well: a text without them is not searched.
    """

    id: str
    reason: str
    anchors: str
    expression: str
    example: str
    counter: str
    also: str = ""


@cache
def rows() -> tuple[Pattern, ...]:
    """Return the patterns in the order of their file; the model's weights go by their ids."""
    said = tomllib.loads(PLACE.read_text("utf-8"))
    parts: dict[str, str] = said["parts"]
    return tuple(
        Pattern(**{**row, "expression": re.sub(r"%\{(\w+)\}", lambda name: parts[name[1]], row["expression"])})
        for row in said["pattern"]
    )


@cache
def _anchored() -> dict[bytes, tuple[int, ...]]:
    """Return for each anchor the places of its patterns."""
    places: dict[bytes, tuple[int, ...]] = {}
    for place, row in enumerate(rows()):
        for anchor in row.anchors.split():
            places[anchor.encode()] = (*places.get(anchor.encode(), ()), place)
    return places


@cache
def _also() -> tuple[frozenset[bytes], ...]:
    """Return for each pattern the words of which a text must hold one beside an anchor; none means any text."""
    return tuple(frozenset(row.also.encode().split()) for row in rows())


@cache
def _compiled() -> tuple[Any, ...]:
    """Return the compiled expressions; they have read some text, as an automaton is built while it reads."""
    import re2

    options = re2.Options()
    options.case_sensitive = False
    options.max_mem = _MEMORY
    made = tuple(re2.compile(row.expression, options) for row in rows())
    some = "\n".join(part for row in rows() for part in (row.example, row.reason, row.counter)).encode()
    for expression in made:
        for _ in expression.finditer(some):
            pass
    return made


def candidates(ascii_: bool, found: Iterable[bytes]) -> list[int]:
    """Return the places of the patterns that a text may hold, ascending, going by its words."""
    anchored, also = _anchored(), _also()
    seen = set(found)
    places = {place for word in anchored.keys() & seen for place in anchored[word]}
    if not ascii_:
        places.update(anchored[BEYOND])
    return sorted(place for place in places if not also[place] or not also[place].isdisjoint(seen))


def hits(text: bytes, places: Iterable[int]) -> list[int]:
    """Return those of some patterns that a text holds."""
    compiled = _compiled()
    return [place for place in places if compiled[place].search(text) is not None]


def evidence(place: int, text: bytes) -> str:
    """Return what a pattern found in a text; empty if it is not there."""
    found = _compiled()[place].search(text)
    return str(found.group(), "utf-8", "replace") if found else ""
