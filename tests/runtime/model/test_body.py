"""Inflating under a bound, whatever the pieces."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import ModelError
from runtime.model.body import Inflater


@given(st.binary(max_size=3000), st.lists(st.integers(1, 50)), st.integers(-1, 4000), st.sampled_from([15, 31]))
def test_pieces_come_out_as_they_went_in_and_never_past_the_bound(
    content: bytes, sizes: list[int], bound: int, wbits: int
) -> None:
    packed = zlib.compress(content, wbits=wbits)
    inflater, found, place = Inflater("gzip"), b"", 0
    for size in [*sizes, len(packed)]:
        found += inflater.feed(packed[place : place + size], bound - len(found))
        place += size
        if len(found) > bound:
            break
    assert len(found) <= max(0, bound) + 1
    assert found == content[: len(found)]
    assert len(found) > bound or found == content


def test_a_bomb_is_not_even_inflated() -> None:
    bomb = zlib.compress(b"x" * 50_000_000, wbits=31)
    assert len(Inflater("x-gzip").feed(bomb, 1000)) == 1001


def test_a_coding_that_is_none_of_ours_is_named() -> None:
    with pytest.raises(ModelError, match="not asked for: 'br'"):
        Inflater("br")
