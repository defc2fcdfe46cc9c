"""Performs effects: judge, model, tools, context, reply. Brings each outcome back as an event; changes no state.

Every external wait has a deadline that freezes with the session. What goes wrong here becomes an event too.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from attrs import define, field, frozen

from runtime.errors import ModelError
from runtime.ports import Chance, Clock, Judge, Labeller, Model, ModelRequest, Tool, ToolContext
from runtime.provenance import NOTHING, marked
from runtime.sessions.labelling import asked_of, joining, labels_of, noted
from runtime.sessions.session import Session
from runtime.step import Event, State, effects
from runtime.step import events as ev
from runtime.step.response import named, stray
from runtime.step.state import Call
from runtime.vocab import Decision, JsonObject, Tape, ToolResult, Verdict, evolve

JUDGE_SECONDS: Final = 30.0
CONTEXT_SECONDS: Final = 30.0
SEND_SECONDS: Final = 60.0
TOOL_SECONDS: Final = 3_600.0
"""Upper bounds on each wait. A judge that does not answer in time has said review, never allow."""

Deliver = Callable[[Event], Awaitable[None]]


class Tools(Protocol):
    """The tools of a runtime (`runtime.tools.Registry`)."""

    def get(self, name: str) -> Tool | None:
        """Return the tool of that name, old names included, or None."""


class Contexts(Protocol):
    """Builds what the model is told about the world."""

    async def build(self, settings: ev.Settings) -> ev.ContextBuilt:
        """Return the context for a session with these settings."""


Reply = Callable[[Session, str], Awaitable[None]]
Perform = Callable[[Session, effects.Effect, Deliver], Awaitable[Event]]
Instead = Callable[[Session, effects.Effect, Deliver, Perform], Awaitable[Event]]
"""Stands in for the performing of an effect, which it is handed; for faults that somebody wants to see handled."""
Around = Callable[[ev.Settings], "Surroundings"]


@frozen
class Surroundings:
    """What tools may see of the machine."""

    workspace: Path
    scratch: Path
    home: Path
    environ: Mapping[str, str]
    options: Mapping[str, Any]


@define(eq=False)
class Performer:
    """One for a runtime. It cannot be built without a judge.

    `unknown(name, offered)` is the sentence for a call of a tool that is not there. `reply` hands an answer to the
    outbox. `live` shows what a running tool prints, `overhear` hears it first. `ask` asks a person about a call and
    returns `Approved` or `Denied`. `labeller` knows where results come from; without one, the flows of tools say it.
    """

    judge: Judge
    model: Model
    tools: Tools
    contexts: Contexts
    surroundings: Around
    clock: Clock
    chance: Chance
    reply: Reply
    unknown: Callable[[str, Iterable[str]], str]
    live: Callable[[Session, str, str], None] = field(default=lambda session, call, text: None)
    ask: Callable[[Session, Call], Awaitable[Event]] | None = None
    overhear: Callable[[Session, str, str], None] | None = None
    instead: Instead | None = None
    labeller: Labeller | None = None

    async def perform(self, session: Session, effect: effects.Effect, deliver: Deliver) -> Event:
        """Do what `effect` names and return its outcome; chunks on the way go to `deliver`."""
        if self.instead is not None:
            return await self.instead(session, effect, deliver, self._perform)
        return await self._perform(session, effect, deliver)

    def tell(self, session: Session, call: str, text: str) -> None:
        """Show what a running tool prints; while the session is held it is kept, as far as there is room.

        What there is no room for is not shown: it is in the result of the call.
        """
        if self.overhear is not None:
            self.overhear(session, call, text)
        if session.state.hold is None:
            self.live(session, call, text)
        else:
            session.keep(call, text)

    def told(self, session: Session) -> None:
        """Show what was kept while the session was held."""
        while session.unshown:
            self.live(session, *session.unshown.popleft())

    async def _perform(self, session: Session, effect: effects.Effect, deliver: Deliver) -> Event:
        match effect:
            case effects.Screen(message):
                return ev.Screened(await self._verdict(session, self.judge.screen(session.id, message)))
            case effects.BuildContext():
                return await self._context(session)
            case effects.Ask(request, tape):
                return await self._ask(request, tape, deliver)
            case effects.Wait(seconds):
                await session.deadlines.sleep(seconds, "retry")
                return ev.Waited()
            case effects.JudgeCall():
                return await self._judge(session, effect)
            case effects.AskPerson(call):
                if self.ask is None:
                    return ev.Denied(call.id, "system", "nobody can be asked in this run")
                return await self.ask(session, call)
            case effects.RunTool():
                return await self._run(session, effect)
            case effects.JudgeReply(text):
                return ev.Vetted(await self._verdict(session, self.judge.reply(session.id, text)))
            case effects.Send(text):
                return await self._send(session, text)
            case effects.Compress():
                return ev.Compressed(None)
            case effects.RunHook(event):
                return ev.Hooked(event)

    async def _verdict(self, session: Session, asked: Awaitable[Verdict], call: str = "") -> Verdict:
        with session.deadlines.within(JUDGE_SECONDS, "judge", call):
            return await asked
        return Verdict(Decision.REVIEW, "judge.deadline", f"The judge gave no verdict in {JUDGE_SECONDS:.0f} s.")

    async def _context(self, session: Session) -> Event:
        with session.deadlines.within(CONTEXT_SECONDS, "context"):
            return await self.contexts.build(session.state.settings)
        return ev.Fault("context.build", f"The context was not built in {CONTEXT_SECONDS:.0f} s.", "context")

    async def _ask(self, request: ModelRequest, tape: Tape, deliver: Deliver) -> Event:
        seen: list[str] = []

        async def pass_on(chunk: JsonObject) -> None:
            await deliver(ev.Chunk(named(chunk, self.clock.wall(), seen)))

        try:
            after = await self.model.stream(request, tape, pass_on)
        except ModelError as exc:
            return ev.StreamBroke(
                kind=exc.kind,
                message=str(exc),
                status=exc.status,
                hint=exc.hint,
                terminal=exc.terminal,
                body=exc.body,
                chance=self.chance.random(),
            )
        return ev.StreamEnded(self.clock.wall(), tape=None if after == tape else after)

    def checked(self, session: Session, state: State, call: Call) -> Tool | ToolResult:
        """Return the tool of a call, or the result that the model gets in place of a verdict: there is no such tool in
        this state of the session, or it does not take these arguments."""
        offered = state.context.toolset.names if state.context else ()
        tool = self.tools.get(call.name)
        if tool is None or tool.spec.name not in offered:
            return ToolResult.failed("tool_not_registered", self.unknown(call.name, offered))
        wrong = _checked(tool, call.args, self._tool_context(session, call.id, state.tape, []))
        return tool if wrong is None else wrong

    async def _judge(self, session: Session, effect: effects.JudgeCall) -> Event:
        call = effect.call
        tool = self.checked(session, session.state, call)
        if isinstance(tool, ToolResult):
            return ev.Invalid(call.id, tool, call.revision)
        asked = asked_of(session.state, tool.spec, call)
        verdict = await self._verdict(session, self.judge.call(session.id, asked), call.id)
        return ev.Judged(call.id, verdict, call.revision)

    async def _run(self, session: Session, effect: effects.RunTool) -> Event:
        call, used = effect.call, list[int]()
        tool = self.tools.get(call.name)
        if tool is None:
            return ev.Finished(call.id, ToolResult.failed("tool_not_registered", self.unknown(call.name, ())))
        context = self._tool_context(session, call.id, effect.tape, used)
        result = ToolResult.failed(
            "execution_failed", f"The tool did not end within {TOOL_SECONDS:.0f} s and was stopped."
        )
        began, started = self.clock.wall(), self.clock.mono()
        asked = asked_of(session.state, tool.spec, call)
        if self.labeller is not None:
            await self.labeller.begin(session.id, asked, began)
        with session.deadlines.within(TOOL_SECONDS, "tool", call.id):
            result = await self._guarded(tool, call.args, context)
        took = (self.clock.mono() - started) // 1_000_000
        fatal = result.error is not None and result.error.type == "no_space_left"
        labels = labels_of(asked, result)
        if self.labeller is not None and not marked(result.labels):
            labels = (*await self.labeller.labels(session.id, asked, result, began), *result.labels)
        result = _timed(result, took, tuple(used), labels)
        provenance = NOTHING.plus(result.labels)
        verdict = await self._verdict(
            session, self.judge.result(session.id, tool.spec, call.args, result, provenance), call.id
        )
        return ev.Finished(call.id, joining(call, result, verdict), fatal, noted(verdict))

    async def _guarded(self, tool: Tool, args: JsonObject, context: ToolContext) -> ToolResult:
        try:
            result: object = await tool.run(args, context)
        except Exception as exc:  # noqa: BLE001 - a tool that breaks its port fails alone; the model is told
            return _unhandled(exc)
        if isinstance(result, ToolResult):
            return result
        return ToolResult.failed("unhandled_exception", f"The tool returned no result but {type(result).__name__}.")

    def _tool_context(self, session: Session, call: str, tape: Tape, used: list[int]) -> ToolContext:
        around = self.surroundings(session.state.settings)
        place = tape

        async def generate(request: ModelRequest) -> JsonObject:
            nonlocal place
            answer, after = await self.model.generate(request, place)
            used.extend(sorted({*after.used, *range(place.next, after.next)} - set(place.used)))
            place = after
            return answer

        return ToolContext(
            session=session.id,
            call=call,
            workspace=around.workspace,
            scratch=around.scratch,
            home=around.home,
            environ=around.environ,
            options=around.options,
            model=session.state.settings.model,
            clock=self.clock,
            processes=session.processes.of(call),
            generate=generate,
            deadline=lambda seconds: session.deadlines.within(seconds, "limit", call),
            live=lambda text: self.tell(session, call, text),
        )

    async def _send(self, session: Session, text: str) -> Event:
        with session.deadlines.within(SEND_SECONDS, "reply"):
            await self.reply(session, text)
            return ev.Sent()
        return ev.Fault("reply.send", f"The reply was not taken in {SEND_SECONDS:.0f} s.", "send")


def _checked(tool: Tool, args: JsonObject, context: ToolContext) -> ToolResult | None:
    try:
        problem = stray(args) or tool.check(args, context)
    except Exception as exc:  # noqa: BLE001 - as in `_guarded`
        return _unhandled(exc)
    return None if problem is None else ToolResult.failed("invalid_tool_params", problem)


def _unhandled(exc: Exception) -> ToolResult:
    return ToolResult.failed("unhandled_exception", f"{type(exc).__name__}: {exc}")


def _timed(result: ToolResult, milliseconds: int, tape: tuple[int, ...], labels: tuple[str, ...]) -> ToolResult:
    return evolve(result, milliseconds=milliseconds, tape=tape, labels=labels)
