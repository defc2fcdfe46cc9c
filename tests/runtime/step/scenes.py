"""Short ways to bring a session to a place. Knows the events of a well-behaved world, and no assertion."""

from collections.abc import Iterator
from typing import Any, Final, Self

from attrs import define, field

from runtime.step import Phase, Settings, State, Step, advance, ready
from runtime.step import events as ev
from runtime.step.state import Call
from runtime.step.table import HOOK_BEFORE, CallPhase
from runtime.vocab import Content, Decision, JsonObject, Message, ToolResult, Toolset, Verdict

ALLOW: Final = Verdict(Decision.ALLOW, "test.allow")
REVIEW: Final = Verdict(Decision.REVIEW, "test.review", "ask somebody")
BLOCK: Final = Verdict(Decision.BLOCK, "test.block", "not here")
STAMP: Final = 1_700_000_000_000

TOOLS: Final = Toolset(
    names=("read_file", "glob", "write_file", "replace", "run_shell_command", "update_topic"),
    serial=("run_shell_command",),
    effects={
        "read_file": "pure",
        "glob": "idempotent",
        "write_file": "compensable",
        "run_shell_command": "irreversible",
    },
    declarations='[{"name":"read_file"}]',
)
OPENING: Final = ({"text": "<session_context>"},)
CONTEXT: Final = ev.ContextBuilt("be brief", TOOLS, OPENING)
SHORTER: Final = (Content("user", ({"text": "what was said"},)), Content("model", ({"text": "I see."},)))


def message(text: str = "hello", name: str = "m1") -> Message:
    """A message of a person."""
    return Message(name, text, ({"text": text},))


def said(text: str, finish: str = "", **more: Any) -> ev.Chunk:
    """A chunk with text; `more` are further members of the part."""
    return chunk({"text": text, **more}, finish=finish)


def called(*calls: str | JsonObject, finish: str = "") -> ev.Chunk:
    """A chunk with tool calls: names, or objects with `name`, `args`, `id`. A name alone gets the id `c0`, `c1` …"""
    named = [{"name": one, "args": {}, "id": f"c{n}"} if isinstance(one, str) else one for n, one in enumerate(calls)]
    return chunk(*({"functionCall": one} for one in named), finish=finish)


def chunk(*parts: JsonObject, finish: str = "", usage: JsonObject | None = None) -> ev.Chunk:
    """A chunk with these parts."""
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}}
    if finish:
        candidate["finishReason"] = finish
    return ev.Chunk({"candidates": [candidate]} | ({"usageMetadata": usage} if usage else {}))


def output(text: str = "ok") -> ToolResult:
    """The result of a tool that went well."""
    return ToolResult(output=text, display=text)


def copy_of(state: State) -> ev.Forked:
    """The event with which a copy of a session begins."""
    return ev.Forked(state, state.session, state.seq, state.digest.hex(), "me")


@define
class Run:
    """One session and the steps that it took. `give` applies events, `go` takes the step that is ready."""

    state: State
    steps: list[Step] = field(factory=list)

    @classmethod
    def opened(cls, **settings: Any) -> Self:
        """A session at rest, before its first message."""
        return cls(State("s1")).give(ev.Opened(Settings(**{"model": "gemini-x", **settings})))

    @property
    def last(self) -> Step:
        """The newest step."""
        return self.steps[-1]

    @property
    def effects(self) -> Any:
        """The effects of the newest step."""
        return self.steps[-1].effects

    @property
    def calls(self) -> dict[str, Any]:
        """Where each call of the turn stands."""
        return {call.id: call.phase for call in self.state.turn.calls} if self.state.turn else {}

    def give(self, *events: ev.Event) -> Self:
        """Apply events."""
        for event in events:
            step = advance(self.state, event)
            self.steps.append(step)
            self.state = step.after
        return self

    def go(self, *calls: str) -> Self:
        """Take the step that is ready, or for each of `calls` the one of that call."""
        for call in calls or ("",):
            self.give(next(one for one in ready(self.state) if one.call == call))
        return self

    def say(self, text: str = "hello", name: str = "m1") -> Self:
        """A message comes in."""
        return self.give(ev.Received(message(text, name)))

    def until(self, phase: Phase) -> Self:
        """Go on, in a world where all goes well, until the session comes to `phase`."""
        for _ in range(100):
            if self.state.phase is phase:
                return self
            self.give(*kindly(self.state))
        raise AssertionError(f"{phase} was not reached from {self.state.phase}")

    def asked(self, text: str = "hello") -> Self:
        """A message came in and the model was asked."""
        return self.say(text).until(Phase.STREAMING)

    def answered(self, *chunks: ev.Chunk, **ending: Any) -> Self:
        """The model answers with these chunks, and the stream ends in order."""
        return self.give(*chunks, ev.StreamEnded(STAMP, **ending))

    def calling(self, *calls: str | JsonObject) -> Self:
        """The model was asked, and answers with these tool calls."""
        return self.asked().answered(called(*calls))

    def judged(self, *calls: str, verdict: Verdict = ALLOW) -> Self:
        """The judge looks at these calls, one after the other."""
        for call in calls:
            self.go(call).give(ev.Judged(call, verdict, self.revision(call)))
        return self

    def ran(self, *calls: str) -> Self:
        """These calls run, one after the other, and go well."""
        for call in calls:
            self.go(call).give(ev.Finished(call, output(f"result of {call}")))
        return self

    def revision(self, call: str) -> int:
        """Which arguments of the call are in force."""
        return self.call(call).revision

    def call(self, name: str) -> Call:
        """The call with that id."""
        found = self.state.turn.call(name) if self.state.turn else None
        assert found is not None
        return found


def kindly(state: State) -> Iterator[ev.Event]:
    """What happens next where all goes well."""
    wanted = ready(state)
    if wanted:
        yield wanted[0]
        return
    match state.phase:
        case Phase.SCREENING:
            yield ev.Screened(ALLOW)
        case Phase.BUILDING:
            yield CONTEXT
        case Phase.COMPRESSING:
            yield ev.Compressed(None)
        case Phase.HOOKING:
            yield ev.Hooked(HOOK_BEFORE[state.after_hook] if state.after_hook else "")
        case Phase.STREAMING:
            yield said("done", "STOP")
            yield ev.StreamEnded(STAMP)
        case Phase.RETRYING:
            yield ev.Waited()
        case Phase.REPLYING:
            yield ev.Vetted(ALLOW)
        case Phase.SENDING:
            yield ev.Sent()
        case Phase.CALLS:
            yield answer_of_call(state)
        case _:
            yield ev.Received(message())


def answer_of_call(state: State) -> ev.Event:
    """The good outcome of the first call that waits for one."""
    assert state.turn is not None
    for call in state.turn.calls:
        match call.phase:
            case CallPhase.JUDGING:
                return ev.Judged(call.id, ALLOW, call.revision)
            case CallPhase.APPROVING:
                return ev.Approved(call.id, "somebody")
            case CallPhase.RUNNING:
                return ev.Finished(call.id, output(f"result of {call.id}"))
    raise AssertionError("no call waits")


READ: Final = "read_file__c0"
"""The id, inside the program, of a first call to `read_file` whose id on the wire is `c0`."""


def places() -> dict[Phase, Run]:
    """A session in every phase."""
    hooked = {"hooks": ("BeforeAgent",)}
    long = {"compress_at": 10}
    tired = chunk({"text": "done"}, finish="STOP", usage={"promptTokenCount": 11})
    found = {
        Phase.NEW: Run(State("s1")),
        Phase.IDLE: Run.opened(),
        Phase.SCREEN: Run.opened().say(),
        Phase.SCREENING: Run.opened().say().go(),
        Phase.TURN: Run.opened().say().until(Phase.TURN),
        Phase.BUILD: Run.opened().say().until(Phase.BUILD),
        Phase.BUILDING: Run.opened().say().until(Phase.BUILDING),
        Phase.COMPRESS: Run.opened(**long).asked().answered(tired).until(Phase.DONE).say().until(Phase.COMPRESS),
        Phase.COMPRESSING: Run.opened(**long).asked().answered(tired).until(Phase.DONE).say().until(Phase.COMPRESSING),
        Phase.HOOK: Run.opened(**hooked).say().until(Phase.HOOK),
        Phase.HOOKING: Run.opened(**hooked).say().until(Phase.HOOKING),
        Phase.REQUEST: Run.opened().say().until(Phase.REQUEST),
        Phase.STREAMING: Run.opened().asked().give(said("half")),
        Phase.RETRY: Run.opened().asked().give(ev.StreamBroke("network", "reset")),
        Phase.RETRYING: Run.opened().asked().give(ev.StreamBroke("network", "reset")).go(),
        Phase.CALLS: Run.opened(interactive=True).calling("read_file", "write_file"),
        Phase.TURN_END: Run.opened().asked().answered(said("done", "STOP")),
        Phase.REPLY: Run.opened().asked().until(Phase.REPLY),
        Phase.REPLYING: Run.opened().asked().until(Phase.REPLYING),
        Phase.SEND: Run.opened().asked().until(Phase.SEND),
        Phase.SENDING: Run.opened().asked().until(Phase.SENDING),
        Phase.DONE: Run.opened().asked().until(Phase.DONE),
        Phase.REFUSED: Run.opened().say().go().give(ev.Screened(BLOCK)),
        Phase.FAILED: Run.opened().asked().give(ev.Fault("Ask", "broken")),
        Phase.CANCELLED: Run.opened().asked().give(ev.Cancelled("user")),
        Phase.CLOSED: Run.opened().give(ev.Closed("bye")),
    }
    assert [run.state.phase for run in found.values()] == list(found)
    return found


def call_places() -> dict[CallPhase, tuple[Run, str]]:
    """A call in every phase, with its id."""

    def start(*calls: str) -> Run:
        return Run.opened(interactive=True).calling(*calls)

    found = {
        CallPhase.QUEUED: (start("read_file", "write_file"), "write_file__c1"),
        CallPhase.JUDGE: (start("read_file"), READ),
        CallPhase.JUDGING: (start("read_file").go(READ), READ),
        CallPhase.APPROVE: (start("read_file").judged(READ, verdict=REVIEW), READ),
        CallPhase.APPROVING: (start("read_file").judged(READ, verdict=REVIEW).go(READ), READ),
        CallPhase.SCHEDULED: (start("read_file", "glob").judged(READ), READ),
        CallPhase.RUNNING: (start("read_file").judged(READ).go(READ), READ),
        CallPhase.FINISHED: (start("read_file", "write_file").judged(READ).ran(READ), READ),
    }
    assert [run.calls[call] for run, call in found.values()] == list(found)
    return found
