"""Somebody goes back and forward in sessions with file, shell and network tools, at random, and copies them.

On the way of a branch no irreversible effect runs twice. On another branch, or in a copy, one runs again only after
somebody confirmed a receipt that lists each time that it ran.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, Final

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock

from runtime.ports import ToolContext
from runtime.sessions.roster import Roster
from runtime.sessions.session import Session
from runtime.step import REST, Phase, Step
from runtime.step import events as ev
from runtime.step.branches import Taken
from runtime.step.effects import RunTool, Send
from runtime.step.receipts import Receipt, ReceiptNeeded
from runtime.vocab import EffectClass, JsonObject, ToolResult
from tests.fakes.world import FakeTool, FakeTools, Piece, World, calls, running, spec, text

GOINGS: Final = 250
"""Of each of four seeds: 1,000 in all."""
SESSIONS: Final = 3
MOST_SESSIONS: Final = 6
ANSWERS: Final[tuple[list[Piece], ...]] = (
    [calls(("read_file", {"path": "a"}), ("shell", {"command": "make"}))],
    [calls(("write_file", {"path": "b"}), ("send_mail", {"to": "eve"}), ("fetch", {"url": "x"}))],
    [calls(("shell", {"command": "ls"}), ("shell", {"command": "rm"}), ("replace", {"path": "b"}))],
    [text("done")],
)
Done = tuple[str, int, str]
"""One effect that the model or a prompt asked for: session and record of the answer that it follows from, call id."""


def tools() -> FakeTools:
    """Files, a shell and a network."""
    classes = {
        "read_file": EffectClass.PURE,
        "write_file": EffectClass.IDEMPOTENT,
        "replace": EffectClass.COMPENSABLE,
        "fetch": EffectClass.IDEMPOTENT,
        "shell": EffectClass.IRREVERSIBLE,
        "send_mail": EffectClass.IRREVERSIBLE,
    }
    return FakeTools({name: FakeTool(spec(name, kind), seconds=0.1) for name, kind in classes.items()})


@define(eq=False)
class Watch:
    """Sees what really happens outside, and what somebody confirmed, and knows nothing of how receipts are made."""

    world: World
    happened: dict[Done, list[tuple[str, int, int]]] = field(factory=dict)
    confirmed: set[tuple[str, int]] = field(factory=set)
    wrong: list[str] = field(factory=list)
    again: int = 0
    count: int = 0
    born: dict[str, int] = field(factory=dict)
    wanted: dict[tuple[str, str], tuple[str, int]] = field(factory=dict)
    steps: dict[str, list[Step]] = field(factory=dict)

    def listen(self, session: Session, step: Step) -> None:
        """Keep every step, and which record wants what."""
        self.count += 1
        self.born.setdefault(session.id, self.count)
        self.steps.setdefault(session.id, []).append(step)
        for effect in step.effects:
            if isinstance(effect, RunTool | Send):
                call = effect.call.id if isinstance(effect, RunTool) else ""
                self.wanted[session.id, call] = (session.id, step.after.seq)

    def ran(self, args: JsonObject, context: ToolContext, name: str) -> ToolResult:
        """A tool runs."""
        if name in ("shell", "send_mail"):
            self.note(context.session, context.call)
        return ToolResult(output=f"{name} did it")

    def note(self, session: str, call: str) -> None:
        """Something irreversible happens now."""
        at = self.wanted[session, call]
        done = self.done(session, at[1], call)
        path = set(self.path(session, at[1]))
        known = self.known(session)
        for name, number, when in self.happened.setdefault(done, []):
            place = (name, number)
            if place in path:
                self.wrong.append(f"{done} happened twice on one way: {place} and {at}")
            elif when < known.get(place[0], 0):
                self.again += 1
                if place not in self.confirmed:
                    self.wrong.append(f"{done} happened again at {at}, and nobody confirmed {place}")
        self.happened[done].append((*at, self.count))

    def known(self, session: str) -> dict[str, float]:
        """The sessions that this one is a copy of, each with the moment up to which it is."""
        found: dict[str, float] = {session: float("inf")}
        while isinstance(first := self.steps[session][0].event, ev.Forked):
            found[first.parent] = self.born[session]
            session = first.parent
        return found

    def done(self, session: str, seq: int, call: str) -> Done:
        """What an effect follows from: the newest answer of the model before it."""
        for name, number in self.path(session, seq):
            if isinstance(self.steps[name][number - 1].event, ev.StreamEnded):
                return name, number, call
        raise AssertionError("nothing happens without an answer")

    def path(self, session: str, seq: int) -> Iterator[tuple[str, int]]:
        """The records that led to one, newest first, through copies too."""
        while seq:
            yield session, seq
            step = self.steps[session][seq - 1]
            if isinstance(step.event, ev.Forked):
                session, seq = step.event.parent, step.event.at
            else:
                seq = step.event.origin if isinstance(step.event, ev.Branched) else step.before.seq

    def confirm(self, session: str, receipt: Receipt) -> str:
        """Somebody looks at a receipt and confirms it."""
        self.confirmed |= {(session, entry.seq) for entry in receipt.entries}
        return receipt.digest


@define(eq=False)
class Traveller:
    """Somebody who goes anywhere."""

    world: World
    roster: Roster
    watch: Watch
    random: Random
    count: int = 0
    done: Counter[str] = field(factory=Counter)

    async def go(self) -> None:
        """Go somewhere, in one of the sessions."""
        session = self.random.choice(list(self.roster.live.values()))
        way = self.random.choice(
            [self.back, self.back, self.switch, self.fork, self.forward, self.forward, self.finish]
        )
        await way(session)
        self.done[way.__name__] += 1
        if session.state.phase in REST and session.state.hold is None and not session.addressed:
            self.world.say(session)
        if self.random.random() < 0.5:
            await trio.sleep(self.random.choice([0, 0.05, 0.1, 0.15, 0.4]))

    async def back(self, session: Session) -> None:
        """Go back to any record of any branch, and confirm what has to be confirmed, or not."""
        line = await self.world.dispatcher.timeline(session)
        seq = self.random.randint(max(1, line.last - 60), line.last)
        self.count += 1
        await self.confirming(
            session, lambda receipt: self.world.dispatcher.back(session, seq, f"b{self.count}", "ann", "", receipt)
        )

    async def switch(self, session: Session) -> None:
        """Go on on another branch."""
        line = await self.world.dispatcher.timeline(session)
        branch = self.random.choice(line.branches()[-5:])
        if not branch.live:
            await self.confirming(
                session, lambda receipt: self.world.dispatcher.switch(session, branch.name, "ann", receipt)
            )

    async def fork(self, session: Session) -> None:
        """Copy the session, as it is or as it was."""
        if len(self.roster.live) >= MOST_SESSIONS:
            return
        line = await self.world.dispatcher.timeline(session)
        seq = self.random.randint(max(1, line.last - 60), line.last)
        name = f"s{len(self.roster.live)}"

        async def forked(receipt: str) -> Any:
            child = await self.roster.fork(session, seq, name, "ann", "", receipt)
            self.world.dispatcher.wake(child)

        await self.confirming(session, forked)

    async def confirming(self, session: Session, way: Any) -> None:
        """Try it without confirming anything; if that is refused nothing was changed, and now and then one confirms."""
        state = session.state
        try:
            await way(self.random.choice(["", "00" * 16]))
        except ReceiptNeeded as exc:
            assert session.state.branch == state.branch
            self.done["refused"] += 1
            if self.random.random() < 0.6:
                self.done["confirmed"] += 1
                try:
                    await way(self.watch.confirm(session.id, exc.receipt))
                except ReceiptNeeded as newer:  # it went on meanwhile
                    await way(self.watch.confirm(session.id, newer.receipt))

    async def forward(self, session: Session) -> None:
        """Hold it, let it go, or let it take some steps."""
        dispatcher = self.world.dispatcher
        way = self.random.choice(["hold", "release", "step"])
        if way == "hold":
            dispatcher.hold(session, "ann")
        elif way == "release":
            dispatcher.release(session, "ann")
        else:
            dispatcher.step(session, "ann", self.random.randint(1, 8))

    async def finish(self, session: Session) -> None:
        """Let it come to its end."""
        self.world.dispatcher.release(session, "ann")
        await trio.sleep(5)


@pytest.mark.parametrize("seed", range(4))
async def test_nothing_irreversible_happens_twice_unless_somebody_confirmed_it(
    seed: int, autojump_clock: MockClock
) -> None:
    async with running(*ANSWERS, repeat=True, tools=tools()) as world:
        watch, roster = Watch(world), Roster(world.dispatcher)
        world.dispatcher.listeners.append(watch.listen)
        for name, tool in world.tools.tools.items():
            tool.does = lambda args, context, name=name: watch.ran(args, context, name)
        plain = world.dispatcher.performer.reply

        async def reply(session: Session, said: str) -> None:
            watch.note(session.id, "")
            await plain(session, said)

        world.dispatcher.performer.reply = reply
        traveller = Traveller(world, roster, watch, Random(seed))
        for n in range(SESSIONS):
            world.say(roster.open(f"s{n}", ev.Settings("test-model")))
        for _ in range(GOINGS):
            await traveller.go()
        for session in roster.live.values():
            world.dispatcher.release(session, "ann")
        await trio.sleep(300)
        assert watch.wrong == []
        assert list(world.dispatcher.complaints) == []
        assert watch.again > 5
        assert min(traveller.done[name] for name in ("back", "switch", "fork", "forward", "finish", "refused")) > 5
        for session in roster.live.values():
            assert session.state.phase in REST - {Phase.IDLE}
            assert await world.replayed(session) == session.state
            check_line((await world.dispatcher.timeline(session)).path())


def check_line(path: Sequence[Taken]) -> None:
    """On one way a call of one answer runs once, if it must not run twice; numbers count the steps."""
    answers, ran = 0, Counter[tuple[int, str]]()
    for n, one in enumerate(path):
        assert one.number == sum(before.step.begins for before in path[: n + 1])
        answers += isinstance(one.step.event, ev.StreamEnded)
        for effect in one.step.effects:
            if isinstance(effect, RunTool) and effect.call.name in ("shell", "send_mail"):
                ran[answers, effect.call.id] += 1
    assert set(ran.values()) <= {1}
