"""What a run makes of its job: streaks, backoff, the next slot, the end of single times."""

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from runtime.cron import outcomes
from runtime.cron.edits import Rules, make
from runtime.cron.jobs import Job, Outcome
from runtime.cron.outcomes import BACKOFF_MS, begun, completion_of, delivery_of, failure, finished, interrupted, run_of
from runtime.cron.params import read_add
from tests.runtime.cron.world import DONE, HOUR, NOON, cron, every, said

FAILED = failure("it broke", NOON)
PASSING = failure("try later", NOON, retryable=True)
SKIPPED = Outcome(status="skipped", error="nobody there")


def running(schedule: dict[str, Any] | None = None, *, forced: bool = False, at: int | None = None, **more: Any) -> Job:
    """A job that is marked as running, in its slot unless the time is said."""
    job = make(read_add(said(schedule or every(HOUR), **more)), "job-1", Rules(now=NOON))
    start = job.state.next_run if at is None else at
    return begun(job, "manual:x" if forced else "cron:x", start or NOON, forced=forced)


def after(job: Job, outcome: Outcome, late: int = 5000) -> Job:
    """The job after a run that took so long."""
    return finished(job, outcome, (job.state.running or 0) + late, "UTC")[0]


def test_a_run_takes_the_mark_away_and_leaves_what_came_of_it() -> None:
    state = after(running(), DONE).state
    assert (state.running, state.run_id, state.last_run, state.last_duration) == (None, "", NOON + HOUR, 5000)
    assert (state.last_status, state.last_error, state.errors, state.skips) == ("ok", None, 0, 0)
    assert (state.delivered, state.delivery_status) == (False, "not-requested")


def test_the_next_slot_lies_on_the_grid_and_missed_ones_are_left_out() -> None:
    assert after(running(), DONE).state.next_run == NOON + 2 * HOUR
    assert after(running(), DONE, late=3 * HOUR + 1).state.next_run == NOON + 5 * HOUR


@given(late=st.integers(-(10**9), 10**9), ms=st.integers(1, 10**7))
def test_wherever_the_clock_stands_the_next_slot_comes_after_this_one(late: int, ms: int) -> None:
    job = running(every(ms))
    slot = job.state.next_run or 0
    following = after(job, DONE, late=late).state.next_run
    assert following is not None
    assert following > slot
    assert following >= slot + outcomes.GAP_MS


@pytest.mark.parametrize(("errors", "rest"), list(enumerate(BACKOFF_MS)))
def test_errors_in_a_row_bring_longer_and_longer_rests(errors: int, rest: int) -> None:
    job = running(every(1000))
    job = evolve(job, state=evolve(job.state, errors=errors))
    later = after(job, FAILED)
    assert later.state.errors == errors + 1
    assert later.state.next_run == NOON + 1000 + 5000 + rest


def test_a_rest_shorter_than_the_interval_changes_nothing() -> None:
    assert after(running(), FAILED).state.next_run == NOON + 2 * HOUR


def test_an_error_that_can_pass_is_tried_again_soon_three_times() -> None:
    job = running()
    for errors, rest in enumerate([30_000, 60_000, 300_000]):
        tried = after(evolve(job, state=evolve(job.state, errors=errors)), PASSING)
        assert tried.state.next_run == NOON + HOUR + 5000 + rest
    assert after(evolve(job, state=evolve(job.state, errors=3)), PASSING).state.next_run == NOON + 2 * HOUR


def test_after_ten_errors_in_a_row_a_recurring_job_is_switched_off() -> None:
    job = running()
    off = after(evolve(job, state=evolve(job.state, errors=9)), FAILED)
    assert (off.enabled, off.state.next_run) == (False, None)
    assert off.state.auto_disabled == {
        "reason": "consecutive-failures",
        "atMs": NOON + HOUR + 5000,
        "consecutiveErrors": 10,
    }


def test_a_success_ends_the_streak_and_so_does_a_skip() -> None:
    job = running()
    failing = evolve(job, state=evolve(job.state, errors=4, skips=2))
    assert (after(failing, DONE).state.errors, after(failing, DONE).state.skips) == (0, 0)
    assert (after(failing, SKIPPED).state.errors, after(failing, SKIPPED).state.skips) == (0, 3)
    assert after(failing, FAILED).state.skips == 0


def test_a_run_that_was_asked_for_does_not_use_up_the_slot() -> None:
    forced = after(running(forced=True, at=NOON + 5), FAILED)
    assert (forced.state.next_run, forced.state.forced, forced.state.errors) == (NOON + HOUR, False, 1)


def test_a_single_time_is_deleted_after_success_and_kept_switched_off_if_asked() -> None:
    once = {"kind": "at", "at": str(NOON + 1000)}
    assert finished(running(once), DONE, NOON + 2000, "UTC")[1]
    kept, gone = finished(running(once, deleteAfterRun=False), DONE, NOON + 2000, "UTC")
    assert (gone, kept.enabled, kept.state.next_run) == (False, False, None)


def test_a_single_time_that_failed_is_kept_and_tried_again_only_if_that_can_help() -> None:
    once = running({"kind": "at", "at": str(NOON + 1000)})
    failed, gone = finished(once, FAILED, NOON + 2000, "UTC")
    assert (gone, failed.enabled, failed.state.next_run) == (False, False, None)
    retried, gone = finished(once, PASSING, NOON + 2000, "UTC")
    assert (gone, retried.enabled, retried.state.next_run) == (False, True, NOON + 2000 + 30_000)
    worn = evolve(once, state=evolve(once.state, errors=3))
    assert not finished(worn, PASSING, NOON + 2000, "UTC")[0].enabled


def test_a_single_time_ahead_survives_a_run_that_was_asked_for() -> None:
    once = running({"kind": "at", "at": str(NOON + HOUR)}, forced=True, at=NOON + 5)
    kept, gone = finished(once, DONE, NOON + 2000, "UTC")
    assert (gone, kept.enabled, kept.state.next_run) == (False, True, NOON + HOUR)


def test_a_schedule_that_was_changed_during_the_run_stays_as_changed() -> None:
    job = running()
    edited = evolve(job, state=evolve(job.state, edited=True, next_run=NOON + 7))
    assert after(edited, DONE).state.next_run == NOON + 7
    assert not after(edited, DONE).state.edited


def test_a_job_that_was_switched_off_during_its_run_stays_off() -> None:
    assert after(evolve(running(), enabled=False), FAILED).state.next_run is None


def test_the_agent_may_say_when_to_come_back_within_its_bounds() -> None:
    job = running(pacing={"min": "1m", "max": "10m"})
    ended = NOON + HOUR + 5000
    for wanted, got in ((5, 60_000), (120_000, 120_000), (HOUR, 600_000)):
        assert after(job, evolve(DONE, next_check=wanted)).state.next_run == ended + got
    assert after(running(), evolve(DONE, next_check=5)).state.next_run == NOON + 2 * HOUR
    assert after(job, DONE).state.next_run == NOON + 2 * HOUR


def test_a_schedule_that_can_no_longer_be_computed_switches_the_job_off() -> None:
    job = running(cron("0 9 * * *"))
    lost = evolve(job, schedule=evolve(job.schedule, tz="Gone/Zone"))
    off = after(lost, DONE)
    assert (off.enabled, off.state.next_run) == (False, None)
    assert off.state.auto_disabled is not None
    assert off.state.auto_disabled["reason"] == "schedule-errors"
    assert "'Gone/Zone' is not known" in (off.state.last_error or "")


def test_an_interrupted_run_counts_as_an_error_of_unknown_delivery() -> None:
    state = after(running(), interrupted()).state
    assert (state.last_status, state.last_error, state.errors) == ("error", outcomes.INTERRUPTED, 1)
    assert (state.delivered, state.delivery_status, state.delivery_error) == (False, "unknown", outcomes.INTERRUPTED)


@pytest.mark.parametrize(
    ("delivery", "outcome", "status", "completion"),
    [
        ({"mode": "none"}, DONE, "not-requested", "succeeded"),
        ({"mode": "none"}, FAILED, "not-requested", "failed"),
        ({"mode": "announce"}, evolve(DONE, delivered=True), "delivered", "succeeded"),
        ({"mode": "announce"}, evolve(DONE, delivered=False, delivery_error="no route"), "not-delivered", "failed"),
        ({"mode": "announce"}, DONE, "unknown", "unknown"),
        ({"mode": "announce"}, FAILED, "unknown", "failed"),
        ({"mode": "announce", "bestEffort": True}, evolve(DONE, delivered=False), "not-delivered", "succeeded"),
        ({"mode": "webhook", "to": "http://a/b"}, DONE, "not-requested", "succeeded"),
        ({"mode": "webhook", "to": "http://a/b"}, evolve(DONE, delivered=False), "not-delivered", "failed"),
        ({"mode": "none"}, SKIPPED, "not-requested", "failed"),
    ],
)
def test_what_became_of_the_delivery_follows_from_what_was_asked(
    delivery: dict[str, Any], outcome: Outcome, status: str, completion: str
) -> None:
    job = running(delivery=delivery)
    assert delivery_of(job, outcome)[0] == status
    assert completion_of(job, outcome) == completion


def test_a_result_that_did_not_arrive_keeps_the_single_time() -> None:
    once = running({"kind": "at", "at": str(NOON + 1000)}, delivery={"mode": "announce"})
    assert not finished(once, evolve(DONE, delivered=False), NOON + 2000, "UTC")[1]
    assert finished(once, evolve(DONE, delivered=True), NOON + 2000, "UTC")[1]


def test_a_run_is_told_as_it_was() -> None:
    job = running(forced=True, at=NOON + 5)
    ended = NOON + 4005
    run = run_of(job, DONE, ended, finished(job, DONE, ended, "UTC")[0], "main")
    assert (run.mark, run.asked, run.started, run.ended, run.duration) == ("manual:x", True, NOON + 5, ended, 4000)
    assert (run.completion, run.delivery_status, run.next_run) == ("succeeded", "not-requested", NOON + HOUR)
    assert run.outcome.delivery == {
        "intended": {"channel": "last", "to": None, "source": "last"},
        "fallbackUsed": False,
        "delivered": False,
    }


def test_a_clock_that_went_back_makes_no_negative_durations() -> None:
    job = running()
    run = run_of(job, DONE, NOON, finished(job, DONE, NOON, "UTC")[0], "main")
    assert (run.duration, run.ended) == (0, NOON + HOUR)
