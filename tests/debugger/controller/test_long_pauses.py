"""A pause in the middle of a stream or under a deadline changes nothing but the time: what comes out is the same."""

from collections.abc import Iterator

import pytest
import trio
from trio.testing import MockClock

from runtime.errors import ModelError
from runtime.ports import ToolContext
from runtime.sessions.performer import CONTEXT_SECONDS, JUDGE_SECONDS, SEND_SECONDS, TOOL_SECONDS
from runtime.sessions.session import INBOX_EVENTS, Session
from runtime.step import Phase, State
from runtime.vocab import JsonObject, ToolResult
from tests.fakes.studio import House, Person, studio
from tests.fakes.world import Piece, calls, chunk, text

CHUNKS = 200
MINUTES = 600.0
"""Seconds of a long pause."""


def piece(number: int, last: bool) -> JsonObject:
    """One chunk of a long answer: a thought now and then, text that is not only ASCII."""
    if number % 23 == 0:
        return chunk([{"text": f"thought {number}", "thought": True}], "STOP" if last else None)
    return text(f"{number} ä€😀 ", "STOP" if last else None)


def answer(chunks: int) -> Iterator[JsonObject]:
    """The chunks of an answer."""
    return (piece(number, number == chunks - 1) for number in range(chunks))


def slowly(chunks: int) -> list[Piece]:
    """An answer that brings a chunk a second."""
    return [part for one in answer(chunks) for part in (1.0, one)]


def outcome(state: State) -> tuple[object, ...]:
    """All that a prompt leaves behind: the message, the conversation, what was counted."""
    return (
        state.phase,
        state.answer,
        [(one.role, list(one.parts), one.labels) for one in state.history],
        state.usage,
        state.turns,
        state.touched,
    )


# --- in the middle of a stream


@pytest.mark.slow
async def test_a_pause_at_any_chunk_border_leaves_the_message_as_it_is(autojump_clock: MockClock) -> None:
    async with studio(slowly(CHUNKS), repeat=True) as house:
        untouched = house.open("untouched")
        sessions = [house.open(f"s{n}") for n in range(CHUNKS + 1)]
        ann = await house.client()
        for session in (untouched, *sessions):
            house.world.say(session)
        for border, session in enumerate(sessions):
            await trio.sleep_until(border + 0.5)
            seen = len(session.state.turn.chunks) if session.state.turn is not None else 0
            assert seen == border % CHUNKS, "the pause is not where it should be"
            await ann.ask("pause", session=session.id)
        await trio.sleep(MINUTES)
        paused = sessions[:CHUNKS]
        assert [len(one.state.turn.chunks) for one in paused if one.state.turn is not None] == list(range(CHUNKS))
        wanted = outcome(await house.world.rest(untouched))
        assert len(str(wanted[1])) > 1_000
        assert (await ann.ask("continue", session="*", generation=0))["sessions"] == [one.id for one in sessions]
        for session in sessions:
            assert outcome(await house.world.rest(session)) == wanted
        for session in sessions[::50]:
            assert await house.world.replayed(session) == session.state


async def test_one_session_can_be_paused_at_every_chunk_border_in_turn(autojump_clock: MockClock) -> None:
    async with studio(slowly(CHUNKS), repeat=True) as house:
        untouched, session = house.open("untouched"), house.open("s")
        ann = await house.client()
        house.world.say(untouched)
        house.world.say(session)
        await trio.sleep(0.5)
        for _ in range(CHUNKS):
            held = await ann.ask("pause", session="s")
            await trio.sleep(1)
            await ann.ask("continue", session="s", generation=held["generation"])
        assert outcome(await house.world.rest(session)) == outcome(await house.world.rest(untouched))
        assert session.state.generation == CHUNKS


@pytest.mark.parametrize("border", [0, 1, 299, 500])
async def test_an_inbox_that_fills_in_a_pause_stops_the_stream_and_loses_nothing(
    border: int, autojump_clock: MockClock
) -> None:
    chunks = list[Piece](answer(3 * INBOX_EVENTS))
    async with studio([*chunks[:border], 1.0, *chunks[border:]], repeat=True) as house:
        session, untouched = house.open("s"), house.open("untouched")
        ann = await house.driver(session)
        house.world.say(session)
        await trio.sleep(0.5)
        held = await ann.ask("pause", session="s")
        await trio.sleep(MINUTES)
        assert (await ann.ask("tasks", session="s"))["inbox"]["full"]
        assert len(session.inbox) == min(INBOX_EVENTS, len(chunks) - border)
        taken = house.world.model.delivered
        await trio.sleep(MINUTES)
        assert house.world.model.delivered == taken, "the stream was read on"
        await ann.ask("continue", session="s", generation=held["generation"])
        state = await house.world.rest(session)
        house.world.say(untouched)
        assert outcome(state) == outcome(await house.world.rest(untouched))


# --- ten minutes under a deadline


def slow(house: House, kind: str, seconds: float) -> None:
    """Let the port behind a step take so many seconds of the clock on the wall, whether or not the session is held."""
    world = house.world

    async def limited(args: JsonObject, context: ToolContext) -> ToolResult:
        with context.deadline(300.0):
            await trio.sleep(seconds)
            return ToolResult(output="in time")
        return ToolResult.failed("late", "the tool's own limit")

    match kind:
        case "message.screen" | "call.judge" | "reply.judge":
            world.judge.seconds = seconds
        case "context.build":
            world.contexts.seconds = seconds
        case "reply.send":
            world.outbox.seconds = seconds
        case "call.run":
            world.tools.tools["read"].seconds = seconds
        case "limit":
            world.tools.tools["read"].acts = limited


LIMITS = {
    "message.screen": JUDGE_SECONDS,
    "context.build": CONTEXT_SECONDS,
    "call.judge": JUDGE_SECONDS,
    "call.run": TOOL_SECONDS,
    "limit": 300.0,
    "reply.judge": JUDGE_SECONDS,
    "reply.send": SEND_SECONDS,
}
LEFT = 10.0
"""Seconds that are left of a deadline when the pause begins."""


async def under(house: House, kind: str, takes: float) -> tuple[Session, Person]:
    """A session with LEFT seconds of the deadline of a step, held; the port takes so many seconds from its start."""
    session = house.open()
    ann = await house.driver(session)
    await ann.ask("break_add", kinds=["call.run" if kind == "limit" else kind], temporary=True)
    house.world.say(session)
    stand = await ann.told("stopped")
    slow(house, kind, takes)
    await ann.ask("continue", session="s", generation=stand["generation"])
    await trio.sleep(LIMITS[kind] - LEFT)
    await ann.ask("pause", session="s")
    slow(house, kind, 0.0)  # for those that come after it
    return session, ann


def left(found: JsonObject, limit: float) -> list[float]:
    """What is left of the deadlines that were set for so many seconds; all clocks stand still."""
    assert all(one["frozen"] for one in found["deadlines"])
    return [one["left"] for one in found["deadlines"] if one["seconds"] == limit]


@pytest.mark.parametrize("kind", LIMITS)
async def test_no_deadline_fires_in_a_pause_of_ten_minutes(kind: str, autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {}))], [text("done")]) as house:
        session, ann = await under(house, kind, LIMITS[kind] - LEFT + MINUTES + LEFT / 2)
        before = session.state
        await trio.sleep(MINUTES)
        assert session.state is before
        assert left(await ann.ask("tasks", session="s"), LIMITS[kind]) == [pytest.approx(LEFT)]
        stop = await ann.told("stopped", 2)
        await ann.ask("continue", session="s", generation=stop["generation"])
        state = await house.world.rest(session)
        assert (state.phase, state.answer) == (Phase.DONE, "done")
        told = state.history[2].parts[0]["functionResponse"]["response"]
        assert told == {"output": "in time" if kind == "limit" else "read:"}
        assert house.world.sent == [("s", "done")]


@pytest.mark.parametrize("kind", LIMITS)
async def test_after_the_pause_a_deadline_fires_when_the_rest_of_it_is_over(
    kind: str, autojump_clock: MockClock
) -> None:
    async with studio([calls(("read", {}))], [text("done")]) as house:
        session, ann = await under(house, kind, 1e6)
        await trio.sleep(MINUTES)
        stop = await ann.told("stopped", 2)
        await ann.ask("continue", session="s", generation=stop["generation"])
        after = session.steps
        await trio.sleep(LEFT - 1)
        assert session.steps == after, "the deadline fired too early"
        await trio.sleep(2)
        assert session.steps > after, "the deadline never fired"


async def test_the_wait_before_a_retry_stands_still_in_a_pause(autojump_clock: MockClock) -> None:
    async with studio([text("done")]) as house:
        session = house.open()
        ann = await house.driver(session)
        house.world.model.failures.append(ModelError("busy", kind="http", status=503))
        house.world.say(session)
        await trio.testing.wait_all_tasks_blocked()
        assert session.state.phase is Phase.RETRYING
        (wait,) = session.deadlines.remaining()
        await trio.sleep(wait / 2)
        held = await ann.ask("pause", session="s")
        await trio.sleep(MINUTES)
        assert len(house.world.model.requests) == 1
        assert left(await ann.ask("tasks", session="s"), wait) == [pytest.approx(wait / 2)]
        await ann.ask("continue", session="s", generation=held["generation"])
        await trio.sleep(wait / 4)
        assert len(house.world.model.requests) == 1
        await trio.sleep(wait / 2)
        assert len(house.world.model.requests) == 2
        assert (await house.world.rest(session)).answer == "done"
