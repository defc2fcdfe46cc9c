"""Which sessions nobody needs any more: archived, deleted, or let go of (`session.maintenance`). Pure.

Rules, as the peer's: main sessions, pinned ones, those at work or held, and conversations of channels stay. A session
that nobody talks in is deleted after `pruneAfter`, any other is archived; a dashboard earlier; and the oldest of those
above `maxEntries`. What is archived stays, but for the disk budget: that takes what resets left, then what was archived
for being too many.
"""

from collections.abc import Iterable
from heapq import nsmallest
from typing import Final

from attrs import define, field

from runtime.config.openclaw.model import Maintenance
from runtime.gateway import keys
from runtime.gateway.entries import Entry, Past
from runtime.gateway.keys import Kind

DAY_MS: Final = 86_400_000
TOMBSTONE_DAYS: Final = 30
"""How long it is remembered that a session was deleted."""
ROUTED: Final = frozenset({Kind.GROUP, Kind.CHANNEL, Kind.DIRECT, Kind.THREAD})
NEVER: Final = frozenset({Kind.MAIN, Kind.GLOBAL})
CAPPED: Final = "active-session-cap"
"""Why a session is archived that was one too many."""


@define
class Plan:
    """What is to be done, the longest unused first: entries to archive and why, entries to delete, past sessions."""

    archive: list[tuple[Entry, str]] = field(factory=list)
    delete: list[Entry] = field(factory=list)
    journals: list[Past] = field(factory=list)

    def __bool__(self) -> bool:
        return bool(self.archive or self.delete or self.journals)


@define
class Survey:
    """Looks at one session after the other. `kept` is a key that somebody uses right now."""

    policy: Maintenance
    now: int
    kept: str = ""
    _plan: Plan = field(factory=Plan)
    _left: list[Entry] = field(factory=list)
    _open: int = 0

    def see(self, entry: Entry, *, active: bool) -> None:
        """Take an entry into account."""
        if entry.archived:
            return
        self._open += 1
        kind = keys.kind_of(entry.key)
        if active or entry.pinned or entry.key == self.kept or kind in NEVER | ROUTED:
            return
        idle = self.now - entry.updated
        if self._disposable(entry, kind, idle):
            self._plan.delete.append(entry)
        elif kind not in keys.BACKGROUND and (why := self._stale(kind, idle)):
            self._plan.archive.append((entry, why))
        elif kind in keys.BACKGROUND or not self._recent(idle):
            self._left.append(entry)

    def _disposable(self, entry: Entry, kind: Kind, idle: int) -> bool:
        if kind is Kind.CRON and ":run:" in entry.key and 0 < self.policy.cron_runs < idle:
            return True
        return kind in keys.BACKGROUND and idle > self.policy.prune_after

    def _stale(self, kind: Kind, idle: int) -> str:
        if self._recent(idle):
            return ""
        if kind is Kind.DASHBOARD and 0 < self.policy.dashboard_after < idle:
            return "stale-dashboard"
        return "age-retention" if idle > self.policy.prune_after else ""

    def _recent(self, idle: int) -> bool:
        return idle <= self.policy.preserve_recent

    def plan(self, past: Iterable[Past], most: int) -> Plan:
        """Return what is to be done, at most so much of each."""
        plan, spare = self._plan, self._open - self.policy.max_entries
        spare -= len(plan.archive) + len(plan.delete)
        for entry in nsmallest(max(0, min(spare, most)), self._left, key=_age):
            if keys.kind_of(entry.key) in keys.BACKGROUND:
                plan.delete.append(entry)
            else:
                plan.archive.append((entry, CAPPED))
        journals = (one for one in past if self._over(one))
        return Plan(
            nsmallest(most, plan.archive, key=lambda one: one[0].updated),
            nsmallest(most, plan.delete, key=_age),
            nsmallest(most, journals, key=lambda one: one.at),
        )

    def _over(self, past: Past) -> bool:
        limit = self.policy.reset_retention if past.kept else TOMBSTONE_DAYS * DAY_MS
        return 0 < limit < self.now - past.at


def _age(entry: Entry) -> int:
    return entry.updated


def evictable(entries: Iterable[Entry], past: Iterable[Past], most: int) -> tuple[list[Past], list[Entry]]:
    """Return what the disk budget takes next: what resets left, and if there is nothing of that, capped archives."""
    journals = nsmallest(most, (one for one in past if one.kept), key=lambda one: one.at)
    if journals:
        return journals, []
    capped = (one for one in entries if one.archived and one.members.get("archiveReason") == CAPPED)
    return [], nsmallest(most, capped, key=lambda one: one.archived)
