"""`twinstep export`: a session of a journal as a bundle, or as a test; wrong lines; and what is known to be secret."""

import io
from collections.abc import Mapping
from pathlib import Path

import pytest
import trio

from debugger.bundle.errors import CannotExport
from debugger.bundle.opening import opened
from debugger.expressions import BadExpression
from runtime.app import export, replay
from runtime.app.export import USAGE
from runtime.app.goingon import line_of
from runtime.app.secrets import of_environment, of_machine, of_settings
from runtime.errors import InputError, JournalCorrupt
from runtime.ports import StoredRecord
from runtime.step import Step
from runtime.step.records import pack, record_of
from runtime.stores import open_store
from tests.debugger.bundle.sessions import held, round_trip, talk

SECRET = "hunter2hunter2"


def kept(path: Path, steps: list[Step]) -> Path:
    """A journal of a session."""

    async def write() -> None:
        async with open_store(path) as store:
            for n, step in enumerate(steps):
                body, blobs = pack(record_of(step, "user", n, n), store.codec)
                store.append(StoredRecord("s1", step.after.seq, body), blobs)

    trio.run(write)
    return path


@pytest.fixture
def bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A journal with a secret, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return kept(tmp_path / "bug.jsonl", talk("hello", "ok", {"password": SECRET}).steps)


def done(*words: str) -> str:
    out = io.StringIO()
    assert export.run(words, out) == 0
    return out.getvalue()


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert export.run(words, io.StringIO()) == USAGE
    return capsys.readouterr().err.strip().removeprefix("twinstep: ")


@pytest.mark.parametrize("suffix", [".jsonl", ".db"])
def test_a_session_of_a_journal_becomes_a_bundle_that_replays(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = kept(tmp_path / f"j{suffix}", talk("hello", "ok", {"password": SECRET}).steps)
    bundle = tmp_path / "bug.twinstep"
    said = done("s1", str(bundle), "--journal", str(path))
    assert said.startswith(f"{bundle}: 25 records of session s1, state ")
    assert said.endswith(", 1 secret replaced in 1 place\n")
    assert SECRET.encode() not in bundle.read_bytes()
    out = io.StringIO()
    assert replay.run([str(bundle)], out) == 0
    assert out.getvalue().startswith("s1: 25 records replayed, every state as recorded")
    assert opened(bundle).manifest.digest in out.getvalue()
    assert bundle.stat().st_mode & 0o777 == 0o600


def test_the_session_that_was_used_last_can_be_meant(bug: Path) -> None:
    assert "of session s1" in done("latest", "a.twinstep", "--journal", str(bug))
    with pytest.raises(InputError, match="no session s2; it has s1"):
        done("s2", "b.twinstep", "--journal", str(bug))
    with pytest.raises(InputError, match=r"none\.jsonl: no such journal"):
        done("s1", "b.twinstep", "--journal", "none.jsonl")


def test_secrets_stay_where_that_is_asked_for(bug: Path) -> None:
    assert done("s1", "a.twinstep", "--journal", str(bug), "--no-redact").endswith(", nothing was redacted\n")
    assert SECRET.encode() in Path("a.twinstep").read_bytes()


def test_a_bundle_can_be_exported_again(bug: Path) -> None:
    done("s1", "a.twinstep", "--journal", str(bug), "--no-redact")
    done("s1", "b.twinstep", "--journal", "a.twinstep")
    assert SECRET.encode() not in Path("b.twinstep").read_bytes()


def test_a_replay_can_go_on_from_a_bundle(bug: Path) -> None:
    done("s1", "a.twinstep", "--journal", str(bug))
    line = line_of(Path("a.twinstep"), None)
    assert (line.name, line.last) == ("s1", 25)


def test_a_key_of_the_environment_is_in_no_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GEMINI_API_KEY", "a-very-secret-key")
    kept(tmp_path / "j.jsonl", talk("hello", "env: a-very-secret-key").steps)
    done("s1", "a.twinstep", "--journal", "j.jsonl")
    assert b"a-very-secret-key" not in Path("a.twinstep").read_bytes()


def test_a_test_of_a_record_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    kept(tmp_path / "j.jsonl", held().steps)
    words = ("s1", "--journal", "j.jsonl", "--test", "test_bug.py", "--show", "tool.args")
    assert done(*words) == "test_bug.py: reproduces record 11; run it with pytest\n"
    assert """assert stop.shown("tool.args") == '{"n":3}'""" in Path("test_bug.py").read_text()
    assert done(*words[:4], "test_two.py", "--record", "3") == "test_two.py: reproduces record 3; run it with pytest\n"


def test_what_no_test_can_be_written_of_is_named(bug: Path) -> None:
    words = ("s1", "--journal", str(bug), "--test", "test_bug.py")
    with pytest.raises(InputError, match=r"test_bug\.py: session s1 has records 1 to 25, and no 26"):
        done(*words, "--record", "26")
    with pytest.raises(BadExpression, match=r"this is no expression: .* \(state\.\(\)"):
        done(*words, "--show", "state.(")
    assert not Path("test_bug.py").exists()


def test_a_journal_that_does_not_replay_is_not_exported(bug: Path) -> None:
    whole = bug.read_bytes()
    bug.write_bytes(whole.replace(b'"seq":3,', b'"seq":4,', 1))
    with pytest.raises(JournalCorrupt):
        round_trip(bug, "s1")


def test_a_session_that_would_go_another_way_is_refused(bug: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "message.screen")
    with pytest.raises(CannotExport, match="record 3 of session s1 cannot be redacted"):
        done("s1", "a.twinstep", "--journal", str(bug))
    assert not Path("a.twinstep").exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["s1"], "name the bundle to write, *.twinstep, or --test FILE."),
        (["s1", "a.twinstep", "--show", "state.turn"], "--record and --show are for --test."),
        (["s1", "--test", "test_a.py", "--no-redact"], "--no-redact: a test is for others to run"),
        (["s1", "a.twinstep", "--journal", "j.jsonl", "--state", "x.db"], "--journal reads a file"),
        (["s1", "--test", "test_a.py", "--record", "0"], "argument --record: a record is a number from 1."),
        ([], "the following arguments are required: session."),
    ],
)
def test_wrong_lines_are_refused(words: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, *words).startswith(why)


def test_names_of_files_are_checked_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the name of a bundle ends in"):
        done("s1", "a.zip", "--journal", "none.jsonl")
    with pytest.raises(InputError, match="the name of a test is"):
        done("s1", "--test", "a.py", "--journal", "none.jsonl")


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({"GEMINI_API_KEY": " a-very-secret-key "}, {"a-very-secret-key"}),
        ({"GITHUB_TOKEN": "ghp_123456", "DB_PASSWORD": "correct horse"}, {"ghp_123456", "correct horse"}),
        ({"SSH_KEY": "/home/me/.ssh/id"}, set()),
        ({"USE_TOKEN": "yes", "KEYBOARD": "a-long-keyboard"}, set()),
    ],
)
def test_variables_are_secret_by_their_names(environ: Mapping[str, str], found: set[str]) -> None:
    assert set(of_environment(environ)) == found


def test_secrets_of_the_gateways_settings_are_known(tmp_path: Path) -> None:
    assert set(of_settings({"gateway": {"auth": {"token": "tok-123456"}}})) == {"tok-123456"}
    (tmp_path / ".openclaw").mkdir()
    (tmp_path / ".openclaw" / "openclaw.json").write_text('{"gateway": {"auth": {"token": "tok-123456"}}}')
    assert "tok-123456" in set(of_machine({"HOME": str(tmp_path)}))
    (tmp_path / ".openclaw" / "openclaw.json").write_text("{")
    assert set(of_machine({"HOME": str(tmp_path)})) == set()
