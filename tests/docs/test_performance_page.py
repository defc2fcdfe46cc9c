"""Every benchmark has a place in one page of the explanations; `make bench --write` fills these and no more."""

import json
import re
import runpy
from pathlib import Path
from typing import Any, Final

import pytest

from tests.docs.pages import ROOT

BENCHMARKS: Final = ROOT / "tests" / "benchmarks"
PAGES: Final = tuple(sorted((ROOT / "docs" / "explanation").glob("*.md")))


def benchmarks() -> list[str]:
    """The names of all benchmarks."""
    return sorted(path.stem.removeprefix("bench_") for path in BENCHMARKS.glob("bench_*.py"))


def runner(*pages: Path) -> dict[str, Any]:
    """The program that runs the benchmarks, with its pages elsewhere."""
    loaded = runpy.run_path(str(BENCHMARKS / "__main__.py"), run_name="benchmarks")
    loaded["write"].__globals__["PAGES"] = pages
    return loaded


def test_every_benchmark_has_a_place_and_prints_its_name() -> None:
    program, text = runner(*PAGES), "".join(page.read_text("utf-8") for page in PAGES)
    for name in benchmarks():
        begin, end = program["BEGIN"].format(name), program["END"].format(name)
        assert (text.count(begin), text.count(end)) == (1, 1)
        assert text.index(begin) < text.index(end)
        assert json.dumps({"name": name})[1:-1] in (BENCHMARKS / f"bench_{name}.py").read_text()


def test_writing_twice_replaces_the_tables_and_leaves_the_prose(tmp_path: Path) -> None:
    pages = [tmp_path / page.name for page in PAGES]
    for page, original in zip(pages, PAGES, strict=True):
        page.write_text(original.read_text("utf-8"), "utf-8")
    program = runner(*pages)
    for value in (1, 2):
        figure = {"what": "a cost", "value": value, "unit": "µs", "target": "<= 1"}
        program["write"]([{"name": name, "figures": [figure]} for name in benchmarks()])
    written = "".join(page.read_text("utf-8") for page in pages)
    assert written.count("| a cost | 2 µs | ≤ 1: missed |") == len(benchmarks())
    assert "| a cost | 1 µs" not in written
    for page, original in zip(pages, PAGES, strict=True):
        assert prose(page.read_text("utf-8")) == prose(original.read_text("utf-8"))


def prose(text: str) -> str:
    """The page without its tables."""
    return re.sub(r"(<!-- figures of .*? -->).*?(<!-- end)", r"\1\2", text, flags=re.DOTALL)


def test_a_benchmark_without_a_place_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text("nothing\n")
    with pytest.raises(SystemExit, match="no place for the figures of step"):
        runner(page)["write"]([{"name": "step", "figures": []}])
