"""chat.send, .history, .abort, .inject, .metadata: the conversation of a session (CONTRACT section 6)."""

from typing import Annotated, Any, Final, Literal

from attrs import evolve, frozen

from runtime.gateway import history as conversation
from runtime.gateway import rows
from runtime.gateway.asks import Ask
from runtime.gateway.attachments import parts_of
from runtime.gateway.commands import command_of, run_command
from runtime.gateway.entries import Entry
from runtime.gateway.frames import invalid
from runtime.gateway.methods.channels import INTERNAL, nowhere
from runtime.gateway.methods.sessions_create import own_level
from runtime.gateway.params import ABSENT, Absent, Least, Length, Most, Text
from runtime.gateway.registry import Call, Method
from runtime.vocab import JsonObject

QueueMode = Literal["steer", "followup", "collect", "interrupt"]
Mode = Literal["read-only", "guarded", "workspace", "full"]


@frozen(kw_only=True)
class SendParams:
    """Params of chat.send."""

    session_key: Annotated[str, Length(1, 512)]
    agent_id: Text | None = None
    session_id: Text | None = None
    message: str
    intent: JsonObject | None = None
    thinking: str | None = None
    fast_mode: bool | Literal["auto"] | None = None
    fast_auto_on_seconds: Annotated[int, Least(1)] | None = None
    queue_mode: QueueMode | None = None
    deliver: bool | None = None
    originating_channel: str | None = None
    originating_to: str | None = None
    originating_account_id: str | None = None
    originating_thread_id: str | None = None
    reply_to_id: Text | None = None
    attachments: tuple[JsonObject, ...] = ()
    tool_bindings: JsonObject | None = None
    timeout_ms: Annotated[int, Least(0)] | None = None
    system_input_provenance: JsonObject | None = None
    system_provenance_receipt: str | None = None
    suppress_command_interpretation: bool = False
    expected_leaf_entry_id: Text | Absent | None = ABSENT
    expected_session_routing_contract: Text | None = None
    expected_permission_mode: Mode | Absent | None = ABSENT
    expected_tool_overrides: JsonObject | Absent | None = ABSENT
    idempotency_key: Text


@frozen(kw_only=True)
class HistoryParams:
    """Params of chat.history."""

    session_key: Text
    agent_id: Text | None = None
    cursor: str | None = None
    limit: Annotated[int, Least(1), Most(1000)] | None = None
    offset: Annotated[int, Least(0)] | None = None
    pending_before: Annotated[int, Least(1)] | None = None
    input_run_ids: tuple[Annotated[str, Length(1, 256)], ...] = ()
    message_id: Text | None = None
    session_id: Text | None = None
    max_chars: Annotated[int, Least(1), Most(500_000)] | None = None


@frozen(kw_only=True)
class AbortParams:
    """Params of chat.abort."""

    session_key: Text
    agent_id: Text | None = None
    run_id: Text | None = None
    preserve_side_runs: bool | None = None


@frozen(kw_only=True)
class InjectParams:
    """Params of chat.inject."""

    session_key: Text
    agent_id: Text | None = None
    message: Text
    label: Annotated[str, Length(0, 100)] | None = None


@frozen(kw_only=True)
class MetadataParams:
    """Params of chat.metadata."""

    agent_id: Text | None = None
    session_key: Text | None = None


async def send(call: Call) -> Any:
    """Accept a message. It is on disk when the answer leaves."""
    desk, params = call.desk, call.params
    parts = parts_of(params.message, params.attachments)
    if not parts:
        raise invalid("message or attachment required")
    channel = (params.originating_channel or "").strip()
    if params.deliver and channel.lower() not in ("", INTERNAL):  # it could only be claimed
        raise nowhere(channel)
    key = desk.directory.key(params.session_key, params.agent_id)
    check_agent(call, key)
    thinking = own_level(desk, params.thinking, key)
    command = None if params.suppress_command_interpretation else command_of(params.message)
    entry, made = desk.directory.ensure(key, via="run")
    if made:
        desk.changed(entry, "create")
    queue = desk.extras["models"].queueing(entry)
    if params.queue_mode is not None:
        queue = evolve(queue, mode=params.queue_mode)
    ask = Ask(
        entry,
        params.idempotency_key,
        params.message,
        parts,
        "chat",
        queue,
        call.sender,
        (params.timeout_ms or 0) / 1000,
        thinking=thinking,
    )
    if command is not None:
        return await run_command(call, command, ask)
    if desk.runs.known(ask) is None:
        check_expected(call, entry)
    ack = await desk.runs.send(ask)
    answer: dict[str, Any] = {"runId": ack.run, "status": ack.status}
    return answer | ({"interruptedActiveRun": True} if ack.interrupted else {})


def check_agent(call: Call, key: str) -> None:
    """Refuse a key of an agent that is not configured."""
    agent = key.split(":")[1] if key.startswith("agent:") else call.desk.directory.default_agent
    if agent not in call.desk.extras["models"].agents:
        raise invalid(f'unknown agent id "{agent}"')


def check_expected(call: Call, entry: Entry) -> None:
    """Refuse a message whose sender has another picture of the session than there is."""
    params = call.params
    overrides = params.expected_tool_overrides
    if params.expected_permission_mode not in (ABSENT, entry.mode) or (
        overrides is not ABSENT and (overrides or None) != (entry.members.get("toolOverrides") or None)
    ):
        reason = {"reason": "session-settings-changed"}
        raise invalid("the settings of the session are not those that were expected; look again, then retry", reason)
    if params.expected_leaf_entry_id is not ABSENT and params.expected_leaf_entry_id != leaf(call, entry):
        reason = {"reason": "active-leaf-changed"}
        raise invalid("the conversation does not end where it was expected to; look again, then retry", reason)
    if params.expected_session_routing_contract is not None:  # nobody can have been given one here
        reason = {"reason": "session-routing-changed"}
        raise invalid("the session is not routed as was expected; look again, then retry", reason)


def leaf(call: Call, entry: Entry) -> str | None:
    """Return the id of the last message of a session."""
    lines = call.desk.directory.transcript(entry).lines
    return lines[-1].id if lines else None


async def history(call: Call) -> Any:
    """Return the last messages of a session, those around one of them, or those that came after a cursor."""
    desk, params = call.desk, call.params
    if params.session_id is not None and params.message_id is None:
        raise invalid("sessionId requires messageId")
    key = desk.directory.key(params.session_key, params.agent_id)
    entry = desk.directory.get(key)
    if params.session_id is not None and (entry is None or entry.id != params.session_id):
        raise invalid("sessionId does not belong to sessionKey")
    if params.cursor is not None:
        return delta(call, key, entry)
    lines = [] if entry is None else desk.directory.transcript(entry).lines
    answer: dict[str, Any] = {"sessionKey": key, "pendingInputs": pending(call, entry)}
    answer |= {"defaults": desk.extras["models"].defaults(), "sessionInfo": info(call, key, entry)}
    if params.message_id is not None:
        window = conversation.around(lines, params.message_id, params.limit) or conversation.Window(0, 0)
    else:
        window = conversation.newest(lines, params.limit, params.offset or 0)
        answer |= {"hasMore": window.more, "totalMessages": len(lines)}
        answer |= {"nextOffset": len(lines) - window.start} if window.more else {}
        answer |= {"offset": params.offset} if params.offset is not None else {}
    shown = lines[window.start : window.end]
    answer["messages"] = [conversation.fitted(line.body, params.max_chars) for line in shown]
    if entry is not None:
        answer |= {"sessionId": entry.id, "deltaCursor": conversation.cursor(entry.session, lines)}
        answer |= in_flight(call, entry)
        if entry.thinking is not None:
            answer["thinkingLevel"] = entry.thinking
    return answer


def delta(call: Call, key: str, entry: Entry | None) -> dict[str, Any]:
    """Return what came after a cursor, or that the client has to begin anew."""
    lines = [] if entry is None else call.desk.directory.transcript(entry).lines
    fresh = conversation.since(call.params.cursor, entry.session, lines) if entry is not None else None
    if entry is None or fresh is None or len(fresh) > conversation.LIMIT:
        return {"kind": "reset"}
    return {
        "kind": "delta",
        "messages": [rows.message(call.desk, entry, line) for line in fresh],
        "deltaCursor": conversation.cursor(entry.session, lines),
        "pendingInputs": pending(call, entry),
        "sessionInfo": info(call, key, entry),
        **in_flight(call, entry),
    }


def in_flight(call: Call, entry: Entry) -> dict[str, Any]:
    """Return the member `inFlightRun`, if the session is at work: what its run has said so far."""
    live = call.desk.runs.roster.live.get(entry.session)
    narration = call.desk.runs.narrations.get(call.desk.runs.current(live)) if live is not None else None
    if narration is None:
        return {}
    run = narration.subject.run
    return {"inFlightRun": {"runId": run, "text": narration.told, "startedAt": narration.started, "events": []}}


def info(call: Call, key: str, entry: Entry | None) -> dict[str, Any]:
    """Return what chat.history says of the session itself."""
    if entry is None:
        desk = call.desk
        entry = Entry(key, "", "", desk.directory.default_agent, 0, 0)
        row = rows.session(desk, entry)
        unknown = ("sessionId", "createdAt", "visibility", "participants", "createdVia")
        return {name: value for name, value in row.items() if name not in unknown} | {
            "updatedAt": None,
            "activeLeafEntryId": None,
        }
    return rows.session(call.desk, entry) | {"activeLeafEntryId": leaf(call, entry)}


def pending(call: Call, entry: Entry | None) -> dict[str, Any]:
    """Return the messages that wait."""
    live = call.desk.runs.roster.live.get(entry.session) if entry is not None else None
    waiting = live.state.lane if live is not None else ()
    items = [{"runId": one.message.id, "text": one.message.text, "steer": one.steer} for one in waiting]
    return {"items": items, "total": len(items)}


async def abort(call: Call) -> Any:
    """Give up what a session does now, or one run of it. That is on disk when the answer leaves."""
    desk, params = call.desk, call.params
    entry = desk.directory.get(desk.directory.key(params.session_key, params.agent_id))
    ended = desk.runs.abort(entry, params.run_id) if entry is not None else []
    if entry is not None and ended:
        await desk.runs.settled(entry.session)
    return {"ok": True, "aborted": bool(ended), "runIds": ended}


async def inject_message(call: Call) -> Any:
    """Put a message into a conversation without asking the model."""
    desk, params = call.desk, call.params
    entry = desk.directory.get(desk.directory.key(params.session_key, params.agent_id))
    if entry is None:
        raise invalid(f"session not found: {params.session_key}")
    text = f"[{params.label}]\n\n{params.message}" if params.label else params.message
    line = await desk.directory.note(entry, text)
    message = {one: value for one, value in line.body.items() if one != "__openclaw"}
    told = {"runId": f"inject-{line.id}", "sessionKey": entry.key, "agentId": entry.agent, "seq": 0, "state": "final"}
    desk.hub.tell("chat", {**told, "message": message})
    return {"ok": True, "messageId": line.id}


async def metadata(call: Call) -> Any:
    """Return what a client shows around a conversation before it loads it."""
    models = call.desk.extras["models"]
    return {"defaults": models.defaults(), "models": models.list(), "commands": []}


METHODS: Final = [
    Method("chat.send", send, SendParams),
    Method("chat.history", history, HistoryParams),
    Method("chat.abort", abort, AbortParams),
    Method("chat.inject", inject_message, InjectParams),
    Method("chat.metadata", metadata, MetadataParams),
]
