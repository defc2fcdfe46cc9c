"""Rows of sessions: all that clients look for is there, it is true, and what there is not is empty."""

import json

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from runtime.gateway import rows
from runtime.gateway.entries import NOTHING, Entry
from runtime.gateway.transcript import Transcript, inject
from tests.fakes.gateway import MODEL, serving
from tests.fakes.world import text

FAMILIES = ("chat", "runs")
KEY = "agent:main:main"
ALWAYS = (
    "key visibility permissionModePending spawnDepth createdVia participants expandedParticipants participantCount "
    "createdAt kind classification agentId isMain isBackground chatType updatedAt archived pinned unread "
    "lastInteractionAt sessionId systemSent abortedLastRun thinkingLevels thinkingOptions thinkingDefault "
    "effectiveFastMode effectiveFastModeSource fastAutoOnSeconds inputTokens outputTokens totalTokens totalTokensFresh "
    "status lastRunId effectiveResponseUsage effectiveQueueMode modelProvider model modelOverrideSource "
    "runtimeSelectionLocked agentRuntime contextTokens contextBudgetStatus snapshotAt placement activitySummary "
    "hasActiveRun activeRunIds sharingRole"
).split()


async def test_a_row_has_every_member_that_clients_look_for(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        entry = house.desk.directory.create(KEY)
        row = rows.session(house.desk, entry)
        assert set(ALWAYS) <= row.keys()
        assert json.loads(json.dumps(row)) == row
        assert (row["status"], row["hasActiveRun"]) == ("idle", False)
        assert not {"label", "displayName", "startedAt", "endedAt", "archivedAt"} & row.keys()


async def test_a_row_tells_of_the_run_that_is_open_and_of_the_one_that_ended(autojump_clock: MockClock) -> None:
    async with serving([2.0, text("Hi.")], families=FAMILIES) as house:
        await house.call("chat.send", sessionKey=KEY, message="hello", idempotencyKey="r1")
        running = rows.session(house.desk, house.entry(KEY), last=True)
        assert (running["status"], running["activeRunIds"]) == ("running", ["r1"])
        assert running["activeModel"] == MODEL
        await house.desk.runs.wait("r1", 60)
        done = rows.session(house.desk, house.entry(KEY), last=True)
        assert (done["status"], done["hasActiveRun"], done["lastRunId"]) == ("done", False, "r1")
        assert done["runtimeMs"] == done["endedAt"] - done["startedAt"] == 2000
        assert (done["derivedTitle"], done["lastMessagePreview"]) == ("hello", "Hi.")
        assert "activeModel" not in done


async def test_a_run_that_was_given_up_was_killed(autojump_clock: MockClock) -> None:
    async with serving([20.0, text("Hi.")], families=FAMILIES) as house:
        await house.call("chat.send", sessionKey=KEY, message="hello", idempotencyKey="r1")
        await trio.sleep(1)
        await house.call("chat.abort", sessionKey=KEY)
        await house.desk.runs.wait("r1", 60)
        row = rows.session(house.desk, house.entry(KEY))
        assert (row["status"], row["abortedLastRun"]) == ("killed", True)


@pytest.mark.parametrize(
    ("key", "kind", "classification"),
    [
        (KEY, "direct", "main"),
        ("global", "global", "global"),
        ("agent:main:telegram:group:7", "group", "group"),
        ("agent:main:dashboard:x", "direct", "dashboard"),
    ],
)
async def test_a_row_says_what_kind_of_session_it_is(
    key: str, kind: str, classification: str, autojump_clock: MockClock
) -> None:
    async with serving(families=FAMILIES) as house:
        row = rows.session(house.desk, Entry(key, "s", "r", "main", 1, 1))
        assert (row["kind"], row["classification"]) == (kind, classification)


async def test_what_clients_set_is_shown_as_they_set_it(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        members = {"icon": "🎉", "displayName": "Shown", "_created": "not shown"}
        row = rows.session(house.desk, Entry(KEY, "s", "r", "main", 1, 1, members=members))
        assert (row["icon"], row["displayName"]) == ("🎉", "Shown")
        assert "_created" not in row
        labelled = rows.session(house.desk, Entry(KEY, "s", "r", "main", 1, 1, label="Label", members=members))
        assert labelled["displayName"] == "Label"


def test_a_status_that_was_given_for_some_time_ends_by_itself() -> None:
    entry = Entry(KEY, "s", "r", "main", 1, 1, members={"agentStatus": {"note": "busy", "expiresAt": 100}})
    assert rows.clients(entry, 99) == {"agentStatus": {"note": "busy", "expiresAt": 100}}
    assert rows.clients(entry, 100) == {}


async def test_a_change_is_told_with_the_row_and_its_members_beside_it(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        entry = house.desk.directory.create(KEY, label="Mine")
        told = rows.changed(house.desk, entry, "patch", compacted=True)
        assert (told["sessionKey"], told["reason"], told["compacted"]) == (KEY, "patch", True)
        assert told["session"]["label"] == told["label"] == "Mine"
        assert (told["endedAt"], told["owner"], told["ancestorSessions"]) == (None, None, [])
        assert "reason" not in rows.changed(house.desk, entry, phase="start")


async def test_a_change_of_a_child_tells_of_its_parents_but_not_of_what_all_come_from(
    autojump_clock: MockClock,
) -> None:
    async with serving(families=FAMILIES) as house:
        directory = house.desk.directory
        directory.create(KEY)
        parent = directory.create("agent:main:parent", parent=KEY)
        child = directory.create("agent:main:child", parent=parent.key)
        directory.change(parent, parent=KEY)
        assert [row["key"] for row in rows.changed(house.desk, child)["ancestorSessions"]] == [parent.key]
        looped = directory.change(parent, parent=parent.key)
        assert len(rows.ancestors(house.desk, looped)) == rows.MOST_ANCESTORS


async def test_a_message_is_told_with_its_number_and_whose_it_is(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await house.turn(KEY, "hello", "r1")
        entry = house.entry(KEY)
        said, answered = house.desk.directory.transcript(entry).lines
        told = rows.message(house.desk, entry, said)
        assert (told["messageSeq"], told["messageId"], told["senderIsOwner"]) == (1, said.id, True)
        assert "reason" not in told
        told = rows.message(house.desk, entry, answered)
        assert (told["messageSeq"], told["runId"], told["message"]["role"]) == (2, "r1", "assistant")
        note = inject(Transcript("s", "google", "m"), "n", "text", 1)
        assert "runId" not in rows.message(house.desk, entry, note)


async def test_an_entry_is_described_as_it_is(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        entry = house.desk.directory.create(KEY, mode="guarded", members={"sessionRoot": "/nowhere/else"})
        shown = rows.described(house.desk, entry)
        assert (shown["sessionId"], shown["lifecycleRevision"]) == (entry.session, entry.revision)
        assert (shown["sessionRoot"], shown["permissionMode"]) == ("/nowhere/else", "guarded")
        assert (shown["skillsSnapshot"], shown["modelOverrideSource"]) == ({}, "default")
        own = evolve(entry, model=f"google/{MODEL}", thinking="low")
        assert rows.described(house.desk, own)["modelOverride"] == MODEL
        assert rows.resolved(house.desk, own)["thinkingLevel"] == "low"


def test_an_entry_without_members_shares_them_with_all_others() -> None:
    assert Entry("a", "s", "r", "main", 1, 1).members is Entry("b", "s", "r", "main", 1, 1, members={}).members
    assert not NOTHING
