"""Calling a tool without a model: what `tools.invoke` and POST /tools/invoke share (CONTRACT sections 8 and 10).

Rules: only tools that look at the gateway or fetch a page are called (`catalogue.INVOCABLE`), whatever the settings
allow; the settings can take tools away; the arguments are checked as those of a session's call are. What is called has
no model, and leaves no process behind.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, Literal

import trio
from attrs import field, frozen

from runtime.config.settings import at
from runtime.errors import ModelError
from runtime.gateway import keys
from runtime.gateway.desk import Desk
from runtime.gateway.entries import Entry
from runtime.gateway.facts import SessionFacts
from runtime.gateway.frames import GatewayError, invalid
from runtime.ports import ModelRequest, Tool, ToolContext
from runtime.sessions.performer import TOOL_SECONDS
from runtime.sessions.processes import ProcessGroups
from runtime.tools.claw import people_tools
from runtime.tools.claw.catalogue import INVOCABLE
from runtime.tools.claw.selection import Selection
from runtime.vocab import JsonObject, ToolResult

SECONDS: Final = 120.0
"""How long a tool may take outside of a session; in one it is TOOL_SECONDS."""
assert SECONDS <= TOOL_SECONDS
NAME: Final = 120
"""Characters of the name of a tool that a refusal repeats."""

Fault = Literal["", "place", "missing", "arguments", "failed"]
"""What came between: the session or agent, no such tool, the arguments, the tool itself. Nothing: it did its work."""


@frozen
class Outcome:
    """What came of a call: a text and its details, or why there are none."""

    fault: Fault = ""
    message: str = ""
    text: str = ""
    details: Mapping[str, Any] = field(factory=dict)

    @property
    def output(self) -> dict[str, Any]:
        """The result as clients read it."""
        return {"content": [{"type": "text", "text": self.text}], "details": dict(self.details)}


async def invoke(desk: Desk, name: str, args: JsonObject, key: str | None, agent: str | None) -> Outcome:
    """Call a tool for a session, or for one that there is not yet. What goes wrong is part of the answer."""
    try:
        entry = _place(desk, key, agent)
    except GatewayError as exc:
        return Outcome("place", exc.message)
    tool = tool_of(desk, name) if invocable(desk, name) else None
    if tool is None:
        return Outcome("missing", f"Tool not available: {name[:NAME]}")
    context = _context(desk, entry)
    fault = tool.check(args, context)
    if fault is not None:
        return Outcome("arguments", fault)
    result = ToolResult.failed("execution_failed", f"{name} did not end within {SECONDS:.0f} s.")
    with trio.move_on_after(SECONDS):
        result = await tool.run(args, context)
    details = dict(result.details or {})
    if result.error is not None:
        return Outcome("failed", str(details.get("error") or result.error.message))
    return Outcome(text=result.output or "", details=details)


def tool_of(desk: Desk, name: str) -> Tool | None:
    """Return a tool of the sessions of this gateway, or one that only people call."""
    tools: Any = desk.dispatcher.performer.tools
    found: Tool | None = tools.get(name)
    if found is not None:
        return found
    return next((tool for tool in people_tools(SessionFacts(lambda: desk)) if tool.spec.name == name), None)


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
    return name in INVOCABLE and more.admits(name) and admitted(desk)(name)


def _place(desk: Desk, key: str | None, agent: str | None) -> Entry:
    """Return the session for which a tool is called, or what it would be. Raises GatewayError."""
    named = agent.strip().lower() if agent is not None else None
    if named is not None and named not in desk.extras["models"].agents:
        raise invalid(f'Unknown agent id "{agent}"')
    full = desk.directory.key(key, named)
    owner = keys.agent_of(full) or desk.directory.default_agent
    if named is not None and owner != named:
        raise invalid(f'agent "{named}" does not match session key agent "{owner}"')
    return desk.directory.get(full) or Entry(full, "", "", owner, 0, 0)


def _context(desk: Desk, entry: Entry) -> ToolContext:
    settings = desk.directory.settings_of(entry)
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
        generate=_no_model,
        deadline=_within,
        live=lambda text: None,
    )


async def _no_model(request: ModelRequest) -> JsonObject:
    await trio.lowlevel.checkpoint()
    raise ModelError("a tool outside of a session has no model", kind="protocol", terminal=True)


def _within(seconds: float) -> "AbstractContextManager[trio.CancelScope, bool]":
    """Open a cancel scope with a deadline; there is no session with which it could freeze."""
    opened: AbstractContextManager[trio.CancelScope, bool] = _scope(seconds)  # type: ignore[assignment]
    return opened


@contextmanager
def _scope(seconds: float) -> Iterator[trio.CancelScope]:
    with trio.move_on_after(seconds) as scope:
        yield scope
