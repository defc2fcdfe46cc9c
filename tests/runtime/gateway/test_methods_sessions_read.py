"""sessions.get, .preview, .search, .usage.*, chat.startup, chat.message.get: what was said, and what it cost."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from runtime.gateway.frames import GatewayError
from runtime.gateway.methods.sessions_read import newest, snippet
from runtime.stores.memory import Kept
from tests.fakes.gateway import House, serving
from tests.fakes.world import CountingChance, calls, text

FAMILIES = ("chat", "runs", "sessions_read")
KEY = "agent:main:work"
OTHER = "agent:main:other"


async def said(house: House) -> None:
    await house.turn(KEY, "hello session", "r1")
    await house.turn(OTHER, "hello other world", "r2")


async def test_the_last_messages_of_a_session_are_read(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await said(house)
        messages = (await house.call("sessions.get", key="work"))["messages"]
        assert [message["role"] for message in messages] == ["user", "assistant"]
        assert messages[0]["content"] == "hello session"
        (last,) = (await house.call("sessions.get", key="work", limit=1))["messages"]
        assert last == messages[-1]
        assert await house.call("sessions.get", key="nope") == {"messages": []}
        with pytest.raises(GatewayError, match="key"):
            await house.call("sessions.get")


async def test_a_preview_shows_words_and_no_results_of_tools(autojump_clock: MockClock) -> None:
    async with serving([calls(("read", {}))], [text("It says " + "x" * 300)], families=FAMILIES) as house:
        await house.turn(KEY, "read it", "r1")
        house.desk.directory.create(OTHER)
        answer = await house.call("sessions.preview", keys=["work", OTHER, "nope"], maxChars=20)
        shown, empty, missing = answer["previews"]
        assert (shown["key"], shown["status"]) == ("work", "ok")
        assert shown["items"] == [
            {"role": "user", "text": "read it"},
            {"role": "assistant", "text": "It says " + "x" * 11 + "…"},
        ]
        assert (empty["status"], missing["status"], missing["items"]) == ("empty", "missing", [])
        (one,) = (await house.call("sessions.preview", keys=["work"], limit=1))["previews"]
        assert [item["role"] for item in one["items"]] == ["assistant"]


async def test_what_each_answer_used_is_told_with_the_sum_so_far(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await house.turn(KEY, "one", "r1")
        await house.turn(KEY, "two", "r2")
        await house.call("chat.inject", sessionKey="work", message="free")
        answer = await house.call("sessions.usage.timeseries", key="work")
        assert answer["sessionId"] == house.entry(KEY).session
        assert [point["cumulativeTokens"] for point in answer["points"]] == [12, 24]
        with pytest.raises(GatewayError, match="there is no session"):
            await house.call("sessions.usage.timeseries", key="nope")


async def test_a_log_says_who_said_what_and_how_many_tokens_it_was(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await house.turn(KEY, "hello", "r1")
        logs = (await house.call("sessions.usage.logs", key="work"))["logs"]
        assert [(log["role"], log["content"], log.get("tokens")) for log in logs] == [
            ("user", "hello", None),
            ("assistant", "Hi.", 12),
        ]
        assert len((await house.call("sessions.usage.logs", key="work", limit=1))["logs"]) == 1
        assert await house.call("sessions.usage.logs", key="nope") == {"logs": []}


# --- search


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"query": "hello"}, {("work", "user"), ("other", "user")}),
        ({"query": "HELLO, world!"}, {("other", "user")}),
        ({"query": "hello", "sessionKeys": ["work"]}, {("work", "user")}),
        ({"query": "hello", "sessionKeys": ["work"], "agentId": "main"}, {("work", "user")}),
        ({"query": "hi"}, {("work", "assistant"), ("other", "assistant")}),
        ({"query": "hel"}, set()),
        ({"query": "..."}, set()),
        ({"query": "hello", "sessionKeys": ["nope"]}, set()),
    ],
)
async def test_messages_are_found_by_whole_words(
    params: dict[str, Any], found: set[tuple[str, str]], autojump_clock: MockClock
) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await said(house)
        answer = await house.call("sessions.search", **params)
        assert {(one["sessionKey"].split(":")[-1], one["role"]) for one in answer["results"]} == found
        assert answer["complete"] is True
        for one in answer["results"]:
            message = await house.call("chat.message.get", sessionKey=one["sessionKey"], messageId=one["messageId"])
            assert message["ok"] is True


async def test_a_search_is_limited_and_shows_the_best_first(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await said(house)
        (best,) = (await house.call("sessions.search", query="hello", limit=1))["results"]
        assert best["sessionKey"] == KEY  # one word of two, not of three
        with pytest.raises(GatewayError, match="only together"):
            await house.call("sessions.search", query="hello", agentId="main")


async def test_a_search_finds_what_was_said_before_a_restart(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept) as house:
        await said(house)
        await house.written()
    async with serving(families=FAMILIES, kept=kept, chance=CountingChance(1_000)) as house:
        assert len((await house.call("sessions.search", query="hello"))["results"]) == 2


def test_a_snippet_shows_the_word_in_its_surroundings() -> None:
    assert snippet("hello there", "hello") == "hello there"
    long = snippet("a " * 500 + "needle " + "b " * 500, "needle")
    assert "needle" in long
    assert (long[0], long[-1], len(long) < 210) == ("…", "…", True)


# --- chat.startup, chat.message.get


async def test_a_client_is_shown_the_conversation_and_what_runs(autojump_clock: MockClock) -> None:
    async with serving([text("Hi."), 5.0], families=FAMILIES) as house:
        await house.turn(KEY, "hello", "r1")
        answer = await house.call("chat.startup", sessionKey="work")
        history = await house.call("chat.history", sessionKey="work")
        assert answer == history
        short = await house.call("chat.startup", sessionKey="work", limit=1)
        assert (len(short["messages"]), short["hasMore"], short["nextOffset"]) == (1, True, 1)
        tiny = await house.call("chat.startup", sessionKey="work", maxBytes=1)
        assert (len(tiny["messages"]), tiny["hasMore"]) == (1, True)
        await house.call("chat.send", sessionKey="work", message="more", idempotencyKey="r2")
        await trio.sleep(1)
        running = await house.call("chat.startup", sessionKey="work")
        assert (running["inFlightRun"]["runId"], running["inFlightRun"]["text"]) == ("r2", "Hi.")
        assert (await house.call("chat.startup", sessionKey="nope"))["messages"] == []


async def test_one_message_is_read_by_its_id(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await house.turn(KEY, "hello", "r1")
        first = (await house.call("sessions.get", key="work"))["messages"][0]
        name = first["__openclaw"]["id"]
        answer = await house.call("chat.message.get", sessionKey="work", messageId=name)
        assert answer == {"ok": True, "message": first}
        short = await house.call("chat.message.get", sessionKey="work", messageId=name, maxChars=3)
        assert short["message"]["content"] == "hel\n...(truncated)..."
        missing = await house.call("chat.message.get", sessionKey="work", messageId="nope")
        assert missing == {"ok": False, "unavailableReason": "not_found"}


@pytest.mark.parametrize(("most", "kept"), [(1, 1), (20, 1), (40, 2), (10_000, 5)])
def test_the_newest_messages_are_kept(most: int, kept: int) -> None:
    messages = [{"content": f"{n}"} for n in range(5)]
    assert newest(messages, most) == messages[-kept:]
    assert newest([], most) == []
