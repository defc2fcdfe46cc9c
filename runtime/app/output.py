"""The three output formats of a headless run (AGENT_LOOP section 8). Prints what steps say; decides nothing.

Whatever happens, stream-json has exactly one `init` first and one `result` last; the last word is `finish` or `fail`,
and only the first of them counts.
"""

import json
import re
from typing import Any, Final, Protocol, TextIO

from attrs import define, field

from runtime.app.clock import iso
from runtime.app.stats import Statistics
from runtime.ports import Clock
from runtime.step import Phase, Step, StepKind
from runtime.step.events import Chunk, Received, StreamBroke
from runtime.step.response import STRAY, parts_of, text_of
from runtime.step.state import Outcome, Turn

CONTROL: Final = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_].*?(?:\x07|\x1b\\|$)|[ -/]*[0-~])|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f]",
    re.DOTALL,
)
"""Terminal control sequences (ECMA-48) and single control characters other than tab, newline, carriage return."""

INVALID_TEXT: Final = {
    "THINKING_ONLY_RESPONSE": "The model returned thoughts but no answer.",
    "MAX_TOKENS_EXCEEDED": "The model reached its token limit before it said anything.",
    "SAFETY_BLOCKED": "The model response was blocked due to safety settings.",
    "RECITATION_BLOCKED": "The model response was blocked due to recitation/copyright filters.",
    "OTHER_BLOCKED": "The model response was blocked due to other policy settings.",
}


@define
class Ending:
    """How a run ended: its exit code, and the error as the machine formats show it.

    The json format shows an error of the API in its own words (`plain`), the others in brackets, as the peer does.
    """

    exit_code: int
    type: str = ""
    message: str = ""
    code: int | None = None
    invalid: bool = False
    plain: str = ""


class Output(Protocol):
    """Shows one run."""

    def begin(self, session: str, model: str) -> None:
        """The run begins."""

    def step(self, step: Step) -> None:
        """A step was taken."""

    def end(self, ending: Ending) -> None:
        """The run is over. Only the first call counts."""

    def end_plainly(self, ending: Ending) -> None:
        """As `end`, without the statistics, after that has failed."""


def cleaned(text: str, *, raw: bool) -> str:
    """Return model text without terminal control sequences, or as it is where the user asked for that."""
    return text if raw else CONTROL.sub("", text)


@define(eq=False)
class TextOutput:
    """Text as it comes, messages on stderr."""

    out: TextIO
    err: TextIO
    raw: bool = False
    _column: int = 0
    _ended: bool = False

    def begin(self, session: str, model: str) -> None:
        """Nothing is shown."""

    def step(self, step: Step) -> None:
        """Write the text of chunks; a line of its own before tools run; tool errors on stderr."""
        if isinstance(step.event, Chunk):
            text = cleaned(text_of(step.event.data), raw=self.raw)
            if text:
                self.out.write(text)
                self.out.flush()
                self._column = 0 if text.endswith("\n") else 1
        elif step.kind is StepKind.MODEL_RESPONSE and step.after.phase is Phase.CALLS:
            self._line()
        for name, message in tool_errors(step):
            self.err.write(f"Error executing tool {cleaned(name, raw=False)}: {cleaned(message, raw=False)}\n")
        if step.after.phase is Phase.RETRY and step.before.phase is Phase.STREAMING:
            seconds = step.after.turn.wait if step.after.turn else 0.0
            self.err.write(f"twinstep: {cleaned(reason(step), raw=False)}; trying again in {seconds:.1f} s.\n")

    def _line(self) -> None:
        if self._column:
            self.out.write("\n")
            self.out.flush()
            self._column = 0

    def end(self, ending: Ending) -> None:
        """Finish the line; say on stderr what went wrong."""
        if self._ended:
            return
        self._ended = True
        self._line()
        self.end_plainly(ending)

    def end_plainly(self, ending: Ending) -> None:
        """Say what went wrong."""
        if ending.message:
            who = "" if ending.message.startswith("[") else "twinstep: "
            self.err.write(f"{who}{cleaned(ending.message, raw=False)}\n")


@define(eq=False)
class StreamOutput:
    """One JSON object a line."""

    out: TextIO
    clock: Clock
    statistics: Statistics
    raw: bool = False
    _started: int = 0
    _begun: bool = False
    _ended: bool = False

    def begin(self, session: str, model: str) -> None:
        """Write `init`."""
        if self._begun:
            return
        self._begun = True
        self._started = self.clock.mono()
        self._emit("init", session_id=session, model=model)

    def step(self, step: Step) -> None:
        """Write the events that the step stands for."""
        event = step.event
        if isinstance(event, Received):
            self._emit("message", role="user", content=event.message.text)
        elif isinstance(event, Chunk):
            self._chunk(event)
        elif step.after.phase is Phase.RETRY and step.before.phase is Phase.STREAMING and step.after.turn:
            wait = round(step.after.turn.wait * 1000)
            self._emit("retry", attempt=_attempt(step.after.turn), wait_ms=wait, message=reason(step))
        for turn in settled(step):
            for call in turn.calls:
                self._result(call.id, call.result)

    def _chunk(self, event: Chunk) -> None:
        text = cleaned(text_of(event.data), raw=self.raw)
        if text:
            self._emit("message", role="assistant", content=text, delta=True)
        for part in parts_of(event.data):
            call = part.get("functionCall")
            if isinstance(call, dict):
                given = call["args"].get(STRAY, call["args"])  # as the peer shows it
                self._emit("tool_use", tool_name=call["name"], tool_id=call["id"], parameters=given)

    def _result(self, name: str, result: Any) -> None:
        more: dict[str, Any] = {} if result.display is None else {"output": result.display}
        if result.error is not None:
            more["error"] = {"type": result.error.type, "message": result.error.message}
        self._emit("tool_result", tool_id=name, status="error" if result.error else "success", **more)

    def end(self, ending: Ending) -> None:
        """Write `result`, after an `error` event where the stream of the model was no good."""
        if self._ended:
            return
        self._ended = True
        if ending.invalid:
            self._emit("error", severity="error", message=ending.message)
        took = (self.clock.mono() - self._started) // 1_000_000
        self._last(ending, self.statistics.stream(took))

    def end_plainly(self, ending: Ending) -> None:
        """Write `result` with the error alone."""
        self._last(ending, {})

    def _last(self, ending: Ending, stats: dict[str, Any]) -> None:
        error = {"type": ending.type, "message": ending.message}
        if ending.type and not ending.invalid:
            self._emit("result", status="error", error=error, stats=stats)
        else:
            self._emit("result", status="error" if ending.type else "success", stats=stats)

    def _emit(self, kind: str, **members: Any) -> None:
        line = json.dumps({"type": kind, "timestamp": iso(self.clock.wall()), **members}, ensure_ascii=False)
        self.out.write(f"{line.encode(errors='replace').decode()}\n")
        self.out.flush()


@define(eq=False)
class JsonOutput:
    """One JSON object at the end."""

    out: TextIO
    err: TextIO
    statistics: Statistics
    raw: bool = False
    _session: str = ""
    _text: list[str] = field(factory=list)
    _ended: bool = False

    def begin(self, session: str, model: str) -> None:
        """Remember the session."""
        self._session = session

    def step(self, step: Step) -> None:
        """Collect the text of the last turn."""
        if step.kind is StepKind.MODEL_REQUEST:
            self._text.clear()
        if isinstance(step.event, Chunk):
            self._text.append(cleaned(text_of(step.event.data), raw=self.raw))

    def end(self, ending: Ending) -> None:
        """Write the object: to stdout when the run is done, to stderr when it failed."""
        if self._ended:
            return
        self._ended = True
        if ending.type and not ending.invalid:
            kind, text = ("Error", ending.plain) if ending.plain else (ending.type, ending.message)
            error: dict[str, Any] = {"type": kind, "message": text}
            if ending.code is not None:
                error["code"] = ending.code
            self._write(self.err, {"session_id": self._session, "error": error})
            return
        whole: dict[str, Any] = {"session_id": self._session, "response": "".join(self._text)}
        whole["stats"] = self.statistics.whole()
        if ending.invalid:
            whole["error"] = {"type": "INVALID_STREAM", "message": ending.message}
        self._write(self.out, whole)

    def end_plainly(self, ending: Ending) -> None:
        """Write the error alone."""
        error = {"type": ending.type, "message": ending.message}
        self._write(self.err, {"session_id": self._session, "error": error})

    def _write(self, file: TextIO, whole: dict[str, Any]) -> None:
        text = json.dumps(whole, indent=2, ensure_ascii=False)
        file.write(f"{text.encode(errors='replace').decode()}\n")
        file.flush()


def settled(step: Step) -> tuple[Turn, ...]:
    """Return the turn whose calls are now all answered, if this step was the one."""
    was = step.before.turn
    open_before = was is not None and bool(was.calls) and step.before.phase is Phase.CALLS
    if not open_before or step.after.phase is Phase.CALLS:
        return ()
    turn = step.after.turn
    if turn is not None:
        return (turn,)
    return ()


def tool_errors(step: Step) -> list[tuple[str, str]]:
    """Return (tool, message) of the calls that failed in the turn that this step settled."""
    return [
        (call.name, call.result.display or call.result.error.message)
        for turn in settled(step)
        for call in turn.calls
        if call.result is not None and call.result.error is not None
    ]


def reason(step: Step) -> str:
    """Return why a request is tried again."""
    if isinstance(step.event, StreamBroke):
        return step.event.message.rstrip(".")
    return "the answer of the model was empty, cut or malformed"


def _attempt(turn: Turn) -> int:
    return turn.broken + turn.invalid + 1


def ending_of(outcome: Outcome, *, machine_format: bool) -> Ending:
    """Return how the run ends, for the outcome of its prompt (exit codes: AGENT_LOOP section 8)."""
    if outcome.status in ("done", "refused"):
        return Ending(0, message=outcome.message)
    if outcome.code == "turn_limit":
        return Ending(53, "FatalTurnLimitedError", outcome.message, 53)
    if outcome.code == "fatal_tool":
        return Ending(54, "FatalToolExecutionError", outcome.message, 54)
    if outcome.code.startswith("invalid_stream."):
        kind = outcome.code.partition(".")[2]
        return Ending(1, "INVALID_STREAM", INVALID_TEXT.get(kind, outcome.message), invalid=True)
    if outcome.status == "cancelled":
        return Ending(130, "FatalCancellationError", outcome.message, 130)
    return _api_error(outcome, machine_format)


def _api_error(outcome: Outcome, machine_format: bool) -> Ending:
    numeric = outcome.http >= 400 and outcome.http != 404
    text = outcome.body if numeric and outcome.body else outcome.message
    exit_code = outcome.http & 0xFF if numeric and machine_format else 1
    return Ending(exit_code or 1, "unknown", f"[API Error: {text}]", outcome.http or None, plain=text)
