"""Commands that move the cursor of a held session over its record: back, goto, reverse-continue, reverse-until; what
step, finish, until and continue do there. Nothing runs and nothing is written.
"""

from collections.abc import Generator, Mapping
from typing import Any

from attrs import define

from debugger.controller.cursor import Cursor
from debugger.controller.engine import Debugger
from debugger.controller.finding import driven, hold_of
from debugger.controller.travel import here, path_to, sliced, stand, walk_of
from debugger.expressions import Expression, compile_expression
from debugger.protocol import params as p
from debugger.protocol.errors import Failure
from debugger.server import Caller, Handler
from debugger.time import Landing, Walk, back, earlier_hit, earlier_true, ends, forward
from debugger.time.grains import Ends
from debugger.time.searching import FIRST, HEAD
from runtime.sessions.session import Session

Search = Generator[None, None, Landing]


@define(eq=False)
class Traveling:
    """Handlers. Each takes caller and params (`debugger.protocol.params`)."""

    debugger: Debugger

    def handlers(self) -> Mapping[str, Handler]:
        """Return them by the names of their commands."""
        return {
            "back": self.back,
            "goto": self.goto,
            "reverse-continue": self.reverse_continue,
            "reverse-until": self.reverse_until,
        }

    async def back(self, caller: Caller, params: p.StepsBack) -> Any:
        """Go back by one step or more."""
        session, generation = self._held(caller, params.session)
        walk, place = await here(self.debugger, session)
        _known(walk, params.call)
        cause = _cause("back", params.count, params.grain, params.call)
        search = back(walk, place, ends(params.grain, params.call), params.count, cause, params.call)
        return stand(self.debugger, caller, session, generation, walk, await sliced(search))

    async def goto(self, caller: Caller, params: p.Goto) -> Any:
        """Stand at a record, behind a step, at the first record or at the head."""
        session, generation = self._held(caller, params.session)
        wanted = [name for name in ("to", "number", "end") if getattr(params, name) is not None]
        if len(wanted) != 1:
            raise Failure("bad_params", "needs one of to, number and end", at="with.to")
        if params.to is not None:
            walk, place = await path_to(self.debugger, session, params.to)
            cause = f"record {params.to}"
        elif params.number is not None:
            walk, _ = await here(self.debugger, session)
            place, cause = _numbered(walk, params.number), f"step {params.number}"
        else:
            walk = await walk_of(self.debugger, session)
            place, cause = (0, FIRST) if params.end == "first" else (walk.last, HEAD)
        return stand(self.debugger, caller, session, generation, walk, Landing(place, cause))

    async def reverse_continue(self, caller: Caller, params: p.Session) -> Any:
        """Go back to the last place at which a breakpoint would have stopped."""
        session, generation = self._held(caller, params.session)
        walk, place = await here(self.debugger, session)
        landing = await sliced(earlier_hit(walk, place, self.debugger.book))
        return stand(self.debugger, caller, session, generation, walk, landing)

    async def reverse_until(self, caller: Caller, params: p.Expr) -> Any:
        """Go back to the last border at which an expression was true."""
        session, generation = self._held(caller, params.session)
        expression = compile_expression(params.expr)
        walk, place = await here(self.debugger, session)
        landing = await sliced(earlier_true(walk, place, expression, f"until {params.expr}"))
        return stand(self.debugger, caller, session, generation, walk, landing)

    def _held(self, caller: Caller, name: str) -> tuple[Session, int]:
        session = driven(self.debugger, caller, name)
        return session, hold_of(session).generation

    # --- forward, over the record

    async def step(self, caller: Caller, session: Session, cursor: Cursor, params: p.Steps) -> Any:
        """Take steps that were taken already."""
        over, call = ends(params.grain, params.call), params.call
        _known(cursor.walk, call)
        cause = _cause("forward", params.count, params.grain, call)
        return await self._forward(caller, session, cursor, self._over(cursor, cause, over, params.count, call))

    async def finish(self, caller: Caller, session: Session, cursor: Cursor) -> Any:
        """Go on to the end of the call that one stands at, else of the turn."""
        call = cursor.border.call
        search = self._over(cursor, "finish", ends("call" if call else "turn", call), 1, call)
        return await self._forward(caller, session, cursor, search)

    async def until(self, caller: Caller, session: Session, cursor: Cursor, expression: Expression) -> Any:
        """Go on until an expression is true."""
        cause = f"until {expression.source}"
        search = forward(cursor.walk, cursor.place, self.debugger.book, cause, until=expression)
        return await self._forward(caller, session, cursor, search)

    async def go_on(self, caller: Caller, session: Session, cursor: Cursor) -> Any:
        """Go on to a breakpoint, or to the end of the record."""
        search = forward(cursor.walk, cursor.place, self.debugger.book, "continue")
        return await self._forward(caller, session, cursor, search)

    def _over(self, cursor: Cursor, cause: str, over: Ends, count: int, call: str) -> Search:
        """As live steps: with a call, its end ends the order too."""
        return forward(cursor.walk, cursor.place, self.debugger.book, cause, over, count, call=call)

    async def _forward(self, caller: Caller, session: Session, cursor: Cursor, search: Search) -> Any:
        generation = hold_of(session).generation
        landing = await sliced(search)
        return stand(self.debugger, caller, session, generation, cursor.walk, landing)


def _cause(way: str, count: int, grain: str, call: str) -> str:
    """Return what a stop in the past says of how one came there: `back 2 steps`, `forward 1 call of c1`."""
    return f"{way} {count} {grain}{'s' if count != 1 else ''}{' of ' + call if call else ''}"


def _known(walk: Walk, call: str) -> None:
    """Refuse the name of a call that is not on the path: looking for its end would lead to the end of the path."""
    turn = walk.state(walk.last).turn
    if not call or (turn is not None and turn.call(call) is not None):
        return
    if all(one.step.call != call for one in walk.path):
        raise Failure("bad_params", f"session {walk.session} has no call {call!r} on this path", at="with.call")


def _numbered(walk: Walk, number: int) -> int:
    place = walk.numbered(number)
    if place is None:
        most = walk.path[walk.last].number
        raise Failure("no_step", f"this path has steps 1 to {most}, and no {number}", at="with.number")
    return place
