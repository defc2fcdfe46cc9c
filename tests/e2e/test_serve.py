"""`twinstep serve` as a process: it answers, reads its settings again, stops in order, says why it cannot start."""

import json
import os
import re
import resource
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from attrs import define, field
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from runtime.stores import open_store
from tests.e2e.command import ROOT
from tests.fakes import gemini_stub as stub
from tests.fakes.certificate import self_signed

SECONDS = 60
TOKEN = "T"
SCOPES = ("operator.admin", "operator.read", "operator.write")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@define(eq=False)
class Daemon:
    """A gateway as a process, on a home of its own. `said` is what it printed on standard error so far."""

    home: Path
    port: int = field(factory=free_port)
    modules: str = str(ROOT)
    process: trio.Process | None = None
    said: bytearray = field(factory=bytearray)
    news: trio.Condition = field(factory=trio.Condition)

    @property
    def settings(self) -> Path:
        """The settings file."""
        return self.home / ".openclaw" / "openclaw.json"

    @property
    def text(self) -> str:
        """What it said."""
        return self.said.decode(errors="replace")

    def configure(self, **more: Any) -> None:
        """Write the settings."""
        self.settings.parent.mkdir(parents=True, exist_ok=True)
        gateway = {"mode": "local", "port": self.port, "auth": {"mode": "token", "token": TOKEN}}
        self.settings.write_text(json.dumps({"gateway": gateway, **more}))

    async def spawn(self, *flags: str) -> trio.Process:
        """Start it, and do not wait until it is ready."""
        environ = {"HOME": str(self.home), "PATH": os.environ["PATH"], "PYTHONPATH": self.modules, "NO_COLOR": "1"}
        self.process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "runtime.app.main", "serve", "--port", str(self.port), *flags],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.home,
            env=environ,
        )
        return self.process

    async def read(self) -> None:
        """Take in what it says."""
        assert self.process is not None
        assert self.process.stderr is not None
        async for piece in self.process.stderr:
            self.said += piece
            async with self.news:
                self.news.notify_all()

    async def says(self, pattern: str) -> "re.Match[str]":
        """Wait until it has said something like this."""
        async with self.news:
            while (found := re.search(pattern, self.text)) is None:
                await self.news.wait()
        return found

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    async def ended(self) -> int:
        """Wait for its end; return its exit code."""
        assert self.process is not None
        return await self.process.wait()


@asynccontextmanager
async def running(daemon: Daemon, *flags: str) -> AsyncIterator[dict[str, Any]]:
    """A daemon that is ready; yields what it says of itself. It is killed if it is still there at the end."""
    with trio.fail_after(SECONDS):
        process = await daemon.spawn("--json", *flags)
        async with trio.open_nursery() as nursery:
            try:
                nursery.start_soon(daemon.read)
                assert process.stdout is not None
                line = b""
                while not line.endswith(b"\n"):
                    piece = await process.stdout.receive_some()
                    assert piece, f"it did not start: {daemon.text}"
                    line += piece
                yield json.loads(line)
            finally:
                if process.returncode is None:
                    process.kill()
                with trio.CancelScope(shield=True):
                    await process.wait()
                nursery.cancel_scope.cancel()


async def failing(daemon: Daemon, *flags: str) -> tuple[int, str]:
    """Start a daemon that must not come up; return its exit code and what it said."""
    with trio.fail_after(SECONDS):
        process = await daemon.spawn(*flags)
        await daemon.read()
        return await process.wait(), daemon.text


@define(eq=False)
class Peer:
    """A client of the daemon."""

    socket: WebSocketConnection
    frames: list[dict[str, Any]] = field(factory=list)
    count: int = 0

    async def next(self) -> dict[str, Any]:
        """The next frame."""
        frame: dict[str, Any] = json.loads(await self.socket.get_message())
        self.frames.append(frame)
        return frame

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask, and wait for the first response."""
        self.count += 1
        request = {"type": "req", "id": str(self.count), "method": method, "params": params}
        await self.socket.send_message(json.dumps(request))
        while (frame := await self.next()).get("id") != str(self.count):
            pass
        return frame

    async def final(self, run: str) -> dict[str, Any]:
        """Wait for the end of a run."""
        while True:
            payload = (await self.next()).get("payload") or {}
            if payload.get("runId") == run and payload.get("state") in ("final", "aborted", "error"):
                return dict(payload)

    async def say(self, said: str, run: str) -> str:
        """Send a message; return the answer's text."""
        answer = await self.call("chat.send", sessionKey="main", message=said, idempotencyKey=run)
        assert answer["ok"], answer
        end = await self.final(run)
        return str(end["message"]["content"][0]["text"])

    async def closed(self) -> tuple[int, str]:
        """Read to the end; return close code and reason."""
        try:
            while True:
                await self.next()
        except ConnectionClosed as exc:
            return (exc.reason.code, exc.reason.reason or "") if exc.reason is not None else (0, "")


@asynccontextmanager
async def connected(
    port: int, token: str = TOKEN, *, refused: bool = False, scopes: Sequence[str] = SCOPES
) -> AsyncIterator[Peer]:
    """A client that said hello, or was refused."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream, trio.open_nursery() as nursery:
        peer = Peer(await wrap_client_stream(nursery, stream, "127.0.0.1", "/"))
        client = {"id": "gateway-client", "version": "1", "platform": "linux", "mode": "backend"}
        auth = {"minProtocol": 4, "maxProtocol": 4, "client": client, "scopes": list(scopes), "auth": {"token": token}}
        hello = await peer.call("connect", **auth)
        assert hello["ok"] is not refused, hello
        yield peer
        await peer.socket.aclose()


async def status(port: int, path: str) -> tuple[int, dict[str, Any]]:
    """What HTTP says."""
    async with httpx.AsyncClient(timeout=10) as client:
        answer = await client.get(f"http://127.0.0.1:{port}{path}", headers={"authorization": f"Bearer {TOKEN}"})
    return answer.status_code, answer.json()


async def test_the_demo_answers_over_and_over_on_a_home_that_has_nothing(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    async with running(daemon, "--demo") as ready:
        assert Path(ready.pop("debugger")).is_socket()
        assert ready == {"ready": True, "host": "127.0.0.1", "port": daemon.port, "pid": ready["pid"]}
        token = (await daemon.says(r"until the next start it is (\S+)")).group(1)
        async with connected(daemon.port, token) as peer:
            answers = [await peer.say("hello", f"r{number}") for number in range(4)]
            assert "no model was asked" in answers[0]
            assert "AGENTS.md" in answers[1]
            assert answers[3] == answers[0]
            tools = [
                one["payload"]["data"] for one in peer.frames if (one.get("payload") or {}).get("stream") == "item"
            ]
            assert [(one["phase"], one["name"], one["status"]) for one in tools][-1] == ("end", "read", "completed")
        assert (await status(daemon.port, "/health"))[0] == 200
        assert (await status(daemon.port, "/ready"))[0] == 200
        daemon.tell(signal.SIGTERM)
        assert await daemon.ended() == 0
    assert (tmp_path / ".openclaw" / "workspace" / "AGENTS.md").exists()
    assert token not in "".join(one.read_text() for one in (tmp_path / ".openclaw" / "logs").iterdir())


HANGUP = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "runtime.app.gateway":
            os.kill(os.getpid(), signal.SIGHUP)

sys.meta_path.insert(0, Finder())
"""
"""Python runs it first: it sends the signal while the daemon is still being loaded."""


async def test_a_hangup_while_it_starts_has_the_settings_read_again(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, modules=f"{tmp_path}:{ROOT}")
    (tmp_path / "sitecustomize.py").write_text(HANGUP)
    daemon.configure()
    async with running(daemon, "--demo"):
        await daemon.says("the settings were read again")
        daemon.tell(signal.SIGTERM)
        assert await daemon.ended() == 0


async def test_it_stops_in_order_and_goes_on_where_it_was(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    async with running(daemon, "--demo", "--token", TOKEN), connected(daemon.port) as peer:
        await peer.say("hello", "r1")
        daemon.tell(signal.SIGTERM)
        assert await peer.closed() == (1012, "service restart")
        assert [one["payload"]["reason"] for one in peer.frames if one.get("event") == "shutdown"] == [
            "service restart"
        ]
        assert await daemon.ended() == 0
    async with running(daemon, "--demo", "--token", TOKEN), connected(daemon.port) as peer:
        again = await peer.call("chat.send", sessionKey="main", message="hello", idempotencyKey="r1")
        assert again["payload"]["status"] == "ok"
        history = await peer.call("chat.history", sessionKey="main")
        assert [one["role"] for one in history["payload"]["messages"]] == ["user", "assistant"]


async def test_a_run_that_is_open_when_it_stops_goes_on_after_the_next_start(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    model = {"id": "gemini-test", "name": "test", "input": ["text"]}
    half = stub.events(stub.chunk([{"text": "half"}]), stub.Pause(30.0))
    async with stub.serving(stub.script(half, stub.said_in("done", 1))) as (_, url):
        provider = {"baseUrl": f"{url}/v1beta", "apiKey": "k", "api": "google-generative-ai", "models": [model]}
        daemon.configure(
            models={"providers": {"google": provider}},
            agents={"defaults": {"model": {"primary": "google/gemini-test"}}},
        )
        async with running(daemon), connected(daemon.port) as peer:
            asked = await peer.call("chat.send", sessionKey="main", message="hello", idempotencyKey="r1")
            assert asked["payload"]["status"] == "started"
            while not any((one.get("payload") or {}).get("state") == "delta" for one in peer.frames):
                await peer.next()
            daemon.tell(signal.SIGTERM)
            await daemon.says("draining")
            daemon.tell(signal.SIGTERM)  # who asks twice does not wait for the run
            with trio.fail_after(8):
                assert await daemon.ended() == 0
            assert "stopping now" in daemon.text
        async with running(daemon), connected(daemon.port) as peer:
            waited = await peer.call("agent.wait", runId="r1", timeoutMs=30_000)
            assert waited["payload"]["status"] == "ok"


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux lets one change another's limits")
@pytest.mark.parametrize("state", ["gateway.db", "gateway.jsonl"])
async def test_a_full_disk_is_in_the_log_and_the_gateway_is_not_ready_until_there_is_room(
    state: str, tmp_path: Path
) -> None:
    daemon = Daemon(tmp_path)
    flags = ("--demo", "--token", TOKEN, "--state", state)
    async with running(daemon, *flags) as ready, connected(daemon.port) as peer, trio.open_nursery() as nursery:
        await peer.say("hello", "r1")
        resource.prlimit(ready["pid"], resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
        nursery.start_soon(peer.say, "are you there?", "r2")
        await daemon.says(rf'"error", "message": "{state}: cannot be written')
        code, told = await status(daemon.port, "/ready")
        assert (code, told["ready"]) == (503, False)
        resource.prlimit(ready["pid"], resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await daemon.says("the disk takes what waited for it")
        assert (await status(daemon.port, "/ready"))[0] == 200


async def test_what_could_not_be_read_of_the_state_is_in_the_log(tmp_path: Path) -> None:
    daemon, state = Daemon(tmp_path), tmp_path / "gateway.jsonl"
    async with open_store(state) as store:
        await store.committed(store.put("cron", "job-1", b'{"nonsense":1}'))
    with state.open("ab") as file:
        file.write(b'{"document":"entry"')
    async with running(daemon, "--demo", "--token", TOKEN, "--state", state.name):
        await daemon.says(f'"warn", "message": "{state.name}: line 4 is incomplete .*: it was cut off"')
        await daemon.says(f'"error", "message": "{state.name}: document cron \'job-1\' cannot be read: .*without it"')


async def test_settings_are_read_again_and_who_came_in_with_the_old_secret_has_to_go(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.configure()
    async with running(daemon, "--demo"):
        async with connected(daemon.port) as peer:
            daemon.settings.write_text("{ not json")
            daemon.tell(signal.SIGHUP)
            await daemon.says("were not taken over")
            assert (await peer.call("health"))["ok"]
            daemon.configure(gateway={"mode": "local", "port": daemon.port, "auth": {"mode": "token", "token": "new"}})
            daemon.tell(signal.SIGHUP)
            assert await peer.closed() == (4001, "gateway auth changed")
        async with connected(daemon.port, "new") as peer:
            assert (await peer.call("health"))["ok"]
        async with connected(daemon.port, refused=True) as peer:
            assert peer.frames[-1]["error"]["details"]["authReason"] == "token_mismatch"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("{ not json", "openclaw.json"),
        ('{"gateway": {"prot": 1}}', "prot"),
        ('{"gateway": {"mode": "local", "port": "many"}}', "port"),
        ('{"gateway": {"mode": "local", "bind": "lan", "auth": {"mode": "none"}}}', "openclaw.json"),
        ('{"gateway": {}}', "gateway.mode"),
    ],
)
async def test_settings_that_are_wrong_are_named_in_one_sentence(tmp_path: Path, settings: str, said: str) -> None:
    daemon = Daemon(tmp_path)
    daemon.configure()
    daemon.settings.write_text(settings)
    code, told = await failing(daemon)
    assert code == 78, told
    assert said in told
    assert told.startswith("twinstep: ")
    assert told.count("\n") == 1


async def test_a_state_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    (tmp_path / ".openclaw").write_text("a file")
    code, told = await failing(daemon, "--demo")
    assert (code, told.count("\n")) == (78, 1)
    assert str(tmp_path / ".openclaw") in told


async def test_a_port_that_is_taken_is_named_in_one_sentence(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", daemon.port))
        taken.listen()
        code, told = await failing(daemon, "--demo")
    assert (code, told.count("\n")) == (1, 1)
    assert told.startswith(f"twinstep: 127.0.0.1:{daemon.port} cannot be listened on")


@pytest.mark.parametrize("state", ["gateway.db", "gateway.jsonl"])
async def test_two_daemons_cannot_share_a_state(tmp_path: Path, state: str) -> None:
    first, second = Daemon(tmp_path), Daemon(tmp_path)
    flags = ("--demo", "--token", TOKEN, "--state", str(tmp_path / state))
    async with running(first, *flags):
        code, told = await failing(second, *flags)
        assert (code, told.count("\n")) == (1, 1)
        assert state in told
        async with connected(first.port) as peer:
            assert (await peer.say("hello", "r1")).startswith("This answer was written by hand")


async def test_over_tls_it_answers_and_is_asked_by_status_and_doctor(tmp_path: Path) -> None:
    daemon, (certificate, key) = Daemon(tmp_path), self_signed(tmp_path)
    tls = {"enabled": True, "certPath": str(certificate), "keyPath": str(key)}
    auth = {"mode": "token", "token": TOKEN}
    daemon.configure(gateway={"mode": "local", "port": daemon.port, "auth": auth, "tls": tls})
    async with running(daemon, "--demo"):
        await daemon.says("with TLS")
        async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=str(certificate))) as client:
            assert (await client.get(f"https://localhost:{daemon.port}/health")).json()["ok"]
        with pytest.raises(httpx.TransportError):
            await status(daemon.port, "/health")
        environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        for words, said in ((["status"], b"ready on port"), (["doctor"], b"a gateway runs on")):
            command = [sys.executable, "-m", "runtime.app.main", *words]
            ran = await trio.run_process(command, capture_stdout=True, check=False, env=environ, cwd=tmp_path)
            assert said in ran.stdout


async def test_settings_without_an_effect_are_named_at_the_start(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.configure(channels={"telegram": {}}, tools={"exec": {"security": "deny"}})
    async with running(daemon, "--demo"):
        await daemon.says("settings without an effect here yet: channels, tools.exec")


async def test_a_demo_keeps_its_sessions_apart(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    async with running(daemon, "--demo", "--token", TOKEN):
        pass
    assert [path.name for path in (tmp_path / ".openclaw" / "state").glob("*.db")] == ["twinstep-demo.db"]


@pytest.mark.parametrize("port", ["0", "65536", "-1", "many", "9" * 30])
async def test_a_port_is_a_number(tmp_path: Path, port: str) -> None:
    daemon = Daemon(tmp_path)
    code, told = await failing(daemon, f"--port={port}")
    assert (code, told.count("\n")) == (1, 1)
    assert "from 1 to 65535" in told


async def test_the_help_names_every_flag_and_an_example(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "runtime.app.main"]
    ran = await trio.run_process([*command, "serve", "--help"], capture_stdout=True, env=environ, cwd=tmp_path)
    told = ran.stdout.decode()
    for flag in ("--port", "--bind", "--token", "--password", "--auth", "--state", "--demo", "--log", "--json"):
        assert flag in told
    assert "twinstep serve --demo" in told
    ran = await trio.run_process([*command, "completion", "bash"], capture_stdout=True, env=environ, cwd=tmp_path)
    assert "--allow-unconfigured" in ran.stdout.decode()


async def test_the_port_speaks_tls_with_a_certificate_of_its_own_that_stays(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    gateway = {"mode": "local", "port": daemon.port, "auth": {"mode": "token", "token": TOKEN}}
    daemon.configure(gateway={**gateway, "tls": {"enabled": True}, "bind": "tailnet"})
    marks = []
    for _ in range(2):
        async with running(daemon, "--demo"):
            marks.append((await daemon.says(r"fingerprint is ([0-9a-f]{64})"))[1])
            trust = ssl.create_default_context(cafile=str(tmp_path / ".openclaw/gateway/tls/gateway-cert.pem"))
            async with httpx.AsyncClient(verify=trust) as client:
                assert (await client.get(f"https://localhost:{daemon.port}/ready")).json()["ready"] is True
        daemon.said.clear()
    assert marks[0] == marks[1]


@pytest.mark.parametrize("tls", [{"autoGenerate": False}, {"certPath": ".openclaw/openclaw.json"}])
async def test_tls_without_a_certificate_is_no_start_in_the_open(tmp_path: Path, tls: dict[str, Any]) -> None:
    daemon = Daemon(tmp_path)
    if "certPath" in tls:  # with half of what it needs
        tls = {"certPath": str(daemon.settings)}
    daemon.configure(gateway={"mode": "local", "port": daemon.port, "tls": {"enabled": True, **tls}})
    code, told = await failing(daemon, "--demo")
    assert code == 78
    assert "gateway.tls: " in told
    assert "there is no such file" in told
