"""Makes a bundle of the records of a session. Pure: records in, bytes out, in slices so that others can run between.

What does not replay does not become a bundle: every record is taken again first, and compared.
"""

import json
import platform
from collections.abc import Generator, Iterable, Mapping
from typing import Final

from attrs import frozen

from debugger.bundle import journal
from debugger.bundle.archive import BLOBS, JOURNAL, MANIFEST, MOST_BYTES, MOST_MEMBERS, STOP, packed
from debugger.bundle.errors import CannotExport
from debugger.bundle.manifest import FORMAT, Manifest, Member, Redaction, Stop
from debugger.bundle.redaction import SLICE, Taken, cleaned_standing, redacting
from debugger.bundle.secrets import Secrets
from debugger.bundle.stops import Standing, context, numbered
from runtime import __version__
from runtime.ports import StoredRecord
from runtime.step import State
from runtime.step.records import SCHEMA, Record, pack
from runtime.step.replay import replay


@frozen
class Made:
    """A bundle as bytes, and its manifest."""

    manifest: Manifest
    data: bytes

    @property
    def line(self) -> str:
        """Say in a line what is in it."""
        about = self.manifest
        return f"session {about.session}, {about.records} records, state {about.digest}; {about.redaction.line}"


def making(
    records: Iterable[Record], secrets: Secrets | None, standing: Standing, *, where: str
) -> Generator[None, None, Made]:
    """Return the bundle of records that begin with the first one of their session. Yields every SLICE records.

    Without `secrets` nothing is redacted. Raises CannotExport, and what a replay raises for records that are not whole;
    `where` names where they come from.
    """
    taken = yield from _replayed(records, where)
    if secrets is not None:
        taken = yield from redacting(taken, secrets)
        standing = cleaned_standing(standing, secrets)
    rows = []
    for count, one in enumerate(taken):
        body, blobs = pack(one.record, "json")
        rows.append((StoredRecord(one.record.session, one.record.seq, body), blobs))
        if count % SLICE == SLICE - 1:
            yield
    stop = context(taken[-1].step, numbered(one.record for one in taken), standing)
    members = {STOP: json.dumps(stop, indent=1).encode() + b"\n", **journal.written(rows).members}
    _check(members)
    about = _manifest(taken[-1], len(taken), secrets, members)
    yield
    return Made(about, packed({MANIFEST: about.written, **members}))


def made(records: Iterable[Record], secrets: Secrets | None, standing: Standing, *, where: str) -> Made:
    """Return the bundle at once; else as `making`."""
    work = making(records, secrets, standing, where=where)
    while True:
        try:
            next(work)
        except StopIteration as done:
            found: Made = done.value
            return found


def _replayed(records: Iterable[Record], where: str) -> Generator[None, None, list[Taken]]:
    read: list[Record] = []
    for record in records:
        read.append(record)
        if len(read) % SLICE == 0:
            yield
    if not read:
        raise CannotExport(f"{where}: there are no records of this session")
    found: list[Taken] = []
    for record, step in zip(read, replay(read, State(read[0].session), where=where), strict=True):
        found.append(Taken(record, step))
        if len(found) % SLICE == 0:
            yield
    return found


def _check(members: Mapping[str, bytes]) -> None:
    if len(members) >= MOST_MEMBERS:
        blobs = sum(name.startswith(BLOBS) for name in members)
        raise CannotExport(f"it has {blobs:,} long texts; a bundle has fewer than {MOST_MEMBERS:,} members")
    size = sum(len(name) * 2 + len(data) + ROOM for name, data in members.items())
    if size > MOST_BYTES:
        raise CannotExport(f"its records have {len(members[JOURNAL]):,} bytes, with all else more than {MOST_BYTES:,}")


ROOM: Final = 300
"""Bytes that a member takes in the archive and the manifest beside its name and content."""


def _manifest(last: Taken, count: int, secrets: Secrets | None, members: Mapping[str, bytes]) -> Manifest:
    state = last.step.after
    hold = state.hold
    return Manifest(
        twinstep="bundle",
        version=FORMAT,
        program=__version__,
        python=platform.python_version(),
        schema=SCHEMA,
        session=state.session,
        stop=Stop(
            record=state.seq,
            branch=state.branch,
            phase=state.phase.value,
            held=hold is not None,
            step=hold.step if hold else "",
            call=hold.call if hold else "",
            cause=hold.cause if hold else "",
            by=hold.by if hold else "",
        ),
        redaction=Redaction(
            done=secrets is not None,
            secrets=secrets.replaced if secrets is not None else 0,
            places=secrets.places if secrets is not None else 0,
        ),
        records=count,
        digest=state.digest.hex(),
        members=tuple(Member.of(name, data) for name, data in members.items()),
    )
