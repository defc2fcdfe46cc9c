"""Everything about one reading of a text that is not an n-gram: which patterns hit and what its form shows."""

from functools import cache

from defender.prompts.patterns import hits, rows


@cache
def names() -> tuple[str, ...]:
    """Return the names of all signs, in the order of their places."""
    return tuple(row.id for row in rows())


def signs(text: str, found: list[bytes]) -> list[int]:
    """Return the places of what a text shows; `found` are its words."""
    return hits(text.encode("utf-8", "replace"), found)
