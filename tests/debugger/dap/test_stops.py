"""An editor at a live debugger: what it sets stops where it should, steps go one step, and stops say why."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from debugger.dap.listing import LINES
from tests.debugger.dap.editor import LISTING, editing
from tests.fakes.studio import studio
from tests.fakes.world import FakeJudge, calls, text

READ = calls(("read", {"n": 1}))
CALLED = ([READ], [text("done")])


def before(count: int, messages: list[Any], what: str) -> int:
    """The place of the first message of a kind from a place on."""
    return next(n for n in range(count, len(messages)) if messages[n].get("event", messages[n].get("command")) == what)


async def test_an_editor_that_knows_only_lines_stops_steps_and_goes_on(autojump_clock: MockClock) -> None:
    async with studio(*CALLED) as house, editing(house) as editor:
        session = house.open("s")
        number = await editor.attach()
        rows = await editor.lines("call.judge", condition='tool.name == "read"')
        assert [(row["verified"], row["line"]) for row in rows] == [(True, LINES["call.judge"])]
        await editor.ask("configurationDone")
        assert (await editor.answer(number))["success"]
        house.world.say(session)
        stop = await editor.told("stopped")
        assert (stop["reason"], stop["threadId"], stop["allThreadsStopped"]) == ("breakpoint", 1, False)
        assert stop["hitBreakpointIds"] == [rows[0]["id"]]
        frames = (await editor.ask("stackTrace", threadId=1))["stackFrames"]
        assert [one["line"] for one in frames] == [
            LINES[kind] for kind in ("call.judge", "call.judge", "turn.start", "message.receive")
        ]
        assert frames[0]["name"] == "call.judge read"
        assert frames[-1]["presentationHint"] == "label"
        for verb, line in [("stepIn", "call.run"), ("next", "call.result"), ("next", "turn.end")]:
            await editor.ask(verb, threadId=1)
            assert (await editor.told("stopped"))["reason"] == "step"
            assert (await editor.top())["line"] == LINES[line]
        await editor.ask("continue", threadId=1)
        assert (await house.world.rest(session)).answer == "done"
        assert editor.events("continued") == []


@pytest.mark.parametrize("verb", ["next", "stepOut", "stepBack", "reverseContinue", "continue"])
async def test_a_stop_is_never_told_before_the_answer(verb: str, autojump_clock: MockClock) -> None:
    async with studio(*CALLED) as house, editing(house) as editor:
        session = house.open("s")
        await editor.ready()
        await editor.lines("call.run", "reply.send")
        house.world.say(session)
        await editor.told("stopped")
        start = len(editor.heard)
        await editor.ask(verb, threadId=1)
        await editor.until(lambda one: one in editor.heard[start:] and one.get("event") == "stopped")
        assert before(start, editor.heard, verb) < before(start, editor.heard, "stopped")
        assert editor.events("continued") == []


async def test_a_pause_is_answered_before_the_stop(autojump_clock: MockClock) -> None:
    async with studio([text("a", None), 100.0, text("b")]) as house, editing(house) as editor:
        session = house.open("s")
        await editor.ready()
        house.world.say(session)
        await trio.sleep(5)
        start = len(editor.heard)
        await editor.ask("pause", threadId=1)
        await editor.until(lambda one: one.get("event") == "stopped")
        assert before(start, editor.heard, "pause") < before(start, editor.heard, "stopped")


async def test_stepping_into_a_request_stops_at_the_pieces_and_over_it_behind_them(autojump_clock: MockClock) -> None:
    async with studio([text("a", None), text("b")], repeat=True) as house, editing(house) as editor:
        session = house.open("s")
        await editor.ready()
        await editor.lines("model.request")
        for verb, line in [("next", "model.response"), ("stepIn", "model.chunk")]:
            house.world.say(session)
            await editor.told("stopped")
            await editor.ask(verb, threadId=1)
            await editor.told("stopped")
            assert (await editor.top())["line"] == LINES[line]
            await editor.ask("continue", threadId=1)
            await house.world.rest(session)


async def test_breakpoints_by_name_count_hits_and_are_replaced_as_a_set(autojump_clock: MockClock) -> None:
    async with studio(*CALLED, repeat=True) as house, editing(house) as editor:
        session = house.open("s")
        await editor.ready()

        async def functions(*rows: dict[str, Any]) -> list[Any]:
            answer = await editor.ask("setFunctionBreakpoints", breakpoints=list(rows))
            return answer["breakpoints"]  # type: ignore[no-any-return]

        first = await functions({"name": "tool:re*", "hitCondition": "2"}, {"name": "no.such.step"})
        assert [row["verified"] for row in first] == [True, False]
        assert "no step has a name like" in first[1]["message"]
        house.world.say(session)
        await house.world.rest(session)
        again = await functions({"name": "tool:re*", "hitCondition": "2"})
        assert again[0]["id"] == first[0]["id"]  # it goes on counting
        house.world.say(session)
        assert (await editor.told("stopped"))["reason"] == "function breakpoint"
        assert await functions() == []
        assert len(house.debugger.book) == 0


async def test_a_watched_path_says_what_it_was_and_is(autojump_clock: MockClock) -> None:
    async with studio(*CALLED) as house, editing(house) as editor:
        session = house.open("s")
        await editor.ready()
        info = await editor.ask("dataBreakpointInfo", name="state.usage.total")
        assert (info["dataId"], info["accessTypes"]) == ("state.usage.total", ["write"])
        rows = await editor.ask("setDataBreakpoints", breakpoints=[{"dataId": info["dataId"], "accessType": "write"}])
        assert rows["breakpoints"][0]["verified"]
        house.world.say(session)
        stop = await editor.told("stopped")
        assert stop["reason"] == "data breakpoint"
        assert "state.usage.total 0 -> 12" in stop["description"]
        for name in ("event", "no such path", "state.nothing"):
            assert (await editor.ask("dataBreakpointInfo", name=name))["dataId"] is None


async def test_the_call_in_hand_is_watched_by_its_place(autojump_clock: MockClock) -> None:
    odd = calls(("read", {"an odd name": [1]}))
    async with studio([odd], [text("done")]) as house, editing(house) as editor:
        session = house.open("s")
        await editor.ready()
        await editor.lines("call.judge")
        house.world.say(session)
        await editor.told("stopped")
        scope = await editor.scope("Call arguments")
        info = await editor.ask("dataBreakpointInfo", variablesReference=scope, name="phase")
        assert info["dataId"] == "state.calls[0].phase"
        args = (await editor.variables(scope))["args"]["variablesReference"]
        info = await editor.ask("dataBreakpointInfo", variablesReference=args, name="an odd name")
        assert info["dataId"] == 'state.calls[0].args["an odd name"]'
        odd_one = (await editor.variables(args))["an odd name"]["variablesReference"]
        info = await editor.ask("dataBreakpointInfo", variablesReference=odd_one, name="0")
        assert info["dataId"] == 'state.calls[0].args["an odd name"][0]'


async def test_a_refused_call_is_an_exception_with_its_verdict(autojump_clock: MockClock) -> None:
    judge = FakeJudge(blocked={"read"})
    async with studio(*CALLED, judge=judge) as house, editing(house) as editor:
        session = house.open("s")
        await editor.ready()
        await editor.ask("setExceptionBreakpoints", filters=["defender.block"], filterOptions=[])
        house.world.say(session)
        assert (await editor.told("stopped"))["reason"] == "exception"
        info = await editor.ask("exceptionInfo", threadId=1)
        assert (info["exceptionId"], info["breakMode"]) == ("defender.block", "always")
        assert "block" in info["details"]["message"]


async def test_a_log_point_speaks_and_stops_nobody(autojump_clock: MockClock) -> None:
    async with studio(*CALLED) as house, editing(house) as editor:
        session = house.open("s")
        await editor.ready()
        await editor.lines("model.request", logMessage="turn={state.turn}")
        house.world.say(session)
        await house.world.rest(session)
        await trio.testing.wait_all_tasks_blocked()
        assert "turn=1\n" in editor.output()
        assert "turn=2\n" in editor.output()
        assert editor.events("stopped") == []


async def test_breakpoints_go_with_the_connection_and_those_of_others_stay(autojump_clock: MockClock) -> None:
    async with studio(*CALLED) as house:
        house.open("s")
        ann = await house.client("ann")
        await ann.ask("break_add", kinds=["call.run"])
        for leave in ("disconnect", "lost"):
            async with editing(house) as editor:
                await editor.ready()
                await editor.lines("call.run", "call.judge")
                assert len(house.debugger.book) == 3
                if leave == "disconnect":
                    await editor.ask("disconnect")
                else:
                    await editor.stream.send_stream.aclose()
                await trio.sleep(10)
            assert len(house.debugger.book) == 1


async def test_a_breakpoint_that_somebody_else_deletes_is_told(autojump_clock: MockClock) -> None:
    async with studio(*CALLED) as house, editing(house) as editor:
        house.open("s")
        ann = await house.client("ann")
        await editor.ready()
        row = (await editor.lines("call.run"))[0]
        await ann.ask("break_delete", ids=[row["id"]])
        told = await editor.told("breakpoint", reason="removed")
        assert told["breakpoint"]["id"] == row["id"]
        assert (await editor.lines("call.run"))[0]["verified"]


async def test_what_a_killed_server_left_behind_is_swept(autojump_clock: MockClock) -> None:
    async with studio(*CALLED) as house:
        house.open("s")
        ann = await house.client("ann")
        await ann.ask("break_add", kinds=["call.run"], group="dap:999999999")
        await ann.ask("break_add", kinds=["call.run"], group="dap:1")
        async with editing(house) as editor:
            await editor.ready()
            assert [one.spec.group for one in house.debugger.book] == ["dap:1"]


async def test_lines_of_other_texts_take_no_breakpoints(autojump_clock: MockClock) -> None:
    async with studio(*CALLED) as house, editing(house) as editor:
        house.open("s")
        await editor.ready()
        rows = await editor.ask("setBreakpoints", source={"path": "/home/x/main.py"}, breakpoints=[{"line": 3}])
        assert [row["verified"] for row in rows["breakpoints"]] == [False]
        assert LISTING["path"] in rows["breakpoints"][0]["message"]


async def test_a_bad_condition_is_refused_with_its_place(autojump_clock: MockClock) -> None:
    async with studio(*CALLED) as house, editing(house) as editor:
        house.open("s")
        await editor.ready()
        rows = await editor.lines("call.run", condition="().__class__")
        assert (rows[0]["verified"], rows[0]["reason"]) == (False, "failed")
        assert "when" in rows[0]["message"]
        assert len(house.debugger.book) == 0


async def test_what_others_do_with_a_session_is_told_to_an_editor_that_watches(autojump_clock: MockClock) -> None:
    async with studio([text("a", None), 100.0, text("b")], repeat=True) as house, editing(house) as editor:
        session = house.open("s")
        bob = await house.driver(session, "bob")
        await editor.ready(role="observer")
        house.world.say(session)
        await trio.sleep(5)
        held = await bob.ask("pause", session="s")
        assert (await editor.told("stopped"))["reason"] == "pause"
        await bob.ask("continue", session="s", generation=held["generation"])
        assert (await editor.told("continued"))["allThreadsContinued"] is False
        assert "running" in await editor.refused("continue", threadId=1)
