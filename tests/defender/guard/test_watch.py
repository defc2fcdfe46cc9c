"""The watch: questions first, bounds that say when they were met, and an answer that is no or nothing."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock

from defender.engine.ports import Subject
from defender.findings import Assessment, Signal
from defender.guard.ports import Answering, Noted
from defender.guard.watch import MOST_BYTES, MOST_QUESTIONS, MOST_WAITING, SECONDS, Watch
from runtime.errors import JournalFull
from runtime.vocab import Decision
from tests.defender.guard.frames import final, message, question, result, start
from tests.fakes.world import TrioClock

BAD = Assessment(0.9, Decision.BLOCK, (Signal("test.bad", 0.9, "It is bad.", "bad", Decision.BLOCK),))
ODD = Assessment(0.6, Decision.REVIEW, (Signal("test.odd", 0.6, "It is odd.", "odd", Decision.REVIEW),))
FINE = Assessment(0.0, Decision.ALLOW)


@define
class Judge:
    """Blocks what says bad, reviews what says odd, and takes `slow` seconds."""

    slow: float = 0.0
    raises: BaseException | None = None
    asked: list[Subject] = field(factory=list)

    async def evaluate(self, subject: Subject) -> Assessment:
        self.asked.append(subject)
        await trio.sleep(self.slow)
        if self.raises is not None:
            raise self.raises
        text = subject.text + " ".join(subject.commands)
        return BAD if "bad" in text else ODD if "odd" in text else FINE


@define
class Recorder:
    """Keeps in memory."""

    slow: float = 0.0
    full: bool = False
    broken: bool = False
    recorded: list[Mapping[str, Any]] = field(factory=list)
    kept: list[str] = field(factory=list)

    def record(self, decision: Mapping[str, Any]) -> None:
        if self.full:
            raise JournalFull("there is no room")
        self.recorded.append(decision)

    async def keep(self, content: str, decision: Mapping[str, Any]) -> str:
        await trio.sleep(self.slow)
        if self.broken:
            raise KeyError("session")
        if self.full:
            raise JournalFull("there is no room")
        self.kept.append(content)
        return f"kept-{len(self.kept)}"


@define
class House:
    """A running watch, and what it said."""

    watch: Watch
    judge: Judge
    noted: list[Noted]
    denied: list[str]
    complaints: list[str]

    async def idle(self) -> None:
        await trio.sleep(500)
        assert self.watch.idle

    def rules(self) -> list[str]:
        return [one.decided.rule for one in self.noted]


@asynccontextmanager
async def watching(
    judge: Judge | None = None, *, runs: bool = True, why: str = "", **options: Any
) -> AsyncIterator[House]:
    noted: list[Noted] = []
    denied: list[str] = []
    complaints: list[str] = []

    async def deny(approval: str) -> str:
        await trio.lowlevel.checkpoint()
        denied.append(approval)
        return why

    judge = judge or Judge()
    watch = Watch(judge, TrioClock(), noted.append, deny=deny, complain=complaints.append, **options)
    async with trio.open_nursery() as nursery:
        if runs:
            nursery.start_soon(watch.run)
        yield House(watch, judge, noted, denied, complaints)
        nursery.cancel_scope.cancel()


async def test_each_thing_is_judged_and_noted(autojump_clock: MockClock) -> None:
    async with watching() as house:
        for frame in (message("user", "odd"), start("exec", command="bad"), result("fine"), final("fine")):
            house.watch.take(frame)
        await house.idle()
    assert sorted(house.rules()) == ["none", "none", "test.bad", "test.odd"]
    call = next(one for one in house.noted if one.decided.rule == "test.bad")
    assert (call.decided.tool, call.decided.call, call.decided.enforced, call.acted) == ("exec", "c1", False, "")


async def test_questions_go_before_everything_else(autojump_clock: MockClock) -> None:
    async with watching(runs=False) as house:
        for number in range(20):
            house.watch.take(message("user", "x", f"m{number}"))
        house.watch.take(question("ls"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.watch.run)
            await house.idle()
            nursery.cancel_scope.cancel()
    assert house.judge.asked[0].commands == ("ls",)


@pytest.mark.parametrize(
    ("answering", "command", "denied"),
    [
        (Answering.DENY_BLOCKED, "bad", True),
        (Answering.DENY_BLOCKED, "odd", False),
        (Answering.DENY_BLOCKED, "fine", False),
        (Answering.OBSERVE, "bad", False),
    ],
)
async def test_the_answer_is_no_to_what_is_blocked_if_told_so_and_else_nothing(
    autojump_clock: MockClock, answering: Answering, command: str, denied: bool
) -> None:
    async with watching(answering=answering) as house:
        house.watch.take(question(command))
        house.watch.take(start("exec", "c2", command=command))
        await house.idle()
    assert house.denied == (["q1"] if denied else [])
    (asked,) = (one for one in house.noted if one.seen.approval)
    assert (asked.acted, asked.decided.enforced) == (("denied", True) if denied else ("", False))


async def test_a_no_that_failed_is_said_and_may_be_said_again(autojump_clock: MockClock) -> None:
    async with watching(answering=Answering.DENY_BLOCKED, why="there is no connection") as house:
        house.watch.take(question("bad"))
        await house.idle()
        house.watch.ask(question("bad")["payload"])
        await house.idle()
    assert [one.acted for one in house.noted] == ["failed: there is no connection"] * 2
    assert not house.noted[0].decided.enforced


async def test_a_question_without_a_command_is_for_a_person(autojump_clock: MockClock) -> None:
    async with watching(answering=Answering.DENY_BLOCKED) as house:
        house.watch.take(question(None))
        await house.idle()
    assert house.rules() == ["guard.fault"]
    assert house.noted[0].decided.assessment.decision is Decision.REVIEW
    assert house.denied == []


async def test_whoever_brings_frames_never_waits_and_what_is_lost_is_said_once(autojump_clock: MockClock) -> None:
    async with watching(Judge(slow=0.01)) as house:
        began = trio.current_time()
        for number in range(MOST_WAITING + 500):
            house.watch.take(message("user", "x", f"m{number}"))
        assert trio.current_time() == began
        await house.idle()
    assert house.watch.judged == MOST_WAITING
    assert house.watch.unseen == 500
    lost = [one for one in house.noted if one.decided.rule == "guard.unseen"]
    assert len(lost) == 1
    assert "500 things" in lost[0].decided.reason
    assert lost[0].decided.assessment.decision is Decision.REVIEW


async def test_what_waits_is_bounded_in_characters(autojump_clock: MockClock) -> None:
    async with watching(runs=False) as house:
        text = "x" * (1 << 20)
        for number in range(100):
            house.watch.take(message("user", text, f"m{number}"))
        assert house.watch.unseen == 100 - MOST_BYTES // len(text)


async def test_a_crowd_of_messages_does_not_crowd_out_questions(autojump_clock: MockClock) -> None:
    async with watching(runs=False) as house:
        for number in range(MOST_WAITING + 1):
            house.watch.take(message("user", "x", f"m{number}"))
        for number in range(MOST_QUESTIONS + 1):
            house.watch.take(question("ls", f"q{number}"))
        assert house.watch.unseen == 2


async def test_a_judgement_that_takes_too_long_is_a_review(autojump_clock: MockClock) -> None:
    async with watching(Judge(slow=1_000.0), answering=Answering.DENY_BLOCKED) as house:
        house.watch.take(question("bad"))
        await trio.sleep(SECONDS + 0.1)
        assert house.rules() == ["guard.late"]
        assert house.denied == []


async def test_a_judge_that_fails_gives_a_review_and_the_watch_goes_on(autojump_clock: MockClock) -> None:
    async with watching(Judge(raises=ValueError("boom"))) as house:
        house.watch.take(question("bad"))
        await house.idle()
        house.judge.raises = None
        house.watch.take(question("odd", "q2"))
        await house.idle()
    assert house.rules() == ["guard.fault", "test.odd"]


async def test_what_is_blocked_is_kept_and_what_is_reviewed_recorded(autojump_clock: MockClock) -> None:
    recorder = Recorder()
    async with watching(recorder=recorder) as house:
        for frame in (result("so bad"), message("user", "odd"), message("user", "fine", "m2")):
            house.watch.take(frame)
        await house.idle()
    assert recorder.kept == ["so bad"]
    assert [one["rule"] for one in recorder.recorded] == ["test.odd"]
    assert {one.decided.kept for one in house.noted} == {"", "kept-1"}


@pytest.mark.parametrize(
    "recorder", [Recorder(full=True), Recorder(slow=1_000.0), Recorder(broken=True)], ids=["full", "slow", "broken"]
)
async def test_a_quarantine_that_takes_nothing_is_complained_about(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    async with watching(recorder=recorder, answering=Answering.DENY_BLOCKED) as house:
        house.watch.take(question("bad"))
        await house.idle()
    assert house.denied == ["q1"]
    assert len(house.complaints) == 1
    assert house.rules() == ["test.bad"]


async def test_the_watch_can_be_cancelled_at_every_await(autojump_clock: MockClock) -> None:
    for number in range(40):
        recorder = Recorder(slow=0.05)
        async with watching(Judge(slow=0.05), recorder=recorder, answering=Answering.DENY_BLOCKED) as house:
            house.watch.take(question("bad"))
            house.watch.take(message("user", "odd"))
            for _ in range(number):
                await trio.lowlevel.checkpoint()
            await trio.sleep(number / 200)
        assert house.watch._working == 0
