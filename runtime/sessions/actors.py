"""Who caused an event, as the journal names it. Knows no person: those who control a session say their own name."""

from typing import Final

from runtime.step import Event, On, State
from runtime.step.events import Finished

ACTORS: Final = {
    On.MESSAGE: "user",
    On.QUEUE: "user",
    On.CHUNK: "model",
    On.ENDED: "model",
    On.BROKE: "model",
    On.SCREENED: "judge",
    On.JUDGED: "judge",
    On.VETTED: "judge",
    On.HOOKED: "hook",
    On.SENT: "outbox",
}


def actor_of(state: State, event: Event) -> str:
    """Return who caused an event that came to a session by itself: the one whom it names, else a part of the program.

    A tool is `tool:<name>`, and what nobody else did is `system`.
    """
    if isinstance(event, Finished):
        call = state.turn.call(event.call) if state.turn else None
        return f"tool:{call.name}" if call else "tool"
    return getattr(event, "by", None) or ACTORS.get(event.on, "system")
