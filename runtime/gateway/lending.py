"""A model for one run: the session has it while the run is waited for, and then the one that it had.

A run that begins only after its sender has left has the model of its session.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from runtime.gateway.directory import Directory
from runtime.gateway.entries import Entry


@contextmanager
def lent(directory: Directory, entry: Entry, model: str | None) -> Iterator[Entry]:
    """Let a session have a model, as entries name it; None is the one that it has. Yield the entry as it is then."""
    if model is None or model == entry.model:
        yield entry
        return
    changed = directory.change(entry, model=model)
    directory.apply(changed)
    try:
        yield changed
    finally:
        now = directory.get(entry.key)
        if now is not None and now.model == model:  # nobody has chosen another one meanwhile
            directory.apply(directory.change(now, model=entry.model))
