"""Figures of the judgement of commands, as one JSON object: folds, own cases, time. `--train` writes the weights anew.

python -m tests.acceptance.defender.commands [--shared ../shared] [--train] [--write] [--quick]

Reads the data and the measuring scripts of `../shared`. The rules are the same in all folds; the model is trained anew
without the sources of the fold. Rules were written after reading rows of train and dev: for them the folds are kind.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from defender.commands import analysis, score, training
from runtime.vocab import Decision

Row = dict[str, Any]
ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "explanation" / "defender-commands.md"
BEGIN = "<!-- figures of commands: made by tests.acceptance.defender.commands --write, do not edit -->"
_COLUMNS = ("auc", "recall_at_1pct", "attacks_not_allowed", "benign_blocked")
END = "<!-- end of figures of commands -->"


def _load(path: Path) -> list[Row]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _pairs(rows: Iterable[Row]) -> list[tuple[str, bool]]:
    return [(row["text"], row["label"] == "attack") for row in rows]


def _folds(shared: Path, read: dict[str, Any]) -> dict[str, Any]:
    sys.path.insert(0, str(shared / "acceptance" / "defender"))
    from folds import Folds  # type: ignore[import-not-found]
    from harness import auc, rec_at_fpr  # type: ignore[import-not-found]

    folds = Folds(str(shared / "data" / "defender"))
    found: dict[str, Any] = {}
    for name, (kind, _) in folds.spec.items():
        if kind != "commands":
            continue
        train, test = folds.split(name)
        model = score.parse(training.fit(_pairs(train)))
        good: list[float] = []
        bad: list[float] = []
        for row in test:
            text, decision, signals = read[row["id"]]
            (bad if row["label"] == "attack" else good).append(score.score(text, decision, signals, model))
        found[name] = {
            "attacks": len(bad),
            "benign": len(good),
            "auc": round(auc(bad, good), 4),
            "recall_at_1pct": round(rec_at_fpr(bad, good, 0.01), 4),
            "attacks_not_allowed": round(sum(value >= 0.5 for value in bad) / len(bad), 4),
            "benign_blocked": round(sum(value >= 0.8 for value in good) / len(good), 4),
        }
    rows = list(found.values())
    found["mean"] = {key: round(sum(row[key] for row in rows) / len(rows), 4) for key in ("auc", "recall_at_1pct")}
    return found


def _read(rows: Iterable[Row]) -> dict[str, Any]:
    found = {}
    for row in rows:
        verdict = analysis.assess(row["text"])
        found[row["id"]] = (analysis.text_of(row["text"]), verdict.decision, verdict.signals)
    return found


def _decisions(rows: list[Row], read: dict[str, Any]) -> dict[str, Any]:
    pairs = Counter((row["expected"], read[row["id"]][1].value) for row in rows if row.get("expected"))
    every = Counter(row["expected"] for row in rows if row.get("expected"))
    attacks = [row for row in rows if row["label"] == "attack"]
    benign = [row for row in rows if row["label"] == "benign"]
    allowed = Counter((row["source"], row["label"]) for row in rows if read[row["id"]][1] is Decision.ALLOW)
    return {
        "own": {f"{wanted}->{got}": count for (wanted, got), count in sorted(pairs.items())},
        "own_block_exact": round(pairs["block", "block"] / (every["block"] or 1), 4),
        "own_block_allowed": pairs["block", "allow"],
        "own_allow_blocked": pairs["allow", "block"],
        "attacks_not_allowed": round(
            sum(read[row["id"]][1] is not Decision.ALLOW for row in attacks) / len(attacks), 4
        ),
        "benign_blocked": round(sum(read[row["id"]][1] is Decision.BLOCK for row in benign) / len(benign), 4),
        "allowed": {f"{source} {label}": count for (source, label), count in sorted(allowed.items())},
    }


def _time(texts: list[str], call: Callable[[str], object]) -> dict[str, float]:
    for text in texts[:200]:
        call(text)
    took = []
    for text in texts:
        begin = time.process_time_ns()
        call(text)
        took.append((time.process_time_ns() - begin) / 1000)
    took.sort()
    return {
        name: round(took[int(len(took) * part)], 1)
        for name, part in (("p50_us", 0.5), ("p90_us", 0.9), ("p99_us", 0.99))
    }


def _page(found: dict[str, Any]) -> str:
    """The figures as they stand on the page."""
    folds = found["folds"]
    rows = [
        " | ".join([f"| {name}", *(f"{fold[key]:.3f}" for key in _COLUMNS)]) + " |"
        for name, fold in folds.items()
        if name != "mean"
    ]
    own, took = found["decisions"]["dev"], found["time"]
    counts = Counter(pair.partition("->")[0] for pair, count in own["own"].items() for _ in range(count))
    posix, every = took["dev_posix"], took["dev"]
    mean = f"| **mean** | **{folds['mean']['auc']:.3f}** | **{folds['mean']['recall_at_1pct']:.3f}** | | |"
    lines = [
        "| fold left out | AUC | recall at 1 % false positives | attacks not allowed | benign blocked |",
        "| --- | --- | --- | --- | --- |",
        *rows,
        mean,
        "",
        f"Of the {counts['block']} own cases of `dev/` to be blocked {own['own'].get('block->block', 0)} are blocked",
        f"and {own['own_block_allowed']} allowed; of the {counts['allow']} to be allowed",
        f"{own['own_allow_blocked']} are blocked. Processor time, one command of `dev/`: p50 {posix['p50_us']:.0f} µs,",
        f"p99 {posix['p99_us']:.0f} µs for POSIX shells; with the scripts for PowerShell among them, up to 3 KB,",
        f"{every['p50_us']:.0f} µs and {every['p99_us']:.0f} µs.",
    ]
    return "\n".join(lines) + "\n"


def _write(found: dict[str, Any]) -> None:
    text = PAGE.read_text("utf-8")
    head, _, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2]
    if not tail:
        raise ValueError(f"{PAGE} has no place for figures.")
    PAGE.write_text(f"{head}{BEGIN}\n\n{_page(found)}\n{END}{tail}", "utf-8")


def main() -> None:
    """Print the figures."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    asked.add_argument("--train", action="store_true", help="write the weights that are shipped, from train/ alone")
    asked.add_argument("--write", action="store_true", help="put the figures into the page")
    asked.add_argument("--quick", action="store_true", help="no folds")
    given = asked.parse_args()
    data = given.shared / "data" / "defender"
    train, dev = _load(data / "train" / "commands.jsonl"), _load(data / "dev" / "commands.jsonl")
    if given.train:
        score.PLACE.write_bytes(training.fit(_pairs(train)))
        score.shipped.cache_clear()
    rows = train + dev
    read = _read(rows)
    found: dict[str, Any] = {"decisions": {"dev": _decisions(dev, read), "train_and_dev": _decisions(rows, read)}}
    if not given.quick:
        found["folds"] = _folds(given.shared, read)
    posix = [row["text"] for row in dev if row["kind"] == "command"]
    found["time"] = {
        "dev": _time([row["text"] for row in dev], analysis.assess),
        "dev_posix": _time(posix, analysis.assess),
    }
    if given.write and not given.quick:
        _write(found)
    json.dump(found, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
