"""Whether a folder is trusted (AGENT_LOOP section 11). Reads the file of trusted folders, asks nobody.

As in Gemini CLI 0.61: the environment decides first, then the setting that turns trust off, then the file. A project's
own settings have no say.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from runtime.config.files import inside, tilde
from runtime.config.settings import at, read_object
from runtime.config.values import Config, Trust
from runtime.errors import SettingsError, UntrustedWorkspace
from runtime.vocab import JsonObject

FILE: Final = "trustedFolders.json"
LEVELS: Final = ("TRUST_FOLDER", "TRUST_PARENT", "DO_NOT_TRUST")


def trust(environ: Mapping[str, str], settings: JsonObject, workspace: Path, home: Path, *, skip: bool) -> Trust:
    """Decide about the workspace. `settings` are those of the person and the system; `skip` is the flag --skip-trust.

    Raises SettingsError where the file of trusted folders cannot be understood.
    """
    said = environ.get("GEMINI_CLI_TRUST_WORKSPACE")
    if environ.get("GEMINI_RESTRICTED_MODE") == "true":
        return Trust(False, "environment")
    if said == "true":
        return Trust(True, "environment")
    if skip and said == "false":
        return Trust(True, "flag")
    if said == "false":
        return Trust(False, "environment")
    if at(settings, "security.folderTrust.enabled") is False:
        return Trust(True, "off")
    by_file = _by_file(environ, workspace, home)
    if skip and not by_file:
        return Trust(True, "flag")
    return Trust(False, "nothing") if by_file is None else Trust(by_file, "file")


def _by_file(environ: Mapping[str, str], workspace: Path, home: Path) -> bool | None:
    """Ask the file: of the rules that cover the workspace the longest decides. None where no rule covers it."""
    named = environ.get("GEMINI_CLI_TRUSTED_FOLDERS_PATH")
    path = workspace / named if named else home / ".gemini" / FILE
    longest, decision = "", None
    for folder, level in (read_object(path, home) or {}).items():
        if level not in LEVELS:
            raise SettingsError(f"{tilde(path, home)}: the level of {folder} must be one of {', '.join(LEVELS)}")
        covered = os.path.realpath(os.path.dirname(folder) if level == "TRUST_PARENT" else folder)
        if len(folder) > len(longest) and inside(str(workspace), covered):
            longest, decision = folder, level != "DO_NOT_TRUST"
    return decision


def require_trust(config: Config) -> None:
    """Raise UntrustedWorkspace where a headless run must not start."""
    if not config.trust.trusted:
        raise UntrustedWorkspace(
            f"the folder {config.workspace} is not trusted: use --skip-trust, set GEMINI_CLI_TRUST_WORKSPACE=true, or "
            f"add it to {tilde(config.gemini / FILE, config.home)}"
        )
