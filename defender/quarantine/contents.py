"""What is in quarantine, as files that nobody reads by accident: by hash, 0600, encrypted, bounded.

Encrypted (ChaCha20-Poly1305, RFC 8439, under a key in another folder) not against who has both folders, but so that no
indexer, scanner, backup or tool of an agent meets the text again: what was withheld from a model must not reach it by
`grep`. The id, which is the SHA-256 of the content, is part of what the seal covers, so one cannot be put for another.
"""

import os
from contextlib import suppress
from hashlib import sha256
from threading import Lock
from time import time
from typing import Final

from attrs import define, field, frozen

from defender import private
from defender.quarantine.places import Places
from runtime.errors import InputError, JournalError

KEY: Final = "contents.key"
LARGEST: Final = 1 << 20
"""Bytes of one content that are kept: of what is larger, its beginning."""
MOST: Final = 10_000
"""Contents that are kept. Above it the oldest go."""
ROOM: Final = 256 << 20
"""Bytes of all contents."""
STALE: Final = 3_600.0
"""Seconds after which a file that is not whole belongs to nobody any more."""
_NONCE: Final = 12
_SEAL: Final = _NONCE + 16


@frozen
class Kept:
    """A content as it was put aside: its id, its size, how much of it is there, and ids of what had to go for it."""

    id: str
    size: int
    kept: int
    dropped: tuple[str, ...] = ()


@define(eq=False)
class Contents:
    """The folder of the contents. All of it waits for the disk: call it in a thread."""

    places: Places
    largest: int = LARGEST
    most: int = MOST
    room: int = ROOM
    _sizes: dict[str, int] | None = field(default=None, init=False)
    _lock: Lock = field(factory=Lock, init=False)

    def keep(self, content: bytes) -> Kept:
        """Put a content aside, durably. The same content again changes nothing.

        Raises JournalFull where the disk is full, and JournalError.
        """
        with self._lock:
            return self._kept(content)

    def _kept(self, content: bytes) -> Kept:
        name = sha256(content).hexdigest()
        kept = content[: self.largest]
        try:
            nonce = os.urandom(_NONCE)
            sealed = nonce + self._cipher().encrypt(nonce, kept, _about(name, len(content)))
            sizes = self._known()
            if private.create(self.places.contents, name, len(content).to_bytes(8, "big") + sealed):
                sizes[name] = len(kept)
            return Kept(name, len(content), len(kept), tuple(self._thinned(name)))
        except OSError as exc:
            raise private.failure(self.places.contents, exc) from exc

    def read(self, name: str) -> tuple[bytes, int]:
        """Return a content, or as much as was kept, and its whole size. Raises InputError, JournalError."""
        from cryptography.exceptions import InvalidTag

        text = private.read(self.places.contents, name, self.largest + _SEAL + 8)
        if text is None:
            raise InputError(f"{name}: its content is not kept any more")
        size, sealed = int.from_bytes(text[:8], "big"), text[8:]
        try:
            content = bytes(self._cipher(make=False).decrypt(sealed[:_NONCE], sealed[_NONCE:], _about(name, size)))
        except (InvalidTag, ValueError) as exc:
            raise JournalError(f"{self.places.contents}/{name}: was changed") from exc
        if len(content) == size and sha256(content).hexdigest() != name:
            raise JournalError(f"{self.places.contents}/{name}: is not the content of that name")
        return content, size

    def names(self) -> frozenset[str]:
        """Return the ids of all contents that are there."""
        return frozenset(self._scanned())

    def _known(self) -> dict[str, int]:
        if self._sizes is None:
            self._sizes = self._scanned()
        return self._sizes

    def _scanned(self) -> dict[str, int]:
        """Return id and size of what is there, oldest first."""
        try:
            with private.folder(self.places.contents) as place, os.scandir(place) as found:
                rows = [(one.name, one.stat(follow_symlinks=False)) for one in found]
        except FileNotFoundError:
            return {}
        self._clean([name for name, status in rows if name.endswith(private.PART) and status.st_mtime < time() - STALE])
        rows.sort(key=lambda row: (row[1].st_mtime_ns, row[0]))
        return {name: status.st_size for name, status in rows if len(name) == 64}

    def _clean(self, parts: list[str]) -> None:
        """Take away what processes left half written when they died."""
        for name in parts:
            with suppress(OSError):
                os.unlink(f"{self.places.contents}/{name}")

    def _thinned(self, newest: str) -> list[str]:
        """Take away the oldest until the bounds hold; return their ids."""
        sizes, gone = self._known(), []
        total = sum(sizes.values()) if len(sizes) > 1 else 0
        with private.folder(self.places.contents) as place:
            while (len(sizes) > self.most or total > self.room) and (name := next(iter(sizes))) != newest:
                total -= sizes.pop(name)
                try:
                    os.unlink(name, dir_fd=place)
                except FileNotFoundError:  # another process took it away, and said so
                    continue
                gone.append(name)
        return gone

    def _cipher(self, *, make: bool = True) -> "ChaCha20Poly1305":  # type: ignore[name-defined]  # noqa: F821
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

        key = private.read(self.places.anchor, KEY, 32)
        if key is None:
            if not make:
                raise JournalError(f"{self.places.anchor}/{KEY}: is gone, so no content can be read")
            private.create(self.places.anchor, KEY, os.urandom(32))
            key = private.read(self.places.anchor, KEY, 32)
        if key is None or len(key) != 32:
            raise JournalError(f"{self.places.anchor}/{KEY}: is not a key")
        return ChaCha20Poly1305(key)


def _about(name: str, size: int) -> bytes:
    return f"{name} {size}".encode()
