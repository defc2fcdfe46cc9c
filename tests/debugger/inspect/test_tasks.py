"""The live view: tasks with their frames, deadlines with what is left, queues, waiters and processes of one session."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from debugger.inspect import why
from debugger.inspect.procs import table
from debugger.inspect.tasks import facts_of, living, tasks
from runtime.ports import ToolContext
from runtime.sessions.performer import TOOL_SECONDS
from runtime.sessions.session import Session
from runtime.step import Phase, StepKind
from runtime.vocab import JsonObject, ToolResult
from tests.debugger.inspect.places import SECRET, shown, wired
from tests.fakes.world import World, calls, chunk, running, text

RUN = [calls(("read", {"n": 1, "token": SECRET}))]


async def at_tool(world: World, session: Session) -> None:
    """Wait until the tools of a session run."""
    await world.until(session, running_tool)
    await trio.testing.wait_all_tasks_blocked()


def running_tool(session: Session) -> bool:
    return session.tasks is not None and any(key[0] == "RunTool" for key in session.tasks.tasks)


async def test_a_running_tool_is_shown_with_frames_and_what_is_left_of_its_deadline(autojump_clock: MockClock) -> None:
    async with running(RUN, [text("done")]) as world:
        world.tools.tools["read"].seconds = 100
        session = world.open()
        world.say(session)
        await at_tool(world, session)
        await trio.sleep(40)
        found = wired(await tasks(session, world.dispatcher))
        (task,) = found["tasks"]
        assert (task["effect"], task["seconds"], task["stale"]) == ("RunTool", pytest.approx(40), False)
        functions = [frame["function"] for frame in task["frames"]]
        assert functions[0] == "PromptTasks._work"
        assert "FakeTool.run" in functions
        assert {"function": "FakeTool.run", "module": "tests.fakes.world"}.items() <= next(
            frame for frame in task["frames"] if frame["function"] == "FakeTool.run"
        ).items()
        limits = {one["seconds"]: one["left"] for one in task["deadlines"] if isinstance(one["seconds"], float)}
        assert limits == {TOOL_SECONDS: pytest.approx(TOOL_SECONDS - 40)}
        assert SECRET not in shown(found)


async def test_a_held_session_shows_frozen_deadlines_with_the_remainder(autojump_clock: MockClock) -> None:
    async with running(RUN, [text("done")]) as world:
        world.tools.tools["read"].seconds = 1_000
        session = world.open()
        world.say(session)
        await at_tool(world, session)
        await trio.sleep(40)
        world.dispatcher.hold(session, "ann")
        await trio.sleep(500)
        found = living(session, world.dispatcher)
        left = [one["left"] for one in found["deadlines"] if isinstance(one["left"], float)]
        assert found["frozen"] is True
        assert left == pytest.approx([TOOL_SECONDS - 40])
        facts = facts_of(session, world.dispatcher, held=500.0)
        sentence = why(session.state, facts)["sentence"]
        assert "Held before call.result" in sentence
        assert "for 540.0 s; 3560.0 s are left of 3600 s, and its clock stands still" in sentence
        assert "1 event has come in and not been taken. On release: call.result" not in sentence


async def test_tasks_below_a_task_are_shown_below_it(autojump_clock: MockClock) -> None:
    async def deep(args: JsonObject, context: ToolContext) -> ToolResult:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 5, name="helper one")
            nursery.start_soon(trio.sleep, 6, name="helper two")
        return ToolResult(output="x")

    async with running(RUN, [text("done")]) as world:
        world.tools.tools["read"].acts = deep
        session = world.open()
        world.say(session)
        await at_tool(world, session)
        (task,) = living(session, world.dispatcher)["tasks"]
        below = [one["name"] for nursery in task["below"] for one in nursery["tasks"]]
        assert below == ["helper one", "helper two"]
        await world.rest(session)


async def test_a_stream_that_is_read_ahead_shows_in_inbox_and_waiters(autojump_clock: MockClock) -> None:
    async with running([chunk([{"text": "x"}], None)] * 300 + [text("done")]) as world:
        session = world.open()
        world.stop(StepKind.MODEL_CHUNK)
        world.say(session)
        await world.held(session)
        await trio.testing.wait_all_tasks_blocked()
        found = living(session, world.dispatcher)
        assert found["inbox"]["full"] is True
        assert found["inbox"]["events"] == found["inbox"]["most_events"] == 256
        assert found["inbox"]["characters"] > 0
        assert found["parked"]["room"] == 1
        facts = facts_of(session, world.dispatcher)
        assert "256 events have come in" in why(session.state, facts)["sentence"]
        assert why(session.state, facts)["next"][0]["step"] == "model.chunk"
        world.dispatcher.release(session, "ann")
        await world.rest(session)


async def test_waiters_and_the_place_in_the_queue_are_counted(autojump_clock: MockClock) -> None:
    async with running([text("done")], repeat=True) as world:
        first, second = world.open("a"), world.open("b")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(first.changed.park)
            await trio.testing.wait_all_tasks_blocked()
            assert living(first, world.dispatcher)["parked"] == {"changed": 1, "rested": 0, "room": 0}
            world.say(first)
            world.say(second)
            assert living(second, world.dispatcher)["queue"] == {"ready": 1, "to_open": None}
            await trio.testing.wait_all_tasks_blocked()
        assert living(second, world.dispatcher)["queue"] == {"ready": None, "to_open": None}


async def test_a_message_that_waits_for_a_place_shows_in_the_other_queue(autojump_clock: MockClock) -> None:
    async with running([text("done")], repeat=True) as world:
        world.dispatcher.most_open = 1
        world.model.seconds = 10
        first, second = world.open("a"), world.open("b")
        world.say(first)
        world.say(second)
        await trio.testing.wait_all_tasks_blocked()
        found = living(second, world.dispatcher)
        assert (found["queue"], found["lane"]["said"]) == ({"ready": None, "to_open": 0}, True)
        await world.rest(second)


async def test_a_session_at_rest_has_no_tasks(autojump_clock: MockClock) -> None:
    async with running([text("done")]) as world:
        session = world.open()
        world.say(session)
        await world.rest(session)
        found = wired(await tasks(session, world.dispatcher))
        assert (found["tasks"], found["effects"], found["deadlines"]) == ([], 0, [])
        assert found["processes"]["sentence"] == "no processes"


async def test_looking_takes_nothing_and_drops_nothing(autojump_clock: MockClock) -> None:
    async with running(RUN, [text("done")]) as world:
        session = world.open()
        world.stop(StepKind.CALL_RUN)
        world.say(session)
        await world.held(session)
        before = (session.state, list(session.inbox), session.dropped)
        await tasks(session, world.dispatcher)
        facts_of(session, world.dispatcher)
        assert (session.state, list(session.inbox), session.dropped) == before
        world.dispatcher.release(session, "ann")
        assert (await world.rest(session)).phase is Phase.DONE


LEAVER = "setsid sh -c 'echo away; while :; do sleep 0.01; done' & while :; do :; done"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads the processes in /proc")
async def test_a_process_that_left_its_group_is_named_as_not_frozen() -> None:
    pids: list[int] = []

    async def leave(args: JsonObject, context: ToolContext) -> ToolResult:
        process = await trio.lowlevel.open_process(["sh", "-c", LEAVER], stdout=PIPE, start_new_session=True)
        assert process.stdout is not None
        pids.append(process.pid)
        with context.processes.adopt(process.pid):
            try:
                async with process.stdout:
                    async for _ in process.stdout:
                        pass
            finally:
                kill_all(process.pid)
                with trio.move_on_after(5, shield=True):
                    await process.wait()
        return ToolResult(output="")

    async with running(RUN, [text("done")]) as world:
        world.tools.tools["read"].acts = leave
        session = world.open()
        world.say(session)
        with trio.fail_after(20):
            await world.until(session, running_tool)
            while not await escaped(session, world):  # noqa: ASYNC110 - the kernel sends no event
                await trio.sleep(0.01)
            assert (await tasks(session, world.dispatcher))["processes"]["wholly"] is None
            world.dispatcher.hold(session, "ann")
            while (await group(session, world))[0]["state"] != "T":  # noqa: ASYNC110
                await trio.sleep(0.01)
        found = (await tasks(session, world.dispatcher))["processes"]
        assert found["wholly"] is False
        assert {one["group"] for one in found["escaped"]} != {pids[0]}
        assert found["sentence"].startswith("not fully frozen: s")


async def escaped(session: Session, world: World) -> list[dict[str, Any]]:
    """Processes that have left the groups of a session."""
    return list((await tasks(session, world.dispatcher))["processes"]["escaped"])


async def group(session: Session, world: World) -> list[dict[str, Any]]:
    """The processes of the first group of a session."""
    return list((await tasks(session, world.dispatcher))["processes"]["groups"][0]["processes"])


def kill_all(leader: int) -> None:
    """Kill a process and all below it, whatever group they are in."""
    known = table()
    wanted = [leader]
    while wanted:
        one = wanted.pop()
        wanted += [process.pid for process in known.values() if process.parent == one]
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
