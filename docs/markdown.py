"""Pieces of the pages that are made from the code: tables, names, and the line that says so."""

from collections.abc import Iterable
from typing import Final

MADE: Final = "<!-- Made by `make docs`. Do not edit. -->\n"


def row(*cells: str) -> str:
    """One line of a table."""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table with a head."""
    names = tuple(head)
    return row(*names) + row(*("---" for _ in names)) + "".join(row(*cells) for cells in rows)


def code(*texts: str) -> str:
    """Names in the type of code, with commas between them."""
    return ", ".join(f"`{text}`" for text in texts)


def summary(text: str | None) -> str:
    """A docstring up to its first empty line, as one line."""
    return " ".join((text or "").split("\n\n")[0].split())
