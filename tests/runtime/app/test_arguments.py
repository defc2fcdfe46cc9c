"""The command line as a whole. What Gemini CLI 0.61 makes of the same words was seen by running it."""

from typing import Any

import pytest

from runtime.app import arguments
from runtime.app.main import main
from runtime.errors import UsageError

READ: list[tuple[str, dict[str, Any]]] = [
    ("--yolo=true -p go", {"yolo": True, "prompt": "go"}),
    ("--no-yolo --approvalMode plan", {"yolo": False, "approval_mode": "plan"}),
    ("--yolo --no-yolo", {"yolo": False}),
    ("--no-yolo --yolo", {"yolo": True}),
    ("--yolo=false --approval-mode plan", {"approval_mode": "plan"}),
    ("--skip-trust=false --debug=false", {"skip_trust": False, "debug": False}),
    ("--skipTrust --rawOutput --acceptRawOutputRisk", {"skip_trust": True, "raw_output": True}),
    ("--listSessions true", {"list_sessions": True}),
    ("--list-sessions=false", {"list_sessions": False}),
    ("--outputFormat json", {"output_format": "json"}),
    ("--fakeResponses x", {"fake_responses": "x"}),
    ("--fakeResponsesNonStrict=x", {"fake_responses_non_strict": "x"}),
    ("--recordResponses x", {"record_responses": "x"}),
    ("-yo json", {"yolo": True, "output_format": "json"}),
    ("-r -p go", {"resume": "latest", "prompt": "go"}),
    ("--resume= -p go", {"resume": "latest"}),
    ("-r=5", {"resume": "5"}),
    ("--r 5", {"resume": "5"}),
    ("--sessionId my-run_1", {"session_id": "my-run_1"}),
    ("fix -y the tests", {"query": ["fix", "the", "tests"], "yolo": True}),
    ("--no-sandbox --sandbox=false -s false --no-acp -l=false --screenReader=false", {"yolo": False}),
    ("--no-version --version=false --no-help go", {"query": ["go"], "version": False}),
    ("go -- --yolo --sandbox", {"query": ["go", "--yolo", "--sandbox"], "yolo": False}),
]


@pytest.mark.parametrize(("words", "meant"), READ)
def test_flags_are_read_as_gemini_cli_reads_them(words: str, meant: dict[str, Any]) -> None:
    given = vars(arguments.parse(words.split()))
    assert {name: given[name] for name in meant} == meant


def test_space_around_an_id_does_not_count() -> None:
    assert arguments.parse(["--session-id", " abc "]).session_id == "abc"
    assert arguments.parse(["--resume", " 3 "]).resume == "3"


@pytest.mark.parametrize("name", ["", " ", "a b", "a/b", "a.b", "ä", "../a"])
def test_an_id_of_a_session_is_made_of_letters_digits_dashes_and_underscores(name: str) -> None:
    with pytest.raises(UsageError, match="must be made of letters, digits, - and _"):
        arguments.parse(["--session-id", name])


def test_an_empty_prompt_leaves_the_other_one() -> None:
    assert arguments.parse(["-p", "", "go"]).query == ["go"]
    with pytest.raises(UsageError, match="positional prompt"):
        arguments.parse(["-p", "stop", "go"])


@pytest.mark.parametrize("word", ["--delete-session", "--deleteSession=1", "-s", "--sandbox", "--screenReader", "-i"])
def test_a_flag_that_is_not_here_is_refused_in_a_sentence(word: str) -> None:
    with pytest.raises(UsageError, match=r"^--[a-z-]+ asks for (a|an|the) [a-z ]+: not supported yet, "):
        arguments.parse([word])


@pytest.mark.parametrize("words", [["--versio"], ["-p"], ["-p", "--sandbox"], ["-m", "--yolo"], ["--no-model"]])
def test_what_gemini_cli_refuses_is_refused(words: list[str]) -> None:
    with pytest.raises(UsageError):
        arguments.parse(words)


def test_no_way_to_turn_a_switch_off_stands_in_the_help() -> None:
    assert "--no-" not in arguments.parser().format_help()


@pytest.mark.parametrize("words", ["--version", "-v", "-p -v", "--v", "--version=true", "go -dv"])
def test_the_version_is_shown_however_it_is_asked_for(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.split()) == 0
    assert capsys.readouterr().out.count("\n") == 1
