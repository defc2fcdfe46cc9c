"""The files of a ledger as lines, many at a time. Interprets none, and holds one block in memory."""

import os
from collections.abc import Iterator
from typing import Final

from defender import private
from defender.quarantine.places import Places, first_of

BLOCK: Final = 1 << 20


def segments_of(places: Places) -> list[int]:
    """Return the numbers of the first records of the files that are there; none where there is no folder."""
    try:
        with private.folder(places.folder) as place:
            return sorted(first for name in os.listdir(place) if (first := first_of(name)) is not None)
    except FileNotFoundError:
        return []


def lines_of(places: Places, name: str) -> Iterator[tuple[list[bytes], bytes]]:
    """Yield whole lines of a file, each time with what follows them. A line that never ends counts as one."""
    with private.folder(places.folder) as place:
        handle = private.opened(place, name, os.O_RDONLY, places.folder)
    rest = b""
    with os.fdopen(handle, "rb", buffering=0) as file:
        while block := file.read(BLOCK):
            texts = (rest + block).split(b"\n")
            rest = texts.pop()
            if len(rest) > 2 * BLOCK:
                texts, rest = [*texts, rest], b""
            yield texts, rest
