"""The configuration as values: frozen, and silent about secrets. Reads nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from runtime.config.settings import at
from runtime.vocab import ApprovalMode, JsonObject

DEFAULT_MODEL: Final = "auto"
MOST_ATTEMPTS: Final = 10
INACTIVITY_SECONDS: Final = 300
OUTPUT_THRESHOLD: Final = 40_000
"""Characters of a tool's output that the model sees, unless `tools.truncateToolOutputThreshold` says otherwise."""


@frozen
class Trust:
    """Whether the workspace is trusted and what says so: `environment`, `off`, `file`, `flag`, or `nothing`.

    `off` means that `security.folderTrust.enabled` is false. Settings of the project count unless `flag` says it.
    """

    trusted: bool
    by: str

    @property
    def project(self) -> bool:
        """Whether settings of the project count. A flag is meant for one run and does not hand it the settings."""
        return self.trusted and self.by != "flag"


@frozen(kw_only=True)
class Config:
    """What a run is set to. `settings` are the merged files; keys that nobody here knows are left as they are.

    `environ` is the environment with what a .env file adds. Both may hold secrets and are never shown. `warnings` are
    sentences for the person, about things that were passed over.
    """

    workspace: Path
    home: Path
    trust: Trust
    environ: Mapping[str, str] = field(repr=False)
    settings: JsonObject = field(repr=False)
    model: str = DEFAULT_MODEL
    mode: ApprovalMode = ApprovalMode.DEFAULT
    output: str = "text"
    warnings: tuple[str, ...] = ()

    def setting(self, key: str, default: Any = None) -> Any:
        """Return a setting by its dotted key, or the default where no file has it."""
        return at(self.settings, key, default)

    @property
    def gemini(self) -> Path:
        """The person's folder `~/.gemini`."""
        return self.home / ".gemini"

    @property
    def state(self) -> Path:
        """The folder of our journals: `$XDG_STATE_HOME/twinstep`; by the XDG rules a relative value does not count."""
        base = self.environ.get("XDG_STATE_HOME", "")
        return (Path(base) if base.startswith("/") else self.home / ".local" / "state") / "twinstep"

    @property
    def selected_auth(self) -> str | None:
        """The setting `security.auth.selectedType`."""
        return self.setting("security.auth.selectedType") or None

    @property
    def max_turns(self) -> int:
        """Turns that a prompt may take; -1 means any number."""
        return max(-1, int(self.setting("model.maxSessionTurns", -1)))

    @property
    def max_attempts(self) -> int:
        """Tries of one model request, at most 10."""
        return min(MOST_ATTEMPTS, int(self.setting("general.maxAttempts", MOST_ATTEMPTS)))

    @property
    def retry_fetch_errors(self) -> bool:
        """Whether a request that never reached the server is tried again."""
        return bool(self.setting("general.retryFetchErrors", True))

    @property
    def core_tools(self) -> tuple[str, ...] | None:
        """Entries of `tools.core`, or None where there is no such list."""
        core = self.setting("tools.core")
        return None if core is None else tuple(core)

    @property
    def excluded_tools(self) -> tuple[str, ...]:
        """Entries of `tools.exclude`."""
        return tuple(self.setting("tools.exclude", ()))

    @property
    def shell(self) -> JsonObject:
        """Settings `tools.shell.*`; `inactivityTimeout` is in seconds."""
        return {"inactivityTimeout": INACTIVITY_SECONDS, **self.setting("tools.shell", {})}

    @property
    def output_threshold(self) -> int:
        """Characters of a tool's output that the model sees; 0 or less means all."""
        return int(self.setting("tools.truncateToolOutputThreshold", OUTPUT_THRESHOLD))

    @property
    def context_names(self) -> tuple[str, ...]:
        """Names of memory files (`context.fileName`)."""
        names = self.setting("context.fileName") or "GEMINI.md"
        return (names,) if isinstance(names, str) else tuple(names)

    @property
    def boundary_markers(self) -> tuple[str, ...]:
        """Names whose presence marks the root of a project, where the search for memory files ends."""
        return tuple(self.setting("context.memoryBoundaryMarkers", (".git",)))
