"""How requests change jobs: a job made, declared again, changed. Pure; what is refused changes nothing.

Which target goes with which payload and what follows from what is as observed of the real gateway (CONTRACT section 8).
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import evolve, frozen

from runtime.cron.jobs import Job, Patch
from runtime.cron.outcomes import rescheduled
from runtime.cron.refusal import CronRefused
from runtime.cron.schedule import Schedule, check_moment, default_stagger, duration, iso, moment, next_run
from runtime.vocab import JsonObject

EVERY_TOOL: Final = ("*",)
LONGEST_NAME: Final = 60
_MEMBERS: Final = {
    "name": "name",
    "description": "description",
    "displayName": "display",
    "agentId": "agent",
    "sessionKey": "session_key",
    "sessionTarget": "target",
    "wakeMode": "wake",
}
"""Members of a patch that take the place of a field as they are; an empty text clears."""


@frozen(kw_only=True)
class Rules:
    """What jobs are measured against: the moment, the zone of the machine, and whose jobs those are that do not say."""

    now: int
    host: str = "UTC"
    agent: str = "main"


def make(said: JsonObject, id_: str, rules: Rules, *, system: bool = False) -> Job:
    """Return a new job from checked params. Raises CronRefused."""
    schedule = read_schedule(said["schedule"], rules.now)
    target, delivery = _target(said), said.get("delivery")
    if delivery is None and target != "main":
        delivery = {"mode": "announce"}
    alert = said.get("failureAlert")
    job = Job(
        id=id_,
        name=said.get("name") or _inferred(said["payload"], schedule),
        schedule=schedule,
        target=target,
        wake=said.get("wakeMode", "now"),
        payload=_with_tools(said["payload"]),
        created=rules.now,
        updated=rules.now,
        enabled=said.get("enabled", True),
        agent=said.get("agentId") or None,
        session_key=said.get("sessionKey") or None,
        description=said.get("description") or None,
        display=said.get("displayName"),
        declaration=said.get("declarationKey"),
        owner=said.get("owner") or None,
        delete_after=said.get("deleteAfterRun", True if schedule.kind == "at" else None),
        delivery=delivery,
        alert=alert or None,
        silent=alert is False,
        pacing=said.get("pacing"),
        system=system,
    )
    _check(job, rules)
    if schedule.kind == "at":
        return evolve(job, state=evolve(job.state, next_run=schedule.at if job.enabled else None))
    return rescheduled(job, rules.now, rules.host)


def declare(job: Job, said: JsonObject, rules: Rules) -> Job:
    """Return a job that was declared again under its key: schedule, payload, delivery and label as said now."""
    wanted = make({**said, "sessionTarget": job.target}, job.id, rules, system=job.system)
    schedule = _anchored(wanted.schedule, job.schedule, said["schedule"])
    nearer = evolve(
        job,
        schedule=schedule,
        payload=wanted.payload,
        delivery=wanted.delivery,
        display=wanted.display,
        pacing=wanted.pacing,
        enabled=wanted.enabled if "enabled" in said else job.enabled,
    )
    return job if nearer == job else _settled(job, evolve(nearer, updated=rules.now), rules)


def change(job: Job, patch: Patch, rules: Rules) -> Job:
    """Return the job after a patch. Raises CronRefused."""
    said = patch.members
    fields: dict[str, Any] = {name: said[wire] or None for wire, name in _MEMBERS.items() if wire in said}
    after = evolve(job, updated=rules.now, enabled=said.get("enabled", job.enabled), **fields)
    if "schedule" in said:
        schedule = _anchored(read_schedule(said["schedule"], rules.now), job.schedule, said["schedule"])
        after = evolve(after, schedule=schedule, delete_after=_deletes(job, schedule))
    if "deleteAfterRun" in said:
        after = evolve(after, delete_after=said["deleteAfterRun"])
    if "payload" in said:
        after = evolve(after, payload=_with_tools(_merged_payload(job.payload, said["payload"])))
    if "pacing" in said:
        after = evolve(after, pacing=said["pacing"])
    if "delivery" in said:
        after = evolve(after, delivery=_merged({"mode": "announce", **(job.delivery or {})}, said["delivery"]))
    if "failureAlert" in said:
        alert = said["failureAlert"]
        after = evolve(after, alert=_merged(job.alert or {}, alert) if alert else None, silent=alert is False)
    if after.target == "main" and "delivery" not in said and (after.delivery or {}).get("mode") != "webhook":
        after = evolve(after, delivery=None)
    _check(after, rules)
    if said.get("enabled"):
        after = evolve(after, state=evolve(after.state, errors=0, schedule_errors=0, auto_disabled=None))
    return _settled(job, after, rules)


def read_schedule(said: JsonObject, now: int) -> Schedule:
    """Return a schedule from its form on the wire; an interval that names no anchor is counted from now."""
    if said["kind"] == "at":
        at = moment(said["at"])
        if at is None:
            raise CronRefused(f"Invalid schedule.at: expected an ISO 8601 time, got {said['at'][:100]!r}")
        schedule = Schedule(kind="at", at=at)
        check_moment(schedule, now)
        return schedule
    if said["kind"] == "every":
        return Schedule(kind="every", every=said["everyMs"], anchor=said.get("anchorMs", now))
    stagger = said.get("staggerMs", default_stagger(said["expr"]))
    return Schedule(kind="cron", expr=said["expr"], tz=said.get("tz", ""), stagger=stagger)


def show_schedule(schedule: Schedule) -> dict[str, Any]:
    """Return a schedule as the wire has it."""
    if schedule.kind == "at":
        return {"kind": "at", "at": iso(schedule.at)}
    if schedule.kind == "every":
        return {"kind": "every", "everyMs": schedule.every, "anchorMs": schedule.anchor}
    shown: dict[str, Any] = {"kind": "cron", "expr": schedule.expr}
    if schedule.tz:
        shown["tz"] = schedule.tz
    if schedule.stagger is not None:
        shown["staggerMs"] = schedule.stagger
    return shown


def agent_of(job: Job, default: str) -> str:
    """Return whose job it is: the agent it names, else that of its session, else the default."""
    if job.agent:
        return job.agent
    parts = (job.session_key or "").split(":")
    return parts[1] if len(parts) > 2 and parts[0] == "agent" and parts[1] else default


def _settled(before: Job, after: Job, rules: Rules) -> Job:
    """Bring the slot in line with what was changed."""
    timing = ("enabled", "schedule", "pacing")
    if any(getattr(before, name) != getattr(after, name) for name in timing):
        state = evolve(after.state, activated=rules.now, edited=after.state.running is not None)
        after = _slotted(evolve(after, state=state), rules)
    elif after.enabled and after.state.next_run is None and after.state.running is None:
        after = _slotted(after, rules)
    return after


def _slotted(job: Job, rules: Rules) -> Job:
    if job.schedule.kind != "at":
        return rescheduled(job, rules.now, rules.host)
    done = job.state.last_status == "ok" and (job.state.last_run or 0) >= job.schedule.at
    slot = job.schedule.at if job.enabled and not done else None
    return evolve(job, state=evolve(job.state, next_run=slot))


def _check(job: Job, rules: Rules) -> None:
    kind = job.payload["kind"]
    if not job.name:
        raise CronRefused("automation name is required")
    if job.target == "main" and kind not in ("systemEvent", "heartbeat"):
        raise CronRefused('main cron jobs require payload.kind="systemEvent"')
    if job.target != "main" and kind != "agentTurn":
        raise CronRefused('isolated, current and session cron jobs require payload.kind="agentTurn"')
    if job.target == "main" and not job.system and job.agent and job.agent != rules.agent:
        raise CronRefused(
            f'cron: sessionTarget "main" is only valid for the default agent, not for {job.agent!r}; use "isolated"'
        )
    _check_delivery(job)
    _check_pacing(job)
    if job.schedule.kind != "at" and next_run(job.schedule, rules.now, rules.host, job.id) is None:
        what = f'expression "{job.schedule.expr}"' if job.schedule.kind == "cron" else "interval"
        raise CronRefused(f"cron {what} has no upcoming run time and would never fire")


def _check_delivery(job: Job) -> None:
    said = job.delivery or {}
    mode = said.get("mode", "none")
    if mode == "announce" and job.target == "main":
        raise CronRefused('cron channel delivery config is only supported for sessionTarget="isolated"')
    if mode == "webhook" and not _is_web(said.get("to")):
        raise CronRefused("cron webhook delivery requires delivery.to to be a valid http(s) URL")
    if completion := said.get("completionDestination"):
        if mode != "announce":
            raise CronRefused('cron completion destination webhook is only supported with delivery.mode="announce"')
        if not _is_web(completion.get("to")):
            raise CronRefused("cron completion destination webhook requires a valid http(s) URL")
    failing = said.get("failureDestination") or {}
    if failing and job.target == "main" and mode != "webhook":
        raise CronRefused('cron delivery.failureDestination is only supported for sessionTarget="isolated"')
    if failing.get("mode") == "webhook" and not _is_web(failing.get("to")):
        raise CronRefused("cron failure destination webhook requires a valid http(s) URL")


def _check_pacing(job: Job) -> None:
    if job.pacing is None:
        return
    if not job.pacing:
        raise CronRefused("cron pacing requires at least one of min or max")
    if job.schedule.kind == "at":
        raise CronRefused("cron pacing requires an every or cron schedule")
    least, most = (duration(job.pacing.get(name, "")) for name in ("min", "max"))
    if least and most and least > most:
        raise CronRefused("cron pacing min must not exceed max")


def _is_web(url: object) -> bool:
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def _target(said: JsonObject) -> str:
    kind = said["payload"]["kind"]
    target = str(said.get("sessionTarget") or ("current" if kind == "agentTurn" else "main"))
    return "isolated" if target == "current" and not said.get("sessionKey") else target


def _inferred(payload: JsonObject, schedule: Schedule) -> str:
    text = str(payload.get("message") or payload.get("text") or "")
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    if first:
        return first if len(first) <= LONGEST_NAME else f"{first[: LONGEST_NAME - 1].rstrip()}…"
    return {"at": "One-shot", "every": f"Every: {schedule.every}ms", "cron": f"Cron: {schedule.expr}"}[schedule.kind]


def _with_tools(payload: JsonObject) -> JsonObject:
    """An agent that is told nothing else may use every tool."""
    if payload["kind"] != "agentTurn" or payload.get("toolsAllow") is not None:
        return payload
    return {**payload, "toolsAllow": list(EVERY_TOOL)}


def _anchored(schedule: Schedule, before: Schedule, said: JsonObject) -> Schedule:
    """An interval that stays the same keeps counting from where it did."""
    if schedule.kind == "every":
        if "anchorMs" not in said and (before.kind, before.every) == ("every", schedule.every):
            return evolve(schedule, anchor=before.anchor)
    elif schedule.kind == "cron" and "staggerMs" not in said and before.expr == schedule.expr:
        return evolve(schedule, stagger=before.stagger)
    return schedule


def _deletes(job: Job, schedule: Schedule) -> bool | None:
    if schedule.kind == "at" and job.schedule.kind != "at":
        return True
    return None if schedule.kind != "at" and job.schedule.kind == "at" else job.delete_after


def _merged_payload(before: JsonObject, said: JsonObject) -> JsonObject:
    if said["kind"] == before["kind"]:
        return _merged(before, said)
    needed = "message" if said["kind"] == "agentTurn" else "text"
    if not said.get(needed):
        raise CronRefused(f'cron.update payload.kind="{said["kind"]}" requires {needed}')
    kept = {"toolsAllow": before["toolsAllow"]} if before.get("toolsAllow") is not None else {}
    return _merged(kept, said)


def _merged(before: JsonObject, said: Mapping[str, Any]) -> JsonObject:
    """Members take the place of those before; None clears."""
    merged = {**before, **{name: value for name, value in said.items() if not isinstance(value, dict)}}
    for name, value in said.items():
        if isinstance(value, dict):
            merged[name] = _merged(before.get(name) or {}, value)
    return {name: value for name, value in merged.items() if value is not None}
