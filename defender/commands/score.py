"""From a decision and its signals to a score: allow below 0.5, review from there to 0.8, block from 0.8 on."""

from collections.abc import Sequence

from defender.findings import Signal
from runtime.vocab import Decision


def score(text: str, decision: Decision, signals: Sequence[Signal]) -> float:
    """Return the score of a command, in the band of its decision."""
    risks = sorted({signal.rule: signal.risk for signal in signals}.values(), reverse=True)
    miss = 1.0
    for risk in risks[:6]:
        miss *= 1 - risk * 0.5
    raw = (risks[0] if risks else 0.1) * 0.8 + (1 - miss) * 0.2
    if decision is Decision.ALLOW:
        return min(raw, 1.0) * 0.45
    if decision is Decision.REVIEW:
        return 0.5 + 0.2999 * max(0.0, min(1.0, (raw - 0.4) / 0.5))
    return 0.8 + 0.2 * min(raw, 1.0)
