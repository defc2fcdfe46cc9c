"""Questions to the past: who wrote a value, when an expression became true, how two branches differ, which records hold
a text. They change nothing, and go by the path that one stands on.
"""

from collections.abc import Mapping
from typing import Any

from attrs import define

from debugger.breakpoints.places import kinds_of
from debugger.controller.engine import Debugger
from debugger.controller.finding import find
from debugger.controller.pointing import below
from debugger.controller.travel import here, sliced, timeline_of, walk_of
from debugger.expressions import compile_expression
from debugger.protocol import params as p
from debugger.protocol.errors import Failure
from debugger.server import Caller, Handler
from debugger.time import Walk, bisecting, blaming, comparing, listing
from debugger.time.blaming import written
from runtime.sessions.session import Session


@define(eq=False)
class Asking:
    """Handlers. Each takes caller and params (`debugger.protocol.params`)."""

    debugger: Debugger

    def handlers(self) -> Mapping[str, Handler]:
        """Return them by the names of their commands."""
        return {"log": self.log, "blame": self.blame, "bisect": self.bisect, "compare": self.compare}

    async def log(self, caller: Caller, params: p.Records) -> Any:
        """The records of a path, all or those that fit."""
        session = find(self.debugger, params.session)
        with below("with."):
            kinds = kinds_of(params.kinds)
        watched = self.debugger.look(session)
        walk = (await self._branch(session, params.branch, "branch")) if params.branch else await self._path(session)
        found = await sliced(listing(walk.path, params.start, params.count, params.text, kinds))
        return found | {"here": watched.at}

    async def _path(self, session: Session) -> Walk:
        """The whole path that one stands on, also what comes behind."""
        walk, _ = await here(self.debugger, session)
        return walk

    async def _branch(self, session: Session, name: str, at: str) -> Walk:
        timeline = await timeline_of(self.debugger, session)
        found = next((one for one in timeline.branches() if one.name == name), None)
        if found is None:
            known = ", ".join(one.name for one in timeline.branches()[:20])
            raise Failure("no_step", f"session {session.id} has no branch {name!r}; it has {known}", at=f"with.{at}")
        return await walk_of(self.debugger, session, found.head)

    async def blame(self, caller: Caller, params: p.PathOf) -> Any:
        """Who last wrote a value."""
        session = find(self.debugger, params.session)
        path = written(params.path)
        walk, place = await here(self.debugger, session)
        return await sliced(blaming(walk, place, path, self.debugger.here(session)))

    async def bisect(self, caller: Caller, params: p.Expr) -> Any:
        """When an expression became true."""
        session = find(self.debugger, params.session)
        expression = compile_expression(params.expr)
        walk, place = await here(self.debugger, session)
        return await sliced(bisecting(walk, place, expression))

    async def compare(self, caller: Caller, params: p.Compare) -> Any:
        """Two branches side by side."""
        session = find(self.debugger, params.session)
        one = await self._branch(session, params.a, "a")
        other = await self._branch(session, params.b or session.state.branch, "b")
        return await sliced(comparing(one.path, other.path))
