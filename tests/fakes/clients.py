"""What a client of the gateway sends in `connect`, with a device that proves itself, and what comes of it."""

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any

from attrs import evolve
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runtime.gateway import devices
from runtime.gateway.auth import AuthPolicy
from runtime.gateway.devices import Claim, Paired
from runtime.gateway.frames import Request
from runtime.gateway.handshake import Accepted, Challenge, Refused, decide
from runtime.gateway.peers import Peer

NOW = 1_800_000_000_000
CHALLENGE = Challenge("5f0c", NOW)
ALL = tuple(f"operator.{name}" for name in ("admin", "read", "write", "approvals", "pairing", "questions"))
READ = ("operator.read",)
WRITE = ("operator.read", "operator.write")
POLICY = AuthPolicy(token="T")
NONE = AuthPolicy(mode="none")
HERE = Peer(host="127.0.0.1:18789")
FAR = Peer(host="gw.example", address="1.2.3.4", remote="1.2.3.4", loopback=False)
PAGE = evolve(HERE, origin="http://127.0.0.1:18789")
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
RAW = KEY.public_key().public_bytes_raw()
DEVICE = sha256(RAW).hexdigest()


def b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


class Known(dict[str, Paired]):
    """Paired devices in a dictionary."""

    def paired(self, device_id: str) -> Paired | None:
        return self.get(device_id)


def params(client: str = "gateway-client", mode: str = "backend", **changes: Any) -> dict[str, Any]:
    said = changes.pop("said", {})
    whole = {
        "minProtocol": 4,
        "maxProtocol": 4,
        "client": {"id": client, "version": "2026.9.6", "platform": "linux", "mode": mode, **said},
        "role": "operator",
        "scopes": list(ALL),
        "caps": ["tool-events"],
        "auth": {"token": "T"},
    }
    return {name: value for name, value in {**whole, **changes}.items() if value is not ...}


def proven(client: str = "openclaw-tui", mode: str = "ui", version: str = "v3", **changes: Any) -> dict[str, Any]:
    """The same with the proof of a device; `device` may change what is in the proof, after it was signed."""
    off = changes.pop("device", {})
    whole = params(client, mode, **changes)
    auth, said = whole.get("auth", {}), whole["client"]
    claim = Claim(
        client=client,
        mode=mode,
        role=whole["role"],
        scopes=tuple(whole["scopes"]),
        token=next((auth[name] for name in ("token", "deviceToken", "bootstrapToken") if name in auth), ""),
        platform=said["platform"],
        device_family=said.get("deviceFamily"),
    )
    text = devices.proof_text(version, DEVICE, claim, NOW, CHALLENGE.nonce)
    proof = {
        "id": DEVICE,
        "publicKey": b64(RAW),
        "signature": b64(KEY.sign(text)),
        "signedAt": NOW,
        "nonce": CHALLENGE.nonce,
    }
    return {**whole, "device": {**proof, **off}}


def asked(
    given_: Any,
    *,
    peer: Peer = HERE,
    policy: AuthPolicy = POLICY,
    known: Known | None = None,
    method: str = "connect",
    **more: Any,
) -> Accepted | Refused:
    return decide(Request("c1", method, given_), CHALLENGE, peer, policy, known or Known(), NOW, **more)


def let_in(given_: Any, **more: Any) -> Accepted:
    outcome = asked(given_, **more)
    assert isinstance(outcome, Accepted), outcome
    return outcome


def refused(given_: Any, **more: Any) -> Refused:
    outcome = asked(given_, **more)
    assert isinstance(outcome, Refused), outcome
    return outcome


def detail(given_: Any, name: str = "code", **more: Any) -> object:
    error = refused(given_, **more).error
    assert error is not None
    return (error.details or {}).get(name)


def paired(scopes: tuple[str, ...] = READ, role: str = "operator", token: str = "D", **changes: Any) -> Known:
    device = Paired(id=DEVICE, public_key=b64(RAW), roles=(role,), scopes=scopes, platform="linux", **changes)
    return Known({DEVICE: devices.issue(device, role, scopes, token, 0)})
