"""The HTTP side behind the real server: bytes in, bytes out."""

import json
from typing import Any

import trio

from tests.fakes.wire_peer import talking
from tests.fakes.world import text
from tests.runtime.gateway.http.client import asking

HEAD = b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer T\r\nContent-Length: %d\r\n\r\n"


def request(path: bytes, body: Any) -> bytes:
    raw = json.dumps(body).encode()
    return HEAD % (path, len(raw)) + raw


def hello(**more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "hello"}], **more}


async def test_requests_follow_each_other_on_one_connection(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("Hel", None), 1.0, text("lo.")]) as ask, talking(ask.surface) as client:
        await client.send(request(b"/v1/chat/completions", hello(stream=True)))
        streamed = await client.response("POST")
        assert streamed.headers["transfer-encoding"] == "chunked"
        assert streamed.body.endswith(b"data: [DONE]\n\n")
        await client.send(request(b"/v1/chat/completions", hello()))
        whole = await client.response("POST")
        assert json.loads(whole.body)["choices"][0]["message"]["content"] == "Hello."
        await client.send(b"HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n")
        probe = await client.response("HEAD")
        assert (probe.status, probe.body, int(probe.headers["content-length"])) == (200, b"", 27)
        assert not client.errors


async def test_a_client_that_hangs_up_gives_up_its_run(autojump_clock: trio.testing.MockClock) -> None:
    for streams in (True, False):
        async with asking([text("Hel", None), 1000.0, text("lo.")]) as ask, talking(ask.surface) as client:
            await client.send(request(b"/v1/chat/completions", hello(stream=streams)))
            await trio.sleep(1)
            (run,) = ask.house.desk.runs.shelf.items.values()
            assert run.status == "running"
            await client.stream.aclose()
            with trio.fail_after(5):
                await ask.house.desk.runs.wait(run.id, 5)
            assert ask.house.desk.runs.shelf.items[run.id].status == "aborted"
            assert not client.errors


async def test_a_body_that_is_too_large_is_refused_in_the_words_of_its_route(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with asking() as ask, talking(ask.surface) as client:
        await client.send(b"POST /hooks/wake HTTP/1.1\r\nHost: x\r\nX-OpenClaw-Token: hook-token\r\n")
        await client.send(b"Content-Length: 300000\r\n\r\n" + b"x" * 100_000)
        refused = await client.response("POST")
        assert (refused.status, json.loads(refused.body)) == (413, {"ok": False, "error": "payload too large"})


async def test_a_body_in_pieces_is_bounded_as_well(autojump_clock: trio.testing.MockClock) -> None:
    async with asking() as ask, talking(ask.surface) as client:
        await client.send(b"POST /hooks/wake HTTP/1.1\r\nHost: x\r\nX-OpenClaw-Token: hook-token\r\n")
        await client.send(b"Transfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + b"x" * 65_536 + b"\r\n")
        for _ in range(4):
            await client.send(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
        refused = await client.response("POST")
        assert (refused.status, json.loads(refused.body)) == (413, {"ok": False, "error": "payload too large"})


async def test_a_session_with_a_full_lane_takes_no_more(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([1000.0, text("x")]) as ask:
        for several in (1, 100):
            for _ in range(several):
                ask.begin("POST", "/v1/chat/completions", hello(user="u"))
            await trio.sleep(1)
        refused = await ask("POST", "/v1/chat/completions", hello(user="u"))
        assert (refused.status, refused.json["error"]["type"]) == (503, "api_error")
        assert int(refused.headers["retry-after"]) >= 1
        assert len(ask.surface.turns.watches) == 101


async def test_a_request_that_is_given_up_while_it_is_accepted_leaves_nothing_behind(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with asking([1000.0, text("x")]) as ask:
        for late in range(1, 12):
            talk, scope = ask.talk("POST", "/v1/chat/completions", hello(user=f"u{late}"))
            with trio.CancelScope() as given_up:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(ask.surface, scope, talk.receive, talk.send)
                    for _ in range(late):
                        await trio.lowlevel.checkpoint()
                    given_up.cancel()
            await trio.sleep(1)
            assert not ask.surface.turns.watches
        assert not [run for run in ask.house.desk.runs.shelf.items.values() if not run.over]
