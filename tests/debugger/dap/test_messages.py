"""Framing: any bytes become the requests that they are, however they are cut; what is none is said to be none."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debugger.dap.messages import BODY, HEAD, BadHeader, BadMessage, Reader, Request, decode, numbered, packed

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), lambda inner: st.lists(inner), max_leaves=8
)
REQUESTS = st.builds(
    lambda seq, command, value: {"seq": seq, "type": "request", "command": command, "arguments": {"value": value}},
    st.integers(0, 2**52),
    st.text(min_size=1, max_size=20),
    JSON,
)


def framed(message: Any) -> bytes:
    body = json.dumps(message).encode()
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def taken(reader: Reader) -> list[bytes]:
    found = []
    while (body := reader.take()) is not None:
        found.append(body)
    return found


@given(st.lists(REQUESTS, max_size=5), st.lists(st.integers(1, 40), min_size=1, max_size=30))
def test_messages_are_found_however_their_bytes_are_cut(messages: list[Any], sizes: list[int]) -> None:
    data = b"".join(map(framed, messages))
    reader, found, place = Reader(), [], 0
    while data:
        size = sizes[place % len(sizes)]
        reader.feed(data[:size])
        data, place = data[size:], place + 1
        found += taken(reader)
    assert reader.empty
    assert [decode(body) for body in found] == [
        Request(one["seq"], one["command"], one["arguments"]) for one in messages
    ]


@given(st.dictionaries(st.text(max_size=5), JSON, min_size=1, max_size=4), st.integers(1, 10**6))
def test_what_is_written_is_read_back_with_its_number(body: dict[str, Any], seq: int) -> None:
    body.pop("seq", None)
    reader = Reader()
    reader.feed(numbered(seq, packed({"type": "event", **body})))
    (found,) = taken(reader)
    assert json.loads(found) == {"seq": seq, "type": "event", **body}


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    reader = Reader()
    reader.feed(data)
    with suppress(BadHeader, BadMessage):
        for body in taken(reader):
            decode(body)


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"Content-Length: x", "as a number"),
        (b"Content-Length: -1", "as a number"),
        (b"Content-Length: 5\r\nContent-Length: 5", "once"),
        (b"Content-Type: text", "no Content-Length"),
        (b"hello", "no field"),
        (b"Content-Length: %d" % (BODY + 1), "at most"),
    ],
)
def test_a_header_that_cannot_be_read_ends_the_stream(head: bytes, why: str) -> None:
    reader = Reader()
    reader.feed(head + b"\r\n\r\n")
    with pytest.raises(BadHeader, match=why):
        reader.take()


def test_a_header_has_an_end_or_is_refused() -> None:
    reader = Reader()
    reader.feed(b"x" * (HEAD + 1))
    with pytest.raises(BadHeader):
        reader.take()


def test_other_fields_of_a_header_are_passed_over() -> None:
    reader = Reader()
    reader.feed(b"Content-Type: application/vscode-jsonrpc\r\ncontent-length: 2\r\n\r\n{}")
    assert reader.take() == b"{}"


@pytest.mark.parametrize(
    ("body", "seq"),
    [
        (b"", 0),
        (b"[]", 0),
        (b"\xff", 0),
        (b'{"seq": NaN}', 0),
        (b"[" * 100_000, 0),
        (b'{"seq": 3, "type": "event", "command": "x"}', 3),
        (b'{"seq": 3, "type": "request"}', 3),
        (b'{"seq": 3.5, "type": "request", "command": "x"}', 0),
        (b'{"seq": 3, "type": "request", "command": "x", "arguments": []}', 3),
        (b'{"seq": 3, "type": "request", "command": "x", "arguments": ' + b'{"a":' * 99 + b"1" + b"}" * 100, 3),
    ],
)
def test_what_is_no_request_is_refused_with_what_it_says_of_itself(body: bytes, seq: int) -> None:
    with pytest.raises(BadMessage) as caught:
        decode(body)
    assert caught.value.seq == seq
    assert str(caught.value)


def test_arguments_may_be_absent_or_null() -> None:
    assert decode(b'{"seq": 1, "type": "request", "command": "threads"}') == Request(1, "threads", {})
    assert decode(b'{"seq": 1, "type": "request", "command": "threads", "arguments": null}').arguments == {}
