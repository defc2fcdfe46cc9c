"""`exec` and `process`: what runs belongs to somebody, ends with it, and is bounded."""

import os
import signal

import pytest
import trio

from runtime.tools import processes
from runtime.tools.claw import background as registry
from runtime.tools.claw import output as outputs
from runtime.tools.claw.background import Background, Job
from tests.runtime.tools.claw.claws import Claws, Dice, Ticking
from tests.runtime.tools.test_shell import all_gone, ended, members

SLEEPS = "echo $$; exec sleep 1000"


def alive(group: int) -> bool:
    """Whether anybody of a group runs."""
    return bool(members(group))


async def gone(group: int) -> None:
    """Wait until nobody of a group runs any more."""
    for process in members(group):
        await ended(process)
    assert members(group) == []


async def said(claw: Claws, name: str, wanted: str) -> None:
    """Wait until a command has printed something."""
    job = claw.background.get(claw.world.context.session, name)
    assert job is not None
    with trio.fail_after(10):
        while wanted not in job.output.kept:
            await job.news.wait()


async def over(claw: Claws, name: str) -> Job:
    """Wait until a command has ended."""
    job = claw.background.get(claw.world.context.session, name)
    assert job is not None
    with trio.fail_after(10):
        await job.over.wait()
    return job


async def test_a_cancelled_call_ends_its_command_with_all_its_processes(claw: Claws) -> None:
    await claw.world.cancelled("exec", command="sleep 1000 & sleep 1000 & wait")
    await all_gone(claw.world)


async def test_a_call_that_lets_go_gives_its_process_back(claw: Claws) -> None:
    result = await claw.call("exec", command=SLEEPS, yieldMs=50)
    assert result.details is not None
    assert result.details["status"] == "running"
    assert claw.world.groups.now == []
    assert claw.world.groups.ever == [result.details["pid"]]
    assert alive(result.details["pid"])


async def test_a_command_is_ended_when_its_time_is_over_in_the_foreground_and_later(claw: Claws) -> None:
    result = await claw.call("exec", command="echo a; exec sleep 1000", timeoutSeconds=0.3)
    assert result.error is not None
    assert result.error.message.startswith("a\n\nCommand timed out after 0.3 seconds.")
    assert result.details is not None
    assert (result.details["exitSignal"], result.details["timedOut"]) == ("SIGTERM", True)
    name = await claw.started("exec sleep 1000", timeoutSeconds=0.2)
    job = await over(claw, name)
    assert job.end is not None
    assert job.end.reason == "overall-timeout"
    assert "exited with signal SIGTERM" in await claw.wrong("process", action="poll", sessionId=name)


async def test_leaving_the_registry_ends_whole_groups_and_what_they_left_behind(claw: Claws) -> None:
    async with Background(Ticking(), Dice()) as other:
        environ = dict(claw.world.context.environ)
        folder = str(claw.world.workspace)
        running = await other.start("s", "sleep 1000 & sleep 1000", folder, environ)
        ended = await other.start("s", "sleep 1000 >/dev/null 2>&1 & exit 0", folder, environ)
        stubborn = await other.start("s", "trap '' TERM; echo ready; while :; do sleep 1; done", folder, environ)
        with trio.fail_after(10):
            await ended.over.wait()
            while "ready" not in stubborn.output.kept:
                await stubborn.news.wait()
        assert alive(ended.pid)
    for job in (running, ended, stubborn):
        await gone(job.pid)
        assert job.end is not None


async def test_a_forgotten_session_leaves_nothing_and_others_are_not_touched(claw: Claws) -> None:
    here = await claw.started(SLEEPS)
    mine = claw.background.get(claw.world.context.session, here)
    assert mine is not None
    claw.world.change(session="another")
    there = await claw.started(SLEEPS)
    theirs = claw.background.get("another", there)
    assert theirs is not None
    assert claw.background.get("another", here) is None
    await claw.background.forget(mine.session)
    await gone(mine.pid)
    assert claw.background.of(mine.session) == []
    assert alive(theirs.pid)


async def test_forgetting_goes_on_when_whoever_asked_for_it_is_cancelled(claw: Claws) -> None:
    name = await claw.started("trap '' TERM; echo ready; while :; do sleep 1; done")
    await said(claw, name, "ready")
    job = claw.background.get(claw.world.context.session, name)
    assert job is not None
    with trio.move_on_after(0):
        await claw.background.forget(job.session)
    await gone(job.pid)


async def test_no_more_commands_run_than_there_may(claw: Claws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "MOST_OF_SESSION", 2)
    await claw.started(SLEEPS)
    name = await claw.started(SLEEPS)
    assert "commands run already" in await claw.wrong("exec", command="true")
    await claw.told("process", action="remove", sessionId=name)
    job = [job for job in claw.background._jobs.values() if job.id == name]
    for one in job:
        await one.over.wait()
    assert await claw.told("exec", command="echo hi") == "hi"


async def test_only_so_many_ended_commands_are_remembered(claw: Claws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "MOST_ENDED", 2)
    names = []
    for number in range(4):
        names.append(await claw.started(f"exit {number}"))
        await over(claw, names[-1])
    assert {job.id for job in claw.background.of(claw.world.context.session)} == set(names[2:])


async def test_only_the_end_of_long_output_is_kept(claw: Claws) -> None:
    name = await claw.started("seq 1 100000")
    job = await over(claw, name)
    assert len(job.output.kept) == outputs.KEPT
    assert job.output.kept.endswith("100000\n")
    told = await claw.told("process", action="poll", sessionId=name)
    assert told.startswith(outputs.GONE + outputs.LEFT_OUT)
    assert len(told) < outputs.UNREAD + 500
    page = await claw.told("process", action="log", sessionId=name)
    assert page.endswith(" lines; pass offset/limit to page]")
    assert len(page.split("\n")) == outputs.LINES + 4


async def test_what_a_frozen_session_runs_stands_still(claw: Claws) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: claw.call("exec", command="while :; do echo x; sleep 0.01; done"))
        await claw.world.groups.adopted.wait()
        (group,) = claw.world.groups.now
        processes.tell(group, (), signal.SIGSTOP)
        nursery.cancel_scope.cancel()  # one that stands still can be ended too
    await gone(group)


async def test_a_terminal_takes_input_and_is_one(claw: Claws) -> None:
    name = await claw.started("tty >/dev/null && echo a terminal; read -r line; echo got:$line; stty size", pty=True)
    await said(claw, name, "a terminal")
    told = await claw.told("process", action="write", sessionId=name, data="hello\n")
    assert told == f"Wrote 6 bytes to session {name}."
    job = await over(claw, name)
    assert "got:hello" in job.output.kept
    assert "30 120" in job.output.kept
    assert await claw.wrong("process", action="write", sessionId=name, data="x") == (
        f"No active session found for {name}"
    )


async def test_a_terminal_controls_its_session(claw: Claws) -> None:
    name = await claw.started("echo ready; sleep 1000", pty=True)
    await said(claw, name, "ready")
    await claw.told("process", action="send-keys", sessionId=name, keys=["C-c"])
    job = await over(claw, name)
    assert job.end is not None
    assert (job.end.signal, job.end.reason) == ("SIGINT", "signal") or job.end.code == 130


async def test_closing_the_input_of_a_terminal_ends_who_reads_it(claw: Claws) -> None:
    name = await claw.started("cat", pty=True)
    told = await claw.told("process", action="write", sessionId=name, data="bye\n", eof=True)
    assert told == f"Wrote 4 bytes to session {name} (stdin closed)."
    job = await over(claw, name)
    assert job.end is not None
    assert job.end.code == 0


async def test_writing_to_who_does_not_read_gives_up(claw: Claws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "WRITING", 0.2)
    name = await claw.started("stty raw -echo; echo ready; exec sleep 1000", pty=True)
    await said(claw, name, "ready")
    told = await claw.wrong("process", action="write", sessionId=name, data="x" * 1_000_000)
    assert told == f"Session {name} does not take input: nothing was read for 0 s."


async def test_a_poll_waits_for_something_new_but_not_longer(claw: Claws) -> None:
    name = await claw.started("sleep 0.2; echo late; exec sleep 1000")
    with trio.fail_after(5):
        told = await claw.told("process", action="poll", sessionId=name, timeout=30_000)
    assert told == "late\n\nProcess still running."
    again = await claw.call("process", action="poll", sessionId=name, timeout=50)
    assert again.output == "(no new output)\n\nProcess still running."
    assert again.details is not None
    assert again.details["retryInMs"] == 10_000


async def test_a_command_with_a_terminal_that_is_quiet_may_wait_for_input(claw: Claws) -> None:
    name = await claw.started("read -r line", pty=True)
    job = claw.background.get(claw.world.context.session, name)
    assert job is not None
    job.heard -= 20_000
    told = await claw.told("process", action="poll", sessionId=name)
    assert "No new output for 20s; this session may be waiting for input." in told
    assert "[input-wait] :: read line" in await claw.told("process", action="list")


async def test_a_stopped_command_says_that_it_was_stopped(claw: Claws) -> None:
    name = await claw.started(SLEEPS)
    assert await claw.told("process", action="kill", sessionId=name) == f"Termination requested for session {name}."
    await over(claw, name)
    poll = await claw.call("process", action="poll", sessionId=name)
    assert poll.output is not None
    assert poll.output.endswith("Process stopped by request (signal SIGTERM).")
    assert poll.details is not None
    assert poll.details["status"] == "completed"
    listed = await claw.call("process", action="list")
    assert listed.details is not None
    assert listed.details["sessions"][0]["status"] == "failed"
    assert await claw.told("process", action="clear", sessionId=name) == f"Cleared session {name}."
    assert await claw.told("process", action="list") == "No running or recent sessions."


async def test_whoever_is_told_of_an_ended_command_cannot_break_the_registry(claw: Claws) -> None:
    heard: list[str] = []

    def listen(job: Job) -> None:
        heard.append(job.id)
        raise ValueError("not my day")

    claw.background.ended = listen
    name = await claw.started("true")
    await over(claw, name)
    assert heard == [name]
    assert await claw.told("exec", command="echo still here") == "still here"


async def test_progress_is_shown_while_the_call_waits(claw: Claws) -> None:
    await claw.told("exec", command="for i in 1 2 3; do echo $i; sleep 0.3; done")
    assert claw.world.seen[0] == "1\n"
    assert claw.world.seen[-1].startswith("1\n2\n")


async def test_the_gateways_secrets_are_not_in_the_environment(claw: Claws) -> None:
    claw.world.change(environ={**claw.world.context.environ, "OPENCLAW_GATEWAY_TOKEN": "hush", "KEPT": "yes"})
    assert await claw.told("exec", command="echo [$OPENCLAW_GATEWAY_TOKEN] $KEPT $OPENCLAW_SHELL") == "[] yes exec"


async def test_without_bash_nothing_runs(claw: Claws) -> None:
    claw.world.change(environ={"PATH": "/nonexistent"})
    assert await claw.wrong("exec", command="true") == "spawn bash ENOENT"


async def test_a_folder_that_is_not_there_is_named(claw: Claws) -> None:
    told = await claw.wrong("exec", command="pwd", workdir="~")
    assert told.startswith('workdir "~" is unavailable or not a directory: command was not executed.')


def test_a_process_is_known_by_its_start() -> None:
    assert processes.same(os.getpid(), processes.survivors(os.getpgid(0)).get(os.getpid(), -1))
    assert not processes.same(os.getpid(), 1)
