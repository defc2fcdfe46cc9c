"""Reading a command takes work by its length: no text of the longest kind holds anybody up."""

import pytest

from defender.commands import analyse
from tests.defender.growth import calls


@pytest.mark.parametrize(
    "text", ["\n", " \n", "[", "[[", "a[", "{", "{a,", "${", "((", "a|", "'", "`", "<<a ", "../", "\t"]
)
def test_twice_the_text_is_about_twice_the_work(text: str) -> None:
    half, whole = ((text * 8_000)[:length] for length in (4_000, 8_000))
    assert calls(lambda: analyse(whole)) < 3 * calls(lambda: analyse(half)) + 1_000
