"""The pages name only targets that the Makefile has, and the Makefile describes those that people run."""

import re

import pytest

from tests.docs.pages import ROOT, Page, pages

MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = frozenset(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
NAMED = re.compile(r"(?:`|^\$ )make ([a-z][a-z-]*)")


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_a_page_names_only_targets_that_exist(page: Page) -> None:
    lines = [line for _, line in page.prose] + [line for block in page.blocks for line in block.lines]
    assert {name for line in lines for name in NAMED.findall(line)} - TARGETS == set()


def test_every_target_is_declared_phony() -> None:
    phony = set(re.sub(r"\\\n", " ", MAKEFILE).partition("\n.PHONY:")[2].split())
    assert phony == TARGETS
