"""Where a session stands at the end of its records, as a border that expressions are asked at. Pure.

Of a held session it is the border that it is held before, of another one the border after its last step.
"""

from typing import Any, Final

from attrs import frozen

from debugger.border import Border
from debugger.expressions import ABSENT, ExpressionFailed, compile_expression
from debugger.expressions.shown import cut
from debugger.inspect import Bounds, Facts, plain, where, why
from runtime.errors import JournalCorrupt
from runtime.step import StepKind
from runtime.step.branches import Taken

_KINDS: Final = frozenset(kind.value for kind in StepKind)
LONGEST: Final = 200
"""Characters of a value that a test compares."""


@frozen
class Standing:
    """What a debugger knows of a stop beside the state: key and agent of the session, the breakpoints that it hit, and
    the expressions that were shown."""

    key: str = ""
    agent: str = ""
    hits: tuple[int, ...] = ()
    expressions: tuple[str, ...] = ()


def border_of(last: Taken, standing: Standing) -> Border:
    """Return the border at which a session stands after the last one of its records. Raises JournalCorrupt."""
    state, step, named = last.state, last.step, (last.number, standing.key, standing.agent)
    if state.hold is None:
        return Border(state.session, state, step.kind, "after", step.event, step, step.call, *named, last.actor)
    if state.hold.step not in _KINDS:
        raise JournalCorrupt(
            f"record {last.seq} of session {state.session}: it is held before a step that there is not"
        )
    return Border(state.session, state, StepKind(state.hold.step), "before", None, None, state.hold.call, *named)


def text_of(source: str, border: Border) -> str:
    """Return the value of an expression as compact JSON, `absent`, or why it has none. Raises BadExpression."""
    try:
        return cut(compile_expression(source)(border), LONGEST)
    except ExpressionFailed as exc:
        return f"error: {exc}"


def context(last: Taken, standing: Standing) -> dict[str, Any]:
    """Return the full context of a stop, as it stands in a bundle."""
    border = border_of(last, standing)
    facts = Facts()
    return {
        "at": last.seq,
        "key": standing.key,
        "agent": standing.agent,
        "hits": list(standing.hits),
        "step": {"kind": border.kind.value, "call": border.call, "edge": border.edge, "number": last.number},
        "where": where(border, facts),
        "why": why(last.state, facts),
        "displays": [{"expr": source, **_shown(source, border)} for source in standing.expressions],
    }


def _shown(source: str, border: Border) -> dict[str, Any]:
    try:
        value = compile_expression(source)(border)
    except ExpressionFailed as exc:
        return {"error": str(exc)}
    return {"absent": True} if value is ABSENT else {"value": plain(value, Bounds(text=2_000, budget=20_000))}
