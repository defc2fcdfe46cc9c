"""What a hostile server, model, file or person may try on a headless run, and what it must not lead to."""

import json
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from tests.e2e.command import Command
from tests.fakes import gemini_stub as stub

YOLO = ("-y", "-m", "gemini-2.5-flash")


def cut_after(journal: Path, on: str) -> None:
    """Cut a journal behind the first record of that event: a point at which the process could have died."""
    kept = []
    for line in journal.read_bytes().splitlines(keepends=True):
        kept.append(line)
        record = json.loads(line).get("record")
        if record and record["on"] == on:
            journal.write_bytes(b"".join(kept))
            return
    raise AssertionError(f"no {on} in {journal}")


def is_running(process: int) -> bool:
    """Whether a process runs. One that ended and that nobody asked for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


@pytest.mark.parametrize("point", ["judged", "ended"])
async def test_a_call_that_was_allowed_under_other_rules_is_judged_again_on_resume(tmp_path: Path, point: str) -> None:
    args = json.dumps({"command": "echo ran >> ran.txt"})
    async with stub.serving(stub.loop(turns=1, tool="run_shell_command", args=args)) as (server, url):
        command = Command(tmp_path, url)
        await command("-p", "go", *YOLO)
        (journal,) = command.journals
        cut_after(journal, point)
        (command.workspace / "ran.txt").unlink()
        ran = await command("-r", "latest", "--approval-mode", "default", "-m", "gemini-2.5-flash")
    assert ran.code == 0
    assert not (command.workspace / "ran.txt").exists()
    told = server.requests[-1].body["contents"][-1]["parts"][0]["functionResponse"]["response"]
    assert "error" in told


async def test_a_session_does_not_go_on_in_another_folder(tmp_path: Path) -> None:
    async with stub.serving(stub.text("done")) as (_, url):
        here, there = Command(tmp_path / "a", url), Command(tmp_path / "b", url)
        state = str(tmp_path / "one.jsonl")
        assert (await here("-p", "go", *YOLO, "--state", state)).code == 0
        ran = await there("-r", "latest", "-p", "more", *YOLO, "--state", state)
    assert ran.code == 42
    assert str(here.workspace) in ran.result["error"]["message"]


async def test_latest_never_means_another_session_than_the_damaged_one(tmp_path: Path) -> None:
    async with stub.serving(stub.text("done")) as (_, url):
        command = Command(tmp_path, url)
        await command("-p", "one", *YOLO)
        await command("-p", "two", *YOLO)
        newest = command.journals[-1]
        content = bytearray(newest.read_bytes())
        content[len(content) // 2] ^= 1
        newest.write_bytes(content)
        ran = await command("-r", "latest", "-p", "more", *YOLO)
        listed = await command("--list-sessions", formats="")
    assert ran.code == 1
    assert newest.name in ran.result["error"]["message"]
    assert "cannot be read" in listed.out


async def test_latest_is_the_session_that_was_used_last(tmp_path: Path) -> None:
    async with stub.serving(stub.text("done")) as (server, url):
        command = Command(tmp_path, url)
        for words in (("-p", "one"), ("-p", "two"), ("-r", "1", "-p", "again"), ("-r", "latest", "-p", "more")):
            assert (await command(*words, *YOLO)).code == 0
    said = [part["text"] for content in server.requests[-1].body["contents"] for part in content["parts"]]
    assert "one" in said
    assert "two" not in said


async def test_an_answer_that_is_nested_too_deep_leaves_a_journal_that_can_be_read(tmp_path: Path) -> None:
    deep = "[" * 300 + "]" * 300
    command = Command(tmp_path)
    command.settings["general"] = {"maxAttempts": 1}
    async with stub.serving(stub.loop(turns=1, args='{"file_path": %s}' % deep)) as (_, url):  # noqa: UP031
        command.url = url
        ran = await command("-p", "go", *YOLO)
        assert ran.code == 1
        assert "nested too deep" in ran.result["error"]["message"]
    async with stub.serving(stub.text("done")) as (_, url):
        command.url = url
        assert (await command("-r", "latest", "-p", "more", *YOLO)).code == 0


async def test_a_key_that_the_server_repeats_is_not_shown_and_not_journaled(tmp_path: Path) -> None:
    command = Command(tmp_path, key="sk-very-secret-key-123")
    scenario = stub.error(400, "INVALID_ARGUMENT", "the key sk-very-secret-key-123 is bad", times=9)
    async with stub.serving(scenario) as (_, url):
        command.url = url
        ran = await command("-p", "go", *YOLO)
    assert ran.code == 144
    assert "the key *** is bad" in ran.result["error"]["message"]
    (journal,) = command.journals
    assert b"very-secret" not in journal.read_bytes() + ran.out.encode() + ran.err.encode()


async def test_counts_beyond_all_bounds_do_not_take_the_result_with_them(tmp_path: Path) -> None:
    huge = int("9" * 400)
    chunk = stub.chunk([{"text": "done"}], "STOP", usageMetadata={"promptTokenCount": huge, "totalTokenCount": -1})
    async with stub.serving(stub.script(stub.events(chunk))) as (_, url):
        ran = await Command(tmp_path, url)("-p", "go", *YOLO)
    assert ran.code == 0
    assert ran.result["stats"]["total_tokens"] == 0


async def test_a_server_that_asks_for_years_is_not_waited_for(tmp_path: Path) -> None:
    details = json.dumps([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "99999999s"}])
    async with stub.serving(stub.error(500, "INTERNAL", "later", details, times=9)) as (server, url):
        ran = await Command(tmp_path, url)("-p", "go", *YOLO)
    assert ran.code == 500 & 0xFF
    assert len(server.requests) == 1


async def test_an_answer_with_a_thousand_calls_is_asked_for_again_and_none_runs(tmp_path: Path) -> None:
    parts = [{"functionCall": {"name": "run_shell_command", "args": {"command": "touch x"}}}] * 1000
    many = stub.events(stub.chunk(parts, "STOP"))
    async with stub.serving(stub.at_first(1, many)) as (server, url):
        command = Command(tmp_path, url)
        ran = await command("-p", "go", *YOLO)
    assert ran.code == 0
    assert len(server.requests) == 2
    assert list(command.workspace.iterdir()) == []


@pytest.mark.parametrize("again", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("leader", ["", "setsid "])
async def test_a_second_signal_ends_all_at_once_and_the_last_word_is_still_there(
    tmp_path: Path, again: signal.Signals, leader: str
) -> None:
    mark, deaf = tmp_path / "started", tmp_path / "deaf"
    deaf.write_text(f"trap '' TERM INT HUP; echo $$ > {mark}.made; mv {mark}.made {mark}; while :; do sleep 1; done")
    args = json.dumps({"command": f"trap '' TERM INT HUP; {leader}bash {deaf} & wait"})
    async with stub.serving(stub.loop(turns=1, tool="run_shell_command", args=args)) as (_, url):
        command = Command(tmp_path, url)

        async def twice() -> None:
            while not mark.exists():  # noqa: ASYNC110 - a file of another process: there is nothing to wait on
                await trio.sleep(0.02)

        ran = await command.stopped("-p", "go", *YOLO, by=signal.SIGTERM, when=twice, then=again)
    assert ran.code == 143
    assert ran.result["error"]["message"] == (
        "Stopped by SIGTERM. The open prompt is in the journal: twinstep --resume latest goes on with it."
    )
    process = int(mark.read_text())
    try:
        with trio.fail_after(5):  # whoever is killed is gone a moment later
            while is_running(process):  # noqa: ASYNC110 - not a child: there is nothing to wait on
                await trio.sleep(0.02)
    finally:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
