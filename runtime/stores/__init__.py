"""Where journals live: memory, JSON lines or SQLite behind one protocol. Interprets no record, and deletes none
but those of a session that it is told to forget."""

from runtime.stores.backlog import Bound
from runtime.stores.choose import Journal, open_store

__all__ = ["Bound", "Journal", "open_store"]
