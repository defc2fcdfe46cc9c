"""sessions.reset, .delete, .compact, .cleanup: what a session loses, and when it ends (CONTRACT section 5).

Rules: the main session of an agent is never deleted; what is deleted is gone from the journal, with what the key had
before; `sessions.cleanup` does at once what the gateway does by and by (`runtime.gateway.upkeep`).
"""

from typing import Annotated, Any, Final, Literal

from attrs import frozen

from runtime.gateway import compacting, keys, rows
from runtime.gateway.desk import Desk
from runtime.gateway.entries import Entry
from runtime.gateway.frames import invalid
from runtime.gateway.keeping import kept
from runtime.gateway.methods.sessions_change import stop
from runtime.gateway.methods.sessions_list import check_agent
from runtime.gateway.params import Least, Text
from runtime.gateway.registry import Call, Method
from runtime.gateway.retention import CAPPED, DAY_MS
from runtime.gateway.upkeep import SPENT_DAYS, budget, carry_out, policy_of, survey
from runtime.step.edits import EditRefused

AT_ONCE: Final = 1_000
"""Sessions that one cleanup ends at most: each is several records for the writer."""


@frozen(kw_only=True)
class ResetParams:
    """Params of sessions.reset."""

    key: Text
    agent_id: Text | None = None
    reason: Literal["new", "reset"] = "reset"


@frozen(kw_only=True)
class DeleteParams:
    """Params of sessions.delete."""

    key: Text
    agent_id: Text | None = None
    delete_transcript: bool = True
    expected_session_id: Text | None = None
    expected_lifecycle_revision: Text | None = None
    expected_session_updated_at: Annotated[float, Least(0)] | None = None
    emit_lifecycle_hooks: bool = True
    archived_only: bool = False


@frozen(kw_only=True)
class CompactParams:
    """Params of sessions.compact."""

    key: Text
    agent_id: Text | None = None
    max_lines: Annotated[int, Least(1)] | None = None


@frozen(kw_only=True)
class CleanupParams:
    """Params of sessions.cleanup."""

    agent: Text | None = None
    all_agents: bool = False
    enforce: bool = True
    active_key: Text | None = None
    fix_missing: bool = False
    fix_dm_scope: bool = False


async def reset(call: Call) -> Any:
    """Give a key a new session; an open run is given up. A key without a session gets one."""
    desk, params = call.desk, call.params
    directory = desk.directory
    key = directory.key(params.key, params.agent_id)
    entry = directory.get(key)
    if entry is not None:
        stop(desk, entry, "reset")
        fresh = directory.reset(directory.get(key) or entry, params.reason)
    else:
        check_agent(desk, keys.agent_of(key) or directory.default_agent)
        fresh = directory.create(key)
    await directory.committed()
    desk.changed(fresh, params.reason)
    return {"ok": True, "key": key, "entry": rows.described(desk, fresh), "resolved": rows.resolved(desk, fresh)}


async def delete(call: Call) -> Any:
    """Forget a session; an open run is given up. It is gone from the disk when this answers."""
    desk, params = call.desk, call.params
    directory = desk.directory
    key = directory.key(params.key, params.agent_id)
    if keys.kind_of(key) in (keys.Kind.MAIN, keys.Kind.GLOBAL):
        raise invalid(f"{key} is a main session, and those are never deleted")
    entry = directory.get(key)
    if entry is None:
        return {"ok": True, "key": key, "deleted": False, "archived": []}
    expected = (
        (params.expected_session_id, entry.id),
        (params.expected_lifecycle_revision, entry.revision),
        (params.expected_session_updated_at, entry.updated),
    )
    if any(wanted not in (None, found) for wanted, found in expected):
        raise invalid(f"{key} is not as it was expected to be: read it again", {"reason": "session-changed"})
    if params.archived_only and not entry.archived:
        raise invalid(f"{key} is not archived, and only what is archived was to be deleted")
    stop(desk, entry, "delete")
    ticket = directory.delete(directory.get(key) or entry, journal=params.delete_transcript)
    await kept(desk.dispatcher.journal, ticket)
    tell_gone(desk, entry)
    desk.hub.tell_listers("sessions.changed", {"reason": "delete", "ts": desk.clock.wall()})
    return {"ok": True, "key": key, "deleted": True, "archived": []}


def tell_gone(desk: Desk, entry: Entry) -> None:
    """Tell those who list sessions that one is no more."""
    desk.hub.tell_listers("sessions.changed", rows.gone(desk, entry))


async def compact(call: Call) -> Any:
    """Let a conversation lose its beginning; without `maxLines` a summary by the model takes the place of it."""
    desk, params = call.desk, call.params
    directory = desk.directory
    key = directory.key(params.key, params.agent_id)
    entry = directory.get(key)
    if entry is None:
        return {"ok": True, "key": key, "compacted": False, "reason": "there is no such session"}
    if params.max_lines is None:
        return await _sum_up(desk, entry)
    try:
        kept, lost = directory.compact(entry, params.max_lines)
    except EditRefused as exc:
        kept = len(directory.transcript(entry).lines)
        return {"ok": False, "key": key, "compacted": False, "kept": kept, "reason": str(exc)}
    if lost:
        await directory.committed()
        _tell_compacted(desk, entry)
    return {"ok": True, "key": key, "compacted": lost, "kept": kept}


async def _sum_up(desk: Desk, entry: Entry) -> dict[str, Any]:
    told = {"operationId": desk.chance.uuid(), "operation": "compact", "sessionKey": entry.key, "agentId": entry.agent}
    done = False

    def tell(phase: str, **more: Any) -> None:
        desk.hub.tell_listers("session.operation", {**told, "phase": phase, **more, "ts": desk.clock.wall()})

    tell("start")
    try:
        result = await compacting.compact(desk, entry)
        done = True
    except compacting.NotCompacted as exc:
        return {"ok": False, "key": entry.key, "compacted": False, "reason": str(exc)}
    finally:
        tell("end", completed=done)
    _tell_compacted(desk, entry)
    return {"ok": True, "key": entry.key, "compacted": True, "result": result}


def _tell_compacted(desk: Desk, entry: Entry) -> None:
    changed = desk.directory.get(entry.key) or entry
    desk.hub.tell_listers("sessions.changed", rows.changed(desk, changed, "compact", compacted=True))


# --- retention


async def cleanup(call: Call) -> Any:
    """Archive and delete what nobody used for long; with enforce false, say only what would be."""
    desk, params = call.desk, call.params
    directory = desk.directory
    agent = (params.agent or directory.default_agent).strip().lower()
    mine = [entry for entry in directory if params.all_agents or entry.agent == agent]
    kept = directory.key(params.active_key) if params.active_key is not None else ""
    plan = await survey(desk, mine, kept, AT_ONCE)
    lost = await missing(desk, mine) if params.fix_missing else []
    answer = {
        "agentId": agent,
        "storePath": desk.dispatcher.journal.name,
        "mode": policy_of(desk).mode,
        "dryRun": not params.enforce,
        "beforeCount": len(mine),
        "missing": len(lost) if params.fix_missing else None,
        "archived": len(plan.archive),
        "capArchived": sum(why == CAPPED for _, why in plan.archive),
        "pruned": len(plan.delete),
        "journals": len(plan.journals),
        "diskBudget": budget(desk),
        "wouldMutate": bool(plan or lost),
        "applied": params.enforce,
    }
    if params.enforce:
        plan.delete += lost
        await carry_out(desk, plan)
        directory.forget_spent(desk.clock.wall() - SPENT_DAYS * DAY_MS)
        await directory.committed()
        desk.hub.tell_listers("sessions.changed", {"reason": "cleanup", "ts": desk.clock.wall()})
    left = sum(params.all_agents or entry.agent == agent for entry in directory)
    return answer | {"afterCount": left, "appliedCount": len(plan.archive) + len(plan.delete) if params.enforce else 0}


async def missing(desk: Desk, entries: list[Entry]) -> list[Entry]:
    """Return the sessions of which the journal has nothing."""
    await desk.directory.committed()
    there = {row.session for row in desk.dispatcher.journal.store.sessions()}
    return [
        entry for entry in entries if entry.session not in there and entry.session not in desk.directory.roster.live
    ]


METHODS: Final = [
    Method("sessions.reset", reset, ResetParams),
    Method("sessions.delete", delete, DeleteParams),
    Method("sessions.compact", compact, CompactParams),
    Method("sessions.cleanup", cleanup, CleanupParams),
]
