"""How far a step goes, as a question about two neighbours: does it end between the last step and the next one? Pure.

The same answer serves steps that are taken now (`debugger.controller.grains`) and those on the record.
"""

from collections.abc import Callable
from typing import Final

from debugger.protocol.params import Grain
from runtime.step import CallPhase, State, Step, StepKind

Ends = Callable[[Step, StepKind, str], bool]
"""Takes the last step, and kind and call of the next one."""

ENDS_CALL: Final = frozenset({StepKind.MODEL_RESPONSE, StepKind.CALL_RESULT})
_STREAM: Final = frozenset({StepKind.MODEL_REQUEST, StepKind.MODEL_CHUNK})


def ends(grain: Grain, call: str = "") -> Ends:
    """Return whether a step of this grain ends there; with `call`, only what was taken for that call counts.

    micro: one record. step: the records of one kind and call, and with a request all chunks of its answer. call: one
    answer of the model or one result of a tool; with `call`, the end of that call. turn: one turn.
    """
    if grain == "micro":
        return lambda last, kind, here: True
    if call and grain == "call":
        return lambda last, kind, here: is_over(last.after, call) and not is_over(last.before, call)
    if call and grain == "step":
        return lambda last, kind, here: last.call == call and (kind, here) != (last.kind, call)
    if grain == "step":
        return lambda last, kind, here: not _same(last, kind, here)
    kinds = ENDS_CALL if grain == "call" else frozenset({StepKind.TURN_END})
    return lambda last, kind, here: last.kind in kinds


def _same(last: Step, kind: StepKind, call: str) -> bool:
    return (kind, call) == (last.kind, last.call) or (kind is StepKind.MODEL_CHUNK and last.kind in _STREAM)


def is_over(state: State, call: str) -> bool:
    """Whether a call of the open turn is finished, or gone with its turn."""
    found = state.turn.call(call) if state.turn is not None else None
    return found is None or found.phase is CallPhase.FINISHED
