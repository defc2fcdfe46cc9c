"""A pause stops a real shell command whole: every process of its group, its counters, and nothing of it is lost."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from runtime.sessions.performer import Surroundings
from runtime.sessions.session import Session
from runtime.step import Phase
from runtime.tools.shell import RunShellCommand
from tests.fakes.studio import House, Person, studio
from tests.fakes.world import calls, text

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads the states of processes in /proc")

LINES = 60
# Of bash, which forks: a shell that waits for the child of a vfork is `D` and not `T` when both are stopped.
COUNT = "for ((n = 1; n <= $2; n++)); do echo $n >> $1; echo $1 $n; sleep 0.02; done"
COUNTING = f"bash count left {LINES} & bash count right {LINES}; wait"
ESCAPED = "setsid bash count escaped 100000 > /dev/null & bash count kept 100000"


@asynccontextmanager
async def shell(folder: Path, command: str) -> AsyncIterator[tuple[House, Session, Person]]:
    """A session whose model runs a command with the shell tool of the product, and who drives it."""
    (folder / "count").write_text(COUNT)
    async with studio([calls((RunShellCommand.spec.name, {"command": command}))], [text("done")]) as house:
        house.world.tools.tools[RunShellCommand.spec.name] = RunShellCommand()  # type: ignore[assignment]
        environ = {"PATH": os.environ["PATH"]}
        around = Surroundings(folder, folder / "scratch", folder, environ, {})
        house.world.dispatcher.performer.surroundings = lambda settings: around
        session = house.open()
        ann = await house.driver(session)
        house.world.say(session)
        yield house, session, ann
        assert not session.processes.groups


async def becomes(wanted: Callable[[], bool]) -> None:
    """Wait for something that only the kernel knows."""
    with trio.fail_after(20):
        while not wanted():  # noqa: ASYNC110 - the kernel sends no event
            await trio.sleep(0.005)


def counted(file: Path) -> int:
    """How far a counter has come."""
    return len(file.read_text().split()) if file.exists() else 0


def states(group: int) -> Iterator[str]:
    """The kernel's letters for all processes of a group, zombies left out."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            found = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(found[2]) == group and found[0] != "Z":
            yield found[0]


def stands(group: int) -> bool:
    """Whether every process of a group is stopped."""
    return set(states(group)) == {"T"}


async def asked(ann: Person) -> Any:
    """What the debugger says about the processes of the session."""
    return (await ann.ask("tasks", session="s"))["processes"]


@pytest.mark.slow
async def test_a_shell_command_stands_still_in_a_pause_and_ends_as_if_there_had_been_none(tmp_path: Path) -> None:
    async with shell(tmp_path, COUNTING) as (house, session, ann):
        await becomes(lambda: counted(tmp_path / "left") > 3 and counted(tmp_path / "right") > 3)
        held = await ann.ask("pause", session="s")
        (group,) = session.processes.groups
        await becomes(lambda: stands(group))
        assert len(list(states(group))) >= 3, "the whole group was to be looked at"
        found = await asked(ann)
        assert (found["wholly"], found["escaped"]) == (True, [])
        assert {one["state"] for one in found["groups"][0]["processes"]} <= {"T", "Z"}
        before = counted(tmp_path / "left"), counted(tmp_path / "right")
        await trio.sleep(0.3)
        assert (counted(tmp_path / "left"), counted(tmp_path / "right")) == before
        assert max(before) < LINES
        await ann.ask("continue", session="s", generation=held["generation"])
        with trio.fail_after(30):
            state = await house.world.rest(session)
        assert (state.phase, state.answer) == (Phase.DONE, "done")
        told = state.history[2].parts[0]["functionResponse"]["response"]["output"].replace("Output: ", "")
        for name in ("left", "right"):
            lines = [line for line in told.splitlines() if line.startswith(name)]
            assert lines == [f"{name} {n}" for n in range(1, LINES + 1)]
            assert counted(tmp_path / name) == LINES


async def test_a_process_that_left_its_group_runs_on_and_the_pause_is_told_to_be_not_whole(tmp_path: Path) -> None:
    async with shell(tmp_path, ESCAPED) as (_, session, ann):
        await becomes(lambda: counted(tmp_path / "escaped") > 3 and counted(tmp_path / "kept") > 3)
        await ann.ask("pause", session="s")
        (group,) = session.processes.groups
        await becomes(lambda: stands(group))
        kept, escaped = counted(tmp_path / "kept"), counted(tmp_path / "escaped")
        await becomes(lambda: counted(tmp_path / "escaped") > escaped + 3)
        assert counted(tmp_path / "kept") == kept
        found = await asked(ann)
        assert found["wholly"] is False
        leader = next(one for one in found["escaped"] if one["name"] == "bash")
        assert found["sentence"].startswith("not fully frozen: ")
        assert f"bash ({leader['pid']})" in found["sentence"]
        await ann.ask("cancel", session="s", reason="enough")
        await ann.ask("continue", session="s", generation=session.state.generation)
        await becomes(lambda: not session.processes.groups)
        await becomes(lambda: not Path(f"/proc/{leader['pid']}").exists())
        assert session.state.phase is Phase.CANCELLED
