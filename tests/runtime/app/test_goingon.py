"""`twinstep replay --from RECORD` goes on in a journal of its own: live, or with the record answering equal calls."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from runtime.app.goingon import line_of
from runtime.app.replay import run
from runtime.errors import InputError, JournalError, UntrustedWorkspace, UsageError
from runtime.ports import StoredRecord
from runtime.step import Phase, StepKind
from runtime.step import events as ev
from runtime.step.receipts import ReceiptNeeded
from runtime.step.records import pack, record_of
from runtime.step.rewriting import EditRefused
from runtime.stores import open_store
from runtime.vocab import Toolset
from tests.runtime.step.scenes import OPENING, Run, called

CALL = {"name": "read_file", "args": {"file_path": "a.txt"}, "id": "c0"}
TOOLS = Toolset(("read_file", "run_shell_command"), (), {"read_file": "pure", "run_shell_command": "irreversible"})


async def recorded(folder: Path, *, workspace: Path | None = None) -> Path:
    """A journal: a file is read, and the answer is given."""
    made = Run.opened(workspace=str(workspace or folder), max_attempts=1).say().until(Phase.BUILDING)
    made.give(ev.ContextBuilt("be brief", TOOLS, OPENING)).until(Phase.STREAMING)
    made.answered(called(CALL)).until(Phase.DONE)
    path = folder / "j.jsonl"
    async with open_store(path) as store:
        for n, step in enumerate(made.steps):
            body, blobs = pack(record_of(step, "user", n, n), store.codec)
            store.append(StoredRecord("s1", step.after.seq, body), blobs)
    return path


def answers(folder: Path, *parts: list[dict[str, Any]]) -> str:
    """A recording with these answers, as a flag wants it."""
    path = folder / "answers.responses"
    lines = [
        {
            "method": "generateContentStream",
            "response": [{"candidates": [{"content": {"role": "model", "parts": one}, "finishReason": "STOP"}]}],
        }
        for one in parts
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def asked(path: str, call: str = "c1") -> dict[str, Any]:
    """A part that asks for a file."""
    return {"functionCall": {"name": "read_file", "args": {"file_path": path}, "id": call}}


def before(path: Path, kind: StepKind, nth: int = 0) -> int:
    """The number of the record before the step of this kind."""
    return [one.seq for one in line_of(path, None).path() if one.kind is kind][nth] - 1


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in, and a home that has nothing."""
    folder = (tmp_path / "ws").resolve()
    folder.mkdir()
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GEMINI_MODEL"):
        monkeypatch.delenv(name, raising=False)
    return folder


def replayed(path: Path, start: int, *words: str) -> dict[str, Any]:
    """What it says of itself."""
    out = io.StringIO()
    target = path.with_name("new.jsonl")
    assert run([str(path), "--from", str(start), "--json", "--out", str(target), *words], out) == 0
    told: dict[str, Any] = json.loads(out.getvalue())
    again = io.StringIO()
    assert run([str(target), "--json"], again) == 0  # what it wrote is a journal like any other
    assert json.loads(again.getvalue())["session"] == told["session"]
    return told


def in_thread(work: Any, *args: Any) -> Any:
    """Run it as the command line does: outside of any run of Trio."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work, *args).result()


async def test_another_model_is_answered_from_the_record(place: Path) -> None:
    path = await recorded(place)
    fake = answers(place, [asked("a.txt")], [{"text": "other words"}])
    told = in_thread(replayed, path, before(path, StepKind.TURN_START), "--model", "m2", "--fake-responses", fake)
    assert (told["calls_answered"], told["calls_made"], told["calls_not_recorded"]) == (1, 0, [])
    assert (told["requests_made"], told["answer"], told["phase"]) == (2, "other words", "done")
    line = line_of(path.with_name("new.jsonl"), None)
    assert line.at(line.last).settings.model == "m2"
    assert "result of" in str(line.at(line.last).history[2].parts)


async def test_a_call_that_the_record_does_not_have_is_refused_and_named(place: Path) -> None:
    path = await recorded(place)
    fake = answers(place, [asked("b.txt")], [{"text": "well"}])
    told = in_thread(
        replayed, path, before(path, StepKind.TURN_START), "--system", "Be a pirate.", "--fake-responses", fake
    )
    assert (told["calls_answered"], told["calls_made"], told["calls_not_recorded"]) == (0, 0, ["read_file"])
    line = line_of(path.with_name("new.jsonl"), None)
    context = line.at(line.last).context
    assert context is not None
    assert context.system == "Be a pirate."


async def test_with_live_tools_it_runs_where_somebody_confirmed(place: Path) -> None:
    path = await recorded(place)
    (place / "b.txt").write_text("there is something")
    start = before(path, StepKind.TURN_START)
    fake = answers(place, [asked("b.txt")], [{"text": "well"}])
    words = ("--model", "m2", "--live-tools", "--skip-trust", "--fake-responses", fake)
    with pytest.raises(ReceiptNeeded):
        in_thread(replayed, path, start, *words)
    receipt = line_of(path, None).receipt(start).digest
    told = in_thread(replayed, path, start, *words, "--receipt", receipt)
    assert (told["calls_made"], told["calls_not_recorded"]) == (1, ["read_file"])
    line = line_of(path.with_name("new.jsonl"), None)
    assert "there is something" in str(line.at(line.last).history[2].parts)


async def test_live_goes_on_with_everything(place: Path) -> None:
    path = await recorded(place)
    (place / "a.txt").write_text("the file of today")
    start = before(path, StepKind.CALL_JUDGE)
    fake = answers(place, [{"text": "first, of the record"}], [{"text": "well"}])
    receipt = line_of(path, None).receipt(start).digest
    told = in_thread(replayed, path, start, "--live", "--skip-trust", "--fake-responses", fake, "--receipt", receipt)
    assert (told["mode"], told["calls_made"], told["requests_made"], told["phase"]) == ("hybrid", 1, 1, "done")
    line = line_of(path.with_name("new.jsonl"), None)
    assert "the file of today" in str(line.at(line.last).history[2].parts)


@pytest.mark.parametrize("kind", [StepKind.TURN_START, StepKind.MODEL_REQUEST])  # without its tools, and with them
async def test_a_call_that_may_not_run_any_more_is_named(place: Path, kind: StepKind) -> None:
    path = await recorded(place)
    start = before(path, kind)
    shell = {"functionCall": {"name": "run_shell_command", "args": {"command": "true"}, "id": "c1"}}
    line = [str(path), "--from", str(start), "--live", "--skip-trust", "--out", str(place / "new.jsonl")]
    line += ["--fake-responses", answers(place, [shell], [{"text": "well"}])]
    line += ["--receipt", line_of(path, None).receipt(start).digest]
    out = io.StringIO()
    assert in_thread(run, line, out) == 0
    first, refused, answer = out.getvalue().splitlines()
    assert "2 model requests made, 0 calls answered from the record, 0 run" in first
    assert (refused, answer) == ("refused: run_shell_command", "well")


@pytest.mark.parametrize("words", [(), ("--json",)])
async def test_a_prompt_that_fails_says_why_and_ends_like_a_run(
    place: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    path = await recorded(place)
    fake = answers(place, [asked("a.txt")])  # there is no second answer
    out = io.StringIO()
    line = (str(path), "--from", str(before(path, StepKind.TURN_START)), "--model", "m2", "--fake-responses", fake)
    assert in_thread(run, [*line, *words], out) == 1
    assert "no answer for generateContentStream is left" in (out.getvalue() if words else capsys.readouterr().err)


async def test_whoever_has_to_confirm_is_told_how(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = await recorded(place)
    start = before(path, StepKind.TURN_START)
    with pytest.raises(ReceiptNeeded):
        in_thread(run, [str(path), "--from", str(start), "--live"], io.StringIO())
    said = capsys.readouterr().err
    assert f"--receipt {line_of(path, None).receipt(start).digest}" in said


async def test_what_cannot_go_on_is_refused_in_one_sentence(place: Path, tmp_path: Path) -> None:
    path = await recorded(place)
    fake = answers(place, [{"text": "x"}])
    start = before(path, StepKind.TURN_START)
    end = line_of(path, None).last
    live = ("--live", "--receipt", line_of(path, None).receipt(start).digest, "--fake-responses", fake)
    (tmp_path / "elsewhere").mkdir()
    other = await recorded(tmp_path / "elsewhere")
    wrongs: list[tuple[type[Exception], str, list[str]]] = [
        (UsageError, "going on needs --from", [str(path), "--live"]),
        (UsageError, "going on needs --from", [str(path), "--model", "m"]),
        (UsageError, "going on needs --from", [str(path), "--skip-trust"]),
        (UsageError, "going on needs --from", [str(path), "--fake-responses", fake]),
        (UsageError, "--steps lists a replay to its end", [str(path), "--from", "3", "--live", "--steps"]),
        (EditRefused, "model: must be the name", [str(path), "--from", str(start), "--model", ""]),
        (UsageError, "--from needs --live, --model or --system", [str(path), "--from", "3"]),
        (UsageError, "--live changes nothing", [str(path), "--from", "3", "--live", "--model", "m"]),
        (InputError, "no prompt is open", [str(path), "--from", str(end), *live]),
        (JournalError, f"has records 1 to {end}, and no 99", [str(path), "--from", "99", *live]),
        (InputError, "no session x", [str(path), "--session", "x", "--from", "3", *live]),
        (InputError, "is there already", [str(path), "--from", str(start), *live, "--skip-trust", "--out", str(path)]),
        (UntrustedWorkspace, "trust", [str(path), "--from", str(start), *live]),
        (InputError, "belongs to the folder", [str(other), "--from", str(start), *live, "--skip-trust"]),
    ]
    for kind, text, words in wrongs:
        with pytest.raises(kind, match=text):
            in_thread(run, words, io.StringIO())
    assert not list(place.glob("j-from-*"))


async def test_a_flipped_byte_of_a_journal_is_refused_with_the_record(place: Path) -> None:
    path = await recorded(place)
    whole = path.read_bytes()
    starts = [n for n in range(len(whole)) if whole.startswith(b'{"session"', n)]
    for number, begin in enumerate(starts, 1):
        end = whole.index(b"\n", begin)
        for at in range(begin + 12, end, 41):
            path.write_bytes(bytes([*whole[:at], whole[at] ^ 4, *whole[at + 1 :]]))
            with pytest.raises(JournalError, match=rf"record {number}\b|\(after {number - 1} good records\)"):
                run([str(path)], io.StringIO())
