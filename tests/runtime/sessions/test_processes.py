"""A pause reaches the processes of a tool: real ones, in a group of their own."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE

import pytest
import trio

from runtime.ports import ToolContext
from runtime.sessions.processes import ProcessGroups
from runtime.sessions.session import Session
from runtime.step import Phase, StepKind
from runtime.step import events as ev
from runtime.vocab import JsonObject, ToolResult
from tests.fakes.world import World, calls, running, text

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads the states of processes in /proc")

# Nothing but builtins: a shell that waits for the child of a vfork is `D` and not `T` when both are stopped.
COUNTING = "for n in 1 2 3 4 5 6 7 8; do echo $n; i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; done"
COUNTED = "1\n2\n3\n4\n5\n6\n7\n8\n"
DEAF = "trap '' TERM; echo ready; while :; do :; done"


def status(process: int) -> str:
    """The letter that the kernel gives for what a process does; `gone` when there is none."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "gone"


async def becomes(wanted: Callable[[], bool]) -> None:
    """Wait for something that only the kernel knows."""
    with trio.fail_after(10):
        while not wanted():  # noqa: ASYNC110 - the kernel sends no event
            await trio.sleep(0.005)


class Shell:
    """A tool that runs a command as the leader of a group and gives back what it printed."""

    def __init__(self, command: str) -> None:
        self.command = command
        self.started: list[int] = []
        self.lines: list[bytes] = []
        self.wait: trio.Event | None = None

    async def __call__(self, args: JsonObject, context: ToolContext) -> ToolResult:
        if self.wait is not None:
            await self.wait.wait()
        process = await trio.lowlevel.open_process(
            ["sh", "-c", self.command], stdin=None, stdout=PIPE, start_new_session=True
        )
        assert process.stdout is not None
        self.started.append(process.pid)
        with context.processes.adopt(process.pid):
            try:
                async with process.stdout:
                    async for data in process.stdout:
                        self.lines.append(bytes(data))
                await process.wait()
            finally:
                if process.returncode is None:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    with trio.move_on_after(5, shield=True):
                        await process.wait()
        return ToolResult(output=b"".join(self.lines).decode())


def using(world: World, *commands: str) -> list[Shell]:
    """Let the tools `read` and `shell` run these commands."""
    shells = [Shell(command) for command in commands]
    for name, shell in zip(("read", "shell"), shells, strict=False):
        world.tools.tools[name].acts = shell
    return shells


def answers(session: Session) -> list[object]:
    """What the model was told of the calls of the first turn."""
    return [part["functionResponse"]["response"] for part in session.state.history[2].parts]


async def test_a_process_stands_still_with_its_session_and_goes_on_with_it() -> None:
    async with running([calls(("read", {}))], [text("done")]) as world:
        (shell,) = using(world, COUNTING)
        session = world.open()
        world.say(session)
        await becomes(lambda: len(shell.lines) >= 2)
        world.dispatcher.hold(session, "ann")
        await becomes(lambda: status(shell.started[0]) == "T")
        await trio.sleep(0.05)  # what it wrote before it was stopped arrives
        written = len(shell.lines)
        await trio.sleep(0.15)
        assert len(shell.lines) == written
        assert session.processes.groups == {shell.started[0]}
        world.dispatcher.release(session, "ann")
        assert (await world.rest(session)).phase is Phase.DONE
        assert answers(session) == [{"output": COUNTED}]
        assert session.processes.groups == frozenset()
        assert status(shell.started[0]) == "gone"


async def test_a_process_started_in_a_pause_starts_stopped() -> None:
    async with running([calls(("read", {}))], [text("done")]) as world:
        (shell,) = using(world, COUNTING)
        shell.wait = trio.Event()
        session = world.open()
        world.say(session)
        await world.until(session, lambda one: bool(one.state.turn and one.state.turn.calls))
        await trio.sleep(0.01)
        world.dispatcher.hold(session, "ann")
        shell.wait.set()
        await becomes(lambda: bool(shell.started) and status(shell.started[0]) == "T")
        assert session.state.phase is Phase.CALLS
        world.dispatcher.release(session, "ann")
        await world.rest(session)
        assert answers(session) == [{"output": COUNTED}]


@pytest.mark.parametrize("command", [COUNTING, DEAF])
@pytest.mark.parametrize("held", [True, False])
async def test_no_process_outlives_a_cancelled_prompt(command: str, held: bool) -> None:
    async with running([calls(("read", {}))]) as world:
        (shell,) = using(world, command)
        session = world.open()
        world.say(session)
        await becomes(lambda: bool(shell.lines))
        if held:
            world.dispatcher.hold(session, "ann")
        world.dispatcher.control(session, ev.Cancelled("ann"), "ann")
        assert session.state.phase is Phase.CANCELLED
        await becomes(lambda: status(shell.started[0]) == "gone")
        await becomes(lambda: not session.processes.groups)


async def test_a_stop_at_one_of_two_parallel_calls_stops_the_process_of_the_other() -> None:
    async with running([calls(("read", {}), ("shell", {}))], [text("done")]) as world:
        first, second = using(world, COUNTING, "echo second")
        session = world.open()
        world.stop(StepKind.CALL_RESULT)
        world.say(session)
        await world.held(session)  # before the result of the second
        assert second.lines == [b"second\n"]
        await becomes(lambda: bool(first.started) and status(first.started[0]) == "T")
        world.dispatcher.release(session, "ann")
        await world.rest(session)
        assert answers(session) == [{"output": COUNTED}, {"output": "second\n"}]


async def test_a_process_runs_while_its_session_takes_a_granted_step() -> None:
    async with running([calls(("read", {}))], [text("done")]) as world:
        (shell,) = using(world, COUNTING)
        session = world.open()
        world.stop(StepKind.CALL_RUN)
        world.say(session)
        await world.held(session)
        world.dispatcher.step(session, "ann")
        hold = (await world.held(session)).hold
        assert hold is not None
        assert hold.step == "call.result"
        assert b"".join(shell.lines).decode() == COUNTED


async def test_a_group_is_given_back_running() -> None:
    groups = ProcessGroups()
    process = await trio.lowlevel.open_process(["sleep", "60"], start_new_session=True)
    try:
        groups.freeze()
        with groups.adopt(process.pid):
            await becomes(lambda: status(process.pid) == "T")
        await becomes(lambda: status(process.pid) in "SR")
        process.terminate()  # which a stopped process would not feel
        with trio.fail_after(5):
            assert await process.wait() == -signal.SIGTERM
    finally:
        process.kill()


async def test_a_group_that_is_gone_is_nobody_s_trouble() -> None:
    groups = ProcessGroups()
    process = await trio.lowlevel.open_process(["true"], start_new_session=True)
    with groups.adopt(process.pid):
        await process.wait()
        groups.freeze()
        groups.thaw()
    groups.thaw()
    assert groups.groups == frozenset()


async def test_thawing_wakes_nobody_whom_no_pause_has_stopped() -> None:
    groups = ProcessGroups()
    process = await trio.lowlevel.open_process(["sh", "-c", "kill -STOP $$; exec sleep 60"], start_new_session=True)
    try:
        with groups.adopt(process.pid):
            await becomes(lambda: status(process.pid) == "T")
            groups.thaw()
            await trio.sleep(0.05)
            assert status(process.pid) == "T"
    finally:
        process.kill()
        with trio.move_on_after(10, shield=True):
            await process.wait()
