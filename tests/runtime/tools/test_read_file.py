"""`read_file` beyond what was recorded: encodings, kinds of files, sizes."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.tools import filetypes, read, text
from tests.runtime.tools.world import World


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-32", "utf-16-le"])
async def test_text_with_a_mark_is_read_in_its_encoding(codec: str, world: World) -> None:
    mark = b"\xff\xfe" if codec == "utf-16-le" else b""
    world.write("t.txt", mark + "Grüße\n".encode(codec))
    assert (await world.call("read_file", file_path="t.txt")).output == "Grüße\n"


async def test_a_few_bytes_that_are_no_text_are_shown_as_such(world: World) -> None:
    world.write("t.txt", b"a long enough line of text with one caf\xe9 in it\n")
    assert (await world.call("read_file", file_path="t.txt")).output == (
        "a long enough line of text with one caf\ufffd in it\n"
    )


async def test_long_lines_are_counted_as_javascript_counts(world: World) -> None:
    world.write("t.txt", "\U0001f600" * 1001 + "\n")
    result = await world.call("read_file", file_path="t.txt")
    assert result.display == "Read all 2 lines from t.txt (some lines were shortened)"
    assert result.output is not None
    assert result.output.endswith("\U0001f600... [truncated]\n")
    assert result.output.count("\U0001f600") == 1000


async def test_sound_and_film_go_along_as_parts(world: World) -> None:
    content = b"ID3\0\1\2" * 20
    world.write("s.mp3", content)
    result = await world.call("read_file", file_path="s.mp3")
    assert result.output == (
        "Binary content (audio/mpeg) read successfully. Content will be injected for analysis in the next sequence."
    )
    assert result.parts == ({"inlineData": {"data": base64.b64encode(content).decode(), "mimeType": "audio/mpeg"}},)


async def test_sound_that_no_model_hears_is_refused(world: World) -> None:
    world.write("s.m4a", b"\0\1" * 50)
    result = await world.call("read_file", file_path="s.m4a")
    assert result.error is not None
    assert result.error.type == "read_content_failure"


async def test_a_file_that_is_too_large_is_not_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "LARGEST", 1 << 20)
    path = world.write("big.txt", b"x" * ((1 << 20) + 1))
    result = await world.call("read_file", file_path="big.txt")
    assert result.error is not None
    assert result.error.type == "file_too_large"
    assert result.error.message.endswith(f"{path} (1.00MB)")


async def test_large_text_is_read_in_a_thread_with_the_same_result(world: World) -> None:
    world.write("t.txt", "row\n" * 200_000)
    result = await world.call("read_file", file_path="t.txt", start_line=199_999)
    assert result.display == "Read lines 199999-200001 of 200001 from t.txt"


@given(st.binary(max_size=700))
def test_any_bytes_survive_being_read_and_written_back(content: bytes) -> None:
    read_text = text.decode(content)
    if read_text.codec == "utf-8":
        assert read_text.encoded(read_text.text) == content
    filetypes.binary(content)
    text.shown(read_text.text).encode()


@given(st.text(max_size=40), st.integers(0, 60))
def test_cutting_by_code_units_splits_no_character(value: str, limit: int) -> None:
    head = text.cut(value, limit)
    assert value.startswith(head)
    assert text.units(head) <= limit
    assert head == value or text.units(value[: len(head) + 1]) > limit


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.ts", b"\0", "text"), ("a.SVG", b"", "svg"), ("a.PNG", b"", "image"), ("a.pdf", b"", "pdf"),
        ("a.mov", b"plain text", "text"), ("a.zip", b"plain", "binary"), ("a", b"%PDF-1.4", "binary"),
        ("a", b"\xff\xfea\0", "text"), (".png", b"text", "text"), ("a", "ünïcödé".encode() * 90, "text"),
    ],
)  # fmt: skip
def test_kinds_go_by_name_first_and_content_second(name: str, content: bytes, kind: str) -> None:
    assert filetypes.kind(name, content)[0] == kind
