"""The process groups that the calls of one session own: frozen, thawed and killed whole. Starts none itself."""

import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from attrs import define, field, frozen


@define(eq=False)
class ProcessGroups:
    """Process groups of a session. A group that is adopted while the session is frozen is stopped at once.

    With `only`, the groups of all calls but that one are stopped even in a session that goes on.

    Only what stayed in its group is reached: a grandchild that called `setsid` runs on. Callers say "not fully frozen"
    where they know of one (DESIGN f.6).
    """

    frozen: bool = False
    only: str = ""
    _groups: dict[int, str] = field(factory=dict)
    _stopped: set[int] = field(factory=set)

    def of(self, call: str) -> "Owned":
        """Return what one call may use of this: its groups are known to be its own."""
        return Owned(self, call)

    @contextmanager
    def adopt(self, group: int, call: str = "") -> Iterator[None]:
        """Own `group` for the time of the context. Whoever adopts it also ends it; it is given back running."""
        self._groups[group] = call
        self._settle(group)
        try:
            yield
        finally:
            self._groups.pop(group, None)
            if group in self._stopped:  # SIGTERM would wait for it, and nobody else would wake it
                self._stopped.discard(group)
                _signal(group, signal.SIGCONT)

    @property
    def groups(self) -> frozenset[int]:
        """The process groups now owned."""
        return frozenset(self._groups)

    @property
    def owners(self) -> dict[int, str]:
        """The process groups now owned, each with its call."""
        return dict(self._groups)

    @property
    def stopped(self) -> frozenset[int]:
        """The process groups that are held still."""
        return frozenset(self._stopped)

    def freeze(self) -> None:
        """Stop every process of every group."""
        self.frozen = True
        for group in self._groups:
            self._settle(group)

    def thaw(self, only: str = "") -> None:
        """Let them go on: all, or those of one call and of no call. A process that stopped itself is left alone."""
        self.frozen, self.only = False, only
        for group in self._groups:
            self._settle(group)

    def _settle(self, group: int) -> None:
        stop = self.frozen or (self.only != "" and self._groups[group] not in ("", self.only))
        if stop and group not in self._stopped:
            self._stopped.add(group)
            _signal(group, signal.SIGSTOP)
        elif not stop and group in self._stopped:
            self._stopped.discard(group)
            _signal(group, signal.SIGCONT)


@frozen
class Owned:
    """The process groups of one call (`runtime.ports.Processes`)."""

    groups: ProcessGroups
    call: str

    def adopt(self, group: int) -> AbstractContextManager[None]:
        """Own `group` for the time of the context."""
        return self.groups.adopt(group, self.call)


def _signal(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return  # it ended by itself
    except PermissionError:
        return  # a process that became somebody else's (setuid) is out of our hands
