"""Ignore files, also against git itself."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.tools.ignore import Ignore, repository, rules
from tests.runtime.tools.world import World


def ignored(world: World, *names: str, folder: bool = False, **which: bool) -> list[bool]:
    """Whether each of these is ignored."""
    ignore = Ignore(str(world.workspace), **which)
    return [ignore.ignored(str(world.workspace / name), folder=folder) for name in names]


def test_gitignore_counts_only_inside_a_repository(world: World) -> None:
    world.write(".gitignore", "*.log\n")
    assert ignored(world, "a.log") == [False]
    (world.workspace / ".git").mkdir()
    assert ignored(world, "a.log", ".git/config", "a.txt") == [True, True, False]
    assert ignored(world, "a.log", git=False) == [False]


def test_geminiignore_counts_anywhere_and_decides_last(world: World) -> None:
    (world.workspace / ".git").mkdir()
    world.write(".gitignore", "*.log\n")
    world.write(".geminiignore", "!keep.log\nsecret.txt\n")
    assert ignored(world, "a.log", "keep.log", "secret.txt") == [True, False, True]
    assert ignored(world, "secret.txt", gemini=False) == [False]


def test_two_slashes_at_the_beginning_change_nothing(world: World) -> None:
    world.write(".geminiignore", "secret.txt\n")
    assert Ignore(str(world.workspace)).ignored(f"/{world.workspace}/secret.txt")


def test_a_nested_file_counts_below_its_folder(world: World) -> None:
    (world.workspace / ".git").mkdir()
    world.write(".gitignore", "*.tmp\n/build/\n")
    world.write("sub/.gitignore", "!keep.tmp\n/only\n")
    world.write("build/.gitignore", "!out\n")
    names = ("a.tmp", "sub/keep.tmp", "keep.tmp", "sub/only", "sub/deep/only", "build/out", "x/build/out")
    assert ignored(world, *names) == [True, False, True, True, False, True, False]


def test_case_does_not_help_unless_it_is_asked_for(world: World) -> None:
    (world.workspace / ".git").mkdir()
    world.write(".gitignore", "Secret.TXT\n")
    assert ignored(world, "secret.txt") == [True]
    assert ignored(world, "secret.txt", exact=True) == [False]


def test_an_ignore_file_that_is_no_file_is_passed_over(world: World) -> None:
    import os

    (world.workspace / ".git").mkdir()
    os.mkfifo(world.workspace / ".gitignore")
    (world.workspace / ".geminiignore").mkdir()
    assert ignored(world, "a.log") == [False]


def test_a_folder_that_only_looks_like_a_repository_is_none(world: World) -> None:
    (world.workspace / ".git").mkdir()
    assert repository(str(world.workspace)) is None
    world.write(".git/HEAD", "ref: refs/heads/main\n")
    assert repository(str(world.workspace / "deep" / "er")) == str(world.workspace)


@given(st.text(max_size=200))
def test_no_ignore_file_breaks_the_reader(content: str) -> None:
    rules(content)


NAMES = ("a", "b", "a.log", "b.txt", "build", "x y", "#h", "!n", "[q]")
RULE = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "", "!", "/", "!/", "**/", "\\"]),
    st.sampled_from(["a", "b", "*.log", "b.*", "build", "?", "[ab]", "[!a]", "*", "a/b", "a/*", "build/**", "x y", "#h",
                     "!n", "a/**/b", "\\[q\\]", "a[.]log"]),
    st.sampled_from(["", "", "/"]),
    st.sampled_from(["", " ", "  "]),
)  # fmt: skip
PATHS = st.lists(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3), min_size=1, max_size=6)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not here to compare with")
@settings(max_examples=60)
@given(st.lists(RULE, max_size=4), st.lists(RULE, max_size=2), PATHS)
def test_git_says_the_same(top: list[str], nested: list[str], paths: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        git = ["git", "-C", str(folder), "-c", "core.excludesFile=/dev/null"]
        subprocess.run([*git, "init", "-q"], check=True, timeout=60)
        (folder / ".gitignore").write_text("".join(f"{line}\n" for line in top))
        (folder / "a").mkdir()
        (folder / "a" / ".gitignore").write_text("".join(f"{line}\n" for line in nested))
        asked = sorted({"/".join(path) for path in paths})
        made = []
        for path in asked:
            try:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_text("")
            except (NotADirectoryError, FileExistsError, IsADirectoryError):
                continue
            made.append(path)
        done = subprocess.run(
            [*git, "check-ignore", "--stdin", "-z", "--no-index"],
            input="\0".join(made),
            capture_output=True,
            text=True,
            timeout=60,
        )
        said = set(done.stdout.split("\0")) - {""}
        ignore = Ignore(str(folder), gemini=False, exact=True)
        assert {path for path in made if ignore.ignored(str(folder / path))} == said
