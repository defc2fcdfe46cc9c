"""Many clients that are connected and say nothing: what do they cost, and what do they cost somebody who talks?

    python -m tests.acceptance.gateway.idle --clients 10000 --seconds 60

Processes of their own, with plain sockets, shake hands for each client, answer pings, and read what comes. Measured:
memory of the gateway a client, its processor time while nothing happens but ticks and pings, and the latency of chat
turns of one client meanwhile, first beside clients that may not read (only ticks reach them), with --readers beside
some more that hear every event. Prints one line of JSON.
"""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections import Counter
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

import trio
from attrs import define, field

from tests.acceptance.gateway.client import connected, hello_params
from tests.acceptance.gateway.model import StubModel
from tests.acceptance.gateway.process import ROOT, Process, ended, free_port, machine
from tests.acceptance.gateway.soak import Soak, at

FILES: Final = 2_000
"""Open files besides those of the clients."""
AT_ONCE: Final = 32
PROCESSES: Final = 2
SETTLE: Final = 5.0
JOIN_SECONDS: Final = 300.0
TURNS: Final = 30
TEXT, PING, PONG = 0x81, 0x89, 0x8A


@define(eq=False)
class Crowd:
    """Clients that only listen. `scopes` are what they ask for."""

    port: int
    scopes: tuple[str, ...] = ()
    joined: int = 0
    gone: int = 0
    frames: int = 0
    ticks: int = 0
    reasons: list[str] = field(factory=list)
    changed: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)
    _room: trio.CapacityLimiter = field(factory=lambda: trio.CapacityLimiter(AT_ONCE))

    async def attend(self) -> None:
        """Be one of them."""
        try:
            async with self._room:
                stream = await trio.open_tcp_stream("127.0.0.1", self.port)
                rest = await self._greet(stream)
            self.joined += 1
            self.changed.unpark_all()
            await self._listen(stream, rest)
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError, ValueError) as exc:
            self.reasons.append(f"{type(exc).__name__}: {exc}")
        self.gone += 1
        self.changed.unpark_all()

    async def _greet(self, stream: trio.SocketStream) -> bytes:
        key = b64encode(os.urandom(16)).decode()
        lines = ["GET / HTTP/1.1", f"Host: 127.0.0.1:{self.port}", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]
        await stream.send_all("\r\n".join(lines).encode())
        data = b""
        while b"\r\n\r\n" not in data:
            data += await self._more(stream)
        head, _, data = data.partition(b"\r\n\r\n")
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise ValueError(head.split(b"\r\n")[0].decode())
        _, data = await self._frame(stream, data)  # the challenge
        params = {**hello_params(), "scopes": list(self.scopes)}
        body = json.dumps({"type": "req", "id": "1", "method": "connect", "params": params}).encode()
        await stream.send_all(masked(TEXT, body))
        (_, hello), data = await self._frame(stream, data)
        if b'"ok":true' not in hello[:60]:
            raise ValueError(hello[:200].decode())
        return data

    async def _listen(self, stream: trio.SocketStream, data: bytes) -> None:
        while True:
            (kind, body), data = await self._frame(stream, data)
            self.frames += 1
            if kind == PING:
                await stream.send_all(masked(PONG, body))
            elif b'"tick"' in body[:40]:
                self.ticks += 1
            elif kind == 0x88:
                raise ValueError(f"closed: {body[2:].decode(errors='replace')}")

    async def _frame(self, stream: trio.SocketStream, data: bytes) -> tuple[tuple[int, bytes], bytes]:
        while True:
            size, start = length(data)
            if size >= 0 and len(data) >= start + size:
                return (data[0], data[start : start + size]), data[start + size :]
            data += await self._more(stream)

    async def _more(self, stream: trio.SocketStream) -> bytes:
        data = bytes(await stream.receive_some(16_384))
        if not data:
            raise ValueError("the gateway hung up")
        return data


def length(data: bytes) -> tuple[int, int]:
    """Size of a frame's body and where it begins; -1 where that is not known yet."""
    if len(data) < 2:
        return -1, 0
    short = data[1] & 0x7F
    wide = {126: 2, 127: 8}.get(short, 0)
    if len(data) < 2 + wide:
        return -1, 0
    return (int.from_bytes(data[2 : 2 + wide], "big") if wide else short), 2 + wide


def masked(kind: int, body: bytes) -> bytes:
    """A client's frame; the mask is zero, which is valid and costs nothing."""
    size = len(body)
    head = bytes((kind, 0x80 | size)) if size < 126 else bytes((kind, 0xFE)) + size.to_bytes(2, "big")
    return head + bytes(4) + body


async def talked(process: Process, turns: int) -> list[float]:
    """Take turns, one after the other; return their seconds."""
    soak = Soak(turns)
    async with connected(process.port, soak.heard) as link:
        for n in range(turns):
            await soak.turn(link, f"agent:main:idle-{n % 4}", time.time_ns())
            await trio.sleep(0.1)
    if soak.failures:
        raise RuntimeError(soak.failures[0])
    return sorted(soak.seconds)


def shown(name: str, seconds: list[float]) -> dict[str, float]:
    """Latencies as figures."""
    return {
        f"turn p50 {name} ms": round(at(seconds, 0.5) * 1000, 1),
        f"turn max {name} ms": round(seconds[-1] * 1000, 1),
    }


@define(eq=False)
class Crowds:
    """Crowds in processes of their own, so that what they cost is not taken for what the gateway costs."""

    port: int
    scopes: str
    running: list[trio.Process] = field(factory=list)

    async def gather(self, nursery: trio.Nursery, count: int) -> float:
        """Have that many join; return how long it took."""
        began = time.perf_counter()
        shares = [count // PROCESSES + (n < count % PROCESSES) for n in range(PROCESSES)]
        async with trio.open_nursery() as joining:
            for share in shares:
                words = ["--crowd", str(self.port), "--clients", str(share), "--scopes", self.scopes]
                command = [sys.executable, "-m", "tests.acceptance.gateway.idle", *words]
                run = partial(trio.run_process, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
                process = await nursery.start(partial(run, check=False))
                self.running.append(process)
                joining.start_soon(answer, process, "joined", share)
        return time.perf_counter() - began

    async def counts(self) -> dict[str, int]:
        """What they heard so far, all together."""
        total: Counter[str] = Counter()
        for process in self.running:
            assert process.stdin is not None
            await process.stdin.send_all(b"\n")
            total.update(await answer(process, "frames"))
        return total


async def answer(process: trio.Process, member: str, wanted: int | None = None) -> dict[str, int]:
    """The next line of a crowd, which must have this member, with this value if one is given."""
    assert process.stdout is not None
    text = b""
    with trio.fail_after(JOIN_SECONDS):
        while not text.endswith(b"\n"):
            text += bytes(await process.stdout.receive_some()) or b"the crowd is gone\n"
    if member.encode() not in text:
        raise RuntimeError(text.decode())
    said: dict[str, int] = json.loads(text)
    if wanted not in (None, said[member]):
        raise RuntimeError(f"{said}: {wanted} should have joined")
    return said


async def crowded(port: int, scopes: tuple[str, ...], count: int) -> None:
    """Be a crowd: say when all are there, and for each line that is read what they heard so far."""
    crowd = Crowd(port, scopes)
    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(crowd.attend)
        with trio.move_on_after(JOIN_SECONDS):
            while crowd.joined < count and not crowd.gone:
                await crowd.changed.park()
        print(json.dumps({"joined": crowd.joined, "reasons": crowd.reasons[:3]}), flush=True)
        asked = trio.lowlevel.FdStream(os.dup(0))
        while await asked.receive_some(1):
            counts = {"frames": crowd.frames, "ticks": crowd.ticks, "gone": crowd.gone}
            print(json.dumps(counts), flush=True)
        nursery.cancel_scope.cancel()


async def idled(given: argparse.Namespace, home: Path) -> dict[str, Any]:
    """Run it; return its figures."""
    model = StubModel(Random(1), (0.0, 0.0), 2)
    made: dict[str, Any] = {"machine": machine(), "clients": given.clients}
    async with trio.open_nursery() as nursery:
        port = await nursery.start(model.serve, 0)
        process = Process(home, free_port(), f"http://127.0.0.1:{port}")
        try:
            await process.start()
            made |= shown("alone", await talked(process, TURNS))
            before = process.rss()
            crowds = Crowds(process.port, "")
            made["seconds to join"] = round(await crowds.gather(nursery, given.clients), 1)
            await trio.sleep(SETTLE)
            made["rss before MiB"] = round(before / 2**20, 1)
            made["rss with all MiB"] = round(process.rss() / 2**20, 1)
            made["rss a client kB"] = round((process.rss() - before) / given.clients / 1000, 1)
            heard = await crowds.counts()
            began, cpu = time.perf_counter(), process.cpu()
            await trio.sleep(given.seconds)
            made["cpu while idle %"] = round(100 * (process.cpu() - cpu) / (time.perf_counter() - began), 1)
            counts = await crowds.counts()
            made["frames to idle clients"] = counts["frames"] - heard["frames"]
            made["ticks a client"] = round((counts["ticks"] - heard["ticks"]) / given.clients, 2)
            made |= shown("beside them", await talked(process, TURNS))
            made["rss after MiB"] = round(process.rss() / 2**20, 1)
            if given.readers:
                readers = Crowds(process.port, "operator.read")
                await readers.gather(nursery, given.readers)
                made |= {"readers": given.readers} | shown("with readers", await talked(process, TURNS))
                made["readers that were dropped"] = (await readers.counts())["gone"]
            made["left early"] = (await crowds.counts())["gone"]
        finally:
            process.kill()
        nursery.cancel_scope.cancel()
    return made


def main() -> int:
    """Run it and print what came of it."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--clients", type=int, default=10_000)
    made.add_argument("--seconds", type=float, default=60.0)
    made.add_argument("--readers", type=int, default=0, help="so many more that hear all events, at the end")
    made.add_argument("--keep", metavar="DIR", help="a home that stays")
    made.add_argument("--crowd", metavar="PORT", type=int, help="be such a crowd for a gateway (what this starts)")
    made.add_argument("--scopes", default="")
    given = made.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = given.clients + given.readers + FILES
    if most != resource.RLIM_INFINITY and most < wanted:
        print(f"idle: {wanted} open files are needed, and {most} are allowed (ulimit -Hn)", file=sys.stderr)
        return 2
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    if given.crowd:
        trio.run(crowded, given.crowd, tuple(given.scopes.split()), given.clients)
        return 0
    signal.signal(signal.SIGTERM, ended)
    with tempfile.TemporaryDirectory(prefix="idle-") as temporary:
        home = Path(given.keep or temporary).absolute()
        home.mkdir(parents=True, exist_ok=True)
        result = trio.run(idled, given, home)
    print(json.dumps(result, ensure_ascii=False))
    return int(bool(result["left early"]))


if __name__ == "__main__":
    sys.exit(main())
