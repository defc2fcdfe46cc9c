"""Runs the acceptance harnesses of ../shared against this checkout, and fails where one of them fails.

    python tests/acceptance/run.py         all cases of this version
    python tests/acceptance/run.py --ci    the same; named so that CI says what it asked for

The harnesses drive the installed `twinstep` from outside; they and what they expect were recorded from Gemini CLI
and the OpenClaw gateway.
"""

import argparse
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
GEMINI = SHARED / "acceptance" / "gemini"
COMMAND = f'"{Path(sysconfig.get_path("scripts")) / "twinstep"}" {{args}} -p {{prompt}}'
TOOL_GROUPS = "read_file,write_file,replace,search,shell,shell-timeout,web"
TOOL_SHARE = 0.95
SECONDS = 1200


def goldens(group: str, via: str) -> bool:
    """Run golden cases over one route; return whether all passed."""
    print(f"== goldens, group {group}, via {via}", flush=True)
    words = [
        sys.executable,
        str(GEMINI / "golden_run.py"),
        *("--index", str(GEMINI / "responses" / "index.json")),
        *("--group", group),
        *("--via", via),
        *("--formats", "text,stream-json,json"),
        *("--cmd", COMMAND),
    ]
    return subprocess.run(words, timeout=SECONDS, check=False).returncode == 0


def tool_results() -> bool:
    """Compare the results of our tools with the recorded ones; return whether enough are equal."""
    print("== tool results", flush=True)
    recorded = SHARED / "contracts" / "gemini" / "traces" / "tool-results.json"
    words = [
        *(sys.executable, str(GEMINI / "record_tools.py"), "--cmd", COMMAND),
        *("--check", str(recorded), "--only", TOOL_GROUPS),
    ]
    ran = subprocess.run(words, stdout=subprocess.PIPE, text=True, timeout=SECONDS, check=False)
    print(ran.stdout, end="")
    found = re.search(r"^tool results: (\d+)/(\d+)$", ran.stdout, re.MULTILINE)
    return found is not None and int(found[2]) > 0 and int(found[1]) / int(found[2]) >= TOOL_SHARE


def gateway() -> bool:
    """Replay the recorded traces of the gateway; return whether enough pass."""
    words = [sys.executable, "-m", "tests.acceptance.gateway.traces"]
    return subprocess.run(words, cwd=ROOT, timeout=SECONDS, check=False).returncode == 0


def dap() -> bool:
    """Let an unmodified client drive the DAP server, where node is; return whether all checks passed."""
    words = [sys.executable, "-m", "tests.acceptance.dap.agent"]
    return subprocess.run(words, cwd=ROOT, timeout=SECONDS, check=False).returncode == 0


def guard() -> bool:
    """Let guard mode stand beside a gateway; return whether it saw and answered what it should."""
    words = [sys.executable, "-m", "tests.acceptance.defender.guard"]
    return subprocess.run(words, cwd=ROOT, timeout=SECONDS, check=False).returncode == 0


def main() -> int:
    """Run everything and return 1 if something failed."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--ci", action="store_true", help="as CI runs it")
    made.parse_args()
    if not GEMINI.is_dir():
        print(f"acceptance: skipped, {SHARED} is not there")
        return 0
    passed = [goldens("core", "http"), goldens("core", "fake"), goldens("resume", "http"), goldens("resume", "fake")]
    passed.append(tool_results())
    passed.append(gateway())
    passed.append(dap())
    passed.append(guard())
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
