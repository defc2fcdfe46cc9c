"""Which Google model an agent uses, where it is and with which key (CONTRACT section 11). Sends nothing.

Refuses models of other makers, and addresses that are no URL. The key is not shown.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from attrs import field, frozen

from runtime.config.openclaw.building import secret
from runtime.config.openclaw.model import ModelChoice, Provider, Settings
from runtime.config.settings import at
from runtime.errors import AuthError, InputError
from runtime.vocab import JsonObject

GOOGLE: Final = "google"
API: Final = "google-generative-ai"
DEFAULT_MODEL: Final = "gemini-3.1-pro-preview"
DEFAULT_BASE: Final = "https://generativelanguage.googleapis.com/v1beta"
KEYS: Final = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
"""Where the key is looked for when the file has none; what `openclaw onboard` stored comes after them."""

_HOST: Final = "generativelanguage.googleapis.com"
_BY_NAME: Final = "secretref-env:"
_VERSION: Final = r"v\d+[a-z0-9]*"

ALIASES: Final[Mapping[str, str]] = {
    "gemini-3-pro": "gemini-3.1-pro-preview",
    "gemini-3-pro-preview": "gemini-3.1-pro-preview",
    "gemini-3.1-pro": "gemini-3.1-pro-preview",
    "gemini-3-flash": "gemini-3-flash-preview",
    "gemini-3.1-flash": "gemini-3-flash-preview",
    "gemini-3.1-flash-preview": "gemini-3-flash-preview",
    "gemini-3.1-flash-lite-preview": "gemini-3.1-flash-lite",
}
"""Names under which people know a model, as there; one that the file lists itself is not renamed."""


@frozen(kw_only=True)
class GoogleModel:
    """Where a request goes. `base_url` has the version at its end (`.../v1beta`); `entry` is the model in the file."""

    provider: str
    model: str
    base_url: str
    key: str = field(repr=False)
    entry: JsonObject = field(factory=dict)
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    timeout_seconds: int | None = None

    @property
    def ref(self) -> str:
        """The model as the gateway names it, `google/<id>`."""
        return f"{self.provider}/{self.model}"

    @property
    def host(self) -> str:
        """The address without the version."""
        return self.base_url.removesuffix(f"/{self.version}") if self.version else self.base_url

    @property
    def version(self) -> str:
        """`v1beta`, or nothing where the address names no version."""
        last = self.base_url.rpartition("/")[2]
        return last if re.fullmatch(_VERSION, last) else ""


def google_provider(settings: Settings, agent: str | None = None, model: str | None = None) -> GoogleModel:
    """Return the model of an agent, or the one that is named, `provider/id` or only `id`.

    Raises InputError where it is not a Google model or its address cannot be used, AuthError where there is no key.
    """
    wanted = model or choice(settings, agent).primary or f"{GOOGLE}/{_first(settings)}"
    provider, name = split(settings, wanted, agent)
    entry: JsonObject = next((each for each in provider.models if each.get("id") == name), {})
    api = entry.get("api") or provider.api or (API if provider.id == GOOGLE else None)
    if api != API:
        raise InputError(
            f"the model {wanted!r}: only models of the API {API} can be used, not of {api or provider.id!r}"
        )
    where = f"models.providers.{provider.id}"
    headers = {name: found for name, each in provider.headers.items() if (found := secret(each, settings.environ))}
    return GoogleModel(
        provider=provider.id,
        model=name,
        base_url=base_url(entry.get("baseUrl") or provider.base_url, f"{where}.baseUrl"),
        key=_key(provider.key, settings, f"{where}.apiKey"),
        entry=entry,
        headers=headers,
        timeout_seconds=provider.timeout_seconds,
    )


def choice(settings: Settings, agent: str | None = None) -> ModelChoice:
    """Return the models that an agent uses: its own, else the common ones. Fallbacks go with the primary."""
    own = settings.agent(agent).model
    return (
        own
        if own.primary
        else ModelChoice(settings.agents.model.primary, own.fallbacks or settings.agents.model.fallbacks)
    )


def split(settings: Settings, wanted: str, agent: str | None = None) -> tuple[Provider, str]:
    """Return the provider and the id that a name means: an alias, `provider/id`, or an id of Google's."""
    named = _aliased(settings, wanted.strip(), agent)
    head, slash, rest = named.partition("/")
    maker, name = (head.strip().lower(), rest.strip()) if slash else (GOOGLE, named)
    if not name:
        raise InputError(f"the model {wanted!r} has no name")
    provider = next((each for key, each in settings.providers.items() if key.lower() == maker), Provider(id=maker))
    listed = any(each.get("id") == name for each in provider.models)
    return provider, name if listed or maker != GOOGLE else ALIASES.get(name, name)


def _aliased(settings: Settings, wanted: str, agent: str | None) -> str:
    for models in (at(settings.agent(agent).tree, "models", {}), at(settings.agents.defaults, "models", {})):
        for name, entry in models.items():
            if str(entry.get("alias", "")).strip().lower() == wanted.lower():
                return str(name)
    return wanted


def _first(settings: Settings) -> str:
    google = settings.providers.get(GOOGLE)
    return str(google.models[0]["id"]) if google and google.models else DEFAULT_MODEL


def base_url(address: str | None, path: str) -> str:
    """Return an address without a slash at its end; Google's own host gets its version. Raises InputError."""
    if not address:
        return DEFAULT_BASE
    try:
        parts = urlsplit(address.strip())
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError as exc:
        raise InputError(f"{path}: is no URL: {exc}") from exc
    if not usable:
        raise InputError(f"{path}: must be a URL that begins with https:// or http://")
    place = parts.path.rstrip("/")
    if not place and parts.hostname == _HOST:
        place = "/v1beta"
    return urlunsplit((parts.scheme, parts.netloc, place, "", ""))


def _key(value: Any, settings: Settings, path: str) -> str:
    environ = settings.environ
    if isinstance(value, str) and value.strip() in KEYS:
        value = {"source": "env", "id": value.strip()}
    elif isinstance(value, str) and value.startswith(_BY_NAME):
        value = {"source": "env", "id": value.removeprefix(_BY_NAME).strip()}
    if isinstance(value, Mapping) and value.get("source") != "env":
        raise AuthError(f"{path}: a secret from {value.get('source')!r} cannot be read: use an environment variable")
    for candidate in (value, *({"source": "env", "id": name} for name in KEYS)):
        if found := secret(candidate, environ):
            return found
    from runtime.config.openclaw.keystore import stored_key

    if found := stored_key(settings.state, GOOGLE, environ):
        return found
    raise AuthError(f"no API key: set {path}, or GEMINI_API_KEY in the environment")
