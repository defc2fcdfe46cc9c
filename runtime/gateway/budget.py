"""How often one caller may change what everybody uses: 30 times a minute for each method (observed).

No border of security, who asks is an administrator: it keeps a client that runs wild from the disk and the scheduler.
"""

from collections import OrderedDict
from typing import Final

from attrs import define, field

from runtime.gateway.frames import unavailable

MOST: Final = 30
WINDOW_MS: Final = 60_000
METHODS: Final = frozenset({"config.apply", "config.patch", "cron.add", "cron.remove", "cron.run", "cron.update"})
CALLERS: Final = 1_000
"""Callers and methods that are kept count of; the one that began the longest ago makes room."""


@define
class Budget:
    """Counts calls by method, device and address, each in a window that begins with its first call."""

    _windows: "OrderedDict[tuple[str, str, str], tuple[int, int]]" = field(factory=OrderedDict)

    def spend(self, method: str, device: str, address: str, now: int) -> None:
        """Count a call, at `now` (milliseconds). Raises GatewayError where it is one too many."""
        if method not in METHODS:
            return
        name = (method, device, address)
        begun, count = self._windows.get(name, (now, 0))
        if not begun <= now < begun + WINDOW_MS:
            self._windows.pop(name, None)
            begun, count = now, 0
        if count >= MOST:
            wait = begun + WINDOW_MS - now
            raise unavailable(
                f"rate limit exceeded for {method}; retry after {-(-wait // 1000)}s",
                retry_after_ms=wait,
                details={"method": method, "limit": f"{MOST} per {WINDOW_MS // 1000}s"},
            )
        self._windows[name] = (begun, count + 1)
        while len(self._windows) > CALLERS:
            self._windows.popitem(last=False)
