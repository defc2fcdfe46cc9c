"""`where`: session, agent, prompt, turn, phase and calls, the outermost first, with what each awaits and why it stands.

Pure. Whatever a daemon of another version tells is shown by its names.
"""

from collections.abc import Callable, Iterator, Mapping
from textwrap import wrap
from typing import Any, Final

from debugger.repl.place import Place
from debugger.repl.tables import fitted
from debugger.repl.texts import Style, line, many, span

Shown = Mapping[str, Any]
_LEVEL: Final = 8
"""Columns of the name of a level."""
_NOTHING: Final[tuple[Any, ...]] = (None, "", [], {}, False)


def where(result: Shown, place: Place, verb: str, style: Style) -> list[str]:
    """Return the frames as lines; of `up` and `down` the one that they came to."""
    frames = list(result["frames"])
    way = path(frames)
    chosen = way[max(0, len(way) - 1 - place.frame)] if way else -1
    blocks = [_block(frame, n == chosen, place, style) for n, frame in enumerate(frames)]
    waits = list(result.get("awaits") or ())
    for wait in waits:
        blocks[_place(frames, wait.get("call"))] += _below("waits for " + _waiting(wait), style)
    stop = result.get("stopped")
    if isinstance(stop, Mapping):
        at = _place(frames, stop.get("call"))
        blocks[at] += _below(_stopped(stop, frames[at].get("id")), style, "yellow")
    return blocks[chosen] if verb in ("up", "down") else [one for block in blocks for one in block]


def path(frames: list[Shown]) -> list[int]:
    """Return the places of the frames that `up` and `down` go over: of several calls only the one it stands at."""
    here = [n for n, frame in enumerate(frames) if frame["level"] == "call" and frame.get("here")]
    return [n for n, frame in enumerate(frames) if frame["level"] != "call" or n in here]


def _block(frame: Shown, chosen: bool, place: Place, style: Style) -> list[str]:
    level = line(frame["level"], _LEVEL)
    about = _LEVELS.get(str(frame["level"]), _other)
    said = " · ".join(one for one in about(frame, place) if one)
    text = fitted(f"{'>' if chosen else ' '} {level:{_LEVEL}} {said}".rstrip(), style.width)
    return [f"{text[:2]}{style(text[2 : 2 + len(level)], 'cyan')}{text[2 + len(level) :]}"]


def _below(text: str, style: Style, colour: str = "dim") -> list[str]:
    pad, room = " " * (_LEVEL + 3), max(20, style.width - _LEVEL - 3)
    return [pad + style(fitted(one, room), colour) for one in wrap(text, room)]


def _place(frames: list[Shown], call: Any) -> int:
    """The frame that something belongs to: its call's, else the phase's, else the innermost."""
    for n, frame in enumerate(frames):
        if call and frame["level"] == "call" and frame.get("id") == call:
            return n
    return next((n for n, frame in enumerate(frames) if frame["level"] == "phase"), len(frames) - 1)


def _waiting(wait: Shown) -> str:
    tool = f" {line(wait['tool'], 60)}" if wait.get("tool") else ""
    who = f"{line(wait.get('who') or wait.get('step') or 'something', 80)}{tool}"
    since = f" for {span(wait['seconds'])}" if wait.get("seconds") is not None else ""
    left = f", {span(wait['left'])} of {span(wait.get('limit'))} left" if wait.get("left") is not None else ""
    still = ", its clock stands still" if wait.get("frozen") and left else ""
    runs = "" if wait.get("runs", True) or since else " (nothing runs for it here)"
    return f"{who}{since}{left}{still}{runs}"


def _stopped(stop: Shown, call: Any) -> str:
    """Why it stands, below the frame of a call."""
    named = line(stop.get("call") or "", 60) if stop.get("call") != call else ""
    at = f"{line(stop.get('step', ''), 60)} {named}".strip()
    since = f" for {span(stop['seconds'])}" if stop.get("seconds") is not None else ""
    who = line(stop.get("by") or "", 60).removeprefix("debugger:")
    by = f" by {who}" if who not in ("", "breakpoint") else ""  # a breakpoint is named by the cause
    return f"held before {at}{since}{by}: {line(stop.get('cause') or '', 300)}"


# --- levels


def _session(frame: Shown, place: Place) -> Iterator[str]:
    name = place.names.short(frame.get("id", ""))
    key = frame.get("key") or ""
    yield line(name, 60)
    yield line(frame.get("model") or "", 60)
    yield many(frame["tokens"], "token") if "tokens" in frame else ""
    yield many(frame["history"], "content") if "history" in frame else ""
    yield many(frame["lane"], "message waits", "messages wait") if frame.get("lane") else ""
    yield f"record {line(frame['record'])}" if "record" in frame else ""
    yield f"branch {line(frame['branch'], 60)}" if frame.get("branch") not in (None, "", "main") else ""
    yield "changed by a person" if frame.get("touched") else ""
    yield line(key, 120) if key and key != name else ""


def _agent(frame: Shown, place: Place) -> Iterator[str]:
    yield line(frame.get("name", ""), 120)


def _prompt(frame: Shown, place: Place) -> Iterator[str]:
    yield f'"{line(frame.get("text", ""), 80)}"'
    yield f"from {line(frame['sender'], 60)}" if frame.get("sender") else ""
    yield f"open for {span(frame['seconds'])}" if frame.get("seconds") is not None else ""
    outcome = frame.get("outcome")
    if isinstance(outcome, Mapping):
        yield " ".join(line(outcome[name], 200) for name in ("status", "code", "message") if outcome.get(name))


def _turn(frame: Shown, place: Place) -> Iterator[str]:
    yield line(frame.get("number", ""))
    of_session = frame.get("of_session")
    yield f"{line(of_session)} in this session" if of_session not in (None, frame.get("number")) else ""
    yield f"open for {span(frame['seconds'])}" if frame.get("seconds") is not None else ""
    yield many(frame["chunks"], "piece of an answer", "pieces of an answer") if frame.get("chunks") else ""
    yield many(frame["calls"], "call") if frame.get("calls") else ""
    yield many(frame["broken"], "answer broke off", "answers broke off") if frame.get("broken") else ""
    yield many(frame["invalid"], "answer was no good", "answers were no good") if frame.get("invalid") else ""


def _phase(frame: Shown, place: Place) -> Iterator[str]:
    yield line(frame.get("name", ""), 60)
    yield f"nothing happened for {span(frame['seconds'])}" if (frame.get("seconds") or 0) >= 1 else ""


def _call(frame: Shown, place: Place) -> Iterator[str]:
    here = ", here" if frame.get("here") else ""
    yield f"{line(frame.get('id', ''), 60)} {line(frame.get('phase', ''), 30)}".strip() + here
    yield f"{line(frame.get('name', ''), 60)} {line(frame.get('args', {}), 100)}"
    yield f"wave {line(frame['wave'])}" if frame.get("wave") else ""
    yield _verdict(frame.get("verdict"))
    yield "changed by a person" if frame.get("edited") else ""
    yield "failed" if frame.get("failed") else ""


def _verdict(verdict: Any) -> str:
    if not isinstance(verdict, Mapping):
        return ""
    reason = f" ({line(verdict['reason'], 100)})" if verdict.get("reason") else ""
    decision = str(verdict.get("decision", ""))
    return f"{_JUDGED.get(decision, line(decision, 20))} by {line(verdict.get('rule') or 'the judge', 60)}{reason}"


_JUDGED: Final = {"allow": "allowed", "block": "blocked", "review": "put before a person"}


def _other(frame: Shown, place: Place) -> Iterator[str]:
    told = [(name, value) for name, value in frame.items() if name != "level" and value not in _NOTHING]
    yield " ".join(f"{line(name, 40)}={line(value, 60)}" for name, value in told)


_LEVELS: Final[Mapping[str, Callable[[Shown, Place], Iterator[str]]]] = {
    "session": _session,
    "agent": _agent,
    "prompt": _prompt,
    "turn": _turn,
    "phase": _phase,
    "call": _call,
}
