"""The baseline: how everything was when a person took it for good. Sealed, and kept outside of what it describes.

    <folder>/first.json     what a start looks at (settings, prompts, own code …), and the surroundings
    <folder>/rest.json      interpreter, packages, libraries
    <anchor>/key            the key of the seals
    <anchor>/current        number and hash of the files that count, sealed: an older genuine baseline is none

Each file is one line with an HMAC-SHA256 and one of canonical JSON. Who has both folders can make a new one; that it
was made stands in the ledger.
"""

import hmac
import json
import os
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import Any, Final

from attrs import evolve, field, frozen

from defender import private
from defender.integrity.entries import FIRST, Entry, Group, Root
from runtime.errors import JournalError
from runtime.stores.chain import canonical

VERSION: Final = 1
FILES: Final = ("first.json", "rest.json")
KEY: Final = "key"
CURRENT: Final = "current"
LARGEST: Final = 256 << 20


@frozen
class Places:
    """Absolute paths of the two folders."""

    folder: str
    anchor: str


def places(environ: Mapping[str, str]) -> Places:
    """Return the places of a person, below the XDG folders for state and data; a relative value does not count."""
    home = (environ.get("HOME") or "/").rstrip("/")
    state, data = environ.get("XDG_STATE_HOME", ""), environ.get("XDG_DATA_HOME", "")
    state = state if state.startswith("/") else f"{home}/.local/state"
    data = data if data.startswith("/") else f"{home}/.local/share"
    return Places(f"{state}/twinstep/integrity", f"{data}/twinstep/integrity-anchor")


@frozen
class Baseline:
    """What was there. `twinstep` and `python` are versions; `environment` has hashes of values; `at` is in ms."""

    number: int
    at: int
    twinstep: str
    python: str
    roots: tuple[Root, ...]
    entries: Mapping[str, Entry] = field(repr=False)
    groups: Mapping[str, Group] = field(repr=False)
    environment: Mapping[str, str] = field(factory=dict)
    hooks: tuple[str, ...] = ()
    codes: Mapping[str, str] = field(factory=dict, repr=False)
    """Byte code that was there: path and hash."""

    def part(self, first: bool) -> "Baseline":
        """Return what a start looks at, or the rest."""
        wanted = {path: group for path, group in self.groups.items() if (group in FIRST) is first}
        entries = {path: self.entries[path] for path in wanted}
        return evolve(self, groups=wanted, entries=entries, codes={} if first else self.codes)


def exists(where: Places) -> bool:
    """Whether there is a baseline. One look."""
    return os.path.lexists(f"{where.anchor}/{CURRENT}")


def save(where: Places, made: Baseline, fresh: Callable[[int], bytes] = os.urandom) -> None:
    """Write a baseline in place of the one before. Raises JournalError and OSError."""
    key = _key(where, fresh)
    texts = [_sealed(_plain(made.part(first=first), first), key) for first in (True, False)]
    for name, text in zip(FILES, texts, strict=True):
        private.replace(where.folder, name, text)
    hashes = [sha256(text).hexdigest() for text in texts]
    private.replace(where.anchor, CURRENT, _sealed({"number": made.number, "files": hashes}, key))


def load(where: Places, *, rest: bool = True) -> Baseline:
    """Read the baseline, or with `rest=False` what a start looks at.

    Raises JournalError where it is not there, was changed, or is not the one that counts.
    """
    key = private.read(where.anchor, KEY, 32)
    if key is None or len(key) != 32:
        raise JournalError(f"{where.anchor}/{KEY}: is gone, so the baseline cannot be believed")
    current = _opened(where.anchor, CURRENT, key)
    made: Baseline | None = None
    for name, wanted in zip(FILES if rest else FILES[:1], current["files"], strict=False):
        raw = private.read(where.folder, name, LARGEST)
        if raw is None or sha256(raw).hexdigest() != wanted:
            how = "is gone" if raw is None else "was changed, or is an older one"
            raise JournalError(f"{where.folder}/{name}: {how}")
        part = _baseline(json.loads(raw.partition(b"\n")[2]))
        if made is None:
            made = part
        else:
            entries, groups = {**made.entries, **part.entries}, {**made.groups, **part.groups}
            made = evolve(part, entries=entries, groups=groups)
    if made is None or made.number != current["number"]:
        raise JournalError(f"{where.folder}: is not the baseline that counts")
    return made


def _key(where: Places, fresh: Callable[[int], bytes]) -> bytes:
    private.create(where.anchor, KEY, fresh(32))
    key = private.read(where.anchor, KEY, 32)
    if key is None or len(key) != 32:
        raise JournalError(f"{where.anchor}/{KEY}: is not a key")
    return key


def _sealed(value: Any, key: bytes) -> bytes:
    text = canonical(value)
    return hmac.digest(key, text, "sha256").hex().encode() + b"\n" + text


def _opened(folder: str, name: str, key: bytes) -> dict[str, Any]:
    raw = private.read(folder, name, LARGEST)
    if raw is None:
        raise JournalError(f"{folder}/{name}: there is no baseline; `twinstep defender integrity baseline` makes one")
    mac, _, text = raw.partition(b"\n")
    if not hmac.compare_digest(mac, hmac.digest(key, text, "sha256").hex().encode()):
        raise JournalError(f"{folder}/{name}: was changed")
    found: dict[str, Any] = json.loads(text)
    return found


def _plain(made: Baseline, first: bool) -> dict[str, Any]:
    return {
        "version": VERSION,
        "first": first,
        "number": made.number,
        "at": made.at,
        "twinstep": made.twinstep,
        "python": made.python,
        "roots": [[root.path, root.group.value] for root in made.roots],
        "entries": _paths(made.entries, made.groups),
        "environment": dict(made.environment),
        "hooks": list(made.hooks),
        "codes": dict(made.codes),
    }


def _paths(entries: Mapping[str, Entry], groups: Mapping[str, Group]) -> dict[str, list[Any]]:
    return {path: [groups[path].value, *entry.plain] for path, entry in entries.items()}


def _baseline(said: dict[str, Any]) -> Baseline:
    rows: Iterable[tuple[str, list[Any]]] = said["entries"].items()
    groups, entries = {}, {}
    for path, (group, *plain) in rows:
        groups[path], entries[path] = Group(group), Entry.of(plain)
    roots = tuple(Root(path, Group(group)) for path, group in said["roots"])
    return Baseline(
        number=said["number"],
        at=said["at"],
        twinstep=said["twinstep"],
        python=said["python"],
        roots=roots,
        entries=entries,
        groups=groups,
        environment=said["environment"],
        hooks=tuple(said["hooks"]),
        codes=said["codes"],
    )
