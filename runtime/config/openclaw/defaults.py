"""The values that hold where the file says nothing, as `runtimeConfig` of config.get shows them. Changes no file.

Also what an older way of writing becomes: a list of agents turns into entries by id.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final

from runtime.config.openclaw.issues import Issue
from runtime.config.openclaw.model import DEFAULT_AGENT
from runtime.config.settings import at
from runtime.vocab import JsonObject

DEFAULTS: Final[JsonObject] = {
    "agents": {
        "defaults": {
            "maxConcurrent": 8,
            "subagents": {"maxConcurrent": 8, "archiveAfterMinutes": 60},
            "compaction": {"mode": "safeguard"},
        },
    },
    "commands": {"native": "auto", "nativeSkills": "auto", "restart": True},
    "messages": {"ackReactionScope": "group-mentions"},
}
COST: Final[JsonObject] = {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0}
MODEL: Final[JsonObject] = {"reasoning": False, "input": ["text"], "maxTokens": 8192}


def migrated(tree: JsonObject) -> tuple[dict[str, Any], tuple[Issue, ...]]:
    """Return the tree with `agents.list` as `agents.entries`, and a warning where that was needed."""
    agents = tree.get("agents")
    if not isinstance(agents, Mapping) or "entries" in agents:
        return dict(tree), ()
    listed = agents.get("list")
    if not isinstance(listed, list) or not _is_roster(listed):
        return dict(tree), ()
    entries = {each["id"]: {key: value for key, value in each.items() if key != "id"} for each in listed}
    moved = {**{key: value for key, value in agents.items() if key != "list"}, "entries": entries}
    return {**tree, "agents": moved}, (Issue("agents.list", "is taken as agents.entries, keyed by id"),)


def _is_roster(listed: list[Any]) -> bool:
    ids = [each.get("id") if isinstance(each, Mapping) else None for each in listed]
    return all(isinstance(each, str) and each for each in ids) and len(set(ids)) == len(ids)


def with_roster(tree: JsonObject) -> dict[str, Any]:
    """Return the tree with an agent `main` where it names none (trace methods/config_get: resolved)."""
    if at(tree, "agents.entries"):
        return dict(tree)
    agents = tree.get("agents", {})
    return {**tree, "agents": {**agents, "entries": {DEFAULT_AGENT: {}}}}


def with_defaults(tree: JsonObject) -> dict[str, Any]:
    """Return the tree as it takes effect: every default that the file leaves open is put in."""
    whole = _filled(with_roster(tree), DEFAULTS)
    providers = at(whole, "models.providers", {})
    if not providers:
        return whole
    return {**whole, "models": {**whole["models"], "providers": {name: _provider(p) for name, p in providers.items()}}}


def _provider(provider: JsonObject) -> dict[str, Any]:
    if "models" not in provider:
        return dict(provider)
    api = {"api": provider["api"]} if "api" in provider else {}
    return {**provider, "models": [_model(model, api) for model in provider["models"]]}


def _model(model: JsonObject, api: JsonObject) -> dict[str, Any]:
    return {**deepcopy(dict(MODEL)), **api, **model, "cost": {**COST, **model.get("cost", {})}}


def _filled(tree: JsonObject, defaults: JsonObject) -> dict[str, Any]:
    filled = dict(tree)
    for key, value in defaults.items():
        old = filled.get(key)
        if key not in filled:
            filled[key] = deepcopy(value)
        elif isinstance(value, Mapping) and isinstance(old, Mapping):
            filled[key] = _filled(old, value)
    return filled
