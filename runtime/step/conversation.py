"""Transitions of the conversation: session, prompt, turn, reply, and what any phase answers. Pure."""

from typing import Final

from runtime.errors import NoTransition
from runtime.step import calls as waves
from runtime.step import edits, effects
from runtime.step import events as ev
from runtime.step.asking import BRIDGE
from runtime.step.calling import with_calls
from runtime.step.effects import Moved
from runtime.step.ending import answered, ended_with, enter, prompt_of, turn_of
from runtime.step.state import Hold, Outcome, Prompt, State, Turn, Waiting, append
from runtime.step.table import Phase
from runtime.vocab import Content, Decision, Message, Verdict, evolve

TURN_LIMIT: Final = (
    "Reached max session turns for this session. "
    "Increase the number of turns by specifying maxSessionTurns in settings.json."
)


def opened(state: State, event: ev.Opened) -> Moved:
    """Take in how the session runs."""
    return evolve(state, phase=Phase.IDLE, settings=event.settings), ()


def reopened(state: State, event: ev.Reopened) -> Moved:
    """Go on in another process; the context is built anew."""
    tape = state.tape if event.tape is None else event.tape
    changed = evolve(
        state, phase=Phase.IDLE, settings=event.settings, context=None, tape=tape, turn_base=state.turns, outcome=None
    )
    return changed, ()


def closed(state: State, event: ev.Closed) -> Moved:
    """End the session for good, whatever waits for it."""
    return evolve(state, phase=Phase.CLOSED, lane=()), ()


def received(state: State, event: ev.Received) -> Moved:
    """Take a message, from the lane if it waits there."""
    message, lane = event.message, state.lane
    if not message.parts:
        named = [one.message for one in lane if one.message.id == message.id]
        if not named:
            raise NoTransition(f"MESSAGE {message.id} without parts is not in the lane (session {state.session})")
        message = named[0]
        lane = tuple(one for one in lane if one.message is not message)
    prompt = Prompt(message, base=len(state.history))
    return evolve(state, phase=Phase.SCREEN, prompt=prompt, turn=None, outcome=None, lane=lane), ()


def queued(state: State, event: ev.Queued) -> Moved:
    """Let a message wait: behind the others, or where the first of those stood that it replaces."""
    gone = [n for n, one in enumerate(state.lane) if one.message.id in event.replaces]
    place = gone[0] if gone else len(state.lane)
    lane = tuple(one for n, one in enumerate(state.lane) if n not in gone)
    return evolve(state, lane=(*lane[:place], Waiting(event.message, event.steer), *lane[place:])), ()


def unqueued(state: State, event: ev.Unqueued) -> Moved:
    """Let messages leave unread."""
    return evolve(state, lane=tuple(one for one in state.lane if one.message.id not in event.ids)), ()


def screened(state: State, event: ev.Screened) -> Moved:
    """Begin the prompt, or refuse it. A message that steers joins the prompt, or does not."""
    if state.steering is not None:
        return _steered(state, state.steering, event.verdict)
    if event.verdict.decision is not Decision.ALLOW:
        return ended_with(state, Phase.REFUSED, Outcome("refused", event.verdict.rule, event.verdict.reason)), ()
    return enter(state, Phase.TURN), ()


def _steered(state: State, message: Message, verdict: Verdict) -> Moved:
    state = evolve(state, steering=None)
    if verdict.decision is Decision.ALLOW:
        said = Content("user", message.parts, message.labels)
        after_results = bool(state.history) and state.history[-1].is_results
        return evolve(state, phase=Phase.TURN, **append(state, *((BRIDGE, said) if after_results else (said,)))), ()
    if state.history and state.history[-1].role == "user":
        return evolve(state, phase=Phase.TURN), ()
    return enter(state, Phase.REPLY), ()


def go_screen(state: State) -> Moved:
    """Let the judge look at the message."""
    return evolve(state, phase=Phase.SCREENING), (effects.Screen(state.steering or prompt_of(state).message),)


def go_turn(state: State) -> Moved:
    """Begin a turn, if one is left."""
    prompt, limit = prompt_of(state), state.settings.max_turns
    if 0 <= limit <= state.turns - state.turn_base:
        return ended_with(state, Phase.FAILED, Outcome("failed", "turn_limit", TURN_LIMIT)), ()
    prompt = evolve(prompt, turns=prompt.turns + 1)
    return evolve(state, phase=Phase.BUILD, prompt=prompt, turn=Turn(prompt.turns), turns=state.turns + 1), ()


def go_turn_end(state: State) -> Moved:
    """Results join the history and the next turn follows; without calls, the reply does, and where a call was handed
    over, too. Messages that steer come before a turn or a reply, but not between such a call and its result."""
    turn = turn_of(state)
    if waves.hands_over(turn):
        state = evolve(state, turn=evolve(turn, calls=()), **append(state, waves.answers(state, turn)))
        return enter(state, Phase.REPLY), ()
    if turn.calls:
        state = evolve(state, phase=Phase.TURN, turn=None, **append(state, waves.answers(state, turn)))
    steering = tuple(one.message for one in state.lane if one.steer)
    if steering:
        waiting = tuple(one for one in state.lane if not one.steer)
        return evolve(state, phase=Phase.SCREEN, turn=None, lane=waiting, steering=_merged(steering)), ()
    return (state if turn.calls else enter(state, Phase.REPLY)), ()


def _merged(messages: tuple[Message, ...]) -> Message:
    """Several messages as one: they steer together."""
    if len(messages) == 1:
        return messages[0]
    return evolve(
        messages[0],
        id="+".join(one.id for one in messages),
        text="\n\n".join(one.text for one in messages),
        parts=tuple(part for one in messages for part in one.parts),
        labels=tuple(dict.fromkeys(label for one in messages for label in one.labels)),
    )


def go_reply(state: State) -> Moved:
    """Let the judge look at the reply."""
    return evolve(state, phase=Phase.REPLYING), (effects.JudgeReply(state.answer),)


def go_send(state: State) -> Moved:
    """Hand the reply to the outbox."""
    return evolve(state, phase=Phase.SENDING), (effects.Send(state.answer),)


def vetted(state: State, event: ev.Vetted) -> Moved:
    """Send the reply, or refuse it."""
    if event.verdict.decision is not Decision.ALLOW:
        return ended_with(state, Phase.REFUSED, Outcome("refused", event.verdict.rule, event.verdict.reason)), ()
    return evolve(state, phase=Phase.SEND), ()


def sent(state: State, event: ev.Sent) -> Moved:
    """The prompt is done."""
    return evolve(state, phase=Phase.DONE, turn=None, outcome=Outcome("done")), ()


def cancelled(state: State, event: ev.Cancelled) -> Moved:
    """Give the prompt up. What is finished stays."""
    reason = event.reason or f"cancelled by {event.by}"
    return ended_with(answered(state, reason), Phase.CANCELLED, Outcome("cancelled", "cancelled", reason)), ()


def fault(state: State, event: ev.Fault) -> Moved:
    """Fail the prompt, because an effect broke its port."""
    state = answered(state, event.message)
    return ended_with(state, Phase.FAILED, Outcome("failed", event.code, event.message)), ()


def edited(state: State, event: ev.Edited) -> Moved:
    """Change what a person changed."""
    changed = edits.apply(state, event)
    if changed.phase is Phase.CALLS and changed.turn is not None:
        changed = with_calls(changed, changed.turn.calls)
    return changed, ()


def held(state: State, event: ev.Held) -> Moved:
    """Note where and why the session stands still."""
    generation = state.generation + 1
    hold = Hold(event.step, event.cause, event.by, generation, event.call)
    return evolve(state, hold=hold, generation=generation), ()


def released(state: State, event: ev.Released) -> Moved:
    """Let it go on, if the release speaks of the hold that is in force."""
    if state.hold is None or state.hold.generation != event.generation:
        now = f"hold {state.hold.generation} is" if state.hold else "no hold is"
        raise NoTransition(f"RELEASE of hold {event.generation}, but {now} in force (session {state.session})")
    return evolve(state, hold=None), ()
