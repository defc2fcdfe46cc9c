"""Makes a bundle of the records of a session: records in, bytes out. Pure.

All that grows with the records goes in slices, so that others can run between (`making`). What is then hashed and put
into one file is bytes and nothing else: that may be done in a thread (`Draft.sealed`).

What does not replay does not become a bundle: the records come with the steps that were taken of them.
"""

import json
import platform
from collections.abc import Generator, Mapping, Sequence
from hashlib import sha256
from typing import Final

from attrs import frozen

from debugger.bundle import journal
from debugger.bundle.archive import packed
from debugger.bundle.errors import CannotExport
from debugger.bundle.manifest import FORMAT, Manifest, Member, Redaction, Stop
from debugger.bundle.names import BLOBS, JOURNAL, MANIFEST, MOST_BYTES, MOST_MEMBERS, STOP
from debugger.bundle.playing import SLICE
from debugger.bundle.redaction import cleaned_standing, redacting
from debugger.bundle.secrets import Secrets
from debugger.bundle.stops import Standing, context
from runtime import __version__
from runtime.ports import StoredRecord
from runtime.step import State
from runtime.step.branches import Taken
from runtime.step.records import SCHEMA, pack


@frozen
class Made:
    """A bundle as bytes, its manifest, and the SHA-256 of the bytes."""

    manifest: Manifest
    data: bytes
    hash: str

    @property
    def line(self) -> str:
        """Say in a line what is in it."""
        about = self.manifest
        return f"session {about.session}, {about.records} records, state {about.digest}; {about.redaction.line}"


@frozen
class Draft:
    """All that a bundle is made of: the members, and the last state of the session."""

    state: State
    secrets: Secrets | None
    stop: bytes
    rows: Sequence[bytes]
    blobs: Mapping[str, bytes]

    @property
    def size(self) -> int:
        """Roughly how many bytes the bundle has."""
        return len(self.stop) + sum(map(len, self.rows)) + sum(map(len, self.blobs.values()))

    def sealed(self) -> Made:
        """Return the bundle. It takes as long as hashing all of it three times. Raises CannotExport."""
        members = {STOP: self.stop} | journal.members(self.rows, self.blobs)
        _check(members)
        about = _manifest(self.state, self.secrets, members)
        data = packed({MANIFEST: about.written, **members})
        return Made(about, data, sha256(data).hexdigest())


def making(taken: Sequence[Taken], secrets: Secrets | None, standing: Standing) -> Generator[None, None, Draft]:
    """Return the bundle of a session, from its first record to the last of these. Yields every SLICE records.

    Without `secrets` nothing is redacted. Raises CannotExport.
    """
    if not taken:
        raise CannotExport("the session has no records")
    if secrets is not None:
        taken = yield from redacting(taken, secrets)
        standing = cleaned_standing(standing, secrets)
    rows, blobs = list[bytes](), dict[str, bytes]()
    for one in taken:
        body, attached = pack(one.record, "json")
        rows.append(journal.line(StoredRecord(one.state.session, one.seq, body)))
        blobs |= attached
        if one.seq % SLICE == 0:
            yield
    stop = json.dumps(context(taken[-1], standing), indent=1).encode() + b"\n"
    return Draft(taken[-1].state, secrets, stop, rows, blobs)


def made(taken: Sequence[Taken], secrets: Secrets | None, standing: Standing) -> Made:
    """Return the bundle at once; else as `making`."""
    work = making(taken, secrets, standing)
    while True:
        try:
            next(work)
        except StopIteration as done:
            draft: Draft = done.value
            return draft.sealed()


def _check(members: Mapping[str, bytes]) -> None:
    if len(members) >= MOST_MEMBERS:
        blobs = sum(name.startswith(BLOBS) for name in members)
        raise CannotExport(f"the session has {blobs:,} long texts; a bundle has fewer than {MOST_MEMBERS:,} members")
    size = sum(len(name) * 2 + len(data) + ROOM for name, data in members.items())
    if size > MOST_BYTES:
        raise CannotExport(
            f"the records of the session have {len(members[JOURNAL]):,} bytes, with all else more than {MOST_BYTES:,}"
        )


ROOM: Final = 300
"""Bytes that a member takes in the archive and the manifest beside its name and content."""


def _manifest(state: State, secrets: Secrets | None, members: Mapping[str, bytes]) -> Manifest:
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
        redaction=Redaction(True, secrets.replaced, secrets.places) if secrets is not None else Redaction(False),
        records=state.seq,
        digest=state.digest.hex(),
        members=tuple(Member.of(name, data) for name, data in members.items()),
    )
