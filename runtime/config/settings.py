"""Settings files: JSON with comments and variables, and how several of them come together. Checks no types.

As in Gemini CLI 0.61: `//` and `/* */` are comments, a comma too many is an error, `$NAME`, `${NAME}` and
`${NAME:-default}` inside strings are replaced where the variable is known.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

from runtime.config.files import read_text, tilde
from runtime.config.shape import called
from runtime.errors import SettingsError
from runtime.vocab import JsonObject

# Patterns are compiled when they are needed, which is seldom.
_COMMENT: Final = r'(?s)"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?(?:\*/|\Z)'
_VARIABLE: Final = r"(?a)\$(?:(\w+)|\{([^}]+)\})"

# Objects are merged in depth and lists are replaced, but for these.
_UNITED: Final = frozenset(
    {
        "tools.exclude",
        "advanced.excludedEnvVars",
        "context.fileFiltering.customIgnoreFilePaths",
        "policyPaths",
        "adminPolicyPaths",
        "extensions.disabled",
        "skills.disabled",
        "hooksConfig.disabled",
    }
)
_JOINED: Final = r"context\.includeDirectories|hooks\.[^.]+"
_SHALLOW: Final = frozenset({"mcpServers"})


def read_settings(path: Path, environ: Mapping[str, str], home: Path) -> dict[str, Any] | None:
    """Return the object in a settings file with the variables put in, or None where there is no file.

    Raises SettingsError with the file and, where there is one, line and column.
    """
    found = read_object(path, home)
    return None if found is None else {key: expanded(value, environ) for key, value in found.items()}


def read_object(path: Path, home: Path) -> dict[str, Any] | None:
    """Return the object that a JSON file with comments holds, or None where there is no file. Raises SettingsError."""
    name = tilde(path, home)
    try:
        text = read_text(path)
    except OSError as exc:
        raise SettingsError(f"{name}: cannot be read: {exc.strerror}") from exc
    if text is None:
        return None
    try:
        found = json.loads(without_comments(text), parse_constant=_no_constant)
    except json.JSONDecodeError as exc:
        raise SettingsError(f"{name}: not valid JSON at line {exc.lineno}, column {exc.colno}: {exc.msg}") from exc
    except ValueError as exc:
        raise SettingsError(f"{name}: not valid JSON: {exc}") from exc
    except RecursionError as exc:
        raise SettingsError(f"{name}: nested too deeply") from exc
    if not isinstance(found, dict):
        raise SettingsError(f"{name}: must hold a JSON object, not {called(found)}")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def without_comments(text: str) -> str:
    """Blank out comments, so that lines and columns stay what they are."""
    if "/" not in text:
        return text
    return re.sub(_COMMENT, lambda m: m[0] if m[0][0] == '"' else re.sub(r"[^\n]", " ", m[0]), text)


def expanded(value: Any, environ: Mapping[str, str]) -> Any:
    """Put variables into every string of a JSON value. An unknown name without a default stays as it is."""
    if isinstance(value, str):
        return _with_variables(value, environ) if "$" in value else value
    if isinstance(value, list):
        return [expanded(item, environ) for item in value]
    if isinstance(value, dict):
        return {key: expanded(item, environ) for key, item in value.items()}
    return value


def _with_variables(text: str, environ: Mapping[str, str]) -> str:
    # Behind the last brace none can close, so none is looked for there: the time stays linear.
    end = text.rfind("}") + 1
    return re.sub(_VARIABLE, lambda m: _variable(m, environ), text[:end]) + _names_only(text[end:], environ)


def _names_only(text: str, environ: Mapping[str, str]) -> str:
    return re.sub(r"(?a)\$(\w+)", lambda m: environ.get(m[1], m[0]), text)


def _variable(match: re.Match[str], environ: Mapping[str, str]) -> str:
    name = match[1] or match[2]
    divide = -1 if match[1] else name.find(":-", 1)
    if divide < 0:
        return environ.get(name, match[0])
    return environ.get(name[:divide], name[divide + 2 :])


def merged(*trees: JsonObject) -> dict[str, Any]:
    """Return settings in which later trees win. The result shares no object or list with them that it changes."""
    out: dict[str, Any] = {}
    for tree in trees:
        _merge(out, tree, "")
    return out


def _merge(target: dict[str, Any], source: JsonObject, place: str) -> None:
    for key, value in source.items():
        here, old = f"{place}{key}", target.get(key)
        if isinstance(old, list) and (here in _UNITED or re.fullmatch(_JOINED, here)):
            more = value if isinstance(value, list) else [value]
            target[key] = [*old, *(item for item in more if here not in _UNITED or item not in old)]
        elif here in _SHALLOW and isinstance(old, dict) and isinstance(value, Mapping):
            target[key] = {**old, **value}
        elif isinstance(value, Mapping):
            target[key] = old if isinstance(old, dict) else {}
            _merge(target[key], value, f"{here}.")
        else:
            target[key] = value


def at(settings: JsonObject, key: str, default: Any = None) -> Any:
    """Return a setting by its dotted key, or the default where it is not set."""
    found: Any = settings
    for name in key.split("."):
        if not isinstance(found, Mapping) or name not in found:
            return default
        found = found[name]
    return found
