"""What a text of a person says, and whether a value stands in it: by type, never by mere likeness. Pure.

Types: numbers, dates and times, e-mail addresses, web addresses, paths, names of several words. A number that is part
of a date, a time, an address or an id is no number; a value that is only a piece of one stands nowhere.
"""

import re
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any, Final

from attrs import frozen

from defender.taint.lexicon import BEFORE_NOUNS, NOUNS, NUMBERS, STOP_WORDS, TELLING

MOST_TEXT: Final = 100_000
"""Characters of a text that are read; what is behind them licenses nothing."""
MOST_VALUE: Final = 20_000
"""Characters of a value that are compared; a longer one stands nowhere."""

EMAIL: Final = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_URL: Final = re.compile(r"(?i)(?:(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,20}://|www\.)\S+")
_DOMAIN: Final = re.compile(r"(?i)(?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24}(?:[/?#:]\S*)?")
_WORD: Final = re.compile(r"[^\W_]+")
_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        (
            "january jan",
            "february feb",
            "march mar",
            "april apr",
            "may",
            "june jun",
            "july jul",
            "august aug",
            "september sep sept",
            "october oct",
            "november nov",
            "december dec",
        ),
        1,
    )
    for name in names.split()
}
_MONTH: Final = "|".join(sorted(_MONTHS, key=len, reverse=True))
_ISO: Final = re.compile(r"(?<![\w-])(\d{4})-(\d{2})-(\d{2})(?![\d-])")
_MONTH_DAY: Final = re.compile(rf"(?i)\b({_MONTH})\.?\s+(\d{{1,2}})(?:st|nd|rd|th)?\b(?!:)(?:,?\s+(\d{{4}})\b)?")
_DAY_MONTH: Final = re.compile(rf"(?i)\b(\d{{1,2}})(?:st|nd|rd|th|\.)?\s+(?:of\s+)?({_MONTH})\b(?:,?\s+(\d{{4}})\b)?")
_TIME: Final = re.compile(r"(?i)(?<![\d:.])(\d{1,2}):(\d{2})(?::\d{2})?(?:\s*([ap])\.?m\b)?(?![\d:])")
_HOUR: Final = re.compile(r"(?i)(?<![\w:.])(\d{1,2})\s*([ap])\.?m\b")
_NUMBER: Final = re.compile(r"(?<![\w.,:/@#-])[€$£]?(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?(?![\w:/%@-]|[.,]\d|\s*%)")
_WHEN: Final = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?")
_QUOTED: Final = re.compile(
    r"(?<!\w)'([^'\n]{1,2000}?)'(?!\w)|\"([^\"\n]{1,2000})\"|`([^`\n]{1,2000})`|“([^”\n]{1,2000})”|«([^»\n]{1,2000})»"
)
_HOLE: Final = re.compile(r"\{[^{}\n]{1,60}\}|<[a-z][a-z_ ]{0,40}>|\[[a-z][a-z_ ]{0,40}\]")
_FILLED: Final = re.compile(r"[^\n<>{}\[\]@]{1,80}")
"""What a hole may hold: a short line without addresses and markup."""
_PART_ENDS: Final = re.compile(
    r"(?i)[ .,;:!?]*$|[.,;:!?]\s|\s(?:and|then|but|until|before|after|again|to see|in order)\b"
)
"""What may stand behind a command that is named without quotes."""
_TRAILING: Final = ".,;:!?)]}'\""


@frozen
class Said:
    """A text of a person, taken apart once."""

    text: str

    @cached_property
    def plain(self) -> str:
        """The words in lower case between single spaces, with one at each end."""
        return f" {' '.join(_WORD.findall(self.text.lower()))} "

    @cached_property
    def quoted(self) -> tuple[str, ...]:
        """What stands between quotes."""
        return tuple(next(group for group in found if group) for found in _QUOTED.findall(self.text))

    @cached_property
    def unquoted(self) -> str:
        """The text without what stands in quotes, and without addresses."""
        return EMAIL.sub(" ", _URL.sub(" ", _QUOTED.sub(" ", self.text)))

    @cached_property
    def verbs(self) -> frozenset[str]:
        """The words outside of quotes and addresses, in lower case."""
        found = re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", self.unquoted.lower())
        return frozenset(found) | frozenset(_marks(self.unquoted))

    @cached_property
    def actions(self) -> frozenset[str]:
        """The words outside of quotes and addresses that can ask for something: no names of things."""
        words = ["", *re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", self.unquoted.lower()), ""]
        return frozenset(
            word
            for before, word, after in zip(words, words[1:], words[2:], strict=False)
            if not (word in NOUNS and before in BEFORE_NOUNS) and not (word in TELLING and after in ("me", "us"))
        )

    @cached_property
    def emails(self) -> frozenset[str]:
        """The e-mail addresses, in lower case."""
        return frozenset(found.rstrip(".").lower() for found in EMAIL.findall(self.text))

    @cached_property
    def tokens(self) -> frozenset[str]:
        """What stands between spaces, and in quotes, without the marks around it."""
        bare = {piece.strip("'\"`“”«»()[]{}<>,;!?").rstrip(".:") for piece in self.text.split()}
        return frozenset(bare | set(self.quoted))

    @cached_property
    def dates(self) -> frozenset[tuple[int, int, int]]:
        """Year (0: none said), month and day."""
        found = {(int(y), int(m), int(d)) for y, m, d in _ISO.findall(self.text)}
        found |= {(int(y or 0), _MONTHS[m.lower()], int(d)) for m, d, y in _MONTH_DAY.findall(self.text)}
        found |= {(int(y or 0), _MONTHS[m.lower()], int(d)) for d, m, y in _DAY_MONTH.findall(self.text)}
        return frozenset(found)

    @cached_property
    def times(self) -> frozenset[tuple[int, int]]:
        """Hour and minute."""
        found = {(_hour(int(h), half), int(m)) for h, m, half in _TIME.findall(self.text)}
        return frozenset(found | {(_hour(int(h), half), 0) for h, half in _HOUR.findall(self.text)})

    @cached_property
    def numbers(self) -> frozenset[float]:
        """The numbers that are no part of anything else."""
        rest = self.text
        for other in (EMAIL, _URL, _ISO, _MONTH_DAY, _DAY_MONTH, _TIME, _HOUR):
            rest = other.sub(" ", rest)
        found = set[float]()
        for whole, part in _NUMBER.findall(rest):
            if len(whole) <= 30:
                found.add(float(f"{whole.replace(',', '')}{part}"))
        return frozenset(found | {float(NUMBERS[word]) for word in self.verbs & NUMBERS.keys()})

    def names(self, value: Any) -> bool:
        """Whether a value stands literally in the text; of a list or an object, all that is in it."""
        match value:
            case None | "":
                return True
            case bool():
                return False
            case int() | float():
                return abs(value) < 2**53 and float(value) in self.numbers
            case str():
                return len(value) <= MOST_VALUE and self._has(value.strip())
            case Mapping():
                return all(self.names(inner) for inner in value.values())
            case list() | tuple():
                return all(self.names(inner) for inner in value)
        return False

    def _has(self, value: str) -> bool:
        if EMAIL.fullmatch(value):
            return value.lower() in self.emails
        if is_address(value):
            return self.links_to(value)
        if time := _TIME.fullmatch(value):
            return (_hour(int(time[1]), time[3] or ""), int(time[2])) in self.times
        when = _WHEN.fullmatch(value)
        if when:
            return self.dated(when[1], when[2])
        if re.fullmatch(r"\d{1,30}(?:\.\d+)?", value):
            return float(value) in self.numbers or (len(value) > 6 and value in self.tokens)
        if re.fullmatch(r"[\w-]+(?:\.[\w-]+)+", value) or "/" in value or "\\" in value or value.startswith("~"):
            return value in self.tokens
        words = _WORD.findall(value.lower())
        if not words or all(word in STOP_WORDS for word in words):
            return value in self.quoted
        return f" {' '.join(words)} " in self.plain

    def links_to(self, address: str) -> bool:
        """Whether a web address stands in the text, whole; without its scheme it counts too, if the text has none."""
        wanted = address.rstrip("/")
        bare = re.sub(r"(?i)^https?://", "", wanted)
        text = self.text
        for one in {wanted, bare}:
            before = r"(?<![\w./@:-])" if "://" in one else r"(?<![\w.@:-])(?:(?<!/)|(?<=http://)|(?<=https://))"
            if re.search(rf"(?i:{before}{re.escape(one)})/?(?![\w/?&=#%@:~+-]|\.[a-z0-9])", text):
                return True
        return False

    def dated(self, day: str, time: str | None) -> bool:
        """Whether a day stands in the text, and the time of day if there is one but midnight."""
        year, month, number = (int(piece) for piece in day.split("-"))
        known = bool({(year, month, number), (0, month, number)} & self.dates)
        if not known or not time or time == "00:00":
            return known
        hour, minute = (int(piece) for piece in time.split(":"))
        return (hour, minute) in self.times

    def commands(self, value: str) -> bool:
        """Whether a command stands in the text as such: in quotes, on a line of its own, or after `run`, up to the end
        of the line, of the sentence or of its part (`, ` or `and`)."""
        wanted = " ".join(value.split())
        if wanted in {" ".join(one.split()) for one in (*self.quoted, *self.text.splitlines())}:
            return True
        for found in re.findall(r"(?i)\b(?:run|execute)\s+(.+)", self.text):
            told = " ".join(found.split())
            if told.startswith(wanted) and _PART_ENDS.match(told, len(wanted)):
                return True
        return False

    def fits(self, value: str) -> bool:
        """Whether a text fits a template of the person: quoted text with holes like `{name}`, filled with little."""
        return any(_filled(template, value.strip()) for template in self._templates)

    @cached_property
    def _templates(self) -> tuple[tuple[str, ...], ...]:
        """The texts around the holes of what stands in quotes."""
        split = (tuple(_HOLE.split(quoted)) for quoted in self.quoted)
        return tuple(pieces for pieces in split if 1 < len(pieces) <= 9 and any(map(_WORD.search, pieces)))


def _filled(pieces: tuple[str, ...], value: str) -> bool:
    """Whether a value is these pieces with something short between each two; each ends where it first can."""
    first, *middle, last = pieces
    if not value.startswith(first) or not value.endswith(last) or len(value) < len(first) + len(last):
        return False
    rest = value[len(first) : len(value) - len(last)]
    for piece in middle:
        at = rest.find(piece, 1)
        if at < 0 or not _FILLED.fullmatch(rest[:at]):
            return False
        rest = rest[at + len(piece) :]
    return bool(_FILLED.fullmatch(rest))


def _marks(text: str) -> list[str]:
    """Signs that name a kind of thing: a channel, a file, a sum."""
    found = ["channel"] if re.search(r"(?<!\w)#[a-z]", text) else []
    found += ["file"] if re.search(r"\w\.(?:[a-z]{1,4}|[a-z]+\d)\b", text) else []
    return [*found, "money"] if re.search(r"[€$£]\s?\d", text) else found


def _hour(hour: int, half: str) -> int:
    if not half:
        return hour
    return hour % 12 + (12 if half in "pP" else 0)


def is_address(value: str) -> bool:
    """Whether a value is an address of the web, with or without its scheme."""
    if " " in value or len(value) > 4_000:
        return False
    return bool(_URL.fullmatch(value)) or ("/" in value and bool(_DOMAIN.fullmatch(value)))


def addresses(text: str) -> list[str]:
    """Return the web addresses in a text, without the marks around them."""
    return [found.rstrip(_TRAILING) for found in _URL.findall(text[:MOST_TEXT])]


def typed(value: Any) -> bool:
    """Whether a value can carry no instruction and no text: a number, a yes or no, a date with a time."""
    if value is None or value == "" or isinstance(value, (bool, int, float)):
        return True
    return isinstance(value, str) and bool(_WHEN.fullmatch(value.strip()) or _TIME.fullmatch(value.strip()))


@lru_cache(maxsize=64)
def said(text: str) -> Said:
    """Return a text taken apart; the last few are kept."""
    return Said(text[:MOST_TEXT])
