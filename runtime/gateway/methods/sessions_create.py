"""sessions.create, .send, .abort: a session begins, is spoken to, and stops (CONTRACT sections 5 and 6).

What a session of this gateway cannot be (a fork, a work tree, one that is not kept) is refused, never pretended.
"""

import os
from hashlib import sha256
from typing import Annotated, Any, Final, Literal

from attrs import asdict, evolve, frozen

from runtime.gateway import keys, rows
from runtime.gateway.asks import Ask
from runtime.gateway.attachments import parts_of
from runtime.gateway.commands import command_of, run_command
from runtime.gateway.desk import Desk
from runtime.gateway.entries import Entry
from runtime.gateway.frames import GatewayError, invalid
from runtime.gateway.methods.sessions_list import Label, check_agent
from runtime.gateway.params import Least, Length, Pattern, Text, wire_name
from runtime.gateway.registry import Call, Method
from runtime.gateway.transcript import uuid_of
from runtime.model.thinking import level_named, levels_of
from runtime.vocab import JsonObject, encode

REFUSED: Final = (
    "context_window tool_overrides incognito catalog_id fork fork_from succeeds_parent project_id project_git_url "
    "worktree worktree_base_ref worktree_name exec_node"
).split()
"""Params that would make a session that there is not here."""
LONGEST_PATH: Final = 4_096


@frozen(kw_only=True)
class CreateParams:
    """Params of sessions.create."""

    key: Text | None = None
    idempotency_key: Text | None = None
    agent_id: Text | None = None
    label: Label | None = None
    display_name: Annotated[str, Length(1, 500)] | None = None
    category: Annotated[str, Length(1, 512)] | None = None
    model: Text | None = None
    context_window: Text | None = None
    thinking_level: Text | None = None
    fast_mode: bool | Literal["auto"] | None = None
    permission_mode: Literal["read-only", "guarded", "workspace", "full"] | None = None
    tool_overrides: JsonObject | None = None
    incognito: bool = False
    visibility: Literal["shared", "read-only", "suggest", "draft"] = "shared"
    catalog_id: Text | None = None
    parent_session_key: Text | None = None
    spawn_depth: Annotated[int, Least(1)] | None = None
    fork: bool = False
    fork_from: Literal["last-completed"] | None = None
    emit_command_hooks: bool = False
    succeeds_parent: bool = False
    task: str = ""
    message: str = ""
    attachments: tuple[JsonObject, ...] = ()
    project_id: Text | None = None
    project_git_url: Annotated[str, Length(1, 2048)] | None = None
    worktree: bool = False
    worktree_base_ref: Text | None = None
    worktree_name: Annotated[str, Pattern("^[a-z0-9][a-z0-9-]{0,63}$")] | None = None
    exec_node: Text | None = None
    cwd: Text | None = None


@frozen(kw_only=True)
class SendParams:
    """Params of sessions.send."""

    key: Text
    agent_id: Text | None = None
    message: str
    thinking: str | None = None
    attachments: tuple[JsonObject, ...] = ()
    timeout_ms: Annotated[int, Least(0)] | None = None
    idempotency_key: Text | None = None


@frozen(kw_only=True)
class AbortParams:
    """Params of sessions.abort."""

    key: Text | None = None
    run_id: Text | None = None
    agent_id: Text | None = None
    clear_queued: bool = False


# --- sessions.create


async def create(call: Call) -> Any:
    """Begin a session, or take over what is said of one that is there; with a message its first run begins."""
    desk, params = call.desk, call.params
    refuse(params)
    principal = principal_of(call) if params.idempotency_key is not None else ""
    key = key_of(desk, params, principal)
    text = params.message if params.message.strip() else params.task
    parts = parts_of(text, params.attachments)
    entry = put(desk, key, params, print_of(params) if principal else "")
    await desk.directory.committed()
    answer: dict[str, Any] = {"ok": True, "key": key, "sessionId": entry.id, "runStarted": False}
    if parts:
        run = uuid_of(principal, f"run/{params.idempotency_key}") if principal else desk.chance.uuid()
        answer |= await begun(call, entry, run, text, parts)
    desk.changed(entry, "create")
    return answer | {"entry": rows.described(desk, entry), "resolved": rows.resolved(desk, entry)}


def refuse(params: CreateParams) -> None:
    """Refuse what this gateway cannot do. Raises GatewayError."""
    for name in REFUSED:
        if getattr(params, name):
            raise invalid(f"sessions.create: {wire_name(name)} is not available here")
    if params.visibility != "shared":
        raise invalid("sessions.create: all sessions of this gateway are shared by those who may use it")


def principal_of(call: Call) -> str:
    """Return who makes a session that can be asked for twice. Raises GatewayError for one who proved no identity."""
    accepted = call.caller.accepted if call.caller is not None else None
    principal = (accepted.device or accepted.user) if accepted is not None else ""
    if not principal:
        raise invalid("idempotencyKey: only a device or a user with a proven identity can create a session with one")
    return principal


def print_of(params: CreateParams) -> str:
    """Return what tells one set of params from another."""
    return sha256(encode(asdict(params))).hexdigest()[:32]


def key_of(desk: Desk, params: CreateParams, principal: str) -> str:
    """Return the key of the session: the given one, or one of the UI's kind. Raises GatewayError.

    An idempotency key always gives the same one, so that asking twice finds what asking once made.
    """
    if params.agent_id is not None:
        check_agent(desk, params.agent_id)
    if params.key is not None:
        key = desk.directory.key(params.key, params.agent_id)
        check_agent(desk, keys.agent_of(key) or desk.directory.default_agent)
        if params.agent_id is not None and keys.agent_of(key) not in ("", params.agent_id.strip().lower()):
            raise invalid(f"{key} is no session of agent {params.agent_id}")
        return key
    name = uuid_of(principal, f"session/{params.idempotency_key}") if principal else desk.chance.uuid()
    return keys.dashboard(params.agent_id or desk.directory.default_agent, name)


def put(desk: Desk, key: str, params: CreateParams, told: str) -> Entry:
    """Make the entry, or change it where it is there. Raises GatewayError, and then nothing was changed."""
    directory = desk.directory
    entry = directory.get(key)
    members = dict(entry.members) if entry is not None else {}
    if entry is not None and told and members.get("_created", told) != told:
        raise invalid("idempotencyKey: it was already used for a session with other params")
    if entry is not None and entry.archived:
        raise invalid(f"{key} is archived: restore it first")
    check_label(desk, params.label, key)
    model = checked_model(desk, params.model) if params.model is not None else None
    given = {
        "label": params.label,
        "model": model,
        "mode": params.permission_mode,
        "parent": parent_of(desk, params),
        "depth": params.spawn_depth,
    }
    if params.thinking_level is not None:
        runs = alike(desk, key).as_for(model, None)
        given["thinking"] = checked_level(desk, params.thinking_level, runs)
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    about = {
        "displayName": params.display_name,
        "category": params.category,
        "fastMode": params.fast_mode,
        "sessionRoot": root_of(params.cwd) if params.cwd is not None else None,
        "_created": told or None,
    }
    members |= {name: value for name, value in about.items() if value is not None}
    if entry is not None:
        changed = directory.change(entry, members=members, updated=desk.clock.wall(), **changes)
        directory.apply(changed)
        return changed
    if "parent" not in changes and key not in keys.SENTINELS and keys.rest_of(key) != keys.MAIN:
        changes["parent"] = keys.main(keys.agent_of(key))
    return directory.create(key, members=members, **changes)


def check_label(desk: Desk, label: str | None, key: str) -> None:
    """Refuse a label that another session has."""
    if label is not None:
        other = desk.directory.labelled(label)
        if other is not None and other.key != key:
            raise invalid(f'another session has the label "{label}"')


def checked_model(desk: Desk, name: str) -> str:
    """Return a model as entries name it. Raises GatewayError for a provider or model that is not configured."""
    models = desk.extras["models"]
    model = models.known(name)
    provider = name.split("/", 1)[0] if "/" in name else ""
    if provider and provider not in {one.provider for one in models.models.values()}:
        raise invalid(f'there is no provider "{provider}"')
    if model is None:
        raise invalid(f'there is no model "{name}"')
    return f"{model.provider}/{model.id}"


def checked_level(desk: Desk, level: str, entry: Entry, name: str = "thinkingLevel") -> str:
    """Return a thinking level. Raises GatewayError for one that the model of a session does not have."""
    provider, model, _ = desk.extras["models"].of(entry)
    levels, found = levels_of(model), level_named(level)
    if found not in levels:
        raise invalid(f'{name} "{level}" is not supported for {provider}/{model} (use {"|".join(levels)})')
    return str(found)


def own_level(desk: Desk, level: str | None, key: str, model: str | None = None) -> str | None:
    """Return the thinking level that a message wants for its run alone, None for that of the session.

    `model` is that of the run, None for that of the session. Raises GatewayError for a level that the model lacks.
    """
    return checked_level(desk, level, alike(desk, key).as_for(model, None), "thinking") if level else None


def alike(desk: Desk, key: str) -> Entry:
    """Return the entry of a key, or one like it would be."""
    directory = desk.directory
    return directory.get(key) or Entry(key, "", "", keys.agent_of(key) or directory.default_agent, 0, 0)


def parent_of(desk: Desk, params: CreateParams) -> str | None:
    """Return the key of the parent that was named. Raises GatewayError where there is no such session."""
    if params.parent_session_key is None:
        return None
    key = desk.directory.key(params.parent_session_key, params.agent_id)
    if desk.directory.get(key) is None:
        raise invalid(f"parentSessionKey: there is no session {key}")
    return key


def root_of(path: str) -> str:
    """Return the folder that a session works in. Raises GatewayError for one that is not there."""
    if not path.startswith("/") or len(path) > LONGEST_PATH or "\0" in path:
        raise invalid("sessions.create: cwd must be an absolute path")
    if not os.path.isdir(path):
        raise invalid(f"sessions.create: cwd is no folder here: {path}")
    return os.path.realpath(path)


async def begun(call: Call, entry: Entry, run: str, text: str, parts: tuple[JsonObject, ...]) -> dict[str, Any]:
    """Start the first run; where that fails, the session is there all the same and the answer says why."""
    try:
        said = await say(call, Ask(entry, run, text, parts, sender=call.sender))
    except GatewayError as exc:
        return {"runStarted": False, "runError": exc.body()}
    return {"runStarted": True, "runId": said["runId"], "status": said["status"]}


# --- sessions.send, sessions.abort


async def say(call: Call, ask: Ask) -> dict[str, Any]:
    """Put a message into a session as chat.send does, slash commands included."""
    ask = evolve(ask, queue=call.desk.extras["models"].queueing(ask.entry))
    command = command_of(ask.text)
    if command is not None:
        ahead: list[Any] = []
        inner = Call(call.desk, call.caller, call.method, call.params, ahead.append, call.scopes)
        answer = await run_command(inner, command, ask)
        return {"runId": ask.run, "status": "started", **(ahead[0] if ahead else answer or {})}
    ack = await call.desk.runs.send(ask)
    answer = {"runId": ack.run, "status": ack.status}
    return answer | ({"interruptedActiveRun": True} if ack.interrupted else {})


async def send(call: Call) -> Any:
    """Accept a message for a session that is there. It is on disk when the answer leaves."""
    desk, params = call.desk, call.params
    parts = parts_of(params.message, params.attachments)
    if not parts:
        raise invalid("message or attachment required")
    key = desk.directory.key(params.key, params.agent_id)
    if desk.directory.get(key) is None:
        raise invalid(f"there is no session {key}")
    thinking = own_level(desk, params.thinking, key)
    entry, _ = desk.directory.ensure(key)
    run, seconds = params.idempotency_key or desk.chance.uuid(), (params.timeout_ms or 0) / 1000
    ask = Ask(entry, run, params.message, parts, sender=call.sender, seconds=seconds, thinking=thinking)
    answer = await say(call, ask)
    desk.changed(desk.directory.get(key) or entry, "send")
    return answer


async def abort(call: Call) -> Any:
    """Give up what a session does now, or one run; with clearQueued also what waits."""
    desk, params = call.desk, call.params
    if params.key is None and params.run_id is None:
        raise invalid("key or runId required")
    entry, run = aborted(desk, params)
    if entry is None:
        return {"ok": True, "abortedRunId": None, "status": "no-active-run"}
    ended = desk.runs.abort(entry, run)
    live = desk.directory.roster.live.get(entry.session)
    if not ended and run is None and live is not None and live.state.lane:  # it was accepted and has not begun yet
        ended = desk.runs.abort(entry, live.state.lane[0].message.id)
    if params.clear_queued and live is not None:
        ended += desk.runs.abort_session(live, "rpc", "the run was aborted", waiting=True)
    if not ended:
        return {"ok": True, "abortedRunId": None, "status": "no-active-run"}
    await desk.runs.settled(entry.session)
    desk.changed(desk.directory.get(entry.key) or entry, "abort")
    return {"ok": True, "abortedRunId": ended[0], "status": "aborted"}


def aborted(desk: Desk, params: AbortParams) -> tuple[Entry | None, str | None]:
    """Return the session and the run that are meant; a run alone says whose it is."""
    if params.key is not None:
        return desk.directory.get(desk.directory.key(params.key, params.agent_id)), params.run_id
    run = desk.runs.shelf.items.get(desk.runs.follow(params.run_id or ""))
    entry = desk.directory.of(run.session) if run is not None else None
    return entry, run.id if run is not None else None


METHODS: Final = [
    Method("sessions.create", create, CreateParams),
    Method("sessions.send", send, SendParams),
    Method("sessions.abort", abort, AbortParams),
]
