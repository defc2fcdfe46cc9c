"""Which store keeps a journal: the suffix of its path decides. Loads no store that is not asked for."""

import os
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

from runtime.ports import Store
from runtime.stores.backlog import Bound, Codec, Heard, Wall, now

SQLITE_SUFFIXES: Final = (".db", ".sqlite", ".sqlite3")


class Journal(Store, AbstractAsyncContextManager["Journal"], Protocol):
    """A `Store` with what whoever composes the program asks of it besides; `async with` closes it.

    `name` is the file. `codec` says how bodies are packed. `torn` says in one sentence what an interrupted write had
    left at the end of the file, or is None. `heard` is told the reason when the disk takes nothing any more, and None
    when it does again.
    """

    name: str
    heard: Heard
    torn: str | None

    @property
    def codec(self) -> Codec:
        """How the caller packs bodies: JSON objects in one line, or msgpack."""

    def describe(self, session: str, title: str) -> None:
        """Give a session that has records the title that listings show."""


def open_store(
    path: str | os.PathLike[str], *, bound: Bound | None = None, readonly: bool = False, wall: Wall = now
) -> Journal:
    """Open or create the journal at `path`: SQLite for `.db`, `.sqlite` and `.sqlite3`, else JSON lines.

    `bound` limits what may wait to be written. `readonly` takes no lock, so it works beside a process that writes.
    `wall` gives milliseconds since 1970 and is called in the writer's thread.

    Raises JournalError if the file cannot be opened, is in use by another writer or is no journal, JournalCorrupt if
    it is damaged, JournalNewer if a newer version wrote it.
    """
    name = os.fspath(path)
    if name.lower().endswith(SQLITE_SUFFIXES):
        from runtime.stores.sqlite import Sqlite

        return Sqlite(name, bound=bound, readonly=readonly, wall=wall)
    from runtime.stores.jsonlines import JsonLines

    return JsonLines(name, bound=bound, readonly=readonly, wall=wall)
