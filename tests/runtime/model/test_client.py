"""The client against the stub: what it sends, how it reads, which deadline ends what, and what a held session costs."""

import json
import socket
import ssl
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Any

import httpcore
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from runtime.errors import ModelError
from runtime.model import wire
from runtime.model.body import Limits
from runtime.model.client import GeminiClient
from runtime.model.endpoint import Endpoint
from runtime.model.network import IDLE_SECONDS, KEPT_IDLE, trusting
from runtime.model.secret import Secret
from runtime.ports import ModelRequest
from runtime.vocab import Content, JsonObject, Tape
from tests.fakes import gemini_stub as fake

LIMITS = Limits(connect=10, first=60, idle=20, total=200, answer=100_000, event=10_000, refusal=1000, refused=5)
ENDPOINT = Endpoint(base="http://127.0.0.1:1", key=Secret("the-key"))
TAPE = Tape(3, (5,))


def asking(text: str = "hi", **more: Any) -> ModelRequest:
    return ModelRequest("gemini-2.5-flash", (Content("user", ({"text": text},)),), **more)


async def chunks_of(client: GeminiClient, request: ModelRequest | None = None) -> list[JsonObject]:
    chunks: list[JsonObject] = []

    async def keep(chunk: JsonObject) -> None:
        await trio.lowlevel.checkpoint()
        chunks.append(chunk)

    assert await client.stream(request or asking(), TAPE, keep) is TAPE
    return chunks


async def error_of(scenario: fake.Scenario, limits: Limits = LIMITS, endpoint: Endpoint = ENDPOINT) -> ModelError:
    """The error that a stream ends with; nothing stays open."""
    async with fake.in_memory(scenario) as (_, network):
        client = GeminiClient(endpoint, limits, network)
        with pytest.raises(ModelError) as caught:
            await chunks_of(client)
        await client.aclose()
        assert client.statistics() == (0, 0)
    return caught.value


def texts(chunks: list[JsonObject]) -> list[str]:
    return [part["text"] for each in chunks for part in each["candidates"][0]["content"]["parts"]]


# What is sent -------------------------------------------------------------------------------------------------------


async def test_the_request_goes_to_the_path_with_key_and_body() -> None:
    endpoint = Endpoint(
        base="http://127.0.0.1:7/prefix;x=y",
        key=Secret("the-key"),
        headers=(("X-Team", "blue"), ("Content-Length", "7")),
    )
    async with fake.in_memory(fake.text()) as (stub, network):
        client = GeminiClient(endpoint, LIMITS, network)
        request = asking(system="be good", tools='[{"name":"f"}]')
        await chunks_of(client, request)
        await client.aclose()
    call = stub.requests[0]
    assert call.target == "/prefix;x=y/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    assert call.raw == wire.encode(request)
    assert call.headers["host"] == "127.0.0.1:7"
    assert (call.headers["x-goog-api-key"], call.headers["x-team"]) == ("the-key", "blue")
    assert call.headers["content-length"] == str(len(call.raw))
    assert call.headers["user-agent"].startswith("twinstep/")
    assert network.hosts == [("127.0.0.1", 7)]


async def test_the_connection_is_used_again() -> None:
    async with fake.in_memory(fake.text(chunks=3)) as (stub, network):
        client = GeminiClient(ENDPOINT, LIMITS, network)
        for _ in range(3):
            assert len(await chunks_of(client)) == 3
            await client.generate(asking(), TAPE)
        assert (stub.accepted, len(stub.requests)) == (1, 6)
        assert client.statistics() == (0, 1)
        await client.aclose()


async def test_a_connection_that_the_server_closed_meanwhile_is_not_used_again() -> None:
    ending = fake.Answer((fake.event(fake.chunk([{"text": "x"}], "STOP")),), headers=(("connection", "close"),))
    async with fake.in_memory(fake.script(ending)) as (stub, network):
        client = GeminiClient(ENDPOINT, LIMITS, network)
        for _ in range(2):
            assert texts(await chunks_of(client)) == ["x"]
        assert stub.accepted == 2
        await client.aclose()


async def test_a_connection_that_was_idle_for_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    passed, now = 0.0, time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: now() + passed)  # httpcore's clock for this is not Trio's
    async with fake.in_memory(fake.text()) as (stub, network):
        client = GeminiClient(ENDPOINT, LIMITS, network)
        for pause, accepted in ((0, 1), (IDLE_SECONDS - 5, 1), (IDLE_SECONDS + 1, 2)):
            passed += pause
            await chunks_of(client)
            assert (stub.accepted, client.statistics()) == (accepted, (0, 1))
        await client.aclose()


async def test_only_some_idle_connections_are_kept() -> None:
    async with fake.in_memory(fake.text()) as (stub, network):
        client = GeminiClient(ENDPOINT, LIMITS, network)
        async with trio.open_nursery() as nursery:
            for _ in range(KEPT_IDLE + 9):
                nursery.start_soon(chunks_of, client)
        assert client.statistics() == (0, KEPT_IDLE)
        await client.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert stub.open == 0


async def test_closing_the_client_keeps_no_connection_of_a_running_request(autojump_clock: MockClock) -> None:
    async with fake.in_memory(fake.slow(seconds=5, chunks=2)) as (_, network):
        client = GeminiClient(ENDPOINT, LIMITS, network)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(chunks_of, client)
            await trio.sleep(6)
            await client.aclose()
            assert client.statistics() == (1, 0)
        assert client.statistics() == (0, 0)


async def test_a_server_that_closes_right_behind_its_answer_harms_nothing() -> None:
    said = json.dumps(fake.chunk([{"text": "x"}])).encode()

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some(65536)
            await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(said) + said)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        client = GeminiClient(Endpoint(base=f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"), LIMITS)
        for _ in range(5):
            await client.generate(asking(), TAPE)
            await trio.testing.wait_all_tasks_blocked(0.01)
        await client.aclose()
        nursery.cancel_scope.cancel()


async def test_bytes_behind_an_answer_are_not_taken_for_the_next_one() -> None:
    said = json.dumps(fake.chunk([{"text": "right"}])).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(said)
    network = httpcore.AsyncMockBackend([head + said + b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"])
    client = GeminiClient(ENDPOINT, LIMITS, network)
    for _ in range(2):
        assert texts([(await client.generate(asking(), TAPE))[0]]) == ["right"]
        with pytest.raises(ModelError, match="before it was asked") as caught:
            await client.generate(asking(), TAPE)
        assert (caught.value.kind, caught.value.terminal, client.statistics()) == ("network", False, (0, 0))
    await client.aclose()


async def test_a_refusal_before_the_whole_prompt_was_read_is_understood() -> None:
    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some(1000)
            await stream.send_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbig!")
            await stream.send_eof()
            with trio.move_on_after(5):
                async for _ in stream:
                    pass

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        client = GeminiClient(Endpoint(base=f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"), LIMITS)
        with pytest.raises(ModelError, match="big!") as caught:
            await chunks_of(client, asking("x" * 3_000_000))
        assert caught.value.status == 413
        assert client.statistics() == (0, 0)
        nursery.cancel_scope.cancel()


async def test_nothing_is_opened_before_the_first_request() -> None:
    async with fake.in_memory(fake.text()) as (stub, network):
        client = GeminiClient(ENDPOINT, LIMITS, network)
        await client.aclose()
        assert (stub.accepted, client.statistics()) == (0, (0, 0))


def test_nothing_heavy_is_imported_before_the_first_request() -> None:
    code = """
        import sys
        from runtime.model.client import GeminiClient
        from runtime.model.endpoint import Endpoint
        GeminiClient(Endpoint())
        print({"anyio", "h11", "httpcore", "httpx"} & set(sys.modules))
    """
    done = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "set()\n"


async def test_a_prompt_of_ten_megabytes_arrives() -> None:
    async with fake.serving(fake.text()) as (stub, url):
        client = GeminiClient(Endpoint(base=url))
        assert texts(await chunks_of(client, asking("x" * 10_000_000))) == ["done"]
        assert len(stub.requests[0].raw) > 10_000_000
        await client.aclose()


# How it reads -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 5, 1000])
async def test_events_come_whole_however_the_bytes_were_cut(size: int) -> None:
    said = [fake.chunk([{"text": f"é{n} \u2026"}], "STOP") for n in range(3)]
    stream = b"".join(
        b": ping\r\n\r\ndata: " + json.dumps(each, ensure_ascii=False).encode() + b"\r\n\r\n" for each in said
    )
    pieces = tuple(stream[at : at + size] for at in range(0, len(stream), size))
    async with fake.in_memory(fake.script(fake.Answer(pieces))) as (_, network):
        client = GeminiClient(ENDPOINT, LIMITS, network)
        assert await chunks_of(client) == said
        await client.aclose()


async def test_a_chunk_is_delivered_before_the_next_one_is_sent(autojump_clock: MockClock) -> None:
    async with fake.in_memory(fake.slow(seconds=5, chunks=3)) as (_, network):
        client = GeminiClient(ENDPOINT, LIMITS, network)
        times: list[float] = []
        begun = trio.current_time()

        async def note(chunk: JsonObject) -> None:
            await trio.lowlevel.checkpoint()
            times.append(trio.current_time() - begun)

        await client.stream(asking(), TAPE, note)
        assert times == pytest.approx([5, 10, 15])
        await client.aclose()


async def test_a_missing_last_empty_line_loses_no_answer() -> None:
    last = fake.event(fake.chunk([{"text": "end"}], "STOP")).rstrip()
    async with fake.in_memory(fake.script(fake.Answer((last,)))) as (_, network):
        client = GeminiClient(ENDPOINT, LIMITS, network)
        assert texts(await chunks_of(client)) == ["end"]
        await client.aclose()


async def test_an_empty_event_is_no_chunk() -> None:
    async with fake.in_memory(fake.script(fake.Answer((b"data:\n\n", fake.event({"a": 1}))))) as (_, network):
        client = GeminiClient(ENDPOINT, LIMITS, network)
        assert await chunks_of(client) == [{"a": 1}]
        await client.aclose()


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_compressed_stream_is_read_event_by_event(coding: str) -> None:
    packer = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
    said = [fake.chunk([{"text": str(n)}]) for n in range(3)]
    pieces = [packer.compress(fake.event(each)) + packer.flush(zlib.Z_SYNC_FLUSH) for each in said]
    headers = (("content-encoding", coding),)
    scenario = fake.script(fake.Answer((*pieces, packer.flush()), headers=headers))
    async with fake.in_memory(scenario) as (_, network):
        client = GeminiClient(ENDPOINT, LIMITS, network)
        assert await chunks_of(client) == said
        await client.aclose()


async def test_a_small_compressed_answer_cannot_become_a_huge_one() -> None:
    bomb = zlib.compress(b"x" * 50_000_000, wbits=31)
    answer = fake.Answer((bomb,), headers=(("content-encoding", "gzip"),))
    assert "larger than allowed" in str(await error_of(fake.script(answer)))


@pytest.mark.parametrize(
    ("coding", "said"), [("br", "a coding that was not asked for"), ("gzip", "not what its coding says")]
)
async def test_a_coding_that_cannot_be_undone_is_a_protocol_error(coding: str, said: str) -> None:
    found = await error_of(fake.script(fake.Answer((b"nonsense",), headers=(("content-encoding", coding),))))
    assert (found.kind, said in str(found)) == ("protocol", True)


async def test_lone_surrogates_and_escape_codes_come_through_as_they_are() -> None:
    odd = fake.Answer((b'data: {"a":"\\ud800 \\u001b[31m"}\n\n',))
    async with fake.in_memory(fake.script(odd)) as (_, network):
        client = GeminiClient(ENDPOINT, LIMITS, network)
        assert await chunks_of(client) == [{"a": "\ud800 \x1b[31m"}]
        await client.aclose()


async def test_generate_returns_one_document() -> None:
    async with fake.in_memory(fake.text("one")) as (stub, network):
        client = GeminiClient(ENDPOINT, LIMITS, network)
        answer, tape = await client.generate(asking(raw_tools='[{"googleSearch":{}}]'), TAPE)
        await client.aclose()
    assert (texts([answer]), tape) == (["one"], TAPE)
    assert stub.requests[0].target.endswith(":generateContent")


# What goes wrong ----------------------------------------------------------------------------------------------------


async def test_a_refusal_keeps_its_status_words_and_wait() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}]
    found = await error_of(fake.error(429, "RESOURCE_EXHAUSTED", "slow", json.dumps(details)))
    assert (found.kind, found.status, found.hint, found.terminal) == ("http", 429, 7.0, False)


async def test_a_refusal_as_a_page_or_with_a_huge_page_is_one_too() -> None:
    found = await error_of(fake.script(fake.whole(b"<html>" + b"x" * 500_000, 502, "Bad Gateway")))
    assert (found.status, len(found.body) < 1200) == (502, True)


async def test_a_redirect_is_not_followed() -> None:
    answer = fake.whole({}, 302, "Found", headers=[("location", "http://127.0.0.2/")])
    assert (await error_of(fake.script(answer))).status == 302


async def test_the_connection_is_used_again_after_a_refusal() -> None:
    async with fake.in_memory(fake.error(500)) as (stub, network):
        client = GeminiClient(ENDPOINT, LIMITS, network)
        with pytest.raises(ModelError):
            await chunks_of(client)
        assert texts(await chunks_of(client)) == ["done"]
        assert stub.accepted == 1
        await client.aclose()


@pytest.mark.parametrize(
    ("scenario", "kind", "said"),
    [
        (fake.gone(), "network", "closed the connection before it answered"),
        (fake.script(fake.Answer(before=(fake.Reset(),))), "network", "reset the connection before it answered"),
        (fake.cut("close"), "terminated", "terminated"),
        (fake.cut("inside"), "terminated", "terminated"),
        (fake.cut("reset"), "network", "reset the connection in the middle"),
        (fake.garbage(), "protocol", "'{nope'"),
        (fake.garbage("<html>no</html>", framed=False), "protocol", "no event stream: '<html>no</html>"),
        (fake.script(fake.Answer((b'data: {"a":',))), "network", "ended in the middle of an event"),
        (fake.script(fake.whole([{"a": 1}])), "protocol", "no event stream"),
        (fake.script(fake.whole({"error": {"code": 400, "message": "m"}})), "http", '"code":400'),
        (fake.script(fake.events({"error": {"code": 503, "message": "busy"}})), "http", "busy"),
        (fake.garbage('{"error":{"code":401,"message":"who"}}', framed=False), "http", "who"),
        (fake.script(fake.Answer((b"data: " + b"x" * 20_000,))), "protocol", "larger than 10000 bytes"),
        (fake.text("x" * 5000, chunks=30), "protocol", "larger than allowed"),
    ],
)  # fmt: skip
async def test_what_the_server_does_wrong_has_a_kind_and_words(scenario: fake.Scenario, kind: str, said: str) -> None:
    found = await error_of(scenario)
    assert (found.kind, said in str(found)) == (kind, True), str(found)
    assert "the-key" not in str(found)


@pytest.mark.parametrize("status", [200, 400])
async def test_bytes_that_are_no_http_are_a_protocol_error(status: int) -> None:
    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some(65536)
            await stream.send_all(
                b"HTTP/1.1 " + str(status).encode() + b" OK\r\ntransfer-encoding: chunked\r\n\r\nnope\r\n"
            )
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        client = GeminiClient(Endpoint(base=f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"), LIMITS)
        with pytest.raises(ModelError) as caught:
            await chunks_of(client)
        assert caught.value.kind == ("protocol" if status == 200 else "http")
        await client.aclose()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_real_socket_breaks_like_the_stream_in_memory(how: str) -> None:
    async with fake.serving(fake.cut(how)) as (stub, url):
        client = GeminiClient(Endpoint(base=url), LIMITS)
        with pytest.raises(ModelError) as caught:
            await chunks_of(client)
        assert caught.value.kind == ("terminated" if how == "close" else "network")
        assert texts(await chunks_of(client)) == ["done"]
        assert stub.accepted == 2
        await client.aclose()


async def test_a_port_where_nobody_listens_refuses() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        client = GeminiClient(Endpoint(base=f"http://127.0.0.1:{unused.getsockname()[1]}"), LIMITS)
        with pytest.raises(ModelError, match="connection refused") as caught:
            await chunks_of(client)
        await client.aclose()
    assert (caught.value.kind, caught.value.terminal) == ("network", False)


GROUP = OSError("all attempts failed")
GROUP.__cause__ = ExceptionGroup("", [OSError(113, "No route to host"), ConnectionRefusedError()])
CERTIFICATE = ssl.SSLCertVerificationError(1, "certificate verify failed")
CERTIFICATE.verify_message = "self-signed certificate"


@pytest.mark.parametrize(
    ("cause", "said", "terminal"),
    [
        (socket.gaierror(-2, "Name or service not known"), "its name cannot be resolved", False),
        (CERTIFICATE, "its certificate is not trusted (self-signed certificate)", True),
        (ssl.SSLError(1, "[SSL: DECRYPTION_FAILED_OR_BAD_RECORD_MAC]"), "TLS failed", False),
        (OSError(113, "No route to host"), "No route to host", False),
        (OSError("all attempts failed"), "all attempts failed", False),
        (GROUP, "connection refused", False),
    ],
)
async def test_why_there_is_no_connection_is_said(cause: Exception, said: str, terminal: bool) -> None:
    async with fake.in_memory(fake.text()) as (_, network):
        network.refused = cause
        with pytest.raises(ModelError, match="cannot connect to 127") as caught:
            await chunks_of(GeminiClient(ENDPOINT, LIMITS, network))
    assert (caught.value.kind, caught.value.terminal) == ("network", terminal)
    assert said in str(caught.value)


async def test_a_host_name_that_no_encoder_takes_is_a_network_error() -> None:
    client = GeminiClient(Endpoint(base=f"https://{'a' * 70}..invalid"), LIMITS)
    with pytest.raises(ModelError, match="cannot be resolved") as caught:
        await chunks_of(client)
    assert caught.value.kind == "network"
    await client.aclose()


def test_a_file_without_certificates_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "none.pem"
    empty.write_text("nothing")
    for path in (empty, tmp_path / "missing.pem"):
        with pytest.raises(ModelError, match=r"\.pem: no certificates") as caught:
            trusting((str(path),))
        assert caught.value.terminal


async def test_a_proxy_is_asked_and_its_password_is_not_shown() -> None:
    async with fake.serving(fake.script(fake.whole(b"", 407, "Proxy Authentication Required"))) as (stub, url):
        proxy = Secret(url.replace("http://", "http://user:word@"))
        client = GeminiClient(Endpoint(base="https://api.invalid", proxy=proxy), LIMITS)
        with pytest.raises(ModelError, match="407") as caught:
            await chunks_of(client)
        await client.aclose()
    assert (caught.value.kind, "word" in str(caught.value)) == ("network", False)
    assert (stub.requests[0].method, stub.requests[0].target) == ("CONNECT", "api.invalid:443")
    assert stub.requests[0].headers["proxy-authorization"].startswith("Basic ")


# Deadlines ----------------------------------------------------------------------------------------------------------


async def waited(act: Callable[[], Any]) -> float:
    begun = trio.current_time()
    await act()
    return trio.current_time() - begun


async def test_a_server_that_drips_is_left_after_the_idle_time_of_an_event(autojump_clock: MockClock) -> None:
    first = fake.event(fake.chunk([{"text": "x"}]))
    dripping = (step for _ in range(10_000) for step in (fake.Pause(1), b"x"))
    scenario = fake.script(fake.Answer((first, b"data: ", *dripping)))

    async def drip() -> None:
        found = await error_of(scenario)
        assert (found.kind, "nothing complete came in time" in str(found)) == ("timeout", True)

    assert await waited(drip) == pytest.approx(LIMITS.idle, abs=0.1)


async def test_comments_do_not_keep_a_stream_alive(autojump_clock: MockClock) -> None:
    pinging = (step for _ in range(10_000) for step in (fake.Pause(1), b": ping\n\n"))

    async def ping() -> None:
        assert (await error_of(fake.script(fake.Answer(tuple(pinging))))).kind == "timeout"

    assert await waited(ping) == pytest.approx(LIMITS.first, abs=0.1)


async def test_a_silent_server_is_left_after_the_first_limit(autojump_clock: MockClock) -> None:
    async def silence() -> None:
        assert (await error_of(fake.silent())).kind == "timeout"

    assert await waited(silence) == pytest.approx(LIMITS.first, abs=0.1)


async def test_an_endless_stream_ends_with_the_total(autojump_clock: MockClock) -> None:
    async def endless() -> None:
        found = await error_of(fake.slow(seconds=10, chunks=1000))
        assert (found.kind, "longer than allowed" in str(found)) == ("timeout", True)

    assert await waited(endless) == pytest.approx(LIMITS.total, abs=0.1)


async def test_a_page_of_errors_that_never_ends_is_cut(autojump_clock: MockClock) -> None:
    page = fake.Answer((b'{"error":', fake.Hang()), status=500, reason="Oops")

    async def hang() -> None:
        assert (await error_of(fake.script(page))).status == 500

    assert await waited(hang) == pytest.approx(LIMITS.refused, abs=0.1)


async def test_a_connection_that_never_stands_is_given_up(autojump_clock: MockClock) -> None:
    async with fake.in_memory(fake.text()) as (_, network):
        network.late = 1000

        async def give_up() -> None:
            with pytest.raises(ModelError, match="no connection in time") as caught:
                await chunks_of(GeminiClient(ENDPOINT, LIMITS, network))
            assert caught.value.kind == "timeout"

        assert await waited(give_up) == pytest.approx(LIMITS.connect, abs=0.1)


async def test_a_held_session_runs_into_no_deadline(autojump_clock: MockClock) -> None:
    async with fake.in_memory(fake.slow(seconds=15, chunks=4)) as (_, network):
        client = GeminiClient(ENDPOINT, LIMITS, network)
        said: list[str] = []

        async def hold(chunk: JsonObject) -> None:
            await trio.sleep(80_000)
            said.extend(texts([chunk]))

        await client.stream(asking(), TAPE, hold)
        assert said == ["slow 0", "slow 1", "slow 2", "slow 3"]
        await client.aclose()


async def test_a_held_session_takes_no_connection_from_another(autojump_clock: MockClock) -> None:
    async with fake.in_memory(fake.text(chunks=2)) as (_, network):
        client = GeminiClient(ENDPOINT, LIMITS, network)

        async def hold(chunk: JsonObject) -> None:
            await trio.sleep_forever()

        async with trio.open_nursery() as nursery:
            for _ in range(150):
                nursery.start_soon(client.stream, asking(), TAPE, hold)
            await trio.sleep(1)
            assert len(await chunks_of(client)) == 2
            nursery.cancel_scope.cancel()
        await trio.sleep(1)
        assert client.statistics() == (0, 1)
        await client.aclose()


# Cancelling ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0.0, 4.0, 5.0, 7.0])
async def test_a_cancelled_request_leaves_no_connection(after: float, autojump_clock: MockClock) -> None:
    async with fake.in_memory(fake.slow(seconds=5, chunks=3)) as (stub, network):
        client = GeminiClient(ENDPOINT, LIMITS, network)

        async def linger(chunk: JsonObject) -> None:
            await trio.sleep(1)

        with trio.move_on_after(after) as scope:
            await client.stream(asking(), TAPE, linger)
        assert scope.cancelled_caught
        await trio.sleep(10)  # until the stub writes again
        assert (stub.open, client.statistics()) == (0, (0, 0))
        assert len(await chunks_of(client)) == 3
        await client.aclose()


async def test_an_error_of_the_taker_passes_through_and_closes_the_connection() -> None:
    async with fake.in_memory(fake.text(chunks=3)) as (stub, network):
        client = GeminiClient(ENDPOINT, LIMITS, network)

        async def refuse(chunk: JsonObject) -> None:
            await trio.lowlevel.checkpoint()
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await client.stream(asking(), TAPE, refuse)
        await trio.testing.wait_all_tasks_blocked()
        assert (stub.open, client.statistics()) == (0, (0, 0))
        await client.aclose()
