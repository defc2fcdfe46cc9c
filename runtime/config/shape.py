"""What the settings that we use must be. Reads no files; keys that nobody here knows pass as they are."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from runtime.errors import SettingsError
from runtime.vocab import JsonObject

OUTPUTS: Final = ("text", "json", "stream-json")
LARGEST_NUMBER: Final = 10**15

_NUMBER: Final = r"-?[0-9]{1,15}(\.[0-9]{1,15})?"


class Wrong(Exception):
    """A value is not what it must be. `exact` asks to show the value, which is no secret then."""

    def __init__(self, expected: str, *, exact: bool = False) -> None:
        super().__init__(expected)
        self.exact = exact


def text(value: Any) -> str:
    """Take a string."""
    if not isinstance(value, str):
        raise Wrong("a string")
    return value


def texts(value: Any) -> list[str]:
    """Take a list of strings."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Wrong("a list of strings")
    return value


def text_or_texts(value: Any) -> str | list[str]:
    """Take a string or a list of strings."""
    try:
        return value if isinstance(value, str) else texts(value)
    except Wrong as exc:
        raise Wrong("a string or a list of strings") from exc


def switch(value: Any) -> bool:
    """Take true or false. Their names are taken too, because `$NAME` in a file can only become a string."""
    if value in ("true", "false"):
        return bool(value == "true")
    if not isinstance(value, bool):
        raise Wrong("true or false")
    return value


def number(value: Any) -> float | int:
    """Take a number, or a string that is one."""
    if isinstance(value, str) and re.fullmatch(_NUMBER, value.strip()):
        value = float(value) if "." in value else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Wrong("a number")
    if abs(value) > LARGEST_NUMBER:
        raise Wrong("a number of at most 15 digits", exact=True)
    return value


def whole(value: Any) -> int:
    """Take a whole number."""
    taken = number(value)
    if taken != int(taken):
        raise Wrong("a whole number", exact=True)
    return int(taken)


def positive(value: Any) -> int:
    """Take a whole number from 1 up."""
    taken = whole(value)
    if taken < 1:
        raise Wrong("at least 1", exact=True)
    return taken


def choice(*names: str) -> Callable[[Any], str]:
    """Make a check that takes one of these strings."""

    def check(value: Any) -> str:
        if value not in names:
            raise Wrong(f"one of {', '.join(names)}", exact=True)
        return str(value)

    return check


SHAPE: Final[Mapping[str, Any]] = {
    "general": {
        "maxAttempts": positive,
        "retryFetchErrors": switch,
        "defaultApprovalMode": choice("default", "auto_edit", "autoEdit", "plan", "yolo"),
    },
    "output": {"format": choice(*OUTPUTS)},
    "model": {"name": text, "maxSessionTurns": whole},
    "context": {
        "fileName": text_or_texts,
        "includeDirectoryTree": switch,
        "memoryBoundaryMarkers": texts,
        "fileFiltering": {
            "respectGitIgnore": switch,
            "respectGeminiIgnore": switch,
            "enableRecursiveFileSearch": switch,
        },
    },
    "tools": {
        "core": texts,
        "exclude": texts,
        "truncateToolOutputThreshold": number,
        "shell": {"inactivityTimeout": number, "enableInteractiveShell": switch, "showColor": switch, "pager": text},
    },
    "security": {
        "disableYoloMode": switch,
        "auth": {"selectedType": text, "enforcedType": text},
        "folderTrust": {"enabled": switch},
        "defender": {"mode": choice("enforce", "audit", "off"), "policy": text, "policyKeys": text_or_texts},
    },
    "advanced": {"excludedEnvVars": texts, "ignoreLocalEnv": switch},
}
"""The keys that we use, and the check that each must pass."""


def fitted(tree: JsonObject, name: str, shape: Mapping[str, Any] = SHAPE, place: str = "") -> dict[str, Any]:
    """Return a copy in which every key that we use has its type; `null` counts as not set.

    Raises SettingsError, for example `~/.gemini/settings.json: tools.core must be a list of strings, not a number`.
    """
    out = dict(tree)
    for key, check in shape.items():
        value = out.get(key)
        if value is None:
            out.pop(key, None)
        elif callable(check):
            out[key] = _checked(check, value, f"{name}: {place}{key}")
        elif isinstance(value, dict):
            out[key] = fitted(value, name, check, f"{place}{key}.")
        else:
            raise SettingsError(f"{name}: {place}{key} must be an object, not {called(value)}")
    return out


def _checked(check: Callable[[Any], Any], value: Any, name: str) -> Any:
    try:
        return check(value)
    except Wrong as exc:
        exact = exc.exact and not isinstance(value, list | dict)
        raise SettingsError(f"{name} must be {exc}, not {json.dumps(value)[:60] if exact else called(value)}") from exc


def called(value: Any) -> str:
    """Return what kind of JSON value this is, without showing it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "a string"
        case int() | float():
            return "a number"
        case list():
            odd = next((item for item in value if not isinstance(item, str)), "")
            return f"a list with {'a list' if isinstance(odd, list) else called(odd)} in it" if odd != "" else "a list"
        case _:
            return "an object"
