"""The judge of the gateway's sessions: the permission mode of each decides."""

import pytest

from runtime.policy.judge import PermissionJudge
from runtime.policy.permission import Host
from runtime.ports import Asked
from runtime.step.events import Settings
from runtime.vocab import Decision, EffectClass, Message, ToolSpec
from tests.fakes.world import spec

HOST = Host(which=lambda name: f"/usr/bin/{name}", home="/home/me")
READ = ToolSpec("read", "", {"type": "object"}, EffectClass.PURE, "read", True)
EXEC = ToolSpec("exec", "", {"type": "object"}, EffectClass.IRREVERSIBLE, "execute", False)
WRITE = ToolSpec("write", "", {"type": "object"}, EffectClass.IDEMPOTENT, "edit", False)


def judge(mode: str | None) -> PermissionJudge:
    known = {} if mode is None else {"s": Settings("m", mode=mode, workspace="/work")}
    return PermissionJudge(known.get, HOST)


@pytest.mark.parametrize(
    ("mode", "tool", "args", "decision"),
    [
        ("full", EXEC, {"command": "rm -r x"}, Decision.ALLOW),
        ("full", WRITE, {"path": "/work/a"}, Decision.ALLOW),
        ("guarded", EXEC, {"command": "rm -r x"}, Decision.REVIEW),
        ("read-only", WRITE, {"path": "/work/a"}, Decision.BLOCK),
        ("read-only", READ, {"path": "/work/a"}, Decision.ALLOW),
        ("no such mode", EXEC, {"command": "ls"}, Decision.REVIEW),
        (None, READ, {"path": "/work/a"}, Decision.BLOCK),
    ],
)
async def test_the_mode_of_the_session_decides(
    mode: str | None, tool: ToolSpec, args: dict[str, str], decision: Decision
) -> None:
    assert (await judge(mode).call("s", Asked(tool, args))).decision is decision


async def test_a_mode_that_changes_counts_from_the_next_call_on() -> None:
    now = {"s": Settings("m", mode="read-only", workspace="/work")}
    made = PermissionJudge(now.get, HOST)
    assert (await made.call("s", Asked(WRITE, {"path": "/work/a"}))).decision is Decision.BLOCK
    now["s"] = Settings("m", mode="full", workspace="/work")
    assert (await made.call("s", Asked(WRITE, {"path": "/work/a"}))).decision is Decision.ALLOW


async def test_a_refusal_names_its_rule() -> None:
    verdict = await judge(None).call("s", Asked(READ, {}))
    assert (verdict.rule, verdict.reason) == ("permission.unknown", "The session is not known.")


async def test_all_tools_are_offered_and_messages_pass() -> None:
    made = judge("read-only")
    assert made.offers(spec("anything"))
    assert (await made.screen("s", Message("m", "hi", ()))).decision is Decision.ALLOW
    assert (await made.reply("s", "hi")).decision is Decision.ALLOW


async def test_a_tool_that_the_settings_take_away_is_neither_offered_nor_run() -> None:
    allowed = {"read"}
    made = PermissionJudge({"s": Settings("m", mode="full", workspace="/work")}.get, HOST, allowed.__contains__)
    assert [made.offers(each) for each in (READ, EXEC)] == [True, False]
    verdict = await made.call("s", Asked(EXEC, {"command": "ls"}))
    assert (verdict.decision, verdict.rule) == (Decision.BLOCK, "settings.tools")
    assert (await made.call("s", Asked(READ, {"path": "/work/a"}))).decision is Decision.ALLOW
