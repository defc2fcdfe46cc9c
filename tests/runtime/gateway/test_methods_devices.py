"""device.pair.* and device.token.*: who may connect, who may decide about it, and what happens to who is connected."""

from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve
from trio.testing import MockClock

from runtime.gateway.frames import GatewayError
from runtime.gateway.handshake import Refused
from runtime.gateway.scopes import DEBUG_SCOPES, effective
from runtime.stores.memory import Kept
from tests.fakes.nodes import ALL, PAIRING, READ, Key, Member, paired_house
from tests.fakes.world import CountingChance

REMOVED = (4001, "device removed")


def code(error: GatewayError) -> object:
    """The code in an error's details."""
    return (error.details or {}).get("code")


async def test_a_device_on_this_machine_is_paired_silently_and_those_who_may_pair_are_told() -> None:
    async with paired_house() as house:
        operator = await house.operator()
        reader = await house.operator(READ)
        link = await house.come(Key(1), scopes=READ)
        assert link.hello["auth"]["deviceToken"]
        (told,) = operator.events("device.pair.resolved")
        assert (told["deviceId"], told["decision"]) == (Key(1).id, "approved")
        assert not operator.events("device.pair.requested")
        assert not reader.events("device.pair.resolved")


async def test_the_list_shows_devices_and_never_a_token() -> None:
    async with paired_house() as house:
        key = Key(1)
        await house.come(key)
        house.leave(await house.come(key, by_token=True))
        listed = await house.call("device.pair.list")
        (row,) = listed["paired"]
        assert listed["pending"] == []
        assert (
            row.items() >= {"deviceId": key.id, "role": "operator", "approvedVia": "silent", "connected": True}.items()
        )
        (token,) = row["tokens"]
        assert set(token) == {"role", "scopes", "createdAtMs", "lastUsedAtMs"}
        assert str(key.token) not in str(listed)


async def test_another_role_has_to_be_asked_for_and_asking_again_is_the_same_request() -> None:
    async with paired_house() as house:
        operator, key = await house.operator(), Key(1)
        await house.come(key, scopes=READ)
        first = await house.turned_away(key, "node-host", "node", "node", ())
        again = await house.turned_away(key, "node-host", "node", "node", ())
        assert (first["code"], first["reason"]) == ("PAIRING_REQUIRED", "role-upgrade")
        assert first["requestId"] == again["requestId"]
        (told,) = operator.events("device.pair.requested")
        assert (
            told.items()
            >= {"requestId": first["requestId"], "roles": ["node"], "silent": False, "isRepair": True}.items()
        )
        assert (await house.call("device.pair.list"))["pending"] == [told]


async def test_a_device_with_an_open_request_is_not_approved_silently_for_anything_else() -> None:
    async with paired_house() as house:
        operator, key = await house.operator(), Key(1)
        await house.come(key, scopes=READ)
        node = await house.turned_away(key, "node-host", "node", "node", ())
        more = await house.turned_away(key, scopes=("operator.read", "operator.write"))
        assert more["reason"] == "scope-upgrade"
        assert more["requestId"] != node["requestId"]
        assert operator.events("device.pair.resolved", requestId=node["requestId"], decision="rejected")
        (waiting,) = (await house.call("device.pair.list"))["pending"]
        assert (waiting["roles"], waiting["scopes"]) == (["node", "operator"], ["operator.read", "operator.write"])


async def test_who_was_approved_gets_in_with_what_was_approved() -> None:
    async with paired_house() as house:
        operator, key = await house.operator(), Key(1)
        await house.come(key, scopes=READ)
        request = (await house.turned_away(key, "node-host", "node", "node", ()))["requestId"]
        answer = await house.call("device.pair.approve", operator, requestId=request)
        assert answer["requestId"] == request
        assert answer["device"]["roles"] == ["operator", "node"]
        assert answer["device"]["approvedVia"] == "owner"
        assert [token["role"] for token in answer["device"]["tokens"]] == ["node", "operator"]
        assert operator.events("device.pair.resolved", requestId=request, decision="approved")
        assert (await house.node(key)).role == "node"


async def test_who_was_rejected_may_ask_anew() -> None:
    async with paired_house() as house:
        operator, key = await house.operator(), Key(1)
        await house.come(key, scopes=READ)
        request = (await house.turned_away(key, "node-host", "node", "node", ()))["requestId"]
        answer = await house.call("device.pair.reject", operator, requestId=request)
        assert answer == {"requestId": request, "deviceId": key.id}
        assert operator.events("device.pair.resolved", requestId=request, decision="rejected")
        assert (await house.turned_away(key, "node-host", "node", "node", ()))["requestId"] != request


@pytest.mark.parametrize("method", ["device.pair.approve", "device.pair.reject"])
async def test_a_request_that_nobody_made_cannot_be_decided(method: str) -> None:
    async with paired_house() as house:
        assert str(await house.fails(method, requestId="nope")) == "unknown requestId"


async def test_a_request_is_forgotten_after_five_minutes(autojump_clock: MockClock) -> None:
    async with paired_house() as house:
        key = Key(1)
        await house.come(key, scopes=READ)
        request = (await house.turned_away(key, "node-host", "node", "node", ()))["requestId"]
        autojump_clock.jump(301)
        assert (await house.call("device.pair.list"))["pending"] == []
        assert str(await house.fails("device.pair.approve", requestId=request)) == "unknown requestId"


async def test_a_request_waits_over_a_restart() -> None:
    kept = Kept()
    async with paired_house(kept=kept) as house:
        await house.come(Key(1), scopes=READ)
        request = (await house.turned_away(Key(1), "node-host", "node", "node", ()))["requestId"]
        await house.house.written()
    async with paired_house(kept=kept, chance=CountingChance(1000)) as house:
        assert [one["requestId"] for one in (await house.call("device.pair.list"))["pending"]] == [request]
        await house.call("device.pair.approve", requestId=request)
        assert (await house.node(Key(1))).role == "node"


async def test_nobody_approves_scopes_that_he_does_not_have_himself() -> None:
    async with paired_house() as house:
        key, pairer = Key(1), await house.operator(PAIRING)
        await house.come(key, scopes=READ)
        await house.turned_away(key, "node-host", "node", "node", ())
        request = (await house.turned_away(key, scopes=("operator.write",)))["requestId"]
        denied = await house.fails("device.pair.approve", pairer, requestId=request)
        assert str(denied) == "device pairing approval denied"  # the request is for a node as well
        await house.call("device.pair.reject", requestId=request)
        house.desk.policy = house.desk.policy.__class__(mode="token", token="T", auto_approve_local=False)
        request = (await house.turned_away(key, scopes=("operator.write",)))["requestId"]
        assert (
            str(await house.fails("device.pair.approve", pairer, requestId=request)) == "missing scope: operator.write"
        )
        assert (await house.call("device.pair.approve", requestId=request))["device"]["scopes"]


# --- tokens


async def test_a_device_that_would_debug_is_approved_only_by_who_may_and_is_no_tool_of_an_agent() -> None:
    async with paired_house() as house:
        house.desk.policy = evolve(house.desk.policy, debug=DEBUG_SCOPES[:2])
        key, wanted = Key(1), ("operator.read", *DEBUG_SCOPES)
        turned = await house.turned_away(key, scopes=wanted)
        assert (turned["code"], turned["requestedScopes"]) == (
            "PAIRING_REQUIRED",
            ["operator.read", *DEBUG_SCOPES[:2]],
        )
        request, vouched = turned["requestId"], []

        async def vouch(link: Any) -> None:
            vouched.append(link)
            if len(vouched) == 1:
                raise GatewayError("FORBIDDEN", "agents may not debug")

        house.desk.extras["debugging"] = SimpleNamespace(vouch=vouch)
        able = Member("able", scopes=effective((*ALL, DEBUG_SCOPES[1])))
        assert str(await house.fails("device.pair.approve", able, requestId=request)) == "agents may not debug"
        unable = Member("unable", scopes=effective(ALL))
        error = await house.fails("device.pair.approve", unable, requestId=request)
        assert str(error) == "missing scope: operator.debug.observe"
        await house.call("device.pair.approve", able, requestId=request)
        assert vouched == [able, unable, able]
        link = await house.come(key, scopes=("operator.read", DEBUG_SCOPES[1]))
        assert DEBUG_SCOPES[1] in link.hello["auth"]["scopes"]


async def test_a_rotated_token_is_told_to_nobody_else_and_ends_what_the_old_one_opened() -> None:
    async with paired_house() as house:
        operator, key = await house.operator(), Key(1)
        link = await house.come(key, scopes=READ)
        answer = await house.call("device.token.rotate", operator, deviceId=key.id, role="operator")
        assert answer.items() >= {"role": "operator", "tokenDelivery": "withheld-cross-device"}.items()
        assert "token" not in answer
        assert link.closed == REMOVED
        assert link.scopes == frozenset()
        wrong = await house.turned_away(key, scopes=READ, by_token=True)
        assert wrong["code"] == "AUTH_DEVICE_TOKEN_MISMATCH"
        assert (await house.come(key, scopes=READ)).scopes == {"operator.read"}


async def test_a_device_that_rotates_its_own_token_gets_it_before_it_is_closed() -> None:
    async with paired_house() as house:
        key = Key(1)
        house.leave(await house.come(key, scopes=PAIRING))
        link = await house.come(key, scopes=PAIRING, by_token=True)
        answers = await house.answers("device.token.rotate", link, deviceId=key.id, role="operator")
        assert len(answers) == 2  # the second is never sent: the connection is closed by then
        assert answers[0] == answers[1]
        assert answers[0]["tokenDelivery"] == "in-band"
        assert link.closed == REMOVED
        key.token = answers[0]["token"]
        assert (await house.come(key, scopes=PAIRING, by_token=True)).admitted.auth_method == "device-token"


async def test_a_token_may_be_rotated_to_less_and_not_to_more() -> None:
    async with paired_house() as house:
        key = Key(1)
        await house.come(key, scopes=PAIRING)
        rotate = {"deviceId": key.id, "role": "operator"}
        more = await house.fails("device.token.rotate", **rotate, scopes=["operator.admin"])
        assert str(more) == "device token rotation denied"
        less = await house.call("device.token.rotate", **rotate, scopes=["operator.read"])
        assert less["scopes"] == ["operator.read"]


async def test_a_role_whose_token_was_revoked_has_to_be_approved_again() -> None:
    async with paired_house() as house:
        key = Key(1)
        house.leave(await house.come(key, scopes=READ))
        request = (await house.turned_away(key, "node-host", "node", "node", ()))["requestId"]
        await house.call("device.pair.approve", requestId=request)
        node = await house.node(key)
        answer = await house.call("device.token.revoke", deviceId=key.id, role="node")
        assert answer.items() >= {"deviceId": key.id, "role": "node"}.items()
        assert answer["revokedAtMs"] > 0
        assert node.closed == REMOVED
        assert (await house.turned_away(key, "node-host", "node", "node", ()))["reason"] == "role-upgrade"
        (row,) = (await house.call("device.pair.list"))["paired"]
        assert [token["role"] for token in row["tokens"] if "revokedAtMs" in token] == ["node"]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("device.token.rotate", {"deviceId": "nope", "role": "operator"}),
        ("device.token.revoke", {"deviceId": "nope", "role": "operator"}),
        ("device.token.rotate", {"deviceId": Key(1).id, "role": "node"}),
        ("device.token.revoke", {"deviceId": Key(1).id, "role": "zonk"}),
    ],
)
async def test_there_is_no_token_of_a_device_or_role_that_is_not_there(method: str, params: dict[str, str]) -> None:
    async with paired_house() as house:
        await house.come(Key(1), scopes=READ)
        assert str(await house.fails(method, **params)).endswith(" denied")


# --- devices


async def test_a_removed_device_is_disconnected_and_unknown() -> None:
    async with paired_house() as house:
        operator, key = await house.operator(), Key(1)
        link = await house.come(key, scopes=READ)
        assert await house.call("device.pair.remove", operator, deviceId=key.id) == {"deviceId": key.id}
        assert link.closed == REMOVED
        assert operator.closed is None
        assert str(await house.fails("device.pair.remove", operator, deviceId=key.id)) == "unknown deviceId"
        assert (await house.turned_away(key, scopes=READ, by_token=True))["code"] == "AUTH_DEVICE_TOKEN_MISMATCH"


async def test_a_device_that_is_removed_while_it_comes_in_does_not_stay() -> None:
    async with paired_house() as house:
        key = Key(1)
        link = await house.come(key, scopes=READ)
        await house.call("device.pair.remove", deviceId=key.id)
        late = await house.enter_late(link.admitted)
        assert late.closed == REMOVED
        assert late.scopes == frozenset()


async def test_a_name_of_the_operators_is_shown_and_its_change_is_told() -> None:
    async with paired_house() as house:
        operator, key = await house.operator(), Key(1)
        await house.come(key)
        answer = await house.call("device.pair.rename", operator, deviceId=key.id, label="  my box ")
        assert answer == {"deviceId": key.id, "label": "my box"}
        assert operator.events("device.pair.changed") == [{}]
        (row,) = (await house.call("device.pair.list"))["paired"]
        assert row["operatorLabel"] == "my box"
        assert str(await house.fails("device.pair.rename", deviceId=key.id, label="  ")) == "label required"
        assert str(await house.fails("device.pair.rename", deviceId="nope", label="x")) == "unknown deviceId"


async def test_who_comes_with_a_devices_token_manages_that_device_only() -> None:
    async with paired_house() as house:
        own, other = Key(1), Key(2)
        await house.come(other, scopes=READ)
        house.leave(await house.come(own, scopes=PAIRING))
        link = await house.come(own, scopes=PAIRING, by_token=True)
        listed = await house.call("device.pair.list", link)
        assert [row["deviceId"] for row in listed["paired"]] == [own.id]
        told = {
            "device.pair.remove": {"deviceId": other.id},
            "device.pair.rename": {"deviceId": other.id, "label": "x"},
            "device.token.rotate": {"deviceId": other.id, "role": "operator"},
            "device.token.revoke": {"deviceId": other.id, "role": "operator"},
            "device.pair.approve": {"requestId": "x"},
            "device.pair.reject": {"requestId": "x"},
        }
        for method, params in told.items():
            assert str(await house.fails(method, link, **params)).endswith(" denied"), method
        assert await house.call("device.pair.remove", link, deviceId=own.id) == {"deviceId": own.id}
        assert link.closed == REMOVED


async def test_without_admin_a_device_with_another_role_is_out_of_reach_even_for_itself() -> None:
    async with paired_house() as house:
        key = Key(1)
        house.leave(await house.come(key, scopes=PAIRING, said={"deviceFamily": "Linux"}))
        request = (await house.turned_away(key, "node-host", "node", "node", ()))["requestId"]
        await house.call("device.pair.approve", requestId=request)
        link = await house.come(key, scopes=PAIRING, by_token=True, said={"deviceFamily": "Linux"})
        assert str(await house.fails("device.pair.remove", link, deviceId=key.id)) == "device pairing removal denied"
        assert str(await house.fails("device.token.revoke", link, deviceId=key.id, role="node")).endswith(" denied")


async def test_devices_that_come_anew_each_time_take_the_place_of_the_old_ones(autojump_clock: MockClock) -> None:
    async with paired_house() as house:
        gone = await house.come(Key(1), scopes=READ)
        await house.come(Key(2), scopes=READ)
        house.leave(gone)
        autojump_clock.jump(61)
        await house.come(Key(3), scopes=READ)
        rows = (await house.call("device.pair.list"))["paired"]
        assert {row["deviceId"] for row in rows} == {Key(2).id, Key(3).id}  # who is connected stays


@pytest.mark.parametrize(
    "method",
    """device.pair.list device.pair.approve device.pair.reject device.pair.remove device.pair.rename
    device.token.rotate device.token.revoke""".split(),
)
async def test_every_method_needs_the_scope_to_pair(method: str) -> None:
    async with paired_house() as house:
        reader = await house.operator(READ)
        assert code(await house.fails(method, reader)) == "MISSING_SCOPE"


async def test_a_refusal_without_pairing_files_nothing() -> None:
    async with paired_house() as house:
        found = await house.try_to_come(None, scopes=ALL)
        assert isinstance(found, Refused)
        assert (await house.call("device.pair.list"))["pending"] == []
