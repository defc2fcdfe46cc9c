"""Opening and writing below an allowed folder: links put in the way, full disks, modes, links, devices."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.tools import files
from runtime.tools.faults import Fault, Strayed
from tests.runtime.tools.world import World


@pytest.fixture
def outside(world: World) -> Path:
    """A folder beside the workspace with a file in it."""
    folder = world.folder / "outside"
    folder.mkdir()
    (folder / "x.txt").write_text("outside\n")
    return folder


async def test_a_link_made_between_check_and_run_gives_no_way_out(world: World, outside: Path) -> None:
    world.write("sub/x.txt", "inside\n")
    read, write, replace = (world.tool(name) for name in ("read_file", "write_file", "replace"))
    args = {"file_path": "sub/x.txt", "content": "new", "instruction": "i", "old_string": "outside", "new_string": "n"}
    assert [tool.check(args, world.context) for tool in (read, write, replace)] == [None, None, None]
    (world.workspace / "sub" / "x.txt").unlink()
    (world.workspace / "sub").rmdir()
    (world.workspace / "sub").symlink_to(outside)
    results = [await tool.run(args, world.context) for tool in (read, write, replace)]
    assert [result.error.type if result.error else None for result in results] == ["path_not_in_workspace"] * 3
    assert (outside / "x.txt").read_text() == "outside\n"


def swapped_before(name: str, original: Callable[..., int], swap: Callable[[], None]) -> Callable[..., int]:
    """An `os.open` that swaps a folder for a link just before `name` is opened."""

    def opening(path: str, *args: object, **more: object) -> int:
        if path == name:
            swap()
        return original(path, *args, **more)

    return opening


@pytest.mark.parametrize("moment", ["sub", "x.txt"])
def test_a_link_put_in_the_way_while_a_path_is_opened_gives_no_way_out(
    moment: str, world: World, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = world.write("sub/x.txt", "inside\n")

    def swap() -> None:
        if not path.parent.is_symlink():
            path.parent.rename(world.workspace / "moved")
            path.parent.symlink_to(outside)

    monkeypatch.setattr(os, "open", swapped_before(moment, os.open, swap))
    if moment == "sub":
        with pytest.raises(Strayed, match="Path not in workspace"):
            files.read(str(path), world.context, 100)
    else:
        assert files.read(str(path), world.context, 100) == b"inside\n"


def test_a_file_that_became_a_link_is_not_followed(world: World, outside: Path) -> None:
    path = world.workspace / "x.txt"
    path.symlink_to(outside / "x.txt")
    with pytest.raises(Strayed):
        files.read(str(path), world.context, 100)
    with pytest.raises(Strayed):
        files.write(str(path), b"new", world.context)
    assert (outside / "x.txt").read_text() == "outside\n"


def test_a_pipe_and_a_folder_are_no_files_and_hang_nobody(world: World) -> None:
    os.mkfifo(world.workspace / "pipe")
    (world.workspace / "folder").mkdir()
    for name, code in (("pipe", "EINVAL"), ("folder", "EISDIR")):
        with pytest.raises(Fault) as read:
            files.read(str(world.workspace / name), world.context, 100)
        with pytest.raises(Fault) as written:
            files.write(str(world.workspace / name), b"x", world.context)
        assert (read.value.name, written.value.name) == (code, code)
    assert str(read.value) == "EISDIR: illegal operation on a directory, read"


def test_writing_keeps_the_mode_and_leaves_nothing_else_behind(world: World) -> None:
    path = world.write("run.sh", "old")
    path.chmod(0o751)
    files.write(str(path), b"new", world.context)
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o751
    assert os.listdir(world.workspace) == ["run.sh"]


def test_a_file_with_two_names_keeps_both(world: World) -> None:
    path = world.write("one", "old")
    other = world.workspace / "two"
    other.hardlink_to(path)
    files.write(str(path), b"new", world.context)
    assert other.read_text() == "new"
    assert other.stat().st_ino == path.stat().st_ino


async def test_a_link_inside_stays_a_link_and_its_target_is_written(world: World) -> None:
    world.write("target.txt", "old\n")
    (world.workspace / "link").symlink_to("target.txt")
    assert (await world.call("write_file", file_path="link", content="new\n")).error is None
    assert (world.workspace / "link").is_symlink()
    assert (world.workspace / "target.txt").read_text() == "new\n"


def test_leftovers_of_a_crash_are_passed_by(world: World) -> None:
    leftover = world.write(f".twinstep-{os.getpid()}-0", "left")
    files.write(str(world.workspace / "x"), b"new", world.context)
    assert leftover.read_text() == "left"
    assert (world.workspace / "x").read_bytes() == b"new"


def full_after(count: int, original: Callable[..., int]) -> Callable[..., int]:
    """An `os.write` for a disk that has room for `count` more bytes."""
    room = [count]

    def writing(handle: int, data: memoryview) -> int:
        if room[0] == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = original(handle, data[: room[0]])
        room[0] -= written
        return written

    return writing


@pytest.mark.parametrize("room", [0, 1, 5])
async def test_a_full_disk_is_told_and_leaves_the_old_file(
    room: int, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = world.write("a.txt", "old text\n")
    monkeypatch.setattr(os, "write", full_after(room, os.write))
    written = await world.call("write_file", file_path="a.txt", content="something longer\n")
    replaced = await world.call(
        "replace", file_path="a.txt", instruction="i", old_string="old", new_string="much newer"
    )
    monkeypatch.undo()
    assert written.error is not None
    assert replaced.error is not None
    assert (written.error.type, replaced.error.type) == ("no_space_left", "no_space_left")
    assert written.error.message == f"No space left on device: {path} (ENOSPC)"
    assert path.read_text() == "old text\n"
    assert os.listdir(world.workspace) == ["a.txt"]


def test_a_file_in_a_folder_where_none_can_be_made_is_overwritten_in_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = os.open

    def opening(path: str, flags: int, *args: int, **more: int) -> int:
        if flags & os.O_EXCL:
            raise PermissionError(errno.EACCES, "Permission denied")
        return original(path, flags, *args, **more)

    path = world.write("a.txt", "old\n")
    monkeypatch.setattr(os, "open", opening)
    files.write(str(path), b"new\n", world.context)
    with pytest.raises(Fault, match="EACCES: permission denied"):
        files.write(str(path.with_name("b.txt")), b"new\n", world.context)
    assert path.read_text() == "new\n"


async def test_writing_that_is_not_allowed_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*args: object, **more: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    path = world.write("a.txt", "old\n")
    monkeypatch.setattr(os, "write", refusing)
    written = await world.call("write_file", file_path="a.txt", content="new\n")
    monkeypatch.undo()
    assert written.error is not None
    assert (written.error.type, written.error.message) == (
        "permission_denied",
        f"Permission denied writing to file: {path} (EACCES)",
    )


def test_reading_stops_at_the_limit(world: World) -> None:
    path = world.write("big", b"x" * 5000)
    assert len(files.read(str(path), world.context, 1000)) == 1001


def test_no_handle_is_left_open(world: World) -> None:
    path = world.write("a/b/c.txt", "x")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        files.read(str(path), world.context, 10)
        files.write(str(path), b"y", world.context)
        with pytest.raises(Fault):
            files.read(str(path.with_name("none")), world.context, 10)
    assert len(os.listdir("/proc/self/fd")) == before
