"""The certificate of the listener: made once, for the owner alone, and never half."""

import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from runtime.errors import InputError
from runtime.gateway.certificates import Pair, context_of, fingerprint, pair_of, signed

NOW = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
HOSTS = ("100.64.0.1", "127.0.0.1")


def test_a_pair_lies_below_the_state_folder_unless_the_settings_name_it(tmp_path: Path) -> None:
    own = pair_of(tmp_path, None, None, make=True)
    assert own.certificate == tmp_path / "gateway" / "tls" / "gateway-cert.pem"
    assert own.key == tmp_path / "gateway" / "tls" / "gateway-key.pem"
    assert pair_of(tmp_path, "/c.pem", "/k.pem", make=False) == Pair(Path("/c.pem"), Path("/k.pem"), make=False)


def test_a_missing_pair_is_made_once_and_its_key_is_for_the_owner_alone(tmp_path: Path) -> None:
    pair = pair_of(tmp_path, None, None, make=True)
    context, mark, made = context_of(pair, HOSTS, NOW)
    assert made
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert pair.key.stat().st_mode & 0o777 == 0o600
    assert pair.key.parent.stat().st_mode & 0o077 == 0
    assert sorted(path.name for path in pair.key.parent.iterdir()) == ["gateway-cert.pem", "gateway-key.pem"]
    assert context_of(pair, HOSTS, NOW)[1:] == (mark, False)
    assert mark == fingerprint(pair.certificate)


def test_a_made_certificate_holds_for_the_addresses_of_the_gateway_and_for_ten_years() -> None:
    made = x509.load_pem_x509_certificate(signed(("0.0.0.0", "fd7a:115c:a1e0::1", "name"), NOW)[0])
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "twinstep-gateway"]
    addresses = [str(one) for one in names.get_values_for_type(x509.IPAddress)]
    assert addresses == ["127.0.0.1", "::1", "fd7a:115c:a1e0::1"]
    assert made.not_valid_before_utc < NOW < made.not_valid_after_utc
    assert (made.not_valid_after_utc - NOW).days == 3650
    assert made.subject == made.issuer


def test_half_a_pair_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    pair = pair_of(tmp_path, None, None, make=True)
    context_of(pair, HOSTS, NOW)
    pair.certificate.unlink()
    before = pair.key.read_bytes()
    with pytest.raises(InputError, match=r"gateway-cert\.pem: there is no such file, but .*gateway-key\.pem is there"):
        context_of(pair, HOSTS, NOW)
    assert pair.key.read_bytes() == before


def test_nothing_is_made_where_the_settings_say_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        context_of(pair_of(tmp_path, None, None, make=False), HOSTS, NOW)
    assert not any(tmp_path.iterdir())


def test_a_certificate_that_cannot_be_kept_leaves_no_key_behind(tmp_path: Path) -> None:
    pair = Pair(tmp_path / "file" / "cert.pem", tmp_path / "key.pem")
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(InputError, match="cannot be written"):
        context_of(pair, HOSTS, NOW)
    assert not pair.key.exists()


def test_a_file_that_holds_no_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_text("nothing")
    with pytest.raises(InputError, match=r"c\.pem: no certificate can be read"):
        fingerprint(tmp_path / "c.pem")
