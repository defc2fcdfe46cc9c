"""Transitions of tool calls: judged, approved, run, answered. Pure; which call may take a step is in `calls`."""

from typing import Any

from runtime.errors import NoTransition
from runtime.step import calls as waves
from runtime.step import effects
from runtime.step import events as ev
from runtime.step.effects import Moved
from runtime.step.ending import answered, ended_with, taping, turn_of
from runtime.step.state import Call, Outcome, State
from runtime.step.table import CallPhase, Phase
from runtime.vocab import Decision, ToolResult, evolve


def go_call(state: State, event: ev.Go) -> Moved:
    """Judge, ask about, or run one call."""
    turn = turn_of(state)
    call = call_of(state, event)
    phase, effect = {
        CallPhase.JUDGE: (CallPhase.JUDGING, effects.JudgeCall),
        CallPhase.APPROVE: (CallPhase.APPROVING, effects.AskPerson),
        CallPhase.SCHEDULED: (CallPhase.RUNNING, effects.RunTool),
    }[call.phase]
    call = evolve(call, phase=phase)
    wanted = effects.RunTool(call, state.tape) if effect is effects.RunTool else effect(call)
    return evolve(state, turn=turn.with_call(call)), (wanted,)


def judged(state: State, event: ev.Judged) -> Moved:
    """Schedule the call, ask a person, or answer it with the reason why not."""
    call, verdict = call_of(state, event), event.verdict
    if verdict.decision is Decision.ALLOW:
        return with_call(state, evolve(call, phase=CallPhase.SCHEDULED, verdict=verdict)), ()
    if verdict.decision is Decision.REVIEW and state.settings.interactive:
        return with_call(state, evolve(call, phase=CallPhase.APPROVE, verdict=verdict)), ()
    result = ToolResult.failed(verdict.error_type, verdict.reason or f"Denied by {verdict.rule}.")
    return with_call(state, evolve(call, phase=CallPhase.FINISHED, verdict=verdict, result=result)), ()


def invalid(state: State, event: ev.Invalid) -> Moved:
    """Answer a call that cannot run."""
    call = call_of(state, event)
    return with_call(state, evolve(call, phase=CallPhase.FINISHED, result=event.result)), ()


def approved(state: State, event: ev.Approved) -> Moved:
    """Schedule the call; with other arguments it is judged again."""
    call = call_of(state, event)
    if event.args is None:
        return with_call(state, evolve(call, phase=CallPhase.SCHEDULED)), ()
    changed = evolve(
        call,
        phase=CallPhase.JUDGE,
        args=event.args,
        revision=call.revision + 1,
        edited=True,
        verdict=None,
        entered_by=event.by,
    )
    return with_call(state, changed), ()


def denied(state: State, event: ev.Denied) -> Moved:
    """Cancel the call and every queued one (AGENT_LOOP section 2); one that has a result of its own ends alone."""
    if event.result is not None:
        return with_call(state, evolve(call_of(state, event), phase=CallPhase.FINISHED, result=event.result)), ()
    reason = event.reason or f"{event.by} did not allow the call."
    changed = tuple(
        waves.settled(call, reason) if call.id == event.call or call.phase is CallPhase.QUEUED else call
        for call in turn_of(state).calls
    )
    return with_calls(state, changed), ()


def finished(state: State, event: ev.Finished) -> Moved:
    """Take in a result; a fatal one fails the prompt."""
    call = call_of(state, event)
    state = taping(state, event.result.tape)
    state = with_call(state, evolve(call, phase=CallPhase.FINISHED, result=event.result))
    if not event.fatal:
        return state, ()
    message = event.result.error.message if event.result.error else "A tool failed for good."
    return ended_with(answered(state, message), Phase.FAILED, Outcome("failed", "fatal_tool", message)), ()


def with_call(state: State, changed: Call) -> State:
    """Return the state with one call replaced."""
    return with_calls(state, turn_of(state).with_call(changed).calls)


def with_calls(state: State, changed: tuple[Call, ...]) -> State:
    """Return the state with the calls replaced; when all are finished, the turn ends."""
    changed = waves.promoted(changed)
    over = all(call.phase is CallPhase.FINISHED for call in changed)
    return evolve(state, phase=Phase.TURN_END if over else Phase.CALLS, turn=evolve(turn_of(state), calls=changed))


def call_of(state: State, event: Any) -> Call:
    """Return the call that the event speaks of. Raises NoTransition where there is none, or for older arguments."""
    call = state.turn.call(event.call) if state.turn else None
    if call is None:
        raise NoTransition(f"{event.on.name} of call {event.call!r}, which this turn does not have ({state.session})")
    if getattr(event, "revision", call.revision) != call.revision:
        raise NoTransition(f"{event.on.name} of call {call.id} speaks of older arguments ({state.session})")
    return call
