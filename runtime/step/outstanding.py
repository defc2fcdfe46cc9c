"""What a session waits for, derived from its state alone. The shell uses it to tell live effects from stale ones."""

from collections.abc import Mapping
from typing import Final

from runtime.step.effects import (
    Ask,
    AskPerson,
    BuildContext,
    Compress,
    Effect,
    JudgeCall,
    JudgeReply,
    RunHook,
    RunTool,
    Screen,
    Send,
    Wait,
)
from runtime.step.kinds import StepKind
from runtime.step.state import State
from runtime.step.table import CallPhase, Phase

Key = tuple[str, str, int]
"""Name of the effect's class, call id, revision of the call."""

WAITS: Final[Mapping[Phase, type[object]]] = {
    Phase.SCREENING: Screen,
    Phase.BUILDING: BuildContext,
    Phase.COMPRESSING: Compress,
    Phase.HOOKING: RunHook,
    Phase.STREAMING: Ask,
    Phase.RETRYING: Wait,
    Phase.REPLYING: JudgeReply,
    Phase.SENDING: Send,
}
CALL_WAITS: Final[Mapping[CallPhase, type[object]]] = {
    CallPhase.JUDGING: JudgeCall,
    CallPhase.APPROVING: AskPerson,
    CallPhase.RUNNING: RunTool,
}
AWAITED: Final[Mapping[str, StepKind]] = {
    Screen.__name__: StepKind.MESSAGE_SCREEN,
    BuildContext.__name__: StepKind.CONTEXT_BUILD,
    Compress.__name__: StepKind.CONTEXT_COMPRESS,
    RunHook.__name__: StepKind.HOOK_RUN,
    Ask.__name__: StepKind.MODEL_CHUNK,
    Wait.__name__: StepKind.RETRY_WAIT,
    JudgeCall.__name__: StepKind.CALL_JUDGE,
    AskPerson.__name__: StepKind.CALL_APPROVE,
    RunTool.__name__: StepKind.CALL_RESULT,
    JudgeReply.__name__: StepKind.REPLY_JUDGE,
    Send.__name__: StepKind.REPLY_SEND,
}
"""By the name in a key: the step that the outcome of an effect will be, before which a session that waits is held."""


def key_of(effect: Effect) -> Key:
    """Return what tells this effect from the others of its session."""
    call = getattr(effect, "call", None)
    return (type(effect).__name__, call.id if call else "", call.revision if call else 0)


def outstanding(state: State) -> frozenset[Key]:
    """Return the keys of the effects whose outcome the state waits for."""
    waits = WAITS.get(state.phase)
    if waits is not None:
        return frozenset({(waits.__name__, "", 0)})
    if state.phase is not Phase.CALLS or state.turn is None:
        return frozenset()
    return frozenset(
        (CALL_WAITS[call.phase].__name__, call.id, call.revision)
        for call in state.turn.calls
        if call.phase in CALL_WAITS
    )
