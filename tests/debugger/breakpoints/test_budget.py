"""What breakpoints cost everybody is bounded, at a border and in the long run; who takes too much is muted and told."""

import pytest
from attrs import evolve
from pyrsistent import pvector

from debugger.border import Border
from debugger.breakpoints import BadSpec, Book, Hit, Spec, count_of, describe
from debugger.breakpoints.breakpoint import MOST_ERRORS
from debugger.breakpoints.budget import EACH, EARNED, MOST_NODES, SAVED
from debugger.expressions.bounds import MOST_OPERATIONS
from runtime.step import Go, State, StepKind
from runtime.vocab import Content

ANY = 'any(state.history, it.role == "nobody")'
"""Takes four operations for each content of the history."""


def border(contents: int = 0, session: str = "s1", kind: StepKind = StepKind.TURN_START) -> Border:
    history = pvector([Content("user", ({"text": "x"},))] * contents)
    return Border(session, State(session, history=history), kind, event=Go(kind.value))


def books(*conditions: str, kinds: tuple[str, ...] = ("turn.start",)) -> Book:
    book = Book()
    for condition in conditions:
        book.add(Spec(kinds=kinds, when=condition))
    return book


def told(hit: Hit | None) -> list[str]:
    return list(hit.complaints) if hit is not None else []


def costs(contents: int) -> int:
    book = books(ANY)
    book.before(border(contents), 0)
    return book.get(1).taken


def test_a_condition_is_charged_what_it_takes_beside_its_nodes() -> None:
    assert costs(0) == 0
    assert costs(100) == 400


@pytest.mark.parametrize("count", [1, 2, 10, 50])
def test_all_breakpoints_together_take_at_a_border_what_one_may_take_alone(count: int) -> None:
    book = books(*[ANY] * count)
    book.before(border(3_000), 0)
    assert 0 < sum(one.taken for one in book) <= MOST_OPERATIONS


def test_one_that_takes_within_its_part_is_asked_whatever_the_others_take() -> None:
    book = books(*[ANY] * 9, 'not any(state.history, it.role == "nobody" and it.role == "x")')
    hit = book.before(border(EACH // 10 // 6), 0)
    assert hit is not None
    assert hit.ids == (10,)
    crowded = books(*["any(state.history, any(state.history, it.role == 'x'))"] * 9, "not tool")
    hit = crowded.before(border(300), 0)
    assert hit is not None
    assert hit.ids == (10,)


def test_one_that_others_left_too_little_has_not_failed_and_who_took_it_is_told_and_muted_after_ten_times() -> None:
    book = books(ANY, ANY)
    greedy, other = book
    lines = [line for _ in range(MOST_ERRORS) for line in told(book.before(border(3_000), 0))]
    assert (other.errors, other.muted, greedy.muted) == (0, False, True)
    assert lines[0] == (
        "breakpoint 2 was not asked at a border: breakpoint 1 took what all have together there; "
        "after 10 times it is muted"
    )
    assert lines[-1] == (
        "breakpoint 1 is muted until it is changed or enabled: at 10 borders it left too little for others"
    )
    assert len(lines) == MOST_ERRORS
    assert told(book.before(border(3_000), 0)) == []  # alone it may take that much


def test_however_many_were_left_too_little_it_is_one_line_a_border() -> None:
    book = books(*[ANY] * 100)
    lines = [told(book.before(border(3_000), 0)) for _ in range(MOST_ERRORS)]
    assert lines[0][1:] == [
        (
            "breakpoint 2 and 98 more were not asked at a border: breakpoint 1 took what all have together there; "
            "after 10 times it is muted"
        )
    ]
    assert {len(one) for one in lines[1:-1]} == {1}
    assert lines[-1] == ["breakpoint 1 failed 10 times and is muted until it is changed or enabled", lines[1][0]]
    assert [one.id for one in book if one.muted] == [1]


def test_among_very_many_one_that_needs_much_fails_by_itself() -> None:
    book = books(*["tool"] * 200, ANY)
    (line,) = told(book.before(border(3_000), 0))
    assert line == (
        "breakpoint 201 failed and does not stop; this is told once: ExpressionFailed: "
        "it takes more than 10,049 operations, and no more is left among so many others"
    )


def test_who_took_little_beyond_its_part_is_not_blamed_by_one_that_needs_all() -> None:
    book = books('startswith(lower(state.history[0].text), "y")', ANY, *["tool"] * 48)
    history = pvector([Content("user", ({"text": "x" * 150_000},))] * 4_000)
    (line,) = told(book.before(evolve(border(), state=State("s1", history=history)), 0))
    assert line.startswith("breakpoint 2 failed")
    assert (book.get(1).taken > EACH // 50, book.get(1).crowds, book.get(2).errors) == (True, 0, 1)


def until_muted(book: Book, contents: int, most: int = 2_000) -> tuple[int, list[str]]:
    for count in range(1, most):
        if lines := told(book.before(border(contents), 0)):
            return count, lines
    return most, []


def test_one_that_costs_everybody_too_much_in_the_long_run_is_muted_and_told_why() -> None:
    book = books("tool", ANY, 'startswith(state.history[0].role, "n")')
    count, lines = until_muted(book, 1_000)
    (line,) = lines
    assert line == (
        "breakpoint 2 is muted until it is changed or enabled: all breakpoints together may take 1,000 operations a "
        f"border in the long run, and it took {count * 4_000:,}, more than any other; look at fewer items, or stop at "
        "fewer steps"
    )
    assert count == pytest.approx(SAVED / (costs(1_000) - EARNED), rel=0.01)
    assert [one.muted for one in book] == [False, True, False]
    assert "muted: all breakpoints together may take" in describe(book.get(2).spec, count_of(book.get(2)))


def test_who_is_muted_is_heard_again_and_begins_anew() -> None:
    book = books(ANY)
    first, _ = until_muted(book, 2_000)
    book.enable([1])
    assert (book.get(1).muted, book.get(1).why) == (False, "")
    again, lines = until_muted(book, 2_000)
    assert len(lines) == 1
    assert again == pytest.approx(first, abs=2)


@pytest.mark.parametrize("how", ["change", "enable"])
def test_who_touches_his_own_again_and_again_lets_nobody_else_be_muted(how: str) -> None:
    book = books(ANY)
    book.add(Spec(kinds=("turn.end",), when=ANY))
    while not any(one.muted for one in book):
        book.before(border(1_000), 0)
        book.before(border(200, kind=StepKind.TURN_END), 0)
        if not book.get(1).muted:
            book.change(1, {"ignore": 0}) if how == "change" else book.enable([1])
    assert [one.muted for one in book] == [True, False]


def test_what_the_muted_one_took_is_given_back_so_that_nobody_else_pays_for_it() -> None:
    book = books(ANY, "any(state.history, it == 1 and it == 2)")
    until_muted(book, 400)
    assert until_muted(book, 100, 3_000) == (3_000, [])


def test_what_is_costly_and_rare_is_not_muted() -> None:
    book = books("tool")
    book.add(Spec(kinds=("turn.end",), when=ANY))
    for n in range(2_000):
        kind = StepKind.TURN_START if n % 10 else StepKind.TURN_END
        assert told(book.before(border(2_000, kind=kind), 0)) == []
    assert not book.get(2).muted


def test_watched_values_and_log_lines_pay_too() -> None:
    book = Book()
    book.add(Spec(watch=ANY, mode="true"))
    book.add(Spec(kinds=("turn.start",), log="{state.history}", rate=1))
    book.after(border(100), 0)
    assert book.get(1).taken == 400
    for _ in range(5):
        book.before(border(100), 0)
    assert SAVED - book._account.left == book.get(2).taken > 100
    assert book.get(2).taken < 2_000  # lines that are left out are not made


def test_the_expressions_of_all_breakpoints_together_have_a_bound() -> None:
    long = " and ".join(["tool"] * 99)
    book = Book()
    weight = book.add(Spec(kinds=("*",), when=long)).weight
    for _ in range(MOST_NODES // weight - 1):
        book.add(Spec(kinds=("*",), when=long))
    size, saved = len(book), book.save()
    with pytest.raises(BadSpec, match="10,000 are allowed together; delete some, or say less") as caught:
        book.add(Spec(kinds=("*",), when=long))
    assert caught.value.at == "when"
    assert len(book) == size
    with pytest.raises(BadSpec, match="has 200 names"):
        book.change(1, {"log": f"{{{long}}}"})
    assert book.get(1).spec.log == ""
    with pytest.raises(BadSpec) as caught:
        book.load([{"id": 1, "kinds": ["*"], "when": long}])
    assert caught.value.at == "[0].when"
    assert book.save() == saved
    book.delete([1])
    book.add(Spec(kinds=("*",), when=long))
