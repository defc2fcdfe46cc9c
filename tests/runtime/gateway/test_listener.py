"""The one port over real sockets on this machine: HTTP beside WebSocket, TLS, and how many may come."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing
from attrs import define, field
from trio.testing import MockClock, lockstep_stream_pair, memory_stream_pair
from trio_websocket import open_websocket_url

from runtime.errors import InputError
from runtime.gateway.http import Limits
from runtime.gateway.http.asgi import ASGIApp, Message, Peer, Receive, Send
from runtime.gateway.listener import peer_of, serve, tls_context
from runtime.gateway.sockets import EagerStream, OnSocket, Socket
from runtime.ports import Clock
from tests.fakes.certificate import self_signed
from tests.fakes.wire_peer import UPGRADE, Client, answer, body_of, echo, frame, hello, port

GET = b"GET /a HTTP/1.1\r\nHost: here\r\n\r\n"


@define
class Running:
    """A port that is served on loopback."""

    number: int
    listener: trio.SocketListener
    nursery: trio.Nursery
    done: trio.Event
    errors: list[tuple[str, Exception]]
    streams: list[trio.SocketStream] = field(factory=list)

    async def connect(self) -> Client:
        """A new connection, closed at the end of the test."""
        self.streams.append(await trio.open_tcp_stream("127.0.0.1", self.number))
        return Client(self.streams[-1])

    def close(self) -> None:
        """Close every connection that was made."""
        for stream in self.streams:
            stream.socket.close()


@asynccontextmanager
async def running(
    app: ASGIApp = hello,
    on_socket: OnSocket = echo,
    limits: Limits | None = None,
    tls: ssl.SSLContext | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Running]:
    """Serve for the time of the context."""
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    errors: list[tuple[str, Exception]] = []
    done = trio.Event()

    async def run() -> None:
        await serve(
            [listener],
            app,
            on_socket,
            limits,
            tls=tls,
            clock=clock,
            on_error=lambda where, exc: errors.append((where, exc)),
        )
        done.set()

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            here = Running(listener.socket.getsockname()[1], listener, nursery, done, errors)
            try:
                yield here
            finally:
                here.close()
                nursery.cancel_scope.cancel()


async def test_http_and_websocket_share_one_port() -> None:
    async with running() as here:
        client = await here.connect()
        await client.send(GET)
        assert (await client.response()).body == b"/a"
        async with open_websocket_url(f"ws://127.0.0.1:{here.number}/any/path") as socket:
            await socket.send_message("hällo")
            assert await socket.get_message() == "hällo"
            await socket.send_message(b"bytes")
            assert await socket.get_message() == "bytes"
        await client.send(GET)
        assert (await client.response()).body == b"/a"
        assert here.errors == []


async def test_a_message_of_megabytes_comes_back_whole() -> None:
    async def handler(socket: Socket) -> None:
        socket.limit(10_000_000)
        await echo(socket)

    async with running(on_socket=handler) as here:
        url = f"ws://127.0.0.1:{here.number}/"
        async with open_websocket_url(url, max_message_size=10_000_000) as socket, trio.open_nursery() as nursery:
            text = "ä" * 3_000_000
            nursery.start_soon(socket.send_message, text)
            assert await socket.get_message() == text


async def test_a_body_of_megabytes_comes_back_whole() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await answer(send, await body_of(receive))

    async with running(app, limits=Limits(body_bytes=5_000_000)) as here:
        client = await here.connect()
        body = bytes(range(250)) * 20_000
        async with trio.open_nursery() as nursery:
            raw = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            nursery.start_soon(client.send, raw)
            assert (await client.response("POST")).body == body


async def test_a_refusal_reaches_a_client_that_is_still_sending() -> None:
    async with running() as here:
        client = await here.connect()
        await client.send(b"POST /a HTTP/1.1\r\nHost: here\r\nX:" + b"x" * 500_000)
        assert (await client.response()).status == 431


async def test_a_close_frame_reaches_a_peer_that_is_still_sending() -> None:
    async with running() as here:
        client = await here.connect()
        await client.open()
        await client.send(frame(1, b"x" * 500_000))
        assert await client.closed() == (1009, "")


async def test_closing_the_listener_lets_its_connections_go_on_to_their_end() -> None:
    async with running() as here:
        client = await here.connect()
        await client.open()
        await here.listener.aclose()
        await trio.testing.wait_all_tasks_blocked()
        await client.send(frame(1, b"still here"))
        assert await client.frame() == (1, b"still here")
        with pytest.raises(OSError, match="connect"):
            await here.connect()
        assert not here.done.is_set()
        await client.stream.aclose()
        await here.done.wait()


async def test_cancelling_ends_all_connections() -> None:
    async with running() as here:
        client, idle = await here.connect(), await here.connect()
        await client.open()
        here.nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            assert await client.end() == b""
            assert await idle.end() == b""


async def test_peers_beyond_the_limit_are_turned_away_until_there_is_room() -> None:
    async with running(limits=Limits(connections=1)) as here:
        first, second = await here.connect(), await here.connect()
        await first.send(GET)
        await first.response()
        assert (await second.response()).status == 503
        assert await second.end() == b""
        await first.stream.aclose()
        await trio.testing.wait_all_tasks_blocked(0.05)
        third = await here.connect()
        await third.send(GET)
        assert (await third.response()).status == 200


async def test_one_address_gets_only_its_share_and_loopback_all(autojump_clock: MockClock) -> None:
    gate = port(limits=Limits(connections=5, connections_per_address=1), errors=[])
    far, other, near = Peer("203.0.113.7"), Peer("203.0.113.8"), Peer("127.0.0.1", loopback=True)
    async with trio.open_nursery() as nursery:
        answers = []
        for peer in (far, other, near, near, far):
            ours, theirs = memory_stream_pair()
            nursery.start_soon(gate.admit, theirs, peer)
            client = Client(ours)
            await client.send(GET)
            answers.append((await client.response()).status)
        assert answers == [200, 200, 200, 200, 503]
        assert gate.total == 4
        nursery.cancel_scope.cancel()
    assert gate.total == 0


@pytest.mark.parametrize(
    "raw", [GET * 3, UPGRADE + frame(1, b"x") + frame(9) + frame(8, b"\x03\xe8"), b"wrong\r\n\r\n"]
)
async def test_a_connection_that_is_cancelled_anywhere_leaves_nothing_behind(
    raw: bytes, autojump_clock: MockClock
) -> None:
    for steps in range(60):
        errors: list[tuple[str, Exception]] = []
        gate = port(errors=errors)
        ours, theirs = lockstep_stream_pair()
        async with trio.open_nursery() as nursery:
            client = Client(ours)
            nursery.start_soon(gate.admit, theirs, Peer("203.0.113.7"))
            nursery.start_soon(client.send, raw)
            nursery.start_soon(client.end)
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        assert (gate.total, errors) == (0, [])
        with pytest.raises(trio.ClosedResourceError):
            await theirs.send_all(b"x")


async def test_an_app_that_fails_leaves_the_others_alone() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["path"] == "/bad":
            raise ValueError("secret")
        await hello(scope, receive, send)

    async with running(app) as here:
        good, bad = await here.connect(), await here.connect()
        await bad.send(b"GET /bad HTTP/1.1\r\nHost: here\r\n\r\n")
        assert (await bad.response()).status == 500
        await good.send(GET)
        assert (await good.response()).status == 200
        assert [where for where, _ in here.errors] == ["GET /bad"]


class Tuesday:
    """A clock that stands."""

    def wall(self) -> int:
        return 784_111_777_999

    def mono(self) -> int:
        return 0


async def test_responses_are_dated_by_the_clock_unless_the_app_says_otherwise() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        headers = [(b"date", b"mine")] if scope["path"] == "/mine" else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async with running(app, clock=Tuesday()) as here:
        client = await here.connect()
        await client.send(GET + GET.replace(b"/a", b"/mine"))
        first, second = await client.responses("GET", "GET")
        assert (first.headers["date"], second.headers["date"]) == ("Sun, 06 Nov 1994 08:49:37 GMT", "mine")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of this machine's own, and its key."""
    return self_signed(tmp_path_factory.mktemp("tls"))


async def secured(here: Running, certificate: Path) -> Client:
    """A new connection with TLS."""
    context = ssl.create_default_context(cafile=str(certificate))
    await here.connect()
    secure = trio.SSLStream(here.streams[-1], context, server_hostname="localhost", https_compatible=True)
    await secure.do_handshake()
    return Client(secure)  # type: ignore[arg-type]  # half a close is not asked of it


async def test_both_are_spoken_over_tls(certificate: tuple[Path, Path]) -> None:
    seen: list[object] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        seen.append(scope["scheme"])
        await answer(send, b"x" * 200_000)

    async def handler(socket: Socket) -> None:
        seen.append(socket.secure)
        await echo(socket)

    async with running(app, handler, tls=tls_context(*certificate)) as here:
        client = await secured(here, certificate[0])
        await client.send(GET)
        assert len((await client.response()).body) == 200_000
        await client.open()
        await client.send(frame(1, b"x" * 60_000))
        assert await client.frame() == (1, b"x" * 60_000)
        await client.send(frame(1, b"x" * 70_000))
        assert await client.closed() == (1009, "")
        assert seen == ["https", True]
        assert here.errors == []


@pytest.mark.parametrize("first", [GET, b"\x16\x03\x01"])
async def test_a_peer_that_speaks_no_tls_is_let_go(certificate: tuple[Path, Path], first: bytes) -> None:
    async with running(tls=tls_context(*certificate), limits=Limits(handshake_seconds=0.2)) as here:
        client = await here.connect()
        await client.send(first)
        assert GET not in await client.end()
        assert here.errors == []


def test_a_certificate_that_cannot_be_read_is_named(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.pem"):
        tls_context(tmp_path / "nowhere.pem", certificate[1])
    (tmp_path / "odd.pem").write_text("hello")
    with pytest.raises(InputError, match=r"odd\.pem"):
        tls_context(tmp_path / "odd.pem", certificate[1])
    with pytest.raises(InputError, match=r"cert\.pem"):
        tls_context(certificate[0], certificate[0])


class Named:
    """The part of a socket stream that says who is there."""

    def __init__(self, peer: tuple[object, ...], here: tuple[object, ...]) -> None:
        self.socket = self
        self.getpeername = lambda: peer
        self.getsockname = lambda: here


@pytest.mark.parametrize(
    ("name", "address", "loopback"),
    [
        (("127.0.0.1", 5), "127.0.0.1", True),
        (("127.8.9.1", 5), "127.8.9.1", True),
        (("::1", 5, 0, 0), "::1", True),
        (("::ffff:127.0.0.1", 5, 0, 0), "127.0.0.1", True),
        (("::ffff:203.0.113.7", 5, 0, 0), "203.0.113.7", False),
        (("203.0.113.7", 5), "203.0.113.7", False),
        (("fe80::1%eth0", 5, 0, 2), "fe80::1", False),
    ],
)
def test_the_peer_is_known_by_its_address(name: tuple[object, ...], address: str, loopback: bool) -> None:
    peer = peer_of(Named(name, ("::", 80, 0, 0)), secure=False)  # type: ignore[arg-type]  # all that is asked of it
    assert (peer.address, peer.port, peer.loopback, peer.here) == (address, 5, loopback, ("::", 80))


@asynccontextmanager
async def joined() -> AsyncIterator[tuple[EagerStream, trio.SocketStream]]:
    """An eager stream and the other end of it."""
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    other = await trio.testing.open_stream_to_socket_listener(listener)
    async with listener, other, EagerStream(await listener.accept()) as eager:
        yield eager, other


async def test_an_eager_stream_carries_what_a_plain_one_does() -> None:
    async with joined() as (eager, other), trio.open_nursery() as nursery:
        data = bytes(range(256)) * 20_000
        nursery.start_soon(eager.send_all, data)
        got = b""
        while len(got) < len(data):
            got += await other.receive_some()
        assert got == data
        nursery.start_soon(other.send_all, data)
        got = b""
        while len(got) < len(data):
            got += await eager.receive_some()
        assert got == data


async def test_an_eager_stream_that_is_always_ready_lets_the_others_have_their_turn() -> None:
    turns = 0

    async def other_task() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with joined() as (eager, other), trio.open_nursery() as nursery:
        nursery.start_soon(other_task)
        await other.send_all(b"x" * 1000)
        for _ in range(500):
            await eager.receive_some(1)
            await eager.send_all(b"y")
        assert turns >= 10
        nursery.cancel_scope.cancel()


async def test_an_eager_stream_says_who_closed_it() -> None:
    async with joined() as (eager, other):
        await other.send_eof()
        assert await eager.receive_some() == b""
        await other.aclose()
        with pytest.raises(trio.BrokenResourceError):
            for _ in range(100):
                await eager.send_all(b"x" * 100_000)
        await eager.aclose()
        for _ in range(2):
            with pytest.raises(trio.ClosedResourceError):
                await eager.receive_some()
            with pytest.raises(trio.ClosedResourceError):
                await eager.send_all(b"x")


async def test_an_eager_stream_that_is_closed_wakes_its_reader() -> None:
    async with joined() as (eager, _), trio.open_nursery() as nursery:

        async def read() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await eager.receive_some()

        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        await eager.aclose()


async def test_a_read_that_is_cancelled_loses_nothing() -> None:
    async with joined() as (eager, other):
        with trio.move_on_after(0):
            await eager.receive_some()
        await other.send_all(b"kept")
        assert await eager.receive_some() == b"kept"
