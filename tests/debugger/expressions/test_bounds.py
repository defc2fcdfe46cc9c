"""What one evaluation may cost. Time is measured by tests/benchmarks/bench_expressions.py; here operations count."""

from typing import Any

import pytest
from attrs import evolve
from pyrsistent import pvector

from debugger.border import Border
from debugger.expressions import ExpressionFailed, compile_expression, compile_path, compile_template
from debugger.expressions.bounds import MOST_OPERATIONS, MOST_SHOWN
from runtime.vocab import Content
from tests.debugger.expressions.borders import STRANGE, args, border, nested


def history(length: int, text: str = "x") -> Border:
    """A border whose session has a long history."""
    here = border()
    contents = pvector(Content("model", ({"text": text},)) for _ in range(length))
    return evolve(here, state=evolve(here.state, history=contents))


@pytest.mark.parametrize(
    "source",
    [
        "any(tool.args.wide, it == -1)",
        "all(tool.args.wide, it != -1)",
        "count(tool.args.wide, it)",
        "any(tool.args.objects, any(tool.args.objects, any(tool.args.objects, it.n == -1)))",
        "-1 in tool.args.wide",
        "tool.args.wide == tool.args.other",
        "json(tool.args.wide)",
        'matches(tool.args.long, r"(a|b)*a(a|b){12}c")',
        'glob(tool.args.long, "*a*b*c")',
        'any(tool.args.wide, contains(tool.args.long, "c"))',
        "count(tool.args.wide, lower(tool.args.wide_text))",
        "tool.args.deeper == tool.args.again",
    ],
)
def test_what_would_cost_too_much_fails_and_is_given_up_early(source: str) -> None:
    strange = {**STRANGE, "other": [*STRANGE["wide"][:-1], -1], "again": nested(2_000)}
    with pytest.raises(ExpressionFailed):
        compile_expression(source)(args(strange))


@pytest.mark.parametrize(
    "source",
    [
        'contains(tool.args.long, "c")',
        "lower(tool.args.wide_text) == 1",
        "tool.args.long == tool.args.long",
        "any(tool.args.wide, it == 5)",
        "len(tool.args.wide) > 10",
        "tool.args.wide == tool.args.wide",
        "len(json(tool.args.deeper)) < 1000",
        "tool.args.huge + 1.5",
        "tool.args.huge + tool.args.huge > 0",
        "int(tool.args.inf)",
        "str(tool.args.huge)",
        "json(tool.args.nan)",
        "tool.args.nan == tool.args.nan",
        "max(tool.args.nan, 1)",
    ],
)
def test_what_is_large_or_odd_and_cheap_has_a_value(source: str) -> None:
    _, operations = compile_expression(source).measured(args(STRANGE))
    assert operations <= MOST_OPERATIONS


def test_the_usual_condition_costs_little_more_than_its_nodes() -> None:
    expression = compile_expression('state.turn > 3 and tool.name == "run_shell_command"')
    assert expression.measured(border()) == (True, expression.weight)


@pytest.mark.parametrize(("items", "is_within"), [(4_900, True), (5_100, False)])
def test_a_long_history_is_looked_through_in_full_or_not_answered(items: int, is_within: bool) -> None:
    expression = compile_expression('any(state.history, it.role == "user")')
    if is_within:
        assert expression(history(items)) is False
    else:
        with pytest.raises(ExpressionFailed, match="20,000 operations"):
            expression(history(items))


def test_text_that_is_put_together_of_many_pieces_is_paid_for() -> None:
    here = border()
    assert here.state.turn is not None
    chunks: Any = pvector([{"candidates": [{"content": {"parts": [{"text": "x"}]}}]}] * 3_000)
    here = evolve(here, state=evolve(here.state, turn=evolve(here.state.turn, chunks=chunks)))
    assert compile_expression("len(state.streamed)").measured(here)[1] > 6_000
    with pytest.raises(ExpressionFailed):
        compile_expression("any(state.calls, any(state.calls, len(state.streamed) == 1))")(here)


def test_a_failed_evaluation_leaves_the_next_one_alone() -> None:
    expression = compile_expression("count(tool.args.wide, it)")
    with pytest.raises(ExpressionFailed):
        expression(args(STRANGE))
    assert expression(args({"wide": [1, 0, 2]})) == 2


def test_a_log_line_of_a_large_value_looks_at_no_more_than_it_shows() -> None:
    text = compile_template("h={state.history} l={tool.args.long}")(history(100_000))
    assert len(text) == MOST_SHOWN
    assert text.endswith("…")


def test_a_path_costs_its_steps() -> None:
    path = compile_path("state.history[-1].role")
    assert path.measured(history(100_000))[1] == path.weight < 10
