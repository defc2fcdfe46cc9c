"""The counter: how many records the ledger has, kept apart from it. One block of a disk, written in place. Pure.

It is what makes a tail that was cut off, or an older copy, a gap: records that it counts must be there. It is written
when its records are on disk, so it never counts one that is not. It has the key of the *next* record only; those of the
records that exist are gone.
"""

import json
from hashlib import sha256
from typing import Final

from attrs import frozen

from runtime.stores.chain import Head

SIZE: Final = 512
"""Bytes of the file: one sector, which a disk writes whole or not at all."""
_CHECK: Final = b',"check":"'


@frozen
class Counter:
    """The end of the ledger: `head` is its last record, `key` seals the next one, `segment` names the last file by its
    first record (0: none yet), and `size` is how many bytes of that file count."""

    ledger: str
    head: Head
    key: bytes
    segment: int = 0
    size: int = 0


def packed(counter: Counter) -> bytes:
    """Return the block."""
    head = counter.head
    members = {"ledger": counter.ledger, "seq": head.number, "hash": head.hash, "key": counter.key.hex()}
    text = json.dumps({**members, "segment": counter.segment, "size": counter.size}, separators=(",", ":")).encode()
    content = text[:-1] + _CHECK + sha256(text).hexdigest()[:32].encode() + b'"}'
    return content.ljust(SIZE - 1) + b"\n"


def unpacked(block: bytes) -> Counter | None:
    """Return what a block says, or None if it is not exactly as it was written."""
    content = block.rstrip()
    try:
        said = json.loads(content)
        made = Counter(
            said["ledger"], Head(said["seq"], said["hash"]), bytes.fromhex(said["key"]), said["segment"], said["size"]
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return made if packed(made) == block else None
