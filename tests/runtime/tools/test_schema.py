"""Arguments against schemas: the sentences, and what passes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.tools.declarations import SPECS
from runtime.tools.schema import fault

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 1},
        "tags": {"type": "array", "items": {"type": "string"}},
        "kind": {"type": "string", "enum": ["a", "b"]},
        "inner": {"type": "object", "properties": {"flag": {"type": "boolean"}}, "additionalProperties": False},
    },
    "required": ["name"],
}


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"name": "x"}, None),
        ({"name": "x", "more": 1}, None),
        ({}, "params must have required property 'name'"),
        ({"age": 0}, "params must have required property 'name'"),
        ({"name": None}, "params/name must be string"),
        ({"name": "x", "age": "2"}, "params/age must be integer"),
        ({"name": "x", "age": True}, "params/age must be integer"),
        ({"name": "x", "age": 1.5}, "params/age must be integer"),
        ({"name": "x", "age": 2.0}, None),
        ({"name": "x", "age": 0}, "params/age must be >= 1"),
        ({"name": "x", "tags": "y"}, "params/tags must be array"),
        ({"name": "x", "tags": ["y", 1]}, "params/tags/1 must be string"),
        ({"name": "x", "kind": "c"}, "params/kind must be equal to one of the allowed values"),
        ({"name": "x", "inner": {"flag": 1}}, "params/inner/flag must be boolean"),
        ({"name": "x", "inner": {"other": 1}}, "params/inner must NOT have additional properties"),
        ([], "params must be object"),
    ],
)
def test_the_first_fault_is_told_in_the_recorded_words(value: object, sentence: str | None) -> None:
    assert fault(PERSON, value) == sentence


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_no_value_breaks_the_check(value: object) -> None:
    for spec in SPECS:
        found = fault(spec.parameters, value)
        assert found is None or found.startswith("params")
