"""What a daemon tells, as an editor is told it: stops with their reason, output, changes, sessions that come and go.

What is told of a session while a request that moves it is under way waits until that request is answered.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import trio
from attrs import define

from debugger.dap.breakpoints import Point, shown
from debugger.dap.debuggee import Debuggee
from debugger.dap.threads import Thread, name_of
from debugger.dap.variables import AREAS
from debugger.protocol.client import Event
from debugger.protocol.errors import Failure
from debugger.repl.texts import cleaned, line

RANK: Final = ("exception", "data breakpoint", "function breakpoint", "breakpoint")
"""Of several breakpoints at one stop, the first of these is its reason."""
CAUSES: Final = {"pause": "pause", "step": "step", "new session": "entry"}
"""Reasons of stops that no breakpoint made, by their cause."""
MEANT: Final = frozenset({"entry", "goto", "restart"})
"""What a request was for, where that says more than the cause."""
Join = Callable[[str], Awaitable[None]]
"""Attaches to a session that has begun."""


def reason_of(thread: Thread, data: Mapping[str, Any], hit: "list[Point]") -> str:
    """Return the reason of a stop, as the protocol words it."""
    sorts = {one.wanted.sort for one in hit}
    if sorts:
        return next(one for one in RANK if one in sorts)
    if data.get("hits"):
        return "breakpoint"
    if thread.purpose in MEANT:
        return thread.purpose
    return CAUSES.get(str(data.get("cause", "")), thread.purpose or "pause")


@define(eq=False)
class Events:
    """Turns the daemon's events into the editor's. `join` is asked for each new session where all belong here."""

    debuggee: Debuggee
    join: Join
    _speaker: int = 0
    """The thread whose stream was put out last."""

    async def run(self) -> None:
        """Tell what is heard until the daemon's connection ends, and then that it has."""
        client = self.debuggee.client
        assert client is not None
        async for event in client:
            await self.heard(event)
        self.debuggee.say(f"the connection to the daemon ended: {cleaned(str(client.ended or 'closed'))}", "important")
        self.debuggee.tell("terminated", {})

    async def heard(self, event: Event) -> None:
        """Take one event of the daemon."""
        place = self.debuggee.threads.place
        thread = self.debuggee.threads.of(event.data.get("session"))
        if thread is not None or "session" not in event.data:
            self.debuggee.threads.place = place.heard(event.name, event.data)
        match event.name:
            case "opened" if self.debuggee.every and thread is None:
                await self.join(str(event.data.get("session")))
            case "breakpoint":
                await self._breakpoint(event.data)
            case "lag":
                await self._lagged(event.data)
            case "goodbye":
                self.debuggee.say(f"the daemon ends: {line(event.data.get('reason', ''))}", "important")
            case _ if thread is not None:
                self._of_thread(thread, event)
            case _:
                await trio.lowlevel.checkpoint()

    def _of_thread(self, thread: Thread, event: Event) -> None:
        data = event.data
        match event.name:
            case "stopped":
                self.stopped(thread, data)
            case "continued":
                self._continued(thread)
            case "edited":
                self._edited(thread, data)
            case "output":
                self._output(thread, data)
            case "log":
                if self.debuggee.points.get(data.get("id")) is not None:
                    self._say(thread, cleaned(str(data.get("line", ""))), "console")
            case "rested":
                why = f": {line(data['message'])}" if data.get("message") else ""
                self._say(thread, f"{self._name(thread)}: the prompt is over ({line(data.get('status', ''))}){why}")
            case "lease":
                driver = line(data.get("driver") or "nobody")
                self._say(thread, f"{self._name(thread)}: {driver} drives it ({line(data.get('why', ''))})")
            case "closed":
                self._tell(thread, "thread", {"reason": "exited", "threadId": thread.id})
                self.debuggee.moved(thread)
                self.debuggee.threads.remove(thread)

    def _name(self, thread: Thread) -> str:
        return line(name_of(self.debuggee.threads.standing(thread)))

    # --- stops

    def stopped(self, thread: Thread, data: Mapping[str, Any]) -> None:
        """A session stands, or is looked at elsewhere."""
        hit = [one for number in data.get("hits", ()) if (one := self.debuggee.points.get(number)) is not None]
        thread.reason, thread.text = reason_of(thread, data, hit), line(data.get("cause", ""), 400)
        thread.hits = tuple(number for number in data.get("hits", ()) if isinstance(number, int))
        thread.asked, thread.purpose, thread.past = False, "", bool(data.get("past"))
        self.debuggee.moved(thread)
        if self.debuggee.configured:
            self.tell_stop(thread)

    def tell_stop(self, thread: Thread) -> None:
        """Tell the editor that a session stands, and why."""
        standing = self.debuggee.threads.standing(thread)
        thread.told = True
        self.debuggee.threads.current = thread.id
        body: dict[str, Any] = {"reason": thread.reason or "pause", "threadId": thread.id, "allThreadsStopped": False}
        text = thread.text or line(standing.cause) or "held"
        body |= {"description": text, "text": text}
        if thread.hits:
            body["hitBreakpointIds"] = list(thread.hits)
        self._tell(thread, "stopped", body)

    def _continued(self, thread: Thread) -> None:
        """A session goes on. Whoever asked for it here knows."""
        if thread.asked:
            return
        self.debuggee.moved(thread)
        if thread.told:
            thread.told = False
            self._tell(thread, "continued", {"threadId": thread.id, "allThreadsContinued": False})

    def _edited(self, thread: Thread, data: Mapping[str, Any]) -> None:
        paths = ", ".join(line(one) for one in data.get("paths", ())) or "something outside the state"
        self._say(thread, f"{self._name(thread)}: {line(data.get('by', 'somebody'))} changed {paths}")
        if not thread.busy and self.debuggee.editor.supports_invalidated_event:
            self._tell(thread, "invalidated", {"areas": list(AREAS), "threadId": thread.id})

    # --- output

    def _output(self, thread: Thread, data: Mapping[str, Any]) -> None:
        text = cleaned(str(data.get("text", "")))
        if data.get("end"):
            text += "\n"
        if not text:
            return
        if self.debuggee.every and self._speaker != thread.id:
            text = f"\n{self._name(thread)}: {text}"
        self._speaker = thread.id
        self._tell(thread, "output", {"category": "stdout", "output": text})

    def _say(self, thread: Thread, text: str, category: str = "console") -> None:
        self._tell(thread, "output", {"category": category, "output": f"{text}\n"})

    def _tell(self, thread: Thread, event: str, body: Mapping[str, Any]) -> None:
        if thread.busy:
            thread.later.append({"event": event, "body": body})
        else:
            self.debuggee.tell(event, body)

    # --- the rest

    async def _breakpoint(self, data: Mapping[str, Any]) -> None:
        what = data.get("what")
        if what in ("failed", "muted"):
            self.debuggee.say(line(data.get("why", "a breakpoint failed"), 400), "important")
        if what != "break.delete" or self.debuggee.points.deleted_here():
            await trio.lowlevel.checkpoint()
            return
        try:
            gone = await self.debuggee.points.missing()
        except Failure:
            return
        for one in gone:
            self.debuggee.tell("breakpoint", {"reason": "removed", "breakpoint": shown(one)})

    async def _lagged(self, data: Mapping[str, Any]) -> None:
        """Events were dropped: look where each session stands."""
        self.debuggee.say(f"{data.get('dropped', 'some')} events were left out here", "important")
        for thread in self.debuggee.threads:
            try:
                status = await self.debuggee.ask("status", {"session": thread.session})
            except Failure:
                continue
            if status.get("held") and not thread.told:
                self.stopped(thread, status)
            elif not status.get("held") and thread.told:
                self._continued(thread)
