"""`list_directory`, `glob` and `grep_search` beyond what was recorded."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from runtime.tools import glob, grep
from runtime.tools.wildcards import choices
from tests.runtime.tools.world import NOW, World


async def test_a_listing_leaves_out_what_no_tool_opens(world: World) -> None:
    for name in (".env", "node_modules/x.js", ".git/config", "a.txt"):
        world.write(name, "x")
    (world.workspace / "out").symlink_to("/etc")
    (world.workspace / "broken").symlink_to("nowhere")
    result = await world.call("list_directory", dir_path=".")
    assert result.output == f"Directory listing for {world.workspace}:\na.txt (1 bytes)\n\n(2 ignored)"


async def test_names_that_are_no_text_are_listed_as_text(world: World) -> None:
    world.write(os.fsdecode(b"caf\xe9.txt"))
    listed = await world.call("list_directory", dir_path=".")
    found = await world.call("glob", pattern="*.txt")
    assert "caf\ufffd.txt (0 bytes)" in (listed.output or "")
    assert f"{world.workspace}/caf\ufffd.txt" in (found.output or "")


async def test_recent_files_come_first_and_the_newest_on_top(world: World) -> None:
    ages = {"old_b": 200_000, "old_a": 100_000, "new_b": 50, "new_a": 70}
    for name, seconds in ages.items():
        os.utime(world.write(f"{name}.py"), (NOW / 1000 - seconds,) * 2)
    result = await world.call("glob", pattern="*.py")
    names = [Path(row).stem for row in (result.output or "").splitlines()[1:]]
    assert names == ["new_b", "new_a", "old_a", "old_b"]


async def test_a_search_enters_no_link_and_no_store_of_packages(world: World) -> None:
    world.write("src/a.py", "needle\n")
    world.write("node_modules/m/b.py", "needle\n")
    world.write("sub/.git/c.py", "needle\n")
    (world.workspace / "loop").symlink_to(".")
    (world.workspace / "etc").symlink_to("/etc")
    found = await world.call("glob", pattern="**/*.py")
    searched = await world.call("grep_search", pattern="needle", names_only=True)
    assert (found.output or "").splitlines()[1:] == [f"{world.workspace}/src/a.py"]
    assert (searched.output or "").splitlines()[1:] == ["src/a.py"]


@pytest.mark.parametrize("pattern", ["/etc/*", "../*", "sub/../../*", "{..,sub}/../*", "/etc/hostname"])
async def test_a_glob_finds_nothing_outside(pattern: str, world: World) -> None:
    (world.folder / "beside.txt").write_text("x")
    result = await world.call("glob", pattern=pattern)
    assert (result.output or "").startswith(f'No files found matching pattern "{pattern}"')


async def test_a_glob_that_fits_too_much_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glob, "MOST", 3)
    for number in range(5):
        world.write(f"{number}.txt")
    result = await world.call("glob", pattern="*")
    assert result.error is not None
    assert result.error.type == "glob_execution_error"
    assert "more than 3 files match" in result.error.message


async def test_a_glob_that_takes_too_long_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glob, "DEADLINE", 0.0)
    world.write("a.txt")
    result = await world.call("glob", pattern="*")
    assert result.error is not None
    assert "use a narrower pattern" in result.error.message


def test_braces_give_a_bounded_number_of_choices() -> None:
    assert len(choices("{a,b}" * 30)) == 256
    assert choices("{a,b}{c,d}") == ["ac", "ad", "bc", "bd"]


async def test_grep_passes_over_what_read_file_would_refuse(world: World) -> None:
    for name in (".env", "gha-creds-1.json", "a.txt"):
        world.write(name, "needle\n")
    world.write("bin.dat", b"needle\0\n")
    result = await world.call("grep_search", pattern="needle", names_only=True)
    assert (result.output or "").splitlines()[1:] == ["a.txt"]


def make_repository(folder: Path) -> None:
    """Let git make a repository."""
    subprocess.run(["git", "-C", str(folder), "init", "-q"], check=True, timeout=60)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not here to make a repository")
async def test_grep_leaves_out_what_git_ignores_in_a_real_repository(world: World) -> None:
    world.write(".gitignore", "*.log\nbuild/\n")
    for name in ("a.txt", "b.log", "build/c.txt"):
        world.write(name, "needle\n")
    before = await world.call("grep_search", pattern="needle", names_only=True)
    make_repository(world.workspace)
    after = await world.call("grep_search", pattern="needle", names_only=True)
    assert sorted((before.output or "").splitlines()[1:]) == ["a.txt", "b.log", "build/c.txt"]
    assert (after.output or "").splitlines()[1:] == ["a.txt"]


async def test_lines_with_carriage_returns_and_foreign_bytes_are_searched(world: World) -> None:
    world.write("t.txt", b"one\r\ntwo caf\xe9\r\nthree\r\n")
    result = await world.call("grep_search", pattern="^(one|two.*)$")
    assert result.output is not None
    assert "L1: one\nL2: two caf\ufffd\nL3- three\nL4- \n---" in result.output


@pytest.mark.parametrize(
    ("include", "found"),
    [("*.py", ["a.py", "src/b.py"]), ("src/*.py", ["src/b.py"]), ("**/b.*", ["src/b.py"]), ("*.{js,ts}", ["c.ts"])],
)
async def test_include_pattern_means_names_or_paths(include: str, found: list[str], world: World) -> None:
    for name in ("a.py", "src/b.py", "c.ts"):
        world.write(name, "needle\n")
    result = await world.call("grep_search", pattern="needle", include_pattern=include, names_only=True)
    assert (result.output or "").splitlines()[1:] == found


async def test_a_pattern_that_looks_ahead_is_searched_line_by_line(world: World) -> None:
    world.write("t.txt", "foo\nfoobar\n")
    result = await world.call("grep_search", pattern=r"foo(?!\s|bar)")
    assert "L1: foo" in (result.output or "")
    assert "1 match " in (result.output or "")


async def test_a_pattern_that_never_ends_is_stopped_and_its_process_killed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grep, "DEADLINE", 1.0)
    world.write("t.txt", "a" * 5000 + "!\n")
    result = await world.call("grep_search", pattern="(a+)+$")
    assert result.error is not None
    assert result.error.type == "grep_execution_error"
    assert result.error.message.startswith("Operation timed out after 1000ms.")
    assert gone(world.groups.ever)


async def test_cancelling_a_search_leaves_no_process(world: World) -> None:
    world.write("t.txt", "a" * 5000 + "!\n")
    await world.cancelled("grep_search", pattern="(a+)+$")
    assert gone(world.groups.ever)


def gone(groups: list[int]) -> bool:
    """Whether there were groups, and every leader has been reaped."""
    return bool(groups) and not any(Path(f"/proc/{group}").exists() for group in groups)


async def test_a_helper_that_dies_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grep, "HELPER", "raise SystemExit(3)")
    result = await world.call("grep_search", pattern="x")
    assert result.error is not None
    assert result.error.message == "the search process ended with 3 and no answer"


async def test_many_matches_stay_bounded(world: World) -> None:
    world.write("t.txt", "needle\n" * 30_000)
    result = await world.call("grep_search", pattern="needle", total_max_matches=10**9)
    assert (result.output or "").startswith("Found 10000 matches")
    assert "(results limited to 10000 matches for performance)" in (result.output or "")
