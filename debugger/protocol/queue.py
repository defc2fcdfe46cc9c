"""What waits for a reader that may be slow: bounded, oldest events dropped first, and every loss told. Pure.

Answers are never dropped; how many there can be is bounded by whoever takes the requests. Events are bounded by number
and bytes. When there is no room, the oldest event goes; one that is marked as kept goes only if all are.
"""

from collections import deque
from typing import Final, Generic, TypeVar

from attrs import define, field, frozen

T = TypeVar("T")

MOST_EVENTS: Final = 1_000
MOST_BYTES: Final = 4_000_000


@frozen
class Lost:
    """Stands where events were dropped, before the next one that is left."""

    count: int


@frozen
class _Entry(Generic[T]):
    item: T
    size: int
    event: bool
    kept: bool


@define(eq=False)
class Queue(Generic[T]):
    """Items in the order in which they came. Whoever puts never waits."""

    most: int = MOST_EVENTS
    most_bytes: int = MOST_BYTES
    events: int = 0
    size: int = 0
    lost: int = 0
    """Events that were dropped since a `Lost` was taken."""
    _entries: deque[_Entry[T]] = field(factory=deque)

    def put_answer(self, item: T) -> None:
        """Add what must not be dropped."""
        self._entries.append(_Entry(item, 0, event=False, kept=True))

    def put_event(self, item: T, size: int, *, kept: bool = False) -> None:
        """Add an event of so many bytes, and drop older ones if there is no room."""
        if size > self.most_bytes:
            self.lost += 1
            return
        self._entries.append(_Entry(item, size, event=True, kept=kept))
        self.events += 1
        self.size += size
        while self.events > self.most or self.size > self.most_bytes:
            self._drop()

    def take(self) -> "T | Lost | None":
        """Return the oldest item, or Lost before it if events were dropped, or None where nothing waits."""
        if self.lost:
            found, self.lost = Lost(self.lost), 0
            return found
        if not self._entries:
            return None
        entry = self._entries.popleft()
        self._uncount(entry)
        return entry.item

    def __len__(self) -> int:
        return len(self._entries) + bool(self.lost)

    def _drop(self) -> None:
        entries = self._entries
        place = next((place for place, one in enumerate(entries) if one.event and not one.kept), None)
        if place is None:
            place = next(place for place, one in enumerate(entries) if one.event)
        self._uncount(self._entries[place])
        del self._entries[place]
        self.lost += 1

    def _uncount(self, entry: _Entry[T]) -> None:
        if entry.event:
            self.events -= 1
            self.size -= entry.size
