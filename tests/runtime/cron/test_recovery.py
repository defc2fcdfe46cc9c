"""Killed at any moment: no slot is lost, and none is done twice."""

from collections import Counter
from copy import deepcopy

import pytest
import trio
from attrs import frozen
from trio.testing import MockClock

from runtime.cron.jobs import Job
from runtime.cron.outcomes import INTERRUPTED
from runtime.cron.params import RunsQuery
from runtime.stores.backlog import Entry
from runtime.stores.memory import Kept, MemoryStore
from tests.runtime.cron.world import DAY, HOUR, NOON, WallClock, World, cron, every


async def taken_up(job: Job, run_id: str) -> bool:
    """A session has the message."""
    return True


async def not_taken_up(job: Job, run_id: str) -> bool:
    """No session has heard of it."""
    return False


async def live(world: World, seconds: float) -> None:
    """Let a scheduler run for so long, then kill it."""
    async with trio.open_nursery() as nursery:
        await nursery.start(world.scheduler.run)
        await trio.sleep(seconds)
        nursery.cancel_scope.cancel()


async def test_jobs_and_history_outlive_the_process(autojump_clock: MockClock) -> None:
    world = World()
    job = await world.add(every(60_000), description="why", failureAlert={"after": 3}, pacing={"min": "1m"})
    await live(world, 130)
    again = world.again()
    assert again.scheduler.get(job.id) == world.job(job)
    assert again.scheduler.runs(RunsQuery()).runs == world.scheduler.runs(RunsQuery()).runs
    await live(again, 60)
    assert again.worker.times() == [180]


async def test_slots_that_were_missed_while_it_was_down_are_one_run(autojump_clock: MockClock) -> None:
    world = World()
    job = await world.add(every(60_000))
    once = await world.add({"kind": "at", "at": "2026-01-01T12:10"})
    await trio.sleep(HOUR / 1000)
    again = world.again()
    await live(again, 30)
    assert sorted(ran for _, ran, _ in again.worker.started) == sorted([job.id, once.id])
    assert again.worker.times() == [3600, 3600]


@pytest.mark.parametrize("accepted", [None, taken_up])
async def test_a_run_that_was_cut_off_is_recorded_and_not_started_again(
    autojump_clock: MockClock, accepted: object
) -> None:
    world = World()
    world.worker.seconds = 100
    job = await world.add(every(HOUR))
    await live(world, 3650)
    again = world.again(taken_up if accepted else None)
    await live(again, 60)
    assert again.worker.started == []
    (run,) = again.scheduler.runs(RunsQuery()).runs
    assert (run.outcome.status, run.outcome.error) == ("error", INTERRUPTED)
    assert (run.started, run.mark) == (NOON + HOUR, world.worker.started[0][2])
    state = again.job(job).state
    assert (state.running, state.errors, state.next_run) == (None, 1, NOON + 2 * HOUR)
    assert again.told() == ["finished", "scheduled"]


async def test_a_run_of_which_nothing_was_taken_up_is_started_again(autojump_clock: MockClock) -> None:
    world = World()
    world.worker.seconds = 100
    await world.add(every(HOUR))
    await live(world, 3650)
    again = world.again(not_taken_up)
    await live(again, 60)
    assert again.worker.times() == [3650]
    assert [run.outcome.status for run in again.scheduler.runs(RunsQuery()).runs] == ["ok"]


async def test_who_does_not_say_in_time_whether_it_was_taken_up_has_said_yes(autojump_clock: MockClock) -> None:
    async def silent(job: Job, run_id: str) -> bool:
        await trio.sleep(HOUR)
        return False

    world = World()
    world.worker.seconds = 100
    await world.add(every(HOUR))
    await live(world, 3650)
    again = world.again(silent)
    await live(again, 60)
    assert again.worker.started == []
    assert again.scheduler.runs(RunsQuery()).total == 1


async def test_a_single_time_that_was_cut_off_stays_to_be_seen(autojump_clock: MockClock) -> None:
    world = World()
    world.worker.seconds = 100
    job = await world.add({"kind": "at", "at": "2026-01-01T12:10"})
    await live(world, 650)
    again = world.again()
    await live(again, 60)
    kept = again.job(job)
    assert (kept.enabled, kept.state.last_error, kept.state.next_run) == (False, INTERRUPTED, None)


async def test_a_run_that_was_asked_for_and_not_begun_is_done_after_a_restart(autojump_clock: MockClock) -> None:
    world = World()
    job = await world.add(every(HOUR))
    asked = await world.scheduler.run_now(job.id)
    again = world.again()
    await live(again, 10)
    assert [run_id for _, _, run_id in again.worker.started] == [asked.run_id]
    assert again.job(job).state.next_run == NOON + HOUR


async def test_a_run_that_was_asked_for_and_not_taken_up_is_done_after_a_restart(autojump_clock: MockClock) -> None:
    world = World()
    world.worker.seconds = 100
    job = await world.add(every(HOUR))
    asked = await world.scheduler.run_now(job.id)
    await live(world, 10)
    again = world.again(not_taken_up)
    await live(again, 10)
    assert [run_id for _, _, run_id in again.worker.started] == [asked.run_id]


async def test_a_change_during_a_run_holds_after_a_restart(autojump_clock: MockClock) -> None:
    world = World()
    world.worker.seconds = 100
    job = await world.add(every(HOUR))
    async with trio.open_nursery() as nursery:
        await nursery.start(world.scheduler.run)
        await trio.sleep(3650)
        await world.update(job, schedule=cron("0 18 * * *"))
        nursery.cancel_scope.cancel()
    again = world.again()
    await live(again, 60)
    assert again.job(job).state.next_run == NOON + 6 * HOUR


async def test_what_a_clock_planned_that_was_days_ahead_is_planned_anew(autojump_clock: MockClock) -> None:
    world = World(clock=WallClock(NOON + 400 * DAY))
    job = await world.add(cron("0 18 * * *"))
    world.clock.jump(-400 * DAY)
    again = world.again()
    await live(again, 10)
    assert again.job(job).state.next_run == NOON + 6 * HOUR


async def test_a_run_that_ends_as_the_scheduler_is_stopped_is_not_lost(autojump_clock: MockClock) -> None:
    world = World()
    world.worker.seconds = 5
    job = await world.add(every(60_000))
    async with trio.open_nursery() as nursery:
        await nursery.start(world.scheduler.run)
        await trio.sleep(64)
        world.store.hold()
        await trio.sleep(3)
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await trio.sleep(3)
            world.store.release()
    again = world.again()
    await live(again, 1)
    assert [run.outcome.status for run in again.scheduler.runs(RunsQuery(job=job.id)).runs] == ["ok"]


@frozen
class Moment:
    """What is on disk between two writes, when that was, and what had been started by then."""

    kept: Kept
    wall: int
    started: tuple[tuple[int, str, str], ...]


class Watched(MemoryStore):
    """A store that remembers what was on disk after each single write."""

    def watch(self, world: World, moments: list[Moment]) -> None:
        """Remember from here on."""
        self.world, self.moments = world, moments

    def _keep(self, entry: Entry, at: int) -> None:
        super()._keep(entry, at)
        if hasattr(self, "world"):
            started = tuple(self.world.worker.started)
            self.moments.append(Moment(deepcopy(self.kept), self.world.clock.wall(), started))


async def moments_of_a_life() -> list[Moment]:
    """Every moment between two writes of a life with three jobs, in which one is asked for besides."""
    world, moments = World(), list[Moment]()
    world.store.__class__ = Watched
    assert isinstance(world.store, Watched)
    world.worker.seconds = 7
    job = await world.add(every(60_000))
    await world.add(every(90_000))
    await world.add({"kind": "at", "at": "2026-01-01T12:01:30"})
    world.store.watch(world, moments)
    async with trio.open_nursery() as nursery:
        await nursery.start(world.scheduler.run)
        await trio.sleep(100)
        await world.scheduler.run_now(job.id)
        await trio.sleep(100)
        nursery.cancel_scope.cancel()
    return moments


@pytest.mark.parametrize("knows", [True, False])
async def test_killed_between_any_two_writes_each_slot_is_done_or_told_once(
    autojump_clock: MockClock, knows: bool
) -> None:
    moments = await moments_of_a_life()
    assert len(moments) > 20
    for moment in moments:
        before = {run_id for _, _, run_id in moment.started}

        async def accepted(job: Job, run_id: str, before: set[str] = before) -> bool:
            return run_id in before

        again = World(
            deepcopy(moment.kept), WallClock(moment.wall), accepted=accepted if knows else None, prefix="again"
        )
        jobs = again.scheduler._jobs.items
        await live(again, 300)
        runs = again.scheduler.runs(RunsQuery(limit=200)).runs
        assert all(count == 1 for count in Counter(run.mark for run in runs).values())
        starts = Counter(
            (at // 30_000, job) for at, job, run in (*moment.started, *again.worker.started) if "manual" not in run
        )
        assert all(count == 1 for count in starts.values()), starts
        asked = Counter(run for _, _, run in (*moment.started, *again.worker.started) if "manual" in run)
        assert all(count == 1 for count in asked.values())
        told = {(run.job, run.started // 30_000) for run in runs if not run.asked}
        for job in jobs.values():
            if job.schedule.kind == "every":
                ms, last = job.schedule.every, moment.wall + 280_000
                slots = range(NOON + ms, last, ms)
                assert {(job.id, slot // 30_000) for slot in slots} <= told
        lost = [run for run in runs if run.outcome.error == INTERRUPTED and run.mark not in before]
        assert not (knows and lost)


async def test_killed_between_the_two_writes_of_an_end_the_run_counts_as_it_ended(autojump_clock: MockClock) -> None:
    world = World()
    job = await world.add(every(60_000))
    marked = None
    async with trio.open_nursery() as nursery:
        world.worker.seconds = 5
        await nursery.start(world.scheduler.run)
        await trio.sleep(62)
        marked = deepcopy(world.kept.documents["cron-job"])
        await trio.sleep(10)
        nursery.cancel_scope.cancel()
    world.kept.documents["cron-job"] = marked
    again = world.again()
    await live(again, 10)
    assert again.worker.started == []
    assert [run.outcome.status for run in again.scheduler.runs(RunsQuery()).runs] == ["ok"]
    state = again.job(job).state
    assert (state.running, state.last_status, state.next_run) == (None, "ok", NOON + 120_000)
