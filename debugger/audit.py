"""The audit: what debuggers did, as documents in the store, each with the hash of the one before it.

Entries are numbered from 1 without gaps. One that was changed, taken away, put between or moved breaks the chain, and
`verify` names the place; a start looks at the last TAIL entries only, and takes on trust what came before them. Whoever
can write the store could also compute a whole new chain, or cut off its end: against that helps only a head (number and
hash) that was kept elsewhere. Values are written as they come: whoever writes an
entry redacts it first. What is large is cut to its size and its hash.

Of what a person changes, the entry goes to the store first and the change after it, and a store writes in order: no
change is on disk without its entry. What came of it follows: an entry `done` or `refused` that names the first. Where
the process ended before that, the first may speak of what never was: the journal of the session, which has the name of
the person at each record, tells.
"""

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

import trio
from attrs import asdict, define, field, fields, frozen

from runtime.errors import JournalCorrupt, JournalError
from runtime.ports import Clock, Store
from runtime.stores.chain import BEGINNING, Head, canonical, cut, faults
from runtime.stores.chain import hashed as digest

KIND: Final = "audit"
DONE: Final = "done"
"""The action of an entry about another one: what that one speaks of happened."""
REFUSED: Final = "refused"
"""The action of an entry about another one: what that one speaks of did not happen, or not all of it."""
TEXT: Final = 4_096
"""Characters of a reason."""
MOST: Final = 1_000
"""Entries that are read at a time, and faults that are named."""
TAIL: Final = 256
"""Entries that are verified at a start."""
PAUSE: Final = 256
"""So many entries are looked at before other tasks have their turn."""


@frozen(kw_only=True)
class Entry:
    """One thing that was done. `at` is in milliseconds since 1970; `before` and `after` are plain values.

    `user` is the name that the client gave itself, `peer` the process and user that the kernel named.
    """

    number: int
    at: int
    action: str
    user: str
    connection: str = ""
    peer: str = ""
    session: str = ""
    reason: str = ""
    before: Any = None
    after: Any = None
    previous: str = BEGINNING
    hash: str = ""


@frozen
class Report:
    """What verifying found. `faults` are sentences; there are none in a chain that is whole."""

    head: Head
    faults: tuple[str, ...]


@define(eq=False)
class Deed:
    """What an entry speaks of, while it is done: whoever does it says here what came of it, as a plain value.

    `session` is that which it was done to, where it was not there before.
    """

    told: Any = None
    session: str = ""


@define(eq=False)
class Audit:
    """The audit of one store. `head` is the last entry that was added, on disk or on its way there."""

    store: Store
    clock: Clock
    head: Head
    _ticket: int = 0
    _owed: "deque[Mapping[str, Any]]" = field(factory=deque)

    @classmethod
    async def opened(cls, store: Store, clock: Clock) -> "Audit":
        """Go on where the store's audit ends. Raises JournalCorrupt if its end is broken: nothing is added to that."""
        rows = list(store.documents(KIND, TAIL))
        report = await _followed(rows, _before(rows))
        if report.faults:
            raise JournalCorrupt(f"the debugger's audit is broken: {report.faults[0]}")
        return cls(store, clock, report.head)

    def add(
        self,
        action: str,
        *,
        user: str,
        connection: str = "",
        peer: str = "",
        session: str = "",
        reason: str = "",
        before: Any = None,
        after: Any = None,
    ) -> int:
        """Add an entry; return the ticket to wait for (`store.committed`). Raises like `Store.put`, and added nothing.

        Raises LocalError for a value that is not plain.
        """
        members = {"action": action, "user": user, "connection": connection, "peer": peer, "session": session}
        self._settle()
        return self._put({**members, "reason": reason[:TEXT], "before": cut(before), "after": cut(after)})

    @contextmanager
    def about(self, action: str, made: Callable[[], Any] = lambda: None, **about: Any) -> Iterator[Deed]:
        """Add an entry, as `add` does, and let what it speaks of happen in the block.

        An entry `done` follows with the number and action of the first and what the block told, else what `made` says;
        or, where the block raises, `refused`: with the sentence too, and with what was done nevertheless. If the store
        has no room for it now, it comes before the next entry.
        """
        self.add(action, **about)
        first = {"number": self.head.number, "action": action}
        deed = Deed()
        outcome, why = DONE, ""
        try:
            yield deed
        except BaseException as exc:
            outcome, why = REFUSED, str(exc) if isinstance(exc, Exception) else "it was given up"
            raise
        finally:
            who = {name: about.get(name, "") for name in ("user", "connection", "peer", "session")}
            who["session"] = deed.session or who["session"]
            told = cut(made() if deed.told is None else deed.told)
            self._owed.append({**who, "action": outcome, "reason": why[:TEXT], "before": first, "after": told})
            with suppress(JournalError):  # a store that has no room has it later, and one that is broken never
                self._settle()

    def _settle(self) -> None:
        """Add what could not be added before. It is little: while it waits, nothing else is added."""
        while self._owed:
            self._put(self._owed[0])
            self._owed.popleft()

    def _put(self, about: Mapping[str, Any]) -> int:
        entry = Entry(number=self.head.number + 1, at=self.clock.wall(), previous=self.head.hash, **about)
        members = asdict(entry, recurse=False)
        members["hash"] = hashed(members)
        self._ticket = self.store.put(KIND, f"{entry.number:012d}", canonical(members))
        self.head = Head(entry.number, members["hash"])
        return self._ticket

    async def write(self, action: str, **about: Any) -> None:
        """Add an entry, and return when it is on disk. Raises JournalError if it never will be."""
        await self.store.committed(self.add(action, **about))

    async def settled(self, ticket: int = 0) -> None:
        """Return when the last entry is on disk, and what has this ticket. Raises JournalError if it never will be."""
        await self.store.committed(max(self._ticket, ticket))

    async def entries(self, limit: int, session: str = "") -> list[Entry]:
        """Return the last entries on disk, oldest first, of one session or of all. Broken ones are left out."""
        found: deque[Entry] = deque(maxlen=max(1, min(limit, MOST)))
        last = found.maxlen if not session else None
        for count, (_, body) in enumerate(self.store.documents(KIND, last)):
            if count % PAUSE == 0:
                await trio.lowlevel.checkpoint()
            entry = _entry(body)
            if entry is not None and session in ("", entry.session):
                found.append(entry)
        return list(found)

    async def verify(self) -> Report:
        """Verify what is on disk; the last entry that this process added must be there."""
        head = self.head
        await self.store.committed(self._ticket)
        return await verified(self.store, head)


async def verified(store: Store, expected: Head | None = None) -> Report:
    """Follow the chain from its beginning. With `expected`, that entry must be in it as it was."""
    return await _followed(store.documents(KIND), Head(), expected)


def _before(rows: list[tuple[str, bytes]]) -> Head:
    """Return what the end of a chain says that it follows. A chain that is shorter is there from its beginning."""
    first = _entry(rows[0][1]) if len(rows) == TAIL else None
    return Head(first.number - 1, first.previous) if first is not None else Head()


async def _followed(rows: Iterable[tuple[str, bytes]], head: Head, expected: Head | None = None) -> Report:
    found: list[str] = []
    known = expected is None or expected.number == 0
    for count, (key, body) in enumerate(rows):
        if count % PAUSE == 0:
            await trio.lowlevel.checkpoint()
        entry = _entry(body)
        if entry is None:
            found.append(f"entry {key} cannot be read")
            continue
        found += _faults(key, entry, head)
        head = Head(entry.number, entry.hash)
        known = known or head == expected
        if len(found) >= MOST:
            break
    if not known and expected is not None:
        found.append(f"entry {expected.number}, the last one that was written, is not there as it was")
    return Report(head, tuple(found[:MOST]))


def _faults(key: str, entry: Entry, before: Head) -> Iterator[str]:
    if key != f"{entry.number:012d}":
        yield f"entry {key} says that it is number {entry.number}"
    yield from faults(entry.number, entry.previous, before)
    if hashed(asdict(entry, recurse=False)) != entry.hash:
        yield f"entry {entry.number} was changed"


def hashed(members: Mapping[str, Any]) -> str:
    """Return the hash over all members of an entry but its own hash, in one order."""
    return digest(canonical({name: value for name, value in members.items() if name != "hash"}))


_NAMES: Final = frozenset(one.name for one in fields(Entry))
_TEXTS: Final = ("action", "user", "connection", "peer", "session", "reason", "previous", "hash")


def _entry(body: bytes) -> Entry | None:
    try:
        members = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(members, dict) or members.keys() != _NAMES:
        return None
    if type(members["number"]) is not int or type(members["at"]) is not int:
        return None
    return Entry(**members) if all(isinstance(members[name], str) for name in _TEXTS) else None
