"""How often one caller may change what everybody uses."""

import pytest

from runtime.gateway.budget import CALLERS, METHODS, MOST, WINDOW_MS, Budget
from runtime.gateway.frames import GatewayError
from runtime.gateway.registry import FAMILIES, Registry


def test_one_call_too_many_in_a_minute_is_told_when_to_come_again() -> None:
    budget = Budget()
    for second in range(MOST):
        budget.spend("cron.add", "d", "127.0.0.1", second * 1000)
    with pytest.raises(GatewayError, match=r"rate limit exceeded for cron.add; retry after 30s") as error:
        budget.spend("cron.add", "d", "127.0.0.1", 30_500)
    assert (error.value.code, error.value.retryable, error.value.retry_after_ms) == ("UNAVAILABLE", True, 29_500)
    assert error.value.details == {"method": "cron.add", "limit": "30 per 60s"}
    budget.spend("cron.update", "d", "127.0.0.1", 30_500)
    budget.spend("cron.add", "other", "127.0.0.1", 30_500)
    budget.spend("cron.add", "d", "127.0.0.1", WINDOW_MS)


def test_what_changes_nothing_for_others_is_not_counted() -> None:
    budget = Budget()
    for _ in range(2 * MOST):
        budget.spend("chat.send", "", "127.0.0.1", 0)


def test_a_clock_that_goes_back_locks_nobody_out() -> None:
    budget = Budget()
    for _ in range(MOST):
        budget.spend("cron.add", "", "here", 10 * WINDOW_MS)
    budget.spend("cron.add", "", "here", 0)


def test_the_number_of_callers_is_bounded() -> None:
    budget = Budget()
    for number in range(2 * CALLERS):
        budget.spend("cron.add", f"{number}", "here", 0)
    assert len(budget._windows) == CALLERS


def test_every_method_that_is_counted_is_there() -> None:
    assert set(Registry.of(FAMILIES).methods) >= METHODS
