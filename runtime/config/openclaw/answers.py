"""What the methods config.* answer, as plain objects with the keys that the golden traces show. Pure.

No secret leaves this module: everything that comes from the settings goes through `redacted`.
"""

from typing import Any, Final

from runtime.config.openclaw import schema
from runtime.config.openclaw.edit import Edited
from runtime.config.openclaw.issues import Issue
from runtime.config.openclaw.loading import Loaded
from runtime.config.openclaw.redact import redacted
from runtime.vocab import JsonObject

ADVICE: Final = "If something does not work as it should now, run the doctor command in a terminal."
CHANGED: Final = "config.changed"
"""The event that follows a change (trace config/patch_ok)."""


def config_get(loaded: Loaded, applied: str | None = None) -> dict[str, Any]:
    """Return the answer to config.get. `applied` is the revision of the settings that are in use; None: these.

    Of a file that is wrong nothing is shown but what is wrong, since nobody can tell where its secrets are.
    """
    source, runtime = redacted(loaded.resolved), redacted(loaded.runtime)
    return {
        "path": str(loaded.path),
        "includedPaths": [str(path) for path in loaded.included],
        "includeProvenance": [],
        "agentRosterIncludeOwned": False,
        "bindingsIncludeOwned": False,
        "exists": loaded.exists,
        "raw": loaded.shown,
        "parsed": redacted(loaded.parsed) if loaded.valid else None,
        "sourceConfig": source,
        "resolved": source,
        "valid": loaded.valid,
        "runtimeConfig": runtime,
        "config": runtime,
        "hash": loaded.hash,
        "issues": _wired(loaded.issues),
        "warnings": _wired(loaded.warnings),
        "legacyIssues": [],
        "configRevisionHash": loaded.revision,
        "appliedConfigHash": applied or loaded.revision,
    }


def config_set(edited: Edited) -> dict[str, Any]:
    """Return the answer to config.set, once the text is written."""
    return {"ok": True, "path": str(edited.after.path), "hash": edited.after.hash, "config": _written(edited)}


def config_patch(
    edited: Edited, *, now_ms: int, request: JsonObject | None = None, noted: bool = True
) -> dict[str, Any]:
    """Return the answer to config.patch. `request` are its params; `noted` says that the note outlives a restart."""
    if edited.noop:
        return {
            "ok": True,
            "noop": True,
            "changedPaths": [],
            "path": str(edited.after.path),
            "config": redacted(edited.after.runtime),
        }
    noticed = _sentinel(edited, "config.patch", now_ms, request or {}, noted=noted)
    return {**config_set(edited), "changedPaths": list(edited.changed), "sentinel": noticed}


def config_apply(
    edited: Edited, *, now_ms: int, request: JsonObject | None = None, noted: bool = True
) -> dict[str, Any]:
    """Return the answer to config.apply, once the text is written."""
    return {**config_set(edited), "sentinel": _sentinel(edited, "config.apply", now_ms, request or {}, noted=noted)}


def config_changed(edited: Edited, *, now_ms: int) -> dict[str, Any] | None:
    """Return the payload of the event config.changed, or None where no value changes its effect."""
    if not edited.changed:
        return None
    return {"path": str(edited.after.path), "hash": edited.after.hash, "ts": now_ms}


def config_schema(*, version: str, generated_at: str) -> dict[str, Any]:
    """Return the answer to config.schema. Its two large members are shared: nobody changes them."""
    tree, hints = schema.whole()
    return {"schema": tree, "uiHints": hints, "version": version, "generatedAt": generated_at}


def config_schema_lookup(path: str) -> dict[str, Any] | None:
    """Return the answer to config.schema.lookup, or None: `config schema path not found`."""
    return schema.lookup(path)


def _sentinel(edited: Edited, mode: str, now_ms: int, request: JsonObject, *, noted: bool) -> dict[str, Any]:
    """What is to be told when the gateway is back, and to whom."""
    address = {name: request[name] for name in ("sessionKey", "deliveryContext", "threadId") if request.get(name)}
    return {
        "persisted": noted,
        "payload": {
            "kind": mode.replace(".", "-"),
            "status": "ok",
            "ts": now_ms,
            **address,
            "message": request.get("note"),
            "doctorHint": ADVICE,
            "stats": {"mode": mode, "root": str(edited.after.path), "requiresRestart": edited.needs_restart},
        },
    }


def _written(edited: Edited) -> Any:
    return redacted(edited.after.resolved)


def _wired(issues: tuple[Issue, ...]) -> list[dict[str, Any]]:
    return [issue.wire() for issue in issues]
