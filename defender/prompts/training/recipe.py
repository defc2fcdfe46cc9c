"""What the model is trained on and with which settings: collected rows, own rows, and orders put into documents."""

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final

import numpy as np

from defender.prompts.model import ZERO, Model
from defender.prompts.signs import names
from defender.prompts.training import written
from defender.prompts.training.fit import EXTRA, Array, Fitted, balance, fit, windows
from defender.prompts.training.written import Row

KINDS: Final = ("c5", "w1")
"""The n-grams: five bytes, and single words."""
STRENGTH: Final = 10_000.0
SHARPNESS: Final = 8.0
ROUNDS: Final = 60
POWER: Final = 0.5
"""A source of n rows counts as the square root of n rows."""
SEED: Final = 7
REVIEW_SHARE: Final = 0.01
"""Share of benign rows, judged by models that never saw their source, that may lie above the cut-off of a review."""
BLOCK_SHARE: Final = 0.001
_FULL: Final = 127
_CLIPPED: Final = 0.9995

_EACH_ATTACK: Final = 20
_EACH_BENIGN: Final = 25
_EACH_ORDER: Final = 60
_INSERTED: Final = 2_500
_ORDERS: Final = 800
_PIECE: Final = range(15, 701)
"""Characters of a text that is put into another."""
_INJECTED: Final = "bipia-train"
"""A source whose rows are documents with an order in them already: no pieces."""


def collected(path: Path) -> list[Row]:
    """Return the rows of a JSONL file."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def recipe(given: Sequence[Row], *, scale: float = 1.0) -> list[Row]:
    """Return the rows to train on: the given ones, own ones, and documents with a piece put in.

    `scale` makes fewer rows of one's own (tests). The same rows give the same answer.
    """
    random = Random(SEED)
    attacks = written.rows("attack", max(1, round(_EACH_ATTACK * scale)), random)
    benign = written.rows("benign", max(1, round(_EACH_BENIGN * scale)), random)
    orders = written.orders(max(1, round(_EACH_ORDER * scale)), random)
    random.shuffle(orders)
    harmless = [row for row in given if row["label"] == "benign"] + benign
    pages = [row for row in given if row.get("kind") == "tool_result"]
    pages += [row for row in benign if row["source"] == "own-page"]
    short = [row for row in given if len(row["text"]) in _PIECE and row["source"] != _INJECTED] + attacks + benign
    bad = written.sampled([row for row in short if row["label"] == "attack"], 120, random)
    good = written.sampled([row for row in short if row["label"] == "benign"], 150, random)
    count = round(_INSERTED * scale)
    placed = written.inserted(harmless, bad, count, random)
    placed += written.inserted(harmless, good, count, random)
    placed += written.inserted(pages, orders, round(_ORDERS * scale), random)
    return [*given, *attacks, *benign, *placed]


def trained(rows: Sequence[Row]) -> Fitted:
    """Return the weights for rows that `recipe` made."""
    attack = np.array([row["label"] == "attack" for row in rows], dtype=np.int64)
    source = np.array([row["source"] for row in rows])
    given = windows([row["text"] for row in rows], KINDS)
    weight = balance(attack, source, POWER)
    return fit(given, attack, weight, strength=STRENGTH, sharpness=SHARPNESS, rounds=ROUNDS)


def packed(fitted: Fitted, review: float, block: float) -> bytes:
    """Return weights as the file that `defender.prompts.model.read` reads."""
    some = np.abs(fitted.grams[fitted.grams != 0])
    scale = float(np.quantile(some, _CLIPPED)) / _FULL if len(some) else 1.0
    tables: Array = (np.clip(np.rint(fitted.grams / scale), -_FULL, _FULL) + ZERO).astype(np.uint8)
    extras = {name: round(float(EXTRA * weight), 4) for name, weight in zip(names(), fitted.signs, strict=True)}
    said = {"kinds": KINDS, "scale": scale, "bias": fitted.bias, "extras": extras, "review": review, "block": block}
    body: bytes = tables.tobytes()
    return json.dumps(said).encode() + b"\n" + body


def model(fitted: Fitted) -> Model:
    """Return weights as they are used, with cut-offs that mean nothing yet."""
    from defender.prompts.model import read

    return read(packed(fitted, 0.0, 1.0))


def folds(path: Path) -> dict[str, frozenset[str]]:
    """Return the sources of each fold of `folds.json`."""
    said = json.loads(path.read_text("utf-8"))
    return {name: frozenset(fold["sources"]) for name, fold in said["prompts"].items()}


def cut(benign: Sequence[float], share: float) -> float:
    """Return the raw score above which a share of benign rows lies."""
    ordered = sorted(benign, reverse=True)
    return ordered[int(share * len(ordered))]
