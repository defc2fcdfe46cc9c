"""POST /hooks/…"""

from collections.abc import Mapping
from typing import Any

import pytest
import trio

from runtime.config.openclaw.model import Hooks
from runtime.errors import JournalFull, ModelError
from tests.fakes.world import CountingChance, text
from tests.runtime.gateway.http.client import FAR, Asker, Talk, asking

TOKEN = "hook-token"


def hooks(**more: Any) -> Hooks:
    return Hooks(enabled=True, token=TOKEN, **more)


async def post(ask: Asker, path: str, body: Any = None, **more: Any) -> Talk:
    return await ask("POST", f"/hooks/{path}", {} if body is None else body, **{"token": TOKEN, **more})


def keys_of(ask: Asker) -> list[str]:
    return sorted(entry.key for entry in ask.house.desk.directory)


async def ended(ask: Asker, run: str) -> str:
    found = await ask.house.desk.runs.wait(ask.house.desk.runs.follow(run), 600)
    assert found is not None
    return found.status


async def test_the_token_of_hooks_is_their_own(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("ok")]) as ask:
        assert (await post(ask, "wake", {"text": "x"})).status == 200
        by_header = await post(ask, "wake", {"text": "x"}, token=None, headers={"x-openclaw-token": TOKEN})
        assert by_header.status == 200
        for token in ("T", "wrong", "", None):
            refused = await post(ask, "wake", {"text": "x"}, token=token)
            assert (refused.status, refused.text) == (401, "Unauthorized")
        # What stands in Authorization goes before the other header.
        assert (await post(ask, "wake", {}, token="wrong", headers={"x-openclaw-token": TOKEN})).status == 401
        assert (await post(ask, f"wake?token={TOKEN}", {"text": "x"})).status == 400


async def test_hooks_that_are_off_do_not_exist(autojump_clock: trio.testing.MockClock) -> None:
    for off in (Hooks(), Hooks(enabled=True), Hooks(enabled=True, token="")):
        async with asking([text("ok")], hooks=off) as ask:
            assert (await post(ask, "wake", {"text": "x"})).status == 404
            assert (await ask("GET", "/hooks/wake")).headers["content-type"].startswith("text/html")


async def test_hooks_live_where_the_settings_put_them(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("ok")], hooks=hooks(path="/in/here")) as ask:
        assert (await ask("POST", "/in/here/wake", {"text": "x"}, token=TOKEN)).status == 200
        assert (await ask("POST", "/in/hereafter", {"text": "x"}, token=TOKEN)).status == 404
        assert (await post(ask, "wake", {"text": "x"})).status == 404


async def test_another_method_is_told_before_the_token(autojump_clock: trio.testing.MockClock) -> None:
    async with asking() as ask:
        for path in ("/hooks", "/hooks/", "/hooks/wake", "/hooks/nope"):
            refused = await ask("GET", path, token=None)
            assert (refused.status, refused.headers["allow"]) == (405, "POST")


async def test_who_guesses_at_the_token_waits_and_a_good_one_is_still_good(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with asking([text("ok")]) as ask:
        found = [(await post(ask, "wake", {}, token=f"bad{n}")).status for n in range(22)]
        assert found == [401] * 20 + [429] * 2
        late = await post(ask, "wake", {}, token="bad")
        assert (late.text, late.headers["retry-after"]) == ("Too Many Requests", "60")
        assert (await post(ask, "wake", {}, token="bad", peer=FAR)).status == 401
        assert (await post(ask, "wake", {"text": "x"})).status == 200
        assert (await post(ask, "wake", {}, token="bad")).status == 401


@pytest.mark.parametrize(
    ("path", "body", "status", "why"),
    [
        ("wake", {}, 400, "text required"),
        ("wake", {"text": " "}, 400, "text required"),
        ("wake", [], 400, "text required"),
        ("wake", b"{nope", 400, "the body is not JSON"),
        ("wake", {"text": "x", "agentId": "ghost"}, 400, 'unknown agentId "ghost"'),
        ("wake", {"text": "x", "sessionKey": "mine"}, 400, "sessionKey is not taken from outside"),
        ("wake", b'{"text":"' + b"x" * 262_144 + b'"}', 413, "payload too large"),
        ("agent", {}, 400, "message required"),
        ("agent", {"message": 5}, 400, "message required"),
        ("agent", {"message": "x", "agentId": ""}, 400, "agentId must be a non-empty string"),
        ("agent", {"message": "x", "agentId": "ghost"}, 400, 'unknown agentId "ghost"'),
        ("agent", {"message": "x", "sessionKey": "mine"}, 400, "sessionKey is not taken from outside"),
        ("agent", {"message": "x", "sessionMode": "persistent"}, 400, "sessionKey is required"),
        ("agent", {"message": "x", "sessionMode": "other"}, 400, "sessionMode must be"),
        ("agent", {"message": "x", "to": "a"}, 400, "channel and to must be set together"),
        ("agent", {"message": "x", "to": "a", "channel": "telegram"}, 400, "channel 'telegram' is not one"),
        ("agent", {"message": "x", "model": 5}, 400, "model required"),
        ("agent", {"message": "x", "model": "openai/gpt"}, 400, "model 'openai/gpt' is not one"),
        ("agent", {"message": "x", "waitForCompletion": "yes"}, 400, "waitForCompletion must be boolean"),
    ],
)
async def test_a_request_that_is_wrong_is_refused_in_one_sentence(
    path: str, body: Any, status: int, why: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with asking([text("x")]) as ask:
        refused = await post(ask, path, body)
        assert refused.status == status
        assert refused.json["ok"] is False
        assert refused.json["error"].startswith(why)
        assert not ask.house.world.model.requests


@pytest.mark.parametrize("path", ["nope", "", "wake/", "agent/x", "a/b"])
async def test_a_hook_that_nobody_has_set_up_is_not_found(path: str, autojump_clock: trio.testing.MockClock) -> None:
    async with asking() as ask:
        refused = await post(ask, path)
        assert (refused.status, refused.text) == (404, "Not Found")


async def test_a_wake_reaches_the_main_session_and_the_same_again_is_one(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with asking([10.0, text("ok")]) as ask:
        first = await post(ask, "wake", {"text": "The door is open."})
        assert first.json == {"ok": True, "mode": "now", "eventOutcome": "queued"}
        assert (await post(ask, "wake", {"text": "The door is open."})).json["eventOutcome"] == "coalesced"
        assert (await post(ask, "wake", {"text": "It is shut."})).json["eventOutcome"] == "queued"
        await ask.house.rest("agent:main:main")
        assert keys_of(ask) == ["agent:main:main"]
        assert len(ask.house.world.model.requests) == 2
        assert ask.house.world.model.requests[0].contents[-1].labels == ("untrusted/hook:wake",)
        again = await post(ask, "wake", {"text": "It is shut.", "mode": "next-heartbeat"})
        assert again.json == {"ok": True, "mode": "next-heartbeat", "eventOutcome": "queued"}


async def test_a_hook_starts_a_run_in_a_session_of_its_own(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("ok")]) as ask:
        reply = await post(ask, "agent", {"message": "Look at this.", "name": "CI"})
        run = reply.json["runId"]
        assert await ended(ask, run) == "ok"
        assert keys_of(ask) == [f"agent:main:hook:{run}"]
        told = ask.house.world.model.requests[0].contents[-1].parts[-1]["text"]
        assert "Look at this." in told
        assert "Task: CI" in told
        assert "EXTERNAL_UNTRUSTED_CONTENT" in told
        assert ask.house.world.model.requests[0].contents[-1].labels == ("untrusted/hook:CI",)


async def test_the_same_request_with_the_same_key_is_one_run_also_after_a_restart(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with asking([text("ok")]) as ask:
        key = {"idempotency-key": "k1"}
        first = (await post(ask, "agent", {"message": "x"}, headers=key)).json["runId"]
        others: list[tuple[Any, Mapping[str, str]]] = [
            ({"message": "x"}, key),
            ({"message": "x"}, {"x-openclaw-idempotency-key": "k1"}),
            ({"message": "x", "idempotencyKey": "k1"}, {}),
            ({"message": "x", "waitForCompletion": True}, key),
        ]
        for body, headers in others:
            assert (await post(ask, "agent", body, headers=headers)).json["runId"] == first
        assert (await post(ask, "agent", {"message": "y"}, headers=key)).json["runId"] != first
        assert (await post(ask, "agent", {"message": "x"})).json["runId"] != first
        kept = ask.house.store.kept
        for run in [*ask.house.desk.runs.shelf.items]:
            await ended(ask, run)
        await ask.house.written()
    async with asking([text("ok")], kept=kept, chance=CountingChance(1000)) as again:
        assert (await post(again, "agent", {"message": "x"}, headers=key)).json["runId"] == first
        assert not again.house.world.model.requests


async def test_who_sends_again_because_the_disk_was_full_is_answered_for_a_run_that_is_done(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with asking([text("ok")], hooks=hooks()) as ask:
        key = {"idempotency-key": "k1"}
        ask.house.store.hold()
        assert (await post(ask, "agent", {"message": "x"}, headers=key)).status == 503
        assert (await post(ask, "agent", {"message": "x"}, headers=key)).status == 503
        ask.house.store.release()
        again = await post(ask, "agent", {"message": "x"}, headers=key)
        assert again.status == 200
        assert await ended(ask, again.json["runId"]) == "ok"
        assert len(ask.house.world.model.requests) == 1


async def test_who_waits_learns_how_it_ended_and_not_what_was_said(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([5.0, text("the secret")]) as ask:
        reply = await post(ask, "agent", {"message": "x", "waitForCompletion": True})
        done = {"status": "ok", "replyDisposition": "visible", "delivered": False, "deliveryAttempted": False}
        assert reply.json["completion"] == done
        assert "secret" not in reply.text
    async with asking([ModelError("no", kind="http", status=400)]) as ask:
        reply = await post(ask, "agent", {"message": "x", "waitForCompletion": True})
        assert reply.json["completion"] == {"status": "error", "replyDisposition": "empty"}


async def test_a_run_that_takes_longer_than_it_may_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([100.0, text("late")]) as ask:
        run = (await post(ask, "agent", {"message": "x", "timeoutSeconds": 5})).json["runId"]
        began = trio.current_time()
        assert await ended(ask, run) == "aborted"
        assert trio.current_time() - began == pytest.approx(5, abs=1)


@pytest.mark.parametrize("seconds", [1_000, 300_000])
async def test_the_time_of_a_run_stands_still_while_its_session_is_held(
    seconds: int, autojump_clock: trio.testing.MockClock
) -> None:
    async with asking([10.0, text("ok")]) as ask:
        run = (await post(ask, "agent", {"message": "x", "timeoutSeconds": 20})).json["runId"]
        await trio.sleep(5)
        (session,) = ask.house.desk.directory.roster.live.values()
        ask.house.desk.dispatcher.hold(session, "debugger")
        await trio.sleep(seconds)
        ask.house.desk.dispatcher.release(session, "debugger")
        assert await ended(ask, run) == "ok"


async def test_a_run_thinks_as_much_as_its_sender_wants(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("ok")]) as ask:
        for said in ("think-hard", "gigantic"):
            await ended(ask, (await post(ask, "agent", {"message": "x", "thinking": said})).json["runId"])
        assert [one.thinking for one in ask.house.world.model.requests] == ["low", ""]


async def test_a_caller_names_a_session_only_where_it_is_allowed(autojump_clock: trio.testing.MockClock) -> None:
    allowed = hooks(allow_request_session_key=True, allowed_session_key_prefixes=("hook:",))
    async with asking([text("ok")], hooks=allowed) as ask:
        body = {"message": "x", "sessionKey": "hook:mine", "sessionMode": "persistent"}
        for _ in range(2):
            await ended(ask, (await post(ask, "agent", body)).json["runId"])
        assert keys_of(ask) == ["agent:main:hook:mine"]
        run = (await post(ask, "agent", {"message": "x", "sessionKey": "hook:mine"})).json["runId"]
        assert f"agent:main:hook:mine:run:{run}" in keys_of(ask)
        for key in ("main", "agent:main:main", "cron:x", "agent::", "global", ""):
            assert (await post(ask, "agent", {**body, "sessionKey": key})).status == 400


async def test_only_agents_on_the_list_are_reached(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("ok")], hooks=hooks(allowed_agents=("other",))) as ask:
        refused = await post(ask, "agent", {"message": "x"})
        assert "allowedAgentIds" in refused.json["error"]
    async with asking([text("ok")], hooks=hooks(allowed_agents=("*",))) as ask:
        assert (await post(ask, "agent", {"message": "x"})).status == 200


async def test_a_gateway_that_stops_takes_no_more_work(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("ok")]) as ask:
        ask.house.desk.draining = True
        assert (await post(ask, "agent", {"message": "x"})).status == 503


# --- mappings

MAPPINGS: tuple[dict[str, Any], ...] = (
    {"match": {"path": "gh"}, "messageTemplate": "{{title}} by {{who.name}}", "name": "GH {{title}}"},
    {"match": {"path": "bell"}, "action": "wake", "textTemplate": "{{t}}"},
    {"match": {"path": "each"}, "forEach": "items", "messageTemplate": "{{items[0].x}}"},
    {"match": {"path": "src", "source": "s1"}, "messageTemplate": "src"},
    {"match": {"path": "code"}, "transform": {"module": "x.js"}},
    {"match": {"path": "fixed"}, "messageTemplate": "x", "sessionKey": "hook:fixed", "sessionMode": "persistent"},
    {"match": {"path": "named"}, "messageTemplate": "x", "sessionKey": "hook:{{id}}", "sessionMode": "persistent"},
)


async def test_a_mapping_makes_a_run_of_a_body(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("ok")], hooks=hooks(mappings=MAPPINGS)) as ask:
        reply = await post(ask, "gh/", {"title": "A bug", "who": {"name": "Ann"}})
        assert await ended(ask, reply.json["runId"]) == "ok"
        assert "A bug by Ann" in ask.house.world.model.requests[0].contents[-1].parts[-1]["text"]
        assert (await post(ask, "src", {})).status == 404
        assert (await post(ask, "src", {"source": "s1"})).status == 200
        assert (await post(ask, "gh", {})).json["runId"]
        assert (await post(ask, "code", {})).status == 500


async def test_a_mapping_may_wake(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("ok")], hooks=hooks(mappings=MAPPINGS)) as ask:
        assert (await post(ask, "bell", {"t": "ring"})).json == {"ok": True, "mode": "now", "eventOutcome": "queued"}
        assert (await post(ask, "bell", {})).json["error"] == "text required"


async def test_a_list_makes_a_run_of_each_item_and_again_the_same_runs(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with asking([text("ok")], hooks=hooks(mappings=MAPPINGS)) as ask:
        both = {"items": [{"x": "one"}, {"x": "two"}]}
        first = (await post(ask, "each", both)).json
        assert (first["dispatched"], len(set(first["runIds"])), first["runId"]) == (2, 2, first["runIds"][0])
        assert (await post(ask, "each", both)).json == first
        assert (await post(ask, "each", {"items": []})).status == 204
        assert (await post(ask, "each", {"items": "x"})).status == 204


async def test_a_key_that_the_body_fills_needs_leave_and_a_fixed_one_does_not(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with asking([text("ok")], hooks=hooks(mappings=MAPPINGS)) as ask:
        assert (await post(ask, "fixed")).status == 200
        assert keys_of(ask) == ["agent:main:hook:fixed"]
        assert (await post(ask, "named", {"id": "a"})).status == 400
    async with asking([text("ok")], hooks=hooks(mappings=MAPPINGS, allow_request_session_key=True)) as ask:
        assert (await post(ask, "named", {"id": "a"})).status == 200
        assert keys_of(ask) == ["agent:main:hook:a"]


async def test_so_many_runs_of_hooks_are_open_at_a_time_and_more_are_told_to_come_later(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.gateway.http.hooks.OPEN_RUNS", 3)
    async with asking([text("a", None), 60.0, text("b")], hooks=hooks(), repeat=True) as ask:
        given = [{"message": f"m{number}", "idempotencyKey": f"k{number}"} for number in range(4)]
        taken = [await post(ask, "agent", one) for one in given]
        assert [one.status for one in taken] == [200, 200, 200, 503]
        assert taken[3].json == {"ok": False, "error": "3 runs of hooks are open; send it again later"}
        assert taken[3].headers["retry-after"] == "5"
        assert len(keys_of(ask)) == 3
        again = await post(ask, "agent", given[0])  # what was taken before is found, not counted again
        assert (again.status, again.json["runId"]) == (200, taken[0].json["runId"])
        await ended(ask, taken[0].json["runId"])
        assert (await post(ask, "agent", given[3])).status == 200


async def test_a_run_of_a_hook_that_was_refused_counts_for_nothing(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.gateway.http.hooks.OPEN_RUNS", 1)
    async with asking([text("a")], hooks=hooks()) as ask:
        monkeypatch.setattr(ask.house.store, "put", full)
        assert (await post(ask, "agent", {"message": "m"})).status == 503
        monkeypatch.undo()
        monkeypatch.setattr("runtime.gateway.http.hooks.OPEN_RUNS", 1)
        assert (await post(ask, "agent", {"message": "m"})).status == 200


def full(*args: Any) -> int:
    """A store that takes nothing."""
    raise JournalFull("there is no room")
