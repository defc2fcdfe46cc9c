"""Tells clients that a session is held and when it goes on, and what becomes of messages meanwhile. Holds nothing.

A session is held by a debugger, or by whoever else may. Its clients keep their links; what they send is accepted and
waits in the lane, or is refused, as the gateway was told.
"""

from typing import Any, Literal

from attrs import define, field

from runtime.gateway.directory import Directory
from runtime.gateway.frames import unavailable
from runtime.gateway.hub import Hub
from runtime.ports import Clock
from runtime.sessions.session import Session
from runtime.step import On, Step

WhenPaused = Literal["queue", "refuse"]
RETRY_MS = 5_000


@define(eq=False)
class Pauses:
    """Listens to the dispatcher once it is made. `since` has the sessions that are held, and since when (ms)."""

    directory: Directory
    hub: Hub
    clock: Clock
    when_paused: WhenPaused = "queue"
    since: dict[str, int] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.directory.roster.dispatcher.listeners.append(self.on_step)

    def on_step(self, session: Session, step: Step) -> None:
        """Pass on that a session stands still, or goes on."""
        on = step.event.on
        if on is On.HOLD:
            self.since[session.id] = self.clock.wall()
            self.hub.tell("session.paused", self.pause(session))
        elif on is On.RELEASE or on is On.CLOSE:
            since = self.since.pop(session.id, None)
            if on is On.RELEASE:
                ms = self.clock.wall() - since if since is not None else None
                self.hub.tell("session.resumed", {**self._named(session), "by": _by(step), "pausedMs": ms})

    def pause(self, session: Session) -> dict[str, Any]:
        """Return what clients are told of a session that is held."""
        hold = session.state.hold
        return {
            **self._named(session),
            "since": self.since.get(session.id),
            "by": hold.by if hold is not None else "",
            "cause": hold.cause if hold is not None else "",
            "queued": len(session.state.lane),
            "messages": self.when_paused,
        }

    def accept(self, session: Session) -> None:
        """Let a message for a session in, or not. Raises GatewayError."""
        hold = session.state.hold
        if hold is not None and self.when_paused == "refuse":
            raise unavailable(f"the session is paused by {hold.by}: {hold.cause}", retry_after_ms=RETRY_MS)

    def _named(self, session: Session) -> dict[str, Any]:
        entry = self.directory.of(session.id)
        return {"sessionKey": entry.key if entry is not None else "", "sessionId": session.id}


def _by(step: Step) -> str:
    return str(getattr(step.event, "by", ""))
