"""What each approval mode offers and allows: the lists that Gemini CLI 0.61 was seen to offer, and every refusal."""

import json
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from runtime.policy import ApprovalJudge
from runtime.policy.modes import ASKED, DENIED, GROUPS, MODES, PLAN_READS, PLAN_WRITES
from runtime.ports import Asked, Judge
from runtime.vocab import ApprovalMode, Decision, EffectClass, Message, ToolSpec, Verdict

TRACES = Path(__file__).parents[4] / "shared" / "contracts" / "gemini" / "traces" / "behaviour"
SHELL = "run_shell_command"
KINDS = {
    "replace": "edit",
    "write_file": "edit",
    "web_fetch": "fetch",
    SHELL: "execute",
    "list_background_processes": "execute",
    "read_background_output": "execute",
}
READING = ("update_topic", "list_directory", "read_file", "grep_search", "glob", "google_web_search", "invoke_agent")
ALL = (
    *READING,
    "replace",
    "write_file",
    "web_fetch",
    SHELL,
    "list_background_processes",
    "read_background_output",
    "write_todos",
    "enter_plan_mode",
    "exit_plan_mode",
    "activate_skill",
    "ask_user",
)
OFFERED = {
    ApprovalMode.DEFAULT: {*READING, "enter_plan_mode"},
    ApprovalMode.AUTO_EDIT: {*READING, "enter_plan_mode", "replace", "write_file", "web_fetch"},
    ApprovalMode.YOLO: {*ALL} - {"exit_plan_mode", "ask_user"},
    ApprovalMode.PLAN: {*READING, "exit_plan_mode", "replace", "write_file"},
}


def spec(name: str, kind: str | None = None) -> ToolSpec:
    made: Any = kind or KINDS.get(name, "read")
    return ToolSpec(name, "", {}, EffectClass.IRREVERSIBLE, made)


def offered(judge: ApprovalJudge) -> set[str]:
    return {name for name in ALL if judge.offers(spec(name))}


def judged(judge: ApprovalJudge, name: str, **args: Any) -> Verdict:
    return judge.judged(spec(name), args)


@pytest.mark.parametrize("mode", list(ApprovalMode))
def test_a_headless_run_offers_what_the_peer_offers(mode: ApprovalMode) -> None:
    assert offered(ApprovalJudge(mode=mode)) == OFFERED[mode]


@pytest.mark.parametrize(
    ("trace", "mode"),
    [
        ("defaultmode", ApprovalMode.DEFAULT),
        ("autoedit", ApprovalMode.AUTO_EDIT),
        ("planmode", ApprovalMode.PLAN),
        ("outside", ApprovalMode.YOLO),
    ],
)
def test_a_headless_run_offers_what_stands_in_the_trace(trace: str, mode: ApprovalMode) -> None:
    path = TRACES / f"{trace}.json"
    if not path.is_file():
        pytest.skip("the contracts are not next to this checkout")
    tools = json.loads(path.read_text())["requests"][0]["body"]["tools"][0]["functionDeclarations"]
    assert offered(ApprovalJudge(mode=mode)) == set(tools)


@pytest.mark.parametrize(("mode", "name"), list(product(ApprovalMode, ALL)))
def test_a_call_to_what_is_not_offered_is_blocked_and_nothing_is_reviewed(mode: ApprovalMode, name: str) -> None:
    judge = ApprovalJudge(mode=mode)
    verdict = judged(judge, name)
    assert verdict.decision is not Decision.REVIEW
    assert judge.offers(spec(name)) or verdict.decision is Decision.BLOCK


@pytest.mark.parametrize(("mode", "name"), list(product(ApprovalMode, ALL)))
def test_a_refusal_has_a_rule_a_type_and_a_reason_in_the_peer_s_words(mode: ApprovalMode, name: str) -> None:
    verdict = judged(ApprovalJudge(mode=mode), name)
    if verdict.decision is Decision.BLOCK:
        assert verdict.error_type == "policy_violation"
        assert verdict.reason.startswith(DENIED)
    assert verdict.rule.startswith("mode.")


@pytest.mark.parametrize(
    ("mode", "name", "rule"),
    [
        (ApprovalMode.DEFAULT, "read_file", "mode.read-only"),
        (ApprovalMode.PLAN, "google_web_search", "mode.read-only"),
        (ApprovalMode.YOLO, "read_file", "mode.read-only"),
        (ApprovalMode.YOLO, SHELL, "mode.yolo"),
        (ApprovalMode.AUTO_EDIT, "write_file", "mode.auto-edit"),
        (ApprovalMode.DEFAULT, "enter_plan_mode", "mode.default"),
        (ApprovalMode.PLAN, "exit_plan_mode", "mode.plan"),
    ],
)
def test_what_is_allowed_is_allowed_by_a_rule_with_a_name(mode: ApprovalMode, name: str, rule: str) -> None:
    assert judged(ApprovalJudge(mode=mode), name) == Verdict(Decision.ALLOW, rule)


@pytest.mark.parametrize(
    ("mode", "name", "rule"),
    [
        (ApprovalMode.DEFAULT, "write_file", "mode.headless"),
        (ApprovalMode.DEFAULT, SHELL, "mode.headless"),
        (ApprovalMode.AUTO_EDIT, SHELL, "mode.headless"),
        (ApprovalMode.YOLO, "ask_user", "mode.headless"),
        (ApprovalMode.DEFAULT, "exit_plan_mode", "mode.default"),
        (ApprovalMode.PLAN, SHELL, "mode.plan"),
        (ApprovalMode.PLAN, "enter_plan_mode", "mode.plan"),
    ],
)
def test_what_is_blocked_is_blocked_by_a_rule_with_a_name(mode: ApprovalMode, name: str, rule: str) -> None:
    verdict = judged(ApprovalJudge(mode=mode), name)
    assert (verdict.decision, verdict.rule) == (Decision.BLOCK, rule)


@pytest.mark.parametrize("mode", list(ApprovalMode))
def test_where_a_person_can_be_asked_nothing_that_was_blocked_runs_unasked(mode: ApprovalMode) -> None:
    alone, together = ApprovalJudge(mode=mode), ApprovalJudge(mode=mode, interactive=True)
    for name in ALL:
        before, after = judged(alone, name), judged(together, name)
        assert after == before or (before.decision, after.decision) == (Decision.BLOCK, Decision.REVIEW)
        assert together.offers(spec(name)) or after.decision is Decision.BLOCK


@pytest.mark.parametrize(
    ("interactive", "decision"), [(False, Decision.BLOCK), (True, Decision.REVIEW)], ids=["headless", "interactive"]
)
@pytest.mark.parametrize("mode", list(ApprovalMode))
def test_a_tool_of_a_kind_that_no_rule_knows_is_never_allowed(
    mode: ApprovalMode, interactive: bool, decision: Decision
) -> None:
    judge = ApprovalJudge(mode=mode, interactive=interactive)
    verdict = judge.judged(spec("mystery", "teleport"), {})
    assert (verdict.decision, verdict.rule) == (decision, "mode.unknown")
    assert judge.offers(spec("mystery", "teleport")) is interactive


@pytest.mark.parametrize("kind", ["read", "edit", "fetch", "execute"])
def test_an_unknown_name_is_judged_by_its_kind(kind: str) -> None:
    modes = {mode for mode in ApprovalMode if ApprovalJudge(mode=mode).offers(spec("mcp_some_tool", kind))}
    assert modes == MODES[kind]


def test_every_group_has_a_row() -> None:
    assert set(GROUPS.values()) <= set(MODES) | set(ASKED)
    assert all(not MODES[group] & ASKED[group] for group in ASKED if group in MODES)


# Plan mode


@pytest.mark.parametrize("name", ["write_file", "replace"])
@pytest.mark.parametrize(
    ("path", "decision"),
    [
        ("/plans/a-plan_1.md", Decision.ALLOW),
        ("/plans/a.txt", Decision.BLOCK),
        ("/plans/../a.md", Decision.BLOCK),
        ("/plans/sub/a.md", Decision.BLOCK),
        ("/plans/a b.md", Decision.BLOCK),
        ("/plans/ä.md", Decision.BLOCK),
        ("/plans/.md", Decision.BLOCK),
        ("/plans", Decision.BLOCK),
        ("/plansx/a.md", Decision.BLOCK),
        ("/work/a.md", Decision.BLOCK),
        ("a.md", Decision.BLOCK),
        ("plans/a.md", Decision.BLOCK),
        ("", Decision.BLOCK),
        (None, Decision.BLOCK),
        (["/plans/a.md"], Decision.BLOCK),
    ],
)
def test_plan_mode_writes_plans_and_nothing_else(name: str, path: object, decision: Decision) -> None:
    judge = ApprovalJudge(mode=ApprovalMode.PLAN, plans="/plans")
    verdict = judged(judge, name, file_path=path)
    assert (verdict.decision, verdict.reason) == (decision, "" if decision is Decision.ALLOW else PLAN_WRITES)


def test_plan_mode_without_a_folder_for_plans_writes_nothing() -> None:
    verdict = judged(ApprovalJudge(mode=ApprovalMode.PLAN), "write_file", file_path="/plans/a.md")
    assert verdict == Verdict(Decision.BLOCK, "mode.plan", PLAN_WRITES)


@pytest.mark.parametrize(
    ("agent", "decision"),
    [
        ("codebase_investigator", Decision.ALLOW),
        ("cli_help", Decision.ALLOW),
        ("generalist", Decision.BLOCK),
        (None, Decision.BLOCK),
    ],
)
def test_plan_mode_lets_only_agents_work_that_look(agent: str | None, decision: Decision) -> None:
    verdict = judged(ApprovalJudge(mode=ApprovalMode.PLAN), "invoke_agent", agent_name=agent)
    assert (verdict.decision, verdict.reason) == (decision, "" if decision is Decision.ALLOW else PLAN_READS)


def test_the_words_of_plan_mode_are_those_of_the_trace() -> None:
    path = TRACES / "planmode.json"
    if not path.is_file():
        pytest.skip("the contracts are not next to this checkout")
    results = [event for event in json.loads(path.read_text())["stdout_events"] if event.get("type") == "tool_result"]
    verdict = judged(ApprovalJudge(mode=ApprovalMode.PLAN), "write_file", file_path="n.txt")
    assert [(event["error"]["type"], event["error"]["message"]) for event in results] == [
        (verdict.error_type, verdict.reason)
    ]


# Tool lists of the settings. The expected lists were seen with Gemini CLI 0.61.0.

CORE = ("read_file", "run_shell_command(git)", "write_file")


@pytest.mark.parametrize(
    ("mode", "names"),
    [
        (ApprovalMode.DEFAULT, {"read_file", "write_file", SHELL}),
        (ApprovalMode.AUTO_EDIT, {"read_file", "write_file", SHELL}),
        (ApprovalMode.YOLO, {"read_file", "write_file", SHELL}),
        (ApprovalMode.PLAN, {"read_file", "write_file"}),
    ],
)
def test_of_a_core_list_only_its_tools_are_offered_and_they_run_unasked(mode: ApprovalMode, names: set[str]) -> None:
    judge = ApprovalJudge(mode=mode, core=CORE)
    assert offered(judge) == names
    assert judged(judge, "read_file").decision is Decision.ALLOW
    assert judged(judge, "glob").rule == "tools.core"


@pytest.mark.parametrize("mode", list(ApprovalMode))
def test_an_empty_core_list_offers_and_allows_nothing(mode: ApprovalMode) -> None:
    judge = ApprovalJudge(mode=mode, core=())
    assert offered(judge) == set()
    assert {judged(judge, name, command="ls").decision for name in ALL} == {Decision.BLOCK}


@pytest.mark.parametrize(
    ("mode", "command", "decision"),
    [
        (ApprovalMode.DEFAULT, "git status", Decision.ALLOW),
        (ApprovalMode.DEFAULT, "ls", Decision.BLOCK),
        (ApprovalMode.DEFAULT, "git status && ls", Decision.BLOCK),
        (ApprovalMode.YOLO, "git status", Decision.ALLOW),
        (ApprovalMode.YOLO, "ls", Decision.BLOCK),
        (ApprovalMode.PLAN, "git status", Decision.BLOCK),
    ],
)
def test_a_shell_entry_allows_commands_that_begin_like_it(mode: ApprovalMode, command: str, decision: Decision) -> None:
    assert judged(ApprovalJudge(mode=mode, core=CORE), SHELL, command=command).decision is decision


def test_a_refused_command_is_told_what_would_be_allowed() -> None:
    verdict = judged(ApprovalJudge(core=("ShellTool(git)", "ShellTool(npm test)")), SHELL, command="ls")
    assert verdict.reason == f"{DENIED} tools.core allows only commands that begin with: git, npm test."


def test_a_bare_shell_entry_allows_every_command() -> None:
    judge = ApprovalJudge(core=("run_shell_command(git)", SHELL))
    assert judged(judge, SHELL, command="ls > x") == Verdict(Decision.ALLOW, "tools.core")


def test_a_question_to_a_person_stays_hidden_even_if_the_core_list_names_it() -> None:
    assert not ApprovalJudge(mode=ApprovalMode.YOLO, core=("ask_user",)).offers(spec("ask_user"))


@pytest.mark.parametrize("mode", list(ApprovalMode))
def test_an_excluded_tool_is_neither_offered_nor_allowed(mode: ApprovalMode) -> None:
    judge = ApprovalJudge(mode=mode, exclude=("glob", "read_file(x)"), core=("glob", "read_file", "grep_search"))
    assert offered(judge) == {"grep_search"}
    assert judged(judge, "glob") == Verdict(Decision.BLOCK, "tools.exclude", f"{DENIED} tools.exclude forbids glob.")


def test_an_excluded_command_is_blocked_and_the_shell_stays() -> None:
    judge = ApprovalJudge(mode=ApprovalMode.YOLO, exclude=("run_shell_command(rm)",))
    assert judge.offers(spec(SHELL))
    assert judged(judge, SHELL, command="ls").decision is Decision.ALLOW
    verdict = judged(judge, SHELL, command='bash -c "rm -rf x"')
    assert verdict == Verdict(Decision.BLOCK, "tools.exclude", f"{DENIED} tools.exclude forbids commands with 'rm'.")


@given(
    mode=st.sampled_from(ApprovalMode),
    core=st.none() | st.lists(st.sampled_from(ALL), max_size=5).map(tuple),
    exclude=st.lists(st.sampled_from(ALL), max_size=5).map(tuple),
    name=st.sampled_from(ALL),
    interactive=st.booleans(),
)
def test_lists_never_let_in_what_they_do_not_name(
    mode: ApprovalMode, core: tuple[str, ...] | None, exclude: tuple[str, ...], name: str, interactive: bool
) -> None:
    judge = ApprovalJudge(mode=mode, core=core, exclude=exclude, interactive=interactive)
    verdict = judged(judge, name, command="ls")
    named = name not in exclude and (core is None or name in core)
    assert named or (verdict.decision is Decision.BLOCK and not judge.offers(spec(name)))
    assert judge.offers(spec(name)) or verdict.decision is Decision.BLOCK


@given(st.dictionaries(st.sampled_from(["command", "file_path", "agent_name"]), st.none() | st.integers() | st.text()))
def test_any_arguments_get_a_verdict(args: Mapping[str, Any]) -> None:
    for mode, name in product(ApprovalMode, (SHELL, "write_file", "invoke_agent")):
        judge = ApprovalJudge(mode=mode, exclude=("ShellTool(rm)",), plans="/plans")
        assert isinstance(judge.judged(spec(name), args), Verdict)


# The port


async def test_it_is_a_judge_and_has_no_say_about_messages() -> None:
    judge: Judge = ApprovalJudge(mode=ApprovalMode.DEFAULT)
    assert (await judge.screen("s", Message("m", "hi", ({"text": "hi"},)))).decision is Decision.ALLOW
    assert (await judge.reply("s", "hi")).decision is Decision.ALLOW
    assert (await judge.call("s", Asked(spec("glob"), {}))).decision is Decision.ALLOW
    assert (await judge.call("s", Asked(spec(SHELL), {"command": "ls"}))).decision is Decision.BLOCK


def test_another_mode_is_another_judge() -> None:
    judge = ApprovalJudge(mode=ApprovalMode.YOLO, core=CORE)
    assert evolve(judge, mode=ApprovalMode.PLAN) == ApprovalJudge(mode=ApprovalMode.PLAN, core=CORE)
