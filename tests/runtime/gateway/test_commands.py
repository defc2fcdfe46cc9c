"""Slash commands: answered with one final, once, and without the model."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from runtime.gateway.commands import COMMANDS, command_of
from runtime.gateway.frames import GatewayError
from runtime.stores.memory import Kept
from tests.fakes.gateway import FakeLink, House, serving
from tests.fakes.world import CountingChance, text

FAMILIES = ("chat", "runs")
KEY = "agent:main:main"
USER_AND_MODEL = ["user", "assistant"]


async def command(house: House, said: str, run: str = "c1", link: FakeLink | None = None) -> tuple[Any, str]:
    """Send a command; return its answer, and the text that clients are told."""
    listener = house.link()
    answers = await house.answers("chat.send", link, sessionKey="main", message=said, idempotencyKey=run)
    assert len(answers) == 1
    told = listener.events("chat", runId=run)
    return answers[0], told[0]["message"]["content"][0]["text"] if told else ""


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("/status", ("status", "")),
        ("/Queue  collect now ", ("queue", "collect now")),
        ("/new", ("new", "")),
        ("/", None),
        ("/nosuch thing", None),
        (" /status", None),
        ("hello /status", None),
        ("/usr/bin/env", None),
    ],
)
def test_only_known_words_are_commands(said: str, found: tuple[str, str] | None) -> None:
    assert command_of(said) == found


async def test_a_command_is_answered_once_without_the_model(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        link = house.link()
        answer, said = await command(house, "/status")
        assert answer == {"runId": "c1", "status": "started"}
        assert "Session: agent:main:main" in said
        assert house.world.model.requests == []
        (told,) = link.events("chat")
        assert (told["state"], told["seq"], told["message"]["stopReason"]) == ("final", 1, "stop")
        assert told["message"]["__openclaw"] == {"contextFreeCommand": True}


async def test_an_unknown_word_goes_to_the_model(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await house.turn(KEY, "/nosuch", "r1")
        assert len(house.world.model.requests) == 1


async def test_a_client_may_mean_a_word_literally(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        given = {"sessionKey": "main", "message": "/status", "idempotencyKey": "r1"}
        await house.call("chat.send", **given, suppressCommandInterpretation=True)
        await house.rest(KEY)
        assert len(house.world.model.requests) == 1


@pytest.mark.parametrize("name", ["new", "reset"])
async def test_a_new_session_is_begun_once_for_one_id(autojump_clock: MockClock, name: str) -> None:
    kept = Kept()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept) as house:
        await house.turn(KEY, "hello", "r1")
        before = house.entry(KEY).session
        await command(house, f"/{name}")
        fresh = house.entry(KEY).session
        assert fresh != before
        answer, told = await command(house, f"/{name}")
        assert (answer, told) == ({"runId": "c1", "status": "ok"}, "")
        assert house.entry(KEY).session == fresh
        with pytest.raises(GatewayError) as error:
            await command(house, "/status")
        assert (error.value.details or {})["reason"] == "chat-request-conflict"
        await house.written()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=CountingChance(1_000)) as house:
        assert (await command(house, f"/{name}"))[0]["status"] == "ok"
        assert house.entry(KEY).session == fresh


async def test_a_new_session_has_the_id_that_clients_know_also_after_a_restart(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept) as house:
        await house.turn(KEY, "hello", "r1")
        old = house.entry(KEY).id
        for name in ("/new", "/reset"):
            await command(house, name, name)
            assert house.entry(KEY).id == old
        link = house.link()
        await house.call("chat.send", link, sessionKey="main", message="again", idempotencyKey="r2")
        await house.rest(KEY)
        told = {one["sessionId"] for one in link.events("agent", stream="lifecycle")}
        assert told == {old}
        assert (await house.call("chat.history", sessionKey="main"))["sessionId"] == old
        await house.written()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=CountingChance(1_000)) as house:
        entry = house.desk.directory.named(old)
        assert entry is house.entry(KEY)
        assert entry.session != old
        house.desk.directory.delete(entry)
        assert house.desk.directory.named(old) is None


@pytest.mark.parametrize("name", ["new", "reset"])
async def test_what_stands_behind_a_new_session_is_its_first_message(name: str, autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await house.turn(KEY, "hello", "r1")
        for _ in range(2):  # sent again it neither begins anew nor is said twice
            await house.turn(KEY, f"/{name} tell me", "c1")
        asked = house.world.model.requests
        assert len(asked) == 2
        assert [content.parts[-1] for content in asked[-1].contents] == [{"text": "tell me"}]
        lines = house.desk.directory.transcript(house.entry(KEY)).lines
        assert [line.text for line in lines] == ["Reset", f"/{name} tell me", "Hi."]


async def test_a_conversation_that_begins_anew_says_so_first(autojump_clock: MockClock) -> None:
    kept, families = Kept(), (*FAMILIES, "sessions_end", "sessions_read")
    async with serving([text("Hi.")], families=families, kept=kept) as house:
        await house.turn(KEY, "hello", "r1")
        link = house.link()
        link.watches.add(KEY)
        before = house.desk.clock.wall()
        await command(house, "/new")
        begun = await house.call("chat.history", sessionKey="main")
        (mark,) = begun["messages"]
        about = mark.pop("__openclaw")
        assert mark == {"role": "system", "content": [{"type": "text", "text": "Reset"}], "timestamp": before}
        assert (about["kind"], about["seq"], begun["totalMessages"]) == ("reset", 1, 1)
        assert begun["sessionInfo"]["activeLeafEntryId"] == about["id"]
        assert link.events("session.message") == []
        (preview,) = (await house.call("sessions.preview", keys=["main"]))["previews"]
        assert (preview["status"], preview["items"]) == ("empty", [])
        await house.turn(KEY, "again", "r2")
        delta = await house.call("chat.history", sessionKey="main", cursor=begun["deltaCursor"])
        assert [one["message"]["__openclaw"]["seq"] for one in delta["messages"]] == [2, 3]
        assert [one["role"] for one in (await house.call("sessions.usage.logs", key="main"))["logs"]] == USER_AND_MODEL
        await house.written()
    async with serving([text("Hi.")], families=families, kept=kept, chance=CountingChance(1_000)) as house:
        again = (await house.call("chat.history", sessionKey="main"))["messages"]
        assert again[0]["__openclaw"]["id"] == about["id"]
        assert [one["role"] for one in again] == ["system", *USER_AND_MODEL]
        await house.call("sessions.reset", key="main")
        (other,) = (await house.call("chat.history", sessionKey="main"))["messages"]
        assert other["__openclaw"]["kind"] == "reset"
        assert other["__openclaw"]["id"] != about["id"]


async def test_a_new_session_needs_an_administrator(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await house.turn(KEY, "hello", "r1")
        before = house.entry(KEY).session
        link = house.link(scopes=["operator.write"])
        with pytest.raises(GatewayError) as error:
            await command(house, "/new", link=link)
        assert error.value.code == "FORBIDDEN"
        assert house.entry(KEY).session == before
        assert (await command(house, "/status", link=link))[0]["status"] == "started"


async def test_a_busy_session_is_not_begun_anew(autojump_clock: MockClock) -> None:
    async with serving([9.0, text("Hi.")], families=FAMILIES) as house:
        await house.call("chat.send", sessionKey="main", message="x", idempotencyKey="r1")
        await trio.sleep(1)
        with pytest.raises(GatewayError, match="open run"):
            await command(house, "/new")
        assert "c1" not in house.desk.runs.shelf.items


async def test_the_queue_is_shown_and_set(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        shown = (await command(house, "/queue", "c1"))[1]
        assert shown.startswith("Queue: mode=steer, debounce=500ms, cap=20, drop=summarize. Modes: ")
        said = (await command(house, "/queue collect debounce:1.5s cap:25 drop:old", "c2"))[1]
        assert said == "Queue: mode=collect, debounce=1500ms, cap=25, drop=old"
        assert house.entry(KEY).queue == "collect"
        for n, wrong in enumerate(("/queue shout", "/queue followup cap:0", "/queue drop:all", "/queue debounce:soon")):
            assert "=" not in (await command(house, wrong, f"w{n}"))[1]
        assert (await command(house, "/queue cap:3", "c3"))[1].startswith("Queue: mode=collect, debounce=1500ms, cap=3")
        assert "Queue: collect" in (await command(house, "/status", "c4"))[1]
        assert (await command(house, "/queue default", "c5"))[1] == "Queue: as the settings say."
        assert (await command(house, "/queue", "c6"))[1] == shown


async def test_the_open_run_can_be_stopped(autojump_clock: MockClock) -> None:
    async with serving([9.0, text("Hi.")], families=FAMILIES) as house:
        assert (await command(house, "/stop", "c1"))[1] == "Nothing was running."
        await house.call("chat.send", sessionKey="main", message="x", idempotencyKey="r1")
        await trio.sleep(1)
        assert "Runs: r1" in (await command(house, "/status", "c2"))[1]
        assert (await command(house, "/stop", "c3"))[1] == "Stopped 1 run(s)."
        assert house.desk.runs.shelf.items["r1"].status == "aborted"


async def test_help_names_every_command(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        _, said = await command(house, "/help")
        assert [line.split(":")[0] for line in said.splitlines()] == [f"/{name}" for name in sorted(COMMANDS)]
