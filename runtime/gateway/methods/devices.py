"""device.pair.*, device.token.*: which devices may connect, and what their tokens are worth (CONTRACT section 3).

A device whose token is replaced or revoked, or that is removed, is disconnected with 4001 at once. Somebody who came
with the token of a device and is no administrator manages that device and no other, and no role but `operator`.
"""

from base64 import urlsafe_b64encode
from typing import Annotated, Any, Final

from attrs import frozen

from runtime.gateway import rows
from runtime.gateway.devicebook import Denied, Known, MissingScope
from runtime.gateway.frames import GatewayError, invalid
from runtime.gateway.keeping import kept
from runtime.gateway.nodebook import NodeBook, pairers
from runtime.gateway.params import Length, Text
from runtime.gateway.registry import Call, Method
from runtime.gateway.scopes import ADMIN, NODE, OPERATOR, allowed, debugs

REMOVED: Final = (4001, "device removed")
TOKEN_BYTES: Final = 32


@frozen(kw_only=True)
class RequestParams:
    """Params that name a request."""

    request_id: Text


@frozen(kw_only=True)
class DeviceParams:
    """Params of device.pair.remove."""

    device_id: Text


@frozen(kw_only=True)
class RenameParams:
    """Params of device.pair.rename."""

    device_id: Text
    label: Annotated[str, Length(1, 64)]


@frozen(kw_only=True)
class RotateParams:
    """Params of device.token.rotate."""

    device_id: Text
    role: Text
    scopes: tuple[Text, ...] | None = None


@frozen(kw_only=True)
class RevokeParams:
    """Params of device.token.revoke."""

    device_id: Text
    role: Text


@frozen
class Authority:
    """Who manages devices. `device` is the one whose token the caller came with, if any."""

    device: str | None
    admin: bool

    @classmethod
    def of(cls, call: Call) -> "Authority":
        """Return the authority of a call; one from inside has all of it."""
        accepted = call.caller.accepted if call.caller is not None else None
        own = accepted.device if accepted is not None and accepted.auth_method == "device-token" else None
        return cls(own, allowed(call.scopes, ADMIN))

    def other(self, device: str) -> bool:
        """Whether this is a device that the caller may not manage."""
        return self.device is not None and self.device != device and not self.admin

    def beyond(self, known: Known | None) -> bool:
        """Whether the caller's own device has roles that only an administrator manages."""
        roles = {*known.paired.roles, *known.paired.tokens} if known is not None else set()
        return self.device is not None and not self.admin and bool(roles - {OPERATOR})


def denied(call: Call, what: str, device: str, why: str) -> GatewayError:
    """Return the error for what the caller may not do; the reason is for the log only."""
    call.desk.log("warning", f"{what} denied: device={device} reason={why}")
    return invalid(f"{what} denied")


# --- requests


async def listed(call: Call) -> Any:
    """Return the requests that wait and the devices that are paired."""
    desk, authority = call.desk, Authority.of(call)
    book = desk.devices
    nodes: NodeBook | None = desk.extras.get("nodes")
    hidden = [one.asked.device for one in book.requests() if authority.other(one.asked.device)]
    hidden += [device for device in book.shelf.items if authority.other(device)]
    connected = {one.accepted.device for one in desk.connections.values() if one.accepted is not None}
    paired = [
        rows.device(known, nodes.shelf.items.get(name) if nodes is not None else None)
        | {"connected": name in connected}
        for name, known in sorted(book.shelf.items.items(), key=lambda item: item[1].approved, reverse=True)
        if name not in hidden
    ]
    return {
        "pending": [rows.pairing(one) for one in book.requests() if one.asked.device not in hidden],
        "paired": paired,
    }


async def approve(call: Call) -> Any:
    """Approve a device for what it asks."""
    desk, authority = call.desk, Authority.of(call)
    name = call.params.request_id.strip()
    request = desk.devices.request(name)
    what = "device pairing approval"
    if request is None:
        raise invalid("unknown requestId") if authority.admin else denied(call, what, "?", "unknown request")
    device = request.asked.device
    if authority.other(device):
        raise denied(call, what, device, "device-ownership-mismatch")
    if not authority.admin and set(request.roles) - {OPERATOR}:
        raise denied(call, what, device, "role-management-requires-admin")
    if debugs(request.asked.scopes):  # a tool of an agent that knows the secret must not let anybody in
        await desk.part("debugging").vouch(call.caller)
    again = NODE in request.roles and device in desk.devices.shelf.items
    try:
        known, ticket = desk.devices.grant(request, call.scopes)
    except Denied as exc:
        raise invalid(str(exc)) from exc
    if again:  # the node's token was replaced; it comes back for a new one
        dismiss(call, device, NODE)
    await kept(desk.dispatcher.journal, ticket)
    desk.log("info", f"device paired: device={device} roles={','.join(known.paired.roles)}")
    resolved(call, name, device, "approved")
    return {"requestId": name, "device": rows.device(known)}


async def reject(call: Call) -> Any:
    """Turn a device down."""
    desk, authority = call.desk, Authority.of(call)
    name = call.params.request_id.strip()
    request = desk.devices.request(name)
    what = "device pairing rejection"
    if request is None:
        limited = authority.device is not None and not authority.admin
        raise denied(call, what, "?", "unknown request") if limited else invalid("unknown requestId")
    if authority.other(request.asked.device):
        raise denied(call, what, request.asked.device, "device-ownership-mismatch")
    desk.devices.reject(name)
    resolved(call, name, request.asked.device, "rejected")
    return {"requestId": name, "deviceId": request.asked.device}


def resolved(call: Call, request: str, device: str, decision: str) -> None:
    """Tell that a request was decided."""
    told = {"requestId": request, "deviceId": device, "decision": decision, "ts": call.desk.clock.wall()}
    call.desk.hub.tell("device.pair.resolved", told, pairers)


# --- devices


async def remove(call: Call) -> Any:
    """Forget a device."""
    device = _managed(call, call.params.device_id, "device pairing removal")
    ticket = call.desk.devices.remove(device)
    if ticket is None:
        raise invalid("unknown deviceId")
    own = dismiss(call, device)
    nodes: NodeBook | None = call.desk.extras.get("nodes")
    if nodes is not None:
        ticket = max(ticket, nodes.forget(device))
    await kept(call.desk.dispatcher.journal, ticket)
    call.desk.log("info", f"device removed: device={device}")
    return farewell(call, {"deviceId": device}, own=own)


async def rename(call: Call) -> Any:
    """Give a device a name of the operator's."""
    label = call.params.label.strip()
    if not label:
        raise invalid("label required")
    device = _managed(call, call.params.device_id, "device pairing rename")
    ticket = call.desk.devices.rename(device, label)
    if ticket is None:
        raise invalid("unknown deviceId")
    await kept(call.desk.dispatcher.journal, ticket)
    call.desk.hub.tell("device.pair.changed", {}, pairers)
    return {"deviceId": device, "label": label}


def _managed(call: Call, given: str, what: str) -> str:
    """Return the device that a call is about. Raises GatewayError where the caller may not manage it."""
    device, authority = given.strip(), Authority.of(call)
    if authority.other(device):
        raise denied(call, what, device, "device-ownership-mismatch")
    if authority.beyond(call.desk.devices.shelf.items.get(device)):
        raise denied(call, what, device, "role-management-requires-admin")
    return device


# --- tokens


async def rotate(call: Call) -> Any:
    """Replace the tokens of a role by a new one. Only the device itself is told the new one."""
    desk, params = call.desk, call.params
    device, role, held = _token(call, "device token rotation")
    token = urlsafe_b64encode(desk.random(TOKEN_BYTES)).rstrip(b"=").decode()
    try:
        entry, ticket = desk.devices.rotate(device, role, params.scopes, held, token)
    except Denied as exc:
        raise denied(call, "device token rotation", device, str(exc)) from exc
    own = dismiss(call, device, role)
    await kept(desk.dispatcher.journal, ticket)
    desk.log("info", f"device token rotated: device={device} role={role}")
    itself = Authority.of(call).device == device
    answer = {"deviceId": params.device_id, "role": role, "scopes": list(entry.scopes), "rotatedAtMs": entry.issued_at}
    answer |= {"token": token, "tokenDelivery": "in-band"} if itself else {"tokenDelivery": "withheld-cross-device"}
    return farewell(call, answer, own=own)


async def revoke(call: Call) -> Any:
    """Make the tokens of a role worthless; the device has to be approved for it again."""
    desk = call.desk
    device, role, held = _token(call, "device token revocation")
    try:
        at, ticket = desk.devices.revoke(device, role, held)
    except Denied as exc:
        raise denied(call, "device token revocation", device, str(exc)) from exc
    own = dismiss(call, device, role)
    nodes: NodeBook | None = desk.extras.get("nodes")
    if role == NODE and nodes is not None:
        nodes.work.forget(device)
    await kept(desk.dispatcher.journal, ticket)
    desk.log("info", f"device token revoked: device={device} role={role}")
    return farewell(call, {"deviceId": device, "role": role, "revokedAtMs": at}, own=own)


def _token(call: Call, what: str) -> tuple[str, str, frozenset[str] | None]:
    """Return the device, the role and the scopes that bound a token of it; None where nothing does."""
    device, role, authority = call.params.device_id.strip(), call.params.role.strip(), Authority.of(call)
    if authority.other(device):
        raise denied(call, what, device, "device-ownership-mismatch")
    if role != OPERATOR and not authority.admin:
        raise denied(call, what, device, "role-management-requires-admin")
    return device, role, call.scopes if role == OPERATOR else None


# --- connections


def dismiss(call: Call, device: str, role: str = "") -> bool:
    """Disconnect a device, in one role or in all; returns whether the caller is that device itself.

    The caller still gets its answer, and nothing else: what it says meanwhile is refused.
    """
    nodes: NodeBook | None = call.desk.extras.get("nodes")
    own = False
    for link in tuple(call.desk.connections.values()):
        if link.accepted is None or link.accepted.device != device or (role and link.role != role):
            continue
        link.scopes = frozenset()
        if nodes is not None:
            nodes.gone(link)
        if link is call.caller:
            own = True
        else:
            link.close(*REMOVED)
    return own


def farewell(call: Call, answer: Any, *, own: bool) -> Any:
    """Return the answer; a caller that has to go gets it now, because nothing is sent after a close."""
    if own and call.caller is not None:
        call.first(answer)
        call.caller.close(*REMOVED)
    return answer


METHODS: Final = [
    Method("device.pair.list", listed),
    Method("device.pair.approve", approve, RequestParams),
    Method("device.pair.reject", reject, RequestParams),
    Method("device.pair.remove", remove, DeviceParams),
    Method("device.pair.rename", rename, RenameParams),
    Method("device.token.rotate", rotate, RotateParams),
    Method("device.token.revoke", revoke, RevokeParams),
]

__all__ = ["METHODS", "Authority", "MissingScope", "denied", "dismiss", "farewell"]
