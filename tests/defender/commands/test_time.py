"""Reading a command takes time by its length: no text of the longest kind holds anybody up."""

from time import process_time

import pytest

from defender.commands import analyse


@pytest.mark.parametrize(
    "text", ["\n", " \n", "[", "[[", "a[", "{", "{a,", "${", "((", "a|", "'", "`", "<<a ", "../", "\t"]
)
def test_a_long_text_of_one_kind_is_read_in_time(text: str) -> None:
    began = process_time()
    analyse((text * 8_000)[:8_000])
    assert process_time() - began < 2.0
