"""The system's clock and chance, behind the ports. Nothing else in the product asks the system for either."""

import random
import time
import uuid


class SystemClock:
    """`runtime.ports.Clock` over the clocks of the system."""

    def wall(self) -> int:
        """Milliseconds since 1970, UTC."""
        return time.time_ns() // 1_000_000

    def mono(self) -> int:
        """Nanoseconds on a clock that never goes back."""
        return time.monotonic_ns()


class SystemChance:
    """`runtime.ports.Chance` over the system's source of randomness."""

    def random(self) -> float:
        """A number in [0, 1)."""
        return random.random()

    def uuid(self) -> str:
        """A fresh UUID, lower case."""
        return str(uuid.uuid4())


def iso(milliseconds: int) -> str:
    """Return a wall time as ISO 8601 with milliseconds and `Z`, the form of the peer's events."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:03d}Z"
