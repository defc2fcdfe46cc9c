"""Opens what holds records, to read only: a journal, or a bundle. Replays nothing."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from debugger.bundle.names import SUFFIX
from runtime.errors import InputError
from runtime.step.records import Record, unpack

SHOWN: Final = 5
"""Sessions that an error names."""


def reading(path: Path) -> Any:
    """Return the store of a journal, or that of a bundle (`runtime.stores.Journal`). Raises TwinstepError."""
    if not path.is_file():
        raise InputError(f"{path}: no such journal.")
    if path.suffix == SUFFIX:
        from debugger.bundle.opening import opened

        return opened(path).store()
    from runtime.stores import open_store

    return open_store(path, readonly=True)


def listed(names: Sequence[str]) -> str:
    """Return the sessions of a journal as an error names them: a few, and how many more."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}" if names else "none"


def session_of(path: Path, wanted: str) -> tuple[str, Iterator[Record]]:
    """Return a session, by its id or as `latest`, with its records. Raises TwinstepError."""
    store = reading(path)
    kept = store.sessions()
    names = [one.session for one in kept]
    if wanted == "latest" and kept and wanted not in names:
        wanted = max(kept, key=lambda one: one.updated).session
    if wanted not in names:
        raise InputError(f"{path}: no session {wanted}; it has {listed(names)}.")
    records = (unpack(one.body, store.codec, store.blob, str(path), one.seq) for one in store.records(wanted))
    return wanted, records
