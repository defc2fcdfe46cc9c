"""Replays that go on: effects answered from the record of another run, and nothing else behind the judge's back.

A call is answered where the record has one of the same tool with the same arguments, each result once and in its order.
What the record does not have is refused, or performed where `live` says so; never the one in the place of the other.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final, Self

import trio
from attrs import define, evolve, field

from runtime.sessions.performer import Deliver, Perform
from runtime.sessions.session import Session
from runtime.step import Event, effects
from runtime.step import events as ev
from runtime.step.branches import Taken
from runtime.step.state import Call
from runtime.vocab import Decision, JsonObject, ToolResult, Verdict, encode

ALLOWED: Final = Verdict(Decision.ALLOW, "replay.recorded", "It is answered from the record and runs nothing.")
REFUSED: Final = "The record has no call of {} with these arguments, and tools are not run in this replay."

Key = tuple[str, bytes]
"""Name of a tool, and the arguments with their members in order."""


def key_of(name: str, args: JsonObject) -> Key:
    """Return what makes two calls equal."""
    return name, encode(_ordered(args))


def _ordered(value: object) -> object:
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [_ordered(inner) for inner in value]
    return value


@define(eq=False)
class Recorded:
    """Stands in for the performing of effects (`Performer.instead`).

    `context` is the recorded context, for a session that has none yet; `system` is a text in the place of its system
    text. `answered` counts calls that the record answered, `missed` names the tools of those that it could not.
    """

    results: dict[Key, "deque[ToolResult]"] = field(factory=dict)
    context: ev.ContextBuilt | None = None
    live: bool = False
    system: str | None = None
    answered: int = 0
    missed: list[str] = field(factory=list)
    _taken: dict[str, ToolResult] = field(factory=dict)

    @classmethod
    def of(cls, later: Iterable[Taken], *, live: bool = False, system: str | None = None) -> Self:
        """Return what stands in for the effects of the records `later`: those behind the one that is gone on from."""
        made = cls(live=live, system=system)
        for one in later:
            event, turn = one.step.event, one.step.before.turn
            if isinstance(event, ev.ContextBuilt) and made.context is None:
                made.context = event
            call = turn.call(event.call) if isinstance(event, ev.Finished) and turn is not None else None
            if call is not None and isinstance(event, ev.Finished):
                made.results.setdefault(key_of(call.name, call.args), deque()).append(event.result)
        return made

    async def instead(self, session: Session, effect: effects.Effect, deliver: Deliver, perform: Perform) -> Event:
        """Do what the record says, or what `perform` does where that is allowed."""
        match effect:
            case effects.JudgeCall(call):
                verdict = self._judged(call)
                if verdict is not None:
                    await trio.lowlevel.checkpoint()
                    return ev.Judged(call.id, verdict, call.revision)
            case effects.RunTool(call) if call.id in self._taken:
                await trio.lowlevel.checkpoint()
                # Lines of a recording that the call used then are no lines of the one that is played now.
                return ev.Finished(call.id, evolve(self._taken.pop(call.id), tape=()))
            case effects.RunTool(call) if not self.live:  # no verdict of ours let it run
                await trio.lowlevel.checkpoint()
                return ev.Finished(call.id, ToolResult.failed("execution_failed", REFUSED.format(call.name)))
            case effects.BuildContext():
                return await self._built(session, effect, deliver, perform)
        return await perform(session, effect, deliver)

    def _judged(self, call: Call) -> Verdict | None:
        """The verdict about a call of which the record knows what to do; None leaves it to the judge."""
        left = self.results.get(key_of(call.name, call.args))
        if left:
            self._taken[call.id] = left.popleft()
            self.answered += 1
            return ALLOWED
        self._taken.pop(call.id, None)
        self.missed.append(call.name)
        if self.live:
            return None
        return Verdict(Decision.BLOCK, "replay.not_recorded", REFUSED.format(call.name))

    async def _built(self, session: Session, effect: effects.Effect, deliver: Deliver, perform: Perform) -> Event:
        if self.context is not None and not self.live:
            await trio.lowlevel.checkpoint()
            built: Event = self.context
        else:
            built = await perform(session, effect, deliver)
        if self.system is not None and isinstance(built, ev.ContextBuilt):
            return evolve(built, system=self.system)
        return built
