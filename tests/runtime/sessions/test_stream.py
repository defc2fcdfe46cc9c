"""A pause in the middle of a stream: nothing is lost, nothing moves, and reading ahead has its bounds."""

import pytest
import trio
from trio.testing import MockClock

from runtime.errors import ModelError
from runtime.sessions.session import INBOX_CHARACTERS, INBOX_EVENTS
from runtime.step import Phase, StepKind
from runtime.step import events as ev
from tests.fakes.requests import assert_whole, contents
from tests.fakes.world import Piece, chunk, running, text

SIGNED = {"text": "thinking", "thought": True, "thoughtSignature": "c2ln"}
ASKING = {"functionCall": {"id": "c1", "name": "read", "args": {"n": 1}}, "thoughtSignature": "c2ln"}
PIECES = [
    chunk([SIGNED], None),
    chunk([{"text": "Grüße "}], None),
    chunk([{"text": "\u200d\U0001f469\u200d\U0001f680 and\n"}], None),
    chunk([], None),
    chunk([{"text": " more"}], None),
    chunk([ASKING]),
]


def chunks(session: object) -> int:
    """How much of the stream the session has taken in."""
    turn = session.state.turn  # type: ignore[attr-defined]
    return len(turn.chunks) if turn is not None else 0


@pytest.mark.parametrize("apart", [0.0, 1.0])
@pytest.mark.parametrize("cut", range(len(PIECES) + 1))
async def test_a_stream_cut_at_any_border_gives_the_same_message(
    cut: int, apart: float, autojump_clock: MockClock
) -> None:
    pieces: list[Piece] = [piece for one in PIECES for piece in (apart, one)]
    async with running(pieces, [text("done")]) as world:
        session = world.open()
        world.say(session)
        whole = await world.rest(session)
        sent = contents(world.model.requests[1])
    async with running(pieces, [text("done")]) as world:
        session = world.open()
        stops: list[StepKind] = []

        def stop(one: object, kind: StepKind, call: str, event: object) -> str | None:
            if kind in (StepKind.MODEL_CHUNK, StepKind.MODEL_RESPONSE) and chunks(session) == cut and not stops:
                stops.append(kind)
                return "test"
            return None

        world.dispatcher.gate.watch(stop)
        world.say(session)
        state = await world.held(session)
        await trio.sleep(1000)
        assert session.state is state
        assert chunks(session) == cut
        assert len(session.inbox) == len(PIECES) + 1 - cut  # all that is left was read ahead
        world.dispatcher.release(session, "ann")
        again = await world.rest(session)
        assert again.history == whole.history
        assert contents(world.model.requests[1]) == sent
        assert_whole(*world.model.requests)
        assert session.dropped == 0


async def test_a_paused_stream_is_read_ahead_up_to_a_number_of_chunks(autojump_clock: MockClock) -> None:
    async with running([*[text(f"{n} ", None) for n in range(2 * INBOX_EVENTS)], text("end")]) as world:
        session = world.open()
        world.stop(StepKind.MODEL_CHUNK)
        world.say(session)
        await world.held(session)
        await trio.sleep(1000)
        assert len(session.inbox) == INBOX_EVENTS
        assert world.model.delivered == INBOX_EVENTS
        world.dispatcher.release(session, "ann")
        state = await world.rest(session)
        assert state.answer == "".join(f"{n} " for n in range(2 * INBOX_EVENTS)) + "end"
        assert session.characters == 0


async def test_a_paused_stream_is_read_ahead_up_to_a_number_of_characters(autojump_clock: MockClock) -> None:
    half = "x" * (INBOX_CHARACTERS // 2)
    async with running([*[text(half, None) for _ in range(5)], text("end")]) as world:
        session = world.open()
        world.stop(StepKind.MODEL_CHUNK)
        world.say(session)
        await world.held(session)
        await trio.sleep(1000)
        assert world.model.delivered == 2
        for n in range(1, 5):
            world.dispatcher.step(session, "ann")
            await world.held(session)
            assert chunks(session) == n
        world.dispatcher.release(session, "ann")
        assert len((await world.rest(session)).answer) == 5 * len(half) + 3


@pytest.mark.parametrize("way", ["cancel", "back", "fault"])
async def test_a_crowded_inbox_does_not_outlive_its_stream(way: str, autojump_clock: MockClock) -> None:
    crowd = [*[text(f"{n} ", None) for n in range(2 * INBOX_EVENTS)], text("end")]
    async with running(crowd, repeat=True) as world:
        session = world.open()
        world.stop(StepKind.MODEL_CHUNK)
        world.say(session)
        await world.held(session)
        await trio.sleep(10)
        assert session.crowded
        dispatcher, asked = world.dispatcher, next(one for one in session.states if one.phase is Phase.REQUEST)
        if way == "cancel":
            dispatcher.control(session, ev.Cancelled("ann"), "ann")
        elif way == "fault":
            dispatcher.control(session, ev.Fault("test", "broke"), "ann")
        else:
            await world.back(session, asked.seq, "b1")
        assert not session.inbox
        assert session.characters == 0
        assert session.dropped == INBOX_EVENTS
        dispatcher.release(session, "ann")
        if way != "back":
            world.say(session)
        await world.until(session, lambda one: one.state.phase is Phase.DONE)
        assert session.state.answer.endswith(f" {2 * INBOX_EVENTS - 1} end")
        assert_whole(*world.model.requests)


async def test_a_stream_that_breaks_while_it_is_paused_is_tried_again_afterwards(autojump_clock: MockClock) -> None:
    broken: list[Piece] = [text("a", None), ModelError("reset", kind="network")]
    async with running(broken) as world:
        session = world.open()
        world.stop(StepKind.MODEL_CHUNK)
        world.say(session)
        await world.held(session)
        await trio.sleep(100)
        world.model.answers[0] = [text("whole")]
        world.dispatcher.release(session, "ann")
        assert (await world.rest(session)).answer == "whole"


async def test_a_paused_wait_before_a_retry_keeps_its_timer(autojump_clock: MockClock) -> None:
    async with running([text("done")]) as world:
        world.model.failures.append(ModelError("busy", kind="http", status=503))
        session = world.open()
        world.say(session)
        await world.until(session, lambda one: one.state.phase is Phase.RETRYING)
        await trio.sleep(2)
        world.dispatcher.hold(session, "ann")
        await trio.sleep(1000)
        assert session.state.phase is Phase.RETRYING
        assert session.deadlines.remaining() == [3.0]
        began = trio.current_time()
        world.dispatcher.release(session, "ann")
        await world.until(session, lambda one: one.state.phase is not Phase.RETRYING)
        assert trio.current_time() - began == pytest.approx(3)
        assert (await world.rest(session)).answer == "done"
