"""The engine under bounds: whatever a detector does, nothing is allowed by accident, nothing hangs, nothing grows."""

import threading
from itertools import pairwise
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from defender.engine.engine import LOOKUP_SECONDS, MOST_COMMANDS, MOST_URLS, Engine
from defender.engine.ports import Detector, Kind, Subject
from defender.findings import Assessment, Signal
from defender.policy.model import Limits, Policy
from runtime.vocab import Decision
from tests.defender.engine.detectors import CLEAN, Says, bad, engine

A, R, B = Decision.ALLOW, Decision.REVIEW, Decision.BLOCK


def text(said: str, **more: Any) -> Subject:
    return Subject(Kind.TEXT, said, **more)


def rules(assessment: Assessment) -> list[str]:
    return [signal.rule for signal in assessment.signals]


async def test_what_no_detector_minds_is_allowed(autojump_clock: MockClock) -> None:
    assert await engine().evaluate(text("hello")) == CLEAN


async def test_detectors_are_loaded_when_they_are_first_asked_and_once(autojump_clock: MockClock) -> None:
    says, commands = Says(), Says()
    one = engine(says, commands)
    assert (says.loads, commands.loads) == (0, 0)
    for _ in range(3):
        await one.evaluate(text("hello"))
    assert (says.loads, commands.loads) == (1, 0)
    await one.evaluate(Subject(Kind.COMMAND, commands=("ls",)))
    assert commands.loads == 1


@pytest.mark.parametrize("raised", [ValueError("x"), RecursionError(), MemoryError(), KeyError("x")])
async def test_a_detector_that_raises_is_a_review_with_its_rule(raised: Exception, autojump_clock: MockClock) -> None:
    one = engine(Says({"x": raised}))
    found = await one.evaluate(text("x"))
    assert (found.decision, rules(found)) == (R, ["engine.fault"])
    assert "texts failed" in found.signals[0].reason
    assert one.counts.faults["texts.fault"] == 1


@pytest.mark.parametrize(
    "nonsense",
    [
        None,
        "allow",
        0.0,
        Assessment(float("nan"), A),
        Assessment(-1.0, A),
        Assessment(1.5, A),
        Assessment("0", A),  # type: ignore[arg-type]
        Assessment(0.0, "allow"),  # type: ignore[arg-type]
        Assessment(0.0, A, ["x"]),  # type: ignore[arg-type]
        Assessment(0.0, A, ("x",)),  # type: ignore[arg-type]
    ],
)
async def test_a_detector_that_answers_nonsense_is_a_review(nonsense: Any, autojump_clock: MockClock) -> None:
    found = await engine(Says({"x": nonsense})).evaluate(text("x"))
    assert (found.decision, rules(found)) == (R, ["engine.nonsense"])


async def test_a_fault_in_one_detector_does_not_hide_what_another_found(autojump_clock: MockClock) -> None:
    one = engine(Says({"x": ValueError("x")}), Says({"rm": bad("command.rm")}))
    found = await one.evaluate(text("x", commands=("rm",)))
    assert (found.decision, rules(found)) == (B, ["command.rm", "engine.fault"])


async def test_a_detector_that_hangs_in_its_thread_is_a_review_after_the_deadline() -> None:
    let_go = threading.Event()

    def hangs(text: str) -> Assessment:
        if text:  # not when it is made ready
            let_go.wait(30)
        return CLEAN

    limits = Limits(deadline_ms=20, threads=1)
    one = Engine(lambda: Policy(limits=limits), lambda: 0, texts=(Detector("slow", lambda: hangs, inline=0),))
    try:
        for _ in range(2):  # the second one does not even get a thread
            found = await one.evaluate(text("anything"))
            assert (found.decision, rules(found)) == (R, ["engine.deadline"])
    finally:
        let_go.set()
    assert one.counts.faults["deadline"] == 2
    assert one.shown()["running"] == 0


async def test_what_is_longer_than_the_loop_may_look_at_goes_to_a_thread() -> None:
    where: list[threading.Thread] = []

    def noted(text: str) -> Assessment:
        if text:
            where.append(threading.current_thread())
        return CLEAN

    detector = Detector("d", lambda: noted, sliced=False, inline=10)
    one = Engine(Policy, lambda: 0, texts=(detector,))
    await one.evaluate(text("short"))
    await one.evaluate(text("x" * 11))
    main = threading.main_thread()
    assert [thread is main for thread in where] == [True, False]


async def test_a_full_queue_is_a_review_and_nobody_waits(autojump_clock: MockClock) -> None:
    one = engine(Says(), concurrent=1, queue=2, deadline_ms=30_000, slice=256, overlap=0)
    answers: list[Assessment] = []

    async def ask(said: str) -> None:
        answers.append(await one.evaluate(text(said)))

    async with trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(ask, f"{number} " * 2_000)
    decided = [rules(one) for one in answers]
    assert decided.count(["engine.queue-full"]) == 3
    assert decided.count([]) == 3
    assert one.counts.faults["queue-full"] == 3
    assert (one.shown()["waiting"], one.shown()["running"]) == (0, 0)


async def test_a_long_text_is_looked_at_in_slices_between_which_others_have_their_turn(
    autojump_clock: MockClock,
) -> None:
    says = Says()
    one = engine(says, slice=1_000, overlap=100)
    turns: list[int] = []

    async def other() -> None:
        while True:
            turns.append(len(says.asked))
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        await one.evaluate(text("a b" * 3_000))
        nursery.cancel_scope.cancel()
    assert len(says.asked) == 10
    assert max(later - sooner for sooner, later in pairwise(turns)) <= 2
    assert all(len(piece) <= 1_000 for piece in says.asked)


async def test_what_crosses_the_border_of_two_slices_is_found(autojump_clock: MockClock) -> None:
    for place in range(900, 1_100, 7):
        one = engine(Says({"ignore all": bad()}), slice=1_000, overlap=100)
        found = await one.evaluate(text("." * place + "ignore all" + "." * 3_000))
        assert found.decision is B, place


async def test_a_block_ends_the_search(autojump_clock: MockClock) -> None:
    says = Says({"bad": bad()})
    await engine(says, slice=1_000, overlap=100).evaluate(text("bad" + "." * 20_000))
    assert len(says.asked) == 1


async def test_a_text_that_is_too_long_is_a_review_also_where_its_beginning_is_clean(autojump_clock: MockClock) -> None:
    says = Says()
    found = await engine(says, most=5_000).evaluate(text("." * 5_001))
    assert (found.decision, rules(found)) == (R, ["engine.unread"])
    assert sum(map(len, says.asked)) <= 6_000


async def test_equal_content_is_looked_at_once_and_faults_are_not_kept(autojump_clock: MockClock) -> None:
    says = Says({"x" * 40: ValueError("x")})
    one = engine(says)
    for _ in range(3):
        await one.evaluate(text("the same text, long enough to be worth a hash"))
    assert (len(says.asked), one.shown()["cache_hits"]) == (1, 2)
    for _ in range(3):
        await one.evaluate(text("x" * 40))
    assert len(says.asked) == 4


async def test_what_is_kept_is_bounded(autojump_clock: MockClock) -> None:
    one = engine(cache=10)
    for number in range(100):
        await one.evaluate(text(f"a text that is long enough to be kept, number {number}"))
    assert one.shown()["cached"] == 10


async def test_more_commands_than_are_looked_at_are_a_review(autojump_clock: MockClock) -> None:
    commands = Says()
    found = await engine(commands=commands).evaluate(Subject(Kind.CALL, commands=("ls",) * (MOST_COMMANDS + 1)))
    assert (found.decision, rules(found)) == (R, ["engine.unread"])
    assert len(commands.asked) == MOST_COMMANDS


async def test_what_was_found_elsewhere_counts_as_it_is(autojump_clock: MockClock) -> None:
    subject = Subject(Kind.CALL, beside=(("provenance", bad("taint.sink", 0.6, R)),))
    found = await engine().evaluate(subject)
    assert (found.decision, rules(found)) == (R, ["taint.sink"])


async def test_a_way_of_no_weight_is_not_looked_at(autojump_clock: MockClock) -> None:
    says = Says({"x": bad()})
    assert await engine(says).evaluate(text("x", channel="cli")) == CLEAN
    assert says.asked == []


def looks(answer: Any, seconds: float = 0.0) -> Any:
    async def lookup(url: str) -> Assessment:
        await trio.sleep(seconds)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    return lookup


URL = ("https://known.example/",)


async def test_what_others_know_makes_a_decision_stricter(autojump_clock: MockClock) -> None:
    one = engine(lookup=looks(bad("intel.malicious")))
    found = await one.evaluate(Subject(Kind.CALL, urls=URL))
    assert (found.decision, rules(found)) == (B, ["intel.malicious"])


@pytest.mark.parametrize("answer", [CLEAN, ValueError("x"), "nonsense", Assessment(0.0, A, (Signal("i.ok", 0, "ok"),))])
async def test_what_others_know_never_weakens_a_local_decision(answer: Any, autojump_clock: MockClock) -> None:
    one = engine(commands=Says({"c": bad("command.x", 0.6, R)}), lookup=looks(answer))
    found = await one.evaluate(Subject(Kind.CALL, commands=("c",), urls=URL))
    assert (found.decision, rules(found)[0]) == (R, "command.x")


async def test_a_look_up_that_hangs_counts_as_unknown(autojump_clock: MockClock) -> None:
    one = engine(lookup=looks(bad(), 10_000))
    began = trio.current_time()
    assert await one.evaluate(Subject(Kind.CALL, urls=URL)) == CLEAN
    assert trio.current_time() - began == pytest.approx(LOOKUP_SECONDS)


async def test_what_is_blocked_here_is_not_looked_up(autojump_clock: MockClock) -> None:
    one = engine(commands=Says({"c": bad()}), lookup=looks(CLEAN, 10_000))
    began = trio.current_time()
    assert (await one.evaluate(Subject(Kind.CALL, commands=("c",), urls=URL))).decision is B
    assert trio.current_time() == began


async def test_only_some_addresses_of_a_subject_are_looked_up(autojump_clock: MockClock) -> None:
    seen: list[str] = []

    async def lookup(url: str) -> Assessment:
        await trio.lowlevel.checkpoint()
        seen.append(url)
        return CLEAN

    await engine(lookup=lookup).evaluate(Subject(Kind.CALL, urls=tuple(f"https://{n}.example" for n in range(50))))
    assert len(seen) == MOST_URLS


async def test_a_flood_of_slow_look_ups_delays_no_local_decision(autojump_clock: MockClock) -> None:
    one = engine(lookup=looks(CLEAN, 10_000), lookups=64)
    began = trio.current_time()
    waits: list[float] = []

    async def flood() -> None:
        await one.evaluate(Subject(Kind.CALL, commands=("ls",), urls=URL))

    async with trio.open_nursery() as nursery:
        for _ in range(10_000):
            nursery.start_soon(flood)
        await trio.testing.wait_all_tasks_blocked()
        assert one.shown()["lookups"] == 64
        for number in range(100):
            await one.evaluate(text(f"local {number}"))
            waits.append(trio.current_time() - began)
    assert max(waits) == 0
    assert one.counts.faults["intel.no-room"] == 10_000 - 64
    assert one.shown()["lookups"] == 0


async def test_every_evaluation_is_counted_with_its_rule(autojump_clock: MockClock) -> None:
    one = engine(Says({"x": bad("p.x")}))
    await one.evaluate(text("x"))
    await one.evaluate(text("y"))
    assert dict(one.counts.decisions) == {("text", "block", "p.x"): 1, ("text", "allow", "none"): 1}
    assert sum(one.counts.buckets) == 2


async def test_a_policy_that_changes_sets_the_bounds_anew(autojump_clock: MockClock) -> None:
    policies = [Policy(limits=Limits(cache=0))]
    says = Says()
    one = Engine(lambda: policies[-1], lambda: 0, texts=(Detector("d", says.load),))
    said = text("the same text, long enough to be worth a hash")
    await one.evaluate(said)
    policies.append(Policy(limits=Limits(concurrent=2, threads=1, cache=5)))
    await one.evaluate(said)
    await one.evaluate(said)
    assert len(says.asked) == 2


async def test_an_evaluation_that_is_cancelled_gives_its_place_back() -> None:
    let_go = threading.Event()

    def hangs(text: str) -> Assessment:
        if text:  # not when it is made ready
            let_go.wait(30)
        return CLEAN

    one = Engine(
        lambda: Policy(limits=Limits(concurrent=1)), lambda: 0, texts=(Detector("slow", lambda: hangs, inline=0),)
    )
    with trio.move_on_after(0.01) as scope:
        await one.evaluate(text("anything"))
    let_go.set()
    assert scope.cancelled_caught
    assert (one.shown()["waiting"], one.shown()["running"]) == (0, 0)
