"""Transitions that begin anew from a state that was: recovery, branches, forks; and marks, which change nothing. Pure.

What was under way there is made ready again. A call that was running and whose result is known keeps it, a reply that
is known to have left is not sent again, and a tool that must not run twice and has no known result is interrupted.
"""

from runtime.errors import LocalError, NoTransition
from runtime.step import calls as waves
from runtime.step import events as ev
from runtime.step.calling import with_calls
from runtime.step.effects import Moved
from runtime.step.ending import taping
from runtime.step.state import Call, Outcome, State, rewritten
from runtime.step.table import AGAIN, CallPhase, Phase
from runtime.vocab import EffectClass, evolve


def branched(state: State, event: ev.Branched) -> Moved:
    """Begin a branch at this state, or go on at the end of one."""
    return evolve(_known(state, event), branch=event.branch, touched=True), ()


def recovered(state: State, event: ev.Recovered) -> Moved:
    """Make ready again what was under way when the process died."""
    return _again(state), ()


def forked(state: State, event: ev.Forked) -> Moved:
    """Begin as another session was. Messages that wait there, and a hold, stay there."""
    origin = event.state
    if origin.digest.hex() != event.digest or rewritten(origin.history)["rolled"] != origin.rolled:
        raise LocalError(f"the state of {event.parent} after its record {event.at} is not the one that was copied")
    if origin.phase in (Phase.NEW, Phase.CLOSED):
        raise NoTransition(f"FORK of a session in {origin.phase.name} (session {event.parent})")
    settings = origin.settings
    if event.workspace:
        settings = evolve(settings, workspace=event.workspace)
    begun = evolve(
        origin,
        settings=settings,
        session=state.session,
        seq=state.seq,
        number=state.number,
        branch=state.branch,
        hold=None,
        generation=0,
        lane=(),
    )
    return evolve(_known(begun, event), touched=True), ()


def marked(state: State, event: ev.Marked) -> Moved:
    """Take note, of a record that is there."""
    if not 1 <= event.seq <= state.seq:
        raise NoTransition(f"MARK of record {event.seq}, but there are 1 to {state.seq} (session {state.session})")
    return state, ()


def repeatable(state: State, call: Call) -> bool:
    """Whether the tool of a call may run a second time. One of unknown class may not."""
    return effect_of(state, call).repeatable


def effect_of(state: State, call: Call) -> EffectClass:
    """Return the class of a call's tool; one without a class counts as irreversible."""
    known = state.context.toolset.effects.get(call.name) if state.context else None
    return next((kind for kind in EffectClass if kind.value == known), EffectClass.IRREVERSIBLE)


def _known(state: State, event: ev.Branched | ev.Forked) -> State:
    """Take in what is known of effects that were under way, and make ready again what is not; the rules are of now."""
    if event.mode is not None:
        state = evolve(state, settings=evolve(state.settings, mode=event.mode))
    if state.phase is Phase.SENDING and event.sent:
        return evolve(state, phase=Phase.DONE, turn=None, outcome=Outcome("done"))
    turn = state.turn
    if turn is None or state.phase is not Phase.CALLS:
        return _again(state)
    for known in event.results:
        call = turn.call(known.call)
        if call is not None and call.phase is CallPhase.RUNNING:
            turn = turn.with_call(evolve(call, phase=CallPhase.FINISHED, result=known.result))
            state = taping(state, known.result.tape)
    return _again(evolve(state, turn=turn))


def _again(state: State) -> State:
    phase = AGAIN.get(state.phase, state.phase)
    turn = state.turn
    if turn is None:
        return evolve(state, phase=phase)
    if phase is Phase.REQUEST:
        return evolve(state, phase=phase, turn=evolve(turn, chunks=turn.chunks[:0], rolled=b""))
    if phase is not Phase.CALLS:
        return evolve(state, phase=phase)
    return with_calls(state, tuple(waves.recovered(call, repeatable(state, call)) for call in turn.calls))
