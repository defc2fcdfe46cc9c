"""One connection: it shakes hands or is shown out, its requests are answered, and who does not read is let go."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from runtime.errors import LocalError
from runtime.gateway import devices
from runtime.gateway import link as module
from runtime.gateway.devices import Claim
from runtime.gateway.frames import GatewayError, event
from runtime.gateway.link import BUSY, FIRST_BYTES, FIRST_SECONDS, HELLO_SECONDS, MOST_BYTES, SEND_SECONDS, Connection
from runtime.gateway.registry import ANSWERED, Call, Method
from runtime.gateway.scopes import ROLE_STRIKES
from tests.fakes.clients import DEVICE, KEY, RAW, b64, params
from tests.fakes.gateway import House, serving
from tests.fakes.sockets import FakeSocket
from tests.fakes.world import text

FAMILIES = ("chat", "runs", "status")
METHOD = "health"
"""A method of the table whose handler these tests replace: everybody may call it."""


@asynccontextmanager
async def connected(house: House, socket: FakeSocket | None = None, **changes: Any) -> AsyncIterator[FakeSocket]:
    """A connection that runs, and has said hello unless its peer has to say something else first."""
    socket = socket or FakeSocket()
    async with trio.open_nursery() as nursery:
        connection = Connection(house.desk, socket, house.desk.chance.uuid())
        nursery.start_soon(connection.run)
        socket.ask("c", "connect", params(**changes))
        await socket.answer("c")
        yield socket
        socket.reads = True
        socket.hang_up()


async def first(house: House, frame: Any, **about: Any) -> FakeSocket:
    """Let a connection that begins with this frame come to its end."""
    socket = FakeSocket(**about)
    if frame is not None:
        socket.say(frame)
    with trio.fail_after(60):
        await Connection(house.desk, socket, "x").run()
    return socket


def handled(house: House, handler: Any) -> None:
    """Let the method of these tests do this."""
    house.desk.registry.methods[METHOD] = Method(METHOD, handler)


# --- shaking hands


async def test_a_client_with_the_token_is_told_hello(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house, connected(house) as socket:
        challenge, hello = socket.frames[:2]
        assert challenge["event"] == "connect.challenge"
        assert set(challenge["payload"]) >= {"nonce", "ts"}
        assert "seq" not in challenge
        assert (hello["id"], hello["ok"], hello["payload"]["type"]) == ("c", True, "hello-ok")
        assert len(house.desk.connections) == len(house.desk.hub.links) == 1
        assert socket.limits == [FIRST_BYTES, MOST_BYTES]


async def test_who_says_nothing_is_let_go(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        socket = await first(house, None)
        assert socket.closed == (1000, "")
        assert trio.current_time() == pytest.approx(FIRST_SECONDS)
        assert len(socket.sent) == 1


@pytest.mark.parametrize(
    ("frame", "code", "reason"),
    [
        ("not json", 1000, ""),
        (b"\xff\xfe", 1000, ""),
        ("[]", 1008, "invalid request frame"),
        ('{"type":"event","event":"x"}', 1008, "invalid request frame"),
        ('{"type":"req","id":7,"method":"connect"}', 1008, "invalid request frame"),
        ("[" * 20_000, 1008, "invalid request frame"),
        (json.dumps("x" * FIRST_BYTES), 1009, ""),
    ],
)
async def test_what_is_no_request_is_not_answered(
    autojump_clock: MockClock, frame: str | bytes, code: int, reason: str
) -> None:
    async with serving(families=FAMILIES) as house:
        socket = await first(house, frame)
        assert socket.closed == (code, reason)
        assert len(socket.sent) == 1
        assert house.desk.connections == {}


@pytest.mark.parametrize(
    ("frame", "code", "detail"),
    [
        ({"type": "req", "id": "c", "method": "health"}, "INVALID_REQUEST", None),
        ({"type": "req", "id": "c", "method": "connect", "params": {}}, "INVALID_REQUEST", None),
        (
            {"type": "req", "id": "c", "method": "connect", "params": params(auth={"token": "wrong"})},
            "INVALID_REQUEST",
            "AUTH_TOKEN_MISMATCH",
        ),
        (
            {"type": "req", "id": "c", "method": "connect", "params": params(role="king")},
            "INVALID_REQUEST",
            None,
        ),
    ],
)
async def test_who_is_not_let_in_is_told_why(
    autojump_clock: MockClock, frame: dict[str, Any], code: str, detail: str | None
) -> None:
    async with serving(families=FAMILIES) as house:
        socket = await first(house, frame)
        (answer,) = socket.answers("c")
        assert answer["error"]["code"] == code
        assert (answer["error"].get("details") or {}).get("code") == detail
        assert socket.closed is not None
        assert socket.closed[0] == 1008
        assert house.desk.hub.links == {}


async def test_a_protocol_that_is_too_new_is_refused(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        asked = {"type": "req", "id": "c", "method": "connect", "params": params(minProtocol=5, maxProtocol=5)}
        socket = await first(house, asked)
        assert socket.closed is not None
        assert socket.closed[0] == 1002


async def test_headers_of_a_proxy_that_nobody_vouches_for_are_refused(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        asked = {"type": "req", "id": "c", "method": "connect", "params": params()}
        socket = await first(house, asked, headers={"host": "x", "x-forwarded-for": "1.2.3.4"})
        assert socket.closed == (1008, "untrusted proxy")


async def test_what_is_sent_behind_connect_is_answered_after_the_hello(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        socket = FakeSocket()
        async with trio.open_nursery() as nursery:
            socket.ask("c", "connect", params())
            socket.ask("h", "health")
            nursery.start_soon(Connection(house.desk, socket, "x").run)
            await socket.answer("h")
            socket.hang_up()
        assert [one["id"] for one in socket.frames if one["type"] == "res"] == ["c", "h"]


async def test_nothing_is_missed_between_the_hello_and_what_comes_after(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        socket = FakeSocket()
        async with trio.open_nursery() as nursery:
            socket.ask("c", "connect", params(client="openclaw-probe", mode="probe"))
            connection = Connection(house.desk, socket, "x")
            nursery.start_soon(connection.run)
            await socket.until(lambda one: one.sent)
            socket.reads = False
            await wait_all_tasks_blocked()
            assert house.desk.hub.links == {"x": connection}
            house.desk.hub.tell("tick", {"ts": 1}, lambda link: True)
            socket.reads = True
            await socket.until(lambda one: one.events("tick"))
            socket.hang_up()
        assert [one.get("event") or one["id"] for one in socket.frames][1:] == ["c", "tick"]


async def test_events_are_counted_from_one(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house, connected(house) as socket:
        for number in range(3):
            house.desk.hub.tell("tick", {"ts": number}, lambda link: True)
        await socket.until(lambda one: len(one.events("tick")) == 3)
        numbers = [one.get("seq") for one in socket.frames if one.get("type") == "event"]
        assert numbers == [None, *range(1, len(numbers))]


async def test_what_was_told_leaves_in_one_send_and_in_its_order(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house, connected(house) as socket:

        async def between(call: Call) -> Any:
            house.desk.hub.tell("tick", {"ts": 0}, lambda link: True)
            call.first({"first": True})
            house.desk.hub.tell("tick", {"ts": 1}, lambda link: True)
            return {"last": True}

        handled(house, between)
        await wait_all_tasks_blocked()
        seen, count = len(socket.sent), socket.sends
        socket.ask("1", METHOD)
        await wait_all_tasks_blocked()
        assert [one.get("event") or one["payload"] for one in socket.frames[seen:]] == [
            "tick",
            {"first": True},
            "tick",
            {"last": True},
        ]
        assert socket.sends == count + 1


async def test_no_more_leaves_at_a_time_than_may_but_a_large_frame_alone(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 1_000)
    async with serving(families=FAMILIES) as house, connected(house) as socket:
        await wait_all_tasks_blocked()
        seen, count = len(socket.sent), socket.sends
        for size in (300, 300, 5_000, 300, 800, 300):
            house.desk.hub.tell("tick", {"text": "x" * size}, lambda link: True)
        await wait_all_tasks_blocked()
        assert [len(one["payload"]["text"]) for one in socket.frames[seen:]] == [300, 300, 5_000, 300, 800, 300]
        assert socket.sends == count + 5


async def proven(socket: FakeSocket) -> dict[str, Any]:
    """What a device that is not paired yet sends: the gateway has to write down that it is, before it says hello."""
    challenge = (await socket.until(lambda one: one.events("connect.challenge")))[0]["payload"]
    whole = params("openclaw-tui", "ui")
    claim = Claim(
        client="openclaw-tui", mode="ui", role="operator", scopes=tuple(whole["scopes"]), token="T", platform="linux"
    )
    text = devices.proof_text("v3", DEVICE, claim, challenge["ts"], challenge["nonce"])
    proof = {"id": DEVICE, "publicKey": b64(RAW), "signature": b64(KEY.sign(text))}
    return {**whole, "device": {**proof, "signedAt": challenge["ts"], "nonce": challenge["nonce"]}}


async def test_a_new_device_on_this_machine_is_paired_and_gets_a_token(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        socket = FakeSocket()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Connection(house.desk, socket, "x").run)
            socket.ask("c", "connect", await proven(socket))
            hello = await socket.answer("c")
            assert hello["payload"]["auth"]["deviceToken"]
            assert DEVICE in house.desk.devices.shelf.items
            socket.hang_up()


async def test_a_disk_that_takes_nothing_turns_the_client_away_in_time(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        house.store.hold()
        socket = FakeSocket()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Connection(house.desk, socket, "x").run)
            socket.ask("c", "connect", await proven(socket))
        (answer,) = socket.answers("c")
        assert (answer["error"]["code"], answer["error"]["retryable"]) == ("UNAVAILABLE", True)
        assert socket.closed == (1013, "not now")
        assert trio.current_time() == pytest.approx(HELLO_SECONDS)
        house.store.release()


async def test_a_journal_that_breaks_turns_the_client_away_with_the_reason(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        house.store.fail("the disk is gone")
        socket = FakeSocket()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Connection(house.desk, socket, "x").run)
            socket.ask("c", "connect", await proven(socket))
        assert "the disk is gone" in socket.answers("c")[0]["error"]["message"]
        assert socket.closed == (1013, "not now")


async def test_who_shakes_hands_while_the_gateway_stops_is_told_to_go(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        house.store.hold()
        socket = FakeSocket()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Connection(house.desk, socket, "x").run)
            socket.ask("c", "connect", await proven(socket))
            await wait_all_tasks_blocked()
            house.desk.draining = True
            house.desk.hub.close(1012, "service restart")
            house.store.release()
        assert socket.answers("c")[0]["ok"]
        assert socket.closed == (1012, "service restart")


async def test_a_gateway_that_stops_lets_nobody_in(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        house.desk.draining = True
        socket = await first(house, {"type": "req", "id": "c", "method": "connect", "params": params()})
        assert socket.answers("c")[0]["error"]["code"] == "UNAVAILABLE"
        assert socket.closed is not None
        assert socket.closed[0] == 1013


# --- requests


async def test_requests_are_answered_when_they_are_done(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house, connected(house) as socket:

        async def sleep(call: Call) -> Any:
            await trio.sleep(5)
            return {"late": True}

        handled(house, sleep)
        socket.ask("1", METHOD)
        socket.ask("2", "status")
        await socket.answer("1")
        assert [one["id"] for one in socket.frames if one["type"] == "res"] == ["c", "2", "1"]


async def test_what_is_no_request_is_answered_as_such_and_the_connection_stays(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house, connected(house) as socket:
        socket.say("not json")
        socket.say("{}")
        socket.say({"type": "req", "id": "5"})
        socket.say({"type": "req", "id": "6", "method": "health", "more": 1})
        socket.say(b'{"type":"req","id":"7","method":"health"}')
        socket.say('{"type":"req","id":"deep","method":"health","params":' + "[" * 5_000 + "]" * 5_000 + "}")
        socket.ask("8", "health")
        await socket.answer("8")
        told = {one["id"]: one["ok"] for one in socket.frames if one["type"] == "res"}
        assert told.pop("invalid") is False
        assert told == {"c": True, "5": False, "6": False, "7": True, "8": True} | (
            {"deep": False} if "deep" in told else {}
        )
        assert socket.closed is None


@pytest.mark.parametrize(
    ("method", "given", "code", "text"),
    [
        ("connect", params(), "INVALID_REQUEST", "first request"),
        ("no.such.method", None, "INVALID_REQUEST", "unknown method"),
        ("node.event", {"event": "x"}, "INVALID_REQUEST", "unauthorized role"),
        ("chat.send", {"sessionKey": "main"}, "INVALID_REQUEST", "invalid chat.send params"),
    ],
)
async def test_a_request_that_cannot_be_served_says_why(
    autojump_clock: MockClock, method: str, given: Any, code: str, text: str
) -> None:
    async with serving(families=FAMILIES) as house, connected(house) as socket:
        socket.ask("1", method, given)
        answer = await socket.answer("1")
        assert answer["error"]["code"] == code
        assert text in answer["error"]["message"]
        assert socket.closed is None


async def test_a_scope_that_is_missing_is_named(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house, connected(house, scopes=["operator.read"]) as socket:
        socket.ask("1", "chat.send", {"sessionKey": "main", "message": "hi", "idempotencyKey": "r1"})
        answer = await socket.answer("1")
        assert answer["error"]["code"] == "FORBIDDEN"
        assert answer["error"]["details"]["missingScope"] == "operator.write"


async def test_a_request_for_another_account_is_not_served(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house, connected(house) as socket:
        socket.say({"type": "req", "id": "1", "method": "health", "expectedProfileId": "somebody"})
        answer = await socket.answer("1")
        assert answer["error"]["details"]["reason"] == "EXPECTED_PROFILE_MISMATCH"
        socket.say({"type": "req", "id": "2", "method": "health", "expectedProfileId": house.desk.profile})
        assert (await socket.answer("2"))["ok"]


async def test_a_handler_that_fails_fails_alone(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house, connected(house) as socket:

        async def fail(call: Call) -> Any:
            raise RuntimeError("a secret detail")

        handled(house, fail)
        socket.ask("1", METHOD)
        answer = await socket.answer("1")
        assert answer["error"] == {"code": "UNAVAILABLE", "message": "internal error"}
        assert "a secret detail" in house.desk.complaints[-1]
        socket.ask("2", "status")
        assert (await socket.answer("2"))["ok"]


@pytest.mark.parametrize("payload", [{1, 2}, {"x": object()}])
async def test_an_answer_that_cannot_be_written_is_a_fault_of_ours(autojump_clock: MockClock, payload: Any) -> None:
    async with serving(families=FAMILIES) as house, connected(house) as socket:

        async def odd(call: Call) -> Any:
            return payload

        handled(house, odd)
        socket.ask("1", METHOD)
        assert (await socket.answer("1"))["error"]["code"] == "UNAVAILABLE"


async def test_an_error_of_ours_says_what_it_is(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house, connected(house) as socket:

        async def fail(call: Call) -> Any:
            raise LocalError("the journal is closed")

        handled(house, fail)
        socket.ask("1", METHOD)
        assert (await socket.answer("1"))["error"] == {"code": "UNAVAILABLE", "message": "the journal is closed"}


async def test_a_handler_may_answer_twice_or_ahead_of_an_event(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house, connected(house) as socket:

        async def twice(call: Call) -> Any:
            call.first({"n": 1})
            call.desk.hub.tell("tick", {}, lambda link: True)
            return {"n": 2} if call.method == METHOD else ANSWERED

        handled(house, twice)
        house.desk.registry.methods["status"] = Method("status", twice)
        socket.ask("1", METHOD)
        await socket.until(lambda one: len(one.answers("1")) == 2)
        socket.ask("2", "status")
        await socket.until(lambda one: len(one.events("tick")) == 2)
        assert [one["payload"] for one in socket.answers("1")] == [{"n": 1}, {"n": 2}]
        assert [one["payload"] for one in socket.answers("2")] == [{"n": 1}]


async def test_too_many_requests_at_a_time_are_refused(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house, connected(house) as socket:
        gate = trio.Event()

        async def wait(call: Call) -> Any:
            await gate.wait()
            return {}

        handled(house, wait)
        for number in range(BUSY + 10):
            socket.ask(str(number), METHOD)
        await socket.until(lambda one: len(one.answers(str(BUSY + 9))) == 1)
        refused = [one for one in socket.frames if one["type"] == "res" and not one["ok"]]
        assert len(refused) == 10
        assert {one["error"]["retryAfterMs"] for one in refused} == {250}
        gate.set()
        await socket.until(lambda one: sum(frame.get("ok", False) for frame in one.frames) == BUSY + 1)
        socket.ask("again", METHOD)
        assert (await socket.answer("again"))["ok"]


async def test_who_keeps_calling_what_is_not_his_is_let_go(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house, connected(house) as socket:
        for number in range(ROLE_STRIKES):
            socket.ask(str(number), "node.event", {"event": "x"})
            await socket.answer(str(number))
        await trio.sleep(1)
        assert not socket.closed
        socket.ask("last", "node.event", {"event": "x"})
        closed = await socket.until(lambda one: one.closed)
        assert closed == (1008, "repeated unauthorized calls")
        assert socket.answers("last")


# --- the end


async def test_a_connection_that_is_closed_gets_what_was_meant_for_it_and_nothing_more(
    autojump_clock: MockClock,
) -> None:
    async with serving(families=FAMILIES) as house, connected(house) as socket:
        (connection,) = house.desk.connections.values()
        socket.reads = False
        connection.tell(event("tick", {"ts": 1}))
        connection.close(1012, "service restart")
        connection.close(1000, "another reason")
        connection.tell(event("tick", {"ts": 2}))
        socket.ask("late", "health")
        await wait_all_tasks_blocked()
        socket.reads = True
        await socket.until(lambda one: one.closed)
        assert socket.closed == (1012, "service restart")
        assert [one["payload"]["ts"] for one in socket.events("tick")] == [1]
        assert socket.answers("late") == []
        await wait_all_tasks_blocked()
        assert house.desk.connections == {}


async def test_who_does_not_read_is_let_go_and_nobody_else_waits(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUFFERED", 100_000)
    async with serving(families=FAMILIES) as house, connected(house) as lazy, connected(house) as eager:
        lazy.reads = False
        for number in range(200):
            house.desk.hub.tell("tick", {"n": number, "text": "x" * 1_000}, lambda link: True)
            await wait_all_tasks_blocked()
        assert len(eager.events("tick")) == 200
        assert lazy.closed == (1008, "slow consumer")
        assert lazy.events("tick") == []
        assert len(house.desk.connections) == 1
        assert house.desk.hub.dropped == 1


async def test_a_frame_that_does_not_leave_ends_the_connection(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        async with connected(house) as socket:
            socket.reads = False
            house.desk.hub.tell("tick", {}, lambda link: True)
            await trio.sleep(SEND_SECONDS + 1)
            assert house.desk.connections == {}


async def test_a_peer_that_is_gone_is_forgotten_with_all_that_was_its(autojump_clock: MockClock) -> None:
    told: list[str] = []
    part = SimpleNamespace(gone=lambda connection: told.append(connection.id))
    async with serving(families=FAMILIES, extras={"part": part}) as house:
        cancelled = trio.Event()

        async def wait(call: Call) -> Any:
            try:
                await trio.sleep_forever()
            finally:
                cancelled.set()

        handled(house, wait)
        async with connected(house) as socket:
            (name,) = house.desk.connections
            socket.ask("1", METHOD)
            await wait_all_tasks_blocked()
            socket.hang_up()
            await wait_all_tasks_blocked()
            assert cancelled.is_set()
            assert (house.desk.connections, house.desk.hub.links) == ({}, {})
            assert told == [name]


async def test_a_run_goes_on_when_its_client_is_gone(autojump_clock: MockClock) -> None:
    async with serving([3.0, text("Hi.")], families=FAMILIES) as house:
        async with connected(house) as socket:
            given = {"sessionKey": "main", "message": "hi", "idempotencyKey": "r1"}
            socket.ask("1", "agent", given)
            assert (await socket.answer("1"))["payload"]["status"] == "accepted"
        run = await house.desk.runs.wait("r1", 60)
        assert run is not None
        assert run.status == "ok"


async def test_capabilities_and_scopes_are_what_the_handshake_granted(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        async with connected(house, scopes=["operator.write"], caps=["tool-events"]):
            (connection,) = house.desk.connections.values()
            assert connection.scopes >= {"operator.write", "operator.read"}
            assert connection.caps == {"tool-events"}
            assert connection.client_id == "gateway-client"
        assert Connection(house.desk, FakeSocket(), "y").client_id == ""


async def test_an_error_keeps_its_details_on_the_wire(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house, connected(house) as socket:

        async def fail(call: Call) -> Any:
            raise GatewayError("UNAVAILABLE", "no", details={"reason": "x"}, payload={"status": "error"})

        handled(house, fail)
        socket.ask("1", METHOD)
        answer = await socket.answer("1")
        assert answer["payload"] == {"status": "error"}
        assert answer["error"]["details"] == {"reason": "x"}


async def test_who_would_rather_wait_than_fill_the_buffer_is_told_when_there_is_room(
    autojump_clock: MockClock,
) -> None:
    async with serving(families=FAMILIES) as house, connected(house) as socket:
        (connection,) = house.desk.connections.values()
        await connection.eased(0)
        socket.reads = False
        for _ in range(10):
            connection.tell(event("x", "y" * 1_000))
        connection.flush()
        with trio.move_on_after(1) as early:
            await connection.eased(3_000)
        assert early.cancelled_caught
        socket.reads = True
        await connection.eased(3_000)
        assert connection._size <= 3_000
