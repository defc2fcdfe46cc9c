"""Runs of sessions that a debugger copies or takes back: whose they are, and that each comes to an end."""

from trio.testing import MockClock

from runtime.app.debugging import GatewayNames
from runtime.sessions.session import Session
from runtime.step import Phase
from tests.fakes.gateway import House, serving
from tests.fakes.messages import FAMILIES, KEY, SLOW, begun, ends, run_of, send
from tests.fakes.world import text


def main_of(house: House) -> Session:
    return house.desk.directory.roster.live[house.entry(KEY).session]


async def twin_of(house: House) -> Session:
    """A copy of the session as it is now."""
    session = main_of(house)
    return await GatewayNames(house.desk).fork(session, session.state.seq, "twin", "ann", "", "", "")


async def test_a_copy_of_an_open_prompt_ends_in_nobody_elses_name(autojump_clock: MockClock) -> None:
    async with serving(SLOW, families=FAMILIES) as house:
        link = house.link()
        await begun(house)
        house.world.dispatcher.hold(main_of(house), "ann")
        twin = await twin_of(house)
        told = len(link.events("chat", runId="r1"))
        house.world.dispatcher.release(twin, "ann")
        await house.world.rest(twin)
        assert twin.state.answer == "first done"
        assert len(link.events("chat", runId="r1")) == told
        assert not run_of(house, "r1").over
        house.world.dispatcher.release(main_of(house), "ann")
        await house.rest(KEY)
        assert ends(link, "r1") == ["final"]
        assert run_of(house, "r1").answer == "first done"


async def test_who_gives_up_a_copy_gives_up_nothing_else(autojump_clock: MockClock) -> None:
    async with serving(SLOW, families=FAMILIES) as house:
        await begun(house)
        twin = await twin_of(house)
        entry = house.desk.directory.of(twin.id)
        assert entry is not None
        assert house.desk.runs.active(twin.id) == []
        assert house.desk.runs.abort(entry, "r1") == []
        house.desk.runs.abort(entry, None)
        assert twin.state.phase is Phase.CANCELLED
        await house.rest(KEY)
        assert run_of(house, "r1").status == "ok"


async def test_a_run_that_its_session_leaves_by_going_back_comes_to_an_end(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], SLOW, families=FAMILIES) as house:
        link = house.link()
        await house.turn(KEY, "one", "r1")
        session = main_of(house)
        quiet = session.state.seq
        await begun(house, "two", "r2")
        await house.world.back(session, quiet, "b")
        assert session.state.phase is Phase.DONE
        ended = await house.desk.runs.wait("r2", 60)
        assert ended is not None
        assert (ended.status, ended.stop) == ("aborted", "branch")
        assert ends(link, "r2") == ["aborted"]
        assert run_of(house, "r1").status == "ok"
        assert house.desk.runs.narrations == {}


async def test_a_run_that_its_session_is_still_at_after_going_back_goes_on(autojump_clock: MockClock) -> None:
    async with serving(SLOW, families=FAMILIES) as house:
        link = house.link()
        await send(house, "one", "r1")
        session = main_of(house)
        await house.world.until(session, lambda one: one.state.phase is Phase.STREAMING)
        await house.world.back(session, session.state.seq - 1, "b")
        await house.rest(KEY)
        assert ends(link, "r1") == ["final"]
        assert run_of(house, "r1").status == "ok"
