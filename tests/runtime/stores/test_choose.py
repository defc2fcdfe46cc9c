"""The suffix of the path chooses the store, and nothing else is loaded."""

import subprocess
import sys
from pathlib import Path

import pytest

from runtime.stores import open_store
from runtime.stores.choose import SQLITE_SUFFIXES
from tests.arch.tree import ROOT


@pytest.mark.parametrize("suffix", [*SQLITE_SUFFIXES, ".DB"])
async def test_suffixes_of_databases_choose_sqlite(tmp_path: Path, suffix: str) -> None:
    async with open_store(tmp_path / f"journal{suffix}") as store:
        assert store.codec == "msgpack"


@pytest.mark.parametrize("name", ["journal.jsonl", "journal.json", "journal", "db", ".db.txt"])
async def test_any_other_name_chooses_json_lines(tmp_path: Path, name: str) -> None:
    async with open_store(str(tmp_path / name)) as store:
        assert store.codec == "json"


CODE = """
import sys
from runtime.stores import open_store
if sys.argv[1]:
    open_store(sys.argv[1])
print("sqlite3" in sys.modules)
"""


@pytest.mark.parametrize("name", ["journal.jsonl", ""])
def test_json_lines_do_not_load_sqlite(tmp_path: Path, name: str) -> None:
    command = [sys.executable, "-c", CODE, str(tmp_path / name) if name else ""]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "False\n"
