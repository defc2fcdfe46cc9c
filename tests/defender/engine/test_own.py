"""The defender's own keys, state and settings: no tool of a session reads the ones or changes the others."""

from pathlib import Path
from typing import Any

import pytest

from defender.commands import analyse
from defender.engine.own import MOST_WORDS, Own
from defender.integrity.baseline import places as baseline_places
from runtime.app.defending import Defending
from runtime.app.keeping import places_of
from runtime.policy.modes import ApprovalJudge
from runtime.ports import Asked
from runtime.tools.declarations import SPECS
from runtime.tools.flows import READS, RUNS
from runtime.vocab import ApprovalMode, Decision, EffectClass, ToolSpec

A, R, B = Decision.ALLOW, Decision.REVIEW, Decision.BLOCK
SPEC = {spec.name: spec for spec in SPECS}
HOME = "/home/ann"
CONFIG, STATE, DATA = f"{HOME}/.config/twinstep", f"{HOME}/.local/state/twinstep", f"{HOME}/.local/share/twinstep"
OWN = Own(
    (f"{CONFIG}/ledger", f"{DATA}/ledger-anchor", f"{DATA}/integrity-anchor", f"{STATE}/guard-device.key"),
    (f"{STATE}/ledger", f"{STATE}/integrity", DATA),
    (f"{STATE}/defender/policy.toml", CONFIG),
    HOME,
)


def tool(name: str, workspace: str = f"{HOME}/work", **args: Any) -> Decision:
    return OWN.of_args(Asked(SPEC[name], args, workspace=workspace)).decision


def command(text: str, workspace: str = f"{HOME}/work", own: Own = OWN, **args: Any) -> Decision:
    asked = Asked(SPEC["run_shell_command"], {"command": text, **args}, workspace=workspace)
    return own.of_commands(asked, [analyse(text)]).decision


@pytest.mark.parametrize(
    "path",
    [
        f"{CONFIG}/ledger/start.key",
        "../.config/twinstep/ledger/start.key",
        "~/.config/twinstep/ledger/start.key",
        "./../.config/./twinstep//ledger/start.key",
        f"file://{CONFIG}/ledger/start.key",
        f"{DATA}/ledger-anchor/counter",
        f"{DATA}/ledger-anchor/contents.key",
        f"{DATA}/integrity-anchor/key",
        f"{STATE}/guard-device.key",
    ],
)
def test_a_key_is_read_by_no_tool(path: str) -> None:
    assert tool("read_file", file_path=path) is B
    assert tool("write_file", file_path=path, content="") is B


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (f"{STATE}/ledger/000000000001.jsonl", B),
        (f"{STATE}/integrity/baseline.json", B),
        (f"{STATE}/defender/policy.toml", R),
        (f"{HOME}/.gemini/settings.json", R),
        (".gemini/settings.json", R),
        (".GEMINI/Settings.json", R),
        (f"{HOME}/.gemini/trustedFolders.json", R),
        (f"{HOME}/.gemini/policies/a.toml", R),
        (f"{HOME}/.openclaw/openclaw.json", R),
        ("notes.txt", A),
        ("src/settings.json", A),
    ],
)
def test_state_and_settings_are_changed_by_no_tool_alone(path: str, wanted: Decision) -> None:
    assert tool("write_file", file_path=path, content="x") is wanted
    assert tool("replace", file_path=path, old_string="a", new_string="b", instruction="") is wanted


def test_what_is_carried_is_no_path() -> None:
    assert tool("write_file", file_path="a.txt", content=f"{CONFIG}/ledger/start.key") is A


def test_a_patch_names_its_files() -> None:
    spec = ToolSpec("apply_patch", "", {}, EffectClass.IRREVERSIBLE, "edit", flow=SPEC["write_file"].flow)
    text = "*** Begin Patch\n*** Update File: ~/.gemini/settings.json\n@@\n-a\n+b\n*** End Patch"
    assert OWN.of_args(Asked(spec, {"input": text}, workspace=f"{HOME}/work")).decision is R


def test_a_search_takes_all_that_lies_below() -> None:
    assert tool("grep_search", pattern="key", dir_path=f"{HOME}/.config") is R
    assert tool("glob", pattern="*", dir_path=f"{HOME}/.config") is A


def test_a_tool_without_a_flow_is_taken_for_one_that_writes() -> None:
    spec = ToolSpec("their_tool", "", {}, EffectClass.IRREVERSIBLE, "read")
    asked = Asked(spec, {"where": {"a": [f"{STATE}/ledger/x"]}}, workspace=f"{HOME}/work")
    assert OWN.of_args(asked).decision is B


def test_a_link_is_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "keys")
    own = Own((f"{tmp_path.resolve()}/keys",), (), (), HOME)
    spec = ToolSpec("read", "", {}, EffectClass.IRREVERSIBLE, "read", flow=READS)
    asked = Asked(spec, {"path": "link/a"}, workspace=str(tmp_path))
    assert own.of_args(asked).decision is B
    assert command("cat link/a", str(tmp_path), own) is B


@pytest.mark.parametrize(
    "text",
    [
        "cat ~/.config/twinstep/ledger/start.key",
        "cat < ~/.config/twinstep/ledger/start.key",
        "cat $HOME/.config/twinstep/ledger/start.key",
        "cat ~/.config/twin'step'/ledger/st*.key",
        "cat ~/.con*/twinstep/*/start.key",
        "cd ~/.config/twinstep && cat ledger/start.key",
        "cd ~/.config; cd twinstep/ledger; base64 start.key",
        "A=~/.config/twinstep; cat $A/ledger/start.key",
        "python3 -c 'x' --file=/home/ann/.config/twinstep/ledger/start.key",
        "head -c 9 ../.local/share/twinstep/ledger-anchor/counter",
        "echo x > ~/.local/state/twinstep/ledger/000000000001.jsonl",
        "rm ~/.local/state/twinstep/integrity/baseline.json",
    ],
)
def test_a_command_reads_no_key_and_changes_no_state(text: str) -> None:
    assert command(text) is B


@pytest.mark.parametrize(
    "text",
    [
        "cp -r ~/.config /backup",
        "tar c ~/.local",
        "grep -r key ~",
        "find ~/.config -exec cat {} +",
        "rm -rf ~/.local/state/twinstep",
        "echo x > ~/.local/state/twinstep/defender/policy.toml",
        "sed -i s/enforce/off/ ~/.gemini/settings.json",
        "cp evil.json .gemini/settings.json",
        "cat ~/.openclaw/openclaw.json",
        'cat "$X/twinstep/ledger/start.key"',
        "twinstep quarantine release q1 --reason fine",
        "twinstep quarantine show q1 --content",
        "twinstep integrity accept",
        "twinstep defender integrity accept",
        "twinstep defender trust app.py --why fine",
        "twinstep defender policy sign p.toml",
        "env A=b /usr/bin/twinstep quarantine release q1",
        "python3 -m runtime.app.main defender policy sign p.toml",
        "sudo twin'step' quarantine release q1",
        "twinstep -p hello --defender off",
        "twinstep -p hello --defender=audit",
        "twinstep debug --url ws://127.0.0.1:1",
        "bash -c 'twinstep quarantine release q1'",
        'X=twinstep; $X quarantine release "$Y"',
        "true " + "a " * (MOST_WORDS + 1),
    ],
)
def test_a_command_that_touches_what_is_the_defenders_is_for_a_person(text: str) -> None:
    assert command(text) in (R, B)


@pytest.mark.parametrize(
    "text",
    [
        "ls -la ~/.config",
        "cat notes.txt",
        "cat ~/.gemini/settings.json",
        "find ~ -name '*.py'",
        "cd ~ && ls",
        "git commit -m 'twinstep defender'",
        "twinstep quarantine list",
        "twinstep quarantine log",
        "twinstep defender labels",
        "twinstep quarantine verify",
        "twinstep defender explain -- ls",
        "twinstep defender status",
        "pip install twinstep",
        "grep -rn policy .",
        "npm test",
    ],
)
def test_everyday_commands_are_nobodys_business(text: str) -> None:
    assert command(text) is A


def test_the_flow_of_commands_is_not_needed_to_know_their_paths() -> None:
    spec = ToolSpec("exec", "", {}, EffectClass.IRREVERSIBLE, "execute", flow=RUNS)
    asked = Asked(spec, {"command": "cat start.key", "workdir": f"{CONFIG}/ledger"}, workspace=f"{HOME}/work")
    assert OWN.of_commands(asked, [analyse("cat start.key")]).decision is B


@pytest.mark.parametrize("name", ["start.key", "policy"])
async def test_what_was_approved_in_advance_leaves_the_defenders_own_alone(name: str) -> None:
    environ = {"HOME": HOME}
    made = Defending("enforce", Path(STATE) / "defender", "security.defender", environ=environ)
    judge = made.judged(ApprovalJudge(mode=ApprovalMode.YOLO), "cli")
    target = {"start.key": f"{CONFIG}/ledger/start.key", "policy": str(made.path)}[name]
    asked = Asked(SPEC["write_file"], {"file_path": target, "content": ""}, workspace=f"{HOME}/work")
    assert (await judge.call("s", asked)).decision is not A
    asked = Asked(SPEC["run_shell_command"], {"command": f"cp a {target}"}, workspace=f"{HOME}/work")
    assert (await judge.call("s", asked)).decision is not A
    asked = Asked(SPEC["run_shell_command"], {"command": "twinstep quarantine release q"}, workspace=f"{HOME}/work")
    assert (await judge.call("s", asked)).decision is R
    asked = Asked(SPEC["write_file"], {"file_path": "a.txt", "content": ""}, workspace=f"{HOME}/work")
    assert (await judge.call("s", asked)).decision is A


@pytest.mark.parametrize("given", [{}, {"ledger": "/l", "anchor": "/a"}])
def test_what_is_guarded_is_where_things_are_kept(given: dict[str, str]) -> None:
    environ = {"HOME": HOME, "XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "relative"}
    made = Defending("enforce", Path(STATE) / "defender", "x", {"quarantine": given}, environ).own()
    kept = places_of(environ, given, "x")
    assert str(Path(kept.start).parent) in made.secrets
    assert kept.anchor in made.secrets
    assert kept.folder in made.state
    assert baseline_places(environ).folder in made.state
    assert baseline_places(environ).anchor in made.secrets
