"""Looking at a file: one descriptor, no link followed, and nothing believed that moved meanwhile."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from defender.integrity.entries import Group, Root
from defender.integrity.scanning import SYSTEM, look, scan


def test_a_file_that_changes_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    left = [2]

    def read(handle: int, size: int) -> bytes:
        found = os.read(handle, size)
        if found and left[0]:
            left[0] -= 1
            path.write_text("more" * left[0])
        return found

    entry = look(str(path), SYSTEM._replace(read=read))
    assert (entry.kind, entry.sha256, left) == ("file", look(str(path)).sha256, [0])


def test_a_file_that_never_stands_still_is_unsteady(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    count = [0]

    def read(handle: int, size: int) -> bytes:
        found = os.read(handle, size)
        if found:
            count[0] += 1
            path.write_text("x" * (10 + count[0]))
        return found if count[0] < 50 else b""

    assert look(str(path), SYSTEM._replace(read=read)).sha256 == "unsteady"


def test_a_link_that_comes_between_look_and_open_is_not_followed(tmp_path: Path) -> None:
    path, secret = tmp_path / "a", tmp_path / "secret"
    path.write_text("one")
    secret.write_text("two")

    def swapped(name: Any, flags: int, **options: Any) -> int:
        path.unlink()
        path.symlink_to(secret)
        return os.open(name, flags, **options)

    entry = look(str(path), SYSTEM._replace(open=swapped))
    assert entry.sha256 == "unreadable"


def test_a_pipe_that_comes_between_look_and_open_does_not_hang(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("one")

    def swapped(name: Any, flags: int, **options: Any) -> int:
        path.unlink()
        os.mkfifo(path)
        return os.open(name, flags, **options)

    assert look(str(path), SYSTEM._replace(open=swapped)).sha256 == "unsteady"


@pytest.mark.parametrize("name", ["missing", "file/below"])
def test_what_is_not_there_is_absent(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    assert look(str(tmp_path / name)).kind == "absent"


def test_links_to_folders_are_not_walked_into(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("")
    (tmp_path / "root" / "link").symlink_to(tmp_path / "other")
    (tmp_path / "root" / "loop").symlink_to(tmp_path / "root")
    found = {path: entry.kind for path, _, entry in scan(Root(str(tmp_path / "root"), Group.SKILLS))}
    assert list(found.values()) == ["folder", "link", "link"]


def test_a_folder_that_cannot_be_read_is_there_and_empty(tmp_path: Path) -> None:
    def refused(name: Any, flags: int, **options: Any) -> int:
        raise PermissionError(13, "no")

    found = [*scan(Root(str(tmp_path), Group.SKILLS), SYSTEM._replace(open=refused))]
    assert [entry.kind for _, _, entry in found] == ["folder"]


def test_a_file_that_may_not_be_read_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")

    def refused(name: Any, flags: int, **options: Any) -> int:
        raise PermissionError(13, "no")

    assert look(str(tmp_path / "a"), SYSTEM._replace(open=refused)).sha256 == "unreadable"


@pytest.mark.skipif(not hasattr(os, "listxattr"), reason="extended attributes are read on Linux only")
def test_a_file_system_without_extended_attributes_is_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("x")
    whole = look(str(tmp_path / "a"))

    def refused(handle: int) -> list[str]:
        raise OSError(errno.ENOTSUP, "no")

    monkeypatch.setattr(os, "listxattr", refused)
    assert look(str(tmp_path / "a")).sha256 == whole.sha256
