"""POST /v1/chat/completions: one run for one request, whole or as a stream (CONTRACT section 10).

Rules: the model is an agent of ours; the conversation of the request is folded into one message; `user` or a header
names the session, else the request has one of its own; a client that leaves gives up its run. What a client wants of
the model holds for its request (`http.terms`); a call of one of its functions ends the run, and what came of it is part
of the conversation of the next request. Images are taken as data only.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import trio
from attrs import define, evolve, field

from runtime.gateway.http.access import Visit
from runtime.gateway.http.prompts import (
    ONLY_IMAGES,
    NoImage,
    Said,
    call_line,
    checked,
    data_url,
    folded,
    image,
    labels,
    parts,
)
from runtime.gateway.http.schema import AGENT, ANY, FLAG, LIST, TEXT, Schema, listed, number, one_of, or_null, record
from runtime.gateway.http.targets import Target, target_of
from runtime.gateway.http.terms import Wish, formatted, sampling, wish_of
from runtime.gateway.http.turns import Ending, Turn, Watch
from runtime.gateway.http.wire import (
    EVENTS,
    FAILED,
    INVALID,
    Answer,
    Left,
    as_json,
    event,
    problem,
    refuse,
    until_gone,
)
from runtime.vocab import JsonObject, encode

BODY: Final = 20_971_520
KEEP_ALIVE: Final = 15.0
"""Seconds of silence after which a stream gets a comment: what stands between may cut a connection that is quiet."""
KINDS: Final[Mapping[str, tuple[int, str]]] = {
    "auth": (401, "authentication_error"),
    "format": (400, INVALID),
    "model_not_found": (404, INVALID),
    "rate_limit": (429, "rate_limit_error"),
    "server_error": (502, FAILED),
    "timeout": (504, FAILED),
}
"""Status and type of an error by why the run failed (`runtime.gateway.failures`)."""
PIECE: Final = 256
"""Characters of the arguments of a call that one event of a stream holds."""

CHAT: Final[Schema] = record(
    {
        "model": AGENT,
        "messages": listed(
            record(
                {
                    "role": TEXT,
                    "content": {"anyOf": [TEXT, LIST, {"type": "null"}]},
                    "name": ANY,
                    "tool_calls": ANY,
                    "tool_call_id": ANY,
                }
            )
        ),
        "stream": or_null(FLAG),
        "stream_options": or_null(record({"include_usage": FLAG})),
        "user": {**TEXT, "maxLength": 256, "description": "names the session: the same user, the same session"},
        "tools": or_null(
            listed(
                record(
                    {
                        "type": one_of("function"),
                        "function": record(
                            {"name": {**TEXT, "minLength": 1}, "description": ANY, "parameters": ANY}, "name"
                        ),
                    },
                    "type",
                    "function",
                )
            )
        ),
        "tool_choice": ANY,
        "max_tokens": number(1, 2**53 - 1, whole=True),
        "max_completion_tokens": number(1, 2**53 - 1, whole=True),
        "temperature": number(0, 2),
        "top_p": number(0, 1),
        "frequency_penalty": number(-2, 2),
        "presence_penalty": number(-2, 2),
        "seed": number(whole=True),
        "response_format": ANY,
        "stop": {"anyOf": [{**TEXT, "minLength": 1}, listed({**TEXT, "minLength": 1}, maxItems=4), {"type": "null"}]},
    }
)


async def completions(visit: Visit) -> Answer | None:
    """Answer a conversation."""
    given = await visit.json(CHAT, BODY)
    wish = _wish(visit, given)
    model = given.get("model", "openclaw")
    target = target_of(visit, model, given.get("user", ""), "openai")
    said, instructions, images = conversation(given.get("messages", ()))
    text = folded(said)
    if not text:
        refuse("Missing user message in `messages`.")
    run = f"chatcmpl_{visit.desk.chance.uuid()}"
    turn = turn_of(visit, target, run, text, parts(instructions, text, images), wish)
    turn = evolve(turn, labels=labels(said))
    streams = given.get("stream") is True
    usage = (given.get("stream_options") or {}).get("include_usage") is True
    reply = Completion(visit, run, model, visit.desk.clock.wall() // 1000, wish, usage=usage)
    watch = await visit.surface.turns.begin(turn, streams=streams and not wish.must)
    try:
        return await (reply.stream(watch) if streams else reply.whole(watch))
    finally:
        visit.surface.turns.end(watch)


def turn_of(visit: Visit, target: Target, run: str, text: str, said: tuple[JsonObject, ...], wish: Wish) -> Turn:
    """The message of a request."""
    sender = visit.caller.user or "http"
    return Turn(key=target.key, run=run, text=text, parts=said, sender=sender, model=target.model, terms=wish.terms)


def failed(ending: Ending) -> tuple[int, str, str]:
    """Status, type and text for a run that gave no answer."""
    status, kind = KINDS.get(ending.reason, (500, FAILED))
    return status, kind, ending.error or "The run failed."


async def settled(visit: Visit, watch: Watch) -> Ending:
    """Wait for the end of a run. Raises Left where the client left before it."""
    found: Ending | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(until_gone, visit.incoming, nursery.cancel_scope)
        found = await watch.end()
        nursery.cancel_scope.cancel()
    if found is None:
        raise Left(f"{visit.incoming.path}: the client left before its answer was complete")
    return found


async def flow(visit: Visit, watch: Watch, head: str, shown: Callable[[str], str]) -> None:
    """Begin a stream with `head`, and send the pieces of an answer as they come, until there are no more.

    Raises Left where the client left, or did not take a piece in time. A run that is ahead of its reader by more than
    the bound is given up at once, not only when the reader moves again.
    """
    left = False
    async with trio.open_nursery() as nursery:
        nursery.start_soon(until_gone, visit.incoming, nursery.cancel_scope)
        nursery.start_soon(_give_up, visit, watch)
        try:
            await visit.incoming.open(200, ("content-type", EVENTS), ("cache-control", "no-cache"))
            await visit.incoming.stream(head)
            while True:
                await watch.news(KEEP_ALIVE)
                pieces = watch.take()
                if pieces:
                    await visit.incoming.stream("".join(map(shown, pieces)))
                elif watch.over:
                    break
                else:
                    await visit.incoming.stream(": still at work\n\n")
        except BrokenPipeError:
            left = True
        nursery.cancel_scope.cancel()
    if left or not watch.over:
        raise Left(f"{visit.incoming.path}: the client left before its answer was complete")


async def _give_up(visit: Visit, watch: Watch) -> None:
    await watch.broken.wait()
    if watch.entry is not None:
        visit.desk.runs.abort(watch.entry, watch.run)


# --- the request


def conversation(messages: Sequence[JsonObject]) -> tuple[list[Said], list[str], Sequence[JsonObject]]:
    """What was said, what is instructed, and the images of the message to answer. Raises Halt."""
    said: list[Said] = []
    instructions: list[str] = []
    images: Sequence[JsonObject] = ()
    active = max((n for n, one in enumerate(messages) if one.get("role") in ("user", "tool", "function")), default=-1)
    for n, one in enumerate(messages):
        role, text = one.get("role"), text_of(one.get("content")).strip()
        if role in ("system", "developer"):
            instructions.append(text)
        elif role == "user":
            if n == active:
                images = _images(one.get("content"))
                text = text or (ONLY_IMAGES if images else "")
            said += [Said("user", text)] if text else []
        elif role == "assistant":
            whole = "\n".join((*([text] if text else ()), *_calls(one.get("tool_calls"))))
            said += [Said("assistant", whole)] if whole else []
        elif role in ("tool", "function"):
            call = one.get("tool_call_id" if role == "tool" else "name")
            if (isinstance(call, str) and call.strip()) or text:
                said.append(Said("tool", text, call.strip() if isinstance(call, str) else ""))
    return said, instructions, images


def text_of(content: Any) -> str:
    """The text of a message, whose content may be a list of parts."""
    if isinstance(content, str):
        return content
    found = [
        part.get("text", part.get("input_text"))
        for part in (content if isinstance(content, list) else ())
        if isinstance(part, dict) and part.get("type") in ("text", "input_text", "output_text")
    ]
    return "\n".join(text for text in found if isinstance(text, str))


def _calls(given: Any) -> list[str]:
    found = []
    for one in given if isinstance(given, list) else ():
        function = one.get("function") if isinstance(one, dict) else None
        if isinstance(function, dict) and one.get("id") and function.get("name"):
            found.append(call_line(str(function["name"]), str(function.get("arguments") or ""), str(one["id"])))
    return found


def _images(content: Any) -> Sequence[JsonObject]:
    found = []
    try:
        for part in content if isinstance(content, list) else ():
            if isinstance(part, dict) and part.get("type") == "image_url":
                given = part.get("image_url")
                url = given.get("url") if isinstance(given, dict) else given
                kind, data = data_url(url if isinstance(url, str) else "")
                found.append(image(data, kind))
        return checked(found)
    except NoImage as exc:
        refuse(f"Invalid image_url content in `messages`: {exc}.")


def _wish(visit: Visit, given: JsonObject) -> Wish:
    """What the request wants of the model. Raises Halt."""
    wanted = given.get("response_format")
    schema = wanted.get("json_schema") if isinstance(wanted, dict) else None
    extra = {
        **sampling(given, "max_completion_tokens", "max_tokens"),
        **formatted(wanted, schema.get("schema") if isinstance(schema, dict) else schema, "response_format"),
    }
    functions = [tool["function"] for tool in given.get("tools") or ()]
    return wish_of(functions, given.get("tool_choice"), extra, is_ours(visit))


def is_ours(visit: Visit) -> Callable[[str], bool]:
    """Say of a name whether it is that of a tool of the agents."""
    tools = visit.desk.dispatcher.performer.tools
    return lambda name: tools.get(name) is not None


# --- the answer


@define(eq=False)
class Completion:
    """The answer to one request."""

    visit: Visit
    run: str
    model: str
    created: int
    wish: Wish = field(factory=Wish)
    usage: bool = False

    async def whole(self, watch: Watch) -> Answer:
        """Wait for the run and answer at once."""
        ending = await settled(self.visit, watch)
        if ending.status != "ok":
            status, kind, text = failed(ending)
            return problem(status, text, kind)
        unmet = self.wish.unmet(ending.calls)
        if unmet is not None:
            return problem(502, unmet, FAILED)
        message: dict[str, Any] = {"role": "assistant", "content": ending.text}
        if ending.calls:
            message["tool_calls"] = [_call(one, arguments_of(one)) for one in ending.calls]
        choice = {"index": 0, "message": message, "finish_reason": finish_of(ending)}
        about = {"id": self.run, "object": "chat.completion", "created": self.created, "model": self.model}
        return as_json({**about, "choices": [choice], "usage": self._usage(watch)})

    async def stream(self, watch: Watch) -> None:
        """Send the answer as it grows; one that has to be a call only when it is sure to be one."""
        head = self._chunk({"role": "assistant"})
        await flow(self.visit, watch, head, lambda piece: self._chunk({"content": piece}))
        await self.visit.incoming.stream(self._last(watch) + event("[DONE]"), last=True)

    def _last(self, watch: Watch) -> str:
        ending = watch.ending
        if watch.trouble or ending is None:
            return event({"error": {"message": watch.trouble or "The run did not end.", "type": FAILED}})
        if ending.status != "ok":
            _, kind, text = failed(ending)
            return event({"error": {"message": text, "type": kind}})
        unmet = self.wish.unmet(ending.calls)
        if unmet is not None:
            return event({"error": {"message": unmet, "type": FAILED}})
        held = self._chunk({"content": ending.text}) if ending.text and not watch.streams else ""
        calls = "".join(self._called(n, one) for n, one in enumerate(ending.calls))
        used = event({**self._about(), "choices": [], "usage": self._usage(watch)}) if self.usage else ""
        return held + calls + self._chunk({}, finish_of(ending)) + used

    def _called(self, place: int, call: JsonObject) -> str:
        told = arguments_of(call)
        pieces = [told[n : n + PIECE] for n in range(0, len(told), PIECE)]
        deltas = [{"index": place, "function": {"arguments": piece}} for piece in pieces]
        return "".join(self._chunk({"tool_calls": [one]}) for one in ({"index": place, **_call(call, "")}, *deltas))

    def _about(self) -> dict[str, Any]:
        return {"id": self.run, "object": "chat.completion.chunk", "created": self.created, "model": self.model}

    def _chunk(self, delta: JsonObject, finish: str | None = None) -> str:
        return event({**self._about(), "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    def _usage(self, watch: Watch) -> dict[str, int]:
        used = self.visit.surface.turns.tokens(watch)
        return {"prompt_tokens": used[0], "completion_tokens": used[1], "total_tokens": used[2]}


def finish_of(ending: Ending) -> str:
    """Why an answer ended, in the words of the interface."""
    return "tool_calls" if ending.calls else "length" if ending.stop == "length" else "stop"


def arguments_of(call: JsonObject) -> str:
    """The arguments of a call as the text that clients parse."""
    return encode(call["args"]).decode()


def _call(call: JsonObject, arguments: str) -> JsonObject:
    return {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": arguments}}
