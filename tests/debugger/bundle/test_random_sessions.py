"""Random sessions, with branches, edits, forks and long texts, become bundles that replay, redacted or not."""

from collections import Counter
from typing import Final

import pytest

from debugger.bundle.making import made
from debugger.bundle.secrets import Secrets
from debugger.bundle.stops import Standing
from tests.debugger.bundle.sessions import again
from tests.faults.random_journals import Walk, journals

SEEDS: Final = 60
SECRET: Final = "word word"
"""It stands in messages, results, edits, system texts, notes and states that were copied."""


@pytest.fixture(scope="module")
def walks() -> list[Walk]:
    return [walk for seed in range(SEEDS) for walk in journals(seed, Counter())]


def test_every_session_goes_round(walks: list[Walk]) -> None:
    for walk in walks:
        taken = [walk.line.taken(seq) for seq in range(1, walk.line.last + 1)]
        _, same = again(made(taken, None, Standing()).data)
        assert [one.record for one in same] == [one.record for one in taken]


def test_every_session_is_redacted_and_goes_the_same_way(walks: list[Walk]) -> None:
    replaced = forks = 0
    for walk in walks:
        taken = [walk.line.taken(seq) for seq in range(1, walk.line.last + 1)]
        found = made(taken, Secrets.of([SECRET]), Standing())
        bundle, other = again(found.data)
        assert SECRET.encode() not in found.data
        assert [(one.kind, one.state.phase, one.branch) for one in other] == [
            (one.kind, one.state.phase, one.branch) for one in taken
        ]
        replaced += bundle.manifest.redaction.places
        forks += other[0].kind.value == "session.fork"
    assert (replaced > 100, forks > 3) == (True, True)
