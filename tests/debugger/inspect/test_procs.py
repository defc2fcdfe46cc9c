"""Processes of a session: what its groups hold, what has left them, and whether all of it stands still."""

import os
from pathlib import Path

import pytest

from debugger.inspect.procs import Process, groups_of, parsed, table

SHELL = Process(10, "sh", "T", 1, 10)
CHILD = Process(11, "sleep", "T", 10, 10)
AWAY = Process(12, "server", "S", 11, 12)
BELOW = Process(13, "worker", "R", 12, 12)
STRANGER = Process(20, "other", "R", 1, 20)


def known(*some: Process) -> dict[int, Process]:
    return {one.id: one for one in (*some, STRANGER)}


def test_groups_that_stand_still_are_wholly_frozen() -> None:
    found = groups_of({10: "a"}, known(SHELL, CHILD), {10})
    assert [row["pid"] for row in found["groups"][0]["processes"]] == [10, 11]
    assert (found["escaped"], found["wholly"]) == ([], True)
    assert found["sentence"] == "wholly frozen: 2 processes stand still"


def test_descendants_that_left_their_group_are_named_and_so_are_theirs() -> None:
    found = groups_of({10: "a"}, known(SHELL, CHILD, AWAY, BELOW), {10})
    assert [(row["pid"], row["group"]) for row in found["escaped"]] == [(12, 12), (13, 12)]
    assert found["wholly"] is False
    assert found["sentence"] == "not fully frozen: server (12), worker (13) run on"


def test_a_descendant_in_another_group_of_the_session_has_not_escaped() -> None:
    found = groups_of({10: "a", 12: "b"}, known(SHELL, CHILD, AWAY, BELOW), {10, 12})
    assert found["escaped"] == []
    assert found["sentence"] == "not fully frozen: server (12), worker (13) run on"


def test_one_that_moves_in_its_group_is_named() -> None:
    found = groups_of({10: "a"}, known(SHELL, Process(11, "busy", "R", 10, 10)), {10})
    assert (found["wholly"], found["sentence"]) == (False, "not fully frozen: busy (11) runs on")


def test_one_that_has_left_and_ended_is_nobody() -> None:
    assert groups_of({10: "a"}, known(SHELL, Process(12, "x", "Z", 10, 12)), {10})["wholly"] is True


def test_what_is_not_frozen_just_runs() -> None:
    found = groups_of({10: "a"}, known(SHELL))
    assert (found["wholly"], found["sentence"]) == (None, "1 process runs")
    assert groups_of({}, {})["sentence"] == "no processes"


def test_one_call_may_go_on_while_another_stands_still() -> None:
    found = groups_of({10: "a", 12: "b"}, known(SHELL, CHILD, AWAY, BELOW), {10})
    assert [(row["call"], row["stopped"]) for row in found["groups"]] == [("a", True), ("b", False)]
    assert (found["wholly"], found["sentence"]) == (True, "2 processes run; wholly frozen: 2 processes stand still")


@pytest.mark.parametrize(
    ("line", "made"),
    [
        (b"12 (sh) S 1 12 12 0 -1", Process(12, "sh", "S", 1, 12)),
        (b"12 (a) b (c) R 3 4 5", Process(12, "a) b (c", "R", 3, 4)),
        (b"12 (\xff) T 3 4 5", Process(12, "\ufffd", "T", 3, 4)),
        (b"", None),
        (b"12 (sh", None),
        (b"x (sh) S 1 2", None),
        (b"12 (sh) S", None),
    ],
)
def test_a_line_of_the_kernel_is_read_whatever_the_name(line: bytes, made: Process | None) -> None:
    assert parsed(line) == made


def test_the_table_has_what_is_there_and_skips_what_is_not(tmp_path: Path) -> None:
    (tmp_path / "12").mkdir()
    (tmp_path / "12" / "stat").write_bytes(b"12 (sh) S 1 12 12")
    (tmp_path / "13").mkdir()
    (tmp_path / "uptime").write_text("1")
    assert table(tmp_path) == {12: Process(12, "sh", "S", 1, 12)}
    assert table(tmp_path / "nothing") == {}


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads the processes in /proc")
def test_this_process_is_in_the_table() -> None:
    assert table()[os.getpid()].group == os.getpgrp()
