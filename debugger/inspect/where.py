"""Where a session stands: session, agent, prompt, turn, phase and calls, each with what there is to say of it. Pure."""

from typing import Any

from debugger.border import Border
from debugger.inspect.facts import Facts
from debugger.inspect.plain import Bounds, Shown, cut, plain
from debugger.inspect.why import awaited, shown_args, stopped
from runtime.step import State
from runtime.step.state import Call


def where(border: Border, facts: Facts | None = None) -> Shown:
    """Return `frames`, outermost first, each with `level` (session, agent, prompt, turn, phase, call) and members of
    its own; `stopped` (None where it is not held) and `awaits` as in `why`."""
    known = facts or Facts()
    state = border.state
    frames: list[Shown] = [_session(border)]
    if border.agent:
        frames.append({"level": "agent", "name": cut(border.agent, 200)})
    frames += _open(border, state)
    frames.append({"level": "phase", "name": state.phase.value, "seconds": known.resting})
    if state.turn is not None:
        frames += [_call(place, call, border.call) for place, call in enumerate(state.turn.calls)]
    return {"frames": frames, "stopped": stopped(state, known), "awaits": awaited(state, known)}


def _session(border: Border) -> Shown:
    state = border.state
    return {
        "level": "session",
        "id": cut(border.session, 200),
        "key": cut(border.key, 200),
        "branch": cut(state.branch, 200),
        "record": state.seq,
        "steps": border.steps,
        "touched": state.touched,
        "tokens": state.usage.total,
        "model": cut(state.settings.model, 200),
        "history": len(state.history),
        "lane": len(state.lane),
    }


def _open(border: Border, state: State) -> list[Shown]:
    if state.prompt is None:
        return []
    message = state.prompt.message
    found: list[Shown] = [
        {
            "level": "prompt",
            "message": cut(message.id, 200),
            "text": cut(message.text, 200),
            "sender": cut(message.sender, 200),
            "seconds": border.seconds,
            "outcome": plain(state.outcome, Bounds(text=400)),
        }
    ]
    turn = state.turn
    if turn is not None:
        row: dict[str, Any] = {"level": "turn", "number": turn.number, "of_session": state.turns}
        row |= {"chunks": len(turn.chunks), "broken": turn.broken, "invalid": turn.invalid, "calls": len(turn.calls)}
        found.append(row)
    return found


def _call(place: int, call: Call, here: str) -> Shown:
    return {
        "level": "call",
        "id": cut(call.id, 200),
        "path": f"state.calls[{place}]",
        "name": cut(call.name, 200),
        "phase": call.phase.value,
        "wave": call.wave,
        "edited": call.edited,
        "here": call.id == here,
        "args": shown_args(call.args),
        "verdict": plain(call.verdict, Bounds(text=400)),
        "failed": call.result is not None and call.result.error is not None,
    }
