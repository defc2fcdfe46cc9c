"""What nodes do by themselves: events, skills, and the work that waits for them."""

import json
from typing import Any

import pytest
from trio.testing import MockClock

from runtime.gateway.nodepolicy import Rules
from tests.fakes.nodes import READ, Key, Member, details, invoked, paired_house
from tests.fakes.world import text

PHONE = {"platform": "ios", "deviceFamily": "iPhone"}


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
            answer = await house.call(
                "node.event", node, event="node.presence.alive", payload={"trigger": "Silent_Push"}
            )
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
