"""How runs change their job: marked, finished, interrupted. Pure; whoever calls writes the result down.

Rule 1: a job that is marked as running is not started; only the end of that run, or a restart, takes the mark away.
Rule 2: what follows a run lies strictly after its slot, wherever the clock stands by then; slots missed meanwhile are
one run. Backoff, retries and giving up are as observed of the real gateway (CONTRACT section 8).
"""

from typing import Final, Literal

from attrs import evolve

from runtime.cron.jobs import DeliveryStatus, Job, Outcome, Run, State
from runtime.cron.refusal import CronRefused
from runtime.cron.schedule import duration, next_run
from runtime.vocab import JsonObject

BACKOFF_MS: Final = (30_000, 60_000, 300_000, 900_000, 3_600_000)
"""How long a job rests after its first, second … error in a row; the last holds for all that follow."""
MOST_RETRIES: Final = 3
"""How often in a row an error that can pass brings the next run forward."""
MOST_ERRORS: Final = 10
"""After so many errors in a row a recurring job is switched off."""
GAP_MS: Final = 1000
"""How far apart two slots of a job are at least."""
ASKED: Final = "manual:"
"""How the id of a run begins that a client asked for."""
INTERRUPTED: Final = "cron: job interrupted by gateway restart"

Completion = Literal["succeeded", "failed", "unknown"]


def queued(job: Job, run_id: str, now: int, *, forced: bool) -> Job:
    """Return the job with a run that somebody asked for waiting to be started."""
    return evolve(job, state=evolve(job.state, queued=now, run_id=run_id, forced=forced))


def begun(job: Job, run_id: str, now: int, *, forced: bool) -> Job:
    """Return the job marked as running. Without that mark on disk nothing of the run may begin."""
    state = evolve(job.state, queued=None, running=now, run_id=run_id, forced=forced, edited=False)
    return evolve(job, state=state)


def released(job: Job, now: int) -> Job:
    """Return the job as before its mark, because nothing of the run began: it waits again, or its slot is still due."""
    state = job.state
    if state.forced:
        return evolve(job, state=evolve(state, running=None, queued=now))
    return evolve(job, state=evolve(state, running=None, run_id=""))


def rescheduled(job: Job, now: int, host: str) -> Job:
    """Return the job with its next slot after `now`. One whose schedule cannot be computed is switched off."""
    try:
        found = next_run(job.schedule, now, host, job.id) if job.enabled else None
    except CronRefused as exc:
        return _given_up(job, "schedule-errors", now, 1, f"schedule error: {exc}")
    return evolve(job, state=evolve(job.state, next_run=found))


def finished(job: Job, outcome: Outcome, ended: int, host: str) -> tuple[Job, bool]:
    """Return the job after its run, and whether it is done for good and is to be deleted."""
    state = job.state
    errors, skips = _streaks(state, outcome)
    status, delivered, trouble = delivery_of(job, outcome)
    rested = evolve(
        job,
        updated=ended,
        state=evolve(
            state,
            queued=None,
            running=None,
            run_id="",
            forced=False,
            edited=False,
            last_run=state.running,
            last_status=outcome.status,
            last_error=outcome.error,
            last_reason=outcome.reason,
            last_duration=max(0, ended - (ended if state.running is None else state.running)),
            diagnostics=outcome.diagnostics,
            delivered=delivered,
            delivery_status=status,
            delivery_error=trouble,
            errors=errors,
            skips=skips,
        ),
    )
    if job.schedule.kind == "at" and not state.edited:
        return _once(rested, outcome, ended, kept=state.forced and _ahead(state.next_run, ended))
    if state.edited or state.forced:
        return rested, False
    if not job.enabled:
        return evolve(rested, state=evolve(rested.state, next_run=None)), False
    if outcome.status == "error" and errors >= MOST_ERRORS:
        return _given_up(rested, "consecutive-failures", ended, errors, outcome.error), False
    return _again(rested, outcome, ended, host), False


def run_of(job: Job, outcome: Outcome, ended: int, after: Job, agent: str) -> Run:
    """Return the entry of the history for the run that `job` is marked with; `after` is what `finished` made of it."""
    started = ended if job.state.running is None else job.state.running
    status, delivered, trouble = delivery_of(job, outcome)
    return Run(
        mark=job.state.run_id,
        job=job.id,
        agent=agent,
        started=started,
        ended=max(started, ended),
        duration=max(0, ended - started),
        completion=completion_of(job, outcome),
        delivery_status=status,
        outcome=evolve(
            outcome,
            delivered=delivered,
            delivery_error=trouble,
            delivery=outcome.delivery if outcome.delivery is not None else _trace(job, outcome),
        ),
        asked=job.state.run_id.startswith(ASKED),
        next_run=after.state.next_run,
    )


def interrupted() -> Outcome:
    """Return the outcome of a run of which only the mark was left after a restart."""
    return Outcome(status="error", error=INTERRUPTED, delivered=False, delivery_error=INTERRUPTED)


def failure(error: str, at: int, reason: str | None = None, *, retryable: bool = False) -> Outcome:
    """Return the outcome of a run that failed, with the diagnostics that clients show."""
    entry = {"ts": at, "source": "agent-run", "severity": "error", "message": error}
    return Outcome(
        status="error",
        error=error,
        reason=reason,
        retryable=retryable,
        diagnostics={"summary": error, "entries": [entry]},
    )


def late(seconds: float, at: int) -> Outcome:
    """Return the outcome of a run that took longer than its job gives it."""
    return failure(f"cron: job execution timed out after {seconds:g} s", at, "timeout")


def delivery_of(job: Job, outcome: Outcome) -> tuple[DeliveryStatus, bool | None, str | None]:
    """Return what became of the delivery: status, whether it arrived, and why not."""
    if outcome.error == INTERRUPTED:
        return "unknown", False, INTERRUPTED
    mode = (job.delivery or {}).get("mode", "none")
    if outcome.delivered:
        return "delivered", True, None
    if mode == "none" or (mode == "webhook" and outcome.delivered is None):
        return "not-requested", False if outcome.status == "ok" else None, None
    trouble = outcome.delivery_error or outcome.error
    if outcome.delivered is False:
        return "not-delivered", False, trouble
    return "unknown", None, trouble if outcome.status == "error" else None


def completion_of(job: Job, outcome: Outcome) -> Completion:
    """Return whether the run did what it was for, delivery included where that is required."""
    if outcome.status != "ok":
        return "failed"
    status, _, _ = delivery_of(job, outcome)
    if status in ("delivered", "not-requested") or (job.delivery or {}).get("bestEffort"):
        return "succeeded"
    return "failed" if status == "not-delivered" else "unknown"


def _streaks(state: State, outcome: Outcome) -> tuple[int, int]:
    if outcome.status == "error":
        return (state.errors or 0) + 1, 0
    return 0, (state.skips or 0) + 1 if outcome.status == "skipped" else 0


def _once(job: Job, outcome: Outcome, ended: int, *, kept: bool) -> tuple[Job, bool]:
    if kept:
        return job, False
    if job.delete_after and completion_of(job, outcome) == "succeeded":
        return job, True
    errors = job.state.errors or 0
    if outcome.status == "error" and outcome.retryable and job.enabled and errors <= MOST_RETRIES:
        return evolve(job, state=evolve(job.state, next_run=ended + backoff(errors))), False
    return evolve(job, enabled=False, state=evolve(job.state, next_run=None)), False


def _again(job: Job, outcome: Outcome, ended: int, host: str) -> Job:
    slot = job.state.next_run
    after = ended if slot is None else max(ended, slot + GAP_MS - 1)
    following = rescheduled(job, after, host)
    natural, errors = following.state.next_run, job.state.errors or 0
    if natural is None:
        return following
    if outcome.status == "error":
        retry = ended + backoff(errors)
        natural = retry if outcome.retryable and errors <= MOST_RETRIES else max(natural, retry)
    elif outcome.status == "ok" and job.pacing is not None and outcome.next_check is not None:
        natural = ended + _paced(job.pacing, outcome.next_check)
    return evolve(following, state=evolve(following.state, next_run=natural))


def backoff(errors: int) -> int:
    """Return the rest after so many errors in a row."""
    return BACKOFF_MS[min(max(errors, 1), len(BACKOFF_MS)) - 1]


def _paced(pacing: JsonObject, wanted: int) -> int:
    least = duration(pacing.get("min", "")) or 0
    most = duration(pacing.get("max", "")) or wanted
    return max(GAP_MS, min(max(wanted, least), max(most, least)))


def _given_up(job: Job, reason: str, now: int, errors: int, error: str | None) -> Job:
    why = {"reason": reason, "atMs": now, "consecutiveErrors": errors}
    return evolve(
        job, enabled=False, state=evolve(job.state, next_run=None, auto_disabled=why, last_error=error, queued=None)
    )


def _ahead(slot: int | None, now: int) -> bool:
    return slot is not None and slot > now


def _trace(job: Job, outcome: Outcome) -> JsonObject | None:
    """Where the answer of an agent would have gone; only runs that came to an answer have one."""
    if outcome.status != "ok" or job.payload.get("kind") != "agentTurn":
        return None
    wanted = job.delivery or {}
    intended = {
        "channel": wanted.get("channel", "last"),
        "to": wanted.get("to"),
        "source": "explicit" if wanted.get("channel", "last") != "last" else "last",
    }
    return {"intended": intended, "fallbackUsed": False, "delivered": bool(outcome.delivered)}
