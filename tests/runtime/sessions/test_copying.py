"""Copies of the folder that a session works in: whole or not at all, bounded, with links as links."""

import os
from pathlib import Path

import pytest
import trio

from runtime.errors import InputError
from runtime.sessions import copying
from runtime.sessions.copying import copied, removed


def filled(folder: Path) -> Path:
    """A folder with files, a folder, links and what cannot be copied."""
    folder.mkdir()
    (folder / "a.txt").write_text("a")
    (folder / "inner").mkdir()
    (folder / "inner" / "b.sh").write_text("b")
    (folder / "inner" / "b.sh").chmod(0o755)
    (folder / "link").symlink_to("inner/b.sh")
    (folder / "loop").symlink_to(".")
    os.mkfifo(folder / "pipe")
    return folder


async def test_a_copy_has_the_files_with_their_modes_and_links_and_nothing_that_only_lives(tmp_path: Path) -> None:
    folder, told = filled(tmp_path / "work"), list[tuple[int, int]]()
    made = await copied(folder, "twin", lambda done, total: told.append((done, total)))
    assert made == tmp_path / "work.twin"
    assert (made / "inner" / "b.sh").read_text() == "b"
    assert os.access(made / "inner" / "b.sh", os.X_OK)
    assert (made / "link").readlink() == Path("inner/b.sh")
    assert (made / "loop").is_symlink()
    assert not (made / "pipe").exists()
    assert told == [(5, 5)]
    (made / "a.txt").write_text("changed")
    assert (folder / "a.txt").read_text() == "a"
    removed(made)
    assert not made.exists()


@pytest.mark.parametrize(("files", "size"), [(2, 1 << 28), (20_000, 1)])
async def test_a_folder_that_is_too_large_is_refused_in_one_sentence_and_nothing_is_copied(
    files: int, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "MOST_FILES", files)
    monkeypatch.setattr(copying, "MOST_BYTES", size)
    folder = filled(tmp_path / "work")
    with pytest.raises(InputError, match="and is not copied"):
        await copied(folder, "twin")
    assert [one.name for one in tmp_path.iterdir()] == ["work"]


async def test_what_is_there_is_not_written_over_and_what_is_not_there_not_copied(tmp_path: Path) -> None:
    folder = filled(tmp_path / "work")
    (tmp_path / "work.twin").mkdir()
    with pytest.raises(InputError, match="there is a folder"):
        await copied(folder, "twin")
    with pytest.raises(InputError, match="is no folder"):
        await copied(tmp_path / "nowhere", "twin")


async def test_a_copy_that_is_given_up_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    for number in range(copying.STEP * 3):
        (folder / f"{number}.txt").write_text("x")
    with trio.CancelScope() as scope:
        await copied(folder, "twin", lambda done, total: scope.cancel())
    assert scope.cancelled_caught
    assert [one.name for one in tmp_path.iterdir()] == ["work"]
