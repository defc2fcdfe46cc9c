"""sessions.create, .send, .abort: what makes a session, what a message in it does, and what stops it."""

from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from runtime.gateway.frames import GatewayError
from runtime.stores.memory import Kept
from tests.fakes.gateway import MODEL, serving
from tests.fakes.world import CountingChance, text

FAMILIES = ("chat", "runs", "sessions_create", "sessions_list")
KEY = "agent:main:work"


async def test_a_session_without_a_key_gets_one_of_the_ui(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        link = house.link()
        link.lists = True
        answer = await house.call("sessions.create", link, label="Mine")
        assert answer["key"].startswith("agent:main:dashboard:")
        assert answer["sessionId"] == answer["entry"]["sessionId"] == house.entry(answer["key"]).session
        assert (answer["runStarted"], answer["entry"]["parentSessionKey"]) == (False, "agent:main:main")
        assert answer["resolved"]["model"] == MODEL
        assert [told["reason"] for told in link.events("sessions.changed")] == ["create"]


async def test_it_is_on_disk_when_the_answer_leaves(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with serving(families=FAMILIES, kept=kept) as house:
        await house.call("sessions.create", key="work", label="Mine")
        assert set(kept.documents["entry"]) == {KEY}
        assert len(kept.records) == 1


async def test_a_session_with_a_message_begins_its_first_run(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        answer = await house.call("sessions.create", key="work", message="hello")
        assert (answer["runStarted"], answer["status"]) == (True, "started")
        run = await house.desk.runs.wait(answer["runId"], 60)
        assert run is not None
        assert (run.status, run.answer) == ("ok", "Hi.")


async def test_a_task_stands_for_a_message_that_is_empty(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        answer = await house.call("sessions.create", key="work", message="  ", task="do it")
        await house.desk.runs.wait(answer["runId"], 60)
        history = await house.call("chat.history", sessionKey=KEY)
        assert history["messages"][0]["content"] == "do it"
        assert (await house.call("sessions.create", key="other", message=" "))["runStarted"] is False


async def test_a_run_that_cannot_begin_leaves_the_session_and_says_why(autojump_clock: MockClock) -> None:
    async with serving([5.0, text("Slow.")], families=FAMILIES) as house:
        device = house.link(device="device-1")
        await house.call("sessions.create", device, key="work", message="hello", idempotencyKey="k")
        directory = house.desk.directory
        changed = directory.change(house.entry(KEY), members={})  # as if another had made it
        assert changed.key == KEY
        answer = await house.call("sessions.create", device, key="work", message="other words", idempotencyKey="k")
        assert answer["runStarted"] is False
        assert answer["runError"]["details"]["reason"] == "chat-request-conflict"


async def test_creating_again_keeps_the_session_and_takes_over_what_is_said(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        first = await house.call("sessions.create", key="work", label="One", category="c", displayName="Shown")
        again = await house.call("sessions.create", key="work", thinkingLevel="high", permissionMode="guarded")
        assert again["sessionId"] == first["sessionId"]
        entry = house.entry(KEY)
        assert (entry.label, entry.thinking, entry.mode) == ("One", "high", "guarded")
        assert (entry.members["category"], entry.members["displayName"]) == ("c", "Shown")
        session = house.desk.directory.roster.live[entry.session]
        assert session.state.settings.mode == "guarded"


async def test_a_session_names_its_parent_and_the_main_one_has_none(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        await house.call("sessions.create", key="work")
        child = await house.call("sessions.create", parentSessionKey="work", spawnDepth=2)
        assert (child["entry"]["parentSessionKey"], child["entry"]["spawnDepth"]) == (KEY, 2)
        main = await house.call("sessions.create", key="main")
        assert "parentSessionKey" not in main["entry"]


async def test_a_session_works_in_the_folder_that_it_was_given(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        answer = await house.call("sessions.create", key="work", cwd=str(tmp_path))
        assert answer["entry"]["sessionRoot"] == str(tmp_path.resolve())
        session = house.desk.directory.roster.live[answer["sessionId"]]
        assert session.state.settings.workspace == str(tmp_path.resolve())


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown agent": ({"agentId": "nope"}, "no agent"),
    "an agent of the key that is unknown": ({"key": "agent:nope:x"}, "no agent"),
    "a malformed key": ({"key": "agent:main:"}, "malformed session key"),
    "a parent that is not there": ({"parentSessionKey": "nope"}, "there is no session"),
    "an unknown provider": ({"key": "x", "model": "nope/x"}, "no provider"),
    "an unknown model": ({"key": "x", "model": "google/nope"}, "no model"),
    "an unknown level": ({"key": "x", "thinkingLevel": "gigantic"}, 'thinkingLevel "gigantic" is not supported'),
    "a label in use": ({"key": "x", "label": "Taken"}, "another session has the label"),
    "a folder that is not there": ({"cwd": "/nonexistent/zz"}, "no folder"),
    "a folder that is not absolute": ({"cwd": "relative"}, "absolute"),
    "a fork": ({"fork": True, "parentSessionKey": "taken"}, "fork is not available"),
    "a work tree": ({"worktree": True}, "worktree is not available"),
    "a session that is not kept": ({"incognito": True}, "incognito is not available"),
    "tools of its own": ({"toolOverrides": {"webSearch": False}}, "toolOverrides is not available"),
    "another host": ({"execNode": "n"}, "execNode is not available"),
    "a session for few": ({"visibility": "draft"}, "shared"),
    "an idempotency key of nobody": ({"idempotencyKey": "k"}, "proven identity"),
    "an archived one": ({"key": "stored"}, "is archived"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_cannot_be_made_is_refused_and_nothing_is_left(name: str, autojump_clock: MockClock) -> None:
    params, why = REFUSED[name]
    async with serving(families=FAMILIES) as house:
        house.desk.directory.create("agent:main:taken", label="Taken")
        house.desk.directory.create("agent:main:stored", archived=5)
        with pytest.raises(GatewayError, match=why) as caught:
            await house.call("sessions.create", house.link(), **params)
        assert caught.value.code == "INVALID_REQUEST"
        assert len(house.desk.directory) == 2


async def test_a_device_that_asks_twice_gets_one_session_and_one_run(autojump_clock: MockClock) -> None:
    kept = Kept()
    params = {"idempotencyKey": "k", "message": "hello"}
    async with serving([text("Hi.")], families=FAMILIES, kept=kept) as house:
        first = await house.call("sessions.create", house.link(device="d1"), **params)
        await house.desk.runs.wait(first["runId"], 60)
        other = await house.call("sessions.create", house.link(device="d2"), **params)
        assert other["key"] != first["key"]
        await house.desk.runs.wait(other["runId"], 60)
        await house.written()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=CountingChance(1_000)) as house:
        again = await house.call("sessions.create", house.link(device="d1"), **params)
        assert [again[name] for name in ("key", "sessionId", "runId")] == [
            first[name] for name in ("key", "sessionId", "runId")
        ]
        assert again["status"] == "ok"
        assert len(house.world.model.requests) == 0
        with pytest.raises(GatewayError, match="already used"):
            await house.call("sessions.create", house.link(device="d1"), idempotencyKey="k", message="other words")


# --- send


async def test_a_message_is_sent_to_a_session_that_is_there(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await house.call("sessions.create", key="work")
        link = house.link()
        link.lists = True
        sent = {"key": "work", "message": "hello", "idempotencyKey": "r1"}
        assert await house.call("sessions.send", link, **sent) == {"runId": "r1", "status": "started"}
        assert await house.call("sessions.send", link, **sent) == {"runId": "r1", "status": "in_flight"}
        await house.desk.runs.wait("r1", 60)
        assert await house.call("sessions.send", link, **sent) == {"runId": "r1", "status": "ok"}
        assert len(link.events("sessions.changed", reason="send")) == 4
        unnamed = await house.call("sessions.send", key="work", message="hello")
        assert unnamed["runId"] != "r1"


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"key": "nope", "message": "hello"}, "there is no session"),
        ({"key": "work", "message": " "}, "message or attachment required"),
        ({"key": "stored", "message": "hello"}, "is archived"),
    ],
)
async def test_a_message_for_nobody_is_refused(params: dict[str, Any], why: str, autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        house.desk.directory.create(KEY)
        house.desk.directory.create("agent:main:stored", archived=5)
        with pytest.raises(GatewayError, match=why):
            await house.call("sessions.send", **params)


async def test_a_message_may_want_a_thinking_level_for_its_run(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await house.call("sessions.create", key="work", thinkingLevel="high")
        for run, more in (("r1", {"thinking": "low"}), ("r2", {})):
            await house.call("sessions.send", key="work", message=run, idempotencyKey=run, **more)
            await house.rest(KEY)
        assert [request.thinking for request in house.world.model.requests] == ["low", "high"]
        with pytest.raises(GatewayError, match='thinking "gigantic" is not supported'):
            await house.call("sessions.send", key="work", message="x", idempotencyKey="r3", thinking="gigantic")


async def test_a_command_is_answered_without_the_model(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await house.call("sessions.create", key="work")
        link = house.link()
        answer = await house.call("sessions.send", link, key="work", message="/status", idempotencyKey="r1")
        assert answer == {"runId": "r1", "status": "started"}
        assert "Session: agent:main:work" in link.events("chat", runId="r1")[0]["message"]["content"][0]["text"]
        assert not house.world.model.requests


# --- abort


async def test_a_run_is_given_up_by_the_key_of_its_session_or_by_its_id(autojump_clock: MockClock) -> None:
    async with serving([20.0, text("Slow.")], families=FAMILIES) as house:
        await house.call("sessions.create", key="work")
        link = house.link()
        link.lists = True
        for run, params in (("r1", {"key": "work"}), ("r2", {"runId": "r2"})):
            await house.call("sessions.send", key="work", message="hello", idempotencyKey=run)
            await trio.sleep(1)
            answer = await house.call("sessions.abort", link, **params)
            assert answer == {"ok": True, "abortedRunId": run, "status": "aborted"}
            assert house.desk.runs.shelf.items[run].status == "aborted"
        assert len(link.events("sessions.changed", reason="abort")) == 2


async def test_a_message_that_was_accepted_and_has_not_begun_is_given_up_too(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await house.call("sessions.create", key="work")
        house.world.dispatcher.most_open = 1
        house.world.slow(30)
        await house.call("chat.send", sessionKey="other", message="hello", idempotencyKey="r1")
        await trio.sleep(1)
        await house.call("sessions.send", key="work", message="hello", idempotencyKey="r2")
        answer = await house.call("sessions.abort", key="work")
        assert (answer["abortedRunId"], answer["status"]) == ("r2", "aborted")
        assert house.desk.runs.shelf.items["r2"].status == "aborted"


async def test_where_nothing_runs_nothing_is_given_up(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        await house.call("sessions.create", key="work")
        idle = {"ok": True, "abortedRunId": None, "status": "no-active-run"}
        for params in ({"key": "work"}, {"key": "nope"}, {"runId": "nope"}, {"key": "work", "runId": "nope"}):
            assert await house.call("sessions.abort", **params) == idle
        with pytest.raises(GatewayError, match="key or runId required"):
            await house.call("sessions.abort")


async def test_what_waits_is_given_up_only_when_that_was_said(autojump_clock: MockClock) -> None:
    async with serving([20.0, text("Slow.")], families=FAMILIES) as house:
        await house.call("sessions.create", key="work")
        house.desk.directory.change(house.entry(KEY), queue="followup")
        for run in ("r1", "r2"):
            await house.call("sessions.send", key="work", message="hello", idempotencyKey=run)
        await trio.sleep(1)
        waiting = house.desk.runs.follow("r2")
        await house.call("sessions.abort", key="work", clearQueued=True)
        await trio.sleep(60)
        assert house.desk.runs.shelf.items[waiting].status == "aborted"
        assert len(house.world.model.requests) == 1
