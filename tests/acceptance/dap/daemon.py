"""A daemon with two sessions that keep taking turns, as the shared probe wants it, and a server for editors.

The sessions begin when somebody holds both of them, so that their first steps are those after they were let go. Turn n
asks for the shell where n is even and for a file where it is odd; the shell's command does nothing, and every fourth
turn it is one that the judge refuses. What the judge wants a person for is approved at once.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, Final

import trio
from attrs import define, field, frozen

from debugger.client import connect
from debugger.protocol import VERSION, Hello
from tests.acceptance.gateway.client import Client, connected
from tests.acceptance.gateway.model import StubModel, chunk
from tests.acceptance.gateway.process import ROOT, Process, free_port

SESSIONS: Final = ("agent:main:one", "agent:main:two")
TURN: Final = re.compile(r"\bturn (\d+)\b")
HARMLESS: Final = "true"
REFUSED: Final = "no-program-of-this-name"
FILE: Final = "NOTE.md"
PAUSE: Final = 0.05
"""Seconds between two turns of a session, and before each answer of the model."""
READY_SECONDS: Final = 30.0


class Alternating(StubModel):
    """Answers turn n with a call of the shell or of the reader, and the result of that with a short text."""

    def answers(self, contents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The pieces of the answer."""
        parts = contents[-1].get("parts") or () if contents else ()
        if any("functionResponse" in part for part in parts):
            return [chunk({"text": "It is "}, last=False), chunk({"text": "done."}, last=True)]
        found = [match for part in parts for match in TURN.findall(str(part.get("text", "")))]
        return [chunk({"functionCall": call(int(found[-1]) if found else 1)}, last=True)]


def call(turn: int) -> dict[str, Any]:
    """The call of a turn."""
    if turn % 2:
        return {"name": "read", "args": {"path": FILE}}
    return {"name": "exec", "args": {"command": REFUSED if turn % 4 == 0 else HARMLESS}}


@define(eq=False)
class Driver:
    """Sends the next message to each session when the reply to the last one is there, and approves what is asked."""

    link: Client | None = None
    asked: list[str] = field(factory=list)
    _waiting: dict[str, trio.Event] = field(factory=dict)
    _approve: trio.Event = field(factory=trio.Event)

    def heard(self, payload: dict[str, Any]) -> None:
        """Take in a `chat` event."""
        if payload.get("state") in ("final", "error", "aborted"):
            done = self._waiting.get(str(payload.get("runId")))
            if done is not None:
                done.set()

    def wanted(self, payload: dict[str, Any]) -> None:
        """Take in a question."""
        self.asked.append(str(payload.get("id")))
        self._approve.set()

    async def talk(self, session: str) -> None:
        """Take turns until cancelled."""
        assert self.link is not None
        turn = 0
        while True:
            turn += 1
            run = f"{session}-{turn}"
            done = self._waiting[run] = trio.Event()
            params = {"sessionKey": session, "message": f"turn {turn}", "idempotencyKey": run}
            await self.link.call("chat.send", params)
            await done.wait()
            del self._waiting[run]
            await trio.sleep(PAUSE)

    async def approve(self) -> None:
        """Allow what a person is asked about, at once, until cancelled."""
        assert self.link is not None
        while True:
            while self.asked:
                await self.link.call("exec.approval.resolve", {"id": self.asked.pop(0), "decision": "allow-once"})
            self._approve = trio.Event()
            await self._approve.wait()


@frozen
class Served:
    """A DAP server: where editors connect, and the file of the token."""

    port: int
    token: str


@asynccontextmanager
async def sessions(home: Path) -> AsyncIterator[Process]:
    """Run a gateway with two sessions that keep taking turns."""
    model = Alternating(Random(0), (PAUSE, PAUSE))
    driver = Driver()
    async with trio.open_nursery() as nursery:
        port = await nursery.start(model.serve, 0)
        process = Process(home, free_port(), f"http://127.0.0.1:{port}")
        (home / "ws" / FILE).write_text("Nothing to see here.\n")
        try:
            await process.start()
            async with connected(process.port, driver.heard) as link:
                link.asked, driver.link = driver.wanted, link
                for session in SESSIONS:
                    await link.call("sessions.create", {"key": session, "permissionMode": "workspace"})
                nursery.start_soon(driver.approve)
                nursery.start_soon(begun, process, driver, nursery)
                yield process
                nursery.cancel_scope.cancel()
        finally:
            process.kill()


async def begun(process: Process, driver: Driver, nursery: trio.Nursery) -> None:
    """Let the driver begin when both sessions are held."""
    client = await connect(process.home / "debugger" / "gateway.sock", Hello(VERSION, "driver", "driver", "observer"))
    async with trio.open_nursery() as own:
        own.start_soon(client.run)
        while True:  # another client's doing, of which only those are told who attach
            rows = (await client.request("sessions", {"filter": "agent:main:"}))["sessions"]
            if sum(row["held"] for row in rows if row["key"] in SESSIONS) == len(SESSIONS):
                break
            await trio.sleep(PAUSE)
        await client.aclose()
    for session in SESSIONS:
        nursery.start_soon(driver.talk, session)


@asynccontextmanager
async def server(process: Process, *flags: str) -> AsyncIterator[Served]:
    """Run `twinstep dap` beside a gateway."""
    home = process.home
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(home / "xdg")}
    words = [sys.executable, "-m", "runtime.app.main", "dap", "--listen", "127.0.0.1:0", "--json"]
    words += ["--state", str(process.journal), "--user", "probe", *flags]
    with (home / "dap.log").open("ab") as log:
        running = subprocess.Popen(  # noqa: ASYNC220 - as the gateway of this harness
            words, cwd=home, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
        )
    assert running.stdout is not None
    try:
        with trio.move_on_after(READY_SECONDS):
            await trio.lowlevel.wait_readable(running.stdout)
        said = json.loads(running.stdout.readline() or b"{}")
        if not said.get("ready"):
            raise RuntimeError(f"the server did not start: {(home / 'dap.log').read_text()[-1500:]}")
        yield Served(int(said["port"]), Path(said["tokenFile"]).read_text().strip())
    finally:
        running.terminate()
        running.wait(10)
        running.stdout.close()
