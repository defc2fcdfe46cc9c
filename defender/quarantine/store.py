"""The quarantine: what was withheld is put aside, and the ledger says what it was, why, and who let it out again."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import trio
from attrs import define, evolve, frozen

from defender.findings import MOST_EVIDENCE, excerpt
from defender.quarantine import records
from defender.quarantine.contents import Contents, Kept
from defender.quarantine.ledger import Ledger
from defender.quarantine.places import Places, segment_name
from defender.quarantine.reading import lines_of, segments_of
from defender.quarantine.records import Record
from defender.quarantine.redaction import Redact, redacted
from runtime.errors import InputError, JournalError
from runtime.vocab import Verdict

KEPT: Final = "quarantine.kept"
RELEASED: Final = "quarantine.released"
DROPPED: Final = "quarantine.dropped"
"""A content had to go, because there was no room for all: the ledger has its hash and an excerpt still."""
TEXT: Final = 1_000
"""Characters of a name, a source or a reason."""


@frozen
class Item:
    """One content that was withheld. `state` is `held`, `released` or `dropped`; times are milliseconds since 1970."""

    id: str
    seq: int
    at: int
    size: int
    decision: str
    rule: str
    reason: str
    excerpt: str
    session: str = ""
    source: str = ""
    state: str = "held"
    by: str = ""
    why: str = ""
    times: int = 1


@define(eq=False)
class Quarantine:
    """Puts contents aside. `redact` takes secrets out of excerpts."""

    ledger: Ledger
    contents: Contents
    redact: Redact = redacted

    async def keep(self, content: str | bytes, verdict: Verdict, *, session: str = "", source: str = "") -> str:
        """Put a content aside and return its id, when both it and the record about it are on disk.

        `source` says where it came from (`tool:web_fetch`). Raises JournalFull, JournalError; the content is withheld
        by whoever calls, whatever this does.
        """
        raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
        kept: Kept = await trio.to_thread.run_sync(self.contents.keep, raw)
        for name in kept.dropped:
            self.ledger.add(Record(DROPPED, {"id": name}))
        await self.ledger.append(Record(KEPT, self._about(kept, raw, verdict, session, source)))
        return kept.id

    def _about(self, kept: Kept, raw: bytes, verdict: Verdict, session: str, source: str) -> Mapping[str, Any]:
        start = raw[: 8 * MOST_EVIDENCE].decode("utf-8", "replace")
        return {
            "id": kept.id,
            "size": kept.size,
            "kept": kept.kept,
            "decision": verdict.decision.value,
            "rule": verdict.rule,
            "reason": excerpt(self.redact(verdict.reason)),
            "excerpt": excerpt(self.redact(start)),
            "session": session[:TEXT],
            "source": source[:TEXT],
        }

    async def release(self, item: Item, *, who: str, why: str) -> int:
        """Record that a person declares it harmless; return the number of the record. The content stays.

        Raises InputError without a name and a reason.
        """
        if not who.strip() or not why.strip():
            raise InputError("a release needs who declares it harmless, and why")
        return await self.ledger.append(Record(RELEASED, {"id": item.id, "by": who[:TEXT], "why": why[:TEXT]}))


def read(places: Places) -> dict[str, Item]:
    """Return what the ledger says of the quarantine, oldest first, by id. Verifies nothing; reads one block at a time.

    Raises JournalError where there is no ledger.
    """
    found: dict[str, Item] = {}
    for entry in entries(places, "quarantine."):
        _applied(found, entry)
    return found


def entries(places: Places, kind: str) -> Iterator[records.Entry]:
    """Yield the records whose kind begins so."""
    wanted = b'"kind":"%b' % kind.encode()
    segments = segments_of(places)
    if not segments:
        raise JournalError(f"{places.folder}: there is no ledger")
    for first in segments:
        for texts, _ in lines_of(places, segment_name(first)):
            yield from _entries(texts, wanted)


def _entries(texts: Iterable[bytes], wanted: bytes) -> Iterator[records.Entry]:
    for text in texts:
        if wanted in text[:80] and (entry := records.entry(text)) is not None:
            yield entry


def _applied(found: dict[str, Item], entry: records.Entry) -> None:
    body = entry.body
    name = str(body.get("id", ""))
    before = found.get(name)
    if entry.kind == KEPT:
        made = _item(entry, name)
        if before is not None:
            state = "released" if before.state == "released" else "held"
            made = evolve(made, times=before.times + 1, state=state, by=before.by, why=before.why)
        found[name] = made
    elif before is not None and entry.kind == RELEASED:
        found[name] = evolve(before, state="released", by=str(body.get("by", "")), why=str(body.get("why", "")))
    elif before is not None and entry.kind == DROPPED:
        found[name] = evolve(before, state="dropped")


def _item(entry: records.Entry, name: str) -> Item:
    def text(key: str) -> str:
        return str(entry.body.get(key, ""))

    size = entry.body.get("size")
    return Item(
        id=name,
        seq=entry.seq,
        at=entry.at,
        size=size if type(size) is int else 0,
        decision=text("decision"),
        rule=text("rule"),
        reason=text("reason"),
        excerpt=text("excerpt"),
        session=text("session"),
        source=text("source"),
    )


def chosen(found: Mapping[str, Item], wanted: str) -> Item:
    """Return the item of an id or of its beginning (8 digits or more). Raises InputError."""
    if not re.fullmatch(r"[0-9a-f]{8,64}", wanted):
        raise InputError(f"{wanted!r} is no id: give at least its first 8 digits, see `twinstep quarantine list`")
    fitting = [one for name, one in found.items() if name.startswith(wanted)]
    if len(fitting) == 1:
        return fitting[0]
    how = "is not in quarantine" if not fitting else f"is the beginning of {len(fitting)} ids"
    raise InputError(f"{wanted} {how}; see `twinstep quarantine list`")
