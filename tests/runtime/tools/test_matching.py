"""Finding the place of a replacement, and what a change touched: properties against slow, obvious versions."""

from hypothesis import example, given
from hypothesis import strategies as st

from runtime.tools import linediff, matching
from runtime.tools.registry import distance

LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "\n", "d"]), max_size=14).map("".join)


@given(LINES, LINES)
@example("a\nb", "a\nb\n")
def test_changes_turn_the_old_lines_into_the_new_ones(old: str, new: str) -> None:
    before, after = linediff.lines(old), linediff.lines(new)
    out: list[str] = []
    done = 0
    for block in linediff.changes(before, after):
        out += before[done : block.old_start] + after[block.new_start : block.new_end]
        done = block.old_end
    assert "".join(before) == old
    assert out + before[done:] == after


@given(LINES, LINES)
def test_as_few_lines_as_possible_are_counted(old: str, new: str) -> None:
    before, after = linediff.lines(old), linediff.lines(new)
    common = longest_common(before, after)
    assert linediff.counts(old, new) == (len(after) - common, len(before) - common)


def longest_common(one: list[str], other: list[str]) -> int:
    """The length of the longest common subsequence, by the book."""
    row = [0] * (len(other) + 1)
    for left in one:
        above = row
        row = [0]
        for place, right in enumerate(other):
            row.append(above[place] + 1 if left == right else max(above[place + 1], row[place]))
    return row[-1]


def test_a_change_of_everything_is_found_when_a_shortest_script_would_take_too_long() -> None:
    old = "".join(f"{number % 7}\n" for number in range(1500))
    new = "".join(f"{number % 5}\n" for number in range(1500))
    added, removed = linediff.counts(old, new)
    assert added == removed


@given(st.text("abcd", max_size=14), st.text("abcde", max_size=14))
def test_the_fast_distance_is_the_distance(one: str, other: str) -> None:
    assert matching.Distance(one).to(other) == distance(one, other)


@given(st.text("ab \n\t", max_size=30), st.text("ab \n", min_size=1, max_size=6), st.text("xy\n ", max_size=6))
def test_a_literal_place_is_replaced_literally(content: str, old: str, new: str) -> None:
    found = matching.replaced(content, old, new, many=True)
    if old in content:
        assert found is not None
        assert found.places == content.count(old)
        assert found.text.rstrip("\n") == content.replace(old, new).rstrip("\n")


@given(st.text("ab(){} \n\t=", max_size=60), st.text("ab(){} \n=", max_size=20), st.text("xy\n ", max_size=6))
def test_no_text_breaks_the_search_and_the_end_of_the_file_stays(content: str, old: str, new: str) -> None:
    for found in (matching.replaced(content, old or "a", new, many=True), matching.nearly(content, old, new)):
        if found is not None and found.text:
            assert found.text.endswith("\n") == content.endswith("\n")


def test_lines_are_found_with_another_indent_and_the_new_ones_take_it_over() -> None:
    content = "class A:\n    def f(self):\n        return 1\n"
    found = matching.replaced(
        content, "def f(self):\n    return 1", "def f(self):\n    if x:\n        return 2", many=False
    )
    assert found is not None
    assert found.text == "class A:\n    def f(self):\n        if x:\n            return 2\n"


def test_tokens_are_found_with_other_white_space() -> None:
    found = matching.replaced("  if(a==b){foo( a , b )}\n", "if (a == b) { foo(a , b) }", "pass", many=False)
    assert found is not None
    assert found.text == "  pass\n"


def test_a_text_that_is_not_there_at_all_is_not_found() -> None:
    assert matching.nearly("alpha beta gamma\n" * 50, "nothing of the kind\n", "x") is None


def test_the_search_for_near_places_gives_up_when_it_would_take_too_long() -> None:
    assert matching.nearly("abcdefghij" * 30 + "\n" * 60_000, "abcdefghik" * 30, "x") is None
