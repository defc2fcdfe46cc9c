"""Holds that people asked for when they left: of which stop, whose, and until when. They outlive the daemon.

Each is a document in the store. One counts only for the hold that it was made for: a session that went on and was
stopped again has nothing of it. Starts no timer.
"""

import json
from contextlib import suppress
from typing import Any, Final

from attrs import asdict, define, field, frozen

from debugger.leases import LONGEST
from runtime.errors import JournalError
from runtime.ports import Clock, Store
from runtime.step import State

KIND: Final = "hold"


@frozen
class Kept:
    """A hold that stays although nobody drives the session. `until` is in milliseconds since 1970; None is for ever."""

    session: str
    generation: int
    user: str
    until: int | None

    @property
    def shown(self) -> dict[str, Any]:
        """What clients are told."""
        return {"user": self.user, "until": self.until}


@define(eq=False)
class Keeping:
    """What was asked for, by session."""

    store: Store
    clock: Clock
    _kept: dict[str, Kept] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._kept = {one.session: one for one in held(self.store)}

    def wanted(self, state: State, user: str, seconds: float | None) -> Kept:
        """Return what it is to have the hold of a session last so long from now on, with None for ever."""
        until = None if seconds is None else self.clock.wall() + round(seconds * 1000)
        return Kept(state.session, _generation(state), user, until)

    def keep(self, kept: Kept) -> int:
        """Note what somebody wants; return a ticket. Raises JournalFull, and then nothing has changed."""
        ticket = self.store.put(KIND, kept.session, json.dumps(asdict(kept)).encode())
        self._kept[kept.session] = kept
        return ticket

    def of(self, state: State) -> Kept | None:
        """Return what was asked for about the hold in which a session stands now."""
        kept = self._kept.get(state.session)
        return kept if kept is not None and kept.generation == _generation(state) else None

    def forever(self, state: State) -> bool:
        """Whether a session stands until somebody lets it go on."""
        kept = self.of(state)
        return kept is not None and kept.until is None

    def left(self, kept: Kept) -> float | None:
        """Return for how many seconds it still holds; None is for ever. Never longer than anybody can ask for: the
        clock may have been wrong, now or then."""
        if kept.until is None:
            return None
        return min(max(0, kept.until - self.clock.wall()), round(LONGEST * 1000)) / 1000

    def forget(self, session: str) -> None:
        """The session goes on, or is no more."""
        if self._kept.pop(session, None) is not None:
            with suppress(JournalError):  # it is of a hold that is over, and means nothing any more
                self.store.put(KIND, session, None)


def held(store: Store) -> list[Kept]:
    """Return what a store has, without what cannot be read."""
    return [kept for _, body in store.documents(KIND) if (kept := _kept(body)) is not None]


def _generation(state: State) -> int:
    return state.hold.generation if state.hold is not None else 0


def _kept(body: bytes) -> Kept | None:
    try:
        found = json.loads(body)
        session, generation, user, until = (found[name] for name in ("session", "generation", "user", "until"))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    fits = isinstance(session, str) and type(generation) is int and isinstance(user, str)
    return Kept(session, generation, user, until) if fits and (until is None or type(until) is int) else None
