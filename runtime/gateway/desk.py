"""The gateway: what its methods work with. Holds the parts together and speaks no protocol itself.

It admits connections, says hello, and passes on what runs and devices do as events. The parts come from
`runtime.app.serve`, which composes them.
"""

from base64 import urlsafe_b64encode
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import trio
from attrs import define, field

from runtime import __version__
from runtime.errors import TwinstepError
from runtime.gateway import rows
from runtime.gateway.auth import AuthPolicy, Limiter
from runtime.gateway.budget import Budget
from runtime.gateway.devicebook import DeviceBook
from runtime.gateway.devices import Pairing
from runtime.gateway.directory import Directory
from runtime.gateway.entries import Run
from runtime.gateway.frames import GatewayError, Request, invalid
from runtime.gateway.handshake import Accepted, Challenge, Locked, Refused, decide
from runtime.gateway.hub import Hub, readers
from runtime.gateway.nodebook import pairers
from runtime.gateway.peers import Peer, attribute
from runtime.gateway.registry import Registry
from runtime.gateway.runs import Runs
from runtime.gateway.scopes import NODE
from runtime.gateway.sockets import Gone, Socket
from runtime.ports import Chance, Clock
from runtime.sessions.dispatcher import Dispatcher
from runtime.sessions.session import Session

if TYPE_CHECKING:
    from runtime.gateway.link import Connection

PROTOCOL: Final = 4
TICK_MS: Final = 30_000
EVENTS: Final = (
    "connect.challenge agent chat session.message session.operation session.tool sessions.changed presence tick "
    "shutdown health heartbeat cron task node.pair.requested node.pair.resolved node.presence node.hostStats "
    "node.invoke.request node.invoke.cancel device.pair.requested device.pair.resolved device.pair.changed "
    "exec.approval.requested exec.approval.resolved config.changed chat.metadata.changed "
    "session.paused session.resumed security.decision"
).split()
CAPABILITIES: Final = ("published-model-catalog",)
"""What clients may rely on: models.list knows of providers and details."""
ATTACHMENTS: Final = {"maxBytes": 20_971_520, "maxImageBytes": 6_291_456}
TOKEN_BYTES: Final = 32
BUILD: Final = {"buildId": f"twinstep-{__version__}", "controlUiBuildSource": "none"}


@define(eq=False)
class Desk:
    """One gateway. `extras` are parts that belong to one family of methods (cron, approvals, nodes …), by name.

    `state_dir` and `config_path` are what hello names; `version` is that of the protocol's peer whose contract this
    keeps, because clients compare it with their own.
    """

    clock: Clock
    chance: Chance
    dispatcher: Dispatcher
    directory: Directory
    runs: Runs
    hub: Hub
    devices: DeviceBook
    registry: Registry
    policy: AuthPolicy
    limiter: Limiter
    config: Any
    version: str
    boot: str
    started: int
    state_dir: str
    config_path: str
    port: int
    random: Callable[[int], bytes]
    log: Callable[..., None]
    health: "Callable[[Desk], dict[str, Any]]" = field(default=lambda desk: {})
    extras: dict[str, Any] = field(factory=dict)
    connections: dict[str, "Connection"] = field(factory=dict)
    presence: "deque[dict[str, Any]]" = field(factory=lambda: deque(maxlen=200))
    events: list[str] = field(factory=lambda: list(EVENTS))
    """Names of events that hello tells."""
    complaints: "deque[str]" = field(factory=lambda: deque(maxlen=100))
    profile: str = "gateway-owner"
    budget: Budget = field(factory=Budget)
    draining: bool = False
    ready: bool = True
    reason: str = ""

    def __attrs_post_init__(self) -> None:
        self.hub.complain = self.complain

    # --- connections

    async def admit(self, request: Request, challenge: Challenge, socket: Socket) -> Accepted | Refused:
        """Decide on a first request; store what the decision says to store."""
        now = self.clock.wall()
        policy = self.policy
        peer = attribute(socket.peer, socket.headers, policy.trusted_proxies, real_ip_fallback=policy.real_ip_fallback)
        if peer is None:
            return Refused(error=invalid("forwarded headers from an untrusted address"), close_reason="untrusted proxy")
        locked = Locked(
            shared=self.limiter.locked("shared", peer, now), device=self.limiter.locked("device", peer, now)
        )
        decision = decide(
            request,
            challenge,
            peer,
            self.policy,
            self.devices,
            now,
            locked=locked,
            starting=self.draining,
            asks=self.devices.asks,
        )
        if isinstance(decision, Refused):
            return await self._turned_away(decision, peer, now)
        for credential in decision.passed:
            self.limiter.passed(credential, peer)
        if decision.pairing is not None:
            await self._pair(decision.pairing)
        return decision

    async def _pair(self, asked: Pairing) -> None:
        """Pair a device that this machine vouches for, and forget those whose place it takes."""
        _, ticket = self.devices.approve(asked, "silent")
        self._tell_resolved(self.chance.uuid(), asked.device, "approved")
        connected = {one.accepted.device for one in self.connections.values() if one.accepted is not None}
        nodes = self.extras.get("nodes")
        for old in self.devices.prune(asked.device, connected.__contains__):
            if nodes is not None and NODE in old.paired.roles:
                nodes.forget(old.paired.id)
                nodes.removed(old.paired.id)
        await self.dispatcher.journal.committed(ticket)

    async def _turned_away(self, decision: Refused, peer: Peer, now: int) -> Refused:
        wait = max((self.limiter.failed(credential, peer, now) for credential in decision.failed), default=0)
        if wait:
            await trio.sleep(wait / 1000)
        if decision.pairing is None:
            return decision
        filed = self.devices.file(decision.pairing)
        for old in filed.superseded:
            self._tell_resolved(old.id, old.asked.device, "rejected")
        if filed.created:
            self.hub.tell("device.pair.requested", rows.pairing(filed.request), pairers)
        return decision.with_request(filed.request.id)

    def _tell_resolved(self, request: str, device: str, decision: str) -> None:
        told = {"requestId": request, "deviceId": device, "decision": decision, "ts": self.clock.wall()}
        self.hub.tell("device.pair.resolved", told, pairers)

    async def hello(self, connection: "Connection", accepted: Accepted) -> dict[str, Any]:
        """Return the payload of the first answer (CONTRACT section 3)."""
        auth: dict[str, Any] = {
            "method": accepted.auth_method,
            "role": accepted.role,
            "scopes": list(accepted.scopes),
            "recoveryMigrationAllowed": False,
            "recoveryScope": "",
        }
        if accepted.issue_device_token and accepted.device is not None:
            token = urlsafe_b64encode(self.random(TOKEN_BYTES)).rstrip(b"=").decode()
            if accepted.device not in self.devices.shelf.items:
                raise Gone(1006, "")  # it was removed while it came in
            ticket = self.devices.issue(accepted.device, accepted.role, accepted.scopes, token)
            await self.dispatcher.journal.committed(ticket)
            auth |= {"deviceToken": token, "issuedAtMs": self.clock.wall()}
        elif accepted.device is not None:
            used = accepted.role if accepted.device_token is not None else ""
            self.devices.seen(accepted.device, used=used, display=accepted.client.display_name)
            if accepted.device_token is not None:
                auth |= {"deviceToken": accepted.device_token, "issuedAtMs": self.clock.wall()}
        now = self.clock.wall()
        return {
            "type": "hello-ok",
            "protocol": accepted.connect.max_protocol if accepted.legacy else PROTOCOL,
            "server": {"version": self.version, "bootId": self.boot, "connId": connection.id} | BUILD,
            "features": {"methods": self.registry.names(), "events": self.events, "capabilities": CAPABILITIES},
            "snapshot": {
                "presence": self.present(),
                "health": self.health(self),
                "stateVersion": {"presence": self.hub.presence_version, "health": self.hub.health_version},
                "uptimeMs": now - self.started,
                "appliedConfigHash": getattr(self.config, "hash", ""),
                "sessionDefaults": {
                    "defaultAgentId": self.directory.default_agent,
                    "modelConfigured": self.ready,
                    "ownership": "sole",
                    "selectionRequired": False,
                    "mainKey": "main",
                    "mainSessionKey": f"agent:{self.directory.default_agent}:main",
                    "scope": "per-sender",
                },
                "suspension": {"phase": "accepting"},
                "updateSchedule": {"channel": "stable", "autoEnabled": False},
                "configPath": self.config_path,
                "stateDir": self.state_dir,
                "authMode": self.policy.mode,
            },
            "auth": auth,
            "policy": {
                "maxPayload": 26_214_400,
                "maxBufferedBytes": 52_428_800,
                "tickIntervalMs": TICK_MS,
                "attachments": ATTACHMENTS,
                "allowedSessionVisibilities": ["shared"],
                "hasMultipleSessionSharingIdentities": False,
            },
            "pluginSurfaceUrls": {"canvas": ""},
            "controlUiWidgetKinds": [],
            "controlUiLinkReaders": [],
        }

    def joined(self, connection: "Connection") -> None:
        """A connection said hello."""
        self.connections[connection.id] = connection
        self.hub.add(connection)
        if self.draining:  # it shook hands when the others were told to go
            connection.close(1012, "service restart")
        if self._unpaired(connection.accepted):
            connection.scopes = frozenset()
            connection.close(4001, "device removed")
            return
        self._tell_presence(connection, "connect")
        self._tell_parts("came", connection)

    def _unpaired(self, accepted: Accepted | None) -> bool:
        """Whether a device came in as one that it is not any more: it was removed while hello was under way."""
        if accepted is None or accepted.device is None or not (accepted.issue_device_token or accepted.device_token):
            return False
        paired = self.devices.paired(accepted.device)
        return paired is None or accepted.role not in paired.roles

    def left(self, connection: "Connection") -> None:
        """A connection is gone, whether or not it ever said hello."""
        if self.connections.pop(connection.id, None) is None:
            return
        self.hub.remove(connection)
        self._tell_presence(connection, "disconnect")
        self._tell_parts("gone", connection)

    def _tell_parts(self, what: str, *about: Any) -> None:
        """Let every part hear of something, if it wants to. One that fails keeps it from none of the others."""
        for name, part in tuple(self.extras.items()):
            hear = getattr(part, what, None)
            if hear is None:
                continue
            try:
                hear(*about)
            except Exception as exc:  # noqa: BLE001 - see above
                self.complain(f"{name}: {what}: {type(exc).__name__}: {exc}", exc)

    def _tell_presence(self, connection: "Connection", reason: str) -> None:
        if connection.accepted is None or connection.accepted.client.mode in ("probe", "cli", "backend"):
            return  # programs that come and go for one request are nobody's presence
        entry = rows.presence(connection, reason, self.clock.wall())
        self.presence = deque(
            (one for one in self.presence if one.get("connId") != connection.id), maxlen=self.presence.maxlen
        )
        self.presence.append(entry)
        version = {"presence": self.hub.presence_version, "health": self.hub.health_version}
        self.hub.tell("presence", {"presence": self.present()}, readers, version)

    def present(self) -> list[dict[str, Any]]:
        """Return the entries of presence: the gateway itself first."""
        return [rows.gateway_presence(self.version, self.clock.wall()), *self.presence]

    # --- runs

    def on_run(self, what: str, run: Run, session: Session | None) -> None:
        """Pass on that a run began or ended."""
        entry = self.directory.began(run) if what == "start" else self.directory.finished(run, session)
        if entry is not None:
            reason = "send" if what == "start" else "run"
            self.hub.tell_listers("sessions.changed", rows.changed(self, entry, reason))
        self._tell_parts("on_run", what, run, session)

    def row_of(self, key: str) -> dict[str, Any]:
        """Return the row of a session as events about its tools carry it."""
        entry = self.directory.get(key)
        if entry is None:
            return {}
        provider, model, _ = self.extras["models"].of(entry)
        active = {"activeModelProvider": provider, "activeModel": model}
        active["sessionRoot"] = str(entry.members.get("sessionRoot") or self.extras["models"].workspace(entry.agent))
        row = rows.changed(self, entry, "") | active
        empty = {name: None for name, value in row.items() if value is None}
        return {**row, "session": {**empty, "hasAutomation": False, **row["session"], **active}}

    def changed(self, entry: Any, reason: str) -> None:
        """Tell those who list sessions that one changed."""
        self.hub.tell_listers("sessions.changed", rows.changed(self, entry, reason))

    # --- trouble

    def complain(self, text: str, exc: BaseException | None = None) -> None:
        """Note what went wrong inside; a client is not told."""
        self.complaints.append(text)
        self.log("error", text, exc=exc if not isinstance(exc, TwinstepError) else None)

    def gather(self) -> None:
        """Take over what the dispatcher complained of: it has no log."""
        theirs = self.dispatcher.complaints
        while theirs:
            self.complain(theirs.popleft())

    def failing(self) -> list[str]:
        """Return why no work should be sent here at present."""
        store = self.dispatcher.journal.store
        why = [self.reason or "model"] if not self.ready else []
        why += [store.trouble or "disk"] if store.full else []
        return [*why, "draining"] if self.draining else why

    def part(self, name: str) -> Any:
        """Return the part of a family. Raises GatewayError where this gateway was built without it."""
        found = self.extras.get(name)
        if found is None:
            raise GatewayError("UNAVAILABLE", f"{name} is not available here")
        return found
