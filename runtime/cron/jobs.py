"""The values of the scheduler: a job and what is known of it, a run, its outcome, a change. Computes nothing.

Times are milliseconds since 1970. `payload`, `delivery` and the like are JSON that `runtime.cron.params` has checked,
and are never changed in place. Shelves keep jobs and runs, so a member that is added needs a default.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from attrs import field, frozen

from runtime.cron.schedule import Schedule
from runtime.vocab import JsonObject

Status = Literal["ok", "error", "skipped"]
DeliveryStatus = Literal["delivered", "not-delivered", "unknown", "not-requested"]
Wake = Literal["now", "next-heartbeat"]

MOST_JOBS: Final = 5000
"""Jobs there may be; more are refused."""


@frozen(kw_only=True)
class State:
    """What the scheduler knows of a job.

    `next_run` stays at its slot while that runs. `running` is the durable mark: since when a run is under way, and
    `run_id` which. `queued` is since when a run that somebody asked for waits to be started. `forced` is a run that
    does not use up the slot; `edited` says that the schedule was changed during the run, which then leaves it alone.
    `activated` is when the schedule last began to hold.
    """

    next_run: int | None = None
    activated: int | None = None
    queued: int | None = None
    running: int | None = None
    run_id: str = ""
    forced: bool = False
    edited: bool = False
    last_run: int | None = None
    last_status: Status | None = None
    last_error: str | None = None
    last_reason: str | None = None
    last_duration: int | None = None
    diagnostics: JsonObject | None = None
    delivered: bool | None = None
    delivery_status: DeliveryStatus | None = None
    delivery_error: str | None = None
    errors: int | None = None
    skips: int | None = None
    schedule_errors: int | None = None
    auto_disabled: JsonObject | None = None


@frozen(kw_only=True)
class Job:
    """One scheduled job. `target` is `main`, `isolated`, `current` or `session:<key>` (CONTRACT section 8, cron.add).

    `alert` is the policy for repeated failures, or None; `silent` says that there shall be none. `system` jobs belong
    to the gateway: clients see them and may not change them.
    """

    id: str
    name: str
    schedule: Schedule
    target: str
    wake: Wake
    payload: JsonObject
    created: int
    updated: int
    enabled: bool = True
    state: State = State()
    agent: str | None = None
    session_key: str | None = None
    description: str | None = None
    display: str | None = None
    declaration: str | None = None
    owner: JsonObject | None = None
    delete_after: bool | None = None
    delivery: JsonObject | None = None
    alert: JsonObject | None = None
    silent: bool = False
    pacing: JsonObject | None = None
    system: bool = False


@frozen(kw_only=True)
class Outcome:
    """How a run ended, as whoever started it says.

    `retryable` is an error that can pass (rate limit, network). `delivered` is whether the result reached whom it is
    for, None if that was not tried; `delivery` is the trace of it. `next_check` is in how many milliseconds the agent
    wants to be asked again; it counts only for jobs with `pacing`.
    """

    status: Status = "ok"
    summary: str | None = None
    error: str | None = None
    reason: str | None = None
    diagnostics: JsonObject | None = None
    retryable: bool = False
    session: str | None = None
    session_key: str | None = None
    model: str | None = None
    provider: str | None = None
    usage: JsonObject | None = None
    delivered: bool | None = None
    delivery: JsonObject | None = None
    delivery_error: str | None = None
    next_check: int | None = None


@frozen(kw_only=True)
class Run:
    """One finished run. `mark` is the id it was started under; `asked` says that a client asked for it."""

    mark: str
    job: str
    agent: str
    ended: int
    started: int
    duration: int
    completion: Literal["succeeded", "failed", "unknown"]
    delivery_status: DeliveryStatus
    outcome: Outcome
    asked: bool = False
    next_run: int | None = None


@frozen
class Patch:
    """A change to a job: members by their name on the wire, checked. None clears what can be cleared."""

    members: Mapping[str, Any] = field(factory=dict)
