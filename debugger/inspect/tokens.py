"""How many tokens a piece of a request is, by its bytes. A guess, which one real count puts right. Pure."""

import re
from typing import Final

ASCII: Final = 0.25
OTHER: Final = 1.3
"""Tokens a character: the peer's own guess (Gemini CLI)."""
DATA: Final = 258.0
"""Tokens of an embedded picture: the API counts one tile of it as this many."""
_DATA: Final = re.compile(rb'"data":"[A-Za-z0-9+/=_-]*"')


def guess(piece: bytes) -> float:
    """Return the guessed tokens of a piece of JSON in UTF-8. Embedded data counts as one picture each."""
    tokens = 0.0
    if b'"inlineData"' in piece:
        piece, pictures = _DATA.subn(b"", piece)
        tokens = pictures * DATA
    if piece.isascii():
        return tokens + len(piece) * ASCII
    # In UTF-8 each character has one byte that is none of the following ones (0x80 to 0xBF).
    text = piece.decode("utf-8", "replace")
    plain = len(text.encode("ascii", "ignore"))
    return tokens + plain * ASCII + (len(text) - plain) * OTHER


def scale(counted: int, guessed: float) -> float:
    """Return by what guesses are multiplied, after the API counted `counted` tokens where `guessed` were guessed.

    1 where there was no count. Never below a quarter or above four times: beyond, something else was counted.
    """
    if counted <= 0 or guessed <= 0:
        return 1.0
    return min(4.0, max(0.25, counted / guessed))
