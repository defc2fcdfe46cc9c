"""How far a step goes: predicates that say before which step a session stands again. They change nothing."""

from collections.abc import Callable
from contextlib import suppress

from debugger.border import Border
from debugger.controller.watched import Watched
from debugger.expressions import Expression, ExpressionFailed
from debugger.expressions.bounds import MOST_OPERATIONS
from debugger.protocol.params import Grain
from runtime.sessions.gate import Until, after
from runtime.sessions.session import Session
from runtime.step import CallPhase, Event, StepKind

_ENDS_CALL = frozenset({StepKind.MODEL_RESPONSE, StepKind.CALL_RESULT})
_STREAM = frozenset({StepKind.MODEL_REQUEST, StepKind.MODEL_CHUNK})


def until_of(watched: Watched, grain: Grain, count: int, call: str = "") -> Until:
    """Return the end of `count` steps of a grain; with `call`, only what is taken for that call counts.

    micro: one record. step: the records of one kind and call, and with a request all chunks of its answer. call: one
    answer of the model or one result of a tool. turn: one turn.
    """
    if call and grain in ("step", "call"):
        return _call_over(call) if grain == "call" else _of_call(watched, call, count)
    if grain == "micro":
        return after(count)
    if grain == "step":
        return _steps(watched, count)
    return _taken(watched, _ENDS_CALL if grain == "call" else frozenset({StepKind.TURN_END}), count)


def _steps(watched: Watched, count: int) -> Until:
    begun = seen = 0

    def until(session: Session, kind: StepKind, call: str, event: Event, taken: int) -> bool:
        nonlocal begun, seen
        last = watched.last
        if taken == seen or last is None:
            return False
        seen = taken
        same = (kind, call) == (last.kind, last.call) or (kind is StepKind.MODEL_CHUNK and last.kind in _STREAM)
        begun += not same
        return begun >= count

    return until


def _of_call(watched: Watched, call: str, count: int) -> Until:
    done = seen = 0

    def until(session: Session, kind: StepKind, here: str, event: Event, taken: int) -> bool:
        nonlocal done, seen
        if (
            taken != seen
            and watched.last is not None
            and watched.last.call == call
            and (kind, here)
            != (
                watched.last.kind,
                call,
            )
        ):
            done += 1
        seen = taken
        return done >= count or (taken > 0 and _is_over(session, call))

    return until


def _call_over(call: str) -> Until:
    return lambda session, kind, here, event, taken: taken > 0 and _is_over(session, call)


def _is_over(session: Session, call: str) -> bool:
    turn = session.state.turn
    found = turn.call(call) if turn is not None else None
    return found is None or found.phase is CallPhase.FINISHED


def _taken(watched: Watched, kinds: frozenset[StepKind], count: int) -> Until:
    done = seen = 0

    def until(session: Session, kind: StepKind, call: str, event: Event, taken: int) -> bool:
        nonlocal done, seen
        if taken != seen:
            seen = taken
            done += watched.last is not None and watched.last.kind in kinds
        return done >= count

    return until


def finish(watched: Watched) -> Until:
    """Return the end of the call that the session stands in, else of its turn."""
    hold = watched.session.state.hold
    if hold is not None and hold.call:
        return _call_over(hold.call)
    return _taken(watched, frozenset({StepKind.TURN_END}), 1)


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
