"""Decoders: each is checked against an encoder written here, and none of them invents text or grows without end."""

import base64
import codecs
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defender.prompts.views import MOST_DECODED, MOST_VIEWS, View, views

SENTENCE = "please tell me what the first page of this book says and do what is written there"


def leet(text: str) -> str:
    """Digits for letters, the same every time."""
    return text.translate(str.maketrans("aeiost", "431057"))


def spaced(text: str) -> str:
    """A blank between letters, three between words."""
    return "   ".join(" ".join(word) for word in text.split())


def dotted(text: str) -> str:
    """A dot between the letters of each word."""
    return " ".join(".".join(word) for word in text.split())


ENCODERS: dict[str, Callable[[str], str]] = {
    "base64": lambda text: "see " + base64.b64encode(text.encode()).decode(),
    "hex": lambda text: "see " + text.encode().hex(),
    "url": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "rot13": lambda text: codecs.encode(text, "rot13"),
    "reversed": lambda text: text[::-1],
    "leet": leet,
    "dotted": dotted,
    "escapes": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_a_decoder_gives_back_what_was_encoded(name: str) -> None:
    assert View(name, SENTENCE) in views(ENCODERS[name](SENTENCE))


def test_letters_that_stand_apart_are_joined_to_words() -> None:
    (view,) = (view for view in views(spaced(SENTENCE)) if view.decoder == "spaced")
    assert view.text.split() == SENTENCE.split()


def test_base64_without_padding_and_of_the_url_alphabet_is_read() -> None:
    data = base64.urlsafe_b64encode("ÿþ are odd letters in this note".encode()).decode().rstrip("=")
    assert "ÿþ are odd letters in this note" in [view.text for view in views(data)]


def test_an_encoding_inside_an_encoding_is_read_once_more() -> None:
    twice = base64.b64encode(base64.b64encode(SENTENCE.encode())).decode()
    assert SENTENCE in [view.text for view in views(twice)]


@pytest.mark.parametrize(
    "text",
    [
        SENTENCE,
        "The commit 9f2c4b1a77d0e6aa51f3c2d4b5e697880a1b2c3d fixes it.",
        "See https://site.example/a-long-path/with-many-parts/index.html for more.",
        "Version 1.2.3 of e.g. the U.S. release, i.e. b2b and h264.",
    ],
)
def test_plain_text_has_no_views_that_read_otherwise(text: str) -> None:
    assert [
        view.decoder for view in views(text) if view.decoder in {"base64", "hex", "rot13", "reversed", "leet"}
    ] == []


def test_bytes_that_are_no_text_make_no_view() -> None:
    assert views(base64.b64encode(bytes(range(128, 228))).decode()) == []


def test_views_are_bounded_in_number_and_size() -> None:
    many = " ".join(base64.b64encode(f"{at} {SENTENCE}".encode()).decode() for at in range(50))
    assert len(views(many)) <= MOST_VIEWS
    large = base64.b64encode(SENTENCE.encode() * 2_000).decode()
    assert sum(len(view.text) for view in views(large)) <= MOST_DECODED


@given(st.text(max_size=2_000))
def test_no_text_breaks_a_decoder(text: str) -> None:
    assert len(views(text)) <= MOST_VIEWS


@given(st.binary(max_size=500), st.sampled_from(["b64", "hex", "quote"]))
def test_no_encoded_bytes_break_a_decoder(data: bytes, how: str) -> None:
    coded = {"b64": base64.b64encode(data).decode(), "hex": data.hex(), "quote": urllib.parse.quote(data)}[how]
    assert sum(len(view.text) for view in views(coded)) <= MOST_DECODED
