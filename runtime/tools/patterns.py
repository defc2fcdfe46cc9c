r"""Regular expressions as models write them (JavaScript's syntax) for Python's engine. Pure; runs none.

`translated` refuses what JavaScript refuses, with V8's words, because those are recorded (search/35). As GNU grep does,
`\<` and `\>` stand for the borders of a word. What is missing: look-behind of varying length, which Python has not.
"""

import re
from typing import Final

LONGEST: Final = 10_000
"""Characters of a pattern."""

KNOWN_ESCAPES: Final = frozenset("dDwWsSbBnrtvf")
WORD_BORDERS: Final = {"<": r"\b(?=\w)", ">": r"\b(?<=\w)"}
GROUPS: Final = ("(?:", "(?=", "(?!", "(?<=", "(?<!")
CLASS_ESCAPES: Final = frozenset({r"\d", r"\D", r"\w", r"\W", r"\s", r"\S"})
TWICE: Final = frozenset("&~|[")
"""Characters that will mean something in a class of Python when they stand there twice; `[` even alone."""

WORDS: Final = (
    ("missing ), unterminated subpattern", "Unterminated group"),
    ("unterminated character set", "Unterminated character class"),
    ("unbalanced parenthesis", "Unmatched ')'"),
    ("nothing to repeat", "Nothing to repeat"),
    ("multiple repeat", "Nothing to repeat"),
    ("bad character range", "Range out of order in character class"),
    ("bad escape (end of pattern)", "\\ at end of pattern"),
    ("min repeat greater than max repeat", "numbers out of order in {} quantifier"),
    ("redefinition of group name", "Duplicate capture group name"),
    ("bad character in group name", "Invalid capture group name"),
    ("missing group name", "Invalid capture group name"),
    ("unknown group name", "Invalid named capture referenced"),
)


class BadPattern(ValueError):
    """A pattern that JavaScript would refuse; the text says why, in V8's words."""


def fault(pattern: str) -> str | None:
    """Return why a pattern is no regular expression, or None."""
    try:
        translated(pattern)
    except BadPattern as exc:
        return f"Invalid regular expression: /{pattern}/: {exc}"
    return None


def translated(pattern: str) -> str:
    """Return the pattern in Python's syntax; it compiles.

    Raises:
        BadPattern: JavaScript would refuse it, or Python has no such thing.
    """
    if len(pattern) > LONGEST:
        raise BadPattern("Regular expression too large")
    out = "".join(_Reader(pattern).pieces())
    try:
        re.compile(out, re.IGNORECASE)
    except re.error as exc:
        raise BadPattern(_worded(exc)) from exc
    except (OverflowError, RecursionError) as exc:
        raise BadPattern("Regular expression too large") from exc
    return out


def _worded(exc: re.error) -> str:
    for ours, theirs in WORDS:
        if exc.msg.startswith(ours):
            return theirs
    return exc.msg[:1].upper() + exc.msg[1:]


class _Reader:
    """Goes through a pattern once, from left to right."""

    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0

    def pieces(self) -> list[str]:
        """Return the translation, piece by piece."""
        out: list[str] = []
        while self._at < len(self._text):
            out.append(self._piece())
        return out

    def _piece(self) -> str:
        text, at = self._text, self._at
        self._at += 1
        match text[at]:
            case "\\":
                return self._escape(in_class=False)
            case "[":
                return self._class()
            case "(":
                return self._group()
            case "*" | "+" | "?" | "}" if text[at + 1 : at + 2] == "+" and text[at] != "}":
                raise BadPattern("Nothing to repeat")
            case "}" if text[at + 1 : at + 2] == "+" and re.search(r"\{\d+(,\d*)?\}$", text[: at + 1]):
                raise BadPattern("Nothing to repeat")
            case "{" if re.match(r"\{,\d*\}", text[at:]):
                return r"\{"  # a quantifier in Python, plain text in JavaScript
        return text[at]

    def _group(self) -> str:
        rest = self._text[self._at - 1 : self._at + 3]
        if not rest.startswith("(?"):
            return "("
        if rest.startswith("(?<") and rest[3:4] not in ("=", "!"):
            self._at += 2
            return "(?P<"
        if rest.startswith(GROUPS):
            return "("
        raise BadPattern("Invalid group")

    def _escape(self, *, in_class: bool) -> str:
        char = self._text[self._at : self._at + 1]
        self._at += 1
        if not char:
            return "\\"
        if char == "k" and (name := re.match(r"<(\w+)>", self._text[self._at :])) and "(?<" in self._text:
            self._at += len(name[0])
            return f"(?P={name[1]})"
        if char in "xu" and (
            code := re.match(r"[0-9a-fA-F]{2}" if char == "x" else r"[0-9a-fA-F]{4}", self._text[self._at :])
        ):
            self._at += len(code[0])
            return re.escape(chr(int(code[0], 16)))
        if char == "c" and self._text[self._at : self._at + 1].isalpha() and self._text[self._at].isascii():
            self._at += 1
            return re.escape(chr(ord(self._text[self._at - 1]) % 32))
        if char.isdigit():
            return self._number(char, in_class=in_class)
        if not in_class and char in WORD_BORDERS:
            return WORD_BORDERS[char]
        if in_class and char == "B":
            return "B"
        return f"\\{char}" if char in KNOWN_ESCAPES else re.escape(char)

    def _number(self, first: str, *, in_class: bool) -> str:
        """Translate a reference to a group; without such a group the digits are an octal character code."""
        digits = re.match(r"\d*", self._text[self._at :])
        more = digits[0] if digits else ""
        groups = len(re.findall(r"\((?!\?)|\(\?<(?![=!])", self._text))
        if not in_class and first != "0" and int((first + more)[:4]) <= groups:
            self._at += len(more)
            return f"(?:\\{first}{more})"
        octal = re.match(r"[0-3]?[0-7]{1,2}", first + more)
        if octal is None:
            return first
        self._at += len(octal[0]) - 1
        return re.escape(chr(int(octal[0], 8)))

    def _class(self) -> str:
        text = self._text
        if text.startswith("^]", self._at):
            self._at += 2
            return r"[\s\S]"
        if text.startswith("]", self._at):
            self._at += 1
            return "(?!)"
        out = ["["]
        if text.startswith("^", self._at):
            self._at += 1
            out.append("^")
        while self._at < len(text):
            char = text[self._at]
            self._at += 1
            if char == "]":
                return "".join([*out, "]"])
            if char == "\\":
                out.append(self._escape(in_class=True))
            elif char == "-":
                out.append(self._dash(out))
            else:
                out.append(f"\\{char}" if char in TWICE else char)
        return "".join(out)  # the engine says that it is not closed, unless something before is wrong too

    def _dash(self, out: list[str]) -> str:
        r"""A dash makes a range only between two characters; beside `\d` and its kind it stands for itself."""
        follows = self._text[self._at : self._at + 2]
        plain = (
            out[-1] in ("[", "^", "-")
            or out[-1] in CLASS_ESCAPES
            or follows[:1] in ("]", "")
            or follows in CLASS_ESCAPES
        )
        return r"\-" if plain else "-"
