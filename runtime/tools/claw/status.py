"""`session_status` and `sessions_list`: what a model, or `tools.invoke`, is told about sessions. Knows none itself.

Whoever composes hands in what knows them (`Sessions`).
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from attrs import define, frozen

from runtime.ports import ToolContext
from runtime.tools.claw import arguments, declarations, results
from runtime.tools.claw.names import duration
from runtime.vocab import JsonObject, ToolResult, ToolSpec

USUAL: Final = 100
MOST: Final = 200


@frozen(kw_only=True)
class Facts:
    """What `session_status` tells of a session. Times are milliseconds."""

    key: str
    agent: str
    version: str
    model: str
    auth: str = "api-key"
    uptime: int = 0
    input: int = 0
    output: int = 0
    context: int = 0
    window: int = 0
    thinking: str = "off"
    fast: str = "off"
    queue: str = "steer"
    state: int = 0
    updated: int | None = None
    active: Mapping[str, Any] | None = None


class Sessions(Protocol):
    """What knows sessions. `session` is that of the calling one."""

    def facts(self, session: str, key: str | None) -> Facts | None:
        """Return what is known of a session by its key; None: of the calling one. None where there is none."""

    def rows(self, session: str) -> Sequence[JsonObject]:
        """Return the rows of all sessions, the latest first, as `sessions_list` gives them."""

    def agents(self, session: str) -> tuple[str, Sequence[JsonObject]]:
        """Return the agent of a session, and the rows of all agents."""

    def history(self, session: str, key: str) -> tuple[str, Sequence[JsonObject]] | str:
        """Return the full key of a session and the messages of its conversation, or why there is none."""

    async def choose(self, session: str, key: str, model: str) -> str | None:
        """Use another model (`default`: the usual one) in a session. Returns what stood in the way, or None."""


@define(eq=False)
class SessionStatus:
    """The tool `session_status`."""

    sessions: Sessions
    spec: ToolSpec = declarations.SESSION_STATUS

    def check(self, args: JsonObject, context: ToolContext) -> str | None:
        """Return what is wrong with the form of the arguments."""
        return arguments.fault(self.spec, arguments.mended(self.spec, args), args)

    async def run(self, args: JsonObject, context: ToolContext) -> ToolResult:
        """Tell about the session."""
        given = arguments.mended(self.spec, args)
        asked = given.get("sessionKey")
        key = None if asked in (None, "", "current") else asked
        facts = self.sessions.facts(context.session, key)
        if facts is None:
            return results.refused(self.spec.name, f"Unknown sessionKey: {asked or 'current'}")
        model = given.get("model")
        if model:
            if (wrong := await self.sessions.choose(context.session, facts.key, model)) is not None:
                return results.refused(self.spec.name, wrong)
            facts = self.sessions.facts(context.session, key) or facts
        told = text(facts, context.clock.wall())
        details: dict[str, Any] = {
            "ok": True,
            "sessionKey": facts.key,
            "agentId": facts.agent,
            "changedModel": bool(model),
            "stateVersion": facts.state,
            "statusText": told,
        }
        if facts.active is not None:
            details["active"] = dict(facts.active)
        return results.done(told, details)


def text(facts: Facts, now: int) -> str:
    """Return what a person reads about a session; `/status` may give the same."""
    moment = datetime.fromtimestamp(now / 1000, UTC)
    share = f" ({100 * facts.context // facts.window}%)" if facts.window else ""
    rows = [
        f"twinstep {facts.version}",
        f"Current time: {moment:%A, %B} {moment.day}, {moment:%Y - %H:%M} (UTC)",
        f"Reference UTC: {moment:%Y-%m-%d %H:%M} UTC",
        f"Uptime: gateway {duration(facts.uptime)}",
        "",
        f"Model: {facts.model}",
        f"Auth: {facts.auth}",
        f"Tokens: {facts.input} in / {facts.output} out",
        f"Context: {facts.context or '?'}/{_count(facts.window)}{share}",
        f"Session: {facts.key}" + ("" if facts.updated is None else f", updated {duration(now - facts.updated)} ago"),
        f"Modes: think {facts.thinking}, fast {facts.fast}",
        f"Queue: {facts.queue}",
    ]
    return "\n".join(rows)


def _count(number: int) -> str:
    if number >= 1_000_000:
        return f"{number / 1_000_000:.1f}m"
    return f"{number / 1000:.0f}k" if number >= 1000 else str(number)


@define(eq=False)
class SessionsList:
    """The tool `sessions_list`."""

    sessions: Sessions
    spec: ToolSpec = declarations.SESSIONS_LIST

    def check(self, args: JsonObject, context: ToolContext) -> str | None:
        """Return what is wrong with the arguments."""
        wrong = arguments.count(args, "limit") or arguments.count(args, "offset", 0)
        return wrong or arguments.fault(self.spec, arguments.mended(self.spec, args), args)

    async def run(self, args: JsonObject, context: ToolContext) -> ToolResult:
        """List the sessions."""
        given = arguments.mended(self.spec, args)
        rows = [row for row in self.sessions.rows(context.session) if _wanted(row, given, context.clock.wall())]
        limit = min(given.get("limit", USUAL), MOST)
        start = given.get("offset", 0)
        page = rows[start : start + limit]
        more = len(rows) > start + limit
        details: dict[str, Any] = {"count": len(page), "sessions": [dict(row) for row in page], "hasMore": more}
        if more:
            details["nextOffset"] = start + limit
        details["limitApplied"] = limit
        return results.done(json.dumps(details, ensure_ascii=False, indent=2), details)


def _wanted(row: JsonObject, args: dict[str, Any], now: int) -> bool:
    kinds = args.get("kinds")
    if kinds and row.get("kind") not in kinds:
        return False
    minutes = args.get("activeMinutes")
    if minutes and now - int(row.get("updatedAt") or 0) > minutes * 60_000:
        return False
    sought = str(args.get("search", "")).lower()
    return not sought or any(sought in str(row.get(name) or "").lower() for name in ("key", "label", "displayName"))
