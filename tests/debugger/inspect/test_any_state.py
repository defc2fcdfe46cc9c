"""Whatever a session went through, with secrets wherever a tool or the model may put them: every view of it works, goes
through JSON and msgpack unchanged, and shows no secret."""

from collections.abc import Mapping
from typing import Any, Final

import pytest
from attrs import evolve
from hypothesis import Phase, settings
from hypothesis.stateful import invariant

from debugger.inspect import Facts, NoRequest, conversation, diff, find, next_request, request_body, tree, where, why
from debugger.inspect.request import request_bytes
from runtime.model import wire
from runtime.step import State, Step
from runtime.step import events as ev
from runtime.step.effects import Ask
from runtime.step.outstanding import outstanding
from tests.debugger.inspect.places import HIDING, SECRET, border, shown, walked
from tests.runtime.step.scenes import message
from tests.stateful import test_machine as world

OPENED: Final = 150
"""Nodes that are opened of each session."""


def planted(event: ev.Event) -> ev.Event:
    """The event with secrets where it may bring some."""
    match event:
        case ev.Chunk():
            return evolve(event, data=_planted(event.data))
        case ev.Edited(value=Mapping()):
            return evolve(event, value=_planted(event.value) if "parts" in event.value else {**event.value, **HIDING})
        case ev.Approved(args=Mapping() as args):
            return evolve(event, args={**args, **HIDING})
        case ev.Finished():
            return evolve(event, result=evolve(event.result, details=HIDING))
        case ev.Queued() | ev.Received() if event.message.parts:
            part = {"fileData": HIDING}
            return evolve(event, message=evolve(event.message, parts=(*event.message.parts, part)))
    return event


def _planted(value: Any) -> Any:
    if isinstance(value, Mapping):
        made = {name: _planted(one) for name, one in value.items()}
        if isinstance(made.get("functionCall"), Mapping) and isinstance(made["functionCall"].get("args"), Mapping):
            made["functionCall"] = {**made["functionCall"], "args": {**made["functionCall"]["args"], **HIDING}}
        return made
    return [_planted(one) for one in value] if isinstance(value, (list, tuple)) else value


class Inspected(world.Machine):
    """The same world, looked at all the time."""

    def give(self, event: ev.Event, before: State | None = None) -> None:
        taken = len(self.steps)
        super().give(planted(event), before)
        for step in self.steps[taken:]:
            self.asked_what_was_foretold(step)

    def asked_what_was_foretold(self, step: Step) -> None:
        for effect in step.effects:
            if isinstance(effect, Ask):
                assert request_bytes(step.before) == wire.encode(effect.request)
                assert request_bytes(step.after) == wire.encode(effect.request)

    @invariant()
    def every_view_of_it_works_and_shows_no_secret(self) -> None:
        state, last = self.state, self.steps[-1] if self.steps else None
        at = border(state, self.some_call(), last.event if last else None)
        facts = Facts(next=last.event if last else None)
        views: list[Any] = [tree(at, "", depth=2), tree(at, "state", depth=3), conversation(state)]
        views += [where(at, facts), why(state, facts), find(state, "a"), find(state, SECRET)]
        views += [diff(last.before, last.after), diff(self.steps[0].after, state)] if last else []
        try:
            views += [next_request(state, [step.before for step in self.steps]), request_body(state)]
        except NoRequest as exc:
            views.append(str(exc))
        assert SECRET not in shown(views)
        assert find(state, SECRET)["matches"] == []
        assert len(why(state)["awaits"]) == len(outstanding(state))

    def some_call(self) -> str:
        return self.state.turn.calls[-1].id if self.state.turn and self.state.turn.calls else ""

    def teardown(self) -> None:
        """Every path of the last state, the first of them at least, can be opened."""
        event = self.steps[-1].event if self.steps else None
        for node in walked(border(self.state, self.some_call(), event), OPENED):
            assert SECRET not in shown(node)


# A failure is not made smaller: each try looks into everything, and that would take minutes.
Inspected.TestCase.settings = settings(max_examples=30, stateful_step_count=15, phases=[Phase.explicit, Phase.generate])
TestAnyStateCanBeLookedInto = pytest.mark.slow(Inspected.TestCase)


def test_the_secrets_of_this_world_reach_the_state() -> None:
    machine = Inspected()
    machine.give(ev.Opened(ev.Settings("m")))
    machine.give(ev.Received(message("hello")))
    assert SECRET in str(machine.state)
    machine.every_view_of_it_works_and_shows_no_secret()
