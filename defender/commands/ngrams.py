"""From a command to numbers: hashed grams of three and four bytes and of words, without a Python loop over bytes.

A text becomes bytes in lower case, digits as `0`, between blanks. Four bytes at a place are read as one number, which
modulo a prime gives the slot; three bytes are the same number without its last byte. Words are runs of letters and
digits, by CRC-32. A gram counts once. Training and judging use this module, so their features cannot differ.
"""

import zlib
from itertools import repeat
from operator import and_, mod
from typing import Final

SLOTS: Final = 65_536
"""Slots of the table."""
MOST: Final = 1_536
"""Bytes of a command that are looked at."""
_FOUR: Final = 65_521
_THREE: Final = 65_519
_WORDS: Final = 65_497
_FOLD: Final = bytes(
    code + 32 if 65 <= code <= 90 else 48 if 48 <= code <= 57 else 32 if code <= 32 else code for code in range(256)
)
_SPLIT: Final = bytes(code if 97 <= code <= 122 or code == 48 or code >= 128 else 32 for code in _FOLD)


def slots(text: str) -> set[int]:
    """Return the slots of the grams that a command holds."""
    raw = b" " + text[:MOST].encode("utf-8", "replace")[:MOST].translate(_FOLD) + b"    "
    found: set[int] = set()
    for start in range(4):
        numbers = memoryview(raw[start : start + (len(raw) - start) // 4 * 4]).cast("I")
        found.update(map(mod, numbers, repeat(_FOUR)))
        found.update(map(mod, map(and_, numbers, repeat(0xFFFFFF)), repeat(_THREE)))
    words = raw.translate(_SPLIT).split()
    found.update(map(mod, map(zlib.crc32, words), repeat(_WORDS)))
    found.update(map(mod, map(zlib.crc32, words[1:], map(zlib.crc32, words)), repeat(_WORDS)))
    return found
