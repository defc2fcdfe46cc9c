"""Keeps the list of sessions and the file within their bounds, on a slow clock; `sessions.cleanup` does it at once.

A pass is bounded, and others go on between its pieces. What is due is told by `runtime.gateway.retention`.
"""

from typing import Any, Final

import trio
from attrs import define, field

from runtime.config.openclaw.model import Maintenance
from runtime.errors import TwinstepError
from runtime.gateway import rows
from runtime.gateway.desk import Desk
from runtime.gateway.entries import Entry
from runtime.gateway.retention import DAY_MS, Plan, Survey, evictable

FIRST: Final = 60.0
EVERY: Final = 1_800.0
SOON: Final = 60.0
"""Seconds before the first pass, between passes, and before one that goes on with what the last did not get to."""
AT_ONCE: Final = 200
"""Sessions of each sort that a pass ends at most: each is several records for the writer."""
A_BREATH: Final = 100
"""Entries that are looked at without letting others run."""
EVICTED: Final = 20
ROUNDS: Final = 20
"""How much the disk budget takes before the file is measured again, and how often a pass does that."""
SPENT_DAYS: Final = 400


def policy_of(desk: Desk) -> Maintenance:
    """Return what the settings say."""
    settings = getattr(desk.config, "config", None)
    return getattr(getattr(settings, "session", None), "maintenance", None) or Maintenance()


@define(eq=False)
class Upkeep:
    """The task that tidies up. `passes` and `ended` are for who looks: passes so far, sessions that they ended."""

    desk: Desk
    passes: int = 0
    ended: int = 0
    _warned: str = field(default="")

    async def run(self, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Tidy up until cancelled."""
        task_status.started()
        pause = FIRST
        while True:
            await trio.sleep(pause)
            try:
                pause = SOON if await self.once() else EVERY
            except TwinstepError as exc:
                self.desk.complain(f"upkeep: {exc}", exc)
                pause = EVERY

    async def once(self) -> bool:
        """Make one pass; return whether there is more to do soon."""
        desk, policy = self.desk, policy_of(self.desk)
        self.passes += 1
        plan = await survey(desk, list(desk.directory), "", AT_ONCE)
        if policy.mode == "warn":
            self._warn(plan, policy)
            return False
        await carry_out(desk, plan)
        desk.directory.forget_spent(desk.clock.wall() - SPENT_DAYS * DAY_MS)
        evicted = await self._budget(policy)
        self.ended += len(plan.archive) + len(plan.delete) + len(plan.journals) + evicted
        if plan or evicted:
            await desk.directory.committed()
            desk.hub.tell_listers("sessions.changed", {"reason": "cleanup", "ts": desk.clock.wall()})
        store = desk.dispatcher.journal.store
        before = store.size()
        await store.committed(store.shrink())
        return AT_ONCE in (len(plan.archive), len(plan.delete), len(plan.journals)) or store.size() < before

    async def _budget(self, policy: Maintenance) -> int:
        """Let go of old history while the file is too large; stop where that makes it no smaller."""
        desk, store = self.desk, self.desk.dispatcher.journal.store
        size, count = store.size(), 0
        if not 0 < policy.max_disk < size:
            return 0
        for _ in range(ROUNDS):
            journals, entries = evictable(desk.directory, desk.directory.past.items.values(), EVICTED)
            if not journals and not entries:
                break
            await carry_out(desk, Plan(delete=entries, journals=journals))
            count += len(journals) + len(entries)
            await store.committed(store.shrink())
            size, before = store.size(), size
            if size >= before or size <= policy.high_water:
                break
        return count

    def _warn(self, plan: Plan, policy: Maintenance) -> None:
        size = self.desk.dispatcher.journal.store.size()
        over = 0 < policy.max_disk < size
        told = (
            f"session.maintenance.mode is warn: {len(plan.archive)} sessions would be archived, {len(plan.delete)} "
            f"deleted, {len(plan.journals)} past ones let go of" + (f"; the file has {size} bytes" if over else "")
        )
        if (plan or over) and told != self._warned:
            self._warned = told
            self.desk.log("warn", told)


async def survey(desk: Desk, entries: list[Entry], kept: str, most: int) -> Plan:
    """Look at all these sessions, and at the past ones; return what is due."""
    seen = Survey(policy_of(desk), desk.clock.wall(), kept)
    for n, entry in enumerate(entries):
        seen.see(entry, active=_at_work(desk, entry))
        if n % A_BREATH == A_BREATH - 1:
            await trio.lowlevel.checkpoint()
    return seen.plan(desk.directory.past.items.values(), most)


async def carry_out(desk: Desk, plan: Plan) -> None:
    """Archive and delete, with a pause in between: others have work to do as well. Who was used meanwhile stays."""
    now = desk.clock.wall()
    for entry, why in plan.archive:
        if _unused(desk, entry):
            desk.directory.change(entry, archived=now, members={**entry.members, "archiveReason": why})
        await trio.lowlevel.checkpoint()
    for entry in plan.delete:
        if _unused(desk, entry):
            desk.directory.delete(entry)
            desk.hub.tell_listers("sessions.changed", rows.gone(desk, entry))
        await trio.lowlevel.checkpoint()
    for past in plan.journals:
        if past.session in desk.directory.past.items:
            desk.directory.expire(past)
        await trio.lowlevel.checkpoint()


def _unused(desk: Desk, entry: Entry) -> bool:
    return desk.directory.get(entry.key) is entry and not _at_work(desk, entry)


def _at_work(desk: Desk, entry: Entry) -> bool:
    """Whether a session has runs, or somebody holds it and looks at it."""
    session = desk.directory.roster.live.get(entry.session)
    held = session is not None and session.state.hold is not None
    return held or bool(desk.runs.active(entry.session))


def budget(desk: Desk) -> dict[str, Any]:
    """Return the member `diskBudget` of sessions.cleanup."""
    policy, size = policy_of(desk), desk.dispatcher.journal.store.size()
    return {
        "totalBytesBefore": size,
        "totalBytesAfter": size,
        "maxBytes": policy.max_disk or None,
        "highWaterBytes": policy.high_water or None,
        "overBudget": 0 < policy.max_disk < size,
    }
