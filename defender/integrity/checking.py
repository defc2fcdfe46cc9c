"""A whole look at the host, compared with the baseline. Reads every watched file; for a person, not for a start."""

import sys
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final

from attrs import frozen

from defender.integrity import loaded, surroundings
from defender.integrity.baseline import Baseline
from defender.integrity.entries import INSTALLED, Change, Entry, Group, Root, compared
from defender.integrity.scanning import SYSTEM, System, scan
from runtime import __version__

Looked = tuple[dict[str, Entry], dict[str, Group]]
UPGRADE: Final = "`twinstep defender integrity accept` takes what is installed now into the baseline"


@frozen
class Drift:
    """What differs from the baseline, and, after an upgrade, the sentence that stands for what it changed."""

    changes: tuple[Change, ...] = ()
    upgrade: str = ""

    @property
    def installed(self) -> tuple[Change, ...]:
        """Changes that an upgrade explains."""
        return tuple(one for one in self.changes if self.upgrade and one.group in INSTALLED)

    @property
    def others(self) -> tuple[Change, ...]:
        """Changes that no upgrade explains."""
        return tuple(one for one in self.changes if not self.upgrade or one.group not in INSTALLED)


def looked(roots: Iterable[Root], system: System = SYSTEM) -> Looked:
    """Look at all paths of the roots. Where roots overlap, the first that names a path says what it is for."""
    entries: dict[str, Entry] = {}
    groups: dict[str, Group] = {}
    for root in roots:
        for path, group, entry in scan(root, system):
            if path not in entries:
                entries[path], groups[path] = entry, group
    return entries, groups


def made(
    roots: tuple[Root, ...], environ: Mapping[str, str], at: int, number: int = 1, system: System = SYSTEM
) -> Baseline:
    """Make a baseline of what is there now."""
    entries, groups = looked(roots, system)
    sources = [path for path, entry in entries.items() if path.endswith(".py") and entry.kind == "file"]
    codes = {path: sha256(text).hexdigest() for source in sources for path, text in loaded.cached(source)}
    return Baseline(
        number=number,
        at=at,
        twinstep=__version__,
        python=python(),
        roots=roots,
        entries=entries,
        groups=groups,
        environment=surroundings.of(environ),
        hooks=loaded.hooks(),
        codes=codes,
    )


def drift(before: Baseline, now: Baseline, more: Iterable[Change] = ()) -> Drift:
    """Compare what was with what is. `more` are changes that were found otherwise."""
    groups = {**now.groups, **before.groups}
    changes = [
        *compared(before.entries, now.entries, groups),
        *surroundings.compared(before.environment, now.environment),
        *hooks(before.hooks, now.hooks),
        *more,
    ]
    return Drift(tuple(changes), upgraded(before, now.twinstep, now.python) if changes else "")


def hooks(before: Iterable[str], now: Iterable[str]) -> list[Change]:
    """Return import hooks that were not there."""
    known = set(before)
    return [Change(name, Group.LOADED, "is an import hook that was not there") for name in now if name not in known]


def upgraded(before: Baseline, twinstep: str, python: str) -> str:
    """Return the sentence about an upgrade since the baseline, or nothing where there was none."""
    if before.twinstep != twinstep:
        return f"twinstep is {twinstep} now and was {before.twinstep} at the baseline; {UPGRADE}"
    if before.python != python:
        return f"Python is {python} now and was {before.python} at the baseline; {UPGRADE}"
    return ""


def byte_code(now: Baseline, known: Mapping[str, str]) -> list[Change]:
    """Compare byte code that the baseline does not know with its sources. A few milliseconds for each that is new."""
    paths = [path for path, entry in now.entries.items() if path.endswith(".py") and entry.kind == "file"]
    found = (loaded.byte_code(path, now.groups[path], known) for path in paths)
    return [one for one in found if one is not None]


def python() -> str:
    """Return the version of this Python."""
    return sys.version.partition(" ")[0]
