"""Own cases by technique, and the two examples of every rule. Everything here is parsed, nothing is ever run."""

import tomllib
from pathlib import Path

import pytest

from defender.commands import analyse, assess, explain
from defender.commands.interpreters import LANGUAGES
from defender.commands.rules import Rule, code, table
from defender.commands.windows import RULES as WINDOWS
from defender.commands.windows import WindowsRule, findings, looks
from runtime.vocab import Decision

GROUPS = tomllib.loads(Path(__file__).with_name("cases.toml").read_text(encoding="utf-8"))["group"]
CASES = [
    (group["name"], wanted, command)
    for group in GROUPS
    for wanted in ("block", "review", "allow")
    for command in group.get(wanted, ())
]


@pytest.mark.parametrize(("group", "wanted", "command"), CASES)
def test_own_case_is_judged_as_it_says(group: str, wanted: str, command: str) -> None:
    verdict = assess(command)
    assert verdict.decision.value == wanted, (group, [signal.rule for signal in verdict.signals])


@pytest.mark.parametrize(("group", "wanted", "command"), CASES)
def test_score_lies_in_the_band_of_the_decision(group: str, wanted: str, command: str) -> None:
    verdict = assess(command)
    low, high = {Decision.ALLOW: (0, 0.5), Decision.REVIEW: (0.5, 0.8), Decision.BLOCK: (0.8, 1.0001)}[verdict.decision]
    assert low <= verdict.score < high


def found(command: str) -> set[str]:
    return {signal.rule for signal in analyse(command).assessment.signals}


def hits(rule: Rule, command: str) -> bool:
    return rule.id in {name for step in analyse(command).steps for name in step.rules} | found(command)


@pytest.mark.parametrize("rule", table(), ids=lambda rule: f"{rule.id} {rule.programs.split()[0]}")
def test_rule_finds_its_example_and_spares_the_other(rule: Rule) -> None:
    assert hits(rule, rule.example)
    assert not hits(rule, rule.spared)
    if rule.decision is Decision.BLOCK:
        assert assess(rule.example).decision is Decision.BLOCK


@pytest.mark.parametrize("rule", code.RULES, ids=lambda rule: rule.id)
def test_rule_about_code_finds_its_example_and_spares_the_other(rule: code.CodeRule) -> None:
    assert rule.id in {signal.rule for signal in code.findings(rule.example)}
    assert rule.id not in {signal.rule for signal in code.findings(rule.spared)}


@pytest.mark.parametrize("rule", WINDOWS, ids=lambda rule: rule.id)
def test_rule_about_windows_finds_its_example_and_spares_the_other(rule: WindowsRule) -> None:
    assert rule.id in {signal.rule for signal in findings(rule.example)}
    assert rule.id not in {signal.rule for signal in findings(rule.spared)}


def test_no_posix_case_is_taken_for_windows() -> None:
    wrong = [command for group, wanted, command in CASES if wanted == "allow" and looks(command)]
    assert wrong == []


def test_names_of_rules_are_dotted_words() -> None:
    every: list[Rule | code.CodeRule | WindowsRule] = [*table(), *code.RULES, *WINDOWS]
    for rule in every:
        assert rule.id.partition(".")[0] in {"command", "windows"}
        assert rule.reason.endswith(".")
        assert 0.5 <= rule.risk < 1
    assert "python" in LANGUAGES


def test_explanation_names_each_command_and_the_rule() -> None:
    text = explain("ls | wc -l && sh -c 'git push --force'")
    assert text.startswith("review")
    assert "git push --force" in text
    assert "command.git-force-push" in text
    assert "[sh -c]" in text


def test_analysis_is_plain_json_data() -> None:
    import json

    data = json.loads(json.dumps(analyse("curl -o x https://example.net/a > y").as_json()))
    assert data["effect"] == "egress"
    assert data["hosts"] == ["example.net"]
    assert data["urls"] == ["https://example.net/a"]
    assert data["assessment"]["decision"] == "review"


@pytest.mark.parametrize(
    ("command", "effect"),
    [
        ("ls | wc -l", "none"),
        ("cp a b", "local"),
        ("make", "local"),
        ("echo x > y", "local"),
        ("curl https://example.net", "egress"),
        ("git push", "egress"),
        ("git log", "none"),
        ("npm test", "local"),
        ("npm run build", "local"),
        ("cargo test", "local"),
        ("npm --version", "none"),
        ("npm ci", "egress"),
        ("npm publish", "egress"),
        ("cargo install x", "egress"),
        ("npm test && npm publish", "egress"),
        ("cat x > /dev/tcp/203.0.113.9/80", "egress"),
        ("sudo ls", "privileged"),
        ("systemctl restart x", "privileged"),
        ("tee /etc/x < y", "privileged"),
    ],
)
def test_effect_of_a_command(command: str, effect: str) -> None:
    assert analyse(command).effect == effect


def test_paths_that_a_command_touches() -> None:
    given = analyse("cat src/a.txt > out/b.txt")
    assert given.reads == ("/home/user/project/src/a.txt",)
    assert given.writes == ("/home/user/project/out/b.txt",)


def test_hosts_that_are_not_known_are_said_to_be_so() -> None:
    assert "" in analyse('ssh "$HOST" ls').hosts or analyse('curl "$URL"').hosts == ("",)
