"""exec.approval.* and its kin, as clients call them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from runtime.approvals import SECONDS, Approvals
from runtime.gateway.asking import Asking
from runtime.gateway.frames import GatewayError
from tests.fakes.gateway import FakeLink, House, serving
from tests.fakes.world import CountingChance, TrioClock

FAMILIES = ("approvals",)


@asynccontextmanager
async def house() -> AsyncIterator[House]:
    async with serving(families=FAMILIES) as made:
        part = Asking(Approvals(TrioClock(), CountingChance(500)), made.desk.runs, made.desk.hub)
        made.desk.extras |= {"asking": part, "approvals": part.approvals}
        yield made


async def refused(made: House, name: str, **params: Any) -> tuple[str, str, Any]:
    with pytest.raises(GatewayError) as error:
        await made.call(name, **params)
    return error.value.code, error.value.message, (error.value.details or {}).get("reason")


async def ask(made: House, into: list[Any], **given: Any) -> None:
    asker: FakeLink = made.link()
    params = {name: value for name, value in {"command": "ls", "id": "q", **given}.items() if value is not None}
    into += await made.answers("exec.approval.request", asker, **params)


async def test_a_question_is_answered_by_another_client(autojump_clock: MockClock) -> None:
    async with house() as made, trio.open_nursery() as nursery:
        reviewer, got = made.link(), list[Any]()
        nursery.start_soon(ask, made, got)
        await trio.sleep(1)
        (told,) = reviewer.events("exec.approval.requested")
        assert (told["id"], told["approvalKind"]) == ("q", "exec")
        shown = await made.call("exec.approval.get", id="q")
        assert (shown["commandText"], shown["allowedDecisions"]) == ("ls", ["allow-once", "deny"])
        assert [one["id"] for one in await made.call("exec.approval.list")] == ["q"]
        await made.call("exec.approval.resolve", reviewer, id="q", decision="allow-once")
        await trio.sleep(1)
        assert [(one["id"], one["decision"]) for one in got] == [("q", "allow-once")]
        assert await made.call("exec.approval.list") == []


async def test_who_wants_it_hears_at_once_that_the_question_was_put(autojump_clock: MockClock) -> None:
    async with house() as made:
        made.link()
        got: list[Any] = []
        await ask(made, got, twoPhase=True, timeoutMs=1_000)
        assert [one.get("status") for one in got] == ["accepted", None]
        assert got[1]["decision"] is None
        assert got[0]["expiresAtMs"] - got[0]["createdAtMs"] == 1_000


@pytest.mark.parametrize("most", [None, 1, 5_000, 2**53 - 1])
async def test_a_question_waits_as_long_as_it_should(autojump_clock: MockClock, most: int | None) -> None:
    async with house() as made, trio.open_nursery() as nursery:
        made.link()
        nursery.start_soon(ask, made, [])
        if most is not None:
            nursery.start_soon(lambda: ask(made, [], id="r", timeoutMs=most))
        await trio.testing.wait_all_tasks_blocked()
        waits = {one["id"]: one["expiresAtMs"] - one["createdAtMs"] for one in await made.call("exec.approval.list")}
        assert waits["q"] == SECONDS * 1000
        if most is not None:
            assert 1 <= waits["r"] <= 7 * 86_400_000
        nursery.cancel_scope.cancel()


async def test_where_nobody_else_can_answer_the_answer_is_no(autojump_clock: MockClock) -> None:
    async with house() as made:
        got: list[Any] = []
        await ask(made, got)
        assert got[0]["decision"] is None
        waited = await made.call("exec.approval.waitDecision", id="q")
        assert waited["terminalReason"] == "no-route"


async def test_a_question_can_be_waited_for_by_its_id(autojump_clock: MockClock) -> None:
    async with house() as made, trio.open_nursery() as nursery:
        made.link()
        nursery.start_soon(ask, made, [])
        await trio.sleep(1)
        got: list[Any] = []

        async def wait() -> None:
            got.append(await made.call("exec.approval.waitDecision", id="q"))

        nursery.start_soon(wait)
        await trio.sleep(1)
        await made.call("exec.approval.resolve", id="q", decision="deny")
        await trio.sleep(1)
        assert (got[0]["decision"], "terminalReason" in got[0]) == ("deny", False)


@pytest.mark.parametrize("name", ["exec.approval.get", "exec.approval.waitDecision", "exec.approval.resolve"])
async def test_a_question_that_nobody_asked_is_not_found(autojump_clock: MockClock, name: str) -> None:
    async with house() as made:
        more = {"decision": "deny"} if name.endswith("resolve") else {}
        assert (await refused(made, name, id="nope", **more))[::2] == ("INVALID_REQUEST", "APPROVAL_NOT_FOUND")


async def test_the_first_answer_counts(autojump_clock: MockClock) -> None:
    async with house() as made, trio.open_nursery() as nursery:
        made.link()
        nursery.start_soon(ask, made, [])
        await trio.sleep(1)
        assert (await refused(made, "exec.approval.resolve", id="q", decision="maybe"))[1] == "invalid decision"
        assert (await refused(made, "exec.approval.resolve", id="q", decision="allow-always"))[1] == "invalid decision"
        await made.call("exec.approval.resolve", id="q", decision="deny")
        assert await made.call("exec.approval.resolve", id="q", decision="deny") == {"ok": True}
        late = await refused(made, "exec.approval.resolve", id="q", decision="allow-once")
        assert late[1:] == ("approval already resolved", "APPROVAL_ALREADY_RESOLVED")


@pytest.mark.parametrize(("given", "why"), [({"command": None}, "command is required"), ({}, "already pending")])
async def test_a_question_that_cannot_be_put_says_why(
    autojump_clock: MockClock, given: dict[str, Any], why: str
) -> None:
    async with house() as made, trio.open_nursery() as nursery:
        made.link()
        nursery.start_soon(ask, made, [])
        await trio.sleep(1)
        params = {name: value for name, value in {"id": "q", "command": "ls", **given}.items() if value is not None}
        assert why in (await refused(made, "exec.approval.request", **params))[1]
        nursery.cancel_scope.cancel()


async def test_a_command_may_come_as_words(autojump_clock: MockClock) -> None:
    async with house() as made:
        link = made.link()
        await ask(made, [], command=None, commandArgv=["ls", "-l"], timeoutMs=1)
        assert link.events("exec.approval.requested")[0]["request"]["command"] == "ls -l"


async def test_who_may_not_answer_is_refused(autojump_clock: MockClock) -> None:
    async with house() as made:
        link = made.link(scopes=["operator.write"])
        with pytest.raises(GatewayError) as error:
            await made.call("exec.approval.resolve", link, id="q", decision="deny")
        assert error.value.code == "FORBIDDEN"


async def test_lists_that_are_empty_here_are_empty(autojump_clock: MockClock) -> None:
    async with house() as made:
        assert await made.call("plugin.approval.list") == []
        assert await made.call("question.list") == {"questions": []}
        assert (await made.call("exec.approvals.get"))["exists"] is False
