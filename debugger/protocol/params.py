"""The params of every command, as frozen classes. What a default is, is what absence means. Pure."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from attrs import field, frozen

from debugger.protocol.decoding import Items, Length, Within

Role = Literal["observer", "driver", "mutator", "override"]
"""What a connection may do. Each includes those before."""
Then = Literal["hold", "resume", "cancel"]
"""What becomes of a held session: it stays held, goes on, or its prompt is cancelled."""
Grain = Literal["micro", "step", "call", "turn"]
"""How far a step goes: one record of the journal, one step of the machine, one call of a model or tool, one turn."""

SessionId = Annotated[str, Length(1, 512)]
Name = Annotated[str, Length(0, 512)]
Shown = Annotated[str, Length(1, 200, shown=True)]
Source = Annotated[str, Length(1, 2_000)]
"""An expression, or a template; what is longer no compiler would look at."""
Reason = Annotated[str, Length(0, 4_000)]
Place = Annotated[int, Within(0, 2**53)]
Page = Annotated[int, Within(1, 1_000)]
Generation = Annotated[int, Within(0, 2**53)]
"""The number of the hold that is meant: that of a newer one is not touched."""
Seconds = Annotated[float, Within(0, 86_400)]
Label = Annotated[str, Length(0, 64, shown=True)]
"""The name of a branch, of a record or of a session; empty means that one is made."""
Confirmed = Annotated[str, Length(0, 128)]
"""The digest of a receipt that a person has seen and confirms (error `receipt_needed`); empty confirms nothing."""
Count = Annotated[int, Within(1, 1_000_000)]


@frozen
class Hello:
    """The first frame of a client, under `hello`."""

    version: int
    client: Shown
    user: Shown
    role: Role
    token: Annotated[str, Length(0, 4_096)] = ""


@frozen
class Nothing:
    """No params."""


@frozen
class Session:
    """One session."""

    session: SessionId


@frozen
class Sessions:
    """A page of the list of sessions; `after` is the last id of the page before."""

    filter: Name = ""
    limit: Page = 100
    after: Name = ""


@frozen
class Attach:
    """Watch a session, and drive it if nobody does and `observe` is not set."""

    session: SessionId
    observe: bool = False
    on_loss: Then = "hold"
    hold_seconds: Seconds = 300.0


@frozen
class Detach:
    """Leave a session. One that stays held does so for `hold_seconds`, or `forever`; with neither, as `attach` said."""

    session: SessionId
    then: Then = "resume"
    hold_seconds: Seconds | None = None
    forever: bool = False
    reason: Reason = ""


@frozen
class Tree:
    """A part of a session's state."""

    session: SessionId
    path: Annotated[str, Length(0, 2_000)] = ""
    start: Place = 0
    count: Page = 50
    depth: Annotated[int, Within(0, 8)] = 1


@frozen
class Expr:
    """An expression over a session."""

    session: SessionId
    expr: Source


@frozen
class Bytes:
    """A part of one value, as bytes."""

    session: SessionId
    path: Source
    start: Place = 0
    count: Annotated[int, Within(1, 1 << 20)] = 4_096


@frozen
class Slice:
    """A part of a list; a negative `start` counts from the end."""

    session: SessionId
    start: Annotated[int, Within(-(2**53), 2**53)] = -20
    count: Page = 20


@frozen
class Records:
    """Records of the path that one stands on: those that hold a text, and are of one of these kinds (globs); a negative
    `start` counts from the end of them. With `branch`, those on the path of another branch."""

    session: SessionId
    start: Annotated[int, Within(-(2**53), 2**53)] = -20
    count: Page = 20
    text: Annotated[str, Length(0, 1_000)] = ""
    kinds: Annotated[tuple[Name, ...], Items(0, 50)] = ()
    branch: Label = ""


@frozen
class At:
    """One record of a session; without `at`, the one that one stands at."""

    session: SessionId
    at: Place | None = None


@frozen
class PathOf:
    """A path of the state, as in expressions."""

    session: SessionId
    path: Source


@frozen
class Compare:
    """Two branches by their names; without `b`, the live one."""

    session: SessionId
    a: Annotated[str, Length(1, 64)]
    b: Label = ""


@frozen
class NextRequest:
    """The next request to the model."""

    session: SessionId
    diff: bool = False


@frozen
class Info:
    """One table about a session."""

    session: SessionId
    topic: Literal["calls", "tools", "agents", "usage", "timers", "locks", "queue", "policy", "clients", "audit"]


@frozen
class Diff:
    """Two steps by their numbers; without `b`, the state as it is now."""

    session: SessionId
    a: Place
    b: Place | None = None


@frozen
class Find:
    """Text to be looked for."""

    session: SessionId
    text: Annotated[str, Length(1, 1_000)]
    limit: Page = 50


@frozen
class Display:
    """Expressions that every stop shows: one more, or one less by its number; with neither, the list."""

    session: SessionId
    add: Annotated[str, Length(0, 2_000)] = ""
    remove: Place | None = None


@frozen
class Complete:
    """A line that is being typed."""

    session: SessionId
    text: Annotated[str, Length(0, 2_000)]


@frozen
class AuditLog:
    """The last entries of the audit, of one session or of all."""

    session: Name = ""
    limit: Page = 100
    verify: bool = False


@frozen
class Help:
    """A command by its name, or all."""

    command: Annotated[str, Length(0, 64)] = ""


@frozen
class Lease:
    """Hand over the driving: `give` it to a user, or `take` it."""

    session: SessionId
    give: Annotated[str, Length(0, 200, shown=True)] = ""
    take: bool = False
    reason: Reason = ""


@frozen
class New:
    """A session to begin."""

    key: Name = ""
    agent: Name = ""
    suspended: bool = False
    reason: Reason = ""


@frozen
class Pause:
    """A session to be held; a reason becomes the cause of the hold."""

    session: SessionId
    reason: Reason = ""


@frozen
class Held:
    """A held session, with the generation of the hold."""

    session: SessionId
    generation: Generation


@frozen
class Steps:
    """How far to go, in a held session. `call` chooses one of several calls under way."""

    session: SessionId
    generation: Generation
    grain: Grain = "step"
    count: Count = 1
    call: Name = ""


@frozen
class StepsBack:
    """How far to go back on the record, in a held session. `call` counts only what was taken for that call."""

    session: SessionId
    grain: Grain = "step"
    count: Count = 1
    call: Name = ""


@frozen
class Goto:
    """Where to stand, in a held session: at record `to`, behind step `number`, or at an `end`; one of the three."""

    session: SessionId
    to: Place | None = None
    number: Place | None = None
    end: Literal["first", "last"] | None = None


@frozen
class Until:
    """Go on until an expression is true."""

    session: SessionId
    expr: Source
    generation: Generation


@frozen
class Cancel:
    """End the open prompt of a session."""

    session: SessionId
    reason: Reason = ""


@frozen
class Lock:
    """Which of several calls go on while one is stepped: all (`off`), none (`on`), or none during a step (`step`)."""

    session: SessionId
    mode: Literal["off", "on", "step"]
    call: Name = ""


Line = Annotated[str, Length(0, 2_000)]
Number = Annotated[int, Within(1, 1_000_000_000)]


@frozen(kw_only=True)
class Breakpoint:
    """A breakpoint, watchpoint, catchpoint or pattern (`debugger.breakpoints.Spec`). Absent members say nothing."""

    kinds: Annotated[tuple[Name, ...], Items(0, 50)] = ()
    edge: Literal["before", "after"] | None = None
    tool: Name = ""
    agent: Name = ""
    event: Name = ""
    turn: Number | None = None
    new_session: bool = False
    session: Annotated[str, Length(1, 512)] = "*"
    watch: Line = ""
    mode: Literal["change", "true"] = "change"
    catch: Line = ""
    text: Line = ""
    when: Line = ""
    enabled: bool = True
    temporary: bool = False
    once: bool = False
    group: Name = ""
    after: Number | None = None
    hits: Annotated[str, Length(0, 32)] = ""
    ignore: Annotated[int, Within(0, 1_000_000_000)] = 0
    log: Line = ""
    rate: Annotated[int, Within(1, 1_000)] = 10
    commands: Annotated[tuple[Source, ...], Items(0, 50)] = ()


@frozen(kw_only=True)
class Saved(Breakpoint):
    """A breakpoint as `break.save` gives it: with its number."""

    id: Number


@frozen(kw_only=True)
class ChangeBreakpoint:
    """What changes of a breakpoint; what is absent or null stays."""

    id: Place
    enabled: bool | None = None
    once: bool | None = None
    temporary: bool | None = None
    when: Line | None = None
    hits: Annotated[str, Length(0, 32)] | None = None
    ignore: Annotated[int, Within(0, 1_000_000_000)] | None = None
    after: Number | None = None
    group: Name | None = None
    log: Line | None = None
    rate: Annotated[int, Within(1, 1_000)] | None = None
    commands: Annotated[tuple[Source, ...], Items(0, 50)] | None = None


@frozen
class Breakpoints:
    """Breakpoints by their numbers."""

    ids: Annotated[tuple[Place, ...], Items(1, 1_000)]


@frozen
class LoadBreakpoints:
    """Breakpoints to be added, all or none."""

    specs: Annotated[tuple[Saved, ...], Items(0, 1_000)]


@frozen
class Change:
    """One change of an edit. `value` of a move is the place where the item goes."""

    path: Source
    op: Literal["set", "insert", "delete", "move"] = "set"
    value: Any = None


@frozen(kw_only=True)
class There:
    """A change where one stands; in the past it makes a branch there. With `at`, it is refused if one stands at another
    record. `receipt` confirms what happened outside since."""

    session: SessionId
    at: Place | None = None
    receipt: Confirmed = ""
    reason: Reason = ""


@frozen(kw_only=True)
class Branch(There):
    """A branch at a record: `at`, else where one stands. `note` says why."""

    name: Label = ""
    note: Reason = ""


@frozen(kw_only=True)
class Switch:
    """The branch to go on with, at its end."""

    session: SessionId
    branch: Annotated[str, Length(1, 64)]
    receipt: Confirmed = ""
    reason: Reason = ""


@frozen(kw_only=True)
class Mark:
    """A name or a note for a record, or both."""

    session: SessionId
    name: Label = ""
    note: Reason = ""
    at: Place | None = None
    reason: Reason = ""


@frozen(kw_only=True)
class Fork(There):
    """A session of its own that begins as this one was at a record; `files` says whose files it works on."""

    name: Name = ""
    files: Literal["shared", "copied"] = "shared"


@frozen(kw_only=True)
class Restart(There):
    """What is done anew: a call (the one that one stands at, or `call`), the turn, or all since the first message."""

    frame: Literal["call", "turn", "session"] = "call"
    call: Name = ""


@frozen
class Edit:
    """Changes that are made together or not at all, to the state as it was at `at`; with `once`, for one request."""

    session: SessionId
    at: Place
    changes: Annotated[tuple[Change, ...], Items(1, 100)]
    reason: Reason = ""
    dry: bool = False
    once: bool = False
    receipt: Confirmed = ""


@frozen
class Back:
    """The last edit, to be taken back or made again."""

    session: SessionId
    reason: Reason = ""


@frozen(kw_only=True)
class Say(There):
    """A message, as its user would have sent it."""

    text: Annotated[str, Length(1, 1_000_000)]


@frozen(kw_only=True)
class Inject(There):
    """An event from outside: its name, and what belongs to it."""

    event: Annotated[str, Length(1, 64)]
    data: Mapping[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class Fault(There):
    """A failure to be made, so many times."""

    call: Name
    what: Literal["429", "timeout", "truncate", "garbage"]
    times: Annotated[int, Within(1, 1_000)] = 1


@frozen(kw_only=True)
class OneCall(There):
    """One call of a session."""

    call: Name


@frozen(kw_only=True)
class Stream(There):
    """The rest of an answer under way: dropped, replaced by `text`, or asked for again."""

    what: Literal["cut", "replace", "reissue"]
    text: Annotated[str, Length(0, 1_000_000)] = ""


@frozen(kw_only=True)
class Override(There):
    """A verdict in place of the judge's."""

    call: Name
    decision: Literal["allow", "block"]
    reason: Annotated[str, Length(1, 4_000)]
