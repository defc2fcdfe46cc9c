"""The handshake of devices: proofs, pairing, upgrades, device tokens."""

from typing import Any

import pytest
from attrs import evolve

from runtime.gateway import devices
from runtime.gateway.handshake import Locked, Refused
from runtime.gateway.peers import Peer
from tests.fakes.clients import (
    ALL,
    DEVICE,
    FAR,
    HERE,
    NONE,
    NOW,
    PAGE,
    POLICY,
    RAW,
    READ,
    WRITE,
    Known,
    b64,
    detail,
    let_in,
    paired,
    params,
    proven,
    refused,
)


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_a_new_device_on_this_machine_is_paired_at_once(version: str) -> None:
    outcome = let_in(proven(version=version, scopes=list(READ)))
    assert (outcome.scopes, outcome.auth_method, outcome.device, outcome.public_key) == (
        READ,
        "token",
        DEVICE,
        b64(RAW),
    )
    assert outcome.issue_device_token
    assert outcome.pairing is not None
    assert (outcome.pairing.reason, outcome.pairing.silent, outcome.pairing.scopes) == ("not-paired", True, READ)
    assert devices.approve(None, outcome.pairing).scopes == READ


def test_a_new_node_is_paired_at_once_under_the_name_of_its_platform() -> None:
    outcome = let_in(
        proven("node-host", "node", role="node", scopes=[], commands=["system.run"], permissions={"a": True})
    )
    assert (outcome.role, outcome.scopes, outcome.commands) == ("node", (), ("system.run",))
    assert outcome.permissions == {"a": True}
    assert (outcome.client.platform, outcome.client.device_family) == ("linux", "Linux")
    assert outcome.pairing is not None
    assert outcome.pairing.device_family == "Linux"


@pytest.mark.parametrize(
    ("change", "code", "reason", "message"),
    [
        ({"id": "0" * 64}, "DEVICE_AUTH_DEVICE_ID_MISMATCH", "device-id-mismatch", "device identity mismatch"),
        ({"publicKey": "!!"}, "DEVICE_AUTH_DEVICE_ID_MISMATCH", "device-id-mismatch", "device identity mismatch"),
        (
            {"signedAt": NOW - 120_001},
            "DEVICE_AUTH_SIGNATURE_EXPIRED",
            "device-signature-stale",
            "device signature expired",
        ),
        ({"nonce": " "}, "DEVICE_AUTH_NONCE_REQUIRED", "device-nonce-missing", "device nonce required"),
        ({"nonce": "x"}, "DEVICE_AUTH_NONCE_MISMATCH", "device-nonce-mismatch", "device nonce mismatch"),
        ({"signature": "AAAA"}, "DEVICE_AUTH_SIGNATURE_INVALID", "device-signature", "device signature invalid"),
        ({"signedAt": NOW + 1}, "DEVICE_AUTH_SIGNATURE_INVALID", "device-signature", "device signature invalid"),
    ],
)
@pytest.mark.parametrize("token", ["T", "bad"])
def test_a_proof_that_does_not_hold_is_refused_before_the_secret(
    change: dict[str, Any], code: str, reason: str, message: str, token: str
) -> None:
    outcome = refused(proven(device=change, auth={"token": token}))
    assert outcome.error is not None
    assert outcome.error.body() == {
        "code": "INVALID_REQUEST",
        "message": message,
        "details": {"code": code, "reason": reason},
    }
    assert (outcome.close_code, outcome.close_reason) == (1008, message)
    assert outcome.failed == (("shared",) if token == "bad" else ())


def test_a_device_without_a_secret_misses_the_token() -> None:
    outcome = refused(proven(auth=...), known=paired())
    assert outcome.error is not None
    assert outcome.error.details == {
        "code": "AUTH_TOKEN_MISSING",
        "authReason": "token_missing",
        "canRetryWithDeviceToken": False,
        "recommendedNextStep": "update_auth_configuration",
    }


@pytest.mark.parametrize("known", [None, paired()])
def test_a_device_with_a_wrong_secret_may_try_its_own_token(known: Known | None) -> None:
    outcome = refused(proven(auth={"token": "wrong-token"}), known=known)
    assert outcome.error is not None
    assert outcome.error.details == {
        "code": "AUTH_TOKEN_MISMATCH",
        "authReason": "token_mismatch",
        "canRetryWithDeviceToken": True,
        "recommendedNextStep": "retry_with_device_token",
    }
    assert outcome.failed == ("shared", "device")


@pytest.mark.parametrize("auth", [{"deviceToken": "D"}, {"token": "D"}, {"token": "bad", "deviceToken": "D"}])
def test_a_paired_device_comes_back_with_its_token(auth: dict[str, str]) -> None:
    outcome = let_in(proven(auth=auth, scopes=list(READ)), known=paired())
    assert (outcome.auth_method, outcome.scopes, outcome.passed) == ("device-token", READ, ("device",))
    assert (outcome.device_token, outcome.issue_device_token, outcome.pairing) == ("D", False, None)


def test_a_device_token_does_not_stand_for_the_proof() -> None:
    assert (
        detail(params("openclaw-android", "ui", auth={"deviceToken": "D"}), known=paired())
        == "DEVICE_IDENTITY_REQUIRED"
    )


@pytest.mark.parametrize("token", ["x", "T"])
@pytest.mark.parametrize("known", [None, paired()])
def test_a_wrong_device_token_is_told_from_a_wrong_secret(known: Known | None, token: str) -> None:
    outcome = refused(proven(auth={"deviceToken": token}), known=known)
    assert outcome.error is not None
    assert outcome.error.details == {
        "code": "AUTH_DEVICE_TOKEN_MISMATCH",
        "authReason": "device_token_mismatch",
        "canRetryWithDeviceToken": False,
        "recommendedNextStep": "update_auth_credentials",
    }
    assert outcome.failed == ("device",)


def test_a_device_token_gives_no_more_scopes_than_it_has() -> None:
    given_ = proven("openclaw-android", "ui", auth={"deviceToken": "D"}, scopes=["operator.admin"])
    outcome = refused(given_, known=paired())
    assert outcome.error is not None
    assert outcome.error.details == {
        "code": "AUTH_SCOPE_MISMATCH",
        "authReason": "scope_mismatch",
        "canRetryWithDeviceToken": False,
        "recommendedNextStep": "review_auth_configuration",
    }


def test_a_setup_code_is_not_known_here() -> None:
    assert detail(proven(auth={"bootstrapToken": "zz"})) == "AUTH_BOOTSTRAP_TOKEN_INVALID"
    assert let_in(proven(auth={"bootstrapToken": "zz", "token": "T"})).auth_method == "token"


def test_the_secret_gives_a_device_more_scopes_and_a_new_token() -> None:
    outcome = let_in(proven(scopes=list(WRITE)), known=paired())
    assert outcome.pairing is not None
    assert (outcome.pairing.reason, outcome.issue_device_token) == ("scope-upgrade", True)


def test_a_device_that_lacks_nothing_is_not_paired_again() -> None:
    outcome = let_in(proven(scopes=list(READ)), known=paired(ALL))
    assert (outcome.pairing, outcome.issue_device_token) == (None, True)


def test_a_backend_with_a_device_is_not_paired() -> None:
    outcome = let_in(proven("gateway-client", "backend"))
    assert (outcome.scopes, outcome.pairing, outcome.issue_device_token) == (ALL, None, False)
    assert let_in(proven("gateway-client", "backend"), known=paired(ALL)).issue_device_token


PAIRING_PEERS = [FAR, evolve(HERE, origin="http://localhost:1")]


@pytest.mark.parametrize("peer", PAIRING_PEERS)
def test_a_device_that_nobody_vouches_for_has_to_be_approved(peer: Peer) -> None:
    outcome = refused(proven("cli", "cli", scopes=list(READ)), peer=evolve(peer, host="localhost:1"))
    assert outcome.error is not None
    assert outcome.error.code == "NOT_PAIRED"
    details = dict(outcome.error.details or {})
    assert details.pop("remediationHint")
    assert details == {
        "code": "PAIRING_REQUIRED",
        "reason": "not-paired",
        "deviceId": DEVICE,
        "requestedRole": "operator",
        "requestedScopes": list(READ),
    }
    assert outcome.pairing is not None
    assert not outcome.pairing.silent


def test_the_id_of_the_request_is_put_in_when_it_is_known() -> None:
    outcome = refused(proven("cli", "cli"), peer=FAR).with_request("r-1")
    assert outcome.error is not None
    assert (outcome.error.details or {})["requestId"] == "r-1"
    assert outcome.close_reason.endswith("(requestId: r-1)")
    assert outcome.close_reason.startswith("pairing required: ")
    assert Refused(error=None).with_request("r") == Refused(error=None)


def test_a_screen_may_wait_for_its_approval() -> None:
    outcome = refused(proven(), policy=evolve(POLICY, auto_approve_local=False))
    assert outcome.error is not None
    details = outcome.error.details or {}
    assert (details["recommendedNextStep"], details["retryable"], details["pauseReconnect"]) == (
        "wait_then_retry",
        True,
        False,
    )


@pytest.mark.parametrize(("role", "scopes"), [("operator", ["bogus", "operator.read"]), ("node", ["operator.read"])])
def test_a_scope_of_another_role_is_not_approved_silently(role: str, scopes: list[str]) -> None:
    assert detail(proven(role=role, scopes=scopes), "reason") == "not-paired"
    assert let_in(proven(scopes=["operator.bogus"])).scopes == ("operator.bogus",)


@pytest.mark.parametrize(
    ("given_", "known", "reason"),
    [
        (proven("node-host", "node", role="node", scopes=[]), paired(), "role-upgrade"),
        (proven(scopes=list(READ)), paired((), "node", device_family="Linux"), "metadata-upgrade"),
        (proven(scopes=list(READ), client="cli", mode="cli"), paired(device_family="Mac"), "metadata-upgrade"),
        (proven("cli", "cli", scopes=list(WRITE)), paired(), "scope-upgrade"),
    ],
)
def test_a_paired_device_that_wants_more_has_to_ask(given_: Any, known: Known, reason: str) -> None:
    assert detail(given_, "reason", known=known, policy=evolve(POLICY, auto_approve_local=False)) == reason


def test_what_a_device_has_is_told_when_it_wants_more() -> None:
    outcome = refused(proven("node-host", "node", role="node", scopes=[]), known=paired(WRITE))
    details = dict(outcome.error.details or {}) if outcome.error else {}
    assert (details["approvedRoles"], details["approvedScopes"]) == (["operator"], list(WRITE))
    assert "requestedScopes" not in details


def test_a_role_beside_another_is_silent_for_operators_only() -> None:
    known = paired((), "node")
    assert let_in(proven("openclaw-android", "ui", scopes=list(READ)), known=known).pairing is not None
    assert detail(proven("node-host", "node", role="node", scopes=[]), "reason", known=paired()) == "role-upgrade"


def test_an_app_of_this_machine_may_change_what_it_is() -> None:
    known = paired(READ, device_family="Mac")
    outcome = let_in(proven("openclaw-linux", "ui", scopes=list(READ)), known=known)
    assert outcome.pairing is not None
    assert outcome.pairing.reason == "metadata-upgrade"


def test_an_update_of_an_app_is_not_a_change() -> None:
    known = Known({DEVICE: evolve(paired()[DEVICE], platform="ios 17")})
    given_ = proven("openclaw-ios", "ui", said={"platform": "iOS 18"}, scopes=list(READ))
    assert let_in(given_, known=known).pairing is None
    changed = proven("openclaw-ios", "ui", said={"platform": "android 15"}, scopes=list(READ))
    assert detail(changed, "reason", known=known, peer=FAR) == "metadata-upgrade"


EXTENSION = "chrome-extension://" + "a" * 32
COPILOT = ["run-tool-bindings", "session-scoped-events"]


def copilot(**changes: Any) -> Any:
    return proven("openclaw-browser-copilot", "ui", caps=COPILOT, scopes=list(READ), **changes)


def test_the_copilot_needs_its_capabilities_and_an_extension() -> None:
    outcome = refused(params("openclaw-browser-copilot", "ui"), peer=evolve(HERE, origin=EXTENSION))
    assert outcome.error is not None
    assert outcome.error.details is None
    assert detail(copilot()) == "CONTROL_UI_ORIGIN_NOT_ALLOWED"
    assert detail(copilot(), "reason", peer=PAGE) == "invalid browser copilot origin"


def test_the_copilot_is_paired_for_itself() -> None:
    peer = evolve(HERE, origin=EXTENSION)
    outcome = refused(copilot(), peer=peer)
    assert outcome.pairing is not None
    assert outcome.pairing.origin == EXTENSION
    own = Known({DEVICE: devices.approve(None, outcome.pairing)})
    assert let_in(copilot(), peer=peer, known=own).scopes == READ
    other = evolve(HERE, origin=EXTENSION.replace("a", "b"))
    for wrong in (refused(copilot(), peer=other, known=own), refused(proven(scopes=list(READ)), known=own)):
        assert wrong.error is not None
        assert wrong.error.message == "browser copilot requires a dedicated paired device identity"
    without = refused(params("openclaw-browser-copilot", "ui", caps=COPILOT), peer=peer)
    assert without.error is not None
    assert without.error.code == "NOT_PAIRED"


def test_without_a_mode_a_device_is_still_paired_but_the_screens_are_not() -> None:
    assert let_in(proven("cli", "cli", auth=...), policy=NONE).pairing is not None
    screen = let_in(proven(auth=...), policy=NONE, peer=FAR)
    assert (screen.pairing, screen.issue_device_token, screen.scopes) == (None, False, ALL)


def test_a_device_token_is_looked_at_though_the_secret_is_locked_out() -> None:
    given_ = proven(auth={"token": "x", "deviceToken": "D"}, scopes=list(READ))
    assert let_in(given_, known=paired(), locked=Locked(shared=5)).auth_method == "device-token"
    outcome = refused(given_, known=paired(), locked=Locked(device=7))
    assert outcome.error is not None
    assert outcome.error.retry_after_ms == 7
    wrong = refused(proven(auth={"token": "x"}), known=paired(), locked=Locked(shared=5))
    assert wrong.error is not None
    assert wrong.error.retry_after_ms == 5


def test_a_page_reaches_a_gateway_in_a_container() -> None:
    peer = Peer(
        address="172.17.0.1",
        remote="172.17.0.1",
        loopback=False,
        host="localhost:18789",
        origin="http://localhost:18789",
    )
    policy = evolve(POLICY, allowed_origins=("http://localhost:18789",))
    assert let_in(proven("openclaw-control-ui", "webchat"), peer=peer, policy=policy).pairing is not None
    assert detail(proven("webchat-ui", "webchat"), peer=peer, policy=policy) == "PAIRING_REQUIRED"
    elsewhere = evolve(peer, remote="8.8.8.8")
    assert detail(proven("openclaw-control-ui", "webchat"), peer=elsewhere, policy=policy) == "PAIRING_REQUIRED"
