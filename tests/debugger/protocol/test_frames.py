"""Frames: what JSON has goes through, and everything else is refused before it costs anything."""

import math
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from debugger.protocol import frames
from debugger.protocol.errors import Failure
from debugger.protocol.frames import DEEPEST, FROM_CLIENT, HEAD, TO_CLIENT, Limits, Reader
from runtime.errors import LocalError

TEXT = st.text(st.characters())
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


def frame(body: bytes) -> bytes:
    return len(body).to_bytes(HEAD, "big") + body


def taken(data: bytes, limits: Limits = FROM_CLIENT) -> Any:
    reader = Reader(limits)
    reader.feed(data)
    return reader.take()


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@given(st.dictionaries(TEXT, VALUES, max_size=5), st.lists(st.integers(1, 40), max_size=30))
def test_what_json_has_comes_out_as_it_went_in_however_it_is_cut(value: dict[str, Any], cuts: list[int]) -> None:
    data = frames.encode(value, TO_CLIENT) * 2
    reader, found = Reader(FROM_CLIENT), []
    for size in [*cuts, len(data)]:
        reader.feed(data[:size])
        data = data[size:]
        while (one := reader.take()) is not None:
            found.append(one)
    assert found == [value, value]
    assert reader.empty


def test_lone_surrogates_go_through_as_they_do_in_a_journal() -> None:
    assert taken(frames.encode({"text": "\ud800"}, TO_CLIENT)) == {"text": "\ud800"}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "from 1 to"),
        (b"\x93\x01\x02\x03", "must be a map"),
        (b"\xc0", "must be a map"),
        (b"\x81\xa1a", "cannot be read"),
        (b"\x81\xa1a\x01\x00", "cannot be read"),
        (b"\xc1", "cannot be read"),
        (b"\x81\xa1a\xdd\xff\xff\xff\xff", "cannot be read"),
        (b"\x81\xa1a\xdb\xff\xff\xff\xff", "cannot be read"),
        (b"\x81\xa1a\xa1\xff", "cannot be read"),
        (b"\x81\xcb" + b"\x7f\xf8" + b"\0" * 6 + b"\x01", "float is not allowed for map key"),
        (b"\x81\xc4\x01a\x01", "must be text"),
        (b"\x82\xa1a\x01\xa1a\x02", "stands twice"),
        (b"\x81\xa1a\xc4\x01x", "bytes"),
        (b"\x81\xa1a\xc7\x01\x05x", "extension"),
        (b"\x81\xa1a\xd6\xff\x00\x00\x00\x01", "Timestamp"),
        (msgpack.packb({"a": math.nan}), "not finite"),
        (msgpack.packb({"a": [math.inf]}), "not finite"),
        (msgpack.packb({"a": nested(DEEPEST)}), "nested deeper"),
        (msgpack.packb({"a": [None] * (FROM_CLIENT.values + 1)}), "cannot be read"),
        (msgpack.packb({"a": [[None] * 6_000, [None] * 6_000]}), "more than"),
        (b"\x81\xa1a" + b"\x91" * 2_000 + b"\x01", "cannot be read"),
        (b"\x81\xa1a" + b"\x91" * 900_000 + b"\x01", "cannot be read"),
    ],
)
def test_a_frame_that_json_could_not_be_is_refused_with_a_sentence(body: bytes, why: str) -> None:
    with pytest.raises(Failure, match=why) as caught:
        taken(frame(body))
    assert caught.value.code == "bad_frame"


def test_a_length_above_the_limit_is_refused_before_anything_is_kept() -> None:
    with pytest.raises(Failure, match="not 4294967295"):
        taken(b"\xff\xff\xff\xff")
    with pytest.raises(Failure, match="not 1048577"):
        taken((FROM_CLIENT.size + 1).to_bytes(HEAD, "big"))
    assert taken(FROM_CLIENT.size.to_bytes(HEAD, "big")) is None


def test_the_deepest_frame_that_is_written_is_the_deepest_that_is_read() -> None:
    value = {"a": nested(DEEPEST - 1)}
    assert taken(frames.encode(value, TO_CLIENT)) == value
    with pytest.raises(Failure, match="nested deeper"):
        frames.encode({"a": nested(DEEPEST)}, TO_CLIENT)


@pytest.mark.parametrize("value", [b"x", {1: 2}, math.nan, math.inf, {"a"}, object(), {"a": [{"b": b""}]}])
def test_what_is_not_plain_is_never_written(value: Any) -> None:
    with pytest.raises(LocalError):
        frames.encode({"value": value}, TO_CLIENT)


def test_what_does_not_fit_is_never_written() -> None:
    with pytest.raises(Failure, match="ask for less"):
        frames.encode({"a": "x" * TO_CLIENT.size}, TO_CLIENT)
    with pytest.raises(Failure, match="ask for less"):
        frames.encode({"a": [None] * (TO_CLIENT.values + 1)}, TO_CLIENT)


def test_an_integer_that_no_msgpack_holds_is_written_as_json_readers_take_it() -> None:
    assert taken(frames.encode({"a": 10**30, "b": -(10**30), "c": 10**400}, TO_CLIENT)) == {
        "a": 1e30,
        "b": -1e30,
        "c": None,
    }


def test_an_event_is_packed_once_and_numbered_for_each_connection() -> None:
    packed = frames.pack({"x": 1})
    for number in (1, 128, 2**32):
        assert taken(frames.event_frame(number, "log", packed)) == {"n": number, "event": "log", "data": {"x": 1}}
