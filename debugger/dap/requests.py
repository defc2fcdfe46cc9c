"""The table of requests: which there are, what each takes, and what it means for a session. Pure.

Arguments are those of the Debug Adapter Protocol (specification 1.71); of `attach` and `launch` they are ours.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from attrs import frozen

OnDisconnect = Literal["hold", "resume", "cancel"]


@frozen(kw_only=True)
class Nothing:
    """No arguments."""


@frozen(kw_only=True)
class Initialize:
    """What the editor can do, and how it counts."""

    adapter_id: str = ""
    client_id: str = ""
    client_name: str = ""
    lines_start_at1: bool = True
    columns_start_at1: bool = True
    supports_invalidated_event: bool = False
    supports_progress_reporting: bool = False


@frozen(kw_only=True)
class Attach:
    """Which session, and as whom. `session` is an id, a key, the beginning of one, or `all`; empty is the one that the
    server was started for, or the only one there is. `bundle` is the file of a bundle that is looked into, instead of
    a daemon. `token` is that of the token file, where the server listens on a port. With `suspend` sessions stand still
    until breakpoints are set, with `stopOnEntry` they stay so.
    """

    token: str = ""
    session: str = ""
    bundle: str = ""
    role: Literal["observer", "driver", "mutator", "override"] | None = None
    on_disconnect: OnDisconnect | None = None
    hold_seconds: float = 300.0
    suspend: bool = False
    stop_on_entry: bool = False


@frozen(kw_only=True)
class Launch:
    """A session to begin: its key, its agent, and what is said to it once breakpoints are set."""

    token: str = ""
    session: str = ""
    agent: str = ""
    message: str = ""
    role: Literal["driver", "mutator", "override"] | None = None
    on_disconnect: OnDisconnect | None = None
    hold_seconds: float = 300.0
    stop_on_entry: bool = False


@frozen(kw_only=True)
class Disconnect:
    """How to leave."""

    terminate_debuggee: bool = False
    suspend_debuggee: bool = False


@frozen(kw_only=True)
class Source:
    """A text: the listing by its path or reference, or a conversation by its reference."""

    name: str = ""
    path: str = ""
    source_reference: int = 0


@frozen(kw_only=True)
class SourceContent:
    """Which text is wanted."""

    source: Source | None = None
    source_reference: int = 0


@frozen(kw_only=True)
class Locations:
    """Lines on which a breakpoint may stand."""

    source: Source
    line: int
    end_line: int | None = None


@frozen(kw_only=True)
class LineBreakpoint:
    """A breakpoint on a line of the listing."""

    line: int
    condition: str = ""
    hit_condition: str = ""
    log_message: str = ""


@frozen(kw_only=True)
class SetBreakpoints:
    """All breakpoints of one source."""

    source: Source
    breakpoints: tuple[LineBreakpoint, ...] = ()
    lines: tuple[int, ...] = ()


@frozen(kw_only=True)
class FunctionBreakpoint:
    """A breakpoint by name: a glob over steps, or `tool:`, `agent:`, `event:` with a glob."""

    name: str
    condition: str = ""
    hit_condition: str = ""


@frozen(kw_only=True)
class SetFunctionBreakpoints:
    """All breakpoints by name."""

    breakpoints: tuple[FunctionBreakpoint, ...]


@frozen(kw_only=True)
class DataBreakpoint:
    """A watched path."""

    data_id: str
    access_type: str = "write"
    condition: str = ""
    hit_condition: str = ""


@frozen(kw_only=True)
class SetDataBreakpoints:
    """All watched paths."""

    breakpoints: tuple[DataBreakpoint, ...]


@frozen(kw_only=True)
class DataBreakpointInfo:
    """What could be watched: a variable, or with no reference a path."""

    name: str
    variables_reference: int = 0
    frame_id: int | None = None


@frozen(kw_only=True)
class FilterOption:
    """An exception filter with a condition."""

    filter_id: str
    condition: str = ""


@frozen(kw_only=True)
class SetExceptionBreakpoints:
    """All exception filters."""

    filters: tuple[str, ...]
    filter_options: tuple[FilterOption, ...] = ()


@frozen(kw_only=True)
class OneThread:
    """A session by its number."""

    thread_id: int


@frozen(kw_only=True)
class Step:
    """How far to step."""

    thread_id: int
    granularity: Literal["statement", "line", "instruction"] | None = None


@frozen(kw_only=True)
class StepIn(Step):
    """How far to step; `targetId` chooses one of several calls."""

    target_id: int | None = None


@frozen(kw_only=True)
class OneFrame:
    """A frame of a stop."""

    frame_id: int


@frozen(kw_only=True)
class GotoTargets:
    """A line to go to."""

    source: Source
    line: int


@frozen(kw_only=True)
class Goto:
    """Where a session is to be looked at."""

    thread_id: int
    target_id: int


@frozen(kw_only=True)
class TerminateThreads:
    """Sessions whose prompts are to be cancelled."""

    thread_ids: tuple[int, ...] = ()


@frozen(kw_only=True)
class StackTrace:
    """Frames of a stop."""

    thread_id: int
    start_frame: int = 0
    levels: int = 0


@frozen(kw_only=True)
class Variables:
    """What is inside a value."""

    variables_reference: int
    filter: Literal["indexed", "named"] | None = None
    start: int = 0
    count: int = 0


@frozen(kw_only=True)
class SetVariable:
    """A new value, as JSON, for something that was listed."""

    variables_reference: int
    name: str
    value: str


@frozen(kw_only=True)
class SetExpression:
    """A new value, as JSON, for what a path names."""

    expression: str
    value: str
    frame_id: int | None = None


@frozen(kw_only=True)
class Evaluate:
    """An expression; in the console also a command of the debugger."""

    expression: str
    frame_id: int | None = None
    context: str = "watch"


@frozen(kw_only=True)
class Completions:
    """A line of the console, and how far it is typed."""

    text: str
    column: int
    line: int = 1
    frame_id: int | None = None


@frozen(kw_only=True)
class Cancel:
    """Something under way that nobody waits for any more."""

    request_id: int | None = None
    progress_id: str = ""


@frozen(kw_only=True)
class Page:
    """A part of a list."""

    start_module: int = 0
    module_count: int = 0


@frozen
class Row:
    """One request. `about` says what it means for a session. One that `looks` changes nothing, and runs beside others;
    those that do not run one after another. One that is `early` needs no session."""

    kind: type[Any]
    about: str
    looks: bool = False
    early: bool = False


REQUESTS: Final[Mapping[str, Row]] = {
    "initialize": Row(Initialize, "what editor and server can do", early=True),
    "attach": Row(Attach, "watch and drive a session, or all of them; answered after `configurationDone`", early=True),
    "launch": Row(Launch, "begin a session; its first step waits for `configurationDone`", early=True),
    "configurationDone": Row(Nothing, "let go what was held until breakpoints were set, and tell who stands"),
    "disconnect": Row(Disconnect, "leave; the session is held, goes on or is cancelled", early=True),
    "terminate": Row(Nothing, "as `disconnect`; the daemon is never ended"),
    "terminateThreads": Row(TerminateThreads, "cancel the open prompts of sessions"),
    "restart": Row(Nothing, "go back to the first step of the session"),
    "threads": Row(Nothing, "the sessions, each with its state in its name", looks=True),
    "continue": Row(OneThread, "let this session go on, and no other"),
    "next": Row(Step, "one step; over the pieces of an answer"),
    "stepIn": Row(StepIn, "one step; into the pieces of an answer, or one of several calls"),
    "stepOut": Row(Step, "to the end of the call, else of the turn"),
    "stepInTargets": Row(OneFrame, "the calls that could go on", looks=True),
    "stepBack": Row(Step, "look at the session one step earlier"),
    "reverseContinue": Row(OneThread, "back to the last stop of a breakpoint, or the beginning"),
    "restartFrame": Row(OneFrame, "back to the first step of the call or turn"),
    "gotoTargets": Row(GotoTargets, "where the session came by a line", looks=True),
    "goto": Row(Goto, "look at the session there"),
    "pause": Row(OneThread, "hold the session at its next border"),
    "stackTrace": Row(StackTrace, "step, call, turn, session", looks=True),
    "scopes": Row(OneFrame, "what can be seen from a frame", looks=True),
    "variables": Row(Variables, "a part of the state, opened node by node", looks=True),
    "setVariable": Row(SetVariable, "edit what was listed; judged again like any edit"),
    "setExpression": Row(SetExpression, "edit what a path names"),
    "evaluate": Row(Evaluate, "an expression; in the console, also every command of `twinstep attach`"),
    "completions": Row(Completions, "how a line could go on", looks=True),
    "exceptionInfo": Row(OneThread, "verdict, rule and reason, or what failed and how", looks=True),
    "source": Row(SourceContent, "the listing, or a conversation", looks=True, early=True),
    "loadedSources": Row(Nothing, "the listing, and the conversation of each session", looks=True),
    "breakpointLocations": Row(Locations, "the lines of the listing that name steps", looks=True),
    "setBreakpoints": Row(SetBreakpoints, "breakpoints and log points on steps"),
    "setFunctionBreakpoints": Row(SetFunctionBreakpoints, "breakpoints on tools, agents, events, globs over steps"),
    "dataBreakpointInfo": Row(DataBreakpointInfo, "whether a path can be watched", looks=True),
    "setDataBreakpoints": Row(SetDataBreakpoints, "watchpoints"),
    "setExceptionBreakpoints": Row(SetExceptionBreakpoints, "verdicts and failures to stop at"),
    "modules": Row(Page, "the tools on offer", looks=True),
    "cancel": Row(Cancel, "give up waiting for a request", looks=True, early=True),
}
"""Every request. A name that begins with `agent/` is besides a command of the debugger's protocol."""
CUSTOM: Final = "agent/"
