"""Messages to a session wait their turn: in order, none lost, none doubled, and no more than its lane holds."""

import pytest
import trio
from trio.testing import MockClock

from runtime.errors import ModelError
from runtime.sessions.session import LANE_MESSAGES, Session
from runtime.step import REST, Phase, Step, StepKind
from runtime.step import events as ev
from runtime.vocab import Message
from tests.fakes.requests import assert_whole, contents
from tests.fakes.world import Piece, calls, running, text


def message(number: int) -> Message:
    """A message that says its number."""
    return Message(f"n{number}", f"{number}", ({"text": f"{number}"},))


def taken(trail: list[Step]) -> list[str]:
    """The texts of the messages that were taken, in order."""
    return [
        step.after.prompt.message.text for step in trail if isinstance(step.event, ev.Received) and step.after.prompt
    ]


@pytest.mark.parametrize("held", [False, True])
async def test_messages_to_a_busy_session_wait_in_order_and_one_too_many_is_refused(
    held: bool, autojump_clock: MockClock
) -> None:
    async with running([1.0, text("done")], repeat=True) as world:
        session, trail = world.open(), world.trail()
        world.say(session)
        await world.until(session, lambda one: one.state.phase is Phase.STREAMING)
        if held:
            world.dispatcher.hold(session, "ann")
        for number in range(LANE_MESSAGES):
            assert world.dispatcher.say(session, message(number))
        assert not world.dispatcher.say(session, message(LANE_MESSAGES))
        assert len(session.state.lane) == LANE_MESSAGES
        if held:
            await trio.sleep(100)
            world.dispatcher.release(session, "ann")
        await world.until(session, lambda one: len(one.state.lane) < LANE_MESSAGES)
        assert world.dispatcher.say(session, message(LANE_MESSAGES))
        await trio.sleep(2 * LANE_MESSAGES)
        assert taken(trail) == ["go", *[f"{number}" for number in range(LANE_MESSAGES + 1)]]
        assert not session.addressed
        assert session.state.phase is Phase.DONE
        assert_whole(*world.model.requests[::20])


@pytest.mark.parametrize("when", [StepKind.MESSAGE_SCREEN, StepKind.MODEL_CHUNK, StepKind.CALL_RUN, StepKind.TURN_END])
async def test_a_message_to_a_cancelled_session_begins_a_new_prompt(when: StepKind, autojump_clock: MockClock) -> None:
    async with running([calls(("read", {"n": 1}))], [text("done")], repeat=True) as world:
        session = world.open()
        world.stop(when)
        world.say(session, "one")
        await world.held(session)
        world.dispatcher.control(session, ev.Cancelled("ann"), "ann")
        world.dispatcher.release(session, "ann")
        world.say(session, "two")
        await world.until(session, lambda one: one.state.phase is Phase.DONE)
        world.say(session, "three")
        await world.rest(session)
        assert_whole(*world.model.requests)
        assert contents(world.model.requests[-1])[-1]["role"] == "user"
        assert await world.replayed(session) == session.state


async def test_a_message_to_a_failed_session_begins_a_new_prompt(autojump_clock: MockClock) -> None:
    bad: list[Piece] = [ModelError("no", kind="http", status=400)]
    async with running(bad, [text("done")]) as world:
        session = world.open()
        world.say(session, "one")
        assert (await world.rest(session)).phase is Phase.FAILED
        world.model.answers[0] = [text("better")]
        world.say(session, "two")
        await world.until(session, lambda one: one.state.phase is Phase.DONE)
        assert session.state.answer == "better"
        assert_whole(*world.model.requests)


async def test_prompts_that_end_in_all_ways_leave_a_whole_history(autojump_clock: MockClock) -> None:
    async with running(
        [calls(("read", {"n": 1}), ("write", {"n": 2}), ("shell", {"n": 3}))], [text("done")], repeat=True
    ) as world:
        session = world.open()
        world.slow(1.0)
        for seconds in (0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 100):
            for end in (ev.Cancelled("ann"), ev.Fault("test", "broke"), ev.Edited("model", "m", "ann")):
                world.judge.blocked = {"write"} if isinstance(end, ev.Cancelled) else set()
                world.say(session)
                with trio.move_on_after(seconds):
                    await world.rest(session)
                if session.state.phase not in REST:
                    world.dispatcher.control(session, end, "ann")
                await world.rest(session)
        assert session.state.phase is Phase.DONE
        assert_whole(*world.model.requests)
        assert await world.replayed(session) == session.state


async def test_a_listener_may_answer_a_prompt_with_the_next_message() -> None:
    async with running([text("done")], repeat=True) as world:
        session, trail = world.open(), world.trail()

        def go_on(one: object, step: Step) -> None:
            if step.after.phase is Phase.DONE and step.after.turns < 5:
                world.say(session, f"after {step.after.turns}")

        world.dispatcher.listeners.append(go_on)
        world.say(session)
        await world.until(session, lambda one: one.state.turns == 5 and one.state.phase is Phase.DONE)
        assert taken(trail) == ["go", "after 1", "after 2", "after 3", "after 4"]


async def test_a_closed_session_takes_no_message() -> None:
    async with running([text("done")]) as world:
        session = world.open()
        world.dispatcher.control(session, ev.Closed(), "ann")
        assert not world.dispatcher.say(session, message(1))
        assert not session.addressed


async def test_no_more_prompts_are_open_than_there_are_places_and_the_others_wait_their_turn(
    autojump_clock: MockClock,
) -> None:
    async with running([1.0, text("done")], repeat=True) as world:
        world.dispatcher.most_open = 2
        sessions = [world.open(f"s{number}") for number in range(6)]
        most, order = 0, list[str]()

        def look(session: Session, step: Step) -> None:
            nonlocal most
            most = max(most, world.dispatcher.statistics()["open"])
            if isinstance(step.event, ev.Received):
                order.append(session.id)

        world.dispatcher.listeners.append(look)
        for session in sessions:
            world.say(session)
        for session in sessions:
            await world.rest(session)
        assert most == 2
        assert order == [session.id for session in sessions]
        assert world.dispatcher.statistics()["open"] == world.dispatcher.statistics()["queued"] == 0


async def test_a_held_session_takes_nobodys_place(autojump_clock: MockClock) -> None:
    async with running([1.0, text("done")], repeat=True) as world:
        world.dispatcher.most_open = 1
        one, two = world.open("one"), world.open("two")
        world.say(one)
        world.say(two)
        await world.until(one, lambda session: session.state.phase is Phase.STREAMING)
        world.dispatcher.hold(one, "ann")
        await world.rest(two)
        assert one.state.phase is Phase.STREAMING
        world.dispatcher.release(one, "ann")
        await world.rest(one)
