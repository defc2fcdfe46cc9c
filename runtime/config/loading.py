"""Puts the configuration together, in the order in which the parts need each other. Decides nothing about requests.

Order: files of system and person, trust, files of the project (if trusted otherwise than by a flag), .env file, flags.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from runtime.config.environment import with_env_file
from runtime.config.files import system_fault, tilde
from runtime.config.settings import at, merged, read_settings
from runtime.config.shape import fitted
from runtime.config.trust import trust
from runtime.config.values import DEFAULT_MODEL, Config, Trust
from runtime.errors import SettingsError
from runtime.vocab import ApprovalMode, JsonObject

SYSTEM_SETTINGS: Final = "/etc/gemini-cli/settings.json"
SYSTEM_DEFAULTS: Final = "system-defaults.json"


def load(
    environ: Mapping[str, str],
    cwd: Path | str,
    *,
    model: str | None = None,
    mode: ApprovalMode | None = None,
    output: str | None = None,
    skip_trust: bool = False,
    unsafe: Callable[[str], str | None] = system_fault,
) -> Config:
    """Read the files that `environ` and the folder `cwd` point to, and return what a run is set to.

    `model`, `mode`, `output` and `skip_trust` are flags and win over everything. `unsafe` says why a system file must
    not be used. Whether the folder is trusted and a key is there is asked afterwards: `require_trust`, `auth`.

    Raises SettingsError where a file cannot be read or holds a wrong type, or the settings forbid the mode.
    """
    workspace = Path(os.path.realpath(cwd))
    home = _home(environ, workspace)
    warnings: list[str] = []
    system, defaults = (_vetted(p, environ, home, unsafe, warnings) for p in _system_places(environ, workspace))
    user = _fitted(home / ".gemini" / "settings.json", environ, home)
    decided = trust(environ, merged(defaults, user, system), workspace, home, skip=skip_trust)
    project = _without_defender(_project(workspace, environ, home, decided), warnings)
    settings = merged(defaults, user, project, system)
    full, strays = with_env_file(environ, settings, workspace, home, decided)
    chosen = _mode(mode, settings, decided, warnings)
    return Config(
        workspace=workspace,
        home=home,
        trust=decided,
        environ=full,
        settings=MappingProxyType(settings),
        model=_model(model, full, settings),
        mode=chosen,
        output=output or at(settings, "output.format", "text"),
        warnings=(*warnings, *strays),
    )


def _home(environ: Mapping[str, str], cwd: Path) -> Path:
    home = environ.get("GEMINI_CLI_HOME") or environ.get("HOME")
    if not home:
        import pwd

        try:
            home = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError as exc:
            raise SettingsError("there is no home folder: set HOME or GEMINI_CLI_HOME") from exc
    return Path(os.path.normpath(cwd / home))


def _system_places(environ: Mapping[str, str], cwd: Path) -> Iterable[Path]:
    settings = cwd / (environ.get("GEMINI_CLI_SYSTEM_SETTINGS_PATH") or SYSTEM_SETTINGS)
    defaults = environ.get("GEMINI_CLI_SYSTEM_DEFAULTS_PATH")
    return settings, cwd / defaults if defaults else settings.parent / SYSTEM_DEFAULTS


def _fitted(path: Path, environ: Mapping[str, str], home: Path) -> dict[str, Any]:
    return fitted(read_settings(path, environ, home) or {}, tilde(path, home))


def _vetted(
    path: Path, environ: Mapping[str, str], home: Path, unsafe: Callable[[str], str | None], warnings: list[str]
) -> dict[str, Any]:
    """Read a system file, which nobody but the administrator must be able to write."""
    fault = unsafe(str(path)) if os.path.lexists(path) else None
    if fault is None:
        return _fitted(path, environ, home)
    warnings.append(f"{path}: passed over: {fault}")
    return {}


def _project(workspace: Path, environ: Mapping[str, str], home: Path, decided: Trust) -> dict[str, Any]:
    """Read the project's file. That it is no JSON is an error in any folder; what it says counts in trusted ones."""
    if os.path.realpath(home) == str(workspace):
        return {}
    path = workspace / ".gemini" / "settings.json"
    found = read_settings(path, environ, home) or {}
    return fitted(found, tilde(path, home)) if decided.project else {}


def _without_defender(project: dict[str, Any], warnings: list[str]) -> dict[str, Any]:
    """A project does not say how it is judged: that is the person's matter, and the administrator's."""
    security = project.get("security")
    if not isinstance(security, dict) or "defender" not in security:
        return project
    warnings.append(".gemini/settings.json: security.defender: passed over: a project cannot set its defender")
    return {**project, "security": {key: value for key, value in security.items() if key != "defender"}}


def _model(flag: str | None, environ: Mapping[str, str], settings: JsonObject) -> str:
    # What is empty falls through to the next; blanks mean the default, as for the peer.
    name = flag or environ.get("GEMINI_MODEL") or at(settings, "model.name", "")
    return str(name).strip() or DEFAULT_MODEL


def _mode(flag: ApprovalMode | None, settings: JsonObject, decided: Trust, warnings: list[str]) -> ApprovalMode:
    """Decide the approval mode. Settings cannot turn on yolo; an untrusted folder gets no more than the default."""
    named = at(settings, "general.defaultApprovalMode", "default")
    if flag is None and named == "yolo":
        warnings.append("general.defaultApprovalMode: only a flag can turn on yolo; the mode is default")
        named = "default"
    mode = flag or ApprovalMode("auto_edit" if named == "autoEdit" else named)
    if mode is ApprovalMode.YOLO and at(settings, "security.disableYoloMode"):
        raise SettingsError('the setting "security.disableYoloMode" forbids the approval mode yolo')
    if not decided.trusted and mode is not ApprovalMode.DEFAULT:
        warnings.append(f"the folder is not trusted: the approval mode is default, not {mode.value}")
        return ApprovalMode.DEFAULT
    return mode
