"""The weights: one file in the package, read when the first text is judged.

The file is a line of JSON and then, for each kind of gram, 65,536 bytes: a weight w stands as round(w / scale) + 128.
The JSON holds the kinds, the scale, the bias, what each pattern and behaviour adds, and the two cut-offs. How it came
about: `defender.prompts.training`.
"""

import json
from collections.abc import Collection
from functools import cache
from math import exp, sqrt
from operator import itemgetter
from pathlib import Path
from typing import Final

from attrs import frozen

from defender.prompts.ngrams import SLOTS, chains, grams, segments
from defender.prompts.signs import names

PLACE: Final = Path(__file__).with_name("weights.bin")
ZERO: Final = 128
LEAST: Final = 30
"""A window counts as holding at least so many grams, so that a single word does not weigh like a page."""


@frozen
class Model:
    """Weights as they are used.

    `tables` gives per kind of gram its 65,536 offset weights, a byte each, `adds` what each sign adds, by its place.
    """

    kinds: tuple[str, ...]
    tables: tuple[bytes, ...]
    scale: float
    bias: float
    adds: tuple[float, ...]
    review: float
    block: float

    def windows(self, form: bytes, found: list[bytes]) -> list[float]:
        """Return the score of each window of a canonical text with its words, without bias and extras."""
        sums, counts = self._segments(form, found)
        scale = self.scale
        if len(sums) == 1:
            return [scale * sums[0] / sqrt(max(counts[0], LEAST))]
        return [
            scale * (sums[at] + sums[at + 1]) / sqrt(max(counts[at] + counts[at + 1], LEAST))
            for at in range(len(sums) - 1)
        ]

    def _segments(self, form: bytes, found: list[bytes]) -> tuple[list[int], list[int]]:
        chained = chains(found, self.kinds)
        parts = segments(len(form))
        sums, counts = [0] * parts, [0] * parts
        for kind, table in zip(self.kinds, self.tables, strict=True):
            row = grams(form, int(kind[1:])) if kind[0] == "c" else chained[kind]
            span = len(form) if kind[0] == "c" else len(found)
            for part in range(parts):
                seen = dict.fromkeys(row[span * part // parts : span * (part + 1) // parts])
                sums[part] += _added(table, seen) - ZERO * len(seen)
                counts[part] += len(seen)
        return sums, counts

    def score(self, raw: float) -> float:
        """Return a raw score on the common scale: `review` becomes 0.5 and `block` 0.8."""
        slope = _BLOCK_LOGIT / (self.block - self.review)
        return 1 / (1 + exp(-max(-60.0, min(60.0, slope * (raw - self.review)))))


def _added(table: bytes, seen: Collection[int]) -> int:
    """Return the sum of what a table holds at some slots."""
    return sum(itemgetter(*seen)(table)) if len(seen) > 1 else sum(table[slot] for slot in seen)


_BLOCK_LOGIT: Final = 1.3862943611198906
"""The logit of 0.8."""


def read(data: bytes) -> Model:
    """Return the model that a file holds; ValueError if it is not one."""
    head, _, body = data.partition(b"\n")
    said = json.loads(head)
    kinds = tuple(said["kinds"])
    if len(body) != SLOTS * len(kinds):
        raise ValueError(f"The weights have {len(body)} bytes; {len(kinds)} tables need {SLOTS * len(kinds)}.")
    tables = tuple(body[at * SLOTS : (at + 1) * SLOTS] for at in range(len(kinds)))
    adds = tuple(float(said["extras"].get(name, 0.0)) for name in names())
    return Model(kinds, tables, said["scale"], said["bias"], adds, said["review"], said["block"])


@cache
def shipped() -> Model:
    """Return the model of the package."""
    return read(PLACE.read_bytes())
