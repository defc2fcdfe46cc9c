"""When an expression became true: the first record on a path after which it is. Pure.

Every record is asked, oldest first. A binary search would ask fewer, and be wrong whenever the expression was true for
a while and false again: it finds some place where it turned, not the first. The states are in memory, so asking all of
a thousand records costs some milliseconds.
"""

from collections.abc import Generator
from typing import Any, Final

from debugger.expressions import Expression, ExpressionFailed
from debugger.expressions.bounds import MOST_OPERATIONS
from debugger.inspect.plain import Shown
from debugger.time.listing import row
from debugger.time.walk import Pace, Walk

TURNS: Final = 50
"""Turns that are listed."""


def bisecting(walk: Walk, place: int, expression: Expression) -> Generator[None, None, Shown]:
    """Ask an expression after each record up to a place.

    Return `expr`; `first`, the row of the first record after which it is true, None without one; `now`, whether it is
    true at the place; `turns`, the rows of the first records at which it became true or false, with `became`, and how
    many there are in all (`turned`); and how many records could not be asked (`failed`, the first one's `why`).
    """
    first: Shown | None = None
    turns: list[Shown] = []
    now, turned, failed, why, pace = False, 0, 0, "", Pace()
    for index in range(place + 1):
        try:
            value, operations = expression.measured(walk.after(index))
            true = bool(value)
        except ExpressionFailed as exc:
            true, operations, failed, why = False, MOST_OPERATIONS, failed + 1, why or str(exc)
        if pace.over(operations):
            yield
        if true is now:
            continue
        now, turned = true, turned + 1
        found = row(walk.path[index])
        first = first or found
        if len(turns) < TURNS:
            turns.append(found | {"became": true})
    made: dict[str, Any] = {"expr": expression.source, "first": first, "now": now, "turns": turns, "turned": turned}
    return made | ({"failed": failed, "why": why} if failed else {})
