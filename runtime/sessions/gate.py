"""The gate: where one session stands still while the others go on. Holds and lets pass; changes no state.

A session is held before a step, identified by how many steps it has taken. Breakpoints and the ends of granted steps
are predicates; the debugger brings its own. A stop that the journal had no room for is remembered here and nowhere
else, until it is taken. A gate that nobody closed costs the test of `session.armed` and of an empty list.
"""

from collections.abc import Callable
from typing import Final

from attrs import define, field

from runtime.sessions.session import Session
from runtime.step import REST, Event, StepKind

Breakpoint = Callable[[Session, StepKind, str, Event], str | None]
"""Takes session, step kind, call id and the event that would be applied; returns the cause of a stop, or None.

It is asked once at each border, also where the journal takes the stop only later: it may count, or be used up.
"""
Passing = Callable[[Session, StepKind, str, Event], None]
"""Takes the same at a border where something else had stopped the session before breakpoints were asked, and which it
passes now: what counts and tells there without stopping. It must not raise."""
Until = Callable[[Session, StepKind, str, Event, int], bool]
"""Takes the same and how many steps were taken since they were granted; says whether to stop before this one."""

STEP: Final = "step"
"""The cause of a stop after steps that were granted, where whoever granted them names no other."""


@define(eq=False)
class _Held:
    """A gate that is closed: for every step, or for those from which `until` says so."""

    until: Until | None = None
    by: str = "gate"
    cause: str = STEP
    taken: int = 0


def after(count: int) -> Until:
    """Stop when so many steps were taken."""
    return lambda session, kind, call, event, taken: taken >= count


@define(eq=False)
class Gate:
    """The gates of all sessions. `announce(session, kind, call, cause, by)` is called once for each stop.

    Whether a session is held is in its state; the gate follows it. `complain` is told of a breakpoint that failed: it
    is dropped, and the session lives.
    """

    announce: Callable[[Session, StepKind, str, str, str], None]
    complain: Callable[[str], None] = field(default=lambda text: None)
    breakpoints: list[Breakpoint] = field(factory=list)
    passing: list[Passing] = field(factory=list)
    _held: dict[str, _Held] = field(factory=dict)
    _passed: dict[str, int] = field(factory=dict)
    _asked: dict[str, int] = field(factory=dict)
    _found: dict[str, tuple[tuple[int, StepKind, str], str]] = field(factory=dict)

    def close(self, session: Session) -> None:
        """Hold the session before its next step, whatever steps it was granted."""
        self._held[session.id] = _Held()
        self._found.pop(session.id, None)
        session.armed = True

    def open(self, session: Session, *, passing: bool = True) -> None:
        """Let the session go on. With `passing`, the step that it stands before does not stop it again."""
        self._held.pop(session.id, None)
        if passing:
            self._passed[session.id] = session.steps
        self.arm(session)

    def grant(self, session: Session, until: Until, by: str = "gate", cause: str = STEP) -> None:
        """Let a session take steps until `until` says stop, a breakpoint does, or the prompt is over; then hold it in
        the name of `by`, for this cause."""
        self._held[session.id] = _Held(until, by, cause)
        session.armed = True

    def took(self, session: Session) -> None:
        """Count a step that was taken. One that was admitted and not taken does not count."""
        held = self._held.get(session.id)
        if held is not None:
            held.taken += 1

    def watch(self, stop: Breakpoint) -> None:
        """Add a breakpoint. It is asked before every step of every session that is not held."""
        self.breakpoints.append(stop)

    def unwatch(self, stop: Breakpoint) -> None:
        """Remove a breakpoint; removing one that is gone changes nothing."""
        if stop in self.breakpoints:
            self.breakpoints.remove(stop)

    def arm(self, session: Session) -> None:
        """Look again whether the session is held, or will be. Breakpoints need no arming."""
        session.armed = session.id in self._held or session.id in self._found

    def forget(self, session: Session) -> None:
        """Drop what is known of a session that is unloaded or closed."""
        self._held.pop(session.id, None)
        self._passed.pop(session.id, None)
        self._asked.pop(session.id, None)
        self._found.pop(session.id, None)
        session.armed = False

    def lapse(self, session: Session) -> None:
        """The session, which is at rest, has nothing to do: a stop before a step that will not be taken is none."""
        if self._found.pop(session.id, None) is not None:
            self.arm(session)

    def granted(self, session: Session) -> bool:
        """Whether the session takes steps that were granted."""
        held = self._held.get(session.id)
        return held is not None and held.until is not None

    def holds(self, session: Session) -> bool:
        """Whether the session, which is at rest, is to stand there: it took a step that was granted, or has none."""
        held = self._held.get(session.id)
        return held is not None and (held.until is None or (held.taken > 0 and session.state.phase in REST))

    def stand(self, session: Session) -> None:
        """Say that a session at rest is held, in the name of whoever granted it its last steps."""
        held = self._held.get(session.id)
        if held is not None and session.state.hold is None:
            cause = held.cause if held.cause == STEP else f"{held.cause}: the prompt was over first"
            self.announce(session, StepKind.MESSAGE_RECEIVE, "", cause, held.by)

    def admit(self, session: Session, kind: StepKind, call: str, event: Event) -> bool:
        """Decide whether the session may take this step now. Asked for armed sessions, and where breakpoints are."""
        held = self._held.get(session.id)
        if held is not None and held.until is None:
            return False
        cause = self._match(session, kind, call, event)
        if cause is not None:
            self.announce(session, kind, call, cause, "breakpoint")
            return False
        if held is not None and held.until is not None and held.until(session, kind, call, event, held.taken):
            self.announce(session, kind, call, held.cause, held.by)
            return False
        return True

    def _match(self, session: Session, kind: StepKind, call: str, event: Event) -> str | None:
        if self._passed.get(session.id) == session.steps:
            if self.passing and self._asked.get(session.id) != session.steps:
                self._asked[session.id] = session.steps
                for tell in self.passing:
                    tell(session, kind, call, event)
            return None
        found, border = self._found.get(session.id), (session.steps, kind, call)
        if found is not None and found[0] == border:
            return found[1]
        cause = self._ask(session, kind, call, event)
        if cause is not None:
            self._found[session.id] = (border, cause)  # the journal may not take the stop now
        else:
            self._found.pop(session.id, None)
            if self.breakpoints:
                self._passed[session.id] = session.steps
        if found is not None or cause is not None:
            self.arm(session)  # who found it may be gone when there is room
        return cause

    def _ask(self, session: Session, kind: StepKind, call: str, event: Event) -> str | None:
        if self.passing:
            self._asked[session.id] = session.steps
        for stop in tuple(self.breakpoints):
            try:
                cause = stop(session, kind, call, event)
            except Exception as exc:  # noqa: BLE001 - a failing debug hook is dropped; the debuggee lives (OTP sys)
                self.unwatch(stop)
                self.complain(f"a breakpoint failed and was dropped: {type(exc).__name__}: {exc}")
                continue
            if cause is not None:
                return cause
        return None
