"""What the kernel says of processes: read whatever their names are, and left out where they have ended."""

import os
from pathlib import Path

import pytest

from runtime.tools.proctable import Process, look, parsed, processes

REST = b" 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 777 1 2"


@pytest.mark.parametrize(
    ("line", "made"),
    [
        (b"12 (sh) S 1 12 11" + REST, Process(12, "sh", "S", 1, 12, 11, 777)),
        (b"12 (a) b (c) R 3 4 5" + REST, Process(12, "a) b (c", "R", 3, 4, 5, 777)),
        (b"12 (\xff) T 3 4 5" + REST, Process(12, "\ufffd", "T", 3, 4, 5, 777)),
        (b"", None),
        (b"12 (sh", None),
        (b"x (sh) S 1 2 3" + REST, None),
        (b"12 (sh) S 1 12 11", None),
    ],
)
def test_a_line_of_the_kernel_is_read_whatever_the_name(line: bytes, made: Process | None) -> None:
    assert parsed(line) == made


def test_the_table_has_what_is_there_and_skips_what_is_not(tmp_path: Path) -> None:
    (tmp_path / "12").mkdir()
    (tmp_path / "12" / "stat").write_bytes(b"12 (sh) S 1 12 12" + REST)
    (tmp_path / "13").mkdir()
    (tmp_path / "uptime").write_text("1")
    assert list(processes(tmp_path)) == [Process(12, "sh", "S", 1, 12, 12, 777)]
    assert list(processes(tmp_path / "nothing")) == []
    assert look(13, tmp_path) is None


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads the processes in /proc")
def test_this_process_is_in_the_table() -> None:
    found = {one.pid: one for one in processes()}[os.getpid()]
    assert (found.group, found.session, found.parent) == (os.getpgrp(), os.getsid(0), os.getppid())
