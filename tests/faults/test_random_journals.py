"""Journals of random sessions replay to the states that they were made of; changed ones are refused by their record.

`python -m tests.faults.random_journals --journals 10000` does the same for as many as one likes.
"""

from collections import Counter

import pytest

from tests.faults.random_journals import SPOILS, run

SEEDS = 150


@pytest.fixture(scope="module")
def told() -> Counter[str]:
    """What came of all seeds."""
    found: Counter[str] = Counter()
    for seed in range(SEEDS):
        run(seed, found)
    return found


def test_every_journal_replays_to_the_states_that_it_was_made_of(told: Counter[str]) -> None:
    assert told["journals"] > SEEDS


def test_the_sessions_did_all_that_sessions_do(told: Counter[str]) -> None:
    assert [name for name in ("branch", "fork", "mark", "receipt", "results kept") if told[name] < 5] == []


def test_a_changed_journal_of_each_kind_was_refused_by_its_record(told: Counter[str]) -> None:
    assert [spoil.__name__ for spoil in SPOILS if told[f"refused {spoil.__name__}"] < 3] == []
