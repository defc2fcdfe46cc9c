"""Deadlines freeze with their session; whoever never answers is given up, and never taken for a yes."""

import math

import pytest
import trio
from trio.testing import MockClock

from runtime.ports import ToolContext
from runtime.sessions.deadlines import Deadlines
from runtime.step import Phase, StepKind
from runtime.vocab import JsonObject, ToolResult
from tests.fakes.world import FakeJudge, calls, running, text


async def test_a_timeout_survives_a_pause_and_then_fires_with_what_was_left(autojump_clock: MockClock) -> None:
    deadlines, began = Deadlines(), trio.current_time()

    async def pause() -> None:
        await trio.sleep(0.1)
        deadlines.freeze()
        await trio.sleep(1)
        assert deadlines.remaining() == [pytest.approx(0.2)]
        deadlines.thaw()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pause)
        with deadlines.within(0.3) as scope:
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert trio.current_time() - began == pytest.approx(1.3)
    assert deadlines.remaining() == []


async def test_a_deadline_opened_in_a_pause_begins_with_the_end_of_it(autojump_clock: MockClock) -> None:
    deadlines, began = Deadlines(), trio.current_time()
    deadlines.freeze()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(deadlines.sleep, 2)
        await trio.sleep(5)
        assert deadlines.remaining() == [2]
        deadlines.thaw()
        await trio.sleep(0.5)
        assert deadlines.remaining() == [1.5]
    assert trio.current_time() - began == 7


async def test_freezing_and_thawing_twice_is_the_same_as_once(autojump_clock: MockClock) -> None:
    deadlines, began = Deadlines(), trio.current_time()
    deadlines.thaw()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(deadlines.sleep, 3)
        await trio.sleep(1)
        for _ in range(2):
            deadlines.freeze()
            await trio.sleep(10)
        for _ in range(2):
            deadlines.thaw()
            await trio.sleep(0.5)
    assert trio.current_time() - began == 23


async def test_a_deadline_that_is_over_fires_after_the_pause_and_not_in_it(mock_clock: MockClock) -> None:
    deadlines = Deadlines()
    with deadlines.within(1) as scope:
        mock_clock.jump(1)  # it is over, and Trio has not looked yet
        deadlines.freeze()
        await trio.lowlevel.checkpoint()
        deadlines.thaw()
        await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_a_wait_without_an_end_is_not_ended_by_a_pause(autojump_clock: MockClock) -> None:
    deadlines = Deadlines()
    with trio.move_on_after(100) as patience:
        with deadlines.within(math.inf):
            deadlines.freeze()
            deadlines.thaw()
            await trio.sleep_forever()
    assert patience.cancelled_caught


async def test_a_judge_that_never_answers_has_said_review(autojump_clock: MockClock) -> None:
    async with running([calls(("shell", {"n": 1}))], [text("done")]) as world:
        session = world.open()
        world.stop(StepKind.CALL_JUDGE)
        world.say(session)
        await world.held(session)
        world.judge.seconds = math.inf
        world.dispatcher.release(session, "ann")
        await world.until(session, lambda one: one.state.turns == 2)
        assert world.tools.tools["shell"].runs == []
        response = session.state.history[2].parts[0]["functionResponse"]["response"]
        assert response == {"error": "The judge gave no verdict in 30 s."}


@pytest.mark.parametrize("kind", [StepKind.MESSAGE_SCREEN, StepKind.REPLY_JUDGE])
async def test_what_no_judge_has_looked_at_comes_neither_in_nor_out(kind: StepKind, autojump_clock: MockClock) -> None:
    async with running([text("done")]) as world:
        session = world.open()
        world.stop(kind)
        world.say(session)
        await world.held(session)
        world.judge.seconds = math.inf
        world.dispatcher.release(session, "ann")
        state = await world.rest(session)
        assert state.phase is Phase.REFUSED
        assert state.outcome is not None
        assert (state.outcome.code, state.outcome.message) == ("judge.deadline", "The judge gave no verdict in 30 s.")
        assert world.sent == []


async def test_a_judge_has_as_long_as_ever_after_a_pause(autojump_clock: MockClock) -> None:
    async with running([text("done")], judge=FakeJudge(seconds=math.inf)) as world:
        session = world.open()
        world.say(session)
        await trio.sleep(20)
        world.dispatcher.hold(session, "ann")
        await trio.sleep(1000)
        world.dispatcher.release(session, "ann")
        await trio.sleep(9)
        assert session.state.outcome is None
        await trio.sleep(2)
        assert session.state.phase is Phase.REFUSED


async def test_a_context_that_is_never_built_fails_the_prompt(autojump_clock: MockClock) -> None:
    async with running([text("done")]) as world:
        world.contexts.seconds = math.inf
        session = world.open()
        world.say(session)
        state = await world.rest(session)
        assert state.phase is Phase.FAILED
        assert state.outcome is not None
        assert (state.outcome.code, state.outcome.message) == ("context", "The context was not built in 30 s.")
        assert len(state.history) == 0


async def test_a_reply_that_is_never_taken_fails_the_prompt(autojump_clock: MockClock) -> None:
    async with running([text("done")]) as world:
        world.outbox.seconds = math.inf
        session = world.open()
        world.say(session)
        await trio.sleep(61)
        state = session.state
        assert state.phase is Phase.FAILED
        assert state.outcome is not None
        assert (state.outcome.code, state.outcome.message) == ("send", "The reply was not taken in 60 s.")


async def test_a_tool_that_never_ends_is_stopped_and_answered(autojump_clock: MockClock) -> None:
    async with running([calls(("shell", {"n": 1}))], [text("done")]) as world:
        world.tools.tools["shell"].seconds = math.inf
        session = world.open()
        world.say(session)
        await trio.sleep(3599)
        assert session.state.turns == 1
        await trio.sleep(2)
        assert (session.state.phase, session.state.answer) == (Phase.DONE, "done")
        response = session.state.history[2].parts[0]["functionResponse"]["response"]
        assert response == {"error": "The tool did not end within 3600 s and was stopped."}


async def test_the_deadlines_of_a_tool_freeze_with_its_session(autojump_clock: MockClock) -> None:
    async def waits(args: JsonObject, context: ToolContext) -> ToolResult:
        began = trio.current_time()
        with context.deadline(0.3):
            await trio.sleep_forever()
        return ToolResult(output=f"{trio.current_time() - began:.1f}")

    async with running([calls(("read", {}))], [text("done")]) as world:
        world.tools.tools["read"].acts = waits
        session = world.open()
        world.say(session)
        await trio.sleep(0.1)
        assert len(session.deadlines.remaining()) == 2
        world.dispatcher.hold(session, "ann")
        await trio.sleep(1)
        world.dispatcher.release(session, "ann")
        state = await world.rest(session)
        assert state.history[2].parts[0]["functionResponse"]["response"] == {"output": "1.3"}
