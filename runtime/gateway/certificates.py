"""The certificate of the listener: the one that the settings name, or one that the gateway makes for itself.

Rules as observed (`gateway.tls`): where neither certificate nor key is there, both are made, unless `autoGenerate` is
false; where one of them is missing, nothing is made and the gateway does not start. A made certificate is signed by
itself, holds for ten years and for this machine's names, and clients pin its fingerprint. Its key is for the owner
alone (0600) from the moment it exists.
"""

import datetime
import os
import ssl
from contextlib import suppress
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from attrs import frozen

from runtime.errors import InputError
from runtime.gateway.listener import tls_context

NAME: Final = "twinstep-gateway"
YEARS: Final = 10
FOLDER: Final = Path("gateway", "tls")
"""Below the state folder, with the names that the peer gives: a home that was taken over keeps its fingerprint."""
CERTIFICATE: Final = "gateway-cert.pem"
KEY: Final = "gateway-key.pem"


@frozen
class Pair:
    """Where certificate and key are. With `make` they are made where neither is there."""

    certificate: Path
    key: Path
    make: bool = True


def pair_of(folder: Path, certificate: str | None, key: str | None, *, make: bool) -> Pair:
    """Return where certificate and key are: as the settings say, else below the state folder."""
    own = folder / FOLDER
    return Pair(Path(certificate or own / CERTIFICATE), Path(key or own / KEY), make)


def context_of(pair: Pair, hosts: tuple[str, ...], now: datetime.datetime) -> tuple[ssl.SSLContext, str, bool]:
    """Return what the listener speaks TLS with, the fingerprint (SHA-256, hex), and whether the pair was made now.

    Raises InputError that names the file.
    """
    made = is_made(pair)
    if made:
        _make(pair, hosts, now)
    return tls_context(pair.certificate, pair.key), fingerprint(pair.certificate), made


def is_made(pair: Pair) -> bool:
    """Whether the pair has to be made. Raises InputError where only one of both is there."""
    there = [path for path in (pair.certificate, pair.key) if path.exists()]
    if len(there) == 1:
        missing = pair.key if there[0] == pair.certificate else pair.certificate
        raise InputError(f"{missing}: there is no such file, but {there[0]} is there; TLS needs both.")
    return not there and pair.make


def fingerprint(certificate: Path) -> str:
    """Return the SHA-256 of a certificate as clients pin it."""
    try:
        pem = certificate.read_text("ascii")
        begin = pem.index("-----BEGIN CERTIFICATE-----")
        end = pem.index("-----END CERTIFICATE-----", begin) + len("-----END CERTIFICATE-----")
        return sha256(ssl.PEM_cert_to_DER_cert(pem[begin:end])).hexdigest()
    except (OSError, ValueError) as exc:
        raise InputError(f"{certificate}: no certificate can be read from it ({exc}).") from exc


def _make(pair: Pair, hosts: tuple[str, ...], now: datetime.datetime) -> None:
    certificate, key = signed(hosts, now)
    try:
        for path in (pair.key, pair.certificate):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(pair.key, key)
        try:
            _write(pair.certificate, certificate)
        except OSError:
            pair.key.unlink()  # one without the other would keep the next start from making both
            raise
    except OSError as exc:
        raise InputError(f"{exc.filename or pair.certificate}: cannot be written: {exc.strerror}.") from exc


def _write(path: Path, data: bytes) -> None:
    """Write a file that was not there, whole or not at all, for its owner alone."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        draft.unlink()
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)  # unlike a rename it fails where somebody else was first
    finally:
        draft.unlink()


def signed(hosts: tuple[str, ...], now: datetime.datetime) -> tuple[bytes, bytes]:
    """Return a certificate that is signed by itself, and its key, both as PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.DNSName(NAME)]
    names += [x509.IPAddress(ip_address(one)) for one in _addresses(hosts)]
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # clocks differ
        .not_valid_after(now + datetime.timedelta(days=365 * YEARS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return made.public_bytes(serialization.Encoding.PEM), secret


def _addresses(hosts: tuple[str, ...]) -> list[str]:
    found = ["127.0.0.1", "::1"]
    for host in hosts:
        with suppress(ValueError):
            address = str(ip_address(host.partition("%")[0]))
            found += [address] if address not in found and not ip_address(address).is_unspecified else []
    return found
