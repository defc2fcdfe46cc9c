"""Builds the typed settings from a checked tree, the environment and the flags. Refuses nothing; that was done before.

Order of precedence for secrets, as there: flag, file, environment, `gateway.remote` (CONTRACT section 11).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from runtime.config.openclaw.amounts import milliseconds, size
from runtime.config.openclaw.model import (
    DEFAULT_AGENT,
    Agent,
    Agents,
    Auth,
    ControlUi,
    Gateway,
    Hooks,
    Logging,
    Maintenance,
    Messages,
    ModelChoice,
    Pairing,
    Plugins,
    Provider,
    Queue,
    RateLimit,
    Remote,
    Session,
    SessionReset,
    Settings,
    Tls,
    Tools,
    TrustedProxy,
    sealed,
)
from runtime.config.openclaw.paths import Flags, Places, resolved
from runtime.config.openclaw.rules import normal_id
from runtime.config.openclaw.source import unresolved
from runtime.config.settings import at
from runtime.vocab import JsonObject


def settings(tree: JsonObject, environ: Mapping[str, str], places: Places, flags: Flags | None = None) -> Settings:
    """Return the typed values of a tree that was checked."""
    flags = flags or Flags()
    return Settings(
        gateway=_gateway(tree, environ, places, flags),
        hooks=_hooks(tree, environ),
        agents=_agents(tree, places),
        providers=sealed({name: _provider(name, each) for name, each in at(tree, "models.providers", {}).items()}),
        session=_session(tree),
        messages=_messages(tree),
        tools=_tools(tree),
        logging=Logging(
            level=places.log_level or at(tree, "logging.level", "info"),
            console_level=places.log_level or at(tree, "logging.consoleLevel"),
            file=_file(at(tree, "logging.file"), places),
            redact_patterns=_texts(at(tree, "logging.redactPatterns")),
        ),
        plugins=_plugins(tree),
        cron_enabled=at(tree, "cron.enabled", True) and not places.skip_cron,
        bindings=tuple(map(sealed, tree.get("bindings", ()))),
        channels=sealed({} if places.skip_channels else tree.get("channels", {})),
        tree=sealed(tree),
        environ=environ,
        home=places.home,
        state=places.state,
    )


def secret(value: Any, environ: Mapping[str, str]) -> str | None:
    """Return the secret that a value stands for, or None: a text, or a reference into the environment."""
    match value:
        case {"source": "env", "id": str(name)}:
            return environ.get(name, "").strip() or None
        case str() if value.strip() and not unresolved(value):
            return value.strip()
    return None


def _gateway(tree: JsonObject, environ: Mapping[str, str], places: Places, flags: Flags) -> Gateway:
    own = tree.get("gateway", {})
    ui, tls = own.get("controlUi", {}), own.get("tls", {})
    remote = Remote(
        url=at(own, "remote.url"),
        token=secret(at(own, "remote.token"), environ),
        password=secret(at(own, "remote.password"), environ),
        tls_fingerprint=at(own, "remote.tlsFingerprint"),
    )
    pairing = at(own, "nodes.pairing", {})
    return Gateway(
        mode=own.get("mode"),
        port=_whole(own.get("port")),
        bind=flags.bind or own.get("bind", "loopback"),
        custom_bind_host=own.get("customBindHost"),
        auth=_auth(own.get("auth", {}), remote, environ, places, flags),
        chat_completions=at(own, "http.endpoints.chatCompletions.enabled", False),
        responses=at(own, "http.endpoints.responses.enabled", False),
        strict_transport_security=at(own, "http.securityHeaders.strictTransportSecurity") or None,
        control_ui=ControlUi(
            enabled=ui.get("enabled", True),
            base_path=_base_path(ui.get("basePath", "")),
            root=_file(ui.get("root"), places),
            allowed_origins=_texts(ui.get("allowedOrigins")),
            host_header_origin=ui.get("dangerouslyAllowHostHeaderOriginFallback", False),
            no_device_auth=ui.get("dangerouslyDisableDeviceAuth", False),
        ),
        tls=Tls(
            enabled=tls.get("enabled", False),
            auto_generate=tls.get("autoGenerate", True),
            cert=_file(tls.get("certPath"), places),
            key=_file(tls.get("keyPath"), places),
            ca=_file(tls.get("caPath"), places),
        ),
        trusted_proxies=_texts(own.get("trustedProxies")),
        allow_real_ip_fallback=own.get("allowRealIpFallback", False),
        pairing=Pairing(
            auto_approve_local=pairing.get("autoApproveLocal", True),
            auto_approve_cidrs=_texts(pairing.get("autoApproveCidrs")),
        ),
        remote=remote,
        reload=at(own, "reload.mode", "hybrid") != "off",
    )


def _auth(own: JsonObject, remote: Remote, environ: Mapping[str, str], places: Places, flags: Flags) -> Auth:
    token, password = (secret(own.get(name), environ) for name in ("token", "password"))
    limit, proxy = own.get("rateLimit", {}), own.get("trustedProxy")
    mode = flags.auth or own.get("mode")
    return Auth(
        mode=mode,
        token=flags.token or token or places.token or remote.token,
        password=flags.password
        or password
        or places.password
        or (None if mode == "trusted-proxy" else remote.password),
        ambiguous=bool(token and password and not mode),
        rate_limit=RateLimit(
            attempts=max(1, int(limit.get("maxAttempts", 10))),
            window_seconds=max(0, limit.get("windowMs", 60_000)) / 1000,
            lockout_seconds=max(0, limit.get("lockoutMs", 300_000)) / 1000,
            exempt_loopback=limit.get("exemptLoopback", True),
        ),
        trusted_proxy=None
        if proxy is None
        else TrustedProxy(
            user_header=proxy["userHeader"],
            required_headers=_texts(proxy.get("requiredHeaders")),
            allow_users=_texts(proxy.get("allowUsers")),
            allow_loopback=proxy.get("allowLoopback", False),
        ),
    )


def _hooks(tree: JsonObject, environ: Mapping[str, str]) -> Hooks:
    own = tree.get("hooks", {})
    agents = own.get("allowedAgentIds")
    return Hooks(
        enabled=own.get("enabled", False),
        path=_hook_path(own.get("path", "")),
        token=secret(own.get("token"), environ),
        default_session_key=own.get("defaultSessionKey"),
        allow_request_session_key=own.get("allowRequestSessionKey", False),
        allowed_session_key_prefixes=_texts(own.get("allowedSessionKeyPrefixes")),
        allowed_agents=None if agents is None else tuple(agents),
        mappings=tuple(map(sealed, own.get("mappings", ()))),
    )


def _hook_path(text: str) -> str:
    text = text.strip()
    return f"/{text.strip('/')}" if text else "/hooks"


def _base_path(text: str) -> str:
    inner = text.strip().strip("/")
    return f"/{inner}" if inner else ""


def _agents(tree: JsonObject, places: Places) -> Agents:
    own = tree.get("agents", {})
    defaults, entries = own.get("defaults", {}), own.get("entries", {})
    found = {normal_id(name): _agent(normal_id(name), entry, places) for name, entry in entries.items()}
    marked = [normal_id(name) for name, entry in entries.items() if entry.get("default") is True]
    named = normal_id(at(defaults, "systemAgent.agentId", ""))
    first = DEFAULT_AGENT if DEFAULT_AGENT in found else next(iter(found), DEFAULT_AGENT)
    return Agents(
        entries=sealed(found) if found else sealed({DEFAULT_AGENT: Agent(id=DEFAULT_AGENT)}),
        default=next((name for name in (*marked, named) if name in found), first),
        model=choice(defaults.get("model")),
        workspace=_file(defaults.get("workspace"), places) or str(places.workspace),
        max_concurrent=int(defaults.get("maxConcurrent", 8)),
        timeout_seconds=_whole(defaults.get("timeoutSeconds")),
        defaults=sealed(defaults),
    )


def _agent(name: str, entry: JsonObject, places: Places) -> Agent:
    return Agent(
        id=name,
        name=entry.get("name"),
        workspace=_file(entry.get("workspace"), places),
        model=choice(entry.get("model")),
        tree=sealed(entry),
    )


def choice(value: Any) -> ModelChoice:
    """Return a choice of models, written as one name or as an object."""
    match value:
        case str() if value.strip():
            return ModelChoice(value.strip())
        case Mapping():
            return ModelChoice((value.get("primary") or "").strip() or None, _texts(value.get("fallbacks")))
    return ModelChoice()


def _provider(name: str, own: JsonObject) -> Provider:
    return Provider(
        id=name,
        base_url=(own.get("baseUrl") or "").strip() or None,
        key=own.get("apiKey"),
        api=own.get("api"),
        headers=sealed(own.get("headers", {})),
        timeout_seconds=_whole(own.get("timeoutSeconds")),
        models=tuple(map(sealed, own.get("models", ()))),
    )


def _session(tree: JsonObject) -> Session:
    own = tree.get("session", {})
    reset = own.get("reset", {})
    return Session(
        scope=own.get("scope", "per-sender"),
        dm_scope=own.get("dmScope", "main"),
        group_scope=own.get("groupScope", "per-group"),
        main_key=own.get("mainKey", "").strip() or "main",
        reset=SessionReset(
            mode=reset.get("mode", "idle" if "idleMinutes" in reset else "none"),
            at_hour=int(reset.get("atHour", 4)),
            idle_minutes=_whole(reset.get("idleMinutes")),
        ),
        reset_triggers=_texts(own.get("resetTriggers", Session().reset_triggers)),
        maintenance=_maintenance(tree),
    )


def _maintenance(tree: JsonObject) -> Maintenance:
    own, usual = at(tree, "session.maintenance", {}), Maintenance()

    def time(key: str, default: int, source: JsonObject = own, unit: str = "d") -> int:
        value = source.get(key)
        return default if value is None else 0 if value is False else milliseconds(value, unit)

    limit = own.get("maxDiskBytes")
    most = usual.max_disk if limit is None else 0 if limit is False else size(limit)
    mark = size(own.get("highWaterBytes", 0))
    return Maintenance(
        mode=own.get("mode", usual.mode),
        prune_after=time("pruneAfter", usual.prune_after),
        dashboard_after=time("archiveDashboardAfter", usual.dashboard_after),
        max_entries=int(own.get("maxEntries", usual.max_entries)),
        preserve_recent=time("preserveRecent", usual.preserve_recent),
        reset_retention=time("resetArchiveRetention", usual.reset_retention),
        max_disk=most,
        high_water=min(mark, most) or most * 4 // 5,
        cron_runs=time("sessionRetention", usual.cron_runs, tree.get("cron", {}), "h"),
    )


def _messages(tree: JsonObject) -> Messages:
    own = tree.get("messages", {})
    queue = own.get("queue", {})
    return Messages(
        queue=Queue(
            mode=queue.get("mode", "steer"),
            by_channel=sealed(queue.get("byChannel", {})),
            cap=int(queue.get("cap", 20)),
            drop=queue.get("drop", "summarize"),
            debounce_by_channel=sealed({name: ms / 1000 for name, ms in queue.get("debounceMsByChannel", {}).items()}),
        ),
        inbound_debounce_seconds=at(own, "inbound.debounceMs", 0) / 1000,
        ack_reaction=own.get("ackReaction"),
        ack_reaction_scope=own.get("ackReactionScope", "group-mentions"),
        response_prefix=own.get("responsePrefix"),
    )


def _tools(tree: JsonObject) -> Tools:
    own = tree.get("tools", {})
    mode, allow = own.get("codeMode", True), own.get("allow")
    return Tools(
        profile=own.get("profile"),
        allow=None if allow is None else tuple(allow),
        also_allow=_texts(own.get("alsoAllow")),
        deny=_texts(own.get("deny")),
        code_mode=bool(mode.get("enabled", True) if isinstance(mode, Mapping) else mode),
        exec=sealed(own.get("exec", {})),
    )


def _plugins(tree: JsonObject) -> Plugins:
    own = tree.get("plugins", {})
    allow = own.get("allow")
    return Plugins(
        enabled=own.get("enabled", True),
        allow=None if allow is None else tuple(allow),
        deny=_texts(own.get("deny")),
        load_paths=_texts(at(own, "load.paths")),
        entries=sealed(own.get("entries", {})),
    )


def _file(text: str | None, places: Places) -> str | None:
    """Return a path of the file with `~` put in; what is relative counts from the folder of the settings."""
    return str(resolved(text, places.home, places.config.parent)) if text and text.strip() else None


def _texts(value: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(value or ())


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
