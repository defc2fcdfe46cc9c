"""node.*: what a node may be asked for, by whom, and what comes of it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from runtime.gateway.asking import request_of
from runtime.gateway.nodepolicy import Rules
from runtime.stores.memory import Kept
from tests.fakes.nodes import ALL, PAIRING, READ, Key, Member, PairedHouse, asked, paired_house
from tests.fakes.world import CountingChance, text

REMOVED = (4001, "device removed")
WRITE = ("operator.write",)
PHONE = {"platform": "ios", "deviceFamily": "iPhone"}


async def invoked(
    house: PairedHouse, node: Member, answer: Callable[[dict[str, Any]], dict[str, Any]] | None = None, **params: Any
) -> Any:
    """Invoke a command, answered by the node; return the answer, or the error."""
    given: dict[str, Any] = {"nodeId": node.admitted.device, "command": "system.which", "idempotencyKey": "k"} | params
    found: list[Any] = []

    async def invoke() -> None:
        try:
            found.append(await house.call("node.invoke", None, **given))
        except Exception as error:  # noqa: BLE001 - it is what the test looks at
            found.append(error)

    before = len(node.events("node.invoke.request"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(invoke)
        await wait_all_tasks_blocked()
        for request in node.events("node.invoke.request")[before:]:
            if answer is not None:
                result = {"id": request["id"], "nodeId": request["nodeId"], **answer(request)}
                assert await house.call("node.invoke.result", node, **result) == {"ok": True}
    return found[0]


def details(error: object) -> dict[str, Any]:
    """The details of an error."""
    return dict(getattr(error, "details", None) or {})


# --- pairing


async def test_what_a_node_declares_waits_for_somebody_who_may_approve_it() -> None:
    async with paired_house() as house:
        operator, key = await house.operator(), Key(1)
        await house.node(key, ("system.which", "system.run", "camera.snap", "made.up"))
        (told,) = operator.events("node.pair.requested")
        assert told["commands"] == ["system.which", "system.run"]  # the rest is never allowed on this platform
        assert told["requiredApproveScopes"] == ["operator.pairing", "operator.admin"]
        assert told["silent"] is True
        listed = await house.call("node.pair.list", operator)
        assert listed == {"pending": [told], "paired": []}
        (row,) = (await house.call("node.list", operator))["nodes"]
        assert (row["approvalState"], row["commands"], row["caps"]) == ("pending-approval", [], [])
        assert row["pendingDeclaredCommands"] == ["system.run", "system.which"]
        error = await house.fails("node.invoke", operator, nodeId=key.id, command="system.which", idempotencyKey="a")
        assert (error.code, details(error)) == ("UNAVAILABLE", {"code": "PAIRING_CHANGED"})


async def test_an_approved_node_is_told_and_may_be_asked_at_once() -> None:
    async with paired_house() as house:
        operator, key = await house.operator(), Key(1)
        node = await house.node(key)
        request = operator.events("node.pair.requested")[0]["requestId"]
        answer = await house.call("node.pair.approve", operator, requestId=request)
        assert (answer["requestId"], answer["node"]["commands"]) == (request, ["system.which", "system.run"])
        assert operator.events("node.pair.resolved", requestId=request, decision="approved")
        assert node.events("node.pair.resolved", requestId=request, decision="approved")
        row = await house.call("node.describe", operator, nodeId=key.id)
        assert (row["approvalState"], row["commands"]) == ("approved", ["system.run", "system.which"])
        assert (await invoked(house, node, lambda _: {"ok": True}))["ok"] is True


async def test_commands_that_run_programs_are_approved_by_administrators_only() -> None:
    async with paired_house() as house:
        writer = await house.operator((*PAIRING, "operator.write"))
        await house.node(Key(1))
        await house.node(Key(2), ("system.notify",), said={"displayName": "other"})
        requests = {one["nodeId"]: one["requestId"] for one in (await house.call("node.pair.list"))["pending"]}
        refused = await house.fails("node.pair.approve", writer, requestId=requests[Key(1).id])
        assert refused.code == "FORBIDDEN"
        assert details(refused)["requiredScopes"] == ["operator.pairing", "operator.admin"]
        assert (await house.call("node.pair.approve", writer, requestId=requests[Key(2).id]))["node"]


async def test_a_pending_request_is_shown_to_those_who_may_pair_only() -> None:
    async with paired_house() as house:
        reader = await house.operator(READ)
        await house.node(Key(1))
        (row,) = (await house.call("node.list", reader))["nodes"]
        assert row["approvalState"] == "pending-approval"
        assert not [name for name in row if name.startswith("pending")]


async def test_declaring_more_waits_again_and_what_was_approved_goes_on() -> None:
    async with paired_house() as house:
        operator, key = await house.operator(), Key(1)
        house.leave(await house.approved(key, ("system.which",)))
        await house.node(key, ("system.which", "system.run"))
        row = await house.call("node.describe", operator, nodeId=key.id)
        assert (row["approvalState"], row["commands"]) == ("pending-reapproval", ["system.which"])
        await house.node(key, ("system.which",))
        assert operator.events("node.pair.resolved", requestId=row["pendingRequestId"], decision="rejected")
        row = await house.call("node.describe", operator, nodeId=key.id)
        assert (row["approvalState"], row["commands"]) == ("approved", ["system.which"])


async def test_declaring_the_same_again_is_the_same_request() -> None:
    async with paired_house() as house:
        operator, key = await house.operator(), Key(1)
        house.leave(await house.node(key, ("system.which", "system.run")))
        await house.node(key, ("system.run", "system.which"))
        assert len(operator.events("node.pair.requested")) == 1
        assert len((await house.call("node.pair.list"))["pending"]) == 1


async def test_a_rejected_request_takes_nothing_away() -> None:
    async with paired_house() as house:
        operator, key = await house.operator(), Key(1)
        house.leave(await house.approved(key, ("system.which",)))
        await house.node(key)
        (request,) = [one["requestId"] for one in (await house.call("node.pair.list"))["pending"]]
        assert await house.call("node.pair.reject", operator, requestId=request) == {"requestId": request, "nodeId": key.id}
        assert operator.events("node.pair.resolved", requestId=request, decision="rejected")
        assert (await house.call("node.describe", operator, nodeId=key.id))["commands"] == ["system.which"]
        assert str(await house.fails("node.pair.reject", requestId=request)) == "unknown requestId"


async def test_a_node_stays_approved_over_a_restart() -> None:
    kept = Kept()
    async with paired_house(kept=kept) as house:
        await house.approved(Key(1))
        await house.call("node.rename", nodeId=Key(1).id, displayName=" Bob ")
        await house.house.written()
    async with paired_house(kept=kept, chance=CountingChance(1000)) as house:
        (row,) = (await house.call("node.list"))["nodes"]
        assert (row["displayName"], row["approvalState"], row["connected"]) == ("Bob", "approved", False)
        node = await house.node(Key(1))
        assert (await invoked(house, node, lambda _: {"ok": True}))["ok"] is True


async def test_a_removed_node_is_disconnected_and_its_device_forgotten() -> None:
    async with paired_house() as house:
        operator, key = await house.operator(), Key(1)
        node = await house.approved(key)
        assert await house.call("node.pair.remove", operator, nodeId=key.id) == {"nodeId": key.id}
        assert node.closed == REMOVED
        assert operator.events("node.pair.resolved", nodeId=key.id, decision="removed", requestId="")
        assert (await house.call("node.list"))["nodes"] == []
        assert (await house.call("device.pair.list"))["paired"] == []
        for method in ("node.pair.remove", "node.describe"):
            assert str(await house.fails(method, nodeId=key.id)) == "unknown nodeId"


async def test_a_node_that_is_an_operator_too_stays_one_when_the_node_is_removed() -> None:
    async with paired_house() as house:
        key = Key(1)
        person = await house.come(key, scopes=READ, said={"deviceFamily": "Linux"})
        request = (await house.turned_away(key, "node-host", "node", "node", ()))["requestId"]
        await house.call("device.pair.approve", requestId=request)
        node = await house.approved(key)
        await house.call("node.pair.remove", nodeId=key.id)
        assert (node.closed, person.closed) == (REMOVED, None)
        (row,) = (await house.call("device.pair.list"))["paired"]
        assert (row["roles"], row["scopes"]) == (["operator"], ["operator.read"])
        assert "nodeSurface" not in row


async def test_a_node_with_the_token_of_its_device_decides_about_no_other_node() -> None:
    async with paired_house() as house:
        own, other = Key(1), Key(2)
        await house.approved(other)
        await house.node(other, ("system.which", "system.run", "system.notify"))
        house.leave(await house.come(own, scopes=PAIRING))
        link = await house.come(own, scopes=PAIRING, by_token=True)
        (request,) = [one["requestId"] for one in (await house.call("node.pair.list"))["pending"]]
        assert await house.call("node.pair.list", link) == {"pending": [], "paired": []}
        for method, params in {
            "node.pair.approve": {"requestId": request},
            "node.pair.reject": {"requestId": request},
            "node.pair.remove": {"nodeId": other.id},
            "node.rename": {"nodeId": other.id, "displayName": "x"},
        }.items():
            assert str(await house.fails(method, link, **params)).endswith(" denied"), method


# --- commands


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"ok": True, "payload": {"x": 1}}, {"payload": {"x": 1}, "payloadJSON": None}),
        ({"ok": True, "payloadJSON": '{"x": 1}'}, {"payload": {"x": 1}, "payloadJSON": '{"x": 1}'}),
        ({"ok": True, "payloadJSON": "{oops"}, {"payload": {"payloadJSON": "{oops"}, "payloadJSON": "{oops"}),
        ({"ok": True, "payloadJSON": {"x": 1}}, {"payload": {"x": 1}, "payloadJSON": None}),
        ({"ok": True, "payloadJSON": None, "error": None}, {"payloadJSON": None}),
        ({"ok": True, "payload": None}, {"payload": None, "payloadJSON": None}),
    ],
)
async def test_the_result_of_a_command_goes_back_to_who_asked(result: dict[str, Any], expected: dict[str, Any]) -> None:
    async with paired_house() as house:
        node = await house.approved(Key(1))
        answer = await invoked(house, node, lambda _: result, params={"bins": ["sh"]}, sessionKey=" main ", timeoutMs=8000)
        assert answer == {"ok": True, "nodeId": Key(1).id, "command": "system.which", **expected}
        (request,) = node.events("node.invoke.request")
        assert json.loads(request["paramsJSON"]) == {"bins": ["sh"]}
        assert (request["timeoutMs"], request["idempotencyKey"], request["sessionKey"]) == (8000, "k", "main")


async def test_a_payload_nested_too_deep_is_passed_on_as_text() -> None:
    async with paired_house() as house:
        node, deep = await house.approved(Key(1)), "[" * 200 + "]" * 200
        answer = await invoked(house, node, lambda _: {"ok": True, "payloadJSON": deep})
        assert answer["payload"] == {"payloadJSON": deep}


@pytest.mark.parametrize(
    ("error", "message"), [({"code": "BOOM", "message": "no such"}, "BOOM: no such"), (None, "node invoke failed")]
)
async def test_the_failure_of_a_command_is_told(error: dict[str, str] | None, message: str) -> None:
    async with paired_house() as house:
        node = await house.approved(Key(1))
        failed = await invoked(house, node, lambda _: {"ok": False, "error": error})
        assert (failed.code, str(failed)) == ("UNAVAILABLE", message)
        assert details(failed) == {"nodeError": error, "nodeCommandDispatched": True}


async def test_a_node_that_does_not_answer_is_given_up_and_told_so(autojump_clock: MockClock) -> None:
    async with paired_house() as house:
        node = await house.approved(Key(1))
        failed = await invoked(house, node, None, timeoutMs=400)
        assert details(failed)["nodeError"]["code"] == "TIMEOUT"
        (cancel,) = node.events("node.invoke.cancel")
        assert cancel["invokeId"] == (await asked(node))["id"]
        late = {"id": cancel["invokeId"], "nodeId": Key(1).id, "ok": True}
        assert await house.call("node.invoke.result", node, **late) == {"ok": True, "ignored": True}


async def test_no_command_is_waited_for_without_end(autojump_clock: MockClock) -> None:
    async with paired_house() as house:
        node = await house.approved(Key(1))
        start = trio.current_time()
        failed = await invoked(house, node, None, timeoutMs=0)
        assert details(failed)["nodeError"]["code"] == "TIMEOUT"
        assert trio.current_time() - start == pytest.approx(3600)
        assert (await asked(node))["timeoutMs"] == 3_600_000


async def test_a_node_that_goes_away_ends_what_it_was_asked_for() -> None:
    async with paired_house() as house:
        node = await house.approved(Key(1))

        def leave(_: dict[str, Any]) -> None:
            house.leave(node)

        async with trio.open_nursery() as nursery:
            errors: list[Any] = []

            async def invoke() -> None:
                errors.append(
                    await house.fails("node.invoke", nodeId=Key(1).id, command="system.which", idempotencyKey="k")
                )

            nursery.start_soon(invoke)
            leave(await asked(node))
        assert details(errors[0])["nodeError"]["code"] == "DISCONNECTED"
        gone = await house.fails("node.invoke", nodeId=Key(1).id, command="system.which", idempotencyKey="k")
        assert details(gone).items() >= {"code": "NOT_CONNECTED", "nodeCommandDispatched": False}.items()


async def test_a_node_that_is_removed_while_it_works_answers_for_nobody() -> None:
    async with paired_house() as house:
        node = await house.approved(Key(1))
        errors: list[Any] = []
        async with trio.open_nursery() as nursery:

            async def invoke() -> None:
                errors.append(
                    await house.fails("node.invoke", nodeId=Key(1).id, command="system.which", idempotencyKey="k")
                )

            nursery.start_soon(invoke)
            request = await asked(node)
            await house.call("device.pair.remove", deviceId=Key(1).id)
        assert details(errors[0]) == {"code": "PAIRING_CHANGED"}
        late = {"id": request["id"], "nodeId": Key(1).id, "ok": True}
        assert (await house.call("node.invoke.result", node, **late))["ignored"] is True


async def test_a_caller_that_goes_away_takes_its_command_back() -> None:
    async with paired_house() as house:
        node = await house.approved(Key(1))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: invoked(house, node))
            request = await asked(node)
            nursery.cancel_scope.cancel()
        assert node.events("node.invoke.cancel", invokeId=request["id"])
        assert not house.book.invocations.open


async def test_only_the_connection_that_was_asked_answers() -> None:
    async with paired_house() as house:
        node, other = await house.approved(Key(1)), await house.approved(Key(2), said={"displayName": "other"})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: invoked(house, node))
            request = await asked(node)
            mine = {"id": request["id"], "nodeId": Key(1).id, "ok": True}
            theirs = {**mine, "nodeId": Key(2).id}
            assert str(await house.fails("node.invoke.result", other, **mine)) == "nodeId mismatch"
            assert (await house.call("node.invoke.result", other, **theirs))["ignored"] is True
            assert await house.call("node.invoke.result", node, **mine) == {"ok": True}


async def test_the_newer_of_two_connections_is_the_node() -> None:
    async with paired_house() as house:
        old = await house.approved(Key(1))
        new = await house.node(Key(1))
        assert (await invoked(house, new, lambda _: {"ok": True}))["ok"] is True
        assert not old.events("node.invoke.request")
        assert old.closed is None
        house.leave(old)
        assert (await house.call("node.describe", nodeId=Key(1).id))["connected"] is True


async def test_the_same_idempotency_key_is_for_the_node_to_judge() -> None:
    async with paired_house() as house:
        node = await house.approved(Key(1))
        for _ in range(2):
            await invoked(house, node, lambda _: {"ok": True})
        assert [one["idempotencyKey"] for one in node.events("node.invoke.request")] == ["k", "k"]


async def test_progress_is_taken_and_nobody_hears_of_it() -> None:
    async with paired_house() as house:
        node = await house.approved(Key(1))
        params = {"invokeId": "x", "nodeId": Key(1).id, "seq": 0, "chunk": "hi"}
        assert await house.call("node.invoke.progress", node, **params) == {"ok": True, "ignored": True}
        wrong = {**params, "nodeId": Key(2).id}
        assert str(await house.fails("node.invoke.progress", node, **wrong)) == "nodeId mismatch"
        large = {**params, "chunk": "ä" * 16_000}
        assert str(await house.fails("node.invoke.progress", node, **large)) == "progress chunk too large"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("made.up", "command not allowlisted"),
        ("camera.snap", "command not allowlisted"),
        ("browser.proxy", "command not allowlisted"),
        ("system.notify", "command not declared by node"),
        ("worker.launch.v1", None),
        ("system.execApprovals.set", None),
        ("agent.cli.claude.run.v1", None),
    ],
)
async def test_a_command_outside_of_what_is_allowed_never_reaches_the_node(command: str, reason: str | None) -> None:
    async with paired_house() as house:
        node = await house.approved(Key(1))
        error = await house.fails("node.invoke", nodeId=Key(1).id, command=command, idempotencyKey="k")
        assert error.code == "INVALID_REQUEST"
        assert details(error) == {"command": command} | ({"reason": reason} if reason else {})
        assert not node.events("node.invoke.request")


async def test_the_settings_open_a_command_and_close_it_again_at_once() -> None:
    async with paired_house() as house:
        house.rules[0] = Rules(allow=frozenset({"camera.snap"}))
        node = await house.approved(Key(1), ("camera.snap",), ("camera",))
        assert (await invoked(house, node, lambda _: {"ok": True}, command="camera.snap"))["ok"] is True
        house.rules[0] = Rules(allow=frozenset({"camera.snap"}), deny=frozenset({"camera.snap"}))
        error = await house.fails("node.invoke", nodeId=Key(1).id, command="camera.snap", idempotencyKey="k")
        assert details(error)["reason"] == "command not allowlisted"


async def test_files_and_browsers_of_a_node_are_for_administrators_and_profiles_for_nobody() -> None:
    async with paired_house() as house:
        writer = await house.operator(WRITE)
        node = await house.approved(Key(1), ("browser.proxy", "fs.listDir"))
        params = {"nodeId": Key(1).id, "command": "fs.listDir", "idempotencyKey": "k"}
        assert details(await house.fails("node.invoke", writer, **params))["missingScope"] == "operator.admin"
        params |= {"command": " fs.listDir "}
        assert details(await house.fails("node.invoke", writer, **params))["missingScope"] == "operator.admin"
        for said in (
            {"method": "post", "path": "profiles/create/"},
            {"method": "DELETE", "path": "/profiles/x"},
            {"method": "POST", "path": "/reset-profile"},
        ):
            params = {"nodeId": Key(1).id, "command": "browser.proxy", "idempotencyKey": "k", "params": said}
            assert details(await house.fails("node.invoke", None, **params)) == {"command": "browser.proxy"}
        fine = {"method": "GET", "path": "/profiles"}
        assert (await invoked(house, node, lambda _: {"ok": True}, command="browser.proxy", params=fine))["ok"] is True


async def test_blank_names_are_refused() -> None:
    async with paired_house() as house:
        error = await house.fails("node.invoke", nodeId=" ", command=" ", idempotencyKey="k")
        assert str(error) == "nodeId and command required"
        assert str(await house.fails("node.rename", nodeId="x", displayName=" ")) == "displayName required"
        assert str(await house.fails("node.rename", nodeId="x", displayName="y")) == "unknown nodeId"


# --- system.run


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


# --- what a node does by itself


async def test_events_of_a_node_count_once_it_is_approved() -> None:
    async with paired_house() as house:
        node = await house.node(Key(1))
        error = await house.fails("node.event", node, event="zonk")
        assert details(error) == {"code": "PAIRING_CHANGED"}
        await house.call("node.pair.approve", requestId=(await house.call("node.pair.list"))["pending"][0]["requestId"])
        answer = await house.call("node.event", node, event="zonk")
        assert answer == {"ok": True, "event": "zonk", "handled": False, "reason": "unsupported_event"}


async def test_what_is_said_to_a_node_is_answered_in_the_main_session_and_heard_once() -> None:
    async with paired_house([text("Hello.")]) as house:
        node = await house.approved(Key(1))
        said = json.dumps({"text": " hi there "})
        for _ in range(2):
            assert await house.call("node.event", node, event="voice.transcript", payloadJSON=said) == {"ok": True}
        await house.house.rest("agent:main:main")
        history = await house.call("chat.history", sessionKey="main")
        assert [one["role"] for one in history["messages"]] == ["user", "assistant"]


@pytest.mark.parametrize("report", [None, {}, {"text": "  "}, {"text": 3}, {"text": "x" * 20_001}])
async def test_a_transcript_that_says_nothing_is_no_message(report: dict[str, Any] | None) -> None:
    async with paired_house() as house:
        node = await house.approved(Key(1))
        assert await house.call("node.event", node, event="voice.transcript", payload=report) == {"ok": True}
        assert not house.desk.directory.shelf.items


async def test_a_request_for_an_agent_goes_to_the_session_of_the_node() -> None:
    async with paired_house([text("Hello.")]) as house:
        node = await house.approved(Key(1))
        await house.call("node.event", node, event="agent.request", payload={"message": "look at this"})
        key = f"agent:main:node-{Key(1).id}"
        await house.house.rest(key)
        assert len((await house.call("chat.history", sessionKey=key))["messages"]) == 2


async def test_a_node_hears_the_sessions_that_it_subscribed_to() -> None:
    async with paired_house([text("Hello.")]) as house:
        node, other = await house.approved(Key(1)), await house.approved(Key(2), said={"displayName": "other"})
        await house.call("node.event", node, event="chat.subscribe", payload={"sessionKey": "main"})
        await house.house.turn("main", "hi", "r1")
        assert [one["state"] for one in node.events("chat")][-1] == "final"
        assert not other.events("chat")
        heard = len(node.events("chat"))
        await house.call("node.event", node, event="chat.unsubscribe", payload={"sessionKey": "main"})
        await house.house.turn("main", "hi again", "r2")
        assert len(node.events("chat")) == heard


async def test_subscriptions_of_a_node_are_bounded() -> None:
    async with paired_house() as house:
        node = await house.approved(Key(1))
        for number in range(64):
            await house.call("node.event", node, event="chat.subscribe", payload={"sessionKey": f"s{number}"})
        answer = await house.call("node.event", node, event="chat.subscribe", payload={"sessionKey": "one-more"})
        assert (answer["handled"], answer["reason"]) == (False, "too_many_subscriptions")


async def test_signs_of_life_are_kept_once_a_minute(autojump_clock: MockClock) -> None:
    async with paired_house() as house:
        node = await house.approved(Key(1))

        async def alive() -> Any:
            answer = await house.call("node.event", node, event="node.presence.alive", payload={"trigger": "Silent_Push"})
            return answer["reason"]

        assert [await alive(), await alive()] == ["persisted", "throttled"]
        autojump_clock.jump(61)
        assert await alive() == "persisted"
        row = await house.call("node.describe", nodeId=Key(1).id)
        assert row["lastSeenReason"] == "silent_push"


async def test_activity_is_told_by_who_was_permitted_to_and_the_latest_is_the_active_node() -> None:
    async with paired_house() as house:
        reader = await house.operator(READ)
        mute = await house.approved(Key(1))
        node = await house.approved(Key(2), permissions={"accessibility": True}, said={"displayName": "desk"})

        async def report(link: Member, **payload: Any) -> Any:
            return (await house.call("node.event", link, event="node.presence.activity", payload=payload))["reason"]

        assert await report(mute, idleSeconds=1) == "permission_required"
        assert await report(node, idleSeconds=-1) == "invalid_payload"
        assert await report(node, idleSeconds=1) == "updated"
        assert reader.events("node.presence", nodeId=Key(2).id)
        listed = await house.call("node.list", reader)
        assert listed["activeNodeId"] == Key(2).id
        assert [row["nodeId"] for row in listed["nodes"] if row.get("active")] == [Key(2).id]
        assert await report(node, action="clear") == "cleared"
        assert await report(node, action="clear") == "already_clear"
        assert "activeNodeId" not in await house.call("node.list", reader)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({}, "updated"),
        ({"diskTotalBytes": 5, "diskAvailableBytes": 5}, "updated"),
        ({"memoryFreeBytes": 11}, "invalid_payload"),
        ({"diskTotalBytes": 5}, "invalid_payload"),
        ({"diskTotalBytes": 5, "diskAvailableBytes": 6}, "invalid_payload"),
        ({"cpuCount": 0}, "invalid_payload"),
        ({"surprise": 1}, "invalid_payload"),
    ],
)
async def test_what_a_machine_has_left_is_shown(more: dict[str, Any], reason: str) -> None:
    async with paired_house() as house:
        reader, node = await house.operator(READ), await house.approved(Key(1))
        stats = {"cpuCount": 2, "memoryTotalBytes": 10, "memoryFreeBytes": 5, **more}
        answer = await house.call("node.event", node, event="node.host.stats", payload=stats)
        assert answer["reason"] == reason
        row = await house.call("node.describe", reader, nodeId=Key(1).id)
        assert ("hostStats" in row) is bool(reader.events("node.hostStats")) is (reason == "updated")


async def test_work_waits_for_a_node_until_it_asks() -> None:
    async with paired_house() as house:
        node = await house.approved(Key(1))
        queued = await house.call("node.pending.enqueue", nodeId=Key(1).id, type="location.request", priority="high")
        assert queued["wakeTriggered"] is False
        again = await house.call("node.pending.enqueue", nodeId=Key(1).id, type="location.request")
        assert again["queued"] == queued["queued"]
        drained = await house.call("node.pending.drain", node)
        assert [one["type"] for one in drained["items"]] == ["location.request", "status.request"]
        assert (drained["revision"], drained["hasMore"]) == (2, False)
        assert [one["id"] for one in (await house.call("node.pending.drain", node))["items"]] == ["baseline-status"]
        unknown = await house.fails("node.pending.enqueue", nodeId="nope", type="status.request")
        assert details(unknown) == {"code": "PAIRING_CHANGED"}


async def test_what_a_phone_refuses_in_the_background_waits_until_its_app_is_opened() -> None:
    async with paired_house() as house:
        node = await house.approved(Key(1), ("camera.list",), (), client="openclaw-ios", said=PHONE)
        refused = {"ok": False, "error": {"code": "NODE_BACKGROUND_UNAVAILABLE", "message": "asleep"}}
        error = await invoked(house, node, lambda _: refused, command="camera.list", params={"x": 1})
        assert details(error)["code"] == "QUEUED_UNTIL_FOREGROUND"
        (action,) = (await house.call("node.pending.pull", node))["actions"]
        assert (action["id"], action["command"]) == (details(error)["queuedActionId"], "camera.list")
        assert json.loads(action["paramsJSON"]) == {"x": 1}
        done = await house.call("node.pending.ack", node, ids=[action["id"], " "])
        assert done == {"nodeId": Key(1).id, "ackedIds": [action["id"]], "remainingCount": 0}
        assert (await house.call("node.pending.pull", node))["actions"] == []


async def test_a_command_that_is_no_longer_allowed_does_not_wait_either() -> None:
    async with paired_house() as house:
        node = await house.approved(Key(1), ("camera.list",), (), client="openclaw-ios", said=PHONE)
        refused = {"ok": False, "error": {"message": "background_unavailable"}}
        await invoked(house, node, lambda _: refused, command="camera.list")
        house.rules[0] = Rules(deny=frozenset({"camera.list"}))
        assert (await house.call("node.pending.pull", node))["actions"] == []
        house.rules[0] = Rules()
        assert (await house.call("node.pending.pull", node))["actions"] == []


async def test_skills_of_a_node_are_there_while_it_is_connected_and_bounded() -> None:
    async with paired_house() as house:
        node = await house.node(Key(1))
        given = [{"name": f"skill-{number}", "description": "d", "content": "c"} for number in (3, 1, 1)]
        answer = await house.call("node.skills.update", node, skills=given)
        assert [one["name"] for one in answer["skills"]] == ["skill-1", "skill-3"]
        many = [{"name": f"s{number}", "description": "d", "content": "c"} for number in range(100)]
        assert len((await house.call("node.skills.update", node, skills=many))["skills"]) == 64
        large = [{"name": f"s{number}", "description": "d", "content": "c" * 65_536} for number in range(10)]
        assert len((await house.call("node.skills.update", node, skills=large))["skills"]) == 8
        house.leave(node)
        assert str(await house.fails("node.skills.update", node, skills=[])) == "unknown nodeId"


@pytest.mark.parametrize("method", ["node.pluginSurface.refresh", "plugin.surface.refresh"])
async def test_there_are_no_surfaces_of_plugins(method: str) -> None:
    async with paired_house() as house:
        link = await house.node(Key(1)) if method.startswith("node.") else await house.operator(READ)
        assert str(await house.fails(method, link)) == "surface required"
        assert (await house.fails(method, link, surface=" canvas ")).code == "UNAVAILABLE"


async def test_a_node_learns_which_programs_skills_need() -> None:
    async with paired_house() as house:
        node = await house.node(Key(1))
        assert await house.call("skills.bins", node) == {"bins": []}


NODE_SIDE = """node.event node.invoke.progress node.invoke.result node.pending.ack node.pending.drain node.pending.pull
    node.pluginSurface.refresh node.skills.update skills.bins""".split()


@pytest.mark.parametrize("method", NODE_SIDE)
async def test_operators_do_not_speak_for_nodes(method: str) -> None:
    async with paired_house() as house:
        assert str(await house.fails(method, await house.operator(ALL))) == "unauthorized role: operator"


@pytest.mark.parametrize(
    "method", "node.list node.describe node.invoke node.pair.approve node.pair.remove node.rename".split()
)
async def test_nodes_do_not_speak_for_operators(method: str) -> None:
    async with paired_house() as house:
        assert str(await house.fails(method, await house.node(Key(1)))) == "unauthorized role: node"


@pytest.mark.parametrize("method", ["node.event", "node.pending.pull", "node.pending.drain", "node.pending.ack"])
async def test_an_older_connection_of_a_node_does_nothing_for_it_any_more(method: str) -> None:
    async with paired_house() as house:
        old = await house.approved(Key(1))
        await house.node(Key(1))
        params: dict[str, Any] = {"node.event": {"event": "zonk"}, "node.pending.ack": {"ids": ["x"]}}.get(method, {})
        assert details(await house.fails(method, old, **params)) == {"code": "PAIRING_CHANGED"}


async def test_too_much_under_way_is_refused() -> None:
    async with paired_house() as house:
        node = await house.approved(Key(1))
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(lambda: invoked(house, node))
            await wait_all_tasks_blocked()
            error = await house.fails("node.invoke", nodeId=Key(1).id, command="system.which", idempotencyKey="k")
            assert (error.code, error.retryable) == ("UNAVAILABLE", True)
            nursery.cancel_scope.cancel()
