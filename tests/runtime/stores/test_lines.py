"""Lines of a JSON-lines journal: what is written is what is read, and what was not written is not read."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import JournalCorrupt, JournalError, JournalNewer
from runtime.stores import lines

TEXTS = st.text()
SEQS = st.integers(1, 2**63 - 1)
BODIES = st.binary().map(lambda data: b"{%b}" % data.replace(b"\n", b""))


def scan(data: bytes) -> tuple[list[bytes], lines.Scan]:
    found = lines.Scan("file", io.BytesIO(data))
    return [content for _, content in found], found


@given(session=TEXTS, seq=SEQS, body=BODIES)
def test_a_record_is_read_as_it_was_written(session: str, seq: int, body: bytes) -> None:
    for line in (lines.record_line(session, seq, body), lines.snapshot_line(session, seq, body)):
        assert line.count(b"\n") == 1
        content = lines.unseal(line)
        assert content is not None
        assert lines.split_record(content) == (session, seq, body)
    assert lines.record_line(session, seq, body).startswith(lines.matching(lines.RECORD, session))


@given(name=TEXTS, data=st.binary() | st.text().map(lambda text: text.encode(errors="replace")))
def test_a_blob_is_read_as_it_was_written(name: str, data: bytes) -> None:
    line = lines.blob_line(name, data)
    assert line.count(b"\n") == 1
    content = lines.unseal(line)
    assert content is not None
    assert lines.split_blob(content) == (name, data)


@given(session=TEXTS, title=TEXTS, time=st.integers(0, 2**50))
def test_titles_and_times_are_read_as_they_were_written(session: str, title: str, time: int) -> None:
    assert lines.split_title(lines.unseal(lines.title_line(session, title)) or b"") == (session, title)
    assert lines.split_time(lines.unseal(lines.time_line(time)) or b"") == time


@given(kind=st.from_regex(r"[a-z][a-z0-9-]{0,31}", fullmatch=True), key=TEXTS, body=BODIES | st.none())
def test_a_document_is_read_as_it_was_written(kind: str, key: str, body: bytes | None) -> None:
    line = lines.document_line(kind, key, body)
    assert line.count(b"\n") == 1
    content = lines.unseal(line)
    assert content is not None
    assert lines.split_document(content) == (kind, key, body)
    assert content.startswith(lines.matching(lines.DOCUMENT, kind))


@given(one=TEXTS, other=TEXTS)
def test_a_session_is_forgotten_as_it_was_written_and_no_other(one: str, other: str) -> None:
    content = lines.unseal(lines.forget_line(one))
    assert content == lines.forgetting(one)
    assert lines.split_forget(content) == one
    assert (content == lines.forgetting(other)) == (one == other)


@given(one=TEXTS, other=TEXTS)
def test_no_session_is_taken_for_another(one: str, other: str) -> None:
    mine = lines.record_line(one, 1, b"{}").startswith(lines.matching(lines.RECORD, other))
    assert mine == (one == other)


@given(line=st.binary(max_size=200), body=BODIES, bit=st.integers(0), where=st.integers(0))
def test_nothing_is_read_that_was_not_written(line: bytes, body: bytes, bit: int, where: int) -> None:
    assert not lines.unseal(line)  # a checksum of nothing is whole, and of no kind
    damaged = bytearray(lines.record_line("a", 1, body))
    damaged[where % len(damaged)] ^= 1 << bit % 8
    assert lines.unseal(bytes(damaged)) is None


def test_a_good_line_of_an_unknown_kind_is_not_passed_over() -> None:
    with pytest.raises(JournalCorrupt, match="file: line 2 is damaged"):
        scan(lines.HEADER + lines.seal(b'{"novelty":1'))


@pytest.mark.parametrize(
    "header", [b'{"twinstep":"journal","version":3}\n', b'{"version": 9, "twinstep": "journal", "x": 1}\n']
)
def test_a_newer_version_says_so_however_its_header_is_written(header: bytes) -> None:
    with pytest.raises(
        JournalNewer, match=r"file: was written as version \d of the journal; this program reads up to 2"
    ):
        scan(header)


@pytest.mark.parametrize(
    "header", [b"\n", b"x", b'{"twinstep":"journal"}\n', b'{"twinstep":"journal","version":"1"}\n', b"\xff\n"]
)
def test_anything_else_in_the_first_line_is_no_journal(header: bytes) -> None:
    with pytest.raises(JournalError, match="file: is not a journal"):
        scan(header)


def test_the_end_of_what_is_good_is_where_the_torn_part_begins() -> None:
    whole = lines.HEADER + lines.record_line("a", 1, b"{}")
    _, found = scan(whole + b'{"session"')
    assert found.end == len(whole)
    assert found.torn == "file: line 3 is incomplete (10 bytes, after session 'a' record 1)"


def test_a_line_that_another_process_takes_back_is_read_again() -> None:
    """A failed write is cut off and written anew; a reader may have the old bytes in its buffer."""

    class Rewritten(io.BytesIO):
        def seek(self, offset: int, whence: int = 0) -> int:
            if whence == 2:
                self.getbuffer()[:] = good
            return super().seek(offset, whence)

    good = lines.HEADER + lines.record_line("a", 1, b'{"a":1}')
    assert [content for _, content in lines.Scan("file", Rewritten(good.replace(b'{"a":1}', b'{"a":2}')), live=True)]
