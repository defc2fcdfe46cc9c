"""What became of each run: in memory at once, on disk as soon as the store takes it. Decides nothing.

A full disk must not make the gateway forget how a run ended: what the store refuses is handed to it again with the next
change. Only the acceptance of a message is strict (`put`): what cannot be kept is not accepted.
"""

from typing import Final, Protocol

from attrs import define, field

from runtime.errors import JournalError
from runtime.gateway.entries import Run


class Shelf(Protocol):
    """Where runs are kept (`runtime.stores.shelf`)."""

    items: dict[str, Run]

    def put(self, key: str, value: Run) -> int:
        """Keep a run; return the ticket of that."""

    def drop(self, key: str) -> int:
        """Forget a run."""


GONE: Final = Run("", "", "", "", "gone", 0)
"""Stands for a run whose end on disk is still to come."""


@define(eq=False)
class Ledger:
    """Writes runs to their shelf; those that it could not write yet are in `_late`, None for one to be dropped."""

    shelf: Shelf
    _late: dict[str, Run | None] = field(factory=dict)

    def put(self, run: Run) -> int:
        """Keep a run and return the ticket of that. Raises like `Store.put`, and then kept nothing."""
        ticket = self.shelf.put(run.id, run)
        self._late.pop(run.id, None)
        return ticket

    def keep(self, run: Run) -> None:
        """Keep what has happened to a run, whether or not it can be written now."""
        self._late[run.id] = run
        self._catch_up()

    def drop(self, name: str) -> None:
        """Forget a run, whether or not that can be written now."""
        self._late[name] = None
        self._catch_up()

    @property
    def behind(self) -> int:
        """How many changes are not written yet."""
        return len(self._late)

    def _catch_up(self) -> None:
        items = self.shelf.items
        for name, run in tuple(self._late.items()):
            try:
                if run is None:
                    items.setdefault(name, GONE)  # a shelf does not delete what is not there
                    self.shelf.drop(name)
                else:
                    items.pop(name, None)  # nor does it write what is there already
                    self.shelf.put(name, run)
            except JournalError:
                break
            del self._late[name]
        for name, run in self._late.items():
            if run is None:
                items.pop(name, None)
            else:
                items[name] = run
