"""Keeps the guard at its gateway: comes in, follows every session, comes back when the connection is lost.

Whatever waits is bounded, and the gateway never waits for us: its frames are taken as they come.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

import trio
from attrs import define, field

from debugger.protocol import Failure
from defender.engine.desk import plain
from defender.guard.ports import Noted
from defender.guard.watch import Watch
from runtime.app.gatewaydoor import BELOW, members, told
from runtime.app.guardline import APPROVALS, READ, Line, Pass, Waits, enter
from runtime.errors import TwinstepError
from runtime.ports import Chance, Clock

ENTER_SECONDS: Final = 20.0
FIRST_WAIT: Final = 0.5
LONGEST_WAIT: Final = 30.0
SETTLED: Final = 60.0
"""A connection that lasted so many seconds was a good one: the next wait is short again."""
MOST_SESSIONS: Final = 2_000
PAGE: Final = 500
REPORT: Final = "security.decision"
"""The method by which a gateway is told of a decision, where it has it."""
MOST_REPORTS: Final = 256
WIRE: Final = {"session": "sessionKey", "call": "toolCallId", "kept": "quarantineId", "microseconds": "us"}
"""Members that the wire calls otherwise (the event `security.decision`)."""

SEES: Final = (
    "what is said to every session, and its answers",
    "every call of a tool with its arguments, and what it brought",
    "what automations will say",
)
BLIND: Final = (
    "what passed before it connected and while the connection was lost",
    "images and other attachments",
    "what a tool does beside its arguments and its result",
    "sessions that the gateway does not list, such as incognito ones",
)
NO_HOLD: Final = "It sees what has been delivered, and cannot hold back a message, a call, a result or an answer."
NO_QUESTIONS: Final = "questions whether a command may run (--approvals deny-blocked asks for that scope)"

Tell = Callable[[str, Mapping[str, Any]], None]
"""Says that something happened: its name, and what there is to say of it. Must not wait."""


class GaveUp(Exception):
    """No connection came about in the time that was given."""


@define(eq=False)
class Guarding:
    """The guard at one gateway. `wait` is how many seconds in a row a gateway that is not there is waited for."""

    shown: Pass
    watch: Watch
    tell: Tell
    clock: Clock
    chance: Chance
    wait: float = float("inf")
    _line: Line | None = None
    _followed: set[str] = field(factory=set)
    _fresh: deque[str] = field(factory=deque)
    _reports: deque[Mapping[str, Any]] = field(factory=deque)
    _news: trio.Event = field(factory=trio.Event)
    _due: trio.Event = field(factory=trio.Event)

    async def run(self) -> None:
        """Guard until cancelled. Raises Failure where the gateway will not have us, GaveUp after `wait` seconds."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.watch.run)
            await self._again_and_again()

    async def deny(self, approval: str) -> str:
        """Say no to a question; return why that failed, or nothing."""
        line = self._line
        if line is None:
            return "there is no connection"
        try:
            await line.call("exec.approval.resolve", {"id": approval, "decision": "deny"})
        except Failure as exc:
            return str(exc)
        return ""

    def report(self, noted: Noted) -> None:
        """Tell the gateway of a decision, if it has a method for that. Waits for nothing."""
        if self._line is not None and self._line.offers(REPORT) and len(self._reports) < MOST_REPORTS:
            self._reports.append(wire(noted))
            self._due.set()

    async def _again_and_again(self) -> None:
        pause, since = FIRST_WAIT, trio.current_time()
        while True:
            began = trio.current_time()
            why, asked, stood = await self._once()
            if stood:
                since = trio.current_time()
                pause = FIRST_WAIT if since - began >= SETTLED else pause
            if trio.current_time() - since >= self.wait:
                raise GaveUp(why)
            seconds = max(asked, pause * (0.5 + self.chance.random() / 2))
            self.tell("guard.lost" if stood else "guard.waits", {"why": why, "seconds": round(seconds, 1)})
            await trio.sleep(min(seconds, max(0.0, self.wait - (trio.current_time() - since))))
            pause = min(pause * 2, LONGEST_WAIT)

    async def _once(self) -> tuple[str, float, bool]:
        """Come in and stay until it ends: why it ended, the pause that was asked for, and whether we were in."""
        final: TwinstepError | None = None
        stood, why, pause = False, f"did not answer as a gateway within {ENTER_SECONDS:g} seconds", 0.0
        try:
            async with trio.open_nursery() as nursery:
                with trio.move_on_after(ENTER_SECONDS):
                    self._line = await enter(nursery, self.shown)
                if self._line is not None:
                    stood, why = True, await self._stay(self._line)
                nursery.cancel_scope.cancel()
        except* (TwinstepError, *BELOW) as group:
            error = told(self.shown.address.url, group)
            if not isinstance(error, Waits) and getattr(error, "code", "") in ("denied", "input"):
                final = error
            why, pause = str(error), getattr(error, "seconds", 0.0)
        finally:
            self._line = None
        if final is not None:
            raise final
        return why, pause, stood

    async def _stay(self, line: Line) -> str:
        why = ""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._follow, line)
                if line.offers(REPORT):
                    nursery.start_soon(self._report, line)
                why = await line.read(self._heard)
                nursery.cancel_scope.cancel()
        finally:
            await line.aclose()
        return why

    def _heard(self, frame: Mapping[str, Any]) -> None:
        self.watch.take(frame)
        if frame.get("event") == "sessions.changed":
            payload = members(frame.get("payload"))
            key, reason = payload.get("sessionKey"), payload.get("reason")
            if isinstance(key, str) and reason == "delete":
                self._followed.discard(key)
            elif isinstance(key, str) and key not in self._followed and len(self._fresh) < MOST_SESSIONS:
                self._fresh.append(key)
                self._news.set()

    async def _follow(self, line: Line) -> None:
        """Subscribe to what there is, then to each session that comes up."""
        self._followed.clear()
        self._fresh.clear()
        trouble: list[str] = []
        if READ not in line.scopes:
            trouble.append(f"anything: the gateway grants no {READ}")
        try:
            await line.call("sessions.subscribe", {})
            listed = members(await line.call("sessions.list", {"limit": PAGE, "includeGlobal": True}))
            rows = listed.get("sessions")
            keys = [members(row).get("key") for row in rows] if isinstance(rows, list) else []
            self._fresh.extend(key for key in keys if isinstance(key, str))
            if listed.get("hasMore") is True:
                trouble.append(f"people's messages in sessions beyond the first {PAGE}, until they change")
            await self._follow_fresh(line)
        except Failure as exc:
            trouble.append(f"people's messages: {exc}")
        trouble += await self._pending(line)
        self._say(line, trouble)
        while True:
            await self._news.wait()
            self._news = trio.Event()
            try:
                await self._follow_fresh(line)
            except Failure as exc:
                self.tell("guard.trouble", {"why": f"a session cannot be followed: {exc}"})

    async def _follow_fresh(self, line: Line) -> None:
        while self._fresh:
            key = self._fresh.popleft()
            if key in self._followed or len(self._followed) >= MOST_SESSIONS:
                continue
            await line.call("sessions.messages.subscribe", {"key": key})
            self._followed.add(key)

    async def _pending(self, line: Line) -> list[str]:
        """Take the questions that wait already, if we may see them."""
        if APPROVALS not in line.scopes:
            return [NO_QUESTIONS]
        try:
            waiting = await line.call("exec.approval.list", {})
        except Failure as exc:
            return [f"questions whether a command may run: {exc}"]
        for one in waiting if isinstance(waiting, list) else ():
            self.watch.ask(members(one))
        return []

    def _say(self, line: Line, trouble: list[str]) -> None:
        sees = [*SEES, *(["questions whether a command may run"] if APPROVALS in line.scopes else [])]
        about = {
            "url": line.url,
            "gateway": line.server,
            "sessions": len(self._followed),
            "scopes": sorted(line.scopes),
        }
        self.tell("guard.connected", {**about, "sees": sees, "cannot_see": [*trouble, *BLIND], "note": NO_HOLD})

    async def _report(self, line: Line) -> None:
        while True:
            while self._reports:
                try:
                    await line.call(REPORT, self._reports.popleft())
                except Failure as exc:
                    self.tell("guard.trouble", {"why": f"the gateway did not take a decision: {exc}"})
            await self._due.wait()
            self._due = trio.Event()


def wire(noted: Noted) -> dict[str, Any]:
    """Return a decision as lines and the gateway have it: as the event `security.decision`."""
    made = {WIRE.get(name, name): value for name, value in plain(noted.decided).items()}
    seen = noted.seen
    more = {"runId": seen.run, "approvalId": seen.approval, "acted": noted.acted}
    return made | {name: value for name, value in more.items() if value}
