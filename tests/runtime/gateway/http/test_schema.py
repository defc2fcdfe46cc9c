"""What bodies are checked with."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.gateway.http.schema import FLAG, LIST, TEXT, complaint, listed, number, one_of, or_null, record

POINT = record({"x": number(0, 9, whole=True), "name": {**TEXT, "minLength": 1, "maxLength": 3}}, "x", strict=True)
KINDS = {"anyOf": [record({"type": one_of("a")}, "type"), record({"type": one_of("b"), "n": number()}, "type")]}
EITHER = {"anyOf": [TEXT, listed(POINT, minItems=1, maxItems=2), {"type": "null"}]}

CASES: list[tuple[Any, Any, str | None]] = [
    (TEXT, "x", None),
    (TEXT, 5, "the body: must be a string"),
    (or_null(FLAG), None, None),
    (or_null(FLAG), 0, "the body: must be true or false or null"),
    (FLAG, True, None),
    (number(), True, "the body: must be a number or null"),
    (number(whole=True), 3.0, None),
    (number(whole=True), 3.5, "the body: must be a whole number or null"),
    (number(whole=True), False, "the body: must be a whole number or null"),
    (one_of("a", "b"), "c", "the body: must be one of a, b"),
    (LIST, {}, "the body: must be a list"),
    ({}, object(), None),
    (POINT, {"x": 1}, None),
    (POINT, {}, "the body: x is missing"),
    (POINT, {"x": 10}, "x: must be at most 9"),
    (POINT, {"x": -1}, "x: must be at least 0"),
    (POINT, {"x": 1, "y": 2}, "the body: y is not known here"),
    (POINT, {"x": 1, "name": ""}, "name: must not be empty"),
    (POINT, {"x": 1, "name": "long"}, "name: must have at most 3 characters"),
    (record({"p": POINT}), {"p": {"x": "a"}}, "p.x: must be a whole number or null"),
    (record({}, additionalProperties=TEXT), {"a": 1}, "a: must be a string"),
    (EITHER, "x", None),
    (EITHER, None, None),
    (EITHER, [{"x": 1}], None),
    (EITHER, 5, "the body: has none of the forms that are taken here"),
    (EITHER, [{"x": 99}], "0.x: must be at most 9"),
    (record({"e": EITHER}), {"e": []}, "e: must have at least 1 items"),
    (KINDS, {"type": "b", "n": "x"}, "n: must be a number or null"),
    (KINDS, {"type": "c"}, "the body: has none of the forms that are taken here"),
    (KINDS, {}, "the body: has none of the forms that are taken here"),
    (listed(TEXT, minItems=1), [], "the body: must have at least 1 items"),
    (listed(TEXT, maxItems=1), ["a", "b"], "the body: must have at most 1 items"),
]


@pytest.mark.parametrize(("schema", "value", "why"), CASES)
def test_a_value_fits_or_the_place_is_named(schema: Any, value: Any, why: str | None) -> None:
    assert complaint(schema, value) == why


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.sampled_from(["x", "name", "y"]), one, max_size=3),
    max_leaves=6,
)


@given(VALUES)
def test_every_value_is_judged_in_one_line(value: Any) -> None:
    for schema in (POINT, EITHER, record({"x": EITHER}), listed(POINT)):
        why = complaint(schema, value)
        assert why is None or (": " in why and "\n" not in why)
