"""POST /v1/responses: one run for one request, as items, whole or as a stream (CONTRACT section 10).

Rules as for chat completions (`http.openai`). Besides: `previous_response_id` goes on in the session of that response,
if it is of the same agent; files are taken as data only, and what is text in them is marked as material from outside.
Members that are not known are refused.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import define, evolve, field, frozen

from runtime.gateway import keys
from runtime.gateway.http.access import Visit
from runtime.gateway.http.material import material
from runtime.gateway.http.openai import BODY, arguments_of, failed, flow, is_ours, settled, text_of, turn_of
from runtime.gateway.http.prompts import (
    ONLY_FILES,
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
    unbased,
)
from runtime.gateway.http.schema import AGENT, ANY, FLAG, TEXT, Schema, listed, number, one_of, record
from runtime.gateway.http.targets import Target, target_of
from runtime.gateway.http.terms import Wish, formatted, sampling, wish_of
from runtime.gateway.http.turns import Ending, Watch
from runtime.gateway.http.wire import FAILED, Answer, as_json, event, refuse
from runtime.vocab import JsonObject

FILE_BYTES: Final = 5_242_880
FILE_CHARACTERS: Final = 60_000
FILES: Final = frozenset({"text/plain", "text/markdown", "text/html", "text/csv", "application/json"})
PDF: Final = "application/pdf"
NO_USAGE: Final = (0, 0, 0)

_SOURCE: Final = record(
    {"type": one_of("base64", "url"), "media_type": TEXT, "data": TEXT, "url": TEXT, "filename": TEXT}, "type"
)
_PART: Final[Schema] = {
    "anyOf": [
        record({"type": one_of("input_text", "output_text"), "text": TEXT}, "type", "text"),
        record({"type": one_of("input_image"), "source": _SOURCE}, "type", "source"),
        record({"type": one_of("input_file"), "source": _SOURCE}, "type", "source"),
    ]
}
_ITEM: Final[Schema] = {
    "anyOf": [
        record(
            {
                "type": one_of("message"),
                "role": one_of("system", "developer", "user", "assistant"),
                "content": {"anyOf": [TEXT, listed(_PART)]},
            },
            "type",
            "role",
            "content",
        ),
        record({"type": one_of("function_call_output"), "call_id": TEXT, "output": TEXT}, "type", "call_id", "output"),
        record(
            {"type": one_of("function_call"), "call_id": TEXT, "name": TEXT, "arguments": TEXT},
            "type",
            "name",
            "arguments",
        ),
        record({"type": one_of("reasoning", "item_reference")}, "type"),
    ]
}
_TOOL: Final = record(
    {"type": one_of("function"), "name": {**TEXT, "minLength": 1}, "description": TEXT, "parameters": ANY},
    "type",
    "name",
)
RESPONSE: Final[Schema] = record(
    {
        "model": AGENT,
        "input": {"anyOf": [{**TEXT, "minLength": 1}, listed(_ITEM, minItems=1)]},
        "instructions": TEXT,
        "tools": listed(_TOOL),
        "tool_choice": ANY,
        "stream": FLAG,
        "max_output_tokens": number(1, 2**53 - 1, whole=True),
        "max_tool_calls": number(1, 2**53 - 1, whole=True),
        "user": {**TEXT, "maxLength": 256},
        "temperature": number(0, 2),
        "top_p": number(0, 1),
        "metadata": record({}, additionalProperties=TEXT),
        "store": FLAG,
        "previous_response_id": TEXT,
        "reasoning": record({}),
        "truncation": one_of("auto", "disabled"),
        "text": record({"format": ANY}),
    },
    "model",
    "input",
    strict=True,
)


@frozen
class Input:
    """What a request says: messages, what is instructed, and files and images for the model."""

    said: tuple[Said, ...] = ()
    instructions: tuple[str, ...] = ()
    files: tuple[JsonObject, ...] = ()
    images: tuple[JsonObject, ...] = ()


async def responses(visit: Visit) -> Answer | None:
    """Answer a request."""
    given = await visit.json(RESPONSE, BODY)
    wish = _wish(visit, given)
    target = _continued(visit, given, target_of(visit, given["model"], given.get("user", ""), "openresponses"))
    read = input_of(given["input"], visit.desk.chance.uuid)
    text = folded(read.said)
    if not text.strip():
        refuse("Missing user message in `input`.")
    instructions = [given.get("instructions", "").strip(), *read.instructions]
    said = parts(instructions, text, (*read.files, *read.images))
    run = f"resp_{visit.desk.chance.uuid()}"
    message, now = f"msg_{visit.desk.chance.uuid()}", visit.desk.clock.wall() // 1000
    reply = Response(visit, run, message, given["model"], now, wish)
    streams = given.get("stream") is True
    turn = evolve(turn_of(visit, target, run, text, said, wish), labels=labels(read.said))
    watch = await visit.surface.turns.begin(turn, streams=streams and not wish.must)
    try:
        return await (reply.stream(watch) if streams else reply.whole(watch))
    finally:
        visit.surface.turns.end(watch)


def _continued(visit: Visit, given: JsonObject, target: Target) -> Target:
    """The session of the response that this one continues, where it is known and the caller's to continue."""
    before = visit.desk.runs.shelf.items.get(given.get("previous_response_id", ""))
    if before is None or not before.id.startswith("resp_") or before.sender != (visit.caller.user or "http"):
        return target
    explicit = bool(visit.incoming.header("x-openclaw-session-key"))
    if explicit or keys.agent_of(before.key) != target.agent or visit.desk.directory.get(before.key) is None:
        return target
    return evolve(target, key=before.key)


# --- the request


def _wish(visit: Visit, given: JsonObject) -> Wish:
    """What the request wants of the model. Raises Halt."""
    wanted = given.get("text", {}).get("format")
    schema = wanted.get("schema") if isinstance(wanted, dict) else None
    extra = {**sampling(given, "max_output_tokens"), **formatted(wanted, schema, "text.format")}
    return wish_of(given.get("tools", ()), given.get("tool_choice"), extra, is_ours(visit))


def input_of(given: Any, name: Callable[[], str]) -> Input:
    """What a request says. `name` makes the name of a mark. Raises Halt."""
    if isinstance(given, str):
        return Input((Said("user", given.strip()),) if given.strip() else ())
    read = Input()
    active = max((n for n, item in enumerate(given) if _asks(item)), default=-1)
    try:
        for n, item in enumerate(given):
            read = _with(read, item, name, last=n == active)
        checked(read.images)
    except NoImage as exc:
        refuse(f"Invalid file or image in `input`: {exc}.")
    return read


def _asks(item: JsonObject) -> bool:
    return item["type"] == "function_call_output" or (item["type"], item.get("role")) == ("message", "user")


def _with(read: Input, item: JsonObject, name: Callable[[], str], *, last: bool) -> Input:
    match item["type"]:
        case "message" if item["role"] in ("system", "developer"):
            return evolve(read, instructions=(*read.instructions, text_of(item["content"]).strip()))
        case "message":
            text = text_of(item["content"]).strip()
            files, images = _media(item["content"], name) if last else ((), ())
            text = text or (ONLY_IMAGES if images else ONLY_FILES if files else "")
            who: Any = "assistant" if item["role"] == "assistant" else "user"
            said = (*read.said, Said(who, text)) if text else read.said
            return evolve(read, said=said, files=(*read.files, *files), images=(*read.images, *images))
        case "function_call_output":
            return evolve(read, said=(*read.said, Said("tool", item["output"], item["call_id"])))
        case "function_call":
            line = call_line(item["name"], item["arguments"], str(item.get("call_id", "")))
            return evolve(read, said=(*read.said, Said("assistant", line)))
    return read


def _media(content: Any, name: Callable[[], str]) -> tuple[tuple[JsonObject, ...], tuple[JsonObject, ...]]:
    """The files and the images of a message. Raises NoImage."""
    files, images = [], []
    for part in content if isinstance(content, list) else ():
        if part["type"] == "input_image":
            kind, data = _data(part["source"])
            images.append(image(data, kind))
        elif part["type"] == "input_file":
            files.append(_file(part["source"], name))
    return tuple(files), tuple(images)


def _data(source: JsonObject) -> tuple[str, str]:
    if source["type"] == "url":
        return data_url(source.get("url", ""))
    return source.get("media_type", "").partition(";")[0].strip().lower(), source.get("data", "")


def _file(source: JsonObject, name: Callable[[], str]) -> JsonObject:
    kind, data = _data(source)
    raw = unbased(data)
    if len(raw) > FILE_BYTES:
        raise NoImage(f"a file of {len(raw)} bytes is larger than {FILE_BYTES}")
    if kind == PDF:
        return {"inlineData": {"mimeType": kind, "data": data}}
    if kind not in FILES:
        raise NoImage(f"{kind or 'a file of unknown kind'} is not taken")
    text = raw.decode("utf-8", "replace")[:FILE_CHARACTERS]
    return {"text": material(text, name(), Source="File", Name=source.get("filename") or "file")}


# --- the answer


@define(eq=False)
class Response:
    """The answer to one request."""

    visit: Visit
    run: str
    message: str
    model: str
    created: int
    wish: Wish = field(factory=Wish)

    async def whole(self, watch: Watch) -> Answer:
        """Wait for the run and answer at once."""
        ending = await settled(self.visit, watch)
        if ending.status != "ok":
            return as_json(self._failed(watch), failed(ending)[0])
        if self.wish.unmet(ending.calls) is not None:
            return as_json(self._failed(watch), 502)
        said = [self._item(ending)] if ending.text or not ending.calls else []
        return as_json(self._finished(watch, ending, [*said, *map(self._call, ending.calls)]))

    async def stream(self, watch: Watch) -> None:
        """Send the answer as it grows; one that has to be a call only when it is sure to be one."""
        begun = self._about("in_progress")
        item = {"type": "message", "id": self.message, "role": "assistant", "content": [], "status": "in_progress"}
        head = (
            _named("response.created", response=begun),
            _named("response.in_progress", response=begun),
            _named("response.output_item.added", output_index=0, item=item),
            _named("response.content_part.added", **self._place(), part={"type": "output_text", "text": ""}),
        )
        await flow(self.visit, watch, "".join(head), self._delta)
        await self.visit.incoming.stream("".join(self._tail(watch)) + event("[DONE]"), last=True)

    def _tail(self, watch: Watch) -> Sequence[str]:
        ending = watch.ending
        unmet = ending is not None and self.wish.unmet(ending.calls) is not None
        if watch.trouble or ending is None or ending.status != "ok" or unmet:
            return [_named("response.failed", response=self._failed(watch))]
        text, output = ending.text, [self._item(ending), *map(self._call, ending.calls)]
        told = [] if watch.streams or not text else [self._delta(text)]
        told += [
            _named("response.output_text.done", **self._place(), text=text),
            _named("response.content_part.done", **self._place(), part={"type": "output_text", "text": text}),
            _named("response.output_item.done", output_index=0, item=output[0]),
        ]
        for place, item in enumerate(output[1:], 1):
            told += [
                _named("response.output_item.added", output_index=place, item={**item, "status": "in_progress"}),
                _named("response.output_item.done", output_index=place, item=item),
            ]
        return [*told, _named(f"response.{_status(ending)}", response=self._finished(watch, ending, output))]

    def _delta(self, piece: str) -> str:
        return _named("response.output_text.delta", **self._place(), delta=piece)

    def _place(self) -> dict[str, Any]:
        return {"item_id": self.message, "output_index": 0, "content_index": 0}

    def _item(self, ending: Ending) -> dict[str, Any]:
        return {
            "type": "message",
            "id": self.message,
            "role": "assistant",
            "content": [{"type": "output_text", "text": ending.text}],
            "phase": "commentary" if ending.calls else "final_answer",
            "status": _status(ending),
        }

    def _call(self, call: JsonObject) -> dict[str, Any]:
        return {
            "type": "function_call",
            "id": f"call_{self.visit.desk.chance.uuid()}",
            "call_id": call["id"],
            "name": call["name"],
            "arguments": arguments_of(call),
            "status": "completed",
        }

    def _finished(self, watch: Watch, ending: Ending, output: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        made = self._about(_status(ending), output, self.visit.surface.turns.tokens(watch))
        why = {"incomplete_details": {"reason": "max_output_tokens"}} if made["status"] == "incomplete" else {}
        return {**made, **why}

    def _failed(self, watch: Watch) -> dict[str, Any]:
        code, text = FAILED, watch.trouble
        if not text and watch.ending is not None:
            unmet = self.wish.unmet(watch.ending.calls) if watch.ending.status == "ok" else None
            code, text = (FAILED, unmet) if unmet is not None else failed(watch.ending)[1:]
        return {**self._about("failed"), "error": {"code": code, "message": text}}

    def _about(
        self, status: str, output: Sequence[Mapping[str, Any]] = (), used: tuple[int, int, int] = NO_USAGE
    ) -> dict[str, Any]:
        return {
            "id": self.run,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "model": self.model,
            "output": [*output],
            "usage": {
                "input_tokens": used[0],
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens": used[1],
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": used[2],
            },
        }


def _status(ending: Ending) -> str:
    return "incomplete" if ending.stop == "length" and not ending.calls else "completed"


def _named(name: str, /, **members: Any) -> str:
    return event({"type": name, **members}, name)
