"""Whatever an editor sends is answered, or ends its own connection; nothing crashes and nothing hangs."""

import json
import random
from typing import Any, Final

import pytest
import trio
from trio.testing import MockClock, lockstep_stream_pair

from debugger.client import Client
from debugger.dap.joining import Door
from debugger.dap.requests import REQUESTS
from debugger.dap.session import UNDER_WAY, Session
from debugger.protocol import Role
from debugger.server import Caller
from tests.debugger.dap.editor import LISTING, editing
from tests.fakes.studio import studio
from tests.fakes.world import text

SLOW: tuple[Any, ...] = ([text("a", None), 1_000_000.0, text("b")],)
VALUES: Final[tuple[Any, ...]] = (
    None, True, -1, 0, 1, 2**40, 1.5, "", "s", "all", "x" * 5_000, "\ud800", "__import__('os')", [], [1], {}, {"a": 1},
    "state.history", "tool:*", "call.run", "defender.block", {"path": "/etc/passwd"}, {"sourceReference": 1},
    [{"line": 5}], [{"name": "call.run"}], [{"dataId": "state.turn"}], [{"filterId": "loop"}],
)  # fmt: skip
MEMBERS: Final = (
    "threadId frameId variablesReference name value expression context text column line source breakpoints filters "
    "filterOptions targetId granularity start count session token requestId progressId arguments dataId hitCondition"
).split()


@pytest.mark.parametrize("seed", range(8))
async def test_any_arguments_are_answered_once_each(seed: int, autojump_clock: MockClock) -> None:
    chance = random.Random(seed)
    async with studio(*SLOW, repeat=True) as house, editing(house) as editor:
        session = house.open("s")
        house.world.say(session)
        await trio.sleep(1)
        await editor.ready()
        names = [name for name in REQUESTS if name not in ("disconnect", "terminate", "initialize")]
        asked = []
        for _ in range(150):
            name = chance.choice(names) if chance.random() < 0.95 else "agent/" + chance.choice(("print", "edit", "x"))
            given = {member: chance.choice(VALUES) for member in chance.sample(MEMBERS, 6)}
            if chance.random() < 0.5:
                given["threadId"] = 1
            asked.append(await editor.begin(name, **given))
        for number in asked:
            await editor.answer(number)
        answers = [one["request_seq"] for one in editor.heard if one["type"] == "response"]
        assert len(answers) == len(set(answers))
        assert not [one for one in editor.heard if "fault of this server" in str(one.get("message"))]
        assert (await editor.ask("threads"))["threads"]


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{", b"\xff\xfe", b'{"type": "request"}', b'{"type": "event"}', b"[" * 50_000],
)
async def test_a_message_that_is_none_is_told_and_the_next_one_is_read(body: bytes, autojump_clock: MockClock) -> None:
    async with studio(*SLOW) as house, editing(house) as editor:
        await editor.send(body)
        assert "passed over" in (await editor.told("output", category="important"))["output"]
        assert (await editor.ask("initialize", adapterID="x"))["supportsStepBack"]


async def test_a_message_that_is_no_request_and_has_a_number_is_answered(autojump_clock: MockClock) -> None:
    async with studio(*SLOW) as house, editing(house) as editor:
        await editor.send(b'{"type": "event", "seq": 9, "event": "stopped"}')
        assert (await editor.answer(9))["success"] is False


async def test_a_stream_that_is_none_ends_with_a_word(autojump_clock: MockClock) -> None:
    async with studio(*SLOW) as house, editing(house) as editor:
        house.open("s")
        await editor.ready()
        await editor.stream.send_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await trio.sleep(10)
        assert "cannot be read" in editor.output()
        assert not house.studio.service.links


async def test_a_request_can_be_cancelled(autojump_clock: MockClock) -> None:
    async with studio(*SLOW) as house, editing(house) as editor:
        house.open("s")
        await editor.ask("initialize", adapterID="x")
        number = await editor.begin("attach", session="s")
        await editor.told("initialized")
        await editor.ask("cancel", requestId=number)
        assert (await editor.answer(number))["message"] == "cancelled"
        await editor.ask("cancel", requestId=12345)


async def test_an_editor_that_does_not_read_loses_output_and_then_the_connection(autojump_clock: MockClock) -> None:
    async with studio(*SLOW) as house, editing(house) as editor:
        house.open("s")
        await editor.ready()
        deaf = editor.session
        for number in range(3_000):
            deaf.debuggee.say(f"line {number}")
        await trio.sleep(1)
        assert "left out" in editor.output()
        await editor.ask("threads")


async def test_numbers_that_are_used_twice_are_answered_twice(autojump_clock: MockClock) -> None:
    async with studio(*SLOW) as house, editing(house) as editor:
        body = json.dumps({"seq": 7, "type": "request", "command": "initialize", "arguments": {}}).encode()
        await editor.send(body)
        await editor.send(body)
        await trio.sleep(1)
        assert [one["request_seq"] for one in editor.heard] == [7, 7]


@pytest.mark.parametrize("command", ["threads", "terminateThreads"])
async def test_a_number_that_stands_for_two_requests_at_once_is_answered_twice(
    command: str, autojump_clock: MockClock
) -> None:
    async with studio(*SLOW) as house, editing(house) as editor:
        house.open("s")
        await editor.ready()
        body = json.dumps({"seq": 7_000, "type": "request", "command": command, "arguments": {}}).encode()
        await editor.stream.send_all(2 * (b"Content-Length: %d\r\n\r\n%b" % (len(body), body)))
        await trio.sleep(1)
        assert [one["success"] for one in editor.heard if one.get("request_seq") == 7_000] == [True, True]


async def test_what_takes_long_shows_its_progress_and_can_be_given_up(autojump_clock: MockClock) -> None:
    async def slow(caller: Caller, params: Any) -> Any:
        await trio.sleep(4)
        return {"driver": "nobody"}

    async with studio(*SLOW) as house, editing(house) as editor:
        house.open("s")
        house.studio.service.handlers = {**house.studio.service.handlers, "lease": slow}
        await editor.ask("initialize", adapterID="x", supportsProgressReporting=True)
        await editor.begin("attach", session="s")
        await editor.told("initialized")
        await editor.ask("configurationDone")
        for given_up in (False, True):
            number = await editor.begin("agent/lease")
            begun = await editor.told("progressStart")
            assert begun["cancellable"]
            if given_up:
                await editor.ask("cancel", progressId=begun["progressId"])
            assert (await editor.answer(number))["success"] is not given_up
            assert (await editor.told("progressEnd"))["progressId"] == begun["progressId"]


async def test_whoever_leaves_is_not_kept_by_what_takes_long(autojump_clock: MockClock) -> None:
    async def slow(caller: Caller, params: Any) -> Any:
        await trio.sleep(4)
        return {"driver": "nobody"}

    async with studio(*SLOW) as house, editing(house) as editor:
        house.open("s")
        house.studio.service.handlers = {**house.studio.service.handlers, "compare": slow}
        await editor.ready()
        began = trio.current_time()
        await editor.begin("agent/compare", a="main")
        await editor.begin("setFunctionBreakpoints", breakpoints=[{"name": "call.run"}])
        await editor.ask("disconnect")
        assert trio.current_time() - began < 1
        await trio.sleep(10)
        assert len(house.debugger.book) == 0
        assert not house.studio.service.links


async def test_an_editor_that_reads_no_answers_is_read_no_further(autojump_clock: MockClock) -> None:
    near, far = lockstep_stream_pair()
    door = Door(never, nothing, anybody, token="right")
    async with trio.open_nursery() as nursery:
        served = Session(far, door, LISTING, nursery)
        nursery.start_soon(served.run)
        sent = 0
        body = json.dumps({"seq": 1, "type": "request", "command": "initialize"}).encode()
        with pytest.raises((trio.BrokenResourceError, trio.ClosedResourceError)):  # after half a minute it is gone
            while True:
                await near.send_all(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
                sent += 1
        assert sent <= UNDER_WAY + 2


async def never(role: Role) -> Client:
    raise AssertionError("nobody is let in here")


async def nothing(path: str, role: Role, nursery: trio.Nursery) -> Client:
    raise AssertionError("no bundle is opened here")


async def anybody(daemon: int) -> None:
    await trio.lowlevel.checkpoint()
