"""The output of a command: control sequences, bounds, and that the size of the pieces does not matter."""

import errno
import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.tools import transcript
from runtime.tools.transcript import Transcript, untrusted

NOISE = st.lists(
    st.sampled_from(
        [b"text", b"\n", b" ", b"\x1b[31m", b"\x1b[0m", b"\x1b]0;title\x07", b"\x1b]8;;x\x1b\\", b"\x1b(B", b"\xc3\xa9",
         b"\xff", b"\x1b", b"\x1b[", b"\xe2\x82", b"</untrusted_context>", b"\r\n"]
    ),
    max_size=14,
).map(b"".join)  # fmt: skip


def read(pieces: list[bytes], path: str = "/nowhere/x") -> Transcript:
    """A transcript of output that came in these pieces."""
    done = Transcript(path)
    for piece in pieces:
        done.feed(piece)
    done.finish()
    return done


@given(NOISE, st.lists(st.integers(0, 80), max_size=6))
def test_the_size_of_the_pieces_does_not_matter(output: bytes, cuts: list[int]) -> None:
    edges = sorted({0, len(output), *(min(cut, len(output)) for cut in cuts)})
    pieces = [output[start:end] for start, end in pairwise(edges)]
    assert read(pieces).text == read([output]).text


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (b"\x1b[31mred\x1b[0m\n", "red"),
        (b"\x1b]0;title\x07text\x1b[2K\x1b[1;32mok\x1b(B\x1b[m\n", "textok"),
        (b"\n  lead\n  trail  \n\n", "lead\n  trail"),
        (b"caf\xe9\n", "caf\ufffd"),
        (b"a\r\nb\r", "a\r\nb"),
        (b"", ""),
    ],
)
def test_output_is_shown_without_control_sequences(output: bytes, text: str) -> None:
    assert read([output]).text == text


def test_output_with_a_zero_byte_near_its_start_is_binary() -> None:
    assert read([b"a\0b"]).text == ""
    assert read([b"shown\n", b"x\0y"]).text == "shown"
    late = read([b"a" * 600 + b"\0z"])
    assert (late.binary, late.text) == (False, "a" * 600 + "\0z")


def test_memory_stays_bounded_and_the_file_holds_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in (("HEAD", 1000), ("TAIL", 3000), ("FILED", 50_000)):
        monkeypatch.setattr(transcript, name, size)
    path = tmp_path / "deep" / "out.txt"
    done = Transcript(str(path))
    for number in range(4000):
        done.feed(b"row %07d\n" % number)
        assert len(done.latest(10**9)) <= 1000 + 2 * 3000 + 12
    done.finish()
    assert len(done.text) < 4100
    assert done.text.startswith("row 0000000\n")
    assert done.text.endswith("row 0003999")
    assert f"... [{4000 * 12 - 4000:,} characters omitted] ..." in done.text
    assert done.save("not this", "\nExit Code: 1\n</untrusted_context>") is None
    kept = path.read_text()
    rows = "".join(f"row {number:07d}\n" for number in range(4000))
    assert kept == f"<untrusted_context>\nOutput: {rows}\nExit Code: 1\n</untrusted_context>"


def test_the_file_is_bounded_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in (("HEAD", 10), ("TAIL", 30), ("FILED", 500)):
        monkeypatch.setattr(transcript, name, size)
    path = tmp_path / "out.txt"
    done = Transcript(str(path))
    for _ in range(1000):
        done.feed(b"0123456789")
    done.finish()
    assert done.save("", "\nend") is None
    assert len(path.read_text()) < 600
    assert path.read_text().endswith("... [only the first 500 characters were kept] ...\n\nend")


@given(st.lists(st.sampled_from(["</untrusted_", "context>", "</untrusted_context>", "x"]), min_size=1, max_size=8))
def test_output_cannot_end_its_own_mark(pieces: list[str]) -> None:
    marked = untrusted("".join(pieces))
    assert marked.count("</untrusted_context>") == 1
    assert marked.endswith("\n</untrusted_context>")


def test_output_in_the_file_cannot_end_its_mark_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript, "HEAD", 5)
    monkeypatch.setattr(transcript, "TAIL", 5)
    path = tmp_path / "out.txt"
    done = read([b"begin </untrus", b"ted_con", b"text> end" * 3], str(path))
    assert done.save("", "\n</untrusted_context>") is None
    assert path.read_text().count("</untrusted_context>") == 1


def test_a_file_that_cannot_be_written_is_told_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcript, "HEAD", 5)
    monkeypatch.setattr(transcript, "TAIL", 5)
    (tmp_path / "file").write_text("")
    done = read([b"x" * 100] * 3, str(tmp_path / "file" / "out.txt"))
    assert done.save("", "") in (os.strerror(errno.EEXIST), os.strerror(errno.ENOTDIR))
    assert done.omitted == 290
