"""Going over the record: how far an order leads on a path, forward or back, and where a breakpoint would have stopped.

Nothing runs, nothing is counted and no log point speaks: hits are of live steps. What a breakpoint remembers (streamed
text, budgets, which other one was hit) is made anew from the first record on, so an answer does not depend on what was
asked before. Pure.
"""

from collections.abc import Generator
from typing import Final

from attrs import evolve, frozen

from debugger.border import Border
from debugger.breakpoints import Book, Hit
from debugger.breakpoints.memory import Memory
from debugger.breakpoints.places import UNGATED
from debugger.expressions import Expression, ExpressionFailed
from debugger.expressions.bounds import MOST_OPERATIONS
from debugger.time.grains import Ends, is_over
from debugger.time.walk import Pace, Walk
from runtime.step import Step
from runtime.step.events import Fault

HEAD: Final = "the end of the record"
FIRST: Final = "the first record"
CONDITION: Final = 100
"""Operations that asking one breakpoint counts as."""


@frozen
class Landing:
    """Where an order ends: a place, why, and the breakpoint's hit where one stopped it."""

    place: int
    cause: str
    hit: Hit | None = None


def forward(
    walk: Walk,
    start: int,
    book: Book,
    cause: str,
    over: Ends | None = None,
    count: int = 1,
    until: Expression | None = None,
    call: str = "",
) -> Generator[None, None, Landing]:
    """Go on from a place: until `count` steps have ended as `over` says, a border at which `until` is true or `call` is
    over, a breakpoint, or the end of the path.

    As with live steps, the border that one stands at does not stop again.
    """
    memory, done, asked, pace = Memory(), 0, len(book) > 0, Pace()
    for place in range(0 if asked else start, walk.last + 1):
        if pace.over(len(book) * CONDITION):
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
        true, operations = asked_at(until, border) if until is not None else (False, 0)
        if true or (over is not None and done >= count) or (call and is_over(border.state, call)):
            return Landing(place, cause)
        if operations and pace.over(operations):
            yield
    return Landing(walk.last, HEAD)


def earlier_hit(walk: Walk, start: int, book: Book) -> Generator[None, None, Landing]:
    """Return the last place before `start` at which a breakpoint would have stopped; the first record without one."""
    memory, found, pace = Memory(), Landing(0, FIRST), Pace()
    here = walk.settled(start)
    for place in range(here if len(book) else 0):
        if pace.over(len(book) * CONDITION):
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
    index, pace = walk.step_before(start), Pace()
    while index is not None and index > 0:
        true, operations = asked_at(expression, walk.before(index - 1))
        if true:
            return Landing(index - 1, cause)
        if pace.over(operations):
            yield
        index = walk.step_before(index - 1)
    return Landing(0, FIRST)


def asked_at(expression: Expression, border: Border) -> tuple[bool, int]:
    """Return whether an expression is true at a border, and what asking cost. One that fails is not true."""
    try:
        value, operations = expression.measured(border)
    except ExpressionFailed:
        return False, MOST_OPERATIONS
    return bool(value), operations


def back(walk: Walk, start: int, over: Ends, count: int, cause: str, call: str = "") -> Generator[None, None, Landing]:
    """Go back over `count` ends of steps; where there are not so many, to the beginning of `call`, else to the first
    record."""
    index, done, pace = walk.step_before(start), 0, Pace()
    least = Landing(0, FIRST)
    while index is not None and index > 0:
        before = walk.step_before(index - 1)
        if before is None:
            break
        if pace.over():
            yield
        step = walk.path[index].step
        done += over(walk.path[before].step, step.kind, step.call)
        if done >= count:
            return Landing(index - 1, cause)
        if call and step.call == call:
            least = Landing(index - 1, cause)
        index = before
    return least
