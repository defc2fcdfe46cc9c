"""What a part of the defender found, in the words that all parts share. Decides nothing: the engine weighs.

A detector (prompts, commands, taint, intel, integrity) is a function of what it looks at to an `Assessment`. Nothing
here reads a clock, a file or the network.
"""

from collections.abc import Iterable
from typing import Final

from attrs import field, frozen

from runtime.vocab import Decision

MOST_EVIDENCE: Final = 200
"""Characters of evidence that a signal keeps."""
THRESHOLD: Final = 0.5
"""From this score on a detector's finding is more than an allow; each detector is calibrated to it."""

_WEIGHT: Final = {Decision.ALLOW: 0, Decision.REVIEW: 1, Decision.BLOCK: 2}


def strictest(decisions: Iterable[Decision]) -> Decision:
    """Return the strictest of some decisions; of none, allow."""
    return max(decisions, key=_WEIGHT.__getitem__, default=Decision.ALLOW)


def excerpt(text: str) -> str:
    """Return the evidence as it is kept: one line, printable, cut at MOST_EVIDENCE characters."""
    shown = text[: MOST_EVIDENCE + 1].replace("\n", " ").replace("\t", " ")
    if not shown.isprintable():
        shown = "".join(char if char.isprintable() else " " for char in shown)
    return shown if len(shown) <= MOST_EVIDENCE else f"{shown[: MOST_EVIDENCE - 1]}…"


@frozen
class Signal:
    """One thing that speaks for a risk.

    `rule` is its dotted name (`command.rm-root`), `risk` in [0, 1] what it says by itself, `reason` one sentence for a
    person, `evidence` an excerpt of what it was found in. `floor` is the least that it demands, whatever else was
    found: BLOCK for what may never run, ALLOW for a mere hint.
    """

    rule: str
    risk: float
    reason: str
    evidence: str = field(default="", converter=excerpt)
    floor: Decision = Decision.ALLOW


@frozen
class Assessment:
    """What one detector says of one thing: a score in [0, 1] (THRESHOLD: more than an allow), and why.

    `signals` stand in the order of their weight; the first gives the rule and the reason of a verdict.
    """

    score: float
    decision: Decision
    signals: tuple[Signal, ...] = ()
