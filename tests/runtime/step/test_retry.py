"""Both retry loops wait as API.md says, and end where it says."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.step import Phase
from runtime.step import events as ev
from runtime.step.effects import Wait
from runtime.step.retry import REQUESTS, wait_after_break, wait_after_invalid
from tests.runtime.step.scenes import STAMP, Run, said

MOST = 0.999


def broke(kind: str = "http", status: int = 503, **more: Any) -> ev.StreamBroke:
    return ev.StreamBroke(kind, "broke", status, **more)


def waits(event: ev.StreamBroke, attempts: int = 10, midstream: bool = False) -> list[float | None]:
    found = [wait_after_break(event, n, attempts, midstream=midstream) for n in range(1, 12)]
    return [None if wait is None else round(wait, 3) for wait in found]


def test_without_spread_the_waits_double_from_five_to_thirty_seconds() -> None:
    assert waits(broke(chance=0.5)) == [5, 10, 20, 30, 30, 30, 30, 30, 30, None, None]


def test_the_waits_are_spread_by_thirty_percent_to_both_sides() -> None:
    assert waits(broke(chance=0.0))[:5] == [3.5, 7, 14, 21, 21]
    assert waits(broke(chance=MOST))[:5] == [6.497, 12.994, 25.988, 38.982, 38.982]


def test_a_wait_that_the_peer_asks_for_is_kept_and_grows_by_up_to_a_fifth() -> None:
    assert waits(broke(status=429, hint=2.0, chance=0.0))[:5] == [5, 10, 20, 30, 30]
    assert waits(broke(status=429, hint=60.0, chance=0.0))[:3] == [60, 60, 60]
    assert waits(broke(status=429, hint=60.0, chance=0.5))[:3] == [66, 66, 66]
    assert waits(broke(status=429, hint=60.0, chance=MOST))[:2] == [71.988, 71.988]
    assert waits(broke(status=429, hint=0.0, chance=0.5))[:2] == [5.5, 11]


@given(st.integers(1, 5000), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_never_below_three_and_a_half_nor_above_thirty_nine_seconds(failures: int, chance: float) -> None:
    assert 3.5 <= REQUESTS.seconds(failures, chance) <= 39.0


@pytest.mark.parametrize("status", [429, 499, 500, 503, 599])
def test_a_status_that_may_pass_is_retried(status: int) -> None:
    assert waits(broke(status=status, chance=0.5))[0] == 5


@pytest.mark.parametrize("status", [400, 401, 403, 404, 428, 498, 600, 0])
def test_any_other_status_is_not_retried(status: int) -> None:
    assert waits(broke(status=status)) == [None] * 11


@pytest.mark.parametrize("kind", ["network", "timeout", "protocol"])
def test_a_broken_connection_is_retried(kind: str) -> None:
    assert waits(broke(kind, 0, chance=0.5))[0] == 5


@pytest.mark.parametrize("kind", ["terminated", "recording"])
def test_what_would_fail_again_is_not_retried(kind: str) -> None:
    assert waits(broke(kind, 0)) == [None] * 11


def test_a_terminal_failure_is_not_retried() -> None:
    assert waits(broke(status=429, terminal=True)) == [None] * 11
    assert waits(broke("network", 0, terminal=True)) == [None] * 11


def test_the_number_of_attempts_bounds_the_tries() -> None:
    assert waits(broke(chance=0.5), attempts=3) == [5, 10, *[None] * 9]
    assert waits(broke(), attempts=1) == [None] * 11


def test_a_stream_that_is_reset_in_the_middle_is_tried_three_times_again() -> None:
    assert waits(broke("network", 0, chance=0.5), midstream=True) == [5, 10, 20, *[None] * 8]


@pytest.mark.parametrize("kind", ["terminated", "protocol", "timeout", "http", "recording"])
def test_a_stream_that_ends_otherwise_in_the_middle_is_not_tried_again(kind: str) -> None:
    assert waits(broke(kind, 503), midstream=True) == [None] * 11


def test_an_invalid_stream_is_retried_after_one_two_and_four_seconds() -> None:
    assert [wait_after_invalid(n) for n in range(1, 6)] == [1, 2, 4, None, None]


def retried(run: Run, *failures: ev.Event) -> list[Any]:
    """What a session wants after each of these failures; where it retries, it asks again."""
    wanted: list[Any] = []
    for failure in failures:
        run.give(failure)
        if run.state.phase is Phase.RETRY:
            wanted += run.go().effects
            run.give(ev.Waited()).go()
    return wanted


def test_a_session_waits_what_the_loop_of_broken_requests_says() -> None:
    run = Run.opened(max_attempts=4).asked()
    assert retried(run, *[broke(chance=0.5)] * 4) == [Wait(5.0), Wait(10.0), Wait(20.0)]
    assert run.state.phase is Phase.FAILED


def test_a_session_waits_what_the_loop_of_invalid_streams_says() -> None:
    run = Run.opened().asked()
    assert retried(run, *[ev.StreamEnded(STAMP)] * 4) == [Wait(1.0), Wait(2.0), Wait(4.0)]
    assert run.state.phase is Phase.FAILED


def test_each_loop_counts_its_own_failures() -> None:
    run = Run.opened().asked().give(broke(chance=0.5)).until(Phase.STREAMING).answered().until(Phase.STREAMING)
    assert run.state.turn is not None
    assert (run.state.turn.broken, run.state.turn.invalid) == (1, 1)
    run.give(broke(chance=0.5))
    assert run.state.turn is not None
    assert (run.state.turn.broken, run.state.turn.invalid, run.state.turn.wait) == (2, 1, 10.0)


def test_a_new_turn_begins_with_no_failures() -> None:
    run = Run.opened().asked().give(broke()).until(Phase.STREAMING).answered(said("ok", "STOP")).until(Phase.DONE)
    run.asked()
    assert run.state.turn is not None
    assert (run.state.turn.broken, run.state.turn.invalid, run.state.turn.wait) == (0, 0, 0.0)
