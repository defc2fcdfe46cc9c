"""Runs of sessions that a debugger copies or takes back: whose they are, and that each comes to an end."""

from trio.testing import MockClock

from runtime.app.debugging import GatewayNames
from runtime.sessions.session import Session
from runtime.step import CallPhase, Phase, StepKind
from tests.fakes.gateway import House, serving
from tests.fakes.messages import FAMILIES, KEY, SLOW, begun, ends, run_of
from tests.fakes.world import calls, text


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
        await begun(house)
        session = main_of(house)
        assert session.state.phase is Phase.STREAMING
        await house.world.back(session, session.state.seq - 1, "b")
        await house.rest(KEY)
        assert ends(link, "r1") == ["final"]
        assert run_of(house, "r1").status == "ok"
        told = [one["message"]["content"][0]["text"] for one in link.events("chat", runId="r1") if "message" in one]
        assert told[-1] == "first done"  # and nothing that was said on the branch that was left


async def test_a_tool_that_runs_when_its_session_goes_back_is_told_to_have_ended(autojump_clock: MockClock) -> None:
    async with serving([calls(("shell", {"n": 1}))], [text("done")], families=FAMILIES) as house:
        link = house.link()
        house.world.tools.tools["shell"].seconds = 50.0
        await begun(house)
        session = main_of(house)
        assert session.state.turn is not None
        assert [call.phase for call in session.state.turn.calls] == [CallPhase.RUNNING]
        await house.world.back(session, session.state.seq, "b")
        await house.rest(KEY)
        items = [one["data"] for one in link.events("agent", runId="r1") if one["stream"] == "item"]
        assert [(one["phase"], one["status"]) for one in items] == [("start", "running"), ("end", "failed")]
        assert "was not run again" in items[-1]["error"]
        assert ends(link, "r1") == ["final"]


def paid(house: House) -> int:
    """The tokens that were counted so far, of all sessions."""
    return sum(one.total for one in house.desk.directory.spent.items.values())


async def test_tokens_of_a_branch_that_was_left_are_counted_and_none_twice(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], [text("Hi again.")], families=FAMILIES) as house:
        await house.turn(KEY, "one", "r1")
        once = paid(house)
        assert once > 0
        session = main_of(house)
        line = await house.world.dispatcher.timeline(session)
        asked = next(one.seq for one in line.path() if one.kind is StepKind.MODEL_REQUEST)
        await house.world.back(session, asked - 1, "b")
        await house.rest(KEY)
        await house.turn(KEY, "two", "r2")
        assert paid(house) == 3 * once
        await house.world.back(session, asked - 1, "c")
        assert paid(house) == 3 * once


async def test_a_copy_does_not_count_again_what_was_used_before_it(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], [text("Hi again.")], families=FAMILIES) as house:
        await house.turn(KEY, "one", "r1")
        once = paid(house)
        twin = await twin_of(house)
        entry = house.desk.directory.of(twin.id)
        assert entry is not None
        await house.turn(entry.key, "two", "r2")
        assert paid(house) == 2 * once
