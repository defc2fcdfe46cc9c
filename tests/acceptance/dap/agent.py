"""Runs the shared probe: Microsoft's test client, unmodified, against two live sessions; every message is checked.

    python -m tests.acceptance.dap.agent --modules DIR      the folder of the probe's npm packages (or DAP_MODULES)

The packages are those of ../shared/acceptance/dap/package.json; node is found on the PATH, or named by NODE. Without
them nothing is run, and that is said.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

import trio

from tests.acceptance.dap.daemon import Served, server, sessions
from tests.acceptance.gateway.process import ROOT

PROBE: Final = ROOT.parent / "shared" / "acceptance" / "dap"
MODULES: Final = ("@vscode/debugadapter-testsupport", "ajv-draft-04", "ajv")
SECONDS: Final = 180
PATHS: Final = {
    "turn": "state.turns",
    "tokens": "state.usage.total",
    "note": "state.context.system",
    "number": "step.n",
    "toolName": "tool.name",
    "toolArgs": "tool.args",
    "nameVariable": "name",
    "argsVariable": "args",
}
TOOLS: Final = {"shell": "exec", "glob": "tool:ex*", "argument": "command"}


def missing(modules: Path, node: str | None) -> str:
    """Return why the probe cannot be run, or nothing."""
    if not PROBE.is_dir():
        return f"{PROBE} is not there"
    if node is None:
        return "there is no node: set NODE"
    gone = [name for name in MODULES if not (modules / "node_modules" / name).is_dir()]
    return f"{modules} has no npm package {gone[0]}: npm install there, and set DAP_MODULES" if gone else ""


async def probe(modules: Path, node: str, served: Served, report: str) -> int:
    """Run the scenario; return the exit status of the probe."""
    place = modules / "scenario"
    place.mkdir(exist_ok=True)
    for name in ("dap_probe.mjs", "debugAdapterProtocol.json", "scenarios/agent.mjs"):
        (place / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(PROBE / name, place / name)
    environment = {
        **os.environ,
        "PATHS": json.dumps(PATHS),
        "TOOLS": json.dumps(TOOLS),
        "ATTACH": json.dumps({"token": served.token, "session": "all", "suspend": True}),
    }
    words = [node, "dap_probe.mjs", "--port", str(served.port), "--scenario", "scenarios/agent.mjs", "--strict"]
    words += ["--timeout", str(1000 * (SECONDS - 20)), *(["--json", report] if report else [])]
    ran = await trio.run_process(words, cwd=place, env=environment, check=False)
    return int(ran.returncode)


async def main(given: argparse.Namespace, node: str) -> int:
    """Run everything; return the exit status."""
    with tempfile.TemporaryDirectory(prefix="twinstep-dap-") as name:
        home = Path(name)
        async with sessions(home) as process, server(process) as served:
            with trio.fail_after(SECONDS):
                status = await probe(given.modules.absolute(), node, served, given.json)
        if status or given.log:
            for log in ("dap.log", "gateway.log"):
                print(f"-- {log}", (home / log).read_text(errors="replace")[-3_000:], sep="\n", file=sys.stderr)
    return status


if __name__ == "__main__":
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--modules", type=Path, default=Path(os.environ.get("DAP_MODULES", ".")))
    made.add_argument("--json", default="", help="where the probe writes its report")
    made.add_argument("--log", action="store_true", help="show the logs of the daemon and of the server")
    flags = made.parse_args()
    program = os.environ.get("NODE") or shutil.which("node")
    why = missing(flags.modules, program)
    if why or program is None:
        print(f"dap acceptance: skipped, {why}")
        sys.exit(0)
    print("== dap, the agent scenario", flush=True)
    sys.exit(trio.run(main, flags, program))
