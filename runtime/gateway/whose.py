"""Whose run a step of a session is of. A copy of a session has its open prompt too, but not its run. Pure."""

from collections.abc import Mapping, Sequence

from runtime.gateway.entries import Run
from runtime.step import OPEN
from runtime.step.state import State

Runs = Mapping[str, Run]
"""Runs by their ids."""


def run_of(state: State, runs: Runs) -> str:
    """Return the id of the run that a session has worked on last, or nothing. A message that no run is kept of has its
    own id."""
    name = state.prompt.message.id if state.prompt is not None else ""
    run = runs.get(name)
    return name if run is None or run.session == state.session else ""


def current(state: State, runs: Runs) -> str:
    """Return the id of the run that a session works on, or nothing."""
    return run_of(state, runs) if state.phase in OPEN else ""


def left(state: State, runs: Runs) -> Sequence[str]:
    """Return the ids of the runs that a session had begun and works on no more, because it has gone back."""
    mine = [run.id for run in runs.values() if run.session == state.session and run.status == "running"]
    now = current(state, runs)
    return [name for name in mine if name != now]
