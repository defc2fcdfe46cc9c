"""A held session still answers: state, edits, cancel, back, pause and release."""

import pytest
import trio
from trio.testing import MockClock

from runtime.errors import JournalError, NoTransition
from runtime.sessions.session import Session
from runtime.step import Phase, StepKind
from runtime.step import events as ev
from runtime.step.edits import EditRefused
from tests.fakes.requests import assert_whole
from tests.fakes.world import World, calls, running, text

ANSWERS = ([calls(("read", {"n": 1}))], [text("done")])


async def standing(world: World, kind: StepKind = StepKind.CALL_RUN) -> Session:
    """A session that is held before its first step of this kind."""
    session = world.open()
    world.stop(kind)
    world.say(session)
    await world.held(session)
    return session


async def test_its_state_can_be_read_and_stays_as_it_is(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        session = await standing(world)
        state = session.state
        await trio.sleep(1000)
        assert session.state is state
        assert state.turn is not None
        assert [call.args for call in state.turn.calls] == [{"n": 1}]


async def test_an_edit_that_is_refused_changes_nothing(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        session = await standing(world)
        state = session.state
        with pytest.raises(EditRefused, match="no such call"):
            world.dispatcher.control(session, ev.Edited("calls.nobody.args", {}, "ann"), "ann")
        assert session.state is state
        world.dispatcher.release(session, "ann")
        assert (await world.rest(session)).phase is Phase.DONE


async def test_a_made_up_result_takes_the_place_of_the_call(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        session = await standing(world)
        assert session.state.turn is not None
        call = session.state.turn.calls[0].id
        world.dispatcher.control(session, ev.Edited(f"calls.{call}.result", "made up", "ann"), "ann")
        assert session.state.hold is not None
        world.dispatcher.release(session, "ann")
        state = await world.rest(session)
        assert world.tools.tools["read"].runs == []
        assert state.history[2].parts[0]["functionResponse"]["response"] == {"output": "made up"}


@pytest.mark.parametrize("kind", [StepKind.MESSAGE_SCREEN, StepKind.MODEL_CHUNK, StepKind.CALL_RUN, StepKind.TURN_END])
async def test_it_can_be_cancelled_and_stays_held(kind: StepKind, autojump_clock: MockClock) -> None:
    async with running(*ANSWERS, [text("again")], repeat=True) as world:
        session = await standing(world, kind)
        world.dispatcher.control(session, ev.Cancelled("ann"), "ann")
        assert session.state.phase is Phase.CANCELLED
        world.say(session)
        await trio.sleep(100)
        assert session.state.phase is Phase.CANCELLED
        assert session.state.hold is not None
        world.dispatcher.release(session, "ann")
        await world.until(session, lambda one: one.state.phase is Phase.DONE)
        assert_whole(*world.model.requests)


async def test_going_back_moves_the_stop_and_nothing_else(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        session = await standing(world)
        asked = next(one for one in session.states if one.phase is Phase.REQUEST)
        step = await world.back(session, asked.seq, "b1", "ann", "look again")
        assert step.kind is StepKind.CONTROL_BRANCH
        assert session.state.branch == "b1"
        hold = session.state.hold
        assert hold is not None
        assert (hold.step, hold.cause, hold.by) == ("model.request", "back", "ann")
        await trio.sleep(100)
        assert session.state.phase is Phase.REQUEST
        assert len(world.model.requests) == 1
        world.dispatcher.release(session, "ann")
        assert (await world.rest(session)).answer == "done"
        assert len(world.model.requests) == 3
        assert await world.replayed(session) == session.state


async def test_going_back_to_the_present_makes_a_branch_here(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        session = await standing(world)
        await world.dispatcher.timeline(session)
        world.memory.hold()  # what is known needs no disk
        await world.back(session, session.state.seq, "b1", "ann")
        world.memory.release()
        world.dispatcher.release(session, "ann")
        assert (await world.rest(session)).answer == "done"
        assert session.state.branch == "b1"
        assert await world.replayed(session) == session.state


async def test_going_back_further_than_states_are_kept_reads_the_journal(autojump_clock: MockClock) -> None:
    async with running(*[[calls(("read", {"n": n}))] for n in range(12)], [text("done")]) as world:
        session = world.open()
        world.say(session)
        end = await world.rest(session)
        assert session.states[0].seq > 20
        await world.dispatcher.journal.committed(session.ticket)
        await world.back(session, 6, "b1", "ann")
        await world.until(session, lambda one: one.state.phase is Phase.DONE)
        assert session.state.answer == end.answer
        assert await world.replayed(session) == session.state


@pytest.mark.parametrize("seq", [-1, 10_000])
async def test_going_back_to_a_record_that_is_not_there_says_so(seq: int, autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        session = await standing(world)
        await world.dispatcher.timeline(session)
        state = session.state
        with pytest.raises(JournalError, match=f"session s has records 1 to {state.seq}, and no {seq}$"):
            await world.back(session, seq, "b1", "ann")
        assert session.state is state


async def test_a_session_that_runs_can_go_back_too(autojump_clock: MockClock) -> None:
    async with running([calls(("read", {"n": 1}))], [text("slow", None), 10.0, text(" done")]) as world:
        session = world.open()
        world.say(session)
        await world.until(session, lambda one: one.state.turns == 2 and one.state.phase is Phase.STREAMING)
        planned = next(one for one in session.states if one.phase is Phase.CALLS)
        await world.back(session, planned.seq, "b1", "ann")
        assert (await world.rest(session)).answer == "slow done"
        assert world.tools.tools["read"].runs == [{"n": 1}, {"n": 1}]
        assert await world.replayed(session) == session.state


async def test_what_no_table_allows_is_refused_and_leaves_it_held(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        session = await standing(world)
        with pytest.raises(NoTransition):
            world.dispatcher.control(session, ev.Closed(), "ann")
        assert session.state.hold is not None
        world.dispatcher.release(session, "ann")
        assert (await world.rest(session)).phase is Phase.DONE


async def test_a_session_may_be_closed_while_it_is_held_at_rest() -> None:
    async with running(*ANSWERS) as world:
        session = world.open()
        world.dispatcher.hold(session, "ann")
        world.dispatcher.control(session, ev.Closed("enough"), "ann")
        assert session.state.phase is Phase.CLOSED
