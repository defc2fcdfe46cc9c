"""What makes records a chain: canonical JSON, a number that grows by one, and the hash of the one before. Pure.

The debugger's audit (documents in a journal) and the defender's ledger (a file of its own, with a key) are chains. What
they share stands here; where their records lie, and who could forge them, is their own matter (ADR 0008).
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final

from attrs import frozen

from runtime.errors import LocalError

BEGINNING: Final = "0" * 64
"""The hash before the first record."""
LARGEST: Final = 16_384
"""Bytes of a value that is written whole."""
_JSON: Final = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), sort_keys=True, allow_nan=False)


@frozen
class Head:
    """The end of a chain: the number and the hash of its last record."""

    number: int = 0
    hash: str = BEGINNING


def canonical(value: Any) -> bytes:
    """Return the one JSON text of a plain value: ASCII, members in order, no space.

    Raises LocalError for a value that is not plain.
    """
    try:
        return _JSON.encode(value).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise LocalError(f"a value of a chain is not plain: {exc}") from exc


def hashed(text: bytes) -> str:
    """Return the hash by which the next record names this one."""
    return sha256(text).hexdigest()


def faults(number: int, previous: str, before: Head) -> Iterator[str]:
    """Say in sentences why a record does not follow `before`; nothing if it does."""
    if number != before.number + 1:
        yield f"entry {number} follows number {before.number}"
    if previous != before.hash:
        yield f"entry {number} does not follow from the one before it"


def cut(value: Any, most: int = LARGEST) -> Any:
    """Return a value as it reads back from JSON, or the size and the hash of its JSON where it is large."""
    text = canonical(value)
    return json.loads(text) if len(text) <= most else {"cut": len(text), "sha256": hashed(text)}
