"""How editors come and go: which sessions they get, who may come in, what becomes of sessions when they leave."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from debugger.dap.listing import LINES
from runtime.sessions.session import Session
from runtime.step import Phase
from runtime.step import events as ev
from tests.debugger.dap.editor import editing
from tests.fakes.studio import studio
from tests.fakes.world import calls, text


def is_held(session: Session) -> bool:
    """Whether a session stands."""
    return session.state.hold is not None


SLOW: tuple[Any, ...] = ([text("a", None), 1_000.0, text("b")],)


async def test_attach_is_answered_after_the_configuration_is_done(autojump_clock: MockClock) -> None:
    async with studio(*SLOW) as house, editing(house) as editor:
        house.open("s")
        number = await editor.attach()
        await trio.sleep(100)
        assert not [one for one in editor.heard if one.get("request_seq") == number]
        await editor.ask("configurationDone")
        assert (await editor.answer(number))["success"]
        assert "nothing waits" in await editor.refused("configurationDone")
        assert "attaches once" in await editor.refused("attach", session="s")


async def test_one_connection_is_one_session_unless_all_are_asked_for(autojump_clock: MockClock) -> None:
    async with studio(*SLOW) as house:
        house.open("one")
        house.open("two")
        async with editing(house) as editor:
            await editor.ask("initialize", adapterID="x")
            refused = await editor.refused("attach")
            assert "say all; there are 2: one, two" in refused
        async with editing(house) as editor:
            await editor.ready("one")
            assert len((await editor.ask("threads"))["threads"]) == 1
            await (await house.client("bob")).ask("pause", session="two")
            await trio.sleep(1)
            assert editor.events("stopped") == []
        async with editing(house) as editor:
            await editor.ready("all")
            assert [one["id"] for one in (await editor.ask("threads"))["threads"]] == [1, 2]
            assert (await editor.told("stopped"))["threadId"] == 2


async def test_where_there_is_one_session_it_need_not_be_named(autojump_clock: MockClock) -> None:
    async with studio(*SLOW) as house, editing(house) as editor:
        house.open("s")
        await editor.ready("")
        assert len((await editor.ask("threads"))["threads"]) == 1


async def test_what_the_server_was_started_for_is_attached_to(autojump_clock: MockClock) -> None:
    async with studio(*SLOW) as house, editing(house, session="two") as editor:
        house.open("one")
        house.open("two")
        await editor.ready("")
        assert (await editor.ask("threads"))["threads"][0]["name"].startswith("two")


async def test_sessions_that_begin_and_end_are_threads_that_do(autojump_clock: MockClock) -> None:
    async with studio(*SLOW) as house, editing(house) as editor:
        await editor.ready("all")
        session = house.open("new")
        assert await editor.told("thread") == {"reason": "started", "threadId": 1}
        house.world.dispatcher.control(session, ev.Closed("test"), "system")
        assert await editor.told("thread") == {"reason": "exited", "threadId": 1}
        assert (await editor.ask("threads"))["threads"] == []


async def test_a_breakpoint_that_is_set_first_stops_the_very_first_step(autojump_clock: MockClock) -> None:
    async with studio(*SLOW) as house, editing(house) as editor:
        await editor.ask("initialize", adapterID="x")
        number = await editor.begin("launch", session="made", message="hello")
        await editor.told("initialized")
        await editor.lines("message.receive")
        await editor.ask("configurationDone")
        assert (await editor.answer(number))["success"]
        stop = await editor.told("stopped")
        assert stop["reason"] == "breakpoint"
        assert (await editor.top())["line"] == LINES["message.receive"]


@pytest.mark.parametrize("flag", ["stopOnEntry", "suspend"])
async def test_sessions_stand_still_until_breakpoints_are_set(flag: str, autojump_clock: MockClock) -> None:
    async with studio(*SLOW) as house, editing(house) as editor:
        session = house.open("s")
        house.world.say(session)
        await trio.sleep(1)
        await editor.attach("s", **{flag: True})
        assert is_held(session)
        await editor.ask("configurationDone")
        await trio.sleep(1)
        assert is_held(session) is (flag == "stopOnEntry")
        assert [stop["reason"] for stop in editor.events("stopped")] == ["entry"] * (flag == "stopOnEntry")
        assert editor.events("continued") == []


async def test_a_session_that_stands_already_is_told_to_stand(autojump_clock: MockClock) -> None:
    async with studio(*SLOW) as house:
        session = house.open("s")
        house.world.say(session)
        bob = await house.client("bob")
        await trio.sleep(1)
        await bob.ask("pause", session="s")
        await bob.ask("detach", session="s", then="hold")
        async with editing(house) as editor:
            await editor.ready()
            assert (await editor.told("stopped"))["threadId"] == 1


async def test_an_attach_that_is_refused_ends_the_connection_behind_the_answer(autojump_clock: MockClock) -> None:
    async with studio(*SLOW) as house, editing(house) as editor:
        house.open("s")
        await editor.ask("initialize", adapterID="x")
        assert "there is no session 'nobody'" in await editor.refused("attach", session="nobody")
        await trio.sleep(10)
        assert not house.studio.service.links


# --- leaving


@pytest.mark.parametrize(
    ("terms", "leaving", "phase", "held"),
    [
        ({}, {}, Phase.STREAMING, False),
        ({"onDisconnect": "hold"}, {}, Phase.STREAMING, True),
        ({"onDisconnect": "cancel"}, {}, Phase.CANCELLED, False),
        ({}, {"terminateDebuggee": True}, Phase.CANCELLED, False),
        ({"onDisconnect": "resume"}, {"suspendDebuggee": True}, Phase.STREAMING, True),
    ],
)
async def test_what_becomes_of_a_session_is_what_was_asked_for(
    terms: dict[str, Any], leaving: dict[str, Any], phase: Phase, held: bool, autojump_clock: MockClock
) -> None:
    async with studio(*SLOW) as house, editing(house) as editor:
        session = house.open("s")
        await editor.ready(**terms)
        house.world.say(session)
        await trio.sleep(1)
        await editor.pause()
        await editor.ask("disconnect", **leaving)
        await trio.sleep(1)
        assert (session.state.phase, session.state.hold is not None) == (phase, held)
        assert house.debugger.leases.of("s") is None


async def test_a_lost_editor_leaves_the_session_held_for_as_long_as_it_asked_for(autojump_clock: MockClock) -> None:
    async with studio(*SLOW) as house, editing(house) as editor:
        session = house.open("s")
        await editor.ready(holdSeconds=60)
        house.world.say(session)
        await trio.sleep(1)
        await editor.pause()
        await editor.stream.send_stream.aclose()
        await trio.sleep(50)
        assert session.state.hold is not None
        await trio.sleep(20)
        assert session.state.hold is None


async def test_terminating_ends_the_debugging_and_not_the_daemon(autojump_clock: MockClock) -> None:
    async with studio(*SLOW) as house, editing(house) as editor:
        session = house.open("s")
        await editor.ready()
        house.world.say(session)
        await trio.sleep(1)
        await editor.pause()
        await editor.ask("terminate")
        await editor.told("terminated")
        assert session.state.hold is None
        assert session.state.phase is Phase.STREAMING
        assert await (await house.client("bob")).ask("status", session="s")


async def test_threads_that_are_terminated_are_cancelled_prompts(autojump_clock: MockClock) -> None:
    async with studio(*SLOW) as house, editing(house) as editor:
        session = house.open("s")
        await editor.ready()
        house.world.say(session)
        await trio.sleep(1)
        await editor.ask("terminateThreads", threadIds=[1])
        assert session.state.phase is Phase.CANCELLED


async def test_the_end_of_the_daemon_is_the_end_of_the_debugging(autojump_clock: MockClock) -> None:
    async with studio(*SLOW) as house, editing(house) as editor:
        house.open("s")
        await editor.ready()
        house.studio.service.goodbye("it stops")
        await editor.told("terminated")
        assert "it stops" in editor.output()
        assert await editor.refused("threads")


# --- who may come in


async def test_a_wrong_token_is_refused_late_and_ends_the_connection(autojump_clock: MockClock) -> None:
    for given in ({}, {"token": "wrong"}, {"token": "t\u00f6ken"}):
        async with studio(*SLOW) as house, editing(house, token="right") as editor:
            house.open("s")
            began = trio.current_time()
            await editor.ask("initialize", adapterID="x")
            assert "token" in await editor.refused("attach", session="s", **given)
            assert trio.current_time() - began >= 1
            await trio.sleep(10)
            assert not house.studio.service.links
            with pytest.raises((trio.BrokenResourceError, trio.ClosedResourceError)):
                for _ in range(3):
                    await editor.begin("threads")


async def test_the_right_token_comes_in(autojump_clock: MockClock) -> None:
    async with studio(*SLOW) as house, editing(house, token="right") as editor:
        house.open("s")
        await editor.ready(token="right")


async def test_a_process_that_the_daemon_started_is_refused_though_it_knows_the_token(
    autojump_clock: MockClock,
) -> None:
    async with studio(*SLOW) as house, editing(house, token="right", denied="agents may not debug") as editor:
        house.open("s")
        await editor.ask("initialize", adapterID="x")
        assert "agents may not debug" in await editor.refused("attach", session="s", token="right")
        await trio.sleep(10)
        assert not house.studio.service.links


async def test_nothing_is_done_for_who_is_not_attached_and_not_for_long(autojump_clock: MockClock) -> None:
    async with studio(*SLOW) as house, editing(house, token="right") as editor:
        house.open("s")
        for request in ("threads", "setBreakpoints", "evaluate", "agent/sessions"):
            assert await editor.refused(request, expression="1", source={})
        await trio.sleep(61)
        with pytest.raises((trio.BrokenResourceError, trio.ClosedResourceError)):
            for _ in range(3):
                await editor.begin("threads")


async def test_no_editor_gets_a_role_above_that_of_the_server(autojump_clock: MockClock) -> None:
    async with studio(*SLOW) as house, editing(house, role="driver") as editor:
        session = house.open("s")
        await editor.ask("initialize", adapterID="x")
        number = await editor.begin("attach", session="s", role="override")
        assert "role driver at most" in (await editor.answer(number))["message"]
    async with studio(*SLOW) as house, editing(house, role="driver") as editor:
        session = house.open("s")
        await editor.ready()
        house.world.say(session)
        await trio.sleep(1)
        await editor.pause()
        assert "needs the role" in await editor.refused("setExpression", expression="state.model", value='"x"')


async def test_an_observer_sees_and_changes_nothing(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {"n": 1}))], [text("done")]) as house, editing(house, role="observer") as editor:
        session = house.open("s")
        bob = await house.driver(session, "bob")
        await editor.ready()
        rows = await editor.lines("call.run")
        assert rows[0]["verified"] is False
        await bob.ask("break_add", kinds=["call.run"])
        house.world.say(session)
        assert (await editor.told("stopped"))["reason"] == "breakpoint"
        assert await editor.value("tool.name", (await editor.top())["id"]) == '"read"'
        assert "needs the role" in await editor.refused("continue", threadId=1)
        assert session.state.hold is not None
