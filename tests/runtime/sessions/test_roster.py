"""Parking, bringing back, recovery after a crash."""

import pytest

from runtime.errors import JournalError, LocalError
from runtime.sessions.roster import Roster
from runtime.step import Phase, Settings
from runtime.step import events as ev
from runtime.stores.memory import Kept, MemoryStore
from runtime.vocab import Message
from tests.fakes.world import World, calls, running, text

GO = Message("m", "go", ({"text": "go"},))


async def finished(world: World, roster: Roster, name: str = "s") -> None:
    session = roster.get(name) if name in roster.live or name in roster.parked else roster.open(name, Settings("m"))
    world.dispatcher.say(session, GO)
    await world.rest(session)


async def test_a_parked_session_comes_back_on_its_next_message() -> None:
    async with running([text("one")], [text("two")]) as world:
        roster = Roster(world.dispatcher)
        await finished(world, roster)
        before = roster.live["s"].state
        await roster.park(roster.live["s"])
        assert not roster.live
        assert roster.parked == {"s"}
        session = roster.get("s")
        assert session.state == before
        world.dispatcher.say(session, GO)
        await world.until(session, lambda one: one.state.answer == "two" and one.state.phase is Phase.DONE)
        assert not roster.parked


async def test_a_busy_session_is_not_parked() -> None:
    async with running([calls(("read", {}))], [text("done")]) as world:
        roster = Roster(world.dispatcher)
        session = roster.open("s", Settings("m"))
        world.dispatcher.say(session, GO)
        with pytest.raises(LocalError, match="busy"):
            await roster.park(session)
        assert roster.live == {"s": session}


async def test_a_session_that_nobody_knows_is_an_error_that_names_it() -> None:
    async with running() as world:
        with pytest.raises(JournalError, match="no session nobody"):
            Roster(world.dispatcher).get("nobody")


async def crashed(world: World, before: str) -> None:
    """Run a prompt up to the step `before`, commit, and let the process die there."""
    roster = Roster(world.dispatcher)
    session = roster.open("s", Settings("m"))
    world.dispatcher.gate.watch(lambda one, kind, call: "crash" if kind.value == before else None)
    world.dispatcher.gate.arm(session)
    world.dispatcher.say(session, GO)
    await world.held(session)
    await world.dispatcher.journal.committed(session.ticket)


@pytest.mark.parametrize("before", ["message.screen", "turn.start", "model.request", "model.chunk", "call.run"])
async def test_a_session_goes_on_where_its_process_died(before: str) -> None:
    kept = Kept()
    async with running([calls(("read", {"n": 1}))], [text("done")], store=MemoryStore(kept)) as world:
        await crashed(world, before)
    async with running([calls(("read", {"n": 1}))], [text("done")], store=MemoryStore(kept)) as world:
        session = Roster(world.dispatcher).get("s")
        assert session.state.hold is not None  # it comes back held
        world.dispatcher.release(session, "test")
        state = await world.rest(session)
        assert state.phase is Phase.DONE
        assert state.answer == "done"


@pytest.mark.parametrize(("tool", "runs"), [("read", 1), ("write", 1), ("shell", 0)])
async def test_a_tool_in_flight_runs_again_only_if_that_is_harmless(tool: str, runs: int) -> None:
    kept = Kept()
    answers = ([calls((tool, {"n": 1}))], [text("done")])
    async with running(*answers, store=MemoryStore(kept)) as world:
        await crashed(world, "call.result")
        assert world.tools.tools[tool].runs == [{"n": 1}]
    async with running(*answers, store=MemoryStore(kept)) as world:
        session = Roster(world.dispatcher).get("s")
        world.dispatcher.release(session, "test")
        state = await world.rest(session)
        assert len(world.tools.tools[tool].runs) == runs
        response = state.history[2].parts[0]["functionResponse"]["response"]
        assert ("error" in response) == (runs == 0)


async def test_a_late_release_of_an_older_hold_is_refused() -> None:
    async with running([text("done")]) as world:
        session = world.open()
        world.dispatcher.hold(session, "ann")
        first = session.state.hold
        assert first is not None
        world.dispatcher.release(session, "ann")
        world.dispatcher.hold(session, "bob")
        with pytest.raises(LocalError, match="but hold 2 is in force"):
            world.dispatcher.control(session, ev.Released("ann", first.generation), "ann")
