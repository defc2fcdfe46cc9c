"""What a debugger asks of the shell: to go on until a place, one call alone, faults, output that waits."""

import pytest
import trio
from trio.testing import MockClock

from runtime.errors import InputError
from runtime.sessions.deadlines import Deadlines
from runtime.sessions.performer import Deliver, Perform
from runtime.sessions.roster import Roster
from runtime.sessions.session import UNSHOWN_CHARACTERS, Session
from runtime.step import CallPhase, Event, Phase, State, StepKind, effects
from runtime.step import events as ev
from runtime.vocab import JsonObject, ToolResult
from tests.fakes.world import World, calls, chunk, running, text

THREE = ([{"functionCall": {"id": f"c{n}", "name": "read", "args": {"n": n}}} for n in range(3)],)


def phases(state: State) -> list[CallPhase]:
    return [call.phase for call in state.turn.calls] if state.turn else []


def names(session: Session) -> list[str]:
    return [call.id for call in session.state.turn.calls] if session.state.turn else []


async def at_calls(world: World) -> Session:
    """A session that stands before the first of three calls runs."""
    session = world.open()
    world.stop(StepKind.CALL_RUN)
    world.say(session)
    await world.held(session)
    assert phases(session.state) == [CallPhase.SCHEDULED] * 3
    return session


# --- going on until a place


async def test_a_session_goes_on_until_a_place_and_stands_before_it(autojump_clock: MockClock) -> None:
    async with running([text("a", None), text("b")]) as world:
        session = world.open()
        world.say(session)
        world.dispatcher.hold(session, "ann")

        def until(one: Session, kind: StepKind, call: str, event: Event, taken: int) -> bool:
            return taken > 0 and kind is StepKind.MODEL_RESPONSE

        world.dispatcher.run_until(session, "ann", until)
        hold = (await world.held(session)).hold
        assert hold is not None
        assert (hold.step, hold.cause, hold.by) == ("model.response", "step", "ann")


async def test_a_breakpoint_stops_a_session_that_goes_on_until_another_place(autojump_clock: MockClock) -> None:
    async with running([text("a")]) as world:
        session = world.open()
        world.say(session)
        world.dispatcher.hold(session, "ann")
        world.stop(StepKind.MODEL_REQUEST)
        world.dispatcher.run_until(session, "ann", lambda one, kind, call, event, taken: False)
        hold = (await world.held(session)).hold
        assert hold is not None
        assert (hold.step, hold.cause, hold.by) == ("model.request", "test", "breakpoint")


async def test_a_session_whose_prompt_ends_on_the_way_stands_there(autojump_clock: MockClock) -> None:
    async with running([text("a")]) as world:
        session = world.open()
        world.say(session)
        world.dispatcher.hold(session, "ann")
        world.dispatcher.run_until(session, "ann", lambda one, kind, call, event, taken: False)
        hold = (await world.held(session)).hold
        assert hold is not None
        assert (session.state.phase, hold.step) == (Phase.DONE, "message.receive")


async def test_a_border_is_asked_about_once(autojump_clock: MockClock) -> None:
    async with running([text("a", None), 5.0, text("b")]) as world:
        session, asked = world.open(), list[int]()

        def stop(one: Session, kind: StepKind, call: str, event: Event) -> str | None:
            asked.append(one.steps)
            return None

        world.dispatcher.gate.watch(stop)
        world.say(session)
        await trio.sleep(1)
        world.dispatcher.control(session, ev.Edited("model", "other", "ann"), "ann")
        await world.rest(session)
        assert asked == sorted(set(asked))


# --- one call alone


async def test_only_the_call_in_focus_goes_on_and_the_others_after_it(autojump_clock: MockClock) -> None:
    async with running([chunk(*THREE)], [text("done")]) as world:
        world.tools.tools["read"].seconds = 5
        session = await at_calls(world)
        second = names(session)[1]
        world.dispatcher.focus(session, second)
        world.dispatcher.release(session, "ann")
        await trio.sleep(4)
        assert phases(session.state) == [CallPhase.SCHEDULED, CallPhase.RUNNING, CallPhase.SCHEDULED]
        await world.rest(session)
        assert session.focus == ""
        assert session.state.answer == "done"


async def test_what_another_call_brings_waits_for_the_end_of_the_focus(autojump_clock: MockClock) -> None:
    async with running([chunk(*THREE)], [text("done")]) as world:

        async def work(args: JsonObject, context: object) -> ToolResult:
            await trio.sleep(10 if args["n"] == 1 else 1)
            return ToolResult(output="ok")

        world.tools.tools["read"].acts = work
        session = world.open()
        world.say(session)
        await trio.sleep(0.5)
        assert phases(session.state) == [CallPhase.RUNNING] * 3
        world.dispatcher.focus(session, names(session)[1])
        await trio.sleep(5)
        assert phases(session.state) == [CallPhase.RUNNING] * 3
        assert len(session.inbox) == 2
        state = await world.rest(session)
        assert state.answer == "done"
        assert not session.inbox
        assert session.characters == 0


async def test_a_focus_ends_with_its_call_also_when_the_prompt_is_cancelled(autojump_clock: MockClock) -> None:
    async with running([chunk(*THREE)], [text("done")]) as world:
        session = await at_calls(world)
        world.dispatcher.focus(session, names(session)[1])
        world.dispatcher.control(session, ev.Cancelled("ann"), "ann")
        assert session.focus == ""
        world.dispatcher.release(session, "ann")
        world.say(session)
        assert (await world.rest(session)).answer == "done"


async def test_no_focus_on_what_cannot_go_on(autojump_clock: MockClock) -> None:
    async with running([chunk(*THREE)]) as world:
        session = await at_calls(world)
        with pytest.raises(InputError, match="no call 'nobody' that could go on"):
            world.dispatcher.focus(session, "nobody")
        done = names(session)[0]
        world.dispatcher.control(session, ev.Edited(f"calls.{done}.result", "x", "ann"), "ann")
        with pytest.raises(InputError, match="that could go on"):
            world.dispatcher.focus(session, done)
        assert session.focus == ""


async def test_the_clocks_of_other_calls_stand_still_beside_the_focus(autojump_clock: MockClock) -> None:
    deadlines = Deadlines()
    with deadlines.within(10, "tool", "a"), deadlines.within(20, "limit", "b"), deadlines.within(30, "judge"):
        deadlines.thaw("b")
        await trio.sleep(1)
        assert [(one.name, one.call, one.left) for one in deadlines.opened()] == [
            ("tool", "a", 10),
            ("limit", "b", 19),
            ("judge", "", 29),
        ]
        deadlines.freeze()
        await trio.sleep(1)
        deadlines.thaw()
        await trio.sleep(1)
        assert [(one.name, one.call, one.left) for one in deadlines.opened()] == [
            ("tool", "a", 9),
            ("limit", "b", 18),
            ("judge", "", 28),
        ]


async def test_a_jump_of_the_clock_takes_time_from_every_deadline(autojump_clock: MockClock) -> None:
    deadlines = Deadlines()
    with deadlines.within(10, "tool") as first, deadlines.within(100, "limit"):
        deadlines.freeze()
        deadlines.jump(5)
        assert deadlines.remaining() == [5, 95]
        deadlines.jump(50)
        assert deadlines.remaining() == [0, 45]
        deadlines.thaw()
        deadlines.jump(1)
        assert deadlines.remaining() == [0, 44]
        await trio.sleep_forever()
    assert first.cancelled_caught


# --- faults, and what tools print


async def test_an_effect_can_be_performed_otherwise(autojump_clock: MockClock) -> None:
    async with running([text("first")], [text("second")]) as world:
        broken = [ev.StreamBroke("http", "slow down", 429)]

        async def instead(session: Session, effect: effects.Effect, deliver: Deliver, perform: Perform) -> Event:
            if isinstance(effect, effects.Ask) and broken:
                return broken.pop()
            return await perform(session, effect, deliver)

        world.dispatcher.performer.instead = instead
        session, trail = world.open(), world.trail()
        world.say(session)
        assert (await world.rest(session)).answer == "first"
        assert [step.kind for step in trail].count(StepKind.RETRY_WAIT) == 2


async def test_what_tools_print_waits_while_the_session_is_held(autojump_clock: MockClock) -> None:
    async with running([calls(("read", {}))], [text("done")]) as world:
        shown, heard = list[tuple[str, str]](), list[str]()
        performer = world.dispatcher.performer
        performer.live = lambda session, call, said: shown.append((call, said))
        performer.overhear = lambda session, call, said: heard.append(said)
        session = world.open()
        performer.tell(session, "c", "one")
        world.dispatcher.hold(session, "ann")
        performer.tell(session, "c", "two")
        performer.tell(session, "c", "x" * UNSHOWN_CHARACTERS)
        assert shown == [("c", "one")]
        world.dispatcher.release(session, "ann")
        assert shown == [("c", "one"), ("c", "two")]
        assert [one[:3] for one in heard] == ["one", "two", "xxx"]


# --- who was opened


async def test_who_listens_to_the_roster_is_told_before_a_session_takes_a_step(autojump_clock: MockClock) -> None:
    async with running([text("done")]) as world:
        told, roster = list[tuple[str, str]](), Roster(world.dispatcher)

        def heard(what: str, session: Session) -> None:
            told.append((what, session.id))
            if what == "opened":
                world.dispatcher.hold(session, "ann", "new session")

        roster.heard.append(heard)
        session = roster.open("s", ev.Settings(model="m"))
        world.say(session)
        await trio.sleep(10)
        assert session.state.phase is Phase.IDLE
        world.dispatcher.release(session, "ann")
        await world.rest(session)
        await roster.park(session)
        roster.get("s")
        assert told == [("opened", "s"), ("parked", "s"), ("loaded", "s")]
