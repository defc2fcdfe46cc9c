"""Which credentials a run uses (API section "Environment"). Shows no key and sends nothing."""

from collections.abc import Mapping
from typing import Final

from attrs import field, frozen

from runtime.config.files import tilde
from runtime.config.values import Config
from runtime.errors import AuthError

GEMINI: Final = "gemini-api-key"
VERTEX: Final = "vertex-ai"
LOGIN: Final = "oauth-personal"
SETTING: Final = 'the setting "security.auth.selectedType"'


@frozen
class Auth:
    """The kind of credentials, as `security.auth.selectedType` spells it, and the environment that holds the key."""

    kind: str
    environ: Mapping[str, str] = field(repr=False)


def auth(config: Config) -> Auth:
    """Return the credentials to use. Raises AuthError with one sentence that says what to set.

    Where nothing is selected and a key is there, the key is used. The peer looks at GOOGLE_GEMINI_BASE_URL first, takes
    it for the type `gateway` and refuses that; we do not follow it, since such a refusal helps nobody.
    """
    environ, selected = config.environ, config.selected_auth
    kind = selected or _from_environment(environ)
    enforced = config.setting("security.auth.enforcedType")
    if enforced and kind != enforced:
        raise AuthError(f'the setting "security.auth.enforcedType" asks for {enforced!r}, but {kind!r} is selected')
    if kind not in (GEMINI, VERTEX):
        what = f"{SETTING} is {kind!r}" if selected else "GOOGLE_GENAI_USE_GCA asks for a Google login"
        raise AuthError(f'{what}, which is not supported: use "{GEMINI}" with GEMINI_API_KEY')
    if kind == GEMINI and not _has(environ, "GEMINI_API_KEY"):
        where = tilde(config.gemini / "settings.json", config.home)
        raise AuthError(f'no API key: set GEMINI_API_KEY, or {SETTING} in {where} to "{VERTEX}" with GOOGLE_API_KEY')
    if kind == VERTEX and not _has(environ, "GOOGLE_API_KEY"):
        raise AuthError(f'no API key for "{VERTEX}": set GOOGLE_API_KEY; a Google login is not supported')
    return Auth(kind, environ)


def _from_environment(environ: Mapping[str, str]) -> str:
    if environ.get("GOOGLE_GENAI_USE_GCA") == "true":
        return LOGIN
    return VERTEX if environ.get("GOOGLE_GENAI_USE_VERTEXAI") == "true" else GEMINI


def _has(environ: Mapping[str, str], name: str) -> bool:
    return bool(environ.get(name, "").strip())
