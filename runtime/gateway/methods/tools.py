"""tools.*, skills.status, commands.list: what can be called, and calling a tool outside of a session.

Rules: `tools.invoke` runs only tools that look at the gateway or fetch a page (`catalogue.INVOCABLE`), with the checks
that a session's calls have: they are on offer, the arguments fit, and the permission mode allows it. There are no
skills in this version.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import trio
from attrs import frozen

from runtime.config.settings import at
from runtime.errors import ModelError
from runtime.gateway import keys
from runtime.gateway.commands import COMMANDS, MODES
from runtime.gateway.desk import Desk
from runtime.gateway.entries import Entry
from runtime.gateway.frames import GatewayError, invalid
from runtime.gateway.params import Text
from runtime.gateway.registry import Call, Method
from runtime.policy.permission import needs, offers
from runtime.ports import ModelRequest, Tool, ToolContext
from runtime.sessions.performer import TOOL_SECONDS
from runtime.sessions.processes import ProcessGroups
from runtime.step import Settings
from runtime.tools.claw.catalogue import GROUPS, INVOCABLE, catalog, effective
from runtime.tools.claw.selection import Selection
from runtime.vocab import Decision, JsonObject, ToolResult

SECONDS: Final = 120.0
"""How long a tool may take outside of a session; in one it is TOOL_SECONDS."""
assert SECONDS <= TOOL_SECONDS
NAMES: Final = tuple(entry.name for group in GROUPS for entry in group.entries)
ARGUMENTS: Final[Mapping[str, list[dict[str, Any]]]] = {
    "queue": [
        {
            "name": "mode",
            "description": "what happens to a message while the session is busy",
            "type": "string",
            "choices": [{"value": mode, "label": mode} for mode in MODES],
        }
    ]
}
"""What slash commands take, as commands.list tells it."""
CATEGORIES: Final = {"help": "status", "status": "status", "queue": "options"}


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
    may = admitted(desk)
    names = [name for name in NAMES if tool_of(desk, name) is not None and offers(mode, name) and may(name)]
    return effective(entry.agent, names)


async def invoke(call: Call) -> Any:
    """Run one tool. What goes wrong is part of the answer."""
    desk, params = call.desk, call.params
    name = params.name.strip()
    if not name:
        raise invalid("invalid tools.invoke params: name required")
    try:
        entry = place_of(desk, params.session_key, params.agent_id)
    except GatewayError as exc:
        return wrong(name, "validation_error", exc.message)
    tool = tool_of(desk, name) if name in INVOCABLE and invocable(desk, name) else None
    if tool is None:
        return wrong(name, "not_found", f"Tool not available: {name}")
    return await run(desk, tool, dict(params.args or {}), entry)


async def run(desk: Desk, tool: Tool, args: JsonObject, entry: Entry) -> dict[str, Any]:
    """Check and run a tool for a session, or for one that there is not yet; return the answer of tools.invoke."""
    name, settings = tool.spec.name, desk.directory.settings_of(entry)
    context = context_of(desk, settings, entry)
    fault = tool.check(args, context)
    if fault is not None:
        return wrong(name, "validation_error", fault)
    if needs(settings.mode, name, args, settings.workspace) is not Decision.ALLOW:
        return wrong(name, "forbidden", f"The permission mode {settings.mode} does not allow {name} here.")
    result = ToolResult.failed("execution_failed", f"{name} did not end within {SECONDS:.0f} s.")
    with trio.move_on_after(SECONDS):
        result = await tool.run(args, context)
    details = dict(result.details or {})
    if result.error is not None:
        return wrong(name, "internal_error", str(details.get("error") or result.error.message))
    output = {"content": [{"type": "text", "text": result.output}], "details": details}
    return {"ok": True, "toolName": name, "output": output, "source": "core"}


def context_of(desk: Desk, settings: Settings, entry: Entry) -> ToolContext:
    """Return what a tool may use outside of a session: no model, and no process that outlives the call."""
    around = desk.dispatcher.performer.surroundings(settings)
    return ToolContext(
        session=entry.session or entry.key,
        call=desk.chance.uuid(),
        workspace=around.workspace,
        scratch=around.scratch,
        home=around.home,
        environ=around.environ,
        options=around.options,
        model=settings.model,
        clock=desk.clock,
        processes=ProcessGroups(),
        generate=no_model,
        deadline=within,
        live=lambda text: None,
    )


async def no_model(request: ModelRequest) -> JsonObject:
    """Refuse to ask a model."""
    await trio.lowlevel.checkpoint()
    raise ModelError("a tool outside of a session has no model", kind="protocol", terminal=True)


def within(seconds: float) -> "AbstractContextManager[trio.CancelScope, bool]":
    """Open a cancel scope with a deadline; there is no session with which it could freeze."""
    opened: AbstractContextManager[trio.CancelScope, bool] = _within(seconds)  # type: ignore[assignment]
    return opened


@contextmanager
def _within(seconds: float) -> Iterator[trio.CancelScope]:
    with trio.move_on_after(seconds) as scope:
        yield scope


def wrong(name: str, code: str, message: str) -> dict[str, Any]:
    """Return the answer of tools.invoke for a call that came to nothing."""
    return {"ok": False, "toolName": name, "error": {"code": code, "message": message}}


def tool_of(desk: Desk, name: str) -> Tool | None:
    """Return a tool of the sessions of this gateway."""
    tools: Any = desk.dispatcher.performer.tools
    found: Tool | None = tools.get(name)
    return found


def admitted(desk: Desk) -> Callable[[str], bool]:
    """Return what says whether the settings leave a tool (`tools.profile`, `allow`, `alsoAllow`, `deny`)."""
    settings = getattr(desk.config, "config", None)
    if settings is None:
        return lambda name: True
    tools = settings.tools
    return Selection(profile=tools.profile, allow=tools.allow, also=tools.also_allow, deny=tools.deny).admits


def invocable(desk: Desk, name: str) -> bool:
    """Whether a tool may be called outside of a session: the settings leave it, also `gateway.tools.deny`."""
    settings = getattr(desk.config, "config", None)
    more = Selection(deny=at(settings.tree, "gateway.tools.deny", ())) if settings is not None else Selection()
    return more.admits(name) and admitted(desk)(name)


def place_of(desk: Desk, key: str | None, agent: str | None) -> Entry:
    """Return the session for which a tool is called, or what it would be. Raises GatewayError."""
    named = agent.strip().lower() if agent is not None else None
    if named is not None and named not in desk.extras["models"].agents:
        raise invalid(f'Unknown agent id "{agent}"')
    full = desk.directory.key(key, named)
    owner = keys.agent_of(full) or desk.directory.default_agent
    if named is not None and owner != named:
        raise invalid(f'agent "{named}" does not match session key agent "{owner}"')
    return desk.directory.get(full) or Entry(full, "", "", owner, 0, 0)


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
