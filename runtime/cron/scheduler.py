"""Starts jobs when they are due, and answers for them. Does nothing that a job says itself, and knows no session.

Rule 1: the mark that a run begins is on disk before anything of it does. After a restart, a run of which only the mark
is left is recorded as interrupted and not started again: a session that took its message up goes on by itself. Only if
`accepted` says that none did, nothing can happen twice, and the run is started again.
Rule 2: one loop waits for the next slot, for a change, or for a minute: a wall clock that jumped is noticed then.
Rule 3: changes are written one after the other, and told when they are on disk.
"""

from collections import deque
from heapq import heapify, heappop, heappush
from typing import Final, Literal

import trio
from attrs import define, evolve, field, frozen

from runtime.cron import outcomes
from runtime.cron.answers import Action, event, hashed, revision
from runtime.cron.edits import Rules, agent_of, change, declare, make
from runtime.cron.history import History
from runtime.cron.jobs import MOST_JOBS, Job, Outcome, Patch, Run
from runtime.cron.outside import Accepted, Announce, Commits, HasAgent, Shelf, Stands, Start
from runtime.cron.paging import JobPage, RunPage, page_of_jobs, page_of_runs
from runtime.cron.params import ListQuery, RunsQuery
from runtime.cron.refusal import AgentUnavailable, CronRefused, job_not_found, params_of
from runtime.cron.schedule import DAY_MS
from runtime.errors import JournalError, TwinstepError
from runtime.ports import Chance, Clock
from runtime.vocab import JsonObject

LIMIT: Final = 8
"""Runs at a time, as the real gateway has it."""
RECHECK_SECONDS: Final = 60.0
WRITE_SECONDS: Final = 60.0
ACCEPTED_SECONDS: Final = 30.0
TURN_SECONDS: Final = 3600.0
EVENT_SECONDS: Final = 600.0
DISABLED: Final = "Cron job disabled by operator."

Mode = Literal["due", "force", "if-enabled"]
Reason = Literal["already-running", "disabled", "not-due"]


@frozen(kw_only=True)
class Settings:
    """How the scheduler runs. `zone` is that of schedules that name none, `agent` whose jobs are that name none.

    While `enabled` is false nothing starts by itself; what clients ask for still runs.
    """

    zone: str = "UTC"
    agent: str = "main"
    enabled: bool = True
    limit: int = LIMIT


@frozen
class Added:
    """A job that was asked for. `declared` says that it has a key, by which it may have been there before."""

    job: Job
    created: bool = True
    updated: bool = False
    declared: bool = False


@frozen
class Asked:
    """What became of a request to run a job: the id of the run, or why there is none."""

    run_id: str | None = None
    reason: Reason | None = None


@frozen
class Status:
    """The scheduler as a whole. `next_wake` is the earliest slot, or None."""

    enabled: bool
    jobs: int
    next_wake: int | None


@define(eq=False)
class _Active:
    job: Job
    run_id: str
    asked: bool
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    stopped: str = ""


class Scheduler:
    """Jobs and what becomes of them. For anything to start, `run` has to be running; the rest works without it.

    `jobs` and `runs` are shelves over `store`. `start` does what a job says and `announce` takes the events. `accepted`
    is asked after a restart; without it every marked run counts as accepted. `has_agent` refuses jobs of nobody.
    `stands` is asked when more is due than may run at a time.
    """

    def __init__(
        self,
        *,
        jobs: Shelf[Job],
        runs: Shelf[Run],
        store: Commits,
        start: Start,
        announce: Announce,
        clock: Clock,
        chance: Chance,
        settings: Settings | None = None,
        accepted: Accepted | None = None,
        has_agent: HasAgent | None = None,
        stands: Stands | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self._jobs = jobs
        self._history = History(runs)
        self._store = store
        self._start = start
        self._announce = announce
        self._clock = clock
        self._chance = chance
        self._accepted = accepted
        self._has_agent = has_agent
        self._stands = stands
        self._writing = trio.Lock()
        self._changed = trio.Event()
        self._slots: list[tuple[int, str]] = []
        self._asked: deque[str] = deque()
        self._active: dict[str, _Active] = {}
        self._born = chance.uuid()
        self._changes = 0
        self._manual = 0
        self._seen = clock.wall()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Take up what a restart left, then start what is due, until cancelled. Runs that are under way end with it.

        Raises JournalError, in a group, if the journal takes nothing any more.
        """
        await self._recover()
        async with trio.open_nursery() as nursery:
            task_status.started()
            while True:
                self._changed = trio.Event()
                await self._notice_clock()
                self._launch(nursery)
                with trio.move_on_after(self._pause()):
                    await self._changed.wait()

    # Questions

    def use(self, settings: Settings) -> None:
        """Run with other settings from now on. Runs under way go on as they began."""
        self.settings = settings
        self._changed.set()

    def status(self) -> Status:
        """Return how the scheduler stands."""
        slots = [job.state.next_run for job in self._jobs.items.values() if job.enabled and job.state.next_run]
        enabled = self.settings.enabled
        return Status(enabled, len(self._jobs.items), min(slots) if slots and enabled else None)

    def get(self, id_: str, method: str = "cron.get") -> Job:
        """Return a job. Raises CronRefused."""
        found = self._jobs.items.get(id_)
        if found is None:
            raise job_not_found(method, id_)
        return found

    def list(self, query: ListQuery) -> JobPage:
        """Return part of the jobs."""
        seen = hashed(f"{self._born}:{self._changes}")
        return page_of_jobs(self._jobs.items.values(), query, self.settings.agent, seen)

    def runs(self, query: RunsQuery) -> RunPage:
        """Return part of the history. Raises CronRefused for a job that never was, or is not the agent's."""
        found = self._history.of(query.job)
        if query.job is not None:
            job = self._jobs.items.get(query.job)
            stranger = query.agent is not None and (
                job is None or agent_of(job, self.settings.agent).lower() != query.agent.lower()
            )
            if stranger or (job is None and not found):
                raise job_not_found("cron.runs", query.job)
        return page_of_runs(found, query, {job.id: job.name for job in self._jobs.items.values()})

    # Changes

    async def add(self, said: JsonObject, *, system: bool = False) -> Added:
        """Make a job of checked params, or bring the one with their declaration key in line. Raises CronRefused."""
        with params_of("cron.add"):
            async with self._writing:
                await self._store.room()
                self._check_agent(said.get("agentId"))
                before = self._declared(said.get("declarationKey"), system=system)
                if before is None:
                    if len(self._jobs.items) >= MOST_JOBS:
                        raise CronRefused(f"there are {MOST_JOBS} automations, and no more are kept")
                    job = make(said, self._chance.uuid(), self._rules(), system=system)
                    await self._keep(job, "added")
                    return Added(job, declared=job.declaration is not None)
                job = declare(before, said, self._rules())
                if job is not before:
                    await self._keep(job, "updated")
                return Added(job, created=False, updated=job is not before, declared=True)

    async def update(self, id_: str, patch: Patch, expected: str | None = None) -> Job:
        """Change a job and return it. Switching it off stops its run. Raises CronRefused."""
        async with self._writing:
            await self._store.room()
            before = self._clients_own(id_, "cron.update")
            if expected is not None and (actual := revision(before)) != expected:
                raise CronRefused(
                    "the cron job was changed after it was read; read it again and decide anew",
                    {"code": "CRON_JOB_CHANGED", "expectedConfigRevision": expected, "actualConfigRevision": actual},
                )
            with params_of("cron.update"):
                self._check_agent(patch.members.get("agentId"))
                after = change(before, patch, self._rules())
            await self._keep(after, "updated")
        if before.enabled and not after.enabled and (active := self._active.get(id_)) is not None:
            active.stopped = DISABLED
            active.scope.cancel()
        return after

    async def remove(self, id_: str) -> bool:
        """Delete a job and return whether a run of it is under way, which goes on. Raises CronRefused."""
        async with self._writing:
            await self._store.room()
            job = self._clients_own(id_, "cron.remove")
            ticket = self._jobs.drop(id_)
            self._touched()
            await self._on_disk(ticket)
            self._announce(event("removed", job))
        return id_ in self._active

    async def run_now(self, id_: str, mode: Mode = "force") -> Asked:
        """Have a job run as soon as there is room; `due` says only if it is due anyhow. Raises CronRefused."""
        async with self._writing:
            await self._store.room()
            job, now = self.get(id_, "cron.run"), self._clock.wall()
            if reason := self._obstacle(job, mode, now):
                return Asked(reason=reason)
            self._manual += 1
            run_id = f"{outcomes.ASKED}{id_}:{now}:{self._manual}"
            await self._keep(outcomes.queued(job, run_id, now, forced=mode != "due"))
            self._asked.append(id_)
            self._changed.set()
        return Asked(run_id)

    # The loop

    def _launch(self, nursery: trio.Nursery) -> None:
        now, limit = self._clock.wall(), self.settings.limit
        while self._asked and self._working < limit:
            job = self._jobs.items.get(self._asked.popleft())
            if job is not None and job.state.queued is not None and job.id not in self._active:
                self._take(nursery, job, job.state.run_id, asked=True)
        while self.settings.enabled and self._slots and self._slots[0][0] <= now and self._working < limit:
            slot, id_ = heappop(self._slots)
            job = self._jobs.items.get(id_)
            if job is not None and job.state.next_run == slot and job.id not in self._active and _is_due(job, now):
                self._take(nursery, job, f"cron:{id_}:{now}:{self._chance.uuid()}", asked=False)

    @property
    def _working(self) -> int:
        """How many runs take a place: one whose session somebody holds may stand for days."""
        stands = self._stands or (lambda job, run: False)
        return sum(not stands(one.job, one.run_id) for one in self._active.values())

    def _take(self, nursery: trio.Nursery, job: Job, run_id: str, *, asked: bool) -> None:
        active = _Active(job, run_id, asked)
        self._active[job.id] = active
        nursery.start_soon(self._conduct, active)

    def _pause(self) -> float:
        """Seconds until something has to be looked at, if nothing changes."""
        if not self.settings.enabled or not self._slots or self._working >= self.settings.limit:
            return RECHECK_SECONDS if self._jobs.items else float("inf")
        return min(RECHECK_SECONDS, max(0, self._slots[0][0] - self._clock.wall()) / 1000)

    async def _notice_clock(self) -> None:
        """Plan anew what was planned by a clock that was more than a day ahead; less than that is waited out."""
        now, before = self._clock.wall(), self._seen
        self._seen = now
        if before - now <= DAY_MS:
            return
        for job in list(self._jobs.items.values()):
            await self._replan(job.id, now)

    async def _conduct(self, active: _Active) -> None:
        try:
            if not await self._mark(active):
                return
            outcome = await self._perform(active)
            with trio.move_on_after(WRITE_SECONDS, shield=True):  # what has been done must not look interrupted
                await self._record(active.job, outcome)
                return
            raise JournalError(
                f"the end of a run of cron job {active.job.id} is not on disk after {WRITE_SECONDS:.0f} s"
            )
        finally:
            del self._active[active.job.id]
            self._changed.set()

    async def _mark(self, active: _Active) -> bool:
        """Have the beginning of a run on disk; say whether the job is still there and still due."""
        async with self._writing:
            await self._store.room()
            job, now = self._jobs.items.get(active.job.id), self._clock.wall()
            if job is None or not (job.state.queued is not None if active.asked else _is_due(job, now)):
                return False
            forced = active.asked and job.state.forced
            active.job = outcomes.begun(job, active.run_id, now, forced=forced)
            await self._keep(active.job, "started")
        return True

    async def _perform(self, active: _Active) -> Outcome:
        try:
            with active.scope:
                return await self._start(active.job, active.run_id, _seconds(active.job))
        except TwinstepError as exc:
            return outcomes.failure(str(exc), self._clock.wall(), retryable=exc.retryable)
        except Exception as exc:  # noqa: BLE001 - a run that breaks its port fails alone; the other jobs go on
            return outcomes.failure(f"{type(exc).__name__}: {exc}", self._clock.wall())
        return outcomes.failure(active.stopped, self._clock.wall())

    async def _record(self, marked: Job, outcome: Outcome) -> None:
        """Write down how a run ended. A job that was deleted meanwhile stays deleted, and has its last run."""
        async with self._writing:
            await self._store.room()
            before = self._jobs.items.get(marked.id)
            ended = self._clock.wall()
            after, done = outcomes.finished(before or marked, outcome, ended, self.settings.zone)
            agent = agent_of(after, self.settings.agent)
            run = outcomes.run_of(before or marked, outcome, ended, after, agent)
            ticket = self._history.keep(run)
            if before is not None:
                ticket = self._jobs.drop(after.id) if done else self._put(after)
            self._touched()
            await self._on_disk(ticket)
            self._announce(event("finished", after, run))
            if before is not None and done:
                self._announce(event("removed", after))
            elif before is not None and before.state.next_run != after.state.next_run:
                self._announce(event("scheduled", after))

    # After a restart

    async def _recover(self) -> None:
        now = self._clock.wall()
        for job in list(self._jobs.items.values()):
            if job.state.running is not None:
                await self._recover_run(job, now)
            elif job.updated - now > DAY_MS or (job.enabled and job.state.next_run is None):
                await self._replan(job.id, now)
            found = self._jobs.items.get(job.id)
            if found is not None and found.state.queued is not None:
                self._asked.append(found.id)
        self._sort_slots()

    async def _recover_run(self, job: Job, now: int) -> None:
        if job.state.run_id in self._history:  # only the second of two writes was lost
            run = self._history[job.state.run_id]
            after, done = outcomes.finished(job, run.outcome, run.ended, self.settings.zone)
            async with self._writing:
                await self._store.room()
                ticket = self._jobs.drop(job.id) if done else self._put(after)
                await self._on_disk(ticket)
        elif await self._was_accepted(job):
            await self._record(job, outcomes.interrupted())
        else:
            async with self._writing:
                await self._store.room()
                await self._keep(outcomes.released(job, now))

    async def _was_accepted(self, job: Job) -> bool:
        if self._accepted is None:
            return True
        with trio.move_on_after(ACCEPTED_SECONDS):
            return await self._accepted(job, job.state.run_id)
        return True

    async def _replan(self, id_: str, now: int) -> None:
        async with self._writing:
            await self._store.room()
            job = self._jobs.items.get(id_)
            if job is None or job.schedule.kind == "at" or job.state.running is not None:
                return
            after = evolve(outcomes.rescheduled(job, now, self.settings.zone), updated=now)
            if after.state.next_run != job.state.next_run or after.enabled != job.enabled:
                await self._keep(after, "scheduled")

    # Keeping

    async def _keep(self, job: Job, action: Action | None = None) -> None:
        ticket = self._put(job)
        await self._on_disk(ticket)
        if action is not None:
            self._announce(event(action, job))

    def _put(self, job: Job) -> int:
        ticket = self._jobs.put(job.id, job)
        if job.enabled and job.state.next_run is not None:
            heappush(self._slots, (job.state.next_run, job.id))
            if len(self._slots) > 2 * len(self._jobs.items) + 64:
                self._sort_slots()
        self._touched()
        return ticket

    def _touched(self) -> None:
        self._changes += 1
        self._changed.set()

    def _sort_slots(self) -> None:
        """Leave only slots that jobs still have."""
        jobs = self._jobs.items.values()
        self._slots = [(job.state.next_run, job.id) for job in jobs if job.enabled and job.state.next_run is not None]
        heapify(self._slots)

    async def _on_disk(self, ticket: int) -> None:
        """Wait for the disk, also while everything is being cancelled: what is written is told."""
        with trio.move_on_after(WRITE_SECONDS, shield=True):
            await self._store.committed(ticket)
            return
        raise JournalError(f"a cron job is not on disk after {WRITE_SECONDS:.0f} s")

    # What requests are measured against

    def _rules(self) -> Rules:
        return Rules(now=self._clock.wall(), host=self.settings.zone, agent=self.settings.agent)

    def _clients_own(self, id_: str, method: str) -> Job:
        job = self.get(id_, method)
        if job.system:
            raise CronRefused(f"{method}: {job.name!r} belongs to the gateway and is not changed by clients")
        return job

    def _check_agent(self, agent: str | None) -> None:
        if agent and self._has_agent is not None and not self._has_agent(agent):
            raise AgentUnavailable(f"cron job agent is unavailable: {agent}")

    def _declared(self, key: str | None, *, system: bool) -> Job | None:
        if key is None:
            return None
        found = next((job for job in self._jobs.items.values() if job.declaration == key), None)
        if found is not None and found.system and not system:
            raise CronRefused(f"the declaration key {key!r} belongs to the gateway")
        return found

    def _obstacle(self, job: Job, mode: Mode, now: int) -> Reason | None:
        state = job.state
        if job.id in self._active or state.running is not None or state.queued is not None:
            return "already-running"
        if mode == "if-enabled" and not job.enabled:
            return "disabled"
        if mode == "due" and not _is_due(job, now):
            return "not-due"
        return None


def _is_due(job: Job, now: int) -> bool:
    return job.enabled and job.state.next_run is not None and job.state.next_run <= now


def _seconds(job: Job) -> float:
    """How long a run may take; 0 is any time."""
    said = job.payload.get("timeoutSeconds")
    if said is None:
        return TURN_SECONDS if job.payload.get("kind") == "agentTurn" else EVENT_SECONDS
    return float(said)
