"""What a person may change in a session, and what follows from it. Refuses what is ill-typed or too late.

Every edited call, reply and message that was not screened is judged again: an edit never goes round the judge.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from runtime.step.events import Change, Edited
from runtime.step.rewriting import EditRefused, Rewrite, history, reply, trust
from runtime.step.state import Call, State
from runtime.step.table import CallPhase, Phase
from runtime.vocab import ToolResult, Toolset, encode, evolve, nested_within

__all__ = ["EDITABLE", "MADE_UP", "OPS", "EditRefused", "apply"]

MADE_UP: Final = "edited:"
"""How a label begins that says who made a result up. No tool has run for such a result, so it can be taken away."""
MOST_CHANGES: Final = 100
"""Changes that one edit may make."""


def apply(state: State, event: Edited) -> State:
    """Return the state after all changes of the edit. `EDITABLE` lists the paths. Raises EditRefused."""
    if len(event.more) >= MOST_CHANGES:
        raise EditRefused(f"an edit makes {MOST_CHANGES} changes or fewer, not {len(event.more) + 1}")
    for change in event.changes:
        state = _applied(state, change, event.by)
    return evolve(state, touched=True)


def _applied(state: State, change: Change, by: str) -> State:
    if not nested_within(change.value):
        raise EditRefused(f"{change.path}: the value is nested too deep")
    head, _, rest = change.path.partition(".")
    rewrite = _CHANGES.get(head)
    if rewrite is None:
        raise EditRefused(f"{change.path}: no such path; editable are {', '.join(sorted(EDITABLE))}")
    if change.op not in OPS.get(_form(head, rest), ("set",)):
        raise EditRefused(f"{change.path}: it cannot be changed by {change.op!r}")
    try:
        encode(change.value)
    except (TypeError, ValueError, RecursionError) as exc:
        raise EditRefused(f"{change.path}: must be a JSON value ({exc})") from exc
    return rewrite(state, rest, change, by)


def _form(head: str, rest: str) -> str:
    if head == "history" and rest:
        return "history.N"
    if head == "calls" and rest.endswith(".result"):
        return "calls.ID.result"
    return head


def _model(state: State, rest: str, change: Change, by: str) -> State:
    if rest or not isinstance(change.value, str) or not change.value:
        raise EditRefused(f"{change.path}: must be the name of a model, not {change.value!r}")
    return evolve(state, settings=evolve(state.settings, model=change.value))


def _settings(state: State, rest: str, change: Change, by: str) -> State:
    least = {"max_turns": -1, "max_attempts": 1}.get(rest)
    if least is None:
        raise EditRefused(f"{change.path}: of the settings, `max_turns` and `max_attempts` can be changed")
    if isinstance(change.value, bool) or not isinstance(change.value, int) or not least <= change.value < 2**31:
        raise EditRefused(f"{change.path}: must be a whole number from {least}, not {change.value!r}")
    return evolve(state, settings=evolve(state.settings, **{rest: change.value}))


def _system(state: State, rest: str, change: Change, by: str) -> State:
    if state.context is None:
        raise EditRefused("system: the context is not built yet; stop after context.build")
    if rest or not isinstance(change.value, str):
        raise EditRefused(f"{change.path}: must be text, not {type(change.value).__name__}")
    return evolve(state, context=evolve(state.context, system=change.value))


def _tools(state: State, rest: str, change: Change, by: str) -> State:
    if state.context is None:
        raise EditRefused("tools: the context is not built yet; stop after context.build")
    whole, names = state.context.offered or state.context.toolset, change.value
    if names is None and not rest:
        return evolve(state, context=evolve(state.context, toolset=whole, offered=None))
    if rest or not isinstance(names, (list, tuple)) or not all(name in whole.names for name in names):
        raise EditRefused(f"{change.path}: must be null for all, or a list of some of {', '.join(whole.names)}")
    return evolve(state, context=evolve(state.context, toolset=_only(whole, frozenset(names)), offered=whole))


def _only(whole: Toolset, names: frozenset[str]) -> Toolset:
    declarations = [one for one in json.loads(whole.declarations) if one.get("name") in names]
    return Toolset(
        tuple(name for name in whole.names if name in names),
        tuple(name for name in whole.serial if name in names),
        {name: effect for name, effect in whole.effects.items() if name in names},
        encode(declarations).decode(),
    )


def _note(state: State, rest: str, change: Change, by: str) -> State:
    if rest or change.value is None:
        raise EditRefused(f"{change.path}: must be what was done, not {change.value!r}")
    return state


def _message(state: State, rest: str, change: Change, by: str) -> State:
    if state.prompt is None or state.phase not in (Phase.SCREEN, Phase.SCREENING):
        raise EditRefused("message: it can be changed only before it was screened; edit the history instead")
    value = change.value
    said: dict[str, Any] = {"text": value, "parts": ({"text": value},)}
    if isinstance(value, Mapping):
        said = {"text": value.get("text"), "parts": value.get("parts")}
    parts = said["parts"]
    if rest or not isinstance(said["text"], str) or not said["text"]:
        raise EditRefused(f"{change.path}: must be text that is not empty, not {value!r}")
    if not isinstance(parts, (list, tuple)) or not all(isinstance(part, Mapping) for part in parts):
        raise EditRefused(f"{change.path}: must be text, or an object with `text` and a list `parts` of objects")
    said["parts"] = tuple(parts)
    if state.steering is not None:
        return evolve(state, steering=evolve(state.steering, **said), phase=Phase.SCREEN)
    message = evolve(state.prompt.message, **said)
    return evolve(state, prompt=evolve(state.prompt, message=message), phase=Phase.SCREEN)


def _calls(state: State, rest: str, change: Change, by: str) -> State:
    # A call id may hold dots (model-made), so the member is what follows the longest id that matches.
    turn = state.turn
    found = [call for call in turn.calls if rest.startswith(f"{call.id}.")] if turn else []
    if not found or turn is None:
        raise EditRefused(f"{change.path}: no such call in this turn")
    call = max(found, key=lambda one: len(one.id))
    member = rest[len(call.id) + 1 :]
    if change.op == "delete":
        return evolve(state, phase=Phase.CALLS, turn=turn.with_call(_unanswered(state, call, change)))
    if call.phase in (CallPhase.RUNNING, CallPhase.FINISHED):
        raise EditRefused(f"{change.path}: the call is {call.phase.value}; go back to the step before it ran")
    return evolve(state, turn=turn.with_call(_changed_call(call, member, change, by)))


def _unanswered(state: State, call: Call, change: Change) -> Call:
    made_up = call.result is not None and any(label.startswith(MADE_UP) for label in call.result.labels)
    if not made_up or state.phase not in (Phase.CALLS, Phase.TURN_END):
        raise EditRefused(f"{change.path}: only a made-up result can be taken away, and only while its turn is open")
    return evolve(call, phase=CallPhase.JUDGE, result=None, verdict=None, revision=call.revision + 1)


def _changed_call(call: Call, member: str, change: Change, by: str) -> Call:
    if member == "args" or member.startswith("args."):
        args = _set(call.args, member.split(".")[1:], change)
        phase = CallPhase.QUEUED if call.phase is CallPhase.QUEUED else CallPhase.JUDGE
        revision = call.revision + 1
        return evolve(call, args=args, phase=phase, revision=revision, edited=True, verdict=None, entered_by="")
    if member == "result":
        return evolve(call, phase=CallPhase.FINISHED, result=_made_up(change, by), edited=True)
    raise EditRefused(f"{change.path}: of a call, `args`, `args.NAME` and `result` can be changed")


def _made_up(change: Change, by: str) -> ToolResult:
    value, labels = change.value, (f"{MADE_UP}{by}",)
    if isinstance(value, str):
        return ToolResult(output=value, display=value, labels=labels)
    if isinstance(value, Mapping) and list(value) == ["error"] and isinstance(value["error"], str):
        return evolve(ToolResult.failed("execution_failed", value["error"]), labels=labels)
    kind = type(value).__name__
    raise EditRefused(f'{change.path}: must be the text that the model gets, or {{"error": text}}, not {kind}')


def _set(args: Mapping[str, Any], keys: list[str], change: Change) -> dict[str, Any]:
    if not keys:
        if not isinstance(change.value, Mapping):
            raise EditRefused(f"{change.path}: must be an object, not {type(change.value).__name__}")
        return dict(change.value)
    inner = args.get(keys[0], {})
    if len(keys) > 1 and not isinstance(inner, Mapping):
        raise EditRefused(f"{change.path}: {keys[0]} is no object")
    return {**args, keys[0]: change.value if len(keys) == 1 else _set(inner, keys[1:], change)}


_CHANGES: Final[Mapping[str, Rewrite]] = {
    "model": _model,
    "settings": _settings,
    "system": _system,
    "tools": _tools,
    "message": _message,
    "history": history,
    "reply": reply,
    "calls": _calls,
    "trust": trust,
    "note": _note,
}
OPS: Final[Mapping[str, tuple[str, ...]]] = {
    "history.N": ("set", "insert", "delete", "move"),
    "calls.ID.result": ("set", "delete"),
}
"""What can be done at a path; where none is listed, `set`."""
EDITABLE: Final[Mapping[str, str]] = {
    "model": "name of the model, from the next request on",
    "settings.max_turns": "how many turns a prompt may take, -1 for any number",
    "settings.max_attempts": "how often one request is tried",
    "system": "text of the system instruction",
    "tools": "names of the tools that are offered, out of those there are; null for all",
    "message": "text of the message, before it was screened; or an object with `text` and `parts`",
    "history": "how many contents go from the beginning, while no prompt is open",
    "history.N": "content N, as an object with `parts`; one that is inserted has a `role`; moved is it to a number",
    "reply": "text of the reply, before it leaves; it is judged again",
    "calls.ID.args": "arguments of a call that has not started; the call is judged again",
    "calls.ID.args.NAME": "one argument of such a call",
    "calls.ID.result": "a made-up result, given to the model in place of running the call; deleted, the call is judged",
    "trust": "places of contents that a person vouches for, null for all; or an object of places with their labels",
    "note": "nothing: it says in the journal what somebody did to the world of the session",
}
"""Every path an edit may name, with what it means."""
