"""Probes, pages, metrics, the list of models, the document of all routes."""

from types import SimpleNamespace
from typing import Any

import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families

from runtime.config.openclaw.model import ControlUi, Gateway
from runtime.gateway.http.app import ROUTES
from runtime.gateway.http.openapi import Access, document
from runtime.gateway.pulse import Pulse
from runtime.vocab import JsonObject
from tests.fakes.world import text
from tests.runtime.gateway.http.client import FAR, Asker, asking


async def test_a_probe_of_life_asks_for_nothing(autojump_clock: trio.testing.MockClock) -> None:
    async with asking() as ask:
        ask.house.desk.draining = True
        for method in ("GET", "HEAD"):
            reply = await ask(method, "/healthz", token=None, peer=FAR)
            assert (reply.status, reply.headers["cache-control"]) == (200, "no-store")
        assert reply.json == {"ok": True, "status": "live"}


async def test_who_is_ready_says_so_and_why_not_to_those_who_may_know(autojump_clock: trio.testing.MockClock) -> None:
    async with asking(extras={"pulse": Pulse()}) as ask:
        ready = (await ask("GET", "/ready", token=None)).json
        assert (ready["ready"], ready["failing"], ready["eventLoop"]["degraded"]) == (True, [], False)
        assert (await ask("GET", "/ready", token=None, peer=FAR)).json == {"ready": True}
        assert (await ask("GET", "/ready", peer=FAR)).json["failing"] == []
        ask.house.desk.ready, ask.house.desk.reason = False, "no key"
        ask.house.desk.draining = True
        failing = await ask("GET", "/readyz", token=None)
        assert (failing.status, failing.json["failing"]) == (503, ["no key", "draining"])
        assert (await ask("GET", "/readyz", token=None, peer=FAR)).json == {"ready": False}


async def test_probes_and_metrics_tell_of_the_debugger_to_those_who_may_know(
    autojump_clock: trio.testing.MockClock,
) -> None:
    counts = {"connections": 2, "held": 1, "stops": 9, "touched": 3}
    async with asking(extras={"pulse": Pulse(), "debugging": SimpleNamespace(shown=lambda: counts)}) as ask:
        assert (await ask("GET", "/ready", token=None)).json["debugger"] == counts
        assert (await ask("GET", "/ready", token=None, peer=FAR)).json == {"ready": True}
        found = await samples(ask)
        names = ("debugger_connections", "debugger_sessions_held", "debugger_stops_total", "debugger_sessions_touched")
        assert [found[f"twinstep_{name}", ()] for name in names] == [2, 1, 9, 3]


async def test_who_waits_for_the_disk_is_not_ready(autojump_clock: trio.testing.MockClock) -> None:
    async with asking() as ask:
        ask.house.store.hold()
        failing = await ask("GET", "/ready", token=None)
        assert (failing.status, failing.json["ready"]) == (503, False)
        assert "the disk is held" in failing.json["failing"][0]
        assert "waits for its disk" in (await ask("GET", "/", token=None)).text
        ask.house.store.release()
        assert (await ask("GET", "/ready", token=None)).json["failing"] == []


async def test_a_wrong_secret_at_a_probe_is_no_guess(autojump_clock: trio.testing.MockClock) -> None:
    async with asking() as ask:
        began = trio.current_time()
        for _ in range(20):
            assert (await ask("GET", "/ready", token="bad", peer=FAR)).json == {"ready": True}
        assert trio.current_time() == began
        assert (await ask("GET", "/v1/models", peer=FAR)).status == 200


async def test_a_gateway_that_stops_is_no_longer_started(autojump_clock: trio.testing.MockClock) -> None:
    async with asking() as ask:
        assert (await ask("GET", "/startupz", token=None)).json["status"] == "started"
        ask.house.desk.draining = True
        reply = await ask("GET", "/startupz", token=None, peer=FAR)
        assert (reply.status, reply.json) == (503, {"ok": False, "status": "draining"})


@pytest.mark.parametrize("path", ["/", "/chat", "/foo/bar.html", "/ws", "/assets/", "/../etc/passwd", "/tools/x"])
async def test_a_path_that_is_nothing_else_is_a_page(path: str, autojump_clock: trio.testing.MockClock) -> None:
    async with asking() as ask:
        page = await ask("GET", path, token=None, headers={"host": "x", "accept": "application/json"})
        assert (page.status, page.headers["x-frame-options"]) == (200, "DENY")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "http" not in page.text.replace("HTTP", "").lower().replace("http interfaces", "")
        assert "<script" not in page.text


@pytest.mark.parametrize(
    "path", ["/assets/nope", "/x.js", "/favicon.ico", "/v1/nope", "/api/x", "/health/", "/a/b.map"]
)
async def test_a_path_of_a_file_or_an_interface_is_not_a_page(
    path: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with asking() as ask:
        reply = await ask("GET", path, token=None)
        assert (reply.status, reply.text) == (404, "Not Found")
        assert (await ask("POST", path, {})).status == 404


async def test_pages_can_be_switched_off(autojump_clock: trio.testing.MockClock) -> None:
    async with asking(gateway=Gateway(control_ui=ControlUi(enabled=False))) as ask:
        assert (await ask("GET", "/")).status == 404
        assert (await ask("GET", "/health")).status == 200


async def test_what_a_page_has_to_know_needs_a_credential_and_is_guarded(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with asking(gateway=Gateway(control_ui=ControlUi(base_path="/ui"))) as ask:
        refused = await ask("GET", "/ui/control-ui-config.json", token=None)
        assert (refused.status, refused.headers["x-frame-options"]) == (401, "DENY")
        assert "content-security-policy" in refused.headers
        told = (await ask("GET", "/ui/control-ui-config.json")).json
        assert (told["basePath"], told["assistantAgentId"], told["terminalEnabled"]) == ("/ui", "main", False)


async def test_transport_security_is_told_where_the_settings_say_so(autojump_clock: trio.testing.MockClock) -> None:
    async with asking(gateway=Gateway(strict_transport_security="max-age=60")) as ask:
        for path in ("/health", "/", "/nope.js", "/v1/models"):
            assert (await ask("GET", path)).headers["strict-transport-security"] == "max-age=60"


async def test_models_are_agents(autojump_clock: trio.testing.MockClock) -> None:
    async with asking(gateway=Gateway(responses=True)) as ask:
        listed = (await ask("GET", "/v1/models")).json
        assert [one["id"] for one in listed["data"]] == ["openclaw", "openclaw/default", "openclaw/main"]
        for one in listed["data"]:
            assert (await ask("GET", f"/v1/models/{one['id']}")).json == one
        statuses = [("", 400), ("nope", 400), ("openclaw/ghost", 404), ("agent:main", 404), ("a/b/c", 400)]
        for name, status in statuses:
            refused = await ask("GET", f"/v1/models/{name}")
            assert (refused.status, refused.json["error"]["type"]) == (status, "invalid_request_error")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"model": "openclaw", "input": "x"}, 500),
        ({"model": "openclaw", "input": ["x", ""]}, 500),
        ({"input": "x"}, 400),
        ({"model": "openclaw"}, 400),
        ({"model": "openclaw", "input": []}, 400),
        ({"model": "openclaw", "input": 5}, 400),
        ({"model": "gpt", "input": "x"}, 400),
    ],
)
async def test_there_are_no_embeddings(body: JsonObject, status: int, autojump_clock: trio.testing.MockClock) -> None:
    async with asking() as ask:
        refused = await ask("POST", "/v1/embeddings", body)
        assert refused.status == status
        assert refused.json["error"]["type"] == ("api_error" if status == 500 else "invalid_request_error")


# --- metrics


async def samples(ask: Asker) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    reply = await ask("GET", "/metrics")
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(reply.text)
        for one in family.samples
    }


async def test_metrics_are_what_a_scraper_can_read(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("hi")], extras={"pulse": Pulse()}) as ask:
        assert (await ask("GET", "/metrics", token=None)).status == 401
        body = {"messages": [{"role": "user", "content": "x"}]}
        await ask("POST", "/v1/chat/completions", body)
        ask.house.desk.hub.dropped = 3
        found = await samples(ask)
        assert found["twinstep_runs_total", (("outcome", "ok"),)] == 1
        assert found["twinstep_slow_consumers_total", ()] == 3
        assert found["twinstep_resident_bytes", ()] > 1_000_000
        assert found["twinstep_events_total", (("event", "chat"),)] > 0
        assert found["twinstep_ready", ()] == 1
        route = (("route", "/v1/chat/completions"), ("status", "200"))
        assert found["twinstep_http_requests_total", route] == 1


async def test_the_number_of_labels_does_not_grow_with_paths(autojump_clock: trio.testing.MockClock) -> None:
    async with asking() as ask:
        for n in range(20):
            for path in (f"/page{n}", f"/v1/models/openclaw{n}", f"/hooks/h{n}", f"/x{n}.js"):
                await ask("GET", path)
        assert len([name for name, _ in await samples(ask) if name == "twinstep_http_requests_total"]) < 8


async def test_a_client_that_left_is_counted_as_such(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([100.0, text("x")]) as ask:
        talk = ask.begin("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]})
        await trio.sleep(1)
        talk.left.set()
        await trio.sleep(1)
        assert (await samples(ask))[
            "twinstep_http_requests_total", (("route", "/v1/chat/completions"), ("status", "499"))
        ] == 1


# --- faults


async def test_what_nobody_expected_is_noted_and_not_shown(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("x")]) as ask:
        del ask.house.desk.extras["models"]
        refused = await ask("GET", "/v1/models")
        error = {"error": {"message": "internal error", "type": "api_error"}}
        assert (refused.status, refused.json) == (500, error)
        assert any("KeyError" in one for one in ask.house.desk.complaints)


async def test_work_that_fails_after_its_request_is_noted(autojump_clock: trio.testing.MockClock) -> None:
    async def fails(why: str) -> None:
        await trio.lowlevel.checkpoint()
        raise ValueError(why)

    async with asking() as ask:
        ask.surface.later(fails, "no")
        await trio.sleep(1)
        assert any("ValueError: no" in one for one in ask.house.desk.complaints)
        assert (await ask("GET", "/health")).status == 200


async def test_a_websocket_may_be_opened_on_every_path_that_is_no_route(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with asking(gateway=Gateway(chat_completions=True)) as ask:
        routes = [
            "/health",
            "/metrics",
            "/v1/models",
            "/v1/models/x",
            "/v1/nope",
            "/tools/invoke",
            "/hooks/x",
            "/hooks",
        ]
        assert all(map(ask.surface.is_http, routes))
        assert not any(map(ask.surface.is_http, ["/", "/ws", "/v1", "/hookshot", "/tools", "/chat"]))


# --- the document


def test_the_document_names_every_route_and_how_it_is_reached() -> None:
    made = document(ROUTES, "v")
    assert set(made["paths"]) == {route.path for route in ROUTES}
    for route in ROUTES:
        for method in route.methods:
            operation = made["paths"][route.path][method.lower()]
            assert ("security" in operation) is (route.access is not Access.OPEN)
            assert ("requestBody" in operation) is (method == "POST")
            assert operation["responses"]
    names = [one["operationId"] for path in made["paths"].values() for one in path.values()]
    assert len(names) == len(set(names))


async def test_the_document_can_be_fetched(autojump_clock: trio.testing.MockClock) -> None:
    async with asking() as ask:
        reply = await ask("GET", "/openapi.json", token=None)
        assert reply.json["openapi"].startswith("3.1")


async def test_the_answers_are_as_described(autojump_clock: trio.testing.MockClock) -> None:
    from runtime.gateway.http.openapi import ANSWERS
    from runtime.gateway.http.schema import complaint

    asked: list[tuple[str, str, str, Any]] = [
        ("/health", "GET", "/health", None),
        ("/startupz", "GET", "/startupz", None),
        ("/readyz", "GET", "/readyz", None),
        ("/v1/models", "GET", "/v1/models", None),
        ("/v1/models/{id}", "GET", "/v1/models/openclaw", None),
        ("/v1/chat/completions", "POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}),
        ("/v1/responses", "POST", "/v1/responses", {"model": "openclaw", "input": "x"}),
        ("/tools/invoke", "POST", "/tools/invoke", {"tool": "agents_list"}),
        ("/hooks/wake", "POST", "/hooks/wake", {"text": "x"}),
        ("/hooks/agent", "POST", "/hooks/agent", {"message": "x"}),
    ]
    async with asking([text("hi")]) as ask:
        for route, method, path, body in asked:
            reply = await ask(method, path, body, token="hook-token" if "hooks" in path else "T")
            assert reply.status == 200
            assert complaint(ANSWERS[route], reply.json) is None
