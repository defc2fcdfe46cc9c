"""What a whole headless run costs, beside the floor of a bare loop and, where it is installed, Gemini CLI.

Drives ../shared/acceptance/gemini/bench.py, which runs all targets interleaved in one run. The peer is the command in
GEMINI_PEER (for example a `gemini` of `@google/gemini-cli@0.61.0`); without it only the floor is compared. Prints one
JSON object.
"""

import argparse
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

GEMINI = Path(__file__).resolve().parents[3] / "shared" / "acceptance" / "gemini"
ALL = "version,turns0,recorded,turns1,turns10,turns50,turns200"
MINE = "-p {prompt} -o stream-json -y -m gemini-2.5-flash --skip-trust {fake}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What a whole headless run costs.")
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--scenarios", default=ALL)
    given = parser.parse_args()
    if not GEMINI.is_dir():
        print(json.dumps({"name": "cli", "figures": [], "skipped": f"{GEMINI} is not there"}))
        return
    ours = Path(sysconfig.get_path("scripts")) / "twinstep"
    words = [sys.executable, str(GEMINI / "bench.py"), "--reps", str(given.reps), "--scenarios", given.scenarios]
    words += ["--target", f"twinstep={ours} {MINE}", "--home-template", f"twinstep={GEMINI / 'home-gemini'}"]
    words += ["--target", f"floor={sys.executable} {{here}}/targets/raw_http_loop.py {{prompt}}"]
    peer = os.environ.get("GEMINI_PEER")
    if peer:
        words += ["--target", f"gemini={peer} {MINE}", "--home-template", f"gemini={GEMINI / 'home-gemini'}"]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "results.json"
        subprocess.run([*words, "--out", str(out)], stdout=sys.stderr, check=True)
        summary = json.loads(out.read_text())["summary"]
    print(json.dumps({"name": "cli", "figures": figures(summary)}))


def figures(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the figures: ours with their targets, and the ratios to the others in the same run."""
    mine = summary["twinstep"]
    out: list[dict[str, Any]] = []

    def add(what: str, value: float, unit: str, target: str = "") -> None:
        out.append({"what": what, "value": round(value, 3), "unit": unit, "target": target})

    for scenario, name, cpu, memory in (
        ("turns0", "one turn over HTTP", "<= 0.3", "<= 50"),
        ("recorded", "one recorded turn", "<= 0.2", "<= 45"),
        ("version", "--version", "", ""),
    ):
        if scenario in mine:
            good = mine[scenario]["ok"] == mine[scenario]["n"]
            add(f"{name}: CPU, smallest", mine[scenario]["cpu_min"] if good else 99.0, "s", cpu)
            add(f"{name}: CPU, median", mine[scenario]["cpu"], "s")
            add(f"{name}: peak memory", mine[scenario]["hwm"], "MB", memory)
    if "fit_cpu_min" in mine:
        add("a further turn: CPU", mine["fit_cpu_min"]["per_turn_x1000"], "ms", "<= 2")
        add("a further turn: memory", mine["fit_hwm"]["per_turn_x1"] * 1000, "kB", "<= 20")
        half = (mine["turns50"]["cpu_min"] - mine["turns10"]["cpu_min"]) / 40
        rest = (mine["turns200"]["cpu_min"] - mine["turns50"]["cpu_min"]) / 150
        add("CPU of a turn, turns 50 to 200 against 10 to 50", rest / half, "ratio", "<= 1.5")
    for other in ("gemini", "floor"):
        for scenario in ("turns0", "recorded", "turns200"):
            if other in summary and scenario in summary[other] and scenario in mine:
                theirs = summary[other][scenario]
                add(f"{scenario}: CPU, {other} / twinstep", theirs["cpu_min"] / mine[scenario]["cpu_min"], "ratio")
                if theirs["hwm"]:
                    add(f"{scenario}: memory, {other} / twinstep", theirs["hwm"] / mine[scenario]["hwm"], "ratio")
    return out


if __name__ == "__main__":
    main()
