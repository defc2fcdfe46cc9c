"""sessions.patch: what may change, what it must have been like before, and what is refused."""

from typing import Any

import pytest
import trio
from attrs import fields
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from runtime.gateway.entries import Entry
from runtime.gateway.frames import GatewayError
from runtime.gateway.methods.sessions_change import CHANGES, CONDITIONS, PatchParams, meets
from tests.fakes.gateway import MODEL, House, serving
from tests.fakes.world import text

FAMILIES = ("chat", "runs", "sessions_change", "sessions_list")
KEY = "agent:main:work"


async def patched(house: House, **params: Any) -> Entry:
    answer = await house.call("sessions.patch", key="work", **params)
    assert (answer["ok"], answer["key"]) == (True, KEY)
    assert answer["entry"]["sessionId"] == house.entry(KEY).session
    return house.entry(KEY)


def test_every_member_of_a_patch_is_in_the_table() -> None:
    names = {one.name for one in fields(PatchParams)} - CONDITIONS - {"key", "agent_id"}
    assert names == CHANGES.keys()


CHANGED: dict[str, tuple[dict[str, Any], str, Any, dict[str, Any], Any]] = {
    "label": ({"label": "Mine"}, "label", "Mine", {"label": None}, None),
    "model": ({"model": MODEL}, "model", f"google/{MODEL}", {"model": None}, None),
    "model with its provider": ({"model": f"google/{MODEL}"}, "model", f"google/{MODEL}", {"model": None}, None),
    "level": ({"thinkingLevel": "high"}, "thinking", "high", {"thinkingLevel": None}, None),
    "mode": ({"permissionMode": "guarded"}, "mode", "guarded", {"permissionMode": None}, None),
    "pin": ({"pinned": True}, "pinned", True, {"pinned": False}, False),
    "read": ({"unread": True}, "unread", True, {"unread": False}, False),
}


@pytest.mark.parametrize("name", CHANGED)
async def test_a_member_is_set_and_null_clears_it(name: str, autojump_clock: MockClock) -> None:
    given, member, value, cleared, empty = CHANGED[name]
    async with serving(families=FAMILIES) as house:
        house.desk.directory.create(KEY)
        assert getattr(await patched(house, **given), member) == value
        assert getattr(await patched(house, color="red"), member) == value
        assert getattr(await patched(house, **cleared), member) == empty


KEPT: dict[str, Any] = {
    "icon": "🎉",
    "color": "red",
    "category": "c",
    "fastMode": True,
    "verboseLevel": "full",
    "traceLevel": "raw",
    "reasoningLevel": "stream",
    "responseUsage": "tokens",
    "completionOwnerSessionKey": "main",
    "groupActivation": "mention",
}


@pytest.mark.parametrize("name", KEPT)
async def test_what_only_clients_act_on_is_kept_and_shown(name: str, autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        house.desk.directory.create(KEY)
        assert (await patched(house, **{name: KEPT[name]})).members[name] == KEPT[name]
        row = (await house.call("sessions.describe", key="work"))["session"]
        assert row[name] == KEPT[name]
        assert name not in (await patched(house, **{name: None})).members


async def test_a_status_is_given_for_some_time(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        house.desk.directory.create(KEY)
        entry = await patched(house, statusNote="busy", attention="flag", ttlMinutes=5)
        until = house.desk.clock.wall() + 300_000
        assert entry.members["agentStatus"] == {"note": "busy", "attention": "flag", "expiresAt": until}
        assert "agentStatus" not in (await patched(house, statusNote=None)).members


async def test_a_change_of_the_model_holds_from_the_next_prompt_on(autojump_clock: MockClock) -> None:
    async with serving([5.0, text("Hi.")], families=FAMILIES) as house:
        house.desk.extras["models"].models["other"] = house.desk.extras["models"].models[MODEL].__class__("other", "O")
        house.desk.directory.create(KEY)
        await house.call("chat.send", sessionKey="work", message="hello", idempotencyKey="r1")
        await trio.sleep(1)
        await patched(house, model="other")
        await house.desk.runs.wait("r1", 60)
        await house.turn(KEY, "again", "r2")
        assert [request.model for request in house.world.model.requests] == [MODEL, "other"]


async def test_the_permission_mode_does_not_change_under_an_open_run(autojump_clock: MockClock) -> None:
    async with serving([5.0, text("Hi.")], families=FAMILIES) as house:
        house.desk.directory.create(KEY, mode="guarded")
        await house.call("chat.send", sessionKey="work", message="hello", idempotencyKey="r1")
        await trio.sleep(1)
        with pytest.raises(GatewayError, match="while a run is open"):
            await patched(house, permissionMode="full", label="not set either")
        assert house.entry(KEY).label is None
        assert (await patched(house, permissionMode="guarded")).mode == "guarded"
        await house.desk.runs.wait("r1", 60)
        assert (await patched(house, permissionMode="full")).mode == "full"


async def test_a_session_is_archived_and_restored_by_who_knows_which_it_is(autojump_clock: MockClock) -> None:
    async with serving([20.0, text("Slow.")], families=FAMILIES) as house:
        made = house.desk.directory.create(KEY)
        await house.call("chat.send", sessionKey="work", message="hello", idempotencyKey="r1")
        await trio.sleep(1)
        with pytest.raises(GatewayError, match="expectedSessionId"):
            await patched(house, archived=True)
        await patched(house, pinned=True)
        stored = await patched(house, archived=True, expectedSessionId=made.session)
        assert (stored.archived, stored.pinned) == (house.desk.clock.wall(), False)
        assert stored.members == {"archiveReason": "manual"}
        assert house.desk.runs.shelf.items["r1"].status == "aborted"
        restored = await patched(house, archived=False, expectedSessionId=made.session)
        assert (restored.archived, "archiveReason" in restored.members) == (0, False)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown provider": ({"model": "nope/never"}, "no provider"),
    "an unknown model": ({"model": "never"}, "no model"),
    "an unknown level": ({"thinkingLevel": "gigantic"}, 'thinkingLevel "gigantic" is not supported'),
    "an unknown mode": ({"permissionMode": "bogus"}, "permissionMode"),
    "a retired member": ({"execSecurity": "deny"}, "retired"),
    "a retired member that is cleared": ({"execAsk": None}, "retired"),
    "another session": ({"expectedSessionId": "nope", "label": "x"}, "not as it was expected"),
    "another revision": ({"expectedLifecycleRevision": "nope", "label": "x"}, "not as it was expected"),
    "another mode": ({"expectedPermissionMode": "full", "permissionMode": "full"}, "not as it was expected"),
    "other tools": ({"expectedToolOverrides": {"webSearch": True}}, "not as it was expected"),
    "another mark": ({"expectedMarkedUnreadAt": 5, "unread": False}, "not as it was expected"),
    "a label in use": ({"label": "Taken"}, "another session has the label"),
    "an icon that is a picture": ({"icon": "x" * 65}, "at most 64"),
    "a word that is none": ({"verboseLevel": "zzz"}, "verboseLevel: zzz"),
    "another host": ({"execHost": "sandbox"}, "not available"),
    "more rights": ({"elevatedLevel": "full"}, "not available"),
    "a policy": ({"inheritedToolDeny": ["exec"]}, "not available"),
    "tools of its own": ({"toolOverrides": {"webSearch": False}}, "not available"),
    "silence": ({"sendPolicy": "deny"}, "not available"),
    "a window": ({"contextWindow": "1m"}, "not available"),
    "a member that there is not": ({"bogus": 1}, "unexpected property"),
    "an empty label": ({"label": ""}, "at /label"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_refused_changes_nothing_at_all(name: str, autojump_clock: MockClock) -> None:
    params, why = REFUSED[name]
    async with serving(families=FAMILIES) as house:
        house.desk.directory.create("agent:main:other", label="Taken")
        before = house.desk.directory.create(KEY)
        with pytest.raises(GatewayError, match=why) as caught:
            await patched(house, color="red", **params)
        assert caught.value.code == "INVALID_REQUEST"
        assert house.entry(KEY) == before
        if "not as it was" in why:
            assert caught.value.details == {"reason": "session-changed"}


async def test_the_main_session_is_not_archived(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        made = house.desk.directory.create("agent:main:main")
        with pytest.raises(GatewayError, match="never archived"):
            await house.call("sessions.patch", key="main", archived=True, expectedSessionId=made.session)


async def test_a_session_that_is_not_there_is_made_unless_it_was_expected(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        with pytest.raises(GatewayError, match="not as it was expected"):
            await patched(house, label="Mine", expectedSessionId="some")
        assert len(house.desk.directory) == 0
        assert (await patched(house, label="Mine")).label == "Mine"


async def test_no_session_is_made_for_an_agent_that_there_is_not(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        with pytest.raises(GatewayError, match="no agent"):
            await house.call("sessions.patch", key="agent:nope:x", label="Mine")
        assert len(house.desk.directory) == 0


async def test_who_follows_the_list_is_told_and_who_may_not_write_is_refused(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        house.desk.directory.create(KEY)
        link = house.link(scopes=("operator.read",))
        link.lists = True
        with pytest.raises(GatewayError, match="missing scope"):
            await house.call("sessions.patch", link, key="work", label="Mine")
        await house.call("sessions.patch", house.link(scopes=("operator.write",)), key="work", label="Mine")
        (told,) = link.events("sessions.changed", reason="patch")
        assert told["session"]["label"] == told["label"] == "Mine"
        with pytest.raises(GatewayError, match="missing scope"):
            writer = house.link(scopes=("operator.write",))
            await house.call("sessions.patch", writer, key="work", permissionMode="full")


EXPECTED = {
    "expected_session_id": "s",
    "expected_lifecycle_revision": "r",
    "expected_permission_mode": None,
    "expected_tool_overrides": None,
    "expected_marked_unread_at": None,
}


@given(st.sets(st.sampled_from(sorted(EXPECTED))), st.sets(st.sampled_from(sorted(EXPECTED))))
def test_one_condition_that_does_not_hold_is_enough(asked: set[str], wrong: set[str]) -> None:
    given = {name: "something else" if name in wrong else EXPECTED[name] for name in asked}
    assert meets(Entry(KEY, "s", "r", "main", 1, 1), given) is not bool(asked & wrong)


async def test_a_level_is_what_the_model_is_asked_with(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await house.call("sessions.patch", key="main", thinkingLevel="low")
        await house.turn("main", "hello", "r1")
        assert house.world.model.requests[-1].thinking == "low"
        await house.call("sessions.patch", key="main", thinkingLevel=None)
        await house.turn("main", "hello", "r2")
        assert house.world.model.requests[-1].thinking == ""
