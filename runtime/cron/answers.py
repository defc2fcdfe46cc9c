"""What clients are told of the scheduler: jobs, runs, pages and events by their names on the wire. Pure.

Members and when they are there are as observed of the real gateway (CONTRACT section 8): what is not known is left out.
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Literal

from runtime.cron.edits import agent_of, show_schedule
from runtime.cron.jobs import Job, Run, State
from runtime.cron.paging import JobPage, RunPage
from runtime.cron.refusal import CronRefused
from runtime.cron.schedule import iso
from runtime.vocab import JsonObject

if TYPE_CHECKING:
    from runtime.cron.scheduler import Added, Asked, Status

Action = Literal["added", "updated", "removed", "started", "finished", "scheduled"]
Preview = Callable[[Job], JsonObject]
"""Says where the result of a job would go: `{label, detail}`."""

_NOT_REQUESTED: Final = "not-requested"
_STATE: Final[Mapping[str, str]] = {
    "nextRunAtMs": "next_run",
    "scheduleActivatedAtMs": "activated",
    "runningAtMs": "running",
    "lastRunAtMs": "last_run",
    "lastRunStatus": "last_status",
    "lastStatus": "last_status",
    "lastDurationMs": "last_duration",
    "lastError": "last_error",
    "lastErrorReason": "last_reason",
    "lastDiagnostics": "diagnostics",
    "lastDelivered": "delivered",
    "lastDeliveryStatus": "delivery_status",
    "lastDeliveryError": "delivery_error",
    "consecutiveErrors": "errors",
    "consecutiveSkipped": "skips",
    "scheduleErrorCount": "schedule_errors",
    "autoDisabled": "auto_disabled",
}
_SUMMARY: Final[Mapping[str, str]] = {
    "nextRunAtMs": "next_run",
    "lastRunAtMs": "last_run",
    "lastRunStatus": "last_status",
    "lastRunError": "last_error",
    "lastDelivered": "delivered",
    "lastDeliveryStatus": "delivery_status",
    "lastDeliveryError": "delivery_error",
}
_OUTCOME: Final[Mapping[str, str]] = {
    "status": "status",
    "error": "error",
    "errorReason": "reason",
    "summary": "summary",
    "diagnostics": "diagnostics",
    "model": "model",
    "provider": "provider",
    "usage": "usage",
    "delivered": "delivered",
    "deliveryError": "delivery_error",
    "delivery": "delivery",
    "sessionId": "session",
    "sessionKey": "session_key",
}


def status(found: "Status", *, place: str, storage: str = "sqlite") -> JsonObject:
    """Return the answer of cron.status. `place` is the file in which jobs are kept."""
    return {
        "enabled": found.enabled,
        "triggersEnabled": False,
        "storePath": place,
        "storage": storage,
        "sqlitePath": place,
        "jobs": found.jobs,
        "nextWakeAtMs": found.next_wake,
    }


def added(found: "Added", preview: Preview) -> JsonObject:
    """Return the answer of cron.add; a job with a declaration key is told of in another form."""
    shown = preview(found.job)
    if not found.declared:
        return {**job(found.job), "deliveryPreview": shown}
    how = {"created": True} if found.created else {"created": False, "updated": found.updated}
    return {**how, "job": job(found.job), "deliveryPreview": shown}


def job(found: Job) -> JsonObject:
    """Return the answer of cron.get and cron.update."""
    return {**definition(found), "configRevision": revision(found), **_summary(found.state)}


def jobs(page: JobPage, preview: Preview, agent: str) -> JsonObject:
    """Return the answer of cron.list. `agent` is whose jobs are that name none."""
    show = _compact if page.query.compact else job
    answer = {
        "jobs": [{**show(each), "effectiveAgentId": agent_of(each, agent)} for each in page.jobs],
        "snapshotRevision": page.revision,
        **_page(page.total, page.offset, page.limit, len(page.jobs)),
    }
    if page.query.previews and not page.query.compact:
        answer["deliveryPreviews"] = {each.id: preview(each) for each in page.jobs}
    return answer


def removed(*, running: bool) -> JsonObject:
    """Return the answer of cron.remove. A run that is under way goes on to its end."""
    return {"ok": True, "removed": True, **({"sessionCleanup": "pending"} if running else {})}


def ran(asked: "Asked", process: str) -> JsonObject:
    """Return the answer of cron.run. `process` is the id of this run of the gateway."""
    if asked.run_id is None:
        return {"ok": True, "ran": False, "reason": asked.reason, "processInstanceId": process}
    return {"ok": True, "enqueued": True, "runId": asked.run_id, "processInstanceId": process}


def runs(page: RunPage) -> JsonObject:
    """Return the answer of cron.runs."""
    entries = [
        {**run(each), **({"jobName": page.names[each.job]} if each.job in page.names else {})} for each in page.runs
    ]
    return {"entries": entries, **_page(page.total, page.offset, page.limit, len(entries))}


def run(found: Run) -> JsonObject:
    """Return one entry of the history."""
    return {"ts": found.ended, "jobId": found.job, "action": "finished", **_ended(found)}


def event(action: Action, found: Job, run_: Run | None = None) -> JsonObject:
    """Return the payload of a `cron` event (CONTRACT section 7)."""
    payload: dict[str, Any] = {"jobId": found.id, "action": action, "job": definition(found)}
    if action == "started":
        payload["runAtMs"] = found.state.running
    elif run_ is not None:
        payload.update(_ended(run_))
    elif action != "removed" and found.state.next_run is not None:
        payload["nextRunAtMs"] = found.state.next_run
    return payload


def definition(found: Job) -> JsonObject:
    """Return a job as events carry it."""
    named = {
        "id": found.id,
        "declarationKey": found.declaration,
        "displayName": found.display,
        "owner": found.owner,
        "agentId": found.agent,
        "sessionKey": found.session_key,
        "name": found.name,
        "description": found.description,
        "enabled": found.enabled,
        "deleteAfterRun": found.delete_after,
        "createdAtMs": found.created,
        "updatedAtMs": found.updated,
        "schedule": show_schedule(found.schedule),
        "pacing": found.pacing,
        "sessionTarget": found.target,
        "wakeMode": found.wake,
        "payload": found.payload,
        "delivery": found.delivery,
        "failureAlert": False if found.silent else found.alert,
        "state": _state(found.state),
    }
    if found.payload.get("kind") == "agentTurn":
        named["scheduledToolPolicy"] = {"version": 1, "mode": "trusted"}
    return {name: value for name, value in named.items() if value is not None}


def revision(found: Job) -> str:
    """Return a word that changes with what a job says, and not with what happens to it."""
    said = {name: value for name, value in definition(found).items() if name not in ("updatedAtMs", "state")}
    return hashed(json.dumps(said, sort_keys=True, separators=(",", ":")))


def hashed(text: str) -> str:
    """Return the form that revisions have."""
    return f"sha256:{urlsafe_b64encode(sha256(text.encode(errors='replace')).digest()).rstrip(b'=').decode()}"


def preview(found: Job, last: str | None = None) -> JsonObject:
    """Return where the result of a job would go. `last` is the way by which its session was last spoken to."""
    said = found.delivery or {}
    mode, channel, to = said.get("mode", "none"), said.get("channel", "last"), said.get("to")
    if mode == "webhook":
        return {"label": f"webhook:{to}", "detail": "webhook"}
    if mode == "none" and channel == "last" and not to:
        return {"label": "not requested", "detail": "not requested"}
    if channel != "last":
        return {"label": f"{mode} -> {channel}:{to}" if to else f"{mode} -> {channel}", "detail": "explicit"}
    if last is None:
        label = f"{mode} -> last:{to}" if to else f"{mode} -> last"
        return {"label": label, "detail": "last -> no route, will fail-closed"}
    session = f"session {found.session_key}" if found.session_key else "main session"
    return {"label": f"{mode} -> {last}", "detail": f"resolved from last, {session}"}


def check_process(expected: str | None, process: str) -> None:
    """Refuse a request that was prepared with another run of the gateway in mind."""
    if expected is not None and expected != process:
        raise CronRefused("invalid cron.run params: Gateway process changed after preflight")


def _compact(found: Job) -> JsonObject:
    state = found.state
    named = {
        "agentId": found.agent,
        "declarationKey": found.declaration,
        "displayName": found.display,
        "owner": found.owner,
        "runningAtMs": state.running,
        "autoDisabled": state.auto_disabled,
    }
    return {
        "id": found.id,
        "name": found.name,
        "updatedAtMs": found.updated,
        "enabled": found.enabled,
        "scheduleKind": found.schedule.kind,
        "schedule": show_schedule(found.schedule),
        **{name: value for name, value in named.items() if value is not None},
        **_summary(state),
        "nextRunAt": None if state.next_run is None else iso(state.next_run),
        "nextRunAtMs": state.next_run,
        "lastRunAt": None if state.last_run is None else iso(state.last_run),
        "lastRunAtMs": state.last_run,
        "lastRunStatus": state.last_status,
        "lastRunError": state.last_error,
    }


def _state(state: State) -> dict[str, Any]:
    shown = {wire: value for wire, name in _STATE.items() if (value := getattr(state, name)) is not None}
    if state.diagnostics is not None and "summary" in state.diagnostics:
        shown["lastDiagnosticSummary"] = state.diagnostics["summary"]
    return {**shown, **_notified(state)}


def _summary(state: State) -> dict[str, Any]:
    shown = {wire: value for wire, name in _SUMMARY.items() if (value := getattr(state, name)) is not None}
    return {**shown, **_notified(state)}


def _notified(state: State) -> dict[str, str]:
    """Failures are told to nobody but through events and these answers."""
    return {} if state.last_status is None else {"lastFailureNotificationDeliveryStatus": _NOT_REQUESTED}


def _ended(found: Run) -> dict[str, Any]:
    shown = {wire: value for wire, name in _OUTCOME.items() if (value := getattr(found.outcome, name)) is not None}
    shown["completionStatus"] = found.completion
    shown["deliveryStatus"] = found.delivery_status
    shown["runAtMs"] = found.started
    shown["durationMs"] = found.duration
    if found.next_run is not None:
        shown["nextRunAtMs"] = found.next_run
    if found.asked:
        shown["runId"] = found.mark
    return shown


def _page(total: int, offset: int, limit: int, shown: int) -> dict[str, Any]:
    following = offset + shown
    more = following < total
    return {
        "total": total,
        "offset": offset,
        "limit": limit,
        "hasMore": more,
        "nextOffset": following if more else None,
    }
