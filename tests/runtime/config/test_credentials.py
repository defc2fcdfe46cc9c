"""Which credentials are used, and the one sentence for each way in which there are none."""

from pathlib import Path
from typing import Any

import pytest

from runtime.config import Config, Trust, auth
from runtime.errors import AuthError

KEY = {"GEMINI_API_KEY": "secret-key"}
EXPRESS = {"GOOGLE_API_KEY": "secret-google"}


def config(environ: dict[str, str], selected: str | None = None, **security: Any) -> Config:
    chosen = {} if selected is None else {"selectedType": selected}
    return Config(
        workspace=Path("/work"),
        home=Path("/home/me"),
        trust=Trust(True, "file"),
        environ=environ,
        settings={"security": {"auth": {**chosen, **security}}},
    )


@pytest.mark.parametrize(
    ("environ", "selected", "kind"),
    [
        (KEY, "gemini-api-key", "gemini-api-key"),
        (KEY, None, "gemini-api-key"),
        ({**KEY, "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:1"}, None, "gemini-api-key"),
        ({**KEY, **EXPRESS}, "vertex-ai", "vertex-ai"),
        ({**KEY, **EXPRESS, "GOOGLE_GENAI_USE_VERTEXAI": "true"}, None, "vertex-ai"),
        ({**KEY, "GOOGLE_GENAI_USE_GCA": "true"}, "gemini-api-key", "gemini-api-key"),
    ],
)
def test_a_key_that_is_there_is_used(environ: dict[str, str], selected: str | None, kind: str) -> None:
    found = auth(config(environ, selected))
    assert (found.kind, found.environ) == (kind, environ)


@pytest.mark.parametrize("environ", [{}, {"GEMINI_API_KEY": ""}, {"GEMINI_API_KEY": "  "}, EXPRESS])
@pytest.mark.parametrize("selected", [None, "gemini-api-key"])
def test_without_a_key_the_sentence_names_the_variable_and_the_setting(
    environ: dict[str, str], selected: str | None
) -> None:
    with pytest.raises(AuthError) as caught:
        auth(config(environ, selected))
    assert caught.value.exit_code == 41
    assert "\n" not in str(caught.value)
    for word in ("GEMINI_API_KEY", "security.auth.selectedType", "~/.gemini/settings.json"):
        assert word in str(caught.value)


@pytest.mark.parametrize("environ", [KEY, {**KEY, "GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": "l"}])
def test_vertex_works_with_a_key_only(environ: dict[str, str]) -> None:
    with pytest.raises(AuthError, match=r"set GOOGLE_API_KEY; a Google login is not supported"):
        auth(config(environ, "vertex-ai"))


@pytest.mark.parametrize("kind", ["oauth-personal", "compute-default-credentials", "cloud-shell", "gateway", "bogus"])
def test_another_kind_is_refused_by_name_with_what_works_instead(kind: str) -> None:
    with pytest.raises(AuthError) as caught:
        auth(config(KEY, kind))
    assert repr(kind) in str(caught.value)
    assert 'use "gemini-api-key" with GEMINI_API_KEY' in str(caught.value)


def test_a_google_login_by_the_environment_is_refused() -> None:
    with pytest.raises(AuthError, match=r"^GOOGLE_GENAI_USE_GCA asks for a Google login, which is not supported"):
        auth(config({**KEY, "GOOGLE_GENAI_USE_GCA": "true"}))


def test_a_kind_that_is_enforced_must_be_the_one_selected() -> None:
    assert auth(config(KEY, enforcedType="gemini-api-key")).kind == "gemini-api-key"
    with pytest.raises(AuthError, match=r"asks for 'vertex-ai', but 'gemini-api-key' is selected"):
        auth(config({**KEY, **EXPRESS}, "gemini-api-key", enforcedType="vertex-ai"))


def test_no_key_is_ever_shown() -> None:
    here = config({**KEY, **EXPRESS})
    assert "secret" not in f"{here!r}{here}{auth(here)!r}"
