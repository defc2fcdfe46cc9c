"""Who may call what: roles, operator scopes and what they imply, the scope of each method (CONTRACT sections 4 and 8).

Rules: a method that is not in the table needs operator.admin; a role sees only its own methods; `health` is for all.
Where the scope depends on the params, it is computed from them before anybody has checked them. The scopes of the
debugger are apart: each has those before it, no other implies one, and operator.admin neither. Runs no method.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from runtime.gateway.frames import GatewayError, missing_scope, role_denied

OPERATOR: Final = "operator"
NODE: Final = "node"
ROLES: Final = frozenset({OPERATOR, NODE})

ADMIN: Final = "operator.admin"
READ: Final = "operator.read"
WRITE: Final = "operator.write"
APPROVALS: Final = "operator.approvals"
QUESTIONS: Final = "operator.questions"
PAIRING: Final = "operator.pairing"
TALK: Final = "operator.talk"
TALK_SECRETS: Final = "operator.talk.secrets"
SCOPES: Final = frozenset({ADMIN, READ, WRITE, APPROVALS, QUESTIONS, PAIRING, TALK, TALK_SECRETS})
DEBUG: Final = "operator.debug."
DEBUG_SCOPES: Final = tuple(f"{DEBUG}{name}" for name in ("observe", "drive", "mutate", "override"))
"""Those of the debugger, the least first."""
DEBUG_METHODS: Final = "debug."
"""How its methods begin. All need the least of its scopes; what one needs beyond that, it says itself."""

ROLE_STRIKES: Final = 10
"""Calls of the other role's methods in a row that one connection may make; one more closes it with 1008."""
OPEN_METHODS: Final = frozenset({"health"})
"""Served to any role and without any scope."""
NODE_METHODS: Final = frozenset(
    """node.event node.invoke.progress node.invoke.result node.pending.ack node.pending.drain node.pending.pull
    node.pluginSurface.refresh node.pluginTools.update node.runnerInventory.update node.skills.update
    skills.bins""".split()
)

_BY_SCOPE: Final[Mapping[str, str]] = {
    READ: """health status system-presence system.info gateway.identity.get last-heartbeat models.list
        models.authStatus tools.catalog tools.effective skills.status commands.list agents.list agents.files.list
        agents.files.get agent.identity.get sessions.list sessions.subscribe sessions.messages.subscribe
        sessions.messages.unsubscribe sessions.describe sessions.get sessions.preview sessions.resolve sessions.search
        sessions.usage sessions.usage.timeseries sessions.usage.logs chat.startup chat.metadata chat.history
        channels.status config.get config.schema config.schema.lookup cron.status cron.list cron.get cron.runs
        node.list node.describe plugin.surface.refresh logs.tail usage.status usage.cost tasks.list tts.status
        tts.providers voicewake.get
        diagnostics.stability artifacts.list audit.list users.self chat.message.get""",
    WRITE: """wake tools.invoke sessions.send sessions.abort chat.send chat.abort agent.wait send poll message.action
        node.pending.enqueue""",
    ADMIN: """set-heartbeats system-event agents.create agents.update agents.delete agents.files.set sessions.reset
        sessions.compact chat.inject channels.start channels.stop channels.logout config.set config.patch config.apply
        cron.add cron.update cron.remove cron.run exec.approvals.get exec.approvals.set update.status secrets.reload
        wizard.status connect""",
    APPROVALS: """exec.approval.request exec.approval.list exec.approval.get exec.approval.resolve
        exec.approval.waitDecision plugin.approval.list""",
    QUESTIONS: "question.list",
    PAIRING: """node.pair.list node.pair.approve node.pair.reject device.pair.list device.pair.approve
        device.pair.reject device.pair.remove device.pair.rename device.token.rotate device.token.revoke
        node.pair.remove node.rename""",
}
METHOD_SCOPES: Final[Mapping[str, str]] = {name: scope for scope, names in _BY_SCOPE.items() for name in names.split()}
"""The scope of each method that always needs the same one."""

_IMPLIED: Final[Mapping[str, frozenset[str]]] = {
    ADMIN: SCOPES,
    WRITE: frozenset({READ, TALK}),
    **{scope: frozenset(DEBUG_SCOPES[:place]) for place, scope in enumerate(DEBUG_SCOPES)},
}

_RESET_COMMAND: Final = re.compile(r"/(new|reset)(\s|\Z)", re.IGNORECASE)
_ADMIN_NODE_COMMANDS: Final = frozenset({"browser.proxy", "browser.proxy.upload.v1", "fs.listDir", "terminal.upload"})
_PATCH_WRITE: Final = frozenset(
    """key agentId expectedSessionId expectedLifecycleRevision expectedPermissionMode expectedMarkedUnreadAt label
    autoLabel icon color category boardFace boardPresentation pinned archived unread model agentRuntime thinkingLevel
    fastMode permissionMode""".split()
)
_DELETE_WRITE: Final = frozenset("key agentId deleteTranscript expectedSessionId archivedOnly".split())
_INCOGNITO: Final = re.compile(r"agent:[^:]+:(dashboard|subagent|internal-session-effects):incognito-[^:]+\Z")

Params = Mapping[str, Any]


def effective(scopes: Iterable[str]) -> frozenset[str]:
    """The scopes and all that they imply."""
    granted = frozenset(scopes)
    return granted.union(*(_IMPLIED[scope] for scope in granted & _IMPLIED.keys()))


def allowed(scopes: Iterable[str], needed: str) -> bool:
    """Whether scopes, as granted or already `effective`, grant one that a method needs."""
    return _has(effective(scopes), needed)


def covers(role: str, granted: Iterable[str], wanted: Iterable[str]) -> bool:
    """Whether all that is asked for in a role was granted. A scope of another role never was."""
    have = effective(scope.strip() for scope in granted)
    asked = [scope.strip() for scope in wanted if scope.strip()]
    if role == OPERATOR:
        return all(scope.startswith(f"{OPERATOR}.") and _has(have, scope) for scope in asked)
    return all(scope.startswith(f"{role}.") and scope in have for scope in asked)


def required(method: str, params: object = None) -> tuple[str, ...]:
    """The scopes that a call needs, all of them. What nobody knows needs operator.admin."""
    if method.startswith(DEBUG_METHODS):
        return DEBUG_SCOPES[:1]
    depends = _DYNAMIC.get(method)
    if depends is not None:
        return depends(params if isinstance(params, Mapping) else {})
    return (METHOD_SCOPES.get(method, ADMIN),)


def refusal(role: str, scopes: Iterable[str], method: str, params: object = None) -> GatewayError | None:
    """Why this connection may not call this method, or None if it may. Asked before the method is even looked up."""
    if method in OPEN_METHODS:
        return None
    if (method in NODE_METHODS) is not (role == NODE):
        return role_denied(role)
    if role == NODE:
        return None
    granted = effective(scopes)
    if ADMIN in granted and not method.startswith(DEBUG_METHODS):
        return None
    needed = required(method, params)
    missing = next((scope for scope in needed if scope not in granted), None)
    return None if missing is None else missing_scope(missing, needed)


def debugs(scopes: Iterable[str]) -> bool:
    """Whether one of these scopes is the debugger's."""
    return any(scope.strip().startswith(DEBUG) for scope in scopes)


def _has(granted: frozenset[str], scope: str) -> bool:
    """Whether effective scopes have one. An administrator has those of operators that nobody knows."""
    if scope in granted:
        return True
    return ADMIN in granted and scope.startswith(f"{OPERATOR}.") and not scope.startswith(DEBUG)


def _agent(params: Params) -> tuple[str, ...]:
    message = params.get("message")
    return (ADMIN if isinstance(message, str) and _RESET_COMMAND.match(message) else WRITE,)


def _node_invoke(params: Params) -> tuple[str, ...]:
    command = params.get("command")
    return (ADMIN if isinstance(command, str) and command in _ADMIN_NODE_COMMANDS else WRITE,)


def _talk_config(params: Params) -> tuple[str, ...]:
    return (READ, TALK_SECRETS) if params.get("includeSecrets") is True else (READ,)


def _environments_list(params: Params) -> tuple[str, ...]:
    runtime = params.get("runtimeId")
    return (WRITE if isinstance(runtime, str) and runtime else READ,)


def _sessions_create(params: Params) -> tuple[str, ...]:
    admin = (
        params.get("incognito") is True
        or any(_incognito(params.get(name)) for name in ("key", "parentSessionKey"))
        or "execNode" in params
        or "toolOverrides" in params
        or params.get("permissionMode") == "full"
    )
    return (ADMIN if admin else WRITE,)


def _sessions_patch(params: Params) -> tuple[str, ...]:
    return (WRITE if params.get("permissionMode") != "full" and params.keys() <= _PATCH_WRITE else ADMIN,)


def _sessions_delete(params: Params) -> tuple[str, ...]:
    return (WRITE if params.get("archivedOnly") is True and params.keys() <= _DELETE_WRITE else ADMIN,)


def _incognito(key: object) -> bool:
    return isinstance(key, str) and _INCOGNITO.match(key.strip().lower()) is not None


_DYNAMIC: Final[Mapping[str, Callable[[Params], tuple[str, ...]]]] = {
    "agent": _agent,
    "environments.list": _environments_list,
    "node.invoke": _node_invoke,
    "sessions.create": _sessions_create,
    "sessions.delete": _sessions_delete,
    "sessions.patch": _sessions_patch,
    "talk.config": _talk_config,
}
