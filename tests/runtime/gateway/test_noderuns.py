"""system.run on a node: what is forwarded, and that an approval cannot be made up."""

import json
from typing import Any

import pytest
from trio.testing import MockClock

from runtime.gateway.asking import request_of
from tests.fakes.nodes import Key, Member, PairedHouse, details, invoked, paired_house

WRITE = ("operator.write",)


def run_of(node: Member) -> dict[str, Any]:
    """The params of the last system.run."""
    found: dict[str, Any] = json.loads(node.events("node.invoke.request")[-1]["paramsJSON"])
    return found


async def test_only_known_params_of_a_run_are_forwarded_and_it_gets_a_name() -> None:
    async with paired_house() as house:
        node = await house.approved(Key(1))
        given = {"command": ["ls"], "cwd": "/tmp", "surprise": 1}
        await invoked(house, node, lambda _: {"ok": True}, command="system.run", params=given)
        assert run_of(node).keys() == {"command", "cwd", "runId"}


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"approved": True}, "MISSING_RUN_ID"),
        ({"approvalDecision": "allow-always"}, "MISSING_RUN_ID"),
        ({"approved": True, "runId": "nope"}, "UNKNOWN_APPROVAL_ID"),
        ({"approvalSource": "auto-review"}, "INVALID_APPROVAL_SOURCE"),
        ({"approvalSource": "ask-fallback", "approved": True}, "APPROVAL_SOURCE_MISMATCH"),
    ],
)
async def test_nobody_says_by_himself_that_a_command_was_approved(said: dict[str, Any], code: str) -> None:
    async with paired_house() as house:
        node = await house.approved(Key(1))
        error = await invoked(house, node, None, command="system.run", params={"command": ["rm"], **said})
        assert details(error)["code"] == code
        assert not node.events("node.invoke.request")


def approval(house: PairedHouse, decision: str | None = "allow-once", **changes: Any) -> str:
    """Have a command of node 1 approved; return the approval's id."""
    plan = {"argv": ["make"], "cwd": "/src", "commandText": "make", "agentId": "main", "sessionKey": "agent:main:main"}
    given: dict[str, Any] = {"host": "node", "node": Key(1).id, "plan": plan} | changes
    made = house.approvals.request("exec", request_of("make", **given), allowed=("allow-once", "allow-always", "deny"))
    if decision is not None:
        house.approvals.resolve(made.id, decision, "operator")
    return made.id


async def test_an_approved_command_is_sent_as_it_was_shown_and_once() -> None:
    async with paired_house() as house:
        node = await house.approved(Key(1))
        run = approval(house)
        given = {"command": ["make"], "cwd": "/elsewhere", "approved": True, "runId": run}
        await invoked(house, node, lambda _: {"ok": True}, command="system.run", params=given)
        sent = run_of(node)
        assert (sent["command"], sent["cwd"], sent["runId"]) == (["make"], "/src", run)
        assert (sent["approved"], sent["approvalDecision"]) == (True, "allow-once")
        again = await invoked(house, node, None, command="system.run", params=given)
        assert details(again) == {"code": "APPROVAL_REQUIRED", "runId": run}


@pytest.mark.parametrize(
    ("decision", "changes", "params", "code"),
    [
        (None, {}, {}, "APPROVAL_REQUIRED"),
        ("deny", {}, {}, "APPROVAL_REQUIRED"),
        ("allow-once", {"node": Key(2).id}, {}, "APPROVAL_NODE_MISMATCH"),
        ("allow-once", {"node": None}, {}, "APPROVAL_NODE_BINDING_MISSING"),
        ("allow-once", {"plan": None}, {}, "APPROVAL_REQUEST_MISMATCH"),
        ("allow-once", {"host": "gateway"}, {}, "APPROVAL_REQUEST_MISMATCH"),
        ("allow-once", {}, {"command": ["rm"]}, "APPROVAL_REQUEST_MISMATCH"),
        ("allow-once", {}, {"env": {"PATH": "/evil"}}, "APPROVAL_REQUEST_MISMATCH"),
    ],
)
async def test_an_approval_is_good_for_what_it_was_given_for(
    decision: str | None, changes: dict[str, Any], params: dict[str, Any], code: str
) -> None:
    async with paired_house() as house:
        node = await house.approved(Key(1))
        given = {"command": ["make"], "approved": True, "runId": approval(house, decision, **changes), **params}
        error = await invoked(house, node, None, command="system.run", params=given)
        assert details(error)["code"] == code


async def test_who_may_not_answer_approvals_may_not_use_them() -> None:
    async with paired_house() as house:
        writer = await house.operator(WRITE)
        await house.approved(Key(1))
        given = {"command": ["make"], "approved": True, "runId": approval(house)}
        params = {"nodeId": Key(1).id, "command": "system.run", "idempotencyKey": "k", "params": given}
        assert details(await house.fails("node.invoke", writer, **params))["code"] == "APPROVAL_CLIENT_MISMATCH"


async def test_an_approval_ends_with_its_time(autojump_clock: MockClock) -> None:
    async with paired_house() as house:
        node = await house.approved(Key(1))
        given = {"command": ["make"], "approved": True, "runId": approval(house)}
        autojump_clock.jump(1801)
        error = await invoked(house, node, None, command="system.run", params=given)
        assert details(error)["code"] == "APPROVAL_EXPIRED"
