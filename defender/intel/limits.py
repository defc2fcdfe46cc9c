"""What keeps look-ups cheap: a cache, a quota, and a switch for a service that fails. Waits for nothing.

Times are nanoseconds of a clock that never goes back, days milliseconds since 1970; both are arguments.
"""

from collections import OrderedDict
from typing import Final, Generic, TypeVar

from attrs import define, field

SECOND: Final = 1_000_000_000
DAY_MS: Final = 86_400_000

V = TypeVar("V")


@define(eq=False)
class Cache(Generic[V]):
    """Values by key, for a time of each; above `most` the one that was used least recently goes."""

    most: int
    _kept: "OrderedDict[str, tuple[int, V]]" = field(factory=OrderedDict)

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: str, now: int) -> V | None:
        """Return the value of a key, unless its time is over."""
        found = self._kept.get(key)
        if found is None:
            return None
        if found[0] <= now:
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return found[1]

    def put(self, key: str, value: V, until: int) -> None:
        """Keep a value until that time."""
        self._kept[key] = until, value
        self._kept.move_to_end(key)
        while len(self._kept) > self.most:
            self._kept.popitem(last=False)


@define(eq=False)
class Bucket:
    """So many tokens a minute, which come back evenly, and so many a day (UTC). Taking one never waits."""

    per_minute: int
    per_day: int
    _tokens: float = field(init=False)
    _filled: int | None = None
    _day: int = -1
    _spent: int = 0

    def __attrs_post_init__(self) -> None:
        self._tokens = float(self.per_minute)

    def take(self, now: int, wall: int) -> str:
        """Take a token; return why there is none, or nothing."""
        if wall // DAY_MS != self._day:
            self._day, self._spent = wall // DAY_MS, 0
        passed = 0 if self._filled is None else max(0, now - self._filled)
        self._filled = now
        self._tokens = min(float(self.per_minute), self._tokens + passed * self.per_minute / (60 * SECOND))
        if self._spent >= self.per_day:
            return "the look-ups of this day are used up"
        if self._tokens < 1:
            return "the look-ups of this minute are used up"
        self._tokens -= 1
        self._spent += 1
        return ""


@define(eq=False)
class Breaker:
    """Stops asking a service that fails, and tries it again with one look-up when the pause is over.

    The pause doubles each time that the trial fails too, up to `longest` seconds. A pause that the service names
    counts, up to a day. `why` says why it is not asked, or is empty.
    """

    tolerated: int = 3
    first: float = 30.0
    longest: float = 3_600.0
    why: str = ""
    _failures: int = 0
    _trips: int = 0
    _until: int = 0
    _trying: bool = False

    def closed(self, now: int) -> bool:
        """Whether one may ask now. After a pause only the first who asks may, until that has come to an end."""
        if not self.why:
            return True
        if now < self._until or self._trying:
            return False
        self._trying = True
        return True

    def good(self) -> None:
        """An answer came."""
        self.why, self._failures, self._trips, self._trying = "", 0, 0, False

    def bad(self, why: str, now: int, *, at_once: bool = False, pause: float | None = None) -> None:
        """No answer came. `at_once`: one such is enough; `pause` is how many seconds the service asks for."""
        self._failures += 1
        late = bool(self.why) and not self._trying  # asked before the pause began: says nothing new
        trips = not late and (at_once or self._trying or self._failures >= self.tolerated)
        self._trying = False
        if not trips and not (late and pause is not None):
            return
        seconds = min(self.first * 2.0 ** min(self._trips, 20), self.longest)
        self._trips += trips
        if pause is not None:
            seconds = min(max(pause, 1.0), 86_400.0)
        self.why, self._until = why, max(self._until, now + round(seconds * SECOND))

    def given_up(self) -> None:
        """Whoever asked left before an answer: nothing is known of the service."""
        self._trying = False
