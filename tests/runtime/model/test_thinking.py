"""Words for levels of thought."""

import pytest

from runtime.model.thinking import BEYOND, LEVELS, WORDS, level_named, levels_of


@pytest.mark.parametrize(
    ("word", "level"),
    [
        (" High ", "high"),
        ("think harder", "medium"),
        ("think_hard", "low"),
        ("x-high", "xhigh"),
        ("none", "off"),
        ("gigantic", None),
        ("", None),
    ],
)
def test_a_word_stands_for_a_level_or_for_none(word: str, level: str | None) -> None:
    assert level_named(word) == level


def test_a_level_is_its_own_name_and_no_other_word_is_one() -> None:
    assert all(level_named(level) == level for level in (*LEVELS, *BEYOND))
    assert not {*WORDS} & {*LEVELS, *BEYOND}
    assert {*WORDS.values()} <= {*LEVELS, *BEYOND}


@pytest.mark.parametrize("model", ["gemini-3.1-pro-preview", "gemini-2.5-flash", "unheard-of"])
def test_the_levels_of_a_model_are_levels(model: str) -> None:
    assert {*levels_of(model)} <= {*LEVELS}
