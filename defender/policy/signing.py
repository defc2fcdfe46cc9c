"""Signatures of bundles: Ed25519 over all bytes before the last line, which holds the signature. Reads no file.

The signature is a comment of TOML, so that bundle and signature are one file and are replaced in one move:

    # signature: ed25519 <16 hexadecimal digits that name the key> <signature in Base64>

What is signed begins with PREFIX, so that a signature made for something else never passes for one of a policy.
Source: RFC 8032.
"""

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Final

from defender.policy.reading import PolicyError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PREFIX: Final = b"twinstep defender policy, edition 1\n"
MARK: Final = b"# signature: ed25519 "
KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64


def name_of(key: bytes) -> str:
    """Return the name of a public key: the beginning of its SHA-256, in hexadecimal digits."""
    return hashlib.sha256(key).hexdigest()[:16]


def public_key(text: str, path: str) -> bytes:
    """Return a pinned key from its Base64 form; `path` is where it stands. Raises PolicyError."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise PolicyError(f"{path} must be a public Ed25519 key: {KEY_BYTES} bytes in Base64")
    return key


def split(data: bytes) -> tuple[bytes, bytes]:
    """Return what is signed and the line of the signature, empty where there is none."""
    body, line = data.rstrip(b"\n"), b""
    at = body.rfind(b"\n") + 1
    if body[at:].startswith(MARK):
        body, line = body[:at], body[at:]
        return body, line
    return data, b""


def verified(data: bytes, keys: tuple[bytes, ...], name: str) -> str:
    """Return the name of the pinned key that signed a bundle. Raises PolicyError where none of them did."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    body, line = split(data)
    if not line and MARK in data:
        raise PolicyError(
            f"{name}: something was added behind its signature, which must be the last line; sign it anew"
        )
    if not line:
        raise PolicyError(f"{name}: is not signed, and a key is pinned; sign it with `twinstep defender policy sign`")
    words = line.removeprefix(MARK).split()
    try:
        who, signature = words[0].decode(), base64.b64decode(words[1], validate=True)
    except (IndexError, UnicodeDecodeError, binascii.Error, ValueError):
        who, signature = "", b""
    if len(words) != 2 or len(signature) != SIGNATURE_BYTES:
        raise PolicyError(f"{name}: the last line is no signature that can be read")
    key = next((one for one in keys if name_of(one) == who), None)
    if key is None:
        raise PolicyError(f"{name}: is signed by key {who}, which is not pinned")
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, PREFIX + body)
    except InvalidSignature:
        raise PolicyError(f"{name}: the signature does not fit: it was changed after key {who} signed it") from None
    return who


def signed(data: bytes, key: "Ed25519PrivateKey") -> bytes:
    """Return a bundle with its signature; an older one is replaced."""
    body, _ = split(data)
    if body and not body.endswith(b"\n"):
        body += b"\n"
    line = base64.b64encode(key.sign(PREFIX + body))
    return body + MARK + name_of(key.public_key().public_bytes_raw()).encode() + b" " + line + b"\n"
