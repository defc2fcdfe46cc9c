"""What transitions have in common: entering a phase, ending a prompt, answering open calls. Pure."""

from runtime.errors import LocalError
from runtime.step import calls as waves
from runtime.step.state import Outcome, Prompt, State, Turn, Waiting, append, rewritten
from runtime.step.table import HOOK_BEFORE, Phase
from runtime.vocab import Tape, evolve


def enter(state: State, phase: Phase) -> State:
    """Enter a ready phase, through HOOK where its event has a listener."""
    if HOOK_BEFORE.get(phase) in state.settings.hooks:
        return evolve(state, phase=Phase.HOOK, after_hook=phase)
    return evolve(state, phase=phase)


def answered(state: State, reason: str) -> State:
    """Answer the calls of an open turn, so that the history stays whole."""
    turn = state.turn
    if turn is None or not turn.calls:
        return state
    settled = evolve(turn, calls=tuple(waves.settled(call, reason) for call in turn.calls))
    return evolve(state, turn=settled, **append(state, waves.answers(state, settled)))


def ended_with(state: State, phase: Phase, outcome: Outcome) -> State:
    """End the prompt. A prompt that failed before its first answer leaves no trace in the history (AGENT_LOOP 1)."""
    prompt = state.prompt
    unanswered = (
        prompt is not None
        and len(state.history) > prompt.base
        and not any(content.role == "model" for content in state.history[prompt.base + 1 :])
    )
    if phase is Phase.FAILED and unanswered and prompt is not None:
        state = evolve(state, **rewritten(state.history[: prompt.base]))
    if state.steering is not None:  # it did not join this prompt: it waits for the next
        state = evolve(state, steering=None, lane=(Waiting(state.steering), *state.lane))
    return evolve(state, phase=phase, outcome=outcome, after_hook=None)


def taping(state: State, lines: tuple[int, ...]) -> State:
    """Return the state with these lines of a recording marked as used."""
    tape: Tape = state.tape
    for line in lines:
        tape = tape.taking(line)
    return evolve(state, tape=tape) if lines else state


def prompt_of(state: State) -> Prompt:
    """Return the open prompt. Raises LocalError where there is none."""
    if state.prompt is None:
        raise LocalError(f"no prompt in {state.phase.name} (session {state.session})")
    return state.prompt


def turn_of(state: State) -> Turn:
    """Return the open turn. Raises LocalError where there is none."""
    if state.turn is None:
        raise LocalError(f"no turn in {state.phase.name} (session {state.session})")
    return state.turn
