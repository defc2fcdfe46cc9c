"""What each library costs: version, licence, size on disk, time and memory of its import. Installs and changes nothing.

    .venv/bin/python tests/benchmarks/import_cost.py

Prints the rows of the table in docs/adr/0002-libraries.md. Each import runs in an interpreter of its own; the figure is
the median of RUNS, less what an empty interpreter takes. What two libraries share counts for both.
"""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import Distribution, distribution
from pathlib import Path
from statistics import median
from typing import Final

RUNS: Final = 7
ROOT: Final = Path(__file__).resolve().parents[2]
PROBE: Final = """
import time
before = time.perf_counter()
{statement}
spent = time.perf_counter() - before
try:  # not getrusage: its peak outlives exec, so a child would begin with its parent's
    peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
except OSError:
    peak = 0
print(spent * 1000, peak / 1024)
"""
MODULES: Final = {
    "attrs": "attrs",
    "google-re2": "re2",
    "prompt_toolkit": "prompt_toolkit",
    "trio-websocket": "trio_websocket",
}
"""Where the module has another name than the distribution, or might be taken to have one."""


def libraries() -> list[str]:
    """The run-time dependencies that pyproject.toml names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [re.split(r"[<>=!~;\[ ]", line)[0] for line in project["dependencies"]]


def probe(statement: str) -> tuple[float, float]:
    """Median milliseconds and MB of a fresh interpreter that runs `statement`."""
    runs = []
    for _ in range(RUNS):
        command = [sys.executable, "-c", PROBE.format(statement=statement)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        runs.append(tuple(float(figure) for figure in done.stdout.split()))
    return median(run[0] for run in runs), median(run[1] for run in runs)


def kilobytes(found: Distribution) -> int:
    """Size on disk of what the distribution installed, compiled files left out."""
    paths = [Path(str(file.locate())) for file in found.files or () if file.suffix != ".pyc"]
    return sum(path.stat().st_size for path in paths if path.is_file()) // 1024


def licence(found: Distribution) -> str:
    """What the metadata say; the older forms included."""
    plain = next((found.metadata[key] for key in ("License-Expression", "License") if key in found.metadata), "")
    classes = [line.rpartition(" :: ")[2] for line in found.metadata.get_all("Classifier") or () if "License" in line]
    return plain if 0 < len(plain) < 40 else ", ".join(classes) or "?"


def main() -> None:
    """Measure and print."""
    _, empty = probe("pass")
    print("| library | version | licence | size, KB | import, ms | memory, MB |")
    print("| --- | --- | --- | ---: | ---: | ---: |")
    for name in libraries():
        found = distribution(name)
        spent, peak = probe(f"import {MODULES.get(name, name.replace('-', '_'))}")
        cells = (name, found.version, licence(found), kilobytes(found), f"{spent:.0f}", f"{max(0.0, peak - empty):.1f}")
        print(f"| {' | '.join(str(cell) for cell in cells)} |")


if __name__ == "__main__":
    main()
