"""SIGKILL right after each journaled record, then another process goes on (the driver is a program of its own)."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DRIVER = Path(__file__).with_name("kill_driver.py")
POINTS = 40
"""The session of the driver has more records than that: a sweep that ends early has missed some."""


@pytest.fixture(scope="module", params=[".jsonl", ".db"])
def sweep(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Return what happened at each point, the undisturbed run first."""
    folder = tmp_path_factory.mktemp("kill")
    words = [sys.executable, str(DRIVER), str(folder), request.param]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    assert rows[-1] == {"die_at": len(rows) - 1, "complete": True}
    assert len(rows) > POINTS
    return rows[:-1]


def in_flight(row: dict[str, Any]) -> bool:
    """Whether the shell was reported as interrupted."""
    parts = [part for content in row["end"]["history"] for part in content]
    answers = [one["functionResponse"] for one in parts if "functionResponse" in one]
    return any(one["name"] == "shell" and "error" in one["response"] for one in answers)


def test_a_killed_session_always_comes_to_its_end(sweep: list[dict[str, Any]]) -> None:
    assert [row["died"] for row in sweep[1:]] == [9] * (len(sweep) - 1)
    assert {row["ended"] for row in sweep} == {0}
    assert {row["end"]["phase"] for row in sweep} == {"done"}
    assert {row["end"]["answer"] for row in sweep} == {sweep[0]["end"]["answer"]}


def test_the_next_request_is_the_one_of_an_undisturbed_run(sweep: list[dict[str, Any]]) -> None:
    whole = sweep[0]["requests_after"]
    assert len(whole) == 3
    for row in sweep[1:]:
        after = row["requests_after"]
        if not in_flight(row):
            assert after == whole[len(whole) - len(after) :], f"after record {row['die_at']}"


def test_a_request_is_repeated_only_where_its_answer_was_not_on_disk(sweep: list[dict[str, Any]]) -> None:
    for row in sweep[1:]:
        made = len(row["requests_before"]) + len(row["requests_after"])
        assert made in (3, 4), f"after record {row['die_at']}"


def test_a_tool_that_may_not_run_twice_never_does(sweep: list[dict[str, Any]]) -> None:
    for row in sweep:
        assert row["ran"].count("shell:4") == (0 if in_flight(row) else 1), f"after record {row['die_at']}"
    assert sum(in_flight(row) for row in sweep) == 1


def test_harmless_tools_run_again_only_if_they_were_in_flight(sweep: list[dict[str, Any]]) -> None:
    for row in sweep:
        runs = [row["ran"].count(name) for name in ("read:1", "read:2", "write:3")]
        assert all(count in (1, 2) for count in runs), f"after record {row['die_at']}"
    assert sum("read:1" in row["ran_before"] and row["ran"].count("read:1") == 2 for row in sweep) <= 2
