"""`agents_list` and `sessions_history`: what a person, through `tools.invoke`, is told of agents and conversations.

A model is not told of these tools: what was said in another session is none of its business.
"""

import json
from typing import Any, Final

from attrs import define

from runtime.ports import ToolContext
from runtime.tools.claw import arguments, declarations, results
from runtime.tools.claw.status import Sessions
from runtime.vocab import JsonObject, ToolResult, ToolSpec

USUAL: Final = 50
MOST: Final = 200
CHARACTERS: Final = 80_000
"""What `sessions_history` gives at most; the oldest messages are left out."""


@define(eq=False)
class AgentsList:
    """The tool `agents_list`."""

    sessions: Sessions
    spec: ToolSpec = declarations.AGENTS_LIST

    def check(self, args: JsonObject, context: ToolContext) -> str | None:
        """Take any arguments: there are none."""
        return None

    async def run(self, args: JsonObject, context: ToolContext) -> ToolResult:
        """List the agents."""
        requester, agents = self.sessions.agents(context.session)
        details = {"requester": requester, "allowAny": False, "agents": [dict(each) for each in agents]}
        return results.done(json.dumps(details, ensure_ascii=False, indent=2), details)


@define(eq=False)
class SessionsHistory:
    """The tool `sessions_history`."""

    sessions: Sessions
    spec: ToolSpec = declarations.SESSIONS_HISTORY

    def check(self, args: JsonObject, context: ToolContext) -> str | None:
        """Return what is wrong with the arguments."""
        key = args.get("sessionKey")
        if not isinstance(key, str) or not key.strip():
            return "sessionKey required"
        return arguments.count(args, "limit") or arguments.fault(self.spec, arguments.mended(self.spec, args), args)

    async def run(self, args: JsonObject, context: ToolContext) -> ToolResult:
        """Return the last messages of a session; the results of tools only where they are asked for."""
        given = arguments.mended(self.spec, args)
        found = self.sessions.history(context.session, given["sessionKey"].strip())
        if isinstance(found, str):
            details: dict[str, Any] = {"status": "error", "error": found}
        else:
            key, bodies = found
            wanted = [body for body in bodies if given.get("includeTools") is True or _spoken(body)]
            details = {"sessionKey": key, **_fitted(wanted[-min(given.get("limit", USUAL), MOST) :])}
        return results.done(json.dumps(details, ensure_ascii=False, indent=2, default=str), details)


def _fitted(bodies: list[JsonObject]) -> dict[str, Any]:
    size, kept = 0, 0
    for body in reversed(bodies):
        more = len(json.dumps(body, default=str))
        if size + more > CHARACTERS:
            break
        size, kept = size + more, kept + 1
    dropped = kept < len(bodies)
    return {
        "messages": [dict(body) for body in bodies[len(bodies) - kept :]],
        "truncated": dropped,
        "droppedMessages": dropped,
        "contentTruncated": False,
        "contentRedacted": False,
        "bytes": size,
    }


def _spoken(body: JsonObject) -> bool:
    return body.get("role") in ("user", "assistant")
