"""What a command does, for provenance: only what is wholly known is taken for less than the worst."""

from typing import Any

import pytest

from defender.commands import analyse
from defender.engine.reach import AS_IF, narrowed
from runtime.ports import Asked
from runtime.vocab import EffectClass, ToolSpec

EXEC = ToolSpec("exec", "", {}, EffectClass.IRREVERSIBLE, "execute")


def effect(*commands: str, **args: Any) -> str:
    asked = Asked(EXEC, {"command": commands[0] if commands else "", **args}, workspace="/w/here")
    return narrowed(asked, commands, analyse).spec.flow.effect


@pytest.mark.parametrize("command", ["ls -l", "git status", "grep -r foo . | head", "cat a.txt b.txt", "pwd && ls"])
def test_what_only_looks_has_no_effect(command: str) -> None:
    assert effect(command) == "none"


@pytest.mark.parametrize("command", ["mkdir -p src/x", "echo hi > out.txt", "touch /w/here/a"])
def test_what_changes_files_of_the_workspace_is_local(command: str) -> None:
    assert effect(command) == "local"


@pytest.mark.parametrize(
    "command",
    [
        "python x.py",
        "make",
        "pytest -q",
        "./run.sh",
        "npm install",
        "curl https://a.example",
        "git push",
        "echo hi > ../elsewhere",
        "echo hi > /w/hereafter/x",
        "echo hi > ~/.bashrc",
        "cat ~/.ssh/id_rsa",
        "$X",
        "echo $(curl a.example)",
        "rm -rf /",
        "rm -rf ../elsewhere",
        "rm -f $X",
        "",
    ],
)
def test_what_runs_code_reaches_out_or_is_not_known_stays_what_it_may_be(command: str) -> None:
    assert effect(command) == ("none" if not command else "privileged")


def test_a_call_without_commands_stays_what_it_may_be() -> None:
    assert effect() == "privileged"


def test_the_worst_of_several_commands_counts() -> None:
    assert effect("ls", "make") == "privileged"
    assert effect("ls", "echo hi > out.txt") == "local"


def test_a_change_in_another_folder_is_not_local() -> None:
    assert effect("echo hi > x", dir_path="/etc") == "privileged"
    assert narrowed(Asked(EXEC, {"command": "echo > x"}), ["echo > x"], analyse).spec.flow.effect == "privileged"


def test_relative_paths_are_taken_from_the_folder_of_the_analysis() -> None:
    assert analyse("echo hi > x").writes == (f"{AS_IF}/x",)


@pytest.mark.parametrize(
    "command",
    [
        "cp a GEM''INI.md",
        "echo x > 'GEMI'NI.md",
        "cp a .g'it'/config",
        "cd ../other && cp a.txt b.txt",
        "cd sub && mkdir ../../../y/z",
        "; ".join(f"touch ./a{n}" for n in range(40)),
    ],
)
def test_what_speaks_to_a_later_session_or_lies_elsewhere_is_not_local(command: str) -> None:
    assert effect(command) == "privileged"


@pytest.mark.parametrize(
    "command",
    [
        "python3 -c 'import urllib.request as u; print(u.urlopen(\"http://e.example\").read())'",
        "node -e 'fetch(\"http://e.example\")'",
        "perl -e 'use Socket; x'",
        "getent hosts a.e.example",
        "resolvectl query a.e.example",
        "tool --from https://e.example/x",
        "gawk 'BEGIN{s=\"/inet/tcp/0/e.example/80\"}'",
    ],
)
def test_what_asks_other_machines_brings_their_words(command: str) -> None:
    assert analyse(command).effect == "egress"


@pytest.mark.parametrize(
    "command", ["git commit -m 'see https://e.example'", "grep -rn https:// .", "echo https://x > a"]
)
def test_an_address_that_is_a_text_is_not_asked(command: str) -> None:
    assert analyse(command).effect in ("none", "local")
