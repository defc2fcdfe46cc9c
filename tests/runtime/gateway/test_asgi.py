"""One request as an app sees it: the scope, the body, the response, and the end of the client."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from trio.testing import MockClock, lockstep_stream_pair

from runtime.errors import LocalError
from runtime.gateway.http import Limits
from runtime.gateway.http.asgi import ASGIApp, Message, Peer, Receive, Send
from tests.fakes.wire_peer import Client, answer, body_of, talking

GET = b"GET /a HTTP/1.1\r\nHost: here\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: here\r\n"


async def test_the_scope_says_what_was_asked_and_by_whom() -> None:
    scopes: list[Message] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await answer(send, b"")

    peer = Peer("203.0.113.7", 4711, secure=True, here=("203.0.113.1", 443))
    async with talking(app, peer=peer) as client:
        await client.send(
            b"PUT /a%20b/c?d=%20e&f HTTP/1.1\r\nHost: here\r\nX-Y: 1\r\nx-y: 2\r\nContent-Length: 0\r\n\r\n"
        )
        await client.response()
    scope = scopes[0]
    own = scope.pop("extensions")["twinstep"]
    assert own["loopback"] is False
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "PUT",
        "scheme": "https",
        "path": "/a b/c",
        "raw_path": b"/a%20b/c",
        "query_string": b"d=%20e&f",
        "root_path": "",
        "headers": [(b"host", b"here"), (b"x-y", b"1"), (b"x-y", b"2"), (b"content-length", b"0")],
        "client": ("203.0.113.7", 4711),
        "server": ("203.0.113.1", 443),
        "state": {},
    }


async def test_a_body_comes_in_pieces_as_it_arrives() -> None:
    got: list[bytes] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        message = await receive()
        while True:
            got.append(message["body"])
            if not message["more_body"]:
                break
            message = await receive()
        await answer(send, b"")

    async with talking(app) as client:
        await client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        for piece in (b"3\r\nabc\r\n", b"3\r\ndef\r\n", b"0\r\n\r\n"):
            await client.send(piece)
            await trio.testing.wait_all_tasks_blocked()
        await client.response()
    assert got == [b"abc", b"def", b""]


async def test_a_body_is_not_read_further_ahead_than_a_little(autojump_clock: MockClock) -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await trio.sleep(10)
        scope["extensions"]["twinstep"]["limit_body"](500_000)
        await answer(send, b"%d" % len(await body_of(receive)))

    async with talking(app, pair=lockstep_stream_pair) as client, trio.open_nursery() as nursery:
        sent = 0

        async def upload() -> None:
            nonlocal sent
            await client.send(POST + b"Content-Length: 400000\r\n\r\n")
            for _ in range(40):
                await client.send(b"x" * 10_000)
                sent += 10_000

        nursery.start_soon(upload)
        await trio.sleep(9)
        assert sent <= 100_000
        assert (await client.response()).body == b"400000"


async def test_an_app_may_allow_more_for_its_path_and_may_allow_less() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        scope["extensions"]["twinstep"]["limit_body"](20 if scope["path"] == "/more" else 3)
        await answer(send, await body_of(receive))

    for path, status in ((b"/more", 200), (b"/less", 413)):
        async with talking(app, limits=Limits(body_bytes=5)) as client:
            await client.send(b"POST %s HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\n0123456789" % path)
            assert (await client.response()).status == status


async def test_a_body_is_asked_for_when_the_app_wants_it() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await answer(send, await body_of(receive))

    async with talking(app) as client:
        await client.send(POST + b"Expect: 100-Continue\r\nContent-Length: 2\r\n\r\n")
        assert await client.exactly(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(b"ok" + GET)
        assert (await client.response("POST")).body == b"ok"
        assert (await client.response()).status == 200


async def test_a_body_that_the_app_does_not_want_is_not_asked_for(autojump_clock: MockClock) -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await answer(send, b"no", 401)

    async with talking(app) as client:
        await client.send(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        response = await client.response("POST")
        assert (response.status, response.headers["connection"]) == (401, "close")
        assert await client.end() == b""


async def test_a_body_that_is_too_large_is_refused_instead_of_asked_for(autojump_clock: MockClock) -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await answer(send, await body_of(receive))

    async with talking(app, limits=Limits(body_bytes=1)) as client:
        await client.send(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        response = await client.response("POST")
        assert (response.status, json.loads(response.body)["error"]["type"]) == (413, "invalid_request_error")


async def test_a_stream_is_told_of_at_once_and_sent_piece_by_piece() -> None:
    go = trio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await go.wait()
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        await send({"type": "http.response.body", "body": b"data: 2\n\n", "more_body": True})
        await send({"type": "http.response.body"})

    async with talking(app) as client:
        await client.send(GET)
        assert (await client.exactly(17)) == b"HTTP/1.1 200 OK\r\n"
        go.set()
        client.got[:0] = b"HTTP/1.1 200 OK\r\n"
        response = await client.response()
        assert response.headers["transfer-encoding"] == "chunked"
        assert response.body == b"data: 1\n\ndata: 2\n\n"


async def test_a_stream_goes_as_fast_as_the_client_reads(autojump_clock: MockClock) -> None:
    sent = 0

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200})
        for _ in range(100):
            await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
            sent += 1
        await send({"type": "http.response.body"})

    async with talking(app, pair=lockstep_stream_pair) as client:
        await client.send(GET)
        for _ in range(5):
            await client.more()
        await trio.sleep(1)
        assert sent < 6
        assert len((await client.response()).body) == 100_000


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_what_has_no_body_is_sent_without_one(method: str, status: int) -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"5")] if status == 200 else []
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"he", "more_body": True})
        await send({"type": "http.response.body", "body": b"llo"})

    async with talking(app) as client:
        await client.send(GET.replace(b"GET", method.encode()) * 2)
        first, second = await client.responses(method, method)
        assert (first.status, first.body, second.body) == (status, b"", b"")
        assert client.got == b""


async def test_a_status_that_nobody_registered_is_sent_as_it_is() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await answer(send, b"", 299)

    async with talking(app) as client:
        await client.send(GET)
        assert (await client.response()).status == 299


async def fails_at_once(scope: Message, receive: Receive, send: Send) -> None:
    await trio.lowlevel.checkpoint()
    raise ValueError("secret")


async def fails_after_its_start(scope: Message, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    raise ValueError("secret")


async def says_nothing(scope: Message, receive: Receive, send: Send) -> None:
    await trio.lowlevel.checkpoint()


async def speaks_out_of_order(scope: Message, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.body", "body": b"secret"})


async def sends_a_wrong_header(scope: Message, receive: Receive, send: Send) -> None:
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1"), (b"a\r\nb", b"secret")]}
    )


@pytest.mark.parametrize(
    ("app", "error"),
    [
        (fails_at_once, ValueError),
        (fails_after_its_start, ValueError),
        (says_nothing, LocalError),
        (speaks_out_of_order, LocalError),
        (sends_a_wrong_header, LocalError),
    ],
)
async def test_an_app_that_fails_is_reported_and_its_client_told_no_more_than_that(
    app: ASGIApp, error: type[Exception], autojump_clock: MockClock
) -> None:
    async with talking(app) as client:
        await client.send(GET)
        response = await client.response()
        assert response.status == 500
        assert json.loads(response.body) == {"error": {"message": "Internal Server Error", "type": "api_error"}}
        assert await client.end() == b""
        [(where, exc)] = client.errors
        assert where == "GET /a"
        assert isinstance(exc, error)


async def too_much(scope: Message, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
    await send({"type": "http.response.body", "body": b"1", "more_body": True})
    await send({"type": "http.response.body", "body": b"2"})


async def too_little(scope: Message, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]})
    await send({"type": "http.response.body", "body": b"1", "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def half(scope: Message, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"1", "more_body": True})
    raise ValueError("secret")


@pytest.mark.parametrize("app", [too_much, too_little, half])
async def test_a_response_that_fails_midway_is_cut_off(app: ASGIApp, autojump_clock: MockClock) -> None:
    async with talking(app) as client:
        await client.send(GET)
        raw = await client.end()
        assert raw.startswith(b"HTTP/1.1 200")
        assert not raw.endswith(b"0\r\n\r\n")
        assert b"secret" not in raw
        assert len(client.errors) == 1


async def test_a_response_is_sent_once() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await answer(send, b"one")
        with pytest.raises(LocalError, match="no place"):
            await answer(send, b"two")
        assert await receive() == {"type": "http.disconnect"}

    async with talking(app) as client:
        await client.send(GET)
        assert (await client.response()).body == b"one"
        await trio.testing.wait_all_tasks_blocked()
        assert client.errors == []


async def leave(client: Client) -> None:
    """Hang up."""
    await client.stream.aclose()


async def test_an_app_hears_that_its_client_has_left(autojump_clock: MockClock) -> None:
    heard: list[tuple[float, Message]] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await body_of(receive)
        message = await receive()
        heard.append((trio.current_time(), message))

    async with talking(app) as client:
        await client.send(GET)
        await trio.sleep(3)
        await leave(client)
        await trio.sleep(50)
        assert heard == [(3, {"type": "http.disconnect"})]
        assert client.errors == []


async def test_an_app_that_does_not_listen_is_cancelled_when_its_client_has_left(autojump_clock: MockClock) -> None:
    ended: list[float] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(trio.current_time())

    async with talking(app) as client:
        await client.send(GET)
        await trio.sleep(3)
        await leave(client)
        await trio.sleep(50)
        assert ended == [3 + Limits().farewell_seconds]
        assert client.errors == []


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_a_disconnect() -> None:
    heard: list[str] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        heard.append((await receive())["type"])
        heard.append((await receive())["type"])
        heard.append((await receive())["type"])

    async with talking(app) as client:
        await client.send(POST + b"Content-Length: 5\r\n\r\nhe")
        await trio.testing.wait_all_tasks_blocked()
        await leave(client)
        await trio.testing.wait_all_tasks_blocked()
        assert heard == ["http.request", "http.disconnect", "http.disconnect"]


async def test_a_client_that_only_stops_sending_gets_its_answer(autojump_clock: MockClock) -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await trio.sleep(1)
        await answer(send, await body_of(receive))

    async with talking(app) as client:
        await client.send(POST + b"Content-Length: 5\r\n\r\nhello")
        await client.stream.send_eof()
        assert (await client.response("POST")).body == b"hello"


async def test_a_send_to_a_client_that_has_left_is_an_os_error(autojump_clock: MockClock) -> None:
    raised: list[Exception] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await trio.sleep(1)
        try:
            await answer(send, b"x")
        except OSError as exc:
            raised.append(exc)
            raise

    async with talking(app) as client:
        await client.send(GET)
        await leave(client)
        await trio.sleep(5)
        assert len(raised) == 1
        assert client.errors == []


async def test_an_app_that_is_cancelled_in_its_body_may_still_clean_up(autojump_clock: MockClock) -> None:
    cleaned: list[float] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        try:
            await body_of(receive)
        finally:
            with trio.move_on_after(1, shield=True):
                await trio.sleep(0.5)
            cleaned.append(trio.current_time())

    async with talking(app, limits=Limits(body_bytes=1)) as client:
        await client.send(POST + b"Content-Length: 5\r\n\r\nhello")
        assert (await client.response()).status == 413
        assert cleaned == [0.5]


async def index(request: Request) -> Response:
    await trio.lowlevel.checkpoint()
    return JSONResponse({"ok": True, "q": request.query_params.get("q")})


async def upload(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())), headers={"X-Content-Type-Options": "nosniff"})


async def events(request: Request) -> Response:
    await trio.lowlevel.checkpoint()

    async def pieces() -> AsyncIterator[str]:
        for number in range(3):
            await trio.lowlevel.checkpoint()
            yield f"data: {number}\n\n"

    return StreamingResponse(pieces(), media_type="text/event-stream")


async def broken(request: Request) -> Response:
    await trio.lowlevel.checkpoint()
    raise RuntimeError("secret")


STARLETTE: Any = Starlette(
    routes=[
        Route("/", index),
        Route("/upload", upload, methods=["POST"]),
        Mount("/v1", routes=[Route("/events", events)]),
        Route("/broken", broken),
    ]
)


async def test_an_app_of_starlette_runs_on_one_connection() -> None:
    async with talking(STARLETTE) as client:
        await client.send(b"GET /?q=%C3%A4 HTTP/1.1\r\nHost: here\r\n\r\n")
        await client.send(b"POST /upload HTTP/1.1\r\nHost: here\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70_000)
        await client.send(b"GET /v1/events HTTP/1.1\r\nHost: here\r\n\r\nHEAD / HTTP/1.1\r\nHost: here\r\n\r\n")
        await client.send(b"GET /upload HTTP/1.1\r\nHost: here\r\n\r\nGET /none HTTP/1.1\r\nHost: here\r\n\r\n")
        found = await client.responses("GET", "POST", "GET", "HEAD", "GET", "GET")
        assert [response.status for response in found] == [200, 200, 200, 200, 405, 404]
        assert json.loads(found[0].body) == {"ok": True, "q": "ä"}
        assert (found[1].body, found[1].headers["x-content-type-options"]) == (b"70000", "nosniff")
        assert found[2].body == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
        assert (found[3].body, found[3].headers["content-length"]) == (b"", str(len(b'{"ok":true,"q":null}')))
        assert client.errors == []


async def test_an_app_of_starlette_that_fails_is_reported(autojump_clock: MockClock) -> None:
    async with talking(STARLETTE) as client:
        await client.send(b"GET /broken HTTP/1.1\r\nHost: here\r\n\r\n")
        assert (await client.response()).status == 500
        [(where, exc)] = client.errors
        assert (where, str(exc)) == ("GET /broken", "secret")
