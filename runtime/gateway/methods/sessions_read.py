"""sessions.get, .preview, .search, .usage.timeseries, .usage.logs, chat.startup, chat.message.get: what was said.

Conversations are read from the journal where they are not at hand. A search looks at the newest sessions first and
says whether it has seen all of them.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

import trio
from attrs import frozen

from runtime.gateway.desk import Desk
from runtime.gateway.entries import Entry
from runtime.gateway.frames import encode, invalid
from runtime.gateway.history import fitted
from runtime.gateway.methods.chat import HistoryParams, history
from runtime.gateway.params import Items, Least, Length, Most, Text
from runtime.gateway.registry import Call, Method
from runtime.gateway.transcript import Line

MESSAGES: Final = 200
SAID: Final = ("user", "assistant")
"""Roles of what somebody said: not results of tools, not marks."""
PREVIEWS: Final = 12
PREVIEW_KEYS: Final = 200
PREVIEW_CHARACTERS: Final = 240
LOG_CHARACTERS: Final = 2_000
RESULTS: Final = 10
SEARCHED: Final = 2_000
SEARCH_SECONDS: Final = 5.0
"""Sessions and seconds that one search takes at most."""
SNIPPET: Final = 200
STARTUP_BYTES: Final = 6 * 2**20
WORD: Final = re.compile(r"\w+")


@frozen(kw_only=True)
class GetParams:
    """Params of sessions.get."""

    key: Text
    agent_id: Text | None = None
    limit: Annotated[int, Least(1)] | None = None


@frozen(kw_only=True)
class PreviewParams:
    """Params of sessions.preview."""

    keys: Annotated[tuple[Text, ...], Items(1, PREVIEW_KEYS)]
    limit: Annotated[int, Least(1)] | None = None
    max_chars: Annotated[int, Least(20)] | None = None


@frozen(kw_only=True)
class SearchParams:
    """Params of sessions.search."""

    agent_id: Text | None = None
    session_keys: tuple[Text, ...] | None = None
    query: Annotated[str, Length(1, 4096)]
    limit: Annotated[int, Least(1), Most(25)] | None = None


@frozen(kw_only=True)
class LogsParams:
    """Params of sessions.usage.logs and sessions.usage.timeseries."""

    key: Text
    agent_id: Text | None = None
    limit: Annotated[int, Least(1)] | None = None


@frozen(kw_only=True)
class StartupParams:
    """Params of chat.startup."""

    session_key: Text
    agent_id: Text | None = None
    limit: Annotated[int, Least(1), Most(1000)] | None = None
    max_bytes: Annotated[int, Least(1)] | None = None


@frozen(kw_only=True)
class MessageParams:
    """Params of chat.message.get."""

    session_key: Text
    agent_id: Text | None = None
    message_id: Text
    max_chars: Annotated[int, Least(1), Most(2_000_000)] | None = None


def lines_of(desk: Desk, key: str) -> list[Line]:
    """Return the conversation of a key; none where there is no session."""
    entry = desk.directory.get(key)
    return desk.directory.transcript(entry).lines if entry is not None else []


async def get(call: Call) -> Any:
    """Return the last messages of a session."""
    desk, params = call.desk, call.params
    lines = lines_of(desk, desk.directory.key(params.key, params.agent_id))
    return {"messages": [line.body for line in lines[-(params.limit or MESSAGES) :]]}


async def preview(call: Call) -> Any:
    """Return the last texts of some sessions, shortened."""
    desk, params = call.desk, call.params
    limit, most = min(params.limit or PREVIEWS, MESSAGES), params.max_chars or PREVIEW_CHARACTERS
    found = []
    for given in params.keys:
        key = desk.directory.key(given)
        there = desk.directory.get(key) is not None
        said = [line for line in lines_of(desk, key) if line.role in SAID and line.text.strip()][-limit:]
        items = [{"role": line.role, "text": cut(line.text.strip(), most)} for line in said]
        status = "missing" if not there else "ok" if items else "empty"
        found.append({"key": given, "status": status, "items": items})
        await trio.lowlevel.checkpoint()
    return {"ts": desk.clock.wall(), "previews": found}


def cut(text: str, most: int) -> str:
    """Return the beginning of a text."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


# --- what was used


async def timeseries(call: Call) -> Any:
    """Return what each answer of a session cost, and the sum up to it."""
    desk, params = call.desk, call.params
    entry = desk.directory.get(desk.directory.key(params.key, params.agent_id))
    if entry is None:
        raise invalid(f"there is no session {params.key}")
    points, sum_tokens, sum_cost = [], 0, 0.0
    for line in desk.directory.transcript(entry).lines:
        usage = line.body.get("usage")
        if not isinstance(usage, Mapping) or not usage["totalTokens"]:
            continue
        sum_tokens += usage["totalTokens"]
        sum_cost += usage["cost"]["total"]
        point = {name: usage[name] for name in ("input", "output", "cacheRead", "cacheWrite", "totalTokens")}
        sums = {"cost": usage["cost"]["total"], "cumulativeTokens": sum_tokens, "cumulativeCost": sum_cost}
        points.append({"timestamp": line.body["timestamp"], **point, **sums})
    return {"sessionId": entry.id, "points": points[-params.limit :] if params.limit else points}


async def logs(call: Call) -> Any:
    """Return who said what in a session, and how many tokens it was."""
    desk, params = call.desk, call.params
    lines = [line for line in lines_of(desk, desk.directory.key(params.key, params.agent_id)) if line.role != "system"]
    return {"logs": [log_of(line) for line in lines[-(params.limit or MESSAGES) :]]}


def log_of(line: Line) -> dict[str, Any]:
    """Return one message as a log shows it."""
    shown: dict[str, Any] = {"timestamp": line.body["timestamp"], "role": line.role}
    shown["content"] = cut(line.text, LOG_CHARACTERS)
    usage = line.body.get("usage")
    if isinstance(usage, Mapping) and usage["totalTokens"]:
        shown["tokens"] = usage["totalTokens"]
    return shown


# --- what was said where


async def search(call: Call) -> Any:
    """Return the messages in which all words of a query stand, the best ones first."""
    desk, params = call.desk, call.params
    if params.agent_id is not None and params.session_keys is None:
        raise invalid("agentId: only together with sessionKeys")
    words = [word.casefold() for word in WORD.findall(params.query)]
    entries = candidates(desk, params)
    results: list[dict[str, Any]] = []
    seen = 0
    with trio.move_on_after(SEARCH_SECONDS):
        for entry in entries[:SEARCHED] if words else ():
            results += found_in(entry, desk.directory.transcript(entry).lines, words)
            seen += 1
            await trio.lowlevel.checkpoint()
    results.sort(key=lambda one: (-one["score"], -one["timestamp"]))
    whole = seen == len(entries) or not words
    return {"results": results[: params.limit or RESULTS], "searchedSessions": seen, "complete": whole}


def candidates(desk: Desk, params: SearchParams) -> list[Entry]:
    """Return the sessions to look at, the newest first."""
    directory = desk.directory
    if params.session_keys is not None:
        named = {directory.key(key, params.agent_id) for key in params.session_keys}
        chosen = [entry for key in named if (entry := directory.get(key)) is not None]
    else:
        chosen = [entry for entry in directory if entry.run]
    return sorted(chosen, key=lambda entry: -entry.updated)


def found_in(entry: Entry, lines: Iterable[Line], words: list[str]) -> list[dict[str, Any]]:
    """Return the messages of one session in which all words stand."""
    found = []
    for line in lines:
        if line.role not in SAID:
            continue
        text = line.text
        said = [word.casefold() for word in WORD.findall(text)]
        hits = sum(said.count(word) for word in words)
        if hits and all(word in said for word in words):
            about = {"sessionKey": entry.key, "sessionId": entry.id, "messageId": line.id, "role": line.role}
            about |= {"timestamp": line.body["timestamp"], "snippet": snippet(text, words[0])}
            found.append({**about, "score": hits / len(said)})
    return found


def snippet(text: str, word: str) -> str:
    """Return the part of a text around a word."""
    at = max(0, text.casefold().find(word) - SNIPPET // 4)
    part = " ".join(text[at : at + SNIPPET].split())
    return f"{'…' if at else ''}{part}{'…' if at + SNIPPET < len(text) else ''}"


# --- chat.startup, chat.message.get


async def startup(call: Call) -> Any:
    """Return what chat.history does, and what runs at the moment: all that a client shows first."""
    desk, params = call.desk, call.params
    wanted = HistoryParams(session_key=params.session_key, agent_id=params.agent_id, limit=params.limit)
    answer = await history(Call(desk, call.caller, "chat.history", wanted, scopes=call.scopes))
    kept = newest(answer["messages"], params.max_bytes or STARTUP_BYTES)
    if len(kept) < len(answer["messages"]):
        answer |= {"messages": kept, "hasMore": True}
    if answer["hasMore"]:
        answer["nextOffset"] = len(kept)
    entry = desk.directory.get(answer["sessionKey"])
    live = desk.directory.roster.live.get(entry.session) if entry is not None else None
    run = desk.runs.current(live) if live is not None else ""
    narration = desk.runs.narrations.get(run)
    if narration is not None:
        answer["inFlightRun"] = {"runId": run, "text": narration.told, "startedAt": narration.started, "events": []}
    return answer


def newest(messages: list[Any], most: int) -> list[Any]:
    """Return the last messages that are not larger than this together; one at least."""
    size, kept = 0, 0
    for message in reversed(messages):
        size += len(encode(message))
        if size > most and kept:
            break
        kept += 1
    return messages[len(messages) - kept :]


async def message(call: Call) -> Any:
    """Return one message of a conversation, whole or as many characters as are wanted."""
    desk, params = call.desk, call.params
    lines = lines_of(desk, desk.directory.key(params.session_key, params.agent_id))
    line = next((one for one in lines if one.id == params.message_id), None)
    if line is None:
        return {"ok": False, "unavailableReason": "not_found"}
    return {"ok": True, "message": fitted(line.body, params.max_chars)}


METHODS: Final = [
    Method("sessions.get", get, GetParams),
    Method("sessions.preview", preview, PreviewParams),
    Method("sessions.search", search, SearchParams),
    Method("sessions.usage.timeseries", timeseries, LogsParams),
    Method("sessions.usage.logs", logs, LogsParams),
    Method("chat.startup", startup, StartupParams),
    Method("chat.message.get", message, MessageParams),
]
