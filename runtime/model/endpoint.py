"""Where requests go and with which key (API section "Environment"). Sends nothing; the environment is an argument.

Refuses to send a key over plain HTTP to anything but this machine.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from attrs import field, frozen

from runtime.errors import AuthError, InputError
from runtime.model import wire
from runtime.model.secret import Secret

GEMINI: Final = "gemini-api-key"
VERTEX: Final = "vertex-ai"
GATEWAY: Final = "gateway"

_GEMINI_BASE: Final = "https://generativelanguage.googleapis.com"
_VERTEX_BASES: Final = {
    "us": "https://aiplatform.us.rep.googleapis.com",
    "eu": "https://aiplatform.eu.rep.googleapis.com",
}
_VERTEX_BASE: Final = "https://aiplatform.googleapis.com"
# Patterns are compiled when a variable asks for it, not at every start.
_VERSION: Final = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_NAME: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_NEXT_HEADER: Final = r",(?=\s*[^,:]+:)"


@frozen
class Endpoint:
    """A place to send requests to. `base` is a checked URL without a slash at its end; a path in it is kept.

    `headers` are the person's own. `proxy` is the URL of an HTTP proxy. `authorities` names files of certificates that
    are trusted besides the usual ones. `surface` is the label that goes into the user agent.
    """

    base: str = _GEMINI_BASE
    version: str = "v1beta"
    key: Secret = field(default=Secret(""))
    bearer: bool = False
    vertex: bool = False
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    proxy: Secret | None = None
    authorities: tuple[str, ...] = ()
    surface: str = "terminal"

    @property
    def split(self) -> SplitResult:
        """The base in its parts."""
        return urlsplit(self.base)

    def target(self, model: str, verb: str) -> str:
        """Return path and query for a request. Raises ModelError for a model name that cannot be in a path."""
        return self.split.path + wire.path(model, verb, version=self.version, vertex=self.vertex)


def endpoint(environ: Mapping[str, str], selected_type: str | None = None) -> Endpoint:
    """Return the endpoint that an environment and the setting `security.auth.selectedType` ask for.

    Raises AuthError where no usable key is found or a key would travel in the open, InputError for a variable that
    cannot be understood. Its text names the variable and never shows a key.
    """
    kind = selected_type or _kind_of(environ)
    if kind == GEMINI:
        key = _key(environ, "GEMINI_API_KEY")
    elif kind == VERTEX:
        key = _vertex_key(environ)
    elif kind == GATEWAY and _value(environ, "GOOGLE_GEMINI_BASE_URL"):
        key = _value(environ, "GEMINI_API_KEY")
    else:
        raise AuthError(f"the authentication type {kind!r} is not supported: use {GEMINI!r} with GEMINI_API_KEY")
    vertex = kind == VERTEX
    base, name = _base(environ, vertex)
    address = _address(base, name)
    return Endpoint(
        base=base.rstrip("/"),
        version=_version(environ, "v1beta1" if vertex else "v1beta"),
        key=Secret(_printable(key, "the API key")),
        bearer=_value(environ, "GEMINI_API_KEY_AUTH_MECHANISM") == "bearer",
        vertex=vertex,
        headers=custom_headers(environ.get("GEMINI_CLI_CUSTOM_HEADERS", "")),
        proxy=_proxy(environ, address),
        authorities=tuple(filter(None, (_value(environ, n) for n in ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")))),
        surface=_printable(_value(environ, "GEMINI_CLI_SURFACE"), "GEMINI_CLI_SURFACE") or "terminal",
    )


def custom_headers(text: str) -> tuple[tuple[str, str], ...]:
    """Read `Name: value, Other: value`; a comma divides only where a name and a colon follow. Raises InputError."""
    found = []
    for entry in re.split(_NEXT_HEADER, text) if text else ():
        name, colon, value = (part.strip() for part in entry.partition(":"))
        if not colon or not name:
            continue
        if not re.fullmatch(_NAME, name):
            raise InputError(f"GEMINI_CLI_CUSTOM_HEADERS: {name[:40]!r} is no name of a header")
        found.append((name, _printable(value, f"GEMINI_CLI_CUSTOM_HEADERS: the value of {name}")))
    return tuple(found)


def proxy_parts(proxy: Secret) -> tuple[SplitResult, tuple[str, str] | None]:
    """Return the URL of a proxy in parts, without user and password, and these two."""
    parts = urlsplit(proxy.reveal())
    login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]), login


def _value(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name, "").strip()


def _kind_of(environ: Mapping[str, str]) -> str:
    if _value(environ, "GOOGLE_GENAI_USE_GCA") == "true":
        return "oauth-personal"
    # The peer takes a base URL for the type `gateway` here and then refuses it; with a key there is no doubt.
    return VERTEX if _value(environ, "GOOGLE_GENAI_USE_VERTEXAI") == "true" else GEMINI


def _key(environ: Mapping[str, str], name: str) -> str:
    key = _value(environ, name)
    if not key:
        raise AuthError(f"no API key: set the environment variable {name}")
    return key


def _vertex_key(environ: Mapping[str, str]) -> str:
    if _value(environ, "GOOGLE_CLOUD_PROJECT") and not _value(environ, "GOOGLE_API_KEY"):
        raise AuthError(
            "Vertex AI by project and location needs a Google login, which is not supported: set GOOGLE_API_KEY"
        )
    return _key(environ, "GOOGLE_API_KEY")


def _base(environ: Mapping[str, str], vertex: bool) -> tuple[str, str]:
    """Return the base URL and what to call it in an error."""
    name = "GOOGLE_VERTEX_BASE_URL" if vertex else "GOOGLE_GEMINI_BASE_URL"
    usual = _VERTEX_BASES.get(_value(environ, "GOOGLE_CLOUD_LOCATION"), _VERTEX_BASE) if vertex else _GEMINI_BASE
    return _value(environ, name) or usual, name


def _address(base: str, name: str) -> SplitResult:
    address = _split(base, name)
    if address.username is not None or address.query or address.fragment or not base.isprintable():
        raise InputError(f"{name}: a base URL has no user, query or fragment")
    if not base.isascii() or " " in base:
        raise InputError(f"{name}: {base!r} has characters that must be escaped")
    if address.scheme == "http" and not is_loopback(address.hostname or ""):
        raise AuthError(f"{name}: http would send the key in the open to {address.hostname}; use https")
    return address


def is_loopback(host: str) -> bool:
    """Whether a host name means this machine without asking anybody."""
    numbers = host.split(".")
    four = len(numbers) == 4 and numbers[0] == "127" and all(each.isdecimal() and each.isascii() for each in numbers)
    return four or host.lower() in ("localhost", "::1")


def _split(url: str, name: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise InputError(f"{name}: not a URL ({exc})") from exc
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise InputError(f"{name}: not an http or https URL")
    return parts


def _version(environ: Mapping[str, str], usual: str) -> str:
    version = _value(environ, "GOOGLE_GENAI_API_VERSION")
    if version and not re.fullmatch(_VERSION, version):
        raise InputError(f"GOOGLE_GENAI_API_VERSION: {version[:40]!r} is no API version")
    return version or usual


def _proxy(environ: Mapping[str, str], address: SplitResult) -> Secret | None:
    """Return the proxy for a request to `address`: nothing for this machine and for what NO_PROXY lists."""
    host = address.hostname or ""
    name, url = next(
        ((n, v) for n in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy") if (v := _value(environ, n))),
        ("", ""),
    )
    excepted = _value(environ, "NO_PROXY") or _value(environ, "no_proxy")
    if not url or is_loopback(host) or any(_covers(entry, host) for entry in excepted.split(",")):
        return None
    _split(url, name)
    return Secret(url)


def _covers(entry: str, host: str) -> bool:
    wanted = entry.strip().lower().removeprefix("*").removeprefix(".")
    return entry.strip() == "*" or (bool(wanted) and (host == wanted or host.endswith("." + wanted)))


def _printable(value: str, what: str) -> str:
    if not value.isprintable() or any(ord(character) > 255 for character in value):
        raise InputError(f"{what} holds characters that no HTTP header can carry")
    return value
