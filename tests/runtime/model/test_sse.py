"""Server-sent events: any split gives the same events; bounds and odd streams; JSON that is refused."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import ModelError
from runtime.model.sse import SseParser, decode


def events(*pieces: bytes) -> list[bytes]:
    parser = SseParser()
    return [event for piece in pieces for event in parser.feed(piece)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_events_end_with_an_empty_line_of_any_kind(end: bytes) -> None:
    assert events(b"data: a" + end + end + b"data: b" + end + end) == [b"a", b"b"]


def test_a_leading_space_belongs_to_the_field_and_only_one() -> None:
    assert events(b"data:a\n\ndata:  b\n\n") == [b"a", b" b"]


def test_several_data_lines_are_one_event() -> None:
    assert events(b"data: {\ndata\ndata: }\n\n") == [b"{\n\n}"]


def test_comments_and_other_fields_give_nothing() -> None:
    assert events(b": ping\n\nevent: x\nid: 1\nretry: 5\n\ndata: a\nevent: y\n\n") == [b"a"]


def test_a_byte_order_mark_is_skipped_once_at_the_beginning() -> None:
    assert events(b"\xef\xbb\xbfdata: a\n\n") == [b"a"]
    assert events(b"\xef", b"\xbb", b"\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n") == [b"a"]


def test_an_event_comes_as_soon_as_its_carriage_return_does() -> None:
    parser = SseParser()
    assert parser.feed(b"data: a\r\n\r") == [b"a"]
    assert parser.feed(b"\ndata: b\r") == []
    assert parser.feed(b"\n") == []
    assert parser.feed(b"\r\n") == [b"b"]


def test_an_event_that_was_cut_off_is_given_at_the_close_only() -> None:
    parser = SseParser()
    assert parser.feed(b"data: a\n\ndata: {") == [b"a"]
    assert parser.close() == b"{"
    assert parser.close() == b""


def test_lines_that_are_no_field_are_remembered() -> None:
    parser = SseParser()
    parser.feed(b"<html>\n<p>no</p>\n" + b"x" * 10_000 + b"\n")
    assert parser.stray.startswith(b"<html>\n<p>no</p>\nxxx")
    assert len(parser.stray) == 4096
    assert parser.events == 0


lines = st.sampled_from(
    [b"data: {}", b"data:x", b"data", b"data: \xc3\xa9", b":c", b"event: e", b"", b"nonsense", b"data: y"]
)
ends = st.sampled_from([b"\n", b"\r\n", b"\r"])
streams = st.tuples(st.booleans(), st.lists(st.tuples(lines, ends), max_size=12), st.sampled_from([b"", b"data: rest"]))


@given(streams, st.lists(st.integers(0, 120), max_size=12))
def test_the_borders_between_feeds_do_not_matter(
    stream: tuple[bool, list[tuple[bytes, bytes]], bytes], borders: list[int]
) -> None:
    bom, body, rest = stream
    text = b"\xef\xbb\xbf" * bom + b"".join(line + end for line, end in body) + rest
    places = [0, *sorted(min(border, len(text)) for border in borders), len(text)]
    one, many, single = SseParser(), SseParser(), SseParser()
    whole = [*one.feed(text), one.close()]
    split = [e for a, b in pairwise(places) for e in many.feed(text[a:b])]
    bytewise = [e for at in range(len(text)) for e in single.feed(text[at : at + 1])]
    assert [*split, many.close()] == whole
    assert [*bytewise, single.close()] == whole
    assert one.stray == many.stray == single.stray


@given(
    st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1), max_size=8), ends
)
def test_what_was_framed_comes_out_again(texts: list[str], end: bytes) -> None:
    framed = b"".join(b"data: " + text.encode() + end + end for text in texts)
    assert events(framed) == [text.encode() for text in texts]


@pytest.mark.parametrize("stream", [b"data: " + b"x" * 200 + b"\n\n", b"data: " + b"x" * 200, b"data: xxxx\n" * 40])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_event_over_the_limit_is_refused_however_it_comes(stream: bytes, size: int) -> None:
    parser = SseParser(limit=100)
    with pytest.raises(ModelError, match="larger than 100 bytes") as caught:
        for at in range(0, len(stream), size):
            parser.feed(stream[at : at + size])
    assert caught.value.kind == "protocol"


def test_many_small_events_and_comments_are_no_large_one() -> None:
    parser = SseParser(limit=100)
    assert len(parser.feed(b"data: 0123456789\n\n: comment\n" * 1000)) == 1000
    for _ in range(1000):
        parser.feed(b": keep-alive\n\n")


def test_empty_data_lines_count_too() -> None:
    parser = SseParser(limit=100)
    with pytest.raises(ModelError):
        parser.feed(b"data\n" * 200)


# JSON ---------------------------------------------------------------------------------------------------------------


def test_an_object_is_read_with_all_that_json_allows() -> None:
    assert decode('{"a":"é\\ud800","b":[1,2.5,-1e3,null,true]}'.encode()) == {
        "a": "é\ud800",
        "b": [1, 2.5, -1e3, None, True],
    }


@pytest.mark.parametrize(
    "data",
    [b"", b"{nope", b"[1]", b'"x"', b"null", b"{} {}", b'{"a":NaN}', b'{"a":-Infinity}', b'{"a":1e999}', b"\xff\xfe{}"],
)
def test_anything_but_one_object_is_a_protocol_error_that_names_what_came(data: bytes) -> None:
    with pytest.raises(ModelError, match="an event of the stream is no JSON") as caught:
        decode(data)
    assert caught.value.kind == "protocol"


def test_json_that_is_nested_without_end_is_refused() -> None:
    with pytest.raises(ModelError, match="nested too deep"):
        decode(b'{"a":' * 200_000)


def test_numbers_with_too_many_digits_are_refused() -> None:
    with pytest.raises(ModelError, match="is no JSON"):
        decode(b'{"a":' + b"9" * 100_000 + b"}")


def test_an_error_shows_little_and_nothing_that_a_terminal_obeys() -> None:
    with pytest.raises(ModelError) as caught:
        decode(b"\x1b[31m\x07" + "é\u202e".encode() + b"z" * 10_000)
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 300


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
    )
)
def test_what_json_writes_is_read_back(value: object) -> None:
    assert decode(json.dumps({"v": value}).encode()) == {"v": value}
