"""The settings as typed, frozen values, for the keys that we act upon; all others stay in `tree`. Reads nothing.

The values are built from a tree whose shape was checked. A secret that names a variable which is not set counts as not
set, never as its own name. Secrets are not shown.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from attrs import field, frozen

from runtime.config.settings import at
from runtime.vocab import JsonObject

DEFAULT_AGENT: Final = "main"


@frozen(kw_only=True)
class RateLimit:
    """How many wrong secrets a peer may send, and how long it then waits."""

    attempts: int = 10
    window_seconds: float = 60.0
    lockout_seconds: float = 300.0
    exempt_loopback: bool = True


@frozen(kw_only=True)
class TrustedProxy:
    """Which header of a proxy names the person, and what else it must send."""

    user_header: str
    required_headers: tuple[str, ...] = ()
    allow_users: tuple[str, ...] = ()
    allow_loopback: bool = False


@frozen(kw_only=True)
class Auth:
    """How a peer proves itself. `mode` is what was said; `effective` is what follows where nothing was."""

    mode: str | None = None
    token: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    ambiguous: bool = False
    rate_limit: RateLimit = RateLimit()
    trusted_proxy: TrustedProxy | None = None

    @property
    def effective(self) -> str:
        """`none`, `token`, `password` or `trusted-proxy`."""
        return self.mode or ("password" if self.password else "token")


@frozen(kw_only=True)
class ControlUi:
    """The pages for the browser."""

    enabled: bool = True
    base_path: str = ""
    root: str | None = None
    allowed_origins: tuple[str, ...] = ()
    host_header_origin: bool = False
    no_device_auth: bool = False


@frozen(kw_only=True)
class Tls:
    """Certificates of the listener."""

    enabled: bool = False
    auto_generate: bool = True
    cert: str | None = None
    key: str | None = None
    ca: str | None = None


@frozen(kw_only=True)
class Pairing:
    """Which new devices need nobody's word."""

    auto_approve_local: bool = True
    auto_approve_cidrs: tuple[str, ...] = ()


@frozen(kw_only=True)
class Remote:
    """The gateway that a client on this machine talks to."""

    url: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    tls_fingerprint: str | None = None


@frozen(kw_only=True)
class Gateway:
    """The listener: where it is, who may speak to it, what it offers over HTTP."""

    mode: str | None = None
    port: int | None = None
    bind: str = "loopback"
    custom_bind_host: str | None = None
    auth: Auth = Auth()
    chat_completions: bool = False
    responses: bool = False
    strict_transport_security: str | None = None
    control_ui: ControlUi = ControlUi()
    tls: Tls = Tls()
    trusted_proxies: tuple[str, ...] = ()
    allow_real_ip_fallback: bool = False
    pairing: Pairing = Pairing()
    remote: Remote = Remote()
    reload: bool = True


@frozen(kw_only=True)
class Hooks:
    """Requests from outside that start something. `mappings` are objects as they stand in the file."""

    enabled: bool = False
    path: str = "/hooks"
    token: str | None = field(default=None, repr=False)
    default_session_key: str | None = None
    allow_request_session_key: bool = False
    allowed_session_key_prefixes: tuple[str, ...] = ()
    allowed_agents: tuple[str, ...] | None = None
    mappings: tuple[JsonObject, ...] = ()


@frozen
class ModelChoice:
    """A model as `provider/id`, and what is tried after it."""

    primary: str | None = None
    fallbacks: tuple[str, ...] = ()


@frozen(kw_only=True)
class Agent:
    """One agent: what is said of it, over what is said of all. `tree` is its own object."""

    id: str
    name: str | None = None
    workspace: str | None = None
    model: ModelChoice = ModelChoice()
    tree: JsonObject = field(factory=dict, repr=False)


@frozen(kw_only=True)
class Agents:
    """All agents, and which of them is meant where nobody names one."""

    entries: Mapping[str, Agent]
    default: str = DEFAULT_AGENT
    model: ModelChoice = ModelChoice()
    workspace: str | None = None
    max_concurrent: int = 8
    timeout_seconds: int | None = None
    defaults: JsonObject = field(factory=dict, repr=False)


@frozen(kw_only=True)
class Provider:
    """Where models are. `key` is what the file says: a text, a reference to a secret, or None. `models` as written."""

    id: str
    base_url: str | None = field(default=None, repr=False)
    key: Any = field(default=None, repr=False)
    api: str | None = None
    headers: JsonObject = field(factory=dict, repr=False)
    timeout_seconds: int | None = None
    models: tuple[JsonObject, ...] = ()


@frozen(kw_only=True)
class SessionReset:
    """When a session starts anew by itself."""

    mode: str = "none"
    at_hour: int = 4
    idle_minutes: int | None = None


@frozen(kw_only=True)
class Maintenance:
    """What becomes of sessions that nobody uses. Times are milliseconds, sizes bytes; 0 is: never, no bound."""

    mode: str = "enforce"
    prune_after: int = 30 * 86_400_000
    dashboard_after: int = 7 * 86_400_000
    max_entries: int = 5_000
    preserve_recent: int = 0
    reset_retention: int = 0
    max_disk: int = 10 * 2**30
    high_water: int = 8 * 2**30
    cron_runs: int = 86_400_000


@frozen(kw_only=True)
class Session:
    """How messages are told apart into sessions."""

    scope: str = "per-sender"
    dm_scope: str = "main"
    group_scope: str = "per-group"
    main_key: str = "main"
    reset: SessionReset = SessionReset()
    reset_triggers: tuple[str, ...] = ("/new", "/reset")
    maintenance: Maintenance = Maintenance()


@frozen(kw_only=True)
class Queue:
    """What happens to a message for a session that is busy (CONTRACT section 6)."""

    mode: str = "steer"
    by_channel: Mapping[str, str] = field(factory=dict)
    cap: int = 20
    drop: str = "summarize"
    debounce_seconds: float = 0.5
    debounce_by_channel: Mapping[str, float] = field(factory=dict)


@frozen(kw_only=True)
class Messages:
    """How messages are taken in and acknowledged."""

    queue: Queue = Queue()
    inbound_debounce_seconds: float = 0.0
    ack_reaction: str | None = None
    ack_reaction_scope: str = "group-mentions"
    response_prefix: str | None = None


@frozen(kw_only=True)
class Tools:
    """Which tools there are. `code_mode` is off only where the file says so."""

    profile: str | None = None
    allow: tuple[str, ...] | None = None
    also_allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    code_mode: bool = True
    exec: JsonObject = field(factory=dict)


@frozen(kw_only=True)
class Logging:
    """What is logged, and where."""

    level: str = "info"
    console_level: str | None = None
    file: str | None = None
    redact_patterns: tuple[str, ...] = ()


@frozen(kw_only=True)
class Plugins:
    """Which plugins are wanted. `entries` as they stand in the file; each has settings of its own."""

    enabled: bool = True
    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] = ()
    load_paths: tuple[str, ...] = ()
    entries: JsonObject = field(factory=dict, repr=False)


@frozen(kw_only=True)
class Settings:
    """Everything. `tree` is the whole resolved file: keys that have no value here are asked for with `get`."""

    gateway: Gateway
    hooks: Hooks
    agents: Agents
    providers: Mapping[str, Provider]
    session: Session
    messages: Messages
    tools: Tools
    logging: Logging
    plugins: Plugins
    cron_enabled: bool = True
    bindings: tuple[JsonObject, ...] = ()
    channels: JsonObject = field(factory=dict, repr=False)
    tree: JsonObject = field(repr=False)
    environ: Mapping[str, str] = field(repr=False)
    home: Path
    state: Path

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value by its dotted key, or the default where the file does not have it."""
        return at(self.tree, key, default)

    def agent(self, name: str | None = None) -> Agent:
        """Return the agent of this id; the default one for None. One that is not listed has nothing of its own."""
        wanted = name or self.agents.default
        return self.agents.entries.get(wanted) or Agent(id=wanted)


def sealed(tree: Mapping[str, Any]) -> JsonObject:
    """Return a view of an object that nobody can write to."""
    return MappingProxyType(dict(tree))
