"""Which keys of the file we accept and do not act upon, so that doctor can say so. Judges no value."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from runtime.config.openclaw.issues import below
from runtime.vocab import JsonObject

ACTED: Final = frozenset(
    """
    $schema meta env.vars ui.prefs
    gateway.nodes.commands gateway.mode gateway.port gateway.bind gateway.customBindHost gateway.auth.mode
    gateway.auth.token gateway.auth.password gateway.auth.rateLimit gateway.auth.trustedProxy.userHeader
    gateway.auth.trustedProxy.requiredHeaders gateway.auth.trustedProxy.allowUsers
    gateway.auth.trustedProxy.allowLoopback gateway.http.endpoints.chatCompletions.enabled
    gateway.http.endpoints.responses.enabled gateway.http.securityHeaders gateway.controlUi.enabled
    gateway.controlUi.basePath gateway.controlUi.allowedOrigins
    gateway.controlUi.dangerouslyAllowHostHeaderOriginFallback
    gateway.tls.enabled gateway.tls.certPath gateway.tls.keyPath
    gateway.trustedProxies gateway.allowRealIpFallback gateway.nodes.pairing.autoApproveLocal
    gateway.remote gateway.reload.mode gateway.tools.deny
    hooks.enabled hooks.path hooks.token hooks.defaultSessionKey hooks.allowRequestSessionKey
    hooks.allowedSessionKeyPrefixes hooks.allowedAgentIds hooks.mappings
    agents.ownership agents.defaults.model agents.defaults.models agents.defaults.workspace
    agents.defaults.maxConcurrent agents.defaults.systemAgent
    agents.entries.*.name agents.entries.*.default agents.entries.*.workspace agents.entries.*.model
    agents.entries.*.models agents.entries.*.identity
    models.providers.*.baseUrl models.providers.*.apiKey models.providers.*.api models.providers.*.headers
    models.providers.*.models
    session.maintenance.mode session.maintenance.pruneAfter session.maintenance.archiveDashboardAfter
    session.maintenance.maxEntries session.maintenance.preserveRecent session.maintenance.resetArchiveRetention
    session.maintenance.maxDiskBytes session.maintenance.highWaterBytes
    messages.queue
    tools.profile tools.allow tools.alsoAllow tools.deny tools.codeMode
    defender cron.enabled cron.sessionRetention logging.level logging.consoleLevel logging.file auth.profiles wizard
    """.split()
)
"""Keys that have an effect here, with all that is below them. `*` is any key."""

_ABOVE: Final = frozenset(path[:at] for path in ACTED for at, sign in enumerate(path) if sign == ".") | {""}


def unsupported(tree: JsonObject) -> tuple[str, ...]:
    """Return the keys that are set in a tree and have no effect, each once and not what is below it."""
    return tuple(_unsupported(tree, "", ""))


def _unsupported(value: Any, path: str, general: str) -> Iterator[str]:
    if general in ACTED:
        return
    if general not in _ABOVE or not isinstance(value, Mapping):
        yield path
        return
    for key, inner in value.items():
        own = below(general, key)
        known = own in ACTED or own in _ABOVE
        yield from _unsupported(inner, below(path, key), own if known else below(general, "*"))
