"""What the look-ups may do: the key, the quota, the deadlines. Reads no environment: it comes as an argument.

The key comes from the environment (`TWINSTEP_VIRUSTOTAL_KEY`, then `VT_API_KEY`) or from `apiKey` of the settings
`defender.intel.virustotal`. Without one nothing is looked up.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import field, frozen

from runtime.errors import SettingsError

PLACE: Final = "defender.intel.virustotal"
KEYS: Final = ("TWINSTEP_VIRUSTOTAL_KEY", "VT_API_KEY")
BASE: Final = "https://www.virustotal.com/api/v3"
LONGEST_KEY: Final = 512
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


@frozen(kw_only=True)
class Options:
    """How look-ups are made. The quota is that of VirusTotal's public key (DEFENDER section 5).

    `seconds` is the deadline of a whole look-up. `identify` says how a URL is named: `id` is the URL in base64, `hash`
    its SHA-256, by which nobody learns the URL but many known ones are not found.
    """

    key: str = field(default="", repr=False)
    per_minute: int = 4
    per_day: int = 500
    seconds: float = 1.5
    concurrent: int = 8
    entries: int = 4096
    identify: str = "id"
    base: str = BASE

    @property
    def secure(self) -> bool:
        """Whether the key travels over TLS."""
        return self.base.startswith("https:")


_NUMBERS: Final[Mapping[str, tuple[str, float, float]]] = {
    "perMinute": ("per_minute", 1, 100_000),
    "perDay": ("per_day", 1, 100_000_000),
    "deadlineMs": ("seconds", 100, 1_500),
    "concurrent": ("concurrent", 1, 64),
    "entries": ("entries", 1, 100_000),
}
"""Settings that are numbers: their member, and what they may be."""


def options_of(environ: Mapping[str, str], given: Any = None) -> Options | None:
    """Return the options that environment and settings (an object, or None) make; None where there is no key, or
    `enabled` is false. Raises SettingsError with the path of what is wrong; it never shows the key."""
    given = {} if given is None else given
    if not isinstance(given, Mapping):
        raise _wrong("", "must be an object")
    known = {"enabled", "apiKey", "identify", "baseUrl", *_NUMBERS}
    for name in given:
        if name not in known:
            raise _wrong(str(name), f"is not known; there are {', '.join(sorted(known))}")
    enabled = given.get("enabled", True)
    if not isinstance(enabled, bool):
        raise _wrong("enabled", "must be true or false")
    key = _key(environ, given)
    identify = given.get("identify", "id")
    if identify not in ("id", "hash"):
        raise _wrong("identify", 'must be "id" or "hash"')
    numbers = {member: _number(given, name) for name, (member, *_) in _NUMBERS.items() if name in given}
    made = Options(key=key, identify=identify, base=_base(given.get("baseUrl", BASE)), **numbers)
    return made if enabled and key else None


def _key(environ: Mapping[str, str], given: Mapping[str, Any]) -> str:
    for name in KEYS:
        if found := environ.get(name, "").strip():
            return _checked(found, name)
    found = given.get("apiKey", "")
    if not isinstance(found, str):
        raise _wrong("apiKey", "must be text")
    return _checked(found.strip(), f"{PLACE}.apiKey")


def _checked(key: str, where: str) -> str:
    if len(key) > LONGEST_KEY or not key.isascii() or not key.isprintable() or " " in key:
        raise SettingsError(f"{where}: is no key: it must be one word of ASCII and {LONGEST_KEY} characters at most")
    return key


def _number(given: Mapping[str, Any], name: str) -> Any:
    member, least, most = _NUMBERS[name]
    value = given[name]
    if type(value) is not int or not least <= value <= most:
        raise _wrong(name, f"must be a whole number from {least:g} to {most:g}")
    return value / 1000 if member == "seconds" else value


def _base(value: Any) -> str:
    """Return the address of the interface. A key in the open would be anybody's: plain HTTP only on this machine."""
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except (ValueError, AttributeError, TypeError) as exc:
        raise _wrong("baseUrl", "is no address") from exc
    plain = isinstance(value, str) and value.isascii() and value.isprintable() and " " not in value
    if not plain or parts.scheme not in ("http", "https") or not host or port == 0:
        raise _wrong("baseUrl", "must be an http or https address")
    if parts.username is not None or parts.query or parts.fragment:
        raise _wrong("baseUrl", "has no user, query or fragment")
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise _wrong("baseUrl", "would send the key in the open; use https")
    return str(value).rstrip("/")


def _wrong(name: str, what: str) -> SettingsError:
    return SettingsError(f"{PLACE}{'.' if name else ''}{name}: {what}")
