"""What a text says once it is decoded: each decoder behind a test that plain text passes in microseconds.

A view is kept only if it reads like text. There are at most MOST_VIEWS of them and they hold at most MOST_DECODED
characters together; what is decoded is looked at once more (base64 inside base64), not deeper.
"""

import base64
import binascii
import codecs
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Final
from urllib.parse import unquote

from attrs import frozen

from defender.prompts.ngrams import canonical, words

MOST_VIEWS: Final = 8
MOST_DECODED: Final = 32_768
MOST_RUNS: Final = 16
"""Encoded runs of a text that are tried."""
DEPTH: Final = 2

_LONG: Final = 20
_CLASS: Final = bytes(
    97 if chr(c).isalpha() and c < 128 else 48 if chr(c).isdigit() and c < 128 else 46 if chr(c) in ".-_" else
    49 if chr(c) in "@$" else 32 if c <= 32 else 33 for c in range(256)
)  # fmt: skip
_RUN: Final = bytes(97 if c < 128 and (chr(c).isalnum() or chr(c) in "+/=-_") else 32 for c in range(256))
_DIGIT: Final = bytes.maketrans(b"1", b"0")

COMMON: Final = frozenset(
    b"the and you your that this with for are not all have what from was but they his her will can which there about "
    b"would make like please answer question instructions ignore previous following tell say me my is it in of to "
    b"as do an if be or on give write now new prompt system secret password key text".split()
)
_ROT: Final = frozenset(codecs.encode(word.decode(), "rot13").encode() for word in COMMON) - COMMON
_BACK: Final = frozenset(word[::-1] for word in COMMON) - COMMON
_HINTS: Final = frozenset(word for word in _ROT | _BACK if len(word) > 2)


@frozen
class View:
    """One reading of a text: which decoder made it (`base64`, `rot13`, …) and what it says."""

    decoder: str
    text: str


@cache
def _re(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def views(text: str, form: bytes | None = None, found: list[bytes] | None = None) -> list[View]:
    """Return the other readings of a text that is normalised; `form` and `found` are its canonical bytes and words."""
    form = canonical(text) if form is None else form
    made: list[View] = []
    room = MOST_DECODED
    queue = [(text, form, words(form) if found is None else found, 1)]
    while queue:
        source, shape, terms, depth = queue.pop(0)
        for view in _decoded(source, shape, terms):
            cut = view.text[:room]
            if not cut or len(made) >= MOST_VIEWS:
                return made
            if any(cut == other.text for other in made):
                continue
            made.append(View(view.decoder, cut))
            room -= len(cut)
            if depth < DEPTH:
                inner = canonical(cut)
                queue.append((cut, inner, words(inner), depth + 1))
    return made


def _decoded(text: str, form: bytes, found: list[bytes]) -> Iterator[View]:
    kinds = form.translate(_CLASS)
    if b"a" * _LONG in form.translate(_RUN):
        yield from _runs(text)
    if "%" in text and len(_re(r"%[0-9A-Fa-f]{2}").findall(text)) >= 4:
        yield from _changed("url", text, unquote(text, errors="replace"))
    if "\\" in text and len(_re(r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4})").findall(text)) >= 4:
        yield from _changed("escapes", text, _re(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4}))").sub(_escape, text))
    if not _HINTS.isdisjoint(found):
        yield from _turned(text, found)
    if _mixes(form, kinds.translate(_DIGIT), _enough(found)) and _leet(found):
        yield from _changed("leet", text, _re(_LEET_WORD).sub(_unleet, text))
    if b"a a a a" in kinds:
        yield from _changed("spaced", text, _spaced(text))
    if b"a.a.a" in kinds:
        yield from _changed("dotted", text, _re(r"(?<!\S)\S([.\-_])\S(?:\1\S)*(?!\S)").sub(_joined, text))


def _changed(decoder: str, before: str, after: str) -> Iterator[View]:
    if after != before and after.strip():
        yield View(decoder, after)


def _escape(found: re.Match[str]) -> str:
    return chr(int(found.group(1) or found.group(2), 16))


def _runs(text: str) -> Iterator[View]:
    """Yield what long runs of base64 or hexadecimal digits say, if that is text."""
    for tried, found in enumerate(_re(r"[A-Za-z0-9+/_-]{20,}={0,2}").finditer(text)):
        if tried == MOST_RUNS:
            return
        run = found.group()
        decoders: tuple[tuple[str, Callable[[str], bytes]], ...] = (("hex", _hex), ("base64", _base64))
        for name, decoder in decoders:
            if (said := _plain(decoder(run))) is not None:
                yield View(name, said)
                break


def _hex(run: str) -> bytes:
    run = run.removeprefix("0x")
    try:
        return bytes.fromhex(run[: len(run) // 2 * 2])
    except ValueError:
        return b""


def _base64(run: str) -> bytes:
    run = run.rstrip("=").replace("-", "+").replace("_", "/")
    run = run[: len(run) - (len(run) % 4 == 1)]
    try:
        return base64.b64decode(run + "=" * (-len(run) % 4))
    except (binascii.Error, ValueError):
        return b""


def _plain(data: bytes) -> str | None:
    """Return decoded bytes as text, or None if they do not read like one."""
    if len(data) < 8:
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    good = sum(map(str.isprintable, text)) + text.count("\n") + text.count("\t")
    return text if good >= 0.95 * len(text) and any(map(str.isalpha, text)) else None


def _turned(text: str, found: list[bytes]) -> Iterator[View]:
    """Yield the text read through rot13 or backwards, where it has more common words that way."""
    terms = set(found)
    plain, rot, back = len(terms & COMMON), len(terms & _ROT), len(terms & _BACK)
    if rot > max(1, 2 * plain):
        yield View("rot13", codecs.encode(text, "rot13"))
    if back > max(1, 2 * plain):
        yield View("reversed", text[::-1])


def _mixes(form: bytes, digits: bytes, least: int) -> bool:
    """Whether letters and digits meet, in ASCII (where each mixed word is such a place) at least so often."""
    if form.isascii():
        return digits.count(b"a0") + digits.count(b"0a") >= least
    return b"a0" in digits or b"0a" in digits


def _enough(found: list[bytes]) -> int:
    return max(3, len(found) // _LEETED)


def _leet(found: list[bytes]) -> bool:
    """Whether so many words hold letters and digits that it is a way of writing: a tenth, three at least."""
    mixed = sum(b"0" in word and not word.isdigit() and len(word) <= _LONG for word in found)
    return mixed >= _enough(found)


_LEET_WORD: Final = r"[A-Za-z013457@$]*[A-Za-z][A-Za-z013457@$]*|(?<!\w)[013457]{1,3}(?!\w)"
"""A word with a letter, or a number so short that it may be one; a longer number is a number."""
_LEETED: Final = 10
_LEET: Final = str.maketrans("013457@$", "oieastas")


def _unleet(found: re.Match[str]) -> str:
    return found.group().translate(_LEET)


def _spaced(text: str) -> str:
    """Return the text with letters that stand apart joined; a wider gap ends a word."""
    return _re(r"(?<!\S)\S(?: \S(?!\S))+").sub(lambda found: found.group().replace(" ", ""), text)


def _joined(found: re.Match[str]) -> str:
    return found.group()[::2]
