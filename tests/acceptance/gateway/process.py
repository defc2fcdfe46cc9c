"""The gateway as a process: a home of its own, started, killed and started again. Knows nothing of what it serves."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import trio
from attrs import define, field

ROOT: Final = Path(__file__).resolve().parents[3]
TOKEN: Final = "T"
MODEL: Final = "gemini-3.1-pro-preview"
START_SECONDS: Final = 30.0
TICKS: Final = os.sysconf("SC_CLK_TCK")


def settings(home: Path, port: int, model_url: str, **more: Any) -> dict[str, Any]:
    """The openclaw.json of a gateway that asks a model of ours."""
    model = {"id": MODEL, "name": "stub", "reasoning": False, "input": ["text"]}
    provider = {
        "baseUrl": f"{model_url}/v1beta",
        "apiKey": "stub-key",
        "api": "google-generative-ai",
        "models": [{**model, "contextWindow": 1_048_576, "maxTokens": 65_536}],
    }
    agents = {"model": {"primary": f"google/{MODEL}"}, "workspace": str(home / "ws"), **more}
    return {
        "gateway": {"mode": "local", "port": port, "bind": "loopback", "auth": {"mode": "token", "token": TOKEN}},
        "agents": {"defaults": agents},
        "models": {"providers": {"google": provider}},
    }


@define(eq=False)
class Process:
    """One gateway at a time, on the same home. `state` is the name of its journal there, `starts` how often it began.

    What it prints goes to `gateway.log` in the home; `seconds` is how long the last start took until it was ready.
    """

    home: Path
    port: int
    model_url: str
    state: str = "gateway.db"
    settings: dict[str, Any] = field(factory=dict)
    program: tuple[str, ...] = ()
    running: subprocess.Popen[bytes] | None = None
    starts: int = 0
    seconds: float = 0.0

    def __attrs_post_init__(self) -> None:
        folder = self.home / ".openclaw"
        folder.mkdir(parents=True, exist_ok=True)
        (self.home / "ws").mkdir(exist_ok=True)
        text = json.dumps(settings(self.home, self.port, self.model_url, **self.settings), indent=1)
        (folder / "openclaw.json").write_text(text)

    @property
    def journal(self) -> Path:
        """Where the state is."""
        return self.home / self.state

    @property
    def pid(self) -> int:
        """The process that runs now."""
        assert self.running is not None
        return self.running.pid

    def spawn(self) -> None:
        """Start it, and do not wait until it is ready."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENCLAW_")}
        environment |= {"HOME": str(self.home), "PYTHONPATH": str(ROOT), "OPENCLAW_SKIP_CHANNELS": "1"}
        words = self.program or (sys.executable, "-m", "runtime.app.main")
        flags = ("serve", "--port", str(self.port), "--state", str(self.journal), "--json")
        with (self.home / "gateway.log").open("ab") as log:
            self.running = subprocess.Popen(
                [*words, *flags], cwd=self.home, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=log,
            )  # fmt: skip
        self.starts += 1

    async def start(self) -> None:
        """Start it and wait until it says that it is ready. Raises RuntimeError if it does not."""
        began = time.perf_counter()
        self.spawn()
        assert self.running is not None
        assert self.running.stdout is not None
        with trio.move_on_after(START_SECONDS):
            await trio.lowlevel.wait_readable(self.running.stdout)
            line = self.running.stdout.readline()
            if line.startswith(b"{") and json.loads(line).get("ready"):
                self.seconds = time.perf_counter() - began
                return
        code = self.running.poll()
        self.kill()
        said = (self.home / "gateway.log").read_text(errors="replace")[-1500:]
        raise RuntimeError(f"the gateway did not start (exit code {code}); {self.home}/gateway.log ends with\n{said}")

    def kill(self) -> None:
        """End it as a power failure would end it: without a word."""
        if self.running is not None:
            self.running.kill()
            self.running.wait()
            self._left()

    async def stop(self, seconds: float = 30.0) -> None:
        """End it as an operator would, and wait until it is gone."""
        if self.running is None:
            return
        self.running.send_signal(signal.SIGTERM)
        with trio.move_on_after(seconds):
            await trio.to_thread.run_sync(self.running.wait, abandon_on_cancel=True)
        self.kill()

    def _left(self) -> None:
        if self.running is not None and self.running.stdout is not None:
            self.running.stdout.close()
        self.running = None

    def rss(self) -> int:
        """Resident bytes."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    def cpu(self) -> float:
        """Processor seconds so far."""
        words = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / TICKS


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def ended(number: int, frame: object) -> None:
    """Leave as after Ctrl+C, which Trio understands, so that no gateway is left behind."""
    signal.raise_signal(signal.SIGINT)


def machine() -> str:
    """What figures are measured on."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.split(":", 1)[1].strip() for line in info if line.startswith("model name")), "unknown")
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} x {name}, Python {sys.version.split()[0]}, load {load:.1f}"
