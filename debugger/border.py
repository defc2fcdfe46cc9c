"""A border: the place between two steps where a session can be stopped, as a value; what conditions speak of. Pure."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from attrs import frozen

from runtime.step import Event, State, Step, StepKind
from runtime.step.events import Chunk
from runtime.step.response import text_of

Edge = Literal["before", "after"]
"""Before the step is taken, or after it was taken."""


@frozen
class Border:
    """Where a session stands. With the edge `before`, `event` is what would be applied next to `state`; with `after`,
    `taken` is the step that was taken and `state` the one after it.

    `steps` is the number of the last step: how many steps of the machine led here. `seconds` is how long the prompt has
    been open without the time that it was held. `actor` is who caused the event, as the journal names it.
    """

    session: str
    state: State
    kind: StepKind
    edge: Edge = "before"
    event: Event | None = None
    taken: Step | None = None
    call: str = ""
    steps: int = 0
    key: str = ""
    agent: str = ""
    actor: str = ""
    seconds: float = 0.0
    old: Any = None
    new: Any = None


def _tool(border: Border) -> Any:
    turn = border.state.turn
    return turn.call(border.call) if turn is not None and border.call else None


def _verdict(border: Border) -> Any:
    found = getattr(border.event, "verdict", None)
    if found is None:
        found = getattr(_tool(border), "verdict", None)
    return found


def _text(border: Border) -> str:
    event = border.event
    if isinstance(event, Chunk):
        return text_of(event.data)
    result = getattr(event, "result", None)
    return (result.output or "") if result is not None else ""


def _step(border: Border) -> Mapping[str, Any]:
    return {
        "kind": border.kind.value,
        "call": border.call,
        "edge": border.edge,
        "n": border.steps,
        "on": border.event.on.value if border.event is not None else "",
        "actor": border.actor,
    }


def _session(border: Border) -> Mapping[str, Any]:
    return {"id": border.session, "key": border.key, "agent": border.agent, "steps": border.steps}


ROOTS: Final[Mapping[str, Callable[[Border], Any]]] = {
    "state": lambda border: border.state,
    "step": _step,
    "tool": _tool,
    "event": lambda border: border.event,
    "verdict": _verdict,
    "text": _text,
    "session": _session,
    "agent": lambda border: border.agent,
    "seconds": lambda border: border.seconds,
    "tokens": lambda border: border.state.usage.total,
    "old": lambda border: border.old,
    "new": lambda border: border.new,
}
"""The names that an expression may begin with, and what each is at a border. None counts as absent."""
ABOUT: Final[Mapping[str, str]] = {
    "state": "the state of the session",
    "step": "the step at this border: kind, call, edge (before, after), n (its number on this path), on, actor",
    "tool": "the tool call that the step is about: id, name, args, phase, verdict, result",
    "event": "what is about to happen, or has just happened",
    "verdict": "what the judge said of the call, message or reply at this border",
    "text": "the piece of streamed text, or the output of the tool, that is about to be delivered",
    "session": "id, key, agent, steps",
    "agent": "the agent that the session belongs to",
    "seconds": "how long the prompt has been open, without the time that it was held",
    "tokens": "tokens used by the session so far",
    "old": "of a watchpoint: the value before",
    "new": "of a watchpoint: the value after",
}
