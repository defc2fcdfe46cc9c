"""`twinstep replay` says of a journal that is not whole what is wrong with it, and where."""

import io
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.app.journals import listed
from runtime.app.replay import _said, run
from runtime.errors import InputError, JournalCorrupt
from runtime.ports import StoredRecord
from runtime.step import Phase
from runtime.step.records import pack, record_of
from runtime.stores import open_store
from runtime.vocab import Decision, Verdict
from tests.runtime.step.scenes import Run

LAST = 12


async def written(path: Path) -> Path:
    """A journal of one session with some records."""
    steps = Run.opened().calling("read_file").until(Phase.DONE).steps[:LAST]
    async with open_store(path) as store:
        for n, step in enumerate(steps):
            body, blobs = pack(record_of(step, "user", n, n), store.codec)
            store.append(StoredRecord("s1", step.after.seq, body), blobs)
        store.describe("s1", "a title")
    return path


def replayed(path: Path, *words: str) -> str:
    """What a replay prints."""
    out = io.StringIO()
    assert run([str(path), *words], out) == 0
    return out.getvalue()


async def broken(folder: Path, change: Callable[[list[bytes]], list[bytes]]) -> str:
    """What a replay says of a journal whose records were changed in their order, without the path."""
    path = await written(folder / "j.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    first = next(n for n, line in enumerate(lines) if line.startswith(b'{"session"'))
    path.write_bytes(b"".join([*lines[:first], *change(lines[first : first + LAST])]))
    with pytest.raises(JournalCorrupt) as caught:
        replayed(path)
    return str(caught.value).removeprefix(f"{path}: ")


async def test_a_whole_journal_is_replayed(tmp_path: Path) -> None:
    assert replayed(await written(tmp_path / "j.jsonl")).startswith(f"s1: {LAST} records replayed, every state as ")


@pytest.mark.parametrize("n", range(LAST - 1))
async def test_a_record_that_is_missing_is_named(tmp_path: Path, n: int) -> None:
    assert await broken(tmp_path, lambda lines: [*lines[:n], *lines[n + 1 :]]) == (
        f"record {n + 2} of session s1: a record is missing before it (expected {n + 1}) (after {n} good records)"
    )


@pytest.mark.parametrize("n", range(LAST))
async def test_a_record_that_stands_twice_is_named(tmp_path: Path, n: int) -> None:
    assert await broken(tmp_path, lambda lines: [*lines[: n + 1], *lines[n:]]) == (
        f"record {n + 1} of session s1 stands there twice (after {n + 1} good records)"
    )


async def test_a_record_that_is_there_again_later_is_named(tmp_path: Path) -> None:
    assert await broken(tmp_path, lambda lines: [*lines[:8], lines[3], *lines[8:]]) == (
        "record 4 of session s1 stands there twice (after 8 good records)"
    )


@pytest.mark.parametrize("n", range(LAST - 1))
async def test_a_record_that_stands_too_late_is_named(tmp_path: Path, n: int) -> None:
    assert await broken(tmp_path, lambda lines: [*lines[:n], lines[n + 1], lines[n], *lines[n + 2 :]]) == (
        f"record {n + 1} of session s1 stands behind record {n + 2} (after {n} good records)"
    )


async def test_of_two_faults_the_first_is_named(tmp_path: Path) -> None:
    said = await broken(tmp_path, lambda lines: [*lines[:3], *lines[4:8], *lines[7:]])
    assert said.startswith("record 5 of session s1: a record is missing before it (expected 4)")


async def test_a_record_that_is_missing_in_a_database_is_named(tmp_path: Path) -> None:
    path = await written(tmp_path / "j.db")
    database = sqlite3.connect(path)
    database.execute("DELETE FROM records WHERE seq = 4")
    database.commit()
    database.close()
    with pytest.raises(JournalCorrupt, match=r"record 5 of session s1: a record is missing before it \(expected 4\)"):
        replayed(path)


@pytest.mark.parametrize("name", ["j.jsonl", "j.db"])
async def test_a_journal_without_a_session_is_not_replayed_in_silence(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.touch()
    with pytest.raises(InputError) as caught:
        replayed(path)
    assert str(caught.value) == f"{path}: there is no session in it, so nothing was replayed."
    whole = await written(tmp_path / f"whole-{name}")
    async with open_store(whole) as store:
        store.forget("s1")
    with pytest.raises(InputError, match="there is no session in it"):
        replayed(whole)


def test_an_error_names_a_few_of_many_sessions() -> None:
    assert listed([]) == "none"
    assert listed(["a", "b"]) == "a, b"
    assert listed([f"s{n}" for n in range(1_000)]) == "s0, s1, s2, s3, s4 and 995 more"


async def test_each_step_shows_the_verdict_and_of_what_is_not_allowed_the_reason(tmp_path: Path) -> None:
    assert "allow by " in replayed(await written(tmp_path / "j.jsonl"), "--steps")
    rows = [json.loads(line) for line in replayed(tmp_path / "j.jsonl", "--steps", "--json").splitlines()]
    assert {"decision", "rule", "reason", "evidence"} == set(next(row["verdict"] for row in rows if "verdict" in row))
    assert _said(Verdict(Decision.REVIEW, "taint.sink", "It follows\x1b from a page.")) == (
        "review by taint.sink: It follows  from a page."
    )
