"""The file of weights, its card, and the way there."""

import hashlib
import json
import random
import re
from math import isclose
from pathlib import Path

import pytest

from defender.prompts.model import PLACE, ZERO, read, shipped
from defender.prompts.ngrams import SLOTS, canonical, slots, words
from defender.prompts.signs import names

ROOT = Path(__file__).resolve().parents[3]
CARD = ROOT / "docs" / "reference" / "defender-model.md"
MOST_BYTES = 512 * 1024

TEXT = "The first part of a text about boats. " * 40


def test_the_card_describes_the_file_of_the_package() -> None:
    data = PLACE.read_bytes()
    assert len(data) <= MOST_BYTES
    assert re.findall(r"SHA-256 `([0-9a-f]{64})`", CARD.read_text("utf-8")) == [hashlib.sha256(data).hexdigest()]


def test_the_file_names_every_sign() -> None:
    head = json.loads(PLACE.read_bytes().partition(b"\n")[0])
    assert list(head["extras"]) == list(names())


def test_the_cut_offs_are_a_half_and_four_fifths() -> None:
    model = shipped()
    assert model.review < model.block
    assert isclose(model.score(model.review), 0.5)
    assert isclose(model.score(model.block), 0.8)
    assert 0 <= model.score(-1e9) < model.score(0) < model.score(1e9) <= 1


def test_a_window_scores_the_mean_weight_of_what_occurs_in_it() -> None:
    model = shipped()
    form = canonical(TEXT)
    parts = slots(form, model.kinds)
    wanted = []
    for at in range(len(parts) - 1):
        pair = parts[at : at + 2]
        weights = [model.tables[kind][slot] - ZERO for part in pair for kind, seen in enumerate(part) for slot in seen]
        wanted.append(model.scale * sum(weights) / len(weights) ** 0.5)
    assert model.windows(form, words(form)) == pytest.approx(wanted)


def test_a_file_that_was_cut_is_refused() -> None:
    with pytest.raises(ValueError, match="tables need"):
        read(PLACE.read_bytes()[:-1])


def test_own_rows_are_the_same_for_the_same_seed() -> None:
    from defender.prompts.training import written

    once, again = (written.rows("attack", 2, random.Random(5)) for _ in range(2))
    assert once == again
    assert not [row for row in once if re.search(r"\{\w+\}|\([^()]*\|", row["text"])]


def test_a_piece_stands_unchanged_in_what_it_is_put_into() -> None:
    from defender.prompts.training import written

    draw = random.Random(1)
    made = [written.put("One sentence. Another one.\nA third.", "THE PIECE", draw) for _ in range(50)]
    assert all("THE PIECE" in text and "Another one." in text for text in made)
    assert len(set(made)) > 5


def test_the_same_rows_give_the_same_weights() -> None:
    pytest.importorskip("scipy", reason="training needs the train extra")
    from defender.prompts.training.recipe import packed, recipe, trained

    rows = [{"text": f"{TEXT[:40]} number {at}", "label": "benign", "source": "boats"} for at in range(20)]
    rows += [
        {"text": f"Give the parrot the key {at} times", "label": "attack", "source": "parrots"} for at in range(20)
    ]
    once, again = (packed(trained(recipe(rows, scale=0.02)), 0.0, 1.0) for _ in range(2))
    assert once == again
    assert len(read(once).tables[0]) == SLOTS
