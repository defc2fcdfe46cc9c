"""chat.send, .history, .abort, .inject, .metadata, as clients call them."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from runtime.gateway.frames import GatewayError
from runtime.gateway.history import CUT
from runtime.stores.memory import Kept
from tests.fakes.gateway import MODEL, House, serving
from tests.fakes.world import CountingChance, FakeTool, FakeTools, calls, spec, text

FAMILIES = ("chat", "runs", "sessions_change", "sessions_end")
KEY = "agent:main:main"


async def send(house: House, said: str = "hello", run: str = "r1", **more: Any) -> Any:
    return await house.call("chat.send", sessionKey="main", message=said, idempotencyKey=run, **more)


async def history(house: House, **more: Any) -> Any:
    return await house.call("chat.history", sessionKey="main", **more)


def shown(answer: dict[str, Any]) -> list[str]:
    """The texts of the messages in an answer."""
    texts = []
    for one in answer["messages"]:
        content = one.get("message", one)["content"]
        texts.append(content if isinstance(content, str) else content[0]["text"])
    return texts


async def refused(house: House, name: str, **params: Any) -> tuple[str, str, Any]:
    with pytest.raises(GatewayError) as error:
        await house.call(name, **params)
    return error.value.code, error.value.message, (error.value.details or {}).get("reason")


# --- chat.send


async def test_a_short_key_is_the_agents_own(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        link = house.link()
        link.lists = True
        assert await send(house) == {"runId": "r1", "status": "started"}
        await house.rest(KEY)
        assert link.events("chat", state="final")[0]["sessionKey"] == KEY
        assert house.entry(KEY).via == "run"
        assert link.events("sessions.changed")[0]["reason"] == "create"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"message": ""}, "message or attachment required"),
        ({"message": "  "}, "message or attachment required"),
        ({"message": "x", "sessionKey": "agent:nobody:main"}, 'unknown agent id "nobody"'),
        ({"message": "x", "agentId": "nobody"}, 'unknown agent id "nobody"'),
        ({"message": "x", "sessionKey": "agent:"}, ""),
        ({"message": "x", "idempotencyKey": ""}, "idempotencyKey"),
        ({"message": "x", "queueMode": "shout"}, "queueMode"),
        ({"message": "x", "attachments": [{"content": "!", "mimeType": "image/png"}]}, "/attachments/0"),
        ({"message": "x", "more": 1}, "unexpected property 'more'"),
    ],
)
async def test_what_cannot_be_sent_says_why_and_makes_no_session(
    autojump_clock: MockClock, given: dict[str, Any], why: str
) -> None:
    async with serving(families=FAMILIES) as house:
        whole = {"sessionKey": "main", "idempotencyKey": "r1", **given}
        code, message, _ = await refused(house, "chat.send", **whole)
        assert code == "INVALID_REQUEST"
        assert why in message
        assert len(house.desk.directory) == 0


async def test_the_queue_mode_of_the_message_goes_before_that_of_the_session(autojump_clock: MockClock) -> None:
    async with serving([text("a", None), 5.0, text("b")], families=FAMILIES) as house:
        await send(house)
        await trio.sleep(1)
        house.desk.directory.change(house.entry(KEY), queue="interrupt")
        await send(house, "two", "r2", queueMode="followup")
        assert house.desk.runs.shelf.items["r1"].status == "running"
        assert (await send(house, "three", "r3"))["interruptedActiveRun"]


async def test_an_archived_session_takes_nothing(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        entry = house.desk.directory.create("agent:main:old")
        house.desk.directory.change(entry, archived=1)
        code, message, _ = await refused(house, "chat.send", sessionKey="old", message="x", idempotencyKey="r1")
        assert (code, "archived" in message) == ("INVALID_REQUEST", True)


@pytest.mark.parametrize(
    ("expected", "reason"),
    [
        ({"expectedPermissionMode": None}, None),
        ({"expectedPermissionMode": "full"}, "session-settings-changed"),
        ({"expectedToolOverrides": None}, None),
        ({"expectedToolOverrides": {"x": True}}, "session-settings-changed"),
        ({"expectedLeafEntryId": None}, "active-leaf-changed"),
        ({"expectedLeafEntryId": "nope"}, "active-leaf-changed"),
        ({"expectedSessionRoutingContract": "any"}, "session-routing-changed"),
    ],
)
async def test_a_sender_with_another_picture_of_the_session_is_refused(
    autojump_clock: MockClock, expected: dict[str, Any], reason: str | None
) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await house.turn(KEY, "one", "r1")
        if reason is None:
            assert (await send(house, "two", "r2", **expected))["status"] == "started"
            return
        given = {"sessionKey": "main", "message": "two", "idempotencyKey": "r2"}
        assert (await refused(house, "chat.send", **given, **expected))[::2] == ("INVALID_REQUEST", reason)
        assert "r2" not in house.desk.runs.shelf.items


async def test_what_was_expected_of_a_message_that_was_accepted_does_not_count_any_more(
    autojump_clock: MockClock,
) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await house.turn(KEY, "one", "r1")
        leaf = (await history(house))["sessionInfo"]["activeLeafEntryId"]
        await send(house, "two", "r2", expectedLeafEntryId=leaf)
        await house.rest(KEY)
        assert (await send(house, "two", "r2", expectedLeafEntryId=leaf))["status"] == "ok"


# --- thinking


def levels(house: House) -> list[str]:
    return [request.thinking for request in house.world.model.requests]


async def test_a_thinking_level_holds_for_the_run_of_its_message(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await house.call("sessions.patch", key="main", thinkingLevel="high")
        for run, more in (("r1", {"thinking": "low"}), ("r2", {}), ("r3", {"thinking": ""})):
            await send(house, run, run, **more)
            await house.rest(KEY)
        assert levels(house) == ["low", "high", "high"]
        assert (await history(house))["thinkingLevel"] == "high"


@pytest.mark.parametrize(("said", "level"), [("Think-Hard", "low"), ("none", "off"), ("auto", "adaptive")])
async def test_a_level_may_have_another_name(autojump_clock: MockClock, said: str, level: str) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await send(house, thinking=said)
        await house.rest(KEY)
        assert levels(house) == [level]


@pytest.mark.parametrize("level", ["gigantic", "xhigh"])
async def test_a_level_that_the_model_does_not_have_is_refused_before_anything_is_made(
    autojump_clock: MockClock, level: str
) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        given = {"sessionKey": "main", "message": "hello", "idempotencyKey": "r1", "thinking": level}
        code, why, _ = await refused(house, "chat.send", **given)
        assert code == "INVALID_REQUEST"
        assert why.startswith(f'thinking "{level}" is not supported for google/{MODEL} (use off|')
        assert house.desk.directory.get(KEY) is None


async def test_messages_that_wait_keep_their_levels_also_across_a_restart(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with serving([5.0, text("Hi.")], families=FAMILIES, kept=kept) as house:
        await send(house, "one", "r1", thinking="low")
        await trio.sleep(1)
        await send(house, "two", "r2", queueMode="followup", thinking="off")
        await send(house, "three", "r3", queueMode="followup")
        await house.written()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=CountingChance(1_000)) as house:
        await house.rest(KEY)
        assert levels(house) == ["low", "off", ""]


async def test_of_messages_that_are_collected_the_newest_says_the_level(autojump_clock: MockClock) -> None:
    async with serving([5.0, text("Hi.")], families=FAMILIES) as house:
        await send(house, "one", "r1")
        await trio.sleep(1)
        await send(house, "two", "r2", queueMode="collect", thinking="low")
        await send(house, "three", "r3", queueMode="collect", thinking="off")
        await house.rest(KEY)
        assert levels(house) == ["", "off"]


async def test_a_message_that_is_withdrawn_takes_its_level_with_it(autojump_clock: MockClock) -> None:
    async with serving([5.0, text("Hi.")], families=FAMILIES) as house:
        await send(house, "one", "r1")
        await trio.sleep(1)
        await send(house, "two", "r2", queueMode="followup", thinking="low")
        await send(house, "three", "r3", queueMode="followup", thinking="off")
        await house.call("chat.abort", sessionKey="main", runId="r1")
        await house.call("chat.abort", sessionKey="main", runId="r2")
        await house.rest(KEY)
        assert levels(house) == ["", "off"]


async def test_a_message_that_joins_an_open_prompt_goes_with_its_level(autojump_clock: MockClock) -> None:
    tools = FakeTools({"look": FakeTool(spec("look"))})
    async with serving([5.0, calls(("look", {}))], [text("Hi.")], families=FAMILIES, tools=tools) as house:
        await send(house, "one", "r1", thinking="low")
        await trio.sleep(1)
        await send(house, "two", "r2", queueMode="steer", thinking="off")
        await house.rest(KEY)
        assert levels(house) == ["low", "low"]


async def test_the_first_message_of_a_new_session_has_its_level_and_its_time(autojump_clock: MockClock) -> None:
    async with serving([100.0, text("Hi.")], families=FAMILIES) as house:
        link = house.link()
        given = {"sessionKey": "main", "message": "/new hello", "idempotencyKey": "r1"}
        await house.call("chat.send", link, **given, thinking="low", timeoutMs=5000)
        await house.rest(KEY)
        assert levels(house) == ["low"]
        assert [one["stopReason"] for one in link.events("chat", state="aborted")] == ["timeout"]


# --- chat.history


async def test_a_session_that_is_not_there_has_no_history(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        answer = await history(house)
        assert (answer["sessionKey"], answer["messages"], answer["totalMessages"]) == (KEY, [], 0)
        assert answer["defaults"]["model"] == MODEL
        assert answer["sessionInfo"]["activeLeafEntryId"] is None
        assert not {"sessionId", "deltaCursor"} & set(answer)
        assert await history(house, cursor="x:1:y") == {"kind": "reset"}


async def test_the_last_messages_are_shown_page_by_page(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        for number in range(3):
            await house.turn(KEY, f"m{number}", f"r{number}")
        whole = await history(house)
        assert shown(whole) == ["m0", "Hi.", "m1", "Hi.", "m2", "Hi."]
        assert (whole["hasMore"], whole["totalMessages"], "nextOffset" in whole) == (False, 6, False)
        page = await history(house, limit=2)
        assert (shown(page), page["hasMore"], page["nextOffset"]) == (["m2", "Hi."], True, 2)
        page = await history(house, limit=2, offset=page["nextOffset"])
        assert (shown(page), page["offset"], page["nextOffset"]) == (["m1", "Hi."], 2, 4)
        assert shown(await history(house, limit=2, offset=4)) == ["m0", "Hi."]
        assert whole["sessionId"] == house.entry(KEY).session


async def test_a_cursor_gives_what_came_since(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await house.turn(KEY, "m0", "r0")
        mark = (await history(house))["deltaCursor"]
        assert (await history(house, cursor=mark))["messages"] == []
        await house.turn(KEY, "m1", "r1")
        fresh = await history(house, cursor=mark)
        assert (fresh["kind"], shown(fresh)) == ("delta", ["m1", "Hi."])
        assert [one["messageSeq"] for one in fresh["messages"]] == [3, 4]
        assert (await history(house, cursor=fresh["deltaCursor"]))["messages"] == []
        await house.call("sessions.reset", key="main")
        assert await history(house, cursor=fresh["deltaCursor"]) == {"kind": "reset"}


async def test_a_cursor_is_good_after_a_restart(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept) as house:
        await house.turn(KEY, "m0", "r0")
        mark = (await history(house))["deltaCursor"]
        await house.written()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=CountingChance(1_000)) as house:
        await house.turn(KEY, "m1", "r1")
        assert shown(await history(house, cursor=mark)) == ["m1", "Hi."]


async def test_the_messages_around_one_of_them_are_shown(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        for number in range(3):
            await house.turn(KEY, f"m{number}", f"r{number}")
        whole = await history(house)
        name, session = whole["messages"][2]["__openclaw"]["id"], whole["sessionId"]
        assert shown(await history(house, messageId=name, limit=3)) == ["Hi.", "m1", "Hi."]
        assert shown(await history(house, messageId=name, sessionId=session, limit=1)) == ["m1"]
        assert shown(await history(house, messageId="nope")) == []
        alone = await refused(house, "chat.history", sessionKey="main", sessionId=session)
        assert alone[1] == "sessionId requires messageId"
        foreign = await refused(house, "chat.history", sessionKey="main", sessionId="x", messageId=name)
        assert foreign[1] == "sessionId does not belong to sessionKey"


async def test_long_texts_are_cut_where_somebody_wants_that(autojump_clock: MockClock) -> None:
    async with serving([text("Hello.")], families=FAMILIES) as house:
        await house.turn(KEY, "hi", "r0")
        assert shown(await history(house, maxChars=2)) == ["hi", f"He{CUT}"]


async def test_what_waits_and_what_runs_is_shown(autojump_clock: MockClock) -> None:
    async with serving([text("a", None), 5.0, text("b")], families=FAMILIES) as house:
        await send(house)
        await trio.sleep(1)
        await send(house, "two", "r2", queueMode="steer")
        answer = await history(house)
        assert answer["pendingInputs"] == {"items": [{"runId": "r2", "text": "two", "steer": True}], "total": 1}
        assert answer["inFlightRun"]["runId"] == "r1"
        assert answer["inFlightRun"]["text"] == "a"
        await house.rest(KEY)
        assert "inFlightRun" not in await history(house)


# --- chat.inject, .metadata


async def test_what_is_put_in_stands_in_the_history_and_is_told(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept) as house:
        await house.turn(KEY, "hello", "r1")
        link = house.link()
        answer = await house.call("chat.inject", sessionKey="main", message="note", label="ops")
        (told,) = link.events("chat")
        assert (told["runId"], told["seq"], told["state"]) == (f"inject-{answer['messageId']}", 0, "final")
        assert told["message"]["content"][0]["text"] == "[ops]\n\nnote"
        assert shown(await history(house)) == ["hello", "Hi.", "[ops]\n\nnote"]
        assert "note" in kept.documents
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=CountingChance(1_000)) as house:
        assert shown(await history(house)) == ["hello", "Hi.", "[ops]\n\nnote"]


async def test_nothing_can_be_put_into_a_session_that_is_not_there(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        assert (await refused(house, "chat.inject", sessionKey="main", message="x"))[1].startswith("session not found")


async def test_a_client_learns_what_it_can_choose_from(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        answer = await house.call("chat.metadata")
        assert [one["id"] for one in answer["models"]] == [MODEL]
        assert answer["defaults"]["model"] == MODEL
