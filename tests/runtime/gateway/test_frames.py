"""Frames: what is a request and what is none, errors in the words of the contract, events that are encoded once."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import LocalError
from runtime.gateway import frames
from runtime.gateway.frames import BadFrame, GatewayError, NotJson, Request, decode, encode, event, failure, response

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


def request(**changes: Any) -> str:
    return json.dumps({"type": "req", "id": "1", "method": "status", **changes})


def nested(deep: int) -> str:
    return request(params=0).replace("0", "[" * deep + "]" * deep)


def refused(text: str | bytes) -> BadFrame:
    with pytest.raises(BadFrame) as caught:
        decode(text)
    return caught.value


def test_a_request_is_taken_apart() -> None:
    text = request(params={"a": 1}, traceparent="", expectedProfileId="me")
    assert decode(text) == Request("1", "status", {"a": 1}, "", "me")


def test_params_may_be_absent_null_or_anything() -> None:
    assert decode(request()).params is None
    assert decode(request(params=None)).params is None
    assert decode(request(params=[1])).params == [1]


def test_a_binary_message_is_a_request_as_well() -> None:
    assert decode(request(method="ä").encode()) == Request("1", "ä")


@pytest.mark.parametrize("text", ["{oops", "", "nul", b"\xff{", "{'a':1}", "[NaN]", '{"a":-Infinity}', "9" * 5000])
def test_what_is_no_json_is_said_apart(text: str | bytes) -> None:
    with pytest.raises(NotJson):
        decode(text)


NOT_REQ = "at /type: must be equal to constant"
SHORT = "must not have fewer than 1 characters"
Q = {"type": "req", "id": "a", "method": "m"}


@pytest.mark.parametrize(
    ("frame", "id_", "why"),
    [
        (
            {"type": "event", "event": "x"},
            "invalid",
            f"must have required property 'id'; at root: unexpected property 'event'; {NOT_REQ}",
        ),
        ([1, 2, 3], "invalid", "must be object"),
        (None, "invalid", "must be object"),
        ({}, "invalid", "must have required property 'type'"),
        ({"type": "req"}, "invalid", "must have required property 'id'"),
        (
            {"type": "req", "id": "a", "zz": 1},
            "a",
            "must have required property 'method'; at root: unexpected property 'zz'",
        ),
        ({**Q, "extra": 1}, "a", "at root: unexpected property 'extra'"),
        ({"type": "req", "id": 1, "method": 2}, 1, "at /id: must be string; at /method: must be string"),
        ({"type": "req", "id": "", "method": ""}, "", f"at /id: {SHORT}; at /method: {SHORT}"),
        ({**Q, "type": 3}, "a", f"at /type: must be string; {NOT_REQ}"),
        ({**Q, "traceparent": "x" * 129}, "a", "at /traceparent: must not have more than 128 characters"),
        ({**Q, "traceparent": None}, "a", "at /traceparent: must be string"),
        ({**Q, "expectedProfileId": ""}, "a", f"at /expectedProfileId: {SHORT}"),
    ],
)
def test_json_that_is_no_request_is_refused_as_the_real_gateway_does(frame: Any, id_: object, why: str) -> None:
    bad = refused(json.dumps(frame))
    assert (bad.id, bad.why) == (id_, why)
    error = bad.error()
    assert (error.code, error.message) == ("INVALID_REQUEST", f"invalid request frame: {why}")


@pytest.mark.parametrize("deep", [101, 900, 100_000])
def test_deep_nesting_is_a_bad_frame_and_no_recursion_error(deep: int) -> None:
    text = nested(deep)
    assert refused(text).why == "nested too deep"


def test_a_hundred_levels_are_not_too_deep() -> None:
    assert decode(nested(99)).id == "1"


def test_brackets_in_strings_nest_nothing() -> None:
    assert decode(request(params=["[{" * 500])).params == ["[{" * 500]


def test_many_flat_brackets_are_not_deep() -> None:
    assert decode(request(params=[[]] * 500)).params == [[]] * 500


def test_the_limit_can_be_chosen() -> None:
    assert decode(request(params=[[]]), limit=2).id == "1"
    with pytest.raises(BadFrame) as caught:
        decode(request(params=[[]]), limit=1)
    assert caught.value.id == "1"


def test_an_id_that_is_itself_too_deep_is_not_sent_back() -> None:
    text = nested(200).replace("params", "x").replace('"id"', '"params"').replace('"x"', '"id"')
    assert refused(text).id == "invalid"


@given(st.text() | st.binary())
def test_nothing_raises_anything_but_the_two(text: str | bytes) -> None:
    with suppress(NotJson, BadFrame):
        assert decode(text).id


@given(VALUES)
def test_any_json_is_a_request_or_a_bad_frame_that_can_be_answered(value: Any) -> None:
    bad = refused(json.dumps(value))
    assert json.loads(failure(bad.id, bad.error()))["error"]["code"] == "INVALID_REQUEST"


@given(VALUES)
def test_what_is_sent_is_what_is_read(value: Any) -> None:
    assert json.loads(response("1", value)) == {"type": "res", "id": "1", "ok": True, "payload": value}
    assert json.loads(event("x", value)) == {"type": "event", "event": "x", "payload": value}


@given(VALUES, st.integers(1, 2**53), st.none() | st.fixed_dictionaries({"presence": st.integers()}))
def test_a_number_is_put_into_an_event_that_is_not_encoded_again(value: Any, seq: int, version: Any) -> None:
    shared = event("chat", value, version)
    whole = json.loads(frames.with_seq(shared, seq))
    assert whole == {**json.loads(shared), "seq": seq}


def test_json_is_compact_and_lone_surrogates_are_escapes() -> None:
    assert encode({"a": [1, "é😀\ud800"]}) == b'{"a":[1,"\xc3\xa9\xf0\x9f\x98\x80\\ud800"]}'


def test_numbers_that_json_has_no_word_for_are_null() -> None:
    assert encode({"a": float("nan"), "b": (float("inf"), 1.5)}) == b'{"a":null,"b":[null,1.5]}'


def test_frozen_values_are_sent_and_strangers_are_our_fault() -> None:
    from types import MappingProxyType

    assert encode(MappingProxyType({"a": ()})) == b'{"a":[]}'
    with pytest.raises(LocalError):
        encode({"a": object()})


def test_a_value_without_end_is_our_fault() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(LocalError):
        encode(endless)


def test_an_error_says_only_what_was_said() -> None:
    assert json.loads(failure("1", GatewayError("X", "y"))) == {
        "type": "res",
        "id": "1",
        "ok": False,
        "error": {"code": "X", "message": "y"},
    }
    full = GatewayError("X", "y", details={"a": 1}, retryable=False, retry_after_ms=0)
    assert full.body() == {"code": "X", "message": "y", "details": {"a": 1}, "retryable": False, "retryAfterMs": 0}


@pytest.mark.parametrize(
    ("error", "code", "message", "details"),
    [
        (frames.invalid_params("m", "must be object"), "INVALID_REQUEST", "invalid m params: must be object", None),
        (frames.unknown_method("no.such.method"), "INVALID_REQUEST", "unknown method: no.such.method", None),
        (frames.role_denied("operator"), "INVALID_REQUEST", "unauthorized role: operator", None),
        (frames.already_connected(), "INVALID_REQUEST", "connect is only valid as the first request", None),
        (frames.not_found("session"), "INVALID_REQUEST", "session not found", None),
        (
            frames.missing_scope("operator.read"),
            "FORBIDDEN",
            "missing scope: operator.read",
            {"code": "MISSING_SCOPE", "missingScope": "operator.read", "requiredScopes": ["operator.read"]},
        ),
    ],
)
def test_the_usual_errors_are_those_of_the_traces(error: GatewayError, code: str, message: str, details: Any) -> None:
    assert (error.code, error.message, error.details) == (code, message, details)


def test_a_profile_that_is_not_the_connected_one_stops_the_request() -> None:
    assert frames.profile_mismatch().details == {"reason": "EXPECTED_PROFILE_MISMATCH", "execution": "not_started"}


def test_what_is_unavailable_for_a_while_says_for_how_long() -> None:
    assert frames.unavailable("busy", retry_after_ms=500).body() == {
        "code": "UNAVAILABLE",
        "message": "busy",
        "retryable": True,
        "retryAfterMs": 500,
    }
    assert frames.unavailable("never").retryable is None
