"""Which keys of JSON hold what must not be shown, and objects in one line without it. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from runtime.vocab import nested_within

SECRET_KEYS: Final = frozenset(
    """access_key access_token api_key auth_token authorization bearer bot_token client_secret cookie credential
    credentials id_token passphrase passwd password private_key proxy-authorization refresh_token secret
    secret_access_key secret_key session_token set-cookie token x-api-key x-auth-token x-goog-api-key""".split()
)
"""Keys of JSON objects whose values are never shown. `api_key` stands for `apiKey`, `API-Key` and `apikey` as well."""
_MARKS: Final = str.maketrans("", "", "_-")
SECRET_NAMES: Final = frozenset(key.translate(_MARKS) for key in SECRET_KEYS)
"""The same in lower case and without `_` and `-`."""
HIDDEN: Final = "***"
"""What stands in a line in the place of a secret value."""


def is_secret(key: object) -> bool:
    """Whether the value of this key of a JSON object must not be shown, however the key is spelled."""
    return isinstance(key, str) and key.lower().translate(_MARKS) in SECRET_NAMES


def brief(values: Mapping[str, Any], most: int) -> str:
    """Return an object as `name=value, …` on one line of `most` characters at most; secret values as HIDDEN."""
    if not nested_within(values):
        return f"{len(values)} values"
    line = " ".join(", ".join(f"{name}={_brief(name, value, most)}" for name, value in values.items()).split())
    line = "".join(sign if sign.isprintable() else "\ufffd" for sign in line[: most + 1])
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _brief(name: str, value: Any, most: int) -> str:
    if is_secret(name):
        return HIDDEN
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_brief(key, inner, most)}" for key, inner in value.items())[:most] + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_brief("", inner, most) for inner in value[:most])[:most] + "]"
    return str(value)[: most + 1]
