"""Logistic regression over windows: the score of a row is the soft maximum of those of its windows.

Rows come as texts; their features are those of `ngrams` and `signs`. Everything is deterministic: no random numbers,
and the same rows in the same order give the same weights.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import scipy.sparse as sp
from attrs import frozen
from scipy.optimize import minimize

from defender.prompts.model import LEAST
from defender.prompts.ngrams import SLOTS, canonical, slots, words
from defender.prompts.normal import normalise
from defender.prompts.signs import names, signs

EXTRA: Final = 0.5
"""What the column of a sign holds: how freely its weight moves beside those of the grams."""
MOST: Final = 2.0
"""The most that one sign adds to a raw score; none takes anything away."""

Array = Any


@frozen
class Windows:
    """Rows as windows: a sparse matrix, the row that each window belongs to, and the signs of each row."""

    grams: Array
    owner: Array
    signs: Array
    rows: int


def windows(texts: Sequence[str], kinds: Sequence[str]) -> Windows:
    """Return the windows of texts."""
    columns: list[Array] = []
    ends, owner, marks, mark_ends, sizes = [0], [], [], [0], []
    for row, text in enumerate(texts):
        plain = normalise(text).text
        form = canonical(plain)
        found = words(form)
        parts = [
            np.concatenate([np.fromiter(slot, np.int32, len(slot)) + SLOTS * at for at, slot in enumerate(part)])
            for part in slots(form, kinds, found)
        ]
        for at in range(max(1, len(parts) - 1)):
            columns += parts[at : at + 2]
            size = sum(map(len, parts[at : at + 2]))
            ends.append(ends[-1] + size)
            sizes.append(size)
            owner.append(row)
        shown = signs(plain, found)
        marks += shown
        mark_ends.append(len(marks))
    flat = np.concatenate(columns).astype(np.int32)
    shape = (len(owner), SLOTS * len(kinds))
    counts = sp.csr_matrix((np.ones(len(flat), np.float32), flat, np.array(ends)), shape=shape)
    counts.sum_duplicates()
    norm = sp.diags((1 / np.sqrt(np.maximum(sizes, LEAST))).astype(np.float32))
    shown_ = sp.csr_matrix(
        (np.full(len(marks), EXTRA, np.float32), np.array(marks, np.int32), np.array(mark_ends)),
        shape=(len(texts), len(names())),
    )
    return Windows(norm @ counts, np.array(owner), shown_, len(texts))


@frozen
class Fitted:
    """Weights of grams, of signs, and the bias."""

    grams: Array
    signs: Array
    bias: float

    def raw(self, given: Windows) -> Array:
        """Return the raw score of each row: its highest window, its signs, the bias."""
        best = np.full(given.rows, -np.inf)
        np.maximum.at(best, given.owner, given.grams @ self.grams)
        return best + given.signs @ self.signs + self.bias


def fit(given: Windows, attack: Array, weight: Array, *, strength: float, sharpness: float, rounds: int) -> Fitted:
    """Return the weights for rows of which `attack` says 1 or 0 and `weight` how much they count.

    `strength` is the inverse of the L2 penalty, `sharpness` how near the soft maximum is to the highest window,
    `rounds` bounds the steps of L-BFGS.
    """
    owner, wide = given.owner, given.grams.shape[1]
    start = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])
    count = np.diff(np.r_[start, len(owner)])
    sign = 2.0 * attack - 1
    back, marks_back = given.grams.T.tocsr(), given.signs.T.tocsr()

    def loss(at: Array) -> tuple[float, Array]:
        single = (given.grams @ at[:wide].astype(np.float32)).astype(np.float64)
        top = np.maximum.reduceat(single, start)
        near = np.exp(sharpness * (single - np.repeat(top, count)))
        total = np.add.reduceat(near, start)
        raw = top + np.log(total) / sharpness + given.signs @ at[wide:-1] + at[-1]
        slope = -sign / (1 + np.exp(np.clip(sign * raw, -50, 50))) * weight
        lean = back @ (np.repeat(slope / total, count) * near).astype(np.float32)
        value = (weight * np.logaddexp(0, -sign * raw)).sum() + 0.5 / strength * (at[:-1] @ at[:-1])
        return value, np.r_[np.r_[lean, marks_back @ slope] + at[:-1] / strength, slope.sum()]

    begin = np.zeros(wide + given.signs.shape[1] + 1)
    bounds = [(None, None)] * wide + [(0.0, MOST / EXTRA)] * given.signs.shape[1] + [(None, None)]
    options = {"maxiter": rounds, "maxcor": 8}
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    return Fitted(found[:wide].astype(np.float32), found[wide:-1], float(found[-1]))


def balance(attack: Array, source: Array, power: float) -> Array:
    """Return the weight of each row: both labels count the same, and a source of n rows counts n^(1-power)."""
    made = np.zeros(len(attack))
    for label in (0, 1):
        for name in np.unique(source):
            chosen = (attack == label) & (source == name)
            if chosen.any():
                made[chosen] = float(chosen.sum()) ** -power
        made[attack == label] *= 0.5 / made[attack == label].sum()
    return made
