"""Who may use a route."""

import pytest
import trio
from attrs import evolve

from runtime.gateway import devices
from runtime.gateway.auth import Limiter, Proxy, RateLimit
from runtime.gateway.devicebook import Known
from runtime.gateway.devices import Paired
from tests.fakes.world import text
from tests.runtime.gateway.http.client import FAR, Asker, asking

SAFE = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}


async def test_the_shared_secret_opens_a_route_and_nothing_else_does(autojump_clock: trio.testing.MockClock) -> None:
    async with asking() as ask:
        assert (await ask("GET", "/v1/models")).status == 200
        for headers in ({}, {"authorization": "Basic OlQ="}, {"x-api-key": "T"}, {"x-openclaw-token": "T"}):
            refused = await ask("GET", "/v1/models", token=None, headers=headers)
            assert refused.status == 401
            assert refused.json == {"error": {"message": "Unauthorized", "type": "unauthorized"}}
        assert (await ask("GET", "/v1/models?token=T", token=None)).status == 401
        assert (await ask("GET", "/v1/models", token=None, headers={"authorization": "bearer T"})).status == 200


async def test_a_header_that_comes_twice_is_no_credential(autojump_clock: trio.testing.MockClock) -> None:
    async with asking() as ask:
        talk, scope = ask.talk("GET", "/v1/models")
        scope["headers"].append((b"authorization", b"Bearer T"))
        await ask.surface(scope, talk.receive, talk.send)
        assert talk.status == 401


@pytest.mark.parametrize(
    "path", ["/health", "/v1/models", "/", "/assets/x.js", "/nope.json", "/tools/invoke", "/hooks/x"]
)
async def test_every_answer_has_the_headers_that_make_it_safe(
    path: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with asking() as ask:
        for token in ("T", None):
            found = (await ask("GET", path, token=token)).headers
            assert SAFE.items() <= found.items()
            assert "permissions-policy" in found


async def test_a_wrong_method_is_told_before_a_missing_credential(autojump_clock: trio.testing.MockClock) -> None:
    async with asking() as ask:
        refused = await ask("GET", "/tools/invoke", token=None)
        assert (refused.status, refused.text, refused.headers["allow"]) == (405, "Method Not Allowed", "POST")
        assert (await ask("POST", "/ready")).headers["allow"] == "GET, HEAD"


async def test_whoever_holds_the_secret_is_the_owner_whatever_it_declares(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with asking() as ask:
        assert (await ask("GET", "/v1/models", headers={"x-openclaw-scopes": "operator.pairing"})).status == 200


async def test_without_a_secret_a_caller_may_declare_less_and_then_has_less(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with asking([text("hi")]) as ask:
        ask.policy(mode="none")
        less = {"x-openclaw-scopes": "operator.pairing"}
        refused = await ask("GET", "/v1/models", token=None, headers=less)
        assert refused.status == 403
        details = {"code": "MISSING_SCOPE", "missingScope": "operator.read", "requiredScopes": ["operator.read"]}
        told = {"type": "forbidden", "message": "missing scope: operator.read", "details": details}
        assert refused.json == {"ok": False, "error": told}
        assert (await ask("GET", "/v1/models", token=None)).status == 200
        body = {"messages": [{"role": "user", "content": "x"}]}
        for scope, status in (("operator.read", 403), ("", 403), ("operator.write", 200)):
            reply = await ask("POST", "/v1/chat/completions", body, token=None, headers={"x-openclaw-scopes": scope})
            assert reply.status == status
        headers = {"x-openclaw-scopes": "operator.write", "x-openclaw-model": "other"}
        refused = await ask("POST", "/v1/chat/completions", body, token=None, headers=headers)
        assert refused.json["error"]["details"]["missingScope"] == "operator.admin"


async def test_a_scope_that_does_not_exist_grants_nothing(autojump_clock: trio.testing.MockClock) -> None:
    async with asking() as ask:
        ask.policy(mode="none")
        headers = {"x-openclaw-scopes": "operator.everything, *, admin"}
        assert (await ask("GET", "/v1/models", token=None, headers=headers)).status == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example", "file://"])
async def test_a_page_from_elsewhere_gets_nothing_where_no_secret_is_asked_for(
    origin: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with asking() as ask:
        assert (await ask("GET", "/v1/models", headers={"origin": origin})).status == 200
        ask.policy(mode="none")
        assert (await ask("GET", "/v1/models", token=None, headers={"origin": origin})).status == 401
        own = {"origin": "http://127.0.0.1:18789"}
        assert (await ask("GET", "/v1/models", token=None, headers=own)).status == 200


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip", "x-forwarded-host"])
async def test_headers_of_a_proxy_that_nobody_vouches_for_are_refused(
    header: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with asking() as ask:
        refused = await ask("GET", "/v1/models", headers={header: "9.9.9.9"})
        assert (refused.status, refused.json["error"]["type"]) == (403, "proxy_attribution_required")
        assert (await ask("GET", "/health", token=None, headers={header: "9.9.9.9"})).status == 200


async def test_a_trusted_proxy_vouches_for_a_person(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("hi")]) as ask:
        proxy = Proxy(user_header="x-user", allow_users=("ann",))
        ask.policy(mode="trusted-proxy", proxy=proxy, trusted_proxies=("203.0.113.7",))
        told = {"x-forwarded-for": "198.51.100.1", "x-user": "ann"}
        assert (await ask("GET", "/v1/models", token=None, headers=told, peer=FAR)).status == 200
        assert (await ask("GET", "/v1/models", token=None, headers={**told, "x-user": "bob"}, peer=FAR)).status == 401
        assert (await ask("GET", "/v1/models", token=None, headers={"x-user": "ann"})).status == 401
        body = {"messages": [{"role": "user", "content": "x"}], "user": "u"}
        await ask("POST", "/v1/chat/completions", body, token=None, headers=told, peer=FAR)
        entry = ask.house.desk.directory.get("agent:main:openai-user:u")
        assert entry is not None
        assert entry.participants == ("ann",)


async def test_who_guesses_too_often_from_afar_has_to_wait(autojump_clock: trio.testing.MockClock) -> None:
    async with asking() as ask:
        ask.house.desk.limiter = Limiter(RateLimit(attempts=3, window_ms=60_000, lockout_ms=20_000))
        for _ in range(3):
            assert (await ask("GET", "/v1/models", token="bad", peer=FAR)).status == 401
        late = await ask("GET", "/v1/models", token="T", peer=FAR)
        assert (late.status, late.json["error"]["type"]) == (429, "rate_limited")
        assert 1 <= int(late.headers["retry-after"]) <= 20
        assert (await ask("GET", "/v1/models", token="T", peer=("203.0.113.8", 1))).status == 200
        await trio.sleep(21)
        assert (await ask("GET", "/v1/models", token="T", peer=FAR)).status == 200


async def test_a_guess_from_this_machine_is_answered_late(autojump_clock: trio.testing.MockClock) -> None:
    async with asking() as ask:
        taken = []
        for _ in range(3):
            began = trio.current_time()
            assert (await ask("GET", "/v1/models", token="bad")).status == 401
            taken.append(trio.current_time() - began)
        assert taken == pytest.approx([0.25, 0.5, 1.0])


async def test_a_request_without_any_credential_is_no_guess(autojump_clock: trio.testing.MockClock) -> None:
    async with asking() as ask:
        began = trio.current_time()
        for _ in range(20):
            assert (await ask("GET", "/v1/models", token=None, peer=FAR)).status == 401
        assert trio.current_time() == began
        assert (await ask("GET", "/v1/models", peer=FAR)).status == 200


def paired(ask: Asker, *, scopes: tuple[str, ...], token: str = "device-secret") -> None:
    device = devices.issue(Paired(id="d", public_key="k", scopes=scopes), "operator", scopes, token, 1)
    ask.house.desk.devices.shelf.put("d", Known(device, 1, 1))


async def test_a_devices_token_opens_what_is_only_read_and_starts_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with asking() as ask:
        paired(ask, scopes=("operator.read", "operator.write"))
        assert (await ask("GET", "/control-ui-config.json", token="device-secret")).status == 200
        assert (await ask("GET", "/metrics", token="device-secret")).status == 200
        for method, path in (("GET", "/v1/models"), ("POST", "/tools/invoke"), ("POST", "/v1/responses")):
            assert (await ask(method, path, {"tool": "x"}, token="device-secret")).status == 401


async def test_a_token_that_was_taken_back_opens_nothing(autojump_clock: trio.testing.MockClock) -> None:
    async with asking() as ask:
        paired(ask, scopes=("operator.read",))
        known = ask.house.desk.devices.shelf.items["d"]
        ask.house.desk.devices.shelf.put("d", evolve(known, paired=devices.revoke(known.paired, "operator")))
        assert (await ask("GET", "/metrics", token="device-secret")).status == 401


async def test_a_device_without_the_scope_to_read_reads_nothing(autojump_clock: trio.testing.MockClock) -> None:
    async with asking() as ask:
        paired(ask, scopes=("operator.pairing",))
        assert (await ask("GET", "/metrics", token="device-secret")).status == 403


async def test_a_gateway_whose_secret_is_empty_lets_nobody_in(autojump_clock: trio.testing.MockClock) -> None:
    async with asking() as ask:
        ask.policy(token="")
        for token in ("", "T", None):
            assert (await ask("GET", "/v1/models", token=token)).status == 401
