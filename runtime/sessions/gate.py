"""The gate: where one session stands still while the others go on. Holds, counts and lets pass; changes no state.

A session is held before a step, identified by how many steps it has taken. Breakpoints are predicates; the debugger
brings its own. A gate that nobody closed costs the test of `session.armed` and of an empty list.
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
    by: str = "gate"


@define(eq=False)
class Gate:
    """The gates of all sessions. `announce(session, kind, call, cause, by)` is called once for each stop.

    Whether a session is held is in its state; the gate follows it. `complain` is told of a breakpoint that failed: it
    is dropped, and the session lives.
    """

    announce: Callable[[Session, StepKind, str, str, str], None]
    complain: Callable[[str], None] = field(default=lambda text: None)
    breakpoints: list[Breakpoint] = field(factory=list)
    _held: dict[str, _Held] = field(factory=dict)
    _passed: dict[str, int] = field(factory=dict)

    def close(self, session: Session) -> None:
        """Hold the session before its next step, whatever steps it was granted."""
        self._held[session.id] = _Held()
        session.armed = True

    def open(self, session: Session, *, passing: bool = True) -> None:
        """Let the session go on. With `passing`, the step that it stands before does not stop it again."""
        self._held.pop(session.id, None)
        if passing:
            self._passed[session.id] = session.steps
        self.arm(session)

    def grant(self, session: Session, steps: int, by: str = "gate") -> None:
        """Let a session take this many steps past all breakpoints, then hold it in the name of `by`."""
        held = self._held.setdefault(session.id, _Held())
        held.credit += steps
        held.by = by
        session.armed = True

    def took(self, session: Session) -> None:
        """Count a step that was taken. One that was admitted and not taken costs no credit."""
        held = self._held.get(session.id)
        if held is not None and held.credit:
            held.credit -= 1

    def watch(self, stop: Breakpoint) -> None:
        """Add a breakpoint. It is asked before every step of every session that is not held."""
        self.breakpoints.append(stop)

    def unwatch(self, stop: Breakpoint) -> None:
        """Remove a breakpoint; removing one that is gone changes nothing."""
        if stop in self.breakpoints:
            self.breakpoints.remove(stop)

    def arm(self, session: Session) -> None:
        """Look again whether the session is held. Breakpoints need no arming."""
        session.armed = session.id in self._held

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
        """Decide whether the session may take this step now. Asked for armed sessions, and where breakpoints are."""
        held = self._held.get(session.id)
        if held is None:
            cause = self._match(session, kind, call)
            if cause is not None:
                self.announce(session, kind, call, cause, "breakpoint")
            return cause is None
        if held.credit:
            return True
        if session.state.hold is None:  # the last step that was granted is taken
            self.announce(session, kind, call, "step", held.by)
        return False

    def _match(self, session: Session, kind: StepKind, call: str) -> str | None:
        if self._passed.get(session.id) == session.steps:
            return None
        for stop in tuple(self.breakpoints):
            try:
                cause = stop(session, kind, call)
            except Exception as exc:  # noqa: BLE001 - a failing debug hook is dropped; the debuggee lives (OTP sys)
                self.unwatch(stop)
                self.complain(f"a breakpoint failed and was dropped: {type(exc).__name__}: {exc}")
                continue
            if cause is not None:
                return cause
        return None
