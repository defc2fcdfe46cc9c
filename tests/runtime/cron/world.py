"""A scheduler with everything around it: a clock that can be set, a store that outlives it, work done on cue."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

import trio
from attrs import define, field

from runtime.cron.jobs import Job, Outcome, Run
from runtime.cron.outside import Accepted
from runtime.cron.params import read_add, read_update
from runtime.cron.scheduler import Scheduler, Settings
from runtime.stores.memory import Kept, MemoryStore
from runtime.stores.shelf import Shelf

NOON: Final = 1_767_268_800_000
"""2026-01-01T12:00:00Z."""
HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR
TURN: Final = {"kind": "agentTurn", "message": "say something"}
DONE: Final = Outcome(summary="said", session="s-1", session_key="agent:main:cron:x:run:s-1", model="m", provider="p")


def every(ms: int, **more: Any) -> dict[str, Any]:
    """An interval as the wire has it."""
    return {"kind": "every", "everyMs": ms, **more}


def cron(expr: str, tz: str = "UTC", **more: Any) -> dict[str, Any]:
    """An expression as the wire has it."""
    return {"kind": "cron", "expr": expr, "tz": tz, **more}


def said(schedule: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Params of cron.add for an isolated job."""
    delivery = {"mode": "none"}
    return {
        "name": "job",
        "schedule": schedule,
        "sessionTarget": "isolated",
        "payload": TURN,
        "delivery": delivery,
    } | more


class WallClock:
    """Wall time that goes with Trio's clock, and can be set apart from it."""

    def __init__(self, start: int = NOON) -> None:
        self.start = start
        self.begun = trio.current_time()

    def wall(self) -> int:
        """Milliseconds since 1970."""
        return self.start + round((trio.current_time() - self.begun) * 1000)

    def mono(self) -> int:
        """Nanoseconds."""
        return round(trio.current_time() * 1_000_000_000)

    def jump(self, ms: int) -> None:
        """Set the wall clock forward, or back."""
        self.start += ms


class Counting:
    """Ids in order."""

    def __init__(self, prefix: str = "id") -> None:
        self.prefix = prefix
        self.given = 0

    def random(self) -> float:
        """Always the middle."""
        return 0.5

    def uuid(self) -> str:
        """The next id."""
        self.given += 1
        return f"{self.prefix}-{self.given}"


@define
class Worker:
    """Does what jobs say: notes that it was started, takes its time, ends as it was told to."""

    clock: WallClock
    seconds: float = 0.0
    outcomes: list[Outcome | Exception] = field(factory=list)
    started: list[tuple[int, str, str]] = field(factory=list)
    given: dict[str, float] = field(factory=dict)
    """Seconds that each job gave its run."""
    ended: list[str] = field(factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def __call__(self, job: Job, run_id: str, seconds: float) -> Outcome:
        """Run; see `runtime.cron.outside.Start`."""
        self.started.append((self.clock.wall(), job.id, run_id))
        self.given[job.id] = seconds
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await trio.sleep(self.seconds)
        finally:
            self.at_once -= 1
        self.ended.append(run_id)
        outcome = self.outcomes.pop(0) if self.outcomes else DONE
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def times(self) -> list[int]:
        """When runs were started, in seconds after noon."""
        return [(at - NOON) // 1000 for at, _, _ in self.started]


@define
class World:
    """One life of a scheduler. `again` begins the next one with what the last had on disk."""

    kept: Kept = field(factory=Kept)
    clock: WallClock = field(factory=WallClock)
    settings: Settings = field(factory=Settings)
    accepted: Accepted | None = None
    agents: Sequence[str] | None = None
    prefix: str = "id"
    standing: set[str] = field(factory=set)
    worker: Worker = field(init=False)
    events: list[Mapping[str, Any]] = field(factory=list)
    store: MemoryStore = field(init=False)
    scheduler: Scheduler = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.worker = Worker(self.clock)
        self.store = MemoryStore(self.kept, codec="json")
        agents = self.agents
        self.scheduler = Scheduler(
            jobs=Shelf(self.store, "cron-job", Job),
            runs=Shelf(self.store, "cron-run", Run),
            store=self.store,
            start=self.worker,
            announce=self.events.append,
            clock=self.clock,
            chance=Counting(self.prefix),
            settings=self.settings,
            accepted=self.accepted,
            has_agent=None if agents is None else lambda agent: agent in agents,
            stands=lambda job, run: run in self.standing,
        )

    def again(self, accepted: Accepted | None = None) -> "World":
        """The next life, after the process was killed: with what was on disk, whatever this one still does."""
        clock = WallClock(self.clock.wall())
        return World(deepcopy(self.kept), clock, self.settings, accepted, self.agents, f"{self.prefix}'")

    async def add(self, schedule: Mapping[str, Any], **more: Any) -> Job:
        """Add an isolated job."""
        return (await self.scheduler.add(read_add(said(schedule, **more)))).job

    async def update(self, job: Job, **patch: Any) -> Job:
        """Change a job."""
        id_, change, expected = read_update({"id": job.id, "patch": patch})
        return await self.scheduler.update(id_, change, expected)

    def job(self, job: Job) -> Job:
        """The job as it is now."""
        return self.scheduler.get(job.id)

    def told(self) -> list[str]:
        """The actions of the events, in order."""
        return [event["action"] for event in self.events]
