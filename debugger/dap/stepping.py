"""Requests that let a session stand, go, or be looked at elsewhere on its record.

Each is answered when the daemon has taken it; where the session stops then is told as an event behind the answer. Going
back moves only where one looks: nothing is undone, and nothing runs a second time before a person confirmed it.
"""

from collections.abc import Mapping
from typing import Any, Final

import trio
from attrs import define, frozen

from debugger.dap import requests as r
from debugger.dap.debuggee import Call, Debuggee, Handler
from debugger.dap.errors import Refused
from debugger.dap.listing import kind_at
from debugger.dap.receipts import NEEDS_RECEIPT, confirmation
from debugger.dap.sources import Sources
from debugger.dap.threads import Thread
from debugger.dap.values import text_of
from debugger.protocol.errors import Failure
from debugger.repl.texts import line

GRAINS: Final = {"instruction": "micro", "line": "step", "statement": "call", None: "step"}
"""How far a step goes by its granularity: a record, a step of the machine, a call of model or tool."""
STREAM: Final = frozenset({"model.request", "model.chunk"})
"""Where stepping in goes into the pieces of an answer."""
TARGETS: Final = 20
"""Places on the record that a line offers to go to: the last ones."""


OFFLINE: Final = "offline"
"""The code with which a bundle refuses to go beyond its last record."""


@frozen
class Target:
    """A place that an editor can name by a number: a call, or a record."""

    call: str = ""
    record: int = 0


@define(eq=False)
class Stepping:
    """Handlers. Each takes a call and its arguments."""

    debuggee: Debuggee
    sources: Sources

    def handlers(self) -> Mapping[str, Handler]:
        """Return them by the names of their requests."""
        return {
            "continue": self.go_on,
            "next": self.next,
            "stepIn": self.step_in,
            "stepOut": self.step_out,
            "stepBack": self.step_back,
            "reverseContinue": self.reverse,
            "restartFrame": self.restart_frame,
            "restart": self.restart,
            "goto": self.goto,
            "pause": self.pause,
            "terminateThreads": self.cancel,
            "gotoTargets": self.goto_targets,
            "stepInTargets": self.call_targets,
        }

    # --- forward

    async def go_on(self, call: Call, args: r.OneThread) -> Mapping[str, Any]:
        """Let one session go on; from the past over its record, and where nothing stops it there, really on. One of a
        bundle ends there."""
        thread, standing = self.debuggee.held(args.thread_id)
        held = {"session": thread.session, "generation": standing.generation}
        past = thread.past
        answer = await self._moved(call, thread, "continue", held, "")
        if past and answer.get("held") and not answer.get("past") and not answer.get("hits"):
            stops = [one for one in thread.later if one["event"] == "stopped"]
            thread.later = [one for one in thread.later if one["event"] != "stopped"]
            try:
                await self._moved(call, thread, "continue", held, "")
            except Failure as exc:
                thread.later = stops + thread.later  # it stands at the end of its record
                if exc.code != OFFLINE:
                    raise
        return {"allThreadsContinued": False}

    async def next(self, call: Call, args: r.Step) -> Mapping[str, Any]:
        """One step. Over the pieces of an answer: a request and all of them are one step."""
        return await self._go(call, args.thread_id, "step", {"grain": GRAINS[args.granularity]}, "step")

    async def step_in(self, call: Call, args: r.StepIn) -> Mapping[str, Any]:
        """One step; into the pieces of an answer, or of a call that was chosen."""
        standing = self.debuggee.held(args.thread_id)[1]
        into = args.granularity is None and standing.step.get("kind") in STREAM
        params: dict[str, Any] = {"grain": "micro" if into else GRAINS[args.granularity]}
        if args.target_id is not None:
            params["call"] = self._target(args.thread_id, args.target_id).call
        return await self._go(call, args.thread_id, "step", params, "step")

    async def step_out(self, call: Call, args: r.Step) -> Mapping[str, Any]:
        """To the end of the call that it stands in, else of the turn."""
        return await self._go(call, args.thread_id, "finish", {}, "step")

    async def _go(
        self, call: Call, number: int, command: str, params: Mapping[str, Any], purpose: str
    ) -> Mapping[str, Any]:
        thread, standing = self.debuggee.held(number)
        held = {"session": thread.session, "generation": standing.generation}
        await self._moved(call, thread, command, held | dict(params), purpose)
        return {}

    async def _moved(
        self, call: Call, thread: Thread, command: str, params: Mapping[str, Any], purpose: str
    ) -> Mapping[str, Any]:
        """Ask for what moves a thread. If it is refused, the thread stands where it did."""
        call.moves(thread)
        before = (thread.purpose, thread.asked, thread.told)
        thread.purpose, thread.asked, thread.told = purpose, True, False
        try:
            answer = await self.debuggee.ask(command, params)
        except BaseException:
            thread.purpose, thread.asked, thread.told = before[0], before[1], before[2] or thread.told
            raise
        self.debuggee.moved(thread)
        return answer  # type: ignore[no-any-return]

    async def pause(self, call: Call, args: r.OneThread) -> Mapping[str, Any]:
        """Hold a session at its next border."""
        thread = self.debuggee.threads.get(args.thread_id)
        call.moves(thread)
        thread.purpose = "pause"
        await self.debuggee.ask("pause", {"session": thread.session})
        return {}

    async def cancel(self, call: Call, args: r.TerminateThreads) -> Mapping[str, Any]:
        """Cancel open prompts. The sessions live on."""
        for number in args.thread_ids:
            session = self.debuggee.threads.get(number).session
            await self.debuggee.ask("cancel", {"session": session, "reason": "an editor asked for it"})
        await trio.lowlevel.checkpoint()
        return {}

    # --- on the record

    async def step_back(self, call: Call, args: r.Step) -> Mapping[str, Any]:
        """Look at the session one step earlier."""
        thread, _ = self.debuggee.held(args.thread_id)
        params = {"session": thread.session, "grain": GRAINS[args.granularity]}
        await self._moved(call, thread, "back", params, "step")
        return {}

    async def reverse(self, call: Call, args: r.OneThread) -> Mapping[str, Any]:
        """Back to where a breakpoint would have stopped last, or to the beginning."""
        thread, _ = self.debuggee.held(args.thread_id)
        await self._moved(call, thread, "reverse-continue", {"session": thread.session}, "step")
        return {}

    async def goto(self, call: Call, args: r.Goto) -> Mapping[str, Any]:
        """Look at the session at a record."""
        thread, _ = self.debuggee.held(args.thread_id)
        record = self._target(args.thread_id, args.target_id).record
        await self._moved(call, thread, "goto", {"session": thread.session, "to": record}, "goto")
        return {}

    async def restart_frame(self, call: Call, args: r.OneFrame) -> Mapping[str, Any]:
        """Back to the first step of a call or turn, on a new branch; where a person has to confirm first what cannot be
        undone, look at it there."""
        thread, frame = self.debuggee.frame(args.frame_id)
        if not frame.restarts:
            raise Refused(f"{frame.name} cannot be restarted")
        params = {"frame": frame.restarts} | ({"call": frame.call} if frame.restarts == "call" else {})
        return await self._restart(call, thread, params)

    async def restart(self, call: Call, args: r.Nothing) -> Mapping[str, Any]:
        """Back to the first step of the session that stopped last."""
        thread = self.debuggee.threads.chosen()
        self.debuggee.threads.held(thread)
        return await self._restart(call, thread, {"frame": "session"})

    async def _restart(self, call: Call, thread: Thread, params: Mapping[str, Any]) -> Mapping[str, Any]:
        self.debuggee.threads.held(thread)
        try:
            await self._moved(call, thread, "restart", {"session": thread.session} | dict(params), "restart")
        except Failure as exc:
            if exc.code != NEEDS_RECEIPT or exc.receipt is None:
                raise
            to = {"session": thread.session, "to": exc.receipt["at"]}
            await self._moved(call, thread, "goto", to, "restart")
            receipt = exc.receipt
            call.then.append(lambda: self.debuggee.say(confirmation(receipt), "important"))
        return {}

    # --- targets

    def _target(self, thread: int, number: int) -> Target:
        reference = self.debuggee.references.get(number)
        if not isinstance(reference.what, Target) or reference.session != self.debuggee.threads.get(thread).session:
            raise Refused(f"{number} is no target in this thread")
        return reference.what

    async def call_targets(self, call: Call, args: r.OneFrame) -> Mapping[str, Any]:
        """The calls of the turn that could go on."""
        thread, _ = self.debuggee.frame(args.frame_id)
        rows = (await self.debuggee.ask("info", {"session": thread.session, "topic": "calls"}))["rows"]
        put = self.debuggee.references.put
        return {
            "targets": [
                {
                    "id": put(thread.session, Target(call=row["id"])),
                    "label": line(f"{row['name']} {text_of(row['args'])}", 120),
                }
                for row in rows
                if row.get("phase") not in ("finished", "queued")
            ]
        }

    async def goto_targets(self, call: Call, args: r.GotoTargets) -> Mapping[str, Any]:
        """The last places on the record that stand before a step of this line's kind."""
        first = 1 if self.debuggee.editor.lines_start_at1 else 0
        found = kind_at(args.line + 1 - first) if self.sources.is_listing(args.source) else None
        if found is None:
            return {"targets": []}
        number, kind = found
        thread = self.debuggee.threads.chosen()
        params = {"session": thread.session, "kinds": [kind], "start": -TARGETS, "count": TARGETS}
        rows = (await self.debuggee.ask("log", params))["steps"]
        return {
            "targets": [
                {
                    "id": self.debuggee.references.put(thread.session, Target(record=row["at"] - 1)),
                    "label": line(f"before record {row['at']}: {kind} {row.get('call', '')}".rstrip(), 120),
                    "line": number - 1 + first,
                }
                for row in rows
                if row["at"] > 1
            ]
        }
