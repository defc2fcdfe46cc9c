"""The whole dispatcher is cancelled at any point: nothing is left running, and the journal leads on from there."""

import os
import signal
from collections import Counter
from contextlib import suppress

import pytest
import trio
from attrs import define
from trio.testing import MockClock

from runtime.errors import ModelError
from runtime.ports import ToolContext
from runtime.sessions.processes import ProcessGroups
from runtime.sessions.roster import Roster
from runtime.step import OPEN, REST, Phase, Settings, StepKind
from runtime.stores.memory import Kept, MemoryStore
from runtime.vocab import JsonObject, Message, ToolResult
from tests.fakes.requests import assert_whole
from tests.fakes.world import FakeTools, World, chunk, running, text, toolbox

NAMES = ("first", "second")
SETTINGS = Settings("m", hooks=("BeforeModel",))


def asking(*names: str) -> JsonObject:
    """A chunk with calls that have ids of their own, so that two processes speak of the same ones."""
    calls = [{"functionCall": {"id": f"c{n}", "name": name, "args": {"n": n}}} for n, name in enumerate(names)]
    return chunk(calls)


ANSWERS = (
    [text("well", None), asking("read", "read", "shell")],
    [asking("write", "shell")],
    [text("all ", None), text("done")],
)


def hello(name: str) -> Message:
    """The one message to a session."""
    return Message(name, "go", ({"text": "go"},))


def noting(ran: Counter[str]) -> FakeTools:
    """Tools that count their runs, by session, place of the turn, and call."""
    tools = toolbox()
    for name, tool in tools.tools.items():

        def note(args: JsonObject, context: ToolContext, name: str = name) -> ToolResult:
            ran[f"{name} {context.session} {context.call} {args['n']}"] += 1
            return ToolResult(output="noted")

        tool.does = note
    return tools


@define(eq=False)
class CancelAt(trio.abc.Instrument):
    """Cancels a scope before the n-th step of any task. `left` counts down to it, and on."""

    scope: trio.CancelScope
    left: int

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.left -= 1
        if self.left == 0:
            self.scope.cancel()


async def act(world: World, roster: Roster) -> None:
    """Two sessions, one of whose requests fails; they are stopped, stepped and released on their way."""
    world.slow(0.25)
    world.model.failures.append(ModelError("busy", kind="http", status=503))
    world.stop(StepKind.CALL_RUN, times=3)
    world.stop(StepKind.MODEL_CHUNK, times=1)
    for name in NAMES:
        world.dispatcher.say(roster.open(name, SETTINGS), hello(name))
    while not all(session.state.phase in REST and not session.addressed for session in roster.live.values()):
        await trio.sleep(1)
        for session in roster.live.values():
            if session.state.generation % 2:
                world.dispatcher.release(session, "ann")
            elif session.state.hold is not None:
                world.dispatcher.step(session, "ann")


async def begin(store: MemoryStore, ran: Counter[str], point: int) -> int:
    """Run the sessions until the n-th step of any task; return how many points were left, below 0 if all was done."""
    tasks = trio.lowlevel.current_statistics().tasks_living
    with trio.CancelScope() as scope:
        counting = CancelAt(scope, point)
        async with running(*ANSWERS, tools=noting(ran), store=store) as world:
            trio.lowlevel.add_instrument(counting)
            await act(world, Roster(world.dispatcher))
            trio.lowlevel.remove_instrument(counting)
    with suppress(KeyError):
        trio.lowlevel.remove_instrument(counting)
    assert scope.cancelled_caught == (point > counting.left and counting.left <= 0)
    assert trio.lowlevel.current_statistics().tasks_living == tasks
    return counting.left


async def go_on(kept: Kept, ran: Counter[str]) -> None:
    """Another process brings all sessions back and to their end."""
    async with running(*ANSWERS, tools=noting(ran), store=MemoryStore(kept)) as world:
        roster = Roster(world.dispatcher)
        for row in world.store.sessions():
            session = roster.get(row.session)
            if session.state.hold is not None:
                world.dispatcher.release(session, "ann")
            if session.state.phase in OPEN:
                world.dispatcher.wake(session)
            elif session.state.prompt is None:
                assert world.dispatcher.say(session, hello(session.id))
            state = await world.rest(session)
            assert (state.phase, state.answer) == (Phase.DONE, "all done")
            assert await world.replayed(session) == state
        assert_whole(*world.model.requests)


def judge_runs(ran: Counter[str]) -> None:
    """What may not run twice did not, and what is harmless did so once more at most."""
    for call, runs in ran.items():
        assert runs <= (1 if call.startswith("shell") else 2), call


@pytest.fixture(scope="module")
def steps() -> int:
    """How many steps all tasks take in a run that nobody disturbs."""
    ran: Counter[str] = Counter()
    left = trio.run(begin, MemoryStore(), ran, 1_000_000, clock=MockClock(autojump_threshold=0))
    assert set(ran.values()) == {1}
    assert len(ran) == 5 * len(NAMES)
    return 1_000_000 - left


@pytest.mark.parametrize("crash", [False, True], ids=["closed", "crashed"])
def test_cancelled_anywhere_nothing_is_left_and_the_journal_leads_on(steps: int, crash: bool) -> None:
    async def both(point: int) -> None:
        kept, ran = Kept(), Counter[str]()
        store = MemoryStore(kept)
        assert await begin(store, ran, point) <= 0
        if not crash:  # else what nobody waited for is lost
            await store.aclose()
        await go_on(kept, ran)
        judge_runs(ran)

    assert steps > 150
    # The two take turns; the last points may not be there in another order of the tasks.
    for point in range(1 + crash, steps - 20, 2):
        trio.run(both, point, clock=MockClock(autojump_threshold=0))


async def test_a_held_session_does_not_hold_up_the_end(autojump_clock: MockClock) -> None:
    async def tidies_up(args: JsonObject, context: ToolContext) -> ToolResult:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True), context.deadline(5):
                await trio.sleep_forever()

    with trio.fail_after(100):
        async with running([asking("read")]) as world:
            world.tools.tools["read"].acts = tidies_up
            session = world.open()
            world.say(session)
            await trio.sleep(1)
            world.dispatcher.hold(session, "ann")
            await trio.sleep(1)
    assert trio.current_time() == 7


async def test_cancelled_anywhere_no_process_and_no_group_is_left() -> None:
    started: list[int] = []
    groups: list[ProcessGroups] = []

    async def sleeps(args: JsonObject, context: ToolContext) -> ToolResult:
        process = await trio.lowlevel.open_process(["sleep", "60"], start_new_session=True)
        started.append(process.pid)
        try:
            with context.processes.adopt(process.pid):
                await process.wait()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with trio.move_on_after(10, shield=True):
                await process.wait()
        return ToolResult(output="slept")

    async def prompt(scope: trio.CancelScope, *, held: bool) -> None:
        async with running([asking("read", "read")]) as world:
            world.tools.tools["read"].acts = sleeps
            session = world.open()
            groups.append(session.processes)
            world.say(session)
            await world.until(session, lambda one: bool(one.state.turn and one.state.turn.calls))
            await trio.sleep(0.02)
            if held:
                world.dispatcher.hold(session, "ann")
            await trio.sleep(0.02)
            scope.cancel()
            await trio.sleep_forever()

    for point in range(20, 140, 4):
        with trio.CancelScope() as scope:
            counting = CancelAt(scope, point)
            trio.lowlevel.add_instrument(counting)
            await prompt(scope, held=point % 8 == 0)
        trio.lowlevel.remove_instrument(counting)
    assert len(started) > 20
    for process in started:
        with pytest.raises(ProcessLookupError):
            os.killpg(process, 0)
    assert not any(one.groups for one in groups)
