"""Memory files: where they are looked for, how they are marked, and which are left alone."""

import os
from pathlib import Path

import pytest

from runtime.context import load_memory
from runtime.context.memory import LARGEST


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("home/.gemini", "outer/root/.git", "outer/root/sub/inner"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path / "outer" / "root"


def gemini(root: Path) -> Path:
    return root.parents[1] / "home" / ".gemini"


def put(folder: Path, text: str, name: str = "GEMINI.md") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_files_of_the_project_come_from_the_root_down_with_their_marks(root: Path) -> None:
    top = put(root, "\n root \n")
    put(root.parent, "outside")
    inner = put(root / "sub" / "inner", "inner")
    memory = load_memory(gemini(root), root / "sub" / "inner")
    assert memory.project == (
        f"--- Context from: {top} ---\nroot\n--- End of Context from: {top} ---\n\n"
        f"--- Context from: {inner} ---\ninner\n--- End of Context from: {inner} ---"
    )
    assert (memory.person, memory.files, memory.warnings) == ("", (str(top), str(inner)), ())


def test_files_below_the_workspace_are_not_read_at_the_start(root: Path) -> None:
    put(root / "sub", "deeper")
    assert load_memory(gemini(root), root) == ("", "", (), ())


def test_without_a_root_only_the_workspace_counts(root: Path) -> None:
    (root / ".git").rmdir()
    put(root, "above")
    own = put(root / "sub", "own")
    assert load_memory(gemini(root), root / "sub").files == (str(own),)


@pytest.mark.parametrize(
    ("markers", "found"),
    [
        ((".git",), ["root", "sub"]),
        (("go.mod",), ["sub"]),
        ((), ["sub"]),
        (("../x", "/etc", ""), ["sub"]),
        (("x", ".git"), ["root", "sub"]),
    ],
)
def test_the_markers_say_where_the_project_begins(root: Path, markers: tuple[str, ...], found: list[str]) -> None:
    put(root, "root")
    put(root / "sub", "sub")
    (root.parent / "x").mkdir()
    memory = load_memory(gemini(root), root / "sub", markers=markers)
    assert [Path(path).parent.name for path in memory.files] == found


def test_the_person_s_files_are_kept_apart(root: Path) -> None:
    own = put(gemini(root), " mine \n")
    memory = load_memory(gemini(root), root)
    assert memory.person == f"--- Context from: {own} ---\nmine\n--- End of Context from: {own} ---"
    assert memory.project == ""


def test_in_an_untrusted_folder_only_the_person_s_files_are_read(root: Path) -> None:
    put(root, "theirs")
    put(gemini(root), "mine")
    memory = load_memory(gemini(root), root, trusted=False)
    assert (memory.project, "mine" in memory.person) == ("", True)


def test_all_names_are_looked_for_in_every_folder(root: Path) -> None:
    names = ("AGENTS.md", "GEMINI.md")
    paths = [put(root, "a", "AGENTS.md"), put(root, "g"), put(root / "sub", "s", "AGENTS.md")]
    put(gemini(root), "ga", "AGENTS.md")
    memory = load_memory(gemini(root), root / "sub", names=names)
    assert memory.files == (str(gemini(root) / "AGENTS.md"), *map(str, paths))


def test_the_person_s_folder_is_not_searched_as_a_project(root: Path) -> None:
    put(gemini(root), "mine")
    assert load_memory(gemini(root), gemini(root)).project == ""


def test_one_file_under_two_names_is_read_once(root: Path) -> None:
    real = put(root, "once", "AGENTS.md")
    os.symlink(real, root / "GEMINI.md")
    assert load_memory(gemini(root), root, names=("AGENTS.md", "GEMINI.md")).files == (str(real),)


def test_an_empty_file_leaves_nothing(root: Path) -> None:
    put(root, " \n\t")
    assert load_memory(gemini(root), root) == ("", "", (), ())


def test_what_cannot_be_read_is_passed_over_with_a_warning(root: Path) -> None:
    put(root, "x" * (LARGEST + 1))
    os.mkfifo(root / "sub" / "GEMINI.md")
    (root / "sub" / "inner" / "GEMINI.md").mkdir()
    memory = load_memory(gemini(root), root / "sub" / "inner")
    assert memory.project == ""
    assert [warning.split(": passed over: ")[1] for warning in memory.warnings] == [
        f"more than {LARGEST} bytes",
        "not a regular file",
        "not a regular file",
    ]


def test_imports_stay_as_they_stand(root: Path) -> None:
    put(root, "see @./other.md")
    put(root, "other", "other.md")
    assert "see @./other.md" in load_memory(gemini(root), root).project
