"""From chunks to an answer: assembling, and the rules by which a stream is good (API section "When is a stream good?").
Decides nothing about what happens next."""

import json
import re
from collections.abc import Iterable
from typing import Any, Final

from attrs import frozen

from runtime.vocab import Content, JsonObject, Usage

_INVISIBLE: Final = re.compile("[\u200b-\u200f\ufeff]")
_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)

PROBLEMS: Final[dict[str, str]] = {
    "NO_FINISH_REASON": "Model stream ended without a finish reason.",
    "MALFORMED_FUNCTION_CALL": "Model stream ended with malformed function call.",
    "UNEXPECTED_TOOL_CALL": "Model stream ended with unexpected tool call.",
    "MAX_TOKENS_EXCEEDED": "Model stream ended at the token limit without any text.",
    "SAFETY_BLOCKED": "Model stream was stopped by the safety settings without any text.",
    "RECITATION_BLOCKED": "Model stream was stopped as recitation without any text.",
    "OTHER_BLOCKED": "Model stream was stopped for another reason without any text.",
    "THINKING_ONLY_RESPONSE": "The model returned thoughts but no answer.",
    "TOO_MANY_TOOL_CALLS": "The model asked for too many tool calls in one answer.",
    "NO_RESPONSE_TEXT": "The model returned an empty response with no text or thoughts. "
    "This may be a transient API issue; please try again.",
}
"""Type of an invalid stream (stable names of the peer) and the sentence for people."""

NUDGES: Final[dict[str, str]] = {
    "THINKING_ONLY_RESPONSE": "\n[System: Your last attempt held only thoughts. Answer in text now, or call a tool.]",
    "NO_RESPONSE_TEXT": "\n[System: Your last attempt was empty. Answer in text now, or call a tool.]",
}
"""Text that a retry adds to the last user content. The peer sends it there, not in the system instruction."""

_EMPTY_BY_FINISH: Final = {
    "MAX_TOKENS": "MAX_TOKENS_EXCEEDED",
    "SAFETY": "SAFETY_BLOCKED",
    "RECITATION": "RECITATION_BLOCKED",
    "OTHER": "OTHER_BLOCKED",
}

STRAY: Final = "(not an object)"
"""Under this name a call keeps arguments that are no object, so that whoever checks it can name them (`stray`)."""
SHOWN: Final = 200
"""Characters of them that are named."""


@frozen
class Response:
    """An assembled answer. `problem` is a key of PROBLEMS, or None for a good stream."""

    content: Content
    calls: tuple[JsonObject, ...]
    usage: Usage
    finish: str
    model_version: str
    problem: str | None


def parts_of(chunk: JsonObject) -> list[JsonObject]:
    """Return the parts of the first candidate; a chunk without any (metadata only) gives none."""
    candidates = chunk.get("candidates")
    first = candidates[0] if isinstance(candidates, (list, tuple)) and candidates else None
    content = first.get("content") if isinstance(first, dict) else None
    parts = content.get("parts") if isinstance(content, dict) else None
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, (list, tuple)) else []


def finish_of(chunk: JsonObject) -> str:
    """Return the finish reason of a chunk, or an empty string."""
    candidates = chunk.get("candidates")
    first = candidates[0] if isinstance(candidates, (list, tuple)) and candidates else None
    reason = first.get("finishReason") if isinstance(first, dict) else None
    return reason if isinstance(reason, str) else ""


def text_of(chunk: JsonObject) -> str:
    """Return the visible text of a chunk: thoughts left out."""
    return "".join(p["text"] for p in parts_of(chunk) if isinstance(p.get("text"), str) and not p.get("thought"))


def visible(text: str) -> str:
    """Return what a person would see of `text`: no zero-width characters, no HTML comments, trimmed."""
    return _COMMENT.sub("", _INVISIBLE.sub("", text)).strip()


def named(chunk: JsonObject, stamp: int, seen: list[str]) -> JsonObject:
    """Return the chunk with an id on each of its calls, and add those ids to `seen`.

    A call without an id gets `<tool>_<stamp>_<n>`, and the second of two calls with one id gets a suffix; inside the
    program the id is `<tool>__<id>` (AGENT_LOOP section 1). A chunk whose calls are named already is left as it is.
    """
    parts = parts_of(chunk)
    if not any(isinstance(part.get("functionCall"), dict) for part in parts):
        return chunk
    made = [_with_id(part, stamp, seen) if isinstance(part.get("functionCall"), dict) else part for part in parts]
    first = chunk["candidates"][0]
    changed = {**first, "content": {**first["content"], "parts": made}}
    return {**chunk, "candidates": [changed, *chunk["candidates"][1:]]}


def assemble(chunks: Iterable[JsonObject], stamp: int, *, after_results: bool) -> Response:
    """Put the chunks of one stream together.

    Neighbouring texts are joined unless a signature would be lost. Calls get ids as in `named`. The last
    `usageMetadata` counts.
    """
    parts: list[dict[str, Any]] = []
    seen: list[str] = []
    usage, finish, version = Usage(), "", ""
    for chunk in chunks:
        for part in parts_of(named(chunk, stamp, seen)):
            _join(parts, dict(part))
        finish = finish_of(chunk) or finish
        metadata = chunk.get("usageMetadata")
        usage = Usage.of(metadata) if isinstance(metadata, dict) else usage
        version = model_of(chunk) or version
    calls = tuple(part["functionCall"] for part in parts if isinstance(part.get("functionCall"), dict))
    problem = None if calls else _problem(parts, finish, after_results)
    return Response(Content("model", tuple(parts), ("model",)), calls, usage, finish, version, problem)


def model_of(chunk: JsonObject) -> str:
    """Return the name of the model that the chunk says it is from, or an empty string."""
    said = chunk.get("modelVersion")
    return said if isinstance(said, str) else ""


def _join(parts: list[dict[str, Any]], part: dict[str, Any]) -> None:
    if "functionCall" in part and not isinstance(part["functionCall"], dict):
        return  # nobody could answer it, and the API would not take it back
    last = parts[-1] if parts else None
    if last is not None and _plain(last) and _plain(part) and "thoughtSignature" not in part:
        last["text"] += part["text"]
        return
    parts.append(part)


def _plain(part: JsonObject) -> bool:
    return isinstance(part.get("text"), str) and not part.get("thought") and "functionCall" not in part


def _with_id(part: JsonObject, stamp: int, seen: list[str]) -> JsonObject:
    call = part["functionCall"]
    name = str(call.get("name") or "generic_tool").strip() or "generic_tool"
    given = call.get("id")
    made = given if isinstance(given, str) and given else f"{name}_{stamp}_{len(seen)}"
    if not made.startswith(f"{name}__"):
        made = f"{name}__{made}"
    while made in seen:  # two calls with one id: a result must find its call
        made = f"{made}-{len(seen)}"
    seen.append(made)
    return {**part, "functionCall": {**call, "id": made, "name": name, "args": _arguments(call.get("args"))}}


def _arguments(given: Any) -> JsonObject:
    """A call has an object. The peer takes for none what is empty or 0, but not an empty list."""
    if isinstance(given, dict):
        return given
    return {STRAY: given} if given or isinstance(given, (list, tuple)) else {}


def stray(args: JsonObject) -> str | None:
    """Return one sentence that names what came instead of an object of arguments, or None."""
    if STRAY not in args:
        return None
    said = json.dumps(args[STRAY], ensure_ascii=False)
    return f"params must be object, not {said if len(said) <= SHOWN else f'{said[:SHOWN]}…'}"


def _problem(parts: list[dict[str, Any]], finish: str, after_results: bool) -> str | None:
    text = visible("".join(p["text"] for p in parts if isinstance(p.get("text"), str) and not p.get("thought")))
    if finish in ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"):
        return finish
    if not finish and not after_results:
        return "NO_FINISH_REASON"
    if text:
        return None
    if finish in _EMPTY_BY_FINISH:
        return _EMPTY_BY_FINISH[finish]
    if any(part.get("thought") for part in parts):
        return "THINKING_ONLY_RESPONSE"
    return None if after_results else "NO_RESPONSE_TEXT"
