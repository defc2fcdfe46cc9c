"""ADR 0002 has a row for every library that the project depends on, and says truly which are imported."""

import re
import tomllib
from typing import Final

from tests.arch.tree import imports, sources
from tests.docs.pages import ROOT

TEXT: Final = (ROOT / "docs" / "adr" / "0002-libraries.md").read_text("utf-8")
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def rows(title: str, text: str = TEXT) -> dict[str, list[str]]:
    """The first table below a heading, by its first column."""
    table = re.search(r"^\| .*\n\| -.*\n((?:\|.*\n)+)", text.partition(f"## {title}\n")[2], re.MULTILINE)
    assert table is not None
    cells = [line.strip("| ").split(" | ") for line in table[1].splitlines()]
    return {row[0]: row[1:] for row in cells}


def required(lines: list[str]) -> set[str]:
    """Names of packages without their versions."""
    return {re.split(r"[<>=!~;\[ ]", line)[0] for line in lines}


def test_every_dependency_has_a_row_and_every_row_is_one() -> None:
    assert set(rows("At run time")) == required(PROJECT["dependencies"])
    tools = {name for row in rows("For development") for name in row.split(", ")}
    assert tools == required(PROJECT["optional-dependencies"]["dev"])


def test_the_table_of_costs_has_the_same_libraries() -> None:
    costs = TEXT.partition("| library | version |")[2].partition("\n\n")[0]
    measured = {line.strip("| ").split(" | ")[0] for line in costs.splitlines()[2:]}
    assert measured == required(PROJECT["dependencies"])


def test_a_library_is_imported_unless_its_row_says_that_it_is_not() -> None:
    imported = {found.module.split(".")[0] for source in sources() for found in imports(source)}
    told = {name: not row[1].startswith("not imported") for name, row in rows("At run time").items()}
    aliases = {"attrs": {"attr", "attrs"}, "google-re2": {"re2"}}
    found = {name: bool(aliases.get(name, {name.replace("-", "_")}) & imported) for name in told}
    assert told == found
