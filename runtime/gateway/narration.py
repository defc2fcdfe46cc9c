"""What clients are told of a run: each step of its session as `agent` and `chat` events (CONTRACT section 6). Pure.

Rules: `seq` counts the `agent` events of a run, and a `chat` event carries the number of the one that it mirrors; text
is cumulative and paced, and what was held back is told before the end; a run has exactly one terminal `chat` event.
Knows no connection and no clock: time comes with each step.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import define, field, frozen

from runtime.gateway.failures import Failure, failure_of
from runtime.step import OPEN, Step
from runtime.step import events as ev
from runtime.step.calls import handed_over
from runtime.step.effects import Ask, AskPerson, RunTool
from runtime.step.response import finish_of
from runtime.step.state import Call, Outcome, State
from runtime.step.table import CallPhase, Phase
from runtime.vocab import JsonObject, ToolResult

PACE_MS: Final = 75
"""Between two `chat` deltas of a run (measured, CONTRACT section 6)."""
LEFT: Final = "branch"
"""Why a run was given up whose session has gone back to a moment before it."""
TOOL_EVENTS: Final = "tool-events"
"""The capability of clients that want to hear of tools in full."""
NO_USAGE: Final = {"input": 0, "output": 0, "totalTokens": 0}
STOPS: Final[Mapping[str, str]] = {"MAX_TOKENS": "length"}
"""Why an answer ended, as clients read it, where it did not just end."""
COMMANDS: Final = frozenset({"exec", "process"})


@frozen
class Told:
    """One event. With `cap` only for connections that have this capability."""

    event: str
    payload: dict[str, Any]
    cap: str = ""


@frozen
class Subject:
    """Whose run it is. `kind` is `chat` (announces its phases) or `agent`."""

    run: str
    key: str
    session: str
    agent: str
    kind: str
    provider: str
    model: str
    item: str
    source: str = ""


@define
class Narration:
    """Tells one run, from the step that takes its message to the one that ends it."""

    subject: Subject
    seq: int = 0
    started: int = 0
    asked: int = 0
    before: str = ""
    text: str = ""
    told: str = ""
    paced: int = 0
    input: int = 0
    output: int = 0
    total: int = 0
    reason: str = "stop"
    stop: str = "stop"
    finish: str = ""
    failure: Failure | None = None
    changes: bool = False
    over: bool = False
    tools: list[str] = field(factory=list)
    running: dict[str, tuple[int, Call]] = field(factory=dict)
    shown_live: set[str] = field(factory=set)

    def step(self, step: Step, now: int) -> list[Told]:
        """Return what this step is to clients, in order. `now` is in milliseconds since 1970."""
        told = list(self._step(step, now))
        self.over = self.over or (step.before.phase in OPEN and step.after.phase not in OPEN)
        return told

    def live(self, call: str, text: str, now: int) -> list[Told]:
        """Return what the output of a running tool is to clients."""
        return list(self._live(call, text, now))

    def note(self, data: dict[str, Any], now: int) -> list[Told]:
        """Return a lifecycle event of its own."""
        return [self._lifecycle(data, now)]

    def broken(self) -> Told:
        """Return the end of a run that could not be told to its end: its last word is still due."""
        self.over = True
        return self._chat({"state": "error", "errorMessage": "internal error"})

    def left(self, now: int) -> list[Told]:
        """Return the end of a run that its session has left by going back."""
        self.over, self.reason = True, LEFT
        return list(self._aborted(now))

    def _step(self, step: Step, now: int) -> Iterator[Told]:
        match step.event:
            case ev.Received():
                self.started = now
                yield from self._status("preparing_workspace", now)
                yield from self._status("preparing_context", now)
            case ev.Go():
                yield from self._effects(step, now)
            case ev.Chunk(data):
                yield from self._chunk(data, now)
            case ev.StreamEnded():
                yield from self._answered(step, now)
            case ev.StreamBroke():
                yield from self._broke(step, now)
            case ev.Finished(call, result):
                yield from self._finished(step, call, result, now)
            case ev.Judged() | ev.Invalid() | ev.Denied():
                yield from self._not_run(step, now)
            case ev.Branched():
                yield from self._gone_back(step.after, now)
        if step.before.phase in OPEN and step.after.phase not in OPEN:
            yield from self._ended(step.after, now)

    # --- the model

    def _effects(self, step: Step, now: int) -> Iterator[Told]:
        for effect in step.effects:
            if isinstance(effect, Ask):
                yield from self._ask(step.after, now)
            elif isinstance(effect, (RunTool, AskPerson)) and effect.call.id not in self.running:
                yield from self._tool_start(effect.call, now)

    def _ask(self, state: State, now: int) -> Iterator[Told]:
        turn = state.turn
        again = turn is not None and bool(turn.broken or turn.invalid)
        if again:
            yield from self._status("preparing_context", now)
        self.failure = None
        if again or not self.asked:
            yield self._lifecycle({"phase": "start", "startedAt": self.started}, now)
            yield from self._status("starting_model", now)
        self.asked += 1
        self.finish = ""
        yield self._model(now)
        if self.text:
            self.before = self._shown()
            self.text = ""

    def _chunk(self, data: JsonObject, now: int) -> Iterator[Told]:
        self.finish = finish_of(data) or self.finish
        fresh = visible(data)
        if not fresh:
            return
        old = self.text.rstrip()
        self.text += fresh
        new = self.text.rstrip()
        if new == old:
            return
        said = {"text": new, "delta": new[len(old) :], "itemId": f"{self.subject.item}:{self.asked}"}
        yield self._agent("assistant", said, now)
        if not 0 <= now - self.paced < PACE_MS:  # also where the clock was set back
            yield from self._delta(now)

    def _delta(self, now: int) -> Iterator[Told]:
        shown = self._shown()
        if shown == self.told:
            return
        goes_on = shown.startswith(self.told)
        delta: dict[str, Any] = {"state": "delta", "deltaText": shown[len(self.told) :] if goes_on else shown}
        delta |= {"message": message(shown, now), **({} if goes_on else {"replace": True})}
        self.told, self.paced = shown, now
        yield self._chat(delta)

    def _shown(self) -> str:
        text = self.text.rstrip()
        return f"{self.before}\n\n{text}" if self.before and text else self.before or text

    def _answered(self, step: Step, now: int) -> Iterator[Told]:
        used, before = step.after.usage, step.before.usage
        self.input += used.prompt - before.prompt
        self.output += used.candidates - before.candidates
        self.total += used.total - before.total
        yield self._agent("usage", {"outputTokens": self.output}, now)
        for call in step.after.turn.calls if step.after.turn is not None else ():
            if call.phase is CallPhase.FINISHED and call.result is not None:  # its sender runs it
                yield from self._tool_start(call, now)
                yield from self._result(call, call.result, now)
        if step.after.phase is Phase.RETRY:  # an answer that does not count: the model is asked again
            yield self._finishing(now)
            if self.text:
                yield self._taken_back(now)

    def _broke(self, step: Step, now: int) -> Iterator[Told]:
        if step.after.phase is Phase.RETRY and isinstance(step.event, ev.StreamBroke):
            outcome = Outcome("failed", f"model.{step.event.kind}", step.event.message, step.event.status)
            yield from self._retry(step.after, failure_of(outcome, self.subject), now)

    def _retry(self, state: State, failure: Failure, now: int) -> Iterator[Told]:
        turn = state.turn
        assert turn is not None
        self.failure = failure
        tried, most = turn.broken + turn.invalid, state.settings.max_attempts
        yield self._lifecycle(
            {"phase": "finishing", **failure.observed(self.subject), "aborted": False, "endedAt": now}, now
        )
        retry = {"attempt": tried + 1, "maxAttempts": most, "reason": failure.reason}
        yield self._chat({"state": "status", "phase": "starting_model", "retry": retry}, ahead=True)
        wait = round(turn.wait * 1000)
        text = f"The model could not answer. Trying again in {turn.wait:.0f} s ({tried}/{most - 1})."
        about = {"message": text, "retryAttempt": tried, "maxRetries": most - 1, "delayMs": wait}
        yield self._agent("run_status", {"phase": "retrying", **about, **retry}, now)
        yield self._taken_back(now)

    def _taken_back(self, now: int) -> Told:
        """What an answer said so far that did not come to its end does not count."""
        self.text = ""
        item = f"{self.subject.item}:{self.asked}"
        return self._agent("assistant", {"itemId": item, "text": "", "delta": "", "replace": True}, now)

    def _gone_back(self, state: State, now: int) -> Iterator[Told]:
        """The session stands on another branch: what was said on the one that it left is not said here."""
        for _, call in tuple(self.running.values()):
            found = state.turn.call(call.id) if state.turn is not None else None
            result = found.result if found is not None else None
            yield from self._result(call, result or ToolResult.failed("cancelled", "Aborted"), now)
        if self.text:
            yield self._taken_back(now)
        self.before = said_before(state)

    # --- tools

    def _tool_start(self, call: Call, now: int) -> Iterator[Told]:
        self.running[call.id] = (now, call)
        yield self._agent("item", self._item(call, "start", "running") | {"startedAt": now}, now)
        start = {"phase": "start", "name": call.name, "toolCallId": call.id, "args": call.args}
        yield self._agent("tool", start, now, cap=TOOL_EVENTS)

    def _live(self, call: str, text: str, now: int) -> Iterator[Told]:
        if call not in self.running:
            return
        began, told = self.running[call]
        details = {"status": "running", "startedAt": began, "tail": text, "sessionId": "", "pid": 0, "cwd": ""}
        partial = {"content": [{"type": "text", "text": text}], "details": details}
        update = {"phase": "update", "name": told.name, "toolCallId": call, "partialResult": partial}
        yield self._agent("tool", update, now, cap=TOOL_EVENTS)
        yield self._agent("item", self._item(told, "update", "running"), now)
        if told.name == "exec":
            self.shown_live.add(call)
            yield from self._output(told, {"aggregated": text.rstrip("\n")}, "delta", now)

    def _finished(self, step: Step, name: str, result: ToolResult, now: int) -> Iterator[Told]:
        call = step.before.turn.call(name) if step.before.turn else None
        if call is not None:
            yield from self._result(call, result, now)

    def _not_run(self, step: Step, now: int) -> Iterator[Told]:
        """A call that was refused ends without having begun: it is told as one that failed."""
        before, after = step.before.turn, step.after.turn
        old = before.call(step.call) if before else None
        new = after.call(step.call) if after else None
        if old is None or new is None or new.phase is not CallPhase.FINISHED or new.result is None:
            return
        if old.id not in self.running:
            yield from self._tool_start(old, now)
        yield from self._result(old, new.result, now)
        if old.phase is CallPhase.APPROVING and old.name == "exec":
            about = {"phase": "resolved", "kind": "exec", "status": "denied", "title": "Command approval resolved"}
            about |= {"itemId": f"command:{old.id}", "toolCallId": old.id}
            yield self._agent("approval", about | {"message": meta(old).get("meta", "")}, now)

    def _result(self, call: Call, result: ToolResult, now: int) -> Iterator[Told]:
        began, _ = self.running.pop(call.id, (now, call))
        failed = result.error is not None
        if not failed and call.name not in self.tools:
            self.tools.append(call.name)
        text = result.error.message if result.error is not None else result.output
        details: Mapping[str, Any] = getattr(result, "details", None) or {}
        if call.name == "exec":
            self.changes = True
            if failed and not details:
                details = {"status": "failed", "exitCode": None, "durationMs": now - began, "aggregated": text}
                details |= {"timedOut": False, "cwd": call.args.get("workdir", "")}
        about = {"name": call.name, "toolCallId": call.id, **meta(call), "isError": failed}
        shown = {"content": [{"type": "text", "text": text}], "details": details}
        about |= {"commandBearing": call.name in COMMANDS, "result": shown}
        command = call.name == "exec" and "aggregated" in details
        if command and not failed and call.id not in self.shown_live:
            yield from self._output(call, details, "delta", now)
        yield self._agent("tool", {"phase": "result", **about}, now, cap=TOOL_EVENTS)
        ending: dict[str, Any] = {"startedAt": began, "endedAt": now} | ({"error": text} if failed else {})
        began_well = call.phase in (CallPhase.RUNNING, CallPhase.APPROVING)
        status = "completed" if not failed else "failed" if began_well else "blocked"
        yield self._agent("item", self._item(call, "end", status) | ending, now)
        if command:
            yield from self._output(call, details, "end", now)

    def _output(self, call: Call, details: Mapping[str, Any], phase: str, now: int) -> Iterator[Told]:
        about = {
            "itemId": f"command:{call.id}",
            "phase": phase,
            "title": f"command {meta(call).get('meta', '')}",
            "toolCallId": call.id,
            "name": call.name,
            "output": details["aggregated"],
            "status": "running" if phase == "delta" else str(details.get("status", "completed")),
        }
        if phase == "end":
            about |= {name: details.get(name) for name in ("exitCode", "durationMs", "cwd")}
        yield self._agent("command_output", about, now)

    def _item(self, call: Call, phase: str, status: str) -> dict[str, Any]:
        about = meta(call)
        return {
            **about,
            "itemId": f"tool:{call.id}",
            "toolCallId": call.id,
            "name": call.name,
            "kind": "tool",
            "phase": phase,
            "title": f"{call.name.capitalize()} {about.get('meta', '')}".strip(),
            "status": status,
            "commandBearing": call.name in COMMANDS,
        }

    # --- the end

    def _ended(self, state: State, now: int) -> Iterator[Told]:
        outcome = state.outcome or Outcome("done")
        if outcome.status == "done":
            yield from self._done(state, now)
        elif outcome.status == "cancelled":
            yield from self._aborted(now)
        else:
            yield from self._failed(failure_of(outcome, self.subject), now)

    def _done(self, state: State, now: int) -> Iterator[Told]:
        self.stop = "tool_calls" if handed_over(state) else STOPS.get(self.finish, "stop")
        ending = {"stopReason": self.stop, "aborted": False, "livenessState": "working"}
        yield self._finishing(now)
        yield self._model(now, over=True)
        end = {**ending, "phase": "end", "endedAt": now, "startedAt": self.started, "replayInvalid": self.changes}
        end |= self.receipt(state.answer.strip())
        yield self._lifecycle({**end, "executionSettled": True}, now)
        yield from self._delta(now)
        final: dict[str, Any] = {"state": "final", "stopReason": self.stop}
        shown = self._shown()
        if shown:
            final["message"] = message(shown, now)
            if self.subject.source:
                final["message"] |= {"text": shown, "stopReason": self.stop, "usage": dict(NO_USAGE)}
        yield self._chat(final)

    def _finishing(self, now: int) -> Told:
        ending = {"stopReason": self.stop, "aborted": False, "livenessState": "working"}
        ending |= {"replayInvalid": True} if self.changes else {}
        return self._lifecycle({"phase": "finishing", **ending, "endedAt": now}, now)

    def receipt(self, answer: str) -> dict[str, Any]:
        """Return what the end of a run says of its answer."""
        asked = {"provider": self.subject.provider, "model": self.subject.model}
        disposition = "visible" if answer else "empty"
        return {
            "terminalReply": {"disposition": disposition, "text": answer},
            "terminalReceipt": {
                "runId": self.subject.run,
                "sessionId": self.subject.session,
                "turnId": self.subject.run,
                "requested": asked,
                "effective": {**asked, "responseModel": self.subject.model},
                "successfulToolNames": list(self.tools),
                "rerouted": False,
                "terminalDisposition": disposition,
            },
        }

    def _aborted(self, now: int) -> Iterator[Told]:
        """Somebody gave the run up (`rpc`), or a newer message did (`aborted`), which tells of it in another order."""
        aborted: dict[str, Any] = {"state": "aborted", "stopReason": self.reason}
        shown = self._shown()
        if shown:
            aborted["message"] = message(shown, now)
        times = {"startedAt": self.started, "endedAt": now}
        if self.reason != "aborted":
            yield self._chat(aborted, ahead=True)
            end = {"phase": "end", "status": "cancelled", "aborted": True, "stopReason": self.reason}
            yield self._lifecycle({**end, **times}, now)
        running = [call for _, call in self.running.values()]
        if self.failure is None and self.asked and not running:
            yield self._model(now)
        for call in running:
            yield from self._result(call, ToolResult.failed("cancelled", "Aborted"), now)
        yield self._model(now, over=True)
        seen = self.failure.observed(self.subject) if self.failure is not None else {}
        error = {**seen, "phase": "error", **times, "error": "This operation was aborted", "aborted": True}
        yield self._lifecycle({**error, "stopReason": "aborted", "executionSettled": True}, now)
        if self.reason == "aborted":
            yield self._chat(aborted)

    def _failed(self, failure: Failure, now: int) -> Iterator[Told]:
        if not self.asked:
            yield self._lifecycle({"phase": "start", "startedAt": self.started}, now)
        told = failure.observed(self.subject)
        yield self._lifecycle({"phase": "finishing", **told, "aborted": False, "endedAt": now}, now)
        yield self._model(now, over=True)
        error = {"phase": "error", "startedAt": self.started, "endedAt": now, **told, "executionSettled": True}
        yield self._lifecycle(error, now)
        yield from self._delta(now)
        yield self._chat({"state": "error", "errorMessage": failure.text, "errorDetail": told["errorObservation"]})

    # --- the frames

    def _status(self, phase: str, now: int) -> Iterator[Told]:
        if self.subject.kind != "chat":
            return
        if not self.subject.source:
            yield self._chat({"state": "status", "phase": phase}, ahead=True)
        yield self._agent("run_status", {"phase": phase}, now)

    def _model(self, now: int, *, over: bool = False) -> Told:
        model = None if over else self.subject.model
        data = {"phase": "model", "provider": None if over else self.subject.provider, "model": model}
        told = self._lifecycle(data, now)
        if over and self.subject.kind == "chat":
            told.payload["lane"] = "main"
        return told

    def _lifecycle(self, data: dict[str, Any], now: int) -> Told:
        if self.subject.source:
            data["completionSource"] = self.subject.source
        told = self._agent("lifecycle", data, now)
        told.payload["sessionId"] = self.subject.session
        return told

    def _agent(self, stream: str, data: dict[str, Any], now: int, *, cap: str = "") -> Told:
        self.seq += 1
        payload = {
            "runId": self.subject.run,
            "stream": stream,
            "data": data,
            "sessionKey": self.subject.key,
            "agentId": self.subject.agent,
            "seq": self.seq,
            "ts": now,
        }
        if self.subject.kind == "chat":
            payload["isHeartbeat"] = False
        return Told("agent", payload, cap)

    def _chat(self, data: dict[str, Any], *, ahead: bool = False) -> Told:
        """A `chat` event; one that comes `ahead` of the agent event that it mirrors has that one's number."""
        payload = {
            "runId": self.subject.run,
            "sessionKey": self.subject.key,
            "agentId": self.subject.agent,
            "seq": self.seq + 1 if ahead else self.seq,
        }
        return Told("chat", {**payload, **data})


def said_before(state: State) -> str:
    """Return what the model has said for the open prompt so far, as its run shows it."""
    base = state.prompt.base if state.prompt is not None else 0
    texts = (content.text.rstrip() for content in state.history[base:] if content.role == "model")
    return "\n\n".join(text for text in texts if text)


def message(text: str, now: int) -> dict[str, Any]:
    """Return an assistant's message as events carry it."""
    return {"role": "assistant", "content": [{"type": "text", "text": text}], "timestamp": now}


def visible(data: JsonObject) -> str:
    """Return the text of a chunk that a person sees: thoughts left out, foreign shapes passed over."""
    candidates = data.get("candidates")
    first = candidates[0] if isinstance(candidates, (list, tuple)) and candidates else None
    content = first.get("content") if isinstance(first, Mapping) else None
    parts = content.get("parts") if isinstance(content, Mapping) else None
    if not isinstance(parts, (list, tuple)):
        return ""
    return "".join(
        part["text"]
        for part in parts
        if isinstance(part, Mapping) and isinstance(part.get("text"), str) and not part.get("thought")
    )


def meta(call: Call) -> dict[str, str]:
    """Return the member `meta`: in a few words what a call is about, where one of its arguments says so."""
    for name in ("command", "path", "url", "query", "pattern"):
        value = call.args.get(name)
        if isinstance(value, str):
            text = " ".join(value.split())[:120]
            return {"meta": f"from {text}" if call.name == "read" else text}
    return {}
