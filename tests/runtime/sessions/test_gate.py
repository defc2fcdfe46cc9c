"""The gate: a closed one holds exactly its session, before any step, and counts what it lets pass."""

import gc
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from runtime.errors import LocalError, ModelError, NoTransition
from runtime.sessions.session import Session
from runtime.step import REST, Phase, Step, StepKind
from runtime.step import events as ev
from runtime.vocab import JsonObject, ToolResult
from tests.fakes.requests import assert_whole
from tests.fakes.stores import FullStore
from tests.fakes.world import FakeJudge, World, calls, chunk, running, text


def asking(tool: str, number: int) -> JsonObject:
    """A chunk with one call that has an id of its own."""
    return chunk([{"functionCall": {"id": f"c{number}", "name": tool, "args": {"n": number}}}])


EVERYTHING = ev.Settings(
    model="m", interactive=True, compress_at=5, hooks=("BeforeAgent", "BeforeModel", "AfterAgent"), max_attempts=3
)
"""Settings under which a session of `eventful` passes every kind of step."""
PASSED = [
    kind
    for kind in StepKind
    if not kind.controls and kind not in (StepKind.SESSION_OPEN, StepKind.SESSION_FORK, StepKind.SESSION_CLOSE)
]
ANSWERS: tuple[list[JsonObject], ...] = (
    [asking("read", 1), asking("read", 2)],
    [asking("shell", 3)],
    [text("all ", None), text("done")],
)


def eventful(world: World, name: str = "s") -> Session:
    """A session whose first request fails, and one of whose calls must be approved."""
    world.model.failures.append(ModelError("busy", kind="http", status=503))
    world.judge.reviewed.add("shell")
    return world.open(name, EVERYTHING)


def kinds(steps: list[Step]) -> list[tuple[StepKind, str]]:
    """The steps themselves, without what somebody did to the session."""
    return [(step.kind, step.call) for step in steps if not step.kind.controls]


def never(session: Session, kind: StepKind, call: str, event: ev.Event) -> str | None:
    """A breakpoint that stops nobody."""
    return None


async def test_an_eventful_session_passes_every_kind_of_step(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        session, trail = eventful(world), world.trail()
        world.say(session)
        state = await world.rest(session)
        assert (state.phase, state.answer) == (Phase.DONE, "all done")
        assert {kind for kind, _ in kinds(trail)} == set(PASSED)
        assert_whole(*world.model.requests)


@pytest.mark.parametrize("kind", PASSED)
async def test_a_session_is_held_before_any_kind_of_step(kind: StepKind, autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        session, trail = eventful(world), world.trail()
        world.stop(kind)
        world.say(session)
        state = await world.held(session)
        await trio.sleep(3600)
        assert session.state is state
        assert state.hold is not None
        assert (state.hold.step, state.hold.cause, state.hold.by) == (kind.value, "test", "breakpoint")
        assert kind not in {one for one, _ in kinds(trail)}
        world.dispatcher.release(session, "ann")
        assert (await world.rest(session)).answer == "all done"
        assert kinds(trail)[[one.kind for one in trail].index(StepKind.CONTROL_HOLD)][0] is kind
        assert await world.replayed(session) == session.state


async def test_a_session_that_is_stepped_through_takes_the_steps_of_one_that_runs(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        free, trail = eventful(world), world.trail()
        world.say(free)
        await world.rest(free)
        wanted = kinds(trail)
    async with running(*ANSWERS) as world:
        session, trail = eventful(world), world.trail()
        world.say(session)
        world.dispatcher.hold(session, "ann")
        for n in range(len(wanted)):
            assert len(kinds(trail)) == n
            world.dispatcher.step(session, "ann")
            hold = (await world.held(session)).hold
            await trio.sleep(100)
            assert hold is not None
            assert len(kinds(trail)) == n + 1
            assert hold.step == (wanted[n + 1][0].value if n + 1 < len(wanted) else "message.receive")
        assert sorted(kinds(trail), key=str) == sorted(wanted, key=str)
        assert session.state.phase is Phase.DONE
        assert session.state.history == free.state.history


@pytest.mark.parametrize("count", [1, 2, 7])
async def test_steps_that_were_granted_are_taken_and_no_more(count: int, autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        session, trail = eventful(world), world.trail()
        world.say(session)
        world.dispatcher.hold(session, "ann")
        world.dispatcher.step(session, "ann", count)
        state = await world.held(session)
        await trio.sleep(100)
        assert len(kinds(trail)) == count
        assert session.state is state
        assert state.hold is not None
        assert (state.hold.cause, state.hold.by) == ("step", "ann")


@pytest.mark.parametrize("count", [0, -1])
async def test_no_step_is_no_number_of_steps(count: int) -> None:
    async with running() as world:
        session = world.open()
        world.dispatcher.hold(session, "ann")
        with pytest.raises(LocalError, match="one step or more"):
            world.dispatcher.step(session, "ann", count)
        assert session.state.hold is not None


async def test_a_session_that_is_stepped_to_its_end_is_seen_to_be_held(autojump_clock: MockClock) -> None:
    async with running([text("done")], [text("again")]) as world:
        session = world.open()
        world.say(session)
        world.dispatcher.hold(session, "ann")
        while session.state.phase is not Phase.DONE:
            world.dispatcher.step(session, "ann")
            await world.held(session)
        hold = session.state.hold
        assert hold is not None
        assert hold.step == "message.receive"
        world.say(session)
        await trio.sleep(10)
        assert session.state.hold == hold
        world.dispatcher.release(session, "ann")
        await world.until(session, lambda one: one.state.answer == "again" and one.state.phase is Phase.DONE)


async def test_a_prompt_cancelled_while_its_last_granted_step_ran_leaves_the_session_held(
    autojump_clock: MockClock,
) -> None:
    async with running([calls(("read", {}))]) as world:
        world.tools.tools["read"].seconds = 100
        session = world.open()
        world.stop(StepKind.CALL_RUN)
        world.say(session)
        await world.held(session)
        world.dispatcher.step(session, "ann")
        await trio.sleep(1)
        assert session.state.hold is None
        world.dispatcher.control(session, ev.Cancelled("ann"), "ann")
        await world.held(session)
        assert session.state.phase is Phase.CANCELLED


async def test_a_session_that_takes_granted_steps_can_be_released_from_them(autojump_clock: MockClock) -> None:
    async with running([text("done")]) as world:
        session = world.open()
        world.say(session)
        world.dispatcher.hold(session, "ann")
        world.dispatcher.step(session, "ann", 2)
        world.dispatcher.release(session, "ann")
        assert (await world.rest(session)).phase is Phase.DONE
        await trio.sleep(10)
        assert session.state.hold is None


async def test_a_pause_takes_the_granted_steps_away(autojump_clock: MockClock) -> None:
    async with running([text("done")]) as world:
        session = world.open()
        world.say(session)
        world.dispatcher.hold(session, "ann")
        world.dispatcher.step(session, "ann", 4)
        world.dispatcher.hold(session, "bob")
        steps = session.steps
        await trio.sleep(10)
        assert session.steps == steps
        assert session.state.hold is not None
        assert session.state.hold.by == "bob"


async def test_one_held_session_and_fifty_free_ones(autojump_clock: MockClock) -> None:
    async with running([calls(("read", {"n": 1}), ("write", {"n": 2}))], [text("done")]) as world:
        held, crowd = world.open("held"), [world.open(f"s{n}") for n in range(50)]
        world.stop(StepKind.CALL_RUN, held)
        for session in (held, *crowd):
            world.say(session)
        for session in crowd:
            assert (await world.rest(session)).phase is Phase.DONE
        assert held.state.hold is not None
        world.dispatcher.release(held, "ann")
        assert (await world.rest(held)).phase is Phase.DONE


async def test_a_breakpoint_stops_sessions_that_were_there_before_it() -> None:
    async with running([text("done")]) as world:
        session = world.open()
        world.stop(StepKind.REPLY_SEND)  # and nobody arms anything
        world.say(session)
        assert (await world.held(session)).phase is Phase.SEND


async def test_a_border_stops_a_session_once_and_the_next_one_again() -> None:
    chunks = [text("a", None), text("b", None), text("c")]
    async with running(chunks) as world:
        session, trail = world.open(), world.trail()
        world.stop(StepKind.MODEL_CHUNK, times=-1)
        world.say(session)
        for n in range(3):
            state = await world.held(session)
            assert state.turn is not None
            assert len(state.turn.chunks) == n
            world.dispatcher.release(session, "ann")
        assert (await world.rest(session)).answer == "abc"
        assert [step.kind for step in trail].count(StepKind.CONTROL_HOLD) == 3


async def test_what_arrives_while_a_session_is_held_does_not_change_the_step_it_stands_before(
    autojump_clock: MockClock,
) -> None:
    async with running([calls(("read", {"n": 1}), ("shell", {"n": 2}))], [text("done")]) as world:
        session, trail = world.open(), world.trail()
        world.dispatcher.gate.watch(
            lambda one, kind, call, event: "test" if kind is StepKind.CALL_RUN and call.startswith("shell") else None
        )
        world.say(session)
        await world.held(session)
        await trio.sleep(1)
        assert [type(event) for event, _ in session.inbox] == [ev.Finished]
        before = len(trail)
        world.dispatcher.step(session, "ann")
        await world.held(session)
        assert [(kind, call.partition("_")[0]) for kind, call in kinds(trail[before:])] == [
            (StepKind.CALL_RUN, "shell")
        ]
        world.dispatcher.release(session, "ann")
        await world.rest(session)
        assert [step.kind for step in trail].count(StepKind.CONTROL_HOLD) == 2


async def test_a_pause_during_a_wait_does_not_hide_the_breakpoint_behind_it(autojump_clock: MockClock) -> None:
    async with running([calls(("read", {}))], [text("done")]) as world:
        world.tools.tools["read"].seconds = 10
        session = world.open()
        world.stop(StepKind.CALL_RESULT)
        world.say(session)
        await trio.sleep(1)
        world.dispatcher.hold(session, "ann")
        world.dispatcher.release(session, "ann")
        hold = (await world.held(session)).hold
        assert hold is not None
        assert (hold.step, hold.cause) == ("call.result", "test")


async def test_releasing_twice_does_not_hide_a_breakpoint(autojump_clock: MockClock) -> None:
    async with running([text("done")]) as world:
        session = world.open()
        world.dispatcher.hold(session, "ann")
        world.dispatcher.release(session, "ann")
        world.dispatcher.release(session, "ann")
        seq = session.state.seq
        world.stop(StepKind.MESSAGE_RECEIVE)
        world.say(session)
        assert (await world.held(session)).seq == seq + 1


async def test_a_breakpoint_that_fails_is_dropped_and_the_session_lives() -> None:
    async with running([text("done")]) as world:
        session = world.open()

        def broken(one: Session, kind: StepKind, call: str, event: ev.Event) -> str | None:
            raise ZeroDivisionError("oh")

        world.dispatcher.gate.watch(broken)
        world.dispatcher.gate.watch(never)
        world.say(session)
        assert (await world.rest(session)).phase is Phase.DONE
        assert world.dispatcher.gate.breakpoints == [never]
        assert list(world.dispatcher.complaints) == ["a breakpoint failed and was dropped: ZeroDivisionError: oh"]


async def test_a_breakpoint_that_is_gone_stops_nobody() -> None:
    async with running([text("done")]) as world:
        session = world.open()
        stop = world.stop(StepKind.TURN_START)
        world.dispatcher.gate.unwatch(stop)
        world.dispatcher.gate.unwatch(stop)
        world.say(session)
        assert (await world.rest(session)).phase is Phase.DONE


async def test_an_outcome_that_is_dropped_costs_no_granted_step(autojump_clock: MockClock) -> None:
    async with running([text("done")], judge=FakeJudge(seconds=1.0)) as world:
        session, trail = world.open(), world.trail()
        world.stop(StepKind.MESSAGE_SCREEN)
        world.say(session)
        await world.held(session)
        world.dispatcher.step(session, "ann", 2)
        await trio.sleep(0.5)
        world.dispatcher.post(session, ev.Finished("nobody", ToolResult()))
        world.dispatcher.post(session, ev.Waited())
        hold = (await world.held(session)).hold
        assert [kind.value for kind, _ in kinds(trail)] == ["message.receive", "message.screen", "message.screen"]
        assert hold is not None
        assert hold.step == "turn.start"
        assert session.dropped == 2


async def test_what_somebody_does_to_a_session_costs_no_granted_step(autojump_clock: MockClock) -> None:
    async with running([text("done", None), 5.0, text(" and done")]) as world:
        session, trail = world.open(), world.trail()
        world.stop(StepKind.MODEL_CHUNK)
        world.say(session)
        await world.held(session)
        world.dispatcher.step(session, "ann", 2)
        await trio.sleep(1)
        world.dispatcher.control(session, ev.Edited("model", "another", "ann"), "ann")
        await world.held(session)
        assert [kind for kind, _ in kinds(trail)].count(StepKind.MODEL_CHUNK) == 2


async def test_a_held_session_costs_nothing_while_it_waits(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running([calls(("read", {}))]) as world:
        session = world.open()
        world.stop(StepKind.CALL_RUN)
        world.say(session)
        await world.held(session)
        await trio.sleep(1)
        dispatched: list[Session] = []
        dispatch = type(world.dispatcher)._dispatch

        def counting(self: Any, one: Session) -> None:
            dispatched.append(one)
            dispatch(self, one)

        monkeypatch.setattr(type(world.dispatcher), "_dispatch", counting)
        await trio.sleep(3600)
        assert dispatched == []
        for _ in range(10):
            world.dispatcher.wake(session)
            await trio.sleep(1)
        assert len(dispatched) == 10
        world.say(session)
        await trio.sleep(3600)
        assert len(dispatched) == 11


async def test_a_busy_session_starves_nobody() -> None:
    async with running([calls(("read", {}))], repeat=True) as world:
        busy = [world.open(f"busy{n}") for n in range(3)]
        for session in busy:
            world.say(session)
        await world.until(busy[0], lambda one: one.state.turns > 5)
        world.model.repeat = False
        late = world.open("late", ev.Settings(model="m", max_turns=3))
        before = busy[0].steps
        world.say(late)
        await world.until(late, lambda one: one.state.phase is Phase.FAILED)
        assert busy[0].steps - before < 4 * late.steps


async def test_a_listener_may_pause_and_release_what_it_is_told_of(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        session = eventful(world)
        told: list[int] = []

        def meddle(one: Session, step: Step) -> None:
            if step.kind is StepKind.CONTROL_HOLD:
                world.dispatcher.release(one, "listener")
            elif step.kind is StepKind.CONTROL_RELEASE and step.after.generation == 1:
                world.dispatcher.hold(one, "listener")

        world.dispatcher.listeners.append(meddle)
        world.dispatcher.listeners.append(lambda one, step: told.append(step.after.seq))
        world.stop(StepKind.CALL_RUN, times=2)
        world.say(session)
        assert (await world.rest(session)).answer == "all done"
        assert told == list(range(2, session.state.seq + 1))
        assert session.state.generation == 3
        assert not session.deadlines.frozen


async def test_the_gate_follows_the_records_that_hold_and_release(autojump_clock: MockClock) -> None:
    async with running([text("done")]) as world:
        session = world.open()
        world.dispatcher.control(session, ev.Held("message.receive", "test", "ann"), "ann")
        world.say(session)
        await trio.sleep(10)
        assert session.state.phase is Phase.IDLE
        assert (session.deadlines.frozen, session.processes.frozen) == (True, True)
        world.dispatcher.control(session, ev.Released("ann", 1), "ann")
        assert (session.deadlines.frozen, session.processes.frozen) == (False, False)
        assert (await world.rest(session)).phase is Phase.DONE


@pytest.mark.parametrize("verb", ["release", "step"])
async def test_a_late_command_of_an_older_hold_moves_nothing(verb: str, autojump_clock: MockClock) -> None:
    async with running([text("done")]) as world:
        session = world.open()
        world.say(session)
        world.dispatcher.hold(session, "ann")
        world.dispatcher.release(session, "ann", 1)
        world.dispatcher.hold(session, "bob")
        state = session.state
        command: Any = getattr(world.dispatcher, verb)
        with pytest.raises(NoTransition, match="but hold 2 is in force"):
            command(session, "ann", generation=1)
        await trio.sleep(10)
        assert session.state is state
        command(session, "ann", generation=2)
        with pytest.raises(NoTransition, match="but no hold is in force"):
            command(session, "ann", generation=2)


@pytest.mark.parametrize("phase", [Phase.NEW, Phase.CLOSED])
async def test_a_session_that_cannot_be_paused_is_not_half_paused(phase: Phase) -> None:
    from runtime.step import State

    async with running([text("done")]) as world:
        session = Session(State("s")) if phase is Phase.NEW else world.open()
        if phase is Phase.CLOSED:
            world.dispatcher.control(session, ev.Closed(), "ann")
        with pytest.raises(NoTransition):
            world.dispatcher.hold(session, "ann")
        assert not session.armed
        assert not session.deadlines.frozen
        assert not world.dispatcher.gate.holds(session)


async def test_a_pause_with_nothing_open_keeps_the_next_message_waiting(autojump_clock: MockClock) -> None:
    async with running([text("done")]) as world:
        session = world.open()
        world.dispatcher.hold(session, "ann")
        world.dispatcher.hold(session, "bob")
        assert session.state.hold is not None
        assert (session.state.hold.step, session.state.hold.by) == ("message.receive", "ann")
        assert session.state.generation == 1
        world.say(session)
        await trio.sleep(10)
        assert session.state.phase in REST
        world.dispatcher.release(session, "ann")
        assert (await world.rest(session)).phase is Phase.DONE


async def test_a_failure_waits_at_the_gate_like_any_outcome(autojump_clock: MockClock) -> None:
    judge = FakeJudge(failures={"screen": OSError("gone")}, seconds=1.0)
    async with running([text("done")], judge=judge) as world:
        session = world.open()
        world.say(session)
        await trio.sleep(0.5)
        world.dispatcher.hold(session, "ann")
        await trio.sleep(10)
        assert session.state.phase is Phase.SCREENING
        world.dispatcher.release(session, "ann")
        assert (await world.rest(session)).phase is Phase.FAILED


async def test_nothing_of_a_forgotten_session_is_left_in_the_gate() -> None:
    async with running([text("done")]) as world:
        session = world.open()
        world.dispatcher.hold(session, "ann")
        world.dispatcher.release(session, "ann")
        world.dispatcher.hold(session, "ann")
        world.dispatcher.gate.forget(session)
        gc.collect()
        assert not world.dispatcher.gate._held
        assert not world.dispatcher.gate._passed


async def test_a_stop_that_found_no_room_is_taken_later_though_who_found_it_is_gone(autojump_clock: MockClock) -> None:
    store = FullStore()
    async with running(*ANSWERS, store=store) as world:
        gate, asked = world.dispatcher.gate, list[str]()

        def once(session: Session, kind: StepKind, call: str, event: ev.Event) -> str | None:
            if kind is not StepKind.CALL_RUN:
                return None
            asked.append(call)
            gate.unwatch(once)
            store.refuses = True
            return "found once"

        gate.watch(once)
        session = world.open()
        world.say(session)
        await world.until(session, lambda one: bool(asked) or one.state.phase in REST)
        for _ in range(20):
            await trio.lowlevel.checkpoint()
        assert session.state.hold is None
        store.refuses = False
        hold = (await world.held(session)).hold
        assert hold is not None
        assert (hold.step, hold.call, hold.cause) == ("call.run", asked[0], "found once")
        world.dispatcher.release(session, "ann")
        assert (await world.rest(session)).answer == "all done"
        assert len(asked) == 1
        assert not session.armed


@pytest.mark.parametrize("again", [False, True])
async def test_a_stop_that_found_no_room_is_of_no_other_step(again: bool, autojump_clock: MockClock) -> None:
    store = FullStore()
    async with running(*ANSWERS, [text("second")], store=store) as world:
        gate, asked = world.dispatcher.gate, trio.Event()

        def once(session: Session, kind: StepKind, call: str, event: ev.Event) -> str | None:
            if kind is not StepKind.CALL_RUN:
                return None
            asked.set()
            gate.unwatch(once)
            store.refuses = True
            return "found once"

        gate.watch(once)
        session = world.open()
        world.say(session)
        await asked.wait()
        store.refuses = False
        world.dispatcher.control(session, ev.Cancelled("ann", ""), "ann")
        if again:
            world.say(session)
            await world.rest(session)
        for _ in range(20):
            await trio.lowlevel.checkpoint()
        assert session.state.hold is None
        assert not session.armed
