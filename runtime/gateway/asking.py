"""Calls that a person has to allow, as questions: what is shown of them, and how an answer goes back to the session.

Where nobody is connected who could answer, nobody is asked and the call is refused. But a run from before a restart may
have asked already, and those whom it asked need a moment to come back.
"""

import shutil
from collections.abc import Callable
from typing import Any, Final

import trio
from attrs import define, evolve, field, frozen

from runtime.approvals import SECONDS, Approval, Approvals
from runtime.errors import JournalError
from runtime.gateway.answered import Answered, question, recorded
from runtime.gateway.entries import Run
from runtime.gateway.hub import Hub, Link
from runtime.gateway.runs import Runs
from runtime.policy.permission import denied as denied_text
from runtime.policy.permission import effective, unattended
from runtime.sessions.session import Session
from runtime.step import Event
from runtime.step import events as ev
from runtime.step.state import Call
from runtime.tools.claw.exec import denied as denied_command
from runtime.vocab import JsonObject, ToolResult

SCOPE: Final = "operator.approvals"
RETURN_SECONDS: Final = 60.0
"""How long after a start a run from before it waits for somebody to come back who could answer."""
DENIED: Final = {"deny": "user-denied", "timeout": "approval-timeout", "no-route": "no-route", "cancelled": "cancelled"}


@frozen
class Terms:
    """How questions are put: for how many seconds, and whether `allow-always` may be answered."""

    seconds: float = SECONDS
    always: bool = False


TERMS: Final = Terms()


def reviewers(link: Link) -> bool:
    """Operators who may answer."""
    return SCOPE in link.scopes


@define(eq=False)
class Asking:
    """Asks people about calls of sessions, and tells them what was asked and answered. A part of the desk."""

    approvals: Approvals
    runs: Runs
    hub: Hub
    terms: "Callable[[], Terms]" = field(default=lambda: TERMS)
    answered: Answered = field(factory=Answered)
    _open: dict[bytes, tuple[str, int]] = field(factory=dict)
    _began: int = field(init=False)
    _patient: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.approvals.heard.append(self._heard)
        self._began = self.runs.clock.wall()
        self._patient = trio.current_time() + RETURN_SECONDS

    async def ask(self, session: Session, call: Call) -> Event:
        """Ask about a call; return `Approved` or `Denied`. What was allowed before, as it is, is not asked again."""
        run = self.runs.shelf.items.get(self.runs.current(session))
        by = self.answered.known(session.id, call)
        if by is None and self._from_before(session, run):
            by = await self._recorded(session, call)
        if by is not None:
            return ev.Approved(call.id, by)
        return await self._asked(session, call, run)

    def _from_before(self, session: Session, run: Run | None) -> bool:
        """Whether somebody may have answered whom this process does not remember."""
        return session.state.branch != "main" or (run is not None and run.created < self._began)

    async def _recorded(self, session: Session, call: Call) -> str | None:
        try:
            return await recorded(self.runs.dispatcher.journal, session, call)
        except JournalError:
            return None  # then a person is asked

    async def _asked(self, session: Session, call: Call, run: Run | None) -> Event:
        command = str(call.args.get("command") or call.name)
        terms = self.terms()
        request = request_of(
            command,
            cwd=session.state.settings.workspace,
            host="gateway",
            security="allowlist",
            ask="on-miss",
            agent=run.key.split(":")[1] if run is not None else None,
            key=run.key if run is not None else None,
            run=run.id if run is not None else None,
            call=call.id,
            tool=call.name,
            args=call.args,
            always=terms.always,
        ) | why_of(call)
        if run is not None and run.created < self._began:
            with trio.move_on_at(self._patient):
                while not self._heeded():
                    await self.hub.joined()
        if not self._heeded():
            text = unattended(effective(session.state.settings.mode))
            return ev.Denied(call.id, "gateway", text, self._denied(call, text, session, 0))
        approval = self._question(session, call, request, terms)
        self.runs.note(session, {"phase": "waiting-approval", "approvalId": approval.id, "toolCallId": call.id})
        why = "cancelled"  # the run is given up, or the session is gone: nobody needs the answer
        try:
            with session.deadlines.within(terms.seconds):
                await self.approvals.decision(approval.id, patient=True)
            why = "timeout"
        finally:
            approval = self._over(session, call, approval, why)
        self.runs.note(session, {"phase": "approval-resolved", "approvalId": approval.id, "toolCallId": call.id})
        if approval.decision in ("allow-once", "allow-always"):
            self.answered.allowed(
                session.id, call, approval.decision, approval.by, changed=approval.args not in (None, call.args)
            )
            if approval.args is not None:
                self.answered.entering(session.id, call, approval.args, approval.by)
            return ev.Approved(call.id, approval.by, approval.args)
        why = DENIED[approval.decision or approval.why or "cancelled"]
        text = denied_text(approval.id, why, command)
        took = max(0, approval.at - approval.created)
        return ev.Denied(call.id, approval.by or "gateway", text, self._denied(call, text, session, took))

    def _question(self, session: Session, call: Call, request: JsonObject, terms: Terms) -> Approval:
        """Put the question, or join the same one that is open already."""
        key = question(session.id, call)
        name, askers = self._open.get(key, ("", 0))
        if name not in self.approvals.waiting:
            allowed = ("allow-once", "allow-always", "deny") if terms.always else ("allow-once", "deny")
            made = self.approvals.request(
                "exec", request, seconds=terms.seconds, allowed=allowed, session=session.id, call=call.id
            )
            name, askers = made.id, 0
        self._open[key] = (name, askers + 1)
        return self.approvals.get(name)

    def _over(self, session: Session, call: Call, approval: Approval, why: str) -> Approval:
        """End a question for one who asked it; with the last one it is over."""
        key = question(session.id, call)
        name, askers = self._open.get(key, ("", 0))
        if name != approval.id:
            return self.approvals.expire(approval.id, why)
        if askers > 1:
            self._open[key] = (name, askers - 1)
            return evolve(self.approvals.get(approval.id), why=why)
        del self._open[key]
        return self.approvals.expire(approval.id, why)

    def _heeded(self) -> bool:
        """Whether anybody is connected who could answer."""
        return any(reviewers(link) for link in self.hub.links.values())

    def _denied(self, call: Call, text: str, session: Session, took: int) -> ToolResult:
        if call.name == "exec":
            return denied_command(text, session.state.settings.workspace, took)
        return ToolResult.failed("policy_violation", text)

    def _heard(self, what: str, approval: Approval) -> None:
        told = shown(approval)
        if what == "resolved":
            told = {
                "id": approval.id,
                "decision": approval.decision,
                "resolvedBy": approval.by or None,
                "ts": approval.at,
                "request": dict(approval.request),
            }
        self.hub.tell(f"{approval.kind}.approval.{what}", told, reviewers)


def shown(approval: Approval) -> dict[str, Any]:
    """Return a question as clients read it."""
    return {
        "approvalKind": approval.kind,
        "id": approval.id,
        "request": dict(approval.request),
        "createdAtMs": approval.created,
        "expiresAtMs": approval.expires,
    }


def why_of(call: Call) -> dict[str, Any]:
    """Return what a question shows of a verdict that was weighed: rule, reason, score, and the chain or the commands
    that it was found in. Nothing for a verdict of a permission mode, which says no more than that it asks."""
    verdict = call.verdict
    if verdict is None or verdict.score is None:
        return {}
    lines = [verdict.reason, *verdict.evidence]
    return {
        "warningText": verdict.reason,
        "commandAnalysis": {
            "commandCount": 1,
            "nestedCommandCount": 0,
            "riskKinds": [verdict.rule],
            "warningLines": lines,
        },
        "defender": {
            "rule": verdict.rule,
            "reason": verdict.reason,
            "score": verdict.score,
            "chain": list(verdict.evidence),
        },
    }


def request_of(
    command: str,
    *,
    cwd: str | None = None,
    host: str | None = None,
    security: str | None = None,
    ask: str | None = None,
    agent: str | None = None,
    key: str | None = None,
    run: str | None = None,
    call: str | None = None,
    node: str | None = None,
    path: str | None = None,
    plan: JsonObject | None = None,
    warning: str | None = None,
    tool: str = "exec",
    args: JsonObject | None = None,
    always: bool = False,
) -> dict[str, Any]:
    """Return the member `request` of a question (CONTRACT section 7). `tool` and `args` are our own addition."""
    words = command.split()
    return {
        "command": command,
        "systemRunBinding": None,
        "systemRunPlan": plan,
        "cwd": cwd,
        "nodeId": node,
        "host": host,
        "security": security,
        "ask": ask,
        "warningText": warning,
        "scope": None,
        "commandAnalysis": {"commandCount": 1, "nestedCommandCount": 0, "riskKinds": [], "warningLines": []},
        "unavailableDecisions": [] if always else ["allow-always"],
        "allowedDecisions": ["allow-once", "allow-always", "deny"] if always else ["allow-once", "deny"],
        "agentId": agent,
        "resolvedPath": path or (shutil.which(words[0]) if words else None),
        "sessionKey": key,
        "sessionId": None,
        "runId": run,
        "toolCallId": call,
        "turnSourceChannel": "webchat",
        "turnSourceTo": key,
        "turnSourceAccountId": None,
        "turnSourceThreadId": None,
        "cronExecutionSource": None,
        "cronOperationBinding": None,
        "tool": tool,
        "args": dict(args or {}),
    }
