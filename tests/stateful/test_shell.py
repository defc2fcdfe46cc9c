"""Twenty sessions, and somebody who does to them whatever a person may do, in any order: nothing is lost or wedged, no
tool runs unjudged or twice, and every journal leads to the state of its session."""

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock

from runtime.errors import LocalError, ModelError, NoTransition
from runtime.ports import ToolContext
from runtime.sessions.roster import Roster
from runtime.sessions.session import Session
from runtime.step import OPEN, REST, Phase, Settings, Step, StepKind
from runtime.step import events as ev
from runtime.step.edits import EditRefused
from runtime.step.effects import RunTool
from runtime.vocab import Decision, JsonObject, Message, ToolResult, encode
from tests.fakes.requests import assert_whole
from tests.fakes.world import ALLOW, Piece, World, calls, running, text

SESSIONS = 20
OPERATIONS = 1_000
ANSWERS: tuple[list[Piece], ...] = (
    [text("well", None), 0.5, calls(("read", {"n": 1}), ("shell", {"n": 2}), ("write", {"n": 3}))],
    [0.3, calls(("shell", {"n": 4}))],
    [text("all ", None), 0.2, text("done")],
)
SETTINGS = [
    Settings("m", max_turns=50),
    Settings("m", max_turns=50, interactive=True),
    Settings("m", max_turns=50, hooks=("BeforeModel", "AfterAgent"), compress_at=5),
]


@define(eq=False)
class Audit:
    """Listens to everything, and holds it against what must be true."""

    world: World
    allowed: dict[str, set[tuple[str, int, bytes]]] = field(factory=dict)
    wanted: Counter[tuple[str, str, bytes]] = field(factory=Counter)
    ran: Counter[tuple[str, str, bytes]] = field(factory=Counter)
    said: dict[str, list[str]] = field(factory=dict)
    taken: dict[str, list[str]] = field(factory=dict)
    seqs: dict[str, int] = field(factory=dict)
    wrong: list[str] = field(factory=list)

    def listen(self, session: Session, step: Step) -> None:
        """Take in one step."""
        name, event = session.id, step.event
        if step.after.seq != self.seqs.get(name, 0) + 1:
            self.wrong.append(f"{name}: {step.after.seq} after {self.seqs.get(name)}")
        self.seqs[name] = step.after.seq
        if isinstance(event, ev.Received):
            self.taken.setdefault(name, []).append(event.message.id)
        self._held(step)
        self._judged(step)

    def _held(self, step: Step) -> None:
        before, after = step.before.hold, step.after.hold
        free = step.kind.controls and not isinstance(step.event, ev.Fault)
        if before is not None and after is before and not free:
            self.wrong.append(f"{step.after.session} took {step.kind.value} while it was held")

    def _judged(self, step: Step) -> None:
        event, name = step.event, step.after.session
        call = step.before.turn.call(step.call) if step.before.turn and step.call else None
        good = self.allowed.setdefault(name, set())
        if call is not None and isinstance(event, ev.Judged) and event.verdict.decision is Decision.ALLOW:
            good.add((call.id, call.revision, encode(call.args)))
        for effect in step.effects:
            if isinstance(effect, RunTool):
                if (effect.call.id, effect.call.revision, encode(effect.call.args)) not in good:
                    self.wrong.append(f"{name}: {effect.call.id} runs unjudged")
                self.wanted[name, effect.call.id, encode(effect.call.args)] += 1

    def run(self, args: JsonObject, context: ToolContext) -> ToolResult:
        """What every tool does."""
        self.ran[context.session, context.call, encode(args)] += 1
        return ToolResult(output="noted")


@define(eq=False)
class Chaos:
    """Somebody who does anything."""

    world: World
    roster: Roster
    audit: Audit
    random: Random
    count: int = 0
    done: Counter[str] = field(factory=Counter)

    async def act(self) -> None:
        """Do one thing to one session. What is refused changes nothing."""
        session = self.roster.get(f"s{self.random.randrange(SESSIONS)}")
        every: list[Callable[[Session], Any]] = [
            *[self.say] * 4,
            *[self.hold, self.release, self.step] * 2,
            *[self.cancel, self.edit, self.back, self.junk, self.breakpoint],
            *[self.park] * 2,
        ]
        operation = self.random.choice(every)
        state = session.state
        try:
            refused = operation(session)
            if refused is not None:
                await refused
        except (NoTransition, EditRefused, LocalError):
            assert session.state is state, "what was refused changed something"
        else:
            self.done[operation.__name__] += 1
        self.check(session)

    def check(self, session: Session) -> None:
        """What is true of a session at any time."""
        held = session.state.hold is not None
        assert held <= session.armed
        assert held == session.deadlines.frozen == session.processes.frozen
        assert session.broken is None or session.id in self.roster.parked
        assert (session.tasks is None) or session.state.phase in OPEN
        assert len(session.states) <= 64

    def say(self, session: Session) -> None:
        self.count += 1
        message = Message(f"m{self.count}", "go", ({"text": "go"},))
        if self.world.dispatcher.say(session, message):
            self.audit.said.setdefault(session.id, []).append(message.id)

    def hold(self, session: Session) -> None:
        self.world.dispatcher.hold(session, "ann")

    def release(self, session: Session) -> None:
        generation = self.random.choice([None, session.state.generation, session.state.generation - 1])
        self.world.dispatcher.release(session, "ann", generation)

    def step(self, session: Session) -> None:
        self.world.dispatcher.step(session, "ann", self.random.randint(1, 4))

    def cancel(self, session: Session) -> None:
        self.world.dispatcher.control(session, ev.Cancelled("ann"), "ann")

    def edit(self, session: Session) -> None:
        turn = session.state.turn
        calls = [call.id for call in turn.calls] if turn is not None else []
        call = self.random.choice(calls or ["nobody"])
        paths = [f"calls.{call}.args", f"calls.{call}.args.n", f"calls.{call}.result", "message", "model", "history.0"]
        path = self.random.choice(paths)
        value: object = {"n": 7} if path.endswith("args") else {"parts": [{"text": "x"}]} if "hist" in path else "x"
        self.world.dispatcher.control(session, ev.Edited(path, value, "ann"), "ann")

    async def back(self, session: Session) -> None:
        self.count += 1
        if session.states:
            seq = max(1, self.random.choice(session.states).seq)
            await self.world.back(session, seq, f"b{self.count}")

    def junk(self, session: Session) -> None:
        some: list[ev.Event] = [ev.Finished("c0", ToolResult()), ev.Approved("c1", "eve"), ev.Judged("c0", ALLOW, 99)]
        self.world.dispatcher.post(session, self.random.choice(some))

    async def park(self, session: Session) -> None:
        await self.roster.park(session)

    def breakpoint(self, session: Session) -> None:
        gate = self.world.dispatcher.gate
        if gate.breakpoints and self.random.random() < 0.5:
            gate.unwatch(self.random.choice(gate.breakpoints))
        else:
            self.world.stop(self.random.choice(list(StepKind)), session, times=self.random.randint(1, 3))


async def settle(chaos: Chaos) -> None:
    """Release everybody; all come to rest, in a time that is bounded."""
    dispatcher = chaos.world.dispatcher
    dispatcher.gate.breakpoints.clear()
    for session in chaos.roster.live.values():
        dispatcher.release(session, "ann")
    await trio.sleep(600)
    for session in chaos.roster.live.values():
        assert session.state.phase in REST, f"{session.id} stands in {session.state.phase.value}"
        assert not session.addressed
        assert not session.inbox
        assert session.tasks is None
        assert session.broken is None
        chaos.check(session)


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_somebody_does_to_twenty_sessions(seed: int, autojump_clock: MockClock) -> None:
    async with running(*ANSWERS, repeat=True) as world:
        audit, roster = Audit(world), Roster(world.dispatcher)
        chaos = Chaos(world, roster, audit, Random(seed))
        world.dispatcher.listeners.append(audit.listen)
        for tool in world.tools.tools.values():
            tool.does = audit.run
        world.judge.reviewed.add("write")
        world.slow(0.1, stubborn=bool(seed % 2))
        for n in range(SESSIONS):
            roster.open(f"s{n}", SETTINGS[n % len(SETTINGS)])
        for n in range(OPERATIONS):
            await chaos.act()
            if n % 50 == 0:
                world.model.failures.append(ModelError("busy", kind="http", status=503))
            if chaos.random.random() < 0.4:
                await trio.sleep(chaos.random.choice([0, 0.05, 0.3, 2]))
        await settle(chaos)
        assert audit.wrong == []
        assert world.dispatcher.listeners == [audit.listen]
        assert list(world.dispatcher.complaints) == []
        assert not audit.ran - audit.wanted, "a tool ran that no step had wanted"
        assert audit.taken == {name: said for name, said in audit.said.items() if name in audit.taken}
        assert audit.said.keys() == audit.taken.keys()
        for session in [roster.get(f"s{n}") for n in range(SESSIONS)]:
            assert await world.replayed(session) == session.state
            assert world.dispatcher.journal.load(session.id)[0] == session.state
        assert_whole(*world.model.requests[::10])
        assert min(chaos.done.values()) > 2, chaos.done
        await come_to_an_end(chaos)


async def come_to_an_end(chaos: Chaos) -> None:
    """Every session still takes a message and answers it."""
    for n in range(SESSIONS):
        chaos.say(chaos.roster.get(f"s{n}"))
    await trio.sleep(600)
    phases = Counter(session.state.phase for session in chaos.roster.live.values())
    assert set(phases) <= {Phase.DONE, Phase.FAILED}  # some have no turns left
    assert phases[Phase.DONE] > SESSIONS // 2
