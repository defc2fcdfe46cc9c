"""The table of commands and that of events: the whole of what can be asked and told. Pure; it does nothing itself."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, get_args

from attrs import frozen

from debugger.protocol import params as p
from debugger.protocol.params import Role

ROLES: Final[tuple[Role, ...]] = get_args(Role)
SECONDS: Final = 5.0
"""The deadline of a command, where its row has no other."""


@frozen
class Command:
    """One row. `example` is params and `answer` what they may be answered with; `result` says it in words.

    A command that `looks` changes nothing, and runs beside others. Those that do not run one after another, in the
    order in which their connection sent them.
    """

    name: str
    role: Role
    params: type[Any]
    about: str
    result: str
    example: Mapping[str, Any]
    answer: Any
    looks: bool = False
    seconds: float = SECONDS


@frozen
class Told:
    """One kind of event. A `kept` one is dropped last."""

    name: str
    about: str
    data: Mapping[str, Any]
    kept: bool = False


def includes(role: str, needed: Role) -> bool:
    """Whether a role may do what needs another."""
    return role in ROLES and ROLES.index(role) >= ROLES.index(needed)


_S: Final[Mapping[str, Any]] = {"session": "s-42"}
_H: Final[Mapping[str, Any]] = {"session": "s-42", "generation": 3}
_STEP: Final[Mapping[str, Any]] = {"kind": "call.run", "call": "c1", "edge": "before", "number": 12}
_STANDS: Final[Mapping[str, Any]] = {"session": "s-42", "held": True, "generation": 3, "branch": "main", "step": _STEP}
_PAST: Final[Mapping[str, Any]] = {**_STANDS, "at": 15, "number": 12, "past": True, "head": 17}
_ROW: Final[Mapping[str, Any]] = {"at": 15, "number": 12, "kind": "call.result", "call": "c1", "actor": "tool:read"}
_ENTRY: Final[Mapping[str, Any]] = {
    "seq": 16,
    "kind": "call.run",
    "call": "c1",
    "tool": "exec",
    "effect": "irreversible",
    "line": "exec({})",
    "undone": False,
}
_RECEIPT: Final[Mapping[str, Any]] = {"at": 15, "entries": [_ENTRY], "needed": 1, "digest": "5f21c6"}
LONG: Final = 60.0
"""The deadline of a command that may read a whole journal."""
_BREAK: Final[Mapping[str, Any]] = {"id": 1, "kinds": ["call.run"], "tool": "run_shell_command", "hits": 0}


def _look(name: str, kind: type[Any], about: str, result: str, example: Mapping[str, Any], answer: Any) -> Command:
    return Command(name, "observer", kind, about, result, example, answer, looks=True)


def _ask(name: str, kind: type[Any], about: str, result: str, example: Mapping[str, Any], answer: Any) -> Command:
    return Command(name, "observer", kind, about, result, example, answer, looks=True, seconds=LONG)


def _drive(
    name: str,
    kind: type[Any],
    about: str,
    result: str,
    example: Mapping[str, Any],
    answer: Any,
    seconds: float = SECONDS,
) -> Command:
    return Command(name, "driver", kind, about, result, example, answer, seconds=seconds)


def _change(name: str, kind: type[Any], about: str, result: str, example: Mapping[str, Any], answer: Any) -> Command:
    # Each may have to make a branch first, for which the records are read.
    return Command(name, "mutator", kind, about, result, example, answer, seconds=LONG)


# fmt: off
_OBSERVER: Final = (
    _look("sessions", p.Sessions, "list the sessions of the daemon", "sessions, and the id to go on after",
          {"filter": "s-4"}, {"sessions": [{"session": "s-42", "phase": "streaming", "held": False}], "next": ""}),
    Command("attach", "observer", p.Attach,
            "watch a session, and drive it if the role allows it and nobody else does",
            "who drives, and where the session stands", {**_S, "on_loss": "hold", "hold_seconds": 300},
            {"driving": True, "driver": "ann", "held": True, "generation": 3, "at": 17}),
    Command("detach", "observer", p.Detach, "leave a session; of a driver, say what becomes of it if it is held",
            "what was done; if it stays held, for whom and until when (ms since 1970; null is for ever)",
            {**_S, "then": "hold", "hold_seconds": 3600},
            {"then": "hold", "kept": {"user": "ann", "until": 1_790_000_000_000}}),
    _look("status", p.Session, "where the session stands, in short", "phase, hold, generation, step number",
          _S, {"phase": "streaming", "held": True, "generation": 3, "at": 17}),
    _look("where", p.Session, "session, agent, turn, phase, call: with ages and what each waits for",
          "levels from the session to the call, why it stopped, what it awaits",
          _S, {"frames": [{"level": "session", "id": "s-42", "tokens": 120}], "stopped": None, "awaits": []}),
    _look("why", p.Session, "why it stopped, and what it waits for", "a sentence, and what it is made of",
          _S, {"sentence": "Waits for the model for 0.5 s.", "stopped": None, "awaits": []}),
    _look("tree", p.Tree, "the state as a tree, read lazily",
          "the node, how many there are below it (`size`), and those",
          {**_S, "path": "state.history", "start": 0, "count": 50, "depth": 1},
          {"path": "state.history", "type": "list", "size": 1, "start": 0,
           "nodes": [{"path": "state.history[0]", "type": "Content", "size": 5}]}),
    _look("print", p.Expr, "the value of an expression", "value, redacted",
          {**_S, "expr": "state.turn"}, {"value": 7}),
    _look("bytes", p.Bytes, "one value as the bytes that it is on the wire", "text, start, total",
          {**_S, "path": "state.history[0]"}, {"text": "{\"parts\":[]}", "start": 0, "total": 12}),
    _look("history", p.Slice, "the conversation", "rows, how many there are (`size`), and the answer under way",
          {**_S, "start": -2, "count": 2},
          {"size": 1, "start": 0, "rows": [{"index": 0, "role": "user", "parts": []}], "answer": None, "wait": []}),
    _look("request", p.NextRequest, "the exact next request to the model, with the size of each part",
          "parts with bytes and tokens, and the change since the last request",
          {**_S, "diff": True}, {"model": "gemini-2.5-pro", "bytes": 5120, "parts": [], "diff": []}),
    _look("tasks", p.Session, "tasks, deadlines, queues and processes of the session", "the tree of tasks",
          _S, {"tasks": [], "deadlines": [], "frozen": True}),
    _look("info", p.Info, "one table about a session", "rows", {**_S, "topic": "calls"}, {"rows": []}),
    _ask("diff", p.Diff, "what differs between two records", "paths with old and new",
          {**_S, "a": 12, "b": 17}, {"changes": [{"path": "state.model", "old": "a", "new": "b"}]}),
    _look("find", p.Find, "text in the session", "places", {**_S, "text": "deploy"},
          {"matches": [{"path": "state.history[3].parts[0].text", "excerpt": "deploy it"}], "complete": True}),
    _ask("log", p.Records, "the records of the path that one stands on", "rows, and how many fit",
         {**_S, "text": "deploy", "kinds": ["call.*"]}, {"steps": [_ROW], "total": 1, "here": 17}),
    _ask("branches", p.Session, "the branches of the session, with names and notes",
         "branches, oldest first, and where one stands",
         _S, {"branches": [{"name": "main", "parent": "", "origin": 0, "head": 17, "live": True}], "here": 17}),
    _ask("receipt", p.At, "what happened outside since a record, and is not undone by going back there",
         "the entries, how many of them a person must confirm (`needed`), and the digest that does",
         {**_S, "at": 15}, _RECEIPT),
    _ask("blame", p.PathOf, "which record, and who, last wrote a value",
         "value, and the row of the record with old and new", {**_S, "path": "state.settings.model"},
         {"path": "state.settings.model", "value": "b", "writer": {**_ROW, "old": "a", "new": "b"}}),
    _ask("bisect", p.Expr, "the first record on the path after which an expression is true",
         "its row, whether it is true here, and where it turned",
         {**_S, "expr": "state.usage.total > 1000"},
         {"first": _ROW, "now": True, "turns": [{**_ROW, "became": True}], "turned": 1}),
    _ask("compare", p.Compare, "two branches side by side",
         "where they part, what each used, their calls, and what differs in the end",
         {**_S, "a": "main", "b": "b1"},
         {"common": _ROW, "parting": {"alike": 2, "a": None, "b": None}, "calls": [], "changes": []}),
    Command("display", "observer", p.Display, "expressions that every stop shows to this connection", "the list",
            {**_S, "add": "state.usage.total"}, {"displays": [{"id": 1, "expr": "state.usage.total"}]}),
    _look("complete", p.Complete, "how the last word of a line could go on", "words",
          {**_S, "text": "print state.hi"}, {"words": ["state.history"]}),
    _look("break.list", p.Nothing, "the breakpoints of the daemon", "breakpoints with their hits",
          {}, {"breakpoints": [_BREAK]}),
    _look("break.save", p.Nothing, "the breakpoints as `break.load` takes them", "specs",
          {}, {"specs": [{"id": 1, "kinds": ["call.run"], "tool": "run_shell_command"}]}),
    _look("audit", p.AuditLog, "the last entries of the audit, and whether its chain is whole", "entries and faults",
          {"limit": 10, "verify": True}, {"entries": [], "verified": {"count": 12, "faults": []}}),
    _look("help", p.Help, "this table", "commands with params and examples",
          {"command": "step"}, {"commands": [{"name": "step", "role": "driver"}]}),
    _ask("export", p.Export, "a session as a bundle, in pages of base64; with its secrets it needs the role override",
         "the page, of how many bytes, the hash that further pages name, and what is in it",
         _S, {"of": "9f86d081", "total": 5120, "start": 0, "data": "UEsD", "line": "session s-42, 17 records"}),
)
_DRIVER: Final = (
    _drive("lease", p.Lease, "hand over the driving of a session, or say who drives", "who drives now",
           {**_S, "give": "bob"}, {"driver": "ann", "offered": "bob"}),
    _drive("new", p.New, "begin a session; suspended, its first step waits", "its id",
           {"agent": "main", "suspended": True}, {"session": "s-43", "held": True, "generation": 1}),
    _drive("pause", p.Pause, "hold the session at its next border", "whether it is held already",
           _S, {"held": True, "generation": 3, "at": 17}),
    _drive("continue", p.Held, "let the session go on; from the past, over the record to a breakpoint or its end",
           "that it goes on; on the record, where one stands then", _H, {"generation": 3}, LONG),
    _drive("step", p.Steps, "let it go one step or more, then hold it again; the stop comes as an event",
           "as of `continue`", {**_H, "grain": "call", "count": 1}, {"generation": 3}, LONG),
    _drive("finish", p.Held, "go on to the end of the call or turn", "as of `continue`", _H, {"generation": 3}, LONG),
    _drive("until", p.Until, "go on until an expression is true", "as of `continue`",
           {**_H, "expr": "state.turn > 8"}, {"generation": 3}, LONG),
    _drive("back", p.StepsBack, "go back on the record by one step or more; nothing is undone", "where one stands then",
           {**_S, "count": 2}, _PAST, LONG),
    _drive("goto", p.Goto, "stand at another record", "where one stands then", {**_S, "to": 15}, _PAST, LONG),
    _drive("reverse-continue", p.Session, "go back to where a breakpoint would have stopped", "where one stands then",
           _S, {**_PAST, "hits": [3]}, LONG),
    _drive("reverse-until", p.Expr, "go back to where an expression was true", "where one stands then",
           {**_S, "expr": "state.turn == 1"}, _PAST, LONG),
    _drive("cancel", p.Cancel, "end the open prompt of the session", "the step at which it was told",
           {**_S, "reason": "runs wild"}, {"at": 17}),
    _drive("lock", p.Lock, "which calls go on while one of them is stepped", "the lock now",
           {**_S, "mode": "step", "call": "c1"}, {"mode": "step", "call": "c1"}),
    _drive("break.add", p.Breakpoint, "add a breakpoint, watchpoint, catchpoint or pattern", "its number",
           {"kinds": ["call.run"], "tool": "run_shell_command", "when": "state.turn > 3"}, {"id": 1}),
    _drive("break.change", p.ChangeBreakpoint, "change a breakpoint", "as it is now",
           {"id": 1, "enabled": False}, _BREAK),
    _drive("break.delete", p.Breakpoints, "delete breakpoints", "those that were there",
           {"ids": [1, 2]}, {"deleted": [1]}),
    _drive("break.load", p.LoadBreakpoints, "add breakpoints that were saved, all or none",
           "the numbers of those that were set; `there`, those that were there already",
           {"specs": [{"id": 4, "tool": "write_*", "temporary": True}]}, {"ids": [4]}),
)
_MUTATOR: Final = (
    _change("edit", p.Edit, "change the state; refused if the session is past step `at`",
            "the step after the edit, and what changed; with `dry`, what would",
            {**_S, "at": 17, "changes": [{"path": "calls.c1.args.command", "op": "set", "value": "ls"}],
             "reason": "look first"},
            {"at": 18, "changes": [{"path": "calls.c1.args.command", "old": "rm -r x", "new": "ls"}]}),
    _change("branch", p.Branch, "begin a branch at a record; the session stands there then", "where it stands",
            {**_S, "at": 15, "name": "other", "receipt": "5f21c6"}, {**_STANDS, "at": 19, "branch": "other"}),
    _change("switch", p.Switch, "go on with another branch, at its end", "where the session stands",
            {**_S, "branch": "main"}, {**_STANDS, "at": 19}),
    _change("restart", p.Restart, "begin a call, a turn or the whole session anew, on a branch", "where it stands",
            {**_S, "frame": "call", "receipt": "5f21c6"}, {**_STANDS, "at": 19, "branch": "b1"}),
    _change("mark", p.Mark, "give a record a name or a note", "the record that says so",
            {**_S, "name": "good", "note": "before the deploy", "at": 15}, {"at": 15, "name": "good", "by": 19}),
    _change("fork", p.Fork, "begin another session as this one was at a record", "the session, and where it stands",
            {**_S, "at": 15, "name": "s-43"}, {**_STANDS, "session": "s-43", "at": 2, "of": "s-42"}),
    _change("undo", p.Taking, "take the last edit back", "the step after it", _S, {"at": 19}),
    _change("redo", p.Taking, "make the edit that was taken back", "the step after it", _S, {"at": 20}),
    _change("say", p.Say, "send a message to the session", "that it stands in its lane",
            {**_S, "text": "use the test database"}, {"queued": 1}),
    _change("inject", p.Inject, "let an event from outside happen", "the step after it",
            {**_S, "event": "cancel", "data": {}}, {"at": 18}),
    _change("fault", p.Fault, "let a call fail", "that it is set",
            {**_S, "call": "c1", "what": "429", "times": 2}, {"left": 2}),
    _change("kill", p.OneCall, "kill a running call", "that it was told", {**_S, "call": "c1"}, {"call": "c1"}),
    _change("stream", p.Stream, "what becomes of the rest of an answer under way", "what is dropped",
            {**_S, "what": "replace", "text": "I stop here."}, {"dropped": 3}),
)
_OVERRIDE: Final = (
    Command("verdict", "override", p.Override, "decide about a call in place of the judge", "the verdict",
            {**_S, "call": "c1", "decision": "allow", "reason": "seen with ann"}, {"decision": "allow"}, seconds=LONG),
)
# fmt: on


def by_name(rows: Iterable[Command]) -> Mapping[str, Command]:
    """Return the rows by their names."""
    return {row.name: row for row in rows}


COMMANDS: Final = by_name((*_OBSERVER, *_DRIVER, *_MUTATOR, *_OVERRIDE))
"""Every command."""

_EVENTS: Final = (
    Told(
        "stopped",
        "a session is held, or somebody looks at another record of it; `at` is what an edit must name, `generation` "
        "what a command to go on must name; with `past` it stands at record `head`, and one looks at record `at`",
        {
            **_H,
            "at": 17,
            "number": 12,
            "branch": "main",
            "past": False,
            "head": 17,
            "step": _STEP,
            "cause": "breakpoint 3",
            "by": "debugger",
            "hits": [3],
            "context": {},
        },
        kept=True,
    ),
    Told("continued", "a session goes on", {**_H, "by": "ann"}),
    Told(
        "rested",
        "a prompt is over; `status` says how, `tokens` what the session has used, `lane` how many messages come next",
        {**_S, "status": "done", "message": "", "tokens": 1234, "lane": 0},
    ),
    Told("edited", "the state of a session was changed", {**_S, "at": 18, "by": "ann", "paths": ["state.model"]}),
    Told(
        "output",
        "a piece of an answer (`text`) or of the output of a tool (`tool`), once; with `end`, the answer is over",
        {**_S, "kind": "text", "call": "", "text": "Hello"},
    ),
    Told(
        "log",
        "the line of a log point; of a breakpoint's commands also `order`: its line, `command`, `with` and `ok`",
        {**_S, "id": 2, "line": "turn=7"},
    ),
    Told("opened", "a session began or was brought back", _S),
    Told("closed", "a session ended or was put away", _S),
    Told("lease", "the driver of a session changed", {**_S, "driver": "bob", "was": "ann", "why": "given"}),
    Told("breakpoint", "a breakpoint changed, failed or was muted", {"id": 3, "what": "muted", "why": "10 errors"}),
    Told(
        "progress", "how far a copy of files is, in bytes", {**_S, "what": "fork", "done": 16_777_216, "total": 2 << 24}
    ),
    Told("lag", "events were dropped here, because they were not read in time", {"dropped": 12}),
    Told("goodbye", "the daemon ends this connection", {"reason": "the daemon stops"}),
)
EVENTS: Final = {told.name: told for told in _EVENTS}
"""Every event."""
