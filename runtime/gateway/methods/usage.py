"""usage.status, usage.cost, tasks.list, audit.list, artifacts.list, diagnostics.stability: what went on here.

Days are those of UTC. Prices are not known: costs are 0, and every answer counts as one whose cost is missing. There
are no artifacts: files that runs make are in the workspace. Of the queues and the memory only numbers are told.
"""

import math
from datetime import date, timedelta
from resource import RUSAGE_SELF, getrusage
from typing import Annotated, Any, Final, Literal

from attrs import frozen

from runtime.gateway.annals import CAPACITY, Annals, Event, agent_of, counted, is_task, iso, task
from runtime.gateway.entries import Run, Spent
from runtime.gateway.frames import invalid
from runtime.gateway.measures import day_of
from runtime.gateway.methods.sessions_usage import FIRST_DAY, RANGES, totals
from runtime.gateway.params import LISTED, Least, Length, Most, Text
from runtime.gateway.registry import Call, Method

DAYS: Final = 30
MOST_DAYS: Final = 36_600
SHOWN_DAYS: Final = 1_000
"""Days of a range beyond which only those are listed on which something was used."""
PAGE: Final = 100
STABILITY: Final = 50
"""Tasks, audit events and stability events in one answer where nobody said how many."""

Free = dict[str, Any]
Status = Literal["queued", "running", "completed", "failed", "cancelled", "timed_out"]
Outcome = Literal["started", "succeeded", "failed", "cancelled", "timed_out", "blocked", "unknown"]


@frozen(kw_only=True)
class TasksParams:
    """Params of tasks.list."""

    status: Status | tuple[Status, ...] | None = None
    agent_id: Text | None = None
    session_key: Text | None = None
    limit: Annotated[int, Least(1), Most(500)] = PAGE
    cursor: Annotated[str, Length(0, 512)] | None = None
    sort_by: Annotated[Literal["updatedAt", "endedAt"], LISTED] | None = None


@frozen(kw_only=True)
class AuditParams:
    """Params of audit.list."""

    agent_id: Text | None = None
    session_key: Text | None = None
    run_id: Text | None = None
    kind: Literal["agent_run", "tool_action"] | None = None
    status: Outcome | None = None
    after: Annotated[int, Least(0)] | None = None
    before: Annotated[int, Least(0)] | None = None
    limit: Annotated[int, Least(1), Most(500)] = PAGE
    cursor: Text | None = None


@frozen(kw_only=True)
class ArtifactsParams:
    """Params of artifacts.list."""

    session_key: Text | None = None
    run_id: Text | None = None
    task_id: Text | None = None
    agent_id: Text | None = None
    type_: Literal["image"] | None = None
    limit: Annotated[int, Least(1), Most(4)] | None = None
    cursor: Annotated[str, Length(1, 256)] | None = None


def annals_of(call: Call) -> Annals:
    """Return what was noted. Raises GatewayError where this gateway notes nothing."""
    annals: Annals = call.desk.part("annals")
    return annals


async def status(call: Call) -> Any:
    """Return how much of each plan is used; there are no plans here, only keys."""
    return {"updatedAt": call.desk.clock.wall(), "providers": []}


async def cost(call: Call) -> Any:
    """Return what was used on each day of a range."""
    now = call.desk.clock.wall()
    start, end = days_of(call.params, day_of(now))
    count = (date.fromisoformat(end) - date.fromisoformat(start)).days + 1
    spent = [one for one in call.desk.directory.spent.items.values() if start <= one.day <= end]
    by_day: dict[str, list[Spent]] = {}
    for one in spent:
        by_day.setdefault(one.day, []).append(one)
    if count <= SHOWN_DAYS:
        first = date.fromisoformat(start)
        by_day = {day: by_day.get(day, []) for day in ((first + timedelta(n)).isoformat() for n in range(count))}
    return {
        "updatedAt": now,
        "days": count,
        "daily": [{"date": day, **totals(part)} for day, part in sorted(by_day.items())],
        "totals": totals(spent),
        "cacheStatus": {"status": "fresh", "cachedFiles": 0, "pendingFiles": 0, "staleFiles": 0, "refreshedAt": now},
    }


def days_of(params: Free, today: str) -> tuple[str, str]:
    """Return the first and the last day that are meant; params that mean nothing count as absent (observed)."""
    given = [params.get(name) for name in ("startDate", "endDate")]
    start, end = (day_given(text, name) for text, name in zip(given, ("startDate", "endDate"), strict=True))
    end = end or today
    if start is None:
        days = params.get("days")
        if not isinstance(days, int | float) or isinstance(days, bool) or not math.isfinite(days):
            days = RANGES.get(str(params.get("range")), DAYS)
        back = min(max(1, int(days)), MOST_DAYS) - 1
        start = max((date.fromisoformat(end) - timedelta(days=back)).isoformat(), FIRST_DAY)
    if start > end:
        raise invalid("startDate must not be after endDate")
    return start, end


def day_given(text: object, name: str) -> str | None:
    """Return a day that somebody gave, or None."""
    if not isinstance(text, str):
        return None
    try:
        return max(date.fromisoformat(text).isoformat(), FIRST_DAY)
    except ValueError as exc:
        raise invalid(f"invalid {name}: expected a valid YYYY-MM-DD calendar date") from exc


async def tasks(call: Call) -> Any:
    """Return the runs that are tasks, the newest first."""
    params, annals = call.params, annals_of(call)
    wanted = (params.status,) if isinstance(params.status, str) else params.status
    found = sorted((run for run in call.desk.runs.shelf.items.values() if is_task(run)), key=_newest)
    shown = [task(run, annals.title(run)) for run in found if _meant(call, run)]
    shown = [one for one in shown if not wanted or one["status"] in wanted]
    if params.sort_by is not None:
        shown.sort(key=lambda one: int(one.get(params.sort_by, 0)), reverse=True)
    start = number(params.cursor, "cursor") if params.cursor else 0
    page = shown[start : start + params.limit]
    more = {"nextCursor": str(start + params.limit)} if len(shown) > start + params.limit else {}
    return {"tasks": page, **more}


def _newest(run: Run) -> tuple[int, str]:
    return -run.created, run.id


def _meant(call: Call, run: Run) -> bool:
    params = call.params
    if params.agent_id is not None and agent_of(run) != params.agent_id.strip().lower():
        return False
    return params.session_key is None or run.key == call.desk.directory.key(params.session_key, params.agent_id)


async def audit(call: Call) -> Any:
    """Return when runs began and ended, the latest first. Says nothing of what was said in them."""
    params = call.params
    last = number(params.cursor, "cursor") if params.cursor else math.inf
    key = params.session_key and call.desk.directory.key(params.session_key, params.agent_id)
    wanted = {
        "agentId": params.agent_id and params.agent_id.strip().lower(),
        "sessionKey": key,
        "runId": params.run_id,
        "kind": params.kind,
        "status": params.status,
    }
    found = [
        event
        for event in reversed(annals_of(call).audit.events)
        if event["sequence"] < last
        and all(value is None or event[name] == value for name, value in wanted.items())
        and (params.after is None or event["occurredAt"] >= params.after)
        and (params.before is None or event["occurredAt"] < params.before)
    ]
    page = found[: params.limit]
    more = {"nextCursor": str(page[-1]["sequence"])} if len(found) > len(page) else {}
    return {"events": page, **more}


async def artifacts(call: Call) -> Any:
    """Return the artifacts of a session: none."""
    params, desk = call.params, call.desk
    if params.session_key is not None:
        desk.directory.key(params.session_key, params.agent_id)
        return {"artifacts": []}
    if params.run_id is None and params.task_id is None:
        why = "artifacts require one of sessionKey, runId, or taskId"
        raise invalid(why, {"type": "artifact_query_unsupported"})
    runs = desk.runs.shelf.items
    known = params.run_id in runs if params.run_id is not None else _is_task_id(call, params.task_id)
    if not known:
        raise invalid("no session found for artifact query", {"type": "artifact_scope_not_found"})
    return {"artifacts": []}


def _is_task_id(call: Call, name: str) -> bool:
    return any(task(run, "")["id"] == name for run in call.desk.runs.shelf.items.values() if is_task(run))


async def stability(call: Call) -> Any:
    """Return what went through the queues lately, and how much memory there is in use."""
    params, annals, desk = call.params, annals_of(call), call.desk
    limit = whole(params, "limit", STABILITY)
    if not 1 <= limit <= CAPACITY:
        raise invalid(f"limit must be between 1 and {CAPACITY}")
    since, kind = whole(params, "sinceSeq", 0), params.get("type")
    ring = annals.stability
    found: list[Event] = [
        event for event in ring.events if event["seq"] > since and (not kind or event["type"] == kind)
    ]
    pulse = desk.extras.get("pulse")
    rss = pulse.rss if pulse is not None else 0
    most = max(rss, getrusage(RUSAGE_SELF).ru_maxrss * 1024)
    bounds = {"firstSeq": found[0]["seq"], "lastSeq": found[-1]["seq"]} if found else {}
    return {
        "generatedAt": iso(desk.clock.wall()),
        "capacity": ring.capacity,
        "count": len(found),
        "dropped": ring.dropped,
        **bounds,
        "events": found[-limit:],
        "summary": {
            "byType": counted(found),
            "memory": {"latest": {"rssBytes": rss}, "maxRssBytes": most, "maxHeapUsedBytes": 0, "pressureCount": 0},
            "payloadLarge": {
                "count": 0,
                "rejected": 0,
                "truncated": 0,
                "chunked": 0,
                "bySurface": {"gateway.ws.frame": 0, "gateway.ws.preauth": 0},
            },
        },
    }


def whole(params: Free, name: str, default: int) -> int:
    """Return a number from params that nobody has checked."""
    given = params.get(name, default)
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        raise invalid(f"{name} must be a non-negative integer")
    return given


def number(text: str, name: str) -> int:
    """Return the number that a cursor is."""
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise invalid(f"invalid {name}: take it from the answer before")
    return int(text)


METHODS: Final = [
    Method("usage.status", status, Free),
    Method("usage.cost", cost, Free),
    Method("tasks.list", tasks, TasksParams),
    Method("audit.list", audit, AuditParams),
    Method("artifacts.list", artifacts, ArtifactsParams),
    Method("diagnostics.stability", stability, Free),
]
