"""Which session a client means, and whether it may drive it. Refuses names that fit several."""

from debugger.controller.engine import Debugger
from debugger.controller.names import Row
from debugger.protocol.errors import Failure
from debugger.repl.naming import begins, tail
from debugger.server import Caller
from runtime.errors import InputError, JournalError
from runtime.sessions.session import Session
from runtime.step import REST, Phase
from runtime.step.state import Hold

SHOWN = 5
"""Names that an error lists."""


def find(debugger: Debugger, name: str) -> Session:
    """Return the session of an id or key, or of the beginning of one that fits no other. Raises Failure."""
    live = debugger.roster.live.get(name)
    if live is not None:
        return live
    exact = debugger.names.known(name)
    try:
        return debugger.names.get(exact if exact is not None else _named(debugger, name).session)
    except (JournalError, InputError) as exc:
        raise Failure("no_session", str(exc), at="with.session") from exc


def _named(debugger: Debugger, name: str) -> Row:
    found = named(debugger, name)
    if found is None:
        raise Failure("no_session", f"there is no session {name!r}", at="with.session")
    return found


def named(debugger: Debugger, name: str) -> Row | None:
    """Return the session of a name, None where there is none. Raises Failure for a name that fits several.

    Keys are kept in small letters, so a name in capitals that fits nothing means them.
    """
    rows = [row for row in debugger.names.rows() if name in row.session or name in row.key]  # of many the few it may be
    found = [row for row in rows if name in (row.session, row.key)]
    found = found or [row for row in rows if row.key and tail(row.key, name) == name]
    found = found or [row for row in rows if begins(row.session, row.key, name)]
    if len(found) > 1:
        some = ", ".join(row.key or row.session for row in found[:SHOWN])
        raise Failure("no_session", f"{name!r} fits {len(found)} sessions: {some}", at="with.session")
    if not found and name != name.lower():
        return named(debugger, name.lower())
    return found[0] if found else None


def driven(debugger: Debugger, caller: Caller, name: str) -> Session:
    """Return a session that this caller drives. Raises Failure."""
    session = find(debugger, name)
    debugger.leases.check(session.id, caller.connection)
    return usable(session)


def usable(session: Session) -> Session:
    """Return a session if it will ever take another step. Raises Failure."""
    if session.broken is not None:
        raise Failure("broken", f"session {session.id} stands still for good: {session.broken}")
    if session.state.phase is Phase.CLOSED:
        raise Failure("refused", f"session {session.id} is closed")
    return session


def hold_of(session: Session, generation: int | None = None) -> Hold:
    """Return the hold of a session, which must be the one that is meant. Raises Failure."""
    hold = session.state.hold
    if hold is None:
        does = "rests" if session.state.phase in REST else "is running"
        raise Failure("not_held", f"session {session.id} {does}: pause it first")
    if generation is not None and generation != hold.generation:
        text = f"hold {generation} of session {session.id} is over; it stands in hold {hold.generation}"
        raise Failure("stale", text, at="with.generation")
    return hold


def by(caller: Caller) -> str:
    """Return how journals name whoever asks."""
    return f"debugger:{caller.user}"
