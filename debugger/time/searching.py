"""Going over the record: how far an order leads on a path, forward or back, and where a breakpoint would have stopped.

Nothing runs, nothing is counted and no log point speaks: hits are of live steps. What a breakpoint remembers (streamed
text, budgets, which other one was hit) is made anew from the first record on, so an answer does not depend on what was
asked before. Pure.
"""

from collections.abc import Callable, Generator
from typing import Final

from attrs import evolve, frozen

from debugger.border import Border
from debugger.breakpoints import Book, Hit
from debugger.breakpoints.memory import Memory
from debugger.breakpoints.places import UNGATED
from debugger.expressions import Expression, ExpressionFailed
from debugger.time.grains import Ends
from debugger.time.walk import SLICE, Walk
from runtime.step import Step, StepKind
from runtime.step.events import Fault

HEAD: Final = "the end of the record"
FIRST: Final = "the first record"
Over = Callable[[Border], bool]
"""Whether an order ends before the step of a border."""


@frozen
class Landing:
    """Where an order ends: a place, why, and the breakpoint's hit where one stopped it."""

    place: int
    cause: str
    hit: Hit | None = None


def forward(
    walk: Walk, start: int, book: Book, cause: str, over: Ends | None = None, count: int = 1, true: Over | None = None
) -> Generator[None, None, Landing]:
    """Go on from a place: until `count` steps have ended as `over` says, a border at which `true` holds, a breakpoint,
    or the end of the path.

    As with live steps, the border that one stands at does not stop again.
    """
    memory, done, asked = Memory(), 0, len(book) > 0
    for place in range(0 if asked else start, walk.last + 1):
        if place % SLICE == SLICE - 1:
            yield
        hit = _hit(walk, place, book, memory) if asked else None
        if place <= start:
            continue
        if hit is not None:
            return Landing(place, hit.cause, hit)
        if not walk.ends_before_step(place):
            continue
        border, last = walk.before(place), walk.step_before(place)
        if over is not None and last is not None and last > start:
            done += over(walk.path[last].step, border.kind, border.call)
        if (over is not None and done >= count) or (true is not None and true(border)):
            return Landing(place, cause)
    return Landing(walk.last, HEAD)


def earlier_hit(walk: Walk, start: int, book: Book) -> Generator[None, None, Landing]:
    """Return the last place before `start` at which a breakpoint would have stopped; the first record without one."""
    memory, found = Memory(), Landing(0, FIRST)
    here = walk.settled(start)
    for place in range(here if len(book) else 0):
        if place % SLICE == SLICE - 1:
            yield
        hit = _hit(walk, place, book, memory)
        if hit is not None and walk.settled(place) < here:
            found = Landing(place, hit.cause, hit)
    return found


def _hit(walk: Walk, place: int, book: Book, memory: Memory) -> Hit | None:
    """The breakpoints that stop at a place: after its record, and before the step that follows at once."""
    met = book.recorded(walk.after(place), memory)
    if walk.ends_before_step(place) and _gated(walk.path[place + 1].step):
        more = book.recorded(walk.before(place), memory)
        if more is not None:
            return more if met is None else evolve(met, ids=(*met.ids, *more.ids))
    return met


def _gated(step: Step) -> bool:
    return step.kind not in UNGATED or isinstance(step.event, Fault)


def earlier_true(walk: Walk, start: int, expression: Expression, cause: str) -> Generator[None, None, Landing]:
    """Return the last border before `start` at which an expression is true; the first record where there is none."""
    index = walk.step_before(start)
    looked = 0
    while index is not None and index > 0:
        looked += 1
        if looked % SLICE == 0:
            yield
        if true_at(expression, walk.before(index - 1)):
            return Landing(index - 1, cause)
        index = walk.step_before(index - 1)
    return Landing(0, FIRST)


def true_at(expression: Expression, border: Border) -> bool:
    """Whether an expression is true at a border. One that fails is not."""
    try:
        return bool(expression(border))
    except ExpressionFailed:
        return False


def back(walk: Walk, start: int, over: Ends, count: int, cause: str) -> Generator[None, None, Landing]:
    """Go back over `count` ends of steps; where there are not so many, to the first record."""
    index, done, looked = walk.step_before(start), 0, 0
    while index is not None and index > 0:
        before = walk.step_before(index - 1)
        if before is None:
            break
        looked += 1
        if looked % SLICE == 0:
            yield
        step = walk.path[index].step
        done += over(walk.path[before].step, step.kind, step.call)
        if done >= count:
            return Landing(index - 1, cause)
        index = before
    return Landing(0, FIRST)


def begins(walk: Walk, start: int, wanted: Callable[[StepKind, str], bool]) -> int | None:
    """Return the place before the last step, up to `start`, that is wanted by its kind and call; None without one."""
    index = walk.step_before(start)
    while index is not None:
        step = walk.path[index].step
        if wanted(step.kind, step.call):
            return index - 1 if index else None
        index = walk.step_before(index - 1)
    return None
