"""agent and agent.wait: a run that is answered twice, first when it is accepted and again when it is over."""

from typing import Annotated, Any, Final, Literal

from attrs import frozen

from runtime.gateway import keys
from runtime.gateway.asks import Ask
from runtime.gateway.attachments import parts_of
from runtime.gateway.entries import Entry, Run
from runtime.gateway.frames import GatewayError, invalid
from runtime.gateway.methods.channels import INTERNAL, nowhere
from runtime.gateway.methods.sessions_create import checked_model, own_level
from runtime.gateway.params import Least, Length, Text
from runtime.gateway.queueing import NEXT
from runtime.gateway.registry import Call, Method
from runtime.gateway.runs import TIMEOUT
from runtime.gateway.scopes import ADMIN
from runtime.gateway.waiting import FOREVER
from runtime.vocab import JsonObject

RUN_SECONDS: Final = 48 * 3600.0
"""How long `agent` waits for a run where nobody said; runs have deadlines of their own."""
WAIT_MS: Final = 30_000


@frozen(kw_only=True)
class AgentParams:
    """Params of agent."""

    message: Text
    agent_id: Text | None = None
    provider: str | None = None
    model: str | None = None
    to: str | None = None
    reply_to: str | None = None
    session_id: str | None = None
    session_key: str | None = None
    expected_existing_session_id: Text | None = None
    thinking: str | None = None
    deliver: bool | None = None
    attachments: tuple[Any, ...] = ()
    channel: str | None = None
    reply_channel: str | None = None
    account_id: str | None = None
    reply_account_id: str | None = None
    thread_id: str | None = None
    group_id: str | None = None
    group_channel: str | None = None
    group_space: str | None = None
    timeout: Annotated[int, Least(0)] | None = None
    best_effort_deliver: bool | None = None
    lane: str | None = None
    cwd: Text | None = None
    cleanup_bundle_mcp_on_run_end: bool | None = None
    model_run: bool | None = None
    prompt_mode: Literal["full", "minimal", "none"] | None = None
    extra_system_prompt: str | None = None
    bootstrap_context_mode: Literal["full", "lightweight"] | None = None
    bootstrap_context_run_kind: Literal["default", "heartbeat", "cron"] | None = None
    acp_turn_source: Literal["manual_spawn"] | None = None
    internal_runtime_handoff_id: Text | None = None
    internal_execution_identity_retry: bool | None = None
    internal_execution_identity_recovery_attempt: Annotated[int, Least(1)] | None = None
    exec_approval_followup_expected_session_id: Text | None = None
    internal_events: tuple[JsonObject, ...] = ()
    input_provenance: JsonObject | None = None
    suppress_prompt_persistence: bool | None = None
    session_effects: Literal["visible", "internal"] | None = None
    source_reply_delivery_mode: Literal["automatic", "message_tool_only"] | None = None
    disable_message_tool: bool | None = None
    swarm_collector: bool | None = None
    swarm_output_schema: JsonObject | None = None
    force_restart_safe_tools: bool | None = None
    force_code_mode_tools: bool | None = None
    voice_wake_trigger: str | None = None
    idempotency_key: Text
    label: Annotated[str, Length(1, 512)] | None = None


@frozen(kw_only=True)
class WaitParams:
    """Params of agent.wait."""

    run_id: Text
    timeout_ms: Annotated[int, Least(0)] | None = None


async def agent(call: Call) -> Any:
    """Run a message; answer when it is accepted, and again when it is over."""
    desk, params = call.desk, call.params
    channel = (params.reply_channel or params.channel or "").strip()
    if params.deliver and channel.lower() not in ("", INTERNAL):  # it could only be claimed
        raise nowhere(channel)
    parts = parts_of(params.message, params.attachments)
    if not parts:
        raise invalid("message required")
    key, named = _key(call)
    model = _model(call)
    thinking = own_level(desk, params.thinking, key, model)
    entry = _target(call, key, named=named)
    run = params.idempotency_key
    seconds = params.timeout or 0
    ask = Ask(entry, run, params.message, parts, "agent", NEXT, call.sender, seconds, model=model, thinking=thinking)
    ack = await desk.runs.send(ask)
    if ack.status not in ("started", "in_flight"):  # it was answered before: there is nothing to wait for
        return finished(call, entry, ack.run, await desk.runs.wait(ack.run, 0))
    accepted = {"runId": ack.run, "status": "accepted", "acceptedAt": desk.clock.wall(), "agentId": entry.agent}
    call.first(accepted | ({"sessionKey": entry.key} if named else {}))
    # A run that was begun with a limit ends by that, and the limit stands still while the session is held.
    limited = bool(seconds) and ack.status == "started"
    ended = await desk.runs.wait(ack.run, FOREVER if limited else seconds or RUN_SECONDS)
    return finished(call, entry, ack.run, ended)


def _model(call: Call) -> str | None:
    """Return the model that is wanted for this run. Raises GatewayError where there is none, or the caller may not."""
    params = call.params
    if not params.model and not params.provider:
        return None
    if ADMIN not in call.scopes:
        raise invalid("provider/model overrides are not authorized for this caller.")
    if not params.model:
        raise invalid("invalid agent params: provider needs a model")
    whole = f"{params.provider}/{params.model}" if params.provider and "/" not in params.model else params.model
    return checked_model(call.desk, whole)


def _key(call: Call) -> tuple[str, bool]:
    """Return the key of the session that is meant, and whether the caller named it. Raises GatewayError."""
    params = call.params
    directory = call.desk.directory
    if params.session_key:
        key = directory.key(params.session_key, params.agent_id)
    elif params.session_id:
        entry = directory.named(params.session_id)
        key = entry.key if entry is not None else directory.key(f"explicit:{params.session_id}", params.agent_id)
    elif params.agent_id or params.to:
        key = directory.key("main", params.agent_id)
    else:
        key = directory.key(f"explicit:{params.idempotency_key}")
    if (keys.agent_of(key) or directory.default_agent) not in call.desk.extras["models"].agents:
        raise invalid(f'invalid agent params: unknown agent id "{keys.agent_of(key)}"')
    return key, bool(params.session_key or params.session_id or params.agent_id or params.to)


def _target(call: Call, key: str, *, named: bool) -> Entry:
    """Return the session of a key, made where there is none. Raises GatewayError."""
    desk, params = call.desk, call.params
    name = params.session_id or ("" if named else params.idempotency_key)
    entry, made = desk.directory.ensure(key, session=name, via="run", label=params.label)
    if made:
        desk.changed(entry, "create")
    if params.expected_existing_session_id not in (None, entry.id):
        raise invalid("the session is another one than expected")
    return entry


def finished(call: Call, entry: Entry, name: str, run: Run | None) -> Any:
    """Return the second answer of agent."""
    if run is None or run.stop == TIMEOUT:
        return {"runId": name, "status": "timeout", "summary": "timeout" if run is None else "aborted"}
    if run.status != "ok":
        summary = run.error or ("the run was aborted" if run.status == "aborted" else run.status)
        told = {"runId": name, "status": "error", "summary": summary}
        raise GatewayError("UNAVAILABLE", summary, payload=told)
    entry = entry.as_for(run.model, run.thinking)
    provider, model, window = call.desk.extras["models"].of(entry)
    used: dict[str, Any] = {
        "input": run.tokens[0],
        "output": run.tokens[1],
        "cacheRead": 0,
        "cacheWrite": 0,
        "total": run.tokens[2],
    }
    used |= {"cost": {"total": 0}}
    about = {
        "sessionId": entry.id,
        "sessionFile": entry.key,
        "provider": provider,
        "model": model,
        "contextTokens": window,
        "contextTokensSource": "resolved",
        "agentHarnessId": "openclaw",
        "usage": used,
        "lastCallUsage": used,
        "promptTokens": run.tokens[0],
    }
    said = call.desk.runs.answer(run)
    payloads = [{"text": said, "mediaUrl": None}] if said else []
    meta = {
        "durationMs": max(0, run.ended - run.started),
        "agentMeta": about,
        "aborted": False,
        "stopReason": run.stop,
        "systemPromptReport": report(call, entry, provider, model),
        "finalPromptText": asked(call, entry, run.id),
        "finalAssistantVisibleText": said,
        "finalAssistantRawText": said,
        "replayInvalid": False,
        "livenessState": "working",
        "executionTrace": {
            "winnerProvider": provider,
            "winnerModel": model,
            "attempts": [{"provider": provider, "model": model, "result": "success", "stage": "assistant"}],
            "fallbackUsed": False,
            "runner": "embedded",
        },
        "requestShaping": {"thinking": entry.thinking or "off"},
        "completion": {"stopReason": run.stop, "finishReason": run.stop},
    }
    result = {"payloads": payloads, "meta": meta, "sourceReplyDeliveryState": "missing"}
    return {"runId": name, "status": "ok", "summary": "completed", "result": result}


def report(call: Call, entry: Entry, provider: str, model: str) -> dict[str, Any]:
    """Return what is known of the system text of a run."""
    live = call.desk.runs.roster.live.get(entry.session)
    context = live.state.context if live is not None else None
    text = context.system if context is not None else ""
    return {
        "source": "run",
        "generatedAt": call.desk.clock.wall(),
        "sessionId": entry.id,
        "sessionKey": entry.key,
        "provider": provider,
        "model": model,
        "workspaceDir": live.state.settings.workspace if live is not None else "",
        "systemPrompt": {"chars": len(text)},
        "tools": {"names": list(context.toolset.names) if context is not None else []},
    }


def asked(call: Call, entry: Entry, name: str) -> str:
    """Return what was said in a run."""
    live = call.desk.runs.roster.live.get(entry.session)
    prompt = live.state.prompt if live is not None else None
    return prompt.message.text if prompt is not None and prompt.message.id == name else ""


async def wait(call: Call) -> Any:
    """Wait until a run is over; an unknown one waits out its time."""
    params = call.params
    most = WAIT_MS if params.timeout_ms is None else params.timeout_ms
    runs = call.desk.runs
    run = await runs.wait(params.run_id, min(most, 10**12) / 1000)
    if run is None:
        return {"runId": params.run_id, "status": "timeout"}
    status = "timeout" if run.stop == TIMEOUT else "ok" if run.status == "ok" else "error"
    answer: dict[str, Any] = {"runId": params.run_id, "status": status}
    answer |= {"startedAt": run.started or run.created, "endedAt": run.ended}
    if run.status != "ok":
        return answer | {"error": run.error or run.status, "stopReason": run.stop}
    text = runs.answer(run)
    reply = {"disposition": "visible" if text else "empty", "text": text}
    return answer | {"stopReason": run.stop, "livenessState": "working", "terminalReply": reply}


METHODS: Final = [Method("agent", agent, AgentParams), Method("agent.wait", wait, WaitParams)]
