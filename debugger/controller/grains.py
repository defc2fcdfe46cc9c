"""How far a step goes: predicates that say before which step a session stands again. They change nothing."""

from collections.abc import Callable
from contextlib import suppress

from debugger.border import Border
from debugger.controller.watched import Watched
from debugger.expressions import Expression, ExpressionFailed
from debugger.expressions.bounds import MOST_OPERATIONS
from debugger.protocol.params import Grain
from debugger.time.grains import Ends, ends, is_over
from runtime.sessions.gate import Until, after
from runtime.sessions.session import Session
from runtime.step import Event, StepKind


def until_of(watched: Watched, grain: Grain, count: int, call: str = "") -> Until:
    """Return the end of `count` steps of a grain (`debugger.time.grains.ends`); with `call`, only what is taken for
    that call counts, and it ends with that call."""
    if call and grain == "call":
        return _call_over(call)
    return after(count) if grain == "micro" else _ended(watched, ends(grain, call), count, call)


def _ended(watched: Watched, over: Ends, count: int, call: str = "") -> Until:
    done = seen = 0

    def until(session: Session, kind: StepKind, here: str, event: Event, taken: int) -> bool:
        nonlocal done, seen
        if taken != seen:
            seen = taken
            done += watched.last is not None and over(watched.last, kind, here)
        return done >= count or bool(call and taken > 0 and is_over(session.state, call))

    return until


def _call_over(call: str) -> Until:
    return lambda session, kind, here, event, taken: taken > 0 and is_over(session.state, call)


def finish(watched: Watched) -> Until:
    """Return the end of the call that the session stands in, else of its turn."""
    hold = watched.session.state.hold
    if hold is not None and hold.call:
        return _call_over(hold.call)
    return _ended(watched, ends("turn"), 1)


def until_true(
    expression: Expression,
    border: Callable[[Session, StepKind, str, Event], Border],
    pay: Callable[[int], bool],
    told: Callable[[], None],
) -> Until:
    """Return the first border after this one at which an expression is true. One that fails is not true.

    `pay` is told how many operations each try took, and says whether that may go on; else the session stops here, and
    `told` is called.
    """

    def until(session: Session, kind: StepKind, call: str, event: Event, taken: int) -> bool:
        if taken == 0:
            return False
        value, cost = None, MOST_OPERATIONS
        with suppress(ExpressionFailed):
            value, cost = expression.measured(border(session, kind, call, event))
        if value:
            return True
        if pay(cost):
            return False
        told()
        return True

    return until
