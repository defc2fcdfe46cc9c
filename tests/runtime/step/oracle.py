"""What the tables allow, worked out from their rows alone and not by the machine."""

from typing import Final

from runtime.step import Phase, State, ready
from runtime.step import events as ev
from runtime.step.events import On
from runtime.step.table import AGAIN, ALWAYS, CALL_TABLE, TABLE, CallPhase

ENDS: Final = {On.CANCEL: Phase.CANCELLED, On.FAULT: Phase.FAILED, On.CLOSE: Phase.CLOSED}
MAY_REFUSE: Final = frozenset({On.EDIT, On.RELEASE, On.MESSAGE, On.MARK, On.FORK})
"""Events that the tables let come and whose value may still be wrong."""


def targets(state: State, event: ev.Event) -> frozenset[Phase]:
    """The phases to which the tables let `event` lead; none where they have no place for it."""
    if event.on in ALWAYS:
        return always(state, event)
    rule = TABLE[state.phase].get(event.on)
    if rule is None or (isinstance(event, ev.Go) and event not in ready(state)):
        return frozenset()
    if state.phase is Phase.CALLS and not call_targets(state, event):
        return frozenset()
    return rule.to


def always(state: State, event: ev.Event) -> frozenset[Phase]:
    """The same for events that stand in ALWAYS."""
    if state.phase not in ALWAYS[event.on][1]:
        return frozenset()
    if event.on in ENDS:
        return frozenset({ENDS[event.on]})
    if event.on in (On.HOLD, On.RELEASE, On.QUEUE, On.UNQUEUE, On.COMPACT, On.MARK):
        return frozenset({state.phase})
    if event.on is On.EDIT:
        back = {Phase.SCREENING: Phase.SCREEN, Phase.CALLS: Phase.TURN_END}
        return frozenset({state.phase, back.get(state.phase, state.phase)})
    if state.phase is Phase.CALLS:
        return frozenset({Phase.CALLS, Phase.TURN_END})
    if isinstance(event, ev.Branched) and event.sent and state.phase is Phase.SENDING:
        return frozenset({Phase.DONE})
    return frozenset({AGAIN.get(state.phase, state.phase)})


def call_targets(state: State, event: ev.Event) -> frozenset[CallPhase]:
    """The phases to which the table of calls lets `event` bring its call."""
    call = state.turn.call(getattr(event, "call", "")) if state.turn else None
    if call is None or getattr(event, "revision", call.revision) != call.revision:
        return frozenset()
    rule = CALL_TABLE[call.phase].get(event.on)
    return rule.to if rule else frozenset()
