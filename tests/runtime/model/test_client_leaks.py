"""Requests that end too early, in every way and at every step: no connection stays, and nothing for the collector.

A generator or a socket that nobody closed is an error here: pytest turns the collector's warnings into one.
"""

import gc
from functools import partial
from typing import Any

import httpcore
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from runtime.errors import ModelError
from runtime.model.body import Limits
from runtime.model.client import GeminiClient
from runtime.model.endpoint import Endpoint
from runtime.model.secret import Secret
from runtime.ports import ModelRequest
from runtime.vocab import Content, JsonObject, Tape
from tests.fakes import gemini_stub as fake
from tests.runtime.model.stepping import MOST, cancelled_at

ENDPOINT = Endpoint(base="http://127.0.0.1:1", key=Secret("the-key"))
LIMITS = Limits(connect=10, first=60, answer=100_000, event=10_000, refusal=1000)
REQUEST = ModelRequest("m", (Content("user", ({"text": "hi"},)),))


async def take(chunk: JsonObject) -> None:
    await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("waiting", [True, False])
@pytest.mark.parametrize("warm", [True, False])
async def test_a_request_may_be_cancelled_at_every_step(warm: bool, waiting: bool) -> None:
    async with fake.in_memory(fake.text(chunks=3)) as (stub, network):
        for step in range(1, MOST):
            client = GeminiClient(ENDPOINT, LIMITS, network)
            if warm:
                await client.stream(REQUEST, Tape(), take)
            reached = await cancelled_at(step, partial(client.stream, REQUEST, Tape(), take), waiting=waiting)
            gc.collect()
            assert client.statistics()[0] == 0
            await client.stream(REQUEST, Tape(), take)
            assert client.statistics() == (0, 1)
            await client.aclose()
            assert client.statistics() == (0, 0)
            await trio.testing.wait_all_tasks_blocked()
            assert stub.open == 0
            if not reached:
                break
        assert 5 < step < MOST - 1


@pytest.mark.parametrize("waiting", [True, False])
async def test_a_request_over_a_socket_may_be_cancelled_at_every_step(waiting: bool) -> None:
    async with fake.serving(fake.text(chunks=3)) as (_, url):
        client = GeminiClient(Endpoint(base=url), LIMITS)
        await client.stream(REQUEST, Tape(), take)
        await client.aclose()  # from here on every request has a new connection
        for step in range(1, MOST):
            reached = await cancelled_at(step, partial(client.stream, REQUEST, Tape(), take), waiting=waiting)
            gc.collect()
            assert client.statistics() == (0, 0)
            if not reached:
                break
        assert 5 < step < MOST - 1


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("together", [True, False])
async def test_a_taker_may_fail_at_every_chunk(number: int, together: bool) -> None:
    pieces = [fake.event({"n": n}) for n in (1, 2, 3)]
    answer = fake.Answer((b"".join(pieces),) if together else tuple(pieces))
    async with fake.in_memory(fake.script(answer)) as (stub, network):
        client = GeminiClient(ENDPOINT, LIMITS, network)

        async def fail(chunk: JsonObject) -> None:
            await trio.lowlevel.checkpoint()
            if chunk["n"] == number:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await client.stream(REQUEST, Tape(), fail)
        gc.collect()
        assert client.statistics() == (0, 0)
        await trio.testing.wait_all_tasks_blocked()
        assert stub.open == 0


@pytest.mark.parametrize(
    "answer",
    [
        fake.Answer((b"data: {nope\n\n", b"data: {}\n\n")),
        fake.Answer((b"data: " + b"x" * 20_000, b"x")),
        fake.Answer((b"x" * 60_000, b"x" * 60_000)),
        fake.Answer((b'{"error":{"code":500}}', b"x" * 5000, b"x"), headers=(("content-type", "application/json"),)),
        fake.Answer((b"x" * 800, b"x" * 800, b"x" * 800), status=500),
        fake.Answer((b"x", b"x"), headers=(("content-encoding", "br"),)),
        fake.Answer((b"x", b"x"), headers=(("content-encoding", "gzip"),)),
        fake.Answer((b"x",), headers=(("content-encoding", "br"),), status=429),
    ],
)
async def test_an_answer_that_is_not_read_to_its_end_leaves_nothing(answer: fake.Answer) -> None:
    async with fake.in_memory(fake.script(answer)) as (stub, network):
        client = GeminiClient(ENDPOINT, LIMITS, network)
        with pytest.raises(ModelError):
            await client.stream(REQUEST, Tape(), take)
        gc.collect()
        assert client.statistics() == (0, 0)
        await trio.testing.wait_all_tasks_blocked()
        assert stub.open == 0


class Refusing(httpcore.AsyncMockStream):
    """Answers, and takes only so many writes."""

    def __init__(self, answer: bytes, writes: int) -> None:
        super().__init__([answer])
        self.left = writes

    async def write(self, buffer: bytes, *_: Any, **__: Any) -> None:
        self.left -= 1
        if self.left < 0:
            raise httpcore.WriteError("broken")


class RefusingNetwork(httpcore.AsyncMockBackend):
    """A network of servers that close while they are being asked."""

    def __init__(self, answer: bytes, writes: int) -> None:
        super().__init__([])
        self.made = partial(Refusing, answer, writes)

    async def connect_tcp(self, *_: Any, **__: Any) -> Refusing:
        return self.made()


@pytest.mark.parametrize("writes", [0, 1, 2])
async def test_a_server_that_answers_and_closes_while_it_is_asked_is_heard(writes: int) -> None:
    network = RefusingNetwork(b"HTTP/1.1 413 Large\r\ncontent-length: 4\r\n\r\nbig!", writes)
    client = GeminiClient(ENDPOINT, LIMITS, network)
    long = ModelRequest("m", (Content("user", ({"text": "x" * 3_000_000},)),))
    with pytest.raises(ModelError, match="big!") as caught:
        await client.stream(long, Tape(), take)
    gc.collect()
    assert (caught.value.status, client.statistics()) == (413, (0, 0))


async def test_a_server_that_only_closes_while_it_is_asked_is_a_network_error() -> None:
    client = GeminiClient(ENDPOINT, LIMITS, RefusingNetwork(b"", 1))
    with pytest.raises(ModelError, match="closed the connection before it answered") as caught:
        await client.stream(REQUEST, Tape(), take)
    gc.collect()
    assert (caught.value.kind, client.statistics()) == ("network", (0, 0))


async def test_a_header_that_cannot_be_sent_is_not_shown() -> None:
    async with fake.in_memory(fake.text()) as (_, network):
        client = GeminiClient(Endpoint(base="http://127.0.0.1:1", key=Secret("the\nkey")), LIMITS, network)
        with pytest.raises(ModelError, match="a header that HTTP does not allow") as caught:
            await client.stream(REQUEST, Tape(), take)
        assert (caught.value.terminal, "key" in str(caught.value), client.statistics()) == (True, False, (0, 0))


@pytest.mark.parametrize(
    ("scenario", "kind", "said"),
    [
        (fake.silent(), "timeout", "no connection in time"),
        (fake.gone(), "network", "the proxy 127.0.0.1:9 closed the connection before it answered"),
        (fake.script(fake.Answer(before=(fake.Reset(),))), "network", "the proxy 127.0.0.1:9 reset the connection"),
        (fake.script(fake.whole(b"", 403, "Forbidden")), "network", "the proxy 127.0.0.1:9 refuses to connect"),
    ],
)
async def test_a_proxy_that_does_not_do_its_work_is_named(
    scenario: fake.Scenario, kind: str, said: str, autojump_clock: MockClock
) -> None:
    async with fake.in_memory(scenario) as (_, network):
        through = Endpoint(base="https://api.invalid", proxy=Secret("http://127.0.0.1:9"))
        client = GeminiClient(through, LIMITS, network)
        begun = trio.current_time()
        with pytest.raises(ModelError) as caught:
            await client.stream(REQUEST, Tape(), take)
        gc.collect()
        assert (caught.value.kind, said in str(caught.value)) == (kind, True), str(caught.value)
        assert client.statistics() == (0, 0)
        assert trio.current_time() - begun <= LIMITS.connect + 1
