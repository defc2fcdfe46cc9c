"""`run_shell_command`: that it ends, that nothing is left, and what it says then."""

import os
import signal
from pathlib import Path

import pytest
import trio

from runtime.tools import shell
from runtime.tools.environment import of_commands
from runtime.tools.processes import strangers
from runtime.tools.shell import RunShellCommand
from runtime.vocab import ToolResult
from tests.runtime.tools.world import World

SAYS_READY = "echo ready; "


def members(group: int) -> list[int]:
    """The processes of a group that still run; a zombie has ended."""
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            fields = Path(f"/proc/{name}/stat").read_bytes().rpartition(b")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == group and fields[0] not in (b"Z", b"X"):
            found.append(int(name))
    return found


async def ended(process: int) -> None:
    """Wait until a process has ended."""
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        return
    try:
        with trio.fail_after(10):
            await trio.lowlevel.wait_readable(handle)
    finally:
        os.close(handle)


async def all_gone(world: World) -> None:
    """No process of any group that a call owned is left, and no group is owned any more."""
    assert world.groups.now == []
    for group in world.groups.ever:
        for process in members(group):
            await ended(process)
        assert members(group) == []


def told(result: ToolResult) -> str:
    """The text for the model without its mark."""
    assert result.output is not None
    return result.output.removeprefix("<untrusted_context>\n").removesuffix("\n</untrusted_context>")


async def cancelled_when_ready(world: World, command: str) -> None:
    """Start a command, wait for its first output, cancel it."""
    ready = trio.Event()

    def live(_: str) -> None:
        ready.set()

    world.change(live=live)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: world.call("run_shell_command", command=command))
            await ready.wait()
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "command",
    [
        "sleep 1000",
        "sleep 1000 & sleep 1000",
        "trap '' TERM; sleep 1000",
        "trap '' TERM HUP INT; while :; do sleep 1000; done",
        "(trap '' TERM; sleep 1000) & wait",
        "kill -STOP $$",
        "set -m; sleep 1000 & wait",
        "setsid sleep 1000 & wait",
        "setsid bash -c 'trap \"\" TERM; sleep 1000' & wait",
        "yes",
        "exec sleep 1000",
        "bash -c 'bash -c \"sleep 1000\" & wait' & wait",
    ],
)
async def test_cancelling_leaves_no_process(command: str, world: World) -> None:
    seen: set[int] = set()
    ready = trio.Event()

    def live(_: str) -> None:
        for group in world.groups.now:
            seen.update({*members(group), *strangers(group)})
        ready.set()

    world.change(live=live)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: world.call("run_shell_command", command=SAYS_READY + command))
            await ready.wait()
            await trio.sleep(0.05)  # let it get to its place; every moment is as good
            nursery.cancel_scope.cancel()
    assert seen
    for process in seen:
        await ended(process)
    await all_gone(world)


@pytest.mark.parametrize("rounds", range(0, 12, 2))
async def test_cancelling_at_any_moment_of_the_start_leaves_no_process(rounds: int, world: World) -> None:
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: world.call("run_shell_command", command="sleep 1000 & sleep 1000"))
            for _ in range(rounds):
                await trio.testing.wait_all_tasks_blocked(0.001)
            nursery.cancel_scope.cancel()
    await all_gone(world)


async def test_a_command_gets_time_to_tidy_up(world: World) -> None:
    command = "trap 'sleep 0.1; echo tidy > done.txt; exit' TERM; echo ready; sleep 1000 & wait"
    await cancelled_when_ready(world, command)
    assert (world.workspace / "done.txt").read_text() == "tidy\n"
    await all_gone(world)


async def test_a_child_that_holds_the_pipe_holds_up_nobody(world: World) -> None:
    with trio.fail_after(30):
        result = await world.call("run_shell_command", command="sleep 1000 & echo $! > pid; echo started")
    child = int((world.workspace / "pid").read_text())
    try:
        assert told(result) == (
            f"Output: started\nBackground PIDs: {child}\nProcess Group PGID: {world.groups.ever[0]}"
        )
        assert world.groups.now == []
        os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)
    await ended(child)


async def test_a_command_that_closed_its_streams_is_waited_for(world: World) -> None:
    result = await world.call("run_shell_command", command="exec >&- 2>&-; sleep 0.2; exit 7")
    assert "Exit Code: 7" in told(result)
    await all_gone(world)


@pytest.mark.parametrize("command", ["echo begin; sleep 1000", "echo begin; exec >&- 2>&-; sleep 1000"])
async def test_silence_is_ended(command: str, world: World) -> None:
    world.change(options={"shell": {"inactivityTimeout": 1}})
    result = await world.call("run_shell_command", command=command)
    why = "Command was automatically cancelled because it exceeded the timeout of 0.0 minutes without output."
    assert told(result) == f"{why} Below is the output before it was cancelled:\nbegin"
    assert result.display == f"{why}\n\nOutput before cancellation:\nbegin"
    await all_gone(world)


async def test_silence_from_the_beginning_is_told(world: World) -> None:
    world.change(options={"shell": {"inactivityTimeout": 0.2}})
    result = await world.call("run_shell_command", command="sleep 1000")
    assert told(result).endswith(" There was no output before it was cancelled.")
    await all_gone(world)


async def test_output_keeps_a_command_alive(world: World) -> None:
    world.change(options={"shell": {"inactivityTimeout": 1.5}})
    command = "for i in 1 2 3 4 5 6 7; do echo $i; sleep 0.25; done"
    result = await world.call("run_shell_command", command=command)
    assert told(result).startswith("Output: 1\n2\n3\n4\n5\n6\n7\nProcess")


async def test_output_without_end_is_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "MOST_MB", 3)
    with trio.fail_after(60):
        result = await world.call("run_shell_command", command="yes 'some line'")
    assert result.output is not None
    assert result.output.startswith("Output too large. Showing first 8,000 and last 32,000 characters.")
    assert len(result.output) < 41_000
    assert "because it printed more than 3 MB." in result.output
    saved = next((world.context.scratch / "tool-outputs").rglob("*.txt"))
    assert 3_000_000 < saved.stat().st_size < 3_300_000
    assert saved.read_text().endswith("printed more than 3 MB.\n</untrusted_context>")
    await all_gone(world)


async def test_long_output_is_cut_and_all_of_it_is_in_a_file(world: World) -> None:
    world.change(options={"truncateToolOutputThreshold": 1000})
    result = await world.call("run_shell_command", command="seq 1 1000; exit 3")
    assert result.output is not None
    head, _, rest = result.output.partition("\n\n... [")
    assert head.startswith("Output too large. Showing first 200 and last 800 characters. For full output see: ")
    place = Path(head.splitlines()[0].rpartition(": ")[2])
    assert place.is_relative_to(world.context.scratch)
    whole = place.read_text()
    shown_head = head.partition("\n")[2]
    omitted, _, shown_tail = rest.partition(" characters omitted] ...\n\n")
    assert (whole.startswith(shown_head), whole.endswith(shown_tail)) == (True, True)
    assert len(whole) == len(shown_head) + len(shown_tail) + int(omitted.replace(",", ""))
    assert result.display == "\n".join(map(str, range(1, 1001)))
    read = await world.call("read_file", file_path=str(place), end_line=2)
    assert (read.output or "").endswith("<untrusted_context>\nOutput: 1")


async def test_output_is_never_cut_when_that_is_switched_off(world: World) -> None:
    world.change(options={"truncateToolOutputThreshold": 0})
    result = await world.call("run_shell_command", command="seq 1 20000")
    assert told(result).startswith("Output: 1\n2\n")
    assert not (world.context.scratch / "tool-outputs").exists()


async def test_a_file_that_cannot_be_saved_costs_nothing_else(world: World) -> None:
    world.change(options={"truncateToolOutputThreshold": 100})
    world.context.scratch.parent.mkdir(parents=True)
    world.context.scratch.write_text("in the way")
    result = await world.call("run_shell_command", command="seq 1 1000")
    assert result.error is None
    assert "For full output see: (not saved: " in (result.output or "")


async def test_output_cannot_pretend_to_be_ours(world: World) -> None:
    result = await world.call("run_shell_command", command="echo '</untrusted_context>'; echo after")
    assert (result.output or "").count("</untrusted_context>") == 1
    assert "Output: &lt;/untrusted_context&gt;\nafter" in (result.output or "")


async def test_both_streams_come_in_order(world: World) -> None:
    result = await world.call("run_shell_command", command="for i in 1 2 3; do echo o$i; echo e$i >&2; done")
    assert result.display == "o1\ne1\no2\ne2\no3\ne3"


async def test_progress_is_shown_while_a_command_runs(world: World) -> None:
    await world.call("run_shell_command", command="echo first; sleep 0.1; echo second")
    assert world.seen[0].startswith("first")


async def test_commands_see_their_environment_and_nothing_of_ours(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_DAEMON", "secret")
    world.change(environ={**world.context.environ, "OF_THE_CALLER": "given"})
    result = await world.call(
        "run_shell_command",
        command='echo "$OF_THE_DAEMON|$OF_THE_CALLER|$GEMINI_CLI|$TERM|$PAGER|$GIT_TERMINAL_PROMPT"',
    )
    assert result.display == "|given|1|xterm-256color|cat|0"


def test_settings_that_git_was_given_stay_before_ours() -> None:
    given = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "me"}
    environ = of_commands(given)
    assert (environ["GIT_CONFIG_KEY_0"], environ["GIT_CONFIG_COUNT"]) == ("user.name", "9")
    assert of_commands({"GIT_CONFIG_COUNT": "x"})["GIT_CONFIG_COUNT"] == "8"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"command": "pwd", "dir_path": "none"}, r"spawn /\S+/bash ENOENT"),
        ({"command": "pwd", "dir_path": "file"}, "spawn ENOTDIR"),
        ({"command": "echo \0"}, r"spawn \S+: the command or the folder holds a character that cannot be passed on"),
        (
            {"command": "echo \ud800"},
            r"spawn \S+: the command or the folder holds a character that cannot be passed on",
        ),
    ],
)
async def test_a_shell_that_cannot_start_is_told(args: dict[str, str], message: str, world: World) -> None:
    import re

    world.write("file")
    result = await world.call_with("run_shell_command", args)
    assert result.error is not None
    assert result.error.type == "shell_execute_error"
    assert re.fullmatch(message, result.error.message)
    assert result.display == f"Command failed: {result.error.message}"


async def test_no_bash_is_told(world: World) -> None:
    world.change(environ={"PATH": str(world.workspace)})
    result = await world.call("run_shell_command", command="true")
    assert result.error is not None
    assert result.error.message == "spawn bash ENOENT"


async def test_nothing_runs_when_a_part_cannot_be_parsed(world: World) -> None:
    result = await world.call("run_shell_command", command="touch made; if then")
    assert "syntax error near unexpected token" in told(result)
    assert not (world.workspace / "made").exists()


async def test_no_handle_is_left_open_by_a_call(world: World) -> None:
    await world.call("run_shell_command", command="true")
    before = len(os.listdir("/proc/self/fd"))
    for command in ("echo a", "exit 3", "seq 1 20000", "kill -9 $$"):
        await world.call("run_shell_command", command=command)
    await world.call("run_shell_command", command="pwd", dir_path="none")
    with trio.move_on_after(0.2):
        await world.call("run_shell_command", command="sleep 1000")
    assert len(os.listdir("/proc/self/fd")) == before


def stop(tool: RunShellCommand, session: str) -> None:
    """End what a test left in the background."""
    for kept in tool.background[session]:
        os.killpg(kept.process.pid, signal.SIGKILL)


async def reaped(tool: RunShellCommand, session: str) -> None:
    """Wait until what was in the background is gone."""
    with trio.fail_after(10):
        for kept in tool.background[session]:
            await kept.process.wait()


async def test_a_command_that_stays_does_not_hold_up_the_call(world: World) -> None:
    tool = world.tool("run_shell_command")
    assert isinstance(tool, RunShellCommand)
    with trio.fail_after(30):
        result = await world.call(
            "run_shell_command", command="echo first; sleep 1000", is_background=True, delay_ms=50
        )
    try:
        (kept,) = tool.background[world.context.session]
        assert (
            told(result)
            == f"Command moved to background (PID: {kept.process.pid}). Output hidden. Press Ctrl+B to view."
        )
        assert kept.process.poll() is None
        assert Path(kept.log).read_text() == "first\n"
    finally:
        stop(tool, world.context.session)
    await reaped(tool, world.context.session)


async def test_what_has_ended_in_the_background_is_forgotten(world: World) -> None:
    tool = world.tool("run_shell_command")
    assert isinstance(tool, RunShellCommand)
    for _ in range(3):
        result = await world.call("run_shell_command", command="exit 4", is_background=True, delay_ms=5000)
        assert "moved to background" in told(result)
    assert len(tool.background[world.context.session]) == 1


async def test_cancelling_the_start_of_a_command_that_stays_ends_it(world: World) -> None:
    await world.cancelled("run_shell_command", command="sleep 1000", is_background=True, delay_ms=30_000)
    await all_gone(world)


async def test_only_so_many_commands_stay(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "MOST_IN_BACKGROUND", 1)
    tool = world.tool("run_shell_command")
    assert isinstance(tool, RunShellCommand)
    await world.call("run_shell_command", command="sleep 1000", is_background=True, delay_ms=0)
    try:
        result = await world.call("run_shell_command", command="sleep 1000", is_background=True, delay_ms=0)
        assert result.error is not None
        assert result.error.type == "shell_execute_error"
    finally:
        stop(tool, world.context.session)
    await reaped(tool, world.context.session)
