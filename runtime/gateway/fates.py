"""What became of a run whose gateway died, read from the steps of its session. Pure; used after a restart only.

The journal is the truth and the note of a run is written a moment later, so the note may be one step behind.
"""

from collections.abc import Iterable
from enum import Enum, auto

from attrs import evolve

from runtime.gateway.entries import Run
from runtime.step import OPEN, Step
from runtime.step import events as ev
from runtime.step.state import Outcome, State

STATUS = {"done": "ok", "cancelled": "aborted"}
STOP = {"ok": "stop", "aborted": "aborted"}


class Place(Enum):
    """Where the message of a run stands in its session."""

    WAITING = auto()
    STEERING = auto()
    OPEN = auto()
    NOWHERE = auto()


def place(run: str, state: State) -> tuple[Place, str]:
    """Return where the message of a run stands, and the id of that message: several may have been put together."""
    for waiting in (one.message.id for one in state.lane):
        if named(waiting, run):
            return Place.WAITING, waiting
    if state.steering is not None and named(state.steering.id, run):
        return Place.STEERING, state.steering.id
    if state.prompt is not None and state.prompt.message.id == run and state.phase in OPEN:
        return Place.OPEN, run
    return Place.NOWHERE, ""


def named(message: str, run: str) -> bool:
    """Whether a message is this run's, alone or as one of several that were put together (`a+b`)."""
    return f"+{run}+" in f"+{message}+"


def ended(run: Run, outcome: Outcome | None, answer: str = "", tokens: tuple[int, int, int] = (0, 0, 0)) -> Run:
    """Return the run as an outcome leaves it. When it ended is for the caller to say."""
    status = STATUS.get(outcome.status if outcome is not None else "done", "error")
    error = outcome.message if outcome is not None and status == "error" else ""
    told = answer if status == "ok" else ""
    return evolve(run, status=status, stop=STOP.get(status, "error"), error=error, answer=told, tokens=tokens)


def fate(run: Run, steps: Iterable[Step]) -> Run | None:
    """Return the run as the steps of its session left it, over or not; None where its message never came."""
    found: Run | None = None
    began = State("")
    for step in steps:
        event, before, after = step.event, step.before, step.after
        if isinstance(event, ev.Queued):
            if named(event.message.id, run.id):
                found = run
            elif any(named(name, run.id) for name in event.replaces):
                found = evolve(run, status="ok", next=event.message.id)
        elif isinstance(event, ev.Unqueued) and run.id in event.ids:
            found = evolve(run, status="aborted", stop=event.reason or "aborted")
        elif isinstance(event, ev.Received) and after.prompt is not None and after.prompt.message.id == run.id:
            found, began = run, before
        elif isinstance(event, ev.Closed) and any(named(one.message.id, run.id) for one in before.lane):
            found = evolve(run, status="aborted", stop="aborted")
        elif isinstance(event, ev.Screened) and before.steering is not None and named(before.steering.id, run.id):
            joined = len(after.history) > len(before.history)
            found = evolve(run, status="ok" if joined else "error", stop="stop" if joined else "error")
        was = before.prompt.message.id if before.prompt is not None and before.phase in OPEN else ""
        if was == run.id and after.phase not in OPEN:
            found = ended(run, after.outcome, after.answer.strip(), used(began, after))
    return found


def used(began: State, after: State) -> tuple[int, int, int]:
    """Return the tokens that were used between two states: in, out, both."""
    was, now = began.usage, after.usage
    return now.prompt - was.prompt, now.candidates - was.candidates, now.total - was.total
