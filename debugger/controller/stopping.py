"""What a stop shows: where, why, the call with its arguments, displays. Everything a script needs to decide."""

from typing import TYPE_CHECKING, Any

import trio

from debugger.border import Border
from debugger.breakpoints import Hit
from debugger.controller.watched import Watched
from debugger.expressions import ABSENT, Expression, ExpressionFailed
from debugger.inspect import Bounds, Facts, plain, where, why
from debugger.inspect.tasks import facts_of
from debugger.schema import streamed
from runtime.sessions.session import Session

if TYPE_CHECKING:
    from debugger.controller.engine import Debugger

TAIL = 2_000
"""Characters of the answer under way that a stop shows."""


def stopped(debugger: "Debugger", watched: Watched, hit: Hit | None) -> dict[str, Any]:
    """Return the data of the event `stopped` for a session that is held."""
    session = watched.session
    border = debugger.here(session)
    return {
        **standing(watched, border),
        "hits": list(hit.ids) if hit else [],
        "commands": [line for _, line in hit.commands] if hit else [],
        "context": context(debugger, session, border),
    }


def standing(watched: Watched, border: Border) -> dict[str, Any]:
    """Return where one looks in a session, in short: what an edit and a command to go on must name.

    With `past` the session stands at record `head`, and all else but its hold is as it was at record `at`.
    """
    session, cursor, state = watched.session, watched.cursor, border.state
    hold = session.state.hold
    return {
        "session": session.id,
        "key": border.key,
        "phase": state.phase.value,
        "held": hold is not None,
        "generation": session.state.generation,
        "at": watched.at,
        "number": border.steps,
        "past": cursor is not None,
        "branch": state.branch,
        "head": cursor.walk.path[-1].seq if cursor is not None else watched.mark,
        "turn": state.turn.number if state.turn else 0,
        "step": {"kind": border.kind.value, "call": border.call, "edge": border.edge, "number": border.steps},
        "cause": cursor.cause if cursor is not None else hold.cause if hold else "",
        "by": cursor.by if cursor is not None else hold.by if hold else "",
        "touched": session.state.touched,
        "broken": str(session.broken) if session.broken is not None else "",
    }


def facts(debugger: "Debugger", session: Session) -> Facts:
    """Return what the state does not know of itself; of the past nothing is known."""
    if debugger.cursor(session) is not None:
        return Facts()
    moved = debugger.look(session).moved
    resting = None if moved is None else trio.current_time() - moved
    return facts_of(session, debugger.dispatcher, held=debugger.held_for(session), resting=resting)


def context(debugger: "Debugger", session: Session, border: Border) -> dict[str, Any]:
    """Return all that a person or a script wants to see first."""
    known, state = facts(debugger, session), border.state
    answer = streamed(state)
    made: dict[str, Any] = {
        "where": where(border, known),
        "why": why(state, known),
        "answer": {"characters": len(answer), "tail": answer[-TAIL:]},
        "model": state.settings.model,
        "tokens": state.usage.total,
    }
    turn = state.turn
    call = turn.call(border.call) if turn is not None and border.call else None
    if call is not None:
        made["call"] = plain(call, Bounds(text=TAIL))
    return made


def shown(expression: Expression, border: Border) -> dict[str, Any]:
    """Return the value of an expression, or why it has none."""
    try:
        value = expression(border)
    except ExpressionFailed as exc:
        return {"error": str(exc)}
    if value is ABSENT:
        return {"absent": True}
    return {"value": plain(value)}
