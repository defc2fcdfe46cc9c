"""What becomes of a stop whose driver is lost: it is kept for him for a time, and then the session goes on."""

import random
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from runtime.step import Phase
from runtime.stores.memory import MemoryStore
from tests.fakes.stores import FullStore
from tests.fakes.studio import House, Person, studio
from tests.fakes.world import Piece, calls, text

SLOW: list[list[Piece]] = [[text("a", None), 1.0, text("b")]]


async def held(house: House, **params: Any) -> tuple[Any, Person, Any]:
    """A session that is held in the middle of an answer, with its driver and the stop."""
    session = house.open()
    ann = await house.driver(session, **params)
    house.world.say(session)
    await trio.sleep(0.5)
    await ann.ask("pause", session="s")
    return session, ann, await ann.told("stopped")


@pytest.mark.parametrize("seconds", [300.0, 10.0, 0.0])
async def test_a_session_is_kept_for_its_driver_and_then_goes_on(seconds: float, autojump_clock: MockClock) -> None:
    async with studio(*SLOW) as house:
        session, ann, _ = await held(house, hold_seconds=seconds)
        start = trio.current_time()
        await ann.leave()
        assert (session.state.hold is None) is (seconds == 0.0)
        assert (await house.world.rest(session)).answer == "ab" if seconds < 60 else True
        with trio.fail_after(1_000):
            while session.state.phase is not Phase.DONE:
                await session.changed.park()
        assert seconds <= trio.current_time() - start <= seconds + 1.5
        assert house.debugger.leases.of("s") is None


@pytest.mark.parametrize(("policy", "phase", "answer"), [("resume", Phase.DONE, "ab"), ("cancel", Phase.CANCELLED, "")])
async def test_a_driver_says_when_he_attaches_what_his_loss_means(
    policy: str, phase: Phase, answer: str, autojump_clock: MockClock
) -> None:
    async with studio(*SLOW) as house:
        session, ann, _ = await held(house, on_loss=policy)
        await ann.leave()
        assert session.state.hold is None
        await trio.sleep(2)
        assert (session.state.phase, session.state.answer) == (phase, answer)
        assert not (await house.debugger.audit.verify()).faults
        entry = [one for one in await house.debugger.audit.entries(10) if one.action.startswith("dead-man")]
        assert [(one.action, one.user, one.reason) for one in entry] == [
            (f"dead-man.{policy}", "ann", "ann's connection was lost")
        ]


async def test_whoever_comes_back_in_time_finds_the_same_stop(autojump_clock: MockClock) -> None:
    async with studio(*SLOW) as house:
        session, ann, told = await held(house)
        await ann.leave()
        await trio.sleep(299)
        eve = await house.client("eve")
        assert not (await eve.ask("attach", session="s"))["driving"]
        assert "whose connection was lost" in str(await eve.refused("pause", session="s"))
        again = await house.client("ann")
        answer = await again.ask("attach", session="s")
        assert (answer["driving"], answer["generation"], answer["at"]) == (True, told["generation"], told["at"])
        await trio.sleep(10_000)
        assert session.state.hold is not None
        await again.ask("continue", session="s", generation=told["generation"])
        assert (await house.world.rest(session)).answer == "ab"


async def test_a_lost_drivers_session_can_be_taken_by_another(autojump_clock: MockClock) -> None:
    async with studio(*SLOW) as house:
        session, ann, _ = await held(house)
        bob = await house.client("bob", "driver")
        await bob.ask("attach", session="s")
        await ann.leave()
        assert (await bob.ask("lease", session="s", take=True))["driver"] == "bob"
        await trio.sleep(10_000)
        assert session.state.hold is not None


async def test_steps_that_were_granted_go_on_without_their_driver(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {}))], [text("done")]) as house:
        house.world.tools.tools["read"].seconds = 50
        session = house.open()
        ann = await house.driver(session, hold_seconds=100)
        await ann.ask("pause", session="s")
        told = await ann.told("stopped")
        house.world.say(session)
        await ann.ask("lock", session="s", mode="on")
        await ann.ask("until", session="s", generation=told["generation"], expr='step.kind == "turn.end"')
        await trio.sleep(1)
        await ann.leave()
        await trio.sleep(60)
        assert session.state.hold is not None
        assert (await house.world.rest(session)).answer == "done"
        assert house.debugger.watched == {}


@pytest.mark.parametrize("attended", [True, False])
async def test_a_breakpoint_holds_a_session_that_nobody_drives_for_five_minutes(
    attended: bool, autojump_clock: MockClock
) -> None:
    async with studio([text("a")], repeat=True) as house:
        ann = await house.client()
        await ann.ask("break_add", kinds=["model.request"])
        session = house.open()
        house.world.say(session)
        told = await ann.told("stopped")
        await trio.sleep(299)
        assert session.state.hold is not None
        if attended:
            assert (await ann.ask("attach", session="s"))["generation"] == told["generation"]
        await trio.sleep(2)
        assert (session.state.hold is not None) is attended
        if not attended:
            assert session.state.answer == "a"
            actions = [one.action for one in await house.debugger.audit.entries(10)]
            assert actions == ["connect", "break.add", "done", "stop", "dead-man.resume", "done"]


async def test_an_observer_keeps_nothing_held(autojump_clock: MockClock) -> None:
    async with studio([text("a")]) as house:
        ann = await house.client("ann", "driver")
        await ann.ask("break_add", kinds=["model.request"])
        session = house.open()
        bob = await house.client("bob", "observer")
        await bob.ask("attach", session="s")
        house.world.say(session)
        await bob.told("stopped")
        await trio.sleep(301)
        assert session.state.phase is Phase.DONE


async def test_a_session_comes_back_held_after_a_restart_and_goes_on_when_nobody_comes(
    autojump_clock: MockClock,
) -> None:
    kept = MemoryStore()
    async with studio([text("a")], store=kept) as house:
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("break_add", kinds=["model.request"], temporary=True)
        house.world.say(session)
        told = await ann.told("stopped")
        await house.world.dispatcher.journal.committed(session.ticket)
    async with studio([text("a")], store=MemoryStore(kept.kept)) as house:
        house.roster.parked.add("s")
        bob = await house.client("bob", "observer")
        assert (await bob.ask("status", session="s"))["generation"] == told["generation"]
        session = house.roster.live["s"]
        await trio.sleep(299)
        assert session.state.hold is not None
        await trio.sleep(2)
        assert (await house.world.rest(session)).answer == "a"


async def test_a_stop_that_the_journal_had_no_room_to_end_is_ended_later(autojump_clock: MockClock) -> None:
    store = FullStore()
    async with studio(*SLOW, store=store) as house:
        session, ann, _ = await held(house, hold_seconds=10)
        store.refuses = True
        await ann.leave()
        await trio.sleep(100)
        assert session.state.hold is not None
        assert {one.partition(":")[0] for one in house.complaints} == {"the audit of disconnect"}
        house.complaints.clear()
        store.refuses = False
        assert (await house.world.rest(session)).answer == "ab"


async def test_of_several_sessions_one_that_is_broken_keeps_no_other_held(autojump_clock: MockClock) -> None:
    async with studio(*SLOW, repeat=True) as house:
        sessions = [house.open(f"s{number}") for number in range(3)]
        ann = await house.client()
        for session in sessions:
            await ann.ask("attach", session=session.id, on_loss="resume")
            house.world.say(session)
        await trio.sleep(0.5)
        await ann.ask("pause", session="*")
        sessions[1].broken = RuntimeError("gone")  # type: ignore[assignment]
        await ann.leave()
        await trio.sleep(2)
        assert [session.state.phase for session in sessions] == [Phase.DONE, Phase.STREAMING, Phase.DONE]


@pytest.mark.parametrize("seed", range(10))
async def test_of_a_hundred_drivers_that_are_killed_at_any_time_none_leaves_a_session_held(
    seed: int, autojump_clock: MockClock
) -> None:
    chance = random.Random(seed)
    async with studio([calls(("read", {"n": 1}))], [text("a", None), 0.3, text("b")], repeat=True) as house:
        house.world.tools.tools["read"].seconds = 0.5
        session = house.open()
        late: list[int] = []
        for number in range(100):
            ann = await house.client("ann")
            policy = chance.choice(("hold", "resume", "cancel"))
            await ann.ask("attach", session="s", on_loss=policy, hold_seconds=chance.choice((0, 1, 5)))
            house.world.say(session)
            await trio.sleep(chance.random())
            await ann.ask("pause", session="s")
            late.append(session.state.generation)
            if chance.random() < 0.5:
                grain = chance.choice(("micro", "step", "call", "turn"))
                await ann.ask("step", session="s", generation=late[-1], grain=grain, count=chance.randrange(1, 4))
            if chance.random() < 0.5:
                await trio.sleep(chance.random())
            await ann.leave()
            await trio.sleep(6)
            assert (session.state.hold, session.armed, house.debugger.leases.of("s")) == (None, False, None), number
            state = await house.world.rest(session)
            assert state.phase in (Phase.DONE, Phase.CANCELLED)
        assert house.debugger.watched == {}
        bob = await house.driver(session, "bob")
        await bob.ask("pause", session="s")
        for generation in late:
            assert (await bob.refused("continue", session="s", generation=generation)).code == "stale"
