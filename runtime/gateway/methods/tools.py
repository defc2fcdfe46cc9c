"""tools.*, skills.status, commands.list: what can be called, and calling a tool outside of a session.

Which tools can be called is told in `runtime.gateway.invoking`. There are no skills in this version.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from attrs import frozen

from runtime.approvals import DECISIONS
from runtime.gateway import invoking
from runtime.gateway.commands import COMMANDS
from runtime.gateway.desk import Desk
from runtime.gateway.frames import invalid
from runtime.gateway.params import Text
from runtime.gateway.queueing import MODES
from runtime.gateway.registry import Call, Method
from runtime.policy.permission import offers
from runtime.tools.claw.catalogue import GROUPS, catalog, effective
from runtime.vocab import JsonObject

NAMES: Final = tuple(entry.name for group in GROUPS for entry in group.entries)
ARGUMENTS: Final[Mapping[str, list[dict[str, Any]]]] = {
    "queue": [
        {
            "name": "mode",
            "description": "what happens to a message while the session is busy",
            "type": "string",
            "choices": [{"value": mode, "label": mode} for mode in MODES],
        }
    ],
    "approve": [
        {"name": "id", "description": "the question", "type": "string"},
        {
            "name": "decision",
            "description": "the answer",
            "type": "string",
            "choices": [{"value": word, "label": word} for word in DECISIONS],
        },
    ],
}
"""What slash commands take, as commands.list tells it."""
CATEGORIES: Final = {"help": "status", "status": "status", "queue": "options", "approve": "management"}


@frozen(kw_only=True)
class CatalogParams:
    """Params of tools.catalog."""

    agent_id: Text | None = None
    include_plugins: bool | None = None


@frozen(kw_only=True)
class EffectiveParams:
    """Params of tools.effective."""

    agent_id: Text | None = None
    session_key: Text


@frozen(kw_only=True)
class InvokeParams:
    """Params of tools.invoke."""

    name: Text
    args: JsonObject | None = None
    session_key: Text | None = None
    agent_id: Text | None = None
    confirm: bool | None = None
    idempotency_key: Text | None = None
    conversation_read_origin: Literal["direct-operator"] | None = None


@frozen(kw_only=True)
class SkillsParams:
    """Params of skills.status."""

    agent_id: Text | None = None
    session_key: Text | None = None


@frozen(kw_only=True)
class CommandsParams:
    """Params of commands.list."""

    session_key: Text | None = None
    agent_id: Text | None = None
    provider: Text | None = None
    scope: Literal["text", "native", "both"] = "both"
    include_args: bool = True


async def catalogued(call: Call) -> Any:
    """Return all tools that there are."""
    return catalog(agent_of(call.desk, call.params.agent_id))


async def available(call: Call) -> Any:
    """Return the tools that the model of a session is told of."""
    desk, params = call.desk, call.params
    agent_of(desk, params.agent_id)
    entry = desk.directory.get(desk.directory.key(params.session_key, params.agent_id))
    if entry is None:
        raise invalid(f'unknown session key "{params.session_key}"')
    mode = entry.mode or desk.extras["models"].mode
    may = invoking.admitted(desk)
    names = [name for name in NAMES if invoking.tool_of(desk, name) is not None and offers(mode, name) and may(name)]
    return effective(entry.agent, names)


CODES: Final = {"place": "validation_error", "missing": "not_found"}
"""Codes of calls that came to nothing, by what came between; all others are one (observed)."""


async def invoke(call: Call) -> Any:
    """Run one tool. What goes wrong is part of the answer."""
    params = call.params
    name = params.name.strip()
    if not name:
        raise invalid("invalid tools.invoke params: name required")
    made = await invoking.invoke(call.desk, name, dict(params.args or {}), params.session_key, params.agent_id)
    if made.fault:
        error = {"code": CODES.get(made.fault, "internal_error"), "message": made.message}
        return {"ok": False, "toolName": name, "error": error}
    return {"ok": True, "toolName": name, "output": made.output, "source": "core"}


def agent_of(desk: Desk, agent: str | None) -> str:
    """Return the agent that is meant. Raises GatewayError for one that is not configured."""
    name = agent.strip().lower() if agent is not None else desk.directory.default_agent
    if agent is not None and name not in desk.extras["models"].agents:
        raise invalid(f'unknown agent id "{agent}"')
    return name


async def skills(call: Call) -> Any:
    """Return the skills of an agent: none."""
    desk, params = call.desk, call.params
    agent = agent_of(desk, params.agent_id)
    if params.session_key is not None:
        entry = desk.directory.get(desk.directory.key(params.session_key, params.agent_id))
        if entry is None:
            raise invalid("Session not found.")
        agent = entry.agent
    workspace = desk.extras["models"].workspace(agent)
    managed = str(Path(desk.state_dir) / "skills")
    return {"workspaceDir": workspace, "managedSkillsDir": managed, "agentId": agent, "skills": []}


async def commands(call: Call) -> Any:
    """Return the slash commands. They are texts: no channel shows them in a menu of its own."""
    params = call.params
    agent_of(call.desk, params.agent_id)
    if params.scope == "native":
        return {"commands": []}
    return {"commands": [command(name, about, args=params.include_args) for name, (about, _) in COMMANDS.items()]}


def command(name: str, about: str, *, args: bool) -> dict[str, Any]:
    """Return one slash command as clients read it."""
    takes = ARGUMENTS.get(name, [])
    row: dict[str, Any] = {
        "name": name,
        "nativeName": name,
        "textAliases": [f"/{name}"],
        "description": about[:1].upper() + about[1:] + ".",
        "category": CATEGORIES.get(name, "session"),
        "source": "native",
        "scope": "text",
        "acceptsArgs": bool(takes),
    }
    return row | ({"args": takes} if takes and args else {})


METHODS: Final = [
    Method("tools.catalog", catalogued, CatalogParams),
    Method("tools.effective", available, EffectiveParams),
    Method("tools.invoke", invoke, InvokeParams),
    Method("skills.status", skills, SkillsParams),
    Method("commands.list", commands, CommandsParams),
]
