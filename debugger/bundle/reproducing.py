"""For tests that were written of a stop: a strict replay of a bundle up to a record, and what is to be seen there.

Asks no model, runs no tool, reads nothing but the bundle.
"""

from base64 import b64decode
from pathlib import Path
from typing import Final
from zlib import decompressobj
from zlib import error as bad_stream

import trio
from attrs import frozen

from debugger.border import Border
from debugger.bundle.errors import BadBundle
from debugger.bundle.names import MOST_BYTES
from debugger.bundle.opening import Bundle, bundle_of, opened
from debugger.bundle.playing import SLICE, played
from debugger.bundle.stops import Standing, border_of, text_of
from runtime.errors import InputError
from runtime.step.branches import Taken

EMBEDDED: Final = "embedded bundle"


@frozen
class Reproduced:
    """Where a replay came to: record `record` of kind `kind`, and the digest of the state after it, in hex.

    `step` is the step that the session is held before, `call` the call that it is of, `cause` why it is held; of a
    session that is not held they are empty.
    """

    record: int
    kind: str
    digest: str
    step: str
    call: str
    cause: str
    border: Border

    def shown(self, source: str) -> str:
        """Return the value of an expression there as compact JSON, or `absent`. Raises BadExpression."""
        return text_of(source, self.border)


async def reproduce(source: Path | bytes, record: int = 0) -> Reproduced:
    """Replay a bundle up to a record (0: the last), and compare every state with the recorded one.

    Raises BadBundle, JournalCorrupt and ReplayMismatch with the number of the record that is not as it was, InputError
    for a record that the bundle does not have.
    """
    found = opened(source) if isinstance(source, Path) else bundle_of(source, EMBEDDED)
    wanted = record or len(found.stored)
    if not 1 <= wanted <= len(found.stored):
        raise InputError(f"{found.name}: has records 1 to {len(found.stored)}, and no {record}")
    await trio.lowlevel.checkpoint()
    records = (found.record(one) for one in found.stored[:wanted])
    last: Taken | None = None
    for last in played(records, found.session, found.name):
        if last.seq % SLICE == 0:
            await trio.lowlevel.checkpoint()
    assert last is not None
    return reproduced(last, standing_of(found))


def reproduced(last: Taken, standing: Standing) -> Reproduced:
    """Return what is to be seen after a record."""
    hold = last.state.hold
    return Reproduced(
        last.seq,
        last.step.kind.value,
        last.state.digest.hex(),
        hold.step if hold else "",
        hold.call if hold else "",
        hold.cause if hold else "",
        border_of(last, standing),
    )


def standing_of(bundle: Bundle) -> Standing:
    """Return what the debugger knew of the stop of a bundle."""
    stop = bundle.stop or {}
    shown = stop.get("displays")
    sources = [one.get("expr") for one in shown if isinstance(one, dict)] if isinstance(shown, list) else []
    return Standing(
        str(stop.get("key", "")),
        str(stop.get("agent", "")),
        expressions=tuple(one for one in sources if isinstance(one, str)),
    )


def embedded(text: str) -> bytes:
    """Return the bundle that stands in a test as text (zlib, then base64). Raises BadBundle."""
    try:
        unpacking = decompressobj()
        data = unpacking.decompress(b64decode("".join(text.split()), validate=True), MOST_BYTES + 1)
    except (ValueError, bad_stream) as exc:
        raise BadBundle(f"{EMBEDDED}: is damaged: {exc}") from exc
    if not unpacking.eof:
        raise BadBundle(f"{EMBEDDED}: is cut short, or too large")
    return data
