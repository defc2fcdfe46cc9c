"""What nodes report of themselves: node.event. Words for an agent become messages of a session; signs of life are kept.

Answers `{ok, event, handled, reason}`; for what becomes a message, and for subscriptions, only `{ok}` (CONTRACT section
8). An event of a kind that is not here is answered as not handled, and nothing happens.
"""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

from attrs import frozen

from runtime.gateway import keys
from runtime.gateway.asks import Ask
from runtime.gateway.attachments import parts_of
from runtime.gateway.frames import GatewayError
from runtime.gateway.hub import readers
from runtime.gateway.params import Items, Least, Most, decoder
from runtime.vocab import DEEPEST, JsonObject, nested_within

if TYPE_CHECKING:
    from runtime.gateway.desk import Desk
    from runtime.gateway.nodebook import Live, NodeBook

LONGEST: Final = 20_000
"""Characters of a message; a longer one is not passed on."""
REPEAT_MS: Final = 1_500
"""The same words in the same session within this time were heard twice and said once."""
REMEMBERED: Final = 200
ALIVE_MS: Final = 60_000
IDLE_MOST: Final = 2_592_000
REASONS: Final = frozenset("background silent_push bg_app_refresh significant_location manual connect".split())
_MAC: Final = re.compile(r"(darwin|macos( \d+(\.\d+){0,2})?)", re.IGNORECASE)

Report = Mapping[str, Any] | None
Heard = dict[str, Any]


class NodeEvents:
    """Hears the events of nodes. It remembers the last words of each session, so that they are not taken twice."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[str, int]] = {}

    async def hear(self, desk: "Desk", book: "NodeBook", live: "Live", event: str, report: Report) -> Heard:
        """Take one event of an approved node; return the answer."""
        handler = _HANDLERS.get(event)
        if handler is None:
            return _not_handled(event, "unsupported_event")
        return await handler(self, desk, book, live, report)

    async def transcript(self, desk: "Desk", book: "NodeBook", live: "Live", report: Report) -> Heard:
        """voice.transcript: what a person said to a node goes to the main session, or to the one named."""
        text = _text(report, "text")
        if not text or len(text) > LONGEST:
            return {"ok": True}
        key = desk.directory.key(_text(report, "sessionKey") or "main")
        if not self._repeated(key, _fingerprint(report, text), desk.clock.wall()):
            await _say(desk, live, key, text, ())
        return {"ok": True}

    async def request(self, desk: "Desk", book: "NodeBook", live: "Live", report: Report) -> Heard:
        """agent.request: a message for a session, by itself that of the node."""
        text, attached = _text(report, "message"), (report or {}).get("attachments")
        if len(text) > LONGEST:
            return {"ok": True}
        named = _text(report, "sessionKey")
        key = desk.directory.key(named) if named else keys.node(desk.directory.default_agent, live.id)
        files = [one for one in attached if isinstance(one, Mapping)] if isinstance(attached, list) else []
        await _say(desk, live, key, text, files)
        return {"ok": True}

    def _repeated(self, key: str, words: str, now: int) -> bool:
        before = self._said.get(key)
        if before is not None and before[0] == words and now - before[1] <= REPEAT_MS:
            return True
        self._said[key] = (words, now)
        while len(self._said) > REMEMBERED:
            del self._said[next(iter(self._said))]
        return False


async def _say(desk: "Desk", live: "Live", key: str, text: str, files: "list[Mapping[str, Any]] | tuple[()]") -> None:
    """Have a message of a node answered in a session. What cannot be accepted is logged; the node wants no answer."""
    try:
        parts: tuple[JsonObject, ...] = parts_of(text, files)
        if not parts:
            return
        agent = key.split(":")[1] if key.startswith("agent:") else desk.directory.default_agent
        if agent not in desk.extras["models"].agents:
            raise GatewayError("INVALID_REQUEST", f'unknown agent id "{agent}"')
        entry, made = desk.directory.ensure(key, via="run")
        if made:
            desk.changed(entry, "create")
        queue = desk.extras["models"].queueing(entry)
        await desk.runs.send(Ask(entry, desk.chance.uuid(), text, parts, "chat", queue, "node"))
    except GatewayError as exc:
        desk.log("warning", f"a message of node {live.id} was not accepted: {exc}")


async def _alive(events: NodeEvents, desk: "Desk", book: "NodeBook", live: "Live", report: Report) -> Heard:
    """node.presence.alive: the node is there, and why it says so."""
    if report is None:
        return _not_handled("node.presence.alive", "invalid_payload")
    known, now = desk.devices.shelf.items.get(live.id), desk.clock.wall()
    if known is not None and known.reason != "connect" and now - known.seen < ALIVE_MS:
        return _handled("node.presence.alive", "throttled")
    why = _text(report, "trigger").lower()
    desk.devices.seen(live.id, why if why in REASONS else "background")
    return _handled("node.presence.alive", "persisted")


async def _activity(events: NodeEvents, desk: "Desk", book: "NodeBook", live: "Live", report: Report) -> Heard:
    """node.presence.activity: how long ago somebody used the node."""
    name = "node.presence.activity"
    if report is None or not (report.get("action") == "clear" or _idle(report) is not None):
        return _not_handled(name, "invalid_payload")
    if report.get("action") == "clear":
        had, live.active, live.observed, live.active_from = live.active is not None, None, 0, ""
        if had:
            _tell_presence(desk, live)
        return _handled(name, "cleared" if had else "already_clear")
    source, idle, now = _text(report, "source") or "system", _idle(report), desk.clock.wall()
    if source == "app":
        mac = live.client.id == "openclaw-macos" and live.client.mode == "node" and _MAC.fullmatch(live.client.platform)
        if not mac:
            return _not_handled(name, "stale_connection")
    elif (book.surface(live).permissions or {}).get("accessibility") is not True:
        return _not_handled(name, "permission_required")
    assert idle is not None
    at = max(0, now - idle * 1000)
    if live.active_from != source or live.active is None:
        live.active = at
    elif report.get("saturated") is not True:
        live.active = max(live.active, at)
    live.active_from, live.observed = source, now
    _tell_presence(desk, live)
    return _handled(name, "updated")


@frozen(kw_only=True)
class HostStats:
    """The report of node.host.stats."""

    cpu_count: Annotated[int, Least(1), Most(4096)]
    load_average: Annotated[tuple[float, ...], Items(3, 3)] | None = None
    memory_total_bytes: Annotated[int, Least(0)]
    memory_free_bytes: Annotated[int, Least(0)]
    disk_total_bytes: Annotated[int, Least(0)] | None = None
    disk_available_bytes: Annotated[int, Least(0)] | None = None


_stats = decoder(HostStats)


async def _host(events: NodeEvents, desk: "Desk", book: "NodeBook", live: "Live", report: Report) -> Heard:
    """node.host.stats: how much of its machine a node has left."""
    name = "node.host.stats"
    try:
        stats = _stats(name, report)
    except GatewayError:
        return _not_handled(name, "invalid_payload")
    disk = (stats.disk_available_bytes, stats.disk_total_bytes)
    if stats.memory_free_bytes > stats.memory_total_bytes or (None in disk and disk != (None, None)):
        return _not_handled(name, "invalid_payload")
    if None not in disk and disk[0] > disk[1]:  # type: ignore[operator]
        return _not_handled(name, "invalid_payload")
    live.stats = {**(report or {}), "updatedAtMs": desk.clock.wall()}
    desk.hub.tell("node.hostStats", {"nodeId": live.id, "hostStats": live.stats}, readers)
    return _handled(name, "updated")


async def _subscribe(events: NodeEvents, desk: "Desk", book: "NodeBook", live: "Live", report: Report) -> Heard:
    """chat.subscribe: the node hears what happens in a session."""
    key = _text(report, "sessionKey")
    if key and not book.watch(live, desk.directory.key(key)):
        return _not_handled("chat.subscribe", "too_many_subscriptions")
    return {"ok": True}


async def _unsubscribe(events: NodeEvents, desk: "Desk", book: "NodeBook", live: "Live", report: Report) -> Heard:
    """chat.unsubscribe: and not any more."""
    key = _text(report, "sessionKey")
    if key:
        live.watches.discard(desk.directory.key(key))
    return {"ok": True}


_HANDLERS: Final[Mapping[str, Callable[..., Awaitable[Heard]]]] = {
    "voice.transcript": NodeEvents.transcript,
    "agent.request": NodeEvents.request,
    "node.presence.alive": _alive,
    "node.presence.activity": _activity,
    "node.host.stats": _host,
    "chat.subscribe": _subscribe,
    "chat.unsubscribe": _unsubscribe,
}


def parsed(text: str) -> Any:
    """Return the value of a JSON text of a node. Raises ValueError, also for what is nested too deep."""
    try:
        value = json.loads(text)
    except RecursionError as exc:
        raise ValueError("nested too deep") from exc
    if not nested_within(value, DEEPEST):
        raise ValueError("nested too deep")
    return value


def report_of(payload: Any, payload_json: str | None) -> Report:
    """Return what a node reports as an object, or None."""
    if payload_json is not None:
        try:
            payload = parsed(payload_json)
        except ValueError:
            return None
    return payload if isinstance(payload, Mapping) else None


def _tell_presence(desk: "Desk", live: "Live") -> None:
    observed = live.observed or None
    told = {"nodeId": live.id, "lastActiveAtMs": live.active, "presenceUpdatedAtMs": observed}
    desk.hub.tell("node.presence", told, readers)


def _fingerprint(report: Report, text: str) -> str:
    """What makes two transcripts the same: an id, the place in a call, or the words."""
    said = report or {}
    name = next((found for one in ("eventId", "providerEventId", "transcriptId") if (found := _text(said, one))), "")
    if name:
        return f"event:{name}"
    call = _text(said, "providerCallId") or _text(said, "callId")
    number = next((said[one] for one in ("sequence", "seq", "timestamp", "ts") if isinstance(said.get(one), int)), None)
    return f"call:{call}:{number}" if call and number is not None else f"{number}|{text}"


def _idle(report: Mapping[str, Any]) -> int | None:
    seconds = report.get("idleSeconds")
    whole = isinstance(seconds, int) and not isinstance(seconds, bool)
    return seconds if whole and 0 <= seconds <= IDLE_MOST else None  # type: ignore[operator]


def _text(report: Report, name: str) -> str:
    value = (report or {}).get(name)
    return value.strip() if isinstance(value, str) else ""


def _handled(event: str, reason: str) -> Heard:
    return {"ok": True, "event": event, "handled": True, "reason": reason}


def _not_handled(event: str, reason: str) -> Heard:
    return {"ok": True, "event": event, "handled": False, "reason": reason}
