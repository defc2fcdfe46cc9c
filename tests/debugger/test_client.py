"""The client on Trio: requests end in time whatever the daemon does, and events wait in a bounded queue."""

from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from debugger.client import HELLO_SECONDS, MARGIN, WAITING, Client, connect, greet
from debugger.protocol import COMMANDS, Failure, frames
from debugger.protocol.frames import TO_CLIENT
from debugger.protocol.queue import MOST_EVENTS
from debugger.server import Caller
from runtime.errors import InputError
from tests.fakes.debugging import HELLO, heard, house

STATUS = {"session": "s"}


async def silent_daemon(nursery: trio.Nursery) -> tuple[Client, Any]:
    """A client that was let in by somebody who then says nothing more."""
    near, far = memory_stream_pair()
    welcome = {"version": 1, "server": "x", "pid": 1, "role": "driver", "connection": "c1"}
    await far.send_all(frames.encode({"hello": welcome}, TO_CLIENT))
    client = await greet(near, HELLO)
    nursery.start_soon(client.run)
    return client, far


async def test_a_request_that_is_never_answered_is_late(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        client, _ = await silent_daemon(nursery)
        for seconds, waited in ((None, COMMANDS["status"].seconds + MARGIN), (2.0, 2.0)):
            began = trio.current_time()
            with pytest.raises(Failure) as caught:
                await client.request("status", STATUS, seconds)
            assert caught.value.code == "late"
            assert trio.current_time() == pytest.approx(began + waited)
        nursery.cancel_scope.cancel()


async def test_an_answer_that_comes_after_its_request_was_given_up_is_passed_over(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        client, far = await silent_daemon(nursery)
        with trio.move_on_after(1):
            await client.request("status", STATUS)
        await far.send_all(frames.encode({"id": 1, "ok": 1}, TO_CLIENT))
        await far.send_all(frames.encode({"n": 1, "event": "log", "data": {}}, TO_CLIENT))
        assert len(await heard(client, 1)) == 1
        assert client.ended is None
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("how", ["close", "error", "nonsense"])
async def test_requests_that_wait_fail_when_the_connection_ends(how: str, autojump_clock: MockClock) -> None:
    codes = []

    async def ask(client: Client) -> None:
        try:
            await client.request("status", STATUS)
        except Failure as exc:
            codes.append(exc.code)

    async with trio.open_nursery() as nursery:
        client, far = await silent_daemon(nursery)
        for _ in range(WAITING + 5):
            nursery.start_soon(ask, client)
        await wait_all_tasks_blocked()
        if how == "error":
            await far.send_all(frames.encode({"error": {"code": "bad_frame", "message": "no"}}, TO_CLIENT))
        if how == "nonsense":
            await far.send_all(b"\0\0\0\1\xc1")
        await far.aclose()
        await wait_all_tasks_blocked()
        assert codes == ["closed"] * (WAITING + 5)
        assert client.ended is not None
        assert client.ended.code == ("closed" if how == "close" else "bad_frame")
        with pytest.raises(Failure, match="connection"):
            await client.request("status", STATUS)
        assert [event async for event in client] == []


async def test_requests_run_at_the_same_time_and_each_gets_its_own_answer(autojump_clock: MockClock) -> None:
    async def act(caller: Caller, params: Any) -> Any:
        await trio.sleep(3 - int(params.session))
        return params.session

    found = {}

    async with house() as one:
        one.deeds.acts["status"] = act
        client = await one.client()

        async def ask(name: str) -> None:
            found[name] = await client.request("status", {"session": name})

        async with trio.open_nursery() as nursery:
            for name in "123":
                nursery.start_soon(ask, name)
        assert found == {"1": "1", "2": "2", "3": "3"}
        assert list(found) == ["3", "2", "1"]


async def test_events_that_nobody_takes_are_bounded_and_the_loss_is_told(autojump_clock: MockClock) -> None:
    async with house() as one:
        client = await one.client()
        await client.request("status", STATUS)
        for number in range(MOST_EVENTS + 500):
            one.callers["c1"].tell("log", {"number": number})
            if number % 100 == 0:
                await client.request("status", STATUS)
        await client.request("status", STATUS)
        found = await heard(client, MOST_EVENTS + 1)
        assert (found[0].number, found[0].name, found[0].data) == (0, "lag", {"dropped": 500})
        assert [event.data["number"] for event in found[1:]] == list(range(500, MOST_EVENTS + 500))


async def test_what_was_heard_before_the_end_is_still_there_after_it(autojump_clock: MockClock) -> None:
    async with house() as one:
        client = await one.client()
        await client.request("status", STATUS)
        one.callers["c1"].tell("log", {"number": 1})
        await client.request("status", STATUS)
        await client.aclose()
        await client.aclose()
        assert [event.name async for event in client] == ["log"]


async def test_a_daemon_that_does_not_answer_the_hello_is_left(autojump_clock: MockClock) -> None:
    near, far = memory_stream_pair()
    began = trio.current_time()
    with pytest.raises(Failure) as caught:
        await greet(near, HELLO)
    assert caught.value.code == "late"
    assert trio.current_time() == pytest.approx(began + HELLO_SECONDS)
    with pytest.raises(trio.BrokenResourceError):
        await far.send_all(b"x")


async def test_a_daemon_that_hangs_up_is_an_error_with_a_reason() -> None:
    near, far = memory_stream_pair()
    await far.aclose()
    with pytest.raises(Failure) as caught:
        await greet(near, HELLO)
    assert caught.value.code == "closed"


async def test_a_socket_at_which_nobody_answers_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path, tmp_path / ("x" * 200)):
        with pytest.raises(InputError, match="no daemon"):
            await connect(path, HELLO)
