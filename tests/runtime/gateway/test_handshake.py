"""The handshake: each failure of the contract, who gets in as whom, and the order of the checks.

Expectations are those of traces/handshake, and of a real gateway that was asked for each pair of client id and mode.
"""

import json
from typing import Any, get_args

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from runtime.gateway import handshake
from runtime.gateway.auth import AuthPolicy, Proxy
from runtime.gateway.connect import ClientId, ClientMode
from runtime.gateway.frames import Request
from runtime.gateway.handshake import Accepted, Locked, Refused, first_frame
from runtime.gateway.peers import Peer
from runtime.gateway.scopes import DEBUG_SCOPES
from tests.fakes.clients import (
    ALL,
    CHALLENGE,
    FAR,
    HERE,
    NONE,
    NOW,
    PAGE,
    POLICY,
    READ,
    Known,
    asked,
    detail,
    let_in,
    paired,
    params,
    proven,
    refused,
)


@pytest.mark.parametrize(
    ("data", "code", "reason"),
    [
        ("{nope", 1000, ""),
        ("[1,2,3]", 1008, "invalid request frame"),
        ('{"type":"event","event":"hi"}', 1008, "invalid request frame"),
        ('{"type":"req","id":1,"method":"connect"}', 1008, "invalid request frame"),
        ("x" * 65_537, 1009, ""),
        ("ä" * 32_769, 1009, ""),
        (b"x" * 65_537, 1009, ""),
    ],
)
def test_what_is_no_request_gets_no_answer(data: str | bytes, code: int, reason: str) -> None:
    assert first_frame(data) == Refused(error=None, close_code=code, close_reason=reason)


@pytest.mark.parametrize("binary", [False, True])
def test_a_frame_of_exactly_64_kib_is_read_as_text_and_as_bytes(binary: bool) -> None:
    text = json.dumps({"type": "req", "id": "c1", "method": "connect", "params": ""})
    text = text.replace('""', '"' + "x" * (65_536 - len(text)) + '"')
    request = first_frame(text.encode() if binary else text)
    assert isinstance(request, Request)
    assert request.id == "c1"


def test_the_first_request_must_be_connect() -> None:
    outcome = refused({}, method="status")
    assert outcome.error is not None
    assert outcome.error.body() == {
        "code": "INVALID_REQUEST",
        "message": "invalid handshake: first request must be connect",
    }
    assert (outcome.close_code, outcome.close_reason) == (1008, outcome.error.message)


ONE_OF = "must be equal to one of the allowed values"
NO_VERSION = (
    "must have required property 'minProtocol'; at root: unexpected property 'zz'; at /maxProtocol: must be >= 1"
)


@pytest.mark.parametrize(
    ("given_", "why"),
    [
        (None, "must be object"),
        ({}, "must have required property 'minProtocol'"),
        ({"minProtocol": 4, "maxProtocol": 4}, "must have required property 'client'"),
        (params(bogus=True), "at root: unexpected property 'bogus'"),
        (params(client="my-bot"), f"at /client/id: {ONE_OF}"),
        (params(mode="operator"), f"at /client/mode: {ONE_OF}"),
        (params(minProtocol=0), "at /minProtocol: must be >= 1"),
        (params(role=""), "at /role: must not have fewer than 1 characters"),
        (params(role=None), "at /role: must be string"),
        (params(scopes=None), "at /scopes: must be array"),
        (params(scopes=[""]), "at /scopes/0: must not have fewer than 1 characters"),
        (params(auth={"token": None}), "at /auth/token: must be string"),
        (params(auth={"foo": 1}), "at /auth: unexpected property 'foo'"),
        (params(permissions={"a": 1, "b": True}), "at /permissions/a: must be boolean"),
        (params(device={}), "at /device: must have required property 'id'"),
        (params(said={"timeZone": "x" * 65}), "at /client/timeZone: must not have more than 64 characters"),
        (
            params(locale=1, userAgent=2, pathEnv=3),
            "at /pathEnv: must be string; at /locale: must be string; at /userAgent: must be string",
        ),
        (
            params(modelCatalog={"sessionKey": ""}),
            "at /modelCatalog/sessionKey: must not have fewer than 1 characters; "
            + "; ".join(
                f"at /modelCatalog: {each}"
                for each in (
                    "must have required property 'shortId'",
                    "unexpected property 'sessionKey'",
                    "must match a schema in anyOf",
                )
            ),
        ),
        (
            {"client": {"id": "x"}, "zz": 1, "maxProtocol": 0},
            f"{NO_VERSION}; at /client: must have required property 'version'; at /client/id: {ONE_OF}",
        ),
    ],
)
def test_params_that_are_wrong_are_told_in_the_words_of_the_contract(given_: Any, why: str) -> None:
    outcome = refused(given_)
    assert outcome.error is not None
    assert outcome.error.message == f"invalid connect params: {why}"
    assert outcome.error.code == "INVALID_REQUEST"
    assert outcome.close_code == 1008
    assert outcome.close_reason == outcome.error.message[:120]


@pytest.mark.parametrize(
    "given_",
    [params("openclaw-worker", "cli"), params("cli", "worker"), params(role="worker"), {"role": "worker"}],
)
def test_a_worker_is_told_nothing(given_: Any) -> None:
    assert refused(given_) == Refused(error=None, close_reason="invalid-handshake")


def test_while_the_gateway_starts_everybody_is_to_come_back() -> None:
    outcome = refused(params(), starting=True)
    assert outcome.error is not None
    assert (outcome.close_code, outcome.close_reason) == (1013, "gateway starting")
    assert outcome.error.code == "UNAVAILABLE"
    assert outcome.error.details == {"reason": "startup-sidecars"}
    assert (outcome.error.retryable, outcome.error.retry_after_ms) == (True, 500)


@pytest.mark.parametrize(
    ("client", "mode", "low", "high", "role"),
    [
        ("gateway-client", "backend", 4, 4, "operator"),
        ("gateway-client", "backend", 3, 5, "operator"),
        ("openclaw-probe", "probe", 3, 3, "operator"),
        ("openclaw-probe", "probe", 2, 3, "operator"),
        ("node-host", "node", 3, 3, "node"),
    ],
)
def test_these_versions_are_spoken(client: str, mode: str, low: int, high: int, role: str) -> None:
    given_ = proven(client, mode, minProtocol=low, maxProtocol=high, role=role, scopes=[])
    assert let_in(given_).legacy == (role == "node")


@pytest.mark.parametrize(
    ("client", "mode", "low", "high"),
    [
        ("gateway-client", "backend", 3, 3),
        ("gateway-client", "backend", 5, 6),
        ("gateway-client", "backend", 5, 3),
        ("openclaw-probe", "probe", 1, 2),
        ("openclaw-probe", "probe", 5, 5),
        ("gateway-client", "node", 3, 3),
    ],
)
def test_other_versions_are_not(client: str, mode: str, low: int, high: int) -> None:
    outcome = refused(params(client, mode, minProtocol=low, maxProtocol=high, role="king"))
    assert outcome.error is not None
    assert outcome.error.body() == {
        "code": "INVALID_REQUEST",
        "message": "protocol mismatch",
        "details": {
            "code": "PROTOCOL_MISMATCH",
            "clientMinProtocol": low,
            "clientMaxProtocol": high,
            "expectedProtocol": 4,
            "minimumProbeProtocol": 3,
        },
    }
    assert (outcome.close_code, outcome.close_reason) == (1002, "protocol mismatch")


def test_a_role_that_nobody_has_is_refused_before_any_credential() -> None:
    outcome = refused(params(role="king", auth={"token": "bad"}))
    assert outcome.error is not None
    assert outcome.error.body() == {"code": "INVALID_REQUEST", "message": "invalid role"}
    assert (outcome.close_code, outcome.close_reason) == (1008, "invalid role")


def test_no_role_is_that_of_an_operator_and_no_scopes_are_none() -> None:
    assert let_in(params(role=...)).role == "operator"
    assert let_in(params(scopes=...)).scopes == ()


def of_the_real_gateway(client: str, mode: str) -> object:
    """What the real gateway answers on loopback with the token, without device and without Origin."""
    if "worker" in (client.removeprefix("openclaw-"), mode):
        return None
    if client == "openclaw-browser-copilot":
        return "browser copilot requires ui mode"
    if mode == "webchat" or client in ("webchat-ui", "openclaw-control-ui"):
        return "CONTROL_UI_ORIGIN_NOT_ALLOWED"
    if client == "openclaw-tui":
        return "CONTROL_UI_DEVICE_IDENTITY_REQUIRED"
    if (client, mode) in (("gateway-client", "backend"), ("cli", "cli")):
        return ("operator.read", "bogus")
    return ()


def summary(outcome: Accepted | Refused) -> object:
    if isinstance(outcome, Accepted):
        return outcome.scopes
    if outcome.error is None:
        return None
    return outcome.error.details["code"] if outcome.error.details else outcome.error.message[:32]


@pytest.mark.parametrize("mode", get_args(ClientMode))
@pytest.mark.parametrize("client", get_args(ClientId))
def test_without_a_device_a_client_is_let_in_as_the_real_gateway_does(client: str, mode: str) -> None:
    outcome = asked(params(client, mode, scopes=["operator.read", "bogus"]))
    assert summary(outcome) == of_the_real_gateway(client, mode)


def test_a_backend_keeps_its_scopes_and_needs_no_device() -> None:
    outcome = let_in(params())
    assert (outcome.scopes, outcome.auth_method, outcome.role) == (ALL, "token", "operator")
    assert (outcome.device, outcome.issue_device_token, outcome.pairing) == (None, False, None)
    assert (outcome.caps, outcome.local, outcome.passed) == (("tool-events",), True, ("shared",))


@pytest.mark.parametrize(
    "auth", [{"password": "T"}, {"token": "", "password": "T"}, {"token": " T "}, {"token": "T", "password": "x"}]
)
def test_the_secret_may_come_as_either(auth: dict[str, str]) -> None:
    assert let_in(params(auth=auth)).auth_method == "token"


def test_a_scope_is_had_once_and_kept_as_it_was_sent() -> None:
    assert let_in(params(scopes=["operator.read", "operator.read", " operator.write "])).scopes == (
        "operator.read",
        " operator.write ",
    )


def test_a_header_of_the_upgrade_takes_scopes_away() -> None:
    def capped(cap: str) -> tuple[str, ...]:
        return let_in(params(), peer=evolve(HERE, headers={"x-openclaw-scopes": cap})).scopes

    assert capped("operator.read, operator.talk") == READ
    assert capped("") == ()


def test_a_page_loses_its_scopes_without_a_device() -> None:
    assert let_in(params(scopes=list(READ)), peer=PAGE).scopes == ()
    assert let_in(params("cli", "cli"), peer=PAGE).scopes == ()
    assert let_in(params("webchat-ui", "webchat"), peer=PAGE).scopes == ()


def test_another_machine_loses_its_scopes_without_a_device() -> None:
    assert let_in(params(), peer=FAR).scopes == ()
    assert let_in(params("cli", "cli"), peer=FAR).scopes == ()


@pytest.mark.parametrize(
    ("auth", "code", "reason", "step"),
    [
        ({"token": "wrong-token"}, "AUTH_TOKEN_MISMATCH", "token_mismatch", "update_auth_credentials"),
        ({"token": "bad", "password": "T"}, "AUTH_TOKEN_MISMATCH", "token_mismatch", "update_auth_credentials"),
        ({"token": "   "}, "AUTH_TOKEN_MISSING", "token_missing", "update_auth_configuration"),
    ],
)
def test_a_wrong_secret_without_a_device_is_unauthorized(
    auth: dict[str, str], code: str, reason: str, step: str
) -> None:
    outcome = refused(params(auth=auth))
    assert outcome.error is not None
    assert outcome.error.code == "INVALID_REQUEST"
    assert outcome.error.details == {
        "code": code,
        "authReason": reason,
        "canRetryWithDeviceToken": False,
        "recommendedNextStep": step,
    }
    assert outcome.close_code == 1008
    assert outcome.error.message.startswith(outcome.close_reason)
    assert outcome.failed == (("shared",) if reason == "token_mismatch" else ())


@pytest.mark.parametrize("auth", [..., {}, {"token": ""}, {"deviceToken": "zzz"}, {"bootstrapToken": "x"}])
@pytest.mark.parametrize(
    ("client", "mode", "role"), [("gateway-client", "backend", "operator"), ("node-host", "node", "node")]
)
def test_no_secret_and_no_device_is_not_paired(auth: Any, client: str, mode: str, role: str) -> None:
    outcome = refused(params(client, mode, role=role, auth=auth))
    assert outcome.error is not None
    assert outcome.error.body() == {
        "code": "NOT_PAIRED",
        "message": "device identity required",
        "details": {"code": "DEVICE_IDENTITY_REQUIRED"},
    }
    assert (outcome.close_code, outcome.close_reason) == (1008, "device identity required")


def test_a_node_needs_a_device_even_with_the_secret() -> None:
    assert detail(params("node-host", "node", role="node", scopes=[])) == "DEVICE_IDENTITY_REQUIRED"


@pytest.mark.parametrize(
    ("origin", "reason"),
    [
        (None, "origin missing or invalid"),
        ("null", "origin missing or invalid"),
        ("http://user@localhost", "origin missing or invalid"),
        ("http://evil.example", "origin not allowed"),
        ("http://192.168.1.5:18789", "origin not allowed"),
    ],
)
def test_the_control_ui_must_come_from_where_it_may(origin: str | None, reason: str) -> None:
    given_ = proven("openclaw-control-ui", "webchat", auth={"token": "bad"})
    outcome = refused(given_, peer=evolve(HERE, origin=origin))
    assert outcome.error is not None
    assert outcome.error.details == {"code": "CONTROL_UI_ORIGIN_NOT_ALLOWED", "reason": reason}
    assert outcome.close_code == 1008


def test_a_foreign_page_is_refused_whatever_it_says_it_is() -> None:
    assert detail(params(), peer=evolve(HERE, origin="http://evil.example")) == "CONTROL_UI_ORIGIN_NOT_ALLOWED"


def test_an_origin_of_blanks_is_none() -> None:
    assert let_in(params(), peer=evolve(HERE, origin=" ")).scopes == ALL


def test_the_control_ui_must_have_a_device() -> None:
    given_ = params("openclaw-control-ui", "webchat")
    assert detail(given_, peer=PAGE) == "CONTROL_UI_DEVICE_IDENTITY_REQUIRED"


def test_a_page_of_another_build_is_to_be_loaded_again() -> None:
    policy = evolve(POLICY, build_id="b2")
    outcome = refused(proven("openclaw-control-ui", "webchat"), peer=PAGE, policy=policy)
    assert outcome.error is not None
    assert outcome.error.code == "UNAVAILABLE"
    assert outcome.error.retryable is False
    assert outcome.error.details == {"code": "PROTOCOL_MISMATCH", "gatewayBuildId": "b2", "reloadRequired": True}
    assert outcome.close_code == 1008


@pytest.mark.parametrize("build", ["b2", "dev", " b2 "])
def test_a_page_of_this_build_gets_in(build: str) -> None:
    given_ = proven("openclaw-control-ui", "webchat", said={"buildId": build})
    assert let_in(given_, peer=PAGE, policy=evolve(POLICY, build_id="b2")).scopes == ALL


def test_a_page_that_others_serve_is_not_asked_for_its_build() -> None:
    page = evolve(HERE, origin="http://localhost:5173")
    outcome = let_in(proven("openclaw-control-ui", "webchat"), peer=page, policy=evolve(POLICY, build_id="b2"))
    assert outcome.scopes == ALL


@pytest.mark.parametrize(("client", "mode"), [("gateway-client", "backend"), ("cli", "cli")])
def test_tokens_of_agents_inside_are_not_known_here(client: str, mode: str) -> None:
    auth = {"token": "T", "agentRuntimeIdentityToken": "zz"}
    outcome = refused(params(client, mode, auth=auth))
    assert outcome.error is not None
    assert "agent runtime identity token" in outcome.error.message


def test_without_a_mode_only_the_gateway_itself_does_without_a_device() -> None:
    outcome = let_in(params(auth=...), policy=NONE)
    assert (outcome.auth_method, outcome.scopes, outcome.passed) == ("none", ALL, ())
    assert detail(params("cli", "cli"), policy=NONE) == "DEVICE_IDENTITY_REQUIRED"
    assert detail(params(), policy=NONE, peer=FAR) == "DEVICE_IDENTITY_REQUIRED"


def test_with_a_password_the_errors_speak_of_passwords() -> None:
    policy = AuthPolicy(mode="password", password="P")
    assert let_in(params(auth={"password": "P"}), policy=policy).auth_method == "password"
    assert detail(params(auth={"password": "x"}), policy=policy) == "AUTH_PASSWORD_MISMATCH"
    assert detail(proven(auth=...), policy=policy) == "AUTH_PASSWORD_MISSING"
    assert detail(params(auth={"token": "x"}), policy=AuthPolicy()) == "AUTH_TOKEN_NOT_CONFIGURED"


PROXIED = AuthPolicy(mode="trusted-proxy", proxy=Proxy(user_header="x-user"), trusted_proxies=("10.0.0.0/8",))
BEHIND = Peer(
    address="1.2.3.4",
    remote="10.0.0.1",
    host="gw.example",
    loopback=False,
    proxied=True,
    origin="https://gw.example",
    headers={"x-user": "ann"},
)


def test_a_user_of_a_proxy_gets_in_without_scopes_of_a_device() -> None:
    policy = evolve(PROXIED, allowed_origins=("https://gw.example",))
    outcome = let_in(params("openclaw-control-ui", "webchat", auth=...), policy=policy, peer=BEHIND)
    assert (outcome.auth_method, outcome.user, outcome.scopes) == ("trusted-proxy", "ann", ())
    nobody = evolve(BEHIND, headers={})
    assert detail(params(auth={"token": "x"}), "authReason", policy=policy, peer=nobody) == "trusted_proxy_user_missing"


def test_who_is_locked_out_is_told_for_how_long() -> None:
    outcome = refused(params(), locked=Locked(shared=1_500))
    assert outcome.error is not None
    assert (outcome.error.retryable, outcome.error.retry_after_ms) == (True, 1_500)
    assert outcome.error.details is not None
    assert outcome.error.details["code"] == "AUTH_RATE_LIMITED"
    assert outcome.failed == ()


def test_the_reason_of_a_close_is_short_and_whole() -> None:
    assert handshake.reason_of("x" * 500) == "x" * 120
    assert handshake.reason_of("x" * 119 + "äb") == "x" * 119
    assert handshake.reason_of("\ud800") == "?"


@given(st.text())
def test_a_reason_always_fits_into_a_close(message: str) -> None:
    assert len(handshake.reason_of(message).encode()) <= 120


def test_the_challenge_is_what_the_server_says_first() -> None:
    assert CHALLENGE.payload() == {"nonce": "5f0c", "ts": NOW}


def test_no_secret_is_shown_in_a_log() -> None:
    shown = repr(asked(proven(auth={"token": "hunter2"}))) + repr(
        let_in(params(auth={"token": "T", "password": "hunter2"}))
    )
    assert "hunter2" not in shown


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(sorted(proven()))


@given(
    st.dictionaries(NAMES, JSON, max_size=3),
    st.sampled_from([HERE, PAGE, FAR, BEHIND]),
    st.sampled_from([POLICY, NONE, PROXIED]),
)
def test_whatever_comes_is_decided(changes: dict[str, Any], peer: Peer, policy: AuthPolicy) -> None:
    outcome = asked({**proven(), **changes}, peer=peer, policy=policy)
    assert isinstance(outcome, Accepted | Refused)


@given(
    st.sampled_from(get_args(ClientId)),
    st.sampled_from(get_args(ClientMode)),
    st.sampled_from([HERE, PAGE, FAR, BEHIND]),
    st.sampled_from([None, "T", "bad"]),
    st.booleans(),
)
def test_nobody_gets_in_with_scopes_but_by_the_secret_a_token_or_the_proxy(
    client: str, mode: str, peer: Peer, token: str | None, with_device: bool
) -> None:
    auth = {} if token is None else {"token": token}
    given_ = proven(client, mode, auth=auth) if with_device else params(client, mode, auth=auth)
    outcome = asked(given_, peer=peer)
    assert isinstance(outcome, Refused) or token == "T"
    assert isinstance(outcome, Refused) or outcome.scopes == () or with_device or peer is HERE


# --- the scopes of the debugger

DEBUG = DEBUG_SCOPES
WANTED = ("operator.read", *DEBUG)
TOLD = evolve(POLICY, debug=DEBUG[:2])


def test_the_secret_gives_scopes_of_the_debugger_where_the_gateway_was_told_so_and_no_more_than_that() -> None:
    for client, mode in (("gateway-client", "backend"), ("cli", "cli")):
        given = params(client, mode, scopes=list(WANTED))
        assert let_in(given).scopes == ("operator.read",)
        assert let_in(given, policy=TOLD).scopes == ("operator.read", *DEBUG[:2])
        assert let_in(params(client, mode, scopes=["operator.admin"]), policy=TOLD).scopes == ("operator.admin",)


def test_who_needs_no_secret_gets_none_of_them() -> None:
    open_to_all = evolve(NONE, debug=DEBUG)
    assert let_in(params(scopes=list(WANTED)), policy=open_to_all).scopes == ("operator.read",)
    assert let_in(proven(scopes=list(WANTED), auth={}), policy=open_to_all).scopes == ("operator.read",)


def test_a_page_in_a_browser_gets_none_of_them() -> None:
    given = proven("openclaw-control-ui", "webchat", scopes=list(WANTED))
    known = paired(scopes=WANTED, client="openclaw-control-ui")
    assert let_in(given, peer=PAGE, policy=TOLD, known=known).scopes == ("operator.read",)
    assert let_in(params(scopes=list(WANTED)), peer=PAGE, policy=TOLD).scopes == ()


def test_a_device_is_never_approved_silently_for_them() -> None:
    given = proven(scopes=list(WANTED))
    assert let_in(given).pairing is not None
    for known in (Known(), paired(scopes=("operator.admin",), client="openclaw-tui")):
        turned = refused(given, policy=TOLD, known=known)
        assert turned.pairing is not None
        assert not turned.pairing.silent
        assert set(DEBUG[:2]) <= set(turned.pairing.scopes)


def test_a_device_that_was_approved_for_them_gets_them_from_anywhere() -> None:
    known = paired(scopes=("operator.read", *DEBUG), client="openclaw-tui")
    for peer in (HERE, FAR):
        given = proven(scopes=["operator.read", DEBUG[1]], auth={"deviceToken": "D"})
        assert let_in(given, peer=peer, policy=TOLD, known=known).scopes == ("operator.read", DEBUG[1])
