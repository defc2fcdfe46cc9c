"""Outcomes that come too late, twice, or for somebody else never count."""

from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from runtime.errors import ModelError
from runtime.ports import ToolContext
from runtime.sessions.session import Session
from runtime.step import CallPhase, Phase, Step, StepKind
from runtime.step import events as ev
from runtime.step.effects import JudgeCall, RunTool
from runtime.vocab import JsonObject, ToolResult
from tests.fakes.requests import assert_whole
from tests.fakes.stores import SlowStore
from tests.fakes.world import World, calls, running, text

ANSWERS = ([calls(("read", {"n": 1}), ("shell", {"n": 2}))], [text("done")])
SECONDS = 4.0
SINGLE = (ev.Go, ev.Received, ev.Chunk)
"""Events that come from the shell itself, and pieces of a stream, which have no identity."""


def in_phase(phase: Phase) -> Callable[[Session], bool]:
    """Whether a session is there."""
    return lambda session: session.state.phase is phase


def in_call(phase: CallPhase) -> Callable[[Session], bool]:
    """Whether a call of the session is there."""
    return lambda session: (
        any(call.phase is phase for call in session.state.turn.calls) if session.state.turn else False
    )


UNDER_WAY = {
    "Screen": in_phase(Phase.SCREENING),
    "BuildContext": in_phase(Phase.BUILDING),
    "Ask": in_phase(Phase.STREAMING),
    "Wait": in_phase(Phase.RETRYING),
    "JudgeCall": in_call(CallPhase.JUDGING),
    "RunTool": in_call(CallPhase.RUNNING),
    "JudgeReply": in_phase(Phase.REPLYING),
    "Send": in_phase(Phase.SENDING),
}
LATE = {"Wait": 0, "Ask": 2, "JudgeCall": 2, "RunTool": 2}
"""How many outcomes the effects of that moment bring, where it is not one."""


async def under_way(world: World, effect: str, *, stubborn: bool) -> Session:
    """A session one of whose effects is under way; who performs them is slow."""
    if effect == "Wait":
        world.model.failures.append(ModelError("busy", kind="http", status=503))
    world.slow(SECONDS, stubborn=stubborn)
    session = world.open()
    world.say(session)
    await world.until(session, UNDER_WAY[effect])
    await trio.sleep(SECONDS / 2)
    return session


def counts(trail: list[Step], world: World) -> None:
    """What was wanted was done, once."""
    wanted = [effect for step in trail for effect in step.effects]
    runs = [run for tool in world.tools.tools.values() for run in tool.runs]
    assert len(runs) == sum(isinstance(effect, RunTool) for effect in wanted)
    assert world.judge.asked["call"] == sum(isinstance(effect, JudgeCall) for effect in wanted)


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("stubborn", [False, True])
@pytest.mark.parametrize("effect", UNDER_WAY)
async def test_what_was_under_way_when_a_prompt_is_cancelled_never_counts(
    effect: str, stubborn: bool, held: bool, autojump_clock: MockClock
) -> None:
    async with running(*ANSWERS, *ANSWERS) as world:
        trail = world.trail()
        session = await under_way(world, effect, stubborn=stubborn)
        if held:
            world.dispatcher.hold(session, "ann")
        world.dispatcher.control(session, ev.Cancelled("ann"), "ann")
        assert session.state.phase is Phase.CANCELLED
        assert session.tasks is None
        await trio.sleep(2 * SECONDS)  # what a tool brought is judged before it comes in
        assert session.state.phase is Phase.CANCELLED
        if held:
            world.dispatcher.release(session, "ann")
        late = LATE.get(effect, 1)
        assert session.dropped == (late if stubborn else 0)
        world.slow(0)
        world.say(session)
        assert (await world.rest(session)).phase is Phase.DONE
        counts(trail, world)
        assert_whole(*world.model.requests)
        assert await world.replayed(session) == session.state


@pytest.mark.parametrize("stubborn", [False, True])
@pytest.mark.parametrize("effect", UNDER_WAY)
async def test_what_was_under_way_when_somebody_goes_back_never_counts(
    effect: str, stubborn: bool, autojump_clock: MockClock
) -> None:
    async with running(*ANSWERS) as world:
        trail = world.trail()
        session = await under_way(world, effect, stubborn=stubborn)
        step = await world.back(session, session.states[-1].seq, "b1", "ann")
        assert step.effects == ()
        assert (await world.rest(session)).answer == "done"
        late = LATE.get(effect, 1)
        assert session.dropped == (late if stubborn else 0)
        counts(trail, world)
        assert_whole(*world.model.requests)
        assert await world.replayed(session) == session.state


@pytest.mark.parametrize("stubborn", [False, True])
async def test_a_verdict_on_arguments_that_were_changed_never_counts(stubborn: bool, autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        session = await under_way(world, "JudgeCall", stubborn=stubborn)
        assert session.state.turn is not None
        call = session.state.turn.calls[0].id
        world.dispatcher.control(session, ev.Edited(f"calls.{call}.args", {"n": 7}, "ann"), "ann")
        assert (await world.rest(session)).answer == "done"
        assert world.tools.tools["read"].runs == [{"n": 7}]
        assert ("read", {"n": 7}) in world.judge.seen
        assert session.dropped == int(stubborn)


@pytest.mark.parametrize("stubborn", [False, True])
async def test_a_verdict_on_a_message_that_was_changed_never_counts(stubborn: bool, autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        session = await under_way(world, "Screen", stubborn=stubborn)
        world.dispatcher.control(session, ev.Edited("message", "another", "ann"), "ann")
        assert (await world.rest(session)).answer == "done"
        assert world.judge.asked["screen"] == 2
        assert session.state.history[0].parts[-1] == {"text": "another"}
        assert session.dropped == int(stubborn)


@pytest.mark.parametrize("way", ["edit", "back", "cancel"])
async def test_a_failure_that_waits_at_the_gate_is_forgotten_with_its_effect(
    way: str, autojump_clock: MockClock
) -> None:
    async with running(*ANSWERS, *ANSWERS) as world:
        session = await under_way(world, "JudgeCall", stubborn=False)
        world.judge.failures["call"] = OSError("gone")
        world.dispatcher.hold(session, "ann")
        await trio.sleep(SECONDS)
        assert [type(event) for event, _ in session.inbox] == [ev.Fault, ev.Fault]
        world.judge.failures.clear()
        assert session.state.turn is not None
        if way == "edit":
            for call in session.state.turn.calls:
                world.dispatcher.control(session, ev.Edited(f"calls.{call.id}.args", {"n": 7}, "ann"), "ann")
        elif way == "back":
            await world.back(session, session.state.seq - 3, "b1", "ann")
        else:
            world.dispatcher.control(session, ev.Cancelled("ann"), "ann")
            world.say(session)
        assert not session.inbox
        assert session.dropped == 2
        world.dispatcher.release(session, "ann")
        await world.until(session, in_phase(Phase.DONE))
        assert session.state.answer == "done"


async def test_a_tool_that_ends_in_the_very_moment_of_its_cancellation_is_answered_once(
    autojump_clock: MockClock,
) -> None:
    async with running(*ANSWERS, [text("again")]) as world:
        ending = trio.Event()

        async def ends(args: JsonObject, context: ToolContext) -> ToolResult:
            await ending.wait()
            return ToolResult(output="late")

        world.tools.tools["shell"].acts = ends
        session = world.open()
        world.say(session)
        await world.until(session, in_call(CallPhase.FINISHED))
        await trio.sleep(1)
        ending.set()
        world.dispatcher.control(session, ev.Cancelled("ann"), "ann")
        world.say(session)
        await world.until(session, in_phase(Phase.DONE))
        assert_whole(*world.model.requests)
        responses = [part["functionResponse"]["response"] for part in session.state.history[2].parts]
        assert responses == [{"output": "read:1"}, {"output": "[Operation Cancelled] Reason: cancelled by ann"}]


@pytest.mark.parametrize("way", ["cancel", "back"])
async def test_a_tool_does_not_start_once_its_call_was_given_up(way: str) -> None:
    store = SlowStore()
    async with running(*ANSWERS, store=store) as world:
        session = world.open()
        store.write()
        await world.dispatcher.timeline(session)
        world.say(session)
        await world.until(session, in_phase(Phase.STREAMING))
        await trio.testing.wait_all_tasks_blocked()
        store.write()
        await world.until(
            session,
            lambda one: len([None for tool in one.tasks.tasks if tool[0] == "RunTool"]) == 2 if one.tasks else False,
        )
        await trio.testing.wait_all_tasks_blocked()
        store.write()  # the tasks of the tools are ready to run now
        if way == "cancel":
            world.dispatcher.control(session, ev.Cancelled("ann"), "ann")
        else:
            world.dispatcher.hold(session, "ann")
            await world.back(session, session.states[-1].seq - 2, "b1", "ann")
        await trio.testing.wait_all_tasks_blocked()
        assert [tool.runs for tool in world.tools.tools.values()] == [[], [], []]


async def test_a_judge_is_not_asked_once_the_prompt_was_given_up() -> None:
    async with running(*ANSWERS) as world:
        session = world.open()

        def cancel(one: Session, step: Step) -> None:
            if step.kind is StepKind.MESSAGE_SCREEN and step.effects:
                world.dispatcher.control(one, ev.Cancelled("ann"), "ann")

        world.dispatcher.listeners.append(cancel)
        world.say(session)
        await world.until(session, in_phase(Phase.CANCELLED))
        await trio.testing.wait_all_tasks_blocked()
        assert world.judge.asked["screen"] == 0


@pytest.mark.parametrize(
    "event",
    [
        ev.Finished("nobody", ToolResult(output="x")),
        ev.Waited(),
        ev.Sent(),
        ev.Chunk(text("x")),
        ev.StreamEnded(0),
        ev.Approved("nobody", "ann"),
        ev.Denied("nobody", "ann"),
        ev.Compressed(None),
    ],
    ids=lambda event: type(event).__name__,
)
async def test_an_outcome_that_nobody_waits_for_is_dropped_and_said(event: ev.Event, autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        session = await under_way(world, "RunTool", stubborn=False)
        world.dispatcher.post(session, event)
        await trio.sleep(0.1)
        assert session.dropped == 1
        assert "session s" in session.trouble or "(s)" in session.trouble
        assert (await world.rest(session)).answer == "done"
        assert await world.replayed(session) == session.state


async def test_an_outcome_that_comes_twice_counts_once(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        session, trail = world.open(), world.trail()

        def again(one: Session, step: Step) -> None:
            if type(step.event) not in SINGLE:
                world.dispatcher.post(one, step.event)

        world.dispatcher.listeners.append(again)
        world.say(session)
        state = await world.rest(session)
        await trio.sleep(1)
        assert state.answer == "done"
        assert session.state is state
        assert session.dropped == len(
            [step for step in trail if type(step.event) not in (ev.Go, ev.Received, ev.Chunk)]
        )
        counts(trail, world)


async def test_a_listener_may_cancel_the_very_step_that_it_is_told_of(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS, [text("again")]) as world:
        session = world.open()

        def cancel(one: Session, step: Step) -> None:
            if isinstance(step.event, ev.Finished):
                world.dispatcher.control(one, ev.Cancelled("listener"), "listener")

        world.dispatcher.listeners.append(cancel)
        world.say(session)
        await world.until(session, in_phase(Phase.CANCELLED))
        world.say(session)
        await world.until(session, in_phase(Phase.DONE))
        assert session.state.answer == "done"
        assert_whole(*world.model.requests)
