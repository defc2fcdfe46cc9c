"""Which folders are trusted, by the environment, the settings, the file of trusted folders, and the flag."""

import json
from pathlib import Path
from typing import Any

import pytest

from runtime.config import Config, Trust, require_trust
from runtime.config.trust import trust
from runtime.errors import SettingsError, UntrustedWorkspace

OFF = {"security": {"folderTrust": {"enabled": False}}}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home" / ".gemini").mkdir(parents=True)
    (tmp_path / "work" / "sub").mkdir(parents=True)
    return tmp_path / "home"


def decided(
    home: Path,
    environ: dict[str, str] | None = None,
    settings: dict[str, Any] | None = None,
    *,
    skip: bool = False,
    folder: str = "work",
) -> Trust:
    return trust(environ or {}, settings or {}, home.parent / folder, home, skip=skip)


def rules(home: Path, levels: dict[str, str]) -> None:
    named = {f"{home.parent}/{folder}": level for folder, level in levels.items()}
    (home / ".gemini" / "trustedFolders.json").write_text(f"// mine\n{json.dumps(named)}")


def test_a_folder_that_nobody_spoke_of_is_not_trusted(home: Path) -> None:
    assert decided(home) == Trust(False, "nothing")


def test_a_flag_trusts_a_folder_for_one_run_and_not_its_settings(home: Path) -> None:
    assert decided(home, skip=True) == Trust(True, "flag")
    assert not decided(home, skip=True).project


@pytest.mark.parametrize("value", ["1", "TRUE", "yes", ""])
def test_only_the_word_true_in_the_environment_trusts(home: Path, value: str) -> None:
    assert decided(home, {"GEMINI_CLI_TRUST_WORKSPACE": value}) == Trust(False, "nothing")
    assert decided(home, {"GEMINI_CLI_TRUST_WORKSPACE": "true"}) == Trust(True, "environment")


def test_false_in_the_environment_is_stronger_than_the_file_and_weaker_than_the_flag(home: Path) -> None:
    rules(home, {"work": "TRUST_FOLDER"})
    environ = {"GEMINI_CLI_TRUST_WORKSPACE": "false"}
    assert decided(home, environ) == Trust(False, "environment")
    assert decided(home, environ, skip=True) == Trust(True, "flag")


def test_restricted_mode_is_stronger_than_everything(home: Path) -> None:
    environ = {"GEMINI_RESTRICTED_MODE": "true", "GEMINI_CLI_TRUST_WORKSPACE": "true"}
    assert decided(home, environ, OFF, skip=True) == Trust(False, "environment")


def test_trust_that_is_turned_off_lets_every_folder_in(home: Path) -> None:
    assert decided(home, settings=OFF) == Trust(True, "off")


@pytest.mark.parametrize(
    ("levels", "folder", "expected"),
    [
        ({"work": "TRUST_FOLDER"}, "work", Trust(True, "file")),
        ({"work": "TRUST_FOLDER"}, "work/sub", Trust(True, "file")),
        ({"work/sub": "TRUST_FOLDER"}, "work", Trust(False, "nothing")),
        ({"work/x": "TRUST_PARENT"}, "work", Trust(True, "file")),
        ({"work": "DO_NOT_TRUST"}, "work", Trust(False, "file")),
        ({"": "TRUST_FOLDER", "work": "DO_NOT_TRUST"}, "work/sub", Trust(False, "file")),
        ({"work": "DO_NOT_TRUST", "work/sub": "TRUST_FOLDER"}, "work/sub", Trust(True, "file")),
        ({"wor": "TRUST_FOLDER"}, "work", Trust(False, "nothing")),
    ],
)
def test_the_longest_rule_that_covers_the_folder_decides(
    home: Path, levels: dict[str, str], folder: str, expected: Trust
) -> None:
    rules(home, levels)
    assert decided(home, folder=folder) == expected


def test_a_flag_is_stronger_than_a_rule_against_the_folder(home: Path) -> None:
    rules(home, {"work": "DO_NOT_TRUST"})
    assert decided(home, skip=True) == Trust(True, "flag")


def test_a_rule_for_a_link_covers_the_place_it_leads_to(home: Path) -> None:
    (home.parent / "link").symlink_to(home.parent / "work")
    rules(home, {"link": "TRUST_FOLDER"})
    assert decided(home) == Trust(True, "file")


def test_the_file_of_trusted_folders_can_be_elsewhere(home: Path) -> None:
    other = home / "other.json"
    other.write_text(json.dumps({str(home.parent / "work"): "TRUST_FOLDER"}))
    assert decided(home, {"GEMINI_CLI_TRUSTED_FOLDERS_PATH": str(other)}) == Trust(True, "file")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "not valid JSON at line 1, column 2"),
        ("[]", "must hold a JSON object, not a list"),
        ('{"/x": "MAYBE"}', "the level of /x must be one of TRUST_FOLDER, TRUST_PARENT, DO_NOT_TRUST"),
        ('{"/x": ["TRUST_FOLDER"]}', "the level of /x must be one of TRUST_FOLDER, TRUST_PARENT, DO_NOT_TRUST"),
    ],
)
def test_a_file_of_trusted_folders_that_makes_no_sense_is_refused(home: Path, text: str, sentence: str) -> None:
    (home / ".gemini" / "trustedFolders.json").write_text(text)
    with pytest.raises(SettingsError) as caught:
        decided(home)
    assert str(caught.value).startswith(f"~/.gemini/trustedFolders.json: {sentence}")


def test_a_run_in_an_untrusted_folder_is_refused_with_all_ways_out(home: Path) -> None:
    config = Config(workspace=home.parent / "work", home=home, trust=Trust(False, "nothing"), environ={}, settings={})
    with pytest.raises(UntrustedWorkspace) as caught:
        require_trust(config)
    assert caught.value.exit_code == 55
    for word in (str(config.workspace), "--skip-trust", "GEMINI_CLI_TRUST_WORKSPACE=true", "~/.gemini/trustedFolders"):
        assert word in str(caught.value)
