"""Looking at the past of a held session: back, goto, reverse searches, forward over the record. Nothing runs there."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from debugger.protocol.commands import COMMANDS
from runtime.sessions.session import Session
from runtime.step import Phase
from tests.debugger.controller.test_roles import told as missing
from tests.fakes.studio import House, Person, studio
from tests.fakes.world import calls, text

TWO = ([calls(("read", {"n": 1}), ("read", {"n": 2}))], [text("do", None), text("ne")])
"""Two calls, and an answer in two pieces."""


async def at_rest(house: House, name: str = "s") -> tuple[Session, Person]:
    """A session that was held from its first step on and has come to its end, and who drives it."""
    session = house.open(name)
    ann = await house.driver(session)
    house.world.say(session)
    await house.world.rest(session)
    await ann.ask("pause", session=name)
    await ann.told("stopped")
    ann.forget()
    return session, ann


async def order(person: Person, command: str, **params: Any) -> Any:
    """An order to go on, in the hold that is in force."""
    status = await person.ask("status", session="s")
    return await person.ask(command, session="s", generation=status["generation"], **params)


async def test_going_back_moves_nothing_but_where_one_looks(autojump_clock: MockClock) -> None:
    async with studio(*TWO) as house:
        session, ann = await at_rest(house)
        before, runs = session.state, list(house.world.tools.tools["read"].runs)
        made = await ann.ask("back", session="s", count=3)
        assert (made["past"], made["held"], made["head"]) == (True, True, session.state.seq)
        assert made["at"] < made["head"]
        assert made["step"]["number"] == made["number"]
        assert session.state is before
        assert house.world.tools.tools["read"].runs == runs
        assert (await ann.ask("status", session="s"))["at"] == made["at"]


async def test_all_looks_show_the_state_at_the_cursor(autojump_clock: MockClock) -> None:
    async with studio(*TWO) as house:
        session, ann = await at_rest(house)
        await ann.ask("display", session="s", add="len(state.history)")
        await ann.ask("reverse-until", session="s", expr="step.kind == 'call.run'")
        ((shown,), told) = (await ann.ask("display", session="s"))["displays"], await ann.told("stopped")
        assert shown["value"] == 2
        assert told["context"]["displays"][0]["value"] == 2
        assert told["context"]["call"]["phase"] == "scheduled"
        assert (await ann.ask("print", session="s", expr="tool.args.n"))["value"] == 2
        assert (await ann.ask("print", session="s", expr="state.outcome.status"))["absent"]
        assert len((await ann.ask("history", session="s"))["rows"]) == 2
        assert (await ann.ask("tree", session="s", path="state.calls"))["size"] == 2
        frames = (await ann.ask("where", session="s"))["frames"]
        assert [one["phase"] for one in frames if one["level"] == "call"] == ["running", "scheduled"]
        assert "You look at record" in (await ann.ask("why", session="s"))["sentence"]
        assert [row["phase"] for row in (await ann.ask("info", session="s", topic="calls"))["rows"]]
        changed = (await ann.ask("diff", session="s", a=1))["changes"]
        assert not any("outcome" in one["path"] for one in changed)
        assert (await ann.ask("find", session="s", text="done"))["matches"] == []
        assert session.state.phase is Phase.DONE


async def test_the_request_of_the_past_is_the_one_that_the_model_got(autojump_clock: MockClock) -> None:
    async with studio(*TWO) as house:
        _, ann = await at_rest(house)
        await ann.ask("reverse-until", session="s", expr="step.kind == 'model.request'")
        made = await ann.ask("request", session="s", diff=True)
        assert (made["sent"], made["assumes"]) == (False, [])
        assert [part["name"] for part in made["parts"] if part["name"].startswith("contents")] == [
            f"contents[{n}]" for n in range(len(house.world.model.requests[1].contents))
        ]
        assert made["diff"]["added"]


async def test_steps_over_the_record_come_to_where_steps_back_have_been(autojump_clock: MockClock) -> None:
    async with studio(*TWO) as house:
        session, ann = await at_rest(house)
        for grain in ("micro", "step", "call", "turn"):
            await ann.ask("goto", session="s", end="last")
            backwards = [(await ann.ask("status", session="s"))["number"]]
            while (made := await ann.ask("back", session="s", grain=grain))["number"] > 1:
                backwards.append(made["number"])
            await ann.ask("goto", session="s", end="first")
            forth = []
            while (made := await order(ann, "step", grain=grain))["past"]:
                forth.append(made["number"])
            forth.append(made["number"])
            assert forth == backwards[::-1]
        assert session.state.phase is Phase.DONE
        assert len(house.world.tools.tools["read"].runs) == 2


async def test_at_the_head_a_step_is_a_live_one_again(autojump_clock: MockClock) -> None:
    async with studio(*TWO) as house:
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("break_add", kinds=["call.run"], temporary=True)
        house.world.say(session)
        await ann.told("stopped")
        assert (await ann.ask("back", session="s"))["past"]
        made = await order(ann, "step", count=5)
        assert (made["past"], made["held"]) == (False, True)
        assert house.world.tools.tools["read"].runs == []
        ann.forget()
        made = await order(ann, "step")
        assert set(made) == {"generation"}
        assert (await ann.told("stopped"))["step"]["kind"] == "call.run"
        assert house.world.tools.tools["read"].runs == [{"n": 1}]


async def test_continue_from_the_past_ends_at_the_head_and_the_next_one_goes_on(autojump_clock: MockClock) -> None:
    async with studio(*TWO) as house:
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("break_add", kinds=["call.run"], temporary=True)
        house.world.say(session)
        await ann.told("stopped")
        await ann.ask("goto", session="s", end="first")
        made = await order(ann, "continue")
        assert (made["past"], made["held"]) == (False, True)
        assert session.state.hold is not None
        await order(ann, "continue")
        assert (await house.world.rest(session)).answer == "done"


async def test_breakpoints_stop_on_the_record_and_count_nothing(autojump_clock: MockClock) -> None:
    async with studio(*TWO) as house:
        _, ann = await at_rest(house)
        await ann.ask("break_add", kinds=["call.result"], edge="after", when="event.result.output == 'read:1'")
        made = await ann.ask("reverse-continue", session="s")
        assert made["hits"] == [1]
        assert made["cause"] == "breakpoint 1"
        assert (await ann.told("stopped"))["hits"] == [1]
        first = made["at"]
        assert (await ann.ask("reverse-continue", session="s"))["cause"] == "the first record"
        assert (await order(ann, "continue"))["at"] == first
        (row,) = (await ann.ask("break_list"))["breakpoints"]
        assert row["hits"] == 0


async def test_a_call_that_is_not_on_the_path_leads_nowhere(autojump_clock: MockClock) -> None:
    async with studio(*TWO) as house:
        _, ann = await at_rest(house)
        place = await ann.ask("back", session="s", count=3)
        for command, more in (("back", {}), ("step", {"generation": place["generation"]})):
            failure = await ann.refused(command, session="s", call="nothing", **more)
            assert (failure.code, failure.at) == ("bad_params", "with.call")
        assert (await ann.ask("status", session="s"))["at"] == place["at"]


async def test_one_goes_to_records_steps_and_ends(autojump_clock: MockClock) -> None:
    async with studio(*TWO) as house:
        session, ann = await at_rest(house)
        head = session.state.seq
        made = await ann.ask("goto", session="s", to=5)
        assert (made["at"], made["past"]) == (5, True)
        same = await ann.ask("goto", session="s", number=made["number"])
        assert same["number"] == made["number"]
        assert (await ann.ask("goto", session="s", end="first"))["at"] == 1
        assert not (await ann.ask("goto", session="s", end="last"))["past"]
        nowhere: list[dict[str, Any]] = [{"to": 0}, {"to": head + 1}, {"number": 10**6}]
        for params in nowhere:
            assert (await ann.refused("goto", session="s", **params)).code == "no_step"
        unclear: list[dict[str, Any]] = [{}, {"to": 1, "end": "last"}]
        for params in unclear:
            assert (await ann.refused("goto", session="s", **params)).code == "bad_params"
        assert (await ann.ask("status", session="s"))["at"] == (await ann.ask("status", session="s"))["head"]


@pytest.mark.parametrize(
    ("command", "params"),
    [("back", {}), ("goto", {"to": 1}), ("reverse-continue", {}), ("reverse-until", {"expr": "true"}), ("branch", {}),
     ("switch", {"branch": "main"}), ("restart", {})],
)  # fmt: skip
async def test_a_session_that_runs_has_no_past_to_stand_in(
    command: str, params: Any, autojump_clock: MockClock
) -> None:
    async with studio(*TWO) as house:
        ann = await house.driver(house.open())
        why = await ann.refused(command, session="s", **params)
        assert (why.code, str(why)) == ("not_held", "session s rests: pause it first")


async def test_all_who_look_see_the_same_and_are_told_of_each_move(autojump_clock: MockClock) -> None:
    async with studio(*TWO) as house:
        session, ann = await at_rest(house)
        bob, eve = await house.client("bob", "observer"), await house.client("eve", "observer")
        await bob.ask("attach", session="s", observe=True)
        made = await ann.ask("back", session="s")
        assert (await bob.told("stopped"))["at"] == made["at"]
        assert (await bob.ask("status", session="s"))["at"] == made["at"]
        assert (await bob.refused("back", session="s")).code == "forbidden"
        assert eve.all("stopped") == []
        assert session.state.phase is Phase.DONE


async def test_going_on_detaching_and_losing_the_driver_end_the_look_at_the_past(autojump_clock: MockClock) -> None:
    async with studio(*TWO) as house:
        session, ann = await at_rest(house)
        bob = await house.client("bob")
        await bob.ask("attach", session="s", observe=True)
        await ann.ask("back", session="s")
        await ann.ask("detach", session="s", then="hold")
        assert not (await bob.told("stopped", 2))["past"]
        assert not (await bob.ask("status", session="s"))["past"]

        await bob.ask("lease", session="s", take=True)
        await bob.ask("back", session="s")
        ann.forget()
        await ann.ask("attach", session="s", observe=True)
        await bob.leave()
        assert not (await ann.told("stopped"))["past"]
        assert house.debugger.cursor(session) is None

        house.world.dispatcher.release(session, "test")
        await trio.testing.wait_all_tasks_blocked()
        assert house.debugger.cursor(session) is None


async def test_whoever_takes_over_the_driving_begins_at_the_head(autojump_clock: MockClock) -> None:
    async with studio(*TWO) as house:
        _, ann = await at_rest(house)
        bob = await house.client("bob")
        await bob.ask("attach", session="s", observe=True)
        await ann.ask("back", session="s")
        await bob.ask("lease", session="s", take=True)
        assert not (await ann.ask("status", session="s"))["past"]
        assert not (await bob.told("stopped", 2))["past"]
        assert (await ann.refused("back", session="s")).code == "not_driver"


async def test_a_prompt_is_cancelled_where_it_is_open(autojump_clock: MockClock) -> None:
    async with studio(*TWO) as house:
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("break_add", kinds=["call.run"], temporary=True)
        house.world.say(session)
        await ann.told("stopped")
        await ann.ask("back", session="s", count=3)
        made = await ann.ask("cancel", session="s")
        assert (made["past"], session.state.phase, session.state.branch) == (False, Phase.CANCELLED, "main")


async def test_a_message_that_comes_in_leaves_one_in_the_past(autojump_clock: MockClock) -> None:
    async with studio(*TWO, repeat=True) as house:
        session, ann = await at_rest(house)
        made = await ann.ask("back", session="s", count=2)
        house.world.say(session, "more")
        status = await ann.ask("status", session="s")
        assert (status["at"], status["past"]) == (made["at"], True)
        assert session.addressed


async def test_step_numbers_go_by_the_path_in_stops_and_conditions(autojump_clock: MockClock) -> None:
    async with studio(*TWO) as house:
        session, ann = await at_rest(house)
        status = await ann.ask("status", session="s")
        timeline = await house.world.dispatcher.timeline(session)
        assert status["number"] == status["step"]["number"] == timeline.taken(timeline.last).number
        made = await ann.ask("reverse-until", session="s", expr="step.n == 4")
        assert made["number"] == 4
        assert (await ann.ask("print", session="s", expr="step.n"))["value"] == 4


async def test_answers_have_what_the_table_says_in_the_past_too(autojump_clock: MockClock) -> None:
    given: dict[str, Any] = {
        "goto": {"to": 5},
        "reverse-until": {"expr": "step.n == 3"},
        "reverse-continue": {},
        "back": {"count": 2},
    }
    async with studio(*TWO) as house:
        _, ann = await at_rest(house)
        await ann.ask("break_add", kinds=["call.run"])
        for name, params in given.items():
            await ann.ask("goto", session="s", end="last")
            assert missing(COMMANDS[name].answer, await ann.ask(name, session="s", **params)) == []
