"""What requests may say, and the path in what is said of those that may not."""

from typing import Any

import pytest

from runtime.cron.params import (
    ListQuery,
    RunsQuery,
    read_add,
    read_id,
    read_list,
    read_nothing,
    read_run,
    read_runs,
    read_update,
)
from runtime.cron.refusal import CronRefused
from tests.runtime.cron.world import TURN, every, said

HOURLY = every(3_600_000)


def ms(value: Any, **more: Any) -> dict[str, Any]:
    """An interval that may be anything."""
    return {"kind": "every", "everyMs": value, **more}


REFUSED: list[tuple[Any, str]] = [
    (5, "must be object"),
    ([], "must be object"),
    ({}, "must have required property 'schedule'"),
    ({"schedule": HOURLY}, "must have required property 'payload'"),
    (said(HOURLY, extra=1), "at root: unexpected property 'extra'"),
    (said(HOURLY, id="x"), "at root: unexpected property 'id'"),
    (said({}), "at /schedule: must have required property 'kind'"),
    (said({"kind": "x"}), "at /schedule/kind: must be one of at, every, cron"),
    (
        said({"kind": "stream", "command": ["a"]}),
        "at /schedule/kind: 'stream' is not supported here; use at or every or cron",
    ),
    (said({"kind": "every"}), "at /schedule: must have required property 'everyMs'"),
    (said(ms(0)), "at /schedule/everyMs: must be >= 1"),
    (said(ms(float("nan"))), "at /schedule/everyMs: must be >= 1"),
    (said(ms(float("inf"))), "at /schedule/everyMs: must be <= 8640000000000000"),
    (said(ms(True)), "at /schedule/everyMs: must be integer"),
    (said(ms("soon")), "at /schedule/everyMs: must be integer"),
    (said(ms("٣")), "at /schedule/everyMs: must be integer"),
    (said(every(1000, anchorMs=-1)), "at /schedule/anchorMs: must be >= 0"),
    (said(every(1000, foo=5)), "at /schedule: unexpected property 'foo'"),
    (said({"kind": "cron", "expr": " "}), "at /schedule/expr: must not have fewer than 1 characters"),
    (said({"kind": "at", "at": 1_900_000_000_000}), "at /schedule/at: must be string"),
    (said(HOURLY, payload={"kind": "agentTurn"}), "at /payload: must have required property 'message'"),
    (
        said(HOURLY, payload={"kind": "agentTurn", "message": " "}),
        "at /payload/message: must not have fewer than 1 characters",
    ),
    (said(HOURLY, payload={**TURN, "foo": 1}), "at /payload: unexpected property 'foo'"),
    (
        said(HOURLY, payload={**TURN, "timeoutSeconds": -1}),
        "at /payload/timeoutSeconds: must be a number of seconds that is not negative",
    ),
    (said(HOURLY, payload={**TURN, "toolsAllow": ["a", 5]}), "at /payload/toolsAllow/1: must be string"),
    (
        said(HOURLY, payload={"kind": "command", "argv": ["true"]}),
        "at /payload/kind: 'command' is not supported here; use agentTurn or systemEvent",
    ),
    (
        said(HOURLY, payload={"kind": "heartbeat"}),
        "at /payload/kind: 'heartbeat' is not supported here; use agentTurn or systemEvent",
    ),
    (said(HOURLY, sessionTarget="foo"), "at /sessionTarget: must be main, isolated, current or session:<key>"),
    (said(HOURLY, sessionTarget="session:"), "invalid cron sessionTarget session id"),
    (said(HOURLY, wakeMode="later"), "at /wakeMode: must be one of next-heartbeat, now"),
    (said(HOURLY, enabled="yes"), "enabled must be a boolean"),
    (said(HOURLY, delivery={}), "at /delivery: must have required property 'mode'"),
    (said(HOURLY, delivery={"mode": "x"}), "at /delivery/mode: must be one of none, announce, webhook"),
    (said(HOURLY, delivery={"mode": "none", "foo": 1}), "at /delivery: unexpected property 'foo'"),
    (said(HOURLY, declarationKey=" "), "at /declarationKey: must not have fewer than 1 characters"),
    (said(HOURLY, displayName="x" * 201), "at /displayName: must not have more than 200 characters"),
    (said(HOURLY, trigger={"script": "1"}), "at /trigger: condition scripts are not supported here"),
    (said(HOURLY, pacing={"min": "soon"}), "at /pacing/min: must be a positive duration such as 30s, 5m or 1h30m"),
    (said(HOURLY, failureAlert={"after": 0}), "at /failureAlert/after: must be >= 1"),
    (said(HOURLY, failureAlert={"after": 1.5}), "at /failureAlert/after: must be integer"),
]


@pytest.mark.parametrize(("params", "why"), REFUSED)
def test_what_is_wrong_with_a_new_job_is_said_with_its_path(params: Any, why: str) -> None:
    with pytest.raises(CronRefused) as caught:
        read_add(params)
    assert str(caught.value) == f"invalid cron.add params: {why}"
    assert caught.value.code == "INVALID_REQUEST"


def test_params_that_are_nested_too_deep_are_refused() -> None:
    deep: Any = 1
    for _ in range(200):
        deep = [deep]
    with pytest.raises(CronRefused, match="nested so deep"):
        read_add(said(HOURLY, name=deep))


def test_texts_are_trimmed_and_numbers_may_come_as_text() -> None:
    found = read_add(
        said(
            {"kind": "Every", "everyMs": " 1500 ", "anchorMs": 1.9},
            name="  a job ",
            description=" why ",
            enabled="True",
            sessionTarget="SESSION: abc ",
            payload={"kind": "AGENTTURN", "message": " hello "},
        )
    )
    assert found["schedule"] == {"kind": "every", "everyMs": 1500, "anchorMs": 1}
    assert (found["name"], found["description"], found["enabled"]) == ("a job", "why", True)
    assert found["sessionTarget"] == "session:abc"
    assert found["payload"] == {"kind": "agentTurn", "message": "hello"}


def test_what_belongs_to_another_kind_is_dropped() -> None:
    found = read_add(
        said({"kind": "every", "everyMs": 1000, "expr": "* * * * *", "tz": "UTC"}, payload={**TURN, "text": "x"})
    )
    assert found["schedule"] == {"kind": "every", "everyMs": 1000}
    assert found["payload"] == TURN


def test_a_stagger_below_zero_is_none_at_all() -> None:
    assert read_add(said({"kind": "cron", "expr": "0 9 * * 1", "staggerMs": -4}))["schedule"]["staggerMs"] == 0


def test_only_the_gateway_itself_may_have_a_heartbeat() -> None:
    assert read_add(said(HOURLY, payload={"kind": "heartbeat"}), system=True)["payload"] == {"kind": "heartbeat"}


def test_a_job_goes_by_id_or_by_job_id_and_not_by_both() -> None:
    assert read_id("cron.get", {"id": "a"}) == read_id("cron.get", {"jobId": "a"}) == "a"
    for params in ({}, {"id": "a", "jobId": "a"}, {"id": ""}, {"id": 5}, {"id": "a", "x": 1}):
        with pytest.raises(CronRefused, match=r"^invalid cron\.remove params: "):
            read_id("cron.remove", params)


def test_a_change_says_what_it_changes_and_clears_with_null() -> None:
    id_, patch, expected = read_update(
        {
            "jobId": "a",
            "patch": {"agentId": None, "payload": {"kind": "agentTurn", "thinking": None}},
            "expectedConfigRevision": "r",
        }
    )
    assert (id_, expected) == ("a", "r")
    assert patch.members == {"agentId": None, "payload": {"kind": "agentTurn", "thinking": None}}


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"id": "a"}, "must have required property 'patch'"),
        ({"patch": {}}, "must have required property 'id'"),
        ({"id": "a", "patch": {"foo": 1}}, "at /patch: unexpected property 'foo'"),
        ({"id": "a", "patch": {"name": ""}}, "at /patch/name: must not have fewer than 1 characters"),
        ({"id": "a", "patch": {"state": {}}}, "at /patch: unexpected property 'state'"),
        (
            {"id": "a", "patch": {"delivery": {"mode": None}}},
            "at /patch/delivery/mode: must be one of none, announce, webhook",
        ),
    ],
)
def test_what_is_wrong_with_a_change_is_said_with_its_path(params: Any, why: str) -> None:
    with pytest.raises(CronRefused) as caught:
        read_update(params)
    assert str(caught.value) == f"invalid cron.update params: {why}"


def test_a_run_is_forced_unless_it_says_otherwise() -> None:
    assert read_run({"id": "a"}) == ("a", "force", None)
    assert read_run({"id": "a", "mode": "due", "expectedProcessInstanceId": "p"}) == ("a", "due", "p")
    with pytest.raises(CronRefused, match="at /mode: must be one of due, force, if-enabled"):
        read_run({"id": "a", "mode": "nope"})


def test_a_list_without_filters_shows_what_is_switched_on() -> None:
    assert read_list(None) == read_list({}) == ListQuery()
    assert read_list({"includeDisabled": True}).enabled == "all"
    assert read_list({"includeDisabled": True, "enabled": "disabled"}).enabled == "disabled"
    for params, why in (({"limit": 0}, "at /limit: must be >= 1"), ({"limit": 201}, "<= 200"), ({"x": 1}, "at root")):
        with pytest.raises(CronRefused, match=why):
            read_list(params)


def test_runs_are_of_one_job_if_one_is_named() -> None:
    assert read_runs({}) == RunsQuery()
    assert read_runs({"id": "a"}).job == read_runs({"jobId": "a"}).job == "a"
    assert read_runs({"id": "a", "scope": "all"}).job is None
    assert read_runs({"status": "error"}).statuses == ("error",)
    assert read_runs({"status": "all", "deliveryStatus": "unknown"}).delivery_statuses == ("unknown",)
    for params, why in (
        ({"scope": "job"}, "missing id"),
        ({"id": "a/b"}, "at /id: must not contain a slash"),
        ({"statuses": []}, "at /statuses"),
    ):
        with pytest.raises(CronRefused, match=why):
            read_runs(params)


def test_status_takes_nothing() -> None:
    read_nothing({})
    with pytest.raises(CronRefused, match=r"^invalid cron\.status params: at root: unexpected property 'x'$"):
        read_nothing({"x": 1})
