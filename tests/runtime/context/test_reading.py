"""What the model gets of one file: decoding, shortening, headings, data."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.context.reading import CUT, LARGEST_SVG, LONGEST_LINE, MOST_LINES, decoded, parts_of, shortened


def text_of(content: bytes, kind: str = "text") -> list[str]:
    parts = parts_of(content, kind, "", label="l", relative="r")
    return [part["text"] for part in parts or ()]


@pytest.mark.parametrize("codec", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufeff\0"), max_size=20))
def test_a_mark_of_byte_order_decides_how_bytes_are_read(codec: str, text: str) -> None:
    marks = {
        "utf-8": codecs.BOM_UTF8,
        "utf-16-le": codecs.BOM_UTF16_LE,
        "utf-16-be": codecs.BOM_UTF16_BE,
        "utf-32-le": codecs.BOM_UTF32_LE,
        "utf-32-be": codecs.BOM_UTF32_BE,
    }
    assert decoded(marks[codec] + text.encode(codec)) == text


@given(st.binary(max_size=40))
def test_any_bytes_can_be_read_and_sent(content: bytes) -> None:
    assert decoded(content).encode().decode() == decoded(content)


@pytest.mark.parametrize("count", [MOST_LINES - 1, MOST_LINES, MOST_LINES + 1])
def test_a_file_of_many_lines_is_cut_under_a_warning(count: int) -> None:
    lines = [f"l{number}" for number in range(count)]
    cut = [CUT, "", *lines[:MOST_LINES]]
    assert shortened("\n".join(lines)) == "\n".join(cut if count > MOST_LINES else lines)


@pytest.mark.parametrize("length", [LONGEST_LINE, LONGEST_LINE + 1])
def test_a_long_line_is_cut_under_a_warning(length: int) -> None:
    expected = "x" * length if length <= LONGEST_LINE else f"{CUT}\n\n{'x' * LONGEST_LINE}... [truncated]"
    assert shortened("x" * length) == expected


def test_line_ends_of_other_systems_become_ours() -> None:
    assert shortened("a\r\nb\rc\n") == "a\nb\rc\n"


def test_white_space_around_the_text_goes_as_javascript_trims() -> None:
    assert text_of("\ufeff\u00a0 a \x1c \u3000".encode()) == ["\nContent from @l:\n", "a \x1c"]


def test_nothing_but_white_space_leaves_the_heading() -> None:
    assert text_of(b" \n\t") == ["\nContent from @l:\n"]


def test_a_drawing_is_text_as_it_is_until_it_is_too_large() -> None:
    long = b"<svg>" + b"x" * (LONGEST_LINE * 2)
    assert text_of(long, "svg")[1] == long.decode()
    assert text_of(b"x" * (LARGEST_SVG + 1), "svg")[1] == "Cannot display content of SVG file larger than 1MB: r"


def test_binary_content_is_named_and_not_shown() -> None:
    assert text_of(b"\0", "binary")[1] == "Cannot display content of binary file: r"


@pytest.mark.parametrize(
    ("kind", "mime", "taken"),
    [
        ("image", "image/png", True),
        ("pdf", "application/pdf", True),
        ("video", "video/mp4", True),
        ("audio", "audio/mpeg", True),
        ("audio", "audio/midi", False),
    ],
)
def test_media_travel_as_data_if_the_model_takes_them(kind: str, mime: str, taken: bool) -> None:
    expected = ({"inlineData": {"data": "AAE=", "mimeType": mime}},) if taken else None
    assert parts_of(b"\0\1", kind, mime, label="l", relative="r") == expected
