"""A bug report of a real daemon is one file: it replays, is looked at and reproduced where there is no daemon."""

import sys
from pathlib import Path

import pytest
import trio

from debugger.peers import supported
from tests.e2e.command import ROOT
from tests.e2e.test_debugger import configure
from tests.e2e.test_serve import Daemon, connected, running
from tests.fakes import gemini_stub as stub

pytestmark = pytest.mark.skipif(not supported(), reason="only Linux says who connects")

SECRET = "an-api-key-of-somebody"


async def twinstep(folder: Path, *words: str) -> tuple[int, str]:
    """Run a command with no key, no settings and no way to a daemon but the one that it is told."""
    with trio.fail_after(60):
        ran = await trio.run_process(
            [sys.executable, "-m", *words],
            stdin=b"",
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            cwd=folder,
            env={"HOME": str(folder), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        )
    return ran.returncode, (ran.stdout + ran.stderr).decode()


async def test_a_session_that_a_breakpoint_stopped_is_reproduced_without_the_daemon(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "home")
    app = "runtime.app.main"
    (tmp_path / "there").mkdir()
    asked = stub.events(stub.chunk([{"functionCall": {"name": "read_file", "args": {"token": SECRET}}}]))
    async with stub.serving(stub.script(asked, stub.said_in("done", 1))) as (_, url):
        configure(daemon, url)
        async with running(daemon) as ready, connected(daemon.port) as peer:
            where = ["--socket", str(ready["debugger"])]
            code, said = await twinstep(tmp_path, app, "attach", *where, "-x", "break call.judge")
            assert code == 0, said
            await peer.call("chat.send", sessionKey="main", message=f"use {SECRET}", idempotencyKey="r1")
            lines = [
                "attach main",
                "wait 30",
                "display state.turn",
                "export there/repl.twinstep",
                "test there/test_repl.py",
            ]
            code, said = await twinstep(
                tmp_path, app, "attach", *where, *(word for line in lines for word in ("-x", line))
            )
            assert code == 0, said
            code, said = await twinstep(tmp_path, app, "export", "main", "there/bug.twinstep", *where)
            assert (code, "secret replaced in" in said) == (0, True), said
            code, said = await twinstep(tmp_path, app, "export", "nobody", "there/none.twinstep", *where)
            assert (code, said) == (1, "twinstep: there is no session 'nobody'\n")
    folder = tmp_path / "there"
    for name in ("repl.twinstep", "bug.twinstep", "test_repl.py"):
        assert SECRET.encode() not in (folder / name).read_bytes()
    code, said = await twinstep(folder, app, "replay", "bug.twinstep")
    assert (code, "none was made; it ends in calls" in said) == (0, True), said
    code, said = await twinstep(
        folder, app, "attach", "bug.twinstep", "-x", "p tool.name", "-x", "p state.turn", "-x", "continue"
    )
    assert code == 1
    assert '$1 = "read_file"' in said
    assert "a bundle is only looked at" in said
    code, said = await twinstep(folder, "pytest", "-q", "-p", "no:cacheprovider", "test_repl.py")
    assert (code, "1 passed" in said) == (0, True), said
