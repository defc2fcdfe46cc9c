"""Ten thousand generated expressions: each is refused or answered within its operations, and nothing else happens.

What one of them takes in time is measured by tests/benchmarks/bench_expressions.py.
"""

from contextlib import suppress
from typing import Final

import pytest

from debugger.border import Border
from debugger.expressions import BadExpression, ExpressionFailed, compile_expression, compile_template, complete
from debugger.expressions.bounds import MOST_OPERATIONS, MOST_SHOWN
from tests.debugger.expressions.borders import border, everywhere, strange
from tests.debugger.expressions.generator import Maker

COUNT: Final = 10_000
SEED: Final = 20_261_120


def outcome(source: str, here: Border) -> str:
    """What becomes of an expression. Raises whatever should not come."""
    try:
        expression = compile_expression(source)
    except BadExpression as exc:
        return "refused" if 0 <= exc.position <= len(source) else f"refused at {exc.position}: {source}"
    try:
        _, operations = expression.measured(here)
    except ExpressionFailed:
        return "failed"
    assert 0 < operations <= MOST_OPERATIONS
    return "answered"


def test_ten_thousand_expressions_are_refused_or_answered() -> None:
    here = strange()
    found = [outcome(source, here) for source in Maker(SEED).stream(COUNT)]
    assert set(found) == {"refused", "answered", "failed"}
    # The generator is no good if nearly all are of one kind.
    assert found.count("answered") > COUNT / 10
    assert found.count("failed") > COUNT / 200


def test_expressions_have_a_value_at_every_place_that_a_session_can_be_at() -> None:
    sources = list(Maker(SEED + 1).stream(300))
    assert {outcome(source, here) for here in everywhere() for source in sources} <= {"refused", "answered", "failed"}


def test_the_same_expression_gives_the_same_value_and_takes_the_same_operations() -> None:
    here = border()
    for source in Maker(SEED + 2).stream(1_000):
        try:
            expression, again = compile_expression(source), compile_expression(source)
            first, second = expression.measured(here), again.measured(here)
        except (BadExpression, ExpressionFailed):
            continue
        assert expression == again
        assert repr(first) == repr(second)


def test_templates_of_generated_expressions_are_refused_or_written() -> None:
    here = strange()
    for source in Maker(SEED + 3).stream(1_000):
        with suppress(BadExpression, ExpressionFailed):
            assert len(compile_template(f"a {{{source}}} b")(here)) <= MOST_SHOWN


@pytest.mark.parametrize("make", [border, strange])
def test_completion_of_any_beginning_gives_words_and_raises_nothing(make: object) -> None:
    assert callable(make)
    here = make()
    for source in Maker(SEED + 4).stream(500):
        assert all(isinstance(word, str) for word in complete(source, here))
