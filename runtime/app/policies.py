"""`twinstep defender policy`: shows, signs and checks policies, and has a running gateway read its own again."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from runtime.errors import InputError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from defender.policy.book import PolicyBook
    from defender.policy.model import Policy

SECONDS = 10.0


def show(path: Path | None, book: "Callable[[], PolicyBook]", out: TextIO, *, as_json: bool) -> int:
    """Print every key of a policy with its value. Raises PolicyError."""
    from defender.policy.model import flat

    policy = _read(path) if path is not None else book().current
    values = {path: shown(value) for path, value in sorted(flat(policy).items())}
    if as_json:
        print(json.dumps({"digest": policy.digest, "values": values}), file=out)
        return 0
    for name, value in values.items():
        print(f"{name} = {json.dumps(value, ensure_ascii=False)}", file=out)
    print(f"# digest {policy.digest}", file=out)
    return 0


def shown(value: Any) -> Any:
    """Return a value of a policy as JSON has it."""
    return [*value] if isinstance(value, tuple) else getattr(value, "value", value)


def _read(path: Path) -> "Policy":
    from defender.policy.book import PolicyBook

    return PolicyBook(path, wanted=True).reload()


def verify(path: Path, keys: Sequence[Path], out: TextIO) -> int:
    """Check a policy, and its signature where keys are given. Raises PolicyError."""
    from defender.policy.book import PolicyBook
    from defender.policy.signing import public_key

    pinned = tuple(public_key(_text(one), str(one)) for one in keys)
    book = PolicyBook(path, pinned, wanted=True)
    policy = book.reload()
    by = f", signed by {book.signer}" if book.signer else ", whose signature was not checked (no --pub)"
    print(f"{path} is a policy: {policy.name}, serial {policy.serial}{by}", file=out)
    return 0


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")[:200]
    except OSError as exc:
        raise InputError(f"{path}: cannot be read: {exc.strerror}") from exc


def sign(path: Path, key: Path, out: TextIO) -> int:
    """Sign a policy in place, in one move; one that is wrong is not signed. Raises PolicyError, InputError."""
    from defender.policy.book import contents
    from defender.policy.reading import PolicyError, parsed
    from defender.policy.signing import signed

    data = contents(path)
    if data is None:
        raise PolicyError(f"{path}: there is no such policy")
    policy = parsed(data, str(path))
    fresh = path.with_name(f".{path.name}.signed")
    try:
        fresh.write_bytes(signed(data, _private(key)))
        fresh.chmod(path.stat().st_mode & 0o755)  # as it was, and nobody else writes it
        fresh.replace(path)
    except OSError as exc:
        raise InputError(f"{path}: cannot be written: {exc.strerror}") from exc
    print(f"{path} is signed: {policy.name}, serial {policy.serial}", file=out)
    return 0


def _private(path: Path) -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as exc:
        raise InputError(f"{path}: cannot be read: {exc.strerror}") from exc
    except (ValueError, TypeError) as exc:
        raise InputError(f"{path}: is no private key that can be read") from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(f"{path}: must be an Ed25519 key")
    return key


def key(path: Path, out: TextIO) -> int:
    """Make a key pair. A file that is there is not overwritten. Raises InputError."""
    import base64

    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from defender.policy.signing import name_of

    made = Ed25519PrivateKey.generate()
    private = made.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    raw = made.public_key().public_bytes_raw()
    public = path.with_name(f"{path.name}.pub")
    for where, data, mode in ((path, private, 0o600), (public, base64.b64encode(raw) + b"\n", 0o644)):
        try:
            descriptor = os.open(where, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except OSError as exc:
            raise InputError(f"{where}: cannot be made: {exc.strerror}") from exc
        with open(descriptor, "wb") as file:
            file.write(data)
    print(f"key {name_of(raw)}: private in {path}, public in {public}", file=out)
    print(f'to pin it: "policyKeys": ["{base64.b64encode(raw).decode()}"]', file=out)
    return 0


def reload(port: int | None, token: str | None, out: TextIO) -> int:
    """Have the gateway of this machine read its policy again. Raises InputError with what it says."""
    from runtime.config.openclaw import Flags, gateway_port, load

    loaded = load(os.environ, os.getcwd(), Flags(port=port))
    gateway = loaded.config.gateway if loaded.config is not None else None
    where = gateway_port(loaded.origin.places, Flags(port=port), gateway.port if gateway is not None else None)
    secret = token or (gateway.auth.token or gateway.auth.password if gateway is not None else None) or ""
    if gateway is not None and gateway.tls.enabled:
        raise InputError("the gateway speaks TLS: send its process SIGHUP, which does the same")
    request = Request(f"http://127.0.0.1:{where}/defender/policy/reload", data=b"{}", method="POST")
    request.add_header("authorization", f"Bearer {secret}")
    request.add_header("content-type", "application/json")
    try:
        with urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
            told = json.load(answer)
    except HTTPError as exc:
        raise InputError(f"the gateway on port {where} refuses: {_reason(exc)}") from exc
    except (URLError, OSError, ValueError) as exc:
        why = getattr(exc, "reason", None) or exc
        raise InputError(f"no gateway answers on port {where}: {getattr(why, 'strerror', None) or why}") from exc
    print(f"the policy is {told['name']}, serial {told['serial']}, digest {told['digest']}", file=out)
    return 0


def _reason(exc: HTTPError) -> str:
    try:
        told = json.load(exc)
        return str(told["error"]["message"])
    except (ValueError, KeyError, TypeError, OSError):
        return f"status {exc.code}"
