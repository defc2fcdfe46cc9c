"""Tells clients that a session is held and when it goes on, and what becomes of messages meanwhile. Holds nothing.

A session is held by a debugger, or by whoever else may. Its clients keep their links; what they send is accepted and
waits in the lane, or is refused, as the gateway was told. Which sessions are held is kept, so that after a restart they
are loaded, held as they were, before anybody asks for one.
"""

from typing import Any, Final, Literal

from attrs import define, field, frozen

from runtime.errors import JournalError
from runtime.gateway.directory import Directory
from runtime.gateway.entries import Entry, Kept, Loose
from runtime.gateway.frames import unavailable
from runtime.gateway.hub import Hub
from runtime.ports import Clock
from runtime.sessions.session import Session
from runtime.step import On, Step

WhenPaused = Literal["queue", "refuse"]
RETRY_MS: Final = 5_000


@frozen
class Pause:
    """A session that is held, since when (ms since 1970), and how many steps it had taken by then."""

    session: str
    since: int
    steps: int = 0


@define(eq=False)
class Pauses:
    """Listens to the dispatcher once it is made. `kept` has the sessions that are held."""

    directory: Directory
    hub: Hub
    clock: Clock
    when_paused: WhenPaused = "queue"
    kept: Kept[Pause] = field(factory=Loose)

    def __attrs_post_init__(self) -> None:
        self.directory.roster.dispatcher.listeners.append(self.on_step)

    def recover(self) -> list[str]:
        """Load the sessions that were held when the last process ended; return those that are."""
        found = []
        for name, pause in tuple(self.kept.items.items()):
            try:
                session = self.directory.roster.get(name) if self.directory.of(name) is not None else None
            except JournalError:
                continue  # whoever asks for it is told
            if session is not None and session.state.hold is not None:
                session.steps = pause.steps
                found.append(name)
            else:
                self._forget(name)
        return found

    def on_step(self, session: Session, step: Step) -> None:
        """Pass on that a session stands still, or goes on."""
        on = step.event.on
        if on is On.HOLD:
            self._keep(Pause(session.id, self.clock.wall(), session.steps))
            self.hub.tell("session.paused", self.pause(session))
        elif on is On.RELEASE or on is On.CLOSE:
            since = self._since(session.id)
            self._forget(session.id)
            if on is On.RELEASE:
                ms = self.clock.wall() - since if since is not None else None
                self.hub.tell("session.resumed", {**self._named(session), "by": _by(step), "pausedMs": ms})

    def pause(self, session: Session) -> dict[str, Any]:
        """Return what clients are told of a session that is held."""
        return {**self._named(session), **self._about(session), "queued": len(session.state.lane)}

    def shown(self, entry: Entry) -> dict[str, Any]:
        """Return what the row of a session says besides: nothing, if it is not held."""
        session = self.directory.roster.live.get(entry.session)
        return {"paused": self._about(session)} if session is not None and session.state.hold is not None else {}

    def accept(self, session: Session) -> None:
        """Let a message for a session in, or not. Raises GatewayError."""
        hold = session.state.hold
        if hold is not None and self.when_paused == "refuse":
            raise unavailable(f"the session is paused by {hold.by}: {hold.cause}", retry_after_ms=RETRY_MS)

    def _about(self, session: Session) -> dict[str, Any]:
        hold = session.state.hold
        by, cause = (hold.by, hold.cause) if hold is not None else ("", "")
        return {"since": self._since(session.id), "by": by, "cause": cause, "messages": self.when_paused}

    def _since(self, name: str) -> int | None:
        pause = self.kept.items.get(name)
        return pause.since if pause is not None else None

    def _keep(self, pause: Pause) -> None:
        try:
            self.kept.put(pause.session, pause)
        except JournalError:  # the hold itself is on disk, and comes back when somebody asks for the session
            self.kept.items[pause.session] = pause

    def _forget(self, name: str) -> None:
        try:
            self.kept.drop(name)
        except JournalError:  # it is found to be over after the next start
            self.kept.items.pop(name, None)

    def _named(self, session: Session) -> dict[str, Any]:
        entry = self.directory.of(session.id)
        return {"sessionKey": entry.key if entry is not None else "", "sessionId": session.id}


def _by(step: Step) -> str:
    return str(getattr(step.event, "by", ""))
