"""Rows as tables: in line, to the right where they are numbers, and never broader than the terminal."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debugger.repl.tables import GAP, NARROW, Column, broad, fitted, numbers, seconds, table
from debugger.repl.texts import cleaned, many, span


def test_a_table_leaves_out_what_is_empty_everywhere() -> None:
    assert table([{"a": 1, "b": None}, {"a": 22, "b": ""}]) == ["a", "1", "22"]
    assert table([]) == []


def test_numbers_stand_at_the_right_with_thousands_apart_and_times_have_units() -> None:
    rows = [{"what": "prompt", "n": 12_345, "t": 3.25}, {"what": "all", "n": 7, "t": 3_605}]
    assert table(rows, [Column("what", "of"), numbers("n", "tokens"), seconds("t", "left")]) == [
        "of      tokens        left",
        "prompt  12,345       3.2 s",
        "all          7  60 min 5 s",
    ]


def test_the_broadest_column_gives_way_first_and_shows_that_it_was_cut() -> None:
    rows = [{"id": "c1", "args": "x" * 100, "why": "y" * 20}]
    shown = table(rows, (), 50)
    assert all(broad(one) <= 50 for one in shown)
    assert shown[1].startswith("c1  ")
    assert "…" in shown[1]
    assert shown[1].endswith("y" * 20)


def test_characters_that_take_two_columns_are_counted_as_two() -> None:
    assert broad("日本") == 4
    assert broad("e\u0301") == 1
    assert fitted("日本語", 4) == "日…"
    assert table([{"a": "日本", "b": "x"}, {"a": "abc", "b": "y"}])[1:] == ["日本  x", "abc   y"]


WORDS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=60), st.just("日本" * 30))


@given(
    st.lists(st.dictionaries(st.sampled_from(["a", "bb", "ccc", "\x1b[1m"]), WORDS, max_size=4), max_size=5),
    st.integers(40, 200),
)
def test_no_line_is_broader_than_the_terminal_or_moves_a_cursor(rows: list[dict[str, Any]], width: int) -> None:
    for one in table(rows, (), width):
        assert cleaned(one) == one
        assert broad(one) <= max(width, 4 * NARROW + 3 * len(GAP))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0.0 s"),
        (0.42, "0.4 s"),
        (35.4, "35 s"),
        (120, "2 min"),
        (725, "12 min 5 s"),
        (7_800, "2 h 10 min"),
        (-3, "-3.0 s"),
        (None, ""),
        (float("inf"), "Infinity"),
        ({"number": "inf"}, "inf"),
    ],
)
def test_a_time_is_said_with_its_unit(value: Any, said: str) -> None:
    assert span(value) == said


def test_a_number_has_its_noun() -> None:
    assert [many(1, "call"), many(0, "call"), many(1_200, "message waits", "messages wait")] == [
        "1 call",
        "0 calls",
        "1,200 messages wait",
    ]
