"""The manifest of a bundle: what it is, of which session, what was done to it, and the hash of every other member.

Pure. Read strictly: members that are unknown, missing or of another type are refused with their path.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Any, Final, Literal

from attrs import field, frozen

from debugger.bundle.errors import BadBundle
from debugger.bundle.names import MANIFEST
from debugger.protocol.decoding import Items, Length, Within, plain, structure
from debugger.protocol.errors import Failure
from runtime.errors import JournalNewer

FORMAT: Final = 1
"""Version of the format of a bundle. A reader refuses what is newer."""
MOST: Final = 4 * 2**20
"""Bytes of a manifest."""

Text = Annotated[str, Length(0, 4_096)]
Number = Annotated[int, Within(0, 2**53)]


@frozen
class Member:
    """Another member of the archive: its size in bytes, and its SHA-256 in hex."""

    name: Annotated[str, Length(1, 100)]
    size: Number
    sha256: Annotated[str, Length(64, 64)]

    @classmethod
    def of(cls, name: str, data: bytes) -> "Member":
        """Describe a member."""
        return cls(name, len(data), sha256(data).hexdigest())


@frozen
class Stop:
    """Where the session stands at the end of its records: after record `record`, on `branch`, in `phase`.

    Of a held one: before which `step` (and of which `call`), why, and who held it.
    """

    record: Number
    branch: Text
    phase: Text
    held: bool
    step: Text = ""
    call: Text = ""
    cause: Text = ""
    by: Text = ""


@frozen
class Redaction:
    """What was replaced: so many different secrets, in so many places. If not `done`, the records are as they were."""

    done: bool
    secrets: Number = 0
    places: Number = 0

    @property
    def line(self) -> str:
        """Say in a line what was done."""
        if not self.done:
            return "nothing was redacted"
        return f"{_many(self.secrets, 'secret')} replaced in {_many(self.places, 'place')}"


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


@frozen
class Manifest:
    """`digest` is that of the state after the last record, in hex; `records` says how many there are.

    `program` and `python` are the versions of what wrote it, `schema` that of its records.
    """

    twinstep: Literal["bundle"]
    version: Number
    program: Text
    python: Text
    schema: Number
    session: Annotated[str, Length(1, 4_096)]
    stop: Stop
    redaction: Redaction
    records: Annotated[int, Within(1, 2**53)]
    digest: Annotated[str, Length(32, 32)]
    members: Annotated[tuple[Member, ...], Items(1, 20_000)] = field(default=())

    @property
    def written(self) -> bytes:
        """The manifest as it stands in the archive."""
        return json.dumps(plain(self), indent=1, ensure_ascii=True).encode() + b"\n"


def read(data: bytes, where: str) -> Manifest:
    """Return a manifest. Raises BadBundle, and JournalNewer for one of a later version; `where` names the file."""
    at = f"{where}: {MANIFEST}"
    if len(data) > MOST:
        raise BadBundle(f"{at}: has more than {MOST:,} bytes")
    try:
        found: Any = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise BadBundle(f"{at}: is no JSON: {exc}") from exc
    if not isinstance(found, Mapping) or found.get("twinstep") != "bundle":
        raise BadBundle(f"{at}: does not say that this is a bundle")
    version = found.get("version")
    if isinstance(version, int) and version > FORMAT:
        raise JournalNewer(f"{at}: was written as version {version} of a bundle; this program reads up to {FORMAT}")
    try:
        return structure(Manifest, dict(found), MANIFEST)
    except Failure as exc:
        raise BadBundle(f"{where}: {exc}") from exc
