"""Ledgers to try things on: with a clock that stands still, and keys that are always the same."""

from collections.abc import Callable
from hashlib import shake_256
from pathlib import Path
from typing import Any

from defender.quarantine.appender import Appender
from defender.quarantine.places import Places
from defender.quarantine.records import Record
from runtime.ports import StoredRecord
from runtime.stores.appender import Disk
from runtime.stores.backlog import Entry

AT = 1_763_622_000_000


class StillClock:
    """A clock that stands still."""

    def wall(self) -> int:
        """Always the same moment."""
        return AT

    def mono(self) -> int:
        """Always the same moment."""
        return 0


def counted() -> Callable[[int], bytes]:
    """Return a source of bytes that are the same in every run, and never the same twice in one."""
    calls = iter(range(1_000_000))
    return lambda size: shake_256(b"%d" % next(calls)).digest(size)


def at(base: Path) -> Places:
    """Places below a folder."""
    return Places(str(base / "state" / "ledger"), str(base / "data" / "anchor"), str(base / "config" / "start.key"))


def appender(base: Path, *, fresh: Callable[[int], bytes] | None = None, **options: Any) -> Appender:
    """The writer's half of a ledger; `disk`, `segment_size`, `head_every` as it takes them."""
    disk: Disk | None = options.pop("disk", None)
    return Appender(at(base), lambda: AT, disk=disk, fresh=fresh or counted(), **options)


def entries(*numbers: int, kind: str = "decision") -> list[Entry]:
    """Records with these numbers in them, as the queue hands them over."""
    made = []
    for number in numbers:
        word, body = Record(kind, {"n": number, "text": f"of {number}"}).checked()
        made.append(("record", StoredRecord(word, AT, body), ()))
    return made  # type: ignore[return-value]


def filled(base: Path, count: int = 30, group: int = 4, **options: Any) -> Places:
    """A ledger with so many records and those of its own, written in groups and closed."""
    made = appender(base, **options)
    for start in range(0, count, group):
        made.write(entries(*range(start, min(start + group, count))))
    made.close()
    return at(base)


def files(places: Places) -> list[Path]:
    """The files of the records, in order."""
    return sorted(Path(places.folder).glob("*.jsonl"))


def text(places: Places) -> bytes:
    """All lines of the ledger."""
    return b"".join(path.read_bytes() for path in files(places))


def lines(places: Places) -> list[bytes]:
    """All lines of a ledger of one file, without their ends."""
    return text(places).splitlines()


def rewrite(places: Places, changed: list[bytes]) -> None:
    """Put other lines in place of those of the first file."""
    files(places)[0].write_bytes(b"".join(line + b"\n" for line in changed))
