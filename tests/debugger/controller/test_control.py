"""Pause, step, finish, until, lock: one session stands exactly where it was told to, and goes on from there."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from debugger.breakpoints.budget import EARNED, Allowance
from runtime.sessions.session import Session
from runtime.step import Phase, StepKind
from runtime.vocab import JsonObject, ToolResult
from tests.fakes.studio import Person, studio
from tests.fakes.world import calls, chunk, text

THREE = chunk([{"functionCall": {"id": f"c{n}", "name": "read", "args": {"n": n}}} for n in range(3)])


async def stop(person: Person, session: Session) -> Any:
    """Pause a session, and return where it stands."""
    await person.ask("pause", session=session.id)
    told = await person.told("stopped")
    person.forget()
    return told


async def go(person: Person, command: str, stand: Any, **params: Any) -> Any:
    """Let a session go from where it stands, and return where it stands then."""
    await person.ask(command, session=stand["session"], generation=stand["generation"], **params)
    told = await person.told("stopped")
    person.forget()
    return told


def at(told: Any) -> tuple[str, str]:
    return told["step"]["kind"], told["step"]["call"].partition("__")[0]


# --- pause and continue


async def test_a_pause_holds_one_session_and_tells_where_and_why(autojump_clock: MockClock) -> None:
    async with studio([text("a", None), 10.0, text("b")], repeat=True) as house:
        session, other = house.open("s"), house.open("other")
        ann = await house.driver(session)
        house.world.say(session)
        house.world.say(other)
        await trio.sleep(5)
        told = await stop(ann, session)
        assert (told["session"], told["by"], told["cause"]) == ("s", "debugger:ann", "pause")
        assert at(told)[0] == "model.chunk"
        assert told["context"]["answer"] == {"characters": 1, "tail": "a"}
        await trio.sleep(600)
        assert other.state.phase is Phase.DONE
        assert session.state.phase is Phase.STREAMING
        assert session.inbox
        await ann.ask("continue", session="s", generation=told["generation"])
        assert (await house.world.rest(session)).answer == "ab"
        assert (await ann.told("continued"))["by"] == "debugger:ann"


async def test_all_that_nobody_else_drives_can_be_paused_and_go_on(autojump_clock: MockClock) -> None:
    async with studio([100.0, text("a")], repeat=True) as house:
        sessions = [house.open(f"s{n}") for n in range(4)]
        idle = house.open("idle")
        bob = await house.driver(sessions[3], "bob")
        ann = await house.client("ann")
        for session in sessions:
            house.world.say(session)
        await trio.sleep(1)
        assert (await ann.ask("pause", session="*"))["sessions"] == ["s0", "s1", "s2"]
        assert [one.state.hold is not None for one in (*sessions, idle)] == [True, True, True, False, False]
        await bob.ask("pause", session="s3")
        assert (await ann.ask("continue", session="*", generation=0))["sessions"] == ["s0", "s1", "s2"]
        assert sessions[3].state.hold is not None


async def test_a_late_command_never_releases_a_newer_stop(autojump_clock: MockClock) -> None:
    async with studio([text("a", None), 10.0, text("b")]) as house:
        session = house.open()
        ann = await house.driver(session)
        house.world.say(session)
        await trio.sleep(1)
        first = await stop(ann, session)
        await ann.ask("continue", session="s", generation=first["generation"])
        second = await stop(ann, session)
        for command in ("continue", "step", "finish"):
            why = await ann.refused(command, session="s", generation=first["generation"])
            assert (why.code, why.at) == ("stale", "with.generation")
        assert session.state.hold is not None
        assert second["generation"] == first["generation"] + 1


async def test_a_session_that_runs_has_nothing_to_continue(autojump_clock: MockClock) -> None:
    async with studio() as house:
        ann = await house.driver(house.open())
        why = await ann.refused("continue", session="s", generation=0)
        assert (why.code, str(why)) == ("not_held", "session s rests: pause it first")


# --- steps of four grains


async def test_micro_steps_are_records_of_the_journal(autojump_clock: MockClock) -> None:
    async with studio([text("a", None), text("b")]) as house:
        session = house.open()
        ann = await house.driver(session)
        told = await stop(ann, session)
        house.world.say(session)
        seen = []
        while session.state.phase is not Phase.DONE:
            told = await go(ann, "step", told, grain="micro")
            seen.append(at(told)[0])
        assert seen == [
            "message.screen",
            "message.screen",
            "turn.start",
            "context.build",
            "context.build",
            "model.request",
            "model.chunk",
            "model.chunk",
            "model.response",
            "turn.end",
            "reply.judge",
            "reply.judge",
            "reply.send",
            "reply.send",
            "message.receive",
        ]


async def test_a_step_is_one_of_the_machine_with_all_its_records(autojump_clock: MockClock) -> None:
    async with studio([text("a", None), text("b")]) as house:
        session = house.open()
        ann = await house.driver(session)
        told = await stop(ann, session)
        house.world.say(session)
        seen = []
        while session.state.phase is not Phase.DONE:
            told = await go(ann, "step", told)
            seen.append(at(told)[0])
        assert seen == [
            "message.screen",
            "turn.start",
            "context.build",
            "model.request",
            "model.response",
            "turn.end",
            "reply.judge",
            "reply.send",
            "message.receive",
        ]


@pytest.mark.parametrize("count", [2, 4])
async def test_several_steps_at_once(count: int, autojump_clock: MockClock) -> None:
    async with studio([text("a", None), text("b")]) as house:
        session = house.open()
        ann = await house.driver(session)
        told = await stop(ann, session)
        house.world.say(session)
        assert at(await go(ann, "step", told, count=count))[0] == {2: "turn.start", 4: "model.request"}[count]


async def test_a_call_is_one_answer_of_the_model_or_one_result_of_a_tool(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {}))], [text("done")]) as house:
        session = house.open()
        ann = await house.driver(session)
        told = await stop(ann, session)
        house.world.say(session)
        seen = []
        while session.state.phase is not Phase.DONE:
            told = await go(ann, "step", told, grain="call")
            seen.append(at(told)[0])
        assert seen == ["call.judge", "turn.end", "turn.end", "message.receive"]


async def test_a_turn_is_a_turn(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {}))], [text("done")]) as house:
        session = house.open()
        ann = await house.driver(session)
        told = await stop(ann, session)
        house.world.say(session)
        seen = []
        while session.state.phase is not Phase.DONE:
            told = await go(ann, "step", told, grain="turn")
            seen.append(at(told)[0])
        assert seen == ["turn.start", "reply.judge", "message.receive"]


async def test_finish_goes_to_the_end_of_the_call_and_then_of_the_turn(autojump_clock: MockClock) -> None:
    async with studio([THREE], [text("done")]) as house:
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("break_add", kinds=["call.run"], temporary=True)
        house.world.say(session)
        told = await ann.told("stopped")
        ann.forget()
        first = told["step"]["call"]
        told = await go(ann, "finish", told)
        assert {call.id: call.phase.value for call in session.state.turn.calls}[first] == "finished"  # type: ignore[union-attr]
        while told["step"]["call"]:
            told = await go(ann, "finish", told)
        told = await go(ann, "finish", told)
        assert at(told)[0] == "turn.start"


async def test_until_an_expression_is_true(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {"n": 1}))], [calls(("read", {"n": 2}))], [text("done")]) as house:
        session = house.open()
        ann = await house.driver(session)
        told = await stop(ann, session)
        house.world.say(session)
        told = await go(ann, "until", told, expr='step.kind == "call.run" and tool.args.n == 2')
        assert at(told)[0] == "call.run"
        assert told["cause"] == 'until step.kind == "call.run" and tool.args.n == 2'
        assert session.state.turns == 2
        bad = await ann.refused("until", session="s", generation=told["generation"], expr="state.kill()")
        assert (bad.code, bad.position is not None) == ("bad_expression", True)


@pytest.mark.parametrize("characters", [600_000, 6_000_000])
async def test_an_until_that_costs_everybody_too_much_stops_and_says_why(
    characters: int, autojump_clock: MockClock
) -> None:
    async with studio([text("word ") for _ in range(150)], [text("done")]) as house:
        session = house.open()
        ann = await house.driver(session)
        told = await stop(ann, session)
        house.world.say(session, "y" * characters)
        expr = " or ".join(['startswith(lower(state.history[0].text), "n")'] * 10)
        await ann.ask("until", session="s", generation=told["generation"], expr=expr)
        why = (await ann.told("breakpoint"))["why"]
        assert why.startswith("until startswith(lower(state.history[0].text)")
        assert why.endswith("is not true, and stops: it takes too much of everybody's time; look at fewer items")
        assert session.state.phase is Phase.STREAMING
        assert session.state.hold is not None


def test_an_until_that_takes_little_is_asked_for_as_long_as_it_takes() -> None:
    allowance = Allowance()
    assert all(allowance.pay(EARNED) for _ in range(5_000))
    assert not all(allowance.pay(EARNED * 2) for _ in range(5_000))
    assert allowance.pay(EARNED)


async def test_what_did_not_come_true_before_the_end_of_the_prompt_says_so(autojump_clock: MockClock) -> None:
    async with studio([text("done")]) as house:
        session = house.open()
        ann = await house.driver(session)
        told = await stop(ann, session)
        house.world.say(session)
        told = await go(ann, "until", told, expr=f"state.turn > {'9' * 15} or {' or '.join(['state.turn > 98'] * 20)}")
        assert told["cause"].startswith("until state.turn > 999999999999999 or state.turn > 98 or ")
        assert told["cause"].endswith("…: the prompt was over first")
        assert len(told["cause"]) < 250


async def test_a_step_over_the_end_of_a_prompt_waits_for_the_next_message(autojump_clock: MockClock) -> None:
    async with studio([text("done")], [text("again")]) as house:
        session = house.open()
        ann = await house.driver(session)
        told = await stop(ann, session)
        await ann.ask("step", session="s", generation=told["generation"])
        await trio.sleep(100)
        assert not ann.all("stopped")
        house.world.say(session)
        assert at(await ann.told("stopped"))[0] == "message.screen"


# --- parallel calls


async def held_calls(house: Any) -> tuple[Session, Person, Any]:
    session = house.open()
    ann = await house.driver(session)
    await ann.ask("break_add", kinds=["call.run"], temporary=True)
    house.world.say(session)
    told = await ann.told("stopped")
    ann.forget()
    return session, ann, told


def by_phase(session: Session) -> list[str]:
    return [call.phase.value for call in session.state.turn.calls] if session.state.turn else []


async def test_without_the_lock_other_calls_run_beside_the_one_that_is_stepped(autojump_clock: MockClock) -> None:
    async with studio([THREE], [text("done")]) as house:
        house.world.tools.tools["read"].seconds = 5
        session, ann, told = await held_calls(house)
        assert session.state.turn is not None
        second = session.state.turn.calls[1].id
        told = await go(ann, "step", told, grain="call", call=second)
        assert by_phase(session)[1] == "finished"
        assert "scheduled" not in by_phase(session)


@pytest.mark.parametrize("mode", ["on", "step"])
async def test_with_the_lock_only_the_call_that_is_stepped_goes_on(mode: str, autojump_clock: MockClock) -> None:
    async with studio([THREE], [text("done")]) as house:
        house.world.tools.tools["read"].seconds = 5
        session, ann, told = await held_calls(house)
        assert session.state.turn is not None
        second = session.state.turn.calls[1].id
        await ann.ask("lock", session="s", mode=mode)
        told = await go(ann, "step", told, grain="call", call=second)
        assert by_phase(session) == ["scheduled", "finished", "scheduled"]
        assert session.focus == ""
        await ann.ask("lock", session="s", mode="off")
        await ann.ask("continue", session="s", generation=told["generation"])
        assert (await house.world.rest(session)).answer == "done"


async def test_a_call_that_is_not_there_cannot_be_stepped(autojump_clock: MockClock) -> None:
    async with studio([THREE], [text("done")]) as house:
        session, ann, told = await held_calls(house)
        why = await ann.refused("step", session="s", generation=told["generation"], call="nobody")
        assert (why.code, why.at) == ("bad_params", "with.call")
        assert session.state.hold is not None


# --- from the first step


async def test_a_session_can_begin_suspended(autojump_clock: MockClock) -> None:
    async with studio([text("done")]) as house:
        ann = await house.client()
        told = await ann.ask("new", suspended=True)
        session = house.roster.live[told["session"]]
        assert told["held"]
        house.world.say(session)
        await trio.sleep(100)
        assert session.state.phase is Phase.IDLE
        await ann.ask("continue", session=session.id, generation=told["generation"])
        assert (await house.world.rest(session)).answer == "done"


async def test_a_new_session_that_a_breakpoint_wants_waits_before_its_first_step(autojump_clock: MockClock) -> None:
    async with studio([text("done")], repeat=True) as house:
        ann = await house.client()
        await ann.ask("break_add", new_session=True, when='state.model == "test-model"', temporary=True)
        session = house.open()
        told = await ann.told("stopped")
        assert (told["session"], told["by"]) == ("s", "breakpoint")
        house.world.say(session)
        await trio.sleep(100)
        assert session.state.phase is Phase.IDLE
        other = house.open("other")
        assert other.state.hold is None


# --- in a stream and in a tool


async def test_a_tool_that_runs_while_the_session_is_held_brings_its_result_afterwards(
    autojump_clock: MockClock,
) -> None:
    async with studio([calls(("read", {}))], [text("done")]) as house:
        house.world.tools.tools["read"].seconds = 5
        session = house.open()
        ann = await house.driver(session)
        house.world.say(session)
        await trio.sleep(1)
        told = await stop(ann, session)
        assert at(told) == ("call.result", "read")
        await trio.sleep(100)
        assert by_phase(session) == ["running"]
        await ann.ask("continue", session="s", generation=told["generation"])
        assert (await house.world.rest(session)).answer == "done"


async def test_what_a_tool_prints_is_told_to_who_is_attached(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {}))], [text("do", None), text("ne")]) as house:

        async def work(args: JsonObject, context: Any) -> ToolResult:
            context.live("half")
            await trio.sleep(1)
            context.live("whole")
            return ToolResult(output="ok")

        house.world.tools.tools["read"].acts = work
        session = house.open()
        ann = await house.driver(session)
        bob = await house.client("bob")
        house.world.say(session)
        await house.world.rest(session)
        await ann.told("output", 6)
        assert [(one["kind"], one["text"], one.get("end", False)) for one in ann.all("output")] == [
            ("text", "", True),
            ("tool", "half", False),
            ("tool", "whole", False),
            ("text", "do", False),
            ("text", "ne", False),
            ("text", "", True),
        ]
        assert not bob.all("output")


async def test_what_a_tool_printed_is_told_once_though_each_report_has_all_of_it(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {}))], [text("done")]) as house:

        async def work(args: JsonObject, context: Any) -> ToolResult:
            for report in ("one\n", "one\ntwo\n", "one\ntwo\nthree\n"):
                context.live(report)
                await trio.sleep(1)
            return ToolResult(output="ok")

        house.world.tools.tools["read"].acts = work
        session = house.open()
        ann = await house.driver(session)
        house.world.say(session)
        await house.world.rest(session)
        await ann.told("rested")
        assert [one["text"] for one in ann.all("output") if one["kind"] == "tool"] == ["one\n", "two\n", "three\n"]


async def test_a_prompt_that_is_over_grows_no_older(autojump_clock: MockClock) -> None:
    async with studio([text("done")]) as house:
        session = house.open()
        ann = await house.driver(session)
        house.world.say(session)
        await house.world.rest(session)
        assert (await ann.told("rested"))["tokens"] == session.state.usage.total
        took = (await ann.ask("print", session="s", expr="seconds"))["value"]
        await trio.sleep(100)
        assert (await ann.ask("print", session="s", expr="seconds"))["value"] == took < 100


async def test_a_cancelled_session_that_is_held_stays_held_at_rest(autojump_clock: MockClock) -> None:
    async with studio([30.0, text("a")], repeat=True) as house:
        session = house.open()
        ann = await house.driver(session)
        why = await ann.refused("cancel", session="s")
        assert why.code == "refused"
        house.world.say(session)
        await trio.sleep(1)
        told = await stop(ann, session)
        await ann.ask("cancel", session="s", reason="enough")
        assert session.state.phase is Phase.CANCELLED
        assert session.state.hold is not None
        await ann.ask("continue", session="s", generation=told["generation"])
        house.world.say(session)
        assert (await house.world.rest(session)).answer == "a"


async def test_breakpoints_stop_a_session_on_its_way(autojump_clock: MockClock) -> None:
    async with studio([text("a")]) as house:
        session = house.open()
        ann = await house.driver(session)
        told = await stop(ann, session)
        house.world.say(session)
        await ann.ask("break_add", kinds=["model.request"])
        told = await go(ann, "step", told, grain="turn")
        assert (at(told)[0], told["cause"], told["hits"]) == ("model.request", "breakpoint 1", [1])
        assert session.state.hold is not None
        assert session.state.hold.step == StepKind.MODEL_REQUEST.value
