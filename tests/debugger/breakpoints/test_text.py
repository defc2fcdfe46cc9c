"""Patterns over streamed text and tool output: found before delivery, however the text was cut (FEATURES 14)."""

from collections.abc import Iterator
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debugger.breakpoints import BadSpec, Book, Spec
from debugger.breakpoints.patterns import WINDOW
from runtime.step import Phase
from runtime.step import events as ev
from runtime.vocab import ToolResult
from tests.debugger.breakpoints.walk import causes, stops, walk
from tests.runtime.step.scenes import READ, STAMP, Run, said


def streamed(*pieces: str) -> Run:
    """An answer in these pieces."""
    return Run.opened().asked().give(*map(said, pieces), ev.StreamEnded(STAMP))


def cuts(text: str) -> Iterator[list[str]]:
    """Every way to cut a text into pieces."""
    for count in range(len(text)):
        for places in combinations(range(1, len(text)), count):
            ends = [0, *places, len(text)]
            yield [text[a:b] for a, b in pairwise(ends)]


def found_at(pattern: str, pieces: list[str]) -> list[int]:
    """Before which piece the run stops; the number of pieces stands for the end of the stream."""
    book = Book()
    book.add(Spec(text=pattern))
    run = streamed(*pieces)
    begin = len(run.steps) - len(pieces) - 1
    return [border.steps - begin for border, _ in walk(book, run)]


def completing(pieces: list[str], end: int) -> int:
    """Which piece has the character before `end`."""
    length = 0
    for n, piece in enumerate(pieces):
        length += len(piece)
        if length >= end:
            return n
    raise AssertionError("no piece")


@pytest.mark.parametrize(
    ("pattern", "text", "end"),
    [
        ("rm -rf", "so rm -rf /", 9),
        ("aab", "aaaab.", 5),
        ("/rm\\s+-rf/", "x rm  -rf y", 9),
        ("/SECRET/i", "a secreT b", 8),
        ("/a.c/", "zzabczz", 5),
        ("/^ab+/", "abbbxxx", 2),
        ("né", "un né.", 5),
    ],
)
def test_a_match_stops_before_the_piece_that_completes_it_for_every_way_to_cut(
    pattern: str, text: str, end: int
) -> None:
    for pieces in cuts(text):
        assert found_at(pattern, pieces)[:1] == [completing(pieces, end)], pieces


@pytest.mark.parametrize(
    ("pattern", "text", "end"), [("/rm\\b/", "an rm x", 6), ("/cat\\b/", "concat, ", 7), ("/ab\\B/", "ab abc", 6)]
)
def test_a_match_that_asks_what_follows_stops_before_the_piece_that_tells_it(pattern: str, text: str, end: int) -> None:
    for pieces in cuts(text):
        assert found_at(pattern, pieces)[:1] == [completing(pieces, end)], pieces


@pytest.mark.parametrize(("pattern", "text"), [("/rm$/", "an rm"), ("/rm\\b/", "an rm")])
def test_a_match_at_the_end_is_found_at_the_end_of_the_stream(pattern: str, text: str) -> None:
    for pieces in cuts(text):
        assert found_at(pattern, pieces) == [len(pieces)], pieces


@pytest.mark.parametrize("pattern", ["/cat\\b/", "/^b/", "/b$/", "/(?m)a$/", "needle"])
def test_what_is_not_there_is_not_found_however_it_is_cut(pattern: str) -> None:
    for pieces in cuts("catsabXc"):
        assert found_at(pattern, pieces) == [], pieces


@given(
    st.sampled_from(["ab", "/ab+a/", "/b\\b/", "/\\bab/", "/[^a]b/", "/a(ba)*$/", "/(?i)AB a/", "/^b|aa/"]),
    st.lists(st.text(alphabet="ab \n", max_size=4), min_size=1, max_size=8),
)
def test_whether_there_is_a_match_does_not_depend_on_the_cuts(pattern: str, pieces: list[str]) -> None:
    assert bool(found_at(pattern, pieces)) == bool(found_at(pattern, ["".join(pieces)]))


def test_a_match_is_found_once() -> None:
    assert found_at("ab", ["a", "b", "a", "c", "ab", "abab", "x"]) == [1, 4, 5]


def test_text_from_before_the_breakpoint_was_set_is_not_found() -> None:
    book = Book()
    run = streamed("one secret ", "two ", "sec", "ret")
    early, late = Run(run.state, run.steps[:-4]), Run(run.state, run.steps[-4:])
    walk(book, early)
    book.add(Spec(text="secret"))
    assert [border.event for border, _ in walk(book, late)] == [said("ret")]


def test_pieces_that_nobody_was_asked_about_are_looked_at_but_not_found() -> None:
    book = Book()
    book.add(Spec(text="secret"))
    run = streamed("x", "a secret b", " sec", "ret")
    asked = Run(run.state, [step for n, step in enumerate(run.steps) if n != len(run.steps) - 4])
    assert [border.steps for border, _ in walk(book, asked)] == [len(run.steps) - 3]


def test_a_new_answer_begins_a_new_text() -> None:
    book = Book()
    book.add(Spec(text="secret"))
    run = Run.opened().asked().give(said("sec", "STOP"), ev.StreamEnded(STAMP)).until(Phase.DONE)
    run.say(name="m2").until(Phase.STREAMING).give(said("ret"))
    assert walk(book, run) == []


def test_thoughts_are_no_text() -> None:
    run = Run.opened().asked().give(said("secret", thought=True), said("sec"), said("x", thought=True), said("ret"))
    assert len(stops(run, Spec(text="secret"))) == 1


def test_a_match_may_reach_back_as_far_as_the_window() -> None:
    wide = ["<", *["x" * 100] * (WINDOW // 100 - 1), ">"]
    assert found_at("/<x*>/", wide) == [len(wide) - 1]
    far = ["<", *["x" * 100] * (WINDOW // 100 + 2), ">"]
    assert found_at("/<x*>/", far) == []
    assert found_at("/^x*>/", far) == []


def test_the_output_of_a_tool_is_looked_at_before_it_is_delivered() -> None:
    run = Run.opened().calling("read_file").judged(READ).go(READ)
    run.give(ev.Finished(READ, ToolResult(output="password: hunter2")))
    spec = Spec(text="/password: \\w+$/")
    assert stops(run, spec) == [("call.result", "before", "finished")]
    assert causes(run, spec) == ["catch 1: text /password: \\w+$/"]


def test_the_error_of_a_tool_is_its_output() -> None:
    run = Run.opened().calling("read_file").judged(READ).go(READ)
    run.give(ev.Finished(READ, ToolResult.failed("x", "no password")))
    assert len(stops(run, Spec(text="password"))) == 1
    assert stops(run, Spec(text="password", kinds=("model.chunk",))) == []


def test_half_of_a_surrogate_pair_does_no_harm() -> None:
    assert found_at("/s.cret/", ["\ud83d s", "\ude00cret"]) == [1]


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("/(/", "no regular expression: missing"),
        ("/a*/", "matches the empty text"),
        ("/\\b/", "matches the empty text"),
        ("/\\z|q/", "matches the empty text"),
        ("//", "nothing stands between"),
        ("/(?=x)/", "no regular expression"),
        ("/((a{1000}){1000}){1000}/", "no regular expression"),
    ],
)
def test_a_pattern_that_cannot_be_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(BadSpec, match=why) as caught:
        Book().add(Spec(text=pattern))
    assert caught.value.at == "text"


def test_text_is_looked_at_only_before_it_is_delivered() -> None:
    with pytest.raises(BadSpec, match="edge: text is looked at before"):
        Book().add(Spec(text="x", edge="after"))
    with pytest.raises(BadSpec, match="kinds: there is text before"):
        Book().add(Spec(text="x", kinds=("turn.start",)))


def test_a_slash_that_is_not_closed_is_a_literal() -> None:
    assert found_at("/tmp/x", ["see /tmp", "/x"]) == [1]


def test_a_large_piece_full_of_matches_costs_no_more_than_its_length() -> None:
    assert found_at("/a/", ["a" * 200_000, "b", "a"]) == [0, 2]
    assert found_at("a", ["a" * 200_000, "b", "a"]) == [0, 2]


def test_a_match_that_begins_where_another_ended_is_found_with_the_next_piece() -> None:
    assert found_at("/rm -rf/", ["rm -rf /x; rm", " -rf /"]) == [0, 1]


def test_pieces_of_another_answer_are_not_taken_for_the_same() -> None:
    book = Book()
    book.add(Spec(text="secret"))
    run = Run.opened().asked().give(said("sec"), ev.StreamBroke("network", "reset")).until(Phase.STREAMING)
    run.give(said("not "))
    unasked = run.steps.pop()
    run.give(said("ret"))
    assert unasked.event == said("not ")
    assert walk(book, run) == []


def test_one_piece_that_comes_twice_is_two_pieces() -> None:
    book = Book()
    book.add(Spec(text="sec-sec-ret"))
    run = Run.opened().asked()
    twice = said("sec-")
    run.give(twice, twice)
    del run.steps[-1]
    run.give(said("ret"))
    assert len(walk(book, run)) == 1


def test_the_edge_of_what_is_looked_back_at_is_not_the_beginning() -> None:
    book = Book()
    run = Run.opened().asked().give(said("y"), *(said("x" * 3_000) for _ in range(2)))
    walk(book, run)
    book.add(Spec(text="/^x*>/"))
    assert walk(book, Run(run.state).give(said(">"))) == []
    book.add(Spec(text="/x>/"))
    assert len(walk(book, Run(run.state).give(said(">")))) == 1
