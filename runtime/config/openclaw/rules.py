"""What the shape of the settings cannot say: keys that exclude each other or name each other. Reads no file.

`conflicts` holds for every settings file; `start_faults` are reasons for which a gateway must not start with it
(CONTRACT section 11: exit 78).
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from runtime.config.openclaw.amounts import milliseconds, size
from runtime.config.openclaw.issues import Issue, below
from runtime.config.openclaw.model import Settings
from runtime.config.openclaw.paths import Places
from runtime.config.settings import at
from runtime.vocab import JsonObject

DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))*(?:\d+(?:\.\d+)?)?", re.ASCII)


def conflicts(tree: JsonObject) -> tuple[Issue, ...]:
    """Return what does not go together in a tree whose shape is right."""
    return (*_roster(tree), *_bindings(tree), *_tools(tree), *_heartbeats(tree), *_amounts(tree))


def normal_id(agent: str) -> str:
    """Return the id of an agent as sessions are keyed with it."""
    return re.sub(r"[^a-z0-9_-]+", "-", agent.strip().lower()).strip("-")[:64]


def _roster(tree: JsonObject) -> Iterator[Issue]:
    entries: Mapping[str, Any] = at(tree, "agents.entries", {})
    ids = Counter(map(normal_id, entries))
    for name in entries:
        if ids[normal_id(name)] > 1:
            yield Issue(f"agents.entries.{name}", f"two agents have the id {normal_id(name)!r}")
    marked = [name for name, entry in entries.items() if entry.get("default") is True]
    if len(marked) > 1:
        yield Issue("agents.entries", f"only one agent may have default=true, not {len(marked)}")
    explicit = at(tree, "agents.ownership") == "explicit"
    if explicit and marked:
        yield Issue("agents.ownership", 'is "explicit", so that no agent may have default=true')
    elif len(entries) > 1 and not explicit and not marked:
        yield Issue("agents.ownership", 'with several agents, set it to "explicit", or default=true at one agent')


def _bindings(tree: JsonObject) -> Iterator[Issue]:
    known = set(map(normal_id, at(tree, "agents.entries", {}) or {"main": {}}))
    for number, binding in enumerate(tree.get("bindings", ())):
        if normal_id(binding["agentId"]) not in known:
            yield Issue(f"bindings.{number}.agentId", f"there is no agent {binding['agentId']!r} in agents.entries")


def _tools(tree: JsonObject) -> Iterator[Issue]:
    scopes: list[tuple[str, Any]] = [("tools", tree.get("tools", {}))]
    scopes += [(f"agents.entries.{name}.tools", each.get("tools", {})) for name, each in _agents(tree)]
    for path, tools in scopes:
        named = [(f"{path}.byProvider.{name}", each) for name, each in tools.get("byProvider", {}).items()]
        for where, policy in ((path, tools), *named):
            if "allow" in policy and "alsoAllow" in policy:
                yield Issue(where, "cannot have both allow and alsoAllow")


def _heartbeats(tree: JsonObject) -> Iterator[Issue]:
    scopes = [
        ("agents.defaults", at(tree, "agents.defaults", {})),
        *((f"agents.entries.{n}", e) for n, e in _agents(tree)),
    ]
    for path, scope in scopes:
        every = at(scope, "heartbeat.every", "")
        if not DURATION.fullmatch(every.strip().lower()):
            yield Issue(below(path, "heartbeat.every"), "must be a time such as 30m or 1h30m")


AMOUNTS: Final[Mapping[str, Callable[[Any], int]]] = {
    "session.maintenance.pruneAfter": partial(milliseconds, unit="d"),
    "session.maintenance.archiveDashboardAfter": partial(milliseconds, unit="d"),
    "session.maintenance.preserveRecent": partial(milliseconds, unit="d"),
    "session.maintenance.resetArchiveRetention": partial(milliseconds, unit="d"),
    "session.maintenance.maxDiskBytes": size,
    "session.maintenance.highWaterBytes": size,
    "cron.sessionRetention": partial(milliseconds, unit="h"),
}


def _amounts(tree: JsonObject) -> Iterator[Issue]:
    for path, read in AMOUNTS.items():
        value = at(tree, path)
        if value is None or value is False:
            continue
        try:
            read(value)
        except ValueError as exc:
            yield Issue(path, str(exc))


def _agents(tree: JsonObject) -> list[tuple[str, Any]]:
    return list(at(tree, "agents.entries", {}).items())


def start_faults(settings: Settings, places: Places, *, allow_unconfigured: bool = False) -> tuple[Issue, ...]:
    """Return why a gateway must not start with these settings. What flags say is in `settings` already."""
    return tuple(_start(settings, places, allow_unconfigured=allow_unconfigured))


def _start(settings: Settings, places: Places, *, allow_unconfigured: bool) -> Iterator[Issue]:
    gateway, hooks = settings.gateway, settings.hooks
    if gateway.mode != "local" and not allow_unconfigured:
        said = f"is {gateway.mode!r}" if gateway.mode else "is not set"
        yield Issue("gateway.mode", f'{said}: set it to "local", or use --allow-unconfigured')
    auth = gateway.auth
    if auth.ambiguous:
        yield Issue("gateway.auth.mode", "is not set, though there are a token and a password: say which one is meant")
    mode = auth.effective
    if mode == "password" and not auth.password:
        yield Issue("gateway.auth.password", "is not set, though the mode is password")
    if mode == "trusted-proxy":
        if auth.trusted_proxy is None:
            yield Issue("gateway.auth.trustedProxy", "is not set, though the mode is trusted-proxy")
        if not gateway.trusted_proxies:
            yield Issue("gateway.trustedProxies", "names no proxy, though the mode is trusted-proxy")
    open_door = mode == "none" or (mode == "token" and not auth.token)
    if open_door and gateway.bind != "loopback":
        yield Issue("gateway.bind", f"is {gateway.bind!r}: without a token or password only loopback is allowed")
    if gateway.bind == "custom" and not gateway.custom_bind_host:
        yield Issue("gateway.customBindHost", "is not set, though gateway.bind is custom")
    if hooks.enabled and not hooks.token:
        yield Issue("hooks.token", "is not set, though hooks are enabled")
    if hooks.enabled and hooks.path.strip("/") == "":
        yield Issue("hooks.path", "must not be /")
