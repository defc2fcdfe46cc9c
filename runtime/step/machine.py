"""`advance(state, event) -> Step`: the one place where a session changes. Pure: no I/O, no clock, no chance.

An event that the tables have no place for raises `NoTransition` and changes nothing. Effects are named, not performed.
The transitions themselves are in `conversation`, `asking`, `calling` and `again`; this file finds the row and
holds the result against it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import frozen

from runtime.errors import LocalError, NoTransition
from runtime.step import again, asking, calling, conversation
from runtime.step import calls as waves
from runtime.step import events as ev
from runtime.step.asking import request_of
from runtime.step.calling import call_of
from runtime.step.effects import Effect, Moved
from runtime.step.events import Event, On
from runtime.step.kinds import StepKind
from runtime.step.state import State
from runtime.step.table import AGAIN, ALWAYS, CALL_TABLE, OUTCOMES, READY, TABLE, Phase
from runtime.vocab import evolve

__all__ = ["Step", "advance", "begins", "kind_of", "ready", "request_of"]


@frozen
class Step:
    """The record of one step: what was, what came, what is, what is wanted. Journal, debugger and tests read this."""

    before: State
    event: Event
    after: State
    effects: tuple[Effect, ...]
    kind: StepKind
    call: str = ""

    @property
    def begins(self) -> bool:
        """Whether a step of the machine begins with this record: step numbers count it."""
        return begins(self.kind, self.event)


def begins(kind: StepKind, event: Event) -> bool:
    """Whether a record begins a step, and is neither a control nor the outcome of one that was begun before."""
    return kind.counts and event.on not in OUTCOMES


def advance(state: State, event: Event) -> Step:
    """Return the step that `event` means in `state`. Raises NoTransition, EditRefused."""
    kind, allowed = _rule(state, event)
    after, wanted = _HANDLERS[event.on](state, event)
    if after.phase not in allowed:
        raise LocalError(f"{event.on.name} led from {state.phase.name} to {after.phase.name}, which no table allows")
    after = evolve(after, seq=state.seq + 1, number=state.number + begins(kind, event))
    return Step(state, event, after, wanted, kind, getattr(event, "call", ""))


def ready(state: State) -> tuple[ev.Go, ...]:
    """Return the steps that the machine can take by itself now; none while it waits for an outcome or a message."""
    if state.phase is Phase.CALLS:
        return waves.ready(state.turn) if state.turn else ()
    kind = READY.get(state.phase)
    return (ev.Go(kind.value),) if kind else ()


def kind_of(state: State, event: Event) -> StepKind:
    """Return the kind of the step that `event` would be. Raises NoTransition."""
    return _rule(state, event)[0]


def _rule(state: State, event: Event) -> tuple[StepKind, frozenset[Phase]]:
    always = ALWAYS.get(event.on)
    if always is not None and state.phase in always[1]:
        return always[0], _ANYWHERE[event.on] | ({state.phase} if event.on in _STAYS else frozenset())
    rule = TABLE[state.phase].get(event.on)
    if rule is None:
        raise NoTransition(f"{event.on.name} in {state.phase.name} (session {state.session}, step {state.seq})")
    if isinstance(event, ev.Go):
        return _go_rule(state, event, rule.kind, rule.to)
    if state.phase is Phase.CALLS:
        call = call_of(state, event)
        row = CALL_TABLE[call.phase].get(event.on)
        if row is None:
            raise NoTransition(f"{event.on.name} of call {call.id} in {call.phase.name} (session {state.session})")
    return rule.kind, rule.to


def _go_rule(state: State, event: ev.Go, kind: StepKind, to: frozenset[Phase]) -> tuple[StepKind, frozenset[Phase]]:
    if event not in ready(state):
        raise NoTransition(f"GO {event.step} {event.call} in {state.phase.name} (session {state.session})")
    return (StepKind(event.step) if state.phase is Phase.CALLS else kind), to


def _go(state: State, event: ev.Go) -> Moved:
    if state.phase is Phase.CALLS:
        return calling.go_call(state, event)
    return _GO[state.phase](state)


_GO: Final[Mapping[Phase, Callable[[State], Moved]]] = {
    Phase.SCREEN: conversation.go_screen,
    Phase.TURN: conversation.go_turn,
    Phase.BUILD: asking.go_build,
    Phase.COMPRESS: asking.go_compress,
    Phase.HOOK: asking.go_hook,
    Phase.REQUEST: asking.go_request,
    Phase.RETRY: asking.go_retry,
    Phase.TURN_END: conversation.go_turn_end,
    Phase.REPLY: conversation.go_reply,
    Phase.SEND: conversation.go_send,
}

_HANDLERS: Final[Mapping[On, Callable[[State, Any], Moved]]] = {
    On.OPEN: conversation.opened,
    On.REOPEN: conversation.reopened,
    On.CLOSE: conversation.closed,
    On.MESSAGE: conversation.received,
    On.GO: _go,
    On.SCREENED: conversation.screened,
    On.CONTEXT: asking.context_built,
    On.COMPRESSED: asking.compressed,
    On.HOOKED: asking.hooked,
    On.CHUNK: asking.chunk,
    On.ENDED: asking.stream_ended,
    On.BROKE: asking.stream_broke,
    On.WAITED: asking.waited,
    On.JUDGED: calling.judged,
    On.INVALID: calling.invalid,
    On.APPROVED: calling.approved,
    On.DENIED: calling.denied,
    On.FINISHED: calling.finished,
    On.VETTED: conversation.vetted,
    On.SENT: conversation.sent,
    On.FAULT: conversation.fault,
    On.CANCEL: conversation.cancelled,
    On.EDIT: conversation.edited,
    On.HOLD: conversation.held,
    On.RELEASE: conversation.released,
    On.BRANCH: again.branched,
    On.RECOVER: again.recovered,
    On.QUEUE: conversation.queued,
    On.UNQUEUE: conversation.unqueued,
    On.COMPACT: asking.compacted,
    On.FORK: again.forked,
    On.MARK: again.marked,
}

_STAYS: Final = frozenset(
    {On.EDIT, On.HOLD, On.RELEASE, On.BRANCH, On.RECOVER, On.QUEUE, On.UNQUEUE, On.COMPACT, On.MARK}
)
_ANYWHERE: Final[Mapping[On, frozenset[Phase]]] = {
    On.EDIT: frozenset({Phase.SCREEN, Phase.CALLS, Phase.TURN_END, Phase.REPLY}),
    On.HOLD: frozenset(),
    On.RELEASE: frozenset(),
    On.BRANCH: frozenset(AGAIN.values()) | {Phase.TURN_END, Phase.DONE},
    On.RECOVER: frozenset(AGAIN.values()) | {Phase.TURN_END},
    On.CANCEL: frozenset({Phase.CANCELLED}),
    On.FAULT: frozenset({Phase.FAILED}),
    On.CLOSE: frozenset({Phase.CLOSED}),
    On.QUEUE: frozenset(),
    On.UNQUEUE: frozenset(),
    On.COMPACT: frozenset(),
    On.MARK: frozenset(),
}
