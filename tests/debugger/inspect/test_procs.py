"""Processes of a session: what its groups hold, what has left them, and whether all of it stands still."""

import os
from pathlib import Path

import pytest

from debugger.inspect.procs import groups_of, table
from runtime.tools.proctable import Process


def process(pid: int, name: str, state: str, parent: int, group: int) -> Process:
    return Process(pid, name, state, parent, group, group, 100)


SHELL = process(10, "sh", "T", 1, 10)
CHILD = process(11, "sleep", "T", 10, 10)
AWAY = process(12, "server", "S", 11, 12)
BELOW = process(13, "worker", "R", 12, 12)
STRANGER = process(20, "other", "R", 1, 20)


def known(*some: Process) -> dict[int, Process]:
    return {one.pid: one for one in (*some, STRANGER)}


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
    found = groups_of({10: "a"}, known(SHELL, process(11, "busy", "R", 10, 10)), {10})
    assert (found["wholly"], found["sentence"]) == (False, "not fully frozen: busy (11) runs on")


def test_one_that_has_left_and_ended_is_nobody() -> None:
    assert groups_of({10: "a"}, known(SHELL, process(12, "x", "Z", 10, 12)), {10})["wholly"] is True


def test_what_is_not_frozen_just_runs() -> None:
    found = groups_of({10: "a"}, known(SHELL))
    assert (found["wholly"], found["sentence"]) == (None, "1 process runs")
    assert groups_of({}, {})["sentence"] == "no processes"


def test_one_call_may_go_on_while_another_stands_still() -> None:
    found = groups_of({10: "a", 12: "b"}, known(SHELL, CHILD, AWAY, BELOW), {10})
    assert [(row["call"], row["stopped"]) for row in found["groups"]] == [("a", True), ("b", False)]
    assert (found["wholly"], found["sentence"]) == (True, "2 processes run; wholly frozen: 2 processes stand still")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads the processes in /proc")
def test_this_process_is_in_the_table() -> None:
    assert table()[os.getpid()].group == os.getpgrp()
