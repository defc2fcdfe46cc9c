"""The stable public names of the steps and of the events. Breakpoints, journals and documentation use no others."""

from enum import Enum
from typing import Final


class On(Enum):
    """The name of an event, as it stands in the table and in journals."""

    __hash__ = object.__hash__  # there is one of each; that of Enum is slower

    OPEN = "open"
    REOPEN = "reopen"
    CLOSE = "close"
    MESSAGE = "message"
    GO = "go"
    SCREENED = "screened"
    CONTEXT = "context"
    COMPRESSED = "compressed"
    HOOKED = "hooked"
    CHUNK = "chunk"
    ENDED = "ended"
    BROKE = "broke"
    WAITED = "waited"
    JUDGED = "judged"
    INVALID = "invalid"
    APPROVED = "approved"
    DENIED = "denied"
    FINISHED = "finished"
    VETTED = "vetted"
    SENT = "sent"
    FAULT = "fault"
    CANCEL = "cancel"
    EDIT = "edit"
    HOLD = "hold"
    RELEASE = "release"
    BRANCH = "branch"
    RECOVER = "recover"
    QUEUE = "queue"
    UNQUEUE = "unqueue"
    COMPACT = "compact"
    FORK = "fork"
    MARK = "mark"


class StepKind(Enum):
    """What a step does. The value is the public name."""

    __hash__ = object.__hash__  # there is one of each; that of Enum is slower

    MESSAGE_RECEIVE = "message.receive"
    MESSAGE_SCREEN = "message.screen"
    TURN_START = "turn.start"
    CONTEXT_BUILD = "context.build"
    CONTEXT_COMPRESS = "context.compress"
    HOOK_RUN = "hook.run"
    MODEL_REQUEST = "model.request"
    MODEL_CHUNK = "model.chunk"
    RETRY_WAIT = "retry.wait"
    MODEL_RESPONSE = "model.response"
    CALL_JUDGE = "call.judge"
    CALL_APPROVE = "call.approve"
    CALL_RUN = "call.run"
    CALL_RESULT = "call.result"
    TURN_END = "turn.end"
    REPLY_JUDGE = "reply.judge"
    REPLY_SEND = "reply.send"
    SESSION_OPEN = "session.open"
    SESSION_CLOSE = "session.close"
    CONTROL_HOLD = "control.hold"
    CONTROL_RELEASE = "control.release"
    CONTROL_EDIT = "control.edit"
    CONTROL_BRANCH = "control.branch"
    CONTROL_CANCEL = "control.cancel"
    CONTROL_RECOVER = "control.recover"
    CONTROL_QUEUE = "control.queue"
    SESSION_FORK = "session.fork"
    CONTROL_MARK = "control.mark"

    @property
    def counts(self) -> bool:
        """Whether this is a step of the machine, which step numbers count; controls are not."""
        return self not in _UNCOUNTED

    @property
    def controls(self) -> bool:
        """Whether this kind is taken even while the session is held: a paused session still answers."""
        return self in CONTROLS


_UNCOUNTED: Final = frozenset(kind for kind in StepKind if kind.value.startswith("control."))
CONTROLS: Final = _UNCOUNTED | {StepKind.SESSION_CLOSE}

ABOUT: Final[dict[StepKind, tuple[str, str]]] = {
    StepKind.MESSAGE_RECEIVE: ("session", "A message was taken from the lane of the session."),
    StepKind.MESSAGE_SCREEN: ("session", "The judge looks at the message before anything else does."),
    StepKind.TURN_START: ("turn", "A turn begins: one model request and the calls that it asks for."),
    StepKind.CONTEXT_BUILD: ("turn", "The system text, the tools on offer and the session context are put together."),
    StepKind.CONTEXT_COMPRESS: ("turn", "A long history is shortened before it is sent."),
    StepKind.HOOK_RUN: ("turn", "Programs of the user look at the step that follows and may change or stop it."),
    StepKind.MODEL_REQUEST: ("turn", "The request leaves for the model."),
    StepKind.MODEL_CHUNK: ("turn", "One piece of the answer is delivered: a micro-step."),
    StepKind.RETRY_WAIT: ("turn", "A failed request waits for its next try."),
    StepKind.MODEL_RESPONSE: (
        "turn",
        "The stream is over: the answer is checked and joins the history, or is retried.",
    ),
    StepKind.CALL_JUDGE: ("call", "The judge decides about one call with exactly these arguments."),
    StepKind.CALL_APPROVE: ("call", "A person is asked about one call."),
    StepKind.CALL_RUN: ("call", "The tool starts."),
    StepKind.CALL_RESULT: ("call", "The result of one call is taken in."),
    StepKind.TURN_END: ("turn", "The results join the history; the next turn or the reply follows."),
    StepKind.REPLY_JUDGE: ("session", "The judge looks at the reply before it leaves."),
    StepKind.REPLY_SEND: ("session", "The reply is handed to the outbox."),
    StepKind.SESSION_OPEN: ("session", "The session begins, or goes on in a new process."),
    StepKind.SESSION_CLOSE: ("session", "The session ends for good."),
    StepKind.CONTROL_HOLD: ("control", "The session was paused."),
    StepKind.CONTROL_RELEASE: ("control", "The session goes on."),
    StepKind.CONTROL_EDIT: ("control", "A person changed a value."),
    StepKind.CONTROL_BRANCH: ("control", "A person went back to an earlier step; a new branch begins there."),
    StepKind.CONTROL_CANCEL: ("control", "The open prompt was given up."),
    StepKind.CONTROL_RECOVER: ("control", "What was under way when the program stopped is made ready again."),
    StepKind.CONTROL_QUEUE: ("control", "A message was put into the lane of the session, or left it unread."),
    StepKind.SESSION_FORK: ("session", "The session begins as a copy of another one at one of its records."),
    StepKind.CONTROL_MARK: ("control", "A record was given a name or a note."),
}
"""Scope and one sentence for each kind; `docs/reference/steps.md` is made from this."""
