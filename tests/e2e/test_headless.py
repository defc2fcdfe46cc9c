"""`twinstep -p` as a person or a script runs it: outputs, exit codes, and what bad input leads to."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest
import trio

from runtime.app.replay import sessions
from tests.e2e.command import Command
from tests.fakes import gemini_stub as stub

YOLO = ("-y", "-m", "gemini-2.5-flash")


async def test_a_run_with_a_tool_call_shows_the_events_of_gemini_cli(tmp_path: Path) -> None:
    async with stub.serving(stub.loop(turns=1)) as (server, url):
        command = Command(tmp_path, url)
        (command.workspace / "lines.txt").write_text("one\ntwo\n")
        ran = await command("-p", "go", *YOLO)
    assert ran.code == 0
    assert [event["type"] for event in ran.events] == [
        "init",
        "message",
        "tool_use",
        "tool_result",
        "message",
        "result",
    ]
    assert ran.events[1]["content"] == "go"
    assert ran.events[4]["content"] == "done"
    assert ran.result["status"] == "success"
    assert ran.result["stats"]["tool_calls"] == 1
    assert len(server.requests) == 2


async def test_every_run_leaves_a_journal_that_replays(tmp_path: Path) -> None:
    async with stub.serving(stub.loop(turns=2, calls=2)) as (_, url):
        command = Command(tmp_path, url)
        (command.workspace / "lines.txt").write_text("one\ntwo\n")
        await command("-p", "go", *YOLO)
    (journal,) = command.journals
    assert sum(1 for _, steps in sessions(journal) for _ in steps) > 20


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"key": None}, 41, "GEMINI_API_KEY"),
        (
            {"settings": {"security": {"auth": {"selectedType": "oauth-personal"}, "folderTrust": {"enabled": False}}}},
            41,
            "oauth-personal",
        ),
        ({"settings": {"security": {"folderTrust": {"enabled": True}}}}, 55, "--skip-trust"),
        ({"settings": {"tools": {"core": 7}}}, 52, "tools.core"),
    ],
)
async def test_each_early_ending_says_why_and_still_writes_its_result(
    tmp_path: Path, change: dict[str, object], code: int, said: str
) -> None:
    command = Command(tmp_path, "http://127.0.0.1:9")
    for name, value in change.items():
        setattr(command, name, value)
    ran = await command("-p", "go")
    assert ran.code == code
    assert ran.result["status"] == "error"
    assert said in ran.result["error"]["message"]


async def test_settings_that_are_no_json_name_the_file_and_the_place(tmp_path: Path) -> None:
    command = Command(tmp_path)
    (command.workspace / ".gemini").mkdir()
    (command.workspace / ".gemini" / "settings.json").write_text('{"model": {')
    ran = await command("-p", "go", formats="text")
    assert ran.code == 52
    assert ran.out == ""
    assert "settings.json" in ran.err
    assert "line 1" in ran.err
    assert "Traceback" not in ran.err


async def test_no_prompt_at_all_is_bad_input(tmp_path: Path) -> None:
    ran = await Command(tmp_path, "http://127.0.0.1:9")()
    assert ran.code == 42
    assert ran.result["error"]["type"] == "FatalInputError"


async def test_an_unknown_model_is_named_by_the_api(tmp_path: Path) -> None:
    scenario = stub.error(404, "NOT_FOUND", "models/nope is not found for API version v1beta", times=99)
    async with stub.serving(scenario) as (server, url):
        ran = await Command(tmp_path, url)("-p", "go", "-y", "-m", "nope")
    assert ran.code == 1
    assert "models/nope is not found" in ran.result["error"]["message"]
    assert len(server.requests) == 1


@pytest.mark.parametrize(("status", "code"), [(400, 144), (401, 145), (403, 147)])
async def test_an_api_error_becomes_its_status_in_the_machine_formats(tmp_path: Path, status: int, code: int) -> None:
    async with stub.serving(stub.error(status, "NO", "the stub says no", times=99)) as (_, url):
        command = Command(tmp_path, url)
        assert (await command("-p", "go", *YOLO)).code == code
        whole = await command("-p", "go", *YOLO, formats="json")
        assert whole.code == code
        assert whole.out == ""
        assert json.loads(whole.err)["error"]["code"] == status
        assert (await command("-p", "go", *YOLO, formats="text")).code == 1


async def test_a_model_that_sends_no_json_is_a_clear_error(tmp_path: Path) -> None:
    command = Command(tmp_path)
    command.settings["general"] = {"maxAttempts": 1}
    async with stub.serving(stub.garbage()) as (_, url):
        command.url = url
        ran = await command("-p", "go", *YOLO)
    assert ran.code == 1
    assert "{nope" in ran.result["error"]["message"]


async def test_a_call_with_wrong_arguments_goes_back_to_the_model(tmp_path: Path) -> None:
    async with stub.serving(stub.loop(turns=1, args="{}")) as (server, url):
        ran = await Command(tmp_path, url)("-p", "go", *YOLO)
    assert ran.code == 0
    told = server.requests[1].body["contents"][-1]["parts"][0]["functionResponse"]["response"]
    assert told == {"error": "params must have required property 'file_path'"}


@pytest.mark.parametrize("args", ['"a.txt"', '["a.txt"]', "5"])
async def test_arguments_that_are_no_object_are_named_to_the_model(tmp_path: Path, args: str) -> None:
    async with stub.serving(stub.loop(turns=1, args=args)) as (server, url):
        ran = await Command(tmp_path, url)("-p", "go", *YOLO)
    assert ran.code == 0
    told = server.requests[1].body["contents"][-1]["parts"][0]["functionResponse"]["response"]
    assert told == {"error": f"params must be object, not {args}"}
    (shown,) = [event["parameters"] for event in ran.events if event["type"] == "tool_use"]
    assert shown == json.loads(args)


async def test_an_address_with_an_empty_port_is_the_one_without(tmp_path: Path) -> None:
    command = Command(tmp_path, "http://127.0.0.77:/")
    command.settings["general"] = {"maxAttempts": 1}
    ran = await command("-p", "go", *YOLO)
    assert "cannot connect to 127.0.0.77: " in ran.result["error"]["message"]


async def test_a_session_may_have_any_id_that_gemini_cli_takes(tmp_path: Path) -> None:
    async with stub.serving(stub.text("done")) as (_, url):
        command = Command(tmp_path, url)
        first = await command("-p", "go", *YOLO, "--session-id", "my-run_1")
        again = await command("-r", "my-run_1", "-p", "more", *YOLO)
    assert (first.code, again.code) == (0, 0)
    assert first.events[0]["session_id"] == again.events[0]["session_id"] == "my-run_1"


async def test_a_stream_that_is_cut_in_the_middle_ends_the_run_and_keeps_the_prompt(tmp_path: Path) -> None:
    async with stub.serving(stub.cut("close")) as (_, url):
        command = Command(tmp_path, url)
        ran = await command("-p", "go", *YOLO)
        assert ran.code == 1
        assert ran.result["error"]["message"] == "[API Error: terminated]"
        again = await command("-r", "latest", "-p", "once more", *YOLO)
    assert again.code == 0


async def test_a_stream_that_stays_invalid_is_tried_four_times_and_fails(tmp_path: Path) -> None:
    async with stub.serving(stub.odd(finish="", said="half", times=99)) as (server, url):
        ran = await Command(tmp_path, url)("-p", "go", *YOLO)
    assert ran.code == 1
    assert len(server.requests) == 4
    assert [event["type"] for event in ran.events if event["type"] in ("retry", "error", "result")] == [
        *["retry"] * 3,
        "error",
        "result",
    ]


async def test_terminal_sequences_of_the_model_do_not_reach_the_terminal(tmp_path: Path) -> None:
    async with stub.serving(stub.ansi()) as (_, url):
        command = Command(tmp_path, url)
        plain = await command("-p", "go", *YOLO, formats="text")
        raw = await command("-p", "go", *YOLO, "--raw-output", formats="text")
    assert "\x1b" not in plain.out
    assert "red" in plain.out
    assert "\x1b[31m" in raw.out
    assert "--raw-output" in raw.err


async def test_a_prompt_of_ten_megabytes_is_cut_as_gemini_cli_cuts_it(tmp_path: Path) -> None:
    async with stub.serving(stub.text("done")) as (server, url):
        ran = await Command(tmp_path, url)("-p", "end", *YOLO, stdin=b"x" * 10_000_000)
    assert ran.code == 0
    assert "8 MiB" in ran.err
    said = server.requests[0].body["contents"][0]["parts"][-1]["text"]
    assert said.endswith("x\n\nend")
    assert 8_000_000 < len(said) < 9_000_000


async def test_the_turn_limit_ends_the_run_before_the_next_request(tmp_path: Path) -> None:
    async with stub.serving(stub.loop(turns=9)) as (server, url):
        command = Command(tmp_path, url)
        command.settings["model"] = {"maxSessionTurns": 2}
        (command.workspace / "lines.txt").write_text("one\n")
        ran = await command("-p", "go", *YOLO)
    assert ran.code == 53
    assert ran.result["error"]["type"] == "FatalTurnLimitedError"
    assert len(server.requests) == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_in_a_tool_leaves_no_process_and_a_session_that_goes_on(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    mark = tmp_path / "started"
    args = json.dumps({"command": f"echo $$ > {mark}; sleep 600"})
    async with stub.serving(stub.loop(turns=1, tool="run_shell_command", args=args)) as (server, url):
        command = Command(tmp_path, url)

        async def running() -> None:
            # A file of another process: there is nothing to wait on.
            while not (mark.exists() and mark.read_text().strip()):  # noqa: ASYNC110
                await trio.sleep(0.02)

        ran = await command.stopped("-p", "go", *YOLO, by=number, when=running)
        assert ran.code == code
        assert ran.result["status"] == "error"
        with pytest.raises(ProcessLookupError):
            os.kill(int(mark.read_text()), 0)
        again = await command("-r", "latest", *YOLO)
    assert again.code == 0
    told = server.requests[1].body["contents"][-1]["parts"][0]["functionResponse"]["response"]
    assert "was not run again" in told["error"]
    assert server.requests[1].body["contents"][0] == server.requests[0].body["contents"][0]


async def test_resume_without_a_prompt_and_with_nothing_open_is_bad_input(tmp_path: Path) -> None:
    async with stub.serving(stub.text("done")) as (_, url):
        command = Command(tmp_path, url)
        await command("-p", "go", *YOLO)
        assert (await command("-r", "latest", *YOLO)).code == 42
        assert (await command("-r", "9", "-p", "go", *YOLO)).code == 42


async def test_one_state_file_holds_many_sessions(tmp_path: Path) -> None:
    async with stub.serving(stub.text("done")) as (server, url):
        command = Command(tmp_path, url)
        state = str(tmp_path / "all.db")
        for said in ("one", "two"):
            assert (await command("-p", said, *YOLO, "--state", state)).code == 0
        assert (await command("-r", "1", "-p", "three", *YOLO, "--state", state)).code == 0
        listed = await command("--list-sessions", "--state", state, formats="")
    assert [part["text"] for part in server.requests[2].body["contents"][0]["parts"]][-1] == "one"
    assert listed.out.splitlines()[0] == "Available sessions for this project (2):"


async def test_a_reader_that_leaves_ends_the_run_quietly(tmp_path: Path) -> None:
    async with stub.serving(stub.text("word", chunks=200)) as (_, url):
        command = Command(tmp_path, url)
        words = f"{sys.executable} -m runtime.app.main -p go -y -m gemini-2.5-flash -o stream-json | head -n 1"
        (command.home / ".gemini" / "settings.json").write_text(json.dumps(command.settings))
        with trio.fail_after(60):
            ran = await trio.run_process(
                ["bash", "-c", f"set -o pipefail; {words}"],
                capture_stdout=True,
                capture_stderr=True,
                check=False,
                cwd=command.workspace,
                env=command.environment(),
            )
    assert ran.returncode == 0
    assert ran.stderr == b""


async def test_what_a_recording_plays_is_not_in_the_error_of_a_missing_line(tmp_path: Path) -> None:
    recording = tmp_path / "empty.responses"
    recording.write_text("")
    ran = await Command(tmp_path)("-p", "go", "-m", "gemini-2.5-flash", "--fake-responses", str(recording))
    assert ran.code == 1
    assert "empty.responses" in ran.result["error"]["message"]
    assert "session_context" not in ran.out


async def test_recorded_answers_play_again_as_they_came(tmp_path: Path) -> None:
    recording = tmp_path / "new.responses"
    command = Command(tmp_path)
    async with stub.serving(stub.thought()) as (_, url):
        command.url = url
        first = await command("-p", "go", *YOLO, "--record-responses", str(recording))
    again = await command("-p", "go", *YOLO, "--fake-responses", str(recording))
    assert (first.code, again.code) == (0, 0)
    said = [[event.get("content") for event in ran.events if event["type"] == "message"] for ran in (first, again)]
    assert said[0] == said[1]


async def test_flags_that_make_no_sense_are_refused_in_one_sentence(tmp_path: Path) -> None:
    ran = await Command(tmp_path)("-p", "go", "--yolo", "--approval-mode", "plan", formats="")
    assert ran.code == 1
    assert ran.err.count("\n") == 1
    assert "--approval-mode" in ran.err
