"""What a .env file adds to the environment: `GEMINI_*` and `GOOGLE_*`, never over what is set, never from an
untrusted folder. Changes no environment; the result is a new mapping.
"""

import os
import re
import stat
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from runtime.config.files import inside, read_text, tilde
from runtime.config.settings import at
from runtime.config.values import Trust
from runtime.vocab import JsonObject

PREFIXES: Final = ("GEMINI_", "GOOGLE_")
BASES: Final = (("GOOGLE_GEMINI_BASE_URL", "GEMINI_API_KEY"), ("GOOGLE_VERTEX_BASE_URL", "GOOGLE_API_KEY"))
"""Addresses, and the keys that are sent to them."""

NEVER: Final = frozenset(
    {
        "GEMINI_CLI_HOME",
        "GEMINI_CLI_IDE_SERVER_STDIO_ARGS",
        "GEMINI_CLI_IDE_SERVER_STDIO_COMMAND",
        "GEMINI_CLI_SYSTEM_DEFAULTS_PATH",
        "GEMINI_CLI_SYSTEM_SETTINGS_PATH",
        "GEMINI_CLI_TRUSTED_FOLDERS_PATH",
        "GEMINI_CLI_TRUST_WORKSPACE",
        "GEMINI_RESTRICTED_MODE",
    }
)
"""Decided before a .env file is read, or the business of other programs."""

_ENTRY: Final = (
    r"""(?ams)^[ \t]*(?:export[ \t]+)?([\w.-]+)(?:[ \t]*=|:[ \t])"""
    r"""[ \t]*('[^']*'|"(?:\\.|[^"\\])*"|`[^`]*`|[^#\r\n]*)"""
)


def with_env_file(
    environ: Mapping[str, str], settings: JsonObject, workspace: Path, home: Path, trust: Trust
) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Return the environment with what the first .env file adds, and warnings about what was passed over."""
    path = env_file(workspace, home, local=not at(settings, "advanced.ignoreLocalEnv")) if trust.trusted else None
    if path is None:
        return MappingProxyType(dict(environ)), ()
    try:
        found = parse_env(read_text(path) or "")
    except OSError as exc:
        return MappingProxyType(dict(environ)), (f"{tilde(path, home)}: passed over: {exc.strerror}",)
    refused = {*NEVER, *at(settings, "advanced.excludedEnvVars", ())}
    taken = {key: found[key] for key in found if key.startswith(PREFIXES) and key not in refused}
    strays = _strays(taken, environ) if trust.by == "flag" and not inside(path, str(home / ".gemini")) else ()
    warnings = (f"{tilde(path, home)}: {name} passed over: only --skip-trust trusts this folder" for name in strays)
    kept = {key: value for key, value in taken.items() if key not in strays}
    return MappingProxyType({**kept, **environ}), tuple(warnings)


def _strays(taken: Mapping[str, str], environ: Mapping[str, str]) -> tuple[str, ...]:
    """The addresses to which a key would go that is not the file's own.

    A folder that is trusted for one run only must not choose where the person's key is sent.
    """
    return tuple(base for base, key in BASES if base in taken and (key in environ or not taken.get(key)))


def env_file(workspace: Path, home: Path, *, local: bool = True, owners: Collection[int] | None = None) -> str | None:
    """Find the file as the peer does: in each folder upwards `.gemini/.env`, then `.env`; then in the home folder.

    Without `local`, a plain `.env` counts in the home folder only. Outside of the workspace a file counts that belongs
    to one of `owners` (user ids; default: this user and root), because such a folder may be everybody's.
    """
    mine = (0, os.getuid()) if owners is None else owners
    for folder in (workspace, *workspace.parents, home):
        for name in (".gemini/.env", ".env"):
            path = os.path.join(folder, name)
            if (local or name != ".env" or folder == home) and _usable(path, None if folder == workspace else mine):
                return path
    return None


def _usable(path: str, owners: Collection[int] | None) -> bool:
    try:
        status = os.stat(path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and (owners is None or status.st_uid in owners)


def parse_env(text: str) -> dict[str, str]:
    """Read the lines of a .env file: `NAME=value` or `NAME: value`, with `export`, quotes and `#` comments."""
    found = {}
    for name, value in re.findall(_ENTRY, text.replace("\r\n", "\n")):
        value = value.strip()
        mark = value[:1]
        if len(value) > 1 and mark in ("'", '"', "`") and value.endswith(mark):
            value = value[1:-1]
            value = value.replace("\\n", "\n").replace("\\r", "\r") if mark == '"' else value
        found[name] = value
    return found
