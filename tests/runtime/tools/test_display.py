"""Paths shortened for people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.tools.display import WIDTH, shortened


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("a/b.txt", "a/b.txt"),
        ("x" * 40, "x" * 16 + "..." + "x" * 16),
        ("src/components/very/long/path/widget.tsx", "src/.../very/long/path/widget.tsx"),
        ("a_rather_long_first_folder/between/name.txt", "a_rather_long_first.../.../name.txt"),
        ("folder/a_name_that_leaves_no_room_at_all", ".../a_name_that_leaves_no_room_at_all"[4:]),
        ("folder/name_of_just_thirty_one_chars__", ".../name_of_just_thirty_one_chars__"),
        ("folder/" + "y" * 40, "folder/yyyyyyyyy...yyyyyyyyyyyyyyyy"),
    ],
)
def test_a_path_keeps_its_first_folder_and_its_end(path: str, shown: str) -> None:
    assert shortened(path) == shown


@given(st.lists(st.text("abc", min_size=1, max_size=45), min_size=1, max_size=6).map("/".join))
def test_no_path_is_longer_than_there_is_room(path: str) -> None:
    assert len(shortened(path)) <= WIDTH
