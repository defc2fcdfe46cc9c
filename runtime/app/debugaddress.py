"""Where a gateway is that somebody wants to debug over WebSocket, and what he shows there. Connects to nothing.

Secrets come from a file or the environment. One in the address would be in histories and lists of processes: refused.
"""

import re
import ssl
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import field, frozen

from runtime.errors import UsageError
from runtime.gateway.peers import is_loopback

TOKEN: Final = "OPENCLAW_GATEWAY_TOKEN"
PASSWORD: Final = "OPENCLAW_GATEWAY_PASSWORD"
SECRET: Final = 4_096
"""Characters of a secret."""
HTTPS: Final = 443
_FINGERPRINT: Final = re.compile("[0-9a-f]{64}")


@frozen(kw_only=True)
class Address:
    """A gateway. `key` is the file with the key of this machine's device; `tls` is None without TLS.

    `fingerprint` is the SHA-256 of the certificate that is taken, in hex; where it is empty, `tls` decides.
    """

    url: str
    host: str
    port: int
    path: str
    key: Path
    tls: ssl.SSLContext | None = None
    fingerprint: str = ""
    token: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def open(self) -> bool:
        """Whether what is said could be read on the way."""
        return self.tls is None and not is_loopback(self.host)

    def takes(self, certificate: bytes) -> bool:
        """Whether this is the certificate (DER) of the gateway, as far as it was named."""
        return self.fingerprint in ("", sha256(certificate).hexdigest())


def address_of(given: Any, environ: Mapping[str, str], key: Path) -> Address:
    """Return what the flags say (`url`, `token_file`, `tls_ca`, `tls_fingerprint`). Raises UsageError."""
    try:
        parts = urlsplit(given.url)
        port = parts.port
    except ValueError as exc:
        raise UsageError(f"--url: is no address ({exc})") from exc
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise UsageError("--url: must be ws://HOST:PORT, or wss:// with TLS")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise UsageError(f"--url: has no secret and no query in it; a token comes from --token-file or {TOKEN}")
    if port is None and parts.scheme == "ws":
        raise UsageError("--url: names no port; that of a gateway is 18789 unless its settings say otherwise")
    fingerprint = _fingerprint(given.tls_fingerprint or "")
    if parts.scheme == "ws" and (fingerprint or given.tls_ca):
        raise UsageError("--url: is without TLS (wss://), and --tls-ca and --tls-fingerprint are about TLS")
    return Address(
        url=f"{parts.scheme}://{parts.netloc}{parts.path}",
        host=parts.hostname,
        port=port or HTTPS,
        path=parts.path or "/",
        key=key,
        tls=_tls(given.tls_ca, fingerprint) if parts.scheme == "wss" else None,
        fingerprint=fingerprint,
        token=_secret(Path(given.token_file)) if given.token_file else environ.get(TOKEN, "").strip(),
        password="" if given.token_file else environ.get(PASSWORD, "").strip(),
    )


def _fingerprint(text: str) -> str:
    found = text.lower().removeprefix("sha256:").replace(":", "")
    if found and not _FINGERPRINT.fullmatch(found):
        raise UsageError("--tls-fingerprint: must be a SHA-256 in hex, 64 digits (the gateway logs it when it starts)")
    return found


def _tls(authority: str | None, fingerprint: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=authority)
    except (OSError, ssl.SSLError) as exc:
        raise UsageError(f"--tls-ca: {authority} cannot be used ({exc.strerror or exc})") from exc
    if fingerprint:  # it names one certificate, whoever signed it and whatever names stand in it
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _secret(path: Path) -> str:
    try:
        with path.expanduser().open("rb") as file:
            text = file.read(SECRET + 1).decode().strip()
    except OSError as exc:
        raise UsageError(f"--token-file: {path} cannot be read ({exc.strerror})") from exc
    except ValueError as exc:
        raise UsageError(f"--token-file: {path} is no UTF-8 text") from exc
    if not text or len(text) > SECRET or not text.isprintable():
        raise UsageError(f"--token-file: {path} must hold a token of one line and {SECRET} characters at most")
    return text
