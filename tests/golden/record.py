"""Records our goldens by running the real Gemini CLI against our own stub: `python tests/golden/record.py GEMINI`.

What is written is what the peer did, never what we do. GEMINI is its command (`@google/gemini-cli@0.61.0`).
"""

import json
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import trio

from tests.e2e.command import SETTINGS
from tests.fakes import gemini_stub as stub
from tests.golden.normal import compared
from tests.golden.scenarios import FILES, GOLDENS, Golden

RECORDED = Path(__file__).parent / "recorded"
PEER = "0.61.0"


async def record(name: str, golden: Golden, peer: str) -> None:
    """Run the peer in one scenario and write what it did."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made).resolve()
        lay(folder, golden)
        environ = {key: value for key, value in os.environ.items() if not key.startswith(("GEMINI", "GOOGLE"))}
        async with stub.serving(golden.scenario()) as (server, url):
            environ |= {"HOME": str(folder / "home"), "GEMINI_API_KEY": "test-key", "GOOGLE_GEMINI_BASE_URL": url}
            words = [peer, *golden.words, "-o", "stream-json", "--approval-mode", golden.mode, "-m", golden.model]
            with trio.fail_after(120):
                ran = await trio.run_process(
                    [*words, "--skip-trust"],
                    stdin=b"",
                    capture_stdout=True,
                    capture_stderr=True,
                    check=False,
                    cwd=folder / "ws",
                    env=environ,
                )
        events = [json.loads(line) for line in ran.stdout.decode().splitlines() if line.startswith("{")]
        whole = {"peer": PEER, **compared(events, server.requests, ran.returncode, folder)}
    (RECORDED / f"{name}.json").write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
    print(name, "exit", ran.returncode, len(server.requests), "requests")


def lay(folder: Path, golden: Golden) -> None:
    """Make home, settings and workspace."""
    (folder / "home" / ".gemini").mkdir(parents=True)
    quiet = {"privacy": {"usageStatisticsEnabled": False}, "general": {"enableAutoUpdate": False}}
    settings = {**SETTINGS, **quiet, **json.loads(golden.settings)}
    (folder / "home" / ".gemini" / "settings.json").write_text(json.dumps(settings))
    for name, text in FILES.items():
        (folder / "ws" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "ws" / name).write_text(text)


async def main(peer: str, only: list[str]) -> None:
    """Record all scenarios, or the named ones."""
    for name, golden in GOLDENS.items():
        if not only or name in only:
            await record(name, golden, peer)


if __name__ == "__main__":
    trio.run(main, sys.argv[1], sys.argv[2:])
