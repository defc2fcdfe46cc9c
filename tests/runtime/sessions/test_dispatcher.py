"""The shell: run queue, gate, effects, control while held."""

import trio
from trio.testing import MockClock

from runtime.step import Phase, StepKind
from runtime.step import events as ev
from runtime.vocab import ToolResult
from tests.fakes.world import calls, running, text


async def test_a_prompt_runs_through_tools_to_an_answer() -> None:
    async with running([calls(("read", {"n": 1}), ("read", {"n": 2}))], [text("done")]) as world:
        session = world.open()
        world.say(session)
        state = await world.rest(session)
        assert state.phase is Phase.DONE
        assert state.answer == "done"
        assert world.sent == [("s", "done")]
        assert [part["functionResponse"]["response"] for part in state.history[2].parts] == [
            {"output": "read:1"},
            {"output": "read:2"},
        ]


async def test_a_held_session_holds_up_nobody(autojump_clock: MockClock) -> None:
    async with running([calls(("read", {}))], [text("done")]) as world:
        held, free = world.open("held"), world.open("free")
        world.dispatcher.gate.watch(
            lambda session, kind, call, event: "test" if session is held and kind is StepKind.CALL_RUN else None
        )
        world.dispatcher.gate.arm(held)
        world.say(held)
        world.say(free)
        await world.rest(free)
        await trio.sleep(60)
        assert free.state.phase is Phase.DONE
        assert held.state.hold is not None
        assert held.state.hold.step == "call.run"
        assert world.tools.tools["read"].runs == [{}]
        world.dispatcher.release(held, "test")
        assert (await world.rest(held)).phase is Phase.DONE


async def test_arguments_changed_at_a_stop_are_judged_again_and_run() -> None:
    async with running([calls(("read", {"n": 1}))], [text("done")]) as world:
        session = world.open()
        world.dispatcher.gate.watch(lambda one, kind, call, event: "test" if kind is StepKind.CALL_RUN else None)
        world.dispatcher.gate.arm(session)
        world.say(session)
        state = await world.held(session)
        assert state.turn is not None
        call = state.turn.calls[0]
        world.dispatcher.control(session, ev.Edited(f"calls.{call.id}.args.n", 7, "ann"), "ann")
        world.dispatcher.gate.breakpoints.clear()
        world.dispatcher.release(session, "ann")
        await world.rest(session)
        assert world.judge.seen == [("read", {"n": 1}), ("read", {"n": 7})]
        assert world.tools.tools["read"].runs == [{"n": 7}]
        assert session.state.touched


async def test_one_step_back_gives_the_same_answer_again() -> None:
    async with running([calls(("read", {"n": 1}))], [text("done")]) as world:
        session = world.open()
        world.say(session)
        state = await world.rest(session)
        asked = next(one for one in session.states if one.phase is Phase.REQUEST and one.turn and one.turn.number == 2)
        await world.back(session, asked.seq, "b1", "ann")
        await world.until(session, lambda one: one.state.phase is Phase.DONE and one.state.branch == "b1")
        assert session.state.answer == state.answer
        assert world.tools.tools["read"].runs == [{"n": 1}]


async def test_a_broken_tool_fails_alone() -> None:
    def explode(args: object, context: object) -> ToolResult:
        raise RuntimeError("boom")

    async with running([calls(("shell", {}))], [text("done")]) as world:
        world.tools.tools["shell"].does = explode
        session = world.open()
        world.say(session)
        state = await world.rest(session)
        assert state.phase is Phase.DONE
        assert state.history[2].parts[0]["functionResponse"]["response"] == {"error": "RuntimeError: boom"}


async def test_the_journal_brings_the_same_state_back() -> None:
    async with running([calls(("read", {"n": 1}), ("write", {"n": 2}))], [text("done")]) as world:
        session = world.open()
        world.say(session)
        state = await world.rest(session)
        await world.dispatcher.journal.committed(session.ticket)
        again, steps = world.dispatcher.journal.load("s")
        assert again == state
        assert len(steps) == state.seq
