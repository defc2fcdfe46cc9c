"""References: small numbers by which an editor names frames, values and targets of one stop. Pure.

An editor sends a number and nothing else, so the number stands for the session as well as for what is looked at. All
numbers of a session die when it moves: no number is given twice, and one of an earlier stop is refused.
"""

from collections.abc import Hashable
from typing import Any, Final

from attrs import define, field, frozen

from debugger.dap.errors import MovedOn, Refused

MOST: Final = 100_000
"""References of one session at one stop. The largest number is far below 2**31, as the protocol wants it."""


@frozen
class Reference:
    """What a number stands for."""

    session: str
    what: Any


@define(eq=False)
class References:
    """The references of one connection."""

    _next: int = 1
    _kept: dict[int, Reference] = field(factory=dict)
    _numbers: dict[tuple[str, Hashable], int] = field(factory=dict)
    _of: dict[str, list[int]] = field(factory=dict)

    def put(self, session: str, what: Any) -> int:
        """Return the number of something of a session; the same for equal things of one stop, if they have a hash."""
        key = (session, what) if isinstance(what, Hashable) else None
        if key is not None and key in self._numbers:
            return self._numbers[key]
        mine = self._of.setdefault(session, [])
        if len(mine) >= MOST:
            raise Refused(f"this stop has {MOST} references already: let the session go one step")
        number, self._next = self._next, self._next + 1
        self._kept[number] = Reference(session, what)
        mine.append(number)
        if key is not None:
            self._numbers[key] = number
        return number

    def get(self, number: int) -> Reference:
        """Return what a number stands for. Raises MovedOn for one of an earlier stop, Refused for one never given."""
        found = self._kept.get(number)
        if found is not None:
            return found
        if 0 < number < self._next:
            raise MovedOn
        raise Refused(f"there is no reference {number}")

    def forget(self, session: str) -> None:
        """The session has moved: no number of it is good any more."""
        for number in self._of.pop(session, ()):
            gone = self._kept.pop(number).what
            if isinstance(gone, Hashable):
                self._numbers.pop((session, gone), None)
