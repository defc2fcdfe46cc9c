"""Long texts as pieces: every character is in one, and what is shorter than the overlap is whole in one."""

from hypothesis import given
from hypothesis import strategies as st

from defender.engine.slices import slices


@given(st.text(alphabet="abc", max_size=500), st.integers(2, 60), st.integers(0, 59))
def test_every_short_piece_of_a_text_stands_whole_in_one_slice(text: str, size: int, overlap: int) -> None:
    overlap = min(overlap, size - 1)
    pieces = list(slices(text, size, overlap))
    assert all(len(piece) <= size + overlap for piece in pieces)
    for start in range(max(1, len(text) - overlap)):
        found = text[start : start + overlap + 1]
        assert any(found in piece for piece in pieces)


def test_a_text_that_fits_is_not_cut() -> None:
    assert list(slices("abc", 10, 2)) == ["abc"]
    assert list(slices("a" * 12, 10, 2)) == ["a" * 12]
    assert list(slices("abcdefghij", 4, 1)) == ["abcd", "defg", "ghij"]
