"""What somebody at the debugger's socket feels, and what he costs, in a daemon whose 1,000 sessions have work to do.

The daemon is a process of its own, this one is the client: requests and events go over the Unix socket as they do for
people. Both read the same monotonic clock. What else the machine does is in these figures; the one that has a target is
therefore measured once more inside a daemon, in processor time of its loop, which never idles here: from the request
lying at its socket until the session is held. Prints one JSON object.
"""

import argparse
import gc
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import trio

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from debugger.client import Client, connect
from debugger.listener import listen
from debugger.protocol import VERSION, Hello
from debugger.protocol.client import ClientConnection, NeedData, State
from debugger.server import serve
from runtime.app.garbage import look_seldom
from runtime.sessions.session import Session
from runtime.step import On, Step
from tests.fakes.studio import House, studio
from tests.fakes.world import calls, text

CROWD = 1_000
PAUSES = 300
WARM = 20
WATCHED = 50
STEPS = 600
HELLO = Hello(VERSION, "bench", "ann", "override")

# --- the daemon


@asynccontextmanager
async def crowded() -> AsyncIterator[House]:
    """A world of sessions that all have work to do."""
    async with studio([calls(("read", {"n": 1}))], repeat=True) as house:
        crowd = [house.open(f"s{n}") for n in range(CROWD)]
        for session in crowd:
            house.world.say(session)
        while min(session.state.turns for session in crowd) < 2:
            await crowd[-1].changed.park()
        look_seldom()  # as a gateway does
        yield house


async def daemon(path: Path) -> None:
    """Serve a crowd until the input ends, then print when each session was held."""
    held: list[tuple[str, int]] = []

    def stepped(session: Session, step: Step) -> None:
        if step.event.on is On.HOLD:
            held.append((session.id, time.perf_counter_ns()))

    made = listen(path)
    async with crowded() as house:
        house.world.dispatcher.listeners.insert(0, stepped)
        house.nursery.start_soon(serve, house.studio.service, made.socket, made.check)
        print("ready", flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)
        print(json.dumps(held), flush=True)
    await made.aclose()


async def memory(watched: bool) -> None:
    """Print by how many bytes a session grows in so many steps while somebody watches it, or nobody does."""
    async with studio([calls(("read", {"n": 1})), *[text("x", None)] * 10], [calls(("read", {"n": 2}))]) as house:
        house.world.model.repeat = True
        crowd = [house.open(f"s{n}") for n in range(WATCHED)]
        ann = await house.client()
        gc.collect()
        before = resident()
        for session in crowd if watched else ():
            await ann.ask("attach", session=session.id)
        for session in crowd:
            house.world.say(session)
            house.nursery.start_soon(stop_after, house, session)
        await trio.sleep(0.1)
        while any(session.state.hold is None for session in crowd):
            ann.forget()
            await trio.sleep(0.1)
        ann.forget()
        gc.collect()
        print((resident() - before) / WATCHED)


async def stop_after(house: House, session: Session) -> None:
    """Hold a session when it has taken its steps."""
    while session.steps < STEPS:
        await session.changed.park()
    house.world.dispatcher.hold(session, "bench")


def resident() -> int:
    """Return the resident set of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


async def inside() -> list[float]:
    """Return, in ms of processor time, how long requests to pause a session of a crowd took to be obeyed, sorted."""
    took: list[float] = []
    async with crowded() as house:
        near, far = socket.socketpair()
        near.setblocking(False)
        house.nursery.start_soon(house.studio.service.converse, trio.SocketStream(trio.socket.from_stdlib_socket(far)))
        machine = ClientConnection()
        near.send(machine.hello(HELLO))
        while machine.state is not State.OPEN:
            await heard(near, machine)
        began, held = 0, trio.Event()

        def stepped(session: Session, step: Step) -> None:
            if step.event.on is On.HOLD:
                took.append((time.thread_time_ns() - began) / 1e6)
                held.set()

        house.world.dispatcher.listeners.insert(0, stepped)
        for number in range(PAUSES + WARM):
            session = house.roster.live[f"s{number}"]
            _, frame = machine.request("pause", {"session": session.id})
            held = trio.Event()
            began = time.thread_time_ns()
            near.send(frame)
            await held.wait()
            await trio.sleep(0.002)
            await heard(near, machine)
            near.send(machine.request("continue", {"session": session.id, "generation": session.state.generation})[1])
            near.send(machine.request("detach", {"session": session.id})[1])
            while session.state.hold is not None:  # noqa: ASYNC110 - it is let go in some passes of the loop
                await trio.sleep(0.001)
    return sorted(took[WARM:])


async def heard(near: socket.socket, machine: ClientConnection) -> None:
    """Take what has come in."""
    await trio.sleep(0.002)
    with suppress(BlockingIOError):
        while True:
            machine.receive_data(near.recv(1 << 20))
            while not isinstance(machine.next_event(), NeedData):
                pass


# --- the client


class Ann:
    """Somebody at the debugger. `told` has when each session was told to be held."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.told: dict[str, int] = {}
        self.news = trio.Event()

    async def listen(self) -> None:
        """Take note of stops."""
        async for event in self.client:
            if event.name == "stopped":
                self.told[event.data["session"]] = time.perf_counter_ns()
                self.news.set()

    async def stop(self, name: str) -> tuple[int, int]:
        """Pause a session, let it go on, and leave it; return when that was asked, and when the stop was told."""
        self.news = trio.Event()
        asked = time.perf_counter_ns()
        held = await self.client.request("pause", {"session": name})
        while name not in self.told:
            await self.news.wait()
        await self.client.request("continue", {"session": name, "generation": held["generation"]})
        await self.client.request("detach", {"session": name})
        return asked, self.told[name]


async def pauses(path: Path, process: "subprocess.Popen[str]") -> tuple[list[float], list[float], list[float]]:
    """Return, in ms, request to held, held to told, and request to told, sorted."""
    assert process.stdin is not None
    assert process.stdout is not None
    asked: dict[str, tuple[int, int]] = {}
    client = await connect(path, HELLO)
    ann = Ann(client)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.run)
        nursery.start_soon(ann.listen)
        for number in range(PAUSES + WARM):
            asked[f"s{number}"] = await ann.stop(f"s{number}")
            await trio.sleep(0.002)
        await client.aclose()
        nursery.cancel_scope.cancel()
    process.stdin.close()
    held = dict(json.loads(process.stdout.readline()))
    rows = [(held[name] - at, told - held[name], told - at) for name, (at, told) in asked.items()][WARM:]
    to_held, to_told, whole = (sorted(one / 1e6 for one in column) for column in zip(*rows, strict=True))
    return to_held, to_told, whole


def growth(*words: str) -> float:
    """Return what a process of its own prints: bytes of a session."""
    ran = [subprocess.check_output([sys.executable, __file__, *words], text=True) for _ in range(3)]
    return statistics.median(map(float, ran))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--daemon", type=Path)
    parser.add_argument("--memory", choices=("watched", "alone"))
    given = parser.parse_args()
    if given.daemon is not None:
        return trio.run(daemon, given.daemon)
    if given.memory is not None:
        return trio.run(memory, given.memory == "watched")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "d", "bench.sock")
        words = [sys.executable, __file__, "--daemon", str(path)]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
                to_held, to_told, whole = trio.run(pauses, path, process)
            finally:
                process.kill()
    watched, alone = growth("--memory", "watched"), growth("--memory", "alone")
    figures = [
        *two("request to pause a session at the socket to held, processor time", trio.run(inside), "<= 2"),
        *two("request to pause a session, from another process, to held", to_held),
        *two("held to the event `stopped` with its context in the client's hands", to_told),
        *two("request to that event", whole),
        figure(f"memory of a session after {STEPS:,} steps with its records, unwatched", alone / 1e3, "kB"),
        figure("the same, of one that somebody is attached to", watched / 1e3, "kB"),
    ]
    print(json.dumps({"name": "attached", "figures": figures}))
    return None


def two(what: str, times: list[float], target: str = "") -> list[dict[str, Any]]:
    """Return rows with p50 and p99."""
    middle, high = times[len(times) // 2], times[len(times) * 99 // 100]
    return [figure(f"{what}, p50", middle, "ms"), figure(f"{what}, p99", high, "ms", target)]


def figure(what: str, value: float, unit: str, target: str = "") -> dict[str, Any]:
    """Return one row of the table."""
    return {"what": what, "value": round(value, 3), "unit": unit, "target": target}


if __name__ == "__main__":
    main()
