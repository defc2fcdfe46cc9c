"""Standard output that cannot take everything: other locales, full disks, closed descriptors, readers who leave."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.command import Command

ANSWER = "grüß ☃"


@pytest.fixture
def command(tmp_path: Path) -> Command:
    made = Command(tmp_path)
    chunk = {"candidates": [{"content": {"parts": [{"text": ANSWER}]}, "finishReason": "STOP"}]}
    line = json.dumps({"method": "generateContentStream", "response": [chunk]})
    (tmp_path / "answer.responses").write_text(line + "\n")
    (made.home / ".gemini" / "settings.json").write_text(json.dumps(made.settings))
    return made


def shell(command: Command, words: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of shell in which $T is twinstep with a recorded answer."""
    twinstep = f"{sys.executable} -m runtime.app.main"
    played = f"{twinstep} -p hi -m gemini-2.5-flash --fake-responses {command.folder / 'answer.responses'}"
    return subprocess.run(
        ["bash", "-c", words.replace("$PLAY", played).replace("$T", twinstep)],
        capture_output=True,
        timeout=60,
        check=False,
        cwd=command.workspace,
        env={**command.environment(), **environ},
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize("form", ["text", "json", "stream-json"])
def test_an_answer_is_utf_8_whatever_the_locale_says(command: Command, encoding: str, form: str) -> None:
    ran = shell(command, f"$PLAY -o {form}", PYTHONIOENCODING=encoding)
    assert ran.returncode == 0
    assert ANSWER in ran.stdout.decode()


@pytest.mark.parametrize("words", ["$PLAY", "$PLAY -o json", "$PLAY -o stream-json", "$T --help", "$T completion bash"])
@pytest.mark.parametrize("to", [">/dev/full", ">&-"])
def test_output_that_is_lost_is_no_success(command: Command, words: str, to: str) -> None:
    ran = shell(command, f"{words} {to}")
    assert ran.returncode == 1
    assert ran.stderr.decode().count("\n") == 1
    assert "standard output cannot be written" in ran.stderr.decode()


@pytest.mark.parametrize("words", ["$PLAY", "$T --help", "$T completion bash", "$T demo", "$T --list-sessions"])
def test_a_reader_who_has_left_is_no_error(command: Command, words: str) -> None:
    ran = shell(command, f"set -o pipefail; {words} | true")
    assert ran.returncode == 0
    assert ran.stderr == b""


def test_a_signal_before_the_session_is_there_does_not_speak_of_a_journal(command: Command) -> None:
    ran = shell(command, "(echo begun; sleep 9) | timeout --foreground -s INT 2 $PLAY -o text")
    assert ran.returncode in (124, 130)
    assert "--resume" not in ran.stderr.decode()


@pytest.mark.parametrize("flag", ["--policy", "--acp", "-i", "--allowed-tools"])
def test_a_flag_of_gemini_cli_that_is_not_here_is_refused_by_name(command: Command, flag: str) -> None:
    ran = shell(command, f"$T {flag} x")
    assert ran.returncode == 1
    assert "not supported yet" in ran.stderr.decode()
