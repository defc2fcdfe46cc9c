"""A disk that takes nothing: the run says so, goes on when there is room, and never says that it kept what it lost.

A limit on the size of files stands in for the full disk (setrlimit(2)): it can be lifted from outside.
"""

import json
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import define, field

from tests.e2e.command import Command

ANSWERS = [[{"functionCall": {"name": "run_shell_command", "args": {"command": "kill -STOP $PPID"}}}], [{"text": "ok"}]]
ROOMY = resource.RLIM_INFINITY
pytestmark = pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux lets one change another's limits")


@pytest.fixture
def command(tmp_path: Path) -> Command:
    # Python does not notice when a limit cuts off a compiled module, and the next one would load that.
    made = Command(tmp_path, environ={"PYTHONDONTWRITEBYTECODE": "1"})
    (made.home / ".gemini" / "settings.json").write_text(json.dumps(made.settings))
    for name, answers in (("one", ANSWERS[1:]), ("two", ANSWERS)):
        chunks = [{"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]} for parts in answers]
        rows = [json.dumps({"method": "generateContentStream", "response": [chunk]}) + "\n" for chunk in chunks]
        (tmp_path / name).write_text("".join(rows))
    return made


@define(eq=False)
class Running:
    """A run under way, and what it said on standard error so far."""

    process: trio.Process
    said: bytearray = field(factory=bytearray)
    news: trio.Condition = field(factory=trio.Condition)

    def limit(self, size: int) -> None:
        """Let its files grow up to that size."""
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, ROOMY))

    async def read(self) -> None:
        """Take in what it says."""
        stream: Any = self.process.stderr
        async for piece in stream:
            self.said.extend(piece)
            async with self.news:
                self.news.notify_all()

    async def says(self, text: str) -> None:
        """Wait until it has said so."""
        async with self.news:
            while text not in self.said.decode():
                await self.news.wait()


@asynccontextmanager
async def running(command: Command, *words: str, limit: int) -> AsyncIterator[Running]:
    """Run the command with a limit on its files, in KiB."""
    bare = ["-p", "go", "-y", "-m", "gemini-2.5-flash", *words]
    with trio.fail_after(60):
        process = await trio.lowlevel.open_process(
            ["bash", "-c", 'ulimit -S -f "$0"; exec "$@"', str(limit), sys.executable, "-m", "runtime.app.main", *bare],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=command.workspace,
            env=command.environment(),
        )
        run = Running(process)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run.read)
            try:
                yield run
                await process.wait()
            finally:
                process.kill()


async def test_a_run_says_once_that_it_waits_for_the_disk_and_goes_on_when_there_is_room(command: Command) -> None:
    journal = command.folder / "j.jsonl"
    async with running(
        command, "--fake-responses", str(command.folder / "one"), "--state", str(journal), limit=1
    ) as run:
        await run.says("waits until it can be written")
        await trio.sleep(1.5)  # a second look has nothing new to say
        run.limit(ROOMY)
    assert run.process.returncode == 0
    assert run.said.decode() == (
        f"twinstep: {journal}: cannot be written: File too large; this run waits until it can be written.\n"
    )
    assert journal.stat().st_size > 1000


async def test_a_signal_ends_the_wait_soon_and_says_what_was_lost(command: Command) -> None:
    journal = command.folder / "j.jsonl"
    async with running(
        command, "--fake-responses", str(command.folder / "one"), "--state", str(journal), limit=1
    ) as run:
        await run.says("waits until it can be written")
        begun = trio.current_time()
        run.process.send_signal(signal.SIGTERM)
        await run.process.wait()
        assert trio.current_time() - begun < 3  # the patience of a run that nobody hurries is 5 s
    last = run.said.decode().splitlines()[-1]
    assert run.process.returncode == 143
    assert last.startswith(f"twinstep: Stopped by SIGTERM. {journal}: closed with ")
    assert " records not written: " in last
    assert "--resume" not in last
    assert journal.read_bytes() == b""


async def test_where_the_beginning_of_a_prompt_was_written_the_last_word_says_so(command: Command) -> None:
    journal = command.folder / "j.jsonl"
    async with running(
        command, "--fake-responses", str(command.folder / "two"), "--state", str(journal), limit=10_000
    ) as run:
        await stopped(run.process.pid)
        run.limit(journal.stat().st_size)
        run.process.send_signal(signal.SIGCONT)
        await run.says("waits until it can be written")
        run.process.send_signal(signal.SIGTERM)
    assert run.process.returncode == 143
    assert (
        run.said.decode()
        .splitlines()[-1]
        .endswith(
            ": cannot be written: File too large. "
            "What was written of the open prompt is in the journal: twinstep --resume latest goes on with it."
        )
    )


async def stopped(process: int) -> None:
    """Wait until a process has been stopped by SIGSTOP."""
    while Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"T":  # noqa: ASYNC110
        await trio.sleep(0.02)


@pytest.mark.parametrize("words", [["-p", "go", "--state"], ["replay"]])
async def test_a_database_without_room_to_be_opened_is_said_to_have_none(command: Command, words: list[str]) -> None:
    database = command.folder / "all.db"
    played = ["-m", "gemini-2.5-flash", "--fake-responses", str(command.folder / "one")]
    assert (await command("-p", "go", *played, "--state", str(database))).code == 0
    more = played if "-p" in words else []
    limited = ["bash", "-c", 'ulimit -f 8; exec "$@"', "-", sys.executable, "-m", "runtime.app.main"]
    ran = await trio.run_process(
        [*limited, *words, database, *more],
        stdin=subprocess.DEVNULL,
        capture_stderr=True,
        check=False,
        cwd=command.workspace,
        env=command.environment(),
    )
    assert ran.returncode == 1
    told = ran.stderr.decode()
    assert told.count("\n") == 1
    why = "opened: File too large" if more else f"read: no room for the file {database}-shm"
    assert told == f"twinstep: {database}: cannot be {why} (disk I/O error)\n"
