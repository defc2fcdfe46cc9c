"""docs/reference/journal.md against journals that were really written, and against what the stores say."""

import json
import re
import sqlite3
from pathlib import Path
from typing import Any, Final

import attrs
import pytest
import trio

from runtime.sessions.session import FIRST_SNAPSHOT
from runtime.step import records
from runtime.step.records import Record
from runtime.stores import lines, tables
from tests.arch.tree import sources
from tests.docs.pages import ROOT
from tests.e2e.command import Command

TEXT: Final = (ROOT / "docs" / "reference" / "journal.md").read_text("utf-8")
CALL: Final = {"functionCall": {"name": "run_shell_command", "args": {"command": "echo hello"}}}
ANSWERS: Final = ([CALL], [{"text": "done"}])


def section(title: str) -> str:
    """The text below a heading up to the next of the same depth."""
    return re.split(r"^#{2,3} ", TEXT.partition(f"# {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def names(text: str, column: int = 0) -> list[str]:
    """The names in the type of code in one column of the tables of a text."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall("`([^`]+)`", row[column])]


@pytest.fixture
def journal(tmp_path: Path) -> list[dict[str, Any]]:
    """The lines of a journal of a session with a tool call and a large prompt."""
    chunks = (
        [{"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]}] for parts in ANSWERS
    )
    recording = "\n".join(json.dumps({"method": "generateContentStream", "response": each}) for each in chunks)
    (tmp_path / "two.responses").write_text(recording)
    command, path = Command(tmp_path), tmp_path / "one.jsonl"
    words = ("-p", "x" * 20_000, "-y", "--fake-responses", str(tmp_path / "two.responses"), "--state", str(path))
    assert trio.run(command, *words).code == 0
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_field_of_a_written_record_is_described_and_the_other_way_round(
    journal: list[dict[str, Any]],
) -> None:
    written = {name for line in journal if "record" in line for name in line["record"]}
    assert written == set(names(section("Record")))
    fields = {field.name for field in attrs.fields(Record)}
    assert written - fields == {"on"}
    assert fields - written == set()


def test_every_kind_of_line_is_described(journal: list[dict[str, Any]]) -> None:
    described = [name.removeprefix('{"').partition('"')[0] for name in names(section("JSON lines"))[:]]
    begins = {next(iter(line)) for line in journal}
    assert begins <= set(described)
    assert {kind.decode() for kind in lines.KINDS} <= {f'{{"{name}":' for name in described}
    assert all("crc" in line for line in journal[1:])


def test_every_actor_that_is_written_is_described(journal: list[dict[str, Any]]) -> None:
    described = re.search(r"^\| `actor` .*$", TEXT, re.MULTILINE)
    actors = {re.sub(":.*", ":NAME", line["record"]["actor"]) for line in journal if "record" in line}
    assert described is not None
    assert actors == {"user", "model", "judge", "tool:NAME", "outbox", "system"}
    assert [actor for actor in actors if f"`{actor}`" not in described[0]] == []


def test_every_table_and_column_is_described() -> None:
    database = sqlite3.connect(":memory:")
    database.executescript(tables.SCHEMA + tables.DOCUMENTS + ";" + tables.USES)
    found = {}
    for (table,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
        found[table] = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
    rows = [line.strip("| ").split(" | ") for line in section("SQLite").splitlines() if line.startswith("| `")]
    assert {row[0].strip("`"): re.findall("`([a-z]+)`", row[1]) for row in rows} == found
    assert f"{tables.APPLICATION:#x}" in section("SQLite").lower()


def test_the_numbers_on_the_page_are_those_of_the_code() -> None:
    assert (lines.VERSION, tables.VERSION, records.SCHEMA) == (2, 3, 1)
    prose = " ".join(TEXT.split())
    assert f"more than {records.BLOB_AT >> 10} KiB" in prose
    assert f"The first is made at record {FIRST_SNAPSHOT}" in prose


def test_every_error_is_said_like_that_somewhere() -> None:
    said = "\n".join("\n".join(source.lines) for source in sources("runtime"))
    phrases = names(section("Errors"))
    assert len(phrases) > 12
    assert [phrase for phrase in phrases if phrase not in said and not phrase.startswith("--")] == []
