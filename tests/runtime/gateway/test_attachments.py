"""What is attached to a message, as parts for the model."""

from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.gateway.attachments import MOST, MOST_BYTES, MOST_IMAGE, parts_of
from runtime.gateway.frames import GatewayError

PICTURE = {"mimeType": "image/png", "content": "AAAA", "fileName": "a.png"}


def attached(**given_: Any) -> dict[str, Any]:
    return {name: value for name, value in {**PICTURE, **given_}.items() if value is not None}


def test_what_was_said_comes_first() -> None:
    assert parts_of("hello", [PICTURE]) == (
        {"text": "hello"},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
    )


@pytest.mark.parametrize("said", ["", "  \n"])
def test_nothing_said_is_no_part(said: str) -> None:
    assert parts_of(said) == ()
    assert len(parts_of(said, [PICTURE])) == 1


@pytest.mark.parametrize(
    "given_",
    [
        {"content": None, "data": "AAAA"},
        {"mimeType": None, "contentType": "image/png"},
        {"content": "data:image/png;base64,AAAA", "mimeType": None},
        {"content": "data:image/jpeg;base64,AAAA"},
    ],
)
def test_the_older_ways_to_attach_are_understood(given_: dict[str, Any]) -> None:
    (part,) = parts_of("", [attached(**given_)])
    assert part == {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}


def test_a_file_of_text_is_read_to_the_model_with_its_name() -> None:
    content = b64encode("grüße".encode()).decode()
    (part,) = parts_of("", [attached(mimeType="text/plain", content=content, fileName="n.txt")])
    assert part == {"text": "[n.txt]\ngrüße"}
    (part,) = parts_of("", [attached(mimeType="text/plain", content="/w==", fileName=None)])
    assert part == {"text": "[attachment]\n\ufffd"}


@pytest.mark.parametrize(
    ("given_", "why"),
    [
        ({"content": None}, "content required"),
        ({"content": ""}, "content required"),
        ({"content": 7}, "content required"),
        ({"content": "!!!"}, "must be base64"),
        ({"content": "AAA"}, "must be base64"),
        ({"content": "data:image/png;base64"}, "must be base64"),
        ({"mimeType": None}, "unknown kind"),
        ({"mimeType": "application/x-sh"}, "application/x-sh cannot be attached"),
    ],
)
def test_what_cannot_be_attached_says_which_and_why(given_: dict[str, Any], why: str) -> None:
    with pytest.raises(GatewayError, match=why) as error:
        parts_of("x", [PICTURE, attached(**given_)])
    assert error.value.code == "INVALID_REQUEST"
    assert "/attachments/1" in str(error.value)


@pytest.mark.parametrize("given_", [7, "text", None, []])
def test_an_attachment_is_an_object(given_: Any) -> None:
    with pytest.raises(GatewayError, match="at /attachments/0: must be object"):
        parts_of("x", [given_])


@pytest.mark.parametrize(("mime", "most"), [("image/png", MOST_IMAGE), ("application/pdf", MOST_BYTES)])
def test_what_is_too_large_is_refused(mime: str, most: int) -> None:
    assert parts_of("", [attached(mimeType=mime, content=b64encode(bytes(most)).decode())])
    with pytest.raises(GatewayError, match=f"larger than {most} bytes"):
        parts_of("", [attached(mimeType=mime, content=b64encode(bytes(most + 1)).decode())])


def test_there_is_a_bound_on_how_many_there_are() -> None:
    assert len(parts_of("", [PICTURE] * MOST)) == MOST
    with pytest.raises(GatewayError, match=f"at most {MOST} attachments"):
        parts_of("", [PICTURE] * (MOST + 1))


VALUES = (
    st.none() | st.integers() | st.text(max_size=8) | st.sampled_from(["AAAA", "image/png", "text/plain", "data:,"])
)


@given(st.lists(st.dictionaries(st.sampled_from(["content", "data", "mimeType", "contentType", "fileName"]), VALUES)))
def test_whatever_is_attached_it_is_taken_or_refused(given_: list[dict[str, Any]]) -> None:
    refused = None
    try:
        parts = parts_of("x", given_)
    except GatewayError as error:
        refused = error.code
    assert refused == "INVALID_REQUEST" or len(parts) == len(given_) + 1
