"""Devices: the proof that a client holds its key, and the tokens that a paired one may come back with.

Source: CONTRACT section 3, device identity. Rules: an id is the hash of the key, so nobody can claim another's; a proof
is for one challenge and two minutes; a token is kept as its hash only, and never without the proof. Stores nothing: the
view of paired devices, the time and the random token are arguments. `cryptography` is imported when a proof is checked.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as BadBase64
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from hmac import compare_digest
from typing import Annotated, Final, Literal, Protocol

from attrs import Factory, evolve, frozen

from runtime.gateway.frames import GatewayError, invalid
from runtime.gateway.params import Least, Text
from runtime.gateway.scopes import ADMIN, READ, WRITE, covers

SKEW_MS: Final = 120_000
"""How far the time of a proof may be from ours, to either side."""
KEY_BYTES: Final = 32
KEPT_TOKENS: Final = 4
"""How many tokens of one device and role are good at once. A device that several programs share asks for several."""

_BASE64: Final = re.compile(r"[A-Za-z0-9_-]*\Z")


@frozen(kw_only=True)
class Proof:
    """`device` of the connect params."""

    id: Text
    public_key: Text
    signature: Text
    signed_at: Annotated[int, Least(0)]
    nonce: Text


@frozen(kw_only=True)
class Claim:
    """What a proof signs besides itself. `scopes` are as they were sent."""

    client: str
    mode: str
    role: str
    scopes: tuple[str, ...] = ()
    token: str = ""
    platform: str | None = None
    device_family: str | None = None


@frozen(kw_only=True)
class DeviceToken:
    """What a paired device may come back with in one role. `digests` are the newest last."""

    digests: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    issued_at: int = 0
    revoked: bool = False


@frozen(kw_only=True)
class Paired:
    """A device that was approved. `scopes` is the most that it may ever ask for; `tokens` are by role."""

    id: str
    public_key: str
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    platform: str | None = None
    device_family: str | None = None
    client: str = ""
    origin: str | None = None
    tokens: Mapping[str, DeviceToken] = Factory(dict)

    def differs(self, client: str, mode: str, platform: str | None, family: str | None) -> bool:
        """Whether a device says that it is another kind of machine than the one that was approved."""
        said, kept = metadata(platform), metadata(self.platform)
        family, kept_family = metadata(family), metadata(self.device_family)
        if kept_family and family != kept_family:
            return True
        if not kept or said == kept:
            return False
        named, kept_named = _PLATFORMS.get(said, (said, "")), _PLATFORMS.get(kept, (kept, ""))
        if client == "node-host" and mode == "node" and (named[0] == kept_named[0] or _same_mac(said, kept)):
            return False
        if not kept_family and said == kept_named[0] and family == kept_named[1].lower():
            return False
        # An app whose platform carries a version is the same after an update.
        versions = _VERSIONED.get(client)
        if versions is None or not versions.fullmatch(said):
            return True
        return not (versions.fullmatch(kept) or (client == "openclaw-macos" and kept in _MAC))


Reason = Literal["not-paired", "role-upgrade", "scope-upgrade", "metadata-upgrade"]


@frozen(kw_only=True)
class Pairing:
    """What a device asks to be approved for, and why it has to ask. `silent` where this machine vouches for it."""

    reason: Reason
    device: str
    public_key: str
    role: str
    scopes: tuple[str, ...]
    client: str
    mode: str
    display_name: str | None = None
    platform: str | None = None
    device_family: str | None = None
    origin: str | None = None
    address: str = ""
    silent: bool = False


class Devices(Protocol):
    """The devices that are paired, as the handshake sees them."""

    def paired(self, device_id: str) -> Paired | None:
        """The device of this id, if it is paired."""


class ProofError(GatewayError):
    """A proof that does not hold, with the details that the contract names."""

    def __init__(self, code: str, reason: str, message: str) -> None:
        error = invalid(message, {"code": code, "reason": reason})
        super().__init__(error.code, error.message, details=error.details)


def check_proof(proof: Proof, claim: Claim, nonce: str, now: int) -> str:
    """Return the public key, in the one form that is compared and kept. Raises ProofError for the first that fails."""
    raw = raw_key(proof.public_key)
    if raw is None or device_id(raw) != proof.id:
        raise ProofError("DEVICE_AUTH_DEVICE_ID_MISMATCH", "device-id-mismatch", "device identity mismatch")
    if abs(now - proof.signed_at) > SKEW_MS:
        raise ProofError("DEVICE_AUTH_SIGNATURE_EXPIRED", "device-signature-stale", "device signature expired")
    presented = proof.nonce.strip()
    if not presented:
        raise ProofError("DEVICE_AUTH_NONCE_REQUIRED", "device-nonce-missing", "device nonce required")
    if presented != nonce:
        raise ProofError("DEVICE_AUTH_NONCE_MISMATCH", "device-nonce-mismatch", "device nonce mismatch")
    texts = (proof_text(version, proof.id, claim, proof.signed_at, presented) for version in ("v3", "v2"))
    if not any(signed(raw, text, proof.signature) for text in texts):
        raise ProofError("DEVICE_AUTH_SIGNATURE_INVALID", "device-signature", "device signature invalid")
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def proof_text(version: str, device: str, claim: Claim, signed_at: int, nonce: str) -> bytes:
    """The text that a device signs: `v3`, or the older `v2`, which names neither platform nor family."""
    parts = [version, device, claim.client, claim.mode, claim.role, ",".join(claim.scopes), str(signed_at)]
    parts += [claim.token, nonce]
    if version == "v3":
        parts += [metadata(claim.platform), metadata(claim.device_family)]
    return "|".join(parts).encode("utf-8", "surrogatepass")


def metadata(text: str | None) -> str:
    """A platform or family as it is signed and compared: trimmed, ASCII letters lower-cased, others left alone."""
    return "".join(chr(ord(letter) + 32) if "A" <= letter <= "Z" else letter for letter in (text or "").strip())


def raw_key(public_key: str) -> bytes | None:
    """The 32 bytes of a public key in base64, or None."""
    raw = _unbase64(public_key)
    return raw if raw is not None and len(raw) == KEY_BYTES else None


def device_id(raw: bytes) -> str:
    """The id of the device that holds this public key."""
    return sha256(raw).hexdigest()


def signed(raw: bytes, text: bytes, signature: str) -> bool:
    """Whether the signature is that key's over that text."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    given = _unbase64(signature)
    if given is None:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(given, text)
    except (InvalidSignature, ValueError):
        return False
    return True


def check_token(device: Paired | None, role: str, scopes: Sequence[str], token: str) -> str | None:
    """Why a device token does not do for a role with these scopes, or None if it does."""
    entry = device.tokens.get(role) if device else None
    # A hash is made and compared whatever is found, so that the time does not tell which devices there are.
    good = matches(token, entry.digests if entry else ())
    if device is None or entry is None or entry.revoked or not good:
        return "device_token_mismatch"
    if not covers(role, device.scopes, entry.scopes) or not covers(role, entry.scopes, scopes):
        return "scope_mismatch"
    return None


def matches(token: str, digests: Iterable[str]) -> bool:
    """Whether a token is one of those that are kept. Looks at all of them, whichever it is."""
    presented = digest(token)
    found = False
    for kept in digests:
        found |= compare_digest(presented, kept)
    return found


def digest(token: str) -> str:
    """What is kept of a device token."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def approve(device: Paired | None, asked: Pairing) -> Paired:
    """The device with what it asked for. Tokens of that role are good no longer: the next hello brings a new one."""
    known = device or Paired(id=asked.device, public_key=asked.public_key)
    return evolve(
        known,
        roles=tuple(dict.fromkeys((*known.roles, asked.role))),
        scopes=tuple(sorted({scope.strip() for scope in (*known.scopes, *asked.scopes)} - {""})),
        platform=asked.platform,
        device_family=asked.device_family,
        client=asked.client,
        origin=asked.origin,
        tokens={role: entry for role, entry in known.tokens.items() if role != asked.role},
    )


def issue(device: Paired, role: str, scopes: Iterable[str], token: str, now: int) -> Paired:
    """The device with one more token for a role. Scopes beyond those of its tokens replace them all."""
    entry, granted = device.tokens.get(role), grant(scopes)
    fits = entry is not None and covers(role, entry.scopes, granted) and covers(role, device.scopes, entry.scopes)
    if entry is None or entry.revoked or not fits:
        entry = DeviceToken(scopes=granted)
    digests = (*entry.digests, digest(token))[-KEPT_TOKENS:]
    fresh = evolve(entry, digests=digests, issued_at=now)
    return evolve(device, tokens={**device.tokens, role: fresh})


def revoke(device: Paired, role: str) -> Paired:
    """The device with the tokens of a role made worthless."""
    entry = device.tokens.get(role)
    if entry is None:
        return device
    return evolve(device, tokens={**device.tokens, role: evolve(entry, digests=(), revoked=True)})


def grant(scopes: Iterable[str]) -> tuple[str, ...]:
    """Scopes as a token has them: each once, in order, and what admin and write say without saying it."""
    kept = {scope.strip() for scope in scopes} - {""}
    if ADMIN in kept:
        kept |= {READ, WRITE}
    elif WRITE in kept:
        kept.add(READ)
    return tuple(sorted(kept))


def named_platform(client: str, mode: str, platform: str, family: str | None) -> tuple[str, str | None]:
    """The platform and family of a node under the names that are kept; those of others stay what they are."""
    known = _PLATFORMS.get(platform)
    if client != "node-host" or mode != "node" or known is None:
        return platform, family
    own = (family or "").strip()
    return (platform, family) if own and own.lower() != known[1].lower() else (known[0], own or known[1])


def _same_mac(said: str, kept: str) -> bool:
    return said in _MAC and _VERSIONED["openclaw-macos"].fullmatch(kept) is not None


def _unbase64(text: str) -> bytes | None:
    bare = text.strip().rstrip("=").replace("+", "-").replace("/", "_")
    if not _BASE64.match(bare):
        return None
    try:
        return urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except (BadBase64, ValueError):
        return None


_MAC: Final = frozenset({"darwin", "macos"})
_PLATFORMS: Final[Mapping[str, tuple[str, str]]] = {
    "darwin": ("macos", "Mac"),
    "macos": ("macos", "Mac"),
    "linux": ("linux", "Linux"),
    "win32": ("windows", "Windows"),
    "windows": ("windows", "Windows"),
}
_VERSIONED: Final[Mapping[str, re.Pattern[str]]] = {
    "openclaw-ios": re.compile(r"(ios|ipados)(\s.*)?"),
    "openclaw-android": re.compile(r"android(\s.*)?"),
    "openclaw-watchos": re.compile(r"watchos \d+(\.\d+){0,2}"),
    "openclaw-macos": re.compile(r"macos \d+(\.\d+){0,2}"),
}
