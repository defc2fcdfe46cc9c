"""What the gateway costs beside the real one, in one run: start, memory, calls, turns.

Drives ../shared/acceptance/openclaw/compare.py. The peer is the command in OPENCLAW_PEER (for example
`node …/openclaw.mjs gateway run` of `openclaw@2026.9.6`); without it nothing is compared. Prints one JSON object.
"""

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

HARNESS = Path(__file__).resolve().parents[3] / "shared" / "acceptance" / "openclaw"
SECONDS = 1700


def main() -> None:
    """Measure and print."""
    peer = os.environ.get("OPENCLAW_PEER")
    if not peer or not HARNESS.is_dir():
        print(json.dumps({"name": "gateway", "figures": [], "skipped": "OPENCLAW_PEER or ../shared is not there"}))
        return
    ours = Path(sysconfig.get_path("scripts")) / "twinstep"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "results.json"
        words = [sys.executable, str(HARNESS / "compare.py"), "--repeat", "1", "--seconds", "4", "--turns", "40"]
        words += ["--sessions", "200", "--json", str(out), "--target", "openclaw", peer]
        words += ["--target", "ours", f"{ours} serve --port {{port}} --token {{token}}"]
        subprocess.run(words, cwd=HARNESS, stdout=sys.stderr, timeout=SECONDS, check=True)
        medians = json.loads(out.read_text())["medians"]
    print(json.dumps({"name": "gateway", "figures": [*figures(medians["openclaw"], medians["ours"])]}))


def figures(peer: dict[str, float], ours: dict[str, float]) -> list[dict[str, Any]]:
    """The figures with their targets: ratios to the peer of the same run, and our own values."""

    def share(what: str, name: str, target: str) -> dict[str, Any]:
        return {"what": what, "value": round(ours[name] / peer[name], 4), "unit": "ratio", "target": target}

    def own(what: str, name: str, unit: str, target: str = "") -> dict[str, Any]:
        made = {"what": what, "value": round(ours[name], 2), "unit": unit}
        return {**made, "target": target} if target else made

    def times(what: str, name: str) -> dict[str, Any]:
        return {"what": what, "value": round(ours[name] / peer[name], 1), "unit": "ratio", "target": ">= 10"}

    return [
        share("start: CPU, ours / openclaw", "start_cpu_s", "<= 0.125"),
        own("start until a WebSocket call is answered", "start_ws_s", "s"),
        share("resident memory, idle, ours / openclaw", "rss_idle_mb", "<= 0.0833"),
        own("resident memory, idle", "rss_idle_mb", "MB"),
        share("resident memory after 200 sessions, ours / openclaw", "rss_after_sessions_mb", "<= 0.0833"),
        own("resident memory after 200 sessions", "rss_after_sessions_mb", "MB"),
        share("health call: CPU, ours / openclaw", "rpc1_cpu_ms", "<= 0.25"),
        own("health call: CPU", "rpc1_cpu_ms", "ms"),
        share("chat turn: CPU, ours / openclaw", "turn1_cpu_ms", "<= 0.1"),
        own("chat turn: CPU", "turn1_cpu_ms", "ms", "<= 20"),
        times("chat turns a second, 8 in flight, ours / openclaw", "turn8_rate"),
        times("chat turns a second, 32 in flight, ours / openclaw", "turn32_rate"),
        own("chat turns a second, 8 in flight", "turn8_rate", "1/s"),
        own("chat turns a second, 32 in flight", "turn32_rate", "1/s"),
    ]


if __name__ == "__main__":
    main()
