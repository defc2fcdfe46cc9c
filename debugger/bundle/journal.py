"""The member `journal.jsonl`: the records of one session, from the first, as lines of a journal. Opens no file.

The lines are those of `runtime.stores.lines`, each with its checksum. Line n below the header is record n, so damage is
told by the number of the record. Texts that were put aside stand in members of their own, `blobs/<sha256>`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from debugger.bundle.errors import BadBundle
from debugger.bundle.names import BLOBS, JOURNAL
from runtime.ports import StoredRecord
from runtime.stores import lines


def line(record: StoredRecord) -> bytes:
    """Return the line of a packed record (codec `json`)."""
    return lines.record_line(record.session, record.seq, record.body)


def members(rows: Sequence[bytes], blobs: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the members of lines of records, which begin at number 1 and have no gap, and of blobs by their hashes.

    Blobs stand in the order of their names.
    """
    return {JOURNAL: b"".join((lines.HEADER, *rows))} | {f"{BLOBS}{name}": blobs[name] for name in sorted(blobs)}


def read(content: bytes, session: str, where: str) -> list[StoredRecord]:
    """Return the records of a member. Raises BadBundle for the first that is not as it was written."""
    at = f"{where}: {JOURNAL}"
    rows = content.split(b"\n")
    if rows.pop():
        raise BadBundle(f"{at}: record {max(len(rows), 1)} of session {session} is cut short, or not in a line")
    if not rows or rows[0] + b"\n" != lines.HEADER:
        raise BadBundle(f"{at}: does not begin as a journal of version {lines.FIRST}")
    found = []
    for number, row in enumerate(rows[1:], 1):
        found.append(_record(row + b"\n", session, number, f"{where}: record {number} of session {session}"))
    if not found:
        raise BadBundle(f"{at}: has no records")
    return found


def _record(row: bytes, session: str, number: int, at: str) -> StoredRecord:
    content = lines.unseal(row)
    if content is None:
        raise BadBundle(f"{at}: its line is damaged")
    try:
        name, seq, body = lines.split_record(content)
    except (ValueError, RecursionError) as exc:
        raise BadBundle(f"{at}: its line is no record") from exc
    if not content.startswith(lines.RECORD):
        raise BadBundle(f"{at}: its line is no record")
    if name != session:
        raise BadBundle(f"{at}: its line is of another session, {name[:100]!r}")
    if seq != number:
        raise BadBundle(f"{at}: record {seq} stands in its place")
    return StoredRecord(name, seq, body)


def blobs_of(record: StoredRecord) -> Iterator[str]:
    """Yield the names of the blobs that a record needs; none where it cannot be read, which reading it says."""
    if b'"big"' not in record.body and b'"whole"' not in record.body:
        return
    try:
        plain: Any = json.loads(record.body)
        places = [*plain.get("big", ()), *([plain["whole"]] if "whole" in plain else [])]
        yield from [str(name) for _, name in places]
    except (ValueError, TypeError, AttributeError, RecursionError):
        return


def check_blobs(records: Sequence[StoredRecord], blobs: Mapping[str, bytes], where: str) -> None:
    """Refuse blobs that are missing, damaged, or that no record needs. Raises BadBundle."""
    needed: dict[str, int] = {}
    for record in records:
        for name in blobs_of(record):
            needed.setdefault(name, record.seq)
    for name, number in needed.items():
        at = f"{where}: record {number} of session {records[0].session}"
        if name not in blobs:
            raise BadBundle(f"{at}: {BLOBS}{name[:64]}, which it needs, is missing")
        if sha256(blobs[name]).hexdigest() != name:
            raise BadBundle(f"{at}: {BLOBS}{name}, which it needs, is damaged")
    for name in blobs:
        if name not in needed:
            raise BadBundle(f"{where}: {BLOBS}{name}: no record needs it")
