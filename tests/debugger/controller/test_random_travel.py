"""Random ways through the past of a session with tools of each class: going back and forward, changing, branching.

Looking writes nothing. Nothing that cannot be undone runs twice on one path, and on a new branch none before its
receipt was confirmed. Whatever was done, the journal leads to where the session stands.
"""

from collections import Counter
from random import Random
from typing import Any

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock

from debugger.protocol import Failure
from runtime.sessions.session import Session
from runtime.step import Step, StepKind
from tests.fakes.studio import House, Person, studio
from tests.fakes.world import calls, text

ANSWERS = (
    [calls(("shell", {"n": 1}), ("read", {"n": 2}))],
    [calls(("write", {"n": 3}))],
    [text("do", None), text("ne")],
)
MOVES: list[tuple[str, dict[str, Any]]] = [
    ("back", {}),
    ("back", {"count": 3, "grain": "micro"}),
    ("back", {"grain": "call"}),
    ("back", {"grain": "turn"}),
    ("goto", {"end": "first"}),
    ("goto", {"end": "last"}),
    ("reverse-continue", {}),
    ("reverse-until", {"expr": "step.kind == 'call.run'"}),
    ("step", {}),
    ("step", {"grain": "call"}),
    ("finish", {}),
    ("until", {"expr": "step.kind == 'turn.end'"}),
]
EXPECTED = frozenset({"receipt_needed", "refused", "input", "not_held", "stale"})
CHANGES = ("branch", "restart", "say", "edit", "fault")


@define(eq=False)
class Traveler:
    """Somebody who does what chance says."""

    house: House
    session: Session
    ann: Person
    chance: Random
    confirmed: int = 0
    done: Counter[str] = field(factory=Counter)

    async def go(self) -> None:
        """Do one thing."""
        await self._settled()
        kind = self.chance.choices(("look", "change", "switch"), (6, 3, 1))[0]
        await {"look": self._look, "change": self._change, "switch": self._switch}[kind]()

    async def _settled(self) -> None:
        """Stand: a live order has come to its end."""
        session, world = self.session, self.house.world
        await trio.testing.wait_all_tasks_blocked()
        if session.state.hold is None:
            await trio.sleep(0.01)
            await self.ann.ask("pause", session="s")
        del world

    async def _look(self) -> None:
        command, params = self.chance.choice(MOVES)
        if command in ("step", "finish", "until"):
            status = await self.ann.ask("status", session="s")
            params = {**params, "generation": status["generation"]}
            if not status["past"]:
                await self._asked(command, params)
                return
        before = self.session.state.seq
        await self._asked(command, params)
        assert self.session.state.seq == before

    async def _change(self) -> None:
        command = self.chance.choice(CHANGES)
        at = (await self.ann.ask("status", session="s"))["at"]
        params: dict[str, Any] = {
            "restart": {"frame": self.chance.choice(("turn", "session"))},
            "say": {"text": "more"},
            "edit": {"at": at, "changes": [{"path": "model", "value": f"m{self.chance.random()}"}]},
            "fault": {"call": "read", "what": "429"},
        }.get(command, {})
        await self._careful(command, params)

    async def _switch(self) -> None:
        rows = (await self.ann.ask("branches", session="s"))["branches"]
        await self._careful("switch", {"branch": self.chance.choice(rows)["name"]})

    async def _careful(self, command: str, params: dict[str, Any]) -> None:
        """Ask for a change; a receipt is confirmed now and then. One that was not leaves all as it was."""
        runs, branch = self._runs(), self.session.state.branch
        code, receipt = await self._asked(command, params)
        if code != "receipt_needed":
            return
        assert (self._runs(), self.session.state.branch) == (runs, branch)
        if self.chance.random() < 0.5:
            self.confirmed += 1
            await self._asked(command, params | {"receipt": receipt["digest"]})

    def _runs(self) -> int:
        return len(self.house.world.tools.tools["shell"].runs)

    async def _asked(self, command: str, params: dict[str, Any]) -> tuple[str, Any]:
        try:
            await self.ann.ask(command, session="s", **params)
        except Failure as exc:
            if exc.code not in EXPECTED:
                raise
            self.done[exc.code] += 1
            return exc.code, exc.receipt
        self.done[command] += 1
        return "", None


async def irreversible(house: House, session: Session) -> None:
    """No call that cannot be undone was run twice on the path of any branch."""
    timeline = await house.world.dispatcher.timeline(session)
    for branch in timeline.branches():
        path = timeline.path(branch.head)
        ran = Counter(_named(one.step) for one in path if one.step.kind is StepKind.CALL_RUN)
        assert all(count == 1 for (call, *_), count in ran.items() if "shell" in call), (branch.name, ran)


def _named(step: Step) -> tuple[str, str, int]:
    """A call: its id (which another prompt may use again), its prompt and its turn."""
    prompt, turn = step.before.prompt, step.before.turn
    assert prompt is not None
    assert turn is not None
    return step.call, prompt.message.id, turn.number


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_way_one_goes_nothing_irreversible_runs_twice_unconfirmed(
    seed: int, autojump_clock: MockClock
) -> None:
    async with studio(*ANSWERS, repeat=True) as house:
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("break_add", kinds=["call.result"], edge="after")
        house.world.say(session)
        traveler = Traveler(house, session, ann, Random(seed))
        for _ in range(90):
            await traveler.go()
        await irreversible(house, session)
        prompts = sum(command == "say" for command in traveler.done.elements())
        assert traveler._runs() <= 1 + prompts + traveler.confirmed
        assert (await house.world.replayed(session)).digest == session.state.digest
