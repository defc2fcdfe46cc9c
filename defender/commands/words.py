"""From a word of a shell text to the fields it stands for: quotes, escapes, braces, variables, substitutions.

What is constant is worked out; the rest becomes a mark (`marks`). Commands inside of substitutions are handed to the
`Runner`, which reads them (nothing is run) and says what they would print. Follows the order of Bash: braces, tilde,
parameters and substitutions, splitting; names of files are not looked up, so `*` stays.
"""

import re
from fnmatch import translate
from functools import lru_cache
from typing import Final, Protocol

from defender.commands.marks import HOLES, UNKNOWN, VARIABLE, marked, tags
from defender.commands.scope import HOME, MOST_TEXT, Scope, Value

MOST_FIELDS: Final = 256
"""Fields that one word may become; more are cut, and the word counts as unknown."""
_SPECIAL: Final = re.compile(r"[\\'\"$`{~<>]")
_PLAIN: Final = re.compile(r"[^\\'\"$`<>]+")
_PLAIN_QUOTED: Final = re.compile(r"[^\\\"$`]+")
_PLAIN_HERE: Final = re.compile(r"[^\\$`]+")
_NAME: Final = re.compile(r"[A-Za-z_]\w*")
_ESCAPE: Final = re.compile(
    r"\\(?:x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8})|([0-7]{1,3})|c(.)|(.))", re.DOTALL
)
_LETTERS: Final = {
    "a": "\a",
    "b": "\b",
    "e": "\x1b",
    "E": "\x1b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
}
_PARAMETER: Final = re.compile(r"(!?)(#?)([A-Za-z_]\w*|\d+|[@*#?$!_-])(?:\[([^\]]*)\])?")
_NUMBER: Final = re.compile(r"\s*([+-]?\d+)\s*(?:([-+*/%])\s*(\d+)\s*)?")
_RANGE: Final = re.compile(r"(-?\d{1,6}|[A-Za-z])\.\.(-?\d{1,6}|[A-Za-z])(?:\.\.(-?\d{1,4}))?")


class Runner(Protocol):
    """Reads commands inside of a word."""

    scope: Scope

    def capture(self, text: str, how: str) -> str:
        """Read a command and return what it would print."""

    def unresolved(self, why: str) -> None:
        """Note that something could not be worked out."""


def unescape(text: str) -> str:
    """Return text with the escapes of `$'…'` and `printf` worked out."""

    def one(found: re.Match[str]) -> str:
        short, four, eight, octal, control, letter = found.groups()
        number = short or four or eight
        if number:
            return chr(min(int(number, 16), 0x10FFFF))
        if octal:
            return chr(int(octal, 8) & 0xFF)
        if control:
            return chr(ord(control) & 0x1F)
        return _LETTERS.get(letter, letter if letter in "\\'\"?" else f"\\{letter}")

    return _ESCAPE.sub(one, text) if "\\" in text else text


MOST_STEPS: Final = 200_000
"""Characters that are looked at for the braces of one word; one that needs more is not read."""
MOST_BRACKETS: Final = 100
"""Brackets of a pattern; one with more is not worked out."""


def closing(text: str, start: int, opener: str, closer: str) -> int:
    """Return where what is opened before `start` is closed, past quotes and nesting; -1 if nowhere."""
    depth, at, end = 1, start, len(text)
    while at < end:
        char = text[at]
        if char == "\\":
            at += 2
            continue
        if char == "'":
            at = text.find("'", at + 1)
            if at < 0:
                return -1
        elif char == '"':
            at = _end_of_quoted(text, at + 1)
            if at < 0:
                return -1
        elif char == closer:
            depth -= 1
            if not depth:
                return at
        elif char == opener:
            depth += 1
        at += 1
    return -1


def _end_of_quoted(text: str, at: int) -> int:
    end = len(text)
    while at < end:
        char = text[at]
        if char == "\\":
            at += 2
            continue
        if char == '"':
            return at
        if char == "$" and text[at + 1 : at + 2] in {"(", "{"}:
            opener = text[at + 1]
            inner = closing(text, at + 2, opener, ")" if opener == "(" else "}")
            if inner < 0:
                return -1
            at = inner
        at += 1
    return -1


def braces(text: str) -> list[str]:
    """Return what `{a,b}` and `{1..3}` outside of quotes make of a word, at most MOST_FIELDS."""
    at = spent = 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 2
            continue
        if char == "'":
            at = text.find("'", at + 1)
            if at < 0:
                break
        elif char == '"':
            at = _end_of_quoted(text, at + 1)
            if at < 0:
                break
        elif char == "$" and text[at + 1 : at + 2] in {"{", "("}:
            opener = text[at + 1]
            at = closing(text, at + 2, opener, "}" if opener == "{" else ")")
            if at < 0:
                break
        elif char == "{":
            end = closing(text, at + 1, "{", "}")
            spent += (end if end > 0 else len(text)) - at
            if spent > MOST_STEPS:
                raise ValueError("too many braces")
            choices = _choices(text[at + 1 : end]) if end > 0 else []
            if choices:
                rest = braces(text[end + 1 :])
                heads = [inner for choice in choices for inner in braces(choice)]
                return [text[:at] + head + tail for head in heads for tail in rest][:MOST_FIELDS]
        at += 1
    return [text]


def _choices(inner: str) -> list[str]:
    spread = _RANGE.fullmatch(inner)
    if spread:
        return _spread(spread)
    parts, depth, start, at = [], 0, 0, 0
    while at < len(inner):
        char = inner[at]
        if char == "\\":
            at += 1
        elif char == "'":
            at = max(inner.find("'", at + 1), at)
        elif char == '"':
            at = max(_end_of_quoted(inner, at + 1), at)
        elif char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
        elif char == "," and not depth:
            parts.append(inner[start:at])
            start = at + 1
        at += 1
    return [*parts, inner[start:]] if parts else []


def _spread(found: re.Match[str]) -> list[str]:
    first, last, by = found.groups()
    if first.isalpha() != last.isalpha():
        return []
    low, high = (ord(first), ord(last)) if first.isalpha() else (int(first), int(last))
    step = abs(int(by or 1)) or 1
    numbers = range(low, high + 1, step) if low <= high else range(low, high - 1, -step)
    return [chr(number) if first.isalpha() else str(number) for number in numbers[:MOST_FIELDS]]


@lru_cache(maxsize=256)
def _glob(pattern: str) -> re.Pattern[str]:
    if pattern.count("[") > MOST_BRACKETS:
        raise ValueError("too many brackets")
    return re.compile(translate(pattern))


class Expansion:
    """Works out one word. `quoted` text never splits; unquoted values split at blanks."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.scope = runner.scope

    def fields(self, text: str) -> list[str]:
        """Return the fields of a word."""
        if not _SPECIAL.search(text):
            return [text]
        texts = braces(text) if "{" in text else [text]
        return [field for one in texts for field in self._split(self._parts(one))][:MOST_FIELDS]

    def text(self, text: str) -> str:
        """Return a word that does not split: the value of an assignment, the target of a redirection."""
        if not _SPECIAL.search(text):
            return text
        return "".join(value if isinstance(value, str) else " ".join(value) for value, _ in self._parts(text))

    def here(self, text: str) -> str:
        """Return the body of a here-document whose delimiter is not quoted."""
        return self._quoted(text, 0, len(text), _PLAIN_HERE, here=True)

    def _split(self, parts: list[tuple[str | list[str], bool]]) -> list[str]:
        done: list[str] = []
        current: str | None = None
        for value, quoted in parts:
            if isinstance(value, list):
                if not value:
                    continue
                pieces = value
            elif quoted:
                pieces = [value]
            else:
                blanks = self.scope.get("IFS")
                blanks = blanks if isinstance(blanks, str) and not marked(blanks) else " \t\n"
                if not blanks or not value or not any(blank in value for blank in blanks):
                    pieces = [value] if value else []
                    if not pieces:
                        continue
                else:
                    pieces = [piece for piece in re.split(f"[{re.escape(blanks)}]+", value) if piece]
                    if value[0] in blanks and current is not None:
                        done.append(current)
                        current = None
                    if not pieces:
                        continue
                    current = (current or "") + pieces[0]
                    for piece in pieces[1:]:
                        done.append(current)
                        current = piece
                    if value[-1] in blanks:
                        done.append(current)
                        current = None
                    continue
            current = (current or "") + pieces[0]
            for piece in pieces[1:]:
                done.append(current)
                current = piece
        if current is not None:
            done.append(current)
        return done

    def _parts(self, text: str) -> list[tuple[str | list[str], bool]]:
        parts: list[tuple[str | list[str], bool]] = []
        at, end = 0, len(text)
        if text[0] == "~":
            found = re.match(r"~([\w.-]*)(?=/|$)", text)
            if found:
                parts.append(
                    (f"/home/{found[1]}" if found[1] not in {"", "root"} else HOME if not found[1] else "/root", True)
                )
                at = found.end()
        while at < end:
            char = text[at]
            if char == "\\":
                follows = text[at + 1 : at + 2]
                if follows != "\n":
                    parts.append((follows, True))
                at += 2
            elif char == "'":
                close = text.find("'", at + 1)
                close = end if close < 0 else close
                parts.append((text[at + 1 : close], True))
                at = close + 1
            elif char == '"':
                close = _end_of_quoted(text, at + 1)
                close = end if close < 0 else close
                parts.append(self._in_quotes(text[at + 1 : close]))
                at = close + 1
            elif char == "$":
                if text[at + 1 : at + 2] == "'":
                    close = at + 2
                    while close < end and text[close] != "'":
                        close += 2 if text[close] == "\\" else 1
                    parts.append((unescape(text[at + 2 : close]), True))
                    at = close + 1
                elif text[at + 1 : at + 2] == '"':
                    at += 1
                else:
                    value, at = self._dollar(text, at, quoted=False)
                    parts.append((value, isinstance(value, list)))
            elif char == "`":
                value, at = self._backticks(text, at)
                parts.append((value, False))
            elif char in "<>" and text[at + 1 : at + 2] == "(":
                close = closing(text, at + 2, "(", ")")
                close = end if close < 0 else close
                parts.append((self._process(text[at + 2 : close], reads=char == "<"), True))
                at = close + 1
            else:
                found = _PLAIN.match(text, at)
                plain = found[0] if found else char
                parts.append((plain, True))
                at += len(plain)
        return parts

    def _in_quotes(self, inner: str) -> tuple[str | list[str], bool]:
        if inner.startswith(("$@", "${@")) or (inner.startswith("${") and "[@]" in inner):
            value, end = self._dollar(inner, 0, quoted=True)
            if end == len(inner) and isinstance(value, list):
                return value, True
        return self._quoted(inner, 0, len(inner), _PLAIN_QUOTED), True

    def _quoted(self, text: str, at: int, end: int, plain: re.Pattern[str], *, here: bool = False) -> str:
        parts: list[str] = []
        while at < end:
            char = text[at]
            if char == "\\":
                follows = text[at + 1 : at + 2]
                if follows in ("$", "`", "\\") or (follows == '"' and not here):
                    parts.append(follows)
                elif follows != "\n":
                    parts.append(char + follows)
                at += 2
            elif char == "$":
                value, at = self._dollar(text, at, quoted=True)
                parts.append(value if isinstance(value, str) else " ".join(value))
            elif char == "`":
                got, at = self._backticks(text, at)
                parts.append(got)
            else:
                found = plain.match(text, at)
                piece = found[0] if found else char
                parts.append(piece)
                at += len(piece)
        return "".join(parts)

    def _backticks(self, text: str, at: int) -> tuple[str, int]:
        close = at + 1
        while close < len(text) and text[close] != "`":
            close += 2 if text[close] == "\\" else 1
        inner = re.sub(r"\\([\\`$])", r"\1", text[at + 1 : close])
        return self.runner.capture(inner, "`…`"), close + 1

    def _process(self, inner: str, *, reads: bool) -> str:
        path = f"/dev/fd/{60 + len(self.scope.files)}"
        if reads:
            self.scope.files[path] = self.runner.capture(inner, "<(…)")
        else:
            self.runner.capture(inner, ">(…)")
        return path

    def _dollar(self, text: str, at: int, *, quoted: bool) -> tuple[str | list[str], int]:
        follows = text[at + 1 : at + 2]
        if follows == "(":
            if text[at + 2 : at + 3] == "(":
                close = closing(text, at + 3, "(", ")")
                if close > 0 and text[close + 1 : close + 2] == ")":
                    return self.arithmetic(text[at + 3 : close]), close + 2
            close = closing(text, at + 2, "(", ")")
            close = len(text) if close < 0 else close
            return self.runner.capture(text[at + 2 : close], "$(…)"), close + 1
        if follows == "{":
            close = closing(text, at + 2, "{", "}")
            close = len(text) if close < 0 else close
            return self._braced(text[at + 2 : close], quoted=quoted), close + 1
        if follows == "[":
            close = text.find("]", at)
            if close > 0:
                return self.arithmetic(text[at + 2 : close]), close + 1
        name = _NAME.match(text, at + 1)
        if name:
            if not quoted and self.scope.doubtful and name[0] in self.scope.doubtful:
                self.runner.unresolved(f"${name[0]}")
            value = self.scope.get(name[0])
            return VARIABLE if value is None else self._value(value), name.end()
        if follows and follows in "@*0123456789#?$!-_":
            return self._special(follows, quoted=quoted), at + 2
        return "$", at + 1

    def _special(self, sign: str, *, quoted: bool) -> str | list[str]:
        if sign in "@*":
            found = self.scope.values.get("@")
            if isinstance(found, dict):
                items = list(found.values())
                return items if sign == "@" and quoted else " ".join(items)
            return UNKNOWN
        found = self.scope.values.get(sign)
        return self._value(found)

    @staticmethod
    def _value(value: Value | None) -> str:
        if value is None:
            return UNKNOWN
        if isinstance(value, dict):
            return value.get("0", next(iter(value.values()), ""))
        return value

    def arithmetic(self, inner: str) -> str:
        """Return the number that an expression of constants gives, after reading the commands inside of it."""
        if "$(" in inner or "`" in inner or "$" in inner:
            inner = self._quoted(inner, 0, len(inner), _PLAIN_HERE, here=True)
        found = _NUMBER.fullmatch(inner)
        if not found:
            return UNKNOWN
        first, sign, second = found.groups()
        if not sign:
            return str(int(first))
        left, right = int(first), int(second)
        if sign in "/%" and not right:
            return UNKNOWN
        if sign == "+":
            return str(left + right)
        if sign == "-":
            return str(left - right)
        if sign == "*":
            return str(left * right)
        return str(left // right if sign == "/" else left % right)

    def _braced(self, inner: str, *, quoted: bool) -> str | list[str]:
        found = _PARAMETER.match(inner)
        if not found:
            self.runner.unresolved(f"${{{inner}}}")
            return UNKNOWN
        bang, count, name, key = found.groups()
        rest = inner[found.end() :]
        if count and not rest:
            value = self._whole(name, key)
            items = self.scope.get(name)
            if key in {"@", "*"}:
                return str(len(items)) if isinstance(items, dict) else UNKNOWN
            return UNKNOWN if marked(value) else str(len(value))
        if bang and not rest:
            if key in {"@", "*"}:
                return UNKNOWN
            pointed = self._whole(name, key)
            return self._value(self.scope.get(pointed)) if not marked(pointed) else UNKNOWN
        if not quoted and self.scope.doubtful and name in self.scope.doubtful:
            self.runner.unresolved(f"${{{inner}}}")
        if key in {"@", "*"} or name in {"@", "*"}:
            return self._every(name, rest, quoted=quoted, star="*" in (key or name))
        if not rest:
            return self._whole(name, key)
        return self._operate(name, key, rest)

    def _every(self, name: str, rest: str, *, quoted: bool, star: bool) -> str | list[str]:
        value = self.scope.values.get("@") if name in {"@", "*"} else self.scope.get(name)
        if value is None:
            return UNKNOWN
        items = list(value.values()) if isinstance(value, dict) else [value]
        if rest.startswith(":"):
            parts = rest[1:].split(":")
            numbers = [_whole_number(self.arithmetic(part)) for part in parts]
            if None in numbers:
                return UNKNOWN
            first = numbers[0] or 0
            items = items[first:] if len(numbers) == 1 else items[first : first + (numbers[1] or 0)]
        elif rest:
            items = [self._edit(item, rest) for item in items]
        return items if quoted and not star else " ".join(items)

    def _whole(self, name: str, key: str | None) -> str:
        if name in "@*#?$!-_" or name.isdigit():
            got = self._special(name, quoted=False) if len(name) == 1 else UNKNOWN
            return got if isinstance(got, str) else " ".join(got)
        value = self.scope.get(name)
        if key is None:
            return VARIABLE if value is None else self._value(value)
        key = self.text(key) if key else key
        if isinstance(value, dict):
            number = _whole_number(key)
            if number is not None and number < 0:
                items = list(value.values())
                return items[number] if -number <= len(items) else ""
            return value.get(key, UNKNOWN if marked(key) else "")
        return UNKNOWN if value is None or key not in {"0", ""} else value

    def _operate(self, name: str, key: str | None, rest: str) -> str:
        value = self._whole(name, key)
        missing = value in HOLES or (not value and rest[0] == ":")
        if rest[:2] in {":-", ":=", ":?", ":+"} or rest[0] in "-=?+":
            sign = rest[1] if rest[0] == ":" else rest[0]
            other = self.text(rest[2:] if rest[0] == ":" else rest[1:])
            if sign == "+":
                return other + UNKNOWN if missing else other
            if not missing:
                return value
            if sign == "=":
                self.scope.set(name, other + value if value in HOLES else other)
            if sign == "?":
                return UNKNOWN
            return other + value if value in HOLES else other
        if rest == "@P":
            self.runner.unresolved(f"${{{name}@P}}")
            return self.here(value)
        if marked(value):
            self.text(rest.lstrip(":#%/^,@"))
            return tags(value)
        if rest[0] == ":":
            return self._substring(value, rest[1:])
        return self._edit(value, rest)

    def _substring(self, value: str, rest: str) -> str:
        numbers = [_whole_number(self.arithmetic(part)) for part in rest.split(":")]
        if None in numbers or len(numbers) > 2:
            return UNKNOWN
        start = numbers[0] or 0
        if start < 0:
            start = max(len(value) + start, 0)
        if len(numbers) == 1:
            return value[start:]
        length = numbers[1] or 0
        return value[start : start + length] if length >= 0 else value[start:length]

    def _edit(self, value: str, rest: str) -> str:
        if marked(value):
            return value
        if rest in {"^^", ",,", "^", ",", "@U", "@L", "@u", "@Q", "@E", "@a", "@A"}:
            if rest in {"^^", "@U"}:
                return value.upper()
            if rest in {",,", "@L"}:
                return value.lower()
            if rest == "@E":
                return unescape(value)
            if rest in {"@a", "@A"}:
                return UNKNOWN
            return (
                value[:1].upper() + value[1:]
                if rest in {"^", "@u"}
                else value[:1].lower() + value[1:]
                if rest == ","
                else value
            )
        sign = rest[0]
        if sign in "#%":
            doubled = rest[1:2] == sign
            pattern = self.text(rest[2 if doubled else 1 :])
            return UNKNOWN if marked(pattern) else _trimmed(value, pattern, front=sign == "#", longest=doubled)
        if sign == "/":
            how = rest[1:2] if rest[1:2] in {"/", "#", "%"} else ""
            body = rest[1 + len(how) :]
            old, _, new = body.partition("/")
            old, new = self.text(old), self.text(new)
            return UNKNOWN if marked(old) else _replaced(value, old, new, how)
        return UNKNOWN


def _whole_number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _trimmed(value: str, pattern: str, *, front: bool, longest: bool) -> str:
    if len(value) > 512 or not pattern:
        return value
    cuts = range(len(value) + 1)
    shape = _glob(pattern)
    if front:
        for cut in reversed(cuts) if longest else cuts:
            if shape.match(value[:cut]):
                return value[cut:]
    else:
        for cut in cuts if longest else reversed(cuts):
            if shape.match(value[cut:]):
                return value[:cut]
    return value


def _replaced(value: str, old: str, new: str, how: str) -> str:
    if not old or len(value) > MOST_TEXT:
        return value
    if not any(char in old for char in "*?["):
        if how == "/":
            return value.replace(old, new)[: MOST_TEXT + 1]
        if how == "#":
            return new + value[len(old) :] if value.startswith(old) else value
        if how == "%":
            return value[: -len(old)] + new if value.endswith(old) else value
        return value.replace(old, new, 1)
    if len(value) > 512 or old.count("*") > 2:
        return UNKNOWN
    body = translate(old).removeprefix("(?s:").removesuffix(r")\Z")
    shape = {"#": rf"\A(?:{body})", "%": rf"(?:{body})\Z"}.get(how, body)
    try:
        return re.sub(shape, lambda _: new, value, count=0 if how == "/" else 1, flags=re.DOTALL)
    except re.error:
        return UNKNOWN
