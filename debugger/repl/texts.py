"""Values as text for a terminal: without control sequences, bounded, in columns. Pure."""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from attrs import frozen

WIDE: Final = 160
"""Columns of one line of a table or of a value in a line."""
DEEP: Final = 12
"""Levels of a value that are shown."""
_CONTROL: Final = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)|[ -/]*[0-~])|\x9b[0-?]*[ -/]*[@-~]"
)
"""Terminal control sequences (ECMA-48)."""
_KEPT: Final = frozenset("\n\t")
_COLOURS: Final[Mapping[str, str]] = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "dim": "2", "bold": "1"}


def cleaned(text: str) -> str:
    """Return text that says nothing to a terminal: control sequences are taken away, other characters that cannot be
    seen (also those that turn the direction of text) become U+FFFD. Newlines and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    text = _CONTROL.sub("", text).replace("\r\n", "\n")
    return "".join(one if one in _KEPT or unicodedata.category(one) not in _UNSEEN else "\ufffd" for one in text)


_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co"})


@frozen
class Style:
    """Whether there are colours. Only our own words are coloured; what is shown in them is cleaned first."""

    colours: bool = False

    def __call__(self, text: str, colour: str) -> str:
        """Return text in a colour."""
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self.colours and text else text


def line(value: Any, most: int = WIDE) -> str:
    """Return a value in one line of so many characters at most; a fraction with three places."""
    if isinstance(value, float) and abs(value) < 1e15:
        value = round(value, 3)
    text = _worded(value)
    if text is None:
        text = value if isinstance(value, str) else json.dumps(_marked(value, 0), ensure_ascii=False, default=str)
    text = cleaned(text).replace("\n", "⏎").replace("\t", " ")
    return text if len(text) <= most else f"{text[: most - 1]}…"


def whose(kept: Any) -> str:
    """Return by whom a session is held that nobody drives, and until when: nothing where nobody asked for it."""
    if not isinstance(kept, Mapping):
        return ""
    until = kept.get("until")
    try:
        when = f"until {datetime.fromtimestamp(until / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC" if until else "for ever"
    except (TypeError, ValueError, OverflowError, OSError):
        when = f"until {line(until)}"
    return f"for {line(kept.get('user', ''), 40)} {when}"


def literal(value: Any) -> list[str]:
    """Return a value as JSON, in one line where it fits and else in several; a text of several lines as it is."""
    worded = _worded(value)
    if worded is not None:
        return cleaned(worded).split("\n")
    if isinstance(value, str) and "\n" in value:
        return ['"""', *cleaned(value).split("\n"), '"""']
    made = _marked(value, 0)
    text = json.dumps(made, ensure_ascii=False, default=str)
    if len(text) > WIDE:
        text = json.dumps(made, ensure_ascii=False, indent=2, default=str)
    return cleaned(text).split("\n")


def _worded(value: Any) -> str | None:
    """A value that stands for another one: of a secret how long it is, of a long text its beginning."""
    if not isinstance(value, Mapping):
        return None
    names = set(value)
    if names == {"secret"}:
        return f"<secret, {value['secret']} characters>"
    if names == {"cut", "length"}:
        return f"{value['cut']}… ({value['length']} characters)"
    if names == {"number"}:
        return str(value["number"])
    return None


def _marked(value: Any, depth: int) -> Any:
    if depth > DEEP:
        return "…"
    worded = _worded(value)
    if worded is not None:
        return worded
    if isinstance(value, Mapping):
        return {str(name): _marked(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_marked(inner, depth + 1) for inner in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def outline(value: Any, indent: int = 0) -> list[str]:
    """Return a value as an outline: a member in a line, what is inside it below."""
    pad = "  " * indent
    if isinstance(value, Mapping) and value and _worded(value) is None and indent <= DEEP:
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
        return bool(value) and _worded(value) is None and len(line(value, 10_000)) > 60
    return isinstance(value, (list, tuple)) and bool(value) and any(isinstance(one, (Mapping, list)) for one in value)


def table(rows: Iterable[Mapping[str, Any]], names: Sequence[str] = ()) -> list[str]:
    """Return rows in columns below their names; those that are empty everywhere are left out."""
    some = list(rows)
    columns = list(names) or list(dict.fromkeys(str(name) for row in some for name in row))
    cells = [[_cell(row.get(name)) for name in columns] for row in some]
    kept = [n for n in range(len(columns)) if any(row[n] for row in cells)]
    widths = [max(len(columns[n]), *(len(row[n]) for row in cells)) for n in kept]
    lines = [[line(columns[n]) for n in kept], *([row[n] for n in kept] for row in cells)]
    made = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in lines)
    return [one if len(one) <= WIDE else f"{one[: WIDE - 1]}…" for one in made] if kept else []


def _cell(value: Any) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return line(value, 80)
