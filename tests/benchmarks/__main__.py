"""`make bench`: runs every benchmark, prints the figures, and with --write puts them into the docs.

Each `bench_*.py` beside this file is a program that prints one JSON object: `name`, `figures` (a list of objects with
`what`, `value`, `unit`, and, where there is one, `target`). Figures depend on the machine, which is named with them.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
EXPLANATION = HERE.parent.parent / "docs" / "explanation"
PAGES = tuple(sorted(EXPLANATION.glob("*.md")))
"""Each benchmark has its place in one of them."""
BEGIN = "<!-- figures of {}: made by make bench, do not edit -->"
END = "<!-- end of figures of {} -->"
SECONDS = 1800


def main() -> int:
    """Run the benchmarks and return 1 if one failed or missed its target."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("only", nargs="*", help="names of benchmarks (step, journal, cli …); default: all")
    made.add_argument("--write", action="store_true", help="put the figures into the pages that have a place for them")
    given = made.parse_args()
    found = sorted(HERE.glob("bench_*.py"))
    wanted = [one for one in found if not given.only or one.stem.removeprefix("bench_") in given.only]
    results = []
    failed = False
    for script in wanted:
        print(f"== {script.stem.removeprefix('bench_')}", flush=True)
        result = measured(script)
        failed |= result is None
        if result is not None:
            results.append(result)
            for figure in result["figures"]:
                print("  " + row(figure), flush=True)
                failed |= not met(figure)
    if given.write:
        write(results)
    return int(failed)


def measured(script: Path) -> dict[str, Any] | None:
    """Return what a benchmark printed last, or None if it failed."""
    ran = subprocess.run([sys.executable, script], stdout=subprocess.PIPE, text=True, timeout=SECONDS, check=False)
    if ran.returncode:
        print(f"  failed with exit code {ran.returncode}")
        return None
    result: dict[str, Any] = json.loads(ran.stdout.strip().splitlines()[-1])
    return result


def met(figure: dict[str, Any]) -> bool:
    """Return whether the figure keeps its target (`<= x` or `>= x`); True where it has none."""
    target = figure.get("target")
    if not target:
        return True
    sign, bound = target.split()
    value: float = figure["value"]
    return value <= float(bound) if sign == "<=" else value >= float(bound)


def row(figure: dict[str, Any]) -> str:
    """Return one line for a terminal."""
    target = figure.get("target")
    verdict = "" if not target else f"   target {target}: {'met' if met(figure) else 'MISSED'}"
    return f"{figure['what']}: {figure['value']} {figure['unit']}{verdict}"


def write(results: list[dict[str, Any]]) -> None:
    """Replace the tables of the benchmarks that ran in their pages."""
    texts = {page: page.read_text("utf-8") for page in PAGES}
    for result in results:
        begin, end = BEGIN.format(result["name"]), END.format(result["name"])
        lines = [begin, "", f"Measured {time.strftime('%Y-%m-%d', time.gmtime())} on {machine()}.", ""]
        lines += ["| what | figure | target |", "| --- | --- | --- |"]
        lines += [f"| {one['what']} | {one['value']} {one['unit']} | {told(one)} |" for one in result["figures"]]
        page = next((page for page, text in texts.items() if begin in text), None)
        if page is None:
            raise SystemExit(f"there is no place for the figures of {result['name']}: {begin}")
        before, _, rest = texts[page].partition(begin)
        texts[page] = before + "\n".join([*lines, "", end]) + rest.partition(end)[2]
    for page, text in texts.items():
        page.write_text(text, "utf-8")


def told(figure: dict[str, Any]) -> str:
    """Return target and verdict for the page."""
    target = figure.get("target")
    return f"{target.replace('<=', '≤').replace('>=', '≥')}: {'met' if met(figure) else 'missed'}" if target else ""


def machine() -> str:
    """Return what the figures were measured on."""
    info = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    named = (line.split(":", 1)[1].strip() for line in info if line.startswith("model name"))
    model = next(named, platform.processor() or platform.machine())
    return f"{os.cpu_count()} × {model}, Linux, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
