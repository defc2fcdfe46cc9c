"""Everything that can happen to a session, as frozen values. An event carries all that is not determined by the state:
time, ids, chance, verdicts, answers. So a journal of events replays exactly."""

from typing import Any, ClassVar

from attrs import field, frozen

from runtime.step.kinds import On
from runtime.step.settings import Settings
from runtime.step.state import State
from runtime.vocab import Content, JsonObject, Message, Tape, ToolResult, Toolset, Usage, Verdict

__all__ = [
    "EVENTS",
    "Event",
    "On",
    "Settings",
    "Opened",
    "Reopened",
    "Closed",
    "Received",
    "Go",
    "Screened",
    "ContextBuilt",
    "Compressed",
    "Hooked",
    "Chunk",
    "StreamEnded",
    "StreamBroke",
    "Waited",
    "Judged",
    "Invalid",
    "Approved",
    "Denied",
    "Finished",
    "Vetted",
    "Sent",
    "Fault",
    "Cancelled",
    "Change",
    "Edited",
    "Held",
    "Released",
    "Answered",
    "Branched",
    "Recovered",
    "Queued",
    "Unqueued",
    "Compacted",
    "Forked",
    "Marked",
]


@frozen
class Opened:
    """The session begins: the initial state enters as an event."""

    on: ClassVar = On.OPEN
    settings: Settings


@frozen
class Reopened:
    """The session goes on in another process, perhaps with other settings. The context is built anew.

    `tape` is where the recording stands in the new process (the peer starts at line 0 in each process).
    """

    on: ClassVar = On.REOPEN
    settings: Settings
    tape: Tape | None = None


@frozen
class Closed:
    """The session ends for good."""

    on: ClassVar = On.CLOSE
    reason: str = ""


@frozen
class Received:
    """A message for the session. One without parts names, by its id, a message that waits in the lane."""

    on: ClassVar = On.MESSAGE
    message: Message


@frozen
class Go:
    """The machine takes the step that it is ready for; `call` names the call for steps of a call."""

    on: ClassVar = On.GO
    step: str
    call: str = ""


@frozen
class Screened:
    """The judge has looked at the message."""

    on: ClassVar = On.SCREENED
    verdict: Verdict


@frozen
class ContextBuilt:
    """What the world looks like to the model: system text, tools on offer, and parts for the first user content."""

    on: ClassVar = On.CONTEXT
    system: str
    toolset: Toolset
    opening: tuple[JsonObject, ...] = ()


@frozen
class Compressed:
    """The outcome of a compression: the new history, or None where nothing was gained."""

    on: ClassVar = On.COMPRESSED
    history: tuple[Content, ...] | None
    status: str = "noop"
    tape: tuple[int, ...] = ()


@frozen
class Hooked:
    """The outcome of the hooks of one event. `stop` gives up the prompt and says why."""

    on: ClassVar = On.HOOKED
    event: str
    context: str = ""
    stop: str | None = None


@frozen
class Chunk:
    """One piece of a streamed answer, as the API sent it. Provisional until the response commits."""

    on: ClassVar = On.CHUNK
    data: JsonObject


@frozen
class StreamEnded:
    """The stream ended in order. `stamp` (ms since 1970) is for call ids that the model left out."""

    on: ClassVar = On.ENDED
    stamp: int
    chance: float = 0.0
    tape: Tape | None = None


@frozen
class StreamBroke:
    """The request failed, or its stream broke. Fields as in `runtime.errors.ModelError`; `chance` is for the jitter."""

    on: ClassVar = On.BROKE
    kind: str
    message: str
    status: int = 0
    hint: float | None = None
    terminal: bool = False
    body: str = ""
    chance: float = 0.0
    tape: Tape | None = None


@frozen
class Waited:
    """The wait before a retry is over."""

    on: ClassVar = On.WAITED


@frozen
class Judged:
    """The judge has decided about a call. `revision` says which arguments it saw."""

    on: ClassVar = On.JUDGED
    call: str
    verdict: Verdict
    revision: int = 0


@frozen
class Invalid:
    """A call that no judge needs to see: no such tool, or wrong arguments."""

    on: ClassVar = On.INVALID
    call: str
    result: ToolResult
    revision: int = 0


@frozen
class Approved:
    """A person allowed a call, perhaps with other arguments; those are judged again."""

    on: ClassVar = On.APPROVED
    call: str
    by: str
    args: JsonObject | None = None


@frozen
class Denied:
    """A person refused a call, or nobody answered in time: every queued call of the turn is cancelled too."""

    on: ClassVar = On.DENIED
    call: str
    by: str
    reason: str = ""
    result: ToolResult | None = None


@frozen
class Finished:
    """A tool came to its end. `fatal` says that the prompt cannot go on (AGENT_LOOP section 8, exit 54).

    `verdict` is what the judge said of the result where that was more than a plain yes; the result is as it joins.
    """

    on: ClassVar = On.FINISHED
    call: str
    result: ToolResult
    fatal: bool = False
    verdict: Verdict | None = None


@frozen
class Vetted:
    """The judge has looked at the reply."""

    on: ClassVar = On.VETTED
    verdict: Verdict


@frozen
class Sent:
    """The outbox has taken the reply."""

    on: ClassVar = On.SENT


@frozen
class Fault:
    """An effect failed in a way that its port does not allow: the prompt fails, the session lives."""

    on: ClassVar = On.FAULT
    effect: str
    message: str
    code: str = "internal"


@frozen
class Cancelled:
    """The open prompt is given up. What is finished stays in the history; open calls are answered as cancelled."""

    on: ClassVar = On.CANCEL
    by: str
    reason: str = ""


@frozen
class Change:
    """One change of an edit: `op` is set, insert, delete or move; `path` is a form that `runtime.step.edits` lists."""

    path: str
    value: Any = None
    op: str = "set"


@frozen
class Edited:
    """A person changed a value, or several at once: `more` follow the first, and all are made or none."""

    on: ClassVar = On.EDIT
    path: str
    value: Any
    by: str
    reason: str = ""
    op: str = "set"
    more: tuple[Change, ...] = ()

    @classmethod
    def of(cls, changes: "tuple[Change, ...]", by: str, reason: str = "") -> "Edited":
        """Return the edit that makes these changes, of which there must be one at least, in their order."""
        first, *more = changes
        return cls(first.path, first.value, by, reason, first.op, tuple(more))

    @property
    def changes(self) -> "tuple[Change, ...]":
        """All changes, in the order in which they are made."""
        return (Change(self.path, self.value, self.op), *self.more)


@frozen
class Held:
    """The session is paused before `step`."""

    on: ClassVar = On.HOLD
    step: str
    cause: str
    by: str
    call: str = ""


@frozen
class Released:
    """The session goes on. `generation` is the one of the hold that ends: a late release of an older one is refused."""

    on: ClassVar = On.RELEASE
    by: str
    generation: int


@frozen
class Answered:
    """What a call that was running at a record came to later, which record `at` says: it is not run again. With 0 it
    had come, and was not taken in by a record yet."""

    call: str
    at: int
    result: ToolResult


@frozen
class Branched:
    """Applied to an earlier state: history from there on goes another way, on a branch of its own. With the name of a
    branch that exists, and its last record as the origin, the session goes on on that branch.

    `results` are those of calls that were running at the origin and have one in the journal; `sent` says that the
    reply which was on its way there has left. `receipt` is the digest of the receipt that was confirmed. `mode` is the
    permission mode of now where it was another one at the origin: what was allowed once may not be any more.
    """

    on: ClassVar = On.BRANCH
    branch: str
    origin: int
    by: str
    reason: str = ""
    results: tuple[Answered, ...] = ()
    sent: bool = False
    receipt: str = ""
    mode: str | None = None


@frozen
class Recovered:
    """What was under way is gone with the process: everything waited for is made ready again."""

    on: ClassVar = On.RECOVER
    by: str = "system"


@frozen
class Queued:
    """A message waits in the lane, in the place of those that it `replaces`. With `steer` it joins the open prompt
    before its next turn, if there is one."""

    on: ClassVar = On.QUEUE
    message: Message
    steer: bool = False
    replaces: tuple[str, ...] = ()


@frozen
class Unqueued:
    """Messages leave the lane unread: `ids` names them."""

    on: ClassVar = On.UNQUEUE
    ids: tuple[str, ...]
    by: str
    reason: str = ""


@frozen
class Compacted:
    """Somebody had a session at rest shortened: the new history, what was summed up in front, and what that used."""

    on: ClassVar = On.COMPACT
    history: tuple[Content, ...]
    by: str
    usage: Usage = field(factory=Usage)


@frozen
class Forked:
    """The session begins as a copy of another one: first record of a session of its own, which needs no other journal.

    `state` is the whole state of the session `parent` after its record `at`, `digest` the digest of that state in hex.
    `results`, `sent`, `receipt` and `mode` are as in `Branched`. `workspace` is the folder of the copy, where that is
    another.
    """

    on: ClassVar = On.FORK
    state: State
    parent: str
    at: int
    digest: str
    by: str
    reason: str = ""
    results: tuple[Answered, ...] = ()
    sent: bool = False
    receipt: str = ""
    workspace: str = ""
    mode: str | None = None


@frozen
class Marked:
    """Record `seq` was given a name, a note or both. It changes nothing; a later mark of a record stands beside it."""

    on: ClassVar = On.MARK
    seq: int
    name: str
    by: str
    note: str = ""


Event = (
    Opened
    | Reopened
    | Closed
    | Received
    | Go
    | Screened
    | ContextBuilt
    | Compressed
    | Hooked
    | Chunk
    | StreamEnded
    | StreamBroke
    | Waited
    | Judged
    | Invalid
    | Approved
    | Denied
    | Finished
    | Vetted
    | Sent
    | Fault
    | Cancelled
    | Edited
    | Held
    | Released
    | Branched
    | Recovered
    | Queued
    | Unqueued
    | Compacted
    | Forked
    | Marked
)

EVENTS: dict[On, type[Any]] = {
    kind.on: kind
    for kind in (
        Opened,
        Reopened,
        Closed,
        Received,
        Go,
        Screened,
        ContextBuilt,
        Compressed,
        Hooked,
        Chunk,
        StreamEnded,
        StreamBroke,
        Waited,
        Judged,
        Invalid,
        Approved,
        Denied,
        Finished,
        Vetted,
        Sent,
        Fault,
        Cancelled,
        Edited,
        Held,
        Released,
        Branched,
        Recovered,
        Queued,
        Unqueued,
        Compacted,
        Forked,
        Marked,
    )
}
