"""Everything about one reading of a text that is not an n-gram: which patterns hit and what its form shows."""

from functools import cache

from defender.prompts.patterns import candidates, hits, rows


@cache
def names() -> tuple[str, ...]:
    """Return the names of all signs, in the order of their places."""
    return tuple(row.id for row in rows())


def possible(text: str, found: list[bytes]) -> list[int]:
    """Return the places of what a text may show, going by its words `found`; the rest it does not show."""
    return candidates(text, found)


def shown(text: str, places: list[int]) -> list[int]:
    """Return those of the possible places that a text does show."""
    return hits(text.encode("utf-8", "replace"), places)


def signs(text: str, found: list[bytes]) -> list[int]:
    """Return the places of all that a text shows; `found` are its words."""
    return shown(text, possible(text, found))
