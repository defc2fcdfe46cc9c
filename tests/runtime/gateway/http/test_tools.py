"""POST /tools/invoke: the answers over HTTP. What the tools tell is tested where they are."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from runtime.gateway.facts import SessionFacts
from runtime.tools.claw.status import SessionsList, SessionStatus
from tests.fakes.world import FakeTools, text
from tests.runtime.gateway.http import client
from tests.runtime.gateway.http.client import Asker


@asynccontextmanager
async def asking(tree: Mapping[str, Any] | None = None) -> AsyncIterator[Asker]:
    """A gateway with the tools that tell of sessions, and somebody who asks it."""
    found: list[Asker] = []
    facts = SessionFacts(lambda: found[0].house.desk)
    tools: dict[str, Any] = {tool.spec.name: tool for tool in (SessionStatus(facts), SessionsList(facts))}
    async with client.asking([text("hi")], tree=tree, tools=FakeTools(tools)) as ask:
        found.append(ask)
        yield ask


async def call(ask: Asker, name: str, **args: Any) -> Any:
    reply = await ask("POST", "/tools/invoke", {"tool": name, "args": args})
    assert reply.status == 200, reply.text
    return reply.json["result"]["details"]


async def test_the_status_of_a_session_is_told_in_words_and_members(autojump_clock: trio.testing.MockClock) -> None:
    async with asking() as ask:
        reply = (await ask("POST", "/tools/invoke", {"tool": "session_status"})).json
        details = reply["result"]["details"]
        assert reply["ok"] is True
        assert (details["sessionKey"], details["changedModel"]) == ("agent:main:main", False)
        assert reply["result"]["content"] == [{"type": "text", "text": details["statusText"]}]
        assert len(ask.house.desk.directory) == 0


async def test_sessions_are_listed_in_pages(autojump_clock: trio.testing.MockClock) -> None:
    async with asking() as ask:
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
    async with asking() as ask:
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
    async with asking(tree={"gateway": {"tools": {"deny": ("sessions_list",)}}}) as ask:
        assert (await ask("POST", "/tools/invoke", {"tool": "sessions_list"})).status == 404
        assert (await ask("POST", "/tools/invoke", {"tool": "session_status"})).status == 200


WRONG: list[tuple[Any, str]] = [
    ({}, "tools.invoke requires name"),
    ([], "tools.invoke requires name"),
    ({"tool": " "}, "tools.invoke requires name"),
    ({"tool": "session_status", "agentId": "ghost"}, 'Unknown agent id "ghost"'),
    ({"tool": "session_status", "agentId": "main", "sessionKey": "agent:other:x"}, 'agent "main" does not match'),
    ({"tool": "session_status", "sessionKey": "agent::"}, "malformed session key"),
    ({"tool": "sessions_list", "args": {"limit": 0}}, "limit must be"),
    ({"tool": "sessions_list", "args": {"offset": -1}}, "offset must be"),
    ({"tool": "sessions_history"}, "sessionKey required"),
]


@pytest.mark.parametrize(("body", "why"), WRONG)
async def test_a_call_that_is_wrong_is_refused(body: Any, why: str, autojump_clock: trio.testing.MockClock) -> None:
    async with asking() as ask:
        refused = await ask("POST", "/tools/invoke", body)
        assert (refused.status, refused.json["ok"]) == (400, False)
        assert refused.json["error"]["message"].startswith(why)


async def test_a_tool_that_fails_says_why(autojump_clock: trio.testing.MockClock) -> None:
    async with asking() as ask:
        failed = await ask("POST", "/tools/invoke", {"tool": "session_status", "args": {"sessionKey": "nobody"}})
        error = {"type": "tool_error", "message": "Unknown sessionKey: nobody"}
        assert (failed.status, failed.json) == (500, {"ok": False, "error": error})


async def test_a_key_that_cannot_be_one_has_no_history(autojump_clock: trio.testing.MockClock) -> None:
    async with asking() as ask:
        told = await call(ask, "sessions_history", sessionKey="agent::")
        assert told["status"] == "error"
        assert told["error"].startswith("malformed session key")
