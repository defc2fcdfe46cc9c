"""Figures of the prompt detector: `python -m tests.acceptance.defender.prompts [--quick] [--write]` prints JSON.

Data and harness are looked for in ../shared beside the checkout. Without --quick every fold is trained anew without its
sources (needs the `train` extra) and judged by that model; the cut-off of each fold comes from the other folds. With
--quick only the shipped model is measured on dev. --write puts the figures into the model card.
"""

import argparse
import hashlib
import importlib
import json
import random
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from defender.prompts import assess
from defender.prompts.model import PLACE

ROOT: Final = Path(__file__).resolve().parents[3]
SHARED: Final = ROOT.parent / "shared"
DATA: Final = SHARED / "data" / "defender"
HARNESS: Final = SHARED / "acceptance" / "defender"
CARD: Final = ROOT / "docs" / "reference" / "defender-model.md"
BEGIN, END = "<!-- figures:begin -->", "<!-- figures:end -->"
TIMED: Final = 1_000
OBFUSCATED: Final = 400

Row = dict[str, Any]


def rows(path: Path) -> list[Row]:
    """Return the rows of a JSONL file."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def share(hits: list[bool]) -> float | None:
    """Return the share of what is true, to four places; of nothing, None."""
    return round(sum(hits) / len(hits), 4) if hits else None


def ranked(attacks: list[float], benign: list[float]) -> dict[str, Any]:
    """Return the figures that need no cut-off, as the harness computes them."""
    harness = importlib.import_module("harness")
    return {
        "attacks": len(attacks),
        "benign": len(benign),
        "auc": round(harness.auc(attacks, benign), 4),
        "recall_at_1pct_fpr": round(harness.rec_at_fpr(attacks, benign, 0.01), 4),
        "recall_at_0_1pct_fpr": round(harness.rec_at_fpr(attacks, benign, 0.001), 4),
    }


def folds() -> dict[str, Any]:
    """Return the figures of every fold, their mean, and per source what the cut-off of the other folds gives."""
    from defender.prompts.training.__main__ import out_of_fold
    from defender.prompts.training.recipe import REVIEW_SHARE, cut

    judged = out_of_fold(DATA)
    names = list(dict.fromkeys(name for name, _, _ in judged))
    made: dict[str, Any] = {}
    sources: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for name in names:
        attacks = [raw for fold, row, raw in judged if fold == name and row["label"] == "attack"]
        benign = [raw for fold, row, raw in judged if fold == name and row["label"] == "benign"]
        others = [raw for fold, row, raw in judged if fold != name and row["label"] == "benign"]
        limit = cut(others, REVIEW_SHARE)
        made[name] = ranked(attacks, benign) | {
            "fixed_recall": share([raw > limit for raw in attacks]),
            "fixed_fpr": share([raw > limit for raw in benign]),
        }
        for fold, row, raw in judged:
            if fold == name:
                sources[row["source"], row["label"]].append(raw > limit)
    mean = {
        key: round(sum(fold[key] for fold in made.values()) / len(made), 4)
        for key in ("auc", "recall_at_1pct_fpr", "recall_at_0_1pct_fpr", "fixed_recall", "fixed_fpr")
    }
    flagged = [
        {"source": source, "label": label, "rows": len(hits), "flagged": share(hits)}
        for (source, label), hits in sorted(sources.items())
    ]
    return {"folds": made, "mean": mean, "sources": flagged}


def dev() -> dict[str, Any]:
    """Return the figures of the shipped model on dev, by kind as well, and what it flags of the unclear sources."""
    given = rows(DATA / "dev" / "prompts.jsonl")
    said = [assess(row["text"]).score for row in given]
    attacks = [score for row, score in zip(given, said, strict=True) if row["label"] == "attack"]
    benign = [score for row, score in zip(given, said, strict=True) if row["label"] == "benign"]
    kinds: dict[str, list[bool]] = defaultdict(list)
    for row, score in zip(given, said, strict=True):
        kinds[f"{row['kind']} ({row['label']})"].append(score >= 0.5)
    unclear: dict[str, list[bool]] = defaultdict(list)
    for part in ("train", "dev"):
        for row in rows(DATA / part / "unclear_prompts.jsonl"):
            unclear[f"{row['source']} ({row['label']})"].append(assess(row["text"]).score >= 0.5)
    return ranked(attacks, benign) | {
        "recall": share([score >= 0.5 for score in attacks]),
        "fpr": share([score >= 0.5 for score in benign]),
        "blocked_benign": share([score >= 0.8 for score in benign]),
        "flagged_by_kind": {kind: share(hits) for kind, hits in sorted(kinds.items())},
        "flagged_of_unclear_sources": {name: share(hits) for name, hits in sorted(unclear.items())},
    }


def obfuscated() -> dict[str, Any]:
    """Return recall and false positives of the shipped model under the thirteen transforms."""
    transforms = importlib.import_module("transforms")
    names = list(transforms.THIRTEEN)
    caught: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for row in transforms.build(rows(DATA / "dev" / "prompts.jsonl"), names, OBFUSCATED, True):
        caught[row["transform"], row["label"]].append(assess(row["text"]).score >= 0.5)
    plain = share(caught["plain", "attack"]) or 0.0
    recall = {name: share(caught[name, "attack"]) or 0.0 for name in names}
    ratio = {name: round(min(value, plain) / plain, 4) if plain else 0.0 for name, value in recall.items()}
    return {
        "plain_recall": plain,
        "recall": recall,
        "ratio": round(sum(ratio.values()) / len(ratio), 4),
        "worst": min(ratio, key=lambda name: ratio[name]),
        "fpr": {name: share(caught[name, "benign"]) for name in ("plain", *names)},
    }


def latency() -> dict[str, Any]:
    """Return the processor time of one text of dev, in microseconds, as cpu_latency.py takes it."""
    texts = [row["text"] for row in rows(DATA / "dev" / "prompts.jsonl")]
    random.Random(3).shuffle(texts)
    for text in texts[:20]:
        assess(text)
    took = []
    for text in texts[:TIMED]:
        begin = time.process_time_ns()
        assess(text)
        took.append((time.process_time_ns() - begin) / 1_000)
    took.sort()
    return {f"cpu_us_p{part}": round(took[int(len(took) * part / 100)]) for part in (50, 90, 99)}


def card(figures: dict[str, Any]) -> str:
    """Return the figures as the tables of the model card."""
    mean, shifted = figures["mean"], figures["folds"]
    columns = ("attacks", "benign", "auc", "recall_at_1pct_fpr", "recall_at_0_1pct_fpr", "fixed_recall", "fixed_fpr")
    lines = [f"File: `{PLACE.name}`, {figures['bytes']} bytes, SHA-256 `{figures['sha256']}`.", ""]
    lines += [
        "| fold left out | attacks | benign | AUC | R@1% | R@0.1% | recall | FPR |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [f"| {name} | {' | '.join(str(fold[key]) for key in columns)} |" for name, fold in shifted.items()]
    lines += [f"| **mean** | | | {' | '.join(f'**{mean[key]}**' for key in columns[2:])} |", ""]
    lines += ["| source, judged by a model without its fold | label | rows | flagged |", "|---|---|---|---|"]
    lines += [f"| {row['source']} | {row['label']} | {row['rows']} | {row['flagged']} |" for row in figures["sources"]]
    at = figures["dev"]
    lines += ["", "| shipped model on dev | |", "|---|---|"]
    lines += [f"| {key} | {at[key]} |" for key in ("auc", "recall_at_1pct_fpr", "recall", "fpr", "blocked_benign")]
    lines += [f"| flagged, {kind} | {value} |" for kind, value in at["flagged_by_kind"].items()]
    lines += [f"| flagged, unclear {name} | {value} |" for name, value in at["flagged_of_unclear_sources"].items()]
    over = figures["obfuscated"]
    lines += ["", "| obfuscation (dev) | recall | false positives |", "|---|---|---|"]
    lines += [f"| plain | {over['plain_recall']} | {over['fpr']['plain']} |"]
    lines += [f"| {name} | {value} | {over['fpr'][name]} |" for name, value in over["recall"].items()]
    lines += [f"| **ratio to plain** | **{over['ratio']}** | |", ""]
    spent = figures["latency"]
    lines += [f"Processor time per text of dev: {', '.join(f'{key[7:]} {value} us' for key, value in spent.items())}."]
    return "\n".join(lines)


def main() -> None:
    """Measure, print JSON, and with --write renew the model card."""
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance.defender.prompts", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    if not DATA.is_dir() or not HARNESS.is_dir():
        sys.exit(f"There is no {DATA} or no {HARNESS}: the data and the harness of the defender are needed.")
    if asked.quick and asked.write:
        sys.exit("The model card needs the folds: --write and --quick exclude each other.")
    sys.path.insert(0, str(HARNESS))
    data = PLACE.read_bytes()
    figures: dict[str, Any] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    figures |= {"dev": dev(), "obfuscated": obfuscated(), "latency": latency()}
    if not asked.quick:
        figures |= folds()
    print(json.dumps(figures))
    if asked.write:
        text = CARD.read_text("utf-8")
        head, _, rest = text.partition(BEGIN)
        CARD.write_text(f"{head}{BEGIN}\n{card(figures)}\n{END}{rest.partition(END)[2]}", "utf-8")


if __name__ == "__main__":
    main()
