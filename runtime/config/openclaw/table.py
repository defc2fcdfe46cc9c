"""The keys that openclaw.json may have, as a tree of types read from keys.txt. Judges no value and reads no settings.

Definitions are parsed when they are first asked for: most settings files touch few of them.
"""

import json
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from attrs import field, frozen

from runtime.errors import LocalError

FILE: Final = "keys.txt"
ROOT: Final = "config"
SECRET: Final = "secret"
OPEN: Final = "open"

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<string>"[^"]*") | (?P<name>@\w+) | (?P<pattern>/.+?/(?=[\s\]}:|]|$)) | (?P<range>-?[\d.]*\.\.[\d.]*)
    | (?P<above>>[\d.]+?(?=\.\.|[\s\]}|]|$)(?:\.\.[\d.]+)?) | (?P<number>-?\d[\d.]*) | (?P<word>[a-z][a-z-]*)
    | (?P<mark>[\[\]{}:|]))""",
    re.VERBOSE,
)


class Plain(Enum):
    """Types without bounds."""

    BOOL = "boolean"
    NULL = "null"
    FREE = "any"


@frozen
class Text:
    """A string: its length, the patterns it has to contain, and `uri` or `date-time`."""

    least: int = 0
    most: int | None = None
    patterns: tuple[str, ...] = ()
    form: str = ""


@frozen
class Number:
    """A number; `above` is a bound that itself is too small."""

    whole: bool
    least: float | None = None
    most: float | None = None
    above: float | None = None


@frozen
class Fixed:
    """One of a few scalars."""

    values: tuple[Any, ...]


@frozen
class Many:
    """A list."""

    item: "Type"
    least: int = 0
    most: int | None = None


@frozen
class Keyed:
    """An object whose keys a person chooses; `key` says which names are allowed."""

    item: "Type"
    key: Text | None = None


@frozen
class Key:
    """One key of an object. What it is was written down as a text, or stands below it as an object."""

    written: "str | Shape"
    needed: bool = False

    @property
    def type(self) -> "Type":
        """The type of the value."""
        return parsed(self.written) if isinstance(self.written, str) else self.written


@frozen
class Shape:
    """An object with known keys. `other` is the type of every further key; `open` lets them through unseen."""

    keys: Mapping[str, Key] = field(converter=MappingProxyType[str, Key])
    other: Key | None = None
    open: bool = False


@frozen
class Either:
    """One of several types."""

    options: "tuple[Type, ...]"


@frozen
class Named:
    """A type that is defined elsewhere in the table."""

    name: str


Type: TypeAlias = Plain | Text | Number | Fixed | Many | Keyed | Shape | Either | Named
Concrete: TypeAlias = Plain | Text | Number | Fixed | Many | Keyed | Shape | Either


def root() -> Shape:
    """Return the type of the whole file."""
    found = definition(ROOT)
    assert isinstance(found, Shape)
    return found


def concrete(kind: Type) -> Concrete:
    """Return the type itself where it was only named."""
    while isinstance(kind, Named):
        kind = definition(kind.name)
    return kind


@cache
def definition(name: str) -> Type:
    """Return the type of this name. Raises LocalError where keys.txt has none: that is our fault."""
    block = _blocks().get(f"@{name}")
    if block is None:
        raise LocalError(f"{FILE}: @{name} is used and not defined")
    head, *lines = block
    if head and head != OPEN:
        return parsed(head)
    shape, end = _shape(lines, 0, 1, opened=head == OPEN)
    if end != len(lines):
        raise LocalError(f"{FILE}: a line of @{name} is not indented as it should be: {lines[end].strip()}")
    return shape


@cache
def common() -> frozenset[str]:
    """Return the paths (`*` for any key) that are shown to everybody; they hold for what is below them too."""
    return frozenset(line.strip() for line in _blocks()["common"][1:])


@cache
def _blocks() -> Mapping[str, tuple[str, ...]]:
    """Split the file into its definitions: what stands behind the name, then the lines below it."""
    blocks: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in Path(__file__).with_name(FILE).read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith(" "):
            lines.append(line)
        else:
            name, _, rest = line.partition(" ")
            lines = blocks[name] = [rest]
    return {name: tuple(found) for name, found in blocks.items()}


def _shape(lines: list[str], start: int, depth: int, *, opened: bool) -> tuple[Shape, int]:
    """Read the keys that stand at this depth, from line `start` on; return them and the line behind."""
    keys: dict[str, Key] = {}
    at = start
    while at < len(lines):
        line = lines[at]
        indent = (len(line) - len(line.lstrip())) // 2
        if indent < depth:
            break
        name, _, written = line.strip().partition(" ")
        at += 1
        value: str | Shape = written
        if written in ("", OPEN):
            value, at = _shape(lines, at, depth + 1, opened=written == OPEN)
        keys[name.removesuffix("!")] = Key(value, needed=name.endswith("!"))
    other = keys.pop("*", None)
    return Shape(keys, other=other, open=opened), at


@cache
def parsed(written: str) -> Type:
    """Read the text of a type, for example `int 1..65535` or `[text] | @secret`."""
    tokens = list(_tokens(written))
    kind, end = _alternatives(tokens, 0)
    if end != len(tokens):
        raise LocalError(f"{FILE}: cannot read the type {written!r}")
    return kind


_Token: TypeAlias = tuple[str, str]


def _tokens(written: str) -> Iterator[_Token]:
    at = 0
    while at < len(written):
        found = _TOKEN.match(written, at)
        if found is None or found.lastgroup is None:
            raise LocalError(f"{FILE}: cannot read the type {written!r}")
        yield found.lastgroup, found[found.lastgroup]
        at = found.end()


def _alternatives(tokens: list[_Token], at: int) -> tuple[Type, int]:
    options: list[Type] = []
    fixed: list[Any] = []
    while True:
        kind, at = _one(tokens, at)
        if isinstance(kind, Fixed):
            if not fixed:
                options.append(kind)
            fixed += kind.values
        else:
            options.append(kind)
        if _word(tokens, at) != "|":
            break
        at += 1
    united = [Fixed(tuple(fixed)) if isinstance(kind, Fixed) else kind for kind in options]
    return (united[0] if len(united) == 1 else Either(tuple(united))), at


def _one(tokens: list[_Token], at: int) -> tuple[Type, int]:
    if at >= len(tokens):
        raise LocalError(f"{FILE}: a type ends too early")
    what, text = tokens[at]
    at += 1
    match what, text:
        case ("string" | "number", _) | ("word", "true" | "false"):
            return Fixed((json.loads(text),)), at
        case "name", _:
            return Named(text[1:]), at
        case "word", "bool" | "null" | "any":
            return {"bool": Plain.BOOL, "null": Plain.NULL, "any": Plain.FREE}[text], at
        case "word", "text":
            return _text(tokens, at)
        case "word", "int" | "number":
            least, most, above, at = _bounds(tokens, at)
            return Number(text == "int", least, most, above), at
        case "mark", "[":
            item, at = _alternatives(tokens, at)
            least, most, _, at = _bounds(tokens, _after(tokens, at, "]"))
            return Many(item, int(least or 0), None if most is None else int(most)), at
        case "mark", "{":
            return _keyed(tokens, at)
    raise LocalError(f"{FILE}: cannot read {text!r} in a type")


def _keyed(tokens: list[_Token], at: int) -> tuple[Type, int]:
    item, at = _alternatives(tokens, at)
    key = None
    if _word(tokens, at) == ":":
        assert isinstance(item, Text)
        key = item
        item, at = _alternatives(tokens, at + 1)
    return Keyed(item, key), _after(tokens, at, "}")


def _text(tokens: list[_Token], at: int) -> tuple[Type, int]:
    least, most, _, at = _bounds(tokens, at)
    form, patterns = "", []
    while at < len(tokens) and (tokens[at][0] == "pattern" or tokens[at] in (("word", "uri"), ("word", "date-time"))):
        what, text = tokens[at]
        if what == "pattern":
            patterns.append(text[1:-1])
        else:
            form = text
        at += 1
    return Text(int(least or 0), None if most is None else int(most), tuple(patterns), form), at


def _bounds(tokens: list[_Token], at: int) -> tuple[float | None, float | None, float | None, int]:
    """Read `1..9`, `1..`, `..9`, `>0` or `>0..9`, if one stands here: least, most, and the bound to be above."""
    if at >= len(tokens) or tokens[at][0] not in ("range", "above"):
        return None, None, None, at
    what, text = tokens[at]
    low, _, high = text.lstrip(">").partition("..")
    least, most = (_number(low), _number(high))
    return (None, most, least, at + 1) if what == "above" else (least, most, None, at + 1)


def _number(text: str) -> float | None:
    if not text:
        return None
    return float(text) if "." in text else int(text)


def _word(tokens: list[_Token], at: int) -> str:
    return tokens[at][1] if at < len(tokens) and tokens[at][0] == "mark" else ""


def _after(tokens: list[_Token], at: int, mark: str) -> int:
    if _word(tokens, at) != mark:
        raise LocalError(f"{FILE}: {mark!r} is missing in a type")
    return at + 1
