"""Who drives which session, and what happens when a driver is lost. A table: it holds no session and starts no timer.

One connection drives a session; any number observe it. A driver that goes away says what becomes of the session. One
that is lost has said so when it attached: after `seconds` (`hold`) or at once it goes on, or its prompt is cancelled.
Until then the session is kept for its user, and whoever comes back as that user drives it again.

Time is an argument, in seconds of any clock that never goes back. What has to be done is returned as `Due`, once; it
means the hold of that time, so whoever does it must not touch a session that somebody drives.
"""

from collections.abc import Iterator
from typing import Final, Literal

from attrs import define, evolve, field, frozen

from debugger.protocol.errors import Failure
from debugger.protocol.params import Then

Act = Literal["resume", "cancel"]
LONGEST: Final = 86_400.0
"""Seconds that a session may be kept for a driver that was lost."""


@frozen
class Lease:
    """The driving of one session. `connection` is empty while its driver is lost, until `until`."""

    session: str
    user: str
    connection: str
    on_loss: Then = "hold"
    seconds: float = 300.0
    offered: str = ""
    """The user to whom it is offered."""
    until: float | None = None

    @property
    def lost(self) -> bool:
        """Whether its driver's connection is gone."""
        return self.until is not None


@frozen
class Due:
    """What has to be done with a session that nobody drives any more. `why` is one line for people and the audit."""

    session: str
    act: Act
    user: str
    why: str
    waited: bool = False
    """Whether the session was kept for a driver that was lost, and did not come back in time."""


@frozen
class Watcher:
    """A connection that is attached to a session."""

    connection: str
    user: str
    may_drive: bool


def not_driver(session: str, lease: Lease | None) -> Failure:
    """Refuse who does not drive, with who does."""
    if lease is None:
        return Failure("not_driver", f"nobody drives session {session}: attach to it first")
    how = ", whose connection was lost: `lease take` takes it" if lease.lost else ", who can hand it over: `lease give`"
    return Failure("not_driver", f"session {session} is driven by {lease.user}{how}")


@define(eq=False)
class Leases:
    """The leases of all sessions, and who is attached to which."""

    _leases: dict[str, Lease] = field(factory=dict)
    _attached: dict[str, dict[str, Watcher]] = field(factory=dict)

    # --- what is

    def of(self, session: str) -> Lease | None:
        """Return the lease of a session."""
        return self._leases.get(session)

    def watchers(self, session: str) -> tuple[Watcher, ...]:
        """Return who is attached to a session, the driver included, in the order in which they came."""
        return tuple(self._attached.get(session, {}).values())

    def check(self, session: str, connection: str) -> Lease:
        """Return the lease if this connection has it. Raises Failure `not_driver`."""
        lease = self._leases.get(session)
        if lease is None or lease.lost or lease.connection != connection:
            raise not_driver(session, lease)
        return lease

    def next_due(self) -> float | None:
        """Return when `due` will have something, or None."""
        return min((lease.until for lease in self._leases.values() if lease.until is not None), default=None)

    # --- coming and going

    def attach(
        self,
        session: str,
        watcher: Watcher,
        *,
        observe: bool = False,
        on_loss: Then = "hold",
        seconds: float = 300.0,
    ) -> bool:
        """Attach a connection; return whether it drives. It does if it wants to and may, and nobody else does.

        A driver that attaches again changes what its loss means. Raises Failure `not_driver` for one that wants only to
        observe: it has to give the session away, or to detach.
        """
        lease = self._leases.get(session)
        drives = lease is not None and not lease.lost and lease.connection == watcher.connection
        if drives and observe:
            raise Failure("not_driver", f"you drive session {session}: give it to somebody, or detach")
        self._attached.setdefault(session, {})[watcher.connection] = watcher
        if observe or not watcher.may_drive:
            return False
        if lease is not None and not drives and not self._is_open_to(lease, watcher.user):
            return False
        offered = lease.offered if lease is not None and drives else ""
        self._leases[session] = Lease(
            session, watcher.user, watcher.connection, on_loss, min(max(seconds, 0.0), LONGEST), offered
        )
        return True

    def detach(self, session: str, connection: str, then: Then) -> Due | None:
        """Detach a connection; return what has to be done. `hold` leaves the session held, for nobody.

        Raises Failure `not_driver` for a connection that is not attached.
        """
        if connection not in self._attached.get(session, {}):
            raise Failure("not_driver", f"this connection is not attached to session {session}")
        self._leave(session, connection)
        lease = self._leases.get(session)
        if lease is None or lease.lost or lease.connection != connection:
            return None
        del self._leases[session]
        return None if then == "hold" else Due(session, then, lease.user, f"{lease.user} detached")

    def lost(self, connection: str, now: float) -> list[Due]:
        """A connection is gone: return what has to be done at once. The rest comes from `due`."""
        found: list[Due] = []
        for session in [one for one, watchers in self._attached.items() if connection in watchers]:
            self._leave(session, connection)
            lease = self._leases.get(session)
            if lease is None or lease.lost or lease.connection != connection:
                continue
            wait = lease.seconds if lease.on_loss == "hold" else 0.0
            self._leases[session] = evolve(lease, connection="", until=now + wait)
        found += self.due(now)
        return found

    def due(self, now: float) -> list[Due]:
        """Return what has to be done by now, and forget the leases that ran out."""
        late = [lease for lease in self._leases.values() if lease.until is not None and lease.until <= now]
        for lease in late:
            del self._leases[lease.session]
        return [_late(one) for one in late]

    def forget(self, session: str) -> None:
        """A session is no more."""
        self._leases.pop(session, None)
        self._attached.pop(session, None)

    # --- handing over

    def give(self, session: str, connection: str, user: str) -> Lease:
        """Hand the driving to a user: at once if one of his connections is attached and may drive, else when he comes.

        An empty name takes an offer back. Raises Failure `not_driver`.
        """
        lease = self.check(session, connection)
        heirs = [one for one in self._drivers(session) if one.user == user and one.connection != connection]
        if heirs:
            lease = evolve(lease, user=user, connection=heirs[-1].connection, offered="")
        else:
            lease = evolve(lease, offered=user)
        self._leases[session] = lease
        return lease

    def take(self, session: str, connection: str, *, force: bool = False) -> Lease:
        """Take the driving: if nobody has it, if its driver is lost, if it was offered; with `force`, from anybody.

        What the loss of the new driver means stays as it was. Raises Failure `not_driver`.
        """
        lease = self._leases.get(session)
        watcher = self._attached.get(session, {}).get(connection)
        if watcher is None or not watcher.may_drive:
            raise Failure("not_driver", f"this connection cannot drive session {session}: attach to it as a driver")
        if lease is None:
            lease = Lease(session, watcher.user, connection)
        elif not (force or lease.lost or lease.connection == connection or lease.offered == watcher.user):
            raise not_driver(session, lease)
        lease = evolve(lease, user=watcher.user, connection=connection, until=None, offered="")
        self._leases[session] = lease
        return lease

    def _is_open_to(self, lease: Lease, user: str) -> bool:
        return (lease.lost and lease.user == user) or lease.offered == user

    def _drivers(self, session: str) -> Iterator[Watcher]:
        return (one for one in self._attached.get(session, {}).values() if one.may_drive)

    def _leave(self, session: str, connection: str) -> None:
        watchers = self._attached.get(session, {})
        watchers.pop(connection, None)
        if not watchers:
            self._attached.pop(session, None)


def _late(lease: Lease) -> Due:
    act: Act = "cancel" if lease.on_loss == "cancel" else "resume"
    return Due(lease.session, act, lease.user, f"{lease.user}'s connection was lost", lease.on_loss == "hold")
