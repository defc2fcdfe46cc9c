"""What a step wants done, as frozen values. Nobody here does it: `runtime.sessions` performs effects and brings each
outcome back as an event."""

from typing import ClassVar

from attrs import frozen

from runtime.ports import ModelRequest
from runtime.step.state import Call, State
from runtime.vocab import Message, Tape


@frozen
class Screen:
    """Let the judge look at a message. Outcome: `Screened`."""

    outside: ClassVar[bool] = False
    message: Message


@frozen
class BuildContext:
    """Put the context together. Outcome: `ContextBuilt`."""

    outside: ClassVar[bool] = False


@frozen
class Compress:
    """Shorten the history. Outcome: `Compressed`."""

    outside: ClassVar[bool] = True


@frozen
class RunHook:
    """Run the listeners of a hook event. Outcome: `Hooked`."""

    outside: ClassVar[bool] = True
    event: str


@frozen
class Ask:
    """Send a request to the model. Outcomes: `Chunk`s, then `StreamEnded` or `StreamBroke`."""

    outside: ClassVar[bool] = True
    request: ModelRequest
    tape: Tape


@frozen
class Wait:
    """Wait this many seconds. Outcome: `Waited`."""

    outside: ClassVar[bool] = False
    seconds: float


@frozen
class JudgeCall:
    """Check the arguments of a call, then let the judge decide. Outcomes: `Judged`, `Invalid`."""

    outside: ClassVar[bool] = False
    call: Call


@frozen
class AskPerson:
    """Ask a person about a call, with a deadline. Outcomes: `Approved`, `Denied`."""

    outside: ClassVar[bool] = True
    call: Call


@frozen
class RunTool:
    """Run a tool. Outcome: `Finished`."""

    outside: ClassVar[bool] = True
    call: Call
    tape: Tape


@frozen
class JudgeReply:
    """Let the judge look at the reply. Outcome: `Vetted`."""

    outside: ClassVar[bool] = False
    text: str


@frozen
class Send:
    """Hand the reply to the outbox. Outcome: `Sent`."""

    outside: ClassVar[bool] = True
    text: str


Effect = Screen | BuildContext | Compress | RunHook | Ask | Wait | JudgeCall | AskPerson | RunTool | JudgeReply | Send
"""`outside` says that somebody outside the process could notice: such an effect waits until its event is on disk."""

Moved = tuple[State, tuple[Effect, ...]]
"""What a transition gives: the state after it, and the effects it wants."""
