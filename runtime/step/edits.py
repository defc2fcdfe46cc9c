"""What a person may change in a session, and what follows from it. Refuses what is ill-typed or too late.

Every edited call and message is judged again: an edit never goes round the judge.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from runtime.errors import RemoteError
from runtime.step.events import Edited
from runtime.step.state import Call, State, rewritten
from runtime.step.table import REST, CallPhase, Phase
from runtime.vocab import Content, ToolResult, encode, evolve, nested_within

_INDEX: Final = re.compile("[0-9]{1,9}")


class EditRefused(RemoteError):
    """The edit names nothing that is there, has the wrong type, or comes too late. Nothing was changed."""

    code = "edit_refused"


def apply(state: State, event: Edited) -> State:
    """Return the state after the edit. `EDITABLE` lists the paths."""
    if not nested_within(event.value):
        raise EditRefused(f"{event.path}: the value is nested too deep")
    head, _, rest = event.path.partition(".")
    change = _CHANGES.get(head)
    if change is None:
        raise EditRefused(f"{event.path}: no such path; editable are {', '.join(sorted(EDITABLE))}")
    try:
        encode(event.value)
    except (TypeError, ValueError, RecursionError) as exc:
        raise EditRefused(f"{event.path}: must be a JSON value ({exc})") from exc
    return evolve(change(state, rest, event), touched=True)


def _model(state: State, rest: str, event: Edited) -> State:
    if rest or not isinstance(event.value, str) or not event.value:
        raise EditRefused(f"{event.path}: must be the name of a model, not {event.value!r}")
    return evolve(state, settings=evolve(state.settings, model=event.value))


def _system(state: State, rest: str, event: Edited) -> State:
    if state.context is None:
        raise EditRefused("system: the context is not built yet; stop after context.build")
    if rest or not isinstance(event.value, str):
        raise EditRefused(f"{event.path}: must be text, not {type(event.value).__name__}")
    return evolve(state, context=evolve(state.context, system=event.value))


def _message(state: State, rest: str, event: Edited) -> State:
    if state.prompt is None or state.phase not in (Phase.SCREEN, Phase.SCREENING):
        raise EditRefused("message: it can be changed only before it was screened; edit the history instead")
    if rest or not isinstance(event.value, str) or not event.value:
        raise EditRefused(f"{event.path}: must be text that is not empty, not {event.value!r}")
    said = {"text": event.value, "parts": ({"text": event.value},)}
    if state.steering is not None:
        return evolve(state, steering=evolve(state.steering, **said), phase=Phase.SCREEN)
    message = evolve(state.prompt.message, **said)
    return evolve(state, prompt=evolve(state.prompt, message=message), phase=Phase.SCREEN)


def _history(state: State, rest: str, event: Edited) -> State:
    if event.path == "history":
        return _shortened(state, event)
    if not _INDEX.fullmatch(rest) or int(rest) >= len(state.history):
        raise EditRefused(f"{event.path}: the history has {len(state.history)} contents, counted from 0")
    value = event.value
    parts = value.get("parts") if isinstance(value, Mapping) else None
    if not isinstance(parts, (list, tuple)) or not all(isinstance(part, Mapping) for part in parts):
        raise EditRefused(f"{event.path}: must be an object with a list `parts` of objects")
    old = state.history[int(rest)]
    labels = tuple(dict.fromkeys((*old.labels, f"edited:{event.by}")))
    changed = Content(old.role, tuple(parts), labels)
    return evolve(state, **rewritten(state.history.set(int(rest), changed)))


def _shortened(state: State, event: Edited) -> State:
    count = event.value
    if state.phase not in REST:
        raise EditRefused("history: it can lose its beginning only while no prompt is open")
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= len(state.history):
        raise EditRefused(f"history: must be how many of the {len(state.history)} contents go, not {count!r}")
    kept = state.history[count:]
    if kept and (kept[0].role != "user" or kept[0].is_results):
        raise EditRefused("history: what is left must begin with what a person said")
    return evolve(state, **rewritten(kept))


def _calls(state: State, rest: str, event: Edited) -> State:
    # A call id may hold dots (model-made), so the member is what follows the longest id that matches.
    turn = state.turn
    found = [call for call in turn.calls if rest.startswith(f"{call.id}.")] if turn else []
    if not found or turn is None:
        raise EditRefused(f"{event.path}: no such call in this turn")
    call = max(found, key=lambda one: len(one.id))
    member = rest[len(call.id) + 1 :]
    if call.phase in (CallPhase.RUNNING, CallPhase.FINISHED):
        raise EditRefused(f"{event.path}: the call is {call.phase.value}; go back to the step before it ran")
    return evolve(state, turn=turn.with_call(_changed_call(call, member, event)))


def _changed_call(call: Call, member: str, event: Edited) -> Call:
    if member == "args" or member.startswith("args."):
        args = _set(call.args, member.split(".")[1:], event)
        phase = CallPhase.QUEUED if call.phase is CallPhase.QUEUED else CallPhase.JUDGE
        return evolve(call, args=args, phase=phase, revision=call.revision + 1, edited=True, verdict=None)
    if member == "result":
        if not isinstance(event.value, str):
            raise EditRefused(f"{event.path}: must be the text that the model gets, not {type(event.value).__name__}")
        result = ToolResult(output=event.value, display=event.value, labels=(f"edited:{event.by}",))
        return evolve(call, phase=CallPhase.FINISHED, result=result, edited=True)
    raise EditRefused(f"{event.path}: of a call, `args`, `args.NAME` and `result` can be changed")


def _set(args: Mapping[str, Any], keys: list[str], event: Edited) -> dict[str, Any]:
    if not keys:
        if not isinstance(event.value, Mapping):
            raise EditRefused(f"{event.path}: must be an object, not {type(event.value).__name__}")
        return dict(event.value)
    inner = args.get(keys[0], {})
    if len(keys) > 1 and not isinstance(inner, Mapping):
        raise EditRefused(f"{event.path}: {keys[0]} is no object")
    return {**args, keys[0]: event.value if len(keys) == 1 else _set(inner, keys[1:], event)}


_CHANGES: Final[Mapping[str, Callable[[State, str, Edited], State]]] = {
    "model": _model,
    "system": _system,
    "message": _message,
    "history": _history,
    "calls": _calls,
}
EDITABLE: Final[Mapping[str, str]] = {
    "model": "name of the model, from the next request on",
    "system": "text of the system instruction",
    "message": "text of the message, before it was screened",
    "history": "how many contents go from the beginning, while no prompt is open",
    "history.N": "content N, as an object with `parts`",
    "calls.ID.args": "arguments of a call that has not started; the call is judged again",
    "calls.ID.args.NAME": "one argument of such a call",
    "calls.ID.result": "a made-up result, given to the model in place of running the call",
}
"""Every path an edit may name, with what it means."""
