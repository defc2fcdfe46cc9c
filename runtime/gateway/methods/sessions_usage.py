"""sessions.usage: what sessions used in a range of days, from the sums that are kept of each day (CONTRACT section 8).

Days are those of UTC. Prices are not known here: costs are 0, and every answer counts as one whose cost is missing. Of
one session (`key`) the conversation is read; of a list only the sums of whole sessions are told.
"""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Annotated, Any, Final, Literal

from attrs import frozen

from runtime.gateway import keys
from runtime.gateway.desk import Desk
from runtime.gateway.directory import PROVIDER, day_of
from runtime.gateway.entries import Entry, Spent
from runtime.gateway.frames import invalid
from runtime.gateway.params import Least, Pattern, Text
from runtime.gateway.registry import Call, Method
from runtime.gateway.transcript import Line, tally

DAYS: Final = 30
RANGES: Final = {"7d": 7, "30d": 30, "90d": 90, "1y": 365}
FIRST_DAY: Final = "1970-01-01"
DAY_MS: Final = 86_400_000
LIMIT: Final = 50
MOST: Final = 1_000
UNKNOWN: Final = '["unknown"]'
"""The key under which a session stands that nobody is said to have made."""
COUNTS: Final = ("user", "assistant", "calls", "results", "errors")

Day = Annotated[str, Pattern(r"^\d{4}-\d{2}-\d{2}$")]


@frozen(kw_only=True)
class UsageParams:
    """Params of sessions.usage."""

    key: Text | None = None
    agent_id: Text | None = None
    agent_scope: Literal["all"] | None = None
    start_date: Day | None = None
    end_date: Day | None = None
    mode: Literal["utc", "gateway", "specific"] = "utc"
    range_: Literal["7d", "30d", "90d", "1y", "all"] | None = None
    group_by: Literal["instance", "family"] = "instance"
    include_historical: bool = False
    utc_offset: Annotated[str, Pattern(r"^UTC[+-]\d{1,2}(?::[0-5]\d)?$")] | None = None
    time_zone: Text | None = None
    limit: Annotated[int, Least(1)] | None = None
    include_context_weight: bool = False


async def usage(call: Call) -> Any:
    """Return what was used in a range of days: each session, and sums by day, model and agent."""
    desk, params = call.desk, call.params
    start, end = range_of(desk, params)
    entries = meant(desk, params, start, end)
    if params.key is not None:
        spent = [one for entry in entries for one in spent_by(desk, entry, start, end)]
    else:
        spent = [one for one in desk.directory.spent.items.values() if start <= one.day <= end]
        if params.agent_id is not None:
            spent = [one for one in spent if one.agent == params.agent_id.strip().lower()]
    shown = entries[: min(params.limit or LIMIT, MOST)]
    now = desk.clock.wall()
    return {
        "updatedAt": now,
        "startDate": start,
        "endDate": end,
        "sessions": [row(desk, entry, params, start, end) for entry in shown],
        "totals": totals(spent),
        "aggregates": {"sessionCount": len(entries), **aggregates(spent)},
        "creatorOptions": [{"key": UNKNOWN}] if entries else [],
        "cacheStatus": {"status": "fresh", "cachedFiles": 0, "pendingFiles": 0, "staleFiles": 0, "refreshedAt": now},
    }


def range_of(desk: Desk, params: UsageParams) -> tuple[str, str]:
    """Return the first and the last day that are meant. Raises GatewayError for a day that there is not."""
    today = day_of(desk.clock.wall())
    end = valid(params.end_date, "endDate") if params.end_date is not None else today
    if params.start_date is not None:
        return valid(params.start_date, "startDate"), end
    if params.range_ == "all":
        return FIRST_DAY, end
    days = RANGES.get(params.range_ or "", DAYS)
    return (date.fromisoformat(end) - timedelta(days=days - 1)).isoformat(), end


def valid(day: str, name: str) -> str:
    """Return a day that is one."""
    try:
        return max(date.fromisoformat(day), date.fromisoformat(FIRST_DAY)).isoformat()
    except ValueError as exc:
        raise invalid(f"at /{name}: {day} is no day") from exc


def meant(desk: Desk, params: UsageParams, start: str, end: str) -> list[Entry]:
    """Return the sessions that were there in those days, the last used first."""
    directory = desk.directory
    if params.key is not None:
        entry = directory.get(directory.key(params.key, params.agent_id))
        return [entry] if entry is not None else []
    agent = params.agent_id.strip().lower() if params.agent_id is not None else ""
    first, last = ms_of(start), ms_of(end) + DAY_MS
    found = [
        entry for entry in directory if agent in ("", entry.agent) and entry.updated >= first and entry.created < last
    ]
    return sorted(found, key=lambda entry: -entry.updated)


def ms_of(day: str) -> int:
    """Return when a day begins, in milliseconds since 1970."""
    return (date.fromisoformat(day) - date.fromisoformat(FIRST_DAY)).days * DAY_MS


# --- sums


def totals(spent: Iterable[Spent]) -> dict[str, Any]:
    """Return the sum of what was spent."""
    sums = dict.fromkeys(("input", "output", "cached", "total", "assistant"), 0)
    for one in spent:
        for name in sums:
            sums[name] += getattr(one, name)
    return counted(sums["input"], sums["output"], sums["cached"], sums["total"], sums["assistant"])


def counted(given: int, output: int, cached: int, total: int, answers: int) -> dict[str, Any]:
    """Return tokens as clients read them. What they cost is not known."""
    tokens = {"input": given, "output": output, "cacheRead": cached, "cacheWrite": 0, "totalTokens": total}
    costs = ("totalCost", "inputCost", "outputCost", "cacheReadCost", "cacheWriteCost")
    return {**tokens, **dict.fromkeys(costs, 0), "missingCostEntries": answers}


def messages(spent: Iterable[Spent]) -> dict[str, int]:
    """Return how many messages there were of each kind."""
    sums = dict.fromkeys(COUNTS, 0)
    for one in spent:
        for name in sums:
            sums[name] += getattr(one, name)
    total = sums["user"] + sums["assistant"]
    named = {"toolCalls": sums["calls"], "toolResults": sums["results"], "errors": sums["errors"]}
    return {"total": total, "user": sums["user"], "assistant": sums["assistant"], **named}


def grouped(spent: Iterable[Spent], *names: str) -> list[tuple[tuple[str, ...], list[Spent]]]:
    """Return what was spent by these members, in order."""
    found: dict[tuple[str, ...], list[Spent]] = {}
    for one in spent:
        found.setdefault(tuple(getattr(one, name) for name in names), []).append(one)
    return sorted(found.items())


def aggregates(spent: list[Spent]) -> dict[str, Any]:
    """Return the sums by model, provider, agent and day."""
    by_model = [
        {"provider": provider, "model": model, "count": sum(one.assistant for one in part), "totals": totals(part)}
        for (provider, model), part in grouped(spent, "provider", "model")
    ]
    by_provider = [
        {"provider": provider, "count": sum(one.assistant for one in part), "totals": totals(part)}
        for (provider,), part in grouped(spent, "provider")
    ]
    model_daily = [
        {"date": day, "provider": provider, "model": model, "tokens": sum(one.total for one in part), "cost": 0}
        | {"count": sum(one.assistant for one in part)}
        for (day, provider, model), part in grouped(spent, "day", "provider", "model")
    ]
    days = grouped(spent, "day")
    said = messages(spent)
    return {
        "messages": said,
        "tools": {"totalCalls": said["toolCalls"], "uniqueTools": 0, "tools": []},
        "byModel": by_model,
        "byProvider": by_provider,
        "byAgent": [{"agentId": agent, "totals": totals(part)} for (agent,), part in grouped(spent, "agent")],
        "byChannel": [],
        "byCreator": [],
        "costDaily": [{"date": day, **totals(part)} for (day,), part in days],
        "dailyLatency": [],
        "modelDaily": model_daily,
        "daily": [daily(day, part) for (day,), part in days],
    }


def daily(day: str, part: list[Spent]) -> dict[str, Any]:
    """Return one day in short."""
    said = messages(part)
    short = {"date": day, "tokens": sum(one.total for one in part), "cost": 0, "messages": said["total"]}
    return {**short, "toolCalls": said["toolCalls"], "errors": said["errors"]}


# --- one session


def row(desk: Desk, entry: Entry, params: UsageParams, start: str, end: str) -> dict[str, Any]:
    """Return one session of the list."""
    provider, model, _ = desk.extras["models"].of(entry)
    shown: dict[str, Any] = {
        "key": entry.key,
        "label": entry.label or entry.title or "",
        "sessionId": entry.id,
        "scope": params.group_by,
        "updatedAt": entry.updated,
        "agentId": entry.agent,
        "creatorKey": UNKNOWN,
        "chatType": keys.chat_type(entry.key) or "direct",
        "modelProvider": provider,
        "model": model,
        "usage": detail(desk, entry, start, end) if params.key is not None else whole(entry),
        "hasContextWeight": False,
    }
    if params.group_by == "family":
        family = {"sessionFamilyKey": entry.key, "currentSessionId": entry.id}
        shown |= {**family, "includedSessionIds": [entry.id], "historicalInstanceCount": 1}
    return shown


def whole(entry: Entry) -> dict[str, Any]:
    """Return what a session used since it began."""
    given, output, cached, total = entry.used
    sums = counted(given, output, cached, total, 0)
    del sums["missingCostEntries"]
    return {**sums, "sessionId": entry.id, "firstActivity": entry.born, "lastActivity": entry.updated}


def detail(desk: Desk, entry: Entry, start: str, end: str) -> dict[str, Any]:
    """Return what a session used in a range of days, by day."""
    spent = spent_by(desk, entry, start, end)
    lines = [line for line in desk.directory.transcript(entry).lines if start <= day_of(line.body["timestamp"]) <= end]
    shown: dict[str, Any] = {**totals(spent), "sessionId": entry.id, "messageCounts": messages(spent)}
    if not lines:
        return shown
    first, last = lines[0].body["timestamp"], lines[-1].body["timestamp"]
    shown |= {"firstActivity": first, "lastActivity": last, "durationMs": last - first}
    parts = grouped(spent, "day")
    models = grouped(spent, "provider", "model")
    return shown | {
        "activityDates": [day for (day,), _ in parts],
        "dailyBreakdown": [
            {"date": day, "tokens": sum(one.total for one in part), "cost": 0, **totals(part)} for (day,), part in parts
        ],
        "dailyMessageCounts": [{"date": day, **messages(part)} for (day,), part in parts],
        "modelUsage": [
            {"provider": provider, "model": model, "count": sum(one.assistant for one in part), "totals": totals(part)}
            for (provider, model), part in models
        ],
    }


def spent_by(desk: Desk, entry: Entry, start: str, end: str) -> list[Spent]:
    """Return what a session spent, by day and model, read from its conversation."""
    found: dict[tuple[str, str, str], Spent] = {}
    _, current, _ = desk.extras["models"].of(entry)
    for line in desk.directory.transcript(entry).lines:
        day = day_of(line.body["timestamp"])
        if not start <= day <= end:
            continue
        provider, model = maker(line, current)
        name = (day, provider, model)
        known = found.get(name) or Spent(day, entry.agent, provider, model)
        found[name] = known.plus(**tokens_of(line), **tally(line))
    return list(found.values())


def maker(line: Line, model: str) -> tuple[str, str]:
    """Return who made a message; what people say counts for the model that is asked."""
    if line.role == "assistant":
        return str(line.body.get("provider") or PROVIDER), str(line.body.get("model") or model)
    return PROVIDER, model


def tokens_of(line: Line) -> dict[str, int]:
    """Return the tokens of a message, or of the summary that a mark stands for."""
    given = line.body.get("usage")
    if not isinstance(given, Mapping):
        return {}
    names = {"input": "input", "output": "output", "cached": "cacheRead", "total": "totalTokens"}
    return {name: int(given[wire]) for name, wire in names.items()}


METHODS: Final = [Method("sessions.usage", usage, UsageParams)]
