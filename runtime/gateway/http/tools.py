"""POST /tools/invoke: the tools that look at the gateway itself, called without a model (CONTRACT section 10).

Tools that touch files, run commands, start or steer sessions are not here, whatever the settings allow: what is not in
TOOLS is not available.
"""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from runtime.gateway import keys
from runtime.gateway.entries import Entry
from runtime.gateway.frames import GatewayError, invalid
from runtime.gateway.http.access import Visit
from runtime.gateway.http.schema import ANY, TEXT, Schema, record
from runtime.gateway.http.wire import Answer, as_json, decoded, refuse
from runtime.gateway.methods.tools import invocable

if TYPE_CHECKING:
    from runtime.gateway.desk import Desk

BODY: Final = 2_097_152
LIMIT: Final = 50
MOST: Final = 200
CHARACTERS: Final = 80_000
"""What sessions_history gives at most; the oldest messages are left out."""

INVOKE: Final[Schema] = record(
    {
        "tool": {**TEXT, "minLength": 1, "description": "name of the tool; `name` goes before it"},
        "name": {**TEXT, "minLength": 1},
        "action": ANY,
        "args": ANY,
        "sessionKey": ANY,
        "agentId": ANY,
        "idempotencyKey": ANY,
        "dryRun": ANY,
    },
    anyOf=[{"required": ["tool"]}, {"required": ["name"]}],
)
"""For the document; a call that is wrong is answered in the words of tools."""


class ToolFault(ValueError):
    """A tool cannot do what its arguments say."""


@frozen
class Asked:
    """A call: its arguments, and the session that it is made for."""

    desk: "Desk"
    args: Mapping[str, Any]
    key: str
    agent: str


Tool = Callable[[Asked], Mapping[str, Any]]


async def invoke(visit: Visit) -> Answer:
    """Call a tool."""
    try:
        value = decoded(await visit.incoming.body(BODY))
    except ValueError as exc:
        refuse(str(exc))
    given = value if isinstance(value, dict) else {}
    name = next((one for one in (given.get("name"), given.get("tool")) if isinstance(one, str) and one.strip()), "")
    if not name:
        return failed(400, "invalid_request", "tools.invoke requires name")
    try:
        status, told = call(visit.desk, name.strip(), given)
    except GatewayError as exc:
        return failed(400, "invalid_request", exc.message)
    return as_json(told, status)


def failed(status: int, kind: str, message: str) -> Answer:
    """The refusal of a call."""
    return as_json({"ok": False, "error": {"type": kind, "message": message}}, status)


def call(desk: "Desk", name: str, given: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """Call a tool by name; return the status and the body. Raises GatewayError for a key or an agent that is wrong."""
    key, agent = _place(desk, given.get("sessionKey"), given.get("agentId"))
    tool = TOOLS.get(name)
    if tool is None or not invocable(desk, name):
        return 404, {"ok": False, "error": {"type": "not_found", "message": f"Tool not available: {name[:120]}"}}
    args = given.get("args")
    try:
        details = tool(Asked(desk, args if isinstance(args, dict) else {}, key, agent))
    except ToolFault as exc:
        return 400, {"ok": False, "error": {"type": "tool_error", "message": str(exc)}}
    text = details.get("statusText") or json.dumps(details, ensure_ascii=False, indent=2)
    return 200, {"ok": True, "result": {"content": [{"type": "text", "text": text}], "details": details}}


def _place(desk: "Desk", key: Any, agent: Any) -> tuple[str, str]:
    """Session and agent of a call. Raises GatewayError."""
    agents = desk.extras["models"].agents
    named = agent.strip().lower() if isinstance(agent, str) else ""
    if named and named not in agents:
        raise invalid(f'Unknown agent id "{named[:64]}"')
    full = desk.directory.key(key if isinstance(key, str) else None, named or None)
    owner = keys.agent_of(full) or desk.directory.default_agent
    if named and owner != named:
        raise invalid(f'agent "{named}" does not match session key agent "{owner[:64]}"')
    return full, owner


# --- the tools


def session_status(asked: Asked) -> Mapping[str, Any]:
    """How a session is. Changes nothing: a model for it is refused."""
    desk = asked.desk
    if asked.args.get("model") is not None:
        raise ToolFault("model cannot be set from here; sessions.patch can")
    key = _named(asked, asked.args.get("sessionKey")) if asked.args.get("sessionKey") else asked.key
    entry = desk.directory.get(key) or Entry(key, "", "", asked.agent, 0, 0)
    provider, model, window = desk.extras["models"].of(entry)
    active = desk.runs.active(entry.session) if entry.session else []
    lines = [
        f"twinstep gateway {desk.version}",
        f"Uptime: {(desk.clock.wall() - desk.started) // 1000} s",
        f"Model: {provider}/{model}",
        f"Context: {entry.total} of {window} tokens",
        f"Session: {key} ({'running' if active else entry.status or 'idle'})",
        f"Thinking: {entry.thinking or 'off'}",
        f"Queue: {entry.queue or desk.extras['models'].queue_mode}",
    ]
    return {
        "ok": True,
        "sessionKey": key,
        "agentId": keys.agent_of(key) or asked.agent,
        "changedModel": False,
        "stateVersion": desk.hub.health_version,
        "statusText": "\n".join(lines),
    }


def sessions_list(asked: Asked) -> Mapping[str, Any]:
    """The sessions, newest first."""
    limit, offset = _count(asked, "limit", LIMIT), _count(asked, "offset", 0, least=0)
    wanted, kinds = asked.args.get("search"), asked.args.get("kinds")
    entries = sorted(asked.desk.directory, key=lambda one: (one.pinned, one.updated), reverse=True)
    found = [
        entry
        for entry in entries
        if (not isinstance(wanted, str) or wanted.lower() in f"{entry.key} {entry.label} {entry.title}".lower())
        and (not isinstance(kinds, list) or kind_of(entry) in kinds)
        and (bool(entry.archived) is (asked.args.get("archived") is True))
    ]
    rows = [_row(asked.desk, entry) for entry in found[offset : offset + limit]]
    more = offset + len(rows) < len(found)
    told = {"count": len(rows), "sessions": rows, "hasMore": more}
    return told | ({"nextOffset": offset + len(rows)} if more else {}) | {"limitApplied": limit}


def sessions_history(asked: Asked) -> Mapping[str, Any]:
    """The last messages of a session, without the results of tools."""
    if not isinstance(asked.args.get("sessionKey"), str) or not asked.args["sessionKey"].strip():
        raise ToolFault("sessionKey required")
    key = _named(asked, asked.args["sessionKey"])
    entry = asked.desk.directory.get(key)
    if entry is None:
        return {"status": "error", "error": f"No session found: {key}"}
    lines = asked.desk.directory.transcript(entry).lines
    bodies = [line.body for line in lines if asked.args.get("includeTools") is True or _spoken(line.body)]
    chosen = bodies[-_count(asked, "limit", LIMIT) :]
    size, kept = 0, 0
    for body in reversed(chosen):
        size += len(json.dumps(body, default=str))
        if size > CHARACTERS:
            break
        kept += 1
    messages = chosen[len(chosen) - kept :]
    return {"sessionKey": key, "messages": messages, "truncated": kept < len(chosen), "bytes": min(size, CHARACTERS)}


def agents_list(asked: Asked) -> Mapping[str, Any]:
    """The agents."""
    desk = asked.desk
    models = desk.extras["models"]
    rows = [
        {
            "id": name,
            "configured": True,
            "model": "/".join(models.of(Entry("", "", "", name, 0, 0))[:2]),
            "agentRuntime": {"id": "auto", "source": "implicit"},
        }
        for name in models.agents
    ]
    return {"requester": asked.agent, "allowAny": False, "agents": rows}


TOOLS: Final[Mapping[str, Tool]] = {
    "agents_list": agents_list,
    "session_status": session_status,
    "sessions_history": sessions_history,
    "sessions_list": sessions_list,
}


def kind_of(entry: Entry) -> str:
    """The kind of a session, in the words of these tools."""
    kind = keys.kind_of(entry.key).value
    return kind if kind in ("main", "group", "cron", "hook", "node") else "other"


def _row(desk: "Desk", entry: Entry) -> dict[str, Any]:
    _, model, window = desk.extras["models"].of(entry)
    route = keys.route_of(entry.key)
    row: dict[str, Any] = {
        "key": entry.key,
        "sessionId": entry.session,
        "agentId": entry.agent,
        "kind": kind_of(entry),
        "channel": (route.channel if route else None) or "unknown",
        "archived": bool(entry.archived),
        "pinned": entry.pinned,
        "updatedAt": entry.updated,
        "model": model,
        "contextTokens": window,
        "totalTokens": entry.total,
        "status": "running" if desk.runs.active(entry.session) else entry.status or "idle",
        "abortedLastRun": entry.status == "aborted",
    }
    optional = {
        "label": entry.label,
        "displayName": entry.label or entry.title,
        "parentSessionKey": entry.parent,
    }
    return row | {name: value for name, value in optional.items() if value}


def _named(asked: Asked, key: Any) -> str:
    try:
        return asked.desk.directory.key(str(key), asked.agent)
    except GatewayError as exc:
        raise ToolFault(exc.message) from exc


def _count(asked: Asked, name: str, usual: int, least: int = 1) -> int:
    given = asked.args.get(name)
    if given is None:
        return usual
    if isinstance(given, bool) or not isinstance(given, int) or given < least:
        raise ToolFault(f"{name} must be a positive integer")
    return min(given, MOST) if name == "limit" else given


def _spoken(body: Mapping[str, Any]) -> bool:
    return body.get("role") in ("user", "assistant")
