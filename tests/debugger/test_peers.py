"""Who may come in: the same user, and nothing that descends from the daemon, however it hides."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from debugger.peers import LONGEST, admitted, descends, supported
from debugger.protocol import Failure
from runtime.tools.proctable import Process, look
from tests.arch.tree import ROOT

pytestmark = pytest.mark.skipif(not supported(), reason="only Linux says who connects")

Table = dict[int, tuple[int, int]]
"""Parent and time of start by pid."""


def over(table: Table, later: Table | None = None, after: int = 0) -> "Looker":
    return Looker(table, later or table, after)


class Looker:
    """/proc as a table that becomes another one after some looks."""

    def __init__(self, table: Table, later: Table, after: int) -> None:
        self.table, self.later, self.left = table, later, after

    def __call__(self, pid: int) -> Process | None:
        table = self.table if self.left > 0 else self.later
        self.left -= 1
        found = table.get(pid)
        return None if found is None else Process(pid, "a", "S", found[0], pid, pid, found[1])


DAEMON: Final = 50
HOUSE: Final[Table] = {1: (0, 0), 40: (1, 5), DAEMON: (40, 10), 60: (DAEMON, 20), 61: (60, 30), 70: (40, 15)}


@pytest.mark.parametrize(
    ("pid", "answer"), [(DAEMON, True), (60, True), (61, True), (70, False), (40, False), (1, False)]
)
def test_the_line_of_ancestors_says_who_descends_from_the_daemon(pid: int, answer: bool) -> None:
    assert descends(pid, DAEMON, over(HOUSE)) is answer


def test_a_process_that_loses_its_parent_while_it_is_looked_at_still_descends() -> None:
    orphaned = {**HOUSE, 61: (DAEMON, 30)}
    del orphaned[60]
    for after in range(8):
        assert descends(61, DAEMON, over(HOUSE, orphaned, after))


def test_a_parent_whose_pid_was_given_to_somebody_else_is_not_believed() -> None:
    stranger = {**HOUSE, 60: (1, 31)}
    with pytest.raises(Failure, match="cannot be told"):
        descends(61, DAEMON, over(stranger))
    settled = {**HOUSE, 60: (1, 31), 61: (DAEMON, 30)}
    for after in range(1, 8):
        assert descends(61, DAEMON, over(stranger, settled, after))


def test_in_doubt_nobody_descends_from_nobody() -> None:
    tables: tuple[Table, ...] = (
        {},
        {61: (60, 30)},
        {61: (61, 30)},
        {number: (number + 1, 0) for number in range(2, LONGEST * 2)},
    )
    for table in tables:
        with pytest.raises(Failure, match="cannot be told") as caught:
            descends(61, DAEMON, over(table))
        assert caught.value.code == "denied"


def test_another_user_is_refused() -> None:
    near, far = socket.socketpair(socket.AF_UNIX)
    with near, far:
        with pytest.raises(Failure, match="belongs to user"):
            admitted(near, uid=os.getuid() + 1, daemon=1)


def test_the_daemon_itself_and_its_children_are_refused_and_its_parent_is_not() -> None:
    near, far = socket.socketpair(socket.AF_UNIX)
    with near, far:
        for daemon in (os.getpid(), os.getppid()):
            with pytest.raises(Failure, match="started by the daemon"):
                admitted(near, os.getuid(), daemon)
        other = subprocess.Popen(["sleep", "60"])
        try:
            assert admitted(near, os.getuid(), other.pid).pid == os.getpid()
        finally:
            other.kill()
            other.wait()


# --- with real processes


TWICE: Final = (
    "import os, sys; os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0); "
    "os.execvp('sh', ['sh', '-c', sys.argv[1]])"
)


class Daemon:
    """A daemon in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "private" / "debug.sock"
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests/debugger/daemon.py"), str(self.path)],
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.line() == "ready"

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def runs(self, command: str) -> str:
        assert self.process.stdin is not None
        print(command, file=self.process.stdin, flush=True)
        return self.line()

    def visit(self, name: str, seconds: float = 0) -> str:
        return f"{sys.executable} {ROOT}/tests/debugger/visitor.py {self.path} {self.folder}/{name} {seconds}"

    def saw(self, name: str) -> str:
        """What a visitor wrote, which may still be on its way."""
        for _ in range(600):
            if (self.folder / name).exists():
                return (self.folder / name).read_text()
            time.sleep(0.05)
        return "nothing came"


@contextmanager
def living(folder: Path) -> Iterator[Daemon]:
    daemon = Daemon(folder)
    try:
        yield daemon
    finally:
        daemon.process.kill()
        daemon.process.communicate()


@pytest.mark.slow
def test_a_command_that_an_agent_runs_cannot_reach_the_socket_however_it_hides(tmp_path: Path) -> None:
    with living(tmp_path) as daemon:
        started = [sys.executable, *daemon.visit("stranger").split()[1:]]
        subprocess.run(started, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, check=True, timeout=60)
        assert daemon.saw("stranger") == "ok"
        hiding = {
            "plain": daemon.visit("plain"),
            "session": f"setsid {daemon.visit('session')}",
            "orphan": f"({daemon.visit('orphan', 0.3)} &)",
            "hidden": f"(setsid nohup {daemon.visit('hidden', 0.3)} >/dev/null 2>&1 &)",
            "daemon": f"{sys.executable} -c \"{TWICE}\" '{daemon.visit('daemon', 0.3)}'",
            "exec": f"exec env -i PYTHONPATH={ROOT} {daemon.visit('exec')}",
        }
        for name, command in hiding.items():
            assert daemon.runs(command) == "code 0", name
        for name in hiding:
            assert "denied" in daemon.saw(name), name
            assert "started by the daemon" in daemon.saw(name), name


@pytest.mark.slow
def test_orphans_are_reaped_and_the_exit_status_of_a_child_is_not_taken(tmp_path: Path) -> None:
    with living(tmp_path) as daemon:
        for code in (0, 3, 7):
            assert daemon.runs(f"(sleep 0.2 &) ; (sleep 0.3 &) ; exit {code}") == f"code {code}"
        for _ in range(200):
            if daemon.runs("?") == "reaped 6":
                break
            time.sleep(0.05)
        assert daemon.runs("?") == "reaped 6"
        found = [look(int(one.name)) for one in Path("/proc").iterdir() if one.name.isdecimal()]
        assert [one for one in found if one is not None and one.parent == daemon.process.pid] == []
