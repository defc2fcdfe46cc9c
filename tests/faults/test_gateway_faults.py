"""What goes wrong around a gateway: peers that do not read, do not answer or do not stop, a disk that is full, a clock
that jumps, and an end at any moment."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from attrs import define, evolve
from trio.testing import MockClock, wait_all_tasks_blocked

from runtime.config.openclaw.model import Queue
from runtime.gateway import link as module
from runtime.gateway.auth import Limiter
from runtime.gateway.frames import GatewayError
from runtime.gateway.http import Limits
from runtime.gateway.keeping import KEEP_SECONDS
from runtime.gateway.link import FIRST_BYTES, Connection
from runtime.gateway.registry import Call, Method
from runtime.gateway.sockets import Socket
from runtime.sessions.session import LANE_MESSAGES
from runtime.stores.memory import Kept
from tests.fakes.clients import params
from tests.fakes.gateway import House, serving
from tests.fakes.sockets import FakeSocket
from tests.fakes.wire_peer import Client, frame, talking
from tests.fakes.world import CountingChance, TrioClock, text

FAMILIES = ("chat", "runs", "status")
KEY = "agent:main:main"
CALL = '{"type":"req","id":"1","method":"x","params":'


@asynccontextmanager
async def connected(house: House, **changes: Any) -> AsyncIterator[FakeSocket]:
    """A connection without a wire, that said hello."""
    socket = FakeSocket()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Connection(house.desk, socket, house.desk.chance.uuid()).run)
        socket.ask("c", "connect", params(**changes))
        await socket.answer("c")
        yield socket
        socket.reads = True
        socket.hang_up()


@asynccontextmanager
async def wired(
    house: House, pair: Callable[[], Any] = trio.testing.memory_stream_pair, *, hello: bool = True
) -> AsyncIterator[Client]:
    """A connection over a real WebSocket in memory; the test plays the peer, byte by byte."""

    async def handle(socket: Socket) -> None:
        await Connection(house.desk, socket, house.desk.chance.uuid()).run()

    async with talking(on_socket=handle, pair=pair, limits=Limits()) as client:
        await client.open()
        await client.frame()  # the challenge
        if hello:
            await client.send(frame(1, json.dumps(asked("c", "connect", params())).encode()))
            _, data = await client.frame()
            assert json.loads(data)["ok"]
        yield client


def asked(name: str, method: str, given: Any = None) -> dict[str, Any]:
    return {"type": "req", "id": name, "method": method, **({} if given is None else {"params": given})}


def message(number: int, mode: str = "followup") -> dict[str, Any]:
    return {"sessionKey": "main", "message": f"message {number}", "idempotencyKey": f"m{number}", "queueMode": mode}


def said(house: House) -> list[str]:
    lines = house.desk.directory.transcript(house.entry(KEY)).lines
    return [line.text for line in lines if line.role == "user"]


# --- peers


async def test_a_peer_that_never_reads_is_let_go_and_nobody_else_waits(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUFFERED", 300_000)
    async with serving(families=FAMILIES) as house:
        async with wired(house, trio.testing.lockstep_stream_pair), connected(house) as eager:
            assert len(house.desk.connections) == 2
            for number in range(100):
                house.desk.hub.tell("tick", {"n": number, "text": "x" * 10_000}, lambda link: True)
                await wait_all_tasks_blocked()
                assert len(eager.events("tick")) == number + 1
            assert len(house.desk.connections) == 1
            assert house.desk.hub.dropped == 1


async def test_a_peer_that_is_silently_gone_is_noticed_by_its_ping(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house, wired(house):
        await trio.sleep(29)
        assert len(house.desk.connections) == 1
        await trio.sleep(30)
        assert house.desk.connections == {}


async def test_a_peer_that_answers_its_pings_stays(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house, wired(house) as client:
        for _ in range(5):
            while (await client.frame())[0] != 9:
                pass
            await client.send(frame(10))
        assert len(house.desk.connections) == 1


@pytest.mark.parametrize(("size", "code"), [(FIRST_BYTES, 1000), (FIRST_BYTES + 1, 1009), (50 * 2**20, 1009)])
async def test_a_first_message_that_is_too_large_ends_the_connection(
    autojump_clock: MockClock, size: int, code: int
) -> None:
    async with serving(families=FAMILIES) as house, wired(house, hello=False) as client:
        head = frame(1, b"")[:1] + bytes([0x80 | 127]) + size.to_bytes(8, "big") + b"\0\0\0\0"
        await client.send(head + b"x" * min(size, FIRST_BYTES))
        assert (await client.closed())[0] == code
        assert house.desk.connections == {}


@pytest.mark.parametrize(
    "text_", ["[" * 50_000, '{"a":' * 9_000, '{"type":"req","id":"1","method":"x","params":' + "[" * 9_000]
)
async def test_json_that_is_nested_without_end_is_refused(autojump_clock: MockClock, text_: str) -> None:
    async with serving(families=FAMILIES) as house:
        async with wired(house, hello=False) as client:
            await client.send(frame(1, text_.encode()))
            assert (await client.closed())[0] in (1000, 1008)
        async with connected(house) as socket:
            whole = text_ + "]" * text_.count("[") + "1}" * text_.count('{"a"')
            socket.say(whole)
            socket.ask("1", "health")
            assert (await socket.answer("1"))["ok"]


async def test_a_thousand_wrong_tokens_cost_a_bounded_amount_and_lock_nobody_else_out(
    autojump_clock: MockClock,
) -> None:
    async with serving(families=FAMILIES) as house:
        house.desk.limiter = Limiter(most=100)
        for number in range(1_000):
            far = f"198.51.{number // 250}.{number % 250}"
            socket = FakeSocket(peer=far, loopback=False, headers={"host": "gw"})
            socket.ask("c", "connect", params("openclaw-probe", "probe", auth={"token": f"wrong-{number}"}))
            await Connection(house.desk, socket, f"x{number}").run()
            assert socket.closed is not None
        assert len(house.desk.limiter) <= 100
        assert (house.desk.connections, house.desk.hub.links, len(house.desk.presence)) == ({}, {}, 0)
        async with connected(house) as socket:
            socket.ask("1", "health")
            assert (await socket.answer("1"))["ok"]


async def test_a_thousand_wrong_tokens_at_once_from_here_end_all(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        sockets = [FakeSocket() for _ in range(1_000)]
        async with trio.open_nursery() as nursery:
            for number, socket in enumerate(sockets):
                socket.ask("c", "connect", params(auth={"token": "wrong"}))
                nursery.start_soon(Connection(house.desk, socket, f"x{number}").run)
        assert {socket.closed[0] for socket in sockets if socket.closed} == {1008}
        assert len(house.desk.limiter) == 1
        assert trio.current_time() < 60


# --- too much work


async def test_five_thousand_messages_for_one_session_are_queued_or_refused_and_all_are_answered(
    autojump_clock: MockClock,
) -> None:
    async with serving([1.0, text("Hi.")], families=FAMILIES) as house:
        house.desk.extras["models"].queue = Queue(cap=LANE_MESSAGES, drop="new")
        async with connected(house) as flood, connected(house) as other:
            for number in range(5_000):
                flood.ask(str(number), "chat.send", message(number))
            other.ask("1", "health")
            await other.answer("1")
            await trio.sleep(0.5)  # by the clock of the test: until there is nothing to do any more
            answers = {one["id"]: one for one in flood.frames if one["type"] == "res"}
            accepted = {f"message {name}" for name, one in answers.items() if name != "c" and one["ok"]}
            refused = [one["error"] for one in answers.values() if not one["ok"]]
            assert {one["code"] for one in refused} == {"UNAVAILABLE"}
            assert all(one["retryable"] for one in refused)
            assert 0 < len(accepted) <= LANE_MESSAGES + 1
            assert len(accepted) + len(refused) == 5_000
            other.ask("2", "chat.send", {**message(1), "sessionKey": "other", "idempotencyKey": "o1"})
            assert (await other.answer("2"))["ok"], other.answers("2")
        for one in accepted:
            assert await house.desk.runs.wait(one.replace("message ", "m"), 600), one
        assert sorted(said(house)) == sorted(accepted)


async def test_five_thousand_messages_for_one_session_are_summed_up_and_all_are_answered(
    autojump_clock: MockClock,
) -> None:
    async with serving([1.0, text("Hi.")], families=FAMILIES) as house:
        async with connected(house) as flood:
            for number in range(5_000):
                flood.ask(str(number), "chat.send", message(number))
            await trio.sleep(0.5)
            answers = [one for one in flood.frames if one["type"] == "res" and one["id"] != "c"]
            assert len(answers) == 5_000
            assert all(one["ok"] for one in answers)
            session = house.desk.directory.roster.get(house.entry(KEY).session)
            assert len(session.state.lane) == Queue().cap + 1
        await house.rest(KEY)
        assert len(said(house)) == Queue().cap + 2
        assert sum(house.desk.runs.overflows.values()) == 5_000 - Queue().cap - 1
        ended = [await house.desk.runs.wait(f"m{number}", 0) for number in range(4_000, 5_000)]
        assert {run.status for run in ended if run is not None} == {"ok"}
        assert None not in ended


async def test_a_handler_that_fails_disturbs_no_other_client(autojump_clock: MockClock) -> None:
    async def fail(call: Call) -> Any:
        raise ExceptionGroup("many", [RuntimeError("one"), ValueError("two")])

    async with serving([text("Hi.")], families=FAMILIES) as house:
        house.desk.registry.methods["health"] = Method("health", fail)
        async with connected(house) as one, connected(house) as two:
            for number in range(50):
                one.ask(str(number), "health")
            two.ask("1", "chat.send", message(1))
            assert (await two.answer("1"))["ok"]
            await one.until(lambda it: len([x for x in it.frames if x["type"] == "res" and not x["ok"]]) == 50)
            assert one.closed is None
        assert len(house.desk.complaints) == 50


# --- the disk


async def test_nothing_that_was_acknowledged_is_lost_when_the_disk_is_full(autojump_clock: MockClock) -> None:
    kept = Kept()
    acknowledged: set[str] = set()
    refused: set[str] = set()
    async with serving([1.0, text("Hi.")], families=FAMILIES, kept=kept) as house:
        await house.turn(KEY, "first", "r0")
        async with connected(house) as socket:
            store = house.store
            bound = store._bound
            store._bound = evolve(bound, records=store._issued - store._settled + 12)
            store.hold()
            for number in range(40):
                socket.ask(str(number), "chat.send", message(number))
            await trio.sleep(20)
            told = [one for one in socket.frames if one["type"] == "res" and one["id"] != "c"]
            assert all(not one["ok"] for one in told)  # what is not on disk is not acknowledged
            refused = {one["id"] for one in told}
            assert 0 < len(refused) < 40
            store._bound = bound
            store.release()
            await socket.until(lambda one: len([x for x in one.frames if x["type"] == "res"]) == 41)
            acknowledged = {x["id"] for x in socket.frames if x["type"] == "res" and x["ok"]} - {"c"}
            assert acknowledged == {str(number) for number in range(40)} - refused
        at_that_moment = json.loads(json.dumps({kind: list(docs) for kind, docs in kept.documents.items()}))
        assert {f"m{name}" for name in acknowledged} <= set(at_that_moment["run"])
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=CountingChance(9_000)) as house:
        for name in acknowledged:
            run = await house.desk.runs.wait(f"m{name}", 600)
            assert run is not None
            assert run.status == "ok"
        assert sorted(said(house)) == sorted(["first", *(f"message {name}" for name in acknowledged)])


@pytest.mark.parametrize(
    ("method", "given"),
    [("chat.send", message(1)), ("sessions.create", {"key": "other"}), ("chat.abort", {"sessionKey": "main"})],
)
async def test_a_client_is_not_kept_waiting_for_a_full_disk_and_may_ask_again(
    method: str, given: dict[str, Any], autojump_clock: MockClock
) -> None:
    families = (*FAMILIES, "sessions_create")
    async with serving([text("a", None), 900.0, text("b")], families=families) as house, connected(house) as socket:
        await house.call("chat.send", sessionKey="main", message="first", idempotencyKey="r0")
        await trio.sleep(1)
        house.store.hold()
        socket.ask("1", method, given)
        with trio.fail_after(2 * KEEP_SECONDS):
            told = (await socket.answer("1"))["error"]
        assert (told["code"], told["retryable"]) == ("UNAVAILABLE", True)
        assert "the disk is held" in told["message"]
        house.store.release()
        socket.ask("2", method, given)
        assert (await socket.answer("2"))["ok"]
        if method == "chat.send":
            await house.desk.runs.wait("m1", 2_000)
            assert said(house) == ["first", "message 1"]


# --- the clock


@define(eq=False)
class Jumping(TrioClock):
    """A clock that somebody sets while it runs."""

    ahead: int = 0

    def wall(self) -> int:
        return super().wall() + self.ahead


@pytest.mark.parametrize("ahead", [365 * 86_400_000, -365 * 86_400_000])
async def test_a_clock_that_jumps_changes_no_order_and_ends_no_run(autojump_clock: MockClock, ahead: int) -> None:
    clock = Jumping()
    async with serving([text("a", None), 5.0, text("b", None), 5.0, text("c")], families=FAMILIES) as house:
        house.desk.clock = house.desk.runs.clock = house.desk.directory.clock = clock
        link = house.link()
        await house.call("chat.send", sessionKey="main", message="hi", idempotencyKey="r1")
        await trio.sleep(2)
        clock.ahead = ahead
        assert (await house.call("health"))["ok"]
        await house.rest(KEY)
        told = [one.get("deltaText") or one["state"] for one in link.events("chat") if one["state"] != "status"]
        assert told == ["a", "b", "c", "final"]
        clock.ahead = 0
        await house.turn(KEY, "again", "r2")
        assert house.desk.runs.shelf.items["r2"].status == "ok"
        assert (await house.call("agent.wait", runId="r1"))["status"] == "ok"
        assert (await house.call("chat.send", sessionKey="main", message="hi", idempotencyKey="r1"))["status"] == "ok"
        with pytest.raises(GatewayError):
            await house.call("chat.send", sessionKey="main", message="other", idempotencyKey="r1")


# --- an end at any moment


async def lived(house: House, socket: FakeSocket, gate: Callable[[str], Any]) -> None:
    """One connection from its beginning to its end, with a request under way and an event on its way."""

    async def wait(call: Call) -> Any:
        call.first({"first": True})
        await gate("handler")
        await house.desk.dispatcher.journal.committed(0)
        return {"last": True}

    house.desk.registry.methods["health"] = Method("health", wait)
    connection = Connection(house.desk, socket, house.desk.chance.uuid())

    async def play() -> None:
        socket.ask("c", "connect", params("openclaw-probe", "ui"))
        await socket.answer("c")
        socket.ask("1", "health")
        socket.ask("2", "chat.send", message(1))
        house.desk.hub.tell("tick", {}, lambda link: True)
        await socket.until(lambda one: len(one.answers("1")) == 2 and one.answers("2"))
        connection.close(1012, "service restart")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(play)
        await connection.run()
        nursery.cancel_scope.cancel()


async def test_a_connection_can_be_cancelled_at_every_await_and_leaves_nothing(autojump_clock: MockClock) -> None:
    number, ended = 0, False
    while not ended:
        number += 1
        async with serving([text("Hi.")], families=FAMILIES) as house:
            left = number
            with trio.CancelScope() as scope:

                async def at(where: str, scope: trio.CancelScope = scope) -> None:
                    nonlocal left
                    left -= 1
                    if not left:
                        scope.cancel()
                    await trio.lowlevel.checkpoint()

                await lived(house, FakeSocket(at=at), at)
            ended = left > 0
            await wait_all_tasks_blocked()
            assert (house.desk.connections, house.desk.hub.links) == ({}, {})
            assert house.desk.complaints.__len__() == 0
            again = FakeSocket()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(Connection(house.desk, again, "again").run)
                again.ask("c", "connect", params())
                assert (await again.answer("c"))["ok"]
                again.hang_up()
    assert number > 10
