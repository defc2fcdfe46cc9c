"""Where a session stands at the end of its records, as a border that expressions are asked at. Pure.

Of a held session it is the border that it is held before, of another one the border after its last step.
"""

from collections.abc import Iterable
from typing import Any

from attrs import frozen

from debugger.border import Border
from debugger.expressions import ABSENT, ExpressionFailed, compile_expression
from debugger.expressions.shown import cut
from debugger.inspect import Bounds, Facts, plain, where, why
from runtime.step import Step, StepKind
from runtime.step.records import Record

LONGEST = 200
"""Characters of a value that a test compares."""


@frozen
class Standing:
    """What a debugger knows of a stop beside the state: key and agent of the session, the breakpoints that it hit, and
    the expressions that were shown."""

    key: str = ""
    agent: str = ""
    hits: tuple[int, ...] = ()
    expressions: tuple[str, ...] = ()


def numbered(records: Iterable[Record]) -> int:
    """Return how many steps of the machine lie on the way to the last of some records, which begin with the first."""
    numbers = {0: 0}
    number = 0
    for record in records:
        number = numbers[record.seq] = numbers.get(record.parent, 0) + (not record.kind.startswith("control."))
    return number


def border_of(step: Step, number: int, standing: Standing) -> Border:
    """Return the border at which a session stands after `step`, the last one of its records."""
    state = step.after
    hold = state.hold
    if hold is None:
        kind, call, event, taken = step.kind, step.call, step.event, step
        return Border(state.session, state, kind, "after", event, taken, call, number, standing.key, standing.agent, "")
    kind = StepKind(hold.step)
    return Border(state.session, state, kind, "before", None, None, hold.call, number, standing.key, standing.agent, "")


def text_of(source: str, border: Border) -> str:
    """Return the value of an expression as compact JSON, `absent`, or why it has none. Raises BadExpression."""
    try:
        return cut(compile_expression(source)(border), LONGEST)
    except ExpressionFailed as exc:
        return f"error: {exc}"


def context(step: Step, number: int, standing: Standing) -> dict[str, Any]:
    """Return the full context of a stop, as it stands in a bundle."""
    border = border_of(step, number, standing)
    facts = Facts()
    return {
        "at": step.after.seq,
        "key": standing.key,
        "agent": standing.agent,
        "hits": list(standing.hits),
        "step": {"kind": border.kind.value, "call": border.call, "edge": border.edge, "number": number},
        "where": where(border, facts),
        "why": why(step.after, facts),
        "displays": [{"expr": source, **_shown(source, border)} for source in standing.expressions],
    }


def _shown(source: str, border: Border) -> dict[str, Any]:
    try:
        value = compile_expression(source)(border)
    except ExpressionFailed as exc:
        return {"error": str(exc)}
    return {"absent": True} if value is ABSENT else {"value": plain(value, Bounds(text=2_000, budget=20_000))}
