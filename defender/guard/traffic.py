"""What of a gateway's events is judged: messages, calls, results, answers, questions, automations. Pure.

Source: CONTRACT sections 5 to 7. A frame comes from a peer that may be anything, so whatever has not the shape that it
should have is passed over. The gateway tells the same thing more than once (`session.message` and `chat`, before and
after a reconnection): it is judged once. Pieces of an answer are not judged; the whole is.
"""

import json
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final

from attrs import define, field

from defender.engine.ports import Kind, Subject
from defender.guard.ports import Seen
from defender.judge import ADDRESS, COMMAND_ARGS

MOST_TEXT: Final = 1 << 20
"""Characters of one text. The engine looks at fewer, and says so; more is not carried around."""
REMEMBERED: Final = 8_192
"""Things that are known to have been judged."""
NAME: Final = 300
MOST_PARTS: Final = 1_000
SHELLS: Final = frozenset({"bash", "exec", "process", "run_shell_command", "shell", "system.run"})
"""Tools whose arguments are commands."""
QUESTIONS: Final = frozenset({"plugin.approval.requested", "openclaw.approval.requested"})
"""Questions of others than the shell. They are judged and left to people."""


@define(eq=False)
class Traffic:
    """Turns frames into what is judged. Remembers, within bounds, what was."""

    _known: "OrderedDict[bytes, None]" = field(factory=OrderedDict)

    def of(self, frame: Mapping[str, Any]) -> tuple[Seen, ...]:
        """Return what a frame brings that is new. Never raises."""
        payload = frame.get("payload")
        if not isinstance(payload, Mapping):
            return ()
        match frame.get("event"):
            case "session.message":
                found = self._message(payload)
            case "agent" | "session.tool":
                found = self._agent(payload)
            case "chat":
                found = self._chat(payload)
            case "exec.approval.requested":
                found = self.question(payload)
            case "cron":
                found = self._cron(payload)
            case str(name) if name in QUESTIONS:
                found = self._other_question(payload)
            case _:
                return ()
        return tuple(found)

    def question(self, payload: Mapping[str, Any]) -> Iterator[Seen]:
        """Yield the question whether a command may run, as the event or `exec.approval.list` tells it."""
        request, name = members(payload.get("request")), text(payload.get("id"))
        command = text(request.get("command"))
        if not name or not self._new("approval", name):
            return
        # A question without a command is one that cannot be judged: the engine says review of what is empty here.
        subject = Subject(Kind.COMMAND, tool="exec", commands=(command,))
        key, run, call = (text(request.get(member))[:NAME] for member in ("sessionKey", "runId", "toolCallId"))
        yield Seen(subject, key, run, call, name[:NAME], command)

    def forget(self, approval: str) -> None:
        """Let a question be judged again when it is told of again: it could not be answered."""
        self._known.pop(_key("approval", approval), None)

    def _other_question(self, payload: Mapping[str, Any]) -> Iterator[Seen]:
        name, request = text(payload.get("id")), members(payload.get("request"))
        if name and self._new("question", name):
            key, said = text(request.get("sessionKey"))[:NAME], flat(request)
            yield Seen(Subject(Kind.TEXT, said, "stranger"), key, call=name[:NAME], content=said)

    def _message(self, payload: Mapping[str, Any]) -> Iterator[Seen]:
        """Yield a message of the transcript: a person's, or what a tool brought. Answers come with `chat` too."""
        message = members(payload.get("message"))
        key, said = text(payload.get("sessionKey"))[:NAME], words(message.get("content"))
        role, name = message.get("role"), text(payload.get("messageId")) or text(message.get("idempotencyKey"))
        if role == "assistant":
            yield from self._calls(key, message.get("content"))
        if not said:
            return
        if role == "user" and self._new("message", key, name or said):
            channel = "person" if payload.get("senderIsOwner") is True else "stranger"
            yield Seen(Subject(Kind.MESSAGE, said, channel), key, content=said)
        elif role == "assistant":
            yield from self._reply(key, "", said)
        elif role == "toolResult":
            call, tool = text(message.get("toolCallId"))[:NAME], text(message.get("toolName"))[:NAME]
            if self._new("result", key, call or name or said):
                yield Seen(Subject(Kind.RESULT, said, "result", tool), key, call=call, content=said)

    def _calls(self, key: str, content: object) -> Iterator[Seen]:
        """Yield the calls in an answer, as the transcript has them."""
        for part in content[:MOST_PARTS] if isinstance(content, list) else ():
            if members(part).get("type") == "toolCall":
                call, tool = text(part.get("id"))[:NAME], text(part.get("name"))[:NAME]
                yield from self._call(key, "", call, tool, members(part.get("arguments")))

    def _call(self, key: str, run: str, call: str, tool: str, args: Mapping[str, Any]) -> Iterator[Seen]:
        if self._new("call", key, call or flat(args)):
            yield Seen(called(tool, args), key, run, call, content=flat(args))

    def _agent(self, payload: Mapping[str, Any]) -> Iterator[Seen]:
        data = members(payload.get("data"))
        if payload.get("stream") != "tool":
            return
        key, run = text(payload.get("sessionKey"))[:NAME], text(payload.get("runId"))[:NAME]
        call, tool = text(data.get("toolCallId"))[:NAME], text(data.get("name"))[:NAME]
        if data.get("phase") == "start":
            yield from self._call(key, run, call, tool, members(data.get("args")))
        elif data.get("phase") == "result":
            said = words(members(data.get("result")).get("content"))
            if said and self._new("result", key, call or said):
                yield Seen(Subject(Kind.RESULT, said, "result", tool), key, run, call, content=said)

    def _chat(self, payload: Mapping[str, Any]) -> Iterator[Seen]:
        if payload.get("state") in ("final", "aborted"):
            said = words(members(payload.get("message")).get("content"))
            if said:
                yield from self._reply(text(payload.get("sessionKey"))[:NAME], text(payload.get("runId"))[:NAME], said)

    def _reply(self, key: str, run: str, said: str) -> Iterator[Seen]:
        if self._new("reply", key, said):
            yield Seen(Subject(Kind.REPLY, said, "reply"), key, run, content=said)

    def _cron(self, payload: Mapping[str, Any]) -> Iterator[Seen]:
        """Yield what an automation will say: it was perhaps made by an agent."""
        job = members(payload.get("job"))
        said = "\n".join(text(members(job.get("payload")).get(name)) for name in ("message", "text")).strip()
        name = text(payload.get("jobId"))[:NAME]
        if said and payload.get("action") in ("added", "updated") and self._new("cron", name, said):
            yield Seen(Subject(Kind.MESSAGE, said, "stranger"), f"cron:{name}", content=said)

    def _new(self, *name: str) -> bool:
        """Whether this was not seen yet."""
        key = _key(*name)
        known = key in self._known
        self._known[key] = None
        self._known.move_to_end(key)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return not known


def _key(*name: str) -> bytes:
    return blake2b("\0".join(name).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def called(tool: str, args: Mapping[str, Any]) -> Subject:
    """Return a call of a tool as the engine judges it: its commands and addresses; of a shell, each command."""
    given = (args.get(name) for name in COMMAND_ARGS) if tool.lower() in SHELLS else ()
    commands = tuple(one[:MOST_TEXT] for one in given if isinstance(one, str) and one.strip())
    found = re.findall(ADDRESS, flat(args)[:100_000]) if not commands else ()
    urls = tuple(dict.fromkeys(one.rstrip(".,;:!?)]}") for one in found))
    return Subject(Kind.CALL, tool=tool, commands=commands, urls=urls)


def members(value: object) -> Mapping[str, Any]:
    """An object of a peer; what is none has no members."""
    return value if isinstance(value, Mapping) else {}


def text(value: object) -> str:
    """A text of a peer, cut at MOST_TEXT; what is none is empty."""
    return value[:MOST_TEXT] if isinstance(value, str) else ""


def words(content: object) -> str:
    """The text of a message: a text, or the texts among its parts."""
    if isinstance(content, str):
        return content[:MOST_TEXT]
    if not isinstance(content, list | tuple):
        return ""
    parts = (text(members(part).get("text")) for part in content[:MOST_PARTS])
    return "\n".join(part for part in parts if part)[:MOST_TEXT]


def flat(value: object) -> str:
    """Arguments as JSON, cut at MOST_TEXT."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))[:MOST_TEXT]
    except (ValueError, TypeError, RecursionError):
        return ""
