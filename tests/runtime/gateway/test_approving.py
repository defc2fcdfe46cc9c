"""The chat command /approve: who may answer a question with it, and what is said then."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from trio.testing import MockClock

from runtime.approvals import Approvals
from runtime.gateway.approving import REFUSED, USAGE, parsed
from runtime.gateway.asking import Asking
from tests.fakes.gateway import FakeLink, House, serving
from tests.fakes.world import CountingChance, TrioClock

FAMILIES = ("chat", "runs")


@asynccontextmanager
async def house(*allowed: str) -> AsyncIterator[tuple[House, Approvals]]:
    """A gateway in which the question `q-1` waits."""
    async with serving(families=FAMILIES) as made:
        part = Asking(Approvals(TrioClock(), CountingChance(500)), made.desk.runs, made.desk.hub)
        made.desk.extras |= {"asking": part, "approvals": part.approvals}
        part.approvals.request("exec", {"command": "ls"}, name="q-1", allowed=allowed or ("allow-once", "deny"))
        yield made, part.approvals


async def said(made: House, text: str, run: str = "c1", link: FakeLink | None = None) -> str:
    listener = made.link()
    await made.answers("chat.send", link, sessionKey="main", message=text, idempotencyKey=run)
    told = listener.events("chat", runId=run)
    return str(told[0]["message"]["content"][0]["text"]) if told else ""


@pytest.mark.parametrize(
    ("rest", "found"),
    [
        ("q-1 allow-once", ("q-1", "allow-once")),
        ("q-1 ALLOW", ("q-1", "allow-once")),
        ("always q-1", ("q-1", "allow-always")),
        ("q-1 reject", ("q-1", "deny")),
        ("", None),
        ("q-1", None),
        ("q-1 perhaps", None),
        ("q-1 allow-once please", None),
    ],
)
def test_id_and_decision_are_taken_in_either_order(rest: str, found: tuple[str, str] | None) -> None:
    assert parsed(rest) == found


@pytest.mark.parametrize("scope", ["operator.approvals", "operator.admin"])
async def test_whoever_may_approve_answers_a_question_in_a_chat(scope: str, autojump_clock: MockClock) -> None:
    async with house() as (made, approvals):
        link = made.link(scopes=["operator.write", scope])
        assert await said(made, "/approve q-1 allow-once", link=link) == "✅ Approval allow-once submitted for q-1."
        found = approvals.get("q-1")
        assert (found.decision, found.by) == ("allow-once", "gateway-client")
        assert made.world.model.requests == []


async def test_others_get_one_sentence_and_the_question_waits_on(autojump_clock: MockClock) -> None:
    async with house() as (made, approvals):
        link = made.link(scopes=["operator.write"])
        assert await said(made, "/approve q-1 allow-once", link=link) == REFUSED
        assert await said(made, "/approve nosuch deny", "c2", link) == REFUSED  # nor do they learn which ids there are
        assert "q-1" in approvals.waiting


async def test_what_cannot_be_answered_so_is_said(autojump_clock: MockClock) -> None:
    async with house() as (made, approvals):
        assert await said(made, "/approve", "c1") == USAGE
        assert "unknown or expired approval id" in await said(made, "/approve nosuch deny", "c2")
        assert "allow-always is not offered; allow-once, deny are" in await said(made, "/approve q-1 always", "c3")
        assert "q-1" in approvals.waiting
        assert "deny submitted" in await said(made, "/approve q-1 deny", "c4")
        assert "already resolved" in await said(made, "/approve q-1 allow", "c5")
        assert approvals.get("q-1").decision == "deny"


async def test_an_answer_for_ever_is_given_where_the_question_has_it(autojump_clock: MockClock) -> None:
    async with house("allow-once", "allow-always", "deny") as (made, approvals):
        assert "allow-always submitted" in await said(made, "/approve q-1 always")
        assert approvals.get("q-1").decision == "allow-always"


async def test_the_same_message_again_answers_nothing_again(autojump_clock: MockClock) -> None:
    async with house() as (made, approvals):
        await said(made, "/approve q-1 deny")
        assert await said(made, "/approve q-1 deny") == ""
        assert approvals.get("q-1").decision == "deny"
