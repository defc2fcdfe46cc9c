"""Following the ledger from its first record to its last: is it whole? Reads only, holds one block in memory.

Every line is looked at as it stands: number, hash of the line before, MAC. No JSON is read where all of that fits, so
that a million records take seconds; only a line that does not fit is taken apart, to say what is wrong with it.
"""

import hmac
import json
from hashlib import sha256
from typing import Final

from attrs import define, field, frozen

from defender import private
from defender.quarantine import records
from defender.quarantine.counter import SIZE, Counter, unpacked
from defender.quarantine.places import COUNTER, HEADS, Places, moved_key, segment_name, start_key
from defender.quarantine.reading import lines_of, segments_of
from runtime.errors import JournalError
from runtime.stores.chain import Head

MOST: Final = 100
"""Faults that are named."""
MOST_HEADS: Final = 64 << 20
STEPS: Final = 20_000_000
"""Records that may be missing in all before numbers are not believed any more; each costs 0.3 µs."""
UNKNOWN: Final = b""


@frozen
class Report:
    """What verifying found. `faults` are sentences that begin with the number of a record where there is one.

    `keyed`: MACs were verified. `notes` are no faults: half a line that the next write will repair, or a key that lies
    where the records are.
    """

    head: Head
    faults: tuple[str, ...]
    notes: tuple[str, ...]
    keyed: bool
    heads: int = 0


@define(eq=False)
class Walk:
    """One way along the chain. `seq` is the number that is due, `previous` the hash that it must name (UNKNOWN behind
    what was changed or is missing), `key` its key. `heads` are those that are still to come, by number: hash and line.
    """

    key: bytes | None
    seq: int = 1
    previous: bytes = Head().hash.encode()
    faults: list[str] = field(factory=list)
    heads: dict[int, list[tuple[str, bytes]]] = field(factory=dict)
    steps: int = STEPS

    def lines(self, texts: list[bytes]) -> None:
        """Follow whole lines. Returns early when MOST faults are found."""
        seq, previous, key, mac = self.seq, self.previous, self.key, hmac.digest
        size, heads, digest, step = records.SEAL_SIZE, self.heads, sha256, records.STEP
        for text in texts:
            content = text[:-size]
            if (
                text.startswith(b'{"seq":%d,' % seq)
                and content.endswith(b',"prev":"%b"' % previous)
                and (key is None or text.endswith(b',"mac":"%b"}' % mac(key, content, "sha256").hex().encode()))
            ):
                name = digest(text).hexdigest()
                if seq in heads:
                    self._compare(seq, name, key)
                previous = name.encode()
                seq += 1
                if key is not None:
                    key = digest(step + key).digest()
                continue
            self.seq, self.previous, self.key = seq, previous, key
            self._odd(text)
            seq, previous, key = self.seq, self.previous, self.key
            if len(self.faults) >= MOST:
                break
        self.seq, self.previous, self.key = seq, previous, key

    def missing(self, following: int) -> None:
        """Say that records are not there up to `following`, and go on with that."""
        last = following - 1
        self.faults.append(f"{_named(self.seq, last)} missing")
        if self.key is not None:
            self.key = records.key_after(self.key, following - self.seq)
        for number in [number for number in self.heads if number < following]:
            del self.heads[number]
        self.seq, self.previous = following, UNKNOWN

    def unreadable(self) -> None:
        """Say that what stands in the place of the next record is none."""
        self.faults.append(f"record {self.seq} was changed, or cannot be read")

    def _odd(self, text: bytes) -> None:
        """Say what is wrong with a line, and find the place again."""
        number = records.number_of(text)
        in_place = bool(self.previous) and text[: -records.SEAL_SIZE].endswith(b',"prev":"%b"' % self.previous)
        if number is not None and number < self.seq and not in_place:
            self.faults.append(f"record {number} comes again, or too late: after record {self.seq - 1}")
            return
        if number is not None and number > self.seq and self._is_sealed_as(number, text):
            self.missing(number)
        if number != self.seq:
            self.unreadable()
        elif self.key is not None and not records.sealed(text, self.key):
            self.faults.append(f"record {number} was changed, or not written by us")
        elif self.previous == UNKNOWN:
            self._pass(text, sha256(text).hexdigest().encode())
            return
        else:
            self.faults.append(f"record {number} does not follow from the one before it: one of them was changed")
            self._pass(text, sha256(text).hexdigest().encode())
            return
        self._pass(text, UNKNOWN)

    def _is_sealed_as(self, number: int, text: bytes) -> bool:
        """Whether a line is what it claims. Without a key it is believed; with one, STEPS bound the work in all."""
        self.steps -= number - self.seq
        if self.key is None or self.steps < 0:
            return self.steps >= 0
        return records.sealed(text, records.key_after(self.key, number - self.seq))

    def _pass(self, text: bytes, previous: bytes) -> None:
        if self.seq in self.heads:
            self._compare(self.seq, sha256(text).hexdigest(), self.key)
        self.previous = previous
        self.seq += 1
        if self.key is not None:
            self.key = records.next_key(self.key)

    def _compare(self, seq: int, name: str, key: bytes | None) -> None:
        for kept, line in self.heads.pop(seq):
            if kept != name:
                self.faults.append(f"record {seq} is not the one of the head that was kept")
            elif line and key is not None and not records.sealed(line, records.next_key(key)):
                self.faults.append(f"the head of record {seq} was changed, or not written by us")


def verify(places: Places, *, start: str | None = None, head: Head | None = None, first: int = 1) -> Report:
    """Verify the ledger of some places. `start` is the file with the start key, if it was moved; `head` one that was
    kept elsewhere, and must be in it; `first` the record to begin at, where older files were moved away.

    Raises JournalError where there is nothing to verify, or the start key is of another ledger.
    """
    counter, faults = _counter(places)
    key, notes = _key(places, start, counter, first)
    walk = Walk(key, seq=first, faults=faults)
    count = _heads(places, walk, first)
    if head is not None:
        walk.heads.setdefault(head.number, []).append((head.hash, b""))
    _follow(places, walk, notes, anywhere=first > 1)
    _end(walk, counter)
    end = Head(walk.seq - 1, walk.previous.decode())
    return Report(end, tuple(walk.faults[:MOST]), tuple(notes), key is not None, count)


def _counter(places: Places) -> tuple[Counter | None, list[str]]:
    block = private.read(places.anchor, COUNTER, SIZE)
    counter = None if block is None else unpacked(block)
    if counter is not None:
        return counter, []
    if block is None and not segments_of(places):
        raise JournalError(f"{places.folder}: there is no ledger")
    how = "is gone" if block is None else "is damaged"
    return None, [f"the counter {places.anchor}/{COUNTER} {how}: whether the end is missing cannot be said"]


def _key(places: Places, start: str | None, counter: Counter | None, first: int) -> tuple[bytes | None, list[str]]:
    path = start or places.start
    try:
        ledger, key = moved_key(start) if start is not None else start_key(path)
    except FileNotFoundError as exc:
        if start is not None:
            raise JournalError(f"{start}: there is no such file") from exc
        return None, [
            "the start key is not here, so only the chain was followed and no MAC verified; give it with --key"
        ]
    if counter is not None and ledger != counter.ledger:
        raise JournalError(f"{path}: is the start key of another ledger ({ledger})")
    notes = (
        [] if start else [f"the start key lies on this machine ({path}); whoever takes both can forge; move it away"]
    )
    return records.key_after(key, first - 1), notes


def _follow(places: Places, walk: Walk, notes: list[str], *, anywhere: bool) -> None:
    segments = segments_of(places)
    if anywhere:  # older files were moved away: the first that is here says what it follows
        segments = [one for one in segments if one >= walk.seq]
        walk.previous = UNKNOWN
    for place, first in enumerate(segments):
        if first > walk.seq:
            walk.missing(first)
        rest = b""
        for texts, left in lines_of(places, segment_name(first)):
            walk.lines(texts)
            rest = left
            if len(walk.faults) >= MOST:
                return
        if rest and place == len(segments) - 1 and len(rest) <= records.LONGEST:
            notes.append(f"{len(rest)} bytes of an interrupted write stand at the end; the next write cuts them off")
        elif rest:
            walk.unreadable()


def _heads(places: Places, walk: Walk, first: int) -> int:
    """Give the walk the heads that were kept, and return how many there are. They must grow."""
    lines = (private.read(places.anchor, HEADS, MOST_HEADS) or b"").split(b"\n")
    lines.pop()  # half a head of a killed process; the next one cuts it off
    last = 0
    for number, line in enumerate(lines, 1):
        try:
            said = json.loads(line)
            seq, name = int(said["head"]), str(said["hash"])
        except (ValueError, KeyError, TypeError, RecursionError):
            walk.faults.append(f"head {number} cannot be read")
            continue
        if seq < last:
            walk.faults.append(f"head {number} is of record {seq}, and comes after that of record {last}")
        last = max(seq, last)
        if seq >= first:
            walk.heads.setdefault(seq, []).append((name, line))
    return len(lines)


def _end(walk: Walk, counter: Counter | None) -> None:
    """See that nothing is missing at the end: what the counter counts, and what heads speak of."""
    if len(walk.faults) >= MOST:
        return
    due = max([counter.head.number if counter is not None else 0, *walk.heads])
    if due >= walk.seq:
        walk.missing(due + 1)
        return
    head = Head(walk.seq - 1, walk.previous.decode())
    if counter is not None and not walk.faults and counter.head.number == head.number and counter.head != head:
        walk.faults.append(f"record {head.number} was changed or replaced: it is not the one that was counted")


def _named(first: int, last: int) -> str:
    return f"record {first} is" if first == last else f"records {first} to {last} are"
