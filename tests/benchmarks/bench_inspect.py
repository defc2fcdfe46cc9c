"""What looking into a session costs. Prints one JSON object.

A session with a history of one megabyte is opened in every way, and the live view is taken of one whose tool runs.
"""

import json
import os
import signal
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import trio
import trio.testing
from attrs import evolve
from pyrsistent import pvector

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from debugger.border import Border
from debugger.inspect import conversation, diff, find, next_request, request_body, tree, where, why
from debugger.inspect.tasks import facts_of, living, tasks
from runtime.sessions.session import Session
from runtime.step import Phase, Settings, State, StepKind, advance, ready
from runtime.step import events as ev
from runtime.step.state import append
from runtime.vocab import Content, Decision, Message, Toolset, Verdict
from tests.fakes.world import World, calls, running, text

CONTENTS = 1_000
CHARACTERS = 1_000
TIMES = 50


def large() -> list[State]:
    """Return the states of a prompt in a session with a history of a megabyte; the last stands before its request."""
    state = advance(State("s"), ev.Opened(Settings("gemini-x"))).after
    texts = [{"text": f"{n} " + "x" * CHARACTERS} for n in range(CONTENTS)]
    said = [Content("user" if n % 2 == 0 else "model", (part,), ("user",)) for n, part in enumerate(texts)]
    state = evolve(state, **append(state, *said))
    states = [state]
    outcomes: dict[Phase, ev.Event] = {
        Phase.IDLE: ev.Received(Message("m", "go", ({"text": "go"},))),
        Phase.SCREENING: ev.Screened(Verdict(Decision.ALLOW, "x")),
        Phase.BUILDING: ev.ContextBuilt("system " * 1_000, Toolset()),
    }
    while states[-1].phase is not Phase.REQUEST:
        event = outcomes.get(states[-1].phase) or ready(states[-1])[0]
        states.append(advance(states[-1], event).after)
    return states


def timed(act: Callable[[], Any]) -> float:
    """Return the median time of an act, in ms."""
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        act()
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000


async def timed_async(act: Callable[[], Awaitable[Any]]) -> float:
    """Return the median time of an act that waits, in ms."""
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        await act()
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000


def views() -> list[dict[str, Any]]:
    """Return the figures of what is computed from states."""
    states = large()
    state = states[-1]
    edited = advance(state, ev.Edited("history.500", {"parts": [{"text": "other"}]}, "me")).after
    at = Border("s", state, StepKind.MODEL_REQUEST)
    fresh = [evolve(state, history=pvector(map(evolve, state.history))) for _ in range(TIMES)]  # nothing encoded yet
    first = timed(lambda: next_request(fresh.pop()))
    return [
        figure("open the state", timed(lambda: tree(at, "state")), "<= 50"),
        figure("open the history, 100 contents", timed(lambda: tree(at, "state.history")), "<= 50"),
        figure("open the history, two levels, 1,000 nodes", timed(lambda: tree(at, "state.history", depth=3)), "<= 50"),
        figure("the last 20 rows of the conversation", timed(lambda: conversation(state)), "<= 50"),
        figure("the next request, its contents never encoded before", first, "<= 50"),
        figure("the next request, with tokens and parts", timed(lambda: next_request(state, states)), "<= 50"),
        figure("its body as it may be shown", timed(lambda: request_body(state)), "<= 50"),
        figure("differences of two states, one content edited", timed(lambda: diff(state, edited)), "<= 50"),
        figure("search through it all, nothing found", timed(lambda: find(states, "needle")), "<= 50"),
        figure("where and why", timed(lambda: (where(at), why(state))), "<= 20"),
    ]


async def live() -> list[dict[str, Any]]:
    """Return the figures of the live view."""
    async with running([calls(("read", {"n": 1}))], [text("done")]) as world:
        session = await with_running_tool(world)
        process = await trio.lowlevel.open_process(["sleep", "60"], stdin=DEVNULL, start_new_session=True)
        bare = timed(lambda: (living(session, world.dispatcher), facts_of(session, world.dispatcher)))
        try:
            with session.processes.adopt(process.pid):
                world.dispatcher.hold(session, "me")
                whole = await timed_async(lambda: tasks(session, world.dispatcher))
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            with trio.move_on_after(5, shield=True):
                await process.wait()
    return [
        figure("tasks, deadlines and queues", bare, "<= 20"),
        figure("the same with the states of a process group", whole, "<= 20"),
    ]


async def with_running_tool(world: World) -> Session:
    """Return a session whose tool runs."""
    world.tools.tools["read"].seconds = 3_600
    session = world.open()
    world.say(session)
    await world.until(session, lambda one: bool(one.tasks and any(key[0] == "RunTool" for key in one.tasks.tasks)))
    await trio.testing.wait_all_tasks_blocked()
    return session


def figure(what: str, value: float, target: str = "") -> dict[str, Any]:
    """Return one row of the table, in ms."""
    return {"what": what, "value": round(value, 3), "unit": "ms", "target": target}


def main() -> None:
    """Measure and print."""
    print(json.dumps({"name": "inspect", "figures": [*views(), *trio.run(live)]}))


if __name__ == "__main__":
    main()
