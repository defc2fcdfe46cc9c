"""How the gateway's run loop is: how late it wakes, how busy it is. Measured once a second, kept for a minute.

`health`, `status`, `/ready` and `/metrics` show it. It is a part of the desk, and its `run` the only task here.
"""

import os
import resource
import time
from collections import deque
from pathlib import Path
from typing import Any, Final

import trio
from attrs import define, field

EVERY: Final = 1.0
KEPT: Final = 60
LATE_MS: Final = 1_000
"""A run loop that wakes this late is called degraded."""


@define(eq=False)
class Pulse:
    """Samples of the run loop: lateness in milliseconds, share of a core, resident bytes."""

    late: "deque[float]" = field(factory=lambda: deque(maxlen=KEPT))
    busy: float = 0.0
    rss: int = 0
    degraded_since: int | None = None

    async def run(self, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Sample until cancelled."""
        self.rss = resident()
        task_status.started()
        due, cpu = trio.current_time() + EVERY, process_seconds()
        while True:
            await trio.sleep_until(due)
            now = trio.current_time()
            self.late.append(max(0.0, now - due) * 1000)
            used = process_seconds()
            self.busy, cpu = (used - cpu) / max(EVERY, now - due + EVERY), used
            self.rss = resident()
            if self.late[-1] < LATE_MS:
                self.degraded_since = None
            elif self.degraded_since is None:
                self.degraded_since = time.time_ns() // 1_000_000
            due = EVERY + (now if self.late[-1] >= LATE_MS else due)  # a late one is not followed at once

    def shown(self) -> dict[str, Any]:
        """Return the member `eventLoop` of answers."""
        late = sorted(self.late) or [0.0]
        bad = self.degraded_since is not None
        return {
            "degraded": bad,
            "degradedSinceMs": self.degraded_since,
            "reasons": ["event-loop-delay"] if bad else [],
            "intervalMs": EVERY * 1000,
            "delayP99Ms": round(late[len(late) * 99 // 100 if len(late) > 1 else 0], 2),
            "delayMaxMs": round(late[-1], 2),
            "utilization": round(min(1.0, self.busy), 3),
            "cpuCoreRatio": round(self.busy, 3),
            "cpuBreakdown": {
                "mainThreadCoreRatio": round(self.busy, 3),
                "hostUtilization": round(os.getloadavg()[0] / (os.cpu_count() or 1), 3),
                "hostCpuCount": os.cpu_count() or 1,
                "workerCoreRatio": 0,
                "otherThreadsCoreRatio": 0,
            },
        }


def process_seconds() -> float:
    """Return the CPU time of this process in seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def resident() -> int:
    """Return the resident set of this process in bytes; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return 0
