"""From text to numbers: hashed n-grams of bytes and words, found without a Python loop over characters.

A text becomes lower-case bytes with single spaces. Each n-gram of bytes is hashed by tabulation: every byte of the gram
is looked up in a random table of its place and the sixteen-bit answers are XORed. Done for all places at once: one
`bytes.translate` per place, and the XOR of whole texts as one long integer. Tables fold case, digits and blanks, so
that "Page 12" and "page 99" are the same gram. Words are chained CRC-32, sixteen bits of it.

Training and judging use this module, so their features cannot differ.
"""

import zlib
from array import array
from collections.abc import Sequence
from functools import cache
from hashlib import shake_256
from typing import Final

SLOTS: Final = 65_536
"""Slots of a table: sixteen bits of hash."""
SEGMENT: Final = 600
"""Bytes of a segment; a window is two that follow each other. A gram counts once in a segment."""

_SKIP: Final = 0x5BD1E995


def _folded(code: int) -> int:
    if 65 <= code <= 90:
        return code + 32
    if 48 <= code <= 57:
        return 48
    return 32 if code <= 32 or code == 127 else code


_FOLD: Final = bytes(map(_folded, range(256)))
_WORD: Final = bytes(code if 97 <= code <= 122 or code == 48 or code >= 128 else 32 for code in _FOLD)


@cache
def _tables(order: int) -> tuple[tuple[bytes, bytes], ...]:
    """Return for each place in a gram the low and the high half of its table."""
    return tuple((_table(order, place, 0), _table(order, place, 1)) for place in range(order))


def _table(order: int, place: int, half: int) -> bytes:
    drawn = shake_256(b"twinstep %d %d %d" % (order, place, half)).digest(256)
    return bytes(drawn[code] for code in _FOLD)


def canonical(text: str) -> bytes:
    """Return a text as bytes with single blanks; letters beyond ASCII in lower case."""
    return " ".join((text if text.isascii() else text.lower()).split()).encode("utf-8", "replace")


def words(text: bytes) -> list[bytes]:
    """Return the words of a canonical text: runs of letters and digits, folded."""
    return text.translate(_WORD).split()


def grams(text: bytes, order: int) -> list[int]:
    """Return the slot of the gram at each place of a canonical text; none if it is shorter than a gram."""
    count = len(text) - order + 1
    if count <= 0:
        return []
    number = int.from_bytes
    low = high = 0
    for place, (one, other) in enumerate(_tables(order)):
        part = text[place : place + count]
        low ^= number(part.translate(one), "little")
        high ^= number(part.translate(other), "little")
    slots = bytearray(2 * count)
    slots[::2] = low.to_bytes(count, "little")
    slots[1::2] = high.to_bytes(count, "little")
    return memoryview(slots).cast("H").tolist()


def chains(found: list[bytes], kinds: Sequence[str]) -> dict[str, list[int]]:
    """Return the slots of words (w1), of two and three in a row (w2, w3) and of two with one between (sk)."""
    one = list(map(zlib.crc32, found))
    made: dict[str, list[int]] = {"w1": _low(one)}
    if "w2" in kinds or "w3" in kinds:
        two = list(map(zlib.crc32, found[1:], one))
        made["w2"] = _low(two)
        if "w3" in kinds:
            made["w3"] = _low(list(map(zlib.crc32, found[2:], two)))
    if "sk" in kinds:
        made["sk"] = _low(list(map(zlib.crc32, found[2:], map(_SKIP.__xor__, one))))
    return made


def _low(hashes: list[int]) -> list[int]:
    return memoryview(array("I", hashes)).cast("B").cast("H")[::2].tolist()


def segments(size: int) -> int:
    """Return into how many segments a canonical text of some size is cut."""
    return max(1, round(size / SEGMENT))


def slots(text: bytes, kinds: Sequence[str], found: list[bytes] | None = None) -> list[list[set[int]]]:
    """Return for each segment of a canonical text, and in it for each kind of gram, the slots that occur."""
    found = words(text) if found is None else found
    chained = chains(found, kinds)
    rows = [grams(text, int(kind[1:])) if kind[0] == "c" else chained[kind] for kind in kinds]
    spans = [len(text) if kind[0] == "c" else len(found) for kind in kinds]
    parts = segments(len(text))
    return [
        [set(row[span * part // parts : span * (part + 1) // parts]) for row, span in zip(rows, spans, strict=True)]
        for part in range(parts)
    ]
