"""Requests that show where a session stands: frames, what an exception was, the tools on offer."""

from collections.abc import Mapping
from typing import Any, Final

import trio
from attrs import define

from debugger.dap import requests as r
from debugger.dap import stack
from debugger.dap.debuggee import Call, Debuggee, Handler
from debugger.dap.errors import Refused
from debugger.dap.values import text_of
from debugger.protocol.errors import Failure

ROOTS: Final[Mapping[str, str]] = {
    "defender.block": "verdict",
    "defender.ask": "verdict",
    "defender.would-block": "verdict",
}
"""What is shown of an exception; of all others it is the event."""


@define(eq=False)
class Looking:
    """Handlers. Each takes a call and its arguments."""

    debuggee: Debuggee

    def handlers(self) -> Mapping[str, Handler]:
        """Return them by the names of their requests."""
        return {"stackTrace": self.stack, "exceptionInfo": self.exception, "modules": self.modules}

    async def stack(self, call: Call, args: r.StackTrace) -> Mapping[str, Any]:
        """The frames of a session that stands, innermost first."""
        thread, _ = self.debuggee.held(args.thread_id)
        where = await self.debuggee.ask("where", {"session": thread.session})
        await self.debuggee.ask("status", {"session": thread.session})  # an edit may have moved it
        standing = self.debuggee.threads.held(thread)
        found = stack.frames(where["frames"], standing)
        first = 1 if self.debuggee.editor.lines_start_at1 else 0
        put = self.debuggee.references.put
        rows = [stack.shown(one, put(thread.session, one), self.debuggee.listing, first) for one in found]
        begin = max(0, args.start_frame)
        end = begin + args.levels if args.levels > 0 else None
        return {"stackFrames": rows[begin:end], "totalFrames": len(rows)}

    async def exception(self, call: Call, args: r.OneThread) -> Mapping[str, Any]:
        """Verdict, rule and reason, or what failed and how."""
        thread, _ = self.debuggee.held(args.thread_id)
        points = [one for number in thread.hits if (one := self.debuggee.points.get(number)) is not None]
        name = next((one.wanted.name for one in points if one.wanted.sort == "exception"), "")
        if not name:
            raise Refused("the session was not stopped by an exception")
        root = ROOTS.get(name, "event")
        value = await self._shown(thread.session, root)
        details: dict[str, Any] = {"typeName": name, "fullTypeName": name, "evaluateName": root}
        details["message"] = _sentence(value) or thread.text
        if value is not None:
            details["stackTrace"] = text_of(value)
        return {"exceptionId": name, "description": thread.text, "breakMode": "always", "details": details}

    async def _shown(self, session: str, root: str) -> Any:
        try:
            return (await self.debuggee.ask("print", {"session": session, "expr": root})).get("value")
        except Failure:
            return None

    async def modules(self, call: Call, args: r.Page) -> Mapping[str, Any]:
        """The tools on offer to the session that stopped last."""
        if not len(self.debuggee.threads):
            await trio.lowlevel.checkpoint()
            return {"modules": [], "totalModules": 0}
        session = self.debuggee.threads.chosen().session
        rows = (await self.debuggee.ask("info", {"session": session, "topic": "tools"}))["rows"]
        made = [{"id": row["name"], "name": row["name"], "symbolStatus": str(row.get("effect", ""))} for row in rows]
        begin = max(0, args.start_module)
        end = begin + args.module_count if args.module_count > 0 else None
        return {"modules": made[begin:end], "totalModules": len(made)}


def _sentence(value: Any) -> str:
    """Return a verdict, or a failure, in a sentence."""
    if not isinstance(value, Mapping):
        return ""
    said = [value.get(name) for name in ("decision", "rule", "reason", "kind", "status", "message")]
    return ": ".join(str(one) for one in said if one not in (None, "", 0))
