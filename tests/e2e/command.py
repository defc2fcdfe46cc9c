"""Runs the real command in a process of its own, with a home, a workspace and a Gemini API of our own on 127.0.0.1."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import trio
from attrs import define, field

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {"security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": False}}}
SECONDS = 60


@define
class Ran:
    """What a run came to."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The lines of stream-json."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def result(self) -> dict[str, Any]:
        """The last event, which must be the only result; the first must be the only init."""
        kinds = [event["type"] for event in self.events]
        assert kinds[0] == "init"
        assert kinds[-1] == "result"
        assert kinds.count("init") == kinds.count("result") == 1
        return self.events[-1]


@define
class Command:
    """A home and a workspace for runs of `twinstep`."""

    folder: Path
    url: str = ""
    settings: dict[str, Any] = field(factory=lambda: json.loads(json.dumps(SETTINGS)))
    environ: dict[str, str] = field(factory=dict)
    key: str | None = "test-key"

    def __attrs_post_init__(self) -> None:
        self.workspace.mkdir(parents=True, exist_ok=True)
        (self.home / ".gemini").mkdir(parents=True, exist_ok=True)

    @property
    def home(self) -> Path:
        """The home of the person who runs it."""
        return self.folder / "home"

    @property
    def workspace(self) -> Path:
        """The folder in which it runs."""
        return self.folder / "ws"

    @property
    def journals(self) -> list[Path]:
        """The journals of all runs, oldest first."""
        return sorted((self.home / ".local/state/twinstep/sessions").rglob("*.jsonl"))

    def environment(self) -> dict[str, str]:
        """The whole environment of a run: nothing of ours leaks in."""
        given = {"HOME": str(self.home), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        if self.url:
            given["GOOGLE_GEMINI_BASE_URL"] = self.url
        if self.key is not None:
            given["GEMINI_API_KEY"] = self.key
        return given | self.environ

    async def __call__(self, *words: str, stdin: bytes = b"", formats: str = "stream-json") -> Ran:
        """Run it to its end."""
        (self.home / ".gemini" / "settings.json").write_text(json.dumps(self.settings))
        more = ("-o", formats) if formats else ()
        with trio.fail_after(SECONDS):
            ran = await trio.run_process(
                [sys.executable, "-m", "runtime.app.main", *words, *more],
                stdin=stdin,
                capture_stdout=True,
                capture_stderr=True,
                check=False,
                cwd=self.workspace,
                env=self.environment(),
            )
        return Ran(ran.returncode, ran.stdout.decode(), ran.stderr.decode())

    async def stopped(
        self, *words: str, by: signal.Signals, when: Callable[[], Awaitable[None]], then: signal.Signals | None = None
    ) -> Ran:
        """Run it, send it a signal once `when` returns, perhaps a second one soon after, and wait for its end."""
        (self.home / ".gemini" / "settings.json").write_text(json.dumps(self.settings))
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "runtime.app.main", *words, "-o", "stream-json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.workspace,
            env=self.environment(),
        )
        out, err = bytearray(), bytearray()

        async def drain(stream: Any, into: bytearray) -> None:
            async for piece in stream:
                into.extend(piece)

        with trio.fail_after(SECONDS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(drain, process.stdout, out)
                nursery.start_soon(drain, process.stderr, err)
                await when()
                process.send_signal(by)
                if then is not None:
                    await trio.sleep(0.2)
                    process.send_signal(then)
                code = await process.wait()
        return Ran(code, out.decode(), err.decode())
