"""node.*: what a node may be asked for, by whom, and what comes of it."""

import json
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from runtime.gateway.nodepolicy import Rules
from runtime.stores.memory import Kept
from tests.fakes.nodes import ALL, PAIRING, READ, Key, asked, details, invoked, paired_house
from tests.fakes.world import CountingChance

REMOVED = (4001, "device removed")
WRITE = ("operator.write",)


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
        assert await house.call("node.pair.reject", operator, requestId=request) == {
            "requestId": request,
            "nodeId": key.id,
        }
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
        told: dict[str, dict[str, str]] = {
            "node.pair.approve": {"requestId": request},
            "node.pair.reject": {"requestId": request},
            "node.pair.remove": {"nodeId": other.id},
            "node.rename": {"nodeId": other.id, "displayName": "x"},
        }
        for method, params in told.items():
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
        answer = await invoked(
            house, node, lambda _: result, params={"bins": ["sh"]}, sessionKey=" main ", timeoutMs=8000
        )
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
        told: tuple[dict[str, str], ...] = (
            {"method": "post", "path": "profiles/create/"},
            {"method": "DELETE", "path": "/profiles/x"},
            {"method": "POST", "path": "/reset-profile"},
        )
        for said in told:
            given: dict[str, Any] = {**params, "command": "browser.proxy", "params": said}
            assert details(await house.fails("node.invoke", None, **given)) == {"command": "browser.proxy"}
        fine = {"method": "GET", "path": "/profiles"}
        assert (await invoked(house, node, lambda _: {"ok": True}, command="browser.proxy", params=fine))["ok"] is True


async def test_blank_names_are_refused() -> None:
    async with paired_house() as house:
        error = await house.fails("node.invoke", nodeId=" ", command=" ", idempotencyKey="k")
        assert str(error) == "nodeId and command required"
        assert str(await house.fails("node.rename", nodeId="x", displayName=" ")) == "displayName required"
        assert str(await house.fails("node.rename", nodeId="x", displayName="y")) == "unknown nodeId"


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
        given: dict[str, dict[str, Any]] = {"node.event": {"event": "zonk"}, "node.pending.ack": {"ids": ["x"]}}
        params = given.get(method, {})
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


async def test_a_second_connection_ends_what_the_first_was_asked_for() -> None:
    async with paired_house() as house:
        node = await house.approved(Key(1))
        errors: list[Any] = []
        async with trio.open_nursery() as nursery:

            async def invoke() -> None:
                params = {"nodeId": Key(1).id, "command": "system.which", "idempotencyKey": "k"}
                errors.append(await house.fails("node.invoke", **params))

            nursery.start_soon(invoke)
            await asked(node)
            await house.node(Key(1))
        assert details(errors[0])["nodeError"]["code"] == "DISCONNECTED"


async def test_a_node_whose_token_is_replaced_or_revoked_is_not_asked_any_more() -> None:
    async with paired_house() as house:
        params = {"nodeId": Key(1).id, "command": "system.which", "idempotencyKey": "k"}
        node = await house.approved(Key(1))
        await house.call("device.token.rotate", deviceId=Key(1).id, role="node")
        assert node.closed == REMOVED
        assert details(await house.fails("node.invoke", **params))["code"] == "NOT_CONNECTED"
        node = await house.node(Key(1))
        await house.call("node.pending.enqueue", nodeId=Key(1).id, type="location.request")
        await house.call("device.token.revoke", deviceId=Key(1).id, role="node")
        assert node.closed == REMOVED
        assert details(await house.fails("node.invoke", **params)) == {"code": "PAIRING_CHANGED"}
        assert house.book.work.queues == {}


async def test_work_for_a_removed_node_is_forgotten() -> None:
    async with paired_house() as house:
        await house.approved(Key(1))
        await house.call("node.pending.enqueue", nodeId=Key(1).id, type="location.request")
        await house.call("node.pair.remove", nodeId=Key(1).id)
        assert house.book.work.queues == {}


async def test_without_admin_nobody_takes_the_role_of_a_node_from_his_own_device() -> None:
    async with paired_house() as house:
        key = Key(1)
        house.leave(await house.come(key, scopes=PAIRING, said={"deviceFamily": "Linux"}))
        token = key.token
        request = (await house.turned_away(key, "node-host", "node", "node", ()))["requestId"]
        await house.call("device.pair.approve", requestId=request)
        await house.approved(key)
        key.token = token
        link = await house.come(key, scopes=PAIRING, by_token=True, said={"deviceFamily": "Linux"})
        assert str(await house.fails("node.pair.remove", link, nodeId=key.id)) == "node pairing removal denied"


async def test_a_node_that_is_approved_anew_comes_back_for_its_token() -> None:
    async with paired_house() as house:
        key = Key(1)
        await house.come(key, scopes=READ, said={"deviceFamily": "Linux"})
        request = (await house.turned_away(key, "node-host", "node", "node", ()))["requestId"]
        await house.call("device.pair.approve", requestId=request)
        node = await house.approved(key)
        request = await house.turned_away(key, "node-host", "node", "node", (), said={"deviceFamily": "Windows"})
        await house.call("device.pair.approve", requestId=request["requestId"])
        assert node.closed == REMOVED
