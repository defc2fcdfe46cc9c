"""Any value becomes plain JSON within bounds, and what is secret does not."""

import math

import pytest
from hypothesis import given
from pyrsistent import pvector

from debugger.inspect.plain import Bounds, cut, kind_of, number, plain
from debugger.inspect.request import redacted
from debugger.schema import SECRET_KEYS
from runtime.step import Phase
from runtime.vocab import ToolError, Usage, encode
from tests.debugger.inspect.places import SECRET, shown, wired
from tests.runtime.step.strategies import JSON


def camel(key: str) -> str:
    first, *more = key.replace("-", "_").split("_")
    return first + "".join(map(str.title, more))


def dashed(key: str) -> str:
    return key.replace("_", "-")


def bare(key: str) -> str:
    return key.replace("_", "").replace("-", "")


@pytest.mark.parametrize("key", sorted(SECRET_KEYS))
@pytest.mark.parametrize("spell", [str.lower, str.upper, str.title, camel, dashed, bare], ids=lambda one: one.__name__)
def test_what_stands_under_a_secret_key_is_shown_as_its_length(key: str, spell: object) -> None:
    named = spell(key)  # type: ignore[operator]
    assert plain({"a": [{named: SECRET}]}) == {"a": [{named: {"secret": len(SECRET)}}]}
    assert redacted(encode({named: SECRET})) == encode({named: {"secret": len(SECRET)}})


def test_a_secret_that_is_an_object_shows_nothing_of_itself() -> None:
    assert SECRET not in shown(plain({"credentials": {"user": SECRET, SECRET: 1}, "cookie": [SECRET]}))


def test_fields_of_frozen_values_are_read_by_their_names() -> None:
    assert plain(ToolError("a", "b")) == {"type": "a", "message": "b"}
    assert plain(Usage(total=3))["total"] == 3
    assert plain(Phase.CALLS) == "calls"


def test_a_long_text_is_cut_and_its_length_told() -> None:
    assert plain("abcdef", Bounds(text=3)) == {"cut": "abc", "length": 6}
    assert cut("abc", 3) == "abc"


def test_what_lies_too_deep_or_is_too_much_is_named() -> None:
    assert plain([[[1]]], Bounds(depth=2)) == [[{"deeper": "list"}]]
    assert plain(pvector(range(5)), Bounds(items=2)) == [0, 1, {"more": 3}]
    assert plain({"a": 1, "b": 2, "c": 3}, Bounds(items=1)) == {"a": 1, "more": 2}


def test_a_budget_bounds_the_whole() -> None:
    value = {f"k{n}": ["x" * 50] * 50 for n in range(50)}
    assert len(shown(plain(value, Bounds(budget=2_000)))) < 4_000


@pytest.mark.parametrize(
    ("value", "made"),
    [
        (2**63 - 1, 2**63 - 1),
        (2**64, {"number": str(2**64)}),
        (10**5_000, {"number": "16610 bits"}),
        (math.inf, {"number": "inf"}),
        (1.5, 1.5),
    ],
    ids=["largest", "beyond", "huge", "infinite", "float"],
)
def test_numbers_that_no_wire_carries_are_told_as_text(value: float, made: object) -> None:
    assert wired(number(value)) == made


def test_half_characters_and_bytes_are_replaced() -> None:
    assert wired(plain(["a\ud800b", b"abc", {"\udfff": 1}])) == ["a\ufffdb", {"bytes": 3}, {"\ufffd": 1}]


@given(JSON)
def test_any_json_value_is_carried_by_every_wire(value: object) -> None:
    wired(plain(value))


def test_types_have_words() -> None:
    values: list[object] = [None, True, 1, 1.0, "a", b"a", (), pvector(), {}, Usage(), Phase.NEW]
    words = ["null", "bool", "int", "float", "text", "bytes", "list", "list", "map", "Usage", "Phase"]
    assert [kind_of(value) for value in values] == words
