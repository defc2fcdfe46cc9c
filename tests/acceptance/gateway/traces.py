"""Runs the shared harnesses of the gateway against this checkout: recorded traces, and, if asked, the real clients.

    python -m tests.acceptance.gateway.traces            the recorded traces
    python -m tests.acceptance.gateway.traces --clients  the real clients as well; OPENCLAW is the command that runs
                                                         the real command line (npm package openclaw)

The gateway is started from a home that the shared `reference_home.py` writes for the real one, unchanged.
"""

import argparse
import os
import re
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

ROOT: Final = Path(__file__).resolve().parents[3]
SHARED: Final = ROOT.parent / "shared"
HARNESS: Final = SHARED / "acceptance" / "openclaw"
TRACES: Final = SHARED / "contracts" / "openclaw" / "traces"
TOKEN: Final = "token-of-the-traces"
START_SECONDS: Final = 60.0
SECONDS: Final = 1_200
WHOLE: Final = ("handshake", "frames", "chat", "agent", "sessions", "events", "http")
POOLED: Final = ("methods", "cron", "config", "approvals", "nodes")
SHARE: Final = 0.9
"""Families of which every trace has to pass, and those of which this share of all together has to."""


@contextmanager
def gateway() -> Iterator[int]:
    """Run the stub of the model and our gateway; yield its port."""
    stub, port = free(), free()
    with tempfile.TemporaryDirectory(prefix="twinstep-acceptance-") as home:
        ours = Path(sysconfig.get_path("scripts")) / "twinstep"
        words = [sys.executable, str(HARNESS / "reference_home.py"), "--home", home, "--port", str(port)]
        words += ["--token", TOKEN, "--gemini-url", f"http://127.0.0.1:{stub}", "--", str(ours), "serve"]
        log = (Path(home) / "gateway.log").open("wb")
        model = subprocess.Popen([sys.executable, str(HARNESS / "gemini_stub.py"), "--port", str(stub)])
        served = subprocess.Popen(words, cwd=home, stdout=log, stderr=log)
        try:
            if not ready(port, served):
                print((Path(home) / "gateway.log").read_text("utf-8", "replace"), file=sys.stderr)
                raise SystemExit("the gateway did not become ready")
            yield port
        finally:
            for process in (served, model):
                process.terminate()
            for process in (served, model):
                process.wait(30)
            log.close()


def ready(port: int, served: "subprocess.Popen[bytes]") -> bool:
    """Wait until the gateway is ready; False if it ended or took too long."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and served.poll() is None:
        try:
            with urlopen(f"http://127.0.0.1:{port}/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            time.sleep(0.1)
    return False


def free() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def traces(port: int) -> bool:
    """Replay the traces; return whether enough pass."""
    words = [sys.executable, str(HARNESS / "check_traces.py"), "--url", f"ws://127.0.0.1:{port}", "--token", TOKEN]
    words += ["--traces", str(TRACES), "--timeout", "20", "--retries", "1"]
    ran = subprocess.run(words, cwd=HARNESS, stdout=subprocess.PIPE, text=True, timeout=SECONDS, check=False)
    print(ran.stdout, end="", flush=True)
    return enough(counts(ran.stdout))


def counts(text: str) -> Mapping[str, tuple[int, int]]:
    """Return passed and failed by family, from the table that the checker prints."""
    rows = re.findall(r"^(\w+) +(\d+) +(\d+) +\d+$", text, re.MULTILINE)
    return {name: (int(passed), int(failed)) for name, passed, failed in rows}


def enough(found: Mapping[str, tuple[int, int]]) -> bool:
    """Whether what was to pass did. A family of which nothing ran did not."""
    whole = all(found.get(name, (0, 1))[1] == 0 and found[name][0] > 0 for name in WHOLE)
    passed = sum(found.get(name, (0, 0))[0] for name in POOLED)
    ran = passed + sum(found.get(name, (0, 0))[1] for name in POOLED)
    return whole and ran > 0 and passed / ran >= SHARE


def clients(port: int, command: str) -> bool:
    """Let the real clients work against the gateway; return whether all did."""
    words = [sys.executable, str(HARNESS / "real_clients.py"), "--url", f"ws://127.0.0.1:{port}"]
    words += ["--http", f"http://127.0.0.1:{port}", "--token", TOKEN, "--openclaw", command]
    return subprocess.run(words, cwd=HARNESS, timeout=SECONDS, check=False).returncode == 0


def main() -> int:
    """Run everything and return 1 if something failed."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--clients", action="store_true", help="run the real clients as well")
    given = made.parse_args()
    if not HARNESS.is_dir():
        print(f"gateway acceptance: skipped, {SHARED} is not there")
        return 0
    print("== gateway, recorded traces", flush=True)
    with gateway() as port:
        passed = [traces(port)]
        if given.clients:
            print("== gateway, real clients", flush=True)
            passed.append(clients(port, os.environ.get("OPENCLAW", "openclaw")))
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
