"""The debugger of a real daemon: what survives kill -9, and that no tool of an agent gets to it."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from debugger.client import Client, connect
from debugger.peers import supported
from debugger.protocol import VERSION, Hello
from tests.e2e.command import ROOT
from tests.e2e.test_serve import TOKEN, Daemon, connected, running, status
from tests.fakes import gemini_stub as stub

pytestmark = pytest.mark.skipif(not supported(), reason="only Linux says who connects")

MODEL = {"id": "gemini-test", "name": "test", "input": ["text"]}
HALF = stub.events(stub.chunk([{"text": "half"}]), stub.Pause(60.0))
DEBUG = [f"operator.debug.{name}" for name in ("observe", "drive", "mutate", "override")]


def configure(daemon: Daemon, url: str) -> None:
    """Let the model of a daemon be the stub."""
    provider = {"baseUrl": f"{url}/v1beta", "apiKey": "k", "api": "google-generative-ai", "models": [MODEL]}
    daemon.configure(
        models={"providers": {"google": provider}},
        agents={"defaults": {"model": {"primary": "google/gemini-test"}}},
    )


@asynccontextmanager
async def debugging(ready: dict[str, Any], user: str = "ann") -> AsyncIterator[Client]:
    """Somebody at the socket of a daemon."""
    client = await connect(Path(ready["debugger"]), Hello(VERSION, "test", user, "override"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.run)
        yield client
        await client.aclose()


async def killed(daemon: Daemon) -> None:
    """End a daemon as a crash would."""
    daemon.tell(signal.SIGKILL)
    assert await daemon.ended() == -signal.SIGKILL


async def test_a_daemon_that_is_told_to_stop_says_goodbye_to_debuggers(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    async with running(daemon, "--demo") as ready, debugging(ready) as ann:
        daemon.tell(signal.SIGTERM)
        with trio.fail_after(30):
            told = [(event.name, dict(event.data)) async for event in ann]
        assert told[-1] == ("goodbye", {"reason": "the daemon stops"})
        assert await daemon.ended() == 0


async def test_a_held_session_comes_back_held_from_a_crash_and_goes_on_when_nobody_comes(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    async with stub.serving(stub.script(HALF, stub.said_in("done", 1))) as (model, url):
        configure(daemon, url)
        async with running(daemon) as ready, connected(daemon.port) as peer:
            path = Path(ready["debugger"])
            await peer.call("chat.send", sessionKey="main", message="hello", idempotencyKey="r1")
            while not any((one.get("payload") or {}).get("state") == "delta" for one in peer.frames):
                await peer.next()
            async with debugging(ready) as ann:
                await ann.request("break.add", {"tool": "write_*", "when": "state.turn > 3"})
                await ann.request("attach", {"session": "main"})
                before = await ann.request("pause", {"session": "main"})
                breakpoints = await ann.request("break.list", {})
                assert (before["held"], before["phase"]) == (True, "streaming")
                await killed(daemon)
        assert path.is_socket()

        async with running(daemon, "--unattended", "600") as ready, connected(daemon.port) as peer:
            assert Path(ready["debugger"]) == path
            (row,) = (await peer.call("sessions.list"))["payload"]["sessions"]
            assert row["paused"]["by"] == "debugger:ann"
            async with debugging(ready) as ann:
                (row,) = (await ann.request("sessions", {}))["sessions"]
                assert (row["held"], row["by"], row["driver"]) == (True, "debugger:ann", "")
                again = await ann.request("attach", {"session": "main"})
                assert again["driving"]
                for name in ("generation", "held", "by", "cause", "turn"):
                    assert again[name] == before[name]
                assert again["step"]["number"] == before["step"]["number"]
                assert again["at"] == before["at"] + 1  # recovery is a record of its own
                assert await ann.request("break.list", {}) == breakpoints
                assert len(model.requests) == 1
                await killed(daemon)

        async with running(daemon, "--unattended", "1"), connected(daemon.port) as peer:
            ended = await peer.call("agent.wait", runId="r1", timeoutMs=30_000)
            assert ended["payload"]["status"] == "ok"
            assert len(model.requests) == 2
            (row,) = (await peer.call("sessions.list"))["payload"]["sessions"]
            assert "paused" not in row
        actions = await audited(daemon)
        assert [each for each in actions if each != "done"][-1] == "dead-man.resume"


async def test_what_is_held_for_ever_stays_so_over_a_restart_and_is_shown(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    async with running(daemon, "--demo", "--token", TOKEN) as ready:
        for line in ("new one", "new two"):
            code, _ = await command(daemon, ready, "attach", "-x", line, "-x", "pause", "-x", "detach --hold forever")
            assert code == 0
        await killed(daemon)
    async with running(daemon, "--demo", "--token", TOKEN, "--unattended", "1") as ready:
        async with debugging(ready) as ann:
            rows = (await ann.request("sessions", {}))["sessions"]
            assert [(row["held"], row["kept"]["until"], row["driver"]) for row in rows] == [(True, None, "")] * 2
        _, text = await command(daemon, ready, "status", "--port", str(daemon.port))
        assert "2 sessions held by a debugger (2 of them for ever)" in text
        state = ("--port", str(daemon.port), "--state", str(demo_state(tmp_path)))
        _, text = await command(daemon, ready, "doctor", *state)
        found = re.findall(r"warn held: session (\S+) is held for \S+ for ever; `twinstep attach", text)
        assert sorted(found) == sorted(row["session"] for row in rows)
        _, text = await command(daemon, ready, "attach", "-x", "sessions")
        assert text.count("for ever") == 2
        code, _ = await command(daemon, ready, "attach", found[0], "-x", "where")  # it looks, and leaves it as it is
        assert code == 0
        code, _ = await command(daemon, ready, "attach", found[0], "-x", "detach --resume")
        assert code == 0
        async with debugging(ready) as ann:
            rows = (await ann.request("sessions", {}))["sessions"]
            assert {row["session"] for row in rows if row["held"]} == {found[1]}
            assert {row["driver"] for row in rows} == {""}  # a client that has ended drives nothing that does not stand


def demo_state(home: Path) -> Path:
    """The state file of a demo."""
    return home / ".openclaw" / "state" / "twinstep-demo.db"


async def command(daemon: Daemon, ready: dict[str, Any], *words: str) -> tuple[int, str]:
    """Run a command on the machine of a daemon; return its exit code and what it printed."""
    environ = {"HOME": str(daemon.home), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    environ |= {"TWINSTEP_SOCKET": ready["debugger"]}
    line = [sys.executable, "-m", "runtime.app.main", *words]
    done = await trio.run_process(
        line, env=environ, cwd=daemon.home, check=False, capture_stdout=True, stderr=subprocess.STDOUT
    )
    return done.returncode, done.stdout.decode()


async def audited(daemon: Daemon) -> list[str]:
    """What is in the audit of a daemon that has ended."""
    async with running(daemon) as ready, debugging(ready) as ann:
        found = await ann.request("audit", {"verify": True})
        assert found["verified"]["faults"] == []
        return [entry["action"] for entry in found["entries"] if entry["action"] not in ("connect", "disconnect")]


# --- tools of agents

VISIT = [sys.executable, str(ROOT / "tests" / "debugger" / "visitor.py")]
OVER_WEBSOCKET = [sys.executable, "-m", "tests.e2e.ws_visitor"]


def asked(daemon: Daemon, ready: dict[str, Any], way: str, file: Path) -> list[str]:
    """The command that tries to debug, and writes into a file what came of it."""
    if way == "socket":
        return [*VISIT, ready["debugger"], str(file)]
    return [*OVER_WEBSOCKET, str(daemon.port), str(file)]


HIDDEN = {
    "as it is": "{visit}",
    "in a session of its own": "setsid {visit} </dev/null & wait",
    "as an orphan": "(setsid sh -c '({visit} &) ; exit' &) ; sleep 0.1",
}


@pytest.mark.parametrize("way", ["socket", "websocket"])
@pytest.mark.parametrize("how", HIDDEN)
async def test_a_command_that_an_agent_runs_cannot_debug_though_it_knows_the_secret(
    tmp_path: Path, way: str, how: str
) -> None:
    daemon, file = Daemon(tmp_path), tmp_path / "came-of-it"
    answers: list[stub.Answer] = []
    scenario = stub.Scenario(lambda call, number: answers[min(number, len(answers) - 1)])
    async with stub.serving(scenario) as (_, url):
        configure(daemon, url)
        async with running(daemon, "--debug-over-websocket", "override") as ready, connected(daemon.port) as peer:
            visit = f"env PYTHONPATH={shlex.quote(str(ROOT))} {shlex.join(asked(daemon, ready, way, file))}"
            command = HIDDEN[how].format(visit=visit)
            call = {"functionCall": {"name": "exec", "args": {"command": command}}}
            answers += [stub.events(stub.chunk([call], "STOP")), stub.said_in("done", 1)]
            assert await peer.say("debug yourself", "r1") == "done"
            assert (await written(file)).startswith("denied: ")

            mine = tmp_path / "mine"
            environ = {"PYTHONPATH": str(ROOT)}
            await trio.run_process(asked(daemon, ready, way, mine), env=environ, cwd=ROOT)
            assert await written(mine) == "ok"  # from outside it is no secret how it is done


async def written(file: Path) -> str:
    """Wait for a file; return what is in it."""
    while not file.exists():  # noqa: ASYNC110 - another process writes it
        await trio.sleep(0.02)
    return file.read_text()


async def test_over_the_websocket_it_is_off_unless_asked_for_and_no_more_than_was_asked_for(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.configure()
    async with running(daemon, "--demo"), connected(daemon.port, scopes=DEBUG) as peer:
        hello = peer.frames[-1]["payload"]
        assert hello["auth"]["scopes"] == []
        assert not any(name.startswith("debug.") for name in hello["features"]["methods"])
        assert {"session.paused", "session.resumed"} <= set(hello["features"]["events"])
        refused = await peer.call("debug.sessions")
        assert refused["error"]["details"]["missingScope"] == DEBUG[0]
    async with running(daemon, "--demo", "--debug-over-websocket", "driver"):
        async with connected(daemon.port, scopes=[*DEBUG, "operator.read", "operator.write"]) as peer:
            hello = peer.frames[-1]["payload"]
            assert set(DEBUG[:2]) == {one for one in hello["auth"]["scopes"] if "debug" in one}
            assert "debug.verdict" in hello["features"]["methods"]
            made = (await peer.call("debug.new", key="agent:main:main", suspended=True))["payload"]
            assert made["held"]
            assert (await peer.call("debug.say", session="main", text="x"))["error"]["code"] == "FORBIDDEN"
            asked = await peer.call("chat.send", sessionKey="main", message="hello", idempotencyKey="r1")
            assert asked["payload"]["status"] == "started"
            code, told = await status(daemon.port, "/ready")
            assert (code, told["debugger"]) == (
                200,
                {"connections": 1, "held": 1, "forever": 0, "stops": 1, "touched": 0},
            )
            goes = await peer.call("debug.continue", session="main", generation=made["generation"])
            assert goes["ok"], goes
            assert (await peer.final("r1"))["state"] == "final"
            assert [one["payload"]["event"] for one in peer.frames if one.get("event") == "debug"]
