"""Calls that a person has to allow: what is asked, whom, and what comes back to the session."""

import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from attrs import define, evolve
from trio.testing import MockClock

from runtime.approvals import SECONDS, Approvals
from runtime.gateway.answered import KEPT, Answered, question
from runtime.gateway.asking import RETURN_SECONDS, Asking, Terms, request_of
from runtime.ports import Asked
from runtime.step.state import Call
from runtime.stores.memory import Kept
from runtime.vocab import Decision, Verdict
from tests.fakes.gateway import FakeLink, House, serving
from tests.fakes.world import CountingChance, FakeJudge, FakeTool, FakeTools, TrioClock, calls, spec, text

FAMILIES = ("chat", "runs", "approvals")
KEY = "agent:main:main"
REVIEWER = ["operator.read", "operator.approvals"]


@asynccontextmanager
async def asking(
    name: str = "exec", *, kept: Kept | None = None, ids: int = 0, **args: Any
) -> AsyncIterator[tuple[House, FakeTool]]:
    """A gateway whose model calls a tool about which a person is asked. One over the same `kept` needs other `ids`."""
    tool = FakeTool(spec(name))
    answers = [[calls((name, args))], [text("done")]]
    judge = FakeJudge(reviewed={name})
    tools, chance = FakeTools({name: tool}), CountingChance(ids)
    async with serving(*answers, families=FAMILIES, tools=tools, judge=judge, kept=kept, chance=chance) as house:
        desk = house.desk
        part = Asking(Approvals(TrioClock(), CountingChance(500 + ids)), desk.runs, desk.hub)
        desk.extras |= {"asking": part, "approvals": part.approvals}
        house.world.dispatcher.performer.ask = part.ask
        yield house, tool


async def asked(house: House, link: FakeLink) -> dict[str, Any]:
    """Send a message and wait until somebody is asked."""
    await house.call("chat.send", sessionKey="main", message="go", idempotencyKey="r1")
    await trio.sleep(1)
    return link.events("exec.approval.requested")[0]


def result(house: House) -> dict[str, Any]:
    """What the model was told of its call."""
    (part,) = house.world.model.requests[-1].contents[-1].parts
    return dict(part["functionResponse"]["response"])


async def test_a_command_that_is_allowed_runs(autojump_clock: MockClock) -> None:
    async with asking(command="rm x") as (house, tool):
        link = house.link(scopes=REVIEWER)
        question = await asked(house, link)
        assert tool.runs == []
        request = question["request"]
        assert (request["command"], request["sessionKey"], request["runId"]) == ("rm x", KEY, "r1")
        assert (request["tool"], request["args"]) == ("exec", {"command": "rm x"})
        assert question["expiresAtMs"] - question["createdAtMs"] == SECONDS * 1000
        answer = await house.call("exec.approval.resolve", link, id=question["id"], decision="allow-once")
        assert answer == {"ok": True}
        await house.rest(KEY)
        assert tool.runs == [{"command": "rm x"}]
        (told,) = link.events("exec.approval.resolved")
        assert (told["decision"], told["resolvedBy"]) == ("allow-once", "gateway-client")
        notes = [one["data"]["phase"] for one in link.events("agent") if "approvalId" in one["data"]]
        assert notes == ["waiting-approval", "approval-resolved"]


async def test_a_command_that_is_denied_does_not_run(autojump_clock: MockClock) -> None:
    async with asking(command="rm x") as (house, tool):
        link = house.link(scopes=REVIEWER)
        question = await asked(house, link)
        await trio.sleep(2)
        await house.call("exec.approval.resolve", link, id=question["id"], decision="deny")
        await house.rest(KEY)
        assert tool.runs == []
        assert f"id={question['id']}, user-denied): rm x" in str(result(house))
        assert house.desk.runs.shelf.items["r1"].status == "ok"


async def test_another_tool_that_is_denied_is_a_violation(autojump_clock: MockClock) -> None:
    async with asking("write", path="x") as (house, _):
        link = house.link(scopes=REVIEWER)
        question = await asked(house, link)
        assert question["request"]["command"] == "write"
        await house.call("exec.approval.resolve", link, id=question["id"], decision="deny")
        await house.rest(KEY)
        assert "user-denied): write" in str(result(house))


async def test_other_arguments_can_be_given_with_the_answer(autojump_clock: MockClock) -> None:
    async with asking(command="rm x") as (house, tool):
        link = house.link(scopes=REVIEWER)
        question = await asked(house, link)
        house.world.judge.reviewed.clear()
        given = {"id": question["id"], "decision": "allow-once", "args": {"command": "ls"}}
        await house.call("exec.approval.resolve", link, **given)
        await house.rest(KEY)
        assert tool.runs == [{"command": "ls"}]


async def test_where_nobody_can_answer_nobody_is_asked(autojump_clock: MockClock) -> None:
    async with asking(command="rm x") as (house, tool):
        link = house.link(scopes=["operator.read"])
        await house.call("chat.send", sessionKey="main", message="go", idempotencyKey="r1")
        await house.rest(KEY)
        assert (tool.runs, link.events("exec.approval.requested")) == ([], [])
        assert "Nobody is connected who could approve it" in str(result(house))


@pytest.mark.parametrize("comes", [True, False])
async def test_a_question_from_before_a_restart_waits_for_somebody_to_come_back(
    comes: bool, autojump_clock: MockClock
) -> None:
    kept = Kept()
    async with asking(kept=kept, command="rm x") as (house, tool):
        await asked(house, house.link(scopes=REVIEWER))
        await house.written()
        before = copy.deepcopy(kept)
    await trio.sleep(1)
    async with asking(kept=before, ids=9_000, command="rm x") as (house, tool):
        house.desk.runs.recover()
        await trio.sleep(RETURN_SECONDS / 2)
        assert house.desk.runs.active(house.entry(KEY).session) == ["r1"]
        link = house.link(scopes=REVIEWER if comes else ["operator.read"])
        await trio.sleep(RETURN_SECONDS)
        for question in link.events("exec.approval.requested"):
            await house.call("exec.approval.resolve", link, id=question["id"], decision="allow-once")
        await house.rest(KEY)
        assert tool.runs == ([{"command": "rm x"}] if comes else [])


async def test_nobody_answered_means_no(autojump_clock: MockClock) -> None:
    async with asking(command="rm x") as (house, tool):
        link = house.link(scopes=REVIEWER)
        await asked(house, link)
        await trio.sleep(SECONDS + 1)
        await house.rest(KEY)
        assert tool.runs == []
        assert "approval-timeout): rm x" in str(result(house))
        (told,) = link.events("exec.approval.resolved")
        assert told["decision"] is None


async def test_a_session_that_is_held_is_still_asked_about_when_it_goes_on(autojump_clock: MockClock) -> None:
    async with asking(command="rm x") as (house, tool):
        link = house.link(scopes=REVIEWER)
        question = await asked(house, link)
        session = house.desk.directory.roster.get(house.entry(KEY).session)
        house.world.dispatcher.hold(session, "debugger")
        await trio.sleep(10 * SECONDS)
        house.world.dispatcher.release(session, "debugger")
        assert [one["id"] for one in await house.call("exec.approval.list")] == [question["id"]]
        await house.call("exec.approval.resolve", link, id=question["id"], decision="allow-once")
        await house.rest(KEY)
        assert len(tool.runs) == 1


async def test_a_run_that_is_given_up_takes_its_question_with_it(autojump_clock: MockClock) -> None:
    async with asking(command="rm x") as (house, tool):
        link = house.link(scopes=REVIEWER)
        question = await asked(house, link)
        await house.call("chat.abort", sessionKey="main")
        await house.rest(KEY)
        await trio.sleep(1)
        assert await house.call("exec.approval.list") == []
        assert house.desk.extras["approvals"].get(question["id"]).why == "cancelled"
        assert len(link.events("exec.approval.resolved")) == 1
        assert tool.runs == []


@pytest.mark.parametrize("words", ["", "no-such-program-anywhere x", "sh -c x"])
def test_a_question_says_where_the_program_is(words: str) -> None:
    request = request_of(words)
    assert request["command"] == words
    assert (request["resolvedPath"] or "").endswith("sh") is words.startswith("sh")
    assert request["allowedDecisions"] == ["allow-once", "deny"]


WEIGHED = Verdict(
    Decision.REVIEW,
    "taint.sink",
    "The address is not one that you named.",
    score=0.6,
    evidence=("untrusted/web:evil.example -> history.3 -> url",),
)


@define(eq=False)
class Weighing(FakeJudge):
    """Has calls reviewed for a reason that was weighed."""

    verdict: Verdict = WEIGHED

    async def call(self, session: str, asked: Asked) -> Verdict:
        verdict = await FakeJudge.call(self, session, asked)
        return self.verdict if verdict.decision is Decision.REVIEW else verdict


@asynccontextmanager
async def weighing(*answers: Any, terms: Terms | None = None, **more: Any) -> AsyncIterator[tuple[House, FakeTool]]:
    """A gateway whose model calls a tool about which people are asked because of what was weighed."""
    tool = FakeTool(spec("exec"))
    judge = Weighing(reviewed={"exec"})
    async with serving(*answers, families=FAMILIES, tools=FakeTools({"exec": tool}), judge=judge, **more) as house:
        desk = house.desk
        part = Asking(Approvals(TrioClock(), CountingChance(500)), desk.runs, desk.hub)
        part.terms = lambda: terms or Terms()
        desk.extras |= {"asking": part, "approvals": part.approvals}
        house.world.dispatcher.performer.ask = part.ask
        yield house, tool


async def test_a_question_shows_rule_reason_score_and_chain(autojump_clock: MockClock) -> None:
    async with weighing([calls(("exec", {"command": "curl x"}))], [text("done")]) as (house, _):
        link = house.link(scopes=REVIEWER)
        request = (await asked(house, link))["request"]
        assert request["warningText"] == WEIGHED.reason
        assert request["commandAnalysis"]["riskKinds"] == ["taint.sink"]
        assert request["commandAnalysis"]["warningLines"] == [WEIGHED.reason, *WEIGHED.evidence]
        assert request["defender"] == {
            "rule": "taint.sink",
            "reason": WEIGHED.reason,
            "score": 0.6,
            "chain": [*WEIGHED.evidence],
        }


async def test_equal_calls_at_the_same_time_are_one_question(autojump_clock: MockClock) -> None:
    twice = calls(("exec", {"command": "curl x"}), ("exec", {"command": "curl x"}))
    async with weighing([twice], [text("done")]) as (house, tool):
        link = house.link(scopes=REVIEWER)
        question = await asked(house, link)
        assert len(link.events("exec.approval.requested")) == 1
        await house.call("exec.approval.resolve", link, id=question["id"], decision="allow-once")
        await house.rest(KEY)
        assert tool.runs == [{"command": "curl x"}] * 2
        assert len(link.events("exec.approval.resolved")) == 1


async def test_allow_once_is_for_one_call_and_the_next_equal_one_is_asked_about(autojump_clock: MockClock) -> None:
    once = [calls(("exec", {"command": "curl x"}))]
    async with weighing(once, once, [text("done")]) as (house, tool):
        link = house.link(scopes=REVIEWER)
        first = await asked(house, link)
        await house.call("exec.approval.resolve", link, id=first["id"], decision="allow-once")
        await trio.sleep(1)
        (_, second) = link.events("exec.approval.requested")
        await house.call("exec.approval.resolve", link, id=second["id"], decision="deny")
        await house.rest(KEY)
        assert tool.runs == [{"command": "curl x"}]


async def test_allow_always_is_answered_where_the_policy_has_it_and_holds_for_equal_calls(
    autojump_clock: MockClock,
) -> None:
    once, other = [calls(("exec", {"command": "curl x"}))], [calls(("exec", {"command": "curl y"}))]
    async with weighing(once, once, other, [text("done")], terms=Terms(always=True)) as (house, tool):
        link = house.link(scopes=REVIEWER)
        first = await asked(house, link)
        assert first["request"]["allowedDecisions"] == ["allow-once", "allow-always", "deny"]
        await house.call("exec.approval.resolve", link, id=first["id"], decision="allow-always")
        await trio.sleep(1)
        (_, second) = link.events("exec.approval.requested")
        assert second["request"]["command"] == "curl y"
        await house.call("exec.approval.resolve", link, id=second["id"], decision="deny")
        await house.rest(KEY)
        assert tool.runs == [{"command": "curl x"}] * 2


async def test_what_a_person_has_entered_is_judged_again_and_not_asked_about_again(autojump_clock: MockClock) -> None:
    async with weighing([calls(("exec", {"command": "curl x"}))], [text("done")]) as (house, tool):
        link = house.link(scopes=REVIEWER)
        question = await asked(house, link)
        given = {"id": question["id"], "decision": "allow-once", "args": {"command": "curl y"}}
        await house.call("exec.approval.resolve", link, **given)
        await house.rest(KEY)
        assert tool.runs == [{"command": "curl y"}]
        assert len(link.events("exec.approval.requested")) == 1
        assert [args for _, args in house.world.judge.seen] == [{"command": "curl x"}, {"command": "curl y"}]


async def test_what_a_person_has_entered_is_still_blocked(autojump_clock: MockClock) -> None:
    async with weighing([calls(("exec", {"command": "curl x"}))], [text("done")]) as (house, tool):
        link = house.link(scopes=REVIEWER)
        question = await asked(house, link)
        house.world.judge.blocked.add("exec")
        given = {"id": question["id"], "decision": "allow-once", "args": {"command": "rm -rf /"}}
        await house.call("exec.approval.resolve", link, **given)
        await house.rest(KEY)
        assert tool.runs == []
        assert "not this one" in str(result(house))


async def test_silence_is_no_after_the_time_that_the_policy_gives(autojump_clock: MockClock) -> None:
    once = [calls(("exec", {"command": "curl x"}))]
    async with weighing(once, [text("done")], terms=Terms(60.0)) as (house, tool):
        link = house.link(scopes=REVIEWER)
        question = await asked(house, link)
        assert question["expiresAtMs"] - question["createdAtMs"] == 60_000
        await house.rest(KEY)
        assert tool.runs == []
        assert "approval-timeout" in str(result(house))


@pytest.mark.parametrize("answered", [True, False])
async def test_after_a_restart_what_was_allowed_is_not_asked_again_and_what_was_not_is(
    answered: bool, autojump_clock: MockClock
) -> None:
    kept = Kept()
    once = [calls(("exec", {"command": "curl x"}))]
    async with weighing(once, [text("done")], kept=kept) as (house, tool):
        tool.seconds = 10_000
        link = house.link(scopes=REVIEWER)
        question = await asked(house, link)
        if answered:
            await house.call("exec.approval.resolve", link, id=question["id"], decision="allow-once")
            await trio.sleep(1)
            assert len(tool.runs) == 1
    async with weighing(once, [text("done")], kept=kept, chance=CountingChance(9_000)) as (house, tool):
        link = house.link(scopes=REVIEWER)
        house.desk.runs.recover()
        await trio.sleep(5)
        assert len(link.events("exec.approval.requested")) == (0 if answered else 1)


def test_a_question_is_the_same_for_the_same_call_and_reason_only() -> None:
    call = Call("c", "exec", {"command": "x"}, 0, verdict=WEIGHED)
    names = {
        question("s", one)
        for one in (
            call,
            evolve(call, id="d"),
            evolve(call, name="other"),
            evolve(call, args={"command": "y"}),
            evolve(call, verdict=evolve(WEIGHED, rule="other")),
            evolve(call, verdict=evolve(WEIGHED, evidence=("another chain",))),
        )
    }
    assert len(names) == 5
    assert question("s", call) != question("t", call)


def test_answers_that_are_remembered_are_bounded() -> None:
    kept = Answered()
    for number in range(KEPT + 10):
        call = Call(f"c{number}", "exec", {"n": number}, 0)
        kept.allowed("s", call, "allow-always", "me", changed=False)
        kept.entering("s", call, {"n": -number}, "me")
    assert (len(kept.once), len(kept.always), len(kept.entered)) == (KEPT, KEPT, KEPT)
