"""A short run of `python -m tests.faults.ledger_kills`: no acknowledged record is lost."""

from pathlib import Path

from tests.faults.ledger_kills import POINTS, rounds


def test_a_ledger_whose_writers_are_killed_loses_nothing(tmp_path: Path) -> None:
    told = rounds(tmp_path, 40, 1)
    assert told["kills"] == 40
    assert told["torn"] > 0
    assert set(POINTS) <= set(told)
