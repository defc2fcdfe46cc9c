"""One file of labels for all headless runs."""

from pathlib import Path

import pytest

from runtime.app.labelfile import LARGEST, LabelFile
from runtime.errors import JournalError


async def test_the_last_line_for_a_key_counts_also_for_another_process(tmp_path: Path) -> None:
    one, other = (LabelFile(tmp_path / "defender" / "labels.jsonl") for _ in range(2))
    assert list(one.documents("k")) == []
    assert not one.path.exists()
    one.put("k", "a", b"1")
    other.put("k", "b", b"2")
    one.put("k", "a", b"3")
    other.put("else", "c", b"4")
    await one.committed(0)
    assert dict(other.documents("k")) == {"a": b"3", "b": b"2"}
    other.put("k", "a", None)
    assert dict(one.documents("k")) == {"b": b"2"}
    assert one.path.stat().st_mode & 0o777 == 0o600


def test_half_a_line_of_a_process_that_died_is_passed_over(tmp_path: Path) -> None:
    file = LabelFile(tmp_path / "labels.jsonl")
    file.put("k", "a", b"1")
    with file.path.open("ab") as torn:
        torn.write(b'\n{"kind": "k", "key": "x", "bo')
    file.put("k", "b", b"2")
    with file.path.open("ab") as strange:
        strange.write(b'\n[]\n{"kind": "k"}\n{"kind": "k", "key": "y", "body": "?"}\n\xff\n')
    assert dict(file.documents("k")) == {"a": b"1", "b": b"2"}


def test_what_cannot_be_written_or_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be written"):
        LabelFile(tmp_path / "file" / "labels.jsonl").put("k", "a", b"1")
    with pytest.raises(JournalError, match="cannot be read"):
        list(LabelFile(tmp_path).documents("k"))
    (tmp_path / "target").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(JournalError, match="cannot be written"):
        LabelFile(tmp_path / "link").put("k", "a", b"1")


def test_a_file_that_is_full_takes_no_more(tmp_path: Path) -> None:
    file = LabelFile(tmp_path / "labels.jsonl")
    with file.path.open("wb") as large:
        large.truncate(LARGEST + 1)
    with pytest.raises(JournalError, match="has more than 64 MiB"):
        file.put("k", "a", b"1")
