"""The frames of a stop: step, call, turn and session, innermost first. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from attrs import frozen

from debugger.dap.listing import line_of
from debugger.repl.place import Standing
from debugger.repl.texts import line

Level = Literal["step", "call", "turn", "session"]


@frozen
class Frame:
    """One frame. `path` is what it is about, `restarts` what restarting it means (empty where it cannot be)."""

    level: Level
    name: str
    line: int
    path: str
    call: str = ""
    restarts: Literal["call", "turn", "session", ""] = ""
    done: bool = False
    """Whether the call has a result."""


def frames(found: Sequence[Mapping[str, Any]], standing: Standing) -> list[Frame]:
    """Return the frames of a session, from the levels that `where` answers with and where it stands."""
    kind, call = str(standing.step.get("kind") or ""), str(standing.step.get("call") or "")
    rows = {str(row.get("level")): row for row in found if row.get("level") != "call"}
    here = next((row for row in found if row.get("level") == "call" and row.get("here")), None)
    turn, session = rows.get("turn"), rows.get("session", {})
    done = here is not None and here.get("phase") == "finished"
    name = line(f"{kind} {here.get('name', '')}" if here is not None else kind, 200)
    made = [Frame("step", name or "step", line_of(kind), "step", call, "turn" if turn is not None else "", done)]
    if here is not None:
        shown = line(f"call {here.get('name', '')} {here.get('id', '')}", 200)
        path = str(here.get("path") or "tool")
        made.append(Frame("call", shown, line_of("call.judge"), path, call, "call", done))
    if turn is not None:
        shown = f"turn {turn.get('number', '')}"
        made.append(Frame("turn", shown, line_of("turn.start"), "state.retry", call, "turn"))
    shown = line(f"session {session.get('key') or session.get('id') or standing.session}", 200)
    made.append(Frame("session", shown, line_of("message.receive"), "state", call))
    return made


def shown(frame: Frame, number: int, source: Mapping[str, Any], first: int) -> dict[str, Any]:
    """Return a frame as an editor takes it; lines count from `first`."""
    made: dict[str, Any] = {"id": number, "name": frame.name, "line": frame.line - 1 + first, "column": first}
    made |= {"source": source, "canRestart": bool(frame.restarts)}
    return made | ({"presentationHint": "label"} if frame.level == "session" else {})
