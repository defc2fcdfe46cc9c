"""A folder is copied whole beside itself, or not at all."""

import os
from pathlib import Path

import pytest
import trio

from runtime.errors import InputError
from runtime.sessions import copying
from runtime.sessions.copying import Limits, copied


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a bit of everything."""
    made = tmp_path / "work"
    (made / "a" / "b").mkdir(parents=True)
    (made / "a" / "b" / "text.txt").write_text("text")
    (made / "run.sh").write_text("#!/bin/sh")
    (made / "run.sh").chmod(0o755)
    (made / "link").symlink_to("a/b/text.txt")
    (made / "folder").symlink_to("a")
    os.mkfifo(made / "pipe")
    return made


async def test_files_folders_and_links_are_copied_as_they_are(folder: Path) -> None:
    heard: list[tuple[int, int]] = []
    made = await copied(folder, "agent:main:copy 1", lambda done, total: heard.append((done, total)))
    assert made == folder.with_name("work-agent-main-copy-1")
    assert sorted(str(one.relative_to(made)) for one in made.rglob("*")) == [
        "a", "a/b", "a/b/text.txt", "folder", "link", "run.sh",
    ]  # fmt: skip
    assert (made / "link").readlink() == Path("a/b/text.txt")
    assert (made / "run.sh").stat().st_mode & 0o777 == 0o755
    (made / "a" / "b" / "text.txt").write_text("other")
    assert (folder / "a" / "b" / "text.txt").read_text() == "text"
    assert heard[-1] == (13, 13)


@pytest.mark.parametrize("limits", [Limits(files=3), Limits(bytes=12)])
async def test_what_is_too_large_is_refused_and_nothing_is_left(folder: Path, limits: Limits) -> None:
    with pytest.raises(InputError, match=r"^workspace: .* has more than .* files or .* MiB, so it is not copied"):
        await copied(folder, "copy", limits=limits)
    assert [one.name for one in folder.parent.iterdir()] == ["work"]


async def test_what_is_there_is_not_written_over(folder: Path) -> None:
    folder.with_name("work-copy").mkdir()
    with pytest.raises(InputError, match="is there already"):
        await copied(folder, "copy")
    assert list(folder.with_name("work-copy").iterdir()) == []


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"^workspace: {tmp_path}/none: No such file or directory"):
        await copied(tmp_path / "none", "copy")
    assert list(tmp_path.iterdir()) == []


async def test_who_cancels_a_copy_leaves_nothing_of_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "TELL_FILES", 1)
    with trio.CancelScope() as scope:
        await copied(folder, "copy", lambda done, total: scope.cancel())
    assert scope.cancelled_caught
    assert [one.name for one in folder.parent.iterdir()] == ["work"]


async def test_a_private_folder_of_it_stays_private(folder: Path) -> None:
    (folder / "a").chmod(0o700)
    (folder / "a" / "b").chmod(0o500)
    made = await copied(folder, "copy")
    assert (made / "a").stat().st_mode & 0o777 == 0o700
    assert (made / "a" / "b").stat().st_mode & 0o777 == 0o700
    assert (made / "a" / "b" / "text.txt").read_text() == "text"
    (folder / "a" / "b").chmod(0o700)


async def test_what_grows_while_it_is_copied_is_refused_as_well(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "TELL_FILES", 1)

    def grows(done: int, total: int) -> None:
        for name in ("run.sh", "zz"):
            (folder / name).write_bytes(b"x" * 100)

    with pytest.raises(InputError, match="so it is not copied"):
        await copied(folder, "copy", grows, Limits(bytes=20))
    assert [one.name for one in folder.parent.iterdir()] == ["work"]


async def test_the_root_of_the_machine_is_not_copied() -> None:
    with pytest.raises(InputError, match=r"^workspace: / cannot be copied beside itself"):
        await copied(Path("/"), "copy")
