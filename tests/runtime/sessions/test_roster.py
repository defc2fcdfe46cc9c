"""Parking, bringing back, recovery after a crash."""

import gc
import weakref

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from runtime.errors import JournalError, JournalFull, LocalError
from runtime.sessions.roster import Roster
from runtime.step import Phase, Settings, StepKind
from runtime.step import events as ev
from runtime.stores.backlog import Bound
from runtime.stores.memory import Kept, MemoryStore
from runtime.vocab import Message
from tests.fakes.stores import SlowStore
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
    world.dispatcher.gate.watch(lambda one, kind, call, event: "crash" if kind.value == before else None)
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


async def test_a_pause_while_a_session_is_being_parked_keeps_it_loaded() -> None:
    store = SlowStore()
    async with running([text("one")], store=store) as world, trio.open_nursery() as nursery:
        roster = Roster(world.dispatcher)
        session = roster.open("s", Settings("m"))
        await wait_all_tasks_blocked()
        nursery.start_soon(roster.park, session)
        await wait_all_tasks_blocked()
        world.dispatcher.hold(session, "ann")
        store.write()
        await wait_all_tasks_blocked()
        assert roster.live == {"s": session}
        assert world.dispatcher.gate.holds(session)


async def test_what_is_changed_while_a_session_is_being_parked_is_on_disk_with_it() -> None:
    store = SlowStore()
    async with running([text("one")], store=store) as world, trio.open_nursery() as nursery:
        roster = Roster(world.dispatcher)
        session = roster.open("s", Settings("m"))
        await wait_all_tasks_blocked()
        nursery.start_soon(roster.park, session)
        await wait_all_tasks_blocked()
        store.write()
        world.dispatcher.control(session, ev.Edited("model", "better", "ann"), "ann")
        await wait_all_tasks_blocked()
        assert roster.live == {"s": session}
        store.write()
        await wait_all_tasks_blocked()
        assert roster.parked == {"s"}
        assert roster.get("s").state.settings.model == "better"


async def test_a_message_while_a_session_is_being_parked_is_not_lost() -> None:
    store = SlowStore()
    async with running([text("one")], store=store) as world, trio.open_nursery() as nursery:
        roster = Roster(world.dispatcher)
        session = roster.open("s", Settings("m"))
        await wait_all_tasks_blocked()
        nursery.start_soon(roster.park, session)
        await wait_all_tasks_blocked()
        assert world.dispatcher.say(session, GO)
        store.slow = False
        await world.dispatcher.journal.committed(session.ticket)
        assert (await world.rest(session)).answer == "one"
        assert roster.live == {"s": session}


async def test_a_session_may_be_parked_twice_at_the_same_time() -> None:
    async with running([text("one")]) as world:
        roster = Roster(world.dispatcher)
        await finished(world, roster)
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(roster.park, roster.live["s"])
        assert (roster.live, roster.parked) == ({}, {"s"})


async def test_who_kept_a_parked_session_can_do_nothing_with_it() -> None:
    async with running([text("one")], [text("two")]) as world:
        roster = Roster(world.dispatcher)
        await finished(world, roster)
        kept = roster.live["s"]
        await roster.park(kept)
        assert not world.dispatcher.say(kept, GO)
        with pytest.raises(LocalError, match="session s was unloaded"):
            world.dispatcher.hold(kept, "ann")
        with pytest.raises(LocalError, match="session s is not loaded here"):
            await roster.park(kept)
        await finished(world, roster)
        assert roster.live["s"].state.answer == "two"


async def test_a_session_that_has_steps_to_take_is_not_parked() -> None:
    async with running([text("one")]) as world:
        roster = Roster(world.dispatcher)
        session = roster.open("s", Settings("m"))
        world.dispatcher.step(session, "ann", 3)
        with pytest.raises(LocalError, match="busy"):
            await roster.park(session)


async def test_a_closed_session_can_be_parked_and_stays_closed() -> None:
    async with running() as world:
        roster = Roster(world.dispatcher)
        session = roster.open("s", Settings("m"))
        world.dispatcher.control(session, ev.Closed(), "ann")
        await roster.park(session)
        assert roster.get("s").state.phase is Phase.CLOSED


async def test_a_parked_session_leaves_nothing_but_its_name(autojump_clock: MockClock) -> None:
    async with running([calls(("read", {"n": 1}))], [text("done")], repeat=True) as world:
        roster = Roster(world.dispatcher)
        gone = []
        for n in range(10):
            session = roster.open(f"s{n}", Settings("m"))
            stop = world.stop(StepKind.MODEL_CHUNK, session)
            world.dispatcher.say(session, GO)
            await world.held(session)
            world.dispatcher.step(session, "ann")
            await world.held(session)
            world.dispatcher.release(session, "ann")
            world.dispatcher.gate.unwatch(stop)
            await world.rest(session)
            await trio.sleep(1)
            await roster.park(session)
            gone.append(weakref.ref(session))
            del session, stop
        await trio.sleep(1)
        gc.collect()
        assert [one() for one in gone] == [None] * 10
        assert roster.parked == {f"s{n}" for n in range(10)}
        assert not world.dispatcher.gate._held
        assert not world.dispatcher.gate._passed
        assert not world.dispatcher._ready


async def test_a_session_that_cannot_be_recovered_for_want_of_room_leaves_nothing_behind() -> None:
    kept = Kept()
    async with running([calls(("read", {"n": 1}))], store=MemoryStore(kept)) as world:
        await crashed(world, "call.run")
    store = SlowStore(kept, bound=Bound(records=1))
    async with running([calls(("read", {"n": 1}))], store=store) as world:
        roster = Roster(world.dispatcher)
        roster.open("other", Settings("m"))
        with pytest.raises(JournalFull):
            roster.get("s")
        assert set(roster.live) == {"other"}
        assert not world.dispatcher.gate._held
        store.slow = False
        await store.room()
        assert world.dispatcher.gate.holds(roster.get("s"))


async def test_a_session_comes_back_with_its_clocks_and_processes_held() -> None:
    kept = Kept()
    async with running([calls(("read", {"n": 1}))], [text("done")], store=MemoryStore(kept)) as world:
        await crashed(world, "call.run")
    async with running([calls(("read", {"n": 1}))], [text("done")], store=MemoryStore(kept)) as world:
        session = Roster(world.dispatcher).get("s")
        world.dispatcher.wake(session)
        await wait_all_tasks_blocked()
        assert session.state.hold is not None
        assert (session.armed, session.deadlines.frozen, session.processes.frozen) == (True, True, True)
        assert world.tools.tools["read"].runs == []
        world.dispatcher.release(session, "ann")
        assert (await world.rest(session)).answer == "done"
        assert await world.replayed(session) == session.state


async def test_who_waits_for_a_session_that_is_parked_is_woken(autojump_clock: MockClock) -> None:
    async with running([text("done")]) as world:
        roster = Roster(world.dispatcher)
        session = roster.open("s", Settings("m"))
        woken: list[str] = []

        async def wait(lot: trio.lowlevel.ParkingLot, name: str) -> None:
            await lot.park()
            woken.append(name)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait, session.changed, "changed")
            nursery.start_soon(wait, session.rested, "rested")
            await trio.testing.wait_all_tasks_blocked()
            await roster.park(session)
        assert sorted(woken) == ["changed", "rested"]
