"""Rows as tables of a terminal: columns in line below their names, numbers to the right, no wider than it is. Pure."""

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from debugger.repl.texts import DEEP, WIDE, line, span, worded

GAP: Final = "  "
"""Between two columns."""
NARROW: Final = 8
"""Columns that every column keeps, however narrow the terminal is."""
_EMPTY: Final[tuple[Any, ...]] = (None, "", [], {}, ())


def cell(value: Any) -> str:
    """Return a value as a cell: empty for what says nothing, `yes` for what is so."""
    if isinstance(value, bool):
        return "yes" if value else ""
    if value in _EMPTY:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else line(value, 80)


def amount(value: Any) -> str:
    """Return a number with its thousands apart."""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else cell(value)


def listed(value: Any) -> str:
    """Return the names of a list in a line."""
    return ", ".join(cell(one) for one in value) if isinstance(value, (list, tuple)) else cell(value)


@frozen
class Column:
    """One column: the member of a row that stands in it, what stands above it (else the member's name), how a value is
    shown, and whether it stands at the right, as numbers do. A `firm` one is cut last, for half of it says nothing."""

    name: str
    head: str = ""
    show: Callable[[Any], str] = cell
    right: bool = False
    firm: bool = False


def numbers(name: str, head: str = "", show: Callable[[Any], str] = amount) -> Column:
    """Return a column of whole numbers."""
    return Column(name, head, show, right=True, firm=True)


def seconds(name: str, head: str = "") -> Column:
    """Return a column of times."""
    return Column(name, head, span, right=True, firm=True)


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence["Column | str"] = (), width: int = WIDE) -> list[str]:
    """Return rows in columns below their names, in lines of at most `width` columns of a terminal.

    A column that is empty everywhere is left out. The widest are cut first where a line would be too long. Without
    `columns` there is one for each member.
    """
    some = list(rows)
    wanted = list(columns) or list(dict.fromkeys(str(name) for row in some for name in row))
    made = [one if isinstance(one, Column) else Column(one) for one in wanted]
    cells = [[one.show(row.get(one.name)) for one in made] for row in some]
    kept = [n for n in range(len(made)) if any(row[n] for row in cells)]
    heads = [line(made[n].head or made[n].name) for n in kept]
    lines = [heads, *([row[n] for n in kept] for row in cells)]
    firm = [made[n].firm for n in kept]
    widths = _fitted([max(broad(row[n]) for row in lines) for n in range(len(kept))], firm, width)
    rights = [made[n].right for n in kept]
    return [GAP.join(map(_padded, row, widths, rights)).rstrip() for row in lines] if kept else []


def _fitted(widths: list[int], firm: list[bool], most: int) -> list[int]:
    """Return the widths of columns in a line of at most so many; the widest gives way first, firm ones last."""
    made = list(widths)
    for gives in ([n for n, one in enumerate(firm) if not one], list(range(len(made)))):
        while sum(made) + len(GAP) * (len(made) - 1) > most and any(made[n] > NARROW for n in gives):
            made[max(gives, key=made.__getitem__)] -= 1
    return made


def _padded(text: str, width: int, right: bool) -> str:
    text = fitted(text, width)
    blank = " " * (width - broad(text))
    return blank + text if right else text + blank


def fitted(text: str, width: int) -> str:
    """Return a text in so many columns of a terminal, cut at the end where it is broader."""
    if broad(text) <= width:
        return text
    made = ""
    for one in text:
        if broad(made) + broad(one) >= width:
            break
        made += one
    return f"{made}…"


def broad(text: str) -> int:
    """Return how many columns of a terminal a line of text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(one) else 1 + (unicodedata.east_asian_width(one) in "WF") for one in text)


def outline(value: Any, indent: int = 0) -> list[str]:
    """Return a value as an outline: a member in a line, what is inside it below."""
    pad = "  " * indent
    if isinstance(value, Mapping) and value and worded(value) is None and indent <= DEEP:
        found: list[str] = []
        for name, inner in value.items():
            below = _below(inner)
            found.append(f"{pad}{line(str(name))}:" + ("" if below else f" {line(inner)}"))
            found += outline(inner, indent + 1) if below else []
        return found
    if isinstance(value, (list, tuple)) and value and indent <= DEEP:
        if all(isinstance(one, Mapping) for one in value):
            return [f"{pad}{row}" for row in table(value)]
        return [row for one in value for row in outline(one, indent)]
    return [f"{pad}{line(value)}"]


def _below(value: Any) -> bool:
    """Whether a value has lines of its own below its name."""
    if isinstance(value, Mapping):
        return bool(value) and worded(value) is None and len(line(value, 10_000)) > 60
    return isinstance(value, (list, tuple)) and bool(value) and any(isinstance(one, (Mapping, list)) for one in value)
