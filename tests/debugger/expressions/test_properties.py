"""What holds for every expression and every value: with Python as the judge where both mean the same."""

import json
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from debugger.expressions import ABSENT, BadExpression, ExpressionFailed, compile_expression, compile_template
from debugger.expressions.bounds import MOST_OPERATIONS, Purse
from debugger.expressions.shown import cut, whole
from debugger.schema import is_secret
from tests.debugger.expressions.borders import args, border

HERE = border()
TOKENS = st.sampled_from(
    [
        *"()[].,+-<>=!*\"'\\{}:# \t\n\0é",
        "state",
        "tool",
        "args",
        "any",
        "it",
        "len",
        "not",
        "and",
        "in",
        "if",
        "else",
        "r",
    ]
)
SOURCES = st.one_of(st.text(max_size=60), st.lists(TOKENS, max_size=25).map("".join), st.lists(TOKENS).map(" ".join))
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NUMBERS = st.integers(-(2**40), 2**40) | st.floats(-1e6, 1e6, allow_subnormal=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=5).map(lambda text: json.dumps(text))


@st.composite
def truths(draw: st.DrawFn, depth: int = 3) -> str:
    """An expression that means the same in Python: numbers with numbers, texts with texts, and words between them."""
    if depth == 0 or draw(st.booleans()):
        kind = draw(st.sampled_from([NUMBERS.map(repr), TEXTS]))
        sign = draw(st.sampled_from(["==", "!=", "<", "<=", ">", ">="]))
        return f"{draw(kind)} {sign} {draw(kind)}"
    one, other = draw(truths(depth - 1)), draw(truths(depth - 1))
    return draw(
        st.sampled_from(
            [f"not ({one})", f"({one}) and ({other})", f"({one}) or ({other})", f"({one}) if ({other}) else ({one})"]
        )
    )


@given(SOURCES)
def test_any_text_is_refused_with_a_place_or_has_a_value(source: str) -> None:
    try:
        expression = compile_expression(source)
    except BadExpression as exc:
        place = exc.position
    else:
        place = 0
        expression(HERE)
    assert 0 <= place <= len(source)


@given(SOURCES)
def test_any_template_is_refused_with_a_place_or_makes_text(source: str) -> None:
    try:
        template = compile_template(source)
    except BadExpression as exc:
        place = exc.position
    else:
        place = 0
        assert isinstance(template(HERE), str)
    assert 0 <= place <= len(source)


@given(truths())
def test_comparisons_and_words_between_them_mean_what_they_mean_in_python(source: str) -> None:
    assume(len(source) < 1_500)
    try:
        found = compile_expression(source)(HERE)
    except BadExpression:
        assume(False)
    assert found is eval(source)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_sums_are_those_of_python(a: float, b: float, c: float) -> None:
    assert compile_expression(f"{a!r} + {b!r} - {c!r}")(HERE) == a + b - c


@given(JSON, JSON)
def test_equality_is_that_of_json(left: Any, right: Any) -> None:
    here = args({"left": left, "right": right})
    assume(len(repr((left, right))) < 10_000)
    found = compile_expression("tool.args.left == tool.args.right")(here)
    assert found is (kinds(left) == kinds(right))
    assert compile_expression("tool.args.left != tool.args.right")(here) is not found
    listed = args({"left": left, "list": [right]})
    assert compile_expression("tool.args.left in tool.args.list")(listed) is found


def kinds(value: Any) -> Any:
    """A value in which True is told from 1, with Python's equality."""
    match value:
        case bool():
            return ("bool", value)
        case list():
            return [kinds(one) for one in value]
        case dict():
            return {name: kinds(one) for name, one in value.items()}
    return value


@given(JSON)
def test_what_is_shown_is_the_json_of_the_value(value: Any) -> None:
    assume(not any_secret(value))
    expected = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert whole(value, Purse()) == expected
    assert cut(value) == expected
    assert compile_expression("json(tool.args.value)")(args({"value": value})) == expected


@given(JSON, st.integers(2, 60))
def test_what_is_cut_is_a_beginning_with_a_sign_and_no_longer_than_asked(value: Any, most: int) -> None:
    text, shown = whole(value, Purse()), cut(value, most)
    assert shown == text if len(text) <= most else shown == text[: most - 1] + "…"


def any_secret(value: Any) -> bool:
    """Whether a value has a secret somewhere in it."""
    if isinstance(value, dict):
        return any(is_secret(name) or any_secret(one) for name, one in value.items())
    return isinstance(value, list) and any(map(any_secret, value))


@given(JSON, st.sampled_from(["tool.args.v", "tool.args.v[0]", "tool.args.v.a", "any(tool.args.v, it == 1)"]))
def test_the_operations_of_an_evaluation_are_counted_and_bounded(value: Any, source: str) -> None:
    here = args({"v": value})
    _, operations = compile_expression(source).measured(here)
    assert 0 < operations <= MOST_OPERATIONS


@given(st.text(max_size=40), st.text(max_size=40))
def test_text_functions_are_those_of_python(text: str, part: str) -> None:
    here = args({"t": text, "p": part})
    for source, expected in (
        ("len(tool.args.t)", len(text)),
        ("lower(tool.args.t)", text.lower()),
        ("upper(tool.args.t)", text.upper()),
        ("strip(tool.args.t)", text.strip()),
        ("startswith(tool.args.t, tool.args.p)", text.startswith(part)),
        ("endswith(tool.args.t, tool.args.p)", text.endswith(part)),
        ("contains(tool.args.t, tool.args.p)", part in text),
        ("tool.args.p not in tool.args.t", part not in text),
        ("tool.args.t < tool.args.p", text < part),
    ):
        assert compile_expression(source)(here) == expected


@given(st.text(max_size=30), st.text("ab*?[]!-\\d+(){}|^$.x", max_size=12))
def test_any_pattern_is_refused_or_answers_yes_or_no(text: str, pattern: str) -> None:
    for name in ("glob", "matches"):
        try:
            expression = compile_expression(f"{name}(tool.args.t, {json.dumps(pattern)})")
        except BadExpression:
            assert name == "matches"
            continue
        assert isinstance(expression(args({"t": text})), bool)


@given(st.integers(0, 30_000))
def test_a_long_list_is_looked_at_in_full_or_not_at_all(length: int) -> None:
    here = args({"list": [0] * length})
    try:
        found = compile_expression("count(tool.args.list, True)")(here)
    except ExpressionFailed:
        assert length > 9_900
    else:
        assert found == length <= 10_000


def test_absent_is_equal_to_nothing_in_python_either() -> None:
    assert ABSENT != ABSENT
    assert not ABSENT
    assert repr(ABSENT) == "absent"
