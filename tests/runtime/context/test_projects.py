"""Scratch folders: slugs as Gemini CLI makes them, shared with it, and never anybody else's."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.context import projects, scratch
from runtime.context.projects import slug_of
from runtime.errors import SettingsError


@pytest.fixture
def gemini(tmp_path: Path) -> Path:
    return tmp_path / "home" / ".gemini"


def index(gemini: Path) -> dict[str, str]:
    return json.loads((gemini / "projects.json").read_text())["projects"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("My Project!", "my-project"),
        ("ünï", "n"),
        ("---", "project"),
        ("", "project"),
        ("..x..", "x"),
        ("A--B__c", "a-b-c"),
        ("日本", "project"),
        ("x" * 90, "x" * 90),
    ],
)
def test_a_slug_is_the_name_in_lower_case_with_dashes(name: str, slug: str) -> None:
    assert slug_of(name) == slug


@given(st.text())
def test_a_slug_is_always_one_harmless_name(name: str) -> None:
    slug = slug_of(name)
    assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert slug.strip("-") == slug != ""


def test_a_new_project_gets_a_folder_a_mark_and_an_entry(gemini: Path) -> None:
    folder = scratch(gemini, Path("/a/My Project"))
    assert folder == gemini / "tmp" / "my-project"
    assert (folder / ".project_root").read_text() == "/a/My Project"
    assert index(gemini) == {"/a/My Project": "my-project"}
    assert sorted(os.listdir(folder)) == [".project_root"]
    assert sorted(os.listdir(gemini)) == ["projects.json", "tmp"]


def test_the_same_project_gets_the_same_folder_again_and_nothing_is_written(gemini: Path) -> None:
    folder = scratch(gemini, Path("/a/p"))
    before = (gemini / "projects.json").stat().st_mtime_ns
    assert scratch(gemini, Path("/a/p")) == folder
    assert (gemini / "projects.json").stat().st_mtime_ns == before


def test_namesakes_get_numbers(gemini: Path) -> None:
    names = [scratch(gemini, Path(path)).name for path in ("/a/p", "/b/p", "/c/P", "/a/p", "/b/p")]
    assert names == ["p", "p-1", "p-2", "p", "p-1"]


def test_a_folder_marked_as_this_project_s_is_found_without_the_index(gemini: Path) -> None:
    scratch(gemini, Path("/a/p"))
    scratch(gemini, Path("/b/p"))
    (gemini / "projects.json").unlink()
    assert scratch(gemini, Path("/b/p")).name == "p-1"
    assert index(gemini) == {"/b/p": "p-1"}


def test_an_entry_whose_folder_is_another_project_s_is_given_up(gemini: Path) -> None:
    folder = scratch(gemini, Path("/a/p"))
    (folder / ".project_root").write_text("/elsewhere")
    assert scratch(gemini, Path("/a/p")).name == "p-1"
    assert (folder / ".project_root").read_text() == "/elsewhere"


def test_a_slug_taken_in_the_history_folder_is_not_used(gemini: Path) -> None:
    (gemini / "history" / "p").mkdir(parents=True)
    (gemini / "history" / "p" / ".project_root").write_text("/other/p")
    assert scratch(gemini, Path("/a/p")).name == "p-1"


def test_a_project_that_the_peer_has_marked_in_the_history_folder_keeps_its_slug(gemini: Path) -> None:
    (gemini / "history" / "own-name").mkdir(parents=True)
    (gemini / "history" / "own-name" / ".project_root").write_text("/a/p\n")
    assert scratch(gemini, Path("/a/p")) == gemini / "tmp" / "own-name"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"projects": []}',
        '{"projects": {"/a/p": "../../etc"}}',
        '{"projects": {"/a/p": 5}}',
        "\xff",
        "[" * 9999,
    ],
)
def test_an_index_that_makes_no_sense_is_made_anew(gemini: Path, text: str) -> None:
    gemini.mkdir(parents=True)
    (gemini / "projects.json").write_text(text, "latin-1")
    assert scratch(gemini, Path("/a/p")) == gemini / "tmp" / "p"
    assert index(gemini) == {"/a/p": "p"}


def test_what_else_stands_in_the_index_stays(gemini: Path) -> None:
    gemini.mkdir(parents=True)
    (gemini / "projects.json").write_text('{"projects": {"/b/q": "q", "/bad": "Bad Slug"}, "other": 1}')
    scratch(gemini, Path("/a/p"))
    assert json.loads((gemini / "projects.json").read_text()) == {"projects": {"/b/q": "q", "/a/p": "p"}, "other": 1}


@pytest.mark.parametrize("name", ["sp ace ", "caf\udce9", "line\nend", "日本"])
def test_odd_names_of_folders_come_back_to_the_same_place(gemini: Path, name: str) -> None:
    first = scratch(gemini, Path(f"/a/{name}"))
    assert scratch(gemini, Path(f"/a/{name}")) == first
    (gemini / "projects.json").unlink()
    assert scratch(gemini, Path(f"/a/{name}")) == first


def test_on_a_file_system_without_hard_links_it_works_as_well(gemini: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr("os.link", refuse)
    folder = scratch(gemini, Path("/a/p"))
    assert (folder / ".project_root").read_text() == "/a/p"
    assert sorted(os.listdir(folder)) == [".project_root"]


def test_a_mark_that_somebody_makes_in_between_sends_us_on(gemini: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def overtaken(source: Path, target: Path) -> None:
        if target.parent.name == "p":
            target.write_text("/faster/p")
        link(source, target)

    monkeypatch.setattr("os.link", overtaken)
    assert scratch(gemini, Path("/a/p")).name == "p-1"
    assert index(gemini) == {"/a/p": "p-1"}


def test_a_mark_that_cannot_be_read_is_somebody_else_s(gemini: Path) -> None:
    (gemini / "tmp" / "p" / ".project_root").mkdir(parents=True)
    assert scratch(gemini, Path("/a/p")).name == "p-1"


def test_too_many_namesakes_are_an_error(gemini: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projects, "MOST_NAMESAKES", 2)
    for folder in ("a", "b"):
        scratch(gemini, Path(f"/{folder}/p"))
    with pytest.raises(SettingsError, match="there are too many projects with the name p"):
        scratch(gemini, Path("/c/p"))


def test_a_place_that_cannot_be_used_is_named_in_the_error(gemini: Path) -> None:
    gemini.parent.mkdir(parents=True)
    gemini.write_text("a file")
    with pytest.raises(SettingsError, match=r"\.gemini.*: the folder for temporary files cannot be used: ") as caught:
        scratch(gemini, Path("/a/p"))
    assert caught.value.exit_code == 52
