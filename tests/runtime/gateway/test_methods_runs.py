"""agent and agent.wait, as clients call them."""

from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from runtime.errors import ModelError
from runtime.gateway.frames import GatewayError
from runtime.gateway.models import Model
from tests.fakes.gateway import MODEL, House, serving
from tests.fakes.world import text

FAMILIES = ("chat", "runs", "sessions_change")
KEY = "agent:main:main"


async def agent(house: House, run: str = "r1", **more: Any) -> list[Any]:
    params = {"sessionKey": "main", "message": "hello", "idempotencyKey": run, **more}
    return await house.answers("agent", None, **{name: value for name, value in params.items() if value is not None})


async def test_a_run_is_answered_when_it_is_accepted_and_when_it_is_over(autojump_clock: MockClock) -> None:
    async with serving([5.0, text("Hi.")], families=FAMILIES) as house:
        link = house.link()
        accepted, done = await agent(house)
        assert accepted["status"] == "accepted"
        assert (accepted["sessionKey"], accepted["agentId"]) == (KEY, "main")
        assert (done["runId"], done["status"], done["summary"]) == ("r1", "ok", "completed")
        result = done["result"]
        assert result["payloads"] == [{"text": "Hi.", "mediaUrl": None}]
        assert result["meta"]["durationMs"] == 5_000
        assert result["meta"]["agentMeta"]["model"] == MODEL
        assert result["meta"]["agentMeta"]["usage"]["input"] == 10
        assert result["meta"]["finalPromptText"] == "hello"
        assert not [one for one in link.events("chat") if one["state"] == "status"]


async def test_a_long_answer_comes_whole(autojump_clock: MockClock) -> None:
    async with serving([text("x" * 50_000)], families=FAMILIES) as house:
        _, done = await agent(house)
        assert len(done["result"]["payloads"][0]["text"]) == 50_000
        waited = await house.call("agent.wait", runId="r1")
        assert len(waited["terminalReply"]["text"]) == 50_000


async def test_the_same_id_again_is_answered_at_once_or_waits_for_the_same_run(autojump_clock: MockClock) -> None:
    async with serving([5.0, text("Hi.")], families=FAMILIES) as house:
        answers: list[list[Any]] = []

        async def ask() -> None:
            answers.append(await agent(house))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            nursery.start_soon(ask)
        assert [[one["status"] for one in two] for two in answers] == [["accepted", "ok"]] * 2
        (again,) = await agent(house)
        assert (again["status"], again["result"]["payloads"][0]["text"]) == ("ok", "Hi.")
        assert len(house.world.model.requests) == 1


async def test_a_run_that_fails_says_so_in_error_and_payload(autojump_clock: MockClock) -> None:
    async with serving([ModelError("no", kind="http", status=400, terminal=True)], families=FAMILIES) as house:
        with pytest.raises(GatewayError) as error:
            await agent(house)
        assert error.value.code == "UNAVAILABLE"
        assert error.value.payload is not None
        assert error.value.payload["status"] == "error"
        waited = await house.call("agent.wait", runId="r1")
        assert (waited["status"], waited["stopReason"]) == ("error", "error")
        assert waited["error"]
        with pytest.raises(GatewayError):
            await agent(house)


async def test_a_run_that_is_given_up_is_an_error(autojump_clock: MockClock) -> None:
    async with serving([50.0, text("Hi.")], families=FAMILIES) as house:
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                with pytest.raises(GatewayError, match="aborted"):
                    await agent(house)

            nursery.start_soon(ask)
            await trio.sleep(1)
            await house.call("chat.abort", sessionKey="main")
        assert (await house.call("agent.wait", runId="r1"))["stopReason"] == "rpc"


async def test_a_run_that_takes_longer_than_its_sender_gave_it_is_given_up(autojump_clock: MockClock) -> None:
    async with serving([50.0, text("Hi.")], families=FAMILIES) as house:
        link = house.link()
        _, done = await agent(house, timeout=2)
        assert done == {"runId": "r1", "status": "timeout", "summary": "aborted"}
        assert trio.current_time() == pytest.approx(2, abs=0.5)
        assert link.events("chat", runId="r1", state="aborted")[0]["stopReason"] == "timeout"
        assert (await house.call("agent.wait", runId="r1"))["status"] == "timeout"


async def test_a_run_in_a_busy_session_is_answered_under_the_senders_id(autojump_clock: MockClock) -> None:
    async with serving([5.0, text("one")], [text("two")], families=FAMILIES) as house:
        await house.call("chat.send", sessionKey="main", message="first", idempotencyKey="r0")
        await trio.sleep(1)
        accepted, done = await agent(house)
        assert (accepted["runId"], done["runId"], done["status"]) == ("r1", "r1", "ok")
        assert done["result"]["payloads"][0]["text"] == "two"


@pytest.mark.parametrize(
    ("given", "key", "session"),
    [
        ({"sessionKey": None}, "agent:main:explicit:r1", "r1"),
        ({"sessionKey": None, "agentId": "main"}, KEY, None),
        ({"sessionKey": None, "to": "+1"}, KEY, None),
        ({"sessionKey": None, "sessionId": "s9"}, "agent:main:explicit:s9", "s9"),
        ({"sessionKey": "other"}, "agent:main:other", None),
    ],
)
async def test_the_session_is_the_one_that_was_named(
    autojump_clock: MockClock, given: dict[str, Any], key: str, session: str | None
) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        accepted, done = await agent(house, **given)
        entry = house.entry(key)
        assert session in (None, entry.session)
        assert done["result"]["meta"]["agentMeta"]["sessionId"] == entry.session
        assert ("sessionKey" in accepted) == (len(given) > 1 or given["sessionKey"] is not None)


async def test_a_session_is_found_by_its_id(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await house.turn(KEY, "one", "r0")
        accepted, _ = await agent(house, sessionKey=None, sessionId=house.entry(KEY).session)
        assert accepted["sessionKey"] == KEY
        assert len(house.desk.directory) == 1


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"sessionKey": "agent:nobody:main"}, "unknown agent id"),
        ({"message": " "}, "message required"),
        ({"attachments": [7]}, "at /attachments/0: must be object"),
        ({"expectedExistingSessionId": "another"}, "another one than expected"),
    ],
)
async def test_what_cannot_be_run_says_why(autojump_clock: MockClock, given: dict[str, Any], why: str) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        with pytest.raises(GatewayError, match=why):
            await agent(house, **given)
        assert house.desk.runs.shelf.items == {}


@pytest.mark.parametrize("by", ["sessionKey", "sessionId"])
async def test_an_archived_session_is_not_run(autojump_clock: MockClock, by: str) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        entry = house.desk.directory.create("agent:main:old")
        house.desk.directory.change(entry, archived=1)
        given: dict[str, Any] = {"sessionKey": None, by: {"sessionKey": "old", "sessionId": entry.session}[by]}
        with pytest.raises(GatewayError, match="archived"):
            await agent(house, **given)


# --- agent.wait


async def test_who_waits_hears_of_the_end_or_that_it_took_too_long(autojump_clock: MockClock) -> None:
    async with serving([5.0, text("Hi.")], families=FAMILIES) as house:
        await house.call("chat.send", sessionKey="main", message="x", idempotencyKey="r1")
        assert await house.call("agent.wait", runId="r1", timeoutMs=1_000) == {"runId": "r1", "status": "timeout"}
        done = await house.call("agent.wait", runId="r1")
        assert (done["status"], done["stopReason"]) == ("ok", "stop")
        assert done["terminalReply"] == {"disposition": "visible", "text": "Hi."}
        assert done["startedAt"] <= done["endedAt"]


@pytest.mark.parametrize("most", [0, 10, 30_000])
async def test_a_run_that_nobody_knows_takes_all_the_time(autojump_clock: MockClock, most: int) -> None:
    async with serving(families=FAMILIES) as house:
        answer = await house.call("agent.wait", runId="nobody", timeoutMs=most)
        assert answer == {"runId": "nobody", "status": "timeout"}
        assert trio.current_time() == pytest.approx(most / 1000)


async def test_a_wait_without_end_has_one(autojump_clock: MockClock) -> None:
    async with serving([5.0, text("Hi.")], families=FAMILIES) as house:
        await house.call("chat.send", sessionKey="main", message="x", idempotencyKey="r1")
        assert (await house.call("agent.wait", runId="r1", timeoutMs=2**53 - 1))["status"] == "ok"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"model": "openai/gpt-9"}, 'there is no provider "openai"'),
        ({"model": "gpt-9", "provider": "openai"}, 'there is no provider "openai"'),
        ({"model": "no-such"}, 'there is no model "no-such"'),
        ({"provider": "google"}, "provider needs a model"),
        ({"agentId": "nobody", "sessionKey": None}, 'invalid agent params: unknown agent id "nobody"'),
    ],
)
async def test_a_model_or_agent_that_is_not_there_is_refused_before_a_session_is_made(
    autojump_clock: MockClock, more: dict[str, Any], why: str
) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        with pytest.raises(GatewayError) as refused:
            await agent(house, **more)
        assert (refused.value.code, refused.value.message.endswith(why)) == ("INVALID_REQUEST", True)
        assert not house.desk.directory.shelf.items
        assert not house.world.model.requests


async def test_a_model_of_one_run_needs_an_admin(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        link = house.link(scopes=["operator.write"])
        with pytest.raises(GatewayError, match="not authorized"):
            await house.answers("agent", link, sessionKey="main", message="x", idempotencyKey="r1", model=MODEL)


async def test_a_run_may_have_a_model_of_its_own_and_the_session_keeps_the_one_that_it_had(
    autojump_clock: MockClock,
) -> None:
    async with serving([text("One.")], [text("Two.")], families=FAMILIES) as house:
        known = house.desk.extras["models"].models
        known["other"] = Model("other", "Other")
        _, done = await agent(house, model="google/other")
        _, after = await agent(house, "r2")
        assert [one.model for one in house.world.model.requests] == ["other", MODEL]
        told = [one["result"]["meta"]["agentMeta"]["model"] for one in (done, after)]
        assert told == ["other", MODEL]
        assert house.entry(KEY).model is None


async def test_a_model_and_a_level_hold_for_the_run_that_asked_for_them(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        models = house.desk.extras["models"]
        models.models["other"] = Model("other", "Other")
        given = {"sessionKey": "main", "message": "hello", "provider": "google", "model": "other", "thinking": "low"}
        assert (await house.call("agent", **given, idempotencyKey="r1"))["status"] == "ok"
        asked = house.world.model.requests[-1]
        assert (asked.model, asked.thinking) == ("other", "low")
        await house.call("agent", sessionKey="main", message="again", idempotencyKey="r2")
        asked = house.world.model.requests[-1]
        assert (asked.model, asked.thinking) == ("test-model", "")
        for wrong in ({"model": "nope"}, {"thinking": "gigantic"}, {"provider": "nobody", "model": "other"}):
            with pytest.raises(GatewayError):
                await house.call("agent", sessionKey="main", message="x", idempotencyKey="r3", **wrong)


async def test_runs_that_wait_for_each_other_have_each_its_own_model(autojump_clock: MockClock) -> None:
    async with serving([5.0, text("Hi.")], families=FAMILIES) as house:
        known = house.desk.extras["models"].models
        known |= {name: Model(name, name) for name in ("one", "two", "three")}
        async with trio.open_nursery() as nursery:
            for number, model in enumerate(("one", "two", None, "two")):
                nursery.start_soon(partial(agent, house, f"r{number}", message=f"m{number}", model=model))
                await trio.sleep(1)
                if number == 1:
                    await house.call("sessions.patch", key="main", model="three")
        await agent(house, "r9")
        assert [one.model for one in house.world.model.requests] == ["one", "two", "three", "two", "three"]
        assert house.entry(KEY).model == "google/three"


async def test_a_message_that_is_taken_back_takes_its_model_with_it(autojump_clock: MockClock) -> None:
    async with serving([5.0, text("Hi.")], families=FAMILIES) as house:
        house.desk.extras["models"].models["other"] = Model("other", "Other")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(agent, house)
            await trio.sleep(1)
            nursery.start_soon(gone, house, "r2")
            await trio.sleep(1)
            await house.call("chat.abort", sessionKey="main", runId="r2")
            nursery.start_soon(agent, house, "r3")
        assert [one.model for one in house.world.model.requests] == [MODEL, MODEL]


async def test_a_message_that_is_taken_back_before_it_began_leaves_the_next_one_the_model_of_the_session(
    autojump_clock: MockClock,
) -> None:
    async with serving([5.0, text("Hi.")], families=FAMILIES) as house:
        house.desk.extras["models"].models["other"] = Model("other", "Other")
        house.desk.dispatcher.most_open = 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(agent, house, "r0", sessionKey="elsewhere"))
            await trio.sleep(1)
            nursery.start_soon(gone, house, "r1")
            await trio.sleep(1)
            nursery.start_soon(agent, house, "r2")
            await trio.sleep(1)
            await house.call("chat.abort", sessionKey="main", runId="r1")
        assert [one.model for one in house.world.model.requests] == [MODEL, MODEL]


async def gone(house: House, run: str) -> None:
    with pytest.raises(GatewayError):
        await agent(house, run, model="other")


async def test_a_message_is_given_up_when_its_time_is_over(autojump_clock: MockClock) -> None:
    async with serving([9.0, text("Hi.")], families=FAMILIES) as house:
        given = {"sessionKey": "main", "message": "hello", "idempotencyKey": "r1", "timeoutMs": 2_000}
        await house.call("chat.send", **given)
        before = trio.current_time()
        run = await house.desk.runs.wait("r1", 60)
        assert run is not None
        assert (run.status, run.stop) == ("aborted", "timeout")
        assert trio.current_time() - before == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("agent", {"channel": "telegram", "to": "1"}),
        ("agent", {"replyChannel": "signal"}),
        ("chat.send", {"originatingChannel": "telegram", "originatingTo": "1"}),
    ],
)
async def test_nothing_is_promised_to_a_channel_that_is_not_there(
    method: str, said: dict[str, str], autojump_clock: MockClock
) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        with pytest.raises(GatewayError, match="unsupported channel: "):
            await house.call(method, sessionKey="main", message="x", idempotencyKey="r1", deliver=True, **said)
        assert len(house.desk.directory) == 0
        await house.call(method, sessionKey="main", message="x", idempotencyKey="r1", deliver=False, **said)
