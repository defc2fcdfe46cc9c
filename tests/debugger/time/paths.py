"""Paths through the records of sessions that the step machine made, without a journal. Asserts nothing."""

from collections.abc import Generator
from typing import Any, TypeVar

from debugger.border import Border
from debugger.time import Walk
from runtime.sessions.actors import actor_of
from runtime.step import Step
from runtime.step import events as ev
from runtime.step.branches import Taken
from runtime.step.line import Line
from runtime.step.records import record_of
from runtime.step.replay import rebased
from tests.runtime.step.scenes import Run

T = TypeVar("T")
SECOND = 1_000
GLOB = "glob__c1"
"""The id that the second call of a turn gets."""


def line_of(steps: list[Step]) -> Line:
    """The records of some steps, a second apart."""
    made = Line("s1")
    for number, step in enumerate(steps):
        made.take(step, record_of(step, actor_of(step.before, step.event), number * SECOND, 0))
    return made


def walk_of(run: Run, **more: Any) -> Walk:
    """The path of a run."""
    return Walk("s1", line_of(run.steps).path(), **more)


def back_to(run: Run, seq: int, branch: str = "b1") -> Run:
    """Go on, on a branch behind a record; the steps that were taken stay."""
    origin = next(step.after for step in run.steps if step.after.seq == seq)
    run.state = rebased(origin, run.state)
    return run.give(ev.Branched(branch, seq, "ann"))


def found(search: Generator[None, None, T]) -> T:
    """What a search comes to."""
    while True:
        try:
            next(search)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]


def stood(walk: Walk, place: int) -> tuple[str, str, str]:
    """Where one stands at a place: kind and call of the next step, and its event."""
    return named(walk.before(place))


def named(border: Border) -> tuple[str, str, str]:
    """A border in three words."""
    return border.kind.value, border.call, border.event.on.value if border.event is not None else ""


def taken(walk: Walk, kind: str, on: str = "") -> Taken:
    """The first record of a kind."""
    return next(one for one in walk.path if one.step.kind.value == kind and (not on or one.step.event.on.value == on))
