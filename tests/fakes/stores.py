"""Stores in memory that are slow or bad."""

from runtime.stores.memory import MemoryStore


class SlowStore(MemoryStore):
    """Takes everything at once and has it on disk only after `flush`, or when it is closed."""

    slow = True

    def flush(self) -> None:
        """Commit what is queued."""
        super()._commit()

    def queued(self) -> list[tuple[str, int]]:
        """Session and number of each record that is appended and not committed."""
        return [(entry.session, entry.seq) for kind, entry, _ in self._queue if kind == "record"]

    async def aclose(self) -> None:
        """Commit what is queued, and close."""
        self.slow = False
        await super().aclose()

    def _commit(self) -> None:
        if not self.slow:
            super()._commit()
