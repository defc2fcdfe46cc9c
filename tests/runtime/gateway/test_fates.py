"""What became of a run, by the steps of its session alone."""

from collections.abc import Sequence

import pytest
from attrs import evolve
from trio.testing import MockClock

from runtime.gateway.entries import Run
from runtime.gateway.fates import ended, fate, named
from runtime.step import Step
from runtime.step import events as ev
from runtime.step.state import Outcome
from runtime.vocab import Message
from tests.fakes.world import Piece, World, running, text

RUN = Run("r1", "agent:main:main", "s", "digest", "queued", 1)


def message(name: str) -> Message:
    return Message(name, name, ({"text": name},))


async def lived(world: World, *names: str, steer: bool = False) -> list[Step]:
    """The steps of a session that was sent these messages one after the other, until it rests."""
    steps = world.trail()
    session = world.open()
    for name in names:
        world.dispatcher.enqueue(session, message(name), steer=steer)
    await world.rest(session)
    return steps


@pytest.mark.parametrize(
    ("message_", "run", "yes"),
    [("a", "a", True), ("a+b", "b", True), ("a+b+c", "a+b", True), ("ab", "a", False), ("a+b", "", False)],
)
def test_a_message_is_that_of_its_run_alone_or_with_others(message_: str, run: str, yes: bool) -> None:
    assert named(message_, run) is yes


@pytest.mark.parametrize(
    ("outcome", "status", "stop", "answer"),
    [
        (None, "ok", "stop", "hi"),
        (Outcome("done"), "ok", "stop", "hi"),
        (Outcome("cancelled", "cancelled", "enough"), "aborted", "aborted", ""),
        (Outcome("failed", "x", "broken"), "error", "error", ""),
        (Outcome("refused", "x", "not that"), "error", "error", ""),
    ],
)
def test_an_outcome_says_how_a_run_ended(outcome: Outcome | None, status: str, stop: str, answer: str) -> None:
    told = ended(RUN, outcome, "hi")
    assert (told.status, told.stop, told.answer) == (status, stop, answer)
    assert bool(told.error) is (status == "error")


async def test_a_message_that_never_came_has_no_fate(autojump_clock: MockClock) -> None:
    async with running([text("Hi.")]) as world:
        steps = await lived(world, "r0")
    assert fate(RUN, steps) is None
    assert fate(RUN, []) is None


async def test_a_run_that_came_to_its_end_did_so_with_its_answer(autojump_clock: MockClock) -> None:
    answers: Sequence[Piece] = [text("Hi.")]
    async with running(answers, repeat=True) as world:
        steps = await lived(world, "r0", "r1", "r2")
    told = fate(RUN, steps)
    assert told is not None
    assert (told.status, told.answer, told.tokens) == ("ok", "Hi.", (10, 0, 12))


async def test_every_way_out_is_seen(autojump_clock: MockClock) -> None:
    async with running([5.0, text("Hi.")], repeat=True) as world:
        steps = world.trail()
        session = world.open()
        for name in ("r0", "r1", "r2", "r3", "r4"):
            world.dispatcher.enqueue(session, message(name), steer=name == "r4")
        await world.until(session, lambda one: bool(world.model.requests))
        world.dispatcher.control(session, ev.Unqueued(("r1",), "operator", "rpc"), "operator")
        world.dispatcher.enqueue(session, message("merged"), replaces=("r2",))
        await world.until(session, lambda one: len(world.model.requests) == 2)
        waiting = fate(evolve(RUN, id="r3"), steps)
        world.dispatcher.control(session, ev.Cancelled("operator", "enough"), "operator")
        world.dispatcher.control(session, ev.Closed("deleted"), "operator")
    fates = {name: fate(evolve(RUN, id=name), steps) for name in ("r0", "r1", "r2", "r3", "r4")}
    assert {name: one.status for name, one in fates.items() if one} == {
        "r0": "aborted",
        "r1": "aborted",
        "r2": "ok",
        "r3": "aborted",
        "r4": "ok",
    }
    assert fates["r1"] is not None
    assert fates["r1"].stop == "rpc"
    assert fates["r2"] is not None
    assert fates["r2"].next == "merged"
    assert waiting == evolve(RUN, id="r3")
