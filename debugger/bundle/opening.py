"""A bundle that was opened: what it says, and its records as a journal that replays. Reads one file, changes nothing.

Everything is checked before anything is used, and what is wrong is named by its member or record. That the states are
those of the records is what a replay checks; opening does not replay, but for saying which record was changed.
"""

import json
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from attrs import frozen

from debugger.bundle import journal, manifest
from debugger.bundle.archive import Opened, unpacked
from debugger.bundle.errors import BadBundle
from debugger.bundle.manifest import Manifest
from debugger.bundle.names import BLOBS, JOURNAL, MANIFEST, MOST_BYTES, STOP, SUFFIX
from debugger.bundle.playing import played
from runtime.errors import InputError, JournalError
from runtime.ports import StoredRecord
from runtime.step.records import Record, unpack
from runtime.stores.memory import Kept, MemoryStore


@frozen(eq=False)
class Bundle:
    """One bundle. `stored` are its records, `stop` is the full context of the stop, or None. `name` is the file."""

    name: str
    manifest: Manifest
    stored: tuple[StoredRecord, ...]
    blobs: Mapping[str, bytes]
    stop: Mapping[str, Any] | None = None

    @property
    def session(self) -> str:
        """The session that it is of."""
        return self.manifest.session

    def blob(self, name: str) -> bytes:
        """Return a text that was put aside. Raises JournalError."""
        if name not in self.blobs:
            raise JournalError(f"{self.name}: there is no blob {name}")
        return self.blobs[name]

    def record(self, stored: StoredRecord) -> Record:
        """Return a record. Raises JournalCorrupt, JournalNewer."""
        return unpack(stored.body, "json", self.blob, self.name, stored.seq)

    @property
    def kept(self) -> Kept:
        """The records and blobs, as a store in memory begins with."""
        return Kept({self.session: list(self.stored)}, blobs=dict(self.blobs), times={self.session: (0, 0)})

    def store(self) -> MemoryStore:
        """Return a journal in memory that has these records and no others. Nothing done to it reaches the file."""
        return MemoryStore(self.kept, codec="json", name=self.name)


def is_bundle(name: str | os.PathLike[str]) -> bool:
    """Whether a path is one of a bundle, by its ending."""
    return os.fspath(name).endswith(SUFFIX)


def opened(path: Path) -> Bundle:
    """Return the bundle of a file. Raises InputError where there is none, BadBundle, JournalNewer."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as exc:
        raise InputError(f"{path}: cannot be read: {exc.strerror}") from exc
    return bundle_of(data, str(path))


def bundle_of(data: bytes, where: str) -> Bundle:
    """Return the bundle that some bytes are. Raises BadBundle, JournalNewer; `where` names the file."""
    found = unpacked(data, where)
    about = manifest.read(_needed(found, MANIFEST, where), where)
    at = f"{where}: {JOURNAL}"
    stored = tuple(journal.read(_needed(found, JOURNAL, where), about.session, where))
    blobs = {name.removeprefix(BLOBS): body for name, body in found.members.items() if name.startswith(BLOBS)}
    journal.check_blobs(stored, blobs, where)
    made = Bundle(where, about, stored, blobs, _stop(found, where))
    _check_members(made, found)
    if len(stored) != about.records:
        raise BadBundle(f"{at}: has {len(stored)} records, and {MANIFEST} says {about.records}")
    last = made.record(stored[-1])
    if last.state != about.digest:
        raise BadBundle(f"{at}: record {last.seq} leads to state {last.state}, and {MANIFEST} says {about.digest}")
    if found.wrong or not found.exact:
        which = f" around {min(found.wrong)}" if found.wrong else ""
        raise BadBundle(f"{where}: the archive is not as it was written{which}, though what is in its members is")
    return made


def _needed(found: Opened, name: str, where: str) -> bytes:
    if name not in found.members:
        raise BadBundle(f"{where}: {name} is missing")
    return found.members[name]


def _stop(found: Opened, where: str) -> Mapping[str, Any] | None:
    data = found.members.get(STOP)
    if data is None:
        return None
    try:
        value: Any = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise BadBundle(f"{where}: {STOP}: is no JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise BadBundle(f"{where}: {STOP}: is no object")
    return value


def _check_members(made: Bundle, found: Opened) -> None:
    """Compare the members with the hashes of the manifest."""
    said = {one.name: one for one in made.manifest.members}
    if len(said) != len(made.manifest.members):
        raise BadBundle(f"{made.name}: {MANIFEST}: names a member twice")
    for name, data in found.members.items():
        if name == MANIFEST:
            continue
        if name not in said:
            raise BadBundle(f"{made.name}: {name}: {MANIFEST} does not name it")
        if sha256(data).hexdigest() != said[name].sha256 or len(data) != said[name].size:
            _changed(made, name)
    for name in said:
        if name not in found.members:
            raise BadBundle(f"{made.name}: {name}, which {MANIFEST} names, is missing")


def _changed(made: Bundle, name: str) -> None:
    """Say what is wrong with a member whose hash is not that of the manifest: of records, which one."""
    if name == JOURNAL:
        for _ in played((made.record(one) for one in made.stored), made.session, made.name):
            pass  # the first record that does not fit is named by what this raises
    raise BadBundle(f"{made.name}: {name}: was changed: its hash is not the one in {MANIFEST}")
