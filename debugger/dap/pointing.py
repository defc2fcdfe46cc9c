"""Requests that set breakpoints. Each replaces a whole set, and is answered when the daemon has said what it took."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import define, evolve

from debugger.dap import points
from debugger.dap import requests as r
from debugger.dap.breakpoints import shown
from debugger.dap.debuggee import Call, Debuggee, Handler
from debugger.dap.errors import Refused
from debugger.dap.points import Wanted
from debugger.dap.sources import Sources
from debugger.dap.values import Node
from debugger.protocol.errors import Failure

WATCHED: Final = ("state", "tokens", "agent", "session")
"""What a path that can be watched begins with: everything else is another thing at each step."""


@define(eq=False)
class Pointing:
    """Handlers. Each takes a call and its arguments."""

    debuggee: Debuggee
    sources: Sources

    def handlers(self) -> Mapping[str, Handler]:
        """Return them by the names of their requests."""
        return {
            "setBreakpoints": self.lines,
            "setFunctionBreakpoints": self.functions,
            "setDataBreakpoints": self.data,
            "setExceptionBreakpoints": self.exceptions,
            "dataBreakpointInfo": self.info,
        }

    def _owner(self) -> dict[str, Any]:
        """Return whose breakpoints these are: of all sessions, or of the one of this connection."""
        made: dict[str, Any] = {"group": self.debuggee.points.group}
        if not self.debuggee.every and len(self.debuggee.threads):
            made["session"] = points.glob_of(self.debuggee.threads.chosen().session)
        return made

    async def _replaced(
        self, name: str, wanted: Sequence[Wanted], source: Mapping[str, Any] | None = None
    ) -> Mapping[str, Any]:
        made = await self.debuggee.points.replace(name, wanted)
        first = 1 if self.debuggee.editor.lines_start_at1 else 0
        rows = [shown(one, source) for one in made]
        return {"breakpoints": [row | {"line": row["line"] - 1 + first} if "line" in row else row for row in rows]}

    async def lines(self, call: Call, args: r.SetBreakpoints) -> Mapping[str, Any]:
        """Breakpoints on lines of the listing; lines of other texts name no step."""
        asked = args.breakpoints or tuple(r.LineBreakpoint(line=line) for line in args.lines)
        base = 0 if self.debuggee.editor.lines_start_at1 else 1
        if not self.sources.is_listing(args.source):
            listing = self.debuggee.listing.get("path") or self.debuggee.listing["name"]
            why = f"breakpoints are set on the lines of {listing}"
            wanted = [Wanted("breakpoint", {}, one.line + base, why) for one in asked]
            return await self._replaced(f"lines {args.source.path or args.source.source_reference}", wanted)
        owner = self._owner()
        wanted = [points.on_line(evolve(one, line=one.line + base), owner) for one in asked]
        return await self._replaced("listing", wanted, self.debuggee.listing)

    async def functions(self, call: Call, args: r.SetFunctionBreakpoints) -> Mapping[str, Any]:
        """Breakpoints by name."""
        owner = self._owner()
        return await self._replaced("functions", [points.on_name(one, owner) for one in args.breakpoints])

    async def data(self, call: Call, args: r.SetDataBreakpoints) -> Mapping[str, Any]:
        """Watchpoints."""
        owner = self._owner()
        return await self._replaced("data", [points.on_data(one, owner) for one in args.breakpoints])

    async def exceptions(self, call: Call, args: r.SetExceptionBreakpoints) -> Mapping[str, Any]:
        """Verdicts and failures to stop at."""
        owner = self._owner()
        wanted = [points.on_filter(name, "", owner) for name in args.filters]
        wanted += [points.on_filter(one.filter_id, one.condition, owner) for one in args.filter_options]
        return await self._replaced("exceptions", wanted)

    async def info(self, call: Call, args: r.DataBreakpointInfo) -> Mapping[str, Any]:
        """Whether something can be watched; the call in hand is watched by its place in the turn."""
        path, session = self._path(args)
        try:
            path = await self._lasting(session, path)
            node = await self.debuggee.ask("tree", {"session": session, "path": path, "depth": 0})
        except Failure as exc:
            return {"dataId": None, "description": str(exc)}
        found = node.get("path")
        if not isinstance(found, str) or found.partition(".")[0].partition("[")[0] not in WATCHED:
            return {"dataId": None, "description": f"{path} is another thing at each step, and cannot be watched"}
        return {"dataId": found, "description": found, "accessTypes": ["write"], "canPersist": True}

    def _path(self, args: r.DataBreakpointInfo) -> tuple[str, str]:
        if not args.variables_reference:
            return args.name, self.debuggee.meant(args.frame_id).session
        reference = self.debuggee.references.get(args.variables_reference)
        if not isinstance(reference.what, Node):
            raise Refused(f"{args.name} is shown only, and cannot be watched")
        return f"{reference.what.path}{_step(args.name)}", reference.session

    async def _lasting(self, session: str, path: str) -> str:
        """Return the path of the call in hand as one of the turn's calls."""
        if path != "tool" and not path.startswith(("tool.", "tool[")):
            return path
        where = await self.debuggee.ask("where", {"session": session})
        here = next((row for row in where["frames"] if row.get("here")), None)
        return path if here is None else f"{here['path']}{path.removeprefix('tool')}"


def _step(name: str) -> str:
    """Return the name of a variable as the end of a path."""
    if name.isdecimal():
        return f"[{name}]"
    return f".{name}" if name.isidentifier() and name.isascii() else f"[{json.dumps(name)}]"
