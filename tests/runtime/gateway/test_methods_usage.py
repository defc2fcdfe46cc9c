"""usage.*, tasks.list, audit.list, artifacts.list, diagnostics.stability: what went on, not what was said."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from runtime.errors import ModelError
from runtime.gateway.annals import CAPACITY, Annals, Ring, audited, is_task, task
from runtime.gateway.entries import Run, Spent
from runtime.gateway.frames import GatewayError
from runtime.gateway.methods.usage import DAYS, days_of
from tests.fakes.gateway import MODEL, FakeLink, House, serving
from tests.fakes.world import text

FAMILIES = ("chat", "runs", "usage")
TODAY = "2023-11-14"
"""The day on which the fake clock begins."""
SUMS = (
    "input output cacheRead cacheWrite totalTokens totalCost inputCost outputCost cacheReadCost cacheWriteCost "
    "missingCostEntries"
).split()


@asynccontextmanager
async def house(*answers: Any) -> AsyncIterator[House]:
    """A gateway that keeps annals."""
    async with serving(*(answers or ([text("Hello.")],)), families=FAMILIES) as made:
        annals = Annals(made.desk.hub, made.desk.clock, lambda run: f"about {run.id}")
        made.desk.extras["annals"] = annals
        yield made


async def work(made: House, run: str, key: str = "main") -> None:
    """Run an agent and wait for its end."""
    await made.answers("agent", message="a secret", sessionKey=key, idempotencyKey=run)
    await made.desk.runs.wait(run, 60)


# --- usage


async def test_there_are_no_plans(autojump_clock: MockClock) -> None:
    async with house() as made:
        answer = await made.call("usage.status", anything=1)
        assert answer == {"updatedAt": made.desk.clock.wall(), "providers": []}


async def test_what_was_used_is_told_by_day(autojump_clock: MockClock) -> None:
    async with house() as made:
        put(made, Spent("2023-11-13", "main", "google", MODEL, input=5, output=2, total=7, assistant=1))
        put(made, Spent(TODAY, "main", "google", MODEL, input=10, output=1, total=11, assistant=2))
        put(made, Spent("2023-01-01", "main", "google", MODEL, input=99, total=99))
        answer = await made.call("usage.cost", days=3)
        assert [day["date"] for day in answer["daily"]] == ["2023-11-12", "2023-11-13", TODAY]
        assert [day["totalTokens"] for day in answer["daily"]] == [0, 7, 11]
        assert all(set(SUMS) < day.keys() for day in answer["daily"])
        assert (answer["days"], answer["totals"]["totalTokens"]) == (3, 18)
        assert (answer["totals"]["totalCost"], answer["totals"]["missingCostEntries"]) == (0, 3)


async def test_of_a_long_range_only_days_with_something_are_listed(autojump_clock: MockClock) -> None:
    async with house() as made:
        put(made, Spent("2023-11-13", "main", "google", MODEL, total=7))
        answer = await made.call("usage.cost", days=30_000)
        assert [day["date"] for day in answer["daily"]] == ["2023-11-13"]


def put(made: House, spent: Spent) -> None:
    """Let something have been used."""
    made.desk.directory.spent.put(f"{spent.day} {spent.agent}", spent)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, ("2023-10-16", TODAY)),
        ({"days": 1}, (TODAY, TODAY)),
        ({"days": -5}, (TODAY, TODAY)),
        ({"days": "x"}, ("2023-10-16", TODAY)),
        ({"days": True}, ("2023-10-16", TODAY)),
        ({"range": "7d"}, ("2023-11-08", TODAY)),
        ({"startDate": "2023-11-01"}, ("2023-11-01", TODAY)),
        ({"startDate": "2023-11-01", "endDate": "2023-11-02"}, ("2023-11-01", "2023-11-02")),
        ({"endDate": "2023-11-02", "days": 2}, ("2023-11-01", "2023-11-02")),
    ],
)
def test_a_range_of_days(params: dict[str, Any], expected: tuple[str, str]) -> None:
    assert days_of(params, TODAY) == expected


@given(st.dictionaries(st.sampled_from(["days", "range"]), st.one_of(st.none(), st.floats(), st.text(), st.integers())))
def test_days_that_mean_nothing_are_no_error(params: dict[str, Any]) -> None:
    start, end = days_of(params, TODAY)
    assert start <= end == TODAY


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"startDate": "x"}, "invalid startDate"),
        ({"startDate": "2023-02-30"}, "invalid startDate"),
        ({"startDate": "2023-11-03", "endDate": "2023-11-02"}, "startDate must not be after endDate"),
    ],
)
def test_days_that_there_are_not_are_refused(params: dict[str, Any], why: str) -> None:
    with pytest.raises(GatewayError, match=why):
        days_of(params, TODAY)


def test_without_a_word_it_is_thirty_days() -> None:
    assert DAYS == 30


# --- tasks


async def test_a_run_of_an_agent_is_a_task_and_a_turn_is_none(autojump_clock: MockClock) -> None:
    async with house() as made:
        link = made.link()
        await made.turn("main", "hello", "turn")
        await work(made, "job")
        (shown,) = (await made.call("tasks.list"))["tasks"]
        assert (shown["runId"], shown["status"], shown["title"]) == ("job", "completed", "about job")
        assert (shown["kind"], shown["execution"]) == ("cli", {"state": "finished"})
        told = [one["task"]["status"] for one in link.events("task", action="upserted")]
        assert told == ["running", "completed"]
        assert {one["task"]["id"] for one in link.events("task")} == {shown["id"]}


async def test_tasks_come_in_pages_the_newest_first(autojump_clock: MockClock) -> None:
    async with house() as made:
        for name in ("one", "two", "three"):
            await work(made, name)
            await trio.sleep(1)
        first = await made.call("tasks.list", limit=2)
        second = await made.call("tasks.list", limit=2, cursor=first["nextCursor"])
        assert [one["runId"] for one in (*first["tasks"], *second["tasks"])] == ["three", "two", "one"]
        assert "nextCursor" not in second


async def test_tasks_are_chosen_by_state_and_session(autojump_clock: MockClock) -> None:
    async with house() as made:
        await work(made, "one", "a")
        await work(made, "two", "b")
        assert [one["runId"] for one in (await made.call("tasks.list", sessionKey="a"))["tasks"]] == ["one"]
        assert (await made.call("tasks.list", status="failed"))["tasks"] == []
        both = await made.call("tasks.list", status=["completed", "failed"], sortBy="endedAt")
        assert len(both["tasks"]) == 2
        with pytest.raises(GatewayError, match="invalid cursor"):
            await made.call("tasks.list", cursor="x")


RUNS = st.builds(
    Run,
    st.text(min_size=1, max_size=8),
    st.sampled_from(["agent:main:main", "agent:other:x", "global"]),
    st.just("s"),
    st.just("digest"),
    st.sampled_from(["queued", "running", "ok", "error", "aborted"]),
    st.integers(1, 10),
    kind=st.sampled_from(["chat", "agent", "cron"]),
    started=st.integers(0, 10),
    ended=st.integers(0, 10),
    error=st.sampled_from(["", "it broke"]),
)


@given(RUNS)
def test_a_task_says_that_it_is_over_only_if_it_is(run: Run) -> None:
    shown = task(run, "title")
    assert ("endedAt" in shown) is run.over
    assert (shown["execution"]["state"] == "finished") is run.over
    assert is_task(run) is (run.kind != "chat")


def test_a_run_by_the_clock_is_a_task_of_its_job() -> None:
    run = Run("r", "agent:main:cron:job-1:run:x", "s", "digest", "running", 1, kind="agent", started=2)
    shown = task(run, "nightly")
    assert (shown["kind"], shown["runtime"], shown["sourceId"]) == ("automation_run", "cron", "job-1")
    assert (shown["sessionKey"], shown["childSessionKey"]) == ("", run.key)


# --- audit


async def test_beginnings_and_ends_are_told_without_what_was_said(autojump_clock: MockClock) -> None:
    async with house([text("Hello.")], [ModelError("no", kind="http", status=400)]) as made:
        await work(made, "good")
        with pytest.raises(GatewayError):
            await work(made, "bad")
        events = (await made.call("audit.list"))["events"]
        assert [(one["runId"], one["status"]) for one in events] == [
            ("bad", "failed"),
            ("bad", "started"),
            ("good", "succeeded"),
            ("good", "started"),
        ]
        assert [one["sequence"] for one in events] == [4, 3, 2, 1]
        assert (events[0]["errorCode"], events[0]["redaction"]) == ("run_failed", "metadata_only")
        assert "a secret" not in str(events)


async def test_the_audit_comes_in_pages(autojump_clock: MockClock) -> None:
    async with house() as made:
        for name in ("one", "two"):
            await work(made, name)
        first = await made.call("audit.list", limit=3)
        second = await made.call("audit.list", limit=3, cursor=first["nextCursor"])
        assert [one["sequence"] for one in (*first["events"], *second["events"])] == [4, 3, 2, 1]
        only = await made.call("audit.list", runId="one", status="started")
        assert [one["sequence"] for one in only["events"]] == [1]


@given(st.lists(RUNS, max_size=10))
def test_runs_from_before_are_recalled_in_order(runs: list[Run]) -> None:
    annals = Annals(hub=None, clock=None, title=str)  # type: ignore[arg-type]
    annals.recall(runs)
    times = [event["occurredAt"] for event in annals.audit.events]
    assert times == sorted(times)
    assert len(times) == sum(len(list(audited(run))) for run in runs)


@given(st.integers(0, 30))
def test_a_ring_keeps_the_last_and_counts_what_went(count: int) -> None:
    ring = Ring("seq", capacity=10)
    for n in range(count):
        ring.add({"n": n})
    assert [event["seq"] for event in ring.events] == list(range(max(0, count - 10) + 1, count + 1))
    assert ring.dropped == max(0, count - 10)


# --- artifacts


async def test_there_are_no_artifacts(autojump_clock: MockClock) -> None:
    async with house() as made:
        await work(made, "job")
        (shown,) = (await made.call("tasks.list"))["tasks"]
        for params in ({"sessionKey": "main"}, {"runId": "job"}, {"taskId": shown["id"]}):
            assert await made.call("artifacts.list", **params) == {"artifacts": []}


@pytest.mark.parametrize(
    ("params", "kind"),
    [
        ({}, "artifact_query_unsupported"),
        ({"runId": "x"}, "artifact_scope_not_found"),
        ({"taskId": "x"}, "artifact_scope_not_found"),
    ],
)
async def test_artifacts_of_nothing_are_refused(params: dict[str, str], kind: str, autojump_clock: MockClock) -> None:
    async with house() as made:
        with pytest.raises(GatewayError) as caught:
            await made.call("artifacts.list", **params)
        assert caught.value.details == {"type": kind}


# --- stability


async def test_what_went_through_the_queues_is_told_in_order(autojump_clock: MockClock) -> None:
    async with house() as made:
        await made.turn("main", "a secret", "r1")
        made.desk.extras["annals"].complain("something broke")
        answer = await made.call("diagnostics.stability")
        assert [one["type"] for one in answer["events"]] == [
            "session.state",
            "session.state",
            "message.processed",
            "gateway.error",
        ]
        assert (answer["count"], answer["firstSeq"], answer["lastSeq"], answer["dropped"]) == (4, 1, 4, 0)
        assert answer["summary"]["byType"]["session.state"] == 2
        assert (answer["capacity"], answer["generatedAt"][:10]) == (CAPACITY, TODAY)
        assert "a secret" not in str(answer)


async def test_stability_is_told_by_type_and_from_a_number_on(autojump_clock: MockClock) -> None:
    async with house() as made:
        await made.turn("main", "hello", "r1")
        only = await made.call("diagnostics.stability", type="session.state")
        assert {one["type"] for one in only["events"]} == {"session.state"}
        later = await made.call("diagnostics.stability", sinceSeq=2)
        assert [one["seq"] for one in later["events"]] == [3]
        nothing = await made.call("diagnostics.stability", type="zz")
        assert (nothing["count"], nothing["events"], "firstSeq" in nothing) == (0, [], False)


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"limit": 0}, "limit must be between 1 and 1000"),
        ({"limit": 5000}, "limit must be between 1 and 1000"),
        ({"limit": "x"}, "limit must be a non-negative integer"),
        ({"sinceSeq": -1}, "sinceSeq must be a non-negative integer"),
    ],
)
async def test_stability_has_bounds(params: dict[str, Any], why: str, autojump_clock: MockClock) -> None:
    async with house() as made:
        with pytest.raises(GatewayError, match=why):
            await made.call("diagnostics.stability", FakeLink(), **params)
