"""sessions.compact without a number of lines: a summary by the model, and what happens where there is none."""

from collections.abc import Iterable
from typing import Any

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from runtime.errors import ModelError
from runtime.gateway.compacting import HEAD, RECENT, SEEN, NotCompacted, files, planned, shortened
from runtime.gateway.frames import GatewayError
from runtime.step import REST, Phase, State, advance
from runtime.step import events as ev
from runtime.step.replay import replay
from runtime.stores.memory import Kept
from runtime.vocab import Content
from tests.fakes.gateway import House, serving
from tests.fakes.world import CountingChance, text
from tests.runtime.step.scenes import Run

FAMILIES = ("chat", "runs", "sessions_create", "sessions_end", "sessions_list", "sessions_read", "sessions_usage")
KEY = "agent:main:work"


async def talked(house: House, turns: int = 3) -> None:
    for number in range(turns):
        await house.turn(KEY, f"hello {number}", f"r{number}")


def state(house: House) -> State:
    return house.desk.directory.roster.get(house.entry(KEY).session).state


def said(house: House) -> list[str]:
    return told(state(house).history)


def told(contents: Iterable[Content]) -> list[str]:
    """The texts of contents, without what stands before the first of all."""
    return [content.text.rpartition("</session_context>")[2] for content in contents]


async def compact(house: House, *link: Any) -> Any:
    return await house.call("sessions.compact", *link, key="work")


async def test_a_summary_takes_the_place_of_all_but_the_newest_turn(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        link = house.link()
        link.lists = True
        await talked(house)
        house.world.model.sides = [[text("They said hello twice.")]]
        answer = await compact(house, link)
        lines = house.desk.directory.transcript(house.entry(KEY)).lines
        assert answer == {
            "ok": True,
            "key": KEY,
            "compacted": True,
            "result": {
                "summary": "They said hello twice.",
                "firstKeptEntryId": lines[4].id,
                "tokensBefore": 10,
                "details": {"readFiles": [], "modifiedFiles": []},
            },
        }
        assert said(house) == [f"{HEAD}They said hello twice.", SEEN.text, "hello 2", "Hi."]
        asked = house.world.model.requests[-1]
        assert "Assistant: Hi.\n\nPerson: hello 1" in asked.contents[0].text
        assert "hello 2" not in asked.contents[0].text
        assert (asked.tools, asked.extra) == ("[]", None)
        phases = [(one["phase"], one.get("completed")) for one in link.events("session.operation")]
        assert phases == [("start", None), ("end", True)]
        assert link.events("sessions.changed", reason="compact")[0]["compacted"] is True
        assert house.entry(KEY).compactions == 1


async def test_what_a_summary_used_is_counted_once_for_its_day_its_session_and_its_mark(
    autojump_clock: MockClock,
) -> None:
    kept = Kept()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept) as house:
        await talked(house)
        assert await used(house) == (36, 36, 36)
        await compact(house)
        assert await used(house) == (48, 48, 48)
        await house.turn(KEY, "and now", "r9")
        assert await used(house) == (60, 60, 60)
        await house.written()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=CountingChance(1_000)) as house:
        assert await used(house) == (60, 60, 60)


async def test_what_a_summary_used_that_cannot_be_taken_is_counted_for_its_day(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await talked(house)
        house.world.model.sides = [[text("  ")]]
        assert not (await compact(house))["compacted"]
        assert await used(house) == (48, 36, 36)


async def used(house: House) -> tuple[int, int, int]:
    """The tokens of all days, of the session since it began, and of its conversation."""
    whole = await house.call("sessions.usage")
    one = await house.call("sessions.usage", key="work")
    return whole["totals"]["totalTokens"], whole["sessions"][0]["usage"]["totalTokens"], one["totals"]["totalTokens"]


async def test_what_was_said_stays_visible_and_the_conversation_goes_on(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await talked(house, 2)
        await compact(house)
        await house.turn(KEY, "and now", "r9")
        lines = house.desk.directory.transcript(house.entry(KEY)).lines
        assert [line.text for line in lines] == ["hello 0", "Hi.", "hello 1", "Hi.", "Compaction", "and now", "Hi."]
        sent = told(house.world.model.requests[-1].contents)
        assert sent == [f"{HEAD}ok", SEEN.text, "hello 1", "Hi.", "and now"]


async def test_a_summary_is_not_summed_up_again_but_joins_the_next_one(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await talked(house, 2)
        assert (await compact(house))["compacted"]
        again = await compact(house)
        assert again == {"ok": False, "key": KEY, "compacted": False, "reason": "Already compacted"}
        await house.turn(KEY, "and now", "r9")
        house.world.model.sides = [[text("More.")]]
        assert (await compact(house))["compacted"]
        assert f"{HEAD}ok" in house.world.model.requests[-1].contents[0].text
        assert said(house)[0] == f"{HEAD}More."


async def test_a_short_conversation_is_not_summed_up(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await talked(house, 1)
        answer = await compact(house)
        assert (answer["ok"], answer["compacted"]) == (False, False)
        assert "too short" in answer["reason"]
        assert len(house.world.model.requests) == 1


FAILURES = [
    ([ModelError("no room", kind="http", status=503)], "the model made no summary: no room"),
    ([text("  ")], "the model made no summary"),
    ([500.0, text("late")], "the model made no summary within 180 s"),
]


@pytest.mark.parametrize(("side", "why"), FAILURES)
async def test_nothing_is_lost_where_the_model_makes_no_summary(
    side: list[Any], why: str, autojump_clock: MockClock
) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        link = house.link()
        link.lists = True
        await talked(house)
        before = state(house)
        house.world.model.sides = [side]
        answer = await compact(house, link)
        assert answer == {"ok": False, "key": KEY, "compacted": False, "reason": why}
        assert state(house) is before
        assert link.events("session.operation", phase="end")[0]["completed"] is False
        assert (await compact(house))["compacted"]


async def test_a_session_with_an_open_run_is_refused(autojump_clock: MockClock) -> None:
    async with serving([5.0, text("Hi.")], families=FAMILIES) as house:
        await talked(house, 2)
        await house.call("chat.send", sessionKey=KEY, message="more", idempotencyKey="r9")
        await house.world.until(
            house.desk.directory.roster.get(house.entry(KEY).session), lambda one: one.state.phase not in REST
        )
        with pytest.raises(GatewayError, match="open run"):
            await compact(house)


async def test_only_one_summary_is_made_at_a_time(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house, trio.open_nursery() as nursery:
        await talked(house)
        house.world.model.sides = [[5.0, text("ok")]]
        nursery.start_soon(compact, house)
        await trio.sleep(1)
        with pytest.raises(GatewayError, match="already"):
            await compact(house)
        await trio.sleep(10)
        assert said(house)[0] == f"{HEAD}ok"


async def test_a_turn_that_ends_while_the_summary_is_made_is_kept(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house, trio.open_nursery() as nursery:
        await talked(house)
        house.world.model.sides = [[5.0, text("ok")]]
        nursery.start_soon(compact, house)
        await trio.sleep(1)
        await house.turn(KEY, "meanwhile", "r9")
        await trio.sleep(10)
        assert said(house) == [f"{HEAD}ok", SEEN.text, "hello 2", "Hi.", "meanwhile", "Hi."]


async def moved(house: House, answers: list[Any]) -> None:
    answers.append(await compact(house))


@pytest.mark.parametrize("what", ["prompt", "delete"])
async def test_a_session_that_is_not_as_it_was_keeps_what_it_has(what: str, autojump_clock: MockClock) -> None:
    async with serving([9.0, text("Hi.")], families=FAMILIES) as house, trio.open_nursery() as nursery:
        await talked(house)
        house.world.model.sides = [[5.0, text("ok")]]
        answers: list[Any] = []
        nursery.start_soon(moved, house, answers)
        await trio.sleep(1)
        if what == "prompt":
            await house.call("chat.send", sessionKey=KEY, message="meanwhile", idempotencyKey="r9")
        else:
            await house.call("sessions.delete", key="work")
        await trio.sleep(30)
        assert "went on" in answers[0]["reason"]
        if what == "prompt":
            assert said(house)[0] == "hello 0"


async def test_a_compaction_outlives_a_restart_and_replays(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept) as house:
        await talked(house)
        await compact(house)
        before = said(house)
        name, journal = house.entry(KEY).session, house.desk.dispatcher.journal
        await house.written()
        steps = list(replay(journal.records(name), State(name), where="here", verify=True))
        assert steps[-1].after.digest == state(house).digest
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=CountingChance(1000)) as house:
        assert said(house) == before


# --- what stays


def turn(words: str, answer: str = "yes") -> list[Content]:
    return [Content("user", ({"text": words},)), Content("model", ({"text": answer},))]


def test_the_newest_turns_stay_as_far_as_they_are_a_quarter_of_all() -> None:
    long, short = turn("x" * 4 * RECENT), turn("short")
    plan = planned([*long, *short, *short, *short])
    assert plan.before == tuple(long)
    assert planned([*turn("a"), *turn("b"), *turn("c")]).kept == tuple(turn("c"))
    assert len(planned([*turn("a" * RECENT) * 9]).kept) == 2


def test_a_turn_is_never_cut_between_a_call_and_its_result() -> None:
    call = Content("model", ({"functionCall": {"id": "c", "name": "read", "args": {"path": "a.txt"}}},))
    result = Content("user", ({"functionResponse": {"id": "c", "name": "read", "response": {"output": "x"}}},))
    history = [*turn("one"), Content("user", ({"text": "two"},)), call, result, Content("model", ({"text": "ok"},))]
    plan = planned(history)
    assert plan.kept == tuple(history[2:])
    assert files(history) == {"readFiles": ["a.txt"], "modifiedFiles": []}


def test_a_history_of_summaries_alone_is_refused() -> None:
    plan = planned([*turn("a"), *turn("b")])
    with pytest.raises(NotCompacted, match="Already"):
        planned(shortened(plan, "notes", ())[:2])
    with pytest.raises(NotCompacted, match="too short"):
        planned([])


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase in REST])
def test_a_session_at_rest_stays_in_its_phase(phase: Phase) -> None:
    run = Run.opened().asked().until(Phase.DONE)
    step = advance(evolve(run.state, phase=phase), ev.Compacted((Content("user", ({"text": "notes"},)),), "me"))
    assert (step.after.phase, len(step.after.history), step.effects) == (phase, 1, ())
