"""What a session may do next. Data only: no I/O, no clock, no logging.

Rule 1: a transition that is not in a table does not exist.
Rule 2: this file does not know who asks (gateway, debugger, replay).
Rule 3: a phase is *ready* (the machine takes the step itself, with GO), or it *waits* for what an effect brings.
Rule 4: what a session answers in any phase (edit, hold, cancel …) stands once, in ALWAYS.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

from attrs import frozen

from runtime.step.kinds import On, StepKind


class Phase(Enum):
    """Where a session stands."""

    __hash__ = object.__hash__  # there is one of each; that of Enum is slower

    NEW = "new"
    IDLE = "idle"
    SCREEN = "screen"
    SCREENING = "screening"
    TURN = "turn"
    BUILD = "build"
    BUILDING = "building"
    COMPRESS = "compress"
    COMPRESSING = "compressing"
    HOOK = "hook"
    HOOKING = "hooking"
    REQUEST = "request"
    STREAMING = "streaming"
    RETRY = "retry"
    RETRYING = "retrying"
    CALLS = "calls"
    TURN_END = "turn-end"
    REPLY = "reply"
    REPLYING = "replying"
    SEND = "send"
    SENDING = "sending"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"
    CLOSED = "closed"


class CallPhase(Enum):
    """Where one tool call of a turn stands (AGENT_LOOP section 2)."""

    __hash__ = object.__hash__  # there is one of each; that of Enum is slower

    QUEUED = "queued"
    JUDGE = "judge"
    JUDGING = "judging"
    APPROVE = "approve"
    APPROVING = "approving"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    FINISHED = "finished"


@frozen
class Rule:
    """One row: the kind of the step, and the phases it may lead to."""

    kind: StepKind
    to: frozenset[Phase]


@frozen
class CallRule:
    """One row of the table of calls."""

    kind: StepKind
    to: frozenset[CallPhase]


def _to(kind: StepKind, *phases: Phase) -> Rule:
    return Rule(kind, frozenset(phases))


def _call(kind: StepKind, *phases: CallPhase) -> CallRule:
    return CallRule(kind, frozenset(phases))


_P, _K, _C = Phase, StepKind, CallPhase
_AT_REST = {
    On.MESSAGE: _to(_K.MESSAGE_RECEIVE, _P.SCREEN),
    On.REOPEN: _to(_K.SESSION_OPEN, _P.IDLE),
}
_NOT_WAITING = (
    *(_P.IDLE, _P.SCREEN, _P.TURN, _P.BUILD, _P.COMPRESS, _P.HOOK, _P.REQUEST, _P.RETRY, _P.CALLS, _P.TURN_END),
    *(_P.REPLY, _P.SEND, _P.DONE, _P.REFUSED, _P.FAILED, _P.CANCELLED),
)
_BEFORE_REQUEST = (_P.COMPRESS, _P.HOOK, _P.REQUEST)

TABLE: Final[Mapping[Phase, Mapping[On, Rule]]] = MappingProxyType(
    {
        _P.NEW: {On.OPEN: _to(_K.SESSION_OPEN, _P.IDLE), On.FORK: _to(_K.SESSION_FORK, *_NOT_WAITING)},
        _P.IDLE: _AT_REST,
        _P.SCREEN: {On.GO: _to(_K.MESSAGE_SCREEN, _P.SCREENING)},
        _P.SCREENING: {On.SCREENED: _to(_K.MESSAGE_SCREEN, _P.HOOK, _P.TURN, _P.REPLY, _P.REFUSED)},
        _P.TURN: {On.GO: _to(_K.TURN_START, _P.BUILD, _P.FAILED)},
        _P.BUILD: {On.GO: _to(_K.CONTEXT_BUILD, _P.BUILDING, *_BEFORE_REQUEST)},
        _P.BUILDING: {On.CONTEXT: _to(_K.CONTEXT_BUILD, *_BEFORE_REQUEST)},
        _P.COMPRESS: {On.GO: _to(_K.CONTEXT_COMPRESS, _P.COMPRESSING)},
        _P.COMPRESSING: {On.COMPRESSED: _to(_K.CONTEXT_COMPRESS, _P.HOOK, _P.REQUEST)},
        _P.HOOK: {On.GO: _to(_K.HOOK_RUN, _P.HOOKING)},
        _P.HOOKING: {On.HOOKED: _to(_K.HOOK_RUN, _P.TURN, _P.REQUEST, _P.REPLY, _P.REFUSED)},
        _P.REQUEST: {On.GO: _to(_K.MODEL_REQUEST, _P.STREAMING)},
        _P.STREAMING: {
            On.CHUNK: _to(_K.MODEL_CHUNK, _P.STREAMING),
            On.ENDED: _to(_K.MODEL_RESPONSE, _P.CALLS, _P.TURN_END, _P.RETRY, _P.FAILED),
            On.BROKE: _to(_K.MODEL_RESPONSE, _P.RETRY, _P.FAILED),
        },
        _P.RETRY: {On.GO: _to(_K.RETRY_WAIT, _P.RETRYING)},
        _P.RETRYING: {On.WAITED: _to(_K.RETRY_WAIT, _P.HOOK, _P.REQUEST)},
        _P.CALLS: {
            On.INVALID: _to(_K.CALL_JUDGE, _P.CALLS, _P.TURN_END),
            On.JUDGED: _to(_K.CALL_JUDGE, _P.CALLS, _P.TURN_END),
            On.APPROVED: _to(_K.CALL_APPROVE, _P.CALLS),
            On.DENIED: _to(_K.CALL_APPROVE, _P.CALLS, _P.TURN_END),
            On.FINISHED: _to(_K.CALL_RESULT, _P.CALLS, _P.TURN_END, _P.FAILED),
            # GO stands in CALL_TABLE: its kind is the call's.
            On.GO: _to(_K.CALL_RUN, _P.CALLS),
        },
        _P.TURN_END: {On.GO: _to(_K.TURN_END, _P.TURN, _P.HOOK, _P.REPLY, _P.SCREEN)},
        _P.REPLY: {On.GO: _to(_K.REPLY_JUDGE, _P.REPLYING)},
        _P.REPLYING: {On.VETTED: _to(_K.REPLY_JUDGE, _P.SEND, _P.REFUSED)},
        _P.SEND: {On.GO: _to(_K.REPLY_SEND, _P.SENDING)},
        _P.SENDING: {On.SENT: _to(_K.REPLY_SEND, _P.DONE)},
        _P.DONE: _AT_REST,
        _P.REFUSED: _AT_REST,
        _P.FAILED: _AT_REST,
        _P.CANCELLED: _AT_REST,
        _P.CLOSED: {},
    }
)

CALL_TABLE: Final[Mapping[CallPhase, Mapping[On, CallRule]]] = MappingProxyType(
    {
        _C.QUEUED: {},
        _C.JUDGE: {On.GO: _call(_K.CALL_JUDGE, _C.JUDGING)},
        _C.JUDGING: {
            On.INVALID: _call(_K.CALL_JUDGE, _C.FINISHED),
            On.JUDGED: _call(_K.CALL_JUDGE, _C.SCHEDULED, _C.APPROVE, _C.FINISHED),
        },
        _C.APPROVE: {On.GO: _call(_K.CALL_APPROVE, _C.APPROVING)},
        _C.APPROVING: {
            On.APPROVED: _call(_K.CALL_APPROVE, _C.SCHEDULED, _C.JUDGE),
            On.DENIED: _call(_K.CALL_APPROVE, _C.FINISHED),
        },
        _C.SCHEDULED: {On.GO: _call(_K.CALL_RUN, _C.RUNNING)},
        _C.RUNNING: {On.FINISHED: _call(_K.CALL_RESULT, _C.FINISHED)},
        _C.FINISHED: {},
    }
)

REST: Final = frozenset({_P.IDLE, _P.DONE, _P.REFUSED, _P.FAILED, _P.CANCELLED})
"""Phases with no open prompt: a message may come, and the session may be unloaded."""
OPEN: Final = frozenset(Phase) - REST - {_P.NEW, _P.CLOSED}
"""Phases with an open prompt."""

AGAIN: Final[Mapping[Phase, Phase]] = MappingProxyType(
    {
        _P.SCREENING: _P.SCREEN,
        _P.BUILDING: _P.BUILD,
        _P.COMPRESSING: _P.COMPRESS,
        _P.HOOKING: _P.HOOK,
        _P.STREAMING: _P.REQUEST,
        _P.RETRYING: _P.RETRY,
        _P.REPLYING: _P.REPLY,
        _P.SENDING: _P.SEND,
    }
)
"""From waiting back to ready: where recovery and a new branch put a session whose effects are gone."""

CALL_AGAIN: Final[Mapping[CallPhase, CallPhase]] = MappingProxyType(
    {
        _C.JUDGING: _C.JUDGE,
        _C.APPROVE: _C.JUDGE,
        _C.APPROVING: _C.JUDGE,
        _C.SCHEDULED: _C.JUDGE,
        _C.RUNNING: _C.JUDGE,
    }
)
"""The same for a call: it is judged again. RUNNING only where the tool may run again."""

ALWAYS: Final[Mapping[On, tuple[StepKind, frozenset[Phase]]]] = MappingProxyType(
    {
        On.EDIT: (_K.CONTROL_EDIT, REST | OPEN),
        On.HOLD: (_K.CONTROL_HOLD, REST | OPEN),
        On.RELEASE: (_K.CONTROL_RELEASE, REST | OPEN),
        On.BRANCH: (_K.CONTROL_BRANCH, REST | OPEN),
        On.RECOVER: (_K.CONTROL_RECOVER, REST | OPEN),
        On.CANCEL: (_K.CONTROL_CANCEL, OPEN),
        On.FAULT: (_K.CONTROL_CANCEL, OPEN),
        On.CLOSE: (_K.SESSION_CLOSE, REST),
        On.QUEUE: (_K.CONTROL_QUEUE, REST | OPEN),
        On.UNQUEUE: (_K.CONTROL_QUEUE, REST | OPEN),
        On.COMPACT: (_K.CONTEXT_COMPRESS, REST),
        On.MARK: (_K.CONTROL_MARK, REST | OPEN),
    }
)
"""What any of these phases answers. HOLD, RELEASE, QUEUE, UNQUEUE, COMPACT and MARK stay in the phase; EDIT does
too, or goes back to where what was changed is judged; BRANCH and RECOVER go where AGAIN says, BRANCH from SENDING to
DONE where the reply has left; CANCEL leads to CANCELLED, FAULT to FAILED, CLOSE to CLOSED."""

HOOK_BEFORE: Final[Mapping[Phase, str]] = MappingProxyType(
    {_P.TURN: "BeforeAgent", _P.REQUEST: "BeforeModel", _P.REPLY: "AfterAgent"}
)
"""Which hook event stands before a phase. The phase is entered through HOOK when the event has a listener."""

READY: Final[Mapping[Phase, StepKind]] = MappingProxyType(
    {phase: rules[On.GO].kind for phase, rules in TABLE.items() if On.GO in rules and phase is not _P.CALLS}
)
"""Ready phases and the step that each is ready for."""
CALL_READY: Final[Mapping[CallPhase, StepKind]] = MappingProxyType(
    {phase: rules[On.GO].kind for phase, rules in CALL_TABLE.items() if On.GO in rules}
)
"""The same for calls."""

_ROWS: Final = tuple(row for table in (TABLE, CALL_TABLE) for row in table.values())
_BEGUN: Final = frozenset(row[On.GO].kind for row in _ROWS if On.GO in row)
OUTCOMES: Final = frozenset(on for row in _ROWS for on, rule in row.items() if on is not On.GO and rule.kind in _BEGUN)
"""What a step that was begun (GO) is waiting for: it is taken in by a second record of the same step."""
