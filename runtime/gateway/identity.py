"""An Ed25519 key that others know this program by, in a file of its own (0600): a gateway's, or that of a device."""

import os
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio
from attrs import define, field

from runtime.errors import InputError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@define(eq=False)
class Identity:
    """The key in `path`, made when it is first asked for."""

    path: Path
    _shown: dict[str, Any] | None = None
    _turn: trio.Lock = field(factory=trio.Lock)

    async def shown(self) -> dict[str, Any]:
        """Return id and public key. Raises InputError where the file cannot be used."""
        async with self._turn:  # two who ask at once get one key
            if self._shown is None:
                raw = await trio.to_thread.run_sync(self._public)
                key = urlsafe_b64encode(raw).rstrip(b"=").decode()
                self._shown = {"deviceId": sha256(raw).hexdigest(), "publicKey": key}
        return self._shown

    async def signed(self, text: bytes) -> str:
        """Return the signature of a text. Raises InputError where the file cannot be used."""
        async with self._turn:
            private = await trio.to_thread.run_sync(self._private)
        return urlsafe_b64encode(private.sign(text)).rstrip(b"=").decode()

    def _public(self) -> bytes:
        from cryptography.hazmat.primitives import serialization as form

        public: bytes = self._private().public_key().public_bytes(form.Encoding.Raw, form.PublicFormat.Raw)
        return public

    def _private(self) -> "Ed25519PrivateKey":
        from cryptography.hazmat.primitives import serialization as form
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        try:
            private = Ed25519PrivateKey.from_private_bytes(self.path.read_bytes())
        except FileNotFoundError:
            private = Ed25519PrivateKey.generate()
            self._write(private.private_bytes(form.Encoding.Raw, form.PrivateFormat.Raw, form.NoEncryption()))
        except OSError as exc:
            raise InputError(f"{self.path}: cannot be read ({exc.strerror})") from exc
        except ValueError as exc:
            raise InputError(f"{self.path}: is no Ed25519 key") from exc
        return private

    def _write(self, raw: bytes) -> None:
        """Write the key whole or not at all: half a key would be in the way for ever."""
        fresh = self.path.with_name(f"{self.path.name}.new")
        try:
            with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(raw)
            fresh.replace(self.path)
        except OSError as exc:
            raise InputError(f"{self.path}: cannot be written ({exc.strerror})") from exc
