"""Connections of the daemon: each request has one answer, in any order and under any end; nobody waits for a client."""

import random
from typing import Any

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from debugger import server as module
from debugger.client import greet
from debugger.protocol import COMMANDS, Failure, Hello, frames
from debugger.protocol.client import Answer, ClientConnection, Ended, Event
from debugger.protocol.errors import CODES
from debugger.protocol.queue import MOST_EVENTS
from debugger.server import CONNECTIONS, DRAIN_SECONDS, HELLO_SECONDS, SEND_SECONDS, UNDER_WAY, Caller
from runtime.errors import LocalError
from runtime.step.edits import EditRefused
from tests.fakes.debugging import HELLO, House, drained, heard, house

STATUS = {"session": "s"}
HELD = {"session": "s", "generation": 1}


class Raw:
    """A client that speaks the protocol by hand."""

    def __init__(self, one: House) -> None:
        self.stream = one.stream()
        self.machine = ClientConnection()
        self.found: list[Any] = []

    async def hello(self, hello: Hello = HELLO) -> None:
        await self.stream.send_all(self.machine.hello(hello))
        await self.read()

    async def ask(self, *commands: tuple[str, dict[str, Any]]) -> None:
        await self.stream.send_all(b"".join(self.machine.request(*one)[1] for one in commands))

    async def until(self, count: int) -> list[Answer]:
        """Read until there are so many answers, or no more comes."""
        while len(self.answers()) < count and await self.read():
            pass
        return self.answers()

    async def read(self) -> bool:
        """Read one piece; whether there is more."""
        try:
            data = await self.stream.receive_some(65_536)
        except trio.BrokenResourceError:
            data = b""
        self.machine.receive_data(bytes(data))
        self.found += drained(self.machine.next_event, Ended)
        return bool(data)

    async def read_all(self) -> None:
        while await self.read():
            pass

    def answers(self) -> list[Answer]:
        return [one for one in self.found if isinstance(one, Answer)]

    def events(self) -> list[Event]:
        return [one for one in self.found if isinstance(one, Event)]


def code_of(answer: Answer) -> str:
    return answer.error.code if answer.error is not None else "ok"


async def test_a_request_is_answered_with_what_its_handler_returns(autojump_clock: MockClock) -> None:
    async with house() as one:
        client = await one.client()
        assert (client.role, client.welcome.server, client.welcome.pid) == ("override", "twinstep test", 1)
        assert await client.request("status", STATUS) == {"did": "status", "user": "ann"}
        assert [name for name, _ in one.deeds.done] == ["status"]


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (EditRefused("no"), "edit_refused"),
        (Failure("not_driver", "no", at="with.session"), "not_driver"),
        (ValueError("secret"), "internal"),
        (trio.TooSlowError(), "internal"),
        (ExceptionGroup("many", [ValueError("secret")]), "internal"),
        (LocalError("a bug"), "local"),
    ],
)
async def test_a_handler_that_fails_fails_alone(raised: Exception, code: str, autojump_clock: MockClock) -> None:
    async def act(caller: Caller, params: Any) -> Any:
        raise raised

    async with house() as one:
        one.deeds.acts["status"] = act
        client = await one.client()
        with pytest.raises(Failure) as caught:
            await client.request("status", STATUS)
        assert caught.value.code == code
        assert "secret" not in str(caught.value)
        assert len(one.complaints) == (code in ("internal", "local"))
        assert await client.request("where", STATUS) == {"did": "where", "user": "ann"}


@pytest.mark.parametrize("result", [b"bytes", object(), {1: 2}, float("nan")])
async def test_a_result_that_is_not_plain_is_a_fault_of_ours_and_still_an_answer(
    result: Any, autojump_clock: MockClock
) -> None:
    async def act(caller: Caller, params: Any) -> Any:
        return result

    async with house() as one:
        one.deeds.acts["status"] = act
        client = await one.client()
        with pytest.raises(Failure):
            await client.request("status", STATUS)
        assert one.complaints


async def test_a_command_without_a_handler_is_unavailable(autojump_clock: MockClock) -> None:
    async with house("status") as one:
        client = await one.client()
        with pytest.raises(Failure) as caught:
            await client.request("where", STATUS)
        assert caught.value.code == "unavailable"


async def test_a_command_that_takes_too_long_is_cancelled_and_answered(autojump_clock: MockClock) -> None:
    ended = []

    async def act(caller: Caller, params: Any) -> Any:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(trio.current_time())

    async with house() as one:
        one.deeds.acts["pause"] = act
        client = await one.client()
        began = trio.current_time()
        with pytest.raises(Failure) as caught:
            await client.request("pause", STATUS)
        assert caught.value.code == "late"
        assert ended == [pytest.approx(began + COMMANDS["pause"].seconds)]
        assert await client.request("status", STATUS)


async def test_commands_that_change_something_run_in_the_order_in_which_they_were_sent(
    autojump_clock: MockClock,
) -> None:
    running = []

    async def act(caller: Caller, params: Any) -> Any:
        running.append("begin")
        await trio.sleep(random.Random(len(running)).random())
        running.append("end")

    async with house() as one:
        for name in ("pause", "continue", "step"):
            one.deeds.acts[name] = act
        raw = Raw(one)
        await raw.hello()
        await raw.ask(("pause", STATUS), ("continue", HELD), ("step", HELD), ("pause", STATUS), ("status", STATUS))
        await raw.until(5)
        assert [answer.id for answer in raw.answers()] == [5, 1, 2, 3, 4]
        assert [name for name, _ in one.deeds.done if name != "status"] == ["pause", "continue", "step", "pause"]
        assert running == ["begin", "end"] * 4


@pytest.mark.parametrize("seed", range(30))
async def test_each_request_has_exactly_one_answer_whatever_becomes_of_it(seed: int, autojump_clock: MockClock) -> None:
    chance = random.Random(seed)

    async def act(caller: Caller, params: Any) -> Any:
        await trio.sleep(chance.choice((0, 0.1, 3, 8)))
        if chance.random() < 0.3:
            raise chance.choice((EditRefused("no"), ValueError("no"), Failure("busy", "no")))
        return chance.choice(({"x": 1}, "x" * 100_000, b"bytes"))

    kinds: list[tuple[str, dict[str, Any]]] = [
        ("status", STATUS),
        ("where", STATUS),
        ("pause", STATUS),
        ("step", HELD),
        ("fly", {}),
        ("print", {}),
    ]
    asked = [chance.choice(kinds) for _ in range(UNDER_WAY * 2)]
    async with house() as one:
        for name in ("status", "where", "pause", "step"):
            one.deeds.acts[name] = act
        raw = Raw(one)
        await raw.hello()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(raw.ask, *asked)
            await raw.until(len(asked))
        assert sorted(answer.id for answer in raw.answers()) == list(range(1, len(asked) + 1))
        assert not raw.machine.waiting
        known = {*CODES, "ok", "edit_refused", "local"}
        assert {code_of(answer) for answer in raw.answers()} <= known


@pytest.mark.parametrize("seed", range(30))
async def test_a_client_that_goes_at_any_time_leaves_nothing_behind(seed: int, autojump_clock: MockClock) -> None:
    chance = random.Random(seed)
    running = [0]

    async def act(caller: Caller, params: Any) -> Any:
        running[0] += 1
        try:
            await trio.sleep(chance.random() * 3)
            return "x" * chance.randrange(200_000)
        finally:
            running[0] -= 1

    async with house() as one:
        one.deeds.acts["status"] = one.deeds.acts["pause"] = act
        raw = Raw(one)
        await raw.hello()
        await raw.ask(*[chance.choice((("status", STATUS), ("pause", STATUS))) for _ in range(20)])
        with trio.move_on_after(chance.random() * 4):
            await raw.read_all()
        await raw.stream.aclose()
        await trio.sleep(DRAIN_SECONDS + 1)
        assert running == [0]
        assert one.left == ["c1"]
        assert not one.service.links
        assert one.complaints == []


async def test_a_client_that_sends_no_more_still_gets_its_answers(autojump_clock: MockClock) -> None:
    async def act(caller: Caller, params: Any) -> Any:
        await trio.sleep(1)
        return {}

    async with house() as one:
        one.deeds.acts["pause"] = act
        raw = Raw(one)
        await raw.hello()
        await raw.ask(("pause", STATUS), ("pause", STATUS), ("status", STATUS))
        await raw.stream.send_stream.aclose()
        await raw.read_all()
        assert sorted(answer.id for answer in raw.answers()) == [1, 2, 3]
        assert one.left == ["c1"]


async def test_what_is_under_way_after_the_end_is_given_up_in_time(autojump_clock: MockClock) -> None:
    async def act(caller: Caller, params: Any) -> Any:
        await trio.sleep(4)

    async with house() as one:
        one.deeds.acts["pause"] = act
        raw = Raw(one)
        await raw.hello()
        await raw.ask(*[("pause", STATUS)] * 10)
        await raw.stream.send_stream.aclose()
        began = trio.current_time()
        await raw.read_all()
        assert [answer.id for answer in raw.answers()] == [1]
        assert trio.current_time() == pytest.approx(began + DRAIN_SECONDS)


async def test_a_slow_client_is_told_how_much_it_missed_and_nobody_waits_for_it(autojump_clock: MockClock) -> None:
    async with house() as one:
        raw = Raw(one)
        await raw.hello()
        await wait_all_tasks_blocked()
        caller = one.callers["c1"]
        before = trio.current_time()
        for number in range(MOST_EVENTS * 3):
            caller.tell("output", {"number": number})
            if number % 1_000 == 0:
                caller.tell("stopped", {"number": number})
        assert trio.current_time() == before
        caller.tell("goodbye", {})
        while (not raw.events() or raw.events()[-1].name != "goodbye") and await raw.read():
            pass
        events = raw.events()
        dropped = sum(event.data["dropped"] for event in events if event.name == "lag")
        rest = [event for event in events if event.name != "lag"]
        assert len(rest) == MOST_EVENTS
        assert dropped + len(rest) == MOST_EVENTS * 3 + 3 + 1
        assert [event.data["number"] for event in rest if event.name == "stopped"] == [0, 1_000, 2_000]
        assert [event.number for event in events] == list(range(1, len(events) + 1))


async def test_one_slow_client_takes_nothing_from_another(autojump_clock: MockClock) -> None:
    async with house() as one:
        slow = Raw(one)
        await slow.hello()
        await slow.ask(*[("status", STATUS)] * 3)
        quick = await one.client()
        for _ in range(50):
            for _ in range(50):
                one.service.tell(tuple(one.service.links), "output", {"text": "x" * 5_000})
            assert len(await heard(quick, 50)) == 50
            assert await quick.request("status", STATUS)


async def test_a_client_that_reads_nothing_at_all_is_let_go(autojump_clock: MockClock) -> None:
    near, far = memory_stream_pair()

    async with house() as one:
        server_end = far
        one.nursery.start_soon(one.service.converse, server_end)
        machine = ClientConnection()
        await near.send_all(machine.hello(HELLO))
        await near.receive_some(65_536)
        server_end.send_stream.send_all_hook = trio.sleep_forever
        one.callers["c1"].tell("log", {})
        await trio.sleep(SEND_SECONDS + 1)
        assert one.left == ["c1"]


async def test_more_requests_than_may_be_under_way_are_read_when_there_is_room(autojump_clock: MockClock) -> None:
    most = [0, 0]

    async def act(caller: Caller, params: Any) -> Any:
        most[0] += 1
        most[1] = max(most)
        await trio.sleep(1)
        most[0] -= 1

    async with house() as one:
        one.deeds.acts["status"] = act
        raw = Raw(one)
        await raw.hello()
        await raw.ask(*[("status", STATUS)] * (UNDER_WAY * 3))
        await raw.until(UNDER_WAY * 3)
        assert most[1] == UNDER_WAY


async def test_answers_that_nobody_reads_become_short_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWERS", 3_000)

    async def act(caller: Caller, params: Any) -> Any:
        return "x" * 1_000

    async with house() as one:
        one.deeds.acts["status"] = act
        raw = Raw(one)
        await raw.hello()
        (send,) = [link.stream.send_stream for link in one.service.links.values()]  # type: ignore[attr-defined]
        gate, pump = trio.Event(), send.send_all_hook

        async def wait() -> None:
            await gate.wait()
            await pump()

        send.send_all_hook = wait
        await raw.ask(*[("status", STATUS)] * 10)
        await wait_all_tasks_blocked()
        gate.set()
        await raw.until(10)
        codes = [code_of(answer) for answer in raw.answers()]
        assert codes.count("ok") in (2, 3)
        assert set(codes) == {"ok", "too_large"}


async def test_an_event_that_is_too_large_keeps_what_is_small(autojump_clock: MockClock) -> None:
    async with house() as one:
        client = await one.client()
        await client.request("status", STATUS)
        tell = one.callers["c1"].tell
        tell("stopped", {"session": "s", "generation": 3, "context": ["x" * 1_000] * 5_000})
        tell("log", {"deep": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]], "id": 1})
        tell("log", {"bad": b"bytes"})
        tell("log", {"id": 2})
        found = await heard(client, 4)
        assert [event.data for event in found] == [
            {"dropped": 1},
            {"session": "s", "generation": 3, "cut": ["context"]},
            {"id": 1, "cut": ["deep"]},
            {"id": 2},
        ]
        assert len(one.complaints) == 1


async def test_an_answer_never_overtakes_what_was_told_before_it(autojump_clock: MockClock) -> None:
    async def act(caller: Caller, params: Any) -> Any:
        caller.tell("continued", {})
        return {}

    async with house() as one:
        one.deeds.acts["status"] = act
        raw = Raw(one)
        await raw.hello()
        await raw.ask(("status", STATUS))
        await raw.until(1)
        assert [type(found) for found in raw.found[1:]] == [Event, Answer]


async def test_who_says_nothing_or_nonsense_is_shown_out(autojump_clock: MockClock) -> None:
    async with house() as one:
        for said, code in ((b"", "late"), (b"GET / HTTP/1.1\r\n\r\n", "bad_frame"), (b"\0\0\0\1\x80", "bad_frame")):
            stream = one.stream()
            began = trio.current_time()
            await stream.send_all(said)
            reader = frames.Reader(frames.TO_CLIENT)
            while data := await stream.receive_some(9_999):
                reader.feed(bytes(data))
            found = reader.take()
            assert found is not None
            assert found["error"]["code"] == code
            assert trio.current_time() == pytest.approx(began + (HELLO_SECONDS if code == "late" else 0))
        assert one.left == []


async def test_whoever_may_not_come_in_is_told_why(autojump_clock: MockClock) -> None:
    async with house() as one:
        with pytest.raises(Failure, match="mallory") as caught:
            await greet(one.stream(), Hello(1, "x", "mallory", "observer"))
        assert (caught.value.code, caught.value.at) == ("denied", "hello.user")
        assert (one.callers, one.left) == ({}, [])


async def test_one_more_connection_than_there_may_be_is_turned_away(autojump_clock: MockClock) -> None:
    async with house() as one:
        clients = [await one.client() for _ in range(CONNECTIONS)]
        with pytest.raises(Failure, match="may be no more"):
            await greet(one.stream(), HELLO)
        await clients[0].aclose()
        await trio.sleep(1)
        assert (await one.client()).welcome.connection == f"c{CONNECTIONS + 2}"


async def test_goodbye_is_the_last_that_everybody_hears(autojump_clock: MockClock) -> None:
    async def act(caller: Caller, params: Any) -> Any:
        await trio.sleep_forever()

    async with house() as one:
        one.deeds.acts["status"] = act
        clients = [await one.client() for _ in range(3)]
        failed = []

        async def ask() -> None:
            try:
                await clients[0].request("status", STATUS)
            except Failure as exc:
                failed.append(exc.code)

        one.nursery.start_soon(ask)
        early = one.stream()
        await wait_all_tasks_blocked()
        one.service.goodbye("the daemon stops")
        for client in clients:
            assert [(event.name, event.data) async for event in client] == [("goodbye", {"reason": "the daemon stops"})]
        assert await early.receive_some(1) == b""
        await wait_all_tasks_blocked()
        assert failed == ["closed"]
        assert sorted(one.left) == ["c1", "c2", "c3"]


@pytest.mark.parametrize("seed", range(20))
async def test_no_event_is_left_lying_while_the_writer_sleeps(seed: int, autojump_clock: MockClock) -> None:
    chance = random.Random(seed)
    async with house() as one:
        client = await one.client()
        await client.request("status", STATUS)
        told = 0
        for _ in range(60):
            for _ in range(chance.randrange(4)):
                told += 1
                one.callers["c1"].tell("log", {"number": told})
            for _ in range(chance.randrange(5)):
                await trio.lowlevel.checkpoint()
            if chance.random() < 0.3:
                await client.request("status", STATUS)
        found = await heard(client, told)
        assert [event.data["number"] for event in found] == list(range(1, told + 1))


async def test_telling_somebody_who_is_gone_changes_nothing(autojump_clock: MockClock) -> None:
    async with house() as one:
        client = await one.client()
        await client.request("status", STATUS)
        await client.aclose()
        await trio.sleep(1)
        one.callers["c1"].tell("log", {})
        one.service.tell(["c1", "c9"], "log", {})
        assert one.left == ["c1"]
