"""What the tools about sessions and agents are told (`runtime.tools.claw.status.Sessions`).

A session is named by its id, or by a key under which there is none yet. Reads the directory; changes nothing but the
model of a session, where a call asks for that.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from attrs import define

from runtime.gateway import keys
from runtime.gateway.entries import Entry
from runtime.gateway.frames import GatewayError
from runtime.tools.claw.status import Facts
from runtime.vocab import JsonObject

if TYPE_CHECKING:
    from runtime.gateway.desk import Desk


@define(eq=False)
class SessionFacts:
    """Tells of the sessions of a gateway. `desk` gives it: tools are made before it is."""

    desk: "Callable[[], Desk]"

    def facts(self, session: str, key: str | None) -> Facts | None:
        """Return what is known of a session by its key; None: of the calling one. None where there is none."""
        desk = self.desk()
        calling = desk.directory.of(session)
        if key is None:
            return self._facts(calling or unborn(session)) if calling is not None or keys.agent_of(session) else None
        try:
            found = desk.directory.get(desk.directory.key(key, calling.agent if calling is not None else None))
        except GatewayError:
            return None
        return self._facts(found) if found is not None else None

    def _facts(self, entry: Entry) -> Facts:
        desk = self.desk()
        models, now = desk.extras["models"], desk.clock.wall()
        provider, model, window = models.of(entry)
        active = desk.runs.active(entry.session) if entry.session else []
        return Facts(
            key=entry.key,
            agent=entry.agent,
            version=desk.version,
            model=f"{provider}/{model}",
            auth="api-key" if models.ready else "none",
            uptime=now - desk.started,
            input=entry.input,
            output=entry.output,
            context=entry.total,
            window=window,
            thinking=entry.thinking or "off",
            queue=models.queueing(entry).mode,
            updated=entry.updated or None,
            active={"runIds": active} if active else None,
        )

    def rows(self, session: str) -> Sequence[JsonObject]:
        """Return the rows of all sessions that are not archived, the latest first."""
        entries = [entry for entry in self.desk().directory if not entry.archived]
        return [self._row(entry) for entry in sorted(entries, key=lambda one: (one.pinned, one.updated), reverse=True)]

    def _row(self, entry: Entry) -> JsonObject:
        desk = self.desk()
        _, model, window = desk.extras["models"].of(entry)
        kind, route = keys.kind_of(entry.key).value, keys.route_of(entry.key)
        row: dict[str, Any] = {
            "key": entry.key,
            "sessionId": entry.id,
            "agentId": entry.agent,
            "kind": kind if kind in ("main", "group", "cron", "hook", "node") else "other",
            "channel": (route.channel if route is not None else None) or "unknown",
            "archived": False,
            "pinned": entry.pinned,
            "updatedAt": entry.updated,
            "model": model,
            "contextTokens": window,
            "totalTokens": entry.total,
            "status": "running" if desk.runs.active(entry.session) else entry.status or "idle",
            "abortedLastRun": entry.status == "aborted",
        }
        more = {"label": entry.label, "displayName": entry.label or entry.title, "parentSessionKey": entry.parent}
        return row | {name: value for name, value in more.items() if value}

    def agents(self, session: str) -> tuple[str, Sequence[JsonObject]]:
        """Return the agent of a session, and the rows of all agents."""
        desk = self.desk()
        calling, models = desk.directory.of(session), desk.extras["models"]
        rows = [
            {
                "id": name,
                "configured": True,
                "model": "/".join(models.of(Entry("", "", "", name, 0, 0))[:2]),
                "agentRuntime": {"id": "auto", "source": "implicit"},
            }
            for name in models.agents
        ]
        return calling.agent if calling is not None else keys.agent_of(session) or desk.directory.default_agent, rows

    def history(self, session: str, key: str) -> tuple[str, Sequence[JsonObject]] | str:
        """Return the full key of a session and the messages of its conversation, or why there is none."""
        directory = self.desk().directory
        calling = directory.of(session)
        try:
            full = directory.key(key, calling.agent if calling is not None else None)
        except GatewayError as exc:
            return exc.message
        entry = directory.get(full)
        if entry is None:
            return f"No session found: {full}"
        return full, [line.body for line in directory.transcript(entry).lines]

    async def choose(self, session: str, key: str, model: str) -> str | None:
        """Use another model (`default`: the usual one) in a session. Returns what stood in the way, or None."""
        desk = self.desk()
        entry = desk.directory.get(key)
        if entry is None:
            return f"There is no session {key} yet; say something in it first."
        wanted = None if model == "default" else model
        if wanted is not None and desk.extras["models"].known(wanted) is None:
            return f"Unknown model: {wanted}"
        changed = desk.directory.change(entry, model=wanted)
        desk.changed(changed, "patch")
        return None


def unborn(key: str) -> Entry:
    """Return what a session would be under a key that has none."""
    return Entry(key, "", "", keys.agent_of(key), 0, 0)
