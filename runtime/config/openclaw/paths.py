"""Where the settings and the state are, and what the environment says besides (CONTRACT section 11). Opens no file.

The variables are the peer's, so that one environment starts either server. A relative path counts from `cwd`.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from attrs import field, frozen

from runtime.errors import InputError

FILE: Final = "openclaw.json"
FOLDER: Final = ".openclaw"
PORT: Final = 18789
HANDSHAKE_SECONDS: Final = 15.0
LEVELS: Final = ("silent", "fatal", "error", "warn", "info", "debug", "trace")

_PROFILE: Final = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_LARGEST_PORT: Final = 65535


@frozen(kw_only=True)
class Flags:
    """What a command line says; None is what it did not say."""

    port: int | None = None
    bind: str | None = None
    auth: str | None = None
    token: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    profile: str | None = None
    config: str | None = None


@frozen(kw_only=True)
class Places:
    """Folders, files and switches of one environment. Secrets are not shown."""

    home: Path
    state: Path
    config: Path
    workspace: Path
    profile: str = ""
    include_roots: tuple[Path, ...] = ()
    port: int | None = None
    token: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    gateway_url: str | None = field(default=None, repr=False)
    skip_channels: bool = False
    skip_cron: bool = False
    handshake_seconds: float | None = None
    log_level: str | None = None
    no_respawn: bool = False
    many_gateways: bool = False
    read_only: bool = False
    no_bonjour: bool = False
    no_update: bool = False
    insecure_private_ws: bool = False


def places(environ: Mapping[str, str], cwd: Path | str, flags: Flags | None = None) -> Places:
    """Read the variables. Raises InputError where a profile has no usable name."""
    flags = flags or Flags()
    at = _Reader(environ, Path(cwd))
    profile = _profile(flags.profile, "--profile") if flags.profile else _profile(at.get("PROFILE"), "OPENCLAW_PROFILE")
    own = at.home / (f"{FOLDER}-{profile}" if profile else FOLDER)
    # As there: only the flag moves the state; the variable alone moves the workspace and the port.
    state = at.path("STATE_DIR") or (own if flags.profile else at.home / FOLDER)
    named = at.resolved(flags.config) if flags.config else at.path("CONFIG_PATH")
    return Places(
        home=at.home,
        state=state,
        config=named or state / FILE,
        workspace=at.path("WORKSPACE_DIR") or (state if at.get("STATE_DIR") else own) / "workspace",
        profile=profile,
        include_roots=tuple(at.resolved(each) for each in at.get("INCLUDE_ROOTS").split(os.pathsep) if each.strip()),
        port=_port(at.get("GATEWAY_PORT")),
        token=at.get("GATEWAY_TOKEN") or None,
        password=at.get("GATEWAY_PASSWORD") or None,
        gateway_url=at.get("GATEWAY_URL") or None,
        skip_channels=at.true("SKIP_CHANNELS") or at.true("SKIP_PROVIDERS"),
        skip_cron=at.get("SKIP_CRON") == "1",
        handshake_seconds=_seconds(at.get("HANDSHAKE_TIMEOUT_MS")),
        log_level=level if (level := at.get("LOG_LEVEL").lower()) in LEVELS else None,
        no_respawn=at.true("NO_RESPAWN"),
        many_gateways=at.get("ALLOW_MULTI_GATEWAY") == "1",
        read_only=at.get("CONFIG_READONLY") == "1",
        no_bonjour=at.true("DISABLE_BONJOUR"),
        no_update=at.true("NO_AUTO_UPDATE"),
        insecure_private_ws=at.get("ALLOW_INSECURE_PRIVATE_WS") == "1",
    )


def gateway_port(places: Places, flags: Flags, configured: int | None) -> int:
    """Choose the port: flag, OPENCLAW_GATEWAY_PORT, `gateway.port`, one made from the profile's name, 18789."""
    for port in (flags.port, places.port, configured):
        if port:
            return port
    return _port_of(places.profile) if places.profile else PORT


def resolved(text: str, home: Path, cwd: Path) -> Path:
    """Return a path as a person meant it: `~` is the home, what is relative counts from `cwd`."""
    text = text.strip()
    if text == "~" or text.startswith("~/"):
        return Path(os.path.normpath(home / text[2:]))
    return Path(os.path.normpath(cwd / text))


@frozen
class _Reader:
    """One environment, and the folder from which relative paths count."""

    environ: Mapping[str, str]
    cwd: Path

    def get(self, name: str) -> str:
        return self.environ.get(f"OPENCLAW_{name}", "").strip()

    def true(self, name: str) -> bool:
        return self.get(name).lower() in _TRUE

    def path(self, name: str) -> Path | None:
        return self.resolved(text) if (text := self.get(name)) else None

    def resolved(self, text: str) -> Path:
        return resolved(text, self.home, self.cwd)

    @property
    def home(self) -> Path:
        user = resolved(self.environ.get("HOME", "").strip() or ".", self.cwd, self.cwd)
        return resolved(named, user, self.cwd) if (named := self.get("HOME")) else user


def _profile(name: str, source: str) -> str:
    """Return the name of a profile, or nothing for the profile `default`."""
    name = name.strip()
    if not name or name.lower() == "default":
        return ""
    if not re.fullmatch(_PROFILE, name):
        raise InputError(f"{source}: a profile is named with letters, digits, _ and -, at most 64 of them")
    return name


def _port(text: str) -> int | None:
    """Read `18789`, `host:18789` or `[::1]:18789`; None for anything else, which then does not count."""
    found = re.fullmatch(r"(?:\[[^\]]+\]:|[^:]+:)?(\d{1,5})", text, re.ASCII)
    port = int(found[1]) if found else 0
    return port if 0 < port <= _LARGEST_PORT else None


def _port_of(profile: str) -> int:
    """Give each profile a port of its own between 20000 and 59999: FNV-1a of its name, as there."""
    number = 2166136261
    for byte in profile.encode():
        number = (number ^ byte) * 16777619 & 0xFFFFFFFF
    return 20000 + number % 40000


def _seconds(text: str) -> float | None:
    return int(text) / 1000 if re.fullmatch(r"\d{1,9}", text, re.ASCII) and int(text) > 0 else None
