"""Where the sessions of a folder are kept, and which of them `--resume` means. Opens journals to read only."""

import time
from pathlib import Path

from attrs import frozen

from runtime.errors import InputError, JournalError
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
    damaged: bool = False


def fresh(folder: Path, session: str, wall: int) -> Path:
    """Return the path for the journal of a new session: time, then the beginning of its id."""
    stamp = time.strftime("%Y-%m-%dT%H-%M-%S", time.gmtime(wall / 1000))
    return folder / f"{stamp}.{wall % 1000:03d}-{session[:8]}.jsonl"


def listing(place: Path) -> list[Found]:
    """Return the sessions at `place`, oldest first: a folder of journals, or one journal that may hold many.

    A journal that cannot be read is listed with the reason, under its file's name; a single one raises JournalError.
    """
    if place.is_dir():
        files = sorted(one for one in place.iterdir() if one.suffix in SUFFIXES)
        found = [one for file in files for one in _listed(file)]
    else:
        found = _sessions(place) if place.exists() else []
    return sorted(found, key=lambda one: (one.started, one.journal.name))


def _sessions(file: Path) -> list[Found]:
    if file.is_file() and not file.stat().st_size:
        return []
    kept = open_store(file, readonly=True).sessions()
    return [Found(one.session, file, one.started, one.updated, one.title) for one in kept]


def _listed(file: Path) -> list[Found]:
    try:
        return _sessions(file)
    except JournalError as exc:
        when = int(file.stat().st_mtime * 1000)
        return [Found(file.name, file, when, when, f"cannot be read: {exc}", damaged=True)]


def chosen(place: Path, wanted: str) -> Found:
    """Return the session that `--resume` means: `latest` (the one that was used last), a number from 1, or an id.

    Raises InputError where there is none, JournalError where its journal cannot be read: no other is taken instead.
    """
    one = _chosen(listing(place), wanted)
    if one.damaged:
        raise JournalError(one.title.removeprefix("cannot be read: "))
    return one


def _chosen(found: list[Found], wanted: str) -> Found:
    if not found:
        raise InputError("No previous sessions found for this project.")
    if wanted == "latest":
        return max(found, key=lambda one: one.updated)
    same = [one for one in found if one.session == wanted]
    if same:
        return same[-1]
    if wanted.isascii() and wanted.isdecimal() and 1 <= int(wanted[:9]) <= len(found):
        return found[int(wanted[:9]) - 1]
    raise InputError(
        f"--resume {wanted}: no session of that number or id; there are {len(found)}, see --list-sessions."
    )
