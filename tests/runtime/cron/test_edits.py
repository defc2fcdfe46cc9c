"""Jobs made, changed and declared again."""

from typing import Any

import pytest
from attrs import evolve

from runtime.cron.edits import Rules, agent_of, change, declare, make, show_schedule
from runtime.cron.jobs import Job, Patch
from runtime.cron.params import read_add, read_update
from runtime.cron.refusal import CronRefused
from tests.runtime.cron.world import DAY, HOUR, NOON, TURN, cron, every, said

RULES = Rules(now=NOON)
LATER = Rules(now=NOON + 1000)
MAIN: dict[str, Any] = {"sessionTarget": "main", "payload": {"kind": "systemEvent", "text": "hi"}}


def made(schedule: dict[str, Any] | None = None, rules: Rules = RULES, **more: Any) -> Job:
    """A job of params; members that are ... are left out."""
    params = {name: value for name, value in said(schedule or every(HOUR), **more).items() if value is not ...}
    return make(read_add(params), "job-1", rules)


def changed(job: Job, rules: Rules = LATER, **patch: Any) -> Job:
    """The job after a patch."""
    return change(job, read_update({"id": job.id, "patch": patch})[1], rules)


def test_a_job_is_what_was_said_and_the_rest_are_the_defaults_of_the_real_gateway() -> None:
    job = made()
    assert (job.name, job.target, job.wake, job.enabled, job.delete_after) == ("job", "isolated", "now", True, None)
    assert job.payload == {**TURN, "toolsAllow": ["*"]}
    assert show_schedule(job.schedule) == {"kind": "every", "everyMs": HOUR, "anchorMs": NOON}
    assert job.state.next_run == NOON + HOUR


@pytest.mark.parametrize(
    ("more", "target"),
    [
        ({"sessionTarget": ...}, "isolated"),
        ({"sessionTarget": "current"}, "isolated"),
        ({"sessionTarget": "current", "sessionKey": "agent:main:main"}, "current"),
        ({"sessionTarget": "session:abc"}, "session:abc"),
        ({**MAIN, "sessionTarget": ..., "delivery": ...}, "main"),
    ],
)
def test_where_a_job_runs_follows_from_what_it_says(more: dict[str, Any], target: str) -> None:
    assert made(**more).target == target


@pytest.mark.parametrize("name", [..., "", " ", 5])
def test_a_job_without_a_name_is_named_after_what_it_does(name: Any) -> None:
    assert made(name=name, payload={**TURN, "message": "\n first line \nsecond"}).name == "first line"
    long = made(name=name, payload={**TURN, "message": "x" * 100}).name
    assert (len(long), long[-1]) == (60, "…")


def test_a_result_goes_to_the_last_channel_unless_said_otherwise() -> None:
    assert made(delivery=...).delivery == {"mode": "announce"}
    assert made(**MAIN, delivery=...).delivery is None


def test_a_single_time_is_deleted_when_it_is_done() -> None:
    job = made({"kind": "at", "at": "2026-01-02"})
    assert (job.delete_after, job.state.next_run) == (True, NOON + 12 * HOUR)
    assert show_schedule(job.schedule) == {"kind": "at", "at": "2026-01-02T00:00:00.000Z"}
    assert made({"kind": "at", "at": "2026-01-02"}, deleteAfterRun=False).delete_after is False


def test_a_time_that_has_just_passed_is_due_at_once() -> None:
    assert made({"kind": "at", "at": str(NOON - 30_000)}).state.next_run == NOON - 30_000


def test_a_job_that_is_switched_off_has_no_slot() -> None:
    assert made(enabled=False).state.next_run is None


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"sessionTarget": "main"}, 'main cron jobs require payload.kind="systemEvent"'),
        ({"payload": MAIN["payload"]}, 'isolated, current and session cron jobs require payload.kind="agentTurn"'),
        ({**MAIN, "delivery": {"mode": "announce"}}, "cron channel delivery config is only supported"),
        ({**MAIN, "agentId": "other"}, 'sessionTarget "main" is only valid for the default agent'),
        ({"delivery": {"mode": "webhook"}}, "valid http"),
        ({"delivery": {"mode": "webhook", "to": "nope"}}, "valid http"),
        ({"delivery": {"mode": "webhook", "to": "http://[x"}}, "valid http"),
        (
            {"delivery": {"mode": "none", "completionDestination": {"mode": "webhook", "to": "http://a/b"}}},
            "only supported with",
        ),
        (
            {"delivery": {"mode": "announce", "failureDestination": {"mode": "webhook", "to": "x"}}},
            "failure destination",
        ),
        ({"pacing": {}}, "at least one of min or max"),
        ({"pacing": {"min": "2h", "max": "1h"}}, "min must not exceed max"),
        (
            {"schedule": {"kind": "at", "at": "2026-01-02"}, "pacing": {"min": "1h"}},
            "requires an every or cron schedule",
        ),
        ({"schedule": {"kind": "at", "at": "20m"}}, "expected an ISO 8601 time"),
        ({"schedule": {"kind": "at", "at": "2020-01-01"}}, "in the past"),
        ({"schedule": {"kind": "at", "at": "2099-01-01"}}, "too far ahead"),
        ({"schedule": cron("nope")}, "has 1 fields"),
        ({"schedule": cron("0 0 30 2 *")}, '"0 0 30 2 \\*" has no upcoming run time'),
        ({"schedule": cron("0 9 * * 1", "Nope/Zone"), "enabled": False}, "'Nope/Zone' is not known"),
    ],
)
def test_what_does_not_go_together_is_refused(more: dict[str, Any], why: str) -> None:
    with pytest.raises(CronRefused, match=why):
        made(**more)


def test_a_failure_alert_may_be_a_policy_or_none_at_all() -> None:
    assert (made(failureAlert={"after": 3}).alert, made(failureAlert={"after": 3}).silent) == ({"after": 3}, False)
    assert (made(failureAlert=False).alert, made(failureAlert=False).silent) == (None, True)


def test_switching_off_takes_the_slot_and_switching_on_gives_it_back_with_a_clean_slate() -> None:
    job = made()
    failed = evolve(job, state=evolve(job.state, errors=4, auto_disabled={"reason": "consecutive-failures"}))
    off = changed(failed, enabled=False)
    assert (off.state.next_run, off.state.activated, off.state.errors) == (None, NOON + 1000, 4)
    on = changed(off, enabled=True)
    assert (on.state.next_run, on.state.errors, on.state.auto_disabled) == (NOON + HOUR, 0, None)


def test_a_change_that_is_none_of_time_leaves_the_slot_alone() -> None:
    job = made()
    after = changed(job, description="why", wakeMode="next-heartbeat", displayName="Job")
    assert (after.state, after.updated) == (job.state, NOON + 1000)
    assert changed(after, description="", displayName=None).description is None
    assert changed(job) == evolve(job, updated=NOON + 1000)


def test_a_new_interval_counts_from_now_and_the_same_one_from_where_it_did() -> None:
    job = made()
    assert changed(job, schedule=every(2 * HOUR)).schedule.anchor == NOON + 1000
    assert changed(job, schedule=every(HOUR)).schedule.anchor == NOON
    assert changed(job, schedule=every(HOUR, anchorMs=7)).schedule.anchor == 7


def test_a_job_that_becomes_a_single_time_is_deleted_after_it_and_the_other_way_round() -> None:
    once = changed(made(), schedule={"kind": "at", "at": "2026-01-02"})
    assert (once.delete_after, once.state.next_run) == (True, NOON + 12 * HOUR)
    again = changed(once, schedule=cron("0 * * * *"))
    assert (again.delete_after, again.schedule.stagger) == (None, 300_000)
    assert changed(once, schedule=cron("0 * * * *", staggerMs=0), deleteAfterRun=True).delete_after is True


def test_a_single_time_that_has_been_does_not_come_back() -> None:
    job = made({"kind": "at", "at": str(NOON + 1000)})
    done = evolve(job, enabled=False, state=evolve(job.state, next_run=None, last_run=NOON + 1000, last_status="ok"))
    assert changed(done, Rules(now=NOON + DAY), enabled=True).state.next_run is None
    failed = evolve(done, state=evolve(done.state, last_status="error"))
    assert changed(failed, Rules(now=NOON + DAY), enabled=True).state.next_run == NOON + 1000


def test_payloads_are_merged_within_their_kind() -> None:
    job = changed(made(), payload={"kind": "agentTurn", "thinking": "low", "toolsAllow": ["exec"]})
    assert job.payload == {**TURN, "thinking": "low", "toolsAllow": ["exec"]}
    cleared = changed(job, payload={"kind": "agentTurn", "thinking": None, "toolsAllow": None})
    assert cleared.payload == {**TURN, "toolsAllow": ["*"]}


def test_a_payload_of_another_kind_has_to_be_whole_and_fit_the_target() -> None:
    with pytest.raises(CronRefused, match=r'payload\.kind="systemEvent" requires text'):
        changed(made(), payload={"kind": "systemEvent"})
    with pytest.raises(CronRefused, match="isolated, current and session"):
        changed(made(), payload=MAIN["payload"])
    moved = changed(made(delivery={"mode": "announce"}), **MAIN)
    assert (moved.target, moved.payload["text"], moved.delivery) == ("main", "hi", None)


def test_deliveries_are_merged_and_null_clears() -> None:
    job = made(
        delivery={"mode": "announce", "channel": "x", "to": "1", "failureDestination": {"to": "2", "channel": "y"}}
    )
    after = changed(job, delivery={"to": None, "failureDestination": {"to": "3", "channel": None}})
    assert after.delivery == {"mode": "announce", "channel": "x", "failureDestination": {"to": "3"}}
    assert changed(job, delivery={"mode": "none", "failureDestination": None}).delivery == {
        "mode": "none",
        "channel": "x",
        "to": "1",
    }
    with pytest.raises(CronRefused, match="valid http"):
        changed(made(), delivery={"mode": "webhook"})


def test_a_change_during_a_run_is_noted_for_its_end() -> None:
    running = evolve(made(), state=evolve(made().state, running=NOON))
    assert changed(running, schedule=every(5000)).state.edited
    assert not changed(running, description="why").state.edited


def test_a_declaration_changes_schedule_payload_delivery_and_label_only() -> None:
    job = make(read_add(said(every(HOUR), declarationKey="k")), "job-1", RULES)
    same = read_add(said(every(HOUR), declarationKey="k", name="other"))
    assert declare(job, same, LATER) is job
    other = read_add(
        said(every(5000), declarationKey="k", name="other", displayName="Label", payload={**TURN, "message": "new"})
    )
    after = declare(job, other, LATER)
    assert (after.name, after.display, after.payload["message"], after.updated) == ("job", "Label", "new", NOON + 1000)
    assert (after.schedule.every, after.state.next_run) == (5000, NOON + 6000)


def test_a_declaration_switches_a_job_only_if_it_says_so() -> None:
    job = make(read_add(said(every(HOUR), declarationKey="k", enabled=False)), "job-1", RULES)
    assert not declare(job, read_add(said(every(HOUR), declarationKey="k")), LATER).enabled
    assert declare(job, read_add(said(every(HOUR), declarationKey="k", enabled=True)), LATER).enabled


def test_a_job_belongs_to_the_agent_it_names_or_to_that_of_its_session() -> None:
    job = made()
    assert agent_of(job, "main") == "main"
    assert agent_of(evolve(job, session_key="agent:other:x"), "main") == "other"
    assert agent_of(evolve(job, session_key="agent:other:x", agent="own"), "main") == "own"
    assert agent_of(evolve(job, session_key="bare"), "main") == "main"


def test_a_patch_of_nothing_is_a_value() -> None:
    assert Patch() == Patch({})
