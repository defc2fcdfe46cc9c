"""The scheduler at work: what starts when, what clients may do meanwhile, and what they are told."""

from typing import Any

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from runtime.cron.jobs import Outcome
from runtime.cron.outcomes import failure, late
from runtime.cron.params import ListQuery, RunsQuery, read_add, read_update
from runtime.cron.refusal import AgentUnavailable, CronRefused
from runtime.cron.scheduler import DISABLED, Scheduler, Settings
from runtime.errors import JournalError, ModelError
from tests.runtime.cron.world import DAY, DONE, HOUR, NOON, TURN, World, cron, every, said


@pytest.fixture
async def world() -> World:
    return World()


async def test_a_job_starts_in_each_of_its_slots(
    autojump_clock: MockClock, world: World, nursery: trio.Nursery
) -> None:
    await nursery.start(world.scheduler.run)
    job = await world.add(every(60_000))
    await trio.sleep(190)
    assert world.worker.times() == [60, 120, 180]
    assert world.job(job).state.next_run == NOON + 240_000


async def test_expressions_and_single_times_start_when_they_say(
    autojump_clock: MockClock, world: World, nursery: trio.Nursery
) -> None:
    await nursery.start(world.scheduler.run)
    await world.add(cron("30 12 * * *"))
    await world.add({"kind": "at", "at": "2026-01-01T12:10:00"})
    await trio.sleep(DAY / 1000)
    assert world.worker.times() == [600, 1800]


async def test_an_event_tells_what_happens_when_it_is_on_disk(
    autojump_clock: MockClock, world: World, nursery: trio.Nursery
) -> None:
    await nursery.start(world.scheduler.run)
    job = await world.add(every(60_000))
    await trio.sleep(61)
    await world.update(job, enabled=False)
    await world.scheduler.remove(job.id)
    assert world.told() == ["added", "started", "finished", "scheduled", "updated", "removed"]
    assert all(event["jobId"] == job.id for event in world.events)
    started, finished = world.events[1], world.events[2]
    assert started["job"]["state"] == {"nextRunAtMs": NOON + 60_000, "runningAtMs": NOON + 60_000}
    assert (started["runAtMs"], finished["status"], finished["runAtMs"]) == (NOON + 60_000, "ok", NOON + 60_000)
    assert "runId" not in finished


async def test_the_mark_of_a_run_is_on_disk_before_it_begins(
    autojump_clock: MockClock, world: World, nursery: trio.Nursery
) -> None:
    await nursery.start(world.scheduler.run)
    await world.add(every(60_000))
    world.store.hold()
    await trio.sleep(70)
    assert (world.worker.started, world.told()) == ([], ["added"])
    world.store.release()
    await trio.sleep(1)
    assert (len(world.worker.started), world.told()[:2]) == (1, ["added", "started"])


async def test_a_job_is_never_started_twice_at_once(
    autojump_clock: MockClock, world: World, nursery: trio.Nursery
) -> None:
    world.worker.seconds = 150
    await nursery.start(world.scheduler.run)
    await world.add(every(60_000))
    await trio.sleep(600)
    assert world.worker.most_at_once == 1
    assert world.worker.times() == [60, 240, 420]


async def test_only_so_many_jobs_run_at_a_time_and_the_earliest_go_first(autojump_clock: MockClock) -> None:
    world = World(settings=Settings(limit=2))
    world.worker.seconds = 10
    jobs = [await world.add(every(HOUR, anchorMs=NOON - HOUR + 60_000 - 10 * number)) for number in range(5)]
    async with trio.open_nursery() as nursery:
        await nursery.start(world.scheduler.run)
        await trio.sleep(100)
        nursery.cancel_scope.cancel()
    assert world.worker.most_at_once == 2
    assert [job for _, job, _ in world.worker.started] == [job.id for job in reversed(jobs)]
    assert world.worker.times() == [59, 59, 69, 69, 79]


async def test_runs_that_somebody_holds_keep_no_other_from_running(autojump_clock: MockClock) -> None:
    world = World(settings=Settings(limit=2))
    world.worker.seconds = 10_000
    for number in range(4):
        await world.add(every(24 * HOUR, anchorMs=NOON - 24 * HOUR + 60_000 * (number + 1)))
    async with trio.open_nursery() as nursery:
        await nursery.start(world.scheduler.run)
        await trio.sleep(1_000)
        assert len(world.worker.started) == 2
        world.standing.add(world.worker.started[0][2])
        await trio.sleep(100)
        assert len(world.worker.started) == 3
        world.standing.add(world.worker.started[1][2])
        await trio.sleep(100)
        assert len(world.worker.started) == 4
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("enabled", [True, False])
async def test_the_loop_looks_up_once_a_minute_and_not_between(autojump_clock: MockClock, enabled: bool) -> None:
    world = World(settings=Settings(enabled=enabled))
    looks = list[float]()
    seen = world.clock.wall

    def counted() -> int:
        looks.append(trio.current_time())
        return seen()

    await world.add(every(HOUR))
    async with trio.open_nursery() as nursery:
        await nursery.start(world.scheduler.run)
        world.clock.wall = counted  # type: ignore[method-assign]
        await trio.sleep(30)
        assert looks == []
        await trio.sleep(1770)
        nursery.cancel_scope.cancel()
    assert 29 <= len(set(looks)) <= 30


async def test_a_change_is_noticed_at_once(autojump_clock: MockClock, world: World, nursery: trio.Nursery) -> None:
    await nursery.start(world.scheduler.run)
    job = await world.add(every(DAY))
    await trio.sleep(5)
    await world.update(job, schedule=every(10_000, anchorMs=NOON))
    await trio.sleep(6)
    assert world.worker.times() == [10]


async def test_a_clock_set_forward_makes_one_run_of_all_that_was_missed(
    autojump_clock: MockClock, world: World, nursery: trio.Nursery
) -> None:
    await nursery.start(world.scheduler.run)
    job = await world.add(every(600_000))
    world.clock.jump(5 * HOUR)
    await trio.sleep(61)
    assert len(world.worker.started) == 1
    assert world.job(job).state.next_run == NOON + 5 * HOUR + 600_000


async def test_a_clock_set_back_runs_no_slot_twice(
    autojump_clock: MockClock, world: World, nursery: trio.Nursery
) -> None:
    await nursery.start(world.scheduler.run)
    await world.add(cron("*/10 * * * *"))
    await trio.sleep(601)
    world.clock.jump(-HOUR)
    await trio.sleep(HOUR / 1000 + 500)
    assert len(world.worker.started) == 1
    await trio.sleep(200)
    assert [at for at, _, _ in world.worker.started] == [NOON + 600_000, NOON + 1_200_000]


async def test_a_clock_set_back_during_a_run_runs_its_slot_no_second_time(
    autojump_clock: MockClock, world: World, nursery: trio.Nursery
) -> None:
    world.worker.seconds = 5
    await nursery.start(world.scheduler.run)
    job = await world.add(cron("*/10 * * * *"))
    await trio.sleep(602)
    world.clock.jump(-HOUR)
    await trio.sleep(5)
    assert world.job(job).state.next_run == NOON + 1_200_000


async def test_what_a_clock_planned_that_was_days_ahead_is_planned_anew(
    autojump_clock: MockClock, world: World, nursery: trio.Nursery
) -> None:
    world.clock.jump(400 * DAY)
    await nursery.start(world.scheduler.run)
    job = await world.add(cron("*/10 * * * *"))
    await trio.sleep(601)
    world.clock.jump(-400 * DAY)
    await trio.sleep(61)
    assert world.told()[-1] == "scheduled"
    assert world.job(job).state.next_run == NOON + 1_200_000
    await trio.sleep(600)
    assert len(world.worker.started) == 2


async def test_a_run_on_request_is_forced_and_does_not_use_up_the_slot(
    autojump_clock: MockClock, world: World, nursery: trio.Nursery
) -> None:
    await nursery.start(world.scheduler.run)
    job = await world.add(every(60_000))
    asked = await world.scheduler.run_now(job.id)
    assert asked.run_id == f"manual:{job.id}:{NOON}:1"
    await trio.sleep(61)
    assert world.worker.times() == [0, 60]
    assert [run.mark for run in world.scheduler.runs(RunsQuery()).runs][-1] == asked.run_id
    assert world.events[2]["runId"] == asked.run_id


async def test_a_run_is_asked_for_while_one_is_under_way_or_waits(
    autojump_clock: MockClock, world: World, nursery: trio.Nursery
) -> None:
    world.worker.seconds = 10
    job = await world.add(every(HOUR))
    assert (await world.scheduler.run_now(job.id)).run_id
    assert (await world.scheduler.run_now(job.id)).reason == "already-running"
    await nursery.start(world.scheduler.run)
    await trio.sleep(5)
    assert (await world.scheduler.run_now(job.id, "due")).reason == "already-running"
    await trio.sleep(6)
    assert (await world.scheduler.run_now(job.id, "due")).reason == "not-due"
    off = await world.update(job, enabled=False)
    assert (await world.scheduler.run_now(off.id, "if-enabled")).reason == "disabled"
    assert (await world.scheduler.run_now(off.id, "force")).run_id


async def test_a_due_run_on_request_uses_up_its_slot(autojump_clock: MockClock) -> None:
    world = World(settings=Settings(enabled=False))
    async with trio.open_nursery() as nursery:
        await nursery.start(world.scheduler.run)
        job = await world.add(every(60_000))
        await trio.sleep(90)
        assert world.worker.started == []
        assert (await world.scheduler.run_now(job.id, "due")).run_id
        await trio.sleep(1)
        assert world.job(job).state.next_run == NOON + 120_000
        nursery.cancel_scope.cancel()
    assert world.scheduler.status().next_wake is None


async def test_switching_a_job_off_stops_its_run(
    autojump_clock: MockClock, world: World, nursery: trio.Nursery
) -> None:
    world.worker.seconds = 500
    await nursery.start(world.scheduler.run)
    job = await world.add(every(60_000))
    await trio.sleep(70)
    await world.update(job, enabled=False)
    await trio.sleep(1)
    state = world.job(job).state
    assert (state.running, state.last_status, state.last_error, state.next_run) == (None, "error", DISABLED, None)
    assert world.worker.ended == []


async def test_a_job_that_is_removed_during_its_run_has_that_run_in_the_history(
    autojump_clock: MockClock, world: World, nursery: trio.Nursery
) -> None:
    world.worker.seconds = 20
    await nursery.start(world.scheduler.run)
    job = await world.add(every(60_000))
    await trio.sleep(70)
    assert await world.scheduler.remove(job.id) is True
    await trio.sleep(60)
    assert world.told() == ["added", "started", "removed", "finished"]
    assert len(world.scheduler.runs(RunsQuery(job=job.id)).runs) == 1
    with pytest.raises(CronRefused, match="cron job not found"):
        world.scheduler.get(job.id)
    assert len(world.worker.started) == 1


async def test_a_change_of_schedule_during_a_run_is_left_alone_by_its_end(
    autojump_clock: MockClock, world: World, nursery: trio.Nursery
) -> None:
    world.worker.seconds = 20
    await nursery.start(world.scheduler.run)
    job = await world.add(every(60_000))
    await trio.sleep(70)
    await world.update(job, schedule=cron("0 18 * * *"))
    await trio.sleep(60)
    assert world.job(job).state.next_run == NOON + 6 * HOUR


async def test_a_single_time_is_removed_when_it_is_done(
    autojump_clock: MockClock, world: World, nursery: trio.Nursery
) -> None:
    await nursery.start(world.scheduler.run)
    job = await world.add({"kind": "at", "at": "2026-01-01T12:01"})
    await trio.sleep(70)
    assert world.told() == ["added", "started", "finished", "removed"]
    assert world.scheduler.list(ListQuery(enabled="all")).jobs == ()
    assert world.scheduler.runs(RunsQuery(job=job.id)).total == 1


async def test_an_error_rests_the_job_and_ten_switch_it_off(
    autojump_clock: MockClock, world: World, nursery: trio.Nursery
) -> None:
    world.worker.outcomes = [failure("it broke", NOON)] * 10
    await nursery.start(world.scheduler.run)
    job = await world.add(every(10_000))
    await trio.sleep(10 * HOUR / 1000)
    assert world.worker.times()[:4] == [10, 40, 100, 400]
    assert len(world.worker.started) == 10
    assert world.job(job).enabled is False


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (ModelError("the model is away", kind="network"), "the model is away"),
        (ValueError("a bug"), "ValueError: a bug"),
    ],
)
async def test_work_that_raises_fails_alone(
    autojump_clock: MockClock, world: World, nursery: trio.Nursery, fault: Exception, error: str
) -> None:
    world.worker.outcomes = [fault]
    await nursery.start(world.scheduler.run)
    job = await world.add(every(60_000))
    other = await world.add(every(60_000))
    await trio.sleep(61)
    states = {world.job(each).state.last_error for each in (job, other)}
    assert states == {error, None}
    finished = next(event for event in world.events if event.get("status") == "error")
    assert finished["diagnostics"]["summary"] == error


async def test_work_is_told_how_long_it_may_take(
    autojump_clock: MockClock, world: World, nursery: trio.Nursery
) -> None:
    await nursery.start(world.scheduler.run)
    event = {"payload": {"kind": "systemEvent", "text": "x"}, "sessionTarget": "main"}
    wanted: list[tuple[dict[str, Any], float]] = [
        ({"payload": {**TURN, "timeoutSeconds": 30}}, 30),
        ({}, 3600),
        ({"payload": {**TURN, "timeoutSeconds": 0}}, 0),
        (event, 600),
    ]
    jobs = [(await world.add(every(DAY, anchorMs=NOON + 1000), **more), seconds) for more, seconds in wanted]
    await trio.sleep(2)
    assert world.worker.given == {job.id: seconds for job, seconds in jobs}


async def test_work_that_took_too_long_is_an_error_with_that_reason(
    autojump_clock: MockClock, world: World, nursery: trio.Nursery
) -> None:
    await nursery.start(world.scheduler.run)
    world.worker.outcomes = [late(30, NOON)]
    job = await world.add(every(60_000))
    await trio.sleep(61)
    state = world.job(job).state
    assert (state.last_error, state.last_reason) == ("cron: job execution timed out after 30 s", "timeout")


async def test_a_declared_job_is_there_once(autojump_clock: MockClock, world: World) -> None:
    params = read_add(said(every(HOUR), declarationKey="k"))
    first, same = await world.scheduler.add(params), await world.scheduler.add(params)
    other = await world.scheduler.add(read_add(said(every(5000), declarationKey="k")))
    assert (first.created, first.declared) == (True, True)
    assert (same.created, same.updated, same.job) == (False, False, first.job)
    assert (other.created, other.updated, other.job.id) == (False, True, first.job.id)
    assert world.told() == ["added", "updated"]


async def test_what_belongs_to_the_gateway_is_not_changed_by_clients(autojump_clock: MockClock, world: World) -> None:
    params = read_add(
        {"schedule": every(HOUR), "payload": {"kind": "heartbeat"}, "sessionTarget": "main", "declarationKey": "beat"},
        system=True,
    )
    job = (await world.scheduler.add(params, system=True)).job
    for refused in (world.update(job, enabled=False), world.scheduler.remove(job.id)):
        with pytest.raises(CronRefused, match="belongs to the gateway"):
            await refused
    with pytest.raises(CronRefused, match="belongs to the gateway"):
        await world.add(every(5000), declarationKey="beat")
    assert (await world.scheduler.run_now(job.id)).run_id


async def test_a_job_of_nobody_is_refused(autojump_clock: MockClock) -> None:
    world = World(agents=["main"])
    job = await world.add(every(HOUR), agentId="main")
    with pytest.raises(AgentUnavailable, match=r"invalid cron\.add params: cron job agent is unavailable: other"):
        await world.add(every(HOUR), agentId="other")
    with pytest.raises(AgentUnavailable):
        await world.update(job, agentId="other")


async def test_a_change_that_expects_another_job_is_refused(autojump_clock: MockClock, world: World) -> None:
    job = await world.add(every(HOUR))
    id_, patch, expected = read_update({"id": job.id, "patch": {"name": "x"}, "expectedConfigRevision": "bad"})
    with pytest.raises(CronRefused) as caught:
        await world.scheduler.update(id_, patch, expected)
    assert caught.value.details is not None
    assert caught.value.details["code"] == "CRON_JOB_CHANGED"
    actual = caught.value.details["actualConfigRevision"]
    assert (await world.scheduler.update(id_, patch, actual)).name == "x"


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda scheduler: scheduler.get("nope"), "cron job not found: nope"),
        (lambda scheduler: scheduler.runs(RunsQuery(job="nope")), "Automation not found: nope"),
    ],
)
async def test_what_is_not_there_is_said_by_id(autojump_clock: MockClock, world: World, ask: Any, words: str) -> None:
    with pytest.raises(CronRefused, match=words) as caught:
        ask(world.scheduler)
    assert caught.value.details == {"code": "CRON_JOB_NOT_FOUND", "jobId": "nope"}


async def test_what_is_not_there_can_be_neither_changed_nor_run_nor_removed(
    autojump_clock: MockClock, world: World
) -> None:
    scheduler = world.scheduler
    for refused in (scheduler.update("nope", read_update({"id": "nope", "patch": {}})[1]), scheduler.run_now("nope")):
        with pytest.raises(CronRefused, match="Automation not found: nope"):
            await refused
    with pytest.raises(CronRefused, match="Automation not found: nope"):
        await scheduler.remove("nope")


async def test_a_refused_change_changes_nothing(autojump_clock: MockClock, world: World) -> None:
    job = await world.add(every(HOUR))
    with pytest.raises(CronRefused, match=r"^invalid cron\.update params: main cron jobs require"):
        await world.update(job, sessionTarget="main")
    assert (world.job(job), world.told()) == (job, ["added"])


async def test_lists_are_filtered_sorted_and_paged(autojump_clock: MockClock, world: World) -> None:
    first = await world.add(every(HOUR), name="b", description="Needle")
    second = await world.add(cron("0 18 * * *"), name="a", agentId="other")
    off = await world.add(every(HOUR), name="c", enabled=False)
    ask = world.scheduler.list
    assert ask(ListQuery()).jobs == (first, second)
    assert ask(ListQuery(enabled="all")).jobs == (first, second, off)
    assert ask(ListQuery(enabled="all", descending=True)).jobs == (second, first, off)
    assert ask(ListQuery(enabled="all", by="name")).jobs == (second, first, off)
    assert ask(ListQuery(enabled="disabled")).jobs == (off,)
    assert ask(ListQuery(kind="cron")).jobs == (second,)
    assert ask(ListQuery(query="needle")).jobs == (first,)
    assert ask(ListQuery(agent="Other")).jobs == (second,)
    assert ask(ListQuery(last_status="ok")).jobs == ()
    page = ask(ListQuery(enabled="all", limit=2, offset=1))
    assert (page.jobs, page.total, page.offset, page.limit) == ((second, off), 3, 1, 2)
    beyond = ask(ListQuery(offset=50))
    assert (beyond.jobs, beyond.total, beyond.offset, beyond.limit) == ((), 2, 2, 2)
    assert ask(ListQuery(query="zzz")).limit == 50


async def test_the_revision_of_a_list_changes_with_every_change(autojump_clock: MockClock, world: World) -> None:
    job = await world.add(every(HOUR))
    before = world.scheduler.list(ListQuery()).revision
    assert world.scheduler.list(ListQuery(limit=1)).revision == before
    await world.update(job, description="why")
    assert world.scheduler.list(ListQuery()).revision != before


async def test_the_history_is_filtered_and_the_newest_comes_first(
    autojump_clock: MockClock, world: World, nursery: trio.Nursery
) -> None:
    world.worker.outcomes = [DONE, failure("it broke", NOON), Outcome(status="skipped", error="nobody")]
    await nursery.start(world.scheduler.run)
    job = await world.add(every(60_000), name="Named")
    await trio.sleep(200)
    ask = world.scheduler.runs
    assert [run.outcome.status for run in ask(RunsQuery(job=job.id)).runs] == ["skipped", "error", "ok"]
    assert [run.outcome.status for run in ask(RunsQuery(ascending=True, limit=1)).runs] == ["ok"]
    assert ask(RunsQuery(statuses=("error",))).total == 1
    assert ask(RunsQuery(query="broke")).total == 1
    assert ask(RunsQuery(query="named")).total == 3
    assert ask(RunsQuery(run_id=ask(RunsQuery()).runs[0].mark)).total == 0
    assert ask(RunsQuery(agent="main")).total == 3
    assert ask(RunsQuery(delivery_statuses=("delivered",))).total == 0
    with pytest.raises(CronRefused, match="Automation not found"):
        ask(RunsQuery(job=job.id, agent="other"))


async def test_status_counts_jobs_and_names_the_next_slot(autojump_clock: MockClock, world: World) -> None:
    assert world.scheduler.status().next_wake is None
    await world.add(every(HOUR))
    await world.add(every(60_000))
    await world.add(every(1000), enabled=False)
    status = world.scheduler.status()
    assert (status.enabled, status.jobs, status.next_wake) == (True, 3, NOON + 60_000)


async def test_there_is_a_bound_to_the_number_of_jobs(
    autojump_clock: MockClock, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.cron.scheduler.MOST_JOBS", 2)
    await world.add(every(HOUR))
    await world.add(every(HOUR))
    with pytest.raises(CronRefused, match="there are 2 automations, and no more are kept"):
        await world.add(every(HOUR))


async def test_a_client_that_goes_away_leaves_no_untold_change(autojump_clock: MockClock, world: World) -> None:
    world.store.hold()
    world.store.full = False
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_release_later, world)
        with trio.move_on_after(1):
            await world.add(every(HOUR))
    assert world.told() == ["added"]
    assert len(world.scheduler.list(ListQuery()).jobs) == 1


async def _release_later(world: World) -> None:
    await trio.sleep(5)
    world.store.release()


async def test_a_client_that_goes_away_before_its_turn_changes_nothing(autojump_clock: MockClock, world: World) -> None:
    world.store.hold()
    with trio.move_on_after(1):
        await world.add(every(HOUR))
    world.store.release()
    assert (world.told(), world.scheduler.status().jobs) == ([], 0)


async def test_changes_are_told_in_the_order_in_which_they_were_made(autojump_clock: MockClock, world: World) -> None:
    job = await world.add(every(HOUR))
    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(_rename, world, job.id, str(number))
    names = [event["job"]["name"] for event in world.events]
    assert sorted(names[1:], key=int) == sorted(map(str, range(20)), key=int)
    assert world.job(job).name == names[-1]


async def _rename(world: World, id_: str, name: str) -> None:
    await world.scheduler.update(*read_update({"id": id_, "patch": {"name": name}}))


async def test_a_journal_that_fails_ends_the_scheduler(autojump_clock: MockClock, world: World) -> None:
    await world.add(every(60_000))
    with pytest.RaisesGroup(JournalError, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            await nursery.start(world.scheduler.run)
            await trio.sleep(30)
            world.store.fail()
            await trio.sleep(100)


async def test_a_disk_that_does_not_answer_fails_the_request(autojump_clock: MockClock, world: World) -> None:
    world.store.hold()
    world.store.full = False
    with pytest.raises(JournalError, match="not on disk after 60 s"):
        await world.add(every(60_000))


async def test_many_jobs_of_one_slot_all_run_once(autojump_clock: MockClock) -> None:
    world = World(settings=Settings(limit=8))
    world.worker.seconds = 0.1
    for _ in range(300):
        await world.add(every(HOUR))
    async with trio.open_nursery() as nursery:
        await nursery.start(world.scheduler.run)
        await trio.sleep(HOUR / 1000 + 60)
        nursery.cancel_scope.cancel()
    assert len({job for _, job, _ in world.worker.started}) == len(world.worker.started) == 300
    assert world.worker.most_at_once == 8


async def test_jobs_and_runs_are_plain_values(autojump_clock: MockClock, world: World) -> None:
    job = await world.add(every(HOUR))
    assert evolve(job) == job
    assert isinstance(world.scheduler, Scheduler)
