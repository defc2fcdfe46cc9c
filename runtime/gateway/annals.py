"""What happened lately: runs for audit.list and as tasks, and what went through the queues. Bounded, and in memory.

Rules: no text of a conversation is kept; runs from before a restart are counted anew from what the store has of them;
when it is full, the oldest goes. A part of the desk: it hears of runs, and tells clients of those that are tasks.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid5

from attrs import define, field

from runtime.gateway import keys
from runtime.gateway.entries import Run
from runtime.gateway.hub import Hub
from runtime.ports import Clock
from runtime.sessions.session import Session

CAPACITY: Final = 1_000
"""Events of each kind that are kept (CONTRACT section 8, diagnostics.stability)."""
SPACE: Final = UUID("6c0f7f0e-53a0-4b0c-9c61-6a7e0f6f9a01")
"""Under which ids are made of the ids of runs, so that they stay the same."""
TASKS: Final = {"queued": "queued", "running": "running", "ok": "completed", "error": "failed", "aborted": "cancelled"}
ENDS: Final = {"ok": "succeeded", "error": "failed", "aborted": "cancelled"}
CODES: Final = {"error": "run_failed", "aborted": "run_cancelled"}
OUTCOMES: Final = {"ok": "completed", "error": "error", "aborted": "aborted"}
SHORT: Final = 200
"""Characters of a complaint that are kept."""

Event = dict[str, Any]


@define(eq=False)
class Ring:
    """The last events, each with a number that only grows, under the name `number`."""

    number: str
    capacity: int = CAPACITY
    events: "deque[Event]" = field(factory=deque)
    last: int = 0
    dropped: int = 0

    def add(self, event: Event) -> None:
        """Keep an event."""
        self.last += 1
        self.events.append({self.number: self.last, **event})
        if len(self.events) > self.capacity:
            self.events.popleft()
            self.dropped += 1


@define(eq=False)
class Annals:
    """Keeps what happened. `title` is what a task is called."""

    hub: Hub
    clock: Clock
    title: Callable[[Run], str]
    audit: Ring = field(factory=lambda: Ring("sequence"))
    stability: Ring = field(factory=lambda: Ring("seq"))

    def recall(self, runs: Iterable[Run]) -> None:
        """Take in what the store has of runs from before."""
        for event in sorted((event for run in runs for event in audited(run)), key=lambda one: int(one["occurredAt"])):
            self.audit.add(event)

    def on_run(self, what: str, run: Run, session: Session | None) -> None:
        """Note that a run began or ended (`Desk.on_run`)."""
        waiting = len(session.state.lane) if session is not None else 0
        if what == "start":
            self.audit.add(_began(run))
            self._note("session.state", outcome="processing", reason="run_started", queueDepth=waiting)
        else:
            took = max(0, run.ended - (run.started or run.created))
            self.audit.add(_ended(run))
            self._note("session.state", outcome="idle", reason="run_completed", queueDepth=waiting)
            self._note(
                "message.processed", channel=run.kind, durationMs=took, outcome=OUTCOMES.get(run.status, "error")
            )
        if is_task(run):
            self.hub.tell("task", {"action": "upserted", "task": task(run, self.title(run))})

    def complain(self, text: str) -> None:
        """Note that something went wrong inside."""
        self._note("gateway.error", reason=text[:SHORT])

    def _note(self, kind: str, **members: Any) -> None:
        self.stability.add({"ts": self.clock.wall(), "type": kind, **members})


def counted(events: Iterable[Event]) -> dict[str, int]:
    """Return how many events there are of each type."""
    return dict(Counter(str(event["type"]) for event in events))


def audited(run: Run) -> Iterator[Event]:
    """Return what audit.list tells of a run: its beginning, and its end where it has one."""
    if run.started:
        yield _began(run)
    if run.over:
        yield _ended(run)


def _began(run: Run) -> Event:
    return _event(run, 1, "started", "started", run.started)


def _ended(run: Run) -> Event:
    end = _event(run, 2, "finished", ENDS.get(run.status, "unknown"), run.ended)
    return end | ({"errorCode": CODES[run.status]} if run.status in CODES else {})


def _event(run: Run, place: int, what: str, status: str, at: int) -> Event:
    agent = agent_of(run)
    return {
        "eventId": str(uuid5(SPACE, f"{what} {run.id}")),
        "sourceSequence": place,
        "occurredAt": at,
        "redaction": "metadata_only",
        "agentId": agent,
        "sessionKey": run.key,
        "sessionId": run.session_id,
        "runId": run.id,
        "kind": "agent_run",
        "action": f"agent.run.{what}",
        "status": status,
        "actor": {"type": "agent", "id": agent},
    }


def is_task(run: Run) -> bool:
    """Whether a run is a task: work that somebody started, and not a turn of a conversation."""
    return run.kind != "chat"


def task(run: Run, title: str) -> dict[str, Any]:
    """Return a run as a task (CONTRACT section 8, tasks.list)."""
    name, status = str(uuid5(SPACE, run.id)), TASKS.get(run.status, run.status)
    shown = {
        "id": name,
        "taskId": name,
        "kind": "cli",
        "runtime": "cli",
        "status": status,
        "execution": {"state": "finished" if run.over else "running" if run.started else "unknown"},
        "title": title,
        "agentId": agent_of(run),
        "sessionKey": run.key,
        "childSessionKey": run.key,
        "hasTranscript": True,
        "ownerKey": run.key,
        "runId": run.id,
        "sourceId": run.id,
        "createdAt": run.created,
        "updatedAt": run.ended or run.started or run.created,
        "deliveryStatus": "not_applicable",
    }
    if run.started:
        shown["startedAt"] = run.started
    if run.over:
        shown |= {"endedAt": run.ended, "terminalSummary": run.error or status}
    job = job_of(run)
    if job:
        shown |= {"kind": "automation_run", "runtime": "cron", "sessionKey": "", "ownerKey": "", "sourceId": job}
        shown["progressSummary"] = "Running automation."
    return shown


def job_of(run: Run) -> str:
    """Return the id of the cron job that a run is of, or nothing."""
    rest = keys.rest_of(run.key)
    return rest.split(":")[1] if rest.startswith("cron:") else ""


def agent_of(run: Run) -> str:
    """Return the agent of a run."""
    parts = run.key.split(":")
    return parts[1] if len(parts) > 1 else "main"


def iso(ms: int) -> str:
    """Return a time in milliseconds since 1970 as ISO 8601."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
