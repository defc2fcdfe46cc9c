"""Rows and lists as clients read them: sessions, presence, pairing requests. Builds plain dicts and asks nobody."""

import platform
import socket
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from runtime.gateway import keys, noderows
from runtime.gateway.devices import grant
from runtime.gateway.entries import Entry
from runtime.gateway.transcript import Line
from runtime.model.thinking import levels_of

if TYPE_CHECKING:
    from runtime.gateway.desk import Desk
    from runtime.gateway.devicebook import Known, Request
    from runtime.gateway.link import Connection
    from runtime.gateway.noderows import Node

MOST_ANCESTORS: Final = 8
RUNTIME: Final = {
    "id": "openclaw",
    "cloudPlacementSupported": False,
    "devicePlacementSupported": False,
    "source": "implicit",
}
STATUS: Final = {"aborted": "killed"}
"""What clients call the end of a run, where they have another word for it."""
NULLS: Final = (
    "createdActor owner archivedBy archiveReason archivedAt pinnedAt markedUnreadAt agentStatus observerDigest "
    "controlOwnerSessionKey swarm autoLabel icon color channelAvatarUrl category boardPresentation toolOverrides "
    "restartRecoveryStatus goal activeModelProvider activeModel providerReview placementMove label displayName "
    "parentSessionKey thinkingLevel permissionMode lastRunError lastRunId endedAt runtimeMs"
).split()
"""Members of `sessions.changed` that say in so many words that there is nothing to say."""


def thinking(model: str) -> dict[str, Any]:
    """Return what clients are told of the thinking levels of a model."""
    levels = levels_of(model)
    rows = [{"id": level, "label": level} for level in levels]
    return {"thinkingLevels": rows, "thinkingOptions": [*levels], "thinkingDefault": "off"}


def session(desk: "Desk", entry: Entry, *, titles: bool = True, last: bool = False) -> dict[str, Any]:
    """Return the row of a session, with a title and the beginning of the last message where they are wanted."""
    provider, model, window = desk.extras["models"].of(entry)
    active, now = desk.runs.active(entry.session), desk.clock.wall()
    shown = entry.label or entry.members.get("displayName") or entry.title
    people, kind = [person(one) for one in entry.participants], keys.kind_of(entry.key)
    chat = keys.chat_type(entry.key) or "direct"
    row: dict[str, Any] = {
        "key": entry.key,
        "visibility": "shared",
        "permissionModePending": False,
        "spawnDepth": entry.depth,
        "createdVia": entry.via,
        "participants": people,
        "expandedParticipants": people,
        "participantCount": len(people),
        "createdAt": entry.created,
        "kind": kind.value if entry.key in keys.SENTINELS else "direct" if chat == "direct" else "group",
        "classification": kind.value,
        "agentId": entry.agent,
        "isMain": kind is keys.Kind.MAIN,
        "isBackground": kind in keys.BACKGROUND,
        "chatType": chat,
        "updatedAt": entry.updated,
        "archived": bool(entry.archived),
        "pinned": entry.pinned,
        "unread": entry.unread,
        "lastInteractionAt": entry.interaction or entry.created,
        "lastActivityAt": entry.ended or entry.updated,
        "sessionId": entry.id,
        "systemSent": bool(entry.run),
        "abortedLastRun": entry.status == "aborted",
        **thinking(model),
        "effectiveFastMode": False,
        "effectiveFastModeSource": "default",
        "fastAutoOnSeconds": 60,
        "inputTokens": entry.input,
        "outputTokens": entry.output,
        "totalTokens": entry.total,
        "totalTokensFresh": bool(entry.total),
        "status": "running" if active else STATUS.get(entry.status, entry.status) or "idle",
        "lastRunId": entry.run,
        "effectiveResponseUsage": "off",
        "effectiveQueueMode": desk.extras["models"].queueing(entry).mode,
        "modelProvider": provider,
        "model": model,
        "modelOverrideSource": "user" if entry.model else None,
        "runtimeSelectionLocked": False,
        "agentRuntime": RUNTIME,
        "contextTokens": window,
        "contextBudgetStatus": {},
        "snapshotAt": now,
        "placement": placement(entry),
        "activitySummary": {"state": "unavailable", "canEnsure": False},
        "hasActiveRun": bool(active),
        "activeRunIds": active,
        "sharingRole": "admin",
        **times(entry),
    }
    optional = {
        "label": entry.label,
        "displayName": shown,
        "derivedTitle": shown if titles else None,
        "lastMessagePreview": entry.preview if last else None,
        "parentSessionKey": entry.parent,
        "thinkingLevel": entry.thinking,
        "permissionMode": entry.mode,
        "archivedAt": entry.archived or None,
        "activeModelProvider": provider if active else None,
        "activeModel": model if active else None,
        "lastRunError": entry.error if entry.status == "failed" else None,
        **clients(entry, now),
        **(desk.extras["pauses"].shown(entry) if "pauses" in desk.extras else {}),
    }
    return row | {name: value for name, value in optional.items() if value not in (None, "")}


def times(entry: Entry) -> dict[str, int]:
    """Return when the last run began and ended, as far as it has."""
    if not entry.started:
        return {}
    if entry.ended < entry.started:
        return {"startedAt": entry.started}
    return {"startedAt": entry.started, "endedAt": entry.ended, "runtimeMs": entry.ended - entry.started}


def clients(entry: Entry, now: int) -> dict[str, Any]:
    """Return what clients set and nobody here acts on. A status that somebody gave for some time ends by itself."""
    members = {name: value for name, value in entry.members.items() if name != "displayName" and name[0] != "_"}
    status = members.get("agentStatus")
    if isinstance(status, Mapping) and int(status.get("expiresAt") or now + 1) <= now:
        del members["agentStatus"]
    return members


def placement(entry: Entry) -> dict[str, Any]:
    """Return where a session runs: always here."""
    times = {"createdAtMs": entry.born, "updatedAtMs": entry.updated, "stateChangedAtMs": entry.born}
    return {"state": "local", "generation": 0, **times}


def changed(desk: "Desk", entry: Entry, reason: str = "", **more: Any) -> dict[str, Any]:
    """Return the payload of `sessions.changed`: the row, and its members once more at the top, nulls included."""
    about = {"sessionKey": entry.key, "agentId": entry.agent, "ts": desk.clock.wall(), **more}
    return _told(desk, entry) | about | ({"reason": reason} if reason else {})


def gone(desk: "Desk", entry: Entry) -> dict[str, Any]:
    """Return the payload of `sessions.changed` for a session that was deleted."""
    about = {"sessionKey": entry.key, "sessionId": entry.id, "agentId": entry.agent}
    return {**about, "reason": "delete", "ts": desk.clock.wall()}


def message(desk: "Desk", entry: Entry, line: Line) -> dict[str, Any]:
    """Return the payload of `session.message` (CONTRACT section 7)."""
    about: dict[str, Any] = {"sessionKey": entry.key, "agentId": entry.agent, "message": line.body}
    about |= {"messageId": line.id, "messageSeq": line.number}
    envelope = line.body["__openclaw"]
    if line.role == "user":
        about["senderIsOwner"] = bool(envelope.get("senderIsOwner"))
    elif envelope.get("runId"):
        about["runId"] = envelope["runId"]
    return _told(desk, entry) | about


def _told(desk: "Desk", entry: Entry) -> dict[str, Any]:
    row = session(desk, entry, last=True)
    members = {name: value for name, value in row.items() if name not in ("key", "snapshotAt")}
    parents = {"session": row, "ancestorSessions": ancestors(desk, entry), "hasAutomation": False}
    return {**dict.fromkeys(NULLS), **members, **parents}


def ancestors(desk: "Desk", entry: Entry) -> list[dict[str, Any]]:
    """Return the rows of the session that a session came from, and so on; what every session comes from is left out."""
    found: list[dict[str, Any]] = []
    key = entry.parent
    while key is not None and key != keys.main(entry.agent) and len(found) < MOST_ANCESTORS:
        parent = desk.directory.get(key)
        if parent is None:
            break
        found.append(session(desk, parent, last=True))
        key = parent.parent
    return found


def described(desk: "Desk", entry: Entry) -> dict[str, Any]:
    """Return the member `entry` of answers of `sessions.create`, `.patch` and `.reset`."""
    provider, model, window = desk.extras["models"].of(entry)
    shown: dict[str, Any] = {
        "sessionId": entry.id,
        "lifecycleRevision": entry.revision,
        "updatedAt": entry.updated,
        "sessionRoot": desk.directory.settings_of(entry).workspace,
        "delivery": {"kind": "internal" if entry.run else "none"},
        "createdVia": entry.via,
        "createdAt": entry.created,
        "sessionStartedAt": entry.born,
        "lastInteractionAt": entry.interaction or entry.created,
        "spawnDepth": entry.depth,
        "modelOverrideSource": "user" if entry.model else "default",
        "systemSent": bool(entry.run),
        "abortedLastRun": entry.status == "aborted",
        "chatType": keys.chat_type(entry.key) or "direct",
        "compactionCount": entry.compactions,
        "status": STATUS.get(entry.status, entry.status) or "idle",
        "modelProvider": provider,
        "model": model,
        "agentHarnessId": RUNTIME["id"],
        "contextTokens": window,
        "contextTokensSource": "resolved",
        "contextBudgetStatus": {},
        "inputTokens": entry.input,
        "outputTokens": entry.output,
        "cacheRead": 0,
        "cacheWrite": 0,
        "totalTokens": entry.total,
        "totalTokensFresh": bool(entry.total),
        "totalTokensVersion": 1,
        "sessionDiffBaseline": {},
        "skillsSnapshot": {},
        "systemPromptReport": {},
        **times(entry),
    }
    optional = {
        "parentSessionKey": entry.parent,
        "label": entry.label,
        "displayName": entry.members.get("displayName"),
        "thinkingLevel": entry.thinking,
        "permissionMode": entry.mode,
        "archivedAt": entry.archived or None,
        **({"providerOverride": provider, "modelOverride": model} if entry.model else {}),
        **clients(entry, desk.clock.wall()),
    }
    return shown | {name: value for name, value in optional.items() if value is not None}


def resolved(desk: "Desk", entry: Entry) -> dict[str, Any]:
    """Return the member `resolved` of the same answers: who answers for the session."""
    provider, model, _ = desk.extras["models"].of(entry)
    runtime = {"id": RUNTIME["id"], "source": RUNTIME["source"]}
    found = {"modelProvider": provider, "model": model, "agentRuntime": runtime, "runtimeSelectionLocked": False}
    return found | ({"thinkingLevel": entry.thinking} if entry.thinking else {})


def person(name: str) -> dict[str, Any]:
    """Return a participant."""
    identity = {"type": "observation", "pluginId": None, "accountId": None, "senderKind": "unknown", "id": name}
    return {"identity": identity}


def presence(connection: "Connection", reason: str, now: int) -> dict[str, Any]:
    """Return the presence of a connection."""
    accepted = connection.accepted
    assert accepted is not None
    client = accepted.client
    entry = {
        "connId": connection.id,
        "clientId": client.id,
        "host": client.display_name or client.id,
        "version": client.version,
        "platform": client.platform,
        "mode": client.mode,
        "roles": [accepted.role],
        "scopes": list(accepted.scopes),
        "reason": reason,
        "onlineSince": connection.since,
        "ts": now,
        "text": f"{client.display_name or client.id} · mode {client.mode}",
    }
    if accepted.device is not None:
        entry["deviceId"] = accepted.device
    if client.instance_id is not None:
        entry["instanceId"] = client.instance_id
    return entry


def gateway_presence(version: str, now: int) -> dict[str, Any]:
    """Return the presence of the gateway itself."""
    host, system = machine()
    return {
        "host": host,
        "ip": "127.0.0.1",
        "version": version,
        "platform": system,
        "deviceFamily": platform.system(),
        "mode": "gateway",
        "reason": "self",
        "text": f"Gateway: {host} · app {version} · mode gateway · reason self",
        "ts": now,
    }


@cache
def machine() -> tuple[str, str]:
    """Return name and system of this machine; they do not change while the gateway runs."""
    return socket.gethostname(), f"{platform.system().lower()} {platform.release()}"


def pairing(request: "Request") -> dict[str, Any]:
    """Return a device that waits to be approved."""
    asked = request.asked
    row = {
        "requestId": request.id,
        "deviceId": asked.device,
        "publicKey": asked.public_key,
        "displayName": asked.display_name,
        "platform": asked.platform,
        "deviceFamily": asked.device_family,
        "clientId": asked.client,
        "clientMode": asked.mode,
        "browserOrigin": asked.origin,
        "role": asked.role,
        "roles": list(request.roles),
        "scopes": list(asked.scopes),
        "remoteIp": asked.address or None,
        "silent": asked.silent,
        "isRepair": request.repair,
        "ts": request.at,
    }
    return {name: value for name, value in row.items() if value is not None}


def device(known: "Known", node: "Node | None" = None) -> dict[str, Any]:
    """Return a paired device, and what is kept of it as a node."""
    paired = known.paired
    row = {
        "deviceId": paired.id,
        "publicKey": paired.public_key,
        "displayName": known.display,
        "operatorLabel": known.label,
        "platform": paired.platform,
        "deviceFamily": paired.device_family,
        "clientId": paired.client,
        "clientMode": known.mode,
        "browserOrigin": paired.origin,
        "role": known.role or paired.roles[-1],
        "roles": list(paired.roles),
        "scopes": list(paired.scopes),
        "remoteIp": known.address or None,
        "approvedVia": known.via,
        "pendingNodeSurface": noderows.waiting(node.wish) if node is not None and node.wish is not None else None,
        "nodeSurface": noderows.approved(node) if node is not None and node.approved is not None else None,
        "createdAtMs": known.created,
        "approvedAtMs": known.approved,
        "lastSeenAtMs": known.seen or None,
        "lastSeenReason": (known.reason or "connect") if known.seen else None,
        "tokens": [_token(known, role) for role in sorted(paired.roles)],
    }
    return {name: value for name, value in row.items() if value is not None}


def _token(known: "Known", role: str) -> dict[str, Any]:
    """Return what is told of the token of a role; never the token. One not issued yet is as old as the role."""
    token, stamp = known.paired.tokens.get(role), known.stamps.get(role)
    own = [scope for scope in known.paired.scopes if scope.startswith("operator.") is (role == "operator")]
    row = {
        "role": role,
        "scopes": list(grant(own) if token is None else token.scopes),
        "createdAtMs": stamp.created if stamp is not None else known.approved,
        "rotatedAtMs": (stamp.rotated or None) if stamp is not None else None,
        "revokedAtMs": (stamp.revoked or None) if stamp is not None else None,
        "lastUsedAtMs": (stamp.used or None) if stamp is not None else None,
    }
    return {name: value for name, value in row.items() if value is not None}
