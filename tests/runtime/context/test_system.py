"""The system text: what it says for which run, what replaces it, and what is added to it."""

from itertools import product
from pathlib import Path

import pytest

from runtime.context import replacement, system_text
from runtime.context.system import TOOL_RULES, UNATTENDED
from runtime.errors import UsageError
from runtime.vocab import ApprovalMode

ALL = (
    "update_topic list_directory read_file grep_search glob replace write_file web_fetch run_shell_command "
    "list_background_processes read_background_output google_web_search write_todos"
).split()


@pytest.mark.parametrize(("mode", "interactive"), list(product(ApprovalMode, [False, True])))
def test_it_is_short_and_ends_with_what_this_run_allows(mode: ApprovalMode, interactive: bool) -> None:
    text = system_text(mode=mode, tools=ALL, interactive=interactive)
    assert 3_000 <= len(text) <= 6_000
    assert "\n\n\n" not in text
    assert text.rindex("# This run") > text.rindex("# Answers")


def test_every_kind_of_run_has_a_text_of_its_own() -> None:
    runs = list(product(ApprovalMode, [False, True]))
    assert len({system_text(mode=mode, tools=ALL, interactive=interactive) for mode, interactive in runs}) == len(runs)


@pytest.mark.parametrize("names", list(TOOL_RULES))
def test_only_tools_on_offer_are_spoken_of(names: str) -> None:
    others = [name for name in ALL if name not in names.split()]
    text = system_text(mode=ApprovalMode.YOLO, tools=others)
    assert TOOL_RULES[names] not in text
    assert TOOL_RULES[names] in system_text(mode=ApprovalMode.YOLO, tools=names.split()[:1])


def test_a_run_without_tools_is_told_so() -> None:
    assert "This run has none." in system_text(mode=ApprovalMode.YOLO, tools=())


@pytest.mark.parametrize("mode", [ApprovalMode.DEFAULT, ApprovalMode.AUTO_EDIT])
def test_a_headless_run_is_told_that_nobody_can_say_yes(mode: ApprovalMode) -> None:
    assert UNATTENDED.strip() in system_text(mode=mode, tools=ALL)
    assert UNATTENDED.strip() not in system_text(mode=mode, tools=ALL, interactive=True)


def test_memory_is_added_below_everything_in_its_own_frame() -> None:
    text = system_text(mode=ApprovalMode.YOLO, tools=ALL, memory=" be brief \n")
    assert text.endswith("<loaded_context>\nbe brief\n</loaded_context>")
    assert "# Memory" not in system_text(mode=ApprovalMode.YOLO, tools=ALL, memory=" \n")


def test_a_replacement_takes_the_place_of_the_whole_text_and_memory_stays() -> None:
    text = system_text(mode=ApprovalMode.YOLO, tools=ALL, replacement="MINE", memory="be brief")
    assert text.startswith("MINE\n\n# Memory")
    assert "twinstep" not in text
    assert system_text(mode=ApprovalMode.YOLO, tools=ALL, replacement="") == ""


def test_variables_of_a_replacement_are_filled_in_and_unknown_ones_stay() -> None:
    given = "${AvailableTools}|${read_file_ToolName}|${nope_ToolName}|${AgentSkills}${SubAgents}|$HOME ${a b}"
    text = system_text(mode=ApprovalMode.YOLO, tools=["read_file", "glob"], replacement=given)
    assert text == "- read_file\n- glob|read_file|${nope_ToolName}||$HOME ${a b}"
    assert (
        system_text(mode=ApprovalMode.YOLO, tools=[], replacement="${AvailableTools}")
        == "No tools are currently available."
    )


def test_rows_of_empty_lines_become_one() -> None:
    assert system_text(mode=ApprovalMode.YOLO, tools=(), replacement="a\n\n\n\n\nb") == "a\n\nb"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name, text in (
        ("work/.gemini/system.md", "default"),
        ("work/own.md", "own"),
        ("home/s.md", "home"),
        ("e.md", ""),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", None),
        ("  ", None),
        ("0", None),
        ("False", None),
        ("1", "default"),
        ("TRUE", "default"),
        ("own.md", "own"),
        (" ./own.md ", "own"),
        ("../work/own.md", "own"),
        ("~/s.md", "home"),
        ("../e.md", ""),
    ],
)
def test_the_variable_names_the_file_that_replaces_the_text(place: Path, value: str, text: str | None) -> None:
    assert replacement(value, place / "work", place / "home") == text


def test_an_absolute_path_is_taken_as_it_is(place: Path) -> None:
    assert replacement(str(place / "home" / "s.md"), place / "work", place / "home") == "home"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("nope.md", r"missing system prompt file '.*/work/nope\.md'"),
        ("~/nope.md", r"missing system prompt file '.*/home/nope\.md'"),
        (".gemini", r"/work/\.gemini cannot be read: not a regular file"),
        ("~", r"/home cannot be read: not a regular file"),
    ],
)
def test_a_file_that_is_not_there_ends_the_run_with_its_name(place: Path, value: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=f"^GEMINI_SYSTEM_MD: .*{sentence}") as caught:
        replacement(value, place / "work", place / "home")
    assert caught.value.exit_code == 1


def test_a_missing_default_file_is_named(place: Path) -> None:
    (place / "work" / ".gemini" / "system.md").unlink()
    with pytest.raises(UsageError, match=r"missing system prompt file '.*/work/\.gemini/system\.md'"):
        replacement("true", place / "work", place / "home")
