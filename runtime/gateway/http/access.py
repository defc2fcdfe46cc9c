"""Who may use a route: the shared secret, a proxy's word, or a device's token, and the scopes that go with it.

Source: CONTRACT sections 10 and 11, traces/http. Rules: a credential comes in the header Authorization and nowhere
else; a holder of the shared secret is the owner, whatever scopes it declares; a page of another origin gets nothing
where no secret is asked for; a device's token opens pages for reading, not the interfaces that start something; who
fails too often waits. Decides nothing about what a route then does.
"""

from math import ceil
from typing import TYPE_CHECKING, Any, Final

import trio
from attrs import define, frozen

from runtime.gateway import scopes
from runtime.gateway.auth import Limiter, check_shared
from runtime.gateway.devices import matches
from runtime.gateway.frames import GatewayError, missing_scope
from runtime.gateway.http.schema import Schema, complaint
from runtime.gateway.http.wire import Answer, Halt, Incoming, as_json, decoded, problem, refuse
from runtime.gateway.peers import Peer, attribute, check_origin, trimmed

if TYPE_CHECKING:
    from runtime.gateway.desk import Desk
    from runtime.gateway.http.app import Surface

OWNER: Final = frozenset(
    {scopes.ADMIN, scopes.APPROVALS, scopes.PAIRING, scopes.READ, scopes.TALK_SECRETS, scopes.WRITE}
)
"""What a caller has who proves the shared secret, or who declares nothing where none is asked for."""
UNAUTHORIZED: Final = problem(401, "Unauthorized", "unauthorized")
UNATTRIBUTED: Final = problem(
    403,
    "The request came through a proxy that gateway.trustedProxies does not name, or that does not say for whom.",
    "proxy_attribution_required",
)


@frozen
class Caller:
    """Who asks. `method` is how it was proven, `user` the name that a proxy vouches for."""

    method: str
    scopes: frozenset[str]
    user: str = ""


@define(eq=False)
class Visit:
    """One request on its way through a route. `rest` is what stood in the path where the route has a gap."""

    surface: "Surface"
    incoming: Incoming
    caller: Caller
    rest: str = ""

    @property
    def desk(self) -> "Desk":
        """The gateway."""
        return self.surface.desk

    @property
    def settings(self) -> Any:
        """The settings as they are now: a reload counts from the next request on."""
        return self.surface.settings

    async def json(self, schema: Schema, most: int) -> dict[str, Any]:
        """The body, an object that fits the schema. Raises Halt."""
        try:
            value = decoded(await self.incoming.body(most))
        except ValueError as exc:
            refuse(str(exc))
        why = complaint(schema, value)
        if why is not None:
            refuse(why)
        return dict(value)


def peer_of(desk: "Desk", incoming: Incoming) -> Peer:
    """Where a request comes from. Raises Halt where headers claim a proxy that nobody vouches for."""
    policy = desk.policy
    peer = attribute(
        incoming.remote, incoming.headers, policy.trusted_proxies, real_ip_fallback=policy.real_ip_fallback
    )
    if peer is None:
        raise Halt(UNATTRIBUTED)
    return peer


async def admit(desk: "Desk", incoming: Incoming, *, devices: bool = False) -> Caller:
    """Return who asks. Raises Halt: 401, 403 behind an unknown proxy, 429 after too many attempts."""
    policy, now = desk.policy, desk.clock.wall()
    peer = peer_of(desk, incoming)
    ambient = policy.mode in ("none", "trusted-proxy")
    if ambient and trimmed(peer.origin) and _foreign(desk, peer):
        raise Halt(UNAUTHORIZED)
    token = incoming.bearer
    locked = desk.limiter.locked("shared", peer, now)
    checked = check_shared(policy, peer, token, token, locked)
    if checked.method is not None:
        desk.limiter.passed("shared", peer)
        declared = incoming.headers.get("x-openclaw-scopes") if checked.method in ("none", "trusted-proxy") else None
        granted = OWNER if declared is None else {one.strip() for one in declared.split(",")} & scopes.SCOPES
        return Caller(checked.method, scopes.effective(granted), checked.user)
    if checked.reason == "rate_limited":
        raise Halt(too_often(checked.retry_after_ms))
    device = _device(desk, peer, token, now) if devices and token and not ambient else None
    if device is not None:
        return device
    await _failed(desk, peer, checked.reason, now, device=devices)
    raise Halt(UNAUTHORIZED)


def proven(desk: "Desk", incoming: Incoming) -> bool:
    """Whether a request has the shared secret, or comes from this machine without a proxy. Counts no attempt."""
    peer = peer_of(desk, incoming)
    token = incoming.bearer
    locked = desk.limiter.locked("shared", peer, desk.clock.wall())
    return peer.loopback or check_shared(desk.policy, peer, token, token, locked).method is not None


def demand(caller: Caller, scope: str) -> None:
    """Raise Halt where a caller lacks a scope."""
    if not scopes.allowed(caller.scopes, scope):
        raise Halt(lacking(missing_scope(scope)))


def lacking(error: GatewayError) -> Answer:
    """The refusal of a caller that lacks a scope (CONTRACT section 4, as it stands on HTTP)."""
    told = {"type": "forbidden", "message": error.message, "details": error.details}
    return as_json({"ok": False, "error": told}, 403)


def too_often(wait_ms: int) -> Answer:
    """The refusal of a peer that has to wait."""
    wait = ("retry-after", str(max(1, ceil(wait_ms / 1000))))
    return problem(429, "Too many failed attempts. Wait, then try again.", "rate_limited", wait)


def _foreign(desk: "Desk", peer: Peer) -> bool:
    policy = desk.policy
    return check_origin(peer, policy.allowed_origins, host_fallback=policy.host_origin_fallback) is not None


def _device(desk: "Desk", peer: Peer, token: str, now: int) -> Caller | None:
    """The caller whom a paired device's token stands for. Raises Halt where this was tried too often."""
    wait = desk.limiter.locked("device", peer, now)
    if wait:
        raise Halt(too_often(wait))
    for known in desk.devices.shelf.items.values():
        entry = known.paired.tokens.get(scopes.OPERATOR)
        if entry is not None and not entry.revoked and matches(token, entry.digests):
            if not scopes.covers(scopes.OPERATOR, known.paired.scopes, entry.scopes):
                return None
            desk.limiter.passed("device", peer)
            return Caller("device-token", scopes.effective(entry.scopes))
    return None


async def _failed(desk: "Desk", peer: Peer, reason: str, now: int, *, device: bool) -> None:
    """Count a wrong secret. The answer to one from this machine is late instead."""
    if not reason.endswith("_mismatch"):
        return
    limiter: Limiter = desk.limiter
    wait = limiter.failed("shared", peer, now)
    if device:
        wait = max(wait, limiter.failed("device", peer, now))
    if wait:
        await trio.sleep(wait / 1000)
