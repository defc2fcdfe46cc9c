"""Reads openclaw.json and everything that belongs to it, and returns one value. Writes nothing.

A file that is wrong is no exception: what is wrong is in `issues`, and then there are no settings. So a gateway that
runs goes on with its old ones, and one that starts can say everything at once (exit 78).
"""

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from runtime.config.environment import parse_env
from runtime.config.openclaw import source
from runtime.config.openclaw.building import settings
from runtime.config.openclaw.defaults import migrated, with_defaults, with_roster
from runtime.config.openclaw.issues import Issue
from runtime.config.openclaw.model import Settings
from runtime.config.openclaw.paths import Flags, Places, places
from runtime.config.openclaw.redact import redacted_text, secrets
from runtime.config.openclaw.rules import conflicts, normal_id
from runtime.config.openclaw.shape import faults
from runtime.config.openclaw.source import Place, Unreadable
from runtime.config.settings import at
from runtime.config.shape import called
from runtime.vocab import JsonObject

DOTENV: Final = ".env"
PREFIX: Final = "hmac-sha256:v1:"
_FILE: Final = b"twinstep.config.file"
_CONTENT: Final = b"twinstep.config.content"

Read = Callable[[Path], str | None]


@frozen(kw_only=True)
class Origin:
    """What settings are read from, so that they can be read again in the same way."""

    environ: Mapping[str, str] = field(repr=False)
    places: Places
    flags: Flags = field(factory=Flags)
    key: bytes = field(default=b"", repr=False)
    read: Read = source.read


@frozen(kw_only=True)
class Loaded:
    """A settings file as it was found.

    `parsed` is what the file says, `resolved` has files and variables put in, `runtime` the defaults besides. All three
    hold secrets. `config` is None where there are issues. `agents` are the ids that the file itself names.
    """

    origin: Origin
    exists: bool
    raw: str | None = field(repr=False)
    parsed: Any = field(repr=False)
    resolved: JsonObject = field(factory=dict, repr=False)
    runtime: JsonObject = field(factory=dict, repr=False)
    config: Settings | None = None
    hash: str
    revision: str | None = None
    issues: tuple[Issue, ...] = ()
    warnings: tuple[Issue, ...] = ()
    included: tuple[Path, ...] = ()
    agents: frozenset[str] = frozenset()

    @property
    def path(self) -> Path:
        """The file."""
        return self.origin.places.config

    @property
    def valid(self) -> bool:
        """Whether the settings can be used."""
        return not self.issues

    @cached_property
    def shown(self) -> str | None:
        """The text without its secrets; None where it is wrong or cannot be shown. Kept, since JSON5 reads slowly."""
        if not self.valid or self.raw is None:
            return None
        return redacted_text(self.raw, self.parsed, secrets(self.parsed, self.resolved))


def load(
    environ: Mapping[str, str],
    cwd: Path | str,
    flags: Flags | None = None,
    *,
    key: bytes = b"",
    read: Read = source.read,
) -> Loaded:
    """Read the settings that the environment points to. `key` is the secret under which hashes are made.

    Raises InputError for a profile without a usable name. Anything else that is wrong is in `issues`.
    """
    flags = flags or Flags()
    return again(Origin(environ=environ, places=places(environ, cwd, flags), flags=flags, key=key, read=read))


def again(origin: Origin) -> Loaded:
    """Read the same settings once more."""
    try:
        return interpreted(origin, origin.read(origin.places.config))
    except Unreadable as exc:
        return _broken(origin, None, Issue(exc.path, str(exc)), exists=True)


def interpreted(origin: Origin, text: str | None) -> Loaded:
    """Return what a text would mean in the place of the settings file. None: there is no file."""
    try:
        parsed: Any = {} if text is None else source.parse(text)
    except Unreadable as exc:
        return _broken(origin, text, Issue(exc.path, f"the file cannot be read: {exc}"))
    place = Place(origin.places.config, origin.places.include_roots)
    try:
        whole = source.included(parsed, place, origin.read)
        if not isinstance(whole.tree, dict):
            return _broken(origin, text, Issue("", f"must be an object, not {called(whole.tree)}"), parsed)
        environ = _environment(origin, whole.tree)
    except Unreadable as exc:
        return _broken(origin, text, Issue(exc.path, str(exc)), parsed)
    tree, missing = source.substituted(whole.tree, environ)
    moved, warnings = migrated(tree)
    issues = faults(moved) or conflicts(moved)
    resolved = {} if issues else with_roster(moved)
    return Loaded(
        origin=origin,
        exists=text is not None,
        raw=text,
        parsed=parsed,
        resolved=resolved,
        runtime=with_defaults(resolved) if not issues else {},
        config=None if issues else settings(resolved, environ, origin.places, origin.flags),
        hash=fingerprint(origin.key, _FILE, text),
        revision=None if issues else fingerprint(origin.key, _CONTENT, _canonical(resolved)),
        issues=issues,
        warnings=(*missing, *warnings),
        included=whole.files,
        agents=frozenset() if issues else frozenset(map(normal_id, at(moved, "agents.entries", {}))),
    )


def _environment(origin: Origin, tree: JsonObject) -> dict[str, str]:
    """The environment with `<state>/.env` and `env.vars`. Raises Unreadable for a .env file that cannot be read."""
    text = origin.read(origin.places.state / DOTENV)
    return source.variables(tree, origin.environ, parse_env(text or ""))


def _broken(
    origin: Origin, text: str | None, issue: Issue, parsed: Any = None, *, exists: bool | None = None
) -> Loaded:
    return Loaded(
        origin=origin,
        exists=text is not None if exists is None else exists,
        raw=text,
        parsed=parsed,
        hash=fingerprint(origin.key, _FILE, text),
        issues=(issue,),
    )


def fingerprint(key: bytes, kind: bytes, text: str | None) -> str:
    """Return the hash of a text, in the form that the peer's has. None: there is no file.

    It is keyed, because whoever may read the hash may not read the secrets in the text, and must not be able to try
    them out either.
    """
    content = b"missing" if text is None else b"present\0" + text.encode("utf-8", "surrogatepass")
    made = hmac.digest(key, kind + b"\0" + content, "sha256")
    return PREFIX + urlsafe_b64encode(made).decode().rstrip("=")


def _canonical(tree: JsonObject) -> str:
    return json.dumps(tree, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
