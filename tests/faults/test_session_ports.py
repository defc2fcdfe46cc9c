"""Whatever a port does, it costs the prompt that asked, and neither its session nor another one nor the daemon."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from runtime.errors import AuthError, NoTransition
from runtime.ports import Asked, Deliver, ModelRequest, ToolContext
from runtime.sessions.session import Session
from runtime.step import OPEN, Phase, Step, StepKind
from runtime.step import events as ev
from runtime.vocab import JsonObject, Tape, ToolResult, Verdict
from tests.fakes.requests import assert_whole
from tests.fakes.world import (
    FakeContexts,
    FakeJudge,
    FakeReply,
    Piece,
    ScriptedModel,
    World,
    calls,
    running,
    text,
)

ANSWERS: tuple[list[Piece], ...] = ([calls(("read", {"n": 1}))], [text("done")])
FAILURES = [
    OSError("boom"),
    AuthError("boom"),
    NoTransition("boom"),
    ExceptionGroup("several", [OSError("boom"), ValueError("bang")]),
    KeyError(),
]
CODES = ["internal", "auth", "no_transition", "internal", "internal"]


def judge(about: str) -> Callable[[World, Exception], None]:
    """Let the judge fail at this question."""
    return lambda world, failure: world.judge.failures.update({about: failure})


def model(world: World, failure: Exception) -> None:
    """Let the next request fail."""
    world.model.failures.append(failure)


def midstream(world: World, failure: Exception) -> None:
    """Let the stream fail after a chunk."""
    world.model.answers[0] = [text("a", None), 1.0, failure]


def context(world: World, failure: Exception) -> None:
    """Let the context fail."""
    world.contexts.failure = failure


def outbox(world: World, failure: Exception) -> None:
    """Let the outbox fail."""
    world.outbox.failure = failure


PORTS: dict[str, Callable[[World, Exception], None]] = {
    "screen": judge("screen"),
    "call": judge("call"),
    "reply": judge("reply"),
    "model": model,
    "midstream": midstream,
    "context": context,
    "outbox": outbox,
}


def heal(world: World) -> None:
    """Let everybody do as they should."""
    world.judge.failures.clear()
    world.model.failures.clear()
    world.model.answers = [list(answer) for answer in ANSWERS]
    world.model.repeat = True
    world.contexts.failure = world.outbox.failure = None


@pytest.mark.parametrize("n", range(len(FAILURES)))
@pytest.mark.parametrize("port", PORTS)
async def test_a_port_that_fails_fails_its_prompt_and_nothing_else(
    port: str, n: int, autojump_clock: MockClock
) -> None:
    async with running(*ANSWERS) as world:
        session = world.open()
        PORTS[port](world, FAILURES[n])
        world.say(session)
        state = await world.rest(session)
        assert state.phase is Phase.FAILED
        assert state.outcome is not None
        assert state.outcome.code == CODES[n]
        assert "boom" in state.outcome.message or "KeyError" in state.outcome.message
        assert session.tasks is None
        heal(world)
        world.say(session)
        await world.until(session, lambda one: one.state.phase is Phase.DONE)
        assert_whole(*world.model.requests)
        assert await world.replayed(session) == session.state


@pytest.mark.parametrize("port", PORTS)
async def test_a_failure_in_one_session_is_nothing_to_another(port: str, autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        bad, good = world.open("bad"), world.open("good")
        PORTS[port](world, OSError("boom"))
        world.say(bad)
        assert (await world.rest(bad)).phase is Phase.FAILED
        world.slow(1)
        heal(world)
        world.say(good)
        await trio.sleep(0.5)
        PORTS[port](world, OSError("boom"))
        world.say(bad)
        await trio.sleep(0.1)
        heal(world)
        assert (await world.rest(good)).phase is Phase.DONE


@pytest.mark.parametrize("way", ["check", "raise", "group", "None", "text", "bytes"])
async def test_a_tool_that_breaks_its_port_fails_alone(way: str, autojump_clock: MockClock) -> None:
    async def acts(args: JsonObject, context: ToolContext) -> Any:
        if way == "raise":
            raise OSError("boom")
        if way == "group":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep, 5)
                raise OSError("boom")
        return {"None": None, "text": "boom", "bytes": b"boom"}[way]

    def check(args: JsonObject) -> str | None:
        raise OSError("boom")

    async with running([calls(("read", {}), ("write", {}))], [text("done")]) as world:
        world.tools.tools["read"].acts = acts
        world.tools.tools["read"].checks = check if way == "check" else None
        session = world.open()
        world.say(session)
        state = await world.rest(session)
        assert (state.phase, state.answer) == (Phase.DONE, "done")
        first, second = (part["functionResponse"]["response"] for part in state.history[2].parts)
        assert set(first) == {"error"}
        assert second == {"output": "write:"}


@pytest.mark.parametrize("result", [ToolResult(output=b"x"), ToolResult(parts=({"a": {1}},))], ids=["bytes", "set"])  # type: ignore[arg-type]
async def test_a_result_that_no_journal_can_keep_fails_its_prompt(
    result: ToolResult, autojump_clock: MockClock
) -> None:
    async with running(*ANSWERS, [text("again")]) as world:
        world.tools.tools["read"].does = lambda args, context: result
        session = world.open()
        world.say(session)
        state = await world.rest(session)
        assert state.phase is Phase.FAILED
        assert "FINISHED in step" in session.trouble
        world.say(session)
        await world.until(session, lambda one: one.state.phase is Phase.DONE)
        assert_whole(*world.model.requests)
        assert await world.replayed(session) == session.state


@pytest.mark.parametrize("piece", [None, [], "text", {"candidates": 5}, {"candidates": [{"content": {"parts": [7]}}]}])
async def test_a_chunk_that_is_no_chunk_ends_in_an_outcome(piece: Any, autojump_clock: MockClock) -> None:
    async with running([piece]) as world:
        session = world.open("s", ev.Settings("m", max_attempts=2))
        world.say(session)
        await trio.sleep(60)
        assert session.state.phase is Phase.FAILED
        assert await world.replayed(session) == session.state


async def test_a_listener_that_fails_is_dropped_and_the_others_are_told(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        told: list[StepKind] = []

        def broken(session: Session, step: Step) -> None:
            if step.kind is StepKind.MODEL_REQUEST:
                raise ValueError("boom")

        world.dispatcher.listeners += [broken, lambda session, step: told.append(step.kind)]
        session = world.open()
        world.say(session)
        state = await world.rest(session)
        assert state.phase is Phase.DONE
        assert len(told) == state.seq
        assert broken not in world.dispatcher.listeners
        assert list(world.dispatcher.complaints) == ["a listener failed and was dropped: ValueError: boom"]


async def failing_cleanup() -> None:
    """A port that is told to stop, and then breaks while it tidies up, in a nursery of its own."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        try:
            await trio.sleep_forever()
        finally:
            raise OSError("boom")


class BreakingJudge(FakeJudge):
    """Breaks when it is stopped while it thinks about a call."""

    async def call(self, session: str, asked: Asked) -> Verdict:
        await failing_cleanup()
        return await super().call(session, asked)


class SilentJudge(FakeJudge):
    """Answers, and says nothing."""

    async def call(self, session: str, asked: Asked) -> Verdict:
        await trio.lowlevel.checkpoint()
        silence: Any = None
        verdict: Verdict = silence
        return verdict


class BreakingModel(ScriptedModel):
    """Breaks when it is stopped."""

    async def stream(self, request: ModelRequest, tape: Tape, deliver: Deliver) -> Tape:
        await failing_cleanup()
        return tape


class BreakingContexts(FakeContexts):
    """Breaks when it is stopped."""

    async def build(self, settings: ev.Settings) -> ev.ContextBuilt:
        await failing_cleanup()
        return await super().build(settings)


class BreakingReply(FakeReply):
    """Breaks when it is stopped."""

    async def __call__(self, session: Session, said: str) -> None:
        await failing_cleanup()


async def breaks(args: JsonObject, context: ToolContext) -> ToolResult:
    """A tool that breaks when it is stopped."""
    await failing_cleanup()
    return ToolResult()


def break_port(world: World, port: str) -> None:
    """Let this port break when it is stopped."""
    performer = world.dispatcher.performer
    match port:
        case "judge":
            performer.judge = BreakingJudge()
        case "tool":
            world.tools.tools["read"].acts = breaks
        case "model":
            performer.model = BreakingModel()
        case "context":
            performer.contexts = BreakingContexts(world.tools)
        case _:
            performer.reply = BreakingReply()


@pytest.mark.parametrize("way", ["cancel", "back", "deadline", "end"])
@pytest.mark.parametrize("port", ["judge", "tool", "model", "context", "outbox"])
async def test_a_port_that_breaks_while_it_is_stopped_harms_nobody(
    port: str, way: str, autojump_clock: MockClock
) -> None:
    async with running(*ANSWERS, *ANSWERS) as world:
        session, other = world.open(), world.open("other")
        break_port(world, port)
        world.say(session)
        await trio.sleep(5)
        before = session.state
        assert before.phase in OPEN
        if way == "cancel":
            world.dispatcher.control(session, ev.Cancelled("ann"), "ann")
        elif way == "back":
            await world.back(session, session.states[-1].seq, "b1", "ann")
        elif way == "deadline":
            await trio.sleep(4000)
            assert (session.state is before) == (port == "model")  # its deadlines are its own
        await trio.sleep(1)
        assert (session.state.phase is Phase.CANCELLED) == (way == "cancel")
        assert session.broken is None
        assert world.dispatcher.control(other, ev.Edited("model", "m", "ann"), "ann").after.touched


async def test_a_judge_that_gives_no_verdict_at_all_lets_nothing_pass(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS, judge=SilentJudge()) as world:
        session = world.open()
        world.say(session)
        assert (await world.rest(session)).phase is Phase.FAILED
        assert world.tools.tools["read"].runs == []
