"""The gate: where one session stands still while the others go on. Holds, counts and lets pass; changes no state.

A session is held before a step, identified by how many steps it has taken. Breakpoints are predicates; the debugger
brings its own. A gate that nobody closed costs the test of `session.armed`.
"""

from collections.abc import Callable

from attrs import define, field

from runtime.sessions.session import Session
from runtime.step import StepKind

Breakpoint = Callable[[Session, StepKind, str], str | None]
"""Takes session, step kind and call id; returns the cause of a stop, or None."""


@define(eq=False)
class _Held:
    credit: int = 0
    border: int = -1


@define(eq=False)
class Gate:
    """The gates of all sessions. `announce(session, kind, call, cause, by)` is called once for each stop."""

    announce: Callable[[Session, StepKind, str, str, str], None]
    breakpoints: list[Breakpoint] = field(factory=list)
    _held: dict[str, _Held] = field(factory=dict)
    _passed: dict[str, int] = field(factory=dict)

    def close(self, session: Session) -> None:
        """Hold the session before its next step."""
        self._held[session.id] = _Held(border=session.steps)
        session.armed = True

    def open(self, session: Session) -> None:
        """Let the session go on; the border it stands at does not stop it again."""
        self._held.pop(session.id, None)
        self._passed[session.id] = session.steps
        self._arm(session)

    def grant(self, session: Session, steps: int) -> None:
        """Let a held session take this many steps, then hold it again."""
        held = self._held.setdefault(session.id, _Held())
        held.credit += steps
        session.armed = True

    def watch(self, stop: Breakpoint) -> None:
        """Add a breakpoint. It is asked before every step of every armed session."""
        self.breakpoints.append(stop)

    def unwatch(self, stop: Breakpoint) -> None:
        """Remove a breakpoint; removing one that is gone changes nothing."""
        if stop in self.breakpoints:
            self.breakpoints.remove(stop)

    def arm(self, session: Session) -> None:
        """Look again whether anything can stop the session."""
        self._arm(session)

    def forget(self, session: Session) -> None:
        """Drop what is known of a session that is unloaded or closed."""
        self._held.pop(session.id, None)
        self._passed.pop(session.id, None)
        session.armed = False

    def holds(self, session: Session) -> bool:
        """Whether the session is held and has no step to take."""
        held = self._held.get(session.id)
        return held is not None and held.credit == 0

    def admit(self, session: Session, kind: StepKind, call: str) -> bool:
        """Decide whether the session may take this step now. Only asked for armed sessions."""
        held = self._held.get(session.id)
        if held is None:
            cause = self._match(session, kind, call)
            if cause is None:
                return True
            self._held[session.id] = _Held(border=session.steps)
            self.announce(session, kind, call, cause, "breakpoint")
            return False
        if held.credit > 0:
            held.credit -= 1
            return True
        if held.border != session.steps:
            held.border = session.steps
            self.announce(session, kind, call, "step", "gate")
        return False

    def _match(self, session: Session, kind: StepKind, call: str) -> str | None:
        if self._passed.get(session.id) == session.steps:
            return None
        for stop in self.breakpoints:
            cause = stop(session, kind, call)
            if cause is not None:
                return cause
        return None

    def _arm(self, session: Session) -> None:
        session.armed = bool(self.breakpoints) or session.id in self._held
