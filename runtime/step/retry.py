"""Both retry loops as data (API sections "When is a stream good?" and "Errors"). Waits for nothing."""

from typing import Final

from attrs import frozen

from runtime.step.events import StreamBroke


@frozen
class Backoff:
    """Waits that double from `first` to `most` seconds, spread by ± `jitter`."""

    first: float
    most: float
    jitter: float

    def seconds(self, failures: int, chance: float) -> float:
        """Return the wait after this many failures (from 1); `chance` in [0, 1) picks the place in the spread."""
        plain = min(self.most, self.first * 2.0 ** min(failures - 1, 64))
        return float(plain * (1 + self.jitter * (2 * chance - 1)))


REQUESTS: Final = Backoff(first=5.0, most=30.0, jitter=0.3)
"""Loop A: the request failed before its first chunk."""
HINT_SPREAD: Final = 0.2
"""A wait that the peer asked for grows by up to this share, so that clients do not come back together."""
LONGEST_HINT: Final = 300.0
"""Seconds. A peer that asks for a longer wait is not waited for."""
INVALID_WAITS: Final = (1.0, 2.0, 4.0)
"""Loop B: the stream was no good. Its length is the number of retries."""
MIDSTREAM_TRIES: Final = 3
"""How often a stream that was reset in the middle is tried again."""

RETRIED_STATUS: Final = frozenset({429, 499, *range(500, 600)})
RETRIED_KINDS: Final = frozenset({"network", "timeout", "protocol"})


def wait_after_break(event: StreamBroke, failures: int, attempts: int, *, midstream: bool) -> float | None:
    """Return how long to wait before the next try, in seconds, or None where there is none.

    `failures` counts this one. `attempts` bounds the tries of a request. A stream that the other side closed in the
    middle (`terminated`) is not tried again; one that was reset is, MIDSTREAM_TRIES times.
    """
    if event.terminal or failures >= attempts:
        return None
    if event.hint is not None and not 0 <= event.hint <= LONGEST_HINT:
        return None
    if midstream and (event.kind != "network" or failures > MIDSTREAM_TRIES):
        return None
    if event.status not in RETRIED_STATUS and event.kind not in RETRIED_KINDS:
        return None
    if event.hint is None:
        return REQUESTS.seconds(failures, event.chance)
    return float(max(REQUESTS.seconds(failures, 0.5), event.hint) * (1 + HINT_SPREAD * event.chance))


def wait_after_invalid(failures: int) -> float | None:
    """Return the wait after this many invalid streams (from 1), or None when the retries are used up."""
    return INVALID_WAITS[failures - 1] if failures <= len(INVALID_WAITS) else None
