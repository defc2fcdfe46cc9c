"""Orphans are reaped, and what the program itself started is left to whoever waits for it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trio

from debugger.orphans import PATIENCE, Orphans
from debugger.peers import supported
from runtime.tools.proctable import look

pytestmark = pytest.mark.skipif(not supported(), reason="only Linux has child subreapers")


def ended(process: int) -> None:
    """Wait until a process is a zombie."""
    for _ in range(600):
        found = look(process)
        if found is not None and found.state == "Z":
            return
        time.sleep(0.01)
    raise AssertionError("it does not end")


def unwatched(own_session: bool) -> "subprocess.Popen[bytes]":
    """Start a child that Trio does not know."""
    return subprocess.Popen(["sh", "-c", "exit 8"], start_new_session=own_session)


async def sweeps(orphans: Orphans, *times: float) -> bool:
    left = False
    for now in times:
        left = await orphans.sweep(now)
    return left


@pytest.mark.parametrize("own_session", [False, True])
async def test_the_exit_status_of_what_trio_started_is_never_taken(own_session: bool) -> None:
    orphans = Orphans()
    process = await trio.lowlevel.open_process(["sh", "-c", "exit 7"], start_new_session=own_session)
    ended(process.pid)
    assert await sweeps(orphans, 0.0, 1.0, PATIENCE, PATIENCE * 100, PATIENCE * 1_000)
    assert await process.wait() == 7
    assert not await sweeps(orphans, PATIENCE * 1_001)
    assert orphans.reaped == 0


@pytest.mark.parametrize("own_session", [False, True])
async def test_an_ended_child_that_nobody_waits_for_is_reaped_when_it_has_waited_long(own_session: bool) -> None:
    """It stands for an orphan that led a session of its own: nothing else tells the two apart."""
    orphans = Orphans()
    child = unwatched(own_session)
    ended(child.pid)
    assert await sweeps(orphans, 0.0, 1.0, PATIENCE - 0.1)
    assert orphans.reaped == 0
    await sweeps(orphans, PATIENCE + 1)
    assert orphans.reaped == 1
    assert look(child.pid) is None
    child.wait()


async def test_one_that_is_held_does_not_hide_those_behind_it() -> None:
    orphans = Orphans()
    held = await trio.lowlevel.open_process(["sh", "-c", "exit 7"])
    child = unwatched(False)
    ended(held.pid)
    ended(child.pid)
    await sweeps(orphans, 0.0, 1.0, PATIENCE + 2)
    assert (orphans.reaped, look(child.pid)) == (1, None)
    assert await held.wait() == 7
    child.wait()


SCRIPT = """
import os, subprocess, sys, trio
from debugger.orphans import Orphans
from debugger.peers import become_subreaper
from runtime.tools.proctable import processes

async def main():
    become_subreaper()
    orphans = Orphans()
    async with trio.open_nursery() as nursery:
        await nursery.start(orphans.run)
        process = await trio.lowlevel.open_process(
            ["sh", "-c", "(exec sleep 0.1) & (exec sleep 0.2) & exit 5"], start_new_session=True
        )
        assert await process.wait() == 5
        with trio.fail_after(20):
            while orphans.reaped < 2:
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    assert not [one for one in processes() if one.parent == os.getpid()]

trio.run(main)
"""


@pytest.mark.slow
def test_orphans_of_a_session_that_a_child_led_are_reaped_at_once(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env={"PYTHONPATH": os.getcwd()}, timeout=60, check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
