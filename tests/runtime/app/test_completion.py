"""`twinstep completion`: what real shells offer, by the script that it prints."""

import argparse
import io
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from runtime.app import commands, completion
from runtime.app.commands import COMMANDS
from runtime.errors import UsageError

CASES = [
    (("",), set(COMMANDS)),
    (("rep",), {"replay"}),
    (("--list",), {"--list-sessions"}),
    (("-o", ""), {"text", "json", "stream-json"}),
    (("--output-format", "s"), {"stream-json"}),
    (("-y", "--approval-mode", "a"), {"auto_edit"}),
    (("--resume", "l"), {"latest"}),
    (("completion", "z"), {"zsh"}),
    (("replay", "--st"), {"--steps"}),
    (("replay", "one"), {"one journal.jsonl"}),
    (("--state", "one"), {"one journal.jsonl"}),
    (("demo", "--keep", "fold"), {"folder"}),
    (("a prompt", "rep"), set()),
    (("defender", "sc"), {"score"}),
    (("defender", "explain", "--po"), {"--policy"}),
    (("defender", "policy", "v"), {"verify"}),
    (("defender", "policy", "sign", "--k"), {"--key"}),
    (("defender", "policy", "sign", "--key", "one"), {"one journal.jsonl"}),
    (("defender", "integrity", "b"), {"baseline"}),
    (("quarantine", "v"), {"verify"}),
    (("-p", "replay", "--st"), {"--state"}),
]
"""The words after `twinstep`, the last of them under way, and what is offered for it."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the script of each shell, a file and a folder."""
    for shell in ("bash", "zsh", "fish"):
        out = io.StringIO()
        assert completion.run([shell], out) == 0
        (tmp_path / shell).write_text(out.getvalue())
    (tmp_path / "one journal.jsonl").touch()
    (tmp_path / "folder").mkdir()
    return tmp_path


def answer(shell: str, program: str, place: Path, *words: str) -> str:
    """Run a program of that shell with the words as its arguments; skip where the shell is not installed."""
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    plain = {"bash": ("--norc", "--noprofile"), "zsh": ("-f",), "fish": ("--no-config",)}[shell]
    environ = {"HOME": str(place), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TERM": "dumb"}
    command = [found, *plain, "-c", program, *(("script", *words) if words else ())]
    done = subprocess.run(command, cwd=place, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return done.stdout


BASH = """
source ./bash
COMP_WORDS=(twinstep "$@")
COMP_CWORD=$#
_twinstep
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(("words", "offered"), CASES, ids=lambda value: " ".join(value) or "nothing")
def test_bash_offers_what_fits(place: Path, words: tuple[str, ...], offered: set[str]) -> None:
    assert set(answer("bash", BASH, place, *words).splitlines()) - {""} == offered


def test_bash_offers_values_behind_an_equals_sign(place: Path) -> None:
    assert answer("bash", BASH, place, "--approval-mode", "=", "y") == "yolo\n"
    assert answer("bash", BASH, place, "--output-format", "=").split() == ["text", "json", "stream-json"]


def test_bash_knows_which_function_completes_twinstep(place: Path) -> None:
    assert answer("bash", "source ./bash; complete -p twinstep", place) == "complete -F _twinstep twinstep\n"


@pytest.mark.parametrize(("words", "offered"), CASES, ids=lambda value: " ".join(value) or "nothing")
def test_fish_offers_what_fits(place: Path, words: tuple[str, ...], offered: set[str]) -> None:
    line = f"{shlex.join(('twinstep', *words[:-1]))} {words[-1]}"
    lines = answer("fish", f"source ./fish; complete -C {shlex.quote(line)}", place).splitlines()
    assert {line.split("\t")[0].replace("\\ ", " ").rstrip("/") for line in lines} == offered


ZSH = """
compdef() { [[ $1 == _twinstep ]] || print -u2 "compdef $*" }
_describe() { print -rl -- ${commands%%:*} }
_arguments() { print -rl -- "$words" "$@" }
source ./zsh
words=(twinstep "$@")
CURRENT=$#words
_twinstep
"""


def test_zsh_is_told_of_the_commands_and_of_the_flags_of_each(place: Path) -> None:
    first = answer("zsh", ZSH, place, "").splitlines()
    assert first[: len(COMMANDS)] == list(COMMANDS)
    assert "(-o --output-format)-o[format of the output]:output format:(text json stream-json)" in first
    assert "(--state)--state[journal file: .jsonl, or .db .sqlite .sqlite3 for SQLite]:path:_files" in first
    assert answer("zsh", ZSH, place, "replay", "").splitlines()[:3] == ["replay ", "-s", "1:journal:_files"]


def test_every_flag_of_every_command_is_in_every_script(place: Path) -> None:
    for made in completion.parsers().values():
        flags = [flag for one in completion.shown(made) for flag in one.flags]
        assert flags
        assert set(flags) <= set((place / "bash").read_text().replace("'", " ").split())
        assert [flag for flag in flags if f"{flag}[" not in (place / "zsh").read_text()] == []
        spelled = {f"-l {flag[2:]} " if flag.startswith("--") else f"-s {flag[1:]} " for flag in flags}
        assert [flag for flag in spelled if flag not in (place / "fish").read_text()] == []


def test_what_the_help_does_not_show_is_not_offered() -> None:
    made = argparse.ArgumentParser(add_help=False)
    made.add_argument("--secret", help=argparse.SUPPRESS)
    made.add_argument("--plain", help="shown")
    assert [one.flags for one in completion.shown(made)] == [("--plain",)]


def test_a_shell_that_is_not_known_is_refused() -> None:
    with pytest.raises(UsageError, match="tcsh"):
        completion.run(["tcsh"], io.StringIO())


def test_the_command_line_knows_the_command_and_ends_well_or_in_one_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert commands.run(["completion", "fish"]) == 0
    assert "complete -c twinstep" in capsys.readouterr().out
    assert commands.run(["completion", "tcsh"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
