"""The gateway's own Ed25519 key: what clients and nodes know it by. Kept in a file of its own, mode 0600."""

import os
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import trio
from attrs import define

from runtime.errors import InputError


@define(eq=False)
class Identity:
    """The key in `path`, made when it is first asked for."""

    path: Path
    _shown: dict[str, Any] | None = None

    async def shown(self) -> dict[str, Any]:
        """Return id and public key."""
        if self._shown is None:
            raw = await trio.to_thread.run_sync(self._public)
            self._shown = {
                "deviceId": sha256(raw).hexdigest(),
                "publicKey": urlsafe_b64encode(raw).rstrip(b"=").decode(),
            }
        return self._shown

    def _public(self) -> bytes:
        from cryptography.hazmat.primitives import serialization as form
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        try:
            private = Ed25519PrivateKey.from_private_bytes(self.path.read_bytes())
        except FileNotFoundError:
            private = Ed25519PrivateKey.generate()
            raw = private.private_bytes(form.Encoding.Raw, form.PrivateFormat.Raw, form.NoEncryption())
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as file:
                file.write(raw)
        except ValueError as exc:
            raise InputError(f"{self.path}: is no Ed25519 key") from exc
        return private.public_key().public_bytes(form.Encoding.Raw, form.PublicFormat.Raw)
