"""Devices: the proof in each of its checks, tokens as hashes, and what an approval changes."""

from base64 import urlsafe_b64encode
from hashlib import sha256

import pytest
from attrs import evolve
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from runtime.gateway import devices
from runtime.gateway.devices import KEPT_TOKENS, SKEW_MS, Claim, DeviceToken, Paired, Pairing, Proof, ProofError
from runtime.gateway.scopes import ADMIN, NODE, OPERATOR, READ, WRITE

NOW = 1_800_000_000_000
NONCE = "5f0c"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
RAW = KEY.public_key().public_bytes_raw()
CLAIM = Claim(
    client="openclaw-tui",
    mode="ui",
    role=OPERATOR,
    scopes=(READ, WRITE),
    token="T",
    platform=" LinuX ",
    device_family=None,
)


def b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def proof(version: str = "v3", claim: Claim = CLAIM, at: int = NOW, nonce: str = NONCE) -> Proof:
    own = sha256(RAW).hexdigest()
    text = devices.proof_text(version, own, claim, at, nonce)
    return Proof(id=own, public_key=b64(RAW), signature=b64(KEY.sign(text)), signed_at=at, nonce=nonce)


def code(given_: Proof, claim: Claim = CLAIM, now: int = NOW) -> tuple[object, object]:
    with pytest.raises(ProofError) as caught:
        devices.check_proof(given_, claim, NONCE, now)
    error = caught.value
    assert error.code == "INVALID_REQUEST"
    assert error.details is not None
    return error.details["code"], error.message


def test_the_text_that_is_signed_is_that_of_the_contract() -> None:
    text = devices.proof_text("v3", "d", CLAIM, 5, "n")
    assert text == b"v3|d|openclaw-tui|ui|operator|operator.read,operator.write|5|T|n|linux|"
    assert devices.proof_text("v2", "d", CLAIM, 5, "n") == text.replace(b"v3", b"v2").removesuffix(b"|linux|")


def test_only_ascii_letters_are_lower_cased() -> None:
    assert devices.metadata(" ÄLinuX ") == "Älinux"
    assert devices.metadata(None) == ""


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_both_versions_of_the_proof_hold(version: str) -> None:
    assert devices.check_proof(proof(version), CLAIM, NONCE, NOW) == b64(RAW)


def test_a_key_may_be_written_with_padding_or_in_the_other_alphabet() -> None:
    other = b64(RAW).replace("-", "+").replace("_", "/") + "="
    assert devices.check_proof(evolve(proof(), public_key=other), CLAIM, NONCE, NOW) == b64(RAW)


def test_blanks_around_the_nonce_do_not_matter() -> None:
    assert devices.check_proof(evolve(proof(), nonce=f" {NONCE} "), CLAIM, NONCE, NOW)


@pytest.mark.parametrize("key", ["!!", "", "AAAA", b64(RAW)[:-1] + "ä", b64(bytes(33)), b64(bytes(32))])
def test_a_key_that_does_not_make_the_id_is_refused_first(key: str) -> None:
    wrong = evolve(proof(at=0, nonce="x"), public_key=key)
    assert code(wrong) == ("DEVICE_AUTH_DEVICE_ID_MISMATCH", "device identity mismatch")


@pytest.mark.parametrize("own", ["0" * 64, sha256(RAW).hexdigest().upper(), "\ud800"])
def test_an_id_that_is_not_that_of_the_key_is_refused(own: str) -> None:
    assert code(evolve(proof(), id=own))[0] == "DEVICE_AUTH_DEVICE_ID_MISMATCH"


@pytest.mark.parametrize("off", [SKEW_MS + 1, -SKEW_MS - 1])
def test_an_old_or_a_future_proof_is_refused_next(off: int) -> None:
    assert code(proof(at=NOW + off, nonce="x")) == ("DEVICE_AUTH_SIGNATURE_EXPIRED", "device signature expired")


@pytest.mark.parametrize("off", [SKEW_MS, -SKEW_MS])
def test_two_minutes_are_not_too_old(off: int) -> None:
    assert devices.check_proof(proof(at=NOW + off), CLAIM, NONCE, NOW)


def test_a_proof_needs_the_nonce_of_this_connection() -> None:
    assert code(proof(nonce="  ")) == ("DEVICE_AUTH_NONCE_REQUIRED", "device nonce required")
    assert code(proof(nonce="x")) == ("DEVICE_AUTH_NONCE_MISMATCH", "device nonce mismatch")


@pytest.mark.parametrize(
    "claim",
    [
        evolve(CLAIM, token="other"),
        evolve(CLAIM, scopes=(WRITE, READ)),
        evolve(CLAIM, role=NODE),
        evolve(CLAIM, platform="darwin"),
        evolve(CLAIM, client="cli"),
        evolve(CLAIM, mode="cli"),
    ],
)
def test_a_signature_holds_for_what_was_signed_only(claim: Claim) -> None:
    assert code(proof(), claim) == ("DEVICE_AUTH_SIGNATURE_INVALID", "device signature invalid")


@pytest.mark.parametrize("signature", ["AAAA", "!!", b64(bytes(64)), "\ud800"])
def test_a_signature_that_is_none_is_refused(signature: str) -> None:
    assert code(evolve(proof(), signature=signature))[0] == "DEVICE_AUTH_SIGNATURE_INVALID"


@given(st.text(), st.text(), st.text(), st.integers(), st.text())
def test_no_proof_raises_anything_else(own: str, key: str, signature: str, at: int, nonce: str) -> None:
    for each in (
        Proof(id=own, public_key=key, signature=signature, signed_at=at, nonce=nonce),
        proof(at=at, nonce=nonce),
    ):
        with pytest.raises(ProofError):
            devices.check_proof(each, CLAIM, NONCE + "other", NOW)


DEVICE = Paired(id="d", public_key="k", roles=(OPERATOR,), scopes=(READ, WRITE))


def test_a_token_is_kept_as_its_hash() -> None:
    device = devices.issue(DEVICE, OPERATOR, [READ], "secret", 5)
    assert device.tokens[OPERATOR] == DeviceToken(digests=(sha256(b"secret").hexdigest(),), scopes=(READ,), issued_at=5)
    assert "secret" not in repr(device)


def test_a_token_lets_its_device_in_with_its_scopes() -> None:
    device = devices.issue(DEVICE, OPERATOR, [WRITE], "a", 0)
    assert devices.check_token(device, OPERATOR, [READ, WRITE], "a") is None
    assert devices.check_token(device, OPERATOR, [], "a") is None
    assert devices.check_token(device, OPERATOR, [ADMIN], "a") == "scope_mismatch"


@pytest.mark.parametrize(
    ("device", "role", "token"),
    [(None, OPERATOR, "a"), (DEVICE, OPERATOR, "a"), (devices.issue(DEVICE, OPERATOR, [], "a", 0), NODE, "a"),
     (devices.issue(DEVICE, OPERATOR, [], "a", 0), OPERATOR, "b"),
     (devices.revoke(devices.issue(DEVICE, OPERATOR, [], "a", 0), OPERATOR), OPERATOR, "a")],
)  # fmt: skip
def test_what_is_no_token_of_this_device_and_role_is_refused(device: Paired | None, role: str, token: str) -> None:
    assert devices.check_token(device, role, [], token) == "device_token_mismatch"


def test_a_token_is_worth_no_more_than_the_device_has_left() -> None:
    device = devices.issue(DEVICE, OPERATOR, [WRITE], "a", 0)
    assert devices.check_token(evolve(device, scopes=(READ,)), OPERATOR, [READ], "a") == "scope_mismatch"


def test_several_programs_of_a_device_have_a_token_each() -> None:
    device = DEVICE
    for number in range(KEPT_TOKENS + 1):
        device = devices.issue(device, OPERATOR, [READ], str(number), number)
    refused = [devices.check_token(device, OPERATOR, [], str(number)) for number in range(KEPT_TOKENS + 1)]
    assert refused == ["device_token_mismatch"] + [None] * KEPT_TOKENS


def test_more_scopes_make_the_older_tokens_worthless_and_fewer_do_not() -> None:
    device = devices.issue(DEVICE, OPERATOR, [WRITE], "a", 0)
    same = devices.issue(device, OPERATOR, [READ], "b", 1)
    assert devices.check_token(same, OPERATOR, [WRITE], "a") is None
    assert same.tokens[OPERATOR].scopes == (READ, WRITE)
    more = devices.issue(evolve(device, scopes=(ADMIN,)), OPERATOR, [ADMIN], "c", 2)
    assert devices.check_token(more, OPERATOR, [READ], "a") == "device_token_mismatch"
    assert devices.check_token(more, OPERATOR, [ADMIN], "c") is None


def test_a_revoked_role_gets_tokens_again_when_one_is_issued() -> None:
    device = devices.revoke(devices.issue(DEVICE, OPERATOR, [READ], "a", 0), OPERATOR)
    assert devices.revoke(device, NODE) == device
    again = devices.issue(device, OPERATOR, [READ], "b", 1)
    assert devices.check_token(again, OPERATOR, [READ], "b") is None
    assert devices.check_token(again, OPERATOR, [READ], "a") == "device_token_mismatch"


ASKED = Pairing(
    reason="scope-upgrade",
    device="d",
    public_key="k",
    role=NODE,
    scopes=("node.x",),
    client="node-host",
    mode="node",
    platform="linux",
    device_family="Linux",
)


def test_an_approval_adds_and_takes_nothing_away() -> None:
    device = devices.issue(DEVICE, OPERATOR, [READ], "a", 0)
    approved = devices.approve(device, ASKED)
    assert (approved.roles, approved.scopes) == ((OPERATOR, NODE), ("node.x", READ, WRITE))
    assert (approved.platform, approved.device_family, approved.client) == ("linux", "Linux", "node-host")
    assert devices.check_token(approved, OPERATOR, [READ], "a") is None


def test_an_approval_of_a_role_ends_its_older_tokens() -> None:
    device = devices.issue(DEVICE, OPERATOR, [READ], "a", 0)
    approved = devices.approve(device, evolve(ASKED, role=OPERATOR, scopes=(ADMIN,)))
    assert devices.check_token(approved, OPERATOR, [READ], "a") == "device_token_mismatch"


def test_a_device_that_nobody_knew_is_approved_as_it_says() -> None:
    approved = devices.approve(None, evolve(ASKED, role=OPERATOR, scopes=(WRITE,)))
    assert (approved.id, approved.public_key, approved.roles) == ("d", "k", (OPERATOR,))
    assert approved.scopes == (WRITE,)


def test_scopes_are_kept_once_and_in_order() -> None:
    assert devices.grant([" operator.talk ", ADMIN, "", ADMIN]) == (ADMIN, READ, "operator.talk", WRITE)
    assert devices.grant([WRITE]) == (READ, WRITE)


@given(st.lists(st.sampled_from([ADMIN, READ, WRITE, "operator.pairing", " x "])))
def test_granting_twice_changes_nothing(scopes: list[str]) -> None:
    assert devices.grant(devices.grant(scopes)) == devices.grant(scopes)


@pytest.mark.parametrize(
    ("client", "mode", "kept", "said", "differs"),
    [
        ("cli", "cli", ("linux", None), ("linux", None), False),
        ("cli", "cli", ("linux", None), (" LINUX ", "X"), False),
        ("cli", "cli", ("linux", None), ("darwin", None), True),
        ("cli", "cli", ("linux", "Linux"), ("linux", None), True),
        ("cli", "cli", (None, None), ("anything", None), False),
        ("cli", "cli", ("darwin", None), ("macos", "Mac"), False),
        ("cli", "cli", ("darwin", None), ("macos", None), True),
        ("node-host", "node", ("macos", "Mac"), ("darwin", "Mac"), False),
        ("node-host", "node", ("macos 15.1", None), ("darwin", None), False),
        ("node-host", "ui", ("macos", None), ("darwin", None), True),
        ("openclaw-ios", "ui", ("ios 17.1", None), ("iOS 18.0", None), False),
        ("openclaw-ios", "ui", ("ipados 17.1", None), ("ios 18.0", None), False),
        ("openclaw-ios", "ui", ("android 15", None), ("ios 18.0", None), True),
        ("openclaw-android", "ui", ("android 14", None), ("android 15", None), False),
        ("openclaw-macos", "ui", ("darwin", None), ("macos 15.2", None), False),
        ("openclaw-macos", "ui", ("macos 15.1", None), ("macos 15.2", None), False),
        ("openclaw-macos", "ui", ("linux", None), ("macos 15.2", None), True),
        ("openclaw-watchos", "ui", ("watchos 11", None), ("watchos 11.1.2", None), False),
    ],
)
def test_another_kind_of_machine_is_noticed_and_an_update_is_not_one(
    client: str, mode: str, kept: tuple[str | None, str | None], said: tuple[str, str | None], differs: bool
) -> None:
    device = evolve(DEVICE, platform=kept[0], device_family=kept[1])
    assert device.differs(client, mode, *said) is differs


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        (("darwin", None), ("macos", "Mac")),
        (("win32", "windows"), ("windows", "windows")),
        (("linux", "Pi"), ("linux", "Pi")),
        (("haiku", None), ("haiku", None)),
    ],
)
def test_a_node_has_its_platform_under_one_name(given_: tuple[str, str | None], kept: tuple[str, str | None]) -> None:
    assert devices.named_platform("node-host", "node", *given_) == kept
    assert devices.named_platform("cli", "cli", *given_) == given_
