"""sessions.reset, .delete, .compact, .cleanup: what ends, what stays, and what is never deleted."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from runtime.gateway.entries import Entry, Past
from runtime.gateway.frames import GatewayError
from runtime.gateway.retention import DAY_MS, TOMBSTONE_DAYS
from runtime.step.edits import EDITABLE
from tests.fakes.gateway import House, serving
from tests.fakes.world import text

FAMILIES = ("chat", "runs", "sessions_create", "sessions_end", "sessions_list", "sessions_read")
KEY = "agent:main:work"
MAIN = "agent:main:main"


def journaled(house: House) -> set[str]:
    return {row.session for row in house.store.sessions()}


def texts(house: House, key: str) -> list[str]:
    return [line.text for line in house.desk.directory.transcript(house.entry(key)).lines]


# --- reset


async def test_a_reset_gives_up_the_open_run_and_begins_anew(autojump_clock: MockClock) -> None:
    async with serving([20.0, text("Slow.")], families=FAMILIES) as house:
        link = house.link()
        link.lists = True
        old = house.desk.directory.create(KEY, label="Mine")
        for run in ("r1", "r2"):
            await house.call("chat.send", sessionKey="work", message="hello", idempotencyKey=run, queueMode="followup")
        await trio.sleep(1)
        answer = await house.call("sessions.reset", link, key="work", reason="new")
        assert answer["entry"]["sessionId"] == old.session != house.entry(KEY).session
        assert (answer["key"], answer["entry"]["label"]) == (KEY, "Mine")
        assert house.desk.runs.shelf.items["r1"].status == "aborted"
        assert all(run.over for run in house.desk.runs.shelf.items.values())
        assert texts(house, KEY) == ["Reset"]
        assert [told["session"]["sessionId"] for told in link.events("sessions.changed", reason="new")] == [
            answer["entry"]["sessionId"]
        ]


async def test_a_key_without_a_session_gets_one(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        answer = await house.call("sessions.reset", key="work")
        assert house.entry(KEY).session == answer["entry"]["sessionId"]
        with pytest.raises(GatewayError, match="no agent"):
            await house.call("sessions.reset", key="agent:nope:x")


# --- delete


async def test_what_is_deleted_is_gone_and_who_lists_is_told(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        link = house.link()
        await house.turn(KEY, "hello", "r1")
        link.lists = True
        session = house.entry(KEY).session
        answer = await house.call("sessions.delete", link, key="work")
        assert answer == {"ok": True, "key": KEY, "deleted": True, "archived": []}
        assert session not in journaled(house)
        first, second = link.events("sessions.changed", reason="delete")
        assert (first["sessionKey"], first["sessionId"]) == (KEY, session)
        assert set(second) == {"reason", "ts"}
        again = await house.call("sessions.delete", link, key="work")
        assert again == {"ok": True, "key": KEY, "deleted": False, "archived": []}


async def test_an_open_run_ends_with_its_session(autojump_clock: MockClock) -> None:
    async with serving([20.0, text("Slow.")], families=FAMILIES) as house:
        link = house.link()
        for run in ("r1", "r2"):
            await house.call("chat.send", sessionKey="work", message="hello", idempotencyKey=run, queueMode="followup")
        await trio.sleep(1)
        await house.call("sessions.delete", key="work")
        await trio.sleep(60)
        assert all(run.over for run in house.desk.runs.shelf.items.values())
        assert link.events("chat", runId="r1")[-1]["state"] == "aborted"
        await house.written()
        assert journaled(house) == set()


@pytest.mark.parametrize("key", ["main", "agent:main:main", "global"])
async def test_the_main_session_is_never_deleted(key: str, autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        house.desk.directory.create(house.desk.directory.key(key))
        with pytest.raises(GatewayError, match="never deleted"):
            await house.call("sessions.delete", key=key)
        assert len(house.desk.directory) == 1


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"expectedSessionId": "nope"}, "not as it was expected"),
        ({"expectedLifecycleRevision": "nope"}, "not as it was expected"),
        ({"expectedSessionUpdatedAt": 5}, "not as it was expected"),
        ({"archivedOnly": True}, "is not archived"),
    ],
)
async def test_a_session_that_is_not_as_expected_stays(
    params: dict[str, Any], why: str, autojump_clock: MockClock
) -> None:
    async with serving(families=FAMILIES) as house:
        made = house.desk.directory.create(KEY)
        with pytest.raises(GatewayError, match=why):
            await house.call("sessions.delete", key="work", **params)
        assert house.entry(KEY) == made


async def test_who_may_only_write_may_delete_what_is_archived(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        writer = house.link(scopes=("operator.write",))
        house.desk.directory.create(KEY, archived=5)
        with pytest.raises(GatewayError, match="missing scope"):
            await house.call("sessions.delete", writer, key="work")
        assert (await house.call("sessions.delete", writer, key="work", archivedOnly=True))["deleted"] is True


async def test_the_journal_can_be_kept_for_its_retention(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await house.turn(KEY, "hello", "r1")
        session = house.entry(KEY).session
        await house.call("sessions.delete", key="work", deleteTranscript=False)
        assert session in journaled(house)
        assert house.desk.directory.get(KEY) is None


# --- compact


async def test_a_short_conversation_loses_nothing(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await house.turn(KEY, "hello", "r1")
        answer = await house.call("sessions.compact", key="work", maxLines=5)
        assert answer == {"ok": True, "key": KEY, "compacted": False, "kept": 2}
        assert texts(house, KEY) == ["hello", "Hi."]


async def test_a_session_that_is_not_there_has_nothing_to_lose(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        missing = await house.call("sessions.compact", key="nope", maxLines=3)
        assert missing == {
            "ok": True,
            "key": "agent:main:nope",
            "compacted": False,
            "reason": "there is no such session",
        }


async def test_where_the_history_cannot_be_cut_nothing_is_said_to_be_lost(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        for number in range(3):
            await house.turn(KEY, f"hello {number}", f"r{number}")
        answer = await house.call("sessions.compact", key="work", maxLines=5)
        assert answer["kept"] == len(texts(house, KEY))
        assert answer["compacted"] is (answer["kept"] < 6)
        history = house.desk.directory.roster.get(house.entry(KEY).session).state.history
        assert len(history) == answer["kept"]


@pytest.mark.skipif("history" not in EDITABLE, reason="the step machine cannot cut a history yet")
async def test_a_long_conversation_keeps_its_last_messages_from_a_question_on(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        link = house.link()
        link.lists = True
        for number in range(3):
            await house.turn(KEY, f"hello {number}", f"r{number}")
        answer = await house.call("sessions.compact", link, key="work", maxLines=5)
        assert answer == {"ok": True, "key": KEY, "compacted": True, "kept": 4}
        assert texts(house, KEY) == ["hello 1", "Hi.", "hello 2", "Hi."]
        assert link.events("sessions.changed", reason="compact")[0]["compacted"] is True
        assert house.entry(KEY).compactions == 1
        await house.turn(KEY, "next", "r9")
        sent = house.world.model.requests[-1].contents
        assert [content.text for content in sent] == ["hello 1", "Hi.", "hello 2", "Hi.", "next"]
        assert (await house.call("sessions.get", key="work", limit=1))["messages"][0]["__openclaw"]["seq"] == 6


# --- cleanup


def age(house: House, entry: Entry, days: int, **members: Any) -> None:
    then = house.desk.clock.wall() - days * DAY_MS
    house.desk.directory.change(entry, updated=then, **members)


async def test_what_nobody_uses_is_archived_and_what_nobody_talks_in_is_deleted(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        directory, old = house.desk.directory, 31
        for name in ("fresh", "idle", "pinned", "active", "stored", "subagent:one"):
            directory.create(f"agent:main:{name}")
        age(house, directory.create(MAIN), old)
        age(house, house.entry("agent:main:idle"), old)
        age(house, house.entry("agent:main:pinned"), old, pinned=True)
        age(house, house.entry("agent:main:active"), old)
        age(house, house.entry("agent:main:subagent:one"), old)
        age(house, house.entry("agent:main:stored"), 10 * old, archived=1)
        params = {"activeKey": "active"}
        planned = await house.call("sessions.cleanup", enforce=False, **params)
        assert (planned["dryRun"], planned["archived"], planned["pruned"]) == (True, 1, 1)
        assert (planned["beforeCount"], planned["afterCount"], planned["applied"]) == (7, 7, False)
        link = house.link()
        link.lists = True
        done = await house.call("sessions.cleanup", link, **params)
        assert (done["beforeCount"], done["afterCount"], done["appliedCount"]) == (7, 6, 2)
        assert house.entry("agent:main:idle").archived == house.desk.clock.wall()
        assert directory.get("agent:main:subagent:one") is None
        assert not any(house.entry(f"agent:main:{name}").archived for name in ("fresh", "pinned", "active"))
        assert link.events("sessions.changed", reason="cleanup")
        again = await house.call("sessions.cleanup", **params)
        assert again["wouldMutate"] is False


async def test_that_a_session_was_deleted_is_remembered_for_a_while(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        past = house.desk.directory.past
        now = house.desk.clock.wall()
        past.put("gone", Past("gone", "agent:main:x", "main", now - TOMBSTONE_DAYS * DAY_MS - 1, "deleted"))
        past.put("left", Past("left", "agent:main:x", "main", now - 1, "deleted"))
        assert (await house.call("sessions.cleanup"))["journals"] == 1
        assert list(past.items) == ["left"]


async def test_entries_without_a_journal_are_found_only_when_they_are_looked_for(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        directory = house.desk.directory
        lost = Entry(KEY, "lost", "r", "main", 1, house.desk.clock.wall())
        directory.shelf.put(KEY, lost)
        directory.create("agent:main:there")
        assert (await house.call("sessions.cleanup"))["missing"] is None
        assert (await house.call("sessions.cleanup", fixMissing=True))["missing"] == 1
        assert [entry.key for entry in directory] == ["agent:main:there"]


async def test_only_the_sessions_of_one_agent_are_tidied(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        age(house, house.desk.directory.create("agent:other:x"), 31)
        assert (await house.call("sessions.cleanup", enforce=False))["archived"] == 0
        assert (await house.call("sessions.cleanup", enforce=False, agent="other"))["archived"] == 1
        assert (await house.call("sessions.cleanup", enforce=False, allAgents=True))["archived"] == 1


@pytest.mark.parametrize("method", ["sessions.reset", "sessions.compact", "sessions.cleanup"])
async def test_only_an_admin_may_do_this(method: str, autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        with pytest.raises(GatewayError, match="missing scope"):
            await house.call(method, house.link(scopes=("operator.write",)), key="work")
