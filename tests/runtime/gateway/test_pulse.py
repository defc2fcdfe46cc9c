"""How the run loop is."""

import trio
from trio.testing import MockClock

from runtime.gateway import pulse as module
from runtime.gateway.pulse import EVERY, KEPT, Pulse, process_seconds, resident


async def test_a_loop_that_wakes_in_time_is_well(autojump_clock: MockClock) -> None:
    pulse = Pulse()
    async with trio.open_nursery() as nursery:
        await nursery.start(pulse.run)
        await trio.sleep(3.5)
        nursery.cancel_scope.cancel()
    shown = pulse.shown()
    assert (shown["degraded"], shown["reasons"], shown["degradedSinceMs"]) == (False, [], None)
    assert shown["intervalMs"] == EVERY * 1000
    assert len(pulse.late) == 3
    assert pulse.rss > 0


async def test_a_loop_that_wakes_late_says_since_when_and_recovers(mock_clock: MockClock) -> None:
    pulse = Pulse()
    async with trio.open_nursery() as nursery:
        await nursery.start(pulse.run)
        mock_clock.jump(3.0)
        await trio.testing.wait_all_tasks_blocked()
        shown = pulse.shown()
        assert (shown["degraded"], shown["reasons"]) == (True, ["event-loop-delay"])
        assert shown["delayMaxMs"] == 2_000
        since = pulse.degraded_since
        mock_clock.jump(5.0)
        await trio.testing.wait_all_tasks_blocked()
        assert pulse.degraded_since == since
        mock_clock.jump(EVERY)
        await trio.testing.wait_all_tasks_blocked()
        assert not pulse.shown()["degraded"]
        nursery.cancel_scope.cancel()


async def test_a_minute_is_kept(autojump_clock: MockClock) -> None:
    pulse = Pulse()
    async with trio.open_nursery() as nursery:
        await nursery.start(pulse.run)
        await trio.sleep(3 * KEPT)
        nursery.cancel_scope.cancel()
    assert len(pulse.late) == KEPT


def test_before_the_first_sample_there_is_something_to_show() -> None:
    shown = Pulse().shown()
    assert (shown["delayP99Ms"], shown["delayMaxMs"], shown["utilization"]) == (0.0, 0.0, 0.0)
    assert shown["cpuBreakdown"]["hostCpuCount"] >= 1


def test_the_worst_of_a_hundred_is_not_the_ninety_ninth() -> None:
    pulse = Pulse()
    pulse.late.extend([1.0] * 59 + [500.0])
    assert pulse.shown()["delayMaxMs"] == 500.0
    assert pulse.shown()["delayP99Ms"] == 500.0
    pulse.busy = 1.7
    assert pulse.shown()["utilization"] == 1.0
    assert pulse.shown()["cpuCoreRatio"] == 1.7


def test_the_process_is_measured() -> None:
    assert process_seconds() > 0
    assert resident() > 1_000_000
    assert module.KEPT == 60
