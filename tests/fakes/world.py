"""A world for sessions: scripted model, tools, judge and context behind the ports, on a store in memory."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import trio
from attrs import define, field

from runtime.errors import JournalError, ModelError
from runtime.ports import Asked, Deliver, ModelRequest, Store, ToolContext
from runtime.provenance import Provenance
from runtime.sessions.dispatcher import Dispatcher
from runtime.sessions.gate import Breakpoint
from runtime.sessions.journal import Journal
from runtime.sessions.performer import Performer, Surroundings
from runtime.sessions.session import Session
from runtime.step import REST, State, Step, StepKind
from runtime.step import events as ev
from runtime.stores.memory import MemoryStore
from runtime.vocab import (
    Decision,
    EffectClass,
    JsonObject,
    Message,
    Tape,
    ToolResult,
    Toolset,
    ToolSpec,
    Verdict,
    encode,
)

ALLOW = Verdict(Decision.ALLOW, "test.allow")

Piece = JsonObject | Exception | float
"""One entry of a script: a chunk, something to raise, or seconds to wait."""


async def pause(seconds: float, *, stubborn: bool) -> None:
    """Take some time; who is stubborn does not stop when told to."""
    with trio.CancelScope(shield=stubborn):
        await trio.sleep(seconds)


def text(said: str, finish: str | None = "STOP") -> JsonObject:
    """A chunk of plain text."""
    return chunk([{"text": said}], finish)


def calls(*asked: tuple[str, Mapping[str, Any]]) -> JsonObject:
    """A chunk with tool calls."""
    return chunk([{"functionCall": {"name": name, "args": dict(args)}} for name, args in asked])


def chunk(parts: Sequence[JsonObject], finish: str | None = "STOP") -> JsonObject:
    """A chunk with these parts."""
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "usageMetadata": {"promptTokenCount": 10, "totalTokenCount": 12}}


@define(eq=False)
class ScriptedModel:
    """Answers the requests of each session in order. An exception in a script is raised there; a float sleeps.

    `failures` are raised first, one a request. `delivered` counts the pieces that were taken. Each answer takes
    `seconds`. `sides` are the answers to side calls, one after the other; without any they are answered with `ok`.
    """

    answers: list[list[Piece]] = field(factory=list)
    requests: list[ModelRequest] = field(factory=list)
    repeat: bool = False
    failures: list[Exception] = field(factory=list)
    delivered: int = 0
    seconds: float = 0.0
    stubborn: bool = False
    sides: list[Sequence[Piece]] = field(factory=list)

    async def stream(self, request: ModelRequest, tape: Tape, deliver: Deliver) -> Tape:
        self.requests.append(request)
        await pause(self.seconds, stubborn=self.stubborn)
        if self.failures:
            raise self.failures.pop(0)
        place = tape.next % len(self.answers) if self.repeat and self.answers else tape.next
        if place >= len(self.answers):
            raise ModelError("the script has no more answers", kind="recording")
        for item in self.answers[place]:
            if isinstance(item, Exception):
                raise item
            if isinstance(item, float):
                await trio.sleep(item)
            else:
                await deliver(item)
                self.delivered += 1
        return tape.taking(tape.next)

    async def generate(self, request: ModelRequest, tape: Tape) -> tuple[JsonObject, Tape]:
        self.requests.append(request)
        await trio.lowlevel.checkpoint()
        answer = text("ok")
        for item in self.sides.pop(0) if self.sides else ():
            if isinstance(item, Exception):
                raise item
            if isinstance(item, float):
                await trio.sleep(item)
            else:
                answer = item
        return answer, tape

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


@define(eq=False)
class FakeTool:
    """A tool that records its runs and does what it is told: `does`, or `acts` where it must wait for something."""

    spec: ToolSpec
    does: Callable[[JsonObject, ToolContext], Any] | None = None
    runs: list[JsonObject] = field(factory=list)
    seconds: float = 0.0
    acts: Callable[[JsonObject, ToolContext], Awaitable[ToolResult]] | None = None
    checks: Callable[[JsonObject], str | None] | None = None
    stubborn: bool = False

    def check(self, args: JsonObject, context: ToolContext) -> str | None:
        if self.checks is not None:
            return self.checks(args)
        return "args must not be wrong" if args.get("wrong") else None

    async def run(self, args: JsonObject, context: ToolContext) -> ToolResult:
        self.runs.append(args)
        with context.deadline(float("inf")):
            await pause(self.seconds, stubborn=self.stubborn)
        if self.acts is not None:
            return await self.acts(args, context)
        if self.does is not None:
            return self.does(args, context)  # type: ignore[no-any-return]
        return ToolResult(output=f"{self.spec.name}:{args.get('n', '')}", display="")


@define(eq=False)
class FakeTools:
    """A registry of fake tools."""

    tools: dict[str, FakeTool]

    def get(self, name: str) -> FakeTool | None:
        return self.tools.get(name)


@define(eq=False)
class FakeContexts:
    """The same context for every session, after some seconds, or a failure."""

    tools: FakeTools
    built: int = 0
    seconds: float = 0.0
    failure: Exception | None = None
    stubborn: bool = False

    async def build(self, settings: ev.Settings) -> ev.ContextBuilt:
        await pause(self.seconds, stubborn=self.stubborn)
        self.built += 1
        if self.failure is not None:
            raise self.failure
        specs = [tool.spec for tool in self.tools.tools.values()]
        toolset = Toolset(
            tuple(spec.name for spec in specs),
            tuple(spec.name for spec in specs if not spec.parallel),
            {spec.name: spec.effect.value for spec in specs},
            encode([spec.declaration for spec in specs]).decode(),
        )
        return ev.ContextBuilt("You are a test.", toolset, ({"text": "<session_context>test</session_context>"},))


@define(eq=False)
class FakeJudge:
    """Allows everything but the tools it was told to block or to have reviewed; records what it saw.

    `failures` maps `screen`, `call` and `reply` to what is raised there; `asked` counts the questions.
    """

    blocked: set[str] = field(factory=set)
    seen: list[tuple[str, JsonObject]] = field(factory=list)
    seconds: float = 0.0
    reviewed: set[str] = field(factory=set)
    failures: dict[str, Exception] = field(factory=dict)
    asked: Counter[str] = field(factory=Counter)
    stubborn: bool = False
    weighed: list[Asked] = field(factory=list)
    brought: list[tuple[str, Provenance]] = field(factory=list)
    results: dict[str, Verdict] = field(factory=dict)

    def offers(self, spec: ToolSpec) -> bool:
        return True

    async def screen(self, session: str, message: Message) -> Verdict:
        await self._think("screen")
        return ALLOW

    async def call(self, session: str, asked: Asked) -> Verdict:
        await self._think("call")
        spec = asked.spec
        self.seen.append((spec.name, asked.args))
        self.weighed.append(asked)
        if spec.name in self.blocked:
            return Verdict(Decision.BLOCK, "test.block", "not this one")
        if spec.name in self.reviewed:
            return Verdict(Decision.REVIEW, "test.review", "somebody should look")
        return ALLOW

    async def result(
        self, session: str, spec: ToolSpec, args: JsonObject, result: ToolResult, provenance: Provenance
    ) -> Verdict:
        await self._think("result")
        self.brought.append((spec.name, provenance))
        return self.results.get(spec.name, ALLOW)

    async def reply(self, session: str, text: str) -> Verdict:
        await self._think("reply")
        return ALLOW

    async def _think(self, about: str) -> None:
        self.asked[about] += 1
        await pause(self.seconds, stubborn=self.stubborn)
        if about in self.failures:
            raise self.failures[about]


@define(eq=False)
class FakeReply:
    """An outbox that keeps what it took, after some seconds, or fails."""

    sent: list[tuple[str, str]] = field(factory=list)
    seconds: float = 0.0
    failure: Exception | None = None
    stubborn: bool = False

    async def __call__(self, session: Session, said: str) -> None:
        await pause(self.seconds, stubborn=self.stubborn)
        if self.failure is not None:
            raise self.failure
        self.sent.append((session.id, said))


@define(eq=False)
class TrioClock:
    """Time of the running (mock) clock."""

    def wall(self) -> int:
        return 1_700_000_000_000 + int(trio.current_time() * 1000)

    def mono(self) -> int:
        return int(trio.current_time() * 1_000_000_000)


@define(eq=False)
class CountingChance:
    """No chance at all: the middle of every spread, and ids that count up."""

    count: int = 0

    def random(self) -> float:
        return 0.5

    def uuid(self) -> str:
        self.count += 1
        return f"00000000-0000-4000-8000-{self.count:012d}"


def unknown(name: str, offered: Iterable[str]) -> str:
    """The sentence for a tool that is not there."""
    return f'Tool "{name}" not found.'


def spec(name: str, effect: EffectClass = EffectClass.PURE, *, parallel: bool = True) -> ToolSpec:
    """A tool without parameters that matter."""
    return ToolSpec(name, f"does {name}", {"type": "object", "properties": {}}, effect, "read", parallel)


def toolbox() -> FakeTools:
    """read (pure), write (idempotent, alone), shell (irreversible)."""
    return FakeTools(
        {
            "read": FakeTool(spec("read")),
            "write": FakeTool(spec("write", EffectClass.IDEMPOTENT, parallel=False)),
            "shell": FakeTool(spec("shell", EffectClass.IRREVERSIBLE)),
        }
    )


@define(eq=False)
class World:
    """Everything a test may want to look at."""

    model: ScriptedModel
    tools: FakeTools
    judge: FakeJudge
    contexts: FakeContexts
    dispatcher: Dispatcher
    store: Store
    sent: list[tuple[str, str]]
    messages: int = 0
    outbox: FakeReply = field(factory=FakeReply)
    memory: MemoryStore = field(factory=MemoryStore)

    def open(self, name: str = "s", settings: ev.Settings | None = None) -> Session:
        """Begin a session."""
        session = Session(State(name))
        self.dispatcher.control(session, ev.Opened(settings or ev.Settings(model="test-model")), "system")
        return session

    def say(self, session: Session, said: str = "go") -> None:
        """Send a message."""
        self.messages += 1
        assert self.dispatcher.say(session, Message(f"m{self.messages}", said, ({"text": said},)))

    async def until(self, session: Session, wanted: Callable[[Session], bool]) -> None:
        """Wait until the session is as wanted; five minutes of the (mock) clock at most: retries add up."""
        with trio.fail_after(300):
            while not wanted(session):
                await session.changed.park()

    async def rest(self, session: Session) -> State:
        """Wait until the session has no open prompt and no message waiting."""
        await self.until(
            session, lambda one: one.state.phase in REST and not one.addressed and one.state.prompt is not None
        )
        return session.state

    async def held(self, session: Session) -> State:
        """Wait until the session is held."""
        await self.until(session, lambda one: one.state.hold is not None)
        return session.state

    def stop(self, kind: StepKind, session: Session | None = None, *, times: int = 1) -> Breakpoint:
        """Stop before the next steps of this kind, of one session or any, `times` times."""
        left = [times]

        def stop(one: Session, at: StepKind, call: str, event: ev.Event) -> str | None:
            if at is not kind or left[0] == 0 or session not in (None, one):
                return None
            left[0] -= 1
            return "test"

        self.dispatcher.gate.watch(stop)
        return stop

    def slow(self, seconds: float, *, stubborn: bool = False) -> None:
        """Let everybody behind a port take this long, and go on even when cancelled where `stubborn`."""
        others = (self.judge, self.model, self.contexts, self.outbox)
        ports: list[FakeTool | FakeJudge | ScriptedModel | FakeContexts | FakeReply] = [*self.tools.tools.values()]
        for port in [*ports, *others]:
            port.seconds, port.stubborn = seconds, stubborn

    def trail(self) -> list[Step]:
        """Return a list that grows with each step that is taken from now on."""
        steps: list[Step] = []
        self.dispatcher.listeners.append(lambda session, step: steps.append(step))
        return steps

    async def back(self, session: Session, seq: int, branch: str, by: str = "ann", reason: str = "") -> Step:
        """Go back, with what happened since confirmed."""
        receipt = (await self.dispatcher.timeline(session)).receipt(seq)
        return await self.dispatcher.back(session, seq, branch, by, reason, receipt.digest)

    async def replayed(self, session: Session) -> State:
        """Return the state to which the session's journal leads, read from its first record."""
        await self.dispatcher.journal.committed(session.ticket)
        return self.dispatcher.journal.load(session.id, snapshots=False)[0]


@asynccontextmanager
async def running(
    *answers: Sequence[Piece],
    tools: FakeTools | None = None,
    judge: FakeJudge | None = None,
    store: MemoryStore | None = None,
    repeat: bool = False,
    lossy: bool = False,
) -> AsyncIterator[World]:
    """A dispatcher that runs, with scripted answers. A store that is `lossy` may lose what it has not written."""
    kept = store if store is not None else MemoryStore()
    box = tools or toolbox()
    model = ScriptedModel([list(answer) for answer in answers], repeat=repeat)
    judging = judge or FakeJudge()
    contexts = FakeContexts(box)
    reply = FakeReply()
    around = Surroundings(Path("/nowhere"), Path("/nowhere/tmp"), Path("/nowhere/home"), {}, {})
    performer = Performer(
        judging, model, box, contexts, lambda settings: around, TrioClock(), CountingChance(), reply, unknown
    )
    journal = Journal(kept, TrioClock(), kept.codec)
    dispatcher = Dispatcher(journal, performer)
    async with trio.open_nursery() as nursery:
        await nursery.start(dispatcher.run)
        yield World(model, box, judging, contexts, dispatcher, kept, reply.sent, outbox=reply, memory=kept)
        nursery.cancel_scope.cancel()
    with suppress(*[JournalError] if lossy else []):
        await kept.aclose()
