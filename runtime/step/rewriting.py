"""What a person may change in a conversation: contents of the history, the reply that has not left. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from pyrsistent import PVector

from runtime.errors import RemoteError
from runtime.provenance import Integrity, mark, read
from runtime.step.events import Change
from runtime.step.state import State, rewritten
from runtime.step.table import REST, Phase
from runtime.vocab import Content, JsonObject, evolve

_INDEX: Final = re.compile("[0-9]{1,9}")
UNSENT: Final = frozenset({Phase.TURN_END, Phase.REPLY, Phase.REPLYING, Phase.SEND})
"""Phases in which a reply stands and has not been handed out."""


class EditRefused(RemoteError):
    """The edit names nothing that is there, has the wrong type, or comes too late. Nothing was changed."""

    code = "edit_refused"


def history(state: State, rest: str, change: Change, by: str) -> State:
    """Shorten the history, or set, insert, delete or move one content of it."""
    if change.path == "history":
        return _shortened(state, change)
    end = len(state.history) + (change.op == "insert")
    if not _INDEX.fullmatch(rest) or int(rest) >= end:
        raise EditRefused(f"{change.path}: the history has {len(state.history)} contents, counted from 0")
    at = int(rest)
    return {"set": _set, "insert": _insert, "delete": _delete, "move": _move}[change.op](state, at, change, by)


def _set(state: State, at: int, change: Change, by: str) -> State:
    old = state.history[at]
    return evolve(state, **rewritten(state.history.set(at, Content(old.role, _parts(change), _marked(old.labels, by)))))


def _insert(state: State, at: int, change: Change, by: str) -> State:
    parts = _parts(change)
    role = change.value.get("role")
    if role not in ("user", "model"):
        raise EditRefused(f"{change.path}: `role` must be user or model, not {role!r}")
    labels = change.value.get("labels", ())
    if not isinstance(labels, (list, tuple)) or not all(isinstance(label, str) for label in labels):
        raise EditRefused(f"{change.path}: `labels` must be a list of texts")
    made = Content(role, parts, _marked(tuple(labels), by))
    base = _base(state)
    inside = at > base or (at == base and change.value.get("prompt") is not False)
    return _with(state, state.history[:at].append(made).extend(state.history[at:]), 0 if inside else 1)


def _delete(state: State, at: int, change: Change, by: str) -> State:
    return _with(state, state.history.delete(at), -1 if at < _base(state) else 0)


def _move(state: State, at: int, change: Change, by: str) -> State:
    to, base = change.value, _base(state)
    if isinstance(to, bool) or not isinstance(to, int) or not 0 <= to < len(state.history):
        raise EditRefused(f"{change.path}: must be moved to one of the {len(state.history)} places, not {to!r}")
    if (at < base) is not (to < base):
        raise EditRefused(f"{change.path}: it cannot be moved over place {base}, where the open prompt begins")
    moved, rest = state.history[at], state.history.delete(at)
    return _with(state, rest[:to].append(moved).extend(rest[to:]), 0)


def trust(state: State, rest: str, change: Change, by: str) -> State:
    """Vouch for contents of the history: for all, for some by their places, or put the labels of some as given."""
    value = change.value
    if rest:
        raise EditRefused(f"{change.path}: no such path; it is `trust`")
    contents = state.history
    if value is None:
        value = list(range(len(contents)))
    places = dict(value) if isinstance(value, Mapping) else dict.fromkeys(map(str, value)) if _list(value) else None
    if places is None or not all(_INDEX.fullmatch(str(at)) and int(at) < len(contents) for at in places):
        raise EditRefused(f"trust: must be null, or places of the {len(contents)} contents, not {value!r}")
    for at, given in places.items():
        old = contents[int(at)]
        if given is not None and not (_list(given) and all(isinstance(label, str) for label in given)):
            raise EditRefused(f"trust: the labels of content {at} must be a list of texts")
        labels = _vouched(old.labels, by) if given is None else tuple(given)
        contents = contents.set(int(at), Content(old.role, old.parts, labels))
    return evolve(state, **rewritten(contents))


def _list(value: object) -> bool:
    return isinstance(value, (list, tuple)) and not any(isinstance(one, bool) for one in value)


def _vouched(labels: tuple[str, ...], by: str) -> tuple[str, ...]:
    trusted = (mark(Integrity.TRUSTED, read(label)[1]) for label in labels)
    return _marked(tuple(dict.fromkeys(trusted)), by)


def _base(state: State) -> int:
    return state.prompt.base if state.prompt is not None else 0


def _with(state: State, contents: "PVector[Content]", more: int) -> State:
    """The state with another history, in which so many contents more stand before the open prompt."""
    prompt = state.prompt
    if prompt is not None and more:
        prompt = evolve(prompt, base=max(0, prompt.base + more))
    return evolve(state, prompt=prompt, **rewritten(contents))


def _shortened(state: State, change: Change) -> State:
    count = change.value
    if change.op != "set" or state.phase not in REST:
        raise EditRefused("history: it can lose its beginning only while no prompt is open")
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= len(state.history):
        raise EditRefused(f"history: must be how many of the {len(state.history)} contents go, not {count!r}")
    kept = state.history[count:]
    if kept and (kept[0].role != "user" or kept[0].is_results):
        raise EditRefused("history: what is left must begin with what a person said")
    return _with(state, kept, -count)


def reply(state: State, rest: str, change: Change, by: str) -> State:
    """Rewrite the reply of the open prompt; it is judged again."""
    base = state.prompt.base if state.prompt is not None else 0
    place = next((n for n in range(len(state.history) - 1, base - 1, -1) if state.history[n].role == "model"), None)
    if state.phase not in UNSENT or place is None or (state.turn is not None and state.turn.calls):
        raise EditRefused("reply: there is none that could still be changed; stop before reply.judge or reply.send")
    value = change.value
    if rest or not (isinstance(value, (str, Mapping)) and value):
        raise EditRefused(f"{change.path}: must be text that is not empty, not {value!r}")
    parts: tuple[JsonObject, ...] = ({"text": value},) if isinstance(value, str) else _parts(change)
    old = state.history[place]
    changed = state.history.set(place, Content("model", parts, _marked(old.labels, by)))
    phase = state.phase if state.phase is Phase.TURN_END else Phase.REPLY
    return evolve(state, phase=phase, **rewritten(changed))


def _parts(change: Change) -> tuple[JsonObject, ...]:
    value: Any = change.value
    parts = value.get("parts") if isinstance(value, Mapping) else None
    if not isinstance(parts, (list, tuple)) or not all(isinstance(part, Mapping) for part in parts):
        raise EditRefused(f"{change.path}: must be an object with a list `parts` of objects")
    return tuple(parts)


def _marked(labels: tuple[str, ...], by: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*labels, f"edited:{by}")))


Rewrite = Callable[[State, str, Change, str], State]
"""Takes the state, what follows the first word of the path, the change, and who makes it."""
