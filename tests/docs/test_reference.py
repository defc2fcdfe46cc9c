"""The reference pages that are made from the code say what the code says now."""

import pytest

from docs.generate import FOLDER, PAGES, error_tree
from runtime import errors
from runtime.step.kinds import ABOUT, StepKind


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_what_the_code_would_write_now(name: str) -> None:
    path = FOLDER / name
    committed = path.read_text("utf-8") if path.exists() else ""
    is_current = committed == PAGES[name]()
    assert is_current, f"docs/reference/{name} is missing or out of date: run `make docs`"


def test_every_kind_of_step_is_described() -> None:
    assert set(ABOUT) == set(StepKind)


def test_every_error_stands_in_the_tree() -> None:
    public = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)}
    assert {error for _, error in error_tree(errors.TwinstepError)} == public


def test_no_two_errors_share_a_code() -> None:
    codes = [error.code for _, error in error_tree(errors.TwinstepError)]
    assert len(codes) == len(set(codes))
