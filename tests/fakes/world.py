"""A world for sessions: scripted model, tools, judge and context behind the ports, on a store in memory."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from attrs import define, field

from runtime.errors import ModelError
from runtime.ports import Deliver, ModelRequest, Store, ToolContext
from runtime.sessions.dispatcher import Dispatcher
from runtime.sessions.journal import Journal
from runtime.sessions.performer import Performer, Surroundings
from runtime.sessions.session import Session
from runtime.step import REST, State
from runtime.step import events as ev
from runtime.stores.memory import MemoryStore
from runtime.vocab import (
    Decision,
    EffectClass,
    JsonObject,
    Message,
    Tape,
    ToolResult,
    ToolSpec,
    Toolset,
    Verdict,
    encode,
)

ALLOW = Verdict(Decision.ALLOW, "test.allow")


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
    """Answers the requests of each session in order. An exception in a script is raised there; a float sleeps."""

    answers: list[list[JsonObject | Exception | float]] = field(factory=list)
    requests: list[ModelRequest] = field(factory=list)
    repeat: bool = False

    async def stream(self, request: ModelRequest, tape: Tape, deliver: Deliver) -> Tape:
        self.requests.append(request)
        await trio.lowlevel.checkpoint()
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
        return tape.taking(tape.next)

    async def generate(self, request: ModelRequest, tape: Tape) -> tuple[JsonObject, Tape]:
        self.requests.append(request)
        await trio.lowlevel.checkpoint()
        return text("ok"), tape

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


@define(eq=False)
class FakeTool:
    """A tool that records its runs and does what it is told."""

    spec: ToolSpec
    does: Callable[[JsonObject, ToolContext], Any] | None = None
    runs: list[JsonObject] = field(factory=list)
    seconds: float = 0.0

    def check(self, args: JsonObject, context: ToolContext) -> str | None:
        return "args must not be wrong" if args.get("wrong") else None

    async def run(self, args: JsonObject, context: ToolContext) -> ToolResult:
        self.runs.append(args)
        with context.deadline(float("inf")):
            await trio.sleep(self.seconds)
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
    """The same context for every session."""

    tools: FakeTools
    built: int = 0

    async def build(self, settings: ev.Settings) -> ev.ContextBuilt:
        await trio.lowlevel.checkpoint()
        self.built += 1
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
    """Allows everything but the tools it was told to block; records what it saw."""

    blocked: set[str] = field(factory=set)
    seen: list[tuple[str, JsonObject]] = field(factory=list)
    seconds: float = 0.0

    def offers(self, spec: ToolSpec) -> bool:
        return True

    async def screen(self, session: str, message: Message) -> Verdict:
        await trio.sleep(self.seconds)
        return ALLOW

    async def call(self, session: str, spec: ToolSpec, args: JsonObject, labels: Sequence[str]) -> Verdict:
        await trio.sleep(self.seconds)
        self.seen.append((spec.name, args))
        if spec.name in self.blocked:
            return Verdict(Decision.BLOCK, "test.block", "not this one")
        return ALLOW

    async def reply(self, session: str, text: str) -> Verdict:
        await trio.sleep(self.seconds)
        return ALLOW


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
        """Wait until the session is as wanted; a minute of the (mock) clock at most."""
        with trio.fail_after(60):
            while not wanted(session):
                await session.changed.park()

    async def rest(self, session: Session) -> State:
        """Wait until the session has no open prompt and no message waiting."""
        await self.until(session, lambda one: one.state.phase in REST and not one.lane and one.state.prompt is not None)
        return session.state

    async def held(self, session: Session) -> State:
        """Wait until the session is held."""
        await self.until(session, lambda one: one.state.hold is not None)
        return session.state


@asynccontextmanager
async def running(
    *answers: Sequence[JsonObject | Exception | float],
    tools: FakeTools | None = None,
    judge: FakeJudge | None = None,
    store: MemoryStore | None = None,
    repeat: bool = False,
) -> AsyncIterator[World]:
    """A dispatcher that runs, with scripted answers."""
    kept = store if store is not None else MemoryStore()
    box = tools or toolbox()
    model = ScriptedModel([list(answer) for answer in answers], repeat=repeat)
    judging = judge or FakeJudge()
    contexts = FakeContexts(box)
    sent: list[tuple[str, str]] = []

    async def reply(session: Session, said: str) -> None:
        await trio.lowlevel.checkpoint()
        sent.append((session.id, said))

    around = Surroundings(Path("/nowhere"), Path("/nowhere/tmp"), Path("/nowhere/home"), {}, {})
    performer = Performer(judging, model, box, contexts, around, TrioClock(), CountingChance(), reply, unknown)
    journal = Journal(kept, TrioClock(), kept.codec)
    dispatcher = Dispatcher(journal, performer)
    async with trio.open_nursery() as nursery:
        await nursery.start(dispatcher.run)
        yield World(model, box, judging, contexts, dispatcher, kept, sent)
        nursery.cancel_scope.cancel()
    await kept.aclose()
