"""How a session goes on by itself, computed and not performed: up to its next model request. Pure."""

from collections.abc import Callable, Mapping
from typing import Final

from attrs import frozen

from debugger.inspect.plain import wellformed
from runtime.step import REST, CallPhase, Event, Phase, State, advance, ready
from runtime.step import events as ev
from runtime.step.table import HOOK_BEFORE
from runtime.vocab import Decision, Verdict

_FARTHEST: Final = 20
"""Steps that are looked ahead; a prompt comes to its request in less."""
_PASSES: Final = Verdict(Decision.ALLOW, "debugger.assumed")
_ASSUMED: Final[Mapping[Phase, tuple[str, Callable[[State], Event]]]] = {
    Phase.SCREENING: ("the judge lets the message pass", lambda state: ev.Screened(_PASSES)),
    Phase.COMPRESSING: ("the history is not shortened", lambda state: ev.Compressed(None)),
    Phase.HOOKING: ("the hooks add nothing and do not stop it", lambda state: ev.Hooked(_hook(state))),
}
_CERTAIN: Final[Mapping[Phase, Event]] = {Phase.RETRYING: ev.Waited()}
"""What can come to only one thing."""
_REPLY: Final = frozenset({Phase.REPLY, Phase.REPLYING, Phase.SEND, Phase.SENDING})


@frozen
class Ahead:
    """The state before the next request, and what must go as assumed for it to come to that."""

    state: State
    assumes: tuple[str, ...] = ()


def ahead(state: State) -> Ahead | str:
    """Return the state from which the next request is made (that of the request under way, where one is), or one
    sentence that says why there is none yet."""
    assumes: list[str] = []
    for _ in range(_FARTHEST):
        if state.phase in (Phase.REQUEST, Phase.STREAMING):
            return Ahead(state, tuple(assumes))
        event = _next(state, assumes)
        if event is None:
            return _none(state)
        state = advance(state, event).after
    return "no request comes within the next steps"


def _next(state: State, assumes: list[str]) -> Event | None:
    if state.phase is Phase.CALLS or state.phase in _REPLY:
        return None
    wanted = ready(state)
    if wanted:
        return wanted[0]
    if state.phase in _ASSUMED:
        sentence, made = _ASSUMED[state.phase]
        assumes.append(sentence)
        return made(state)
    return _CERTAIN.get(state.phase)


def _hook(state: State) -> str:
    return HOOK_BEFORE[state.after_hook] if state.after_hook else ""


def _none(state: State) -> str:
    if state.phase is Phase.CALLS and state.turn is not None:
        left = sum(call.phase is not CallPhase.FINISHED for call in state.turn.calls)
        return f"the next request waits for the results of {left} {'call' if left == 1 else 'calls'}"
    if state.phase is Phase.BUILDING:
        return "the context is not built yet; stop after context.build"
    if state.phase in _REPLY:
        return "the model has answered; the next request comes with the next message"
    if state.phase is Phase.FAILED and state.outcome is not None:
        return wellformed(f"the prompt ends here: {(state.outcome.message or state.outcome.code)[:400]}")
    if state.phase in REST or state.phase is Phase.NEW:
        return "no prompt is open; the next request comes with the next message"
    return "the session is closed" if state.phase is Phase.CLOSED else f"none is next in phase {state.phase.value}"
