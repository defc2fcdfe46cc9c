"""The h11 loop of the port: what it takes for a request, what it refuses, and how long it waits."""

from contextlib import suppress

import h11
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, lockstep_stream_pair

from runtime.gateway.http import Limits, Unacceptable
from runtime.gateway.http.asgi import Message, Receive, Send
from runtime.gateway.http.server import head_end, parse, upgrade_of
from tests.fakes.wire_peer import UPGRADE, answer, body_of, hello, talking

GET = b"GET /a HTTP/1.1\r\nHost: here\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: here\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: here\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


class Recorder:
    """An app that reads whole bodies and remembers what it was asked for."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes]] = []

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        path = scope["path"]
        self.seen.append((path, b"..."))
        self.seen[-1] = (path, await body_of(receive))
        await answer(send, self.seen[-1][1] or path.encode())


HEADS = {
    "two lengths of two kinds": (400, POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "the same the other way round": (400, POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    "two different lengths": (400, POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
    "two different lengths in one line": (400, POST + b"Content-Length: 5, 6\r\n\r\nhello"),
    "a length with a sign": (400, POST + b"Content-Length: +5\r\n\r\nhello"),
    "a negative length": (400, POST + b"Content-Length: -5\r\n\r\nhello"),
    "a length in hexadecimal": (400, POST + b"Content-Length: 0x5\r\n\r\nhello"),
    "an empty length": (400, POST + b"Content-Length:\r\n\r\nhello"),
    "chunks in HTTP/1.0": (400, CHUNKED.replace(b"1.1", b"1.0") + b"0\r\n\r\n"),
    "an unknown coding": (501, POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    "a coding before chunks": (501, POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "chunks twice": (501, POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "a vertical tab": (400, POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    "a blank before the colon": (400, POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    "a folded line": (400, POST + b"X: a\r\n b\r\n\r\n"),
    "a folded line with a tab": (400, POST + b"X: a\r\n\tb\r\n\r\n"),
    "a blank before the first header": (400, b"GET /a HTTP/1.1\r\n Host: here\r\n\r\n"),
    "bare line feeds": (400, b"GET /a HTTP/1.1\nHost: here\n\n"),
    "one bare line feed": (400, b"GET /a HTTP/1.1\r\nHost: here\nX: y\r\n\r\n"),
    "a bare carriage return": (400, b"GET /a HTTP/1.1\r\nHost: here\rX: y\r\n\r\n"),
    "a zero byte": (400, b"GET /a HTTP/1.1\r\nHost: here\r\nX: \0\r\n\r\n"),
    "no host": (400, b"GET /a HTTP/1.1\r\n\r\n"),
    "two hosts": (400, b"GET /a HTTP/1.1\r\nHost: here\r\nHost: there\r\n\r\n"),
    "a host that is none": (400, b"GET /a HTTP/1.1\r\nHost: here/there\r\n\r\n"),
    "a host with a user": (400, b"GET /a HTTP/1.1\r\nHost: me@here\r\n\r\n"),
    "a header without a colon": (400, b"GET /a HTTP/1.1\r\nHost: here\r\nX\r\n\r\n"),
    "a header without a name": (400, b"GET /a HTTP/1.1\r\nHost: here\r\n: x\r\n\r\n"),
    "two blanks": (400, b"GET  /a HTTP/1.1\r\nHost: here\r\n\r\n"),
    "a blank in the target": (400, b"GET /a b HTTP/1.1\r\nHost: here\r\n\r\n"),
    "a target outside of ASCII": (400, "GET /ä HTTP/1.1\r\nHost: here\r\n\r\n".encode()),
    "no version": (400, b"GET /a\r\nHost: here\r\n\r\n"),
    "a version that is none": (400, b"GET /a http/1.1\r\nHost: here\r\n\r\n"),
    "an odd method": (400, b"G@T /a HTTP/1.1\r\nHost: here\r\n\r\n"),
    "TLS": (400, b"\x16\x03\x01\x02\x00\x01\r\n\r\n"),
    "a relative target": (400, b"GET a HTTP/1.1\r\nHost: here\r\n\r\n"),
    "a fragment": (400, b"GET /a#b HTTP/1.1\r\nHost: here\r\n\r\n"),
    "another scheme": (400, b"GET ftp://here/a HTTP/1.1\r\nHost: here\r\n\r\n"),
    "a user in the target": (400, b"GET http://me@here/a HTTP/1.1\r\nHost: here\r\n\r\n"),
    "a zero byte in the path": (400, b"GET /a%00 HTTP/1.1\r\nHost: here\r\n\r\n"),
    "an asterisk for GET": (400, b"GET * HTTP/1.1\r\nHost: here\r\n\r\n"),
    "a proxy's method": (405, b"CONNECT here:80 HTTP/1.1\r\nHost: here\r\n\r\n"),
    "an expectation that nobody knows": (417, POST + b"Expect: tea\r\n\r\n"),
    "HTTP/2.0": (505, b"GET /a HTTP/2.0\r\nHost: here\r\n\r\n"),
    "the preface of HTTP/2": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/0.9": (505, b"GET /a HTTP/0.9\r\n\r\n"),
}

CHUNKS = {
    "a bare line feed after the size": b"5\nhello\r\n0\r\n\r\n",
    "no line after the data": b"5\r\nhello0\r\n\r\n",
    "data longer than said": b"5\r\nhello!\r\n0\r\n\r\n",
    "a negative size": b"-5\r\nhello\r\n0\r\n\r\n",
    "a size with a prefix": b"0x5\r\nhello\r\n0\r\n\r\n",
    "a size with a sign": b"+5\r\nhello\r\n0\r\n\r\n",
    "no size": b"\r\nhello\r\n0\r\n\r\n",
    "a giant size": b"f" * 30 + b"\r\nhello\r\n0\r\n\r\n",
    "an extension without an end": b"5;" + b"x" * 20_000,
    "an extension with a line feed": b"5;\n\r\nhello\r\n0\r\n\r\n",
    "trailers": b"5\r\nhello\r\n0\r\nX: y\r\n\r\n",
    "trailers with bare line feeds": b"5\r\nhello\r\n0\r\nX: y\n\n",
    "an end with a bare line feed": b"5\r\nhello\r\n0\r\n\n",
}


@pytest.mark.parametrize("name", HEADS)
async def test_a_head_that_could_be_misread_is_refused_and_ends_the_connection(
    name: str, autojump_clock: MockClock
) -> None:
    status, raw = HEADS[name]
    app = Recorder()
    async with talking(app) as client:
        await client.send(raw + SMUGGLED)
        response = await client.response()
        assert (response.status, response.headers["connection"]) == (status, "close")
        assert await client.end() == b""
        assert app.seen == []
        assert client.errors == []


@pytest.mark.parametrize("name", CHUNKS)
async def test_a_chunk_that_could_be_misread_is_refused_and_ends_the_connection(
    name: str, autojump_clock: MockClock
) -> None:
    app = Recorder()
    async with talking(app) as client:
        await client.send(CHUNKED + CHUNKS[name] + SMUGGLED)
        response = await client.response()
        assert (response.status, response.headers["connection"]) == (400, "close")
        assert await client.end() == b""
        assert app.seen == [("/a", b"...")]
        assert client.errors == []


@pytest.mark.parametrize(
    ("raw", "seen"),
    [
        (GET, ("/a", b"")),
        (b"\r\n\r\n" + GET, ("/a", b"")),
        (POST + b"Content-Length: 5\r\n\r\nhello", ("/a", b"hello")),
        (POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", ("/a", b"hello")),
        (CHUNKED + b"5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n", ("/a", b"hello!")),
        (CHUNKED.replace(b"chunked", b"Chunked") + b"00\r\n\r\n", ("/a", b"")),
        (b"GET http://There:80/b?c HTTP/1.1\r\nHost: here\r\n\r\n", ("/b", b"")),
        (b"GET http://there HTTP/1.1\r\nHost: here\r\n\r\n", ("/", b"")),
        (b"GET /%C3%A4%FF HTTP/1.1\r\nHost: [::1]:8\r\n\r\n", ("/ä\ufffd", b"")),
        (b"GET /a HTTP/1.1\r\nHost: here\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", ("/a", b"")),
        (b"GET /a HTTP/1.1\r\nHost:\r\nX: caf\xe9\ttea\r\n\r\n", ("/a", b"")),
    ],
)
async def test_a_request_that_is_in_order_reaches_the_app_and_the_next_one_too(
    raw: bytes, seen: tuple[str, bytes]
) -> None:
    app = Recorder()
    async with talking(app) as client:
        await client.send(raw + GET)
        first, second = await client.responses("GET", "GET")
        assert (first.status, second.body) == (200, b"/a")
        assert app.seen == [seen, ("/a", b"")]


async def test_the_host_of_an_absolute_target_counts() -> None:
    hosts: list[bytes] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        hosts.extend(value for name, value in scope["headers"] if name == b"host")
        await hello(scope, receive, send)

    async with talking(app) as client:
        await client.send(b"GET https://there/ HTTP/1.1\r\nHost: here\r\n\r\n")
        await client.response()
    assert hosts == [b"there"]


async def test_options_for_the_whole_server_is_answered_without_the_app() -> None:
    app = Recorder()
    async with talking(app) as client:
        await client.send(b"OPTIONS * HTTP/1.1\r\nHost: here\r\n\r\n")
        response = await client.response("OPTIONS")
        assert (response.status, app.seen) == (204, [])


LIMITS = Limits(head_bytes=500, head_fields=10, target_bytes=100, body_bytes=10)


@pytest.mark.parametrize(
    ("status", "raw"),
    [
        (414, b"GET /" + b"a" * 100 + b" HTTP/1.1\r\nHost: here\r\n\r\n"),
        (414, b"GET /" + b"a" * 600),
        (431, b"GET /a HTTP/1.1\r\nHost: here\r\nX: " + b"x" * 500),
        (431, b"GET /a HTTP/1.1\r\nHost: here\r\nX: " + b"x" * 600 + b"\r\n\r\n"),
        (431, b"GET /a HTTP/1.1\r\nHost: here\r\n" + b"X: y\r\n" * 10 + b"\r\n"),
        (413, POST + b"Content-Length: 11\r\n\r\n"),
        (413, POST + b"Content-Length: 11\r\n\r\nhello world"),
        (413, CHUNKED + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"),
        (413, CHUNKED + b"fffffff\r\nhello world"),
    ],
)
async def test_what_is_too_large_is_refused_before_it_is_all_there(
    status: int, raw: bytes, autojump_clock: MockClock
) -> None:
    async with talking(Recorder(), limits=LIMITS) as client:
        await client.send(raw)
        assert (await client.response()).status == status
        assert await client.end() == b""
        assert client.errors == []


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /" + b"a" * 99 + b" HTTP/1.1\r\nHost: here\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: here\r\n" + b"X: y\r\n" * 9 + b"\r\n",
        (b"GET /a HTTP/1.1\r\nHost: here\r\nX: ").ljust(500, b"x") + b"\r\n\r\n",
        POST + b"Content-Length: 10\r\n\r\n0123456789",
    ],
)
async def test_what_is_as_large_as_it_may_be_is_served(raw: bytes) -> None:
    async with talking(Recorder(), limits=LIMITS) as client:
        await client.send(raw)
        assert (await client.response()).status == 200


async def test_a_head_that_trickles_in_is_given_up(autojump_clock: MockClock) -> None:
    async with talking() as client:
        began = trio.current_time()
        async with trio.open_nursery() as nursery:

            async def trickle() -> None:
                for byte in GET:
                    await client.send(bytes([byte]))
                    await trio.sleep(1)

            nursery.start_soon(trickle)
            response = await client.response()
            assert (response.status, trio.current_time() - began) == (408, Limits().head_seconds)
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("before", [b"", GET])
async def test_a_connection_that_stays_silent_is_closed_without_a_word(
    before: bytes, autojump_clock: MockClock
) -> None:
    async with talking() as client:
        await client.send(before)
        if before:
            await client.response()
        began = trio.current_time()
        assert await client.end() == b""
        assert trio.current_time() - began >= Limits().idle_seconds


@pytest.mark.parametrize(
    ("limits", "after"), [(Limits(body_seconds=7), 7), (Limits(body_seconds=9, request_seconds=5), 5)]
)
async def test_a_body_that_stalls_is_given_up(limits: Limits, after: float, autojump_clock: MockClock) -> None:
    async with talking(Recorder(), limits=limits) as client:
        await client.send(POST + b"Content-Length: 5\r\n\r\nhe")
        began = trio.current_time()
        assert (await client.response()).status == 408
        assert trio.current_time() - began == after


async def test_a_body_that_trickles_in_is_given_up_in_the_end(autojump_clock: MockClock) -> None:
    async with talking(Recorder()) as client:
        await client.send(POST + b"Content-Length: 1000\r\n\r\n")
        async with trio.open_nursery() as nursery:

            async def trickle() -> None:
                while True:
                    await client.send(b"x")
                    await trio.sleep(10)

            nursery.start_soon(trickle)
            assert (await client.response()).status == 408
            assert trio.current_time() == Limits().request_seconds
            nursery.cancel_scope.cancel()


async def test_a_client_that_does_not_take_its_response_loses_it(autojump_clock: MockClock) -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        with pytest.raises(BrokenPipeError, match="in time"):
            await answer(send, b"x" * 200_000)
        assert trio.current_time() == Limits().write_seconds
        raise BrokenPipeError("as starlette does")

    async with talking(app, pair=lockstep_stream_pair) as client:
        await client.send(GET)
        await trio.sleep(Limits().write_seconds + 1)
        assert client.errors == []
        assert len(await client.end()) < 100_000


async def test_a_client_may_take_a_large_response_slowly(autojump_clock: MockClock) -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await answer(send, b"x" * 200_000)

    async with talking(app, pair=lockstep_stream_pair) as client:
        await client.send(GET)
        size = 0
        while size < 200_000:
            await trio.sleep(20)
            await client.more()
            size = len(client.got)
        assert trio.current_time() > 2 * Limits().write_seconds


async def test_a_large_body_that_the_app_did_not_want_ends_the_connection(autojump_clock: MockClock) -> None:
    async with talking() as client:
        await client.send(POST + b"Content-Length: 100000\r\n\r\n" + b"x" * 50_000)
        assert (await client.response()).body == b"/a"
        await client.send(b"x" * 50_000 + GET)
        assert await client.end() == b""


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 10\r\n\r\n0123456789", b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"]
)
async def test_a_small_body_that_the_app_did_not_want_is_skipped(framing: bytes) -> None:
    async with talking() as client:
        await client.send(POST + framing + GET)
        assert [response.body for response in await client.responses("POST", "GET")] == [b"/a", b"/a"]


@pytest.mark.parametrize(
    "rest",
    [
        b"Transfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n11170\r\n" + b"x" * 70_000 + b"\r\n0\r\n\r\n",
        b"Content-Length: 10\r\n\r\nx",
    ],
)
async def test_a_body_that_cannot_be_skipped_ends_the_connection(rest: bytes, autojump_clock: MockClock) -> None:
    async with talking() as client:
        await client.send(POST + rest)
        assert (await client.response("POST")).body == b"/a"
        await trio.sleep(5)
        await client.send(SMUGGLED)
        assert await client.end() == b""
        assert client.errors == []


async def test_what_was_asked_before_a_client_stopped_sending_is_answered(autojump_clock: MockClock) -> None:
    async with talking() as client:
        await client.send(GET * 3)
        await client.stream.send_eof()
        assert len(await client.responses("GET", "GET", "GET")) == 3
        assert await client.end() == b""


@pytest.mark.parametrize(
    "raw", [GET.replace(b"1.1", b"1.0"), GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")]
)
async def test_a_connection_ends_where_the_client_wants_it(raw: bytes, autojump_clock: MockClock) -> None:
    async with talking() as client:
        await client.send(raw + SMUGGLED)
        response = await client.response()
        assert (response.body, response.headers["connection"]) == (b"/a", "close")
        assert await client.end() == b""


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_requests_are_understood_in_whatever_pieces_they_come(data: st.DataObject) -> None:
    wanted = [GET, POST + b"Content-Length: 5\r\n\r\nhello", CHUNKED + b"3\r\nabc\r\n0\r\n\r\n"]
    order = data.draw(st.lists(st.sampled_from(range(3)), min_size=1, max_size=5))
    raw = b"".join(wanted[number] for number in order)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(raw) - 1), max_size=12)))
    pieces = [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]

    async def run() -> None:
        async with talking(Recorder()) as client:
            for piece in pieces:
                await client.send(piece)
                await trio.testing.wait_all_tasks_blocked()
            responses = await client.responses(*("GET" for _ in order))
            assert [response.body for response in responses] == [[b"/a", b"hello", b"abc"][number] for number in order]

    trio.run(run, clock=MockClock(autojump_threshold=0.02))


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=80)
    | st.lists(st.sampled_from([*HEADS.values()]), min_size=1, max_size=1).map(lambda x: x[0][1]),
    st.data(),
)
def test_bytes_are_refused_or_understood_and_nothing_else(raw: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(raw)))
    held = bytearray(raw[:at] + data.draw(st.binary(max_size=3)) + raw[at:])
    with suppress(Unacceptable):
        if end := head_end(held, LIMITS):
            upgrade_of(parse(bytes(held[:end]), LIMITS, h11.Connection(h11.SERVER)))


@pytest.mark.parametrize(
    ("status", "raw"),
    [
        (405, UPGRADE.replace(b"GET", b"POST")),
        (400, UPGRADE.replace(b"HTTP/1.1", b"HTTP/1.0")),
        (400, UPGRADE.replace(b"Connection: keep-alive, Upgrade\r\n", b"")),
        (400, UPGRADE.replace(b"keep-alive, Upgrade", b"keep-alive")),
        (400, UPGRADE.replace(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b"")),
        (400, UPGRADE.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhlIHNhbXBsZSBub25jZ===")),
        (400, UPGRADE.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"c2hvcnQ=")),
        (400, UPGRADE.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"*GhlIHNhbXBsZSBub25jZQ==")),
        (400, UPGRADE.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")),
        (400, UPGRADE.replace(b"Sec-WebSocket-Version: 13\r\n", b"")),
        (400, UPGRADE.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: a b\r\n\r\n")),
        (400, UPGRADE.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: a,,b\r\n\r\n")),
        (400, UPGRADE.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: \xe4\r\n\r\n")),
        (426, UPGRADE.replace(b"Version: 13", b"Version: 12")),
        (426, UPGRADE.replace(b"Version: 13", b"Version: 13, 8")),
        (400, UPGRADE.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\nhello")),
        (400, UPGRADE.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
    ],
)
async def test_a_wrong_request_for_a_websocket_is_refused(status: int, raw: bytes, autojump_clock: MockClock) -> None:
    app = Recorder()
    async with talking(app) as client:
        await client.send(raw)
        response = await client.response()
        assert response.status == status
        assert ("sec-websocket-version" in response.headers) is (status == 426)
        assert app.seen == []
        assert await client.end() == b""


async def test_a_path_of_the_app_is_not_given_to_the_websocket() -> None:
    async with talking(is_http=lambda path: path == "/ws") as client:
        await client.send(UPGRADE)
        assert (await client.response()).body == b"/ws"


async def test_a_client_that_resets_the_connection_is_nobodys_error(autojump_clock: MockClock) -> None:
    async with talking() as client:
        await client.send(GET[:20])
        await client.stream.aclose()
        await trio.sleep(100)
        assert client.errors == []
