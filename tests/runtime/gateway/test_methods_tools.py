"""tools.*, skills.status, commands.list: what can be called, and calling a tool without a session."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from runtime.config.openclaw.model import Tools
from runtime.gateway.commands import COMMANDS
from runtime.gateway.facts import SessionFacts
from runtime.gateway.frames import GatewayError
from runtime.gateway.invoking import SECONDS
from runtime.gateway.methods.tools import ARGUMENTS
from runtime.tools.claw import claw_tools
from runtime.tools.claw.background import Background
from runtime.tools.claw.catalogue import GROUPS, INVOCABLE
from runtime.tools.claw.declarations import SPECS
from runtime.vocab import ToolResult
from tests.fakes.gateway import House, serving
from tests.fakes.world import CountingChance, FakeTool, FakeTools, TrioClock, text

FAMILIES = ("chat", "runs", "sessions_create", "tools")


@asynccontextmanager
async def house(*extra: FakeTool, config: Any = None) -> AsyncIterator[House]:
    """A gateway with the real tools, or others in their place."""
    found: list[House] = []
    facts = SessionFacts(lambda: found[0].desk)
    async with Background(TrioClock(), CountingChance()) as background:
        tools: dict[str, Any] = {tool.spec.name: tool for tool in claw_tools(background, sessions=facts)}
        tools |= {tool.spec.name: tool for tool in extra}
        async with serving([text("Hello.")], families=FAMILIES, tools=FakeTools(tools), config=config) as made:
            found.append(made)
            yield made


async def invoke(made: House, name: str, **params: Any) -> Any:
    answer = await made.call("tools.invoke", name=name, **params)
    assert answer["toolName"] == name
    return answer


def instead(name: str, does: Callable[..., Any] | None = None, seconds: float = 0.0) -> FakeTool:
    """A tool of that name that does something else."""
    spec = next(spec for spec in SPECS if spec.name == name)
    return FakeTool(spec, does, seconds=seconds)


async def test_the_catalogue_has_every_tool_in_a_group(autojump_clock: MockClock) -> None:
    async with house() as made:
        answer = await made.call("tools.catalog")
        assert answer.keys() == {"agentId", "profiles", "groups"}
        listed = {tool["id"] for group in answer["groups"] for tool in group["tools"]}
        assert listed == {entry.name for group in GROUPS for entry in group.entries}


async def test_a_session_is_told_the_tools_that_it_has(autojump_clock: MockClock) -> None:
    async with house() as made:
        made.desk.directory.create("agent:main:work", mode="read-only")
        (group,) = (await made.call("tools.effective", sessionKey="work"))["groups"]
        offered = {tool["id"] for tool in group["tools"]}
        assert "read" in offered
        assert not offered & {"write", "edit", "apply_patch"}


@pytest.mark.parametrize(
    ("method", "params", "why"),
    [
        ("tools.catalog", {"agentId": "nope"}, 'unknown agent id "nope"'),
        ("tools.effective", {"sessionKey": "nope"}, 'unknown session key "nope"'),
        ("tools.effective", {"sessionKey": "agent:"}, "malformed session key"),
        ("tools.effective", {"sessionKey": "main", "agentId": "nope"}, 'unknown agent id "nope"'),
        ("tools.invoke", {"name": " "}, "name required"),
        ("skills.status", {"sessionKey": "nope"}, "Session not found"),
        ("skills.status", {"agentId": "nope"}, 'unknown agent id "nope"'),
        ("commands.list", {"agentId": "nope"}, 'unknown agent id "nope"'),
    ],
)
async def test_what_there_is_not_is_refused(
    method: str, params: dict[str, str], why: str, autojump_clock: MockClock
) -> None:
    async with house() as made:
        with pytest.raises(GatewayError, match=why):
            await made.call(method, **params)


async def test_a_tool_tells_of_a_session(autojump_clock: MockClock) -> None:
    async with house() as made:
        await made.turn("main", "hello", "r1")
        answer = await invoke(made, "session_status", sessionKey="main")
        assert (answer["ok"], answer["source"]) == (True, "core")
        output = answer["output"]
        assert output["content"] == [{"type": "text", "text": output["details"]["statusText"]}]
        assert output["details"].items() >= {"sessionKey": "agent:main:main", "agentId": "main", "ok": True}.items()


async def test_a_key_without_a_session_is_told_of_as_it_would_be(autojump_clock: MockClock) -> None:
    async with house() as made:
        answer = await invoke(made, "session_status", sessionKey="new")
        assert answer["output"]["details"]["sessionKey"] == "agent:main:new"
        assert made.desk.directory.get("agent:main:new") is None


async def test_sessions_are_listed_the_latest_first(autojump_clock: MockClock) -> None:
    async with house() as made:
        for key in ("one", "two"):
            await made.turn(key, "hello", key)
            await trio.sleep(1)
        details = (await invoke(made, "sessions_list"))["output"]["details"]
        assert [row["key"] for row in details["sessions"]] == ["agent:main:two", "agent:main:one"]


@pytest.mark.parametrize("name", ["nope", "exec", "read", "write", "edit", "apply_patch", "process", "ls"])
async def test_a_tool_that_works_on_the_machine_is_not_available(name: str, autojump_clock: MockClock) -> None:
    async with house() as made:
        answer = await invoke(made, name, args={"command": "true", "path": "x"})
        assert answer["error"] == {"code": "not_found", "message": f"Tool not available: {name}"}


def test_only_tools_without_effects_are_called_from_outside() -> None:
    assert {"agents_list", "session_status", "sessions_history", "sessions_list", "web_fetch"} == INVOCABLE


async def test_a_model_is_not_told_of_the_tools_that_people_call(autojump_clock: MockClock) -> None:
    async with house() as made:
        offered = made.desk.dispatcher.performer.tools
        assert {name for name in INVOCABLE if offered.get(name) is None} == {"agents_list", "sessions_history"}


async def test_the_settings_take_tools_away(autojump_clock: MockClock) -> None:
    tree = {"gateway": {"tools": {"deny": ["sessions_list"]}}}
    config = SimpleNamespace(config=SimpleNamespace(tools=Tools(deny=("session_status", "group:runtime")), tree=tree))
    async with house(config=config) as made:
        for name in ("session_status", "sessions_list"):
            assert (await invoke(made, name))["error"]["code"] == "not_found"
        await made.call("sessions.create", key="main")
        answer = await made.call("tools.effective", sessionKey="main")
        offered = {tool["id"] for group in answer["groups"] for tool in group["tools"]}
        assert "read" in offered
        assert offered.isdisjoint({"session_status", "exec", "process"})


@pytest.mark.parametrize(
    "args",
    [{"sessionKey": "nope"}, {"changesSince": {}}],
)
async def test_what_is_wrong_with_a_call_is_part_of_the_answer(args: dict[str, Any], autojump_clock: MockClock) -> None:
    async with house() as made:
        answer = await invoke(made, "session_status", args=args)
        assert (answer["ok"], answer["error"]["code"]) == (False, "internal_error")


async def test_an_agent_that_there_is_not_is_part_of_the_answer(autojump_clock: MockClock) -> None:
    async with house() as made:
        answer = await invoke(made, "session_status", agentId="nope")
        assert answer["error"] == {"code": "validation_error", "message": 'Unknown agent id "nope"'}


async def test_a_tool_that_does_not_end_is_given_up(autojump_clock: MockClock) -> None:
    async with house(instead("web_fetch", seconds=10 * SECONDS)) as made:
        before = trio.current_time()
        answer = await invoke(made, "web_fetch", args={"url": "https://example.org/"})
        assert (answer["ok"], answer["error"]["code"]) == (False, "internal_error")
        assert trio.current_time() - before == pytest.approx(SECONDS)


async def test_a_tool_has_no_model_outside_of_a_session(autojump_clock: MockClock) -> None:
    seen: list[Any] = []

    def look(args: Any, context: Any) -> ToolResult:
        seen.append(context)
        return ToolResult(output="seen", display="")

    async with house(instead("web_fetch", look)) as made:
        answer = await invoke(made, "web_fetch", args={"url": "https://example.org/"}, sessionKey="new")
        assert answer["output"] == {"content": [{"type": "text", "text": "seen"}], "details": {}}
        (context,) = seen
        assert context.session == "agent:main:new"
        with pytest.raises(Exception, match="has no model"):
            await context.generate(None)


async def test_another_model_is_chosen_for_a_session_that_there_is(autojump_clock: MockClock) -> None:
    async with house() as made:
        await made.turn("main", "hello", "r1")
        wrong = await invoke(made, "session_status", args={"model": "nope"}, sessionKey="main")
        assert wrong["error"]["message"] == "Unknown model: nope"
        right = await invoke(made, "session_status", args={"model": "test-model"}, sessionKey="main")
        assert right["output"]["details"]["changedModel"] is True
        assert made.entry("agent:main:main").model == "test-model"


async def test_there_are_no_skills(autojump_clock: MockClock) -> None:
    async with house() as made:
        answer = await made.call("skills.status")
        assert answer == {
            "workspaceDir": "/nowhere",
            "managedSkillsDir": str(Path("/nowhere/state/skills")),
            "agentId": "main",
            "skills": [],
        }


async def test_every_slash_command_is_listed(autojump_clock: MockClock) -> None:
    async with house() as made:
        rows = (await made.call("commands.list"))["commands"]
        assert {row["name"] for row in rows} == set(COMMANDS)
        assert all(row["textAliases"] == [f"/{row['name']}"] for row in rows)
        assert {row["name"] for row in rows if row.get("args")} == set(ARGUMENTS) & set(COMMANDS)


async def test_arguments_of_commands_may_be_left_out(autojump_clock: MockClock) -> None:
    async with house() as made:
        rows = (await made.call("commands.list", includeArgs=False))["commands"]
        assert not any("args" in row for row in rows)
        assert (await made.call("commands.list", scope="native"))["commands"] == []


def test_arguments_are_told_of_commands_that_there_are() -> None:
    assert set(ARGUMENTS) <= set(COMMANDS)
