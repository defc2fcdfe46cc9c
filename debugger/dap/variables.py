"""What can be seen from a frame, opened node by node, and set. The state itself stays in the daemon."""

import json
from collections.abc import Mapping
from typing import Any, Final

import trio
from attrs import define

from debugger.dap import requests as r
from debugger.dap.debuggee import Call, Debuggee, Handler
from debugger.dap.errors import Refused
from debugger.dap.receipts import NEEDS_RECEIPT, confirmation
from debugger.dap.stack import Frame
from debugger.dap.threads import Thread
from debugger.dap.values import Fixed, Lazy, Node, counts, inside, kind_of, node_text, opens, text_of
from debugger.protocol.errors import Failure

PAGE: Final = 1_000
"""Children of one node that are asked for at a time, and shown where an editor asks for all."""
STOP: Final = "stop"
"""What the context of the stop is asked for with."""
AREAS: Final = ("variables", "stacks")
"""What an editor looks at anew after a change."""


@define(eq=False)
class Variables:
    """Handlers. Each takes a call and its arguments."""

    debuggee: Debuggee

    def handlers(self) -> Mapping[str, Handler]:
        """Return them by the names of their requests."""
        return {
            "scopes": self.scopes,
            "variables": self.variables,
            "setVariable": self.set_variable,
            "setExpression": self.set_expression,
        }

    # --- looking

    async def scopes(self, call: Call, args: r.OneFrame) -> Mapping[str, Any]:
        """What can be seen from a frame."""
        await trio.lowlevel.checkpoint()
        thread, frame = self.debuggee.frame(args.frame_id)
        rows = _SCOPES[frame.level](frame)
        return {"scopes": [self._scope(thread, frame, *row) for row in rows]}

    def _scope(self, thread: Thread, frame: Frame, name: str, what: Any, hint: str, dear: bool) -> dict[str, Any]:
        made = {"name": name, "variablesReference": self.debuggee.references.put(thread.session, what)}
        made |= {"expensive": dear}
        return made | ({"presentationHint": hint} if hint else {})

    async def variables(self, call: Call, args: r.Variables) -> Mapping[str, Any]:
        """What is inside a value."""
        reference = self.debuggee.references.get(args.variables_reference)
        match reference.what:
            case Node(path):
                rows = await self._nodes(reference.session, path, args)
            case Fixed(value):
                await trio.lowlevel.checkpoint()
                rows = self._fixed(reference.session, value, args)
            case Lazy(command):
                rows = self._fixed(reference.session, await self._asked(reference.session, command), args)
            case _:
                raise Refused(f"{args.variables_reference} names nothing that has variables")
        return {"variables": rows}

    async def _nodes(self, session: str, path: str, args: r.Variables) -> list[dict[str, Any]]:
        if args.start < 0 or args.count < 0:
            raise Refused("start and count are numbers from 0")
        params = {"session": session, "path": path, "start": args.start, "count": min(args.count or PAGE, PAGE)}
        found = await self.debuggee.ask("tree", params)
        is_list = found.get("type") == "list"
        if args.filter is not None and is_list is not (args.filter == "indexed"):
            return []
        rows = [self.variable(session, one) for one in found.get("nodes", ())]
        left = found.get("size", 0) - args.start - len(rows)
        if left > 0 and not args.count:
            rows.append({"name": "…", "value": f"{left} more", "variablesReference": 0})
        return rows

    def variable(self, session: str, node: Mapping[str, Any]) -> dict[str, Any]:
        """Return a node of the tree as an editor takes it."""
        made: dict[str, Any] = {"name": str(node.get("name") or "?"), "value": node_text(node)}
        made |= {"type": str(node.get("type", "")), "variablesReference": 0}
        if opens(node):
            made["variablesReference"] = self.debuggee.references.put(session, Node(str(node["path"])))
            made |= counts(str(node.get("type")), int(node["size"]))
        if isinstance(node.get("path"), str):
            made["evaluateName"] = node["path"]
        if not node.get("editable"):
            made["presentationHint"] = {"attributes": ["readOnly"]}
        return made

    def _fixed(self, session: str, value: Any, args: r.Variables) -> list[dict[str, Any]]:
        rows = inside(value)
        start = max(0, args.start)
        return [self.fixed(session, name, one) for name, one in rows[start : start + (args.count or PAGE)]]

    def fixed(self, session: str, name: str, value: Any) -> dict[str, Any]:
        """Return a value that is here as an editor takes it."""
        made: dict[str, Any] = {"name": name, "value": text_of(value), "type": kind_of(value)}
        made |= {"variablesReference": 0, "presentationHint": {"attributes": ["readOnly"]}}
        return made | self.opened(session, value)

    def opened(self, session: str, value: Any) -> dict[str, Any]:
        """Return the reference of a value that is here, and how much is inside; nothing for one that is not opened."""
        if not inside(value):
            return {}
        number = self.debuggee.references.put(session, Fixed(value))
        return {"variablesReference": number, **counts(kind_of(value), len(value))}

    async def _asked(self, session: str, command: str) -> Any:
        if command != STOP:
            try:
                return await self.debuggee.ask(command, {"session": session})
            except Failure as exc:  # as of a request that cannot be made yet
                return {"none": str(exc)}
        await trio.lowlevel.checkpoint()
        thread = self.debuggee.threads.of(session)
        if thread is None:
            return {}
        standing = self.debuggee.threads.standing(thread)
        made = {"cause": standing.cause, "by": standing.by, "breakpoints": list(standing.hits)}
        return made | {"record": standing.at, "generation": standing.generation, "step": dict(standing.step)}

    # --- changing

    async def set_variable(self, call: Call, args: r.SetVariable) -> Mapping[str, Any]:
        """Set what was listed. The reference says of which session."""
        reference = self.debuggee.references.get(args.variables_reference)
        if not isinstance(reference.what, Node):
            raise Refused(f"{args.name} is shown only, and cannot be set")
        node = await self._child(reference.session, reference.what.path, args.name)
        return await self._set(call, reference.session, node, args.value)

    async def _child(self, session: str, path: str, name: str) -> Mapping[str, Any]:
        start = int(name) if name.isdecimal() and len(name) < 16 else 0
        for begin in dict.fromkeys((0, start)):
            found = await self.debuggee.ask("tree", {"session": session, "path": path, "start": begin, "count": PAGE})
            for one in found.get("nodes", ()):
                if one.get("name") == name:
                    return one  # type: ignore[no-any-return]
        raise Refused(f"there is no {name} in {path}")

    async def set_expression(self, call: Call, args: r.SetExpression) -> Mapping[str, Any]:
        """Set what a path names."""
        session = self.debuggee.meant(args.frame_id).session
        node = await self.debuggee.ask("tree", {"session": session, "path": args.expression, "depth": 0})
        return await self._set(call, session, node, args.value)

    async def _set(self, call: Call, session: str, node: Mapping[str, Any], text: str) -> Mapping[str, Any]:
        thread = self.debuggee.threads.of(session)
        if thread is None:
            raise Refused("the session is gone")
        path, editable = str(node.get("path") or node.get("name")), node.get("editable")
        if not isinstance(editable, str):
            raise Refused(f"{path} cannot be set")
        value = _json(text)
        standing = self.debuggee.threads.held(thread)
        call.moves(thread)
        change = {"path": editable, "op": "set", "value": value}
        try:
            await self.debuggee.ask("edit", {"session": session, "at": standing.at, "changes": [change]})
        except Failure as exc:
            if exc.code == NEEDS_RECEIPT and exc.receipt is not None:
                self.debuggee.say(confirmation(exc.receipt), "important")
            raise
        call.then.append(lambda: self.invalidated(thread))
        return await self._after(session, path, value)

    async def _after(self, session: str, path: str, value: Any) -> dict[str, Any]:
        try:
            node = await self.debuggee.ask("tree", {"session": session, "path": path, "depth": 0})
        except Failure:  # it lies elsewhere now
            return {"value": text_of(value)}
        made = self.variable(session, node)
        kept = ("value", "type", "variablesReference", "namedVariables", "indexedVariables")
        return {name: made[name] for name in kept if name in made}

    def invalidated(self, thread: Thread) -> None:
        """Let the editor look again at a thread."""
        if self.debuggee.editor.supports_invalidated_event:
            self.debuggee.tell("invalidated", {"areas": list(AREAS), "threadId": thread.id})


def _json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError) as exc:
        raise Refused(f"a value must be JSON, and text stands in quotes: {str(exc)[:200]}") from exc


def _refused(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


Rows = list[tuple[str, Any, str, bool]]
_SESSION: Final[Rows] = [
    ("Session", Node("state"), "", True),
    ("Next request", Lazy("request"), "", True),
    ("Runtime tasks", Lazy("tasks"), "", True),
]


def _of_step(frame: Frame) -> Rows:
    rows: Rows = [("Step", Node("step"), "locals", False)]
    rows += _of_call("tool", frame)
    return [*rows, ("Event", Node("event"), "", False), *_SESSION, ("Stop", Lazy(STOP), "", False)]


def _of_call(path: str, frame: Frame) -> Rows:
    if not frame.call:
        return []
    rows: Rows = [("Call arguments", Node(path), "arguments", False)]
    return rows + ([("Result", Node(f"{path}.result"), "returnValue", False)] if frame.done else [])


_SCOPES: Final[Mapping[str, Any]] = {
    "step": _of_step,
    "call": lambda frame: _of_call(frame.path, frame) + _SESSION,
    "turn": lambda frame: [("Turn", Node(frame.path), "locals", False), *_SESSION],
    "session": lambda frame: _SESSION,
}
