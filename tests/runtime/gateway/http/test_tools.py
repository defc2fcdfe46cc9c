"""POST /tools/invoke."""

from typing import Any

import pytest
import trio

from tests.fakes.world import text
from tests.runtime.gateway.http.client import Asker, asking


async def call(ask: Asker, name: str, **args: Any) -> Any:
    reply = await ask("POST", "/tools/invoke", {"tool": name, "args": args})
    assert reply.status == 200, reply.text
    return reply.json["result"]["details"]


async def test_the_status_of_a_session_is_told_in_words_and_members(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("hi")]) as ask:
        reply = (await ask("POST", "/tools/invoke", {"tool": "session_status"})).json
        details = reply["result"]["details"]
        assert reply["ok"] is True
        assert (details["sessionKey"], details["changedModel"]) == ("agent:main:main", False)
        assert reply["result"]["content"] == [{"type": "text", "text": details["statusText"]}]
        assert len(ask.house.desk.directory) == 0


async def test_sessions_are_listed_in_pages(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("hi")]) as ask:
        for n in range(3):
            await ask.house.turn(f"agent:main:s{n}", "hello", f"r{n}")
        first = await call(ask, "sessions_list", limit=2)
        assert (first["count"], first["hasMore"], first["nextOffset"], first["limitApplied"]) == (2, True, 2, 2)
        last = await call(ask, "sessions_list", limit=2, offset=2)
        assert (last["count"], last["hasMore"], "nextOffset" in last) == (1, False, False)
        keys = [row["key"] for row in (*first["sessions"], *last["sessions"])]
        assert sorted(keys) == [f"agent:main:s{n}" for n in range(3)]
        found = await call(ask, "sessions_list", search="S1")
        assert [row["key"] for row in found["sessions"]] == ["agent:main:s1"]
        assert (await call(ask, "sessions_list", kinds=["cron"]))["count"] == 0


async def test_the_history_of_a_session_is_what_was_said(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("hi")]) as ask:
        await ask.house.turn("agent:main:s", "hello", "r")
        told = await call(ask, "sessions_history", sessionKey="s")
        assert [one["role"] for one in told["messages"]] == ["user", "assistant"]
        assert len((await call(ask, "sessions_history", sessionKey="s", limit=1))["messages"]) == 1
        nobody = await call(ask, "sessions_history", sessionKey="nobody")
        assert nobody == {"status": "error", "error": "No session found: agent:main:nobody"}


async def test_agents_are_listed(autojump_clock: trio.testing.MockClock) -> None:
    async with asking() as ask:
        assert [one["id"] for one in (await call(ask, "agents_list"))["agents"]] == ["main"]


@pytest.mark.parametrize("name", "exec read write sessions_send sessions_spawn cron gateway nodes nope".split())
async def test_tools_that_do_something_are_not_available(name: str, autojump_clock: trio.testing.MockClock) -> None:
    async with asking() as ask:
        refused = await ask("POST", "/tools/invoke", {"tool": name, "args": {"command": "id"}})
        told = {"type": "not_found", "message": f"Tool not available: {name}"}
        assert (refused.status, refused.json) == (404, {"ok": False, "error": told})


async def test_the_settings_can_take_a_tool_away(autojump_clock: trio.testing.MockClock) -> None:
    async with asking(tree={"gateway": {"tools": {"deny": ["sessions_list"]}}}) as ask:
        assert (await ask("POST", "/tools/invoke", {"tool": "sessions_list"})).status == 404
        assert (await ask("POST", "/tools/invoke", {"tool": "session_status"})).status == 200


WRONG: list[tuple[Any, str]] = [
    ({}, "tools.invoke requires name"),
    ([], "tools.invoke requires name"),
    ({"tool": " "}, "tools.invoke requires name"),
    ({"tool": "session_status", "agentId": "ghost"}, 'Unknown agent id "ghost"'),
    ({"tool": "session_status", "agentId": "main", "sessionKey": "agent:other:x"}, 'agent "main" does not match'),
    ({"tool": "session_status", "sessionKey": "agent::"}, "malformed session key"),
    ({"tool": "session_status", "args": {"model": "x"}}, "model cannot be set"),
    ({"tool": "sessions_list", "args": {"limit": 0}}, "limit must be"),
    ({"tool": "sessions_list", "args": {"limit": True}}, "limit must be"),
    ({"tool": "sessions_list", "args": {"offset": -1}}, "offset must be"),
    ({"tool": "sessions_history"}, "sessionKey required"),
    ({"tool": "sessions_history", "args": {"sessionKey": "agent::"}}, "malformed session key"),
]


@pytest.mark.parametrize(("body", "why"), WRONG)
async def test_a_call_that_is_wrong_is_refused(body: Any, why: str, autojump_clock: trio.testing.MockClock) -> None:
    async with asking() as ask:
        refused = await ask("POST", "/tools/invoke", body)
        assert (refused.status, refused.json["ok"]) == (400, False)
        assert refused.json["error"]["message"].startswith(why)
