"""The process groups that the calls of one session own: frozen, thawed and killed whole. Starts none itself."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from attrs import define, field


@define(eq=False)
class ProcessGroups:
    """Process groups of a session. A group that is adopted while the session is frozen is stopped at once.

    Only what stayed in its group is reached: a grandchild that called `setsid` runs on, which `frozen_wholly` cannot
    see; callers say "not fully frozen" where they know of one (DESIGN f.6).
    """

    frozen: bool = False
    _groups: set[int] = field(factory=set)

    @contextmanager
    def adopt(self, group: int) -> Iterator[None]:
        """Own `group` for the time of the context. Whoever adopts it also ends it; it is given back running."""
        self._groups.add(group)
        if self.frozen:
            _signal(group, signal.SIGSTOP)
        try:
            yield
        finally:
            self._groups.discard(group)
            if self.frozen:  # SIGTERM would wait for it, and nobody else would wake it
                _signal(group, signal.SIGCONT)

    @property
    def groups(self) -> frozenset[int]:
        """The process groups now owned."""
        return frozenset(self._groups)

    def freeze(self) -> None:
        """Stop every process of every group."""
        self.frozen = True
        for group in self._groups:
            _signal(group, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on. A process that stopped itself while nothing was frozen is left alone."""
        if not self.frozen:
            return
        self.frozen = False
        for group in self._groups:
            _signal(group, signal.SIGCONT)


def _signal(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return  # it ended by itself
    except PermissionError:
        return  # a process that became somebody else's (setuid) is out of our hands
