"""Signed bundles: who signed them, and that a changed one is refused."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from defender.policy.reading import PolicyError, parsed
from defender.policy.signing import MARK, PREFIX, name_of, public_key, signed, split, verified

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
RAW, OTHER_RAW = (one.public_key().public_bytes_raw() for one in (KEY, OTHER))
BUNDLE = b'version = 1\nname = "ours"\n'


def test_a_signed_bundle_is_one_file_that_is_still_toml() -> None:
    made = signed(BUNDLE, KEY)
    assert verified(made, (OTHER_RAW, RAW), "p") == name_of(RAW)
    assert parsed(made, "p").name == "ours"
    assert made.startswith(BUNDLE)


def test_signing_again_replaces_the_signature() -> None:
    assert signed(signed(BUNDLE, OTHER), KEY) == signed(BUNDLE, KEY)


def test_a_bundle_without_a_last_newline_can_be_signed() -> None:
    assert verified(signed(b"version = 1", KEY), (RAW,), "p") == name_of(RAW)


def test_what_is_not_signed_is_refused() -> None:
    with pytest.raises(PolicyError, match="p: is not signed, and a key is pinned"):
        verified(BUNDLE, (RAW,), "p")


def test_what_another_key_signed_is_refused() -> None:
    with pytest.raises(PolicyError, match=f"p: is signed by key {name_of(OTHER_RAW)}, which is not pinned"):
        verified(signed(BUNDLE, OTHER), (RAW,), "p")


def test_any_flipped_byte_of_a_signed_bundle_is_noticed() -> None:
    made = signed(BUNDLE, KEY)
    for place in range(len(made) - 1):  # the last newline says nothing
        changed = made[:place] + bytes([made[place] ^ 1]) + made[place + 1 :]
        with pytest.raises(PolicyError):
            verified(changed, (RAW,), "p")


def test_what_is_added_behind_the_signature_is_noticed() -> None:
    with pytest.raises(PolicyError, match="was added behind its signature"):
        verified(signed(BUNDLE, KEY) + b"[rules]\n", (RAW,), "p")


def test_a_signature_that_was_made_for_something_else_does_not_pass() -> None:
    line = MARK + name_of(RAW).encode() + b" " + base64.b64encode(KEY.sign(BUNDLE))
    with pytest.raises(PolicyError, match="does not fit"):
        verified(BUNDLE + line, (RAW,), "p")
    assert PREFIX not in BUNDLE


@pytest.mark.parametrize("rest", [b"", b"abc", b"abc !!!", b"abc QUJD", b"\xff " + b"Q" * 88, b"a b c"])
def test_a_line_that_is_no_signature_is_refused(rest: bytes) -> None:
    with pytest.raises(PolicyError, match="is no signature that can be read"):
        verified(BUNDLE + MARK + rest, (RAW,), "p")


@pytest.mark.parametrize("text", ["", "abc", base64.b64encode(b"short").decode(), "!" * 44])
def test_a_pinned_key_that_is_none_is_refused_with_its_path(text: str) -> None:
    with pytest.raises(PolicyError, match=r"defender\.policyKeys must be a public Ed25519 key"):
        public_key(text, "defender.policyKeys")
    assert public_key(base64.b64encode(RAW).decode(), "x") == RAW


def test_a_bundle_is_split_before_its_signature() -> None:
    assert split(BUNDLE) == (BUNDLE, b"")
    assert split(signed(BUNDLE, KEY))[0] == BUNDLE
