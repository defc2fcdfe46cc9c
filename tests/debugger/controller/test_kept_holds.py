"""What stays held although its driver left on purpose: for how long, for whom, and that a restart changes nothing."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from debugger.controller.keeping import KIND, held
from runtime.sessions.session import Session
from runtime.step import Phase
from runtime.stores.memory import Kept, MemoryStore
from tests.fakes.stores import FullStore
from tests.fakes.studio import House, Person, studio
from tests.fakes.world import Piece, TrioClock, text

SLOW: list[Piece] = [text("a", None), 1.0, text("b")]
WALL = 1_700_000_000_000


async def stopped(house: House, **params: Any) -> tuple[Session, Person]:
    """A session that is held in the middle of an answer, with its driver."""
    session = house.open()
    ann = await house.driver(session, **params)
    house.world.say(session)
    await trio.sleep(0.5)
    await ann.ask("pause", session="s")
    return session, ann


async def goes_on_after(session: Session) -> float:
    """How long a session still stands."""
    start = trio.current_time()
    with trio.fail_after(100_000):
        while session.state.hold is not None:
            await session.changed.park()
    return trio.current_time() - start


@pytest.mark.parametrize(
    ("attach", "detach", "seconds"),
    [({}, {}, 300), ({"hold_seconds": 20.0}, {}, 20), ({}, {"hold_seconds": 7_200.0}, 7_200)],
)
async def test_what_is_left_held_goes_on_when_its_time_is_over(
    attach: dict[str, Any], detach: dict[str, Any], seconds: int, autojump_clock: MockClock
) -> None:
    async with studio(SLOW) as house:
        session, ann = await stopped(house, **attach)
        until = WALL + round((trio.current_time() + seconds) * 1000)
        answer = await ann.ask("detach", session="s", then="hold", **detach)
        assert answer["kept"]["user"] == "ann"
        assert answer["kept"]["until"] == pytest.approx(until, abs=2)
        assert (await ann.ask("status", session="s"))["kept"] == answer["kept"]
        (row,) = (await ann.ask("sessions"))["sessions"]
        assert (row["kept"], row["driver"]) == (answer["kept"], "")
        assert await goes_on_after(session) == pytest.approx(seconds, abs=1)
        assert (await house.world.rest(session)).answer == "ab"
        (entry,) = [one for one in await house.debugger.audit.entries(20) if one.action == "dead-man.resume"]
        assert (entry.user, entry.reason) == ("ann", "the time is over for which ann had it held")
        assert held(house.world.store) == []


async def test_what_is_held_for_ever_stands_until_somebody_lets_it_go_on(autojump_clock: MockClock) -> None:
    async with studio(SLOW) as house:
        session, ann = await stopped(house)
        told = await ann.ask("detach", session="s", then="hold", forever=True, reason="until ben has seen it")
        assert told == {"then": "hold", "kept": {"user": "ann", "until": None}}
        await trio.sleep(86_000)
        assert session.state.hold is not None
        ben = await house.client("ben")
        answer = await ben.ask("attach", session="s")
        assert (answer["driving"], answer["kept"]) == (True, {"user": "ann", "until": None})
        await ben.ask("continue", session="s", generation=answer["generation"])
        assert (await house.world.rest(session)).answer == "ab"
        assert (await ben.ask("status", session="s"))["kept"] is None
        (entry,) = [one for one in await house.debugger.audit.entries(20) if one.action == "detach"]
        assert (entry.reason, entry.after["kept"]["until"]) == ("until ben has seen it", None)


@pytest.mark.parametrize("how", ["lost", "held"])
async def test_who_only_looks_at_what_is_held_for_ever_leaves_it_so(how: str, autojump_clock: MockClock) -> None:
    async with studio(SLOW) as house:
        session, ann = await stopped(house)
        await ann.ask("detach", session="s", then="hold", forever=True)
        ben = await house.driver(session, "ben")
        if how == "held":
            await ben.ask("detach", session="s", then="hold")
        await ben.leave()
        await trio.sleep(86_000)
        assert session.state.hold is not None
        assert (await ann.ask("status", session="s"))["kept"] == {"user": "ann", "until": None}
        assert house.debugger.leases.of("s") is None


@pytest.mark.parametrize("policy", ["resume", "cancel"])
async def test_who_says_what_his_loss_means_is_believed_also_then(policy: str, autojump_clock: MockClock) -> None:
    async with studio(SLOW) as house:
        session, ann = await stopped(house)
        await ann.ask("detach", session="s", then="hold", forever=True)
        ben = await house.driver(session, "ben", on_loss=policy)
        await ben.leave()
        assert session.state.hold is None


@pytest.mark.parametrize("forever", [True, False])
async def test_a_restart_changes_nothing_of_it(forever: bool, autojump_clock: MockClock) -> None:
    kept = Kept()
    async with studio(SLOW, store=MemoryStore(kept)) as house:
        session, ann = await stopped(house)
        how = {"forever": True} if forever else {"hold_seconds": 1_000.0}
        before = (await ann.ask("detach", session="s", then="hold", **how))["kept"]
        await house.world.dispatcher.journal.committed(session.ticket)
    await trio.sleep(400)  # longer than what nobody drives stands
    async with studio(SLOW, store=MemoryStore(kept)) as house:
        house.roster.parked.add("s")
        ben = await house.client("ben", "observer")
        assert (await ben.ask("status", session="s"))["kept"] == before
        session = house.roster.live["s"]
        if forever:
            await trio.sleep(86_000)
            assert session.state.hold is not None
        else:
            assert await goes_on_after(session) == pytest.approx(600, abs=5)


async def test_what_ran_out_while_no_daemon_ran_goes_on(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with studio(SLOW, store=MemoryStore(kept)) as house:
        session, ann = await stopped(house)
        await ann.ask("detach", session="s", then="hold", hold_seconds=10)
        await house.world.dispatcher.journal.committed(session.ticket)
    await trio.sleep(400)
    async with studio(SLOW, store=MemoryStore(kept)) as house:
        house.roster.parked.add("s")
        ben = await house.client("ben", "observer")
        await ben.ask("status", session="s")
        assert (await house.world.rest(house.roster.live["s"])).answer == "ab"


async def test_it_counts_for_that_stop_only(autojump_clock: MockClock) -> None:
    async with studio([text("a")], [text("b")]) as house:
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("pause", session="s")
        await ann.ask("detach", session="s", then="hold", forever=True)
        again = await ann.ask("attach", session="s")
        await ann.ask("break_add", kinds=["model.request"])
        await ann.ask("continue", session="s", generation=again["generation"])
        await ann.ask("detach", session="s", then="hold")  # it does not stand: there is nothing to keep
        house.world.say(session)
        await ann.told("stopped", 2)
        assert (await ann.ask("status", session="s"))["kept"] is None
        assert await goes_on_after(session) == pytest.approx(300, abs=1)


@pytest.mark.parametrize(
    ("params", "at"),
    [
        ({"then": "resume", "forever": True}, "with.forever"),
        ({"then": "cancel", "hold_seconds": 1}, "with.hold_seconds"),
        ({"then": "hold", "hold_seconds": 1, "forever": True}, "with.forever"),
        ({"then": "hold", "hold_seconds": 100_000}, "with.hold_seconds"),
    ],
)
async def test_a_time_that_means_nothing_is_refused_and_the_session_is_still_driven(
    params: dict[str, Any], at: str, autojump_clock: MockClock
) -> None:
    async with studio(SLOW) as house:
        session, ann = await stopped(house)
        refused = await ann.refused("detach", session="s", **params)
        assert (refused.code, refused.at) == ("bad_params", at)
        assert house.debugger.leases.of("s") is not None
        assert session.state.hold is not None


async def test_where_it_cannot_be_kept_the_session_is_still_driven(autojump_clock: MockClock) -> None:
    store = FullStore()
    async with studio(SLOW, store=store) as house:
        session, ann = await stopped(house)
        store.refuses = True
        assert (await ann.refused("detach", session="s", then="hold")).code == "journal_full"
        assert house.debugger.leases.of("s") is not None
        store.refuses = False
        await ann.ask("detach", session="s")
        assert session.state.hold is None


@pytest.mark.parametrize("left", [1, 2])
async def test_nothing_is_held_for_ever_without_an_entry_of_it(left: int, autojump_clock: MockClock) -> None:
    store = FullStore()
    async with studio(SLOW, store=store) as house:
        session, ann = await stopped(house)
        store.refuses, store.left = True, left
        if left == 1:  # there is room for the entry alone
            assert (await ann.refused("detach", session="s", then="hold", forever=True)).code == "journal_full"
        else:
            await ann.ask("detach", session="s", then="hold", forever=True)
        store.refuses = False
        assert house.debugger.keeping.forever(session.state) is (left == 2)
        assert (house.debugger.leases.of("s") is None) is (left == 2)
        await (await house.client("eve")).ask("break_add", kinds=["call.run"])  # what is owed is written now
        actions = [one.action for one in await house.debugger.audit.entries(20)]
        outcome = "refused" if left == 1 else "done"
        assert actions[3:] == ["detach", outcome, "connect", "break.add", "done"]


async def test_what_cannot_be_read_of_it_is_passed_over() -> None:
    store = MemoryStore()
    for body in (b"{", b"[]", b'{"session": "c", "generation": 1, "user": "u", "until": "x"}'):
        await store.committed(store.put(KIND, str(len(body)), body))
    assert held(store) == []


async def test_a_session_that_ends_takes_it_along(autojump_clock: MockClock) -> None:
    async with studio(SLOW) as house:
        session, ann = await stopped(house)
        await ann.ask("detach", session="s", then="hold", forever=True)
        house.world.dispatcher.release(session, "operator")
        await house.world.rest(session)
        assert session.state.phase is Phase.DONE
        assert held(house.world.store) == []


@pytest.mark.parametrize("who", ["ann", "ben"])
async def test_who_leaves_it_as_he_found_it_leaves_it_its_time(who: str, autojump_clock: MockClock) -> None:
    async with studio(SLOW) as house:
        session, ann = await stopped(house)
        kept = (await ann.ask("detach", session="s", then="hold", hold_seconds=1_000))["kept"]
        again = await house.driver(session, who)
        await trio.sleep(100)
        assert (await again.ask("detach", session="s", then="hold"))["kept"] == kept
        assert await goes_on_after(session) == pytest.approx(900, abs=1)


async def test_who_only_looks_cannot_have_it_stand_for_longer(autojump_clock: MockClock) -> None:
    async with studio(SLOW) as house:
        session, ann = await stopped(house)
        await ann.ask("detach", session="s", then="hold", hold_seconds=1_000)
        await trio.sleep(900)
        ben = await house.client("ben", "observer")
        await ben.ask("attach", session="s")
        await ben.ask("detach", session="s", then="hold", hold_seconds=5_000)
        assert await goes_on_after(session) == pytest.approx(100, abs=1)


async def test_a_stop_after_steps_whose_driver_has_left_meanwhile_is_not_for_ever(autojump_clock: MockClock) -> None:
    async with studio(SLOW) as house:
        session, ann = await stopped(house)
        assert session.state.hold is not None
        await ann.ask("step", session="s", generation=session.state.hold.generation, grain="turn")
        await ann.ask("detach", session="s", then="hold")
        await ann.told("stopped", 2)
        assert session.state.hold.by == "debugger:ann"
        assert await goes_on_after(session) == pytest.approx(300, abs=1)


async def test_a_clock_that_was_wrong_holds_nothing_for_longer_than_anybody_can_ask_for(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept()
    async with studio(SLOW, store=MemoryStore(kept)) as house:
        session, ann = await stopped(house)
        await ann.ask("detach", session="s", then="hold", hold_seconds=10)
        await house.world.dispatcher.journal.committed(session.ticket)
    async with studio(SLOW, store=MemoryStore(kept)) as house:
        monkeypatch.setattr(TrioClock, "wall", lambda clock: 0)  # a machine that does not know the time
        house.roster.parked.add("s")
        ben = await house.client("ben", "observer")
        await ben.ask("status", session="s")
        assert await goes_on_after(house.roster.live["s"]) == pytest.approx(86_400, abs=1)


async def test_what_there_was_no_room_to_forget_is_forgotten_by_the_next_daemon(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with studio([text("a")], store=MemoryStore(kept)) as house:
        session, ann = await stopped(house)
        await ann.ask("detach", session="s", then="hold", forever=True)
        (body,) = [body for _, body in house.world.store.documents(KIND)]
        house.world.dispatcher.release(session, "operator")
        await house.world.rest(session)
        await house.world.store.committed(house.world.store.put(KIND, "s", body))
    async with studio(store=MemoryStore(kept)) as house:
        house.roster.parked.add("s")
        ben = await house.client("ben", "observer")
        assert (await ben.ask("status", session="s"))["kept"] is None
        await house.world.store.committed(house.world.store.put("other", "x", b""))
        assert held(house.world.store) == []
