"""What may go to a node in `system.run`: known params only, and no word of approval that nobody gave. Pure.

A node believes the gateway when that says a command was approved, so a caller may not say so himself: the approval has
to exist, to be for this node, to be unused, and to carry the plan that was shown; then it is the plan that is sent.
What cannot be verified is refused. Source: CONTRACT section 7, nodes, and the peer as it was seen to answer.
"""

from collections.abc import Mapping
from typing import Any, Final

from attrs import define, field

from runtime.approvals import Approval, Approvals
from runtime.gateway.frames import GatewayError, invalid
from runtime.ports import Chance

COMMAND: Final = "system.run"
TAKEN: Final = """command rawCommand systemRunPlan cwd env timeoutMs needsScreenRecording agentId sessionKey runId
    suppressNotifyOnExit""".split()
USED: Final = 1_000
ALLOWED: Final = ("allow-once", "allow-always")


@define(eq=False)
class NodeRuns:
    """Forwards `system.run`. `used` are approvals for one time that had theirs."""

    chance: Chance
    approvals: Approvals | None = None
    used: dict[str, None] = field(factory=dict)

    def forwarded(self, params: Any, node: str, now: int, *, reviewer: bool) -> Any:
        """Return the params as the node gets them. `reviewer` says whether the caller may answer approvals.

        Raises GatewayError.
        """
        if not isinstance(params, Mapping):
            return params
        source = params.get("approvalSource")
        if source not in (None, "ask-fallback"):
            raise guard("INVALID_APPROVAL_SOURCE", "approval source invalid")
        plain = {name: params[name] for name in TAKEN if name in params}
        said = params.get("approved") is True or params.get("approvalDecision") in ALLOWED
        if not said and source is None:
            return {**plain, "runId": _text(plain.get("runId")) or self.chance.uuid()}
        if source is not None and ("approved" in params or "approvalDecision" in params):
            raise guard("APPROVAL_SOURCE_MISMATCH", "an approval source does not go with an explicit approval")
        run = _text(params.get("runId"))
        if not run:
            raise guard("MISSING_RUN_ID", "an approval has to be named in params.runId")
        approval = self._approval(run, node, now, reviewer=reviewer)
        planned = _planned(plain, approval)
        if approval.decision == "allow-once":
            self.used[run] = None
            while len(self.used) > USED:
                del self.used[next(iter(self.used))]
        return {**planned, "runId": run, "approved": True, "approvalDecision": approval.decision}

    def _approval(self, run: str, node: str, now: int, *, reviewer: bool) -> Approval:
        """Return the approval of this name, if it is one for this node."""
        if self.approvals is None:
            raise guard("APPROVALS_UNAVAILABLE", "approvals are not available here", run)
        approval = self.approvals.waiting.get(run) or self.approvals.decided.get(run)
        if approval is None or approval.kind != "exec":
            raise guard("UNKNOWN_APPROVAL_ID", "unknown or expired approval id", run)
        if now > approval.expires:
            raise guard("APPROVAL_EXPIRED", "the approval has expired", run)
        bound = _text(approval.request.get("nodeId"))
        if not bound:
            raise guard("APPROVAL_NODE_BINDING_MISSING", "the approval is not for a node", run)
        if bound != node:
            raise guard("APPROVAL_NODE_MISMATCH", "the approval is for another node", run)
        if not reviewer:
            raise guard("APPROVAL_CLIENT_MISMATCH", "the approval is not this client's", run)
        if approval.decision not in ALLOWED or run in self.used:
            raise guard("APPROVAL_REQUIRED", "approval required", run)
        return approval


def _planned(params: dict[str, Any], approval: Approval) -> dict[str, Any]:
    """The params with the command that was approved, which has to be the one that is asked for."""
    plan = approval.request.get("systemRunPlan")
    argv = plan.get("argv") if isinstance(plan, Mapping) else None
    asked = params.get("command")
    if (
        approval.request.get("host") != "node"
        or not isinstance(plan, Mapping)
        or not (isinstance(argv, list) and argv)
        or (asked is not None and asked != argv)
        or params.get("env")
    ):
        raise guard("APPROVAL_REQUEST_MISMATCH", "the approval is for another command", approval.id)
    kept: dict[str, Any] = {
        name: params[name] for name in ("timeoutMs", "needsScreenRecording", "suppressNotifyOnExit") if name in params
    }
    bound = {name: text for name in ("cwd", "agentId", "sessionKey") if (text := _text(plan.get(name)))}
    raw = _text(plan.get("commandText"))
    whole: dict[str, Any] = {**kept, **bound, "command": argv, "systemRunPlan": dict(plan)}
    return whole | ({"rawCommand": raw} if raw else {})


def guard(code: str, message: str, run: str | None = None) -> GatewayError:
    """Return the error for what may not be forwarded."""
    return invalid(message, {"code": code} | ({"runId": run} if run else {}))


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""
