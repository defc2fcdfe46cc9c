"""sessions.usage: the sums of a day are the sums of what its sessions used."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from runtime.gateway.entries import Spent
from runtime.gateway.frames import GatewayError
from runtime.gateway.measures import day_of
from runtime.gateway.methods.sessions_usage import aggregates, grouped, ms_of, totals
from runtime.stores.memory import Kept
from tests.fakes.gateway import MODEL, serving
from tests.fakes.world import CountingChance, text

FAMILIES = ("chat", "runs", "sessions_usage")
KEY = "agent:main:work"


async def test_sessions_and_sums_of_the_last_days_are_told(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await house.turn(KEY, "hello", "r1")
        await house.turn("agent:main:other", "hello", "r2")
        await house.turn(KEY, "again", "r3")
        answer = await house.call("sessions.usage")
        today = day_of(house.desk.clock.wall())
        assert answer["endDate"] == today
        assert (ms_of(today) - ms_of(answer["startDate"])) == 29 * 86_400_000
        assert [row["key"] for row in answer["sessions"]] == [KEY, "agent:main:other"]
        assert [row["usage"]["totalTokens"] for row in answer["sessions"]] == [24, 12]
        assert (answer["totals"]["totalTokens"], answer["totals"]["missingCostEntries"]) == (36, 3)
        assert answer["aggregates"]["messages"] == {
            "total": 6,
            "user": 3,
            "assistant": 3,
            "toolCalls": 0,
            "toolResults": 0,
            "errors": 0,
        }
        assert [one["date"] for one in answer["aggregates"]["costDaily"]] == [today]
        assert answer["aggregates"]["byModel"][0]["model"] == MODEL
        assert answer["cacheStatus"]["status"] == "fresh"


async def test_one_session_is_told_by_day_and_model(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept) as house:
        await house.turn(KEY, "hello", "r1")
        await house.turn("agent:main:other", "hello", "r2")
        await house.written()
    async with serving(families=FAMILIES, kept=kept, chance=CountingChance(1_000)) as house:
        answer = await house.call("sessions.usage", key="work", groupBy="family")
        (row,) = answer["sessions"]
        assert (row["scope"], row["includedSessionIds"]) == ("family", [house.entry(KEY).session])
        assert row["usage"]["messageCounts"]["total"] == 2
        assert [one["totalTokens"] for one in row["usage"]["dailyBreakdown"]] == [12]
        assert row["usage"]["modelUsage"][0]["count"] == 1
        assert answer["totals"]["totalTokens"] == 12
        empty = await house.call("sessions.usage", key="nope")
        assert (empty["sessions"], empty["totals"]["totalTokens"]) == ([], 0)


async def test_what_was_used_stays_counted_when_its_session_is_deleted(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await house.turn(KEY, "hello", "r1")
        house.desk.directory.delete(house.entry(KEY))
        answer = await house.call("sessions.usage")
        assert (answer["sessions"], answer["totals"]["totalTokens"]) == ([], 12)


@pytest.mark.parametrize(
    ("params", "sessions", "tokens"),
    [
        ({}, 1, 12),
        ({"agentId": "main"}, 1, 12),
        ({"agentId": "other"}, 0, 0),
        ({"range": "7d"}, 1, 12),
        ({"range": "all"}, 1, 12),
        ({"startDate": "2000-01-01", "endDate": "2000-12-31"}, 0, 0),
        ({"startDate": "2023-11-14", "endDate": "2023-11-14"}, 1, 12),
        ({"startDate": "2023-11-15"}, 0, 0),
        ({"key": "work", "startDate": "2023-11-15", "endDate": "2023-12-01"}, 1, 0),
    ],
)
async def test_only_what_was_meant_is_counted(
    params: dict[str, Any], sessions: int, tokens: int, autojump_clock: MockClock
) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:  # it is 14 November 2023
        await house.turn(KEY, "hello", "r1")
        answer = await house.call("sessions.usage", **params)
        assert (len(answer["sessions"]), answer["totals"]["totalTokens"]) == (sessions, tokens)


@pytest.mark.parametrize("day", ["bad", "2023-13-01", "2023-02-30"])
async def test_a_day_that_there_is_not_is_refused(day: str, autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        with pytest.raises(GatewayError, match="startDate"):
            await house.call("sessions.usage", startDate=day)


SPENT = st.builds(
    Spent,
    st.sampled_from(["2023-11-13", "2023-11-14"]),
    st.sampled_from(["main", "other"]),
    st.just("google"),
    st.sampled_from(["a", "b"]),
    *[st.integers(0, 100)] * 10,
)


@given(st.lists(SPENT, max_size=12))
def test_the_parts_of_every_sum_add_up_to_the_whole(spent: list[Spent]) -> None:
    whole, parts = totals(spent), aggregates(spent)
    for name in ("byModel", "byProvider", "byAgent"):
        assert sum(one["totals"]["totalTokens"] for one in parts[name]) == whole["totalTokens"]
    assert sum(one["tokens"] for one in parts["daily"]) == whole["totalTokens"]
    assert sum(one["count"] for one in parts["modelDaily"]) == whole["missingCostEntries"]
    assert sum(one["messages"] for one in parts["daily"]) == parts["messages"]["total"]
    assert [day for (day,), _ in grouped(spent, "day")] == sorted({one.day for one in spent})
