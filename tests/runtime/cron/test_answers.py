"""Answers and events: members as recorded of the real gateway."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from runtime.cron import answers
from runtime.cron.edits import Rules, make
from runtime.cron.jobs import Job
from runtime.cron.params import read_add, read_list, read_runs, read_update
from runtime.cron.refusal import CronRefused
from runtime.cron.scheduler import Added, Asked, Status
from tests.runtime.cron.world import DONE, HOUR, NOON, World, cron, every, said

TRACES: Final = Path(__file__).parents[4] / "shared/contracts/openclaw/traces"
HELLO: Final = {
    "name": "trace job",
    "schedule": {"kind": "every", "everyMs": 3_600_000},
    "sessionTarget": "isolated",
    "wakeMode": "now",
    "payload": {"kind": "agentTurn", "message": "cron hello"},
    "delivery": {"mode": "none"},
}
USAGE: Final = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
SAID: Final = evolve(DONE, usage=USAGE, summary="echo: hello")


def golden(name: str) -> list[Mapping[str, Any]]:
    """The frames of a recording, in order."""
    path = TRACES / f"{name}.json"
    if not path.is_file():
        pytest.skip("the recordings of the contract are not here")
    return [step["frame"] for step in json.loads(path.read_text())["steps"] if "frame" in step]


def answer(name: str) -> Mapping[str, Any]:
    """The payload that the real gateway answered with."""
    frame = next(frame for frame in golden(name) if frame["type"] == "res")
    found: Mapping[str, Any] = frame["payload"] if frame["ok"] else frame["error"]
    return found


def events(name: str) -> Iterator[Mapping[str, Any]]:
    """The payloads of `cron` events."""
    return (frame["payload"] for frame in golden(name) if frame.get("event") == "cron")


def shape(value: Any) -> Any:
    """Names of members, all the way down; what is a text in the recording in place of a time is a number."""
    if isinstance(value, Mapping):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value[:1]]
    return None


async def ran(world: World) -> Job:
    """A job that was switched off and run on request, as in the recordings."""
    world.worker.outcomes = [SAID]
    job = (await world.scheduler.add(read_add(HELLO))).job
    await world.update(job, enabled=False)
    async with trio.open_nursery() as nursery:
        await nursery.start(world.scheduler.run)
        await world.scheduler.run_now(job.id)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    return world.job(job)


async def test_a_new_job_is_told_of_as_the_real_gateway_does(autojump_clock: MockClock) -> None:
    world = World()
    found = await world.scheduler.add(read_add(HELLO))
    assert shape(answers.added(found, answers.preview)) == shape(answer("cron/add"))
    assert [shape(event) for event in world.events] == [shape(event) for event in events("cron/add")]


async def test_a_changed_job_is_told_of_as_the_real_gateway_does(autojump_clock: MockClock) -> None:
    world = World()
    job = (await world.scheduler.add(read_add(HELLO))).job
    assert shape(answers.job(world.job(job))) == shape(answer("cron/get"))
    await world.update(job, enabled=False)
    assert shape(answers.job(world.job(job))) == shape(answer("cron/update"))
    assert shape(world.events[1]) == shape(next(events("cron/update")))


async def test_a_run_is_told_of_as_the_real_gateway_does(autojump_clock: MockClock) -> None:
    world = World()
    await ran(world)
    started, finished = events("cron/run_force")
    assert shape(world.events[2]) == shape(started)
    assert shape(world.events[3]) == shape(finished)
    assert shape(answers.ran(Asked("manual:x"), "process")) == shape(answer("cron/run_force"))
    assert shape(answers.runs(world.scheduler.runs(read_runs({})))) == shape(answer("cron/runs"))


async def test_the_status_has_the_members_of_the_real_one(autojump_clock: MockClock) -> None:
    found = answers.status(Status(True, 5, NOON), place="/x/state.sqlite")
    assert shape(found) == shape(answer("methods/cron_status"))


async def test_a_list_has_the_members_of_the_real_one(autojump_clock: MockClock) -> None:
    world = World()
    await ran(world)
    page = answers.jobs(world.scheduler.list(read_list({"includeDisabled": True})), answers.preview, "main")
    real = answer("methods/cron_list")
    assert page.keys() == real.keys()
    assert page["jobs"][0].keys() <= {name for job in real["jobs"] for name in job} | {"lastDelivered"}
    assert page["deliveryPreviews"].keys() == {page["jobs"][0]["id"]}


@pytest.mark.parametrize(("name", "method"), [("get", "cron.get"), ("remove", "cron.remove"), ("run", "cron.run")])
async def test_an_unknown_job_is_refused_with_the_details_of_the_real_gateway(
    autojump_clock: MockClock, name: str, method: str
) -> None:
    real = answer(f"methods/cron_{name}_missing")
    with pytest.raises(CronRefused) as caught:
        World().scheduler.get("nope", method)
    assert (caught.value.code, caught.value.details) == (real["code"], real["details"])
    assert str(caught.value).split(".")[0] == real["message"].split(".")[0]


async def test_a_main_job_with_an_agents_turn_is_refused_as_recorded(autojump_clock: MockClock) -> None:
    real = answer("cron/add_main_agentturn")
    with pytest.raises(CronRefused) as caught:
        await World().scheduler.add(read_add({**HELLO, "sessionTarget": "main"}))
    assert caught.value.code == real["code"]
    assert str(caught.value).startswith('invalid cron.add params: main cron jobs require payload.kind="systemEvent"')


def made(**more: Any) -> Job:
    """A job that was never run."""
    return make(read_add(said(every(HOUR), **more)), "job-1", Rules(now=NOON))


def test_what_is_not_known_is_left_out_and_what_is_false_is_not() -> None:
    shown = answers.job(made(failureAlert=False, enabled=False, deleteAfterRun=False))
    assert None not in shown.values()
    assert (shown["failureAlert"], shown["enabled"], shown["deleteAfterRun"]) == (False, False, False)
    assert shown["state"] == {}


def test_a_declared_job_is_told_of_in_a_form_of_its_own() -> None:
    new = answers.added(Added(made(), declared=True), answers.preview)
    old = answers.added(Added(made(), created=False, updated=True, declared=True), answers.preview)
    assert new.keys() == {"created", "job", "deliveryPreview"}
    assert (old["created"], old["updated"]) == (False, True)


def test_the_revision_of_a_job_is_that_of_what_it_says() -> None:
    job = made()
    assert answers.revision(job) == answers.revision(evolve(job, updated=1, state=evolve(job.state, errors=3)))
    assert answers.revision(job) != answers.revision(evolve(job, name="other"))
    assert answers.revision(job).startswith("sha256:")


def test_a_run_that_was_not_started_says_why() -> None:
    assert answers.ran(Asked(reason="not-due"), "p") == {
        "ok": True,
        "ran": False,
        "reason": "not-due",
        "processInstanceId": "p",
    }


def test_a_removed_job_says_if_its_run_goes_on() -> None:
    assert answers.removed(running=False) == {"ok": True, "removed": True}
    assert answers.removed(running=True)["sessionCleanup"] == "pending"


@pytest.mark.parametrize(
    ("delivery", "last", "label", "detail"),
    [
        ({"mode": "none"}, None, "not requested", "not requested"),
        ({"mode": "webhook", "to": "http://a/b"}, None, "webhook:http://a/b", "webhook"),
        ({"mode": "announce"}, None, "announce -> last", "last -> no route, will fail-closed"),
        ({"mode": "announce", "to": "1"}, None, "announce -> last:1", "last -> no route, will fail-closed"),
        ({"mode": "announce"}, "irc:me", "announce -> irc:me", "resolved from last, main session"),
        ({"mode": "announce", "channel": "irc", "to": "me"}, None, "announce -> irc:me", "explicit"),
    ],
)
def test_where_a_result_would_go_is_said(delivery: dict[str, Any], last: str | None, label: str, detail: str) -> None:
    assert answers.preview(made(delivery=delivery), last) == {"label": label, "detail": detail}


async def test_a_compact_list_has_iso_times_and_no_payload(autojump_clock: MockClock) -> None:
    world = World()
    job = await world.add(cron("0 18 * * *"))
    page = answers.jobs(world.scheduler.list(read_list({"compact": True})), answers.preview, "main")
    (row,) = page["jobs"]
    assert row["nextRunAt"] == "2026-01-01T18:00:00.000Z"
    assert (row["lastRunAt"], row["lastRunStatus"], row["effectiveAgentId"]) == (None, None, "main")
    assert row.keys().isdisjoint({"payload", "state", "delivery"})
    assert "deliveryPreviews" not in page
    assert row["id"] == job.id


async def test_pages_say_where_they_end(autojump_clock: MockClock) -> None:
    world = World()
    for _ in range(3):
        await world.add(every(HOUR))
    first = answers.jobs(world.scheduler.list(read_list({"limit": 2})), answers.preview, "main")
    last = answers.jobs(world.scheduler.list(read_list({"limit": 2, "offset": 2})), answers.preview, "main")
    assert (first["hasMore"], first["nextOffset"], first["total"]) == (True, 2, 3)
    assert (last["hasMore"], last["nextOffset"], last["offset"]) == (False, None, 2)
    assert first["snapshotRevision"] == last["snapshotRevision"]


def test_a_request_meant_for_another_process_is_refused() -> None:
    answers.check_process(None, "p")
    answers.check_process("p", "p")
    with pytest.raises(CronRefused, match="Gateway process changed"):
        answers.check_process("q", "p")


async def test_answers_are_json(autojump_clock: MockClock) -> None:
    world = World()
    job = await ran(world)
    _, patch, _ = read_update({"id": job.id, "patch": {"pacing": {"min": "1m"}}})
    await world.scheduler.update(job.id, patch)
    page = world.scheduler.list(read_list({"includeDisabled": True}))
    for found in (
        answers.jobs(page, answers.preview, "main"),
        answers.runs(world.scheduler.runs(read_runs({}))),
        *world.events,
    ):
        json.dumps(found, allow_nan=False)
