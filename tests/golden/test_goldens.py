"""We do in our stub's scenarios what Gemini CLI did in them (recorded by `record.py`, from the real program)."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from runtime.app.replay import sessions
from tests.e2e.command import ROOT
from tests.fakes import gemini_stub as stub
from tests.golden.normal import compared
from tests.golden.record import RECORDED, lay
from tests.golden.scenarios import GOLDENS

DELIBERATE: dict[str, dict[str, Any]] = {}
"""Where we differ on purpose: scenario, and the members that we do otherwise (docs/how-to/replace-gemini-cli.md)."""


@pytest.mark.parametrize("name", GOLDENS)
async def test_a_scenario_goes_as_with_gemini_cli(name: str, tmp_path: Path) -> None:
    golden, folder = GOLDENS[name], tmp_path.resolve()
    lay(folder, golden)
    async with stub.serving(golden.scenario()) as (server, url):
        environ = {"HOME": str(folder / "home"), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
        environ |= {"GEMINI_API_KEY": "test-key", "GOOGLE_GEMINI_BASE_URL": url}
        words = [sys.executable, "-m", "runtime.app.main", *golden.words, "-o", "stream-json", "--skip-trust"]
        with trio.fail_after(60):
            ran = await trio.run_process(
                [*words, "--approval-mode", golden.mode, "-m", golden.model],
                stdin=b"",
                capture_stdout=True,
                capture_stderr=True,
                check=False,
                cwd=folder / "ws",
                env=environ,
            )
        asked = len(server.requests)
        replayed = sum(replay_of(path) for path in (folder / "home").rglob("*.jsonl"))
        assert len(server.requests) == asked, "a replay asked the model"
    assert b"Traceback" not in ran.stderr, ran.stderr.decode()
    assert replayed > 0
    found = compared([json.loads(line) for line in ran.stdout.splitlines()], server.requests, ran.returncode, folder)
    wanted = json.loads((RECORDED / f"{name}.json").read_text())
    del wanted["peer"]
    assert found == wanted | DELIBERATE.get(name, {})


def replay_of(path: Path) -> int:
    """Replay a journal, in which every state is compared, and return how many records it has."""
    return sum(1 for _, steps in sessions(path) for _ in steps)


def test_every_recording_has_its_scenario() -> None:
    assert {one.stem for one in RECORDED.glob("*.json")} == set(GOLDENS)
