"""What the engine counts of itself, for metrics. Names no session and holds no content."""

from bisect import bisect_left
from collections import Counter
from typing import Final

from attrs import define, field

BUCKETS: Final = (50, 100, 150, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 250_000, 1_000_000)
"""Upper bounds of the histogram, in microseconds."""
MOST_RULES: Final = 1_000
OTHER: Final = "other"


@define(eq=False)
class Counts:
    """Decisions by kind, decision and rule; how long evaluations took; what went wrong; how many wait."""

    decisions: Counter[tuple[str, str, str]] = field(factory=Counter)
    faults: Counter[str] = field(factory=Counter)
    buckets: list[int] = field(factory=lambda: [0] * (len(BUCKETS) + 1))
    microseconds: int = 0
    waiting: int = 0
    running: int = 0

    def took(self, microseconds: int) -> None:
        """Count one evaluation."""
        self.buckets[bisect_left(BUCKETS, microseconds)] += 1
        self.microseconds += microseconds

    def decided(self, kind: str, decision: str, rule: str) -> None:
        """Count one decision. Rules are tables, so their number is bounded; it is bounded here as well."""
        key = (kind, decision, rule)
        if key not in self.decisions and len(self.decisions) >= MOST_RULES:
            key = (kind, decision, OTHER)
        self.decisions[key] += 1
