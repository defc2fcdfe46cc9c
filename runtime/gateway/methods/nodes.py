"""node.*: which nodes there are, what is approved of them, and commands for them (CONTRACT sections 7 and 8).

Two sides: operators list, approve and invoke; a node answers, reports events and takes the work that waits for it. A
method of the node's side needs the connection that counts as that node's.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from attrs import frozen

from runtime.gateway import nodepolicy as policy
from runtime.gateway.devicebook import MissingScope
from runtime.gateway.frames import GatewayError, invalid, missing_scope, unavailable
from runtime.gateway.invocations import NOTHING, Asked, Outcome, written
from runtime.gateway.keeping import kept
from runtime.gateway.methods.devices import Authority, denied, dismiss, farewell
from runtime.gateway.nodebook import Live, NodeBook, pairing_changed
from runtime.gateway.nodeevents import parsed, report_of
from runtime.gateway.noderuns import COMMAND
from runtime.gateway.params import ABSENT, NULL, Absent, Items, Least, Length, Most, Nullable, Pattern, Text, Wire
from runtime.gateway.registry import Call, Method
from runtime.gateway.scopes import ADMIN, APPROVALS, NODE, PAIRING, allowed

CHUNK_BYTES: Final = 16_384
SKILLS: Final = 64
SKILLS_BYTES: Final = 524_288
_NOT_FORWARDED: Final = {
    **dict.fromkeys(policy.PRIVATE, "private controls of a node cannot be invoked"),
    "system.execApprovals.get": "the exec approvals of a node cannot be read with node.invoke",
    "system.execApprovals.set": "the exec approvals of a node cannot be written with node.invoke",
    policy.CLAUDE: "agent runs of a node cannot be invoked",
}
_LASTING: Final = frozenset({("POST", "/profiles/create"), ("POST", "/reset-profile")})
"""What browser.proxy may not be told: it would change the profiles of a person's browser."""
_FOREGROUND: Final = ("camera.", "screen.", "talk.", "canvas.")
"""Commands that a phone may refuse while its app is not shown."""


@frozen(kw_only=True)
class RequestParams:
    """Params that name a request."""

    request_id: Text


@frozen(kw_only=True)
class NodeParams:
    """Params that name a node."""

    node_id: Text


@frozen(kw_only=True)
class RenameParams:
    """Params of node.rename."""

    node_id: Text
    display_name: Text


@frozen(kw_only=True)
class InvokeParams:
    """Params of node.invoke. What is said of a turn's source is for channels and not looked at."""

    node_id: Text
    command: Text
    params: Any = NOTHING
    timeout_ms: Annotated[int, Least(0)] | None = None
    idempotency_key: Text
    session_key: Text | None = None
    turn_source_channel: str | None = None
    turn_source_to: str | None = None
    turn_source_account_id: str | None = None
    turn_source_thread_id: str | float | None = None


@frozen(kw_only=True)
class Fault:
    """`error` of a result."""

    code: Text | None = None
    message: Text | None = None


@frozen(kw_only=True)
class ResultParams:
    """Params of node.invoke.result. A `payloadJSON` that is no text is taken as `payload`."""

    id: Text
    node_id: Text
    ok: bool
    payload: Any = NOTHING
    payload_json: Annotated[Any, NULL, Wire("payloadJSON")] = None
    error: Nullable[Fault] = None


@frozen(kw_only=True)
class ProgressParams:
    """Params of node.invoke.progress."""

    invoke_id: Text
    node_id: Text
    seq: Annotated[int, Least(0)]
    chunk: Annotated[str, Length(0, CHUNK_BYTES)]


@frozen(kw_only=True)
class EventParams:
    """Params of node.event."""

    event: Text
    payload: Any = None
    payload_json: Annotated[str | None, Wire("payloadJSON")] = None


@frozen(kw_only=True)
class EnqueueParams:
    """Params of node.pending.enqueue."""

    node_id: Text
    type: Literal["status.request", "location.request"]
    priority: Literal["normal", "high"] | None = None
    expires_in_ms: Annotated[int, Least(1000), Most(86_400_000)] | None = None
    wake: bool | None = None


@frozen(kw_only=True)
class DrainParams:
    """Params of node.pending.drain."""

    max_items: Annotated[int, Least(1), Most(10)] | None = None


@frozen(kw_only=True)
class AckParams:
    """Params of node.pending.ack."""

    ids: Annotated[tuple[Text, ...], Items(1)]


@frozen(kw_only=True)
class Skill:
    """A skill of a node."""

    name: Annotated[str, Length(1, 64), Pattern(r"^(?!.*--)[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$")]
    description: Annotated[str, Length(1, 1024)]
    content: Annotated[str, Length(1, 65_536)]


@frozen(kw_only=True)
class SkillsParams:
    """Params of node.skills.update."""

    skills: tuple[Skill, ...]


@frozen(kw_only=True)
class SurfaceParams:
    """Params of node.pluginSurface.refresh and plugin.surface.refresh."""

    surface: str | Absent | None = ABSENT
    observed_url: str | Absent | None = ABSENT


def nodes_of(call: Call) -> NodeBook:
    """Return the nodes of the gateway."""
    found: NodeBook = call.desk.part("nodes")
    return found


# --- pairing


async def pair_list(call: Call) -> Any:
    """Return what waits for approval, and the nodes of which something was approved."""
    authority = Authority.of(call)
    pending, paired = nodes_of(call).pairings()
    return {
        "pending": [row for row in pending if not authority.other(row["nodeId"])],
        "paired": [row for row in paired if not authority.other(row["nodeId"])],
    }


async def pair_approve(call: Call) -> Any:
    """Approve what a node declared; it may be asked for it at once."""
    book, name = nodes_of(call), call.params.request_id
    _check_owner(call, name, "node pairing approval")
    try:
        approved = book.approve(name, call.scopes)
    except MissingScope as exc:
        raise missing_scope(exc.scope, tuple(dict.fromkeys((PAIRING, exc.scope)))) from exc
    if approved is None:
        raise invalid("unknown requestId")
    row, ticket = approved
    await kept(call.desk.dispatcher.journal, ticket)
    return {"requestId": name, "node": row}


async def pair_reject(call: Call) -> Any:
    """Turn down what a node declared."""
    name = call.params.request_id
    _check_owner(call, name, "node pairing rejection")
    rejected = nodes_of(call).reject(name)
    if rejected is None:
        raise invalid("unknown requestId")
    node, ticket = rejected
    await kept(call.desk.dispatcher.journal, ticket)
    return {"requestId": name, "nodeId": node}


def _check_owner(call: Call, request: str, what: str) -> None:
    found, authority = nodes_of(call).waiting(request), Authority.of(call)
    if found is None:
        if authority.other(""):
            raise denied(call, what, "?", "unknown request")
    elif authority.other(found[0]):
        raise denied(call, what, found[0], "device-ownership-mismatch")


async def pair_remove(call: Call) -> Any:
    """Take the role of a node from a device."""
    book, node, authority = nodes_of(call), call.params.node_id.strip(), Authority.of(call)
    devices, what = call.desk.devices, "node pairing removal"
    known = devices.shelf.items.get(node)
    if known is None or NODE not in known.paired.roles:
        raise invalid("unknown nodeId")
    if authority.other(node):
        raise denied(call, what, node, "device-ownership-mismatch")
    if authority.beyond(known):
        raise denied(call, what, node, "role-management-requires-admin")
    ticket = devices.remove_role(node, NODE) or 0
    own = dismiss(call, node, NODE)
    ticket = max(ticket, book.forget(node))
    await kept(call.desk.dispatcher.journal, ticket)
    book.removed(node)
    return farewell(call, {"nodeId": node}, own=own)


async def rename(call: Call) -> Any:
    """Give a node a name."""
    node, name, authority = call.params.node_id.strip(), call.params.display_name.strip(), Authority.of(call)
    if authority.other(node):
        raise denied(call, "node rename", node, "device-ownership-mismatch")
    if not name:
        raise invalid("displayName required")
    ticket = nodes_of(call).rename(node, name)
    if ticket is None:
        raise invalid("unknown nodeId")
    await kept(call.desk.dispatcher.journal, ticket)
    return {"nodeId": node, "displayName": name}


# --- lists


async def listed(call: Call) -> Any:
    """Return all nodes."""
    book = nodes_of(call)
    active = book.active()
    answer = {"ts": call.desk.clock.wall(), "nodes": book.rows(whole=_pairs(call), device=_device(call))}
    return answer | ({"activeNodeId": active} if active is not None else {})


async def describe(call: Call) -> Any:
    """Return one node."""
    node = call.params.node_id.strip()
    if not node:
        raise invalid("nodeId required")
    row = nodes_of(call).row(node, whole=_pairs(call), device=_device(call))
    if row is None:
        raise invalid("unknown nodeId")
    return {"ts": call.desk.clock.wall(), **row}


def _pairs(call: Call) -> bool:
    return allowed(call.scopes, PAIRING)


def _device(call: Call) -> str | None:
    accepted = call.caller.accepted if call.caller is not None else None
    return accepted.device if accepted is not None else None


# --- commands


async def invoke(call: Call) -> Any:
    """Ask a node for a command and wait for what comes of it."""
    desk, params, book = call.desk, call.params, nodes_of(call)
    node, command = params.node_id.strip(), params.command.strip()
    if not node or not command:
        raise invalid("nodeId and command required")
    _check_forwarded(call, command)
    book.current(node)
    live = book.live.get(node)
    if live is None:
        fault = {"code": "NOT_CONNECTED", "message": "node not connected"}
        details = {"code": "NOT_CONNECTED", "nodeError": fault, "nodeCommandDispatched": False}
        raise unavailable("node not connected", details=details)
    book.check(live, command)
    given = params.params
    if command == COMMAND:
        reviewer = allowed(call.scopes, APPROVALS)
        given = book.runs.forwarded(given, node, desk.clock.wall(), reviewer=reviewer)
    session = params.session_key.strip() if params.session_key else None
    asked = Asked(node, command, given, params.idempotency_key, session)
    outcome = await book.invocations.ask(live.link, asked, params.timeout_ms)
    book.current(node)  # who was removed meanwhile has answered for somebody that is not there any more
    if not outcome.ok:
        raise _failed(book, live, asked, outcome)
    return {"ok": True, "nodeId": node, "command": command, **_payload(outcome)}


def _check_forwarded(call: Call, command: str) -> None:
    """Refuse what no operator may have a node do in this way."""
    refused = _NOT_FORWARDED.get(command)
    if refused is not None:
        raise invalid(refused, {"command": command})
    given = call.params.params
    if command in policy.BROWSER and isinstance(given, Mapping):
        method, path = (str(given.get(name) or "").strip() for name in ("method", "path"))
        method, path = method.upper(), "/" + path.strip("/")
        single = method == "DELETE" and path.startswith("/profiles/") and path.count("/") == 2
        if single or (method, path) in _LASTING:
            raise invalid(f"{command} may not change the profiles of a browser", {"command": command})
    if command in policy.ADMIN_ONLY and not allowed(call.scopes, ADMIN):
        raise missing_scope(ADMIN, (ADMIN,))


def _failed(book: NodeBook, live: Live, asked: Asked, outcome: Outcome) -> GatewayError:
    """Return the error for a command that failed. What a phone cannot do in the background waits until it can."""
    said = dict(outcome.error) if outcome.error is not None else None
    code, message = outcome.code, str((said or {}).get("message") or "").strip() or "node invoke failed"
    phone = policy.platform_of(live.client.platform, live.client.device_family) == "ios"
    hidden = code.upper() == "NODE_BACKGROUND_UNAVAILABLE" or "BACKGROUND_UNAVAILABLE" in message.upper()
    if phone and hidden and asked.command.startswith(_FOREGROUND):
        action = book.work.defer(live.id, asked.command, written(asked.params), asked.key or "")
        details = {
            "code": "QUEUED_UNTIL_FOREGROUND",
            "queuedActionId": action.id,
            "nodeId": live.id,
            "command": asked.command,
            "nodeError": said,
        }
        text = "the command waits until the app of this node is opened"
        return GatewayError("UNAVAILABLE", text, details=details, retryable=True)
    text = f"{code}: {message}" if code else message
    return unavailable(text, details={"nodeError": said, "nodeCommandDispatched": True})


def _payload(outcome: Outcome) -> dict[str, Any]:
    if outcome.payload_json:
        try:
            payload = parsed(outcome.payload_json)
        except ValueError:
            payload = {"payloadJSON": outcome.payload_json}
        return {"payload": payload, "payloadJSON": outcome.payload_json}
    said = {} if outcome.payload is NOTHING else {"payload": outcome.payload}
    return said | {"payloadJSON": outcome.payload_json}


async def result(call: Call) -> Any:
    """Take the result of a command from the node that was asked."""
    params, book = call.params, nodes_of(call)
    link = _same_node(call, params.node_id)
    payload, text = params.payload, params.payload_json
    if text is not None and not isinstance(text, str):
        payload, text = text if payload is NOTHING else payload, None
    fault = params.error
    error = None
    if fault is not None:
        said = {"code": fault.code, "message": fault.message}
        error = {name: value for name, value in said.items() if value is not None}
    taken = book.invocations.result(params.id, link, Outcome(params.ok, payload, text, error))
    return {"ok": True} if taken else {"ok": True, "ignored": True}


async def progress(call: Call) -> Any:
    """Take a sign that a command has begun. There is nobody who hears of it, and the node is told so."""
    params = call.params
    link = _same_node(call, params.node_id)
    if len(params.chunk.encode("utf-8", "replace")) > CHUNK_BYTES:
        raise invalid("progress chunk too large")
    nodes_of(call).invocations.progress(params.invoke_id, link)
    return {"ok": True, "ignored": True}


def _same_node(call: Call, node: str) -> Any:
    if call.caller is None or _device(call) != node:
        raise invalid("nodeId mismatch")
    return call.caller


# --- what a node does by itself


async def event(call: Call) -> Any:
    """Take what a node reports."""
    book = nodes_of(call)
    live = _approved(call)
    report = report_of(call.params.payload, call.params.payload_json)
    return await book.events.hear(call.desk, book, live, call.params.event, report)


def _approved(call: Call) -> Live:
    """Return the node that calls. Raises GatewayError unless it counts and something was approved of it."""
    book = nodes_of(call)
    device = _device(call)
    live = book.live.get(device or "")
    if live is None or live.link is not call.caller:
        raise pairing_changed("another connection is this node now")
    book.current(live.id)
    return live


async def pull(call: Call) -> Any:
    """Return the commands that wait for the app of this node to be opened."""
    book, live = nodes_of(call), _approved(call)
    commands = book.surface(live).commands
    waiting = book.work.actions(live.id)
    book.work.done(live.id, {one.id for one in waiting if one.command not in commands})
    return {"nodeId": live.id, "actions": [one.row() for one in waiting if one.command in commands]}


async def ack(call: Call) -> Any:
    """Take note of commands that the node has done."""
    book, live = nodes_of(call), _approved(call)
    ids = policy.clean(call.params.ids)
    return {"nodeId": live.id, "ackedIds": list(ids), "remainingCount": book.work.done(live.id, set(ids))}


async def drain(call: Call) -> Any:
    """Hand the work that waits to the node."""
    book, live = nodes_of(call), _approved(call)
    drained = book.work.drain(live.id, call.params.max_items)
    items = [one.row() for one in drained.items]
    return {"nodeId": live.id, "revision": drained.revision, "items": items, "hasMore": drained.more}


async def enqueue(call: Call) -> Any:
    """Put work into the queue of a node. No node is woken: there is nothing here to wake one with."""
    book, params = nodes_of(call), call.params
    node = params.node_id.strip()
    book.current(node)
    revision, item = book.work.enqueue(node, params.type, params.priority, params.expires_in_ms)
    return {"nodeId": node, "revision": revision, "queued": item.row(), "wakeTriggered": False}


async def skills(call: Call) -> Any:
    """Take the skills that a node offers while it is connected; those beyond the bounds are left out."""
    live = nodes_of(call).own(call.caller)
    kept: dict[str, dict[str, str]] = {}
    size = 0
    for one in call.params.skills:
        name, description, used = one.name.strip(), one.description.strip(), len(one.content.encode("utf-8", "replace"))
        fits = used <= 65_536 and len(kept) < SKILLS and size + used <= SKILLS_BYTES
        if name not in kept and description and fits:
            kept[name] = {"name": name, "description": description, "content": one.content}
            size += used
    live.skills = tuple(kept[name] for name in sorted(kept))
    return {"nodeId": live.id, "skills": list(live.skills)}


async def surface(call: Call) -> Any:
    """Refuse: there are no surfaces of plugins here."""
    wanted = call.params.surface
    name = wanted.strip() if isinstance(wanted, str) else ""
    if not name:
        raise invalid("surface required")
    raise unavailable(f"{name} plugin surface unavailable")


async def bins(call: Call) -> Any:
    """Return the programs that skills of this gateway need, for a node to say which of them it has."""
    known = call.desk.extras.get("skills")
    names = known.bins() if known is not None and hasattr(known, "bins") else ()
    return {"bins": sorted(names)}


METHODS: Final = [
    Method("node.pair.list", pair_list),
    Method("node.pair.approve", pair_approve, RequestParams),
    Method("node.pair.reject", pair_reject, RequestParams),
    Method("node.pair.remove", pair_remove, NodeParams),
    Method("node.rename", rename, RenameParams),
    Method("node.list", listed),
    Method("node.describe", describe, NodeParams),
    Method("node.invoke", invoke, InvokeParams),
    Method("node.invoke.result", result, ResultParams),
    Method("node.invoke.progress", progress, ProgressParams),
    Method("node.event", event, EventParams),
    Method("node.pending.pull", pull),
    Method("node.pending.ack", ack, AckParams),
    Method("node.pending.drain", drain, DrainParams),
    Method("node.pending.enqueue", enqueue, EnqueueParams),
    Method("node.skills.update", skills, SkillsParams),
    Method("node.pluginSurface.refresh", surface, SurfaceParams),
    Method("plugin.surface.refresh", surface, SurfaceParams),
    Method("skills.bins", bins),
]
