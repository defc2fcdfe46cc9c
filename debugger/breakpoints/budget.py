"""What breakpoints may cost all sessions of a daemon, in operations of the expression engine. Pure; knows no clock.

What an expression takes for its nodes is bounded when it is set: the expressions of all breakpoints have MOST_NODES
together. Bounded here is what the values take beside that: items that are gone through, texts that are searched.

- At one border: the breakpoints that are asked there share EACH in equal parts, and what one needs beyond its part it
  takes from COMMON, first come first served. So all of them together take no more than one expression may alone, and
  nobody can take another's part.
- In the long run: each border that is asked about puts EARNED into one account, up to SAVED, and all pay from it. When
  it is overdrawn, whoever took most since it was full last is muted, and what he took is given back.
"""

from collections.abc import Iterable
from typing import Final

from attrs import define

from debugger.breakpoints.breakpoint import Breakpoint
from debugger.expressions.bounds import MOST_OPERATIONS

EACH: Final = MOST_OPERATIONS // 2
COMMON: Final = MOST_OPERATIONS - EACH
EARNED: Final = 1_000
"""Operations for a border: at most half a millisecond."""
SAVED: Final = 1_000_000
MOST_NODES: Final = 10_000
"""Names, members, literals, operators and calls in the expressions of all breakpoints."""


@define(eq=False)
class Account:
    """The account of one book. `borders` counts those that were asked about, by whoever asks."""

    borders: int = 0
    left: int = SAVED
    _settled: int = 0
    _age: int = 0

    def pay(self, one: Breakpoint, taken: int, everybody: Iterable[Breakpoint]) -> str | None:
        """Let a breakpoint pay for what it took. Where that overdraws the account, mute whoever took most, and return
        what a person should hear of it."""
        self.left += EARNED * (self.borders - self._settled)
        self._settled = self.borders
        if self.left >= SAVED:
            self.left = SAVED
            self._age += 1  # what was taken before does not count any more
        if one.age != self._age:
            one.age, one.taken = self._age, 0
        one.taken += taken
        self.left -= taken
        return None if self.left >= 0 else self._mute(everybody)

    def _mute(self, everybody: Iterable[Breakpoint]) -> str | None:
        worst = max((one for one in everybody if one.age == self._age), key=lambda one: one.taken)
        took, worst.taken = worst.taken, 0
        self.left += took
        if worst.muted:
            return None
        return worst.mute(
            f"all breakpoints together may take {EARNED:,} operations a border in the long run, and it took {took:,}, "
            "more than any other; look at fewer items, or stop at fewer steps"
        )


@define(eq=False)
class Allowance:
    """What the expressions of all `until` may take from everybody in the long run: EARNED for each time that one is
    asked, and SAVED at once. Nobody is muted: whoever overdraws it stops."""

    left: int = SAVED

    def pay(self, taken: int) -> bool:
        """Pay for one evaluation; return whether there was enough."""
        left = min(SAVED, self.left + EARNED) - taken
        self.left = max(0, left)
        return left >= 0
