"""exec.approval.*, exec.approvals.get, plugin.approval.list, question.list: people are asked and answer here."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from attrs import frozen

from runtime.approvals import SECONDS, Approval, Approvals, Decided, Unknown
from runtime.errors import InputError
from runtime.gateway.asking import request_of, shown
from runtime.gateway.frames import GatewayError, invalid
from runtime.gateway.params import Least, Most, Nullable, Text
from runtime.gateway.registry import Call, Method
from runtime.vocab import JsonObject

REMEDY: Final = "Request the action again: what waits is forgotten when its time is over and at a restart."


@frozen(kw_only=True)
class RequestParams:
    """Params of exec.approval.request."""

    id: Text | None = None
    command: Text | None = None
    command_argv: tuple[str, ...] | None = None
    system_run_plan: JsonObject | None = None
    env: JsonObject | None = None
    cwd: Nullable[str] = None
    node_id: Nullable[Text] = None
    host: Nullable[str] = None
    security: Nullable[str] = None
    ask: Nullable[str] = None
    warning_text: Nullable[str] = None
    scope: JsonObject | None = None
    unavailable_decisions: tuple[Literal["allow-always"], ...] | None = None
    command_spans: tuple[JsonObject, ...] | None = None
    agent_id: Nullable[str] = None
    resolved_path: Nullable[str] = None
    session_key: Nullable[str] = None
    session_id: Nullable[str] = None
    run_id: Nullable[str] = None
    tool_call_id: Nullable[str] = None
    turn_source_channel: Nullable[str] = None
    turn_source_to: Nullable[str] = None
    turn_source_account_id: Nullable[str] = None
    turn_source_thread_id: Nullable[str | float] = None
    approval_reviewer_device_ids: tuple[Text, ...] | None = None
    require_delivery_route: bool | None = None
    suppress_delivery: bool | None = None
    deliver_to_approval_clients_only: bool | None = None
    timeout_ms: Annotated[int, Least(1)] | None = None
    two_phase: bool | None = None


@frozen(kw_only=True)
class ResolveParams:
    """Params of exec.approval.resolve. `args` are other arguments for the call, our own addition."""

    id: Text
    decision: Text
    reviewer: JsonObject | None = None
    grant_expires_in_days: Annotated[int, Least(1), Most(3650)] | None = None
    args: JsonObject | None = None


@frozen(kw_only=True)
class NamedParams:
    """Params that name an approval."""

    id: Text


def approvals_of(call: Call) -> Approvals:
    """Return the approvals of the gateway."""
    found: Approvals = call.desk.part("approvals")
    return found


async def request(call: Call) -> Any:
    """Ask whoever may answer; the answer comes back when there is one."""
    params, approvals = call.params, approvals_of(call)
    command = params.command or " ".join(params.command_argv or ())
    if not command:
        raise invalid("command is required")
    seconds = min(params.timeout_ms, 10**12) / 1000 if params.timeout_ms else SECONDS
    try:
        approval = approvals.request(
            "exec",
            request_of(
                command,
                cwd=params.cwd,
                host=params.host,
                security=params.security,
                ask=params.ask,
                agent=params.agent_id,
                key=params.session_key,
                run=params.run_id,
                call=params.tool_call_id,
                node=params.node_id,
                path=params.resolved_path,
                plan=params.system_run_plan,
                warning=params.warning_text,
            ),
            name=params.id or "",
            seconds=seconds,
        )
    except InputError as exc:
        raise invalid(str(exc)) from exc
    if not _reviewers(call):
        approvals.expire(approval.id, "no-route")
    elif params.two_phase:
        call.first({"id": approval.id, "status": "accepted", **_times(approval)})
    return _decision(await approvals.decision(approval.id))


def _reviewers(call: Call) -> bool:
    """Whether anybody but the one who asks may answer."""
    links = call.desk.hub.links.values()
    return any("operator.approvals" in link.scopes and link is not call.caller for link in links)


async def wait(call: Call) -> Any:
    """Wait for the answer to a question."""
    try:
        return _decision(await approvals_of(call).decision(call.params.id), why=True)
    except Unknown as exc:
        raise missing() from exc


def _times(approval: Approval) -> dict[str, Any]:
    return {"createdAtMs": approval.created, "expiresAtMs": approval.expires}


def _decision(approval: Approval, *, why: bool = False) -> dict[str, Any]:
    told: dict[str, Any] = {"id": approval.id, "decision": approval.decision, **_times(approval)}
    return told | ({"terminalReason": approval.why} if why and approval.why else {})


async def listed(call: Call) -> Any:
    """Return the questions that wait."""
    return [shown(one) for one in approvals_of(call).list("exec")]


async def get(call: Call) -> Any:
    """Return one question that waits."""
    approvals = approvals_of(call)
    approval = approvals.waiting.get(call.params.id)
    if approval is None:
        raise missing()
    return {
        "id": approval.id,
        "commandText": str(approval.request.get("command", "")),
        "commandPreview": None,
        "allowedDecisions": list(approval.allowed),
        "host": approval.request.get("host"),
        "nodeId": approval.request.get("nodeId"),
        "agentId": approval.request.get("agentId"),
        "expiresAtMs": approval.expires,
    }


async def resolve(call: Call) -> Any:
    """Answer a question."""
    params = call.params
    try:
        approvals_of(call).resolve(params.id, params.decision, call.sender, params.args)
    except Unknown as exc:
        raise missing() from exc
    except Decided as exc:
        raise invalid(str(exc), {"reason": "APPROVAL_ALREADY_RESOLVED"}) from exc
    except InputError as exc:
        raise invalid(str(exc)) from exc
    return {"ok": True}


def missing() -> GatewayError:
    """Return the error for an id that nobody knows."""
    return invalid("unknown or expired approval id", {"reason": "APPROVAL_NOT_FOUND", "remediation": REMEDY})


async def policy(call: Call) -> Any:
    """Return the lists of commands that need no approval; there are none but those of the permission modes."""
    file: Mapping[str, Any] = {"version": 1, "socket": {"path": ""}, "defaults": {}, "agents": {}}
    resolved = {"security": "full", "ask": "off", "askFallback": "deny", "autoAllowSkills": False}
    path = f"{call.desk.dispatcher.journal.name}#approvals"
    return {"path": path, "exists": False, "file": file, "hash": "", "resolvedDefaults": resolved}


async def no_plugins(call: Call) -> Any:
    """Return the questions of plugins that wait."""
    return [shown(one) for one in approvals_of(call).list("plugin")]


async def questions(call: Call) -> Any:
    """Return the questions of agents that wait."""
    return {"questions": []}


METHODS: Final = [
    Method("exec.approval.request", request, RequestParams),
    Method("exec.approval.waitDecision", wait, NamedParams),
    Method("exec.approval.list", listed),
    Method("exec.approval.get", get, NamedParams),
    Method("exec.approval.resolve", resolve, ResolveParams),
    Method("exec.approvals.get", policy),
    Method("plugin.approval.list", no_plugins),
    Method("question.list", questions),
]
