"""Params: what a declared class takes, and errors in the order and words of the contract."""

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal

import pytest
from attrs import asdict, frozen
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import LocalError
from runtime.gateway.frames import GatewayError
from runtime.gateway.params import (
    ABSENT,
    LARGEST,
    LISTED,
    Absent,
    Items,
    Least,
    Length,
    Most,
    Nullable,
    Pattern,
    Text,
    Wire,
    decoder,
    wire_name,
)


@frozen(kw_only=True)
class Span:
    start_index: Annotated[int, Least(0)]
    end_index: Annotated[int, Least(1)]


@frozen(kw_only=True)
class Everything:
    session_key: Annotated[str, Length(1, 8)]
    limit: Annotated[int, Least(1), Most(1000)] | None = None
    weight: Annotated[float, Least(0)] = 1.0
    note: Nullable[Text] = None
    icon: Text | Absent | None = ABSENT
    order: Literal["asc", "desc"] = "asc"
    mode: Annotated[Literal["a", "b"], LISTED] | None = None
    fast_mode: bool | Literal["auto"] | None = None
    approvals: Literal[True] | None = None
    payload_json: Annotated[str | None, Wire("payloadJSON")] = None
    keys: Annotated[tuple[Text, ...], Items(1, 3)] | None = None
    spans: list[Span] | None = None
    env: Mapping[str, str] | None = None
    args: Mapping[str, Any] | None = None
    anything: Any = None
    branch: Annotated[str, Pattern("^[a-z]+$")] | None = None


@frozen(kw_only=True)
class ById:
    id: Text


@frozen(kw_only=True)
class ByJobId:
    job_id: Text


@frozen(kw_only=True)
class Optional:
    probe: bool | None = None


everything = decoder(Everything)


def why(params: object, kind: Any = Everything) -> str:
    with pytest.raises(GatewayError) as caught:
        decoder(kind)("m", params)
    assert caught.value.code == "INVALID_REQUEST"
    prefix, _, told = caught.value.message.partition("invalid m params: ")
    assert prefix == ""
    return told


def test_names_are_camel_case_on_the_wire_and_the_rest_is_defaults() -> None:
    assert everything("m", {"sessionKey": "a"}) == Everything(session_key="a")
    assert everything("m", {"sessionKey": "a", "fastMode": "auto"}).fast_mode == "auto"


def test_a_name_of_its_own_is_used_as_it_is() -> None:
    assert everything("m", {"sessionKey": "a", "payloadJSON": "{}"}).payload_json == "{}"
    assert why({"sessionKey": "a", "payloadJson": "{}"}) == "at root: unexpected property 'payloadJson'"
    assert why({"sessionKey": "a", "payloadJSON": None}) == "at /payloadJSON: must be string"


@pytest.mark.parametrize("params", [None, {}, {"probe": True}])
def test_params_may_be_absent_where_every_field_is_optional(params: object) -> None:
    assert decoder(Optional)("health", params) == Optional(probe=True if params else None)


def test_absent_params_miss_what_is_required() -> None:
    assert why(None) == "must have required property 'sessionKey'"


def test_connect_takes_no_absent_params() -> None:
    with pytest.raises(GatewayError, match="invalid connect params: must be object"):
        decoder(Optional, null_is_empty=False)("connect", None)


@pytest.mark.parametrize("params", [1, "x", [], True])
def test_params_that_are_no_object_are_refused(params: object) -> None:
    assert why(params) == "must be object"


def test_an_optional_field_may_be_absent_and_not_null() -> None:
    assert why({"sessionKey": "a", "limit": None}) == "at /limit: must be integer"


def test_a_nullable_field_may_be_null() -> None:
    assert everything("m", {"sessionKey": "a", "note": None}).note is None
    assert everything("m", {"sessionKey": "a", "note": "x"}).note == "x"
    assert why({"sessionKey": "a", "note": 3}) == (
        "at /note: must be string; at /note: must be null; at /note: must match a schema in anyOf"
    )


def test_absent_and_null_can_be_told_apart() -> None:
    assert everything("m", {"sessionKey": "a"}).icon is ABSENT
    assert everything("m", {"sessionKey": "a", "icon": None}).icon is None


@pytest.mark.parametrize("whole", [3, 3.0, -0.0 + 3])
def test_a_whole_number_may_be_written_with_a_point(whole: float) -> None:
    limit = everything("m", {"sessionKey": "a", "limit": whole}).limit
    assert limit == 3
    assert type(limit) is int


@pytest.mark.parametrize("value", [True, "3", 2.5, [], math.inf])
def test_what_is_no_whole_number_is_refused(value: object) -> None:
    assert why({"sessionKey": "a", "limit": value}) == "at /limit: must be integer"


def test_numbers_that_nobody_counts_to_are_refused() -> None:
    assert why({"sessionKey": "a", "limit": 1e300}) == f"at /limit: must be <= {LARGEST}"


ANY_OF = "must match a schema in anyOf"
CONSTANT = "must be equal to constant"


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("sessionKey", "", "at /sessionKey: must not have fewer than 1 characters"),
        ("sessionKey", "x" * 9, "at /sessionKey: must not have more than 8 characters"),
        ("sessionKey", 1, "at /sessionKey: must be string"),
        ("limit", 0, "at /limit: must be >= 1"),
        ("limit", 1001, "at /limit: must be <= 1000"),
        ("weight", "1", "at /weight: must be number"),
        ("weight", True, "at /weight: must be number"),
        ("order", "x", f"at /order: {CONSTANT}; at /order: {ANY_OF}"),
        ("mode", "x", "at /mode: must be equal to one of the allowed values"),
        ("mode", ["a"], "at /mode: must be equal to one of the allowed values"),
        ("approvals", False, f"at /approvals: {CONSTANT}"),
        ("approvals", 1, f"at /approvals: must be boolean; at /approvals: {CONSTANT}"),
        (
            "fastMode",
            3,
            "; ".join(f"at /fastMode: {each}" for each in ("must be boolean", "must be string", CONSTANT, ANY_OF)),
        ),
        ("keys", [], "at /keys: must not have fewer than 1 items"),
        ("keys", ["a"] * 4, "at /keys: must not have more than 3 items"),
        ("keys", [""], "at /keys/0: must not have fewer than 1 characters"),
        ("keys", "a", "at /keys: must be array"),
        (
            "spans",
            [{"startIndex": -1, "endIndex": 0}],
            "at /spans/0/startIndex: must be >= 0; at /spans/0/endIndex: must be >= 1",
        ),
        (
            "spans",
            [{"startIndex": 0, "endIndex": 1}, {"x": 1}],
            "at /spans/1: must have required property 'startIndex'; at /spans/1: unexpected property 'x'",
        ),
        ("env", {"a": 1}, "at /env/a: must be string"),
        ("env", [], "at /env: must be object"),
        ("args", [], "at /args: must be object"),
        ("branch", "A", 'at /branch: must match pattern "^[a-z]+$"'),
    ],
)
def test_errors_have_the_words_of_the_contract(field: str, value: object, told: str) -> None:
    assert why({"sessionKey": "a", field: value}) == told


def test_what_is_missing_comes_first_then_what_is_too_much_then_what_is_wrong() -> None:
    assert why({"zz": 1, "y": 2, "limit": 0}) == (
        "must have required property 'sessionKey'; at root: unexpected property 'zz'; at /limit: must be >= 1"
    )


def test_no_more_than_eight_problems_are_told() -> None:
    told = why({"sessionKey": "a", "spans": [{"startIndex": "x", "endIndex": 1}] * 1000})
    assert told.count("must be integer") == 8
    assert why({"sessionKey": "a", "env": {str(each): 1 for each in range(1000)}}).count("must be string") == 8


def test_the_same_problem_is_told_once() -> None:
    assert why({"sessionKey": "a", "order": "x"}).count("must be equal to constant") == 1


def test_an_object_may_be_one_of_two_classes() -> None:
    kind: Any = ById | ByJobId
    both = decoder(kind)
    assert both("cron.remove", {"id": "a"}) == ById(id="a")
    assert both("cron.remove", {"jobId": "a"}) == ByJobId(job_id="a")
    told = "must have required property 'id'; must have required property 'jobId'; must match a schema in anyOf"
    assert why({}, ById | ByJobId) == told


def test_lists_and_objects_are_taken_over() -> None:
    spans = [{"startIndex": 0, "endIndex": 2}]
    params = {"sessionKey": "a", "keys": ["x"], "spans": spans, "env": {"A": "b"}, "args": {"c": []}}
    taken = everything("m", params)
    assert taken.keys == ("x",)
    assert taken.spans == [Span(start_index=0, end_index=2)]
    assert (taken.env, taken.args) == ({"A": "b"}, {"c": []})


def test_a_type_that_no_json_has_is_our_own_fault() -> None:
    @frozen
    class Wrong:
        when: bytes

    with pytest.raises(LocalError):
        decoder(Wrong)


@pytest.mark.parametrize(
    ("name", "wire"), [("key", "key"), ("session_key", "sessionKey"), ("from_", "from"), ("ts_ms", "tsMs")]
)
def test_names_become_camel_case(name: str, wire: str) -> None:
    assert wire_name(name) == wire


WORDS = st.lists(st.text("abcdefgh", min_size=1, max_size=5), min_size=1, max_size=4)


@given(WORDS, WORDS)
def test_two_names_never_become_one(left: list[str], right: list[str]) -> None:
    assert (wire_name("_".join(left)) == wire_name("_".join(right))) == (left == right)


GOOD = st.fixed_dictionaries(
    {"sessionKey": st.text(min_size=1, max_size=8)},
    optional={
        "limit": st.integers(1, 1000),
        "weight": st.floats(0, 1e6) | st.integers(0, 10),
        "note": st.none() | st.text(min_size=1),
        "icon": st.none() | st.text(min_size=1),
        "order": st.sampled_from(["asc", "desc"]),
        "mode": st.sampled_from(["a", "b"]),
        "fastMode": st.booleans() | st.just("auto"),
        "approvals": st.just(True),
        "payloadJSON": st.text(),
        "keys": st.lists(st.text(min_size=1), min_size=1, max_size=3),
        "env": st.dictionaries(st.text(), st.text()),
        "branch": st.text("abc", min_size=1),
    },
)


@given(GOOD)
def test_all_that_is_declared_is_taken(params: dict[str, Any]) -> None:
    taken = asdict(everything("m", params), recurse=False)
    for attribute in Everything.__attrs_attrs__:
        wire = "payloadJSON" if attribute.name == "payload_json" else wire_name(attribute.name)
        got = taken[attribute.name]
        expected = params.get(wire, attribute.default)
        assert (list(got) if isinstance(got, tuple) else got) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["startIndex", "a"]), inner, max_size=2)
    ),
    max_leaves=6,
)
NAMES = st.sampled_from([wire_name(attribute.name) for attribute in Everything.__attrs_attrs__] + ["zz"])


@given(JSON | st.dictionaries(NAMES, JSON, max_size=4))
def test_any_json_is_taken_or_refused(params: Any) -> None:
    with suppress(GatewayError):
        assert isinstance(everything("m", params), Everything)
