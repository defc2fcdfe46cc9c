"""Nodes as values and as clients read them: what is kept of one, and its rows (CONTRACT section 8, node.*). Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import frozen

from runtime.gateway.nodepolicy import approve_scopes

if TYPE_CHECKING:
    from runtime.gateway.devicebook import Known
    from runtime.gateway.nodebook import Live


@frozen
class Surface:
    """What a node offers: capabilities, commands, and the permissions that its system gave it."""

    caps: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    permissions: Mapping[str, bool] | None = None

    def same(self, other: "Surface") -> bool:
        """Whether two surfaces offer the same, in whatever order."""
        lists = set(self.caps) == set(other.caps) and set(self.commands) == set(other.commands)
        return lists and dict(self.permissions or {}) == dict(other.permissions or {})

    def beyond(self, approved: "Surface") -> bool:
        """Whether this offers anything that was not approved."""
        given = approved.permissions or {}
        more = any(value and not given.get(name) for name, value in (self.permissions or {}).items())
        return more or not (set(self.caps) <= set(approved.caps) and set(self.commands) <= set(approved.commands))

    def shared(self, said: Mapping[str, bool] | None) -> Mapping[str, bool] | None:
        """Return the permissions that a node has and that were approved of it."""
        given = self.permissions or {}
        both = {name: value and given[name] for name, value in (said or {}).items() if not value or name in given}
        return both or None


@frozen(kw_only=True)
class Wish:
    """What a node declared and nobody has approved yet. `silent` where its device was paired without asking anybody."""

    id: str
    revision: str
    surface: Surface
    at: int
    silent: bool = False
    display: str | None = None
    version: str | None = None
    platform: str | None = None
    family: str | None = None
    model: str | None = None
    client: str | None = None
    mode: str | None = None


@frozen
class Node:
    """What is kept of a node besides its device. Times in milliseconds since 1970, 0 for never."""

    approved: Surface | None = None
    wish: Wish | None = None
    display: str | None = None
    version: str | None = None
    model: str | None = None
    created: int = 0
    approved_at: int = 0
    connected: int = 0
    disconnected: int = 0


def permissions(said: Mapping[str, bool] | None) -> Mapping[str, bool] | None:
    """Return permissions in the order of their names, or None where there are none."""
    return dict(sorted(said.items())) if said else None


def wished(name: str, wish: Wish, known: "Known | None") -> dict[str, Any]:
    """Return a request: an item of `pending` in node.pair.list, and the payload of node.pair.requested."""
    paired = known.paired if known is not None else None
    return _said(
        requestId=wish.id,
        nodeId=name,
        clientId=wish.client or (paired.client if paired is not None else None),
        clientMode=wish.mode or (known.mode if known is not None else None),
        displayName=wish.display or (known.display if known is not None else None),
        platform=wish.platform,
        version=wish.version,
        deviceFamily=wish.family,
        modelIdentifier=wish.model,
        caps=list(wish.surface.caps),
        commands=list(wish.surface.commands),
        requiredApproveScopes=list(approve_scopes(wish.surface.commands)),
        permissions=wish.surface.permissions,
        remoteIp=(known.address or None) if known is not None else None,
        silent=wish.silent or None,
        ts=wish.at,
    )


def waiting(wish: Wish) -> dict[str, Any]:
    """Return a request as device.pair.list shows it: `pendingNodeSurface`."""
    return _said(
        requestId=wish.id,
        revision=wish.revision,
        displayName=wish.display,
        platform=wish.platform,
        version=wish.version,
        deviceFamily=wish.family,
        modelIdentifier=wish.model,
        caps=list(wish.surface.caps),
        commands=list(wish.surface.commands),
        permissions=wish.surface.permissions,
        silent=wish.silent or None,
        ts=wish.at,
    )


def approved(node: Node) -> dict[str, Any]:
    """Return what was approved as device.pair.list shows it: `nodeSurface`."""
    assert node.approved is not None
    return _said(
        displayName=node.display,
        version=node.version,
        modelIdentifier=node.model,
        caps=list(node.approved.caps),
        commands=list(node.approved.commands),
        permissions=node.approved.permissions,
        createdAtMs=node.created,
        approvedAtMs=node.approved_at,
        lastConnectedAtMs=node.connected or None,
        lastDisconnectedAtMs=node.disconnected or None,
    )


def paired(name: str, node: Node, known: "Known | None") -> dict[str, Any]:
    """Return an approved node: an item of `paired` in node.pair.list, and `node` in the answer of node.pair.approve."""
    device = known.paired if known is not None else None
    return _said(
        nodeId=name,
        clientId=device.client if device is not None else None,
        clientMode=known.mode if known is not None else None,
        platform=device.platform if device is not None else None,
        deviceFamily=device.device_family if device is not None else None,
        remoteIp=(known.address or None) if known is not None else None,
        **approved(node)
        | {"displayName": node.display or (known.display if known is not None else None)}
        | _seen(known),
    )


def row(name: str, known: "Known | None", node: Node, live: "Live | None", surface: Surface | None) -> dict[str, Any]:
    """Return a node as node.list and node.describe show it. `surface` is what a connected one may be asked for."""
    device, client, wish = known.paired if known is not None else None, live.client if live else None, node.wish
    offered = surface or node.approved or Surface()
    shown = _said(
        nodeId=name,
        displayName=_first(node.display, client and client.display_name, known and known.display),
        platform=_first(client and client.platform, device and device.platform, wish and wish.platform),
        version=_first(client and client.version, node.version, wish and wish.version),
        clientId=_first(client and client.id, device and device.client, wish and wish.client),
        clientMode=_first(client and client.mode, known and known.mode, wish and wish.mode),
        deviceFamily=_first(client and client.device_family, device and device.device_family, wish and wish.family),
        modelIdentifier=_first(client and client.model_identifier, node.model, wish and wish.model),
        remoteIp=_first(known and known.address),
        caps=sorted(offered.caps),
        commands=sorted(offered.commands),
        sessionHost=False,
        nodePluginTools=[] if live is not None else None,
        hostStats=live.stats if live is not None else None,
        pathEnv=live.path if live is not None else None,
        permissions=offered.permissions,
        approvalState=_state(node),
    )
    if wish is not None:
        shown |= _said(
            pendingRequestId=wish.id,
            pendingDeclaredCaps=sorted(wish.surface.caps),
            pendingDeclaredCommands=sorted(wish.surface.commands),
            pendingDeclaredPermissions=wish.surface.permissions,
        )
    return shown | _times(known, node, live) | {"paired": known is not None, "connected": live is not None}


def _times(known: "Known | None", node: Node, live: "Live | None") -> dict[str, Any]:
    seen = [(live.since, "connect")] if live is not None else []
    seen += [(node.connected, "connect")] if node.connected else []
    seen += [(known.seen, known.reason or "connect")] if known is not None and known.seen else []
    at, why = max(seen, key=lambda one: one[0], default=(None, None))
    return _said(
        connectedAtMs=live.since if live is not None else None,
        lastConnectedAtMs=max(node.connected, live.since if live is not None else 0) or None,
        lastDisconnectedAtMs=(node.disconnected or None) if live is None else None,
        lastActiveAtMs=live.active if live is not None else None,
        presenceUpdatedAtMs=live.observed if live is not None and live.active is not None else None,
        lastSeenAtMs=at,
        lastSeenReason=why,
        approvedAtMs=node.approved_at or (known.approved if known is not None else None),
    )


def _state(node: Node) -> str:
    if node.wish is not None:
        return "pending-approval" if node.approved is None else "pending-reapproval"
    return "unapproved" if node.approved is None else "approved"


def _seen(known: "Known | None") -> dict[str, Any]:
    if known is None or not known.seen:
        return {}
    return {"lastSeenAtMs": known.seen, "lastSeenReason": known.reason or "connect"}


def _first(*texts: object) -> str | None:
    """The first text that says something."""
    return next((text for text in texts if isinstance(text, str) and text), None)


def _said(**members: Any) -> dict[str, Any]:
    """The members that have a value."""
    return {name: value for name, value in members.items() if value is not None}
