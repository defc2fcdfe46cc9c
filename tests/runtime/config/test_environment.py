"""The .env file: where it is looked for, what is taken from it, and what never is."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.config import Trust
from runtime.config.environment import env_file, parse_env, with_env_file

TRUSTED = Trust(True, "file")
FLAGGED = Trust(True, "flag")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home" / ".gemini").mkdir(parents=True)
    (tmp_path / "up" / "work" / ".gemini").mkdir(parents=True)
    return tmp_path / "home"


def workspace(home: Path) -> Path:
    return home.parent / "up" / "work"


def loaded(
    home: Path, environ: dict[str, str], trust: Trust = TRUSTED, settings: dict[str, Any] | None = None
) -> tuple[dict[str, str], tuple[str, ...]]:
    full, warnings = with_env_file(environ, settings or {}, workspace(home), home, trust)
    return dict(full), warnings


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A=1\nB=2\n", {"A": "1", "B": "2"}),
        ("export A=1", {"A": "1"}),
        ("# A=1\n  B = 2 # why\n", {"B": "2"}),
        ("A='x # y'\nB=\"p\\nq\" # t", {"A": "x # y", "B": "p\nq"}),
        ("A=`it's`", {"A": "it's"}),
        ("A=x#y", {"A": "x"}),
        ("A: 1", {"A": "1"}),
        ("A=", {"A": ""}),
        ("A=$B", {"A": "$B"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ('A="two\nlines"\nB=1', {"A": "two\nlines", "B": "1"}),
        ("A=1\nA=2", {"A": "2"}),
        ("no entry here\n=x\nA.b-c=1", {"A.b-c": "1"}),
        ('A="open\nB=1', {"A": '"open', "B": "1"}),
    ],
)
def test_the_lines_of_a_file_are_read_as_the_peer_reads_them(text: str, found: dict[str, str]) -> None:
    assert parse_env(text) == found


@given(st.text(max_size=60))
def test_any_text_is_read_without_complaint(text: str) -> None:
    assert all(isinstance(value, str) for value in parse_env(text).values())


@given(st.dictionaries(st.from_regex(r"\A[A-Z_]{1,8}\Z"), st.from_regex(r"\A[a-zA-Z0-9_./-]{0,10}\Z"), max_size=5))
def test_plain_values_come_back_as_they_were_written(values: dict[str, str]) -> None:
    assert parse_env("".join(f"{name}={value}\n" for name, value in values.items())) == values


def test_the_nearest_file_is_taken_and_only_that_one(home: Path) -> None:
    places = [
        workspace(home) / ".gemini" / ".env",
        workspace(home) / ".env",
        workspace(home).parent / ".env",
        home / ".gemini" / ".env",
        home / ".env",
    ]
    for place in places:
        place.write_text("GEMINI_MODEL=x\n")
    for place in places:
        assert env_file(workspace(home), home) == str(place)
        place.unlink()
    assert not (env_file(workspace(home), home) or "").startswith(str(home.parent))


def test_without_local_files_a_plain_one_counts_in_the_home_folder_only(home: Path) -> None:
    (workspace(home) / ".env").write_text("GEMINI_MODEL=local\n")
    (home / ".env").write_text("GEMINI_MODEL=home\n")
    full, _ = loaded(home, {}, settings={"advanced": {"ignoreLocalEnv": True}})
    assert full["GEMINI_MODEL"] == "home"


def test_only_names_of_gemini_and_google_are_taken_and_none_that_is_set(home: Path) -> None:
    (workspace(home) / ".env").write_text(
        "GEMINI_API_KEY=k\nGOOGLE_API_KEY=g\nPATH=/evil\nLD_PRELOAD=x\nGEMINI_MODEL=m\n"
        "GEMINI_CLI_HOME=/evil\nGEMINI_CLI_TRUST_WORKSPACE=true\nGEMINI_CLI_SYSTEM_SETTINGS_PATH=/evil\n"
    )
    full, warnings = loaded(home, {"GEMINI_MODEL": "", "PATH": "/bin"})
    assert full == {"GEMINI_API_KEY": "k", "GOOGLE_API_KEY": "g", "GEMINI_MODEL": "", "PATH": "/bin"}
    assert warnings == ()


def test_names_that_the_settings_exclude_are_not_taken(home: Path) -> None:
    (workspace(home) / ".env").write_text("GEMINI_MODEL=m\nGEMINI_API_KEY=k\n")
    full, _ = loaded(home, {}, settings={"advanced": {"excludedEnvVars": ["GEMINI_MODEL"]}})
    assert full == {"GEMINI_API_KEY": "k"}


def test_nothing_is_taken_in_an_untrusted_folder(home: Path) -> None:
    (workspace(home) / ".env").write_text("GEMINI_API_KEY=k\n")
    assert loaded(home, {"A": "1"}, Trust(False, "nothing")) == ({"A": "1"}, ())


@pytest.mark.parametrize(
    ("text", "environ", "kept"),
    [
        ("GOOGLE_GEMINI_BASE_URL=http://x", {"GEMINI_API_KEY": "mine"}, False),
        ("GOOGLE_GEMINI_BASE_URL=http://x", {}, False),
        ("GOOGLE_GEMINI_BASE_URL=http://x\nGEMINI_API_KEY=theirs", {"GEMINI_API_KEY": "mine"}, False),
        ("GOOGLE_GEMINI_BASE_URL=http://x\nGOOGLE_API_KEY=theirs", {}, False),
        ("GOOGLE_GEMINI_BASE_URL=http://x\nGEMINI_API_KEY=theirs", {}, True),
    ],
)
def test_a_folder_trusted_by_a_flag_does_not_choose_where_my_key_goes(
    home: Path, text: str, environ: dict[str, str], kept: bool
) -> None:
    (workspace(home) / ".env").write_text(text)
    full, warnings = loaded(home, environ, FLAGGED)
    assert ("GOOGLE_GEMINI_BASE_URL" in full) is kept
    assert any("GOOGLE_GEMINI_BASE_URL passed over" in warning for warning in warnings) is not kept


def test_a_folder_that_is_trusted_may_name_a_base_url(home: Path) -> None:
    (workspace(home) / ".env").write_text("GOOGLE_GEMINI_BASE_URL=http://x")
    assert loaded(home, {"GEMINI_API_KEY": "mine"})[0]["GOOGLE_GEMINI_BASE_URL"] == "http://x"


def test_my_own_file_may_name_a_base_url_in_any_folder(home: Path) -> None:
    (home / ".gemini" / ".env").write_text("GOOGLE_GEMINI_BASE_URL=http://x")
    assert loaded(home, {"GEMINI_API_KEY": "mine"}, FLAGGED)[0]["GOOGLE_GEMINI_BASE_URL"] == "http://x"


def test_outside_of_the_workspace_the_file_of_somebody_else_does_not_count(home: Path) -> None:
    for place in (workspace(home).parent / ".env", home / ".gemini" / ".env"):
        place.write_text("GEMINI_MODEL=theirs\n")
    assert env_file(workspace(home), home, owners=()) is None
    (workspace(home) / ".env").write_text("GEMINI_MODEL=here\n")
    assert env_file(workspace(home), home, owners=()) == str(workspace(home) / ".env")


def test_a_file_that_is_too_large_is_passed_over_with_a_warning(home: Path) -> None:
    (workspace(home) / ".env").write_text("GEMINI_MODEL=m\n" + "#" * (5 << 20))
    full, warnings = loaded(home, {})
    assert full == {}
    assert len(warnings) == 1
    assert "passed over: more than" in warnings[0]
