r"""The text of the ledger: how a record is written, sealed and taken apart. Opens no file.

    {"seq":7,"at":1763622000000,"kind":"decision","body":{…},"prev":"<64 hex>","mac":"<64 hex>"}

Rule 1: members stand in this order, without spaces; `body` is canonical JSON (`runtime.stores.chain`). One record, one
line, ASCII.
Rule 2: `prev` is the SHA-256 of the bytes of the line before, without its newline; 64 zeros before the first.
Rule 3: `mac` is the HMAC-SHA256 of the bytes of the line before `,"mac":`, under the key of this record.
Rule 4: the key of record n+1 is SHA-256 of `twinstep ledger key` and the key of record n. The way back does not exist.
Rule 5: a head is sealed in the same manner, under the key of the record that would come next:

    {"head":7,"at":1763622000000,"ledger":"<32 hex>","hash":"<64 hex>","mac":"<64 hex>"}
"""

import hmac
import json
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from attrs import frozen

from runtime.errors import LocalError
from runtime.stores import chain

VERSION: Final = 1
BEGIN: Final = "ledger.begin"
"""The kind of record 1; its body names version and ledger."""
SEGMENT: Final = "ledger.segment"
"""The kind of the first record of each further file; its body is that of BEGIN."""
TORN: Final = "ledger.torn"
"""Half a line of an interrupted write was cut off: `bytes`, `sha256`, and the file, `segment`."""
LOST: Final = "ledger.lost"
"""So many `records` found no room in the queue before this one."""

KEY_SIZE: Final = 32
LONGEST: Final = 2 * chain.LARGEST
"""Bytes of a line, at most. A body is cut at `chain.LARGEST`."""
SEAL_SIZE: Final = len(b',"mac":"') + 64 + len(b'"}')
STEP: Final = b"twinstep ledger key"
"""What stands before a key in the hash that gives the next one."""
_KIND: Final = r"[a-z][a-z0-9.-]{0,63}"
_SEQ: Final = re.compile(rb'\{"seq":([1-9][0-9]{0,17}),')


@frozen
class Record:
    """What is to be written: `kind` is a dotted lower-case word, `body` a plain object.

    A body of more than `chain.LARGEST` bytes of JSON is written as its size and hash.
    """

    kind: str
    body: Mapping[str, Any]

    def checked(self) -> tuple[str, bytes]:
        """Return kind and canonical body. Raises LocalError for another kind or what is not plain."""
        if not re.fullmatch(_KIND, self.kind):
            raise LocalError(f"the ledger: {self.kind!r} cannot be the kind of a record")
        return self.kind, chain.canonical(chain.cut(dict(self.body)))


@frozen
class Entry:
    """A record as it reads back. `at` is in milliseconds since 1970."""

    seq: int
    at: int
    kind: str
    body: Mapping[str, Any]


def next_key(key: bytes) -> bytes:
    """Return the key of the record after the one of `key`."""
    return sha256(STEP + key).digest()


def key_after(key: bytes, steps: int) -> bytes:
    """Return the key so many records later. Takes about 0.3 µs a step."""
    for _ in range(steps):
        key = sha256(STEP + key).digest()
    return key


def line(seq: int, at: int, kind: str, body: bytes, previous: str, key: bytes) -> bytes:
    """Return the sealed line of a record, without its newline."""
    return seal(
        b'{"seq":%d,"at":%d,"kind":"%b","body":%b,"prev":"%b"' % (seq, at, kind.encode(), body, previous.encode()), key
    )


def head_line(ledger: str, at: int, head: chain.Head, key: bytes) -> bytes:
    """Return the sealed line of a head, without its newline. `key` is that of the record that would come next."""
    content = b'{"head":%d,"at":%d,"ledger":"%b","hash":"%b"'
    return seal(content % (head.number, at, ledger.encode(), head.hash.encode()), key)


def seal(content: bytes, key: bytes) -> bytes:
    """Close a line with its MAC."""
    return b'%b,"mac":"%b"}' % (content, hmac.digest(key, content, "sha256").hex().encode())


def sealed(text: bytes, key: bytes) -> bool:
    """Whether a line has the MAC of this key."""
    return hmac.compare_digest(seal(text[:-SEAL_SIZE], key), text)


def number_of(text: bytes) -> int | None:
    """Return the number that a line claims, or None if it does not begin as a record does."""
    found = _SEQ.match(text)
    return int(found[1]) if found else None


def entry(text: bytes) -> Entry | None:
    """Return the record of a line, or None if it is none. Checks no MAC."""
    try:
        members = json.loads(text)
        seq, at, kind, body = members["seq"], members["at"], members["kind"], members["body"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    fits = type(seq) is int and type(at) is int and isinstance(kind, str) and isinstance(body, dict)
    return Entry(seq, at, kind, body) if fits else None
