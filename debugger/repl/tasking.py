"""`tasks`: what runs for a session, as a tree with states and what is left of deadlines; queues and processes. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from debugger.repl.place import Place
from debugger.repl.tables import fitted
from debugger.repl.texts import Style, line, many, span

Shown = Mapping[str, Any]
_OURS: Final = ("runtime.", "debugger.", "defender.", "channels.")
_STATES: Final = {"R": "runs", "S": "sleeps", "D": "waits for a disk", "T": "stopped", "t": "traced", "Z": "ended"}
_HEAD: Final = 11


def tasks(result: Shown, place: Place, session: str, style: Style) -> list[str]:
    """Return the tree of tasks, and below it queues, deadlines of nobody's task, and processes, a line each."""
    head = f"{line(place.names.short(session), 60)}: {_summary(result)}"
    found = [style(fitted(head, style.width), "bold")]
    found += _nodes(list(result["tasks"]), "", style)
    if result.get("more"):
        found.append("… and more tasks")
    seen = [one for task in result["tasks"] for one in _deadlines_of(task)]
    loose = [one for one in result.get("deadlines") or () if one not in seen]
    rows = [*(("deadline", _deadline(one)) for one in loose), *_standing(result), *_processes(result.get("processes"))]
    return found + [_named(name, text, style) for name, text in rows if text]


def _named(name: str, text: str, style: Style) -> str:
    made = fitted(f"{name:{_HEAD}} {text}", style.width)
    return style(made[: len(name)], "cyan") + made[len(name) :]


def _summary(result: Shown) -> str:
    effects = result.get("effects", len(result["tasks"]))
    said = [f"{many(effects, 'effect')} under way" if effects else "nothing is under way"]
    said.append("its clocks stand still" if result.get("frozen") else "its clocks run")
    said += [f"only call {line(result['focus'], 60)} goes on"] if result.get("focus") else []
    return ", ".join(said)


# --- the tree


def _nodes(tasks_: list[Shown], pad: str, style: Style) -> list[str]:
    found: list[str] = []
    for n, task in enumerate(tasks_):
        last = n == len(tasks_) - 1
        inner = pad + ("   " if last else "│  ")
        found.append(fitted(f"{pad}{'└─' if last else '├─'} {_task(task)}", style.width))
        below = [one for nursery in task.get("below") or () for one in nursery["tasks"]]
        bar = "│ " if below else "  "
        found += [style(fitted(f"{inner}{bar}{text}", style.width), "dim") for text in _about(task)]
        found += _nodes(below, inner, style)
    return found


def _task(task: Shown) -> str:
    name = " ".join(line(one, 80) for one in (task.get("effect"), task.get("call")) if one) or line(task["name"], 80)
    revision = f" (revision {line(task['revision'])})" if task.get("revision") else ""
    since = f", begun {span(task['seconds'])} ago" if task.get("seconds") is not None else ""
    return f"{name}{revision}: {_state(task)}{since}"


def _state(task: Shown) -> str:
    if task.get("stale"):
        return "given up"
    if any(one.get("frozen") for one in task.get("deadlines") or ()):
        return "stands still"
    return "waits" if task.get("frames") else "begins"


def _about(task: Shown) -> Iterator[str]:
    for one in task.get("deadlines") or ():
        yield f"deadline {_deadline(one)}"
    frames = list(task.get("frames") or ())
    ours = [one for one in frames if str(one.get("module", "")).startswith(_OURS)]
    if ours or frames:
        place = len(frames) - 1 - [*reversed(frames)].index((ours or frames)[-1])
        at, below = frames[place], frames[place + 1 :]
        awaits = f", awaits {line(below[0]['function'], 60)}" if below else ""
        yield f"at {line(at['function'], 80)} ({line(at['module'], 60)}:{line(at['line'])}){awaits}"


def _deadlines_of(task: Shown) -> list[Any]:
    below = [one for nursery in task.get("below") or () for inner in nursery["tasks"] for one in _deadlines_of(inner)]
    return [*(task.get("deadlines") or ()), *below]


def _deadline(one: Shown) -> str:
    still = ", stands still" if one.get("frozen") else ""
    call = f" {line(one['call'], 60)}" if one.get("call") else ""
    return f"{line(one['name'], 60)}{call}: {span(one['left'])} of {span(one['seconds'])} left{still}"


# --- what else there is


def _standing(result: Shown) -> Iterator[tuple[str, str]]:
    queue, inbox, lane = (result.get(name) or {} for name in ("queue", "inbox", "lane"))
    yield "run queue", f"{queue['ready']} before it" if queue.get("ready") is not None else ""
    yield "to open", f"{queue['to_open']} before it" if queue.get("to_open") is not None else ""
    if inbox:
        full = ", full: no more is read" if inbox.get("full") else ""
        yield "inbox", f"{_of(inbox, 'events')}, {_of(inbox, 'characters')}{full}"
    if lane:
        said = ", and one that is taken next" if lane.get("said") else ""
        yield "lane", f"{_of(lane, 'messages', 'most')}{said}"
    parked = [(count, WAITED.get(name, line(name, 40))) for name, count in _pairs(result.get("parked")) if count]
    yield "waiters", ", ".join(f"{line(count)} for {what}" for count, what in parked)
    states = result.get("states") or {}
    yield "states", _of(states, "kept", "most") if states else ""
    yield "dropped", many(result["dropped"], "late outcome") if result.get("dropped") else ""
    yield "trouble", line(result.get("trouble") or "", 400)
    yield "broken", line(result.get("broken") or "", 400)


WAITED: Final = {"changed": "its next step", "rested": "the end of its prompt", "room": "room in its inbox"}
"""What Trio tasks can wait for in a session."""


def _pairs(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, Mapping) else []


def _of(row: Shown, name: str, most: str = "") -> str:
    top = row.get(most or f"most_{name}")
    count = row[name]
    shown = f"{count:,}" if isinstance(count, int) else line(count, 40)
    return f"{shown} of {top:,} {name}" if isinstance(top, int) else f"{shown} {name}"


def _processes(found: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(found, Mapping):
        return
    yield "processes", line(found.get("sentence") or "", 400)
    for group in found.get("groups") or ():
        still = "stopped" if group.get("stopped") else "goes on"
        members = ", ".join(_process(one) for one in group["processes"])
        yield f"  {line(group['group'])}", f"{line(group['call'], 60)} {still}: {members or 'nobody'}"
    for one in found.get("escaped") or ():
        yield "  escaped", _process(one)


def _process(one: Shown) -> str:
    state = _STATES.get(str(one.get("state")), line(one.get("state", ""), 20))
    return f"{line(one['name'], 40)} {line(one['pid'])} {state}"
