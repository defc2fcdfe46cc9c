"""Values as text for a terminal: without control sequences, and bounded. Pure."""

import json
import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
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
    """What a terminal takes: whether there are colours, and how many columns a line of a table or tree may have.

    Only our own words are coloured; what is shown in them is cleaned first.
    """

    colours: bool = False
    width: int = WIDE

    def __call__(self, text: str, colour: str) -> str:
        """Return text in a colour."""
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self.colours and text else text


def line(value: Any, most: int = WIDE) -> str:
    """Return a value in one line of so many characters at most; a fraction with three places."""
    if isinstance(value, float) and abs(value) < 1e15:
        value = round(value, 3)
    text = worded(value)
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
    said = worded(value)
    if said is not None:
        return cleaned(said).split("\n")
    if isinstance(value, str) and "\n" in value:
        return ['"""', *cleaned(value).split("\n"), '"""']
    made = _marked(value, 0)
    text = json.dumps(made, ensure_ascii=False, default=str)
    if len(text) > WIDE:
        text = json.dumps(made, ensure_ascii=False, indent=2, default=str)
    return cleaned(text).split("\n")


def worded(value: Any) -> str | None:
    """Return in words a value that stands for another one: of a secret how long it is, of a long text its beginning.

    None for any other value.
    """
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
    said = worded(value)
    if said is not None:
        return said
    if isinstance(value, Mapping):
        return {str(name): _marked(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_marked(inner, depth + 1) for inner in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def span(seconds: Any) -> str:
    """Return how long something takes: `0.4 s`, `35 s`, `12 min 5 s`, `2 h 10 min`. Nothing where it is not known."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not isfinite(seconds):
        return "" if seconds is None else line(seconds, 40)
    whole = round(abs(seconds))
    sign = "-" if seconds < 0 else ""
    if whole < 10:
        return f"{sign}{abs(seconds):.1f} s"
    if whole < 120:
        return f"{sign}{whole} s"
    if whole < 7_200:
        return f"{sign}{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    return f"{sign}{whole // 3_600} h" + (f" {whole % 3_600 // 60} min" if whole % 3_600 // 60 else "")


def many(count: Any, one: str, more: str = "") -> str:
    """Return a number with its noun: `1 call`, `1,234 tokens`. `more` is the plural where an s does not make it."""
    if isinstance(count, bool) or not isinstance(count, int):
        return f"{line(count, 40)} {more or one + 's'}"
    return f"{count:,} {one if count == 1 else more or one + 's'}"
