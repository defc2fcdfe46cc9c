"""The key that `openclaw onboard` stored is found, and comes after what the settings and the environment say."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from runtime.config.openclaw import google_provider, load
from runtime.errors import AuthError

KEY = {"type": "api_key", "provider": "google", "key": "stored"}


def store(state: Path, profiles: Any) -> None:
    """Write the profiles as the peer does."""
    (state / "state").mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(state / "state" / "openclaw.sqlite")) as database, database:
        database.execute("create table config_machine_state (state_key text, value_json text, updated_at_ms integer)")
        row = ("authProfiles.store", json.dumps({"version": 1, "profiles": profiles}), 1)
        database.execute("insert into config_machine_state values (?, ?, ?)", row)


def key(home: Path, **environ: str) -> str:
    """The key that a gateway on this home would use."""
    config = load({"HOME": str(home), **environ}, home).config
    assert config is not None
    return google_provider(config).key


@pytest.mark.parametrize(
    ("profiles", "found"),
    [
        ({"google:default": KEY}, "stored"),
        ({"google:a": {**KEY, "key": "other"}, "google:default": KEY}, "stored"),
        ({"google:b": {**KEY, "key": "second"}, "google:a": {**KEY, "key": "first"}}, "first"),
        ({"google:default": {**KEY, "key": " "}, "google:x": {**KEY, "key": "next"}}, "next"),
        ({"google:default": {**KEY, "key": None, "keyRef": {"source": "env", "id": "MINE"}}}, "mine"),
    ],
)
def test_a_stored_key_is_used(tmp_path: Path, profiles: Any, found: str) -> None:
    store(tmp_path / ".openclaw", profiles)
    assert key(tmp_path, MINE="mine") == found


def test_settings_and_environment_come_first(tmp_path: Path) -> None:
    store(tmp_path / ".openclaw", {"google:default": KEY})
    assert key(tmp_path, GEMINI_API_KEY="from-environment") == "from-environment"
    models = [{"id": "m", "name": "M"}]
    provider = {"apiKey": "from-file", "baseUrl": "http://127.0.0.1:1", "models": models}
    (tmp_path / ".openclaw" / "openclaw.json").write_text(json.dumps({"models": {"providers": {"google": provider}}}))
    assert key(tmp_path, GEMINI_API_KEY="from-environment") == "from-file"


@pytest.mark.parametrize(
    "profiles",
    [
        {},
        [],
        {"google:default": "text"},
        {"google:default": {**KEY, "type": "oauth"}},
        {"openai:default": {**KEY, "provider": "openai"}},
        {"google:default": {**KEY, "key": "${NOT_SET}"}},
    ],
)
def test_what_is_no_plain_key_of_google_is_not_used(tmp_path: Path, profiles: Any) -> None:
    store(tmp_path / ".openclaw", profiles)
    with pytest.raises(AuthError, match="no API key"):
        key(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no database at all, but long enough to be looked at" * 40])
def test_a_database_that_cannot_be_read_has_no_key(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".openclaw" / "state").mkdir(parents=True)
    (tmp_path / ".openclaw" / "state" / "openclaw.sqlite").write_bytes(content)
    with pytest.raises(AuthError, match="no API key"):
        key(tmp_path)
