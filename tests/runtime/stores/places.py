"""Where the store tests keep their journals: one kind of place per store, so that one suite fits all of them."""

import threading
from pathlib import Path
from typing import Protocol

from attrs import define, field

from runtime.ports import StoredRecord
from runtime.stores import Bound, Journal, open_store
from runtime.stores.memory import Kept, MemoryStore

SUFFIXES = {"jsonlines": ".jsonl", "sqlite": ".db"}
KINDS = ("memory", *SUFFIXES)
FILES = tuple(SUFFIXES)


def body(number: int, size: int = 0) -> bytes:
    """A body that every store takes: JSON, which is a byte string like any other to the rest."""
    return b'{"number":%d,"filling":"%b"}' % (number, b"x" * size)


def record(number: int, session: str = "a", size: int = 0) -> StoredRecord:
    """Record `number` of a session."""
    return StoredRecord(session, number, body(number, size))


class Brake:
    """A wall clock that goes as the test says, and stops the writer thread that asks for the time while held."""

    def __init__(self) -> None:
        self.time = 1_000_000
        self._free = threading.Event()
        self._free.set()

    def __call__(self) -> int:
        assert self._free.wait(30), "the test never released the brake"
        return self.time

    def hold(self) -> None:
        """Let no further group be written."""
        self._free.clear()

    def release(self) -> None:
        """Let the writer go on."""
        self._free.set()


class Place(Protocol):
    """Somewhere a journal can be opened, closed and opened again."""

    brake: Brake

    def open(self, bound: Bound | None = None) -> Journal:
        """Open or create it for writing."""

    def hold(self) -> None:
        """Have nothing written from here on."""

    def release(self) -> None:
        """Have it written after all."""


@define
class MemoryPlace:
    """Keeps what a memory store committed, and the store that is open."""

    brake: Brake = field(factory=Brake)
    kept: Kept = field(factory=Kept)
    store: MemoryStore | None = None

    def open(self, bound: Bound | None = None) -> Journal:
        """Open it with what was committed before."""
        self.store = MemoryStore(self.kept, bound=bound, wall=self.brake)
        return self.store

    def hold(self) -> None:
        """Have nothing committed."""
        assert self.store is not None
        self.store.hold()

    def release(self) -> None:
        """Commit."""
        assert self.store is not None
        self.store.release()


@define
class FilePlace:
    """A path; its suffix chooses the store."""

    path: Path
    brake: Brake = field(factory=Brake)

    def open(self, bound: Bound | None = None) -> Journal:
        """Open it for writing."""
        return open_store(self.path, bound=bound, wall=self.brake)

    def read(self) -> Journal:
        """Open it for reading."""
        return open_store(self.path, readonly=True)

    def hold(self) -> None:
        """Stop the writer thread before its next group."""
        self.brake.hold()

    def release(self) -> None:
        """Let the writer thread go on."""
        self.brake.release()


def place_of(kind: str, folder: Path) -> Place:
    """A place of one of KINDS."""
    return MemoryPlace() if kind == "memory" else file_place(kind, folder)


def file_place(kind: str, folder: Path) -> FilePlace:
    """A place of one of FILES."""
    return FilePlace(folder / f"journal{SUFFIXES[kind]}")
