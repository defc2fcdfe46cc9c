"""Trains the model of `score` from labelled commands: logistic regression, one gradient step a row, plain Python.

Deterministic: the order is drawn from a seed. Rows of the rarer label weigh more, so that both weigh the same together.
"""

import json
import random
from collections.abc import Iterable
from math import exp, sqrt
from typing import Final

from defender.commands.ngrams import SLOTS, slots
from defender.commands.score import ZERO

ROUNDS: Final = 4
RATE: Final = 0.1
SHRINK: Final = 1e-4


def fit(rows: Iterable[tuple[str, bool]], seed: int = 1) -> bytes:
    """Return the file of weights for commands and whether each is an attack; ValueError without both labels."""
    data = [(sorted(slots(text)), bad) for text, bad in rows]
    attacks = sum(bad for _, bad in data)
    if not attacks or attacks == len(data):
        raise ValueError("Training needs attacks and harmless commands.")
    share = {True: len(data) / (2 * attacks), False: len(data) / (2 * (len(data) - attacks))}
    weights, seen = [0.0] * SLOTS, [1e-4] * SLOTS
    bias, bias_seen = 0.0, 1e-4
    order = random.Random(seed)
    for _ in range(ROUNDS):
        order.shuffle(data)
        for found, bad in data:
            norm = 1 / sqrt(len(found) or 1)
            raw = bias + norm * sum(map(weights.__getitem__, found))
            wrong = (1 / (1 + exp(-max(-30.0, min(30.0, raw)))) - bad) * share[bad]
            bias_seen += wrong * wrong
            bias -= RATE * wrong / sqrt(bias_seen)
            step = wrong * norm
            for slot in found:
                slope = step + SHRINK * weights[slot]
                seen[slot] += slope * slope
                weights[slot] -= RATE * slope / sqrt(seen[slot])
    return pack(weights, bias)


def pack(weights: list[float], bias: float) -> bytes:
    """Return weights as a file: a line of JSON, then one byte a slot."""
    scale = max(1e-9, max(map(abs, weights)) / 127)
    head = json.dumps({"scale": scale, "bias": bias}).encode()
    return head + b"\n" + bytes(max(0, min(255, round(weight / scale) + ZERO)) for weight in weights)
