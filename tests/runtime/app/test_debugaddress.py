"""Which gateway is meant by `--url`, and where its secrets come from."""

import io
import ssl
from hashlib import sha256
from pathlib import Path

import pytest

from runtime.app import attach
from runtime.app.attach import USAGE, parser
from runtime.app.console import Pipe
from runtime.app.debugaddress import PASSWORD, TOKEN, Address, address_of
from runtime.errors import UsageError
from tests.fakes.certificate import self_signed

KEY = Path("key")


def address(*words: str, environ: dict[str, str] | None = None) -> Address:
    """What a line means."""
    return address_of(parser().parse_args(list(words)), environ or {}, KEY)


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "secure"),
    [
        ("ws://127.0.0.1:18789", "127.0.0.1", 18789, "/", False),
        ("ws://[::1]:1/x/y", "::1", 1, "/x/y", False),
        ("wss://gateway.example", "gateway.example", 443, "/", True),
        ("wss://gateway.example:8443", "gateway.example", 8443, "/", True),
    ],
)
def test_an_address_is_taken_apart(url: str, host: str, port: int, path: str, secure: bool) -> None:
    found = address("--url", url)
    assert (found.host, found.port, found.path, found.tls is not None) == (host, port, path, secure)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--url", "http://a:1"], "must be ws://HOST:PORT"),
        (["--url", "ws://:1"], "must be ws://HOST:PORT"),
        (["--url", "ws://a"], "names no port"),
        (["--url", "ws://a:x"], "is no address"),
        (["--url", "ws://a:99999"], "is no address"),
        (["--url", "ws://T@a:1"], "has no secret and no query"),
        (["--url", "ws://u:T@a:1"], "has no secret and no query"),
        (["--url", "ws://a:1?token=T"], "has no secret and no query"),
        (["--url", "ws://a:1#T"], "has no secret and no query"),
        (["--url", "ws://a:1", "--tls-fingerprint", "0" * 64], "is without TLS"),
        (["--url", "ws://a:1", "--tls-ca", "ca.pem"], "is without TLS"),
        (["--url", "wss://a:1", "--tls-fingerprint", "beef"], "64 digits"),
        (["--url", "wss://a:1", "--tls-ca", "/nowhere/ca.pem"], "--tls-ca: /nowhere/ca.pem cannot be used"),
        (["--url", "ws://a:1", "--token-file", "/nowhere/t"], "--token-file: /nowhere/t cannot be read"),
    ],
)
def test_what_is_no_address_is_refused_and_no_secret_is_repeated(words: list[str], why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        address(*words)
    assert "T@" not in str(caught.value)
    assert "token=T" not in str(caught.value)


@pytest.mark.parametrize(("body", "why"), [(b"", "one line"), (b"a\nb\n", "one line"), (b"\xff", "UTF-8")])
def test_a_token_file_holds_one_line(tmp_path: Path, body: bytes, why: str) -> None:
    (tmp_path / "t").write_bytes(body)
    with pytest.raises(UsageError, match=why):
        address("--url", "ws://a:1", "--token-file", str(tmp_path / "t"))


def test_secrets_come_from_the_file_or_the_environment_and_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "t").write_text(" from file\n")
    environ = {TOKEN: "from environ", PASSWORD: "word"}
    found = address("--url", "ws://a:1", "--token-file", str(tmp_path / "t"), environ=environ)
    assert (found.token, found.password) == ("from file", "")
    found = address("--url", "ws://a:1", environ=environ)
    assert (found.token, found.password) == ("from environ", "word")
    assert "from environ" not in repr(found)
    assert "word" not in repr(found)


@pytest.mark.parametrize(
    ("url", "open_"),
    [("ws://127.0.0.1:1", False), ("ws://localhost:1", False), ("ws://a:1", True), ("wss://a:1", False)],
)
def test_what_can_be_read_on_the_way_is_known(url: str, open_: bool) -> None:
    assert address("--url", url).open is open_


def test_a_fingerprint_names_one_certificate_whoever_signed_it(tmp_path: Path) -> None:
    certificate, _ = self_signed(tmp_path)
    der = ssl.PEM_cert_to_DER_cert(certificate.read_text())
    mark = sha256(der).hexdigest().upper()
    dotted = ":".join(mark[place : place + 2] for place in range(0, 64, 2))
    for text in (mark, dotted, f"sha256:{mark}"):
        found = address("--url", "wss://a:1", "--tls-fingerprint", text)
        assert found.takes(der)
        assert not found.takes(b"another")
        assert found.tls is not None
        assert found.tls.verify_mode is ssl.CERT_NONE
    plain = address("--url", "wss://a:1", "--tls-ca", str(certificate))
    assert plain.tls is not None
    assert (plain.tls.verify_mode, plain.tls.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert plain.takes(b"whatever was verified")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--token-file", "t"], "--token-file: needs --url"),
        (["--tls-ca", "c"], "--tls-ca: needs --url"),
        (["--approve", "r"], "--approve: needs --url"),
        (["--url", "ws://a:1", "--socket", "s"], "--url and --socket exclude each other"),
        (["--url", "ws://a:1", "--state", "s"], "--url and --state exclude each other"),
    ],
)
def test_flags_that_mean_nothing_together_are_refused(
    words: list[str], why: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert attach.run(words, Pipe(sink())) == USAGE
    assert why in capsys.readouterr().err


def sink() -> io.StringIO:
    """An output that nobody reads."""
    return io.StringIO()
