"""The conversation of a session as rows: what was said, asked for and answered. A window of it at a time. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from debugger.inspect.plain import Bounds, Shown, cut, plain, wellformed
from runtime.step import State
from runtime.step.response import text_of
from runtime.vocab import Content, JsonObject, Message

COUNT: Final = 20
"""Rows that are shown where nobody says how many."""
MOST: Final = 200
TEXT: Final = 2_000
"""Characters of one part that are shown."""
_PART: Final = {"functionCall": "call", "functionResponse": "result", "inlineData": "data", "fileData": "file"}


def conversation(state: State, start: int | None = None, count: int = 0) -> Shown:
    """Return `count` (0: COUNT) rows of the history from `start` on, which counts from the end where it is negative;
    without it, the last ones.

    Rows have `index`, `path`, `role`, `labels`, `open` (whether it belongs to the open prompt) and `parts`, each with
    `kind` (text, thought, call, result, data, file, other). Beside them: `size` of the history, the `answer` under way
    with the number of its chunks, and the messages that `wait` in the lane.
    """
    size, most = len(state.history), min(count or COUNT, MOST)
    if start is None:
        start = -most
    begin = max(0, size + start) if start < 0 else min(start, size)
    base = state.prompt.base if state.prompt is not None else size
    rows = [
        {
            "index": index,
            "path": f"state.history[{index}]",
            "role": content.role,
            "labels": [cut(label, TEXT) for label in content.labels],
            "open": index >= base,
            "parts": _parts(content),
        }
        for index, content in enumerate(state.history[begin : begin + most], begin)
    ]
    return {"size": size, "start": begin, "rows": rows, "answer": _answer(state), "wait": _lane(state)}


def _parts(content: Content) -> list[Shown]:
    return [part_of(part) for part in content.parts]


def part_of(part: JsonObject) -> Shown:
    """Return one part of a content as it may be shown."""
    text = part.get("text")
    if isinstance(text, str):
        return {"kind": "thought" if part.get("thought") else "text", "text": cut(text, TEXT)}
    name = next((name for name in _PART if isinstance(part.get(name), Mapping)), None)
    if name is None:
        return {"kind": "other", "value": plain(part, _small())}
    half = part[name]
    made: dict[str, Any] = {"kind": _PART[name]}
    if name == "inlineData":
        data = half.get("data")
        made["type"] = plain(half.get("mimeType"), _small())
        return made | {"size": len(data) if isinstance(data, str) else 0}
    if name == "fileData":
        return made | {"value": plain(half, _small())}
    made |= {"id": plain(half.get("id"), _small()), "name": plain(half.get("name"), _small())}
    inner = "args" if name == "functionCall" else "response"
    return made | {inner: plain({inner: half.get(inner)}, _small())[inner]}


def _small() -> Bounds:
    return Bounds(text=TEXT, depth=6, items=50, budget=2 * TEXT)


def _answer(state: State) -> Shown | None:
    """What has come of the answer under way; provisional until its stream has ended."""
    if state.turn is None or not state.turn.chunks:
        return None
    return {"chunks": len(state.turn.chunks), "text": cut("".join(map(text_of, state.turn.chunks)), TEXT)}


def _lane(state: State) -> list[Shown]:
    found = [_message(one.message) | {"steers": one.steer} for one in state.lane]
    if state.steering is not None:
        found.insert(0, _message(state.steering) | {"steers": True})
    return found


def _message(message: Message) -> dict[str, Any]:
    return {
        "id": cut(message.id, TEXT),
        "text": cut(message.text, 200),
        "sender": cut(message.sender, TEXT),
        "labels": [wellformed(label)[:TEXT] for label in message.labels],
    }
