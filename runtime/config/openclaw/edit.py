"""Changes to the settings as the methods config.patch, config.set and config.apply ask for them. Writes nothing.

A change is worked out on the resolved tree, checked like a file, and then written back so that what has not changed
stays as it stands in the file. A change that could not be read back as it is meant is refused.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

from attrs import field, frozen

from runtime.config.openclaw import merging, reload
from runtime.config.openclaw.defaults import migrated, with_roster
from runtime.config.openclaw.issues import Issue, Rejected, shown, summary
from runtime.config.openclaw.loading import Loaded, interpreted
from runtime.config.openclaw.redact import restored
from runtime.config.openclaw.shape import unknown
from runtime.config.openclaw.source import INCLUDE, Unreadable, include_paths, parse
from runtime.config.settings import at
from runtime.config.shape import called
from runtime.vocab import JsonObject

STALE: Final = "config changed since last load; re-run config.get and retry"
NO_HASH: Final = "config base hash required; re-run config.get and retry"
FREE: Final = "ui.prefs"
"""What config.patch may change without saying which state it has seen: the last writer wins."""


@frozen(kw_only=True)
class Edited:
    """A change that may be written. `text` is the whole new file; with `noop` it is what stands there already.

    `changed` are the paths whose effect changes (see `reload.classify`); it can be empty though the text is new.
    """

    before: Loaded
    after: Loaded
    text: str = field(repr=False)
    changed: tuple[str, ...]
    noop: bool

    @property
    def kinds(self) -> Mapping[str, tuple[str, ...]]:
        """The changed paths by what they ask for: hot, restart, none."""
        return reload.classify(self.changed)

    @property
    def needs_restart(self) -> bool:
        """Whether the gateway has to start again for the change to take effect."""
        return bool(self.kinds[reload.RESTART])


def patch(loaded: Loaded, raw: str, base_hash: str | None = None, replace_paths: Collection[str] = ()) -> Edited:
    """Merge a JSON5 object into the settings. Raises Rejected, whose text and details are the answer to the peer."""
    given = _seen(loaded, base_hash)
    _writable(loaded)
    if not loaded.valid:
        raise Rejected(f"{summary(loaded.issues)}; fix the file before patching", loaded.issues)
    asked = _parsed(raw)
    if not isinstance(asked, dict):
        raise Rejected("config.patch raw must be an object")
    if not given and not _may_be_free(asked):
        raise Rejected(NO_HASH)
    replace = merging.replace_paths(replace_paths)
    wanted = restored(merging.merged(loaded.resolved, asked, replace), loaded.resolved)
    lost = [path for path in merging.lost(loaded.resolved, asked, wanted) if path not in replace]
    if lost:
        raise Rejected(
            f"the patch would take items away from {', '.join(lost)}: name the list in replacePaths if that is meant, "
            "or use config.apply"
        )
    leaves = reload.leaves(loaded.resolved, wanted)
    guarded = [path for path in leaves if not path.startswith(f"{FREE}.")]
    if not given and guarded:
        raise Rejected(f"config base hash required for {', '.join(guarded)}; re-run config.get and retry with baseHash")
    return _edited(loaded, wanted) if leaves else _same(loaded)


def replace(loaded: Loaded, raw: str, base_hash: str | None = None) -> Edited:
    """Put a whole JSON5 object in the place of the settings (config.set, config.apply). Raises Rejected.

    A value that is only a default is not written: whoever sends back what config.get shows as `config` changes nothing.
    """
    if not _seen(loaded, base_hash) and loaded.exists:
        raise Rejected(NO_HASH)
    _writable(loaded)
    asked = _parsed(raw)
    if isinstance(asked, list):
        issue = Issue("", f"must be an object, not {called(asked)}")
        raise Rejected(summary([issue]), [issue])
    if not isinstance(asked, dict):
        raise Rejected("invalid config")
    whole = restored(asked, loaded.resolved)
    if not loaded.valid:
        return _allowed(loaded, _meant(loaded, whole))
    _meant(loaded, whole)
    moved, _ = migrated(whole)
    wanted = merging.applied(loaded.resolved, merging.difference(loaded.runtime, moved))
    return _edited(loaded, wanted)


def change(loaded: Loaded, wanted: JsonObject, gone: Collection[str] = ()) -> Edited:
    """Put a resolved tree in the place of the settings, as a method like agents.create has worked it out.

    `gone` are agents that are given up by name. Raises Rejected.
    """
    _writable(loaded)
    if not loaded.valid:
        raise Rejected(f"{summary(loaded.issues)}; fix the file first", loaded.issues)
    return _same(loaded) if reload.equal(loaded.resolved, wanted) else _edited(loaded, wanted, gone)


def _seen(loaded: Loaded, base_hash: str | None) -> bool:
    """Whether the peer says which state it has seen. Raises Rejected where that is not the one that is there."""
    given = (base_hash or "").strip()
    if given and loaded.exists and given != loaded.hash:
        raise Rejected(STALE)
    return bool(given)


def _writable(loaded: Loaded) -> None:
    if loaded.origin.places.read_only:
        raise Rejected("the settings are read only: OPENCLAW_CONFIG_READONLY is set")


def _parsed(raw: str) -> Any:
    """Read what a peer sent. As there, it may include no files: else it could have any of ours read to it."""
    try:
        asked = parse(raw)
    except Unreadable as exc:
        raise Rejected(f"{shown(exc.path)}: {exc}" if exc.path else str(exc)) from exc
    issues = [unknown(path, [INCLUDE]) for path in include_paths(asked)]
    if issues:
        raise Rejected(summary(issues), issues)
    return asked


def _may_be_free(asked: JsonObject) -> bool:
    """Whether the way to `ui.prefs` in a patch is one of objects, so that it takes nothing away on the way."""
    here: Any = asked
    for name in FREE.split("."):
        if not isinstance(here, Mapping):
            return False
        if name not in here:
            return True
        here = here[name]
    return isinstance(here, Mapping)


def _same(loaded: Loaded) -> Edited:
    return Edited(before=loaded, after=loaded, text=loaded.raw or "", changed=(), noop=True)


def _edited(loaded: Loaded, wanted: JsonObject, gone: Collection[str] = ()) -> Edited:
    """Write a wanted tree so that reading it gives that tree, or refuse."""
    written, _ = migrated(loaded.parsed) if isinstance(loaded.parsed, dict) else ({}, ())
    tree = merging.rewritten(wanted, loaded.resolved, written)
    after = loaded if reload.equal(tree, loaded.parsed) else _meant(loaded, tree)
    environ = after.config.environ if after.config else {}
    odd = reload.leaves(with_roster(merging.read_back(wanted, loaded.resolved, environ)), after.resolved)
    if odd:
        raise Rejected(f"{shown(odd[0])} comes from an included file, and this change cannot be written beside it")
    return _same(loaded) if after is loaded else _allowed(loaded, after, gone)


def _meant(loaded: Loaded, tree: Any) -> Loaded:
    """Return what the file would mean if it said this. Raises Rejected where it would be wrong."""
    after = interpreted(loaded.origin, _text(tree))
    if not after.valid:
        raise Rejected(summary(after.issues), after.issues)
    return after


def _allowed(before: Loaded, after: Loaded, gone: Collection[str] = ()) -> Edited:
    """Refuse to lose what a gateway cannot do without, or what has to be given up by name."""
    lost = sorted(before.agents - after.agents - frozenset(gone))
    if lost:
        raise Rejected(f"the change would remove the agents {', '.join(lost)}: use agents.delete for that")
    if at(before.resolved, "gateway.mode") and not at(after.resolved, "gateway.mode"):
        issue = Issue("gateway.mode", "must stay, since the gateway would not start without it")
        raise Rejected(summary([issue]), [issue])
    changed = reload.changed(before.runtime, after.runtime)
    return Edited(before=before, after=after, text=after.raw or "", changed=changed, noop=False)


def _text(tree: Any) -> str:
    return json.dumps(tree, ensure_ascii=False, indent=2) + "\n"
