"""sessions.list and what goes with it: the right sessions in the right order, a page at a time, told to who follows."""

from collections.abc import Mapping
from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from runtime.gateway.entries import Entry
from runtime.gateway.frames import GatewayError
from tests.fakes.gateway import House, serving
from tests.fakes.world import text

FAMILIES = ("chat", "runs", "sessions_list")
KEY = "agent:main:main"
NOW = 1_700_000_000_000


def fill(house: House, *entries: Entry) -> None:
    for entry in entries:
        house.desk.directory.shelf.items[entry.key] = entry
        house.desk.directory.by_session[entry.session] = entry.key


def entry(name: str, updated: int = NOW, **members: Any) -> Entry:
    return Entry(f"agent:main:{name}", f"id-{name}", "r", "main", NOW, updated, **members)


def names(answer: Mapping[str, Any]) -> list[str]:
    return [row["key"].split(":")[-1] for row in answer["sessions"]]


async def test_a_page_says_where_the_next_one_begins(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        fill(house, *(entry(f"s{n}", NOW + n) for n in range(5)))
        first = await house.call("sessions.list", limit=2)
        assert names(first) == ["s4", "s3"]
        assert (first["count"], first["totalCount"], first["limitApplied"]) == (2, 5, 2)
        assert (first["nextOffset"], first["hasMore"], "offset" in first) == (2, True, False)
        last = await house.call("sessions.list", limit=2, offset=4)
        assert names(last) == ["s0"]
        assert (last["nextOffset"], last["hasMore"], last["offset"]) == (None, False, 4)
        beyond = await house.call("sessions.list", offset=100)
        assert (beyond["count"], beyond["totalCount"], beyond["hasMore"]) == (0, 5, False)


async def test_a_page_is_never_larger_than_a_thousand(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        answer = await house.call("sessions.list", limit=10**6)
        assert answer["limitApplied"] == 1_000


async def test_pinned_sessions_come_first_but_not_where_the_last_interaction_counts(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        fill(house, entry("old", NOW - 5, pinned=True, interaction=1), entry("new", NOW, interaction=9), entry("none"))
        assert names(await house.call("sessions.list"))[0] == "old"
        by_interaction = await house.call("sessions.list", sortBy="lastInteractionAt")
        assert names(by_interaction) == ["new", "old", "none"]
        assert names(await house.call("sessions.list", requireLastInteraction=True)) == ["old", "new"]


FILTERS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "archived only": ({"archived": True}, ["stored"]),
    "archived too": ({"archived": "all"}, ["stored", "plain", "child", "active"]),
    "by label": ({"label": "Plain"}, ["plain"]),
    "by another label": ({"label": "plain"}, []),
    "by parent": ({"spawnedBy": "plain"}, ["child"]),
    "by agent": ({"agentId": "other"}, ["active"]),
    "by an agent that there is not": ({"agentId": "nobody"}, []),
    "of configured agents": ({"configuredAgentsOnly": True}, ["plain", "child"]),
    "active lately": ({"activeMinutes": 5}, ["active"]),
    "by a word of the key": ({"search": "CHIL"}, ["child"]),
    "by a word of the label": ({"search": "plai"}, ["plain"]),
    "by a word of the title": ({"search": "weather"}, ["child"]),
    "by a shown name": ({"search": "Ünder"}, ["active"]),
    "by face": ({"boardFace": "dashboard"}, ["active"]),
    "by creator": ({"creatorId": "somebody"}, []),
    "by owner": ({"ownerId": "somebody"}, []),
    "by my profile": ({"involvingProfileId": "gateway-owner"}, ["plain", "child", "active"]),
    "involving me": ({"involvingMe": True}, ["plain", "child", "active"]),
    "global": ({"includeGlobal": True, "search": "global"}, ["global"]),
    "no global": ({"search": "global"}, []),
}


@pytest.mark.parametrize("name", FILTERS)
async def test_a_list_is_filtered(name: str, autojump_clock: MockClock) -> None:
    params, expected = FILTERS[name]
    async with serving(families=FAMILIES) as house:
        old = NOW - 3_600_000
        other = evolve(entry("active", NOW, members={"boardFace": "dashboard", "displayName": "ünder"}), agent="other")
        fill(
            house,
            entry("plain", old, label="Plain"),
            entry("child", old, parent="agent:main:plain", title="About the weather"),
            entry("stored", old, archived=5),
            other,
            Entry("global", "id-global", "r", "main", NOW, NOW),
        )
        answer = await house.call("sessions.list", **params)
        assert sorted(names(answer)) == sorted(expected)
        assert answer["totalCount"] == len(expected)


async def test_titles_and_last_messages_are_shown_where_they_are_wanted(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await house.turn(KEY, "hello there", "r1")
        (plain,) = (await house.call("sessions.list"))["sessions"]
        assert not {"derivedTitle", "lastMessagePreview"} & plain.keys()
        (full,) = (await house.call("sessions.list", includeDerivedTitles=True, includeLastMessage=True))["sessions"]
        assert (full["derivedTitle"], full["lastMessagePreview"]) == ("hello there", "Hi.")


ENTRIES = st.lists(
    st.builds(
        entry,
        st.text("abc", min_size=1, max_size=4),
        st.integers(NOW - 10, NOW),
        pinned=st.booleans(),
        interaction=st.integers(0, 3),
        archived=st.sampled_from([0, 0, 7]),
    ),
    max_size=30,
    unique_by=lambda one: one.key,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ENTRIES, st.sampled_from(["updatedAt", "lastInteractionAt"]), st.integers(1, 8))
async def test_pages_together_are_the_whole_list_in_order_and_nothing_twice(
    entries: list[Entry], order: str, size: int
) -> None:
    async with serving(families=FAMILIES) as house:
        fill(house, *entries)
        rows: list[dict[str, Any]] = []
        offset: int | None = 0
        while offset is not None:
            answer = await house.call("sessions.list", limit=size, offset=offset, sortBy=order)
            rows += answer["sessions"]
            offset = answer["nextOffset"]
        alive = [one for one in entries if not one.archived]
        if order == "updatedAt":
            expected = sorted(alive, key=lambda one: (one.pinned, one.updated, one.key), reverse=True)
        else:
            expected = sorted(alive, key=lambda one: (one.interaction, one.updated, one.key), reverse=True)
        assert [row["key"] for row in rows] == [one.key for one in expected]


# --- describe and resolve


async def test_a_session_is_described_or_there_is_none(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        house.desk.directory.create(KEY, label="Mine")
        shown = await house.call("sessions.describe", key="main", includeDerivedTitles=True)
        assert (shown["session"]["key"], shown["session"]["derivedTitle"]) == (KEY, "Mine")
        assert await house.call("sessions.describe", key="nope") == {"session": None}


async def test_a_session_is_resolved_by_any_one_of_its_names(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        made = house.desk.directory.create(KEY, label="Mine", session="0a1b2c3d-0000-4000-8000-000000000001")
        found = {"ok": True, "key": KEY, "agentId": "main"}
        assert await house.call("sessions.resolve", key="main") == found
        assert await house.call("sessions.resolve", sessionId=made.session) == found
        assert await house.call("sessions.resolve", label="Mine", agentId="main") == found
        assert await house.call("sessions.resolve", shortId="0A1B2C3D") == found


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({}, "one of them is required"),
        ({"key": "main", "label": "Mine"}, "only one of them"),
        ({"key": "nope"}, "no session nope"),
        ({"label": "nope"}, "has the label"),
        ({"label": "Mine", "spawnedBy": "other"}, "has the label"),
        ({"label": "Mine", "agentId": "nobody"}, "has the label"),
        ({"key": "main", "agentId": "nobody"}, "no agent"),
        ({"shortId": "zz"}, "hexadecimal"),
        ({"shortId": "00000000"}, "2 sessions have ids"),
        ({"key": "global"}, "no session global"),
    ],
)
async def test_what_names_no_session_or_several_is_refused(
    params: dict[str, Any], why: str, autojump_clock: MockClock
) -> None:
    async with serving(families=FAMILIES) as house:
        for key in (KEY, "agent:main:other"):
            house.desk.directory.create(key, label="Mine" if key == KEY else None)
        house.desk.directory.create("global", session="f" * 32)
        with pytest.raises(GatewayError, match=why) as caught:
            await house.call("sessions.resolve", **params)
        assert caught.value.code == "INVALID_REQUEST"


async def test_a_missing_session_is_no_error_where_that_was_said(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        assert await house.call("sessions.resolve", key="nope", allowMissing=True) == {"ok": False}
        house.desk.directory.create("global")
        found = await house.call("sessions.resolve", key="global", includeGlobal=True)
        assert found["key"] == "global"


# --- who hears of it


async def test_who_subscribes_gets_a_list_only_with_params_of_one(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        house.desk.directory.create(KEY)
        link = house.link()
        assert await house.call("sessions.subscribe", link) == {"subscribed": True}
        answer = await house.call("sessions.subscribe", link, limit=5)
        assert names(answer["list"]) == ["main"]
        assert link.lists


async def test_there_is_no_way_to_unsubscribe_from_the_list(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        with pytest.raises(GatewayError, match="unknown method"):
            await house.call("sessions.unsubscribe")


async def test_who_follows_a_conversation_hears_each_message_once_and_in_order(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        both, one, none = house.link(), house.link(), house.link()
        both.lists = True
        for link in (both, one):
            answer = await house.call("sessions.messages.subscribe", link, key="main")
            assert answer == {"subscribed": True, "key": KEY}
        await house.turn(KEY, "hello", "r1")
        for link in (both, one):
            told = link.events("session.message")
            assert [(one["messageSeq"], one["message"]["role"]) for one in told] == [(1, "user"), (2, "assistant")]
        assert none.events("session.message") == []
        assert await house.call("sessions.messages.unsubscribe", one, key="main") == {"subscribed": False, "key": KEY}
        await house.turn(KEY, "again", "r2")
        assert len(one.events("session.message")) == 2
        assert len(both.events("session.message")) == 4


async def test_who_follows_the_list_hears_of_the_phases_of_a_run(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        link = house.link()
        await house.call("sessions.subscribe", link)
        await house.turn(KEY, "hello", "r1")
        phases = [told["phase"] for told in link.events("sessions.changed", runId="r1")]
        assert phases == ["start", "model", "end"]
        assert link.events("sessions.changed", phase="start")[0]["session"]["status"] == "running"
        assert link.events("sessions.changed", phase="end")[0]["session"]["status"] == "done"


async def test_a_run_that_failed_ends_with_an_error(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        link = house.link()
        await house.call("sessions.subscribe", link)
        await house.turn(KEY, "hello", "r1")
        assert [told["phase"] for told in link.events("sessions.changed", runId="r1")] == ["start", "model", "error"]


async def test_who_may_not_read_hears_nothing(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        link = house.link(scopes=("operator.approvals",))
        link.lists = True
        link.watches.add(KEY)
        await house.turn(KEY, "hello", "r1")
        assert link.frames == []
        with pytest.raises(GatewayError, match="missing scope"):
            await house.call("sessions.list", link)


async def test_one_connection_follows_so_many_conversations_and_no_more(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        link = house.link()
        link.watches.update(f"agent:main:s{n}" for n in range(1_000))
        with pytest.raises(GatewayError, match="follows 1000 sessions already"):
            await house.call("sessions.messages.subscribe", link, key="main")
        await house.call("sessions.messages.subscribe", link, key="s1")


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("sessions.list", {"limit": 0}),
        ("sessions.list", {"bogus": 1}),
        ("sessions.list", {"archived": "some"}),
        ("sessions.messages.subscribe", {}),
        ("sessions.describe", {"key": "agent:main:"}),
    ],
)
async def test_params_that_are_wrong_are_refused(
    method: str, params: dict[str, Any], autojump_clock: MockClock
) -> None:
    async with serving(families=FAMILIES) as house:
        with pytest.raises(GatewayError) as caught:
            await house.call(method, house.link(), **params)
        assert caught.value.code == "INVALID_REQUEST"
