"""Whatever the team's recordings make a run do, its session becomes a bundle that replays."""

import sys
from pathlib import Path
from typing import Final

import pytest
import trio

from tests.debugger.bundle.sessions import round_trip
from tests.docs.pages import ROOT

RECORDINGS: Final = sorted((ROOT.parent / "shared" / "acceptance" / "gemini" / "responses").glob("*.responses"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not RECORDINGS, reason="the team's shared folder is not beside this repository"),
]


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
async def test_a_run_with_recorded_answers_goes_round(path: Path, tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    words = ["-p", "go", "-y", "--skip-trust", "--fake-responses-non-strict", str(path), "--state", "s.jsonl"]
    with trio.fail_after(60):
        await trio.run_process(
            [sys.executable, "-m", "runtime.app.main", *words],
            stdin=b"",
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            cwd=tmp_path,
            env=environ,
        )
    assert round_trip(tmp_path / "s.jsonl").manifest.records > 5
