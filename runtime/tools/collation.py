"""The order in which names are listed: as people sort them (the root of CLDR), not by code. Pure.

Punctuation comes before digits, digits before letters; accents count only between equal letters, case only between
equal accents, small letters first. Other scripts come after Latin, by code point, which is near enough for a listing.
"""

from typing import Final

ORDER: Final = "\t\n\v\f\r\u0085\u2028\u2029 _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789"
RANKS: Final = {char: rank for rank, char in enumerate(ORDER)}

Key = tuple[list[int], list[int], list[bool]]


def key(name: str) -> Key:
    """Return what to sort a name by."""
    if name.isascii():
        return [_rank(char) for char in name.lower()], [], [char.isupper() for char in name]
    import unicodedata

    letters = unicodedata.normalize("NFD", name)
    base = [char for char in letters if not unicodedata.combining(char)]
    accents = [ord(char) if unicodedata.combining(char) else 0 for char in letters]
    return [_rank(char) for char in "".join(base).lower()], accents, [char.isupper() for char in base]


def _rank(char: str) -> int:
    return RANKS.get(char, len(RANKS) + ord(char))
