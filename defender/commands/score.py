"""From a decision and its signals to a score: allow below 0.5, review from there to 0.8, block from 0.8 on.

Within its band a command is placed by the risk of what the rules found and, where they found little, by a small model
of hashed grams (`ngrams`), whose weights lie beside this file and are read when the first command is judged. The model
never changes a decision.
"""

import json
from collections.abc import Iterable, Sequence
from functools import cache
from math import exp, sqrt
from pathlib import Path
from typing import Final

from attrs import frozen

from defender.commands.ngrams import SLOTS, slots
from defender.findings import Signal
from runtime.vocab import Decision

PLACE: Final = Path(__file__).with_name("weights.bin")
ZERO: Final = 128
"""The byte of a weight of nothing."""
_COUNTED: Final = 6
_MIDDLE: Final = 0.55
_SLOPE: Final = 8.0
_SHARE: Final = 0.1
_FARTHEST: Final = 12.0
_BANDS: Final = {Decision.ALLOW: (0.0, 0.45), Decision.REVIEW: (0.5, 0.29), Decision.BLOCK: (0.8, 0.2)}


@frozen
class Model:
    """Weights as they are used: a byte a slot, its scale, the bias."""

    weights: bytes
    scale: float
    bias: float

    def raw(self, found: Iterable[int], count: int) -> float:
        """Return what the model says of the slots of a command: above nothing, rather an attack."""
        total = sum(map(self.weights.__getitem__, found)) - ZERO * count
        return self.bias + self.scale * total / sqrt(count or 1)


def parse(data: bytes) -> Model:
    """Return the model of a file: a line of JSON, then 65,536 bytes. ValueError if it is not one."""
    head, _, body = data.partition(b"\n")
    said = json.loads(head)
    if len(body) != SLOTS:
        raise ValueError(f"The weights have {len(body)} bytes; the table needs {SLOTS}.")
    return Model(body, float(said["scale"]), float(said["bias"]))


@cache
def shipped() -> Model:
    """Return the model that comes with the package."""
    return parse(PLACE.read_bytes())


def risk(signals: Sequence[Signal]) -> float:
    """Return how risky the signals are together: the worst, and a little for each further rule."""
    risks = sorted({signal.rule: signal.risk for signal in signals}.values(), reverse=True)
    missed = 1.0
    for one in risks[:_COUNTED]:
        missed *= 1 - one * 0.5
    return (risks[0] if risks else 0.1) * 0.8 + (1 - missed) * 0.2


def score(text: str, decision: Decision, signals: Sequence[Signal], model: Model | None = None) -> float:
    """Return the score of a command, in the band of its decision."""
    model = model or shipped()
    found = slots(text)
    said = max(-_FARTHEST, min(_FARTHEST, model.raw(found, len(found))))
    known = risk(signals)
    share = _SHARE if known <= _MIDDLE else _SHARE / 2
    place = 1 / (1 + exp(-(_SLOPE * (known - _MIDDLE) + share * said)))
    low, width = _BANDS[decision]
    return low + width * place
