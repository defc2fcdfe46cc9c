"""`python -m defender.prompts.training DATA [--out FILE]`: train the model of the package on the rows under DATA.

DATA holds `train/prompts.jsonl`, `dev/prompts.jsonl` and `folds.json`. The weights come from train/ alone. The cut-offs
come from models that are trained with one fold of sources left out and judge that fold.
"""

import argparse
import hashlib
import sys
from pathlib import Path

from defender.prompts.detector import worst
from defender.prompts.model import PLACE
from defender.prompts.training.recipe import (
    BLOCK_SHARE,
    REVIEW_SHARE,
    collected,
    cut,
    folds,
    model,
    packed,
    recipe,
    trained,
)
from defender.prompts.training.written import Row


def out_of_fold(data: Path) -> list[tuple[str, Row, float]]:
    """Return for each row its fold, itself, and its raw score by a model that saw no row of that fold."""
    rows = [row for part in ("train", "dev") for row in collected(data / part / "prompts.jsonl")]
    made = []
    for name, sources in folds(data / "folds.json").items():
        judge = model(trained(recipe([row for row in rows if row["source"] not in sources])))
        made += [(name, row, worst(row["text"], judge).raw) for row in rows if row["source"] in sources]
    return made


def main() -> None:
    """Train and write the file; its digest goes to standard output."""
    parser = argparse.ArgumentParser(prog="python -m defender.prompts.training", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=PLACE)
    asked = parser.parse_args()
    benign = [score for _, row, score in out_of_fold(asked.data) if row["label"] == "benign"]
    fitted = trained(recipe(collected(asked.data / "train" / "prompts.jsonl")))
    data = packed(fitted, cut(benign, REVIEW_SHARE), cut(benign, BLOCK_SHARE))
    asked.out.write_bytes(data)
    sys.stdout.write(f"{asked.out.name} {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}\n")


if __name__ == "__main__":
    main()
