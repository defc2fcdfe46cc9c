"""Answers and events as lines for people. Pure; whatever a daemon says, it becomes lines.

What comes from a session is cleaned of control sequences (`texts`), and nothing is left out without a word.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from debugger.protocol.errors import Failure
from debugger.repl import frames, informed, retold, tasking
from debugger.repl.forms import Asked
from debugger.repl.naming import Names
from debugger.repl.place import Place
from debugger.repl.tables import Column, numbers, outline, table
from debugger.repl.texts import Style, cleaned, line, literal, whose
from runtime.step import REST

Shown = Mapping[str, Any]
Show = Callable[[Shown, Place, Asked, Style], list[str]]
PLAIN: Final = Style()
_RESTING: Final = frozenset(phase.value for phase in REST)


def answer(asked: Asked, result: Any, place: Place, style: Style = PLAIN) -> list[str]:
    """Return an answer as lines. `place` is the one after it."""
    show = _ANSWERS.get(asked.command)
    if show is None or not isinstance(result, Mapping):
        return outline(result) if result not in ({}, None) else []
    try:
        return show(result, place, asked, style)
    except (AttributeError, KeyError, TypeError, ValueError, IndexError):
        return outline(result)  # a daemon of another version: nothing that it says is lost


def event(name: str, data: Shown, place: Place, style: Style = PLAIN) -> list[str]:
    """Return an event as lines; none for `output`, which is a stream."""
    show = _EVENTS.get(name)
    try:
        return show(data, place, style) if show is not None else [f"{line(name)}: {line(data)}"]
    except (AttributeError, KeyError, TypeError, ValueError, IndexError):
        return [f"{line(name)}: {line(data)}"]


def failure(exc: Exception, style: Style = PLAIN, names: Names | None = None) -> list[str]:
    """Return an error as lines; one in an expression says at which character, from 0. Sessions have their `names`."""
    found = exc.position if isinstance(exc, Failure) else None
    where = f" (at {found})" if found is not None and f"at {found}" not in str(exc) else ""
    said = (names or Names()).said(cleaned(str(exc)))
    first, *rest = f"{said}{where}".split("\n")
    return [style("error:", "red") + f" {first}", *rest]


# --- where a session stands


def standing(data: Shown, style: Style = PLAIN) -> str:
    """Return in one line where a session stands."""
    step = data.get("step") if isinstance(data.get("step"), Mapping) else {}
    assert isinstance(step, Mapping)
    name = line(data.get("key") or data.get("session") or "session")
    place = " ".join(line(part) for part in (step.get("edge"), step.get("kind"), step.get("call")) if part)
    turn = f"turn {data['turn']}, " if data.get("turn") else ""
    if not data.get("held"):
        phase = str(data.get("phase", ""))
        rests = "rests" if phase in _RESTING else "runs"
        return f"{name} {rests}: {line(phase)} ({turn}record {data.get('at', '?')})"
    cause = f": {line(data['cause'])}" if data.get("cause") else ""
    by = f" [{line(data['by'])}]" if data.get("by") else ""
    if data.get("past"):
        where = f"{turn}record {data.get('at', '?')} of {data.get('head', '?')}, step {data.get('number', '?')}"
        return style(f"{name} stood {place}", "cyan") + f" ({where}){cause}{by}"
    return style(f"{name} stands {place}", "yellow") + f" ({turn}record {data.get('at', '?')}){cause}{by}"


def _stopped(data: Shown, place: Place, style: Style) -> list[str]:
    return [standing({"held": True, **data}, style), *_context(data.get("context"), style)]


def _context(context: Any, style: Style) -> list[str]:
    if not isinstance(context, Mapping):
        return []
    found: list[str] = []
    call, tail = context.get("call"), context.get("answer", {}).get("tail", "")
    if isinstance(call, Mapping):
        found.append(f"  {style(line(call.get('name', 'call')), 'cyan')} {line(call.get('args', {}))}")
    if tail:
        found.append(f"  {style('answer so far:', 'dim')} {line(tail[-120:])}")
    return found + [f"  {row}" for row in _displays(context.get("displays"))]


def _displays(rows: Any) -> list[str]:
    return [f"{one['id']}: {line(one['expr'])} = {_valued(one)}" for one in rows or ()]


def _valued(row: Shown) -> str:
    if "error" in row:
        return f"<{line(row['error'])}>"
    return "<absent>" if row.get("absent") or "value" not in row else line(row["value"], 400)


def _stands(result: Shown, place: Place, asked: Asked, style: Style) -> list[str]:
    if "sessions" in result:
        return [_many(len(result["sessions"]), "stands", "stand")]
    if asked.command in ("pause", "new") and result.get("held"):
        return []  # the stop was told
    session = result.get("session") or asked.params.get("session", "")
    key = result.get("key") or place.names.keys.get(session, "")
    made = [standing({**result, "session": session, "key": key}, style)]
    if asked.command == "attach":
        driver = result.get("driver") or "nobody"
        made.append("you drive it" if result.get("driving") else f"you observe it; {line(driver)} drives it")
    if result.get("kept"):
        made.append(f"held {whose(result['kept'])}")
    return made + _context(result.get("context"), style)


def _goes(result: Shown, place: Place, asked: Asked, style: Style) -> list[str]:
    return [_many(len(result["sessions"]), "goes on", "go on")] if "sessions" in result else []


def _many(count: int, one: str, more: str) -> str:
    return f"1 session {one}" if count == 1 else f"{count} sessions {more}"


# --- looking


def _sessions(result: Shown, place: Place, asked: Asked, style: Style) -> list[str]:
    return informed.sessions(result, place, style)


def _where(result: Shown, place: Place, asked: Asked, style: Style) -> list[str]:
    return frames.where(result, place, asked.verb, style)


def _tasks(result: Shown, place: Place, asked: Asked, style: Style) -> list[str]:
    return tasking.tasks(result, place, str(asked.params.get("session", "")), style)


def _why(result: Shown, place: Place, asked: Asked, style: Style) -> list[str]:
    return [line(result["sentence"], 2_000)] if "sentence" in result else outline(result)


def _print(result: Shown, place: Place, asked: Asked, style: Style) -> list[str]:
    if "value" not in result:
        return [
            f"{line(asked.params['expr'])} is absent" if result.get("absent") else f"error: {line(result['error'])}"
        ]
    first, *rest = literal(result["value"])
    return [f"${place.shown} = {first}", *rest]


def _bytes(result: Shown, place: Place, asked: Asked, style: Style) -> list[str]:
    text, start, total = cleaned(result["text"]), result["start"], result.get("total", result.get("bytes"))
    size = len(result["text"].encode("utf-8", "replace"))
    return [*text.split("\n"), style(f"bytes {start} to {start + size} of {total}", "dim")]


def _history(result: Shown, place: Place, asked: Asked, style: Style) -> list[str]:
    if "rows" not in result:
        return outline(result)
    found = []
    for row in result["rows"]:
        head = f"[{row['index']}] {style(line(row['role']), 'cyan')}"
        for part in row["parts"]:
            found.append(f"{head} {_part(part)}")
            head = " " * 4
    waiting = [f"waiting: {line(one.get('text'))}" for one in result.get("wait", ())]
    answering = result.get("answer")
    coming = [f"{style('coming:', 'dim')} {line(answering['text'], 400)}"] if answering else []
    return (found or ["nothing was said yet"]) + coming + waiting


def _part(part: Shown) -> str:
    kind = part["kind"]
    if kind in ("text", "thought"):
        return ("(thought) " if kind == "thought" else "") + line(part["text"], 400)
    if kind == "call":
        return f"calls {line(part['name'])} {line(part.get('args'), 300)} ({line(part['id'])})"
    if kind == "result":
        return f"result of {line(part['name'])} {line(part.get('response'), 300)}"
    return line({name: value for name, value in part.items() if name != "kind"})


def _tree(result: Shown, place: Place, asked: Asked, style: Style) -> list[str]:
    if "type" not in result:
        return outline(result)
    return _node(result, 0, style)


def _node(node: Shown, depth: int, style: Style) -> list[str]:
    size = f" ({node['size']})" if "size" in node else ""
    value = node["value"] if "value" in node else node.get("preview", "")
    shown = line(value) if isinstance(value, Mapping) or "preview" in node else " ".join(literal(value))
    name = style(line(node.get("name") or node.get("path") or "all"), "cyan")
    edit = f"  [set {line(node['editable'])}]" if node.get("editable") else ""
    opened = node.get("nodes")
    text = f"{'  ' * depth}{name}: {line(node['type'])}{size}" + (f" {line(shown)}" if not opened else "") + edit
    return [text, *(row for one in opened or () for row in _node(one, depth + 1, style))]


def _request(result: Shown, place: Place, asked: Asked, style: Style) -> list[str]:
    tokens = result.get("tokens")
    total = tokens.get("total", "?") if isinstance(tokens, Mapping) else "?"
    state = "is being answered" if result.get("sent") else "comes next"
    found = [f"{line(result['model'])}: {result['bytes']} bytes, about {total} tokens; it {state}"]
    found += [f"assumes: {line(one)}" for one in result.get("assumes", ())]
    found += table(result["parts"], _PARTS, style.width)
    change = result.get("diff")
    if isinstance(change, Mapping):
        found.append(f"since the last one: {change['same']} parts are the same, {change['bytes']:+} bytes")
        found += [f"  ~ {_piece(one['after'])}" for one in change["changed"]]
        found += [f"  - {_piece(one)}" for one in change["removed"]] + [f"  + {_piece(one)}" for one in change["added"]]
    elif asked.params.get("diff"):
        found.append("there was no request before it, or it is not known any more")
    return found


_PARTS: Final = (
    Column("name", "part"), Column("role"), numbers("bytes"), numbers("tokens", "about tokens"), Column("text"),
)  # fmt: skip


def _piece(row: Shown) -> str:
    return f"{line(row['name'])} ({row['bytes']} bytes) {line(row['text'], 100)}"


def _info(result: Shown, place: Place, asked: Asked, style: Style) -> list[str]:
    return informed.info(result, place, str(asked.params.get("topic", "")), style)


def _changes(result: Shown, place: Place, asked: Asked, style: Style) -> list[str]:
    found = [_change(one, style) for one in result.get("changes", ())]
    more = ["… and more"] if result.get("more") else []
    if asked.params.get("dry"):
        kept = f"{len(place.edits or ())} in the transaction; `commit` makes them"
        word = kept if asked.verb == "preview" else "tried"
        return [*(found or ["nothing would change"]), *more, f"({word})"]
    at = [f"record {result['at']}" + _on(result)] if "at" in result else []
    return [*(found or (["nothing differs"] if asked.command == "diff" else [])), *more, *at]


def _on(result: Shown) -> str:
    """On which branch a change was made, where it made one."""
    return f" on branch {line(result['branch'])}" if result.get("branch") else ""


def _change(one: Shown, style: Style) -> str:
    old = style(line(one["old"], 300), "red") if "old" in one else ""
    new = style(line(one["new"], 300), "green") if "new" in one else ""
    what = f"{old} -> {new}" if old and new else f"removed {old}" if old else f"added {new}"
    return f"{line(one['path'])}: {what}"


def _find(result: Shown, place: Place, asked: Asked, style: Style) -> list[str]:
    found = []
    for one in result["matches"]:
        many = one.get("many", 1)
        times = f" ({many} {_times(many)})" if many > 1 else ""
        found.append(f"{line(one['path'])}{times}: {line(one['excerpt'])}")
    return (found or ["it is nowhere"]) + ([] if result["complete"] else ["… not all was looked at, or there is more"])


def _branched(result: Shown, place: Place, asked: Asked, style: Style) -> list[str]:
    return [f"on branch {line(result['branch'])} now"]


def _forked(result: Shown, place: Place, asked: Asked, style: Style) -> list[str]:
    name = line(result.get("key") or result["session"])
    return [f"{name} begins as {_named({'session': result['of']}, place)} was; attach {name}"]


def _marked(result: Shown, place: Place, asked: Asked, style: Style) -> list[str]:
    return [f"record {result['at']} is {line(result['name'])}"]


def _display(result: Shown, place: Place, asked: Asked, style: Style) -> list[str]:
    return _displays(result["displays"]) or ["nothing is displayed"]


def _pointed(data: Shown, place: Place, style: Style) -> list[str]:
    what, why = str(data["what"]), str(data["why"])
    if what.startswith("break."):
        verb = {"break.add": "set", "break.delete": "deleted"}.get(what, "changed")
        named = f" {data['id']}" if data.get("id") is not None else "s"
        return [] if why == place.user else [f"breakpoint{named} {verb} by {line(why)}"]
    named = f" {data['id']}" if data.get("id") is not None else ""
    return [f"breakpoint{named} {line(what)}: {line(why)}"]


def _breakpoint(result: Shown, place: Place, asked: Asked, style: Style) -> list[str]:
    return [_described(result, place)]


def _breakpoints(result: Shown, place: Place, asked: Asked, style: Style) -> list[str]:
    return informed.breakpoints(result, place, style)


def _deleted(result: Shown, place: Place, asked: Asked, style: Style) -> list[str]:
    return [f"deleted {', '.join(map(str, result['deleted'])) or 'none'}"]


def _loaded(result: Shown, place: Place, asked: Asked, style: Style) -> list[str]:
    rows = result.get("breakpoints")
    if rows is None:
        return [f"breakpoints {', '.join(map(str, result['ids'])) or 'none'}"]
    made = [_described(one, place) for one in rows]
    there = [f"{_described(one, place)}: already there{_differing(one)}" for one in result.get("there") or ()]
    return [*made, *there] or ["no breakpoints"]


def _described(row: Shown, place: Place) -> str:
    return f"{line(row['id'])}: {place.names.said(line(row.get('line', 'set'), 400))}"


def _differing(row: Shown) -> str:
    differs = ", ".join(line(name) for name in row.get("differs") or ())
    return f" ({differs} left as it is)" if differs else ""


def _audit(result: Shown, place: Place, asked: Asked, style: Style) -> list[str]:
    return informed.audit(result, place, style)


def _lease(result: Shown, place: Place, asked: Asked, style: Style) -> list[str]:
    offered = f", offered to {line(result['offered'])}" if result.get("offered") else ""
    return [f"{line(result['driver'] or 'nobody')} drives it{offered}{' (lost)' if result.get('lost') else ''}"]


def _said(result: Shown, place: Place, asked: Asked, style: Style) -> list[str]:
    count = result["queued"]
    more = f"; {count} messages wait for their turn" if count > 1 else "; 1 message waits for its turn"
    return [f"sent{more if count else ''}"]


def _detached(result: Shown, place: Place, asked: Asked, style: Style) -> list[str]:
    become = {"resume": "if it was held it goes on", "hold": "it stays as it is", "cancel": "its prompt is cancelled"}
    if result.get("kept"):
        return [f"left the session; it is held {whose(result['kept'])}"]
    return [f"left the session; {become[result['then']]}"]


def _fault(result: Shown, place: Place, asked: Asked, style: Style) -> list[str]:
    times = result["left"]
    return [f"{line(asked.params['call'])} will fail with {line(asked.params['what'])}, {times} {_times(times)}"]


def _times(count: int) -> str:
    return "times" if count != 1 else "time"


def _members(result: Shown, place: Place, asked: Asked, style: Style) -> list[str]:
    return [", ".join(f"{line(name)} {line(value)}" for name, value in result.items())]


_ANSWERS: Final[Mapping[str, Show]] = {
    "sessions": _sessions,
    "attach": _stands,
    "status": _stands,
    "new": _stands,
    "pause": _stands,
    "cancel": _stands,
    "continue": _goes,
    "step": _goes,
    "finish": _goes,
    "until": _goes,
    "where": _where,
    "tasks": _tasks,
    "why": _why,
    "tree": _tree,
    "print": _print,
    "bytes": _bytes,
    "history": _history,
    "request": _request,
    "info": _info,
    "diff": _changes,
    "edit": _changes,
    "undo": _changes,
    "redo": _changes,
    "find": _find,
    "log": lambda result, place, asked, style: informed.log(result, place, style),
    "branches": lambda result, place, asked, style: retold.branches(result, style),
    "receipt": lambda result, place, asked, style: retold.receipt(result, style),
    "blame": lambda result, place, asked, style: retold.blame(result),
    "bisect": lambda result, place, asked, style: retold.bisect(result),
    "compare": lambda result, place, asked, style: retold.compare(result, style),
    **dict.fromkeys(("back", "goto", "reverse-continue", "reverse-until"), _goes),
    **dict.fromkeys(("branch", "switch", "restart"), _branched),
    "fork": _forked,
    "mark": _marked,
    "display": _display,
    "break.add": _breakpoint,
    "break.change": _breakpoint,
    "break.list": _breakpoints,
    "break.delete": _deleted,
    "break.load": _loaded,
    "audit": _audit,
    "lease": _lease,
    "say": _said,
    "detach": _detached,
    "fault": _fault,
    **dict.fromkeys(("lock", "inject", "kill", "stream", "verdict"), _members),
}


# --- events


def _by(data: Shown) -> str:
    return f" [{line(data['by'])}]" if data.get("by") else ""


def _named(data: Shown, place: Place) -> str:
    name = str(data.get("session", ""))
    return line(place.names.keys.get(name) or name)


_EVENTS: Final[Mapping[str, Callable[[Shown, Place, Style], list[str]]]] = {
    "stopped": _stopped,
    "continued": lambda data, place, style: [style(f"{_named(data, place)} goes on", "green") + _by(data)],
    "edited": lambda data, place, style: [
        f"{_named(data, place)} was changed: {line(', '.join(data['paths']) or 'by an event')}{_by(data)}"
    ],
    "rested": lambda data, place, style: [
        f"{_named(data, place)}: the prompt is over ({line(data['status'])})"
        + (f": {line(data['message'], 1_000)}" if data.get("message") else "")
    ],
    "output": lambda data, place, style: [],
    "log": lambda data, place, style: [f"{style('log', 'cyan')} {data['id']}: {line(data['line'], 4_000)}"],
    "opened": lambda data, place, style: [f"{_named(data, place)} was opened"],
    "closed": lambda data, place, style: [f"{_named(data, place)} was closed"],
    "lease": lambda data, place, style: [
        f"{line(data['driver'] or 'nobody')} drives {_named(data, place)} ({line(data['why'])})"
    ],
    "breakpoint": _pointed,
    "progress": lambda data, place, style: [f"{line(data['what'])}: {data['done']:,} of {data['total']:,} bytes"],
    "lag": lambda data, place, style: [style(f"{data['dropped']} events were not read in time and are lost", "red")],
    "goodbye": lambda data, place, style: [style(f"the daemon ends the connection: {line(data['reason'])}", "red")],
}
