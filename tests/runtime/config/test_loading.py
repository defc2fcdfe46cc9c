"""How files, environment and flags come to one configuration: which wins, and what is refused."""

import json
import os
import stat
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.config import Config, Trust, load
from runtime.config.files import system_fault
from runtime.errors import SettingsError
from runtime.vocab import ApprovalMode

TRUST = {"GEMINI_CLI_TRUST_WORKSPACE": "true"}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for folder in ("home/.gemini", "work/.gemini", "system"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


FILES = {
    "defaults": "system/system-defaults.json",
    "user": "home/.gemini/settings.json",
    "project": "work/.gemini/settings.json",
    "system": "system/settings.json",
}


def write(place: Path, **trees: Any) -> None:
    for name, path in FILES.items():
        (place / path).unlink(missing_ok=True)
        if name in trees:
            (place / path).write_text(json.dumps(trees[name]))


def loaded(place: Path, environ: dict[str, str] | None = None, **flags: Any) -> Config:
    full = {
        "HOME": str(place / "home"),
        "GEMINI_CLI_SYSTEM_SETTINGS_PATH": str(place / FILES["system"]),
        **(TRUST if environ is None else environ),
    }
    return load(full, place / "work", **{"unsafe": lambda path: None, **flags})


def test_a_run_without_any_file_has_the_defaults(place: Path) -> None:
    config = loaded(place)
    assert (config.model, config.mode, config.output) == ("auto", ApprovalMode.DEFAULT, "text")
    assert (config.max_turns, config.max_attempts, config.retry_fetch_errors) == (-1, 10, True)
    assert (config.core_tools, config.excluded_tools, config.output_threshold) == (None, (), 40_000)
    assert (config.context_names, config.boundary_markers) == (("GEMINI.md",), (".git",))
    assert config.shell == {"inactivityTimeout": 300}
    assert config.warnings == ()
    assert config.workspace == place / "work"
    assert config.gemini == place / "home" / ".gemini"


@pytest.mark.parametrize("present", list(product([False, True], repeat=4)))
def test_of_the_files_the_last_in_order_wins(place: Path, present: tuple[bool, ...]) -> None:
    names = [name for name, there in zip(FILES, present, strict=True) if there]
    write(place, **{name: {"model": {"name": name}} for name in names})
    assert loaded(place).model == (names[-1] if names else "auto")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    flag=st.sampled_from([None, "", "flag"]),
    variable=st.sampled_from([None, "", "variable"]),
    setting=st.sampled_from([None, "", "setting"]),
)
def test_the_model_is_the_flag_then_the_variable_then_the_setting(
    place: Path, flag: str | None, variable: str | None, setting: str | None
) -> None:
    write(place, user={"model": {"name": setting}})
    environ = TRUST if variable is None else {**TRUST, "GEMINI_MODEL": variable}
    assert loaded(place, environ, model=flag).model == (flag or variable or setting or "auto")


def test_blanks_for_a_model_mean_the_default(place: Path) -> None:
    write(place, user={"model": {"name": "setting"}})
    assert loaded(place, {**TRUST, "GEMINI_MODEL": "  "}).model == "auto"


def test_the_output_is_the_flag_then_the_setting(place: Path) -> None:
    write(place, user={"output": {"format": "json"}})
    assert (loaded(place).output, loaded(place, output="stream-json").output) == ("json", "stream-json")


@pytest.mark.parametrize(
    ("setting", "mode"),
    [
        ("default", ApprovalMode.DEFAULT),
        ("auto_edit", ApprovalMode.AUTO_EDIT),
        ("autoEdit", ApprovalMode.AUTO_EDIT),
        ("plan", ApprovalMode.PLAN),
    ],
)
def test_the_approval_mode_is_the_flag_then_the_setting(place: Path, setting: str, mode: ApprovalMode) -> None:
    write(place, user={"general": {"defaultApprovalMode": setting}})
    assert loaded(place).mode is mode
    assert loaded(place, mode=ApprovalMode.YOLO).mode is ApprovalMode.YOLO


def test_a_setting_cannot_turn_on_yolo(place: Path) -> None:
    write(place, user={"general": {"defaultApprovalMode": "yolo"}})
    config = loaded(place)
    assert config.mode is ApprovalMode.DEFAULT
    assert "only a flag can turn on yolo" in config.warnings[0]


@pytest.mark.parametrize("name", ["defaults", "user", "project", "system"])
def test_yolo_can_be_forbidden_in_any_file(place: Path, name: str) -> None:
    write(place, **{name: {"security": {"disableYoloMode": True}}})
    with pytest.raises(SettingsError, match=r'"security\.disableYoloMode" forbids the approval mode yolo'):
        loaded(place, mode=ApprovalMode.YOLO)
    assert loaded(place).mode is ApprovalMode.DEFAULT


@pytest.mark.parametrize("mode", [ApprovalMode.YOLO, ApprovalMode.AUTO_EDIT, ApprovalMode.PLAN])
def test_an_untrusted_folder_gets_the_default_mode_only(place: Path, mode: ApprovalMode) -> None:
    config = loaded(place, {}, mode=mode)
    assert (config.mode, config.trust) == (ApprovalMode.DEFAULT, Trust(False, "nothing"))
    assert f"not {mode.value}" in config.warnings[0]


@pytest.mark.parametrize(
    ("environ", "flags", "read"),
    [(TRUST, {}, True), ({}, {"skip_trust": True}, False), ({}, {}, False), (TRUST, {"skip_trust": True}, True)],
)
def test_project_settings_count_only_where_the_folder_itself_is_trusted(
    place: Path, environ: dict[str, str], flags: dict[str, Any], read: bool
) -> None:
    write(
        place,
        user={"model": {"name": "mine"}},
        project={"model": {"name": "theirs"}, "tools": {"core": []}},
    )
    config = loaded(place, environ, **flags)
    assert (config.model, config.core_tools) == (("theirs", ()) if read else ("mine", None))


def test_a_project_has_no_say_in_whether_it_is_trusted(place: Path) -> None:
    write(place, project={"security": {"folderTrust": {"enabled": False}}})
    assert loaded(place, {}).trust == Trust(False, "nothing")
    write(place, user={"security": {"folderTrust": {"enabled": False}}})
    assert loaded(place, {}).trust == Trust(True, "off")


def test_a_project_file_that_is_no_json_is_an_error_even_where_it_does_not_count(place: Path) -> None:
    (place / FILES["project"]).write_text("{")
    with pytest.raises(SettingsError, match=r"work/\.gemini/settings\.json: not valid JSON at line 1, column 2"):
        loaded(place, {}, skip_trust=True)


def test_types_in_a_project_file_that_does_not_count_do_not_matter(place: Path) -> None:
    write(place, project={"tools": {"core": 5}})
    assert loaded(place, {}, skip_trust=True).core_tools is None
    with pytest.raises(SettingsError, match=r"work/\.gemini/settings\.json: tools\.core must be a list of strings"):
        loaded(place)


def test_in_the_home_folder_the_person_s_file_is_not_taken_for_the_project_s(place: Path) -> None:
    write(place, user={"hooks": {"BeforeTool": [1]}})
    config = load({"HOME": str(place / "home"), **TRUST}, place / "home")
    assert config.setting("hooks.BeforeTool") == [1]


def test_a_system_file_that_others_can_write_is_passed_over_with_a_warning(place: Path) -> None:
    write(place, system={"model": {"name": "system"}}, defaults={"model": {"name": "defaults"}})
    config = loaded(place, unsafe=lambda path: "it is not safe" if path.endswith("/settings.json") else None)
    assert config.model == "defaults"
    assert config.warnings == (f"{place / FILES['system']}: passed over: it is not safe",)


FILE, FOLDER, LINK = stat.S_IFREG | 0o644, stat.S_IFDIR | 0o755, stat.S_IFLNK | 0o777


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({}, None),
        ({"/s": (LINK, 0)}, None),
        ({"/s/f": (FILE, 1000)}, "/s/f does not belong to root"),
        ({"/s": (FOLDER, 1000)}, "/s does not belong to root"),
        ({"/s": (LINK, 1000)}, "/s does not belong to root"),
        ({"/s/f": (FILE | 0o020, 0)}, "/s/f can be written by others than root"),
        ({"/s": (FOLDER | 0o002, 0)}, "/s can be written by others than root"),
        ({"/": (FOLDER | 0o1022, 0)}, "/ can be written by others than root"),
    ],
)
def test_a_system_file_must_be_root_s_alone_with_all_folders_above(
    changed: dict[str, tuple[int, int]], fault: str | None
) -> None:
    places = {"/": (FOLDER, 0), "/s": (FOLDER, 0), "/s/f": (FILE, 0), **changed}

    def look(path: str) -> os.stat_result:
        mode, owner = places[path]
        return os.stat_result((mode, 0, 0, 1, owner, 0, 0, 0, 0, 0))

    assert system_fault("/s/f", look) == fault


def test_a_system_file_that_cannot_be_looked_at_is_not_safe(place: Path) -> None:
    assert system_fault(str(place / "missing.json")) == f"{place / 'missing.json'}: No such file or directory"


def test_defaults_of_the_system_can_be_elsewhere(place: Path) -> None:
    (place / "d.json").write_text('{"model": {"name": "elsewhere"}}')
    assert loaded(place, {**TRUST, "GEMINI_CLI_SYSTEM_DEFAULTS_PATH": str(place / "d.json")}).model == "elsewhere"


def test_another_home_takes_the_place_of_the_home(place: Path) -> None:
    other = place / "other"
    (other / ".gemini").mkdir(parents=True)
    (other / ".gemini" / "settings.json").write_text('{"model": {"name": "other"}}')
    config = loaded(place, {**TRUST, "GEMINI_CLI_HOME": "../other"})
    assert (config.model, config.home) == ("other", other)


def test_without_a_home_in_the_environment_the_system_is_asked(place: Path) -> None:
    assert load(TRUST, place / "work").home.is_absolute()


@pytest.mark.parametrize(
    ("value", "expected"),
    [("/state", Path("/state/twinstep")), ("state", None), ("", None)],
)
def test_journals_go_to_the_state_folder(place: Path, value: str, expected: Path | None) -> None:
    config = loaded(place, {**TRUST, "XDG_STATE_HOME": value})
    assert config.state == (expected or place / "home" / ".local" / "state" / "twinstep")


@pytest.mark.parametrize(
    ("tree", "name", "value"),
    [
        ({"model": {"maxSessionTurns": 3}}, "max_turns", 3),
        ({"model": {"maxSessionTurns": 0}}, "max_turns", 0),
        ({"model": {"maxSessionTurns": -7}}, "max_turns", -1),
        ({"general": {"maxAttempts": 3}}, "max_attempts", 3),
        ({"general": {"maxAttempts": 99}}, "max_attempts", 10),
        ({"general": {"retryFetchErrors": False}}, "retry_fetch_errors", False),
        ({"tools": {"core": []}}, "core_tools", ()),
        ({"tools": {"core": ["a"]}}, "core_tools", ("a",)),
        ({"tools": {"exclude": ["a"]}}, "excluded_tools", ("a",)),
        ({"tools": {"truncateToolOutputThreshold": 0}}, "output_threshold", 0),
        ({"tools": {"shell": {"inactivityTimeout": 5, "new": 1}}}, "shell", {"inactivityTimeout": 5, "new": 1}),
        ({"context": {"fileName": "AGENTS.md"}}, "context_names", ("AGENTS.md",)),
        ({"context": {"fileName": ["A.md", "B.md"]}}, "context_names", ("A.md", "B.md")),
        ({"context": {"fileName": ""}}, "context_names", ("GEMINI.md",)),
        ({"context": {"memoryBoundaryMarkers": []}}, "boundary_markers", ()),
        ({"security": {"auth": {"selectedType": "vertex-ai"}}}, "selected_auth", "vertex-ai"),
        ({"security": {"auth": {"selectedType": ""}}}, "selected_auth", None),
    ],
)
def test_a_setting_comes_out_as_the_value_that_others_use(
    place: Path, tree: dict[str, Any], name: str, value: object
) -> None:
    write(place, user=tree)
    assert getattr(loaded(place), name) == value


def test_a_model_from_the_env_file_counts_as_the_variable(place: Path) -> None:
    write(place, user={"model": {"name": "setting"}})
    (place / "work" / ".env").write_text("GEMINI_MODEL=from-file\n")
    assert loaded(place).model == "from-file"
    assert loaded(place, {**TRUST, "GEMINI_MODEL": "set"}).model == "set"


def test_the_workspace_is_where_links_lead(place: Path) -> None:
    (place / "link").symlink_to(place / "work")
    assert load({"HOME": str(place / "home"), **TRUST}, place / "link").workspace == place / "work"


def test_neither_environment_nor_settings_can_be_changed_afterwards(place: Path) -> None:
    config = loaded(place)
    with pytest.raises(TypeError):
        config.environ["A"] = "1"  # type: ignore[index]
    with pytest.raises(TypeError):
        config.settings["a"] = 1  # type: ignore[index]
