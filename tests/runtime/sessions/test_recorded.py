"""A replay that goes on answers equal calls from the record, each once, and runs nothing that nobody allowed."""

import pytest
from trio.testing import MockClock

from runtime.sessions.recorded import REFUSED, Recorded, key_of
from runtime.sessions.session import Session
from runtime.step import Event, State, StepKind, effects
from runtime.step import events as ev
from runtime.step.state import Call
from runtime.vocab import Tape
from tests.fakes.world import World, calls, running, text

RECORD = ([calls(("shell", {"a": 1, "b": [2]}), ("read", {"n": 1}))], [text("done")])


async def recorded(*, live: bool = False, system: str | None = None) -> tuple[Recorded, ev.Forked]:
    """What a session left behind its request, and a copy of it at its first request."""
    async with running(*RECORD) as world:
        session = world.open()
        world.say(session)
        await world.rest(session)
        line = await world.dispatcher.timeline(session)
        seq = next(one.seq for one in line.path() if one.kind is StepKind.TURN_START)
        event = line.fork(seq, "ann", receipt=line.receipt(seq).digest)
        return Recorded.of(line.later(seq), live=live, system=system), event


async def gone_on(world: World, stands_in: Recorded, event: ev.Forked) -> State:
    """The copy after it came to its end."""
    world.dispatcher.performer.instead = stands_in.instead
    session = Session(State("copy"))
    world.dispatcher.control(session, event, "ann")
    return await world.rest(session)


def ran(world: World) -> dict[str, int]:
    """How often each tool ran."""
    return {name: len(tool.runs) for name, tool in world.tools.tools.items() if tool.runs}


async def test_equal_calls_are_answered_from_the_record(autojump_clock: MockClock) -> None:
    stands_in, event = await recorded()
    async with running([calls(("read", {"n": 1}), ("shell", {"b": [2], "a": 1}))], [text("other")]) as world:
        state = await gone_on(world, stands_in, event)
        assert state.answer == "other"
        assert ran(world) == {}
        assert world.judge.asked["call"] == 0
        assert world.contexts.built == 0
        assert "shell:" in str(state.history[2].parts[1])
        assert (stands_in.answered, stands_in.missed) == (2, [])


@pytest.mark.parametrize("args", [{}, {"a": 1, "b": [3]}, {"a": 1, "b": [2], "c": None}, {"a": True, "b": [2]}])
async def test_a_call_with_other_arguments_is_refused(args: dict[str, object], autojump_clock: MockClock) -> None:
    stands_in, event = await recorded()
    async with running([calls(("shell", args))], [text("other")]) as world:
        state = await gone_on(world, stands_in, event)
        assert REFUSED.format("shell") in str(state.history[2].parts[0])
        assert ran(world) == {}
        assert stands_in.missed == ["shell"]


async def test_a_result_is_used_once(autojump_clock: MockClock) -> None:
    stands_in, event = await recorded()
    twice = ("read", {"n": 1})
    async with running([calls(twice, twice)], [text("other")]) as world:
        state = await gone_on(world, stands_in, event)
        said = str(state.history[2].parts)
        assert (said.count("read:1"), said.count(REFUSED.format("read"))) == (1, 1)
        assert stands_in.answered == 1


async def test_what_the_record_does_not_have_is_judged_and_run_where_that_is_allowed(autojump_clock: MockClock) -> None:
    stands_in, event = await recorded(live=True)
    async with running([calls(("read", {"n": 1}), ("read", {"n": 2}), ("shell", {}))], [text("other")]) as world:
        world.judge.blocked.add("shell")
        await gone_on(world, stands_in, event)
        assert ran(world) == {"read": 1}
        assert [name for name, _ in world.judge.seen] == ["read", "shell"]
        assert stands_in.missed == ["read", "shell"]


@pytest.mark.parametrize("live", [False, True])
async def test_another_system_text_stands_in_the_context(live: bool, autojump_clock: MockClock) -> None:
    stands_in, event = await recorded(live=live, system="You are somebody else.")
    async with running([text("other")]) as world:
        await gone_on(world, stands_in, event)
        assert world.model.requests[0].system == "You are somebody else."
        assert world.contexts.built == int(live)


def test_the_order_of_members_makes_no_other_call() -> None:
    assert key_of("a", {"x": {"b": 1, "a": [{"d": 1, "c": 2}]}, "y": 2}) == key_of(
        "a", {"y": 2, "x": {"a": [{"c": 2, "d": 1}], "b": 1}}
    )
    assert key_of("a", {"x": [1, 2]}) != key_of("a", {"x": [2, 1]})
    assert key_of("a", {"x": 1}) != key_of("b", {"x": 1})


async def test_a_call_that_no_verdict_of_the_record_let_run_does_not_run() -> None:
    stands_in, _ = await recorded()
    async with running() as world:
        call = Call("c1", "shell", {"a": 1, "b": [2]}, 0)
        wanted = effects.RunTool(call, Tape())
        made = await stands_in.instead(world.open(), wanted, nobody, world.dispatcher.performer.perform)
        assert isinstance(made, ev.Finished)
        assert made.result.error is not None
        assert made.result.error.message == REFUSED.format("shell")
        assert ran(world) == {}


async def nobody(event: Event) -> None:
    raise AssertionError(event)
