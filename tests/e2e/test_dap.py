"""The DAP server as a process beside a real daemon: who gets in over its port, and the way over pipes."""

import json
import os
import shlex
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from debugger.dap.listing import TEXT
from debugger.dap.messages import Reader
from debugger.peers import supported
from tests.e2e.command import ROOT
from tests.e2e.test_debugger import HIDDEN, configure, written
from tests.e2e.test_serve import Daemon, connected, running
from tests.fakes import gemini_stub as stub

pytestmark = pytest.mark.skipif(not supported(), reason="only Linux says who connects")

VISITOR = "tests/debugger/dap/visitor.py"


def words(ready: dict[str, Any], *flags: str) -> list[str]:
    """The command line of a server for a daemon."""
    return [sys.executable, "-m", "runtime.app.main", "dap", "--socket", ready["debugger"], *flags]


def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(tmp_path / "xdg")}


@asynccontextmanager
async def listening(tmp_path: Path, ready: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    """A server on a port, as it says of itself."""
    process = await trio.lowlevel.open_process(
        words(ready, "--listen", "127.0.0.1:0", "--json"),
        env=environment(tmp_path),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        with trio.fail_after(30):
            yield json.loads(await process.stdout.receive_some())
    finally:
        process.terminate()
        with trio.move_on_after(10, shield=True):
            await process.wait()
            await process.stdout.aclose()


async def visited(tmp_path: Path, port: int, token: str) -> str:
    """Let an editor come from outside the daemon; return what came of it."""
    file = tmp_path / f"came-of-{len(list(tmp_path.iterdir()))}"
    command = [sys.executable, str(ROOT / VISITOR), str(port), token, str(file)]
    await trio.run_process(command, cwd=ROOT)
    return await written(file)


async def test_who_knows_the_token_gets_in_over_the_port_and_nobody_else(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.configure()
    async with running(daemon, "--demo") as ready, listening(tmp_path, ready) as served:
        assert served["host"] == "127.0.0.1"
        token = Path(served["tokenFile"])
        assert stat.S_IMODE(token.stat().st_mode) == 0o600
        assert stat.S_IMODE(token.parent.stat().st_mode) == 0o700
        assert await visited(tmp_path, served["port"], str(token)) == "ok"
        assert (token.parent / "twinstep.steps").read_text() == TEXT
        assert "token" in await visited(tmp_path, served["port"], "-")


@pytest.mark.parametrize("how", HIDDEN)
async def test_a_command_that_an_agent_runs_gets_not_in_though_it_reads_the_token(tmp_path: Path, how: str) -> None:
    daemon, file = Daemon(tmp_path), tmp_path / "came-of-it"
    answers: list[stub.Answer] = []
    scenario = stub.Scenario(lambda call, number: answers[min(number, len(answers) - 1)])
    async with stub.serving(scenario) as (_, url):
        configure(daemon, url)
        async with (
            running(daemon) as ready,
            listening(tmp_path, ready) as served,
            connected(daemon.port) as peer,
        ):
            asked = [sys.executable, str(ROOT / VISITOR), str(served["port"]), served["tokenFile"], str(file)]
            command = HIDDEN[how].format(visit=shlex.join(asked))
            call = {"functionCall": {"name": "exec", "args": {"command": command}}}
            answers += [stub.events(stub.chunk([call], "STOP")), stub.said_in("done", 1)]
            assert await peer.say("debug yourself", "r1") == "done"
            assert "agents may not debug" in await written(file)
            assert await visited(tmp_path, served["port"], served["tokenFile"]) == "ok"


async def test_a_token_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.configure()
    loose = tmp_path / "token"
    loose.write_text("x" * 43)
    loose.chmod(0o644)
    async with running(daemon, "--demo") as ready:
        done = await trio.run_process(
            words(ready, "--listen", "127.0.0.1:0", "--token-file", str(loose)),
            env=environment(tmp_path),
            cwd=tmp_path,
            capture_stderr=True,
            check=False,
        )
        assert done.returncode != 0
        assert b"must be this user's, with mode 0600" in done.stderr


async def test_an_editor_that_starts_the_server_speaks_with_it_over_pipes_without_a_token(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.configure()
    async with running(daemon, "--demo") as ready:
        process = await trio.lowlevel.open_process(
            words(ready, "--stdio", "--session", "all"),
            env=environment(tmp_path),
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        reader = Reader()
        with trio.fail_after(30):
            for seq, command in enumerate(("initialize", "attach", "configurationDone", "threads", "disconnect"), 1):
                body = json.dumps({"seq": seq, "type": "request", "command": command}).encode()
                await process.stdin.send_all(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
                wanted = "initialized" if command == "attach" else command
                assert await until(process.stdout, reader, wanted)
            assert await process.wait() == 0


async def until(stream: trio.abc.ReceiveStream, reader: Reader, wanted: str) -> bool:
    """Read messages until an event or a good answer of this name."""
    while True:
        while (body := reader.take()) is not None:
            message = json.loads(body)
            if message.get("event") == wanted or message.get("command") == wanted:
                return bool(message.get("success", True))
        reader.feed(bytes(await stream.receive_some(65_536)))


async def test_without_a_daemon_an_editor_is_told_so(tmp_path: Path) -> None:
    process = await trio.lowlevel.open_process(
        words({"debugger": str(tmp_path / "none.sock")}, "--stdio"),
        env=environment(tmp_path),
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with trio.fail_after(30):
        body = b'{"seq": 1, "type": "request", "command": "attach", "arguments": {"session": "main"}}'
        await process.stdin.send_all(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        said = bytes(await process.stdout.receive_some(65_536))
        assert b"no daemon with a debugger answers here" in said
        await process.stdin.aclose()
        assert await process.wait() == 0
