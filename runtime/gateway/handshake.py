"""The first frame of a connection: let in, and as whom, or refused (CONTRACT section 3). A decision and nothing else.

Rules: the checks stand in the order of the real gateway, because a client acts on the first that fails; what is not
known is refused; a device that is not paired gets in only where this machine vouches for it. Sends nothing, stores
nothing and waits for nothing: nonce, time, lockouts and the paired devices are arguments, and what is to be stored is
in the answer.

One long module, because it is one list of checks: `decide` is its table of contents.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from attrs import evolve, field, frozen

from runtime.gateway import devices, scopes
from runtime.gateway.auth import AuthPolicy, Checked, Credential, Method, check_shared, unauthorized
from runtime.gateway.connect import (
    APPS,
    CONTROL_UI,
    COPILOT,
    Client,
    Connect,
    Credentials,
    connect_params,
    is_screen,
    is_webchat,
    is_worker,
    named,
)
from runtime.gateway.devices import Claim, Devices, Paired, Pairing, ProofError, Reason
from runtime.gateway.frames import NOT_PAIRED, UNAVAILABLE, BadFrame, GatewayError, NotJson, Request, decode, invalid
from runtime.gateway.peers import (
    Peer,
    check_origin,
    host_name,
    is_loopback,
    is_private,
    parse_origin,
    same_host,
    trimmed,
)
from runtime.vocab import JsonObject

PROTOCOL: Final = 4
OLDEST_PROTOCOL: Final = 3
"""What a probe, and a node that was not updated yet, may still offer."""
FIRST_FRAME_BYTES: Final = 65_536
REASON_BYTES: Final = 120

NORMAL: Final = 1000
PROTOCOL_ERROR: Final = 1002
POLICY: Final = 1008
TOO_BIG: Final = 1009
TRY_LATER: Final = 1013

_COPILOT_CAPS: Final = frozenset({"run-tool-bindings", "session-scoped-events"})
_EXTENSION: Final = re.compile(r"chrome-extension://[a-p]{32}")


@frozen
class Challenge:
    """What the server said first: a number used once, and when."""

    nonce: str
    ts: int

    def payload(self) -> JsonObject:
        """The payload of the event `connect.challenge`."""
        return {"nonce": self.nonce, "ts": self.ts}


@frozen(kw_only=True)
class Locked:
    """What the limiter says of this peer: milliseconds that it has to wait, for each kind of credential."""

    shared: int = 0
    device: int = 0


@frozen(kw_only=True)
class Accepted:
    """Let in. Before the hello the shell stores `pairing` as approved, and a new token if one is to be issued.

    `scopes` are what the connection has. `device_token` is the one that was presented, where one was. `passed` are the
    credentials whose failures are forgotten now.
    """

    client: Client
    connect: Connect = field(repr=False)
    role: str
    scopes: tuple[str, ...]
    caps: tuple[str, ...]
    commands: tuple[str, ...]
    permissions: Mapping[str, bool] | None
    device: str | None
    public_key: str | None
    auth_method: Method
    user: str
    local: bool
    legacy: bool
    device_token: str | None = field(repr=False)
    issue_device_token: bool
    pairing: Pairing | None
    passed: tuple[Credential, ...]


@frozen(kw_only=True)
class Refused:
    """Not let in: what to answer, if anything, and how to close.

    `pairing` is a request that somebody may approve: the shell files it and puts its id in with `with_request`.
    `failed` are the credentials that were tried in vain, for the limiter.
    """

    error: GatewayError | None
    close_code: int = POLICY
    close_reason: str = ""
    pairing: Pairing | None = None
    failed: tuple[Credential, ...] = ()

    def with_request(self, request_id: str) -> "Refused":
        """The same with the id under which the pairing was filed."""
        if self.error is None:
            return self
        details = {**(self.error.details or {}), "requestId": request_id}
        error = GatewayError(self.error.code, self.error.message, details=details)
        return evolve(self, error=error, close_reason=reason_of(f"{error.message} (requestId: {request_id})"))


class _Stop(Exception):
    """The first check that failed."""

    def __init__(self, refused: Refused) -> None:
        self.refused = refused


def first_frame(data: str | bytes) -> Request | Refused:
    """Read what a connection says first. What is no request gets no answer, only a close."""
    size = len(data) if isinstance(data, bytes) or data.isascii() else len(data.encode("utf-8", "surrogatepass"))
    if size > FIRST_FRAME_BYTES:
        return Refused(error=None, close_code=TOO_BIG)
    try:
        return decode(data)
    except NotJson:
        return Refused(error=None, close_code=NORMAL)
    except BadFrame:
        return Refused(error=None, close_reason="invalid request frame")


def decide(
    request: Request,
    challenge: Challenge,
    peer: Peer,
    policy: AuthPolicy,
    known: Devices,
    now: int,
    *,
    locked: Locked = Locked(),
    starting: bool = False,
    asks: Callable[[str], bool] = lambda device: False,
) -> Accepted | Refused:
    """Decide on a first request. `now` is in milliseconds, as the challenge's time is.

    `asks` says whether a request of a device waits for somebody: then nothing of it is approved silently.
    """
    try:
        connect = _params(request)
        if starting:
            return _starting()
        _check_protocol(connect)
        _check_role(connect)
        _check_browser(connect, peer, policy)
        secret = check_shared(policy, peer, connect.auth.token, connect.auth.password, locked.shared)
        guest = _Guest(connect=connect, peer=peer, policy=policy, secret=secret)
        asked = connect.scopes if connect.device else _without_device(guest)
        key = _proven(guest, challenge, now)
        guest = _with_device_token(guest, known, locked)
        method = guest.method
        if method is None:
            raise _unauthorized(guest)
        asked = _without_debug(guest, asked)
        pairing, trusted = _paired(guest, known, key, asked, asks)
        if not (trusted if connect.device else method in ("token", "password")):
            asked = tuple(scope for scope in asked if not scopes.debugs([scope]))
        _check_identity_token(connect, guest)
        _check_build(connect, peer, policy)
    except _Stop as stop:
        return stop.refused
    presented = _candidate(connect.auth)[0] if method == "device-token" else None
    return Accepted(
        client=named(connect.client),
        connect=connect,
        role=connect.role,
        scopes=_capped(asked, peer),
        caps=connect.caps,
        commands=connect.commands,
        permissions=connect.permissions,
        device=connect.device.id if connect.device else None,
        public_key=key,
        auth_method=method,
        user=secret.user,
        local=peer.loopback,
        legacy=connect.max_protocol < PROTOCOL and connect.client.mode == "node",
        device_token=presented,
        issue_device_token=trusted and presented is None,
        pairing=pairing,
        passed=("device",) if presented else ("shared",) if guest.shared_ok else (),
    )


def reason_of(message: str) -> str:
    """A message as the reason of a close: at most 120 bytes, and no half of a character."""
    return message.encode("utf-8", "replace")[:REASON_BYTES].decode("utf-8", "ignore")


@frozen(kw_only=True)
class _Guest:
    """Who is at the door, as far as the checks have come."""

    connect: Connect
    peer: Peer
    policy: AuthPolicy
    secret: Checked
    second: Checked | None = None
    failed: tuple[Credential, ...] = ()

    @property
    def verdict(self) -> Checked:
        """What came of the last credential that was looked at."""
        return self.second or self.secret

    @property
    def method(self) -> Method | None:
        """How the guest has shown who it is, or None."""
        return self.verdict.method

    @property
    def shared_ok(self) -> bool:
        """Whether the guest knows the shared secret, or a proxy vouches for it."""
        return self.secret.method in ("token", "password", "trusted-proxy")

    @property
    def browser(self) -> bool:
        """Whether a page in a browser is asking, or something that says so."""
        return bool(trimmed(self.peer.origin))

    @property
    def tries(self) -> tuple[Credential, ...]:
        """Credentials that were tried in vain so far."""
        wrong = self.secret.reason in ("token_mismatch", "password_mismatch")
        return ("shared", *self.failed) if wrong else self.failed


def _params(request: Request) -> Connect:
    if is_worker(request.params):
        raise _Stop(Refused(error=None, close_reason="invalid-handshake"))
    if request.method != "connect":
        _refuse(invalid("invalid handshake: first request must be connect"))
    try:
        return connect_params("connect", request.params)
    except GatewayError as error:
        _refuse(error)


def _starting() -> Refused:
    details = {"reason": "startup-sidecars"}
    error = GatewayError(
        UNAVAILABLE, "gateway starting; retry shortly", details=details, retryable=True, retry_after_ms=500
    )
    return Refused(error=error, close_code=TRY_LATER, close_reason="gateway starting")


def _check_protocol(connect: Connect) -> None:
    low, high = connect.min_protocol, connect.max_protocol
    probe = connect.client.mode == "probe" and high >= OLDEST_PROTOCOL and low <= PROTOCOL
    node = connect.role == scopes.NODE and connect.client.mode == "node" and low <= OLDEST_PROTOCOL <= high
    if low <= PROTOCOL <= high or probe or node:
        return
    details = {
        "code": "PROTOCOL_MISMATCH",
        "clientMinProtocol": low,
        "clientMaxProtocol": high,
        "expectedProtocol": PROTOCOL,
        "minimumProbeProtocol": OLDEST_PROTOCOL,
    }
    _refuse(invalid("protocol mismatch", details), close_code=PROTOCOL_ERROR)


def _check_role(connect: Connect) -> None:
    if connect.role not in scopes.ROLES:
        _refuse(invalid("invalid role"))


def _check_browser(connect: Connect, peer: Peer, policy: AuthPolicy) -> None:
    """A page must come from an origin that may; the programs that are pages must have one."""
    client = connect.client
    copilot = client.id == COPILOT
    if copilot and (client.mode != "ui" or not set(connect.caps) >= _COPILOT_CAPS):
        _refuse(invalid(f"browser copilot requires ui mode and the capabilities {' and '.join(sorted(_COPILOT_CAPS))}"))
    if copilot:
        if _extension(peer) is None:
            details = {"code": "CONTROL_UI_ORIGIN_NOT_ALLOWED", "reason": "invalid browser copilot origin"}
            _refuse(invalid("browser copilot requires the origin of a Chrome extension", details))
        return
    if trimmed(peer.origin) or client.id == CONTROL_UI or is_webchat(client):
        wrong = check_origin(peer, policy.allowed_origins, host_fallback=policy.host_origin_fallback)
        if wrong is not None:
            details = {"code": "CONTROL_UI_ORIGIN_NOT_ALLOWED", "reason": wrong}
            _refuse(invalid("origin not allowed (gateway.controlUi.allowedOrigins lists those that are)", details))


def _without_device(guest: _Guest) -> tuple[str, ...]:
    """Whether the guest may do without a device, and the scopes that it keeps then."""
    connect = guest.connect
    operator = connect.role == scopes.OPERATOR
    self_call = _is_backend(guest)
    by_proxy = guest.secret.method == "trusted-proxy" and is_screen(connect.client)
    if not (operator and (self_call or by_proxy)):
        if is_screen(connect.client):
            details = {"code": "CONTROL_UI_DEVICE_IDENTITY_REQUIRED"}
            message = "control ui requires device identity (browsers give it only on HTTPS or localhost)"
            _refuse(invalid(message, details), failed=guest.tries)
        if not (operator and guest.shared_ok):
            if guest.secret.method is None and (connect.auth.token or connect.auth.password):
                raise _unauthorized(guest)
            error = GatewayError(NOT_PAIRED, "device identity required", details={"code": "DEVICE_IDENTITY_REQUIRED"})
            _refuse(error, failed=guest.tries)
    return connect.scopes if self_call or _is_local_cli(guest) else ()


def _without_debug(guest: _Guest, asked: tuple[str, ...]) -> tuple[str, ...]:
    """What is asked for without the scopes of the debugger that nobody may have here, and a page in a browser never."""
    may = () if guest.browser else guest.policy.debug
    return tuple(scope for scope in asked if scope.strip() in may or not scopes.debugs([scope]))


def _proven(guest: _Guest, challenge: Challenge, now: int) -> str | None:
    """The public key of the device, if there is one and it proves itself."""
    connect = guest.connect
    proof, client, auth = connect.device, connect.client, connect.auth
    if proof is None:
        return None
    tokens = (auth.token, auth.device_token, auth.bootstrap_token)
    claim = Claim(
        client=client.id,
        mode=client.mode,
        role=connect.role,
        scopes=connect.scopes,
        token=next((token for token in tokens if token is not None), ""),
        platform=client.platform,
        device_family=client.device_family,
    )
    try:
        return devices.check_proof(proof, claim, challenge.nonce, now)
    except ProofError as error:
        _refuse(error, failed=guest.tries)


def _with_device_token(guest: _Guest, known: Devices, locked: Locked) -> _Guest:
    """Give a guest whose shared secret does not hold the chance to show a token of its device."""
    connect, secret = guest.connect, guest.secret
    if secret.method or connect.device is None or secret.reason == "proxy_attribution_required":
        return guest
    reason = "bootstrap_token_invalid" if trimmed(connect.auth.bootstrap_token) else secret.reason
    token, explicit = _candidate(connect.auth)
    if token is None:
        return evolve(guest, second=Checked(None, reason))
    if locked.device:
        return evolve(guest, second=Checked(None, "rate_limited", locked.device))
    wrong = devices.check_token(known.paired(connect.device.id), connect.role, connect.scopes, token)
    if wrong is None:
        return evolve(guest, second=Checked("device-token"))
    if wrong == "device_token_mismatch" and not explicit:
        wrong = reason or wrong
    # What was wrong as a shared secret, and is no device token either, keeps its first reason and its time to wait.
    wait = secret.retry_after_ms if wrong == secret.reason else 0
    return evolve(guest, second=Checked(None, wrong, wait), failed=("device",))


def _candidate(auth: Credentials) -> tuple[str | None, bool]:
    """What may be a device token, and whether it was called one."""
    explicit = trimmed(auth.device_token)
    return (explicit, True) if explicit else (trimmed(auth.token) or None, False)


def _unauthorized(guest: _Guest) -> _Stop:
    auth, client, checked = guest.connect.auth, guest.connect.client, guest.verdict
    by_token = bool(auth.token) and not auth.password and not auth.device_token
    retry = checked.reason == "token_mismatch" and by_token and guest.connect.device is not None
    page = is_screen(client) or is_webchat(client) or client.id == COPILOT
    error = unauthorized(checked, page=page, retry=retry)
    return _Stop(Refused(error=error, close_reason=reason_of(error.message), failed=guest.tries))


def _paired(
    guest: _Guest, known: Devices, key: str | None, asked: tuple[str, ...], asks: Callable[[str], bool]
) -> tuple[Pairing | None, bool]:
    """What has to be approved, where that goes silently, and whether the device is one that gets a token."""
    connect, peer = guest.connect, guest.peer
    pairing: Pairing | None = None
    trusted = False
    device: Paired | None = None
    if connect.device is not None and key is not None:
        found = known.paired(connect.device.id)
        device = found if found is not None and found.public_key == key else None
        unpaired_ui = is_screen(connect.client) and connect.role == scopes.OPERATOR and guest.policy.mode == "none"
        if _is_backend(guest) or unpaired_ui:
            trusted = device is not None and _approved(device, connect.role, asked)
        else:
            trusted = True
            for reason in _lacking(device, connect, asked):
                pairing = _asked(guest, key, asked, reason, found is not None)
                if pairing.silent and asks(connect.device.id):
                    pairing = evolve(pairing, silent=False)
                if not pairing.silent:
                    raise _pairing_required(guest, pairing, device)
    client = connect.client.id if pairing else device.client if device else ""
    origin = _extension(peer) if pairing else device.origin if device else None
    if COPILOT in (client, connect.client.id) and (
        client != connect.client.id or origin is None or origin != _extension(peer)
    ):
        _refuse(GatewayError(NOT_PAIRED, "browser copilot requires a dedicated paired device identity"))
    by_proxy = guest.method == "trusted-proxy" and is_screen(connect.client)
    return pairing, trusted and not by_proxy


def _lacking(device: Paired | None, connect: Connect, asked: tuple[str, ...]) -> list[Reason]:
    """Why a device has to be approved, in the order in which it is asked."""
    if device is None:
        return ["not-paired"]
    lacking: list[Reason] = []
    client = named(connect.client)
    if device.differs(client.id, client.mode, client.platform, client.device_family):
        lacking.append("metadata-upgrade")
    if connect.role not in device.roles:
        lacking.append("role-upgrade")
    if asked and not (device.scopes and scopes.covers(connect.role, device.scopes, asked)):
        lacking.append("scope-upgrade")
    return lacking


def _approved(device: Paired, role: str, asked: tuple[str, ...]) -> bool:
    return role in device.roles and scopes.covers(role, device.scopes, asked)


def _asked(guest: _Guest, key: str, asked: tuple[str, ...], reason: Reason, known: bool) -> Pairing:
    connect, client = guest.connect, named(guest.connect.client)
    assert connect.device is not None
    own = all(scope.strip().startswith(f"{connect.role}.") for scope in asked)
    aside = (known and connect.role != scopes.OPERATOR) or scopes.debugs(asked)
    return Pairing(
        reason=reason,
        device=connect.device.id,
        public_key=key,
        role=connect.role,
        scopes=asked,
        client=client.id,
        mode=client.mode,
        display_name=client.display_name,
        platform=client.platform,
        device_family=client.device_family,
        origin=_extension(guest.peer) if client.id == COPILOT else None,
        address="" if guest.peer.loopback else guest.peer.address,
        silent=own and not aside and _vouched_for(guest, reason),
    )


def _vouched_for(guest: _Guest, reason: Reason) -> bool:
    """Whether a request from this machine is approved without asking anybody."""
    client = guest.connect.client
    page = is_screen(client) or is_webchat(client)
    direct = guest.peer.loopback
    if not (direct or _in_container(guest)) or (guest.browser and not page):
        return False
    if reason == "metadata-upgrade":
        return direct and not guest.browser and not page and client.mode == "ui" and client.id in APPS
    if not guest.policy.auto_approve_local:
        return False
    return reason != "scope-upgrade" or guest.method in ("none", "token", "password")


def _pairing_required(guest: _Guest, pairing: Pairing, device: Paired | None) -> _Stop:
    why, hint = _PAIRING[pairing.reason]
    asked = [scope.strip() for scope in pairing.scopes if scope.strip()]
    details: dict[str, Any] = {"code": "PAIRING_REQUIRED", "reason": pairing.reason, "remediationHint": hint}
    if is_screen(guest.connect.client) and pairing.role == scopes.OPERATOR:
        details |= {"recommendedNextStep": "wait_then_retry", "retryable": True, "pauseReconnect": False}
    details |= {"deviceId": pairing.device, "requestedRole": pairing.role}
    if asked:
        details["requestedScopes"] = asked
    if device is not None and device.roles:
        details["approvedRoles"] = list(device.roles)
    if device is not None and device.scopes:
        details["approvedScopes"] = list(device.scopes)
    message = f"pairing required: {why}"
    error = GatewayError(NOT_PAIRED, message, details=details)
    return _Stop(Refused(error=error, close_reason=reason_of(message), pairing=pairing))


def _check_identity_token(connect: Connect, guest: _Guest) -> None:
    """Tokens of agents that run inside are made by nobody here, so none is good."""
    if connect.auth.agent_runtime_identity_token is None:
        return
    if connect.client.id == "gateway-client" and connect.client.mode == "backend" and guest.peer.loopback:
        _refuse(invalid("invalid agent runtime identity token"))
    _refuse(invalid("an agent runtime identity token is only accepted from a local backend client"))


def _check_build(connect: Connect, peer: Peer, policy: AuthPolicy) -> None:
    """A page that this gateway served, but an older one, has to be loaded again."""
    build = trimmed(connect.client.build_id)
    if connect.client.id != CONTROL_UI or not policy.build_id or build in ("dev", policy.build_id):
        return
    if same_host(peer):
        details = {"code": "PROTOCOL_MISMATCH", "gatewayBuildId": policy.build_id, "reloadRequired": True}
        message = "protocol mismatch: this page is older than the gateway; reload it to continue"
        _refuse(GatewayError(UNAVAILABLE, message, details=details, retryable=False))


def _is_backend(guest: _Guest) -> bool:
    """Whether the gateway calls itself, from this machine."""
    client = guest.connect.client
    if client.id != "gateway-client" or client.mode != "backend" or not guest.peer.loopback or guest.browser:
        return False
    return guest.method in ("none", "device-token") or (guest.shared_ok and guest.method in ("token", "password"))


def _is_local_cli(guest: _Guest) -> bool:
    client = guest.connect.client
    local = guest.peer.loopback and not guest.browser
    return client.id == client.mode == "cli" and local and guest.method in ("token", "password")


def _in_container(guest: _Guest) -> bool:
    """A page on this machine that reaches a gateway in a container through a forwarded port."""
    client, peer = guest.connect.client, guest.peer
    if client.id != CONTROL_UI or client.mode != "webchat" or guest.secret.method not in ("token", "password"):
        return False
    parsed = parse_origin(peer.origin)
    here = parsed is not None and is_loopback(parsed[2]) and is_loopback(host_name(peer.host))
    return here and not peer.proxied and is_private(peer.remote)


def _extension(peer: Peer) -> str | None:
    origin = trimmed(peer.origin).lower().removesuffix("/")
    return origin if _EXTENSION.fullmatch(origin) else None


def _capped(asked: tuple[str, ...], peer: Peer) -> tuple[str, ...]:
    """The scopes, each once, and no more than a header of the upgrade allows."""
    wanted = dict.fromkeys(asked)
    cap = peer.headers.get("x-openclaw-scopes")
    if cap is None:
        return tuple(wanted)
    listed = {scope.strip() for scope in cap.split(",")}
    return tuple(scope for scope in wanted if scope in listed)


def _refuse(error: GatewayError, *, close_code: int = POLICY, failed: tuple[Credential, ...] = ()) -> NoReturn:
    reason = reason_of(error.message)
    raise _Stop(Refused(error=error, close_code=close_code, close_reason=reason, failed=failed))


_PAIRING: Final[Mapping[Reason, tuple[str, str]]] = {
    "not-paired": ("this device is not approved yet", "Approve this device among the pending requests."),
    "role-upgrade": ("this device is not approved for the role", "Look at the role it asks for, then approve it."),
    "scope-upgrade": ("this device is not approved for the scopes", "Look at the scopes it asks for, then approve."),
    "metadata-upgrade": ("this device has changed", "Look at what has changed, then approve the device again."),
}
