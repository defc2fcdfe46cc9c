"""Writing: whole or not at all, for the owner only, and never over a change of somebody else."""

import os
import stat
from pathlib import Path

import pytest

from runtime.config.openclaw import Rejected, revision_key, write
from runtime.errors import InputError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_first_text_makes_folder_and_file_for_the_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "state" / "openclaw.json"
    write(path, "{}\n", None)
    assert (path.read_text(), mode(path), mode(path.parent)) == ("{}\n", 0o600, 0o700)
    assert sorted(each.name for each in path.parent.iterdir()) == ["openclaw.json"]


def test_the_text_before_is_kept_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "openclaw.json"
    path.write_text("old")
    path.chmod(0o644)
    write(path, "new", "old")
    kept = tmp_path / "openclaw.json.bak"
    assert (path.read_text(), kept.read_text(), mode(path), mode(kept)) == ("new", "old", 0o600, 0o600)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("before", ["other", None])
def test_a_file_that_somebody_else_has_changed_is_left_alone(tmp_path: Path, before: str | None) -> None:
    path = tmp_path / "openclaw.json"
    path.write_text("theirs")
    with pytest.raises(Rejected, match="config changed since last load"):
        write(path, "mine", before)
    assert path.read_text() == "theirs"


def test_a_file_that_is_gone_is_a_change_too(tmp_path: Path) -> None:
    with pytest.raises(Rejected):
        write(tmp_path / "openclaw.json", "mine", "old")


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "settings.json"
    target.write_text("old")
    link = tmp_path / "openclaw.json"
    link.symlink_to(target)
    write(link, "new", "old")
    assert (link.is_symlink(), target.read_text()) == (True, "new")


def test_when_the_disk_refuses_the_old_text_stays_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "openclaw.json"
    path.write_text("old")

    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match="No space left on device"):
        write(path, "new", "old")
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["openclaw.json"]


def test_the_key_of_hashes_is_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "key"
    assert revision_key(path, lambda size: b"a" * size) == b"a" * 32
    assert revision_key(path, lambda size: b"b" * size) == b"a" * 32
    assert mode(path) == 0o600


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_file_that_holds_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(InputError, match="32 bytes"):
        revision_key(path, lambda size: b"a" * size)
