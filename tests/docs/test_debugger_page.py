"""Every test that the debugger's page names for a feature is there, and every feature has one."""

import re
from typing import Final

import pytest

from tests.docs.pages import ROOT

TEXT: Final = (ROOT / "docs" / "explanation" / "debugger.md").read_text("utf-8")
ROWS: Final = re.findall(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \|$", TEXT, re.MULTILINE)
NAMED: Final = [(number, name) for number, _, cell in ROWS for name in re.findall("`([^`]+)`", cell)]
BUILT: Final = {*range(1, 41)}


@pytest.mark.parametrize(("number", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_test_that_is_named_is_there(number: str, name: str) -> None:
    file, _, function = name.partition("::")
    found = [path for path in (ROOT / "tests" / "debugger" / file, ROOT / "tests" / file) if path.is_file()]
    assert found, name
    assert not function or f"def {function}(" in found[0].read_text("utf-8"), name


def test_every_feature_that_is_built_has_a_row_and_a_test() -> None:
    assert {int(number) for number, _, _ in ROWS} == BUILT
    assert all("`" in cell or "figures" in cell for _, _, cell in ROWS)
