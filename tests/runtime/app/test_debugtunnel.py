"""`twinstep attach --url` at peers that speak as a gateway does, and at such as do not."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import define, evolve, field
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from debugger.client import Client
from debugger.protocol import VERSION, Failure, Hello, Role
from runtime.app.debugaddress import Address
from runtime.app.debugtunnel import connect
from runtime.gateway.devices import Claim, proof_text, raw_key, signed
from runtime.gateway.frames import FORBIDDEN, UNAVAILABLE
from runtime.gateway.scopes import DEBUG_SCOPES

Frame = dict[str, Any]
CHALLENGE: Frame = {"type": "event", "event": "connect.challenge", "payload": {"nonce": "n", "ts": 7}}
METHODS = ["health", "debug.help", "debug.status"]


def hello_ok(**changes: Any) -> Frame:
    """What a gateway says to whom it lets in."""
    made: Frame = {
        "server": {"version": "1", "connId": "k1"},
        "features": {"methods": METHODS},
        "auth": {"scopes": list(DEBUG_SCOPES)},
        "policy": {"tickIntervalMs": 30_000},
    }
    return made | changes


def granted(asked: Frame) -> Frame:
    """An answer that says nothing more."""
    return {}


@define(eq=False)
class Gateway:
    """A gateway as it is seen on the wire. `answers` are by method: a payload, or an error with `code`."""

    answers: dict[str, Callable[[Frame], Frame]]
    first: Frame = field(factory=lambda: CHALLENGE)
    asked: list[Frame] = field(factory=list)
    socket: WebSocketConnection | None = None
    port: int = 0
    gone: trio.Event = field(factory=trio.Event)

    async def serve(self, request: WebSocketRequest) -> None:
        """Serve one connection."""
        self.socket = socket = await request.accept()
        try:
            await self.tell(self.first)
            while True:
                frame = json.loads(await socket.get_message())
                self.asked.append(frame)
                answer = self.answers.get(frame["method"], granted)(frame)
                ok = "message" not in answer
                await self.tell({"type": "res", "id": frame["id"], "ok": ok, ("payload" if ok else "error"): answer})
        except ConnectionClosed:
            self.gone.set()

    async def tell(self, frame: Frame) -> None:
        """Send a frame."""
        assert self.socket is not None
        await self.socket.send_message(json.dumps(frame))

    def params(self, method: str, nth: int = -1) -> Frame:
        """The params of a request that came."""
        params: list[Frame] = [one["params"] for one in self.asked if one["method"] == method]
        return params[nth]


@asynccontextmanager
async def listening(handler: Callable[[trio.SocketStream], Awaitable[None]]) -> AsyncIterator[int]:
    """A peer on a port of this machine."""
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, handler, 0)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def gateway(answers: dict[str, Callable[[Frame], Frame]] | None = None, **more: Any) -> AsyncIterator[Gateway]:
    """A gateway, with answers besides that to `connect`."""
    made = Gateway({"connect": lambda asked: hello_ok(), **(answers or {})}, **more)
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve_websocket, made.serve, "127.0.0.1", 0, None)
        made.port = server.port
        yield made
        nursery.cancel_scope.cancel()


def at(port: int, **more: Any) -> Address:
    """A gateway on this machine."""
    return Address(url=f"ws://127.0.0.1:{port}", host="127.0.0.1", port=port, path="/", key=Path("nowhere"), **more)


def hello(role: Role = "mutator") -> Hello:
    """Who comes."""
    return Hello(VERSION, "test", "ann", role)


@asynccontextmanager
async def debugging(address: Address, role: Role = "mutator", seconds: float = 15.0) -> AsyncIterator[Client]:
    """A client through the tunnel."""
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            client = await connect(address, hello(role), nursery, seconds)
            nursery.start_soon(client.run)
            yield client
            await client.aclose()
            nursery.cancel_scope.cancel()


async def refused(address: Address, role: Role = "mutator", seconds: float = 15.0) -> Failure:
    """Come in where that is refused."""
    async with trio.open_nursery() as nursery:
        with pytest.raises(Failure) as caught:
            await connect(address, hello(role), nursery, seconds)
        nursery.cancel_scope.cancel()
    assert str(caught.value).startswith(f"{address.url}: ")
    assert str(caught.value).count(address.url) == 1
    assert "\n" not in str(caught.value)
    return caught.value


# --- what comes through


async def test_requests_answers_and_events_come_through() -> None:
    async with gateway({"debug.status": lambda asked: {"held": True, "at": 17}}) as peer:
        async with debugging(at(peer.port, token="T")) as client:
            assert (client.role, client.welcome.user, client.welcome.connection) == ("mutator", "cli", "k1")
            assert await client.request("status", {"session": "s"}) == {"held": True, "at": 17}
            assert peer.params("debug.status") == {"session": "s"}
            await peer.tell({"type": "event", "event": "tick", "payload": {"ts": 1}})
            await peer.tell(
                {"type": "event", "event": "debug", "payload": {"n": 9, "event": "closed", "data": {"session": "s"}}}
            )
            event = await anext(aiter(client))
            assert (event.number, event.name, event.data) == (1, "closed", {"session": "s"})
    said = peer.params("connect")
    assert said["scopes"] == list(DEBUG_SCOPES[:3])
    assert said["auth"] == {"token": "T"}
    assert "device" not in said


@pytest.mark.parametrize(
    ("error", "code", "where"),
    [
        ({"code": "INVALID_REQUEST", "details": {"code": "moved", "at": "params.at"}}, "moved", "with.at"),
        ({"code": "INVALID_REQUEST", "details": {"code": "bad_params", "at": "params"}}, "bad_params", "with"),
        ({"code": FORBIDDEN}, "forbidden", ""),
        ({"code": UNAVAILABLE, "details": None}, "unavailable", ""),
        ({"code": 7, "details": {"code": 7, "at": 7}}, "refused", ""),
    ],
)
async def test_errors_come_through_with_their_code_and_place(error: Frame, code: str, where: str) -> None:
    async with (
        gateway({"debug.status": lambda asked: {"message": "no", **error}}) as peer,
        debugging(at(peer.port)) as client,
    ):
        with pytest.raises(Failure, match="no") as caught:
            await client.request("status", {"session": "s"})
        assert (caught.value.code, caught.value.at) == (code, where)


async def test_what_the_table_refuses_does_not_reach_the_gateway() -> None:
    async with gateway() as peer, debugging(at(peer.port), "observer") as client:
        with pytest.raises(Failure) as caught:
            await client.request("pause", {"session": "s"})
        assert caught.value.code == "forbidden"
        assert [one["method"] for one in peer.asked] == ["connect", "debug.help"]


async def test_when_the_gateway_ends_it_the_client_is_told_why() -> None:
    async with gateway() as peer, debugging(at(peer.port)) as client:
        assert peer.socket is not None
        await peer.socket.aclose(1012, "service restart")
        with trio.fail_after(10):
            assert [one async for one in client] == []
        assert str(client.ended) == "the gateway ended the connection (1012 service restart)"


async def test_a_gateway_that_says_nothing_for_several_ticks_is_gone() -> None:
    quiet = {"connect": lambda asked: hello_ok(policy={"tickIntervalMs": 20})}
    async with gateway(quiet) as peer, debugging(at(peer.port)) as client:
        with trio.fail_after(10):
            assert [one async for one in client] == []
        assert str(client.ended) == "the gateway has said nothing for 0.06 seconds"


@pytest.mark.parametrize("text", ["[1]", "no JSON"])
async def test_a_gateway_that_stops_to_speak_as_one_is_left(text: str) -> None:
    async with gateway() as peer, debugging(at(peer.port)) as client:
        assert peer.socket is not None
        await peer.socket.send_message(text)
        with trio.fail_after(10):
            assert [one async for one in client] == []
        assert str(client.ended) == "the gateway sent what is no frame"


async def test_when_the_client_leaves_the_gateway_is_told() -> None:
    async with gateway() as peer:
        async with debugging(at(peer.port)):
            pass
        with trio.fail_after(10):
            await peer.gone.wait()


# --- devices


async def test_where_the_secret_is_not_enough_a_device_proves_itself(tmp_path: Path) -> None:
    answers = {"connect": lambda asked: hello_ok() if "device" in asked["params"] else hello_ok(auth={"scopes": []})}
    async with gateway(answers) as peer:
        for _ in range(2):  # the second time with the same key
            async with debugging(evolve(at(peer.port, token="T"), key=tmp_path / "below" / "key")) as client:
                assert client.welcome.user.startswith("cli:")
    devices = [peer.params("connect", nth)["device"] for nth in (1, 3)]
    assert devices[0]["id"] == devices[1]["id"]
    assert (tmp_path / "below" / "key").stat().st_mode & 0o777 == 0o600
    said, proof = peer.params("connect"), devices[1]
    claim = Claim(
        client=said["client"]["id"],
        mode=said["client"]["mode"],
        role=said["role"],
        scopes=tuple(said["scopes"]),
        token="T",
        platform=said["client"]["platform"],
    )
    raw = raw_key(proof["publicKey"])
    assert raw is not None
    assert (proof["nonce"], proof["signedAt"]) == ("n", 7)
    assert signed(raw, proof_text("v3", proof["id"], claim, 7, "n"), proof["signature"])


def refusal(code: str, **details: Any) -> Callable[[Frame], Frame]:
    """What `connect` is refused with."""
    return lambda asked: {"code": "INVALID_REQUEST", "message": "why", "details": {"code": code, **details}}


async def test_a_device_that_is_not_known_says_how_it_is_let_in(tmp_path: Path) -> None:
    def answer(asked: Frame) -> Frame:
        if "device" not in asked["params"]:
            return refusal("DEVICE_IDENTITY_REQUIRED")(asked)
        return refusal("PAIRING_REQUIRED", requestId="r-1", deviceId="d" * 64)(asked)

    async with gateway({"connect": answer}) as peer:
        why = await refused(evolve(at(peer.port, token="T"), key=tmp_path / "key"))
    assert "does not know this machine yet (device dddddddd)" in str(why)
    assert "--approve r-1`" in str(why)


# --- what is said where it does not work


@pytest.mark.parametrize(
    ("secret", "code", "why"),
    [
        ({}, "AUTH_TOKEN_MISSING", "wants a token: give --token-file, or OPENCLAW_GATEWAY_TOKEN in the environment."),
        ({"token": "T"}, "AUTH_TOKEN_MISMATCH", "does not take this token."),
        ({"password": "P"}, "AUTH_PASSWORD_MISMATCH", "does not take this password."),
        ({"token": "T"}, "AUTH_RATE_LIMITED", "does not let us in: why."),
        ({"token": "T"}, "DEVICE_AUTH_SIGNATURE_INVALID", "does not let us in: why."),
    ],
)
async def test_who_is_not_let_in_is_told_why(secret: dict[str, str], code: str, why: str) -> None:
    async with gateway({"connect": refusal(code)}) as peer:
        found = await refused(at(peer.port, **secret))
        assert str(found) == f"ws://127.0.0.1:{peer.port}: {why}"
        assert found.code == "denied"


@pytest.mark.parametrize(
    ("role", "changes", "why"),
    [
        ("mutator", {"features": {"methods": ["health"]}}, "does not serve the debugger; it has to be started with"),
        ("mutator", {"features": None}, "does not serve the debugger"),
        ("override", {"auth": {"scopes": list(DEBUG_SCOPES[:2])}}, "gives the role driver at most; ask for it with"),
        ("driver", {"auth": {"scopes": [DEBUG_SCOPES[0]]}}, "refuses the role driver over WebSocket"),
        ("driver", {"auth": {"scopes": ["operator.admin"]}}, "it gives no role"),
    ],
)
async def test_who_may_not_debug_there_is_told_so(role: Role, changes: Frame, why: str, tmp_path: Path) -> None:
    async with gateway({"connect": lambda asked: hello_ok(**changes)}) as peer:
        assert why in str(await refused(evolve(at(peer.port), key=tmp_path / "key"), role))


async def test_what_the_debugger_says_of_whoever_comes_is_passed_on() -> None:
    tool = {"debug.help": lambda asked: {"code": FORBIDDEN, "message": "a process that an agent started"}}
    async with gateway(tool) as peer:
        assert "does not let us debug: a process that an agent started." in str(await refused(at(peer.port)))


async def answers_http(stream: trio.SocketStream) -> None:
    await stream.receive_some()
    await stream.send_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 3\r\n\r\nno\n")


async def hangs_up(stream: trio.SocketStream) -> None:
    await stream.receive_some()


async def says_nothing(stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


@pytest.mark.parametrize(
    ("peer", "code", "why"),
    [
        (answers_http, "closed", "is no gateway; it answers HTTP 404 where a WebSocket was asked for."),
        (hangs_up, "closed", "is no gateway; it ended the connection before it was one."),
        (says_nothing, "late", "did not answer as a gateway within 0.2 seconds."),
    ],
)
async def test_what_is_no_gateway_is_told_apart(peer: Any, code: str, why: str) -> None:
    async with listening(peer) as port:
        found = await refused(at(port), seconds=0.2 if code == "late" else 15.0)
        assert (found.code, str(found)) == (code, f"ws://127.0.0.1:{port}: {why}")


async def test_where_nobody_listens_that_is_said() -> None:
    async with listening(hangs_up) as port:
        pass
    found = await refused(at(port))
    assert "nobody answers there" in str(found)
    assert "refused" in str(found)


NO_CHALLENGE: list[Frame] = [
    {"type": "event", "event": "tick"},
    {"type": "hello"},
    CHALLENGE | {"payload": [1]},
    CHALLENGE | {"payload": "n"},
    CHALLENGE | {"payload": {"nonce": 5}},
]


@pytest.mark.parametrize("first", NO_CHALLENGE)
async def test_a_websocket_that_is_no_gateway_is_told_apart(first: Frame) -> None:
    async with gateway(first=first) as peer:
        assert "speaks WebSocket, but not as a gateway does." in str(await refused(at(peer.port)))


STRANGE: list[tuple[Frame, str]] = [
    ({"server": "x", "policy": 5}, ""),
    ({"server": [1], "policy": {"tickIntervalMs": 10**400}}, ""),
    ({"features": []}, "does not serve the debugger"),
    ({"features": {"methods": 5}}, "does not serve the debugger"),
    ({"auth": {"scopes": 5}}, "gives no role"),
    ({"auth": {"scopes": [[]]}}, "gives no role"),
]


@pytest.mark.parametrize(("changes", "why"), STRANGE)
async def test_a_hello_of_another_form_is_read_as_far_as_it_can_be(changes: Frame, why: str, tmp_path: Path) -> None:
    async with gateway({"connect": lambda asked: hello_ok(**changes)}) as peer:
        address = evolve(at(peer.port), key=tmp_path / "key")
        if why:
            assert why in str(await refused(address))
        else:
            async with debugging(address) as client:
                assert await client.request("status", {"session": "s"}) == {}


REFUSALS: list[tuple[Frame, str]] = [
    ({"message": "a\x1b[2Jb\n\nc"}, "does not let us in: ab c."),
    ({"message": ["x"]}, "does not let us in: something that is no text."),
    ({"message": "x" * 10_000}, f"does not let us in: {'x' * 399}…."),
    (
        {"message": "x", "details": {"code": "PAIRING_REQUIRED", "requestId": "r`; rm -r .", "deviceId": "d"}},
        "does not know this machine yet, and names its request as no gateway does.",
    ),
]


@pytest.mark.parametrize(("error", "said"), REFUSALS)
async def test_what_a_refusal_says_is_safe_to_show_and_to_type(error: Frame, said: str) -> None:
    async with gateway({"connect": lambda asked: error}) as peer:
        found = await refused(at(peer.port))
        assert str(found) == f"ws://127.0.0.1:{peer.port}: {said}"


@pytest.mark.parametrize("name", ["9" * 5_000, "²", "one", ""])
async def test_a_response_to_nothing_is_passed_over(name: str) -> None:
    async with gateway() as peer, debugging(at(peer.port)) as client:
        await peer.tell({"type": "res", "id": name, "ok": True, "payload": {}})
        assert await client.request("status", {"session": "s"}) == {}


async def test_an_answer_with_a_number_that_is_none_ends_it_with_the_reason() -> None:
    async with gateway({"debug.status": lambda asked: {"a": float("nan")}}) as peer, debugging(at(peer.port)) as client:
        with pytest.raises(Failure) as caught:
            await client.request("status", {"session": "s"})
        assert "the gateway sent what is no frame" in str(caught.value)
