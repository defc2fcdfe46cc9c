"""The sessions of one connection, each as a thread with a small number. Pure.

Where a session stands is kept in a `Place`, as in the terminal client; here is only what editors need besides: numbers,
whether they were told of a stop, and what of it waits until a request is answered.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import define, field

from debugger.dap.errors import Refused
from debugger.repl.place import Place, Standing

MOST: Final = 1_000
"""Threads of one connection."""


@define(eq=False)
class Thread:
    """One session. `told` says that the editor was told of its stop; `asked`, that it lets the session go itself.

    `purpose` is why it is let go, for the reason of the next stop. While requests that move it are under way (`busy`),
    what is told of it waits in `later`.
    """

    id: int
    session: str
    told: bool = False
    asked: bool = False
    purpose: str = ""
    reason: str = ""
    text: str = ""
    hits: tuple[int, ...] = ()
    past: bool = False
    """Whether an earlier record is looked at."""
    busy: int = 0
    later: list[Mapping[str, Any]] = field(factory=list)


@define(eq=False)
class Threads:
    """The threads of one connection. `place` is where their sessions stand, as last told."""

    place: Place = field(factory=Place)
    current: int = 0
    """The thread that stopped last, or was named last: what a request without one means."""
    _threads: dict[int, Thread] = field(factory=dict)
    _by_session: dict[str, Thread] = field(factory=dict)
    _next: int = 1

    def __iter__(self) -> Iterator[Thread]:
        return iter(tuple(self._threads.values()))

    def __len__(self) -> int:
        return len(self._threads)

    def add(self, session: str) -> Thread:
        """Return the thread of a session; a new one gets the next number. Raises Refused where there are enough."""
        found = self._by_session.get(session)
        if found is None:
            if len(self._threads) >= MOST:
                raise Refused(f"a connection has {MOST} sessions at most: attach to one")
            found = self._threads[self._next] = self._by_session[session] = Thread(self._next, session)
            self.current = self.current or found.id
            self._next += 1
        return found

    def remove(self, thread: Thread) -> None:
        """Drop the thread of a session that is closed. Its number is not given again."""
        self._threads.pop(thread.id, None)
        self._by_session.pop(thread.session, None)
        if self.current == thread.id:
            self.current = next(iter(self._threads), 0)

    def get(self, number: int) -> Thread:
        """Return a thread. Raises Refused."""
        found = self._threads.get(number)
        if found is None:
            raise Refused(f"there is no thread {number}")
        return found

    def of(self, session: object) -> Thread | None:
        """Return the thread of a session, or None."""
        return self._by_session.get(session) if isinstance(session, str) else None

    def chosen(self) -> Thread:
        """Return the thread that is meant where none is named. Raises Refused where there is none."""
        if not self._threads:
            raise Refused("no session is attached")
        return self._threads.get(self.current) or next(iter(self._threads.values()))

    def standing(self, thread: Thread) -> Standing:
        """Return where a session stands, as last told."""
        return self.place.sessions.get(thread.session) or Standing(thread.session)

    def held(self, thread: Thread) -> Standing:
        """Return where a held session stands. Raises Refused for one that runs."""
        found = self.standing(thread)
        if not found.held:
            does = "rests" if found.resting else "is running"
            raise Refused(f"session {name_of(found)} {does}: pause it first")
        return found


def name_of(standing: Standing) -> str:
    """Return how people call a session."""
    return standing.key or standing.session


def title(standing: Standing, row: Mapping[str, Any] | None = None) -> str:
    """Return the name of a thread: the session, and what it does. `row` is that of the list of sessions, if known."""
    if standing.held:
        kind, call = standing.step.get("kind") or "", standing.step.get("call") or ""
        return f"{name_of(standing)} · held before {kind}{f' {call}' if call else ''}"
    phase = str((row or {}).get("phase") or standing.phase or "")
    return f"{name_of(standing)} · {phase}" if phase else name_of(standing)
