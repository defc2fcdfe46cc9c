"""Where the sessions of a folder are kept, and which of them `--resume` means. Opens journals to read only."""

import time
from pathlib import Path

from attrs import frozen

from runtime.errors import InputError, JournalError
from runtime.ports import StoredSession
from runtime.stores import open_store

SUFFIXES = (".jsonl", ".db", ".sqlite", ".sqlite3")


@frozen
class Found:
    """A session and the journal that holds it."""

    session: str
    journal: Path
    started: int
    updated: int
    title: str


def fresh(folder: Path, session: str, wall: int) -> Path:
    """Return the path for the journal of a new session: time, then the beginning of its id."""
    stamp = time.strftime("%Y-%m-%dT%H-%M-%S", time.gmtime(wall / 1000))
    return folder / f"{stamp}.{wall % 1000:03d}-{session[:8]}.jsonl"


def listing(place: Path) -> list[Found]:
    """Return the sessions at `place`, oldest first: a folder of journals, or one journal that may hold many.

    A journal that cannot be read is left out; it is named when it is asked for.
    """
    files = sorted(one for one in place.iterdir() if one.suffix in SUFFIXES) if place.is_dir() else [place]
    found = [Found(one.session, file, one.started, one.updated, one.title) for file in files for one in _sessions(file)]
    return sorted(found, key=lambda one: (one.started, one.journal.name))


def _sessions(file: Path) -> list[StoredSession]:
    if not file.is_file() or not file.stat().st_size:
        return []
    try:
        return open_store(file, readonly=True).sessions()
    except JournalError:
        return []


def chosen(place: Path, wanted: str) -> Found:
    """Return the session that `--resume` means: `latest`, a number from 1, or an id. Raises InputError."""
    found = listing(place)
    if not found:
        raise InputError("No previous sessions found for this project.")
    if wanted == "latest":
        return found[-1]
    if wanted.isdigit():
        if 1 <= int(wanted) <= len(found):
            return found[int(wanted) - 1]
        raise InputError(f"--resume {wanted}: there is no session of that number; there are {len(found)}.")
    same = [one for one in found if one.session == wanted]
    if not same:
        raise InputError(f"--resume {wanted}: there is no session of that id. See --list-sessions.")
    return same[-1]
