"""What requests to the scheduler may say: shapes as tables, checked with the path of what is wrong. Decides nothing.

Names, bounds and what is forgiven are as observed of the real gateway (CONTRACT section 8): texts are trimmed, whole
numbers may come as text, members that belong to another kind of schedule or payload are dropped. Words that nobody
knows are refused here, where the real one puts a default in their place.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from attrs import frozen

from runtime.cron.checks import (
    LARGEST_MS,
    Check,
    Kinds,
    absent,
    closed,
    flag,
    listed,
    loose_flag,
    no_less_than_none,
    nullable,
    one_of,
    or_false,
    or_null,
    refuse,
    seconds,
    span,
    tagged,
    text,
    whole,
)
from runtime.cron.jobs import Patch
from runtime.cron.refusal import CronRefused, params_of
from runtime.vocab import JsonObject, nested_within

MOST_LABEL: Final = 200
MOST_REVISION: Final = 128
MOST_PAGE: Final = 200


def _target(value: Any, path: str) -> str:
    if isinstance(value, str):
        trimmed = value.strip()
        if trimmed.lower() in ("main", "isolated", "current"):
            return trimmed.lower()
        if trimmed.lower().startswith("session:"):
            key = trimmed[len("session:") :].strip()
            if not key or "\0" in key:
                raise CronRefused("invalid cron sessionTarget session id")
            return f"session:{key}"
    raise refuse(path, "must be main, isolated, current or session:<key>")


def _thread(value: Any, path: str) -> Any:
    return value if type(value) in (int, float) else _NAME(value, path)


def _log_id(value: Any, path: str) -> str:
    said = str(_NAME(value, path))
    if "/" in said or "\\" in said:
        raise refuse(path, "must not contain a slash")
    return said


_NAME: Final = text()
_NAMES: Final = listed(text(0))
_LABEL: Final = text(1, MOST_LABEL)
_CHANNEL: Final = text()
_ALERT_MODE: Final = one_of("announce", "webhook")

_SCHEDULE: Final = tagged(
    {
        "at": ({"at": _NAME}, ("at",)),
        "every": ({"everyMs": whole(1), "anchorMs": whole(0)}, ("everyMs",)),
        "cron": ({"expr": _NAME, "tz": text(0), "staggerMs": no_less_than_none}, ("expr",)),
    },
    unsupported=("on-exit", "stream"),
)
_TURN: Final[Mapping[str, Check]] = {
    "message": _NAME,
    "model": _NAME,
    "fallbacks": _NAMES,
    "thinking": _NAME,
    "timeoutSeconds": seconds,
    "allowUnsafeExternalContent": flag,
    "lightContext": flag,
    "toolsAllow": _NAMES,
    "toolsAllowIsDefault": flag,
}
_EVENT: Final[Mapping[str, Check]] = {"text": _NAME, "toolsAllow": _NAMES, "toolsAllowIsDefault": flag}
_WORK: Final[Kinds] = {"agentTurn": (_TURN, ("message",)), "systemEvent": (_EVENT, ("text",))}
_PAYLOAD: Final = tagged(_WORK, unsupported=("command", "script", "heartbeat"))
_OWN_PAYLOAD: Final = tagged({**_WORK, "heartbeat": ({}, ())}, unsupported=("command", "script"))
_CLEARED: Final = frozenset({"model", "fallbacks", "thinking", "timeoutSeconds", "toolsAllow"})
_PAYLOAD_PATCH: Final = tagged(
    {
        kind: ({name: or_null(inner) if name in _CLEARED else inner for name, inner in members.items()}, ())
        for kind, members in (("agentTurn", _TURN), ("systemEvent", _EVENT))
    },
    unsupported=("command", "script", "heartbeat"),
)
_MODES: Final = one_of("none", "announce", "webhook", aliases={"deliver": "announce"})
_COMPLETION: Final = closed({"mode": one_of("webhook"), "to": _NAME}, ("mode", "to"))
_FAILURE: Final[Mapping[str, Check]] = {"channel": _CHANNEL, "to": _NAME, "accountId": _NAME, "mode": _ALERT_MODE}
_DELIVERY: Final[Mapping[str, Check]] = {
    "mode": _MODES,
    "channel": _CHANNEL,
    "to": _NAME,
    "threadId": _thread,
    "accountId": _NAME,
    "bestEffort": flag,
    "failureDestination": closed(_FAILURE),
    "completionDestination": _COMPLETION,
}
_ALERT: Final[Mapping[str, Check]] = {
    "after": whole(1, 1000, strict=True),
    "channel": _CHANNEL,
    "to": _NAME,
    "cooldownMs": whole(0, LARGEST_MS, strict=True),
    "includeSkipped": flag,
    "mode": _ALERT_MODE,
    "accountId": _NAME,
}


_COMMON: Final[Mapping[str, Check]] = {
    "agentId": or_null(text(0)),
    "sessionKey": or_null(text(0)),
    "description": text(0),
    "enabled": loose_flag,
    "deleteAfterRun": flag,
    "schedule": _SCHEDULE,
    "sessionTarget": _target,
    "wakeMode": one_of("next-heartbeat", "now"),
}
_NEW: Final[Mapping[str, Check]] = {
    **_COMMON,
    "name": lambda value, path: value.strip() if isinstance(value, str) else "",
    "declarationKey": _LABEL,
    "displayName": _LABEL,
    "owner": closed({"agentId": _NAME, "sessionKey": _NAME, "accountId": _NAME}),
    "payload": _PAYLOAD,
    "pacing": closed({"min": span, "max": span}),
    "trigger": absent("condition scripts"),
    "delivery": closed(_DELIVERY, ("mode",)),
    "failureAlert": or_false(closed(_ALERT)),
}
_ADD: Final = closed(_NEW, ("schedule", "payload"))
_OWN_ADD: Final = closed({**_NEW, "payload": _OWN_PAYLOAD}, ("schedule", "payload"))
_CHANGES: Final = closed(
    {
        **_COMMON,
        "name": _NAME,
        "displayName": or_null(_LABEL),
        "payload": _PAYLOAD_PATCH,
        "pacing": or_null(closed({"min": span, "max": span})),
        "trigger": absent("condition scripts"),
        "delivery": closed(
            {**nullable(_DELIVERY), "mode": _MODES, "failureDestination": or_null(closed(nullable(_FAILURE)))}
        ),
        "failureAlert": or_false(or_null(closed(nullable(_ALERT)))),
    }
)
_UPDATE: Final[Mapping[str, Check]] = {"patch": _CHANGES, "expectedConfigRevision": text(1, MOST_REVISION)}
_RUN: Final[Mapping[str, Check]] = {"mode": one_of("due", "force", "if-enabled"), "expectedProcessInstanceId": _NAME}
_ORDER: Final = one_of("asc", "desc")
_STATUS: Final = one_of("ok", "error", "skipped")
_DELIVERED: Final = one_of("delivered", "not-delivered", "unknown", "not-requested")
_LIST: Final = closed(
    {
        "sessionKey": _NAME,
        "sessionAgentId": _NAME,
        "includeDisabled": flag,
        "limit": whole(1, MOST_PAGE, strict=True),
        "offset": whole(0, LARGEST_MS, strict=True),
        "query": text(0),
        "enabled": one_of("all", "enabled", "disabled"),
        "scheduleKind": one_of("all", "at", "every", "cron", "on-exit", "stream"),
        "lastRunStatus": one_of("all", "ok", "error", "skipped", "unknown"),
        "trigger": one_of("all", "conditional", "unconditional"),
        "sortBy": one_of("nextRunAtMs", "updatedAtMs", "name"),
        "sortDir": _ORDER,
        "agentId": _NAME,
        "compact": flag,
        "includeDeliveryPreviews": flag,
    }
)
_RUNS: Final = closed(
    {
        "agentId": _NAME,
        "scope": one_of("job", "all"),
        "id": _log_id,
        "jobId": _log_id,
        "runId": _NAME,
        "limit": whole(1, MOST_PAGE, strict=True),
        "offset": whole(0, LARGEST_MS, strict=True),
        "statuses": listed(_STATUS, 1, 3),
        "status": one_of("all", "ok", "error", "skipped"),
        "deliveryStatuses": listed(_DELIVERED, 1, 4),
        "deliveryStatus": _DELIVERED,
        "query": text(0),
        "sortDir": _ORDER,
    }
)


@frozen(kw_only=True)
class ListQuery:
    """Which jobs are wanted, in what order, and which part of them."""

    enabled: str = "enabled"
    kind: str = "all"
    last_status: str = "all"
    conditional: bool = False
    agent: str | None = None
    session_key: str | None = None
    query: str = ""
    by: str = "nextRunAtMs"
    descending: bool = False
    offset: int = 0
    limit: int | None = None
    compact: bool = False
    previews: bool = True


@frozen(kw_only=True)
class RunsQuery:
    """Which runs are wanted. `job` is None for those of all jobs."""

    job: str | None = None
    agent: str | None = None
    run_id: str | None = None
    statuses: tuple[str, ...] = ()
    delivery_statuses: tuple[str, ...] = ()
    query: str = ""
    ascending: bool = False
    offset: int = 0
    limit: int = 50


@frozen
class Target:
    """The job that a request is about, and what else it says."""

    id: str
    rest: JsonObject


def read_add(params: object, *, system: bool = False) -> JsonObject:
    """Return the params of cron.add, checked and trimmed, still by their names on the wire.

    `system` is the gateway itself, which may also have a heartbeat.
    """
    with params_of("cron.add"):
        return _read(_OWN_ADD if system else _ADD, params)


def read_update(params: object) -> tuple[str, Patch, str | None]:
    """Return id, change and expected revision of cron.update."""
    found = _read_target("cron.update", params, _UPDATE, ("patch",))
    return found.id, Patch(found.rest["patch"]), found.rest.get("expectedConfigRevision")


def read_id(method: Literal["cron.get", "cron.remove"], params: object) -> str:
    """Return the id of a method that takes nothing else."""
    return _read_target(method, params, {}).id


def read_run(params: object) -> tuple[str, str, str | None]:
    """Return id, mode and expected process of cron.run."""
    found = _read_target("cron.run", params, _RUN)
    return found.id, found.rest.get("mode", "force"), found.rest.get("expectedProcessInstanceId")


def read_nothing(params: object) -> None:
    """Check the params of cron.status, which has none."""
    with params_of("cron.status"):
        _read(closed({}), params)


def read_list(params: object) -> ListQuery:
    """Return the query of cron.list."""
    with params_of("cron.list"):
        said = _read(_LIST, params)
    return ListQuery(
        enabled=said.get("enabled", "all" if said.get("includeDisabled") else "enabled"),
        kind=said.get("scheduleKind", "all"),
        last_status=said.get("lastRunStatus", "all"),
        conditional=said.get("trigger") == "conditional",
        agent=said.get("agentId"),
        session_key=said.get("sessionKey"),
        query=said.get("query", "").lower(),
        by=said.get("sortBy", "nextRunAtMs"),
        descending=said.get("sortDir") == "desc",
        offset=said.get("offset", 0),
        limit=said.get("limit"),
        compact=said.get("compact", False),
        previews=said.get("includeDeliveryPreviews", True),
    )


def read_runs(params: object) -> RunsQuery:
    """Return the query of cron.runs: of one job if one is named, unless it says otherwise."""
    with params_of("cron.runs"):
        said = _read(_RUNS, params)
        job = said.get("id", said.get("jobId"))
        if said.get("scope", "all" if job is None else "job") == "all":
            job = None
        elif job is None:
            raise CronRefused("missing id")
    status = said.get("status", "all")
    delivery = said.get("deliveryStatus")
    return RunsQuery(
        job=job,
        agent=said.get("agentId"),
        run_id=said.get("runId"),
        statuses=tuple(said.get("statuses", () if status == "all" else (status,))),
        delivery_statuses=tuple(said.get("deliveryStatuses", () if delivery is None else (delivery,))),
        query=said.get("query", "").lower(),
        ascending=said.get("sortDir") == "asc",
        offset=said.get("offset", 0),
        limit=said.get("limit", 50),
    )


def _read(check: Check, params: object) -> dict[str, Any]:
    given = {} if params is None else params
    if not nested_within(given):
        raise CronRefused("must not be nested so deep")
    found: dict[str, Any] = check(given, "")
    return found


def _read_target(method: str, params: object, more: Mapping[str, Check], required: tuple[str, ...] = ()) -> Target:
    with params_of(method):
        said = _read(closed({"id": _NAME, "jobId": _NAME, **more}, required), params)
        if "id" not in said and "jobId" not in said:
            raise CronRefused("must have required property 'id'")
        if "id" in said and "jobId" in said:
            raise refuse("root", "unexpected property 'jobId' beside 'id'")
    found = said.get("id", said.get("jobId"))
    return Target(str(found), {name: value for name, value in said.items() if name not in ("id", "jobId")})
