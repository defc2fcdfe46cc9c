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
    one as well: a text without them is not searched. What is no word in `also` (`@`, `()`) is looked for as it stands.
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
def _also() -> tuple[tuple[frozenset[bytes], tuple[str, ...]], ...]:
    """Return for each pattern the words and the signs of which a text must hold one beside an anchor, if any."""
    said = tuple(row.also.split() for row in rows())
    return tuple(
        (frozenset(one.encode() for one in some if one.isalnum()), tuple(one for one in some if not one.isalnum()))
        for some in said
    )


@cache
def _known() -> frozenset[bytes]:
    """Return all words that decide whether a pattern is tried."""
    return frozenset(_anchored()).union(*(words for words, _ in _also()))


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


def candidates(text: str, found: Iterable[bytes]) -> list[int]:
    """Return the places of the patterns that a text may hold, ascending, going by its words `found` and its signs."""
    anchored, also = _anchored(), _also()
    seen = _known().intersection(found)
    places = {place for word in seen if word in anchored for place in anchored[word]}
    if not text.isascii():
        places.update(anchored[BEYOND])
    return sorted(place for place in places if _beside(*also[place], text, seen))


def _beside(words: frozenset[bytes], signs: tuple[str, ...], text: str, seen: frozenset[bytes]) -> bool:
    """Whether a text holds one of the words or signs that must stand beside an anchor."""
    if not words and not signs:
        return True
    return not words.isdisjoint(seen) or any(map(text.__contains__, signs))


def hits(text: bytes, places: Iterable[int]) -> list[int]:
    """Return those of some patterns that a text holds."""
    compiled = _compiled()
    return [place for place in places if compiled[place].search(text) is not None]


def evidence(place: int, text: bytes) -> str:
    """Return what a pattern found in a text; empty if it is not there."""
    found = _compiled()[place].search(text)
    return str(found.group(), "utf-8", "replace") if found else ""
