"""Faults that a person wants to see handled: in place of what an effect would have brought, or of a part of it."""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import trio
from attrs import define

from debugger.controller.watched import Planned, Watched
from runtime.ports import Chance, Clock
from runtime.sessions.performer import Deliver, Perform
from runtime.sessions.session import Session
from runtime.step import Event, effects
from runtime.step import events as ev
from runtime.vocab import ToolResult, evolve

MODEL = "model"
"""The call that means the request to the model."""
GARBAGE: Mapping[str, Any] = {"\u0000": ["no", "argument", {"of": "this tool"}]}


@define(eq=False)
class Faults:
    """Stands before the performer of a daemon (`Performer.instead`). Where no fault is planned it only passes on."""

    watched: Callable[[str], Watched | None]
    clock: Clock
    chance: Chance

    async def perform(self, session: Session, effect: effects.Effect, deliver: Deliver, perform: Perform) -> Event:
        """Perform an effect, or let it fail as planned."""
        planned = self._planned(session, effect)
        if planned is None:
            return await perform(session, effect, deliver)
        if isinstance(effect, effects.RunTool):
            return await self._tool(session, effect, planned.what, deliver, perform)
        return await self._model(session, effect, planned.what, deliver, perform)

    def _planned(self, session: Session, effect: effects.Effect) -> Planned | None:
        watched = self.watched(session.id)
        if watched is None or not watched.faults or not isinstance(effect, (effects.Ask, effects.RunTool)):
            return None
        for planned in watched.faults:
            if _concerns(planned, effect):
                planned.left -= 1
                if planned.left == 0:
                    watched.faults.remove(planned)
                return planned
        return None

    async def _tool(
        self, session: Session, effect: effects.RunTool, what: str, deliver: Deliver, perform: Perform
    ) -> Event:
        call = effect.call
        if what in ("429", "timeout"):
            await trio.lowlevel.checkpoint()
            text = "Too many requests (429)." if what == "429" else "The tool did not answer in time."
            return ev.Finished(call.id, ToolResult.failed("execution_failed", text))
        done = await perform(session, effect, deliver)
        if not isinstance(done, ev.Finished) or done.result.output is None:
            return done
        output = done.result.output
        changed = output[: len(output) // 2] if what == "truncate" else output[::-1]
        return evolve(done, result=evolve(done.result, output=changed))

    async def _model(
        self, session: Session, effect: effects.Effect, what: str, deliver: Deliver, perform: Perform
    ) -> Event:
        if what == "429":
            await trio.lowlevel.checkpoint()
            return self._broke("http", "Too many requests (429).", 429)
        if what == "timeout":
            await trio.lowlevel.checkpoint()
            return self._broke("timeout", "The model did not answer in time.")
        if what == "garbage":
            call = {"functionCall": {"name": "\u0000", "args": dict(GARBAGE)}}
            await deliver(
                ev.Chunk({"candidates": [{"content": {"role": "model", "parts": [call]}, "finishReason": "STOP"}]})
            )
            return ev.StreamEnded(self.clock.wall(), chance=self.chance.random())
        return await self._cut(session, effect, deliver, perform)

    async def _cut(self, session: Session, effect: effects.Effect, deliver: Deliver, perform: Perform) -> Event:
        """Let the first piece of the answer come, and nothing more."""
        with trio.CancelScope() as scope:

            async def once(event: Event) -> None:
                await deliver(event)
                scope.cancel()
                await trio.lowlevel.checkpoint()

            done = await perform(session, effect, once)
        return self._broke("network", "The answer was reset in the middle.") if scope.cancelled_caught else done

    def _broke(self, kind: str, message: str, status: int = 0) -> ev.StreamBroke:
        return ev.StreamBroke(kind, f"{message} (made by the debugger)", status, chance=self.chance.random())


def _concerns(planned: Planned, effect: effects.Effect) -> bool:
    if isinstance(effect, effects.Ask):
        return planned.call == MODEL
    if isinstance(effect, effects.RunTool):
        return planned.call == effect.call.id or fnmatchcase(effect.call.name, planned.call)
    return False
