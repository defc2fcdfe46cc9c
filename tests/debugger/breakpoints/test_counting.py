"""Hits, ignored hits, one-shots, groups, dependent breakpoints, log points, commands (FEATURES 10, 11, 16)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debugger.border import Border
from debugger.breakpoints import BadSpec, Book, Hit, Spec
from debugger.breakpoints.counters import SECOND, Rate, hit_rule
from runtime.step import Go, State, StepKind


def border(session: str = "s1", kind: StepKind = StepKind.TURN_START, turns: int = 0) -> Border:
    return Border(session, State(session, turns=turns), kind, event=Go(kind.value))


def hit(book: Book, times: int = 1, kind: StepKind = StepKind.TURN_START, session: str = "s1") -> list[bool]:
    """Whether each of so many borders stops."""
    found = [book.before(border(session, kind), 0) for _ in range(times)]
    return [one is not None and bool(one.ids) for one in found]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("= 2", [0, 1, 0, 0, 0, 0]), (">= 4", [0, 0, 0, 1, 1, 1]), ("% 3", [0, 0, 1, 0, 0, 1]), ("", [1] * 6)],
)
def test_hit_counts_say_which_hits_stop(rule: str, expected: list[int]) -> None:
    book = Book()
    one = book.add(Spec(kinds=("turn.start",), hits=rule))
    assert hit(book, 6) == [bool(n) for n in expected]
    assert one.hits == 6


@pytest.mark.parametrize("rule", ["2", "== 2", "= 0", "% 0", ">= -1", "= 99999999999", "= x"])
def test_a_hit_count_that_means_nothing_is_refused(rule: str) -> None:
    with pytest.raises(BadSpec, match="hits"):
        hit_rule(rule)


def test_ignored_hits_count_and_do_not_stop() -> None:
    book = Book()
    one = book.add(Spec(kinds=("turn.start",), ignore=2))
    assert hit(book, 4) == [False, False, True, True]
    assert (one.hits, one.ignoring) == (4, 0)
    book.change(one.id, {"ignore": 1})
    assert hit(book, 2) == [False, True]


def test_a_temporary_breakpoint_is_gone_after_its_first_stop() -> None:
    book = Book()
    book.add(Spec(kinds=("turn.start",), temporary=True))
    assert hit(book, 3) == [True, False, False]
    assert len(book) == 0


def test_a_breakpoint_that_is_enabled_once_is_disabled_by_its_stop() -> None:
    book = Book()
    one = book.add(Spec(kinds=("turn.start",), enabled=False))
    assert hit(book) == [False]
    book.enable([one.id], once=True)
    assert hit(book, 2) == [True, False]
    assert (one.spec.enabled, one.spec.once) == (False, False)
    book.enable([one.id])
    assert hit(book, 2) == [True, True]


def test_a_group_is_disabled_and_enabled_together() -> None:
    book = Book()
    book.add(Spec(kinds=("turn.start",), group="g"))
    book.add(Spec(kinds=("turn.end",), group="g"))
    book.add(Spec(kinds=("turn.end",)))
    book.enable(book.group("g"), False)
    assert hit(book) == [False]
    assert hit(book, kind=StepKind.TURN_END) == [True]
    book.enable(book.group("g"))
    assert hit(book) == [True]
    with pytest.raises(BadSpec, match="no breakpoint is in a group 'other'"):
        book.group("other")


def test_a_dependent_breakpoint_waits_for_the_other_in_the_same_session() -> None:
    book = Book()
    first = book.add(Spec(kinds=("turn.start",)))
    second = book.add(Spec(kinds=("turn.end",), after=first.id))
    assert hit(book, 2, StepKind.TURN_END) == [False, False]
    assert second.hits == 0
    assert hit(book) == [True]
    assert hit(book, 2, StepKind.TURN_END) == [True, True]
    assert hit(book, 1, StepKind.TURN_END, "s2") == [False]


def test_a_dependent_breakpoint_at_the_same_border_waits_for_the_next() -> None:
    book = Book()
    book.add(Spec(kinds=("turn.start",)))
    book.add(Spec(kinds=("turn.start",), after=1))
    assert [book.before(border(), 0), book.before(border(), 0)] == [
        Hit((1,), "breakpoint 1"),
        Hit((1, 2), "breakpoint 1"),
    ]


def test_a_temporary_breakpoint_that_another_waits_for_stays_disabled() -> None:
    book = Book()
    first = book.add(Spec(kinds=("turn.start",), temporary=True))
    book.add(Spec(kinds=("turn.end",), after=first.id))
    assert hit(book, 2) == [True, False]
    assert not first.spec.enabled
    assert hit(book, 1, StepKind.TURN_END) == [True]


def test_nobody_waits_for_itself_or_for_what_is_deleted() -> None:
    book = Book()
    book.add(Spec(kinds=("turn.start",)))
    book.add(Spec(kinds=("turn.end",), after=1))
    with pytest.raises(BadSpec, match="after: breakpoint 1 would wait for itself"):
        book.change(1, {"after": 2})
    with pytest.raises(BadSpec, match="after: breakpoint 2 would wait for itself"):
        book.change(2, {"after": 2})
    with pytest.raises(BadSpec, match="ids: breakpoint 2 waits for 1"):
        book.delete([1])
    with pytest.raises(BadSpec, match=r"ids\[1\]: there is no breakpoint 9"):
        book.delete([2, 9])
    assert [one.spec.after for one in book] == [None, 1]
    book.delete([1, 2])
    assert len(book) == 0


def test_ids_are_not_used_twice() -> None:
    book = Book()
    book.add(Spec(tool="*"))
    book.delete([1])
    assert book.add(Spec(tool="*")).id == 2


def test_a_log_point_speaks_and_does_not_stop() -> None:
    book = Book()
    one = book.add(Spec(kinds=("turn.start",), log="turns={state.turns} {{}} model={state.model}"))
    assert book.before(border(turns=3), 0) == Hit(logs=((one.id, 'turns=3 {} model=""'),))


def test_a_log_point_says_how_many_lines_were_too_many() -> None:
    book = Book()
    book.add(Spec(kinds=("turn.start",), log="x", rate=2))
    said = [book.before(border(), now) for now in (0, 10, 20, 30, 1_000, 1_001, 5_000)]
    texts = [one.logs[0][1] if one is not None else None for one in said]
    assert texts == ["x", "x", None, None, "x (2 left out)", None, "x (1 left out)"]


@given(st.integers(1, 5), st.lists(st.integers(0, 400), max_size=60))
def test_no_second_has_more_lines_than_allowed(most: int, waits: list[int]) -> None:
    rate, now, taken, asked = Rate(most), 0, [], []
    for wait in waits:
        now += wait
        asked.append(now)
        if rate.take(now):
            taken.append(now)
    for begin in taken:
        assert sum(begin <= at < begin + SECOND for at in taken) <= most
    assert rate.left_out == len(asked) - len(taken)


def test_a_clock_that_is_set_back_silences_nothing() -> None:
    rate = Rate(1)
    assert [rate.take(now) for now in (10_000, 5_000, 5_001, 6_000)] == [True, True, False, True]


def test_commands_come_with_the_stop() -> None:
    book = Book()
    book.add(Spec(kinds=("turn.start",), commands=("print state.turn", "continue")))
    found = book.before(border(), 0)
    assert found is not None
    assert [line for _, line in found.commands] == ["print state.turn", "continue"]


def test_a_book_has_a_bound() -> None:
    book = Book()
    for _ in range(1_000):
        book.add(Spec(tool="*"))
    with pytest.raises(BadSpec, match="1000 breakpoints already"):
        book.add(Spec(tool="*"))
