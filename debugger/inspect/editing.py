"""Under which name an edit changes what lies at a path (`runtime.step.edits.EDITABLE`). Judges no edit. Pure."""

from typing import Final

from debugger.inspect.paths import Step
from runtime.step import State
from runtime.step.edits import EDITABLE
from runtime.step.state import Call

_PLAIN: Final[dict[tuple[Step, ...], str]] = {
    ("state", "model"): "model",
    ("state", "settings", "model"): "model",
    ("state", "settings", "max_turns"): "settings.max_turns",
    ("state", "settings", "max_attempts"): "settings.max_attempts",
    ("state", "context", "system"): "system",
    ("state", "context", "toolset", "names"): "tools",
    ("state", "answer"): "reply",
    ("state", "prompt", "message", "text"): "message",
    ("state", "steering", "text"): "message",
    ("state", "history"): "history",
}
_CALLS: Final = (("state", "calls"), ("state", "retry", "calls"))


def edit_name(steps: tuple[Step, ...], state: State, call: str) -> str | None:
    """Return the path by which `control.edit` names what lies there, or None where nothing may change it.

    `call` is the id of the call that the border is about. Whether an edit still comes in time the edit itself says.
    """
    found = _PLAIN.get(steps)
    if found is not None:
        return found
    if len(steps) == 3 and steps[:2] == ("state", "history"):
        return f"history.{steps[2]}"
    one, rest = _call(steps, state, call)
    return _of_call(one, rest) if one is not None else None


def _call(steps: tuple[Step, ...], state: State, call: str) -> tuple[Call | None, tuple[Step, ...]]:
    if state.turn is None:
        return None, ()
    if steps[:1] == ("tool",):
        return state.turn.call(call), steps[1:]
    for head in _CALLS:
        rest = steps[len(head) :]
        if steps[: len(head)] == head and rest and isinstance(rest[0], int) and rest[0] < len(state.turn.calls):
            return state.turn.calls[rest[0]], rest[1:]
    return None, ()


def _of_call(call: Call, rest: tuple[Step, ...]) -> str | None:
    if rest == ("result",):
        return f"calls.{call.id}.result"
    named = all(isinstance(step, str) and step and "." not in step for step in rest)
    if rest[:1] != ("args",) or not named:
        return None
    return ".".join(["calls", call.id, *map(str, rest)])


FORMS: Final = frozenset(EDITABLE) - {"note", "trust"}
"""What an edit may name that is in a state (a note and a trust are not); a test holds `edit_name` to it."""
