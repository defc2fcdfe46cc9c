"""Calls that a person has to allow: what is asked, whom, and what comes back to the session."""

import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from runtime.approvals import SECONDS, Approvals
from runtime.gateway.asking import RETURN_SECONDS, Asking, request_of
from runtime.stores.memory import Kept
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
