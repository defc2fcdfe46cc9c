"""The edit that takes an edit back. Pure; what it brings back keeps the mark of who changed it."""

from runtime.step.edits import apply
from runtime.step.events import Change, Edited
from runtime.step.state import State
from runtime.vocab import Content


def inverse(state: State, event: Edited) -> Edited:
    """Return the edit that leads from the state after `event` back to `state`. Raises EditRefused as `event` would."""
    undone: list[Change] = []
    for change in event.changes:
        undone[:0] = _undo(state, change)
        state = apply(state, Edited.of((change,), event.by))
    return Edited.of(tuple(undone), event.by, f"undo: {event.reason}" if event.reason else "undo")


def _undo(state: State, change: Change) -> tuple[Change, ...]:
    """The changes that undo one, first to last. The state is the one before it, so it may name what is not there."""
    head, _, rest = change.path.partition(".")
    if head == "history":
        return _undo_history(state, rest, change)
    if head == "trust":
        return (Change("trust", {str(n): list(one.labels) for n, one in enumerate(state.history)}),)
    if head == "calls":
        return _undo_call(state, rest, change)
    return (Change(change.path, _value(state, head, rest)),)


def _value(state: State, head: str, rest: str) -> object:
    context = state.context
    if head == "note":
        return "undo"
    if head == "model":
        return state.settings.model
    if head == "settings":
        return getattr(state.settings, rest, None)
    if head == "system":
        return context.system if context is not None else None
    if head == "tools":
        return list(context.toolset.names) if context is not None and context.offered is not None else None
    if head == "reply":
        last = next((one for one in reversed(state.history) if one.role == "model"), None)
        return _plain(last) if last is not None else None
    message = state.steering or (state.prompt.message if state.prompt is not None else None)
    return {"text": message.text, "parts": list(message.parts)} if message is not None else None


def _undo_history(state: State, rest: str, change: Change) -> tuple[Change, ...]:
    if not rest:
        gone = state.history[: change.value] if isinstance(change.value, int) else ()
        return tuple(Change(f"history.{n}", {**_plain(one), "prompt": False}, "insert") for n, one in enumerate(gone))
    if change.op == "insert":
        return (Change(change.path, None, "delete"),)
    if change.op == "move":
        return (Change(f"history.{change.value}", int(rest) if rest.isdecimal() else None, "move"),)
    there = rest.isdecimal() and int(rest) < len(state.history)
    old = _plain(state.history[int(rest)]) if there else None
    return (Change(change.path, old, "insert" if change.op == "delete" else "set"),)


def _undo_call(state: State, rest: str, change: Change) -> tuple[Change, ...]:
    calls = state.turn.calls if state.turn is not None else ()
    found = max((call for call in calls if rest.startswith(f"{call.id}.")), key=lambda one: len(one.id), default=None)
    if found is None:
        return (change,)
    if change.path == f"calls.{found.id}.result":
        if change.op == "set":
            return (Change(change.path, None, "delete"),)
        result = found.result
        error = result.error.message if result is not None and result.error is not None else None
        return (Change(change.path, {"error": error} if error is not None else result.output if result else None),)
    return (Change(f"calls.{found.id}.args", dict(found.args)),)


def _plain(content: Content) -> dict[str, object]:
    return {"role": content.role, "parts": list(content.parts), "labels": list(content.labels)}
