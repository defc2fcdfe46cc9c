"""A session's conversation as clients read it: messages with ids, times and usage, folded from its steps. Pure.

Rules: a message's id and number follow from the journal alone, so they are the same after a restart; what somebody said
stays, also where the prompt failed and left the model's history; what a branch left behind, or was cut off, is not part
of it. What is not from a step (`chat.inject`) stands after the record that it came after.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from attrs import define, evolve, field, frozen

from runtime.gateway.entries import Note
from runtime.step import Step
from runtime.step import events as ev
from runtime.step.table import CallPhase, Phase
from runtime.vocab import Content, JsonObject, Message, ToolResult

NO_COST: Final = {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0, "total": 0}
INJECTED: Final = {"api": "openai-responses", "provider": "openclaw", "model": "gateway-injected"}
"""Who says what an operator put into a conversation."""


@frozen
class Line:
    """One message: `seq` is the record that made it, `body` what clients read.

    `place` is where it stands in the model's history, if it is there: what is cut off there goes here as well.
    """

    seq: int
    id: str
    body: dict[str, Any]
    place: int = 0

    @property
    def number(self) -> int:
        """Which message of the conversation it is, from 1."""
        number: int = self.body["__openclaw"]["seq"]
        return number

    @property
    def text(self) -> str:
        """What a person reads of it."""
        content = self.body["content"]
        if isinstance(content, str):
            return content
        return "\n".join(one["text"] for one in content if isinstance(one.get("text"), str))

    @property
    def role(self) -> str:
        """Whose it is: `user`, `assistant`, `toolResult`, or `system` for a mark of the gateway."""
        role: str = self.body["role"]
        return role


@define
class Transcript:
    """The messages of one session. `provider` and `model` name who answers.

    `left` has the messages of the branches that were left, by their names: a session may go on with them. `seq` is the
    last record that was taken in. One that begins at the record `since` lacks what was before it, until
    `preceded` gives it that; what rewrites what was said waits for this too.
    """

    session: str
    provider: str
    model: str
    lines: list[Line] = field(factory=list)
    run: str = ""
    seq: int = 0
    since: int = 0
    branch: str = ""
    left: dict[str, list[Line]] = field(factory=dict)
    _waiting: list[tuple[list[Line], Callable[[], None]]] = field(factory=list)
    """Messages, and what is to be done to all that was said up to them."""

    def read(self, steps: Iterable[tuple[Step, int]], notes: Sequence[Note] = ()) -> None:
        """Take in steps with the time of their records, and what was put between them (sorted by `after`)."""
        waiting = list(reversed(notes))
        for step, wall in steps:
            while waiting and waiting[-1].after < step.after.seq:
                self.note(waiting.pop())
            self.step(step, wall)
        for note in reversed(waiting):
            self.note(note)

    def step(self, step: Step, now: int) -> list[Line]:
        """Take in one step; return the messages that it added."""
        known = len(self.lines)
        self.seq = step.after.seq
        self.branch = self.branch or step.before.branch
        match step.event:
            case ev.Chunk() | ev.Go():
                return []
            case ev.Received() if step.after.prompt is not None:
                self._said(step.after.prompt.message, step, now)
            case ev.Screened() if step.before.steering is not None and step.after.phase is Phase.TURN:
                self._said(step.before.steering, step, now, opens=False)
            case ev.StreamEnded() if step.after.phase in (Phase.CALLS, Phase.TURN_END):
                self._answered(step, now)
            case ev.Branched(branch, origin):
                self._rewrite(partial(self._leave, step.before.branch, branch, origin))
                return []
            case ev.Forked():
                self._copied(step, now)
            case ev.Edited(path="history"):
                self._rewrite(partial(self._cut, len(step.before.history) - len(step.after.history)))
                return []
            case ev.Compressed() | ev.Compacted() if step.after.history is not step.before.history:
                self._rewrite(partial(self._shortened, len(step.before.history) - len(step.after.history)))
                known = len(self.lines)
                self._compacted(step, now)
            case ev.Edited() | ev.Finished() | ev.Judged() | ev.Invalid() | ev.Denied() | ev.Cancelled() | ev.Fault():
                self._results(step, now)
        return self.lines[known:]

    def preceded(self, earlier: "Transcript") -> None:
        """Take in what was before the record at which this one began, from a transcript that ends there."""
        waiting, own = self._waiting, self.lines
        self.lines, self.left, self.branch = earlier.lines, earlier.left, earlier.branch or self.branch
        self.since, self._waiting = 0, []
        for lines, rewrite in waiting:
            self._follow(lines)
            rewrite()
        self._follow(own)

    def _follow(self, lines: Iterable[Line]) -> None:
        for line in lines:
            self.lines.append(_numbered(line, len(self.lines) + 1))

    def _rewrite(self, rewrite: Callable[[], None]) -> None:
        """Do something to all that was said, or remember it where that is not known yet."""
        if not self.since:
            rewrite()
            return
        self._waiting.append((self.lines, rewrite))
        self.lines = []

    def _leave(self, of: str, branch: str, origin: int) -> None:
        """Follow a session that went back to record `origin` of the branch `of`, to go on as `branch`."""
        self.left[self.branch] = self.lines
        self.lines = [line for line in self.left.get(of, self.lines) if line.seq <= origin]
        self.branch = branch

    def began_anew(self, now: int) -> None:
        """Mark that the conversation begins here under an id that had another one before (`Directory.reset`)."""
        body = {"role": "system", "content": [{"type": "text", "text": "Reset"}], "timestamp": now}
        self._line(0, body, now, 0, {"kind": "reset"}, name="reset")

    def note(self, note: Note) -> Line:
        """Add what an operator put in."""
        return inject(self, note.id, note.text, note.at)

    def add(self, name: str, role: str, text: str, now: int, **more: Any) -> Line:
        """Add a message that no step made (`chat.inject`), under its own id."""
        body = {"role": role, "content": [{"type": "text", "text": text}], "timestamp": now, **more}
        return self._line(self.seq, body, now, self.lines[-1].place if self.lines else 0, own=name)

    def _cut(self, count: int) -> None:
        """Follow a history that lost its first `count` contents."""
        kept = [line for line in self.lines if line.place >= count]
        self.lines = [_numbered(evolve(line, place=line.place - count), n) for n, line in enumerate(kept, 1)]

    def _shortened(self, count: int) -> None:
        """Follow a history of which a summary took the place of the beginning: what was said stays visible."""
        if count:
            self.lines = [evolve(line, place=max(0, line.place - count)) for line in self.lines]

    def _compacted(self, step: Step, now: int) -> None:
        """Mark where a summary was made. The mark itself is not part of the model's history."""
        seq = step.after.seq
        body: dict[str, Any] = {"role": "system", "content": [{"type": "text", "text": "Compaction"}], "timestamp": now}
        about: dict[str, Any] = {"kind": "compaction", "itemId": uuid_of(self.session, f"{seq}/summary")}
        about["tokensBefore"] = step.before.last_prompt_tokens
        if step.after.usage != step.before.usage:
            body["usage"] = _used(step)
        self._line(seq, body, now, max(0, len(step.after.history) - 1), about)

    def _copied(self, step: Step, now: int) -> None:
        """Take over what was said in the session that this one began as a copy of."""
        seq, context = step.after.seq, step.after.context
        opening = context.opening if context is not None else ()
        for place, content in enumerate(step.after.history):
            if content.is_results:
                answers = [part["functionResponse"] for part in content.parts if "functionResponse" in part]
                for number, one in enumerate(answers):
                    said = one.get("response", {})
                    failed = ToolResult.failed("execution_failed", str(said["error"])) if "error" in said else None
                    result = failed or ToolResult(output=str(said.get("output", "")))
                    body = result_of(one.get("id", ""), one.get("name", ""), result) | {"timestamp": now}
                    self._line(seq, body, now, place, name=f"{place}/{number}")
                continue
            parts = content.parts[len(opening) :] if content.parts[: len(opening)] == opening else content.parts
            told: dict[str, Any] = {"role": "user", "content": Content("user", parts).text}
            if content.role != "user":
                told = {"role": "assistant", "content": list(blocks(content)), "provider": self.provider}
            self._line(seq, told | {"timestamp": now}, now, place, name=str(place))

    def _said(self, message: Message, step: Step, now: int, *, opens: bool = True) -> None:
        if opens:
            self.run = message.id
        key = f"{message.id}:user"
        content: Any = message.text
        images = [part["inlineData"] for part in message.parts if isinstance(part.get("inlineData"), Mapping)]
        if images:
            pictures = [
                {"type": "image", "data": one.get("data", ""), "mimeType": one.get("mimeType", "")} for one in images
            ]
            content = [{"type": "text", "text": message.text}, *pictures]
        body = {"role": "user", "content": content, "timestamp": now, "idempotencyKey": key}
        about = {"senderIsOwner": True, "transport": {"clients": [{"id": message.sender, "mode": "backend"}]}}
        self._line(step.after.seq, body, now, len(step.before.history), about | {"idempotencyKey": key})

    def _answered(self, step: Step, now: int) -> None:
        if len(step.after.history) == len(step.before.history):
            return
        stop = "toolUse" if step.after.phase is Phase.CALLS else "stop"
        about = {"api": "google-generative-ai", "provider": self.provider, "model": step.after.settings.model}
        content = list(blocks(step.after.history[-1]))
        body = {
            "role": "assistant",
            "content": content,
            **about,
            "usage": _used(step),
            "stopReason": stop,
            "timestamp": now,
        }
        body["responseId"] = f"r{step.after.seq}"
        self._line(step.after.seq, body, now, len(step.after.history) - 1, {"runId": self.run})

    def _results(self, step: Step, now: int) -> None:
        before, after = step.before.turn, step.after.turn
        if before is None or after is None:
            return
        for old in before.calls:
            new = after.call(old.id)
            if new is None or old.phase is CallPhase.FINISHED or new.phase is not CallPhase.FINISHED:
                continue
            if new.result is not None:
                body = result_of(new.id, new.name, new.result) | {"timestamp": now}
                place = len(step.before.history)
                self._line(step.after.seq, body, now, place, {"runId": self.run}, name=new.id)

    def _line(
        self,
        seq: int,
        body: dict[str, Any],
        now: int,
        place: int,
        about: dict[str, Any] | None = None,
        *,
        name: str = "",
        own: str = "",
    ) -> Line:
        known = own or uuid_of(self.session, f"{seq}/{name}")
        number = len(self.lines) + 1
        position = {"source": "journal", "rawSeq": seq}
        envelope = {
            **(about or {}),
            "id": known,
            "recordTimestampMs": now,
            "transcriptPosition": position,
            "seq": number,
        }
        line = Line(seq, known, {**body, "__openclaw": envelope}, place)
        self.lines.append(line)
        return line


def _used(step: Step) -> dict[str, Any]:
    """Return the tokens that a step brought, as clients read them."""
    used, before = step.after.usage, step.before.usage
    return {
        "input": used.prompt - before.prompt,
        "output": used.candidates - before.candidates,
        "totalTokens": used.total - before.total,
        "cacheRead": used.cached - before.cached,
        "cacheWrite": 0,
        "cost": dict(NO_COST),
    }


def _numbered(line: Line, number: int) -> Line:
    if line.number == number:
        return line
    return evolve(line, body={**line.body, "__openclaw": {**line.body["__openclaw"], "seq": number}})


def inject(transcript: Transcript, name: str, text: str, at: int) -> Line:
    """Add what an operator put into a conversation; the model is not asked."""
    zero = {"input": 0, "output": 0, "totalTokens": 0, "cacheRead": 0, "cacheWrite": 0}
    usage = {**zero, "cost": dict(NO_COST)}
    return transcript.add(name, "assistant", text, at, stopReason="stop", usage=usage, **INJECTED)


def blocks(content: Content) -> Iterable[dict[str, Any]]:
    """Yield the parts of a model's answer as clients know them."""
    text = ""
    for part in content.parts:
        if isinstance(part.get("text"), str) and not part.get("thought"):
            text += part["text"]
        elif isinstance(call := part.get("functionCall"), Mapping):
            if text:
                yield {"type": "text", "text": text}
                text = ""
            yield {
                "type": "toolCall",
                "id": call.get("id", ""),
                "name": call.get("name", ""),
                "arguments": arguments(call),
            }
    if text:
        yield {"type": "text", "text": text}


def arguments(call: Mapping[str, Any]) -> JsonObject:
    """Return the arguments of a call in a model's answer."""
    args = call.get("args")
    return args if isinstance(args, Mapping) else {}


def result_of(call: str, name: str, result: ToolResult) -> dict[str, Any]:
    """Return a tool's result as clients read it."""
    failed = result.error is not None
    text = result.error.message if result.error is not None else result.output
    shown: dict[str, Any] = {"role": "toolResult", "toolCallId": call, "toolName": name}
    shown |= {"content": [{"type": "text", "text": text}], "isError": failed}
    details = getattr(result, "details", None)
    return shown | {"details": details or {}}


def tally(line: Line) -> dict[str, int]:
    """Return what a message counts for: of a person, of the model, a result; the calls in it, and whether it failed."""
    calls = 0
    if line.role == "assistant":
        calls = sum(one.get("type") == "toolCall" for one in line.body["content"])
    if line.role == "system":
        return {}
    kind = "results" if line.role == "toolResult" else line.role
    return {kind: 1, "calls": calls, "errors": int(bool(line.body.get("isError")))}


def uuid_of(session: str, name: str) -> str:
    """Return the UUID that a name within a session always has."""
    return str(UUID(bytes=sha256(f"{session}/{name}".encode(errors="replace")).digest()[:16], version=4))
