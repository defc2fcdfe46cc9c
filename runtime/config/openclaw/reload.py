"""What a changed key asks for: nothing, taking effect while running, or a restart. A table of prefixes, as observed.

The longest prefix decides. A key that no prefix covers asks for a restart.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

from runtime.config.openclaw.issues import below
from runtime.vocab import JsonObject

NONE: Final = "none"
HOT: Final = "hot"
RESTART: Final = "restart"

PREFIXES: Final[Mapping[str, str]] = {
    NONE: """
        gateway.remote gateway.reload meta wizard logging agents bindings messages session talk skills secrets ui
        accessGroups surfaces tts commands channels.defaults channels.modelByChannel messages.inbound
        messages.ackReactionScope acp.stream diagnostics.flags
    """,
    HOT: """
        gateway.http.endpoints gateway.http.securityHeaders.strictTransportSecurity gateway.tools gateway.cliAgents
        gateway.controlUi.enabled gateway.controlUi.environment gateway.controlUi.communityInvite
        gateway.controlUi.github gateway.controlUi.sessionObserver gateway.controlUi.embedSandbox
        gateway.controlUi.allowExternalEmbedUrls gateway.controlUi.automaticallyFetchFavicons
        gateway.controlUi.experimental.customPlugins gateway.controlUi.allowedOrigins
        gateway.controlUi.dangerouslyAllowHostHeaderOriginFallback gateway.nodes.browser gateway.nodes.pairing
        gateway.nodes.commands gateway.nodes.pluginTools.enabled gateway.nodes.allowSkills gateway.push.apns.relay
        gateway.terminal gateway.auth.rateLimit gateway.roles gateway.trustedProxies gateway.allowRealIpFallback
        gateway.auth.allowTailscale gateway.auth.identityScopes gateway.auth.trustedProxy gateway.publicOrigin
        diagnostics.enabled diagnostics.cacheTrace.enabled discovery.mdns.mode mcp mcp.apps.sandboxOrigin
        agents.defaults agents.defaults.workspace agents.defaults.heartbeat agents.defaults.models
        agents.defaults.modelPolicy agents.defaults.model agents.defaults.sessionStore agents.defaults.decisionModel
        agents.entries agents.ownership desktop.host cloudWorkers cloudWorkers.profiles hooks hooks.gmail
        hooks.internal models skills.workshop.autonomous.mode plugins plugins.load cron transcripts talk.provider
        talk.realtime.provider session.scope session.store tools approvals.exec approvals.plugin auth.order
        auth.profiles broadcast memory.citations worktreeRoot worktreeAcceleration security.audit.suppressions
        security.installPolicy acp attachments.ttlHours update.checkOnStart update.channel update.auto.enabled
        telemetry.enabled telemetry.consentedAt channels browser.enabled browser.allowSystemProfileImport
        browser.evaluateEnabled browser.cdpUrl browser.executablePath browser.headless browser.noSandbox
        browser.attachOnly browser.defaultProfile browser.snapshotDefaults browser.ssrfPolicy browser.profiles
        browser.extraArgs browser.tabCleanup browser.extensionRelay.allowLegacyAuth
    """,
    RESTART: """
        gateway discovery gateway.auth.token gateway.auth.password mcp.apps secrets.egressProxy gateway.portals
    """,
}


@cache
def _rules() -> Mapping[str, str]:
    return {prefix: kind for kind, text in PREFIXES.items() for prefix in text.split()}


@cache
def _refined() -> frozenset[str]:
    """Every path below which some prefix says more."""
    return frozenset(prefix[:at] for prefix in (*_rules(), "") for at, sign in enumerate(prefix) if sign == ".") | {""}


def kind(path: str) -> str:
    """Return `none`, `hot` or `restart` for a changed key (CONTRACT section 8, config.schema.lookup: reloadKind)."""
    while path:
        if found := _rules().get(path):
            return found
        path = path.rpartition(".")[0]
    return RESTART


def classify(changed: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Sort changed paths by what they ask for."""
    sorted_: dict[str, list[str]] = {HOT: [], RESTART: [], NONE: []}
    for path in changed:
        sorted_[kind(path)].append(path)
    return {name: tuple(paths) for name, paths in sorted_.items()}


def changed(old: JsonObject, new: JsonObject) -> tuple[str, ...]:
    """Return the paths in which two trees differ, as deep as kinds differ; lists are compared as a whole.

    Give it the trees with their defaults, so that a key set to its default is no change.
    """
    return tuple(_changed(old, new, ""))


def leaves(old: JsonObject, new: JsonObject) -> tuple[str, ...]:
    """Return every single value in which two trees differ."""
    return tuple(_leaves(old, new, ""))


_ABSENT: Final = object()


def _changed(old: Any, new: Any, path: str) -> Iterable[str]:
    if equal(old, new):
        return
    objects = isinstance(old, Mapping), isinstance(new, Mapping)
    if all(objects) or (any(objects) and path in _refined()):
        yield from _below(old, new, path, _changed)
    else:
        yield path or "<root>"


def _leaves(old: Any, new: Any, path: str) -> Iterable[str]:
    if equal(old, new):
        return
    found: tuple[str, ...] = ()
    if isinstance(old, Mapping) or isinstance(new, Mapping):
        found = tuple(_below(old, new, path, _leaves))
    yield from found or (path or "<root>",)


def _below(old: Any, new: Any, path: str, walk: Any) -> Iterable[str]:
    first = old if isinstance(old, Mapping) else {}
    second = new if isinstance(new, Mapping) else {}
    for key in dict.fromkeys((*first, *second)):
        yield from walk(first.get(key, _ABSENT), second.get(key, _ABSENT), below(path, key))


def equal(old: Any, new: Any) -> bool:
    """Equality as JSON has it: true is not 1."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old.keys() == new.keys() and all(equal(each, new[key]) for key, each in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(equal, old, new))
    return isinstance(old, bool) == isinstance(new, bool) and bool(old == new)
