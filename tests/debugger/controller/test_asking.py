"""Questions to the past through the debugger: by the path that one stands on, also while the session runs."""

from trio.testing import MockClock

from debugger.protocol.commands import COMMANDS
from tests.debugger.controller.test_roles import told as missing
from tests.debugger.controller.test_traveling import TWO, at_rest
from tests.fakes.studio import studio


async def test_who_wrote_a_value_last(autojump_clock: MockClock) -> None:
    async with studio(*TWO) as house:
        session, ann = await at_rest(house)
        at = (await ann.ask("status", session="s"))["at"]
        await ann.ask("edit", session="s", at=at, changes=[{"path": "model", "value": "other"}], reason="to see")
        found = await ann.ask("blame", session="s", path="state.settings.model")
        assert missing(COMMANDS["blame"].answer, found) == []
        writer = found["writer"]
        assert (writer["old"], writer["new"], writer["actor"]) == ("test-model", "other", "debugger:ann")
        assert writer["at"] == session.state.seq
        assert (await ann.refused("blame", session="s", path="event.call")).position == 0
        assert (await ann.refused("blame", session="s", path="1 +")).code == "bad_expression"


async def test_when_an_expression_became_true(autojump_clock: MockClock) -> None:
    async with studio(*TWO) as house:
        _, ann = await at_rest(house)
        found = await ann.ask("bisect", session="s", expr="len(state.history) >= 3")
        assert missing(COMMANDS["bisect"].answer, found) == []
        assert (found["first"]["kind"], found["now"], found["turned"]) == ("turn.end", True, 1)
        await ann.ask("goto", session="s", to=found["first"]["at"] - 1)
        assert not (await ann.ask("bisect", session="s", expr="len(state.history) >= 3"))["now"]


async def test_questions_are_answered_while_the_session_runs(autojump_clock: MockClock) -> None:
    async with studio(*TWO) as house:
        house.world.tools.tools["read"].seconds = 1_000
        session = house.open()
        eve = await house.client("eve", "observer")
        house.world.say(session)
        await house.world.until(session, lambda one: bool(one.state.turn and one.state.turn.calls))
        assert (await eve.ask("bisect", session="s", expr="state.turn == 1"))["first"]["kind"] == "turn.start"
        assert (await eve.ask("log", session="s", kinds=["call.*"]))["total"] > 0
        assert (await eve.ask("receipt", session="s"))["needed"] == 0
        assert [one["name"] for one in (await eve.ask("branches", session="s"))["branches"]] == ["main"]


async def test_records_are_listed_by_kind_text_and_branch(autojump_clock: MockClock) -> None:
    async with studio(*TWO) as house:
        session, ann = await at_rest(house)
        every = await ann.ask("log", session="s", start=0, count=1_000)
        assert every["total"] == every["here"] == session.state.seq
        runs = await ann.ask("log", session="s", kinds=["call.run"])
        assert [(row["kind"], row["tool"]) for row in runs["steps"]] == [("call.run", "read")] * 2
        found = await ann.ask("log", session="s", text="read:2")
        assert [row["kind"] for row in found["steps"]] == ["call.result"]
        assert (await ann.refused("log", session="s", kinds=["nothing"])).at == "with.kinds[0]"
        receipt = (await ann.ask("receipt", session="s", at=5))["digest"]
        await ann.ask("branch", session="s", at=5, name="other", receipt=receipt)
        assert (await ann.ask("log", session="s"))["total"] == 7  # with the branch and its stop
        assert (await ann.ask("log", session="s", branch="main"))["total"] == every["total"]
        assert (await ann.refused("log", session="s", branch="nobody")).code == "no_step"
