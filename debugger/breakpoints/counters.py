"""Counting hits, and how often a log point may speak. Pure; time comes in as milliseconds."""

import re
from collections import deque
from typing import Final

from attrs import define, field, frozen

from debugger.breakpoints.spec import LARGEST, BadSpec

_RULE: Final = re.compile(r"\s*(=|>=|%)\s*([0-9]{1,10})\s*")
SECOND: Final = 1_000


@frozen
class HitRule:
    """Which hits count: the n-th (`=`), from the n-th on (`>=`), every n-th (`%`)."""

    sign: str
    number: int

    def allows(self, hits: int) -> bool:
        """Whether hit number `hits`, from 1, counts."""
        match self.sign:
            case "=":
                return hits == self.number
            case ">=":
                return hits >= self.number
        return hits % self.number == 0


def hit_rule(text: str) -> HitRule | None:
    """Return the rule that a text means, None for an empty one. Raises BadSpec."""
    if not text:
        return None
    found = _RULE.fullmatch(text)
    if found is None or not 1 <= int(found[2]) <= LARGEST:
        raise BadSpec("hits", f"must be = n, >= n or % n with n from 1, not {text[:40]!r}", 0)
    return HitRule(found[1], int(found[2]))


@define
class Rate:
    """At most `most` in any second. `left_out` counts those that were too many since the last one that was not."""

    most: int
    left_out: int = 0
    _times: "deque[int]" = field(factory=deque)

    def take(self, now: int) -> bool:
        """Whether one more may pass at this time, in ms."""
        if self._times and now < self._times[-1]:  # the clock was set back: count anew
            self._times.clear()
        if len(self._times) >= self.most:
            if now - self._times[0] < SECOND:
                self.left_out += 1
                return False
            self._times.popleft()
        self._times.append(now)
        return True
